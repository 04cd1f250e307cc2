"""How every recipe is trained: the device, the loop with its run folder, and the summary."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch

from minimodels.checkpoint import States, load_model
from minimodels.checkpoint.processes import shared
from minimodels.files import sweep, write_json
from minimodels.inspection import report
from minimodels.optim import WarmupCosineLR
from minimodels.recipes.checks import check, compiler_explained, memory_explained
from minimodels.recipes.plan import Plan
from minimodels.recipes.runs import CHECKPOINTS, MODEL, PRETRAINED, check_free, guarded, locked, new_run, resumed_run
from minimodels.recipes.summary import last_line, size, summarise
from minimodels.recipes.training_settings import FREE, TrainingSettings
from minimodels.training import (
    CSVLogger,
    EarlyStopping,
    Keeper,
    ModelCheckpoint,
    ProgressBar,
    Saver,
    TensorBoard,
    Trainer,
    allow_tf32,
    current,
    keep_freed_memory,
    local_device,
    recompute,
)
from minimodels.training.progress import say


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
        folder = resumed_run(out, recipe, chosen, FREE)
        for place in (folder, folder / PRETRAINED):
            sweep(place, "")  # what a killed process left half-written, of any name: nobody else writes here now
        return folder
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
