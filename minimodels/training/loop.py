"""The training loop. There is one, and every model of the package is trained by it.

Read `_train_step` first: it is one step of stochastic gradient descent, and everything else goes round it.
"""

import math
import operator
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from minimodels.errors import InputError
from minimodels.nn.utils import clip_grad_norm_
from minimodels.training.devices import device_for, move
from minimodels.training.feeding import as_batches, grouped, on_device
from minimodels.training.logging import History, Record
from minimodels.training.metrics import Metric, Totals
from minimodels.training.precision import autocast, check_precision, gradient_scaler
from minimodels.training.units import EPOCHS, Units

Batch = Sequence[Tensor]
"""(inputs, targets); a model with several arguments takes (first, second, ..., targets)."""

CHECK_EVERY = 50
"""Steps between two looks at the loss on an accelerator, where looking means waiting. On a CPU it is every step."""


class _Schedule(Protocol):
    """Anything that sets the learning rate, one `step()` after each step of the optimiser."""

    def step(self) -> Any:
        """Set the learning rate of the next step."""


class Trainer:
    """Trains a model, measures it, and lets it predict.

    A step takes k = `accumulate` batches with n₁ … n_k samples and follows the gradient of their common mean,

        g = Σᵢ (nᵢ/n) ∇Lᵢ,  n = Σᵢ nᵢ,

    where Lᵢ is the mean loss of batch i. So g is exactly that of one batch with all n samples, also when the last
    batch is short or the last step has fewer batches (layers that look at whole batches, as batch normalisation
    does, see the small ones).

    Args:
        model: what to train; it is moved to the device.
        loss: (outputs, targets) → mean loss of the batch; a module is moved to the device as well.
        optimizer: over the parameters of the model, or some of them; what it remembers is moved with them. None for a
            trainer that only evaluates and predicts.
        schedule: its `step()` is called after each step of the optimiser.
        metrics: name → function of (outputs, targets) that gives a sum and a count, as `accuracy` does.
        count: targets → number of terms that `loss` averages over; by default the samples. For a loss that skips
            padding give `lambda targets: (targets != padding).sum()`.
        device: "cpu", "cuda", "cuda:1" or "mps". With None a model that is on an accelerator stays there, and any
            other goes to the best device there is.
        precision: of the forward pass: "float32", "bfloat16" or "float16" (with a gradient scaler).
        accumulate: batches in one step of the optimiser.
        clip_norm: greatest norm of the gradient; None leaves it alone.
        callbacks: objects with some of the methods of `Callback`.
        units: what the history is counted in: `EPOCHS`, or `STEPS` where an epoch is a number of steps and no more.

    Attributes:
        history: all epochs trained so far.
        epoch: how many that is.
        step: steps of the optimiser so far.
        rate: the learning rate of the last step.
        epochs: the number at which the current `fit` will stop.
        steps_per_epoch: where the data know their length, else None.
        check_every: steps between two looks at the loss, to see that it is still a number.
        stop_training: set it to True in a callback to stop after the current epoch.

    Raises:
        InputError: an unknown device or precision, `accumulate` below 1, `clip_norm` not positive.

    See: tests/training/test_loop.py

    Example:
        >>> import minimodels.nn as nn, minimodels.optim as optim
        >>> _ = torch.manual_seed(0)
        >>> inputs = torch.rand(64, 2)
        >>> targets = (inputs[:, 0] > inputs[:, 1]).long()
        >>> model = nn.Linear(2, 2)
        >>> trainer = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=0.1), device="cpu")
        >>> history = trainer.fit((inputs, targets), epochs=5, batch_size=16)
        >>> history.history["loss"][-1] < history.history["loss"][0]
        True
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Any, Tensor], Tensor],
        optimizer: Optimizer | None = None,
        *,
        schedule: _Schedule | None = None,
        metrics: Mapping[str, Metric] | None = None,
        count: Callable[[Tensor], Any] = len,
        device: str | torch.device | None = None,
        precision: str = "float32",
        accumulate: int = 1,
        clip_norm: float | None = None,
        callbacks: Iterable[object] = (),
        units: Units = EPOCHS,
    ) -> None:
        if accumulate < 1:
            raise InputError(f"accumulate {accumulate}: a step needs at least one batch; give 1 or more.")
        if clip_norm is not None and not clip_norm > 0:
            raise InputError(f"clip_norm {clip_norm}: give a positive number, or None for no clipping.")
        self.device = device_for(model, device)
        self.precision = check_precision(precision)
        move(model, optimizer, self.device)
        self.model = model
        self.loss = loss.to(self.device) if isinstance(loss, nn.Module) else loss
        self.optimizer = optimizer
        self.schedule = schedule
        self.metrics = dict(metrics or {})
        self.count = count
        self.accumulate = accumulate
        self.clip_norm = clip_norm
        self.callbacks = list(callbacks)
        self.units = units
        self.scaler = gradient_scaler(self.device, precision)
        self.check_every = 1 if self.device.type == "cpu" else CHECK_EVERY
        self.history = History()
        self.epoch = self.step = self.epochs = 0
        self.rate = math.nan
        self.steps_per_epoch: int | None = None
        self.stop_training = False

    @property
    def done(self) -> int:
        """How far training is: epochs or steps so far, whatever this run is counted in."""
        return self.units.reached(self.epoch, self.step)

    def fit(self, train: Any, epochs: int, validation: Any = None, *, batch_size: int = 32, seed: int = 0) -> History:
        """Train for some epochs more.

        Args:
            train: batches (inputs, targets) that can be gone through again and again, such as `Batches` or a
                `torch.utils.data.DataLoader`; or a tuple of tensors or NumPy arrays (inputs, targets), which is
                shuffled.
            epochs: how many times to go through them.
            validation: data of the same kind, measured after each epoch; the names get `val_` in front.
            batch_size: for tuples of tensors.
            seed: of the shuffling of a tuple of tensors.

        Returns:
            `self.history`.

        Raises:
            InputError: no optimiser, no data, data that are no batches of tensors or can be gone through only once, or
                a loss that is no longer a finite number.
        """
        if self.optimizer is None:
            raise InputError("this Trainer has no optimizer: give it one to train with.")
        try:
            epochs = operator.index(epochs)
        except TypeError:
            kind = type(epochs).__name__
            raise InputError(f"epochs of type {kind}: give (inputs, targets) as one tuple, then a number.") from None
        if epochs < 1:
            raise InputError(f"epochs {epochs}: training needs at least one; give a positive number.")
        train = as_batches(train, batch_size, shuffle=True, seed=seed)
        validation = None if validation is None else as_batches(validation, batch_size)
        self.epochs = self.epoch + epochs
        self.steps_per_epoch = -(-operator.length_hint(train) // self.accumulate) or None  # a stream has no length
        self.stop_training = False
        with _modes_kept(self.model), self._ending():
            self._tell("on_train_begin")
            while self.epoch < self.epochs and not self.stop_training:
                self._tell("on_epoch_begin")
                record = self._epoch(self.optimizer, train, validation)
                self._tell("on_epoch_end", record)
        return self.history

    def evaluate(self, data: Any, *, batch_size: int = 32) -> Record:
        """The loss and the metrics over all the data; model, modes and random state stay as they were.

        Args:
            data: as for `fit`; a tuple of tensors is taken in order.
            batch_size: for a tuple of tensors.

        Returns:
            Means over samples by name: loss, and one for each of the metrics.

        Raises:
            InputError: there are no data.
        """
        totals = Totals()
        with self._only_looking():
            for *inputs, targets in on_device(as_batches(data, batch_size), self.device):
                outputs, loss = self._forward(inputs, targets)
                self._take_down(totals, outputs, targets, loss)
        return totals.means()

    def predict(self, data: Any, *, batch_size: int = 32) -> Tensor:
        """What the model gives for all the data, in evaluation mode.

        Args:
            data: a tensor or NumPy array of inputs, or whatever `evaluate` takes, whose last part (the targets) is
                then left out.
            batch_size: for tensors.

        Returns:
            The outputs one below the other, on the CPU.

        Raises:
            InputError: there are no data.
        """
        with self._only_looking(), autocast(self.device, self.precision):
            batches = on_device(as_batches(data, batch_size), self.device, parts=1)
            return torch.cat([self.model(*(batch[:-1] or batch)).cpu() for batch in batches])

    def _epoch(self, optimizer: Optimizer, train: Any, validation: Any) -> Record:
        """Once through the training data, then the validation; the record also goes into the history."""
        start = time.perf_counter()
        totals = self._train_epoch(optimizer, train)
        results = totals.means()  # waits for the device, so that the time is true
        trained = time.perf_counter()
        self._check_finite(results["loss"], self.step)
        reached = self.units.reached(self.epoch + 1, self.step)
        record = {self.units.progress: reached, **results}
        if validation is not None:
            record |= {f"val_{name}": value for name, value in self.evaluate(validation).items()}
        record["lr"] = self.rate
        seconds = trained - start
        timing = {self.units.progress: reached, self.units.items: totals.samples, "seconds": seconds}
        timing[f"{self.units.items}_per_second"] = totals.samples / seconds
        timing["validation_seconds"] = time.perf_counter() - trained
        self.history.add(record, timing)
        self.epoch += 1
        return record

    def _train_epoch(self, optimizer: Optimizer, train: Any) -> Totals:
        """Once through the training data; the sums of what was seen."""
        for source in (train, getattr(train, "sampler", None)):  # a DataLoader leaves its order to a sampler
            set_epoch = getattr(source, "set_epoch", None)
            if set_epoch is not None:
                set_epoch(self.epoch)
        self.model.train()
        totals = Totals()
        for group in grouped(on_device(train, self.device), self.accumulate):
            self._train_step(optimizer, group, totals)
            self._tell("on_batch_end", totals)
        return totals

    def _train_step(self, optimizer: Optimizer, group: Sequence[Batch], totals: Totals) -> None:
        """One step: the gradient of the mean loss over all samples of the group, and the update."""
        optimizer.zero_grad()
        size = sum(self.count(targets) for *_, targets in group)
        for *inputs, targets in group:
            outputs, loss = self._forward(inputs, targets)
            self._take_down(totals, outputs, targets, loss)
            if self.step % self.check_every == self.check_every - 1:
                self._check_finite(loss.item(), self.step + 1)
            self.scaler.scale(loss * _share(self.count(targets), size, loss.dtype)).backward()
        if self.clip_norm is not None:
            self.scaler.unscale_(optimizer)
            trained = (parameter for group in optimizer.param_groups for parameter in group["params"])
            clip_grad_norm_(trained, self.clip_norm)
        self.rate = float(optimizer.param_groups[0]["lr"])
        self.scaler.step(optimizer)
        self.scaler.update()
        if self.schedule is not None:
            self.schedule.step()
        self.step += 1

    def _forward(self, inputs: Batch, targets: Tensor) -> tuple[Any, Tensor]:
        """What the model gives for a batch, and its mean loss."""
        with autocast(self.device, self.precision):
            outputs = self.model(*inputs)
            return outputs, self.loss(outputs, targets)

    @torch.no_grad()
    def _take_down(self, totals: Totals, outputs: Any, targets: Tensor, loss: Tensor) -> None:
        """Add a batch's loss and metrics to the totals."""
        count = self.count(targets)
        totals.samples += self.units.size(targets)
        totals.add("loss", _total(loss.detach(), count), count)
        for name, metric in self.metrics.items():
            totals.add(name, *metric(outputs, targets))

    def _check_finite(self, loss: float, step: int) -> None:
        """Stop before a loss that is no number spoils what was learnt."""
        if not math.isfinite(loss):
            epoch = f", in epoch {self.epoch + 1}" if self.units.progress == "epoch" else ""
            raise InputError(
                f"the loss is {loss} by step {step}{epoch}: training cannot go on; "
                f"lower the learning rate (lr; --lr) or clip the gradient (clip_norm; --clip-norm)."
            )

    @contextmanager
    def _only_looking(self) -> Iterator[None]:
        """No gradients, evaluation mode, and the random state of before afterwards."""
        cards = [self.device] if self.device.type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(cards), _modes_kept(self.model):
            self.model.eval()
            yield

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Whatever happens, every callback hears of the end; the first error is raised, and notes name the others."""
        errors: list[BaseException] = []
        try:
            yield
        except BaseException as error:
            errors.append(error)
        for callback in self.callbacks:
            try:
                getattr(callback, "on_train_end", lambda trainer: None)(self)
            except BaseException as error:
                errors.append(error)
        if errors:
            first, *others = errors
            for other in others:
                first.add_note(f"Afterwards on_train_end of a callback failed too: {other!r}")
            raise first

    def _tell(self, moment: str, *details: Any) -> None:
        """Call the method of that name on every callback that has it."""
        for callback in self.callbacks:
            if hasattr(callback, moment):
                getattr(callback, moment)(self, *details)


def _total(mean: Tensor, count: Any) -> Tensor:
    """Sum from a mean: count · mean, and 0 where nothing was counted, as the mean of nothing is NaN."""
    if isinstance(count, Tensor):
        return torch.where(count > 0, mean * count, 0)
    return mean * count if count else torch.zeros_like(mean)


def _share(part: Any, whole: Any, dtype: torch.dtype) -> Any:
    """part/whole; whole-number tensors are made `dtype` first, as PyTorch would divide them in float32."""
    return part.to(dtype) / whole if isinstance(part, Tensor) else part / whole


@contextmanager
def _modes_kept(model: nn.Module) -> Iterator[None]:
    """Every part of the model is in the mode of before afterwards, also parts that were frozen on purpose."""
    modes = [(part, part.training) for part in model.modules()]
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
