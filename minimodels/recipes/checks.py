"""What is looked at before a run begins, and what is said when the machine cannot do it."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from minimodels.errors import InputError, no_memory
from minimodels.training import EPOCHS, TensorBoard, World, blocks
from minimodels.training.distributed import starter
from minimodels.training.finiteness import first_spoiled

if TYPE_CHECKING:
    from minimodels.recipes.plan import Plan
    from minimodels.recipes.training_settings import TrainingSettings


def check(recipe: str, chosen: "TrainingSettings", plan: "Plan", world: World) -> None:
    """Whether the settings suit the data, the model and the processes, before a folder is made.

    Args:
        recipe: its name.
        chosen: the settings.
        plan: with data and model.
        world: the processes.

    Raises:
        InputError: they do not.
    """
    if chosen.shard and chosen.precision == "float16":
        raise InputError("--precision float16: a sharded model (--shard) needs the range of bfloat16; choose that.")
    if chosen.shard and world.alone:
        command = shlex.join([*starter(2), "train", recipe, "--shard"])
        raise InputError(
            f"--shard: divides the model among several processes, and here is one alone; start them by "
            f"`{command} ...`, or go without (--no-shard)."
        )
    if chosen.tensorboard:
        TensorBoard(Path())  # which says so where it is not installed
    if chosen.recompute and not blocks(plan.model):
        raise InputError(
            "--recompute: the model of this recipe has no repeated blocks that could be computed again; leave it out, "
            "and save memory by a lower --batch-size and a higher --accumulate."
        )
    if plan.units is EPOCHS and plan.train.samples < chosen.batch_size:
        raise InputError(
            f"--batch-size {chosen.batch_size}: there are {plan.train.samples} samples to train on, which do not fill "
            f"a batch; lower it."
        )


def check_weights(model: torch.nn.Module, source: Path) -> None:
    """Whether the weights that were read can be computed with.

    Args:
        model: that has them.
        source: where they were read, for the message.

    Raises:
        InputError: one is not finite.
    """
    name = first_spoiled(model)
    if name:
        raise InputError(f"{source}: the weights of {name} are not finite numbers; take another copy, or train again.")


@contextmanager
def memory_explained(chosen: "TrainingSettings", model: torch.nn.Module) -> Iterator[None]:
    """When memory is used up, say which settings to lower.

    Args:
        chosen: the settings.
        model: that is trained.

    Raises:
        InputError: with that message.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        reason = no_memory(error)
        if not reason:
            raise
        cheaper = "" if chosen.recompute or not blocks(model) else "go on with --resume --recompute, or "
        narrower = " or with --precision bfloat16" if chosen.precision == "float32" else ""
        raise InputError(
            f"out of memory ({reason}): {cheaper}begin a new run with a lower --batch-size (now {chosen.batch_size}) "
            f"and an --accumulate that is higher by as much{narrower}; what was saved stays as it is."
        ) from error


@contextmanager
def compiler_explained() -> Iterator[None]:
    """When torch.compile fails, say that it was that, and that one can do without.

    Raises:
        InputError: with that message.
    """
    try:
        yield
    except RuntimeError as error:
        if not type(error).__module__.startswith(("torch._dynamo.", "torch._inductor.")):
            raise
        raise InputError(
            f"--compile: torch.compile does not succeed here ({str(error).strip().splitlines()[0].rstrip('.')}); it "
            f"needs a working C++ compiler, such as g++, on the PATH; install one, or begin a run without --compile."
        ) from error
