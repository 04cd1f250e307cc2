"""The training loop. There is one, and every model of the package is trained by it.

Here it is told what to do and asked for results; one step of it, from which to start reading, stands in steps.py.
"""

import copy
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from minimodels.errors import InputError
from minimodels.inspection import modes_kept
from minimodels.shards import whole
from minimodels.training.averaging import ExponentialMovingAverage
from minimodels.training.devices import device_for, move, to_device
from minimodels.training.distributed import current
from minimodels.training.feeding import Share, as_batches, checked, grouped
from minimodels.training.logging import History, Record
from minimodels.training.metrics import Metric, Totals
from minimodels.training.objective import Objective
from minimodels.training.precision import autocast, check_precision, gradient_scaler
from minimodels.training.randomness import random_state, restore_random_state
from minimodels.training.recomputation import blocks
from minimodels.training.sharing import rearranges, share
from minimodels.training.speed import Speed
from minimodels.training.state import empty_shard, load_training_state, training_state
from minimodels.training.steps import Schedule, Steps
from minimodels.training.telling import ending, tell
from minimodels.training.units import EPOCHS, Units

CHECK_EVERY = 50
"""Steps between two looks at the loss on an accelerator, where looking means waiting. On a CPU it is every step."""


class Trainer(Steps):
    """Trains a model, measures it, and lets it predict.

    A step takes k = `accumulate` batches with n₁ … n_k samples and follows the gradient of their common mean,

        g = Σᵢ (nᵢ/n) ∇Lᵢ,  n = Σᵢ nᵢ,

    where Lᵢ is the mean loss of batch i. So g is exactly that of one batch with all n samples, also when the last
    batch is short or the last step has fewer batches (layers that look at whole batches, as batch normalisation
    does, see the small ones).

    Where torchrun has started several processes and they have joined (`minimodels.training.joined`), all of them train
    one model. Each draws the same batches (or rows of its own, from a loader with a DistributedSampler) and takes its
    rows of every batch, so that data, `accumulate` and the optimiser mean what they mean in a single process, and so do
    weights and results.

    `state_dict` holds all that training depends on. A trainer that loads it, given the same data, goes on as if the
    first one had never stopped, bit for bit, also from within an epoch.

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
        callbacks: objects with some of the methods of `Callback`, such as `ProgressBar`, without which it is silent.
        units: what the history is counted in: `EPOCHS`, or `STEPS` where an epoch is a number of steps and no more.
        ema_decay: β of an `ExponentialMovingAverage` of the weights, which is then what is measured, what predicts and
            what is saved; None for none.
        compile: let `torch.compile` make one graph of model and loss.
        shard: in several processes, give each a part of every parameter (FSDP2) instead of all of them.
        measure: count the model's operations at the start, so that the timings say what part of the device is used.

    Attributes:
        history: all epochs trained so far.
        epoch: how many that is.
        batch: batches of the epoch after them that are done.
        step: steps of the optimiser so far.
        totals: what was summed up over these batches.
        rate: the learning rate of the last step.
        epochs: the number at which the current `fit` will stop.
        steps_per_epoch: where the data know their length, else None.
        check_every: steps between two looks at the loss, to see that it is still a number.
        stop_training: set it to True in a callback to stop after the current epoch.
        world: the processes that train together.

    Raises:
        InputError: an unknown device or precision, `accumulate` below 1, `clip_norm` not positive, `ema_decay` not from
            0 to below 1, `shard` in a process that is alone.

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
        schedule: Schedule | None = None,
        metrics: Mapping[str, Metric] | None = None,
        count: Callable[[Tensor], Any] = len,
        device: str | torch.device | None = None,
        precision: str = "float32",
        accumulate: int = 1,
        clip_norm: float | None = None,
        callbacks: Iterable[object] = (),
        units: Units = EPOCHS,
        ema_decay: float | None = None,
        compile: bool = False,
        shard: bool = False,
        measure: bool = False,
    ) -> None:
        if accumulate < 1:
            raise InputError(f"accumulate {accumulate}: a step needs at least one batch; give 1 or more.")
        if clip_norm is not None and not clip_norm > 0:
            raise InputError(f"clip_norm {clip_norm}: give a positive number, or None for no clipping.")
        self.world = current()
        if shard and self.world.alone:
            raise InputError("shard: there is one process alone; start several by torchrun --nproc_per_node=N.")
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
        self.epoch = self.batch = self.step = self.epochs = 0
        self.totals = Totals()
        self.rate = math.nan
        self.steps_per_epoch: int | None = None
        self.stop_training = False
        self.speed = Speed(self.device, precision, units)
        self.measure = measure
        self._counted = False
        self.sharded = shard
        self._plain = copy.deepcopy(model).cpu() if shard and self.world.main else None
        self.objective = Objective(model, self.loss)
        self._shared = self._share(shard)
        self._run = torch.compile(self._shared) if compile else self._shared
        self._rehearsed = not rearranges(self._shared)
        self.average = None if ema_decay is None else ExponentialMovingAverage(model, ema_decay)
        self.begun: dict[str, Any] = {}
        self.resumed: dict[str, Any] = {}

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
            InputError: no optimiser, no data, data that are no batches of tensors or can be gone through only once, a
                loss that is no longer a finite number, or a callback that failed, which is named.
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
        if not self.resumed:  # an epoch that was broken off in this process is repeated
            self.batch, self.totals = 0, Totals()
        with modes_kept(self.model), ending(self):
            tell(self, "on_train_begin")
            while self.epoch < self.epochs and not self.stop_training:
                tell(self, "on_epoch_begin")
                record = self._epoch(self.optimizer, train, validation)
                tell(self, "on_epoch_end", record)
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
            for part in self._shares(as_batches(data, batch_size)):
                outputs, loss = self._forward(part)
                self._take_down(totals, part, outputs, loss)
        return totals.means(self.world)

    def predict(self, data: Any, *, batch_size: int = 32) -> Tensor:
        """What the model gives for all the data, in evaluation mode.

        Of several processes each predicts everything.

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
            batches = (to_device(batch, self.device) for batch in checked(as_batches(data, batch_size), parts=1))
            return torch.cat([self._run(*(batch[:-1] or batch), None)[0].cpu() for batch in batches])

    @contextmanager
    def to_save(self) -> Iterator[nn.Module]:
        """The model as it is to be saved: with averaged weights, if they are averaged, and all of them.

        Where it is sharded all processes have to ask, and the main one is given a copy that is whole.
        """
        with self._averaged():
            if self.sharded:
                copies = {} if self._plain is None else self._plain.state_dict()
                for name, tensor in self.model.state_dict().items():
                    full = whole(tensor)
                    if name in copies:
                        copies[name].copy_(full)
            yield self.model if self._plain is None else self._plain

    def plain_copy(self) -> nn.Module:
        """A copy of the model that this process has to itself, for weights that were saved to be read into.

        Where the model is sharded only the main process can have one.
        """
        return copy.deepcopy(self.model if self._plain is None else self._plain)

    @property
    def empty_shard(self) -> Callable[[Any, torch.Size, torch.dtype], Tensor | None] | None:
        """Gives the tensor into which a part of a sharded checkpoint is read; None where this model is not sharded."""
        return empty_shard(self.model) if self.sharded else None

    def state_dict(self) -> dict[str, Any]:
        """All that training depends on from here: weights, optimiser, schedule, scaler, averages, random states, the
        place in the data, the history, and what callbacks remember. Of several processes all have to ask.
        """
        return training_state(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another trainer was, made as this one is.

        Args:
            state: what its `state_dict` gave.

        Raises:
            InputError: it is the state of another model or optimiser.
        """
        load_training_state(self, state)

    def _epoch(self, optimizer: Optimizer, train: Any, validation: Any) -> Record:
        """Once through the training data, then the validation; the record also goes into the history."""
        self.speed.begin()
        self._train_epoch(optimizer, train)
        results = self.totals.means(self.world)  # waits for the device, so that the time is true
        timing = self.speed.lap(self.totals.samples)
        self._check_loss(results["loss"], self.step)
        reached = self.units.reached(self.epoch + 1, self.step)
        record = {self.units.progress: reached, **results}
        if validation is not None:
            record |= {f"val_{name}": value for name, value in self.evaluate(validation).items()}
        record["lr"] = self.rate
        self.history.add(record, {self.units.progress: reached, **timing, "validation_seconds": self.speed.since()})
        self.epoch, self.batch, self.totals = self.epoch + 1, 0, Totals()
        return record

    def _train_epoch(self, optimizer: Optimizer, train: Any) -> None:
        """Once through the training data, or through what is left of them in an epoch that was broken off."""
        for source in (train, getattr(train, "sampler", None)):  # a DataLoader leaves its order to a sampler
            set_epoch = getattr(source, "set_epoch", None)
            if set_epoch is not None:
                set_epoch(self.epoch)
        self.model.train()
        for group in grouped(self._rest(self._shares(train)), self.accumulate):
            self._train_step(optimizer, group)
            self.batch += len(group)
            tell(self, "on_batch_end", self.totals)

    def _rest(self, parts: Iterator[Share]) -> Iterator[Share]:
        """The batches of an epoch that are not done; the others are drawn once more, as they were, and left out."""
        if self.batch:
            restore_random_state(self.begun, self.device)
            for _ in itertools.islice(parts, self.batch):
                pass
            restore_random_state(self.resumed, self.device)
        else:
            self.begun = random_state(self.device)
        self.resumed = {}
        return parts

    def _share(self, shard: bool) -> nn.Module:
        """Model and loss, ready to be trained by all processes together."""
        if self.world.alone or self.optimizer is None:
            return self.objective
        units = blocks(self.model) if shard else []
        return share(self.objective, self.optimizer, self.device, self.precision, units, shard)
