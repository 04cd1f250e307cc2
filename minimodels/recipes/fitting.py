"""What all recipes share: the settings of training, the device, the loop with its run folder, and the summary."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from minimodels.checkpoint import States, load_model
from minimodels.checkpoint.processes import shared
from minimodels.files import write_json
from minimodels.inspection import report
from minimodels.optim import WarmupCosineLR
from minimodels.recipes.checks import check, compiler_explained, memory_explained
from minimodels.recipes.runs import CHECKPOINTS, MODEL, check_free, guarded, locked, new_run, resumed_run
from minimodels.recipes.settings import Settings, setting, settings
from minimodels.recipes.summary import last_line, shown, size, summarise
from minimodels.training import (
    EPOCHS,
    STEPS,
    CSVLogger,
    EarlyStopping,
    Keeper,
    Metric,
    ModelCheckpoint,
    ProgressBar,
    Saver,
    TensorBoard,
    Trainer,
    Units,
    allow_tf32,
    current,
    keep_freed_memory,
    local_device,
    recompute,
)
from minimodels.training.logging import Record
from minimodels.training.progress import say


@settings
class TrainingSettings(Settings):
    """The settings that every recipe has."""

    epochs: int | None = setting(None, "times through the training data", at_least=1)
    batch_size: int = setting(64, "samples in a batch, of all processes together", at_least=1)
    accumulate: int = setting(1, "batches in one step, as if they were one big batch", at_least=1)
    lr: float | None = setting(None, "learning rate at its peak", above=0)
    warmup: float = setting(0.1, "part of all steps in which the rate rises, before it falls", at_least=0, at_most=1)
    clip_norm: float | None = setting(None, "greatest norm of the gradient (default: not clipped)", above=0)
    ema: float | None = setting(
        None,
        "decay of a moving average of the weights, such as 0.999, which is then tested and saved (default: none)",
        above=0,
        below=1,
    )
    patience: int | None = setting(
        None, "tests in a row without a lower loss, after which training stops (default: it does not)", at_least=1
    )
    keep: Literal["best", "last"] = setting("last", "which model stays: that of the lowest test loss, or the last")
    seed: int = setting(0, "fixes weights, order of the data and dropout", at_least=0)
    device: str = setting("auto", "where to compute: auto, cpu, cuda, cuda:1, mps")
    threads: int | None = setting(None, "CPU threads (default: PyTorch's choice)", at_least=1, at_most=1024)
    precision: Literal["float32", "bfloat16", "float16"] = setting(
        "float32", "of matrix products; the weights are float32 in any case"
    )
    tf32: bool = setting(False, "on CUDA, multiply float32 with 10 bits of mantissa (TF32): faster, less exact")
    compile: bool = setting(
        False, "let torch.compile make one graph of model and loss: a slow start, then faster; needs a C++ compiler"
    )
    recompute: bool = setting(
        False,
        "of repeated blocks keep the inputs alone, and compute the rest again: less memory, more time, same result",
    )
    out: Path | None = setting(
        None, "folder of the run (default: runs/RECIPE-DATA); without --resume a number is added if it exists"
    )
    resume: bool = setting(False, "go on with the run in --out where it stopped, with its settings; or begin it")
    save_every: int | None = setting(
        None, "steps between checkpoints, besides one after every test (default: ten minutes)", at_least=1
    )
    keep_checkpoints: int = setting(2, "how many of the newest checkpoints stay", at_least=1)
    tensorboard: bool = setting(False, "write event files for TensorBoard too; needs minimodels[tensorboard]")
    shard: bool = setting(False, "with torchrun: give each process a part of the model (FSDP2), not all of it")
    timeout: float = setting(600, "with torchrun: seconds that a process waits for the others", above=0)


FREE = (
    *("device", "threads", "out", "resume", "shard", "timeout", "tensorboard", "save_every", "keep_checkpoints"),
    *("recompute", "data_dir", "tokenizer_dir", "prompt", "temperature"),
)
"""Settings that may be others when a run goes on: where it runs and what it leaves behind, not what it computes."""


@dataclass(frozen=True)
class Plan:
    """What a recipe puts into the loop.

    Args:
        model: what to train.
        optimizer: over its parameters.
        loss: (outputs, targets) → mean loss.
        train: batches to train on; `samples` says how many there are.
        test: batches to test with, after every epoch.
        metrics: name → function of (outputs, targets); the first is the result that a run is known by.
        metadata: kept in the model's file.
        draw: (trainer, folder) → pictures of the run, where matplotlib is installed.
        files: what else the model needs, such as its vocabulary, as JSON files of these names in the run folder.
        results: what was measured beforehand, such as a baseline, for the summary.
        count: targets → number of terms that the loss averages over.
        kind: what the model is called, where it is trained inside of another module.
        steps: of the optimiser in all, for a run that is counted in them: `train` then gives those up to the next test.
        floor: the learning rate at the end, as a part of its peak.
        save: (run folder, model) → the model is written there; None: as one safetensors file.
        best: whether only the model of the lowest test loss so far is saved; otherwise the latest one is.
    """

    model: torch.nn.Module
    optimizer: Optimizer
    loss: Callable[[Any, Tensor], Tensor]
    train: Any
    test: Any
    metrics: Mapping[str, Metric]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    draw: Callable[[Trainer, Path], None] | None = None
    files: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    count: Callable[[Tensor], Any] = len
    kind: str = ""
    steps: int | None = None
    floor: float = 0.0
    save: Callable[[Path, torch.nn.Module], None] | None = None
    best: bool = False

    @property
    def units(self) -> Units:
        """What the run is counted in."""
        return EPOCHS if self.steps is None else STEPS

    def kept(self, records: Sequence[Record]) -> Record:
        """What was measured of the model that is in the run folder.

        Args:
            records: of the run.
        """
        return min(records, key=lambda record: record["val_loss"]) if self.best else records[-1]


def prepare(chosen: TrainingSettings) -> torch.device:
    """Set the number of threads, find the device; on a CPU, keep what steps free for those that follow.

    Args:
        chosen: threads and device.

    Raises:
        InputError: there is no such device.
    """
    if chosen.threads is not None:
        torch.set_num_threads(chosen.threads)
    device = local_device(chosen.device, "--device")
    allow_tf32(device, chosen.tf32)
    if device.type == "cpu":
        keep_freed_memory()
    return device


def fit(recipe: str, chosen: TrainingSettings, device: torch.device, plan: Plan, *, name: str, data: str) -> Path:
    """Train as planned, test after every epoch, and leave everything in a run folder.

    What counts is the model after the last epoch: the test set chooses none, unless the plan says so.

    Args:
        recipe: its name.
        chosen: the settings, with their defaults filled in.
        device: where to compute.
        plan: what to train on what.
        name: of the run folder, unless the settings name one.
        data: what the data are, for people.

    Returns:
        The run folder.

    Raises:
        InputError: the folder cannot be used, or the loss is no longer a number.

    See: tests/recipes/test_cnn.py
    """
    world = current()
    check(recipe, chosen, plan, world)
    if chosen.recompute:
        recompute(plan.model)
    with ExitStack() as stack:
        folder = shared(lambda: _opened(recipe, chosen, chosen.out or Path("runs", name), stack))
        stack.enter_context(guarded(folder, recipe))
        for file, value in plan.files.items() if world.main else ():
            write_json(folder / file, value)
        trainer, saver = _trainer(chosen, device, plan, folder)
        _announce(trainer, plan, folder, data)
        stack.enter_context(saver.listening())
        stack.enter_context(memory_explained(chosen, plan.model))
        stack.enter_context(compiler_explained())
        passes = _passes(chosen, plan) - _go_on(trainer, saver, chosen)
        if passes > 0 and not trainer.stop_training:
            trainer.fit(plan.train, passes, plan.test)
        elif world.main:
            say("the run is complete: nothing is left to train")
        if world.main:
            _finish(trainer, plan, folder)
    return folder


def _opened(recipe: str, chosen: TrainingSettings, out: Path, stack: ExitStack) -> Path:
    """The folder of this run, kept to it until the stack is closed."""
    if chosen.resume:
        check_free(out)  # before a lock is left in it
        stack.enter_context(locked(out))
        return resumed_run(out, recipe, chosen, FREE)
    folder = new_run(out, recipe, chosen)
    stack.enter_context(locked(folder))
    return folder


def _announce(trainer: Trainer, plan: Plan, folder: Path, data: str) -> None:
    """Say what is trained on what."""
    kind = plan.kind or type(plan.model).__name__
    where = trainer.world.named(trainer.device)
    say(f"{kind} with {size(plan.model):,} parameters, on {where}; the run folder is {folder}")
    items = plan.units.items
    say(f"{data}: {plan.train.samples:,} {items} to train on, {plan.test.samples:,} to test with")


def _go_on(trainer: Trainer, saver: Saver, chosen: TrainingSettings) -> int:
    """Put the trainer where the run stopped, and give the epochs that are done; without a checkpoint the run begins."""
    if chosen.resume:
        if shared(saver.states.newest) is None:
            say("there is no checkpoint yet: the run begins")
        else:
            trainer.load_state_dict(saver.states.load(trainer.empty_shard))
            say(f"resumed from the checkpoint after step {trainer.step:,}")
    if trainer.world.rank and trainer.step == 0:
        torch.manual_seed(chosen.seed + trainer.world.rank)  # each process drops out what it likes
    return trainer.epoch


def _finish(trainer: Trainer, plan: Plan, folder: Path) -> None:
    """The summary first, so that nothing that fails later loses the result; then the pictures."""
    summarise(trainer, plan, folder)
    if not report.can_draw():
        say(report.HINT)
    elif plan.draw is not None:
        plan.draw(_as_kept(trainer, plan, folder), folder)
    say(last_line(trainer, plan))


def _as_kept(trainer: Trainer, plan: Plan, folder: Path) -> Trainer:
    """A trainer of the model that is in the run folder: this one, unless it has gone on since, or is sharded."""
    if plan.save is not None or not (plan.best or trainer.sharded):
        return trainer
    kept = trainer.plain_copy()  # the other processes may have gone already
    load_model(folder / MODEL, kept)
    shown = Trainer(kept, plan.loss, metrics=plan.metrics, count=plan.count, device=trainer.device, units=plan.units)
    shown.history, shown.epoch, shown.step = trainer.history, trainer.epoch, trainer.step
    return shown


def restored(
    folder: Path,
    chosen: TrainingSettings,
    model: torch.nn.Module,
    loss: Any,
    metrics: Mapping[str, Metric],
    count: Callable[[Tensor], Any] = len,
) -> Trainer:
    """The model of a run, ready to be evaluated.

    Args:
        folder: of the run.
        chosen: device, precision and threads.
        model: built as it was for training; its weights are read here.
        loss: (outputs, targets) → mean loss.
        metrics: name → function of (outputs, targets).
        count: targets → number of terms that the loss averages over.
    """
    device = prepare(chosen)
    load_model(folder / MODEL, model)
    return Trainer(model, loss, metrics=metrics, count=count, device=device, precision=chosen.precision)


def measured(trainer: Trainer, data: str, test: Any) -> dict[str, float]:
    """Measure a model on test data, and print the result.

    Args:
        trainer: what `restored` gave.
        data: what the data are, for people.
        test: batches.

    Returns:
        loss and metrics.
    """
    start = time.perf_counter()
    results = trainer.evaluate(test)
    seconds, count, items = time.perf_counter() - start, test.samples, trainer.units.items
    headline = next(iter(trainer.metrics))
    right = f" ({round(results[headline] * count):,} of {count:,})" if report.is_share(headline) else ""
    say(
        f"{data}: test {shown(headline, results[headline])}{right}, loss {results['loss']:.4f}, "
        f"{seconds:.1f} s, {count / seconds:,.0f} {items}/s"
    )
    return results


def _passes(chosen: TrainingSettings, plan: Plan) -> int:
    """How often the loop goes through the training data."""
    if plan.steps is not None:
        return -(-plan.steps // _steps(chosen, plan))
    assert chosen.epochs is not None, "the recipe has filled it in"
    return chosen.epochs


def _steps(chosen: TrainingSettings, plan: Plan) -> int:
    """Steps in one pass through the training data."""
    return -(-len(plan.train) // chosen.accumulate)


def _trainer(chosen: TrainingSettings, device: torch.device, plan: Plan, folder: Path) -> tuple[Trainer, Saver]:
    """The loop with warm-up and a cosine to the floor, and the callbacks that fill the run folder."""
    steps = plan.steps or _passes(chosen, plan) * _steps(chosen, plan)
    rising = round(chosen.warmup * steps)
    trainer = Trainer(
        plan.model,
        plan.loss,
        plan.optimizer,
        schedule=WarmupCosineLR(plan.optimizer, rising, steps, 1 / (rising + 1), plan.floor),
        metrics=plan.metrics,
        count=plan.count,
        device=device,
        precision=chosen.precision,
        accumulate=chosen.accumulate,
        clip_norm=chosen.clip_norm,
        units=plan.units,
        ema_decay=chosen.ema,
        compile=chosen.compile,
        shard=chosen.shard,
        measure=True,
    )
    saver = Saver(States(folder / CHECKPOINTS, chosen.keep_checkpoints), chosen.save_every)
    trainer.callbacks += [*_callbacks(chosen, plan, folder, trainer.world.main), saver]
    return trainer, saver


def _callbacks(chosen: TrainingSettings, plan: Plan, folder: Path, main: bool) -> list[object]:
    """What fills the run folder; the main process alone writes logs and speaks."""
    callbacks: list[object] = [ModelCheckpoint(folder / MODEL, plan.metadata, plan.best)]
    if plan.save is not None:
        callbacks = [Keeper(partial(plan.save, folder), plan.best)]
    if chosen.patience is not None:
        callbacks.append(EarlyStopping(patience=chosen.patience))
    if main:
        callbacks += [CSVLogger(folder), ProgressBar(plan.steps)]
        callbacks += [TensorBoard(folder)] if chosen.tensorboard else []
    return callbacks
