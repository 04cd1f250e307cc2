"""One step of training, and how a batch is gone through without one.

Read `_train_step` first: it is one step of stochastic gradient descent, and everything else goes round it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from minimodels.errors import InputError
from minimodels.inspection import buffers_kept, count_training_flops, only_looking
from minimodels.nn.utils import clip_grad_norm_
from minimodels.training.averaging import ExponentialMovingAverage
from minimodels.training.diagnosis import blame_backward, blame_forward
from minimodels.training.distributed import World
from minimodels.training.feeding import Share, shares, some_rows
from minimodels.training.metrics import Metric, Totals
from minimodels.training.objective import Objective, forgetting
from minimodels.training.precision import autocast
from minimodels.training.randomness import random_state, restore_random_state
from minimodels.training.sharing import average_buffers, synchronizing
from minimodels.training.speed import Speed
from minimodels.training.units import Units

REMEDY = (
    "training cannot go on, and what was saved stays as it is; lower the learning rate (lr; --lr) or clip the gradient "
    "(clip_norm; --clip-norm)."
)


class Schedule(Protocol):
    """Anything that sets the learning rate, one `step()` after each step of the optimiser."""

    def step(self) -> Any:
        """Set the learning rate of the next step."""


class Steps:
    """The inside of `Trainer`, which sets the attributes and explains them."""

    model: nn.Module
    device: torch.device
    precision: str
    schedule: Schedule | None
    metrics: dict[str, Metric]
    count: Callable[[Tensor], Any]
    accumulate: int
    clip_norm: float | None
    units: Units
    measure: bool
    world: World
    check_every: int
    epoch: int
    step: int
    rate: float
    totals: Totals
    scaler: torch.amp.GradScaler
    speed: Speed
    average: ExponentialMovingAverage | None
    objective: Objective
    _shared: nn.Module
    _run: Callable[..., Any]
    _rehearsed: bool
    _counted: bool

    def _train_step(self, optimizer: Optimizer, group: Sequence[Share]) -> None:
        """One step: the gradient of the mean loss over all samples of the group, and the update."""
        self._prepare(group[0])
        optimizer.zero_grad()
        looking = self.step % self.check_every == self.check_every - 1
        self._backward(group, looking)
        if self.clip_norm is not None:
            self.scaler.unscale_(optimizer)
            trained = (parameter for options in optimizer.param_groups for parameter in options["params"])
            norm = clip_grad_norm_(trained, self.clip_norm)
            if looking:
                self._check_gradient(norm.item())
        self.rate = float(optimizer.param_groups[0]["lr"])
        self.scaler.step(optimizer)
        self.scaler.update()
        if self.schedule is not None:
            self.schedule.step()
        average_buffers(self.model, self.world)
        if self.average is not None:
            self.average.update()
        self.step += 1

    def _backward(self, group: Sequence[Share], looking: bool) -> None:
        """Forward and backward pass of every batch of the group, whose gradients add up to that of the mean loss."""
        size = sum(part.whole for part in group)
        for number, part in enumerate(group, start=1):
            if self.world.alone and not part.count:  # the mean of nothing is no number, and has no gradient
                self.totals.add("loss", torch.zeros((), device=self.device), 0)
                self.totals.samples += part.items
                continue
            with synchronizing(self._shared, number == len(group)):
                outputs, loss = self._forward(part)
                self._take_down(self.totals, part, outputs, loss)
                self.speed.numbers += part.tensors[0].numel()
                if looking:
                    self._check_loss(loss.item(), self.step + 1, part)
                share = _share(part.count, size, loss.dtype) * self.world.size  # the gradients are averaged
                self.scaler.scale(loss * share).backward()

    def _prepare(self, part: Share) -> None:
        """What comes before the first step, and does not count for the speed."""
        if self.measure and not self._counted:
            with self.speed.paused():
                self.speed.operations = self._operations(part)
            self._counted = True  # also where there are no products to count
        if not self._rehearsed:
            with self.speed.paused():
                self._rehearse(part)

    def _rehearse(self, part: Share) -> None:
        """A forward and a backward pass that leave nothing behind, by which all later ones sum gradients alike."""
        before = random_state(self.device)
        with forgetting(self.model), buffers_kept(self.model):
            _, loss = self._forward(part)
            loss.backward()
        restore_random_state(before, self.device)
        self._rehearsed = True

    def _forward(self, part: Share) -> tuple[Any, Tensor]:
        """What the model gives for a batch, and its mean loss."""
        with autocast(self.device, self.precision):
            outputs, loss = self._run(*part.tensors)
        return outputs, loss

    @torch.no_grad()
    def _take_down(self, totals: Totals, part: Share, outputs: Any, loss: Tensor) -> None:
        """Add a batch's loss and metrics to the totals; those of rows that do not count are nothing."""
        counts = not (isinstance(part.count, int) and part.count == 0)
        totals.samples += part.items
        totals.add("loss", _total(loss.detach(), part.count), part.count)
        for name, metric in self.metrics.items():
            total, count = metric(outputs, part.tensors[-1])
            totals.add(name, *((total, count) if counts else (torch.zeros_like(total), 0)))

    def _check_loss(self, loss: float, step: int, part: Share | None = None) -> None:
        """Stop before a loss that is no number spoils what was learnt, and say where it comes from."""
        if self.world.any(not math.isfinite(loss)):
            epoch = f", in epoch {self.epoch + 1}" if self.units.progress == "epoch" else ""
            found = ""
            if part is not None:
                with autocast(self.device, self.precision):
                    found = f": {blame_forward(self.objective, part.tensors, inside='model')}"
            raise InputError(f"the loss is {loss} by step {step}{epoch}{found}; {REMEDY}")

    def _check_gradient(self, norm: float) -> None:
        """Stop before such a gradient does. In float16 it is usual, and the scaler passes it over."""
        if not math.isfinite(norm) and self.precision != "float16":
            found = blame_backward(self.objective, inside="model")
            raise InputError(f"the gradient is not finite in step {self.step + 1}: {found}; {REMEDY}")

    def _shares(self, data: Any) -> Iterator[Share]:
        """This process' part of every batch, on its device."""
        return shares(data, self.device, self.world, self.count, self.units.size)

    def _operations(self, part: Share) -> float:
        """Floating-point operations of forward and backward pass, for each number that goes into the model."""
        *inputs, targets = some_rows(part.tensors)
        self.speed.ceiling()  # measured before anything is timed
        with self._only_looking(), forgetting(self.model), autocast(self.device, self.precision):
            return count_training_flops(self.objective, *inputs, targets) / inputs[0].numel()

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Averaged weights in the place of the trained ones, where there are some."""
        with nullcontext() if self.average is None else self.average.applied():
            yield

    @contextmanager
    def _only_looking(self) -> Iterator[None]:
        """No gradients, evaluation mode, averaged weights where there are some; everything as before afterwards."""
        with only_looking(self.model), self._averaged():
            yield


def _total(mean: Tensor, count: Any) -> Tensor:
    """Sum from a mean: count · mean, and 0 where nothing was counted, as the mean of nothing is NaN."""
    if isinstance(count, Tensor):
        return torch.where(count > 0, mean * count, 0)
    return mean * count if count else torch.zeros_like(mean)


def _share(part: Any, whole: Any, dtype: torch.dtype) -> Any:
    """part/whole; whole-number tensors are made `dtype` first, as PyTorch would divide them in float32."""
    return part.to(dtype) / whole if isinstance(part, Tensor) else part / whole
