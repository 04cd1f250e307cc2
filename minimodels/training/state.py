"""The state of a training run as one tree of tensors and numbers, and the way back."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from minimodels.checkpoint.processes import gathered
from minimodels.errors import InputError
from minimodels.shards import is_shared, placed_as
from minimodels.training.metrics import Totals
from minimodels.training.objective import memories, restore_memories
from minimodels.training.randomness import random_state, restore_random_state

if TYPE_CHECKING:
    from minimodels.training.loop import Trainer

PARTS = ("optimizer", "schedule", "scaler", "average")
"""What has a state of its own, and is an attribute of the trainer, or None."""


def training_state(trainer: "Trainer") -> dict[str, Any]:
    """All that the training of a model depends on.

    Tensors are the very ones that are trained, not copies. What a process has of its own (random states, what its
    rows of the data have left in the model, its sums of the epoch) stands in a list with a place for each of them.

    Args:
        trainer: between two steps. Of several processes all have to ask.
    """
    mine = {
        "random": random_state(trainer.device),
        "begun": trainer.begun,
        "memories": memories(trainer.model) if trainer.batch else {},
        "totals": trainer.totals.state_dict(),
    }
    return {
        **{name: getattr(trainer, name) for name in ("epoch", "batch", "step", "rate")},
        "stopped": trainer.stop_training,
        "model": dict(trainer.model.state_dict()),
        "loss": dict(trainer.loss.state_dict()) if isinstance(trainer.loss, nn.Module) else {},
        **{name: None if part is None else part.state_dict() for name, part in _parts(trainer)},
        "callbacks": {name: each.state_dict() for name, each in _stateful(trainer).items()},
        "records": trainer.history.records,
        "timings": trainer.history.timings,
        "speed": trainer.speed.state_dict(),
        "processes": gathered(lambda: _on_cpu(mine)),
    }


def load_training_state(trainer: "Trainer", state: dict[str, Any]) -> None:
    """Put a trainer where another one was.

    Args:
        trainer: made as the other one was; of any number of processes.
        state: what `training_state` gave, with tensors on any device.

    Raises:
        InputError: it does not fit this trainer, or a run of several processes was stopped within an epoch and these
            are not as many, where a model carries something from batch to batch.
    """
    try:
        trainer.model.load_state_dict(_placed(state["model"], trainer.model.state_dict()))
        if isinstance(trainer.loss, nn.Module):
            trainer.loss.load_state_dict(state["loss"])
        for name, part in _parts(trainer):
            if part is not None:
                part.load_state_dict(
                    _like_parameters(state[name], trainer.model) if name != "schedule" else state[name]
                )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"the saved state does not fit this training ({reason}); give the settings it had.") from error
    for name in ("epoch", "batch", "step", "rate"):
        setattr(trainer, name, state[name])
    trainer.stop_training = state["stopped"]
    for name, each in _stateful(trainer).items():
        if name in state["callbacks"]:  # one that the run did not have begins now
            each.load_state_dict(state["callbacks"][name])
    trainer.history.records[:] = state["records"]
    trainer.history.timings[:] = state["timings"]
    trainer.speed.load_state_dict(state["speed"])
    _restore_process(trainer, state["processes"])


def empty_shard(model: nn.Module) -> Callable[[Any, torch.Size, torch.dtype], Tensor | None]:
    """Make what gives empty tensors that are divided among the processes as a model's parameters are.

    Args:
        model: whose parameters are sharded.

    Returns:
        (path, shape, dtype) → tensor, or None for what every process has whole, as `minimodels.checkpoint.read_state`
        asks for it.
    """
    from torch.distributed import tensor as sharded

    weights = model.state_dict()
    like: Any = next(weight for weight in weights.values() if is_shared(weight))

    def empty(path: Any, shape: torch.Size, dtype: torch.dtype) -> Tensor | None:
        part, *_, name = path
        divided = bool(shape) if part == "optimizer" else name in weights and is_shared(weights[name])
        if part not in ("model", "optimizer", "average") or not divided:
            return None
        return sharded.empty(shape, dtype=dtype, device_mesh=like.device_mesh, placements=like.placements)

    return empty


def _restore_process(trainer: "Trainer", processes: list[dict[str, Any]]) -> None:
    """What a process has of its own; where their number has changed, the sums of all go to the first one."""
    world = trainer.world
    same = len(processes) == world.size
    if not same and any(process["memories"] for process in processes):
        raise InputError(
            f"the run was stopped inside of an epoch by {len(processes)} processes, and its model carries what each of "
            f"them has read; go on with as many, which are {world.size} now."
        )
    mine = processes[world.rank % len(processes)]
    trainer.begun, trainer.resumed = mine["begun"], mine["random"]
    restore_random_state(mine["random"], trainer.device)
    if not same and world.rank >= len(processes):
        torch.manual_seed(torch.initial_seed() + world.rank)  # another stream than that of the process it is like
    restore_memories(trainer.model, _to(mine["memories"], trainer.device))
    trainer.totals = Totals()
    for process in [mine] if same else processes if world.main else []:
        trainer.totals.add_all(_to(process["totals"], trainer.device))
    trainer.totals.samples = mine["totals"]["samples"]  # which every process counts for all of them


def _parts(trainer: "Trainer") -> list[tuple[str, Any]]:
    return [(name, getattr(trainer, name)) for name in PARTS]


def _stateful(trainer: "Trainer") -> dict[str, Any]:
    """The callbacks that remember something, by class; the second one of a class is numbered, and those after it."""
    found: dict[str, Any] = {}
    seen = Counter[str]()
    for each in trainer.callbacks:
        if hasattr(each, "state_dict") and hasattr(each, "load_state_dict"):
            name = type(each).__name__
            seen[name] += 1
            found[name if seen[name] == 1 else f"{name} {seen[name]}"] = each
    return found


def _placed(tensors: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Tensors by name, divided among the processes as those of the model are."""
    return {
        name: placed_as(tensor, wanted[name]) if isinstance(tensor, Tensor) and name in wanted else tensor
        for name, tensor in tensors.items()
    }


def _like_parameters(state: Any, model: nn.Module) -> Any:
    """A state whose tensors are divided as the parameters of a model are; numbers stay as they are."""
    shared = next((parameter for parameter in model.parameters() if is_shared(parameter)), None)
    return (
        state
        if shared is None
        else _mapped(state, lambda tensor: placed_as(tensor, shared) if tensor.dim() else tensor)
    )


def _to(state: Any, device: torch.device) -> Any:
    return _mapped(state, lambda tensor: tensor.to(device))


def _on_cpu(state: Any) -> Any:
    return _to(state, torch.device("cpu"))


def _mapped(state: Any, change: Any) -> Any:
    """A tree with every tensor of it changed."""
    if isinstance(state, Tensor):
        return change(state)
    if isinstance(state, dict):
        return {name: _mapped(value, change) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(_mapped(value, change) for value in state)
    return state
