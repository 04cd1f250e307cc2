"""Averages of the weights over the course of training, which are often better than the last weights."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from minimodels.checkpoint.tensors import plain
from minimodels.errors import InputError
from minimodels.functional.precision import accumulator
from minimodels.shards import own


class ExponentialMovingAverage:
    """The weights averaged over the steps of training, the latest most (EMA).

        θ̄ ← β_t·θ̄ + (1 − β_t)·θ,    β_t = min(β, (1 + t) / (10 + t)),    t = 0, 1, 2, …

    It begins with θ̄ = θ. With a fixed β the weights of the beginning, which nobody wants, keep the share βⁿ after n
    updates: for β = 0.999 one half after 700. With β_t they are forgotten fast: as long as β_t < β, the θ_s that update
    s brought (the first weights count as s = 0) has the share

        C(s + 8, 8) / C(n + 9, 9),    s = 0 … n,

    so that the first ones keep about 9!·n⁻⁹, and the last third of the steps makes up 97 % of the average. β takes over
    at t = (10·β − 1)/(1 − β), and the average then reaches back over about 1/(1 − β) steps.

    Averaged are the parameters, tied ones once, and the buffers of floating-point numbers that belong to the state of
    the model: above all the running statistics of batch norm. Those of the last weights would not fit the averaged
    ones, whose activations are other; averaged over the same steps they do nearly, without another pass through the
    data. Whole numbers, such as a count of batches, are no quantities to average, and a mask of infinities would become
    NaN: the model keeps its own.

    Averages of 16-bit weights are kept in float32: bfloat16 has 8 bits, and a step by (1 − β)·(θ − θ̄) is less than
    half of the last of them for any usual β, so that the average would never move.

    Args:
        model: what is trained; its weights are found anew at each update, so it may be moved or sharded before the
            first. One that `torch.compile` or FSDP2's `fully_shard` gave will do.
        decay: β, from 0 up to but not including 1; usual are 0.99 to 0.9999.
        warmup: begin with β_t; otherwise β holds from the first update.

    Attributes:
        averages: name in the model's `state_dict` → θ̄; DTensors where the model has them.
        updates: t, how many there were.

    Raises:
        InputError: `decay` is outside of its range.

    Cost: an update reads θ and θ̄ and writes θ̄, in one fused operation for each dtype and device, and on the shards
        that are here. Memory: one more copy of the weights.

    References: B. Polyak and A. Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM J. Control and
        Optimization 30(4), 1992, doi:10.1137/0330046. D. Morales-Brotons et al., "Exponential Moving Average of Weights
        in Deep Learning: Dynamics and Benefits", 2024, arXiv:2411.18704. β_t is that of TensorFlow's
        `tf.train.ExponentialMovingAverage` with `num_updates`, and until it reaches β the average is the
        polynomial-decay one, η = 8, of O. Shamir and T. Zhang, ICML 2013, arXiv:1212.1824.

    See: tests/training/test_averaging.py

    Example:
        >>> from minimodels import nn
        >>> layer = nn.Linear(1, 1, bias=False)
        >>> _ = layer.weight.data.fill_(0.0)
        >>> average = ExponentialMovingAverage(layer, decay=0.999)
        >>> for step in range(2):
        ...     _ = layer.weight.data.add_(1.0)
        ...     average.update()
        >>> average.averages["weight"]  # (1·0 + 9·1 + 45·2) / 55
        tensor([[1.8000]])
        >>> with average.applied():
        ...     print(layer.weight.item())
        1.7999999523162842
        >>> layer.weight.item()
        2.0
    """

    def __init__(self, model: nn.Module, decay: float, warmup: bool = True) -> None:
        if not 0 <= decay < 1:
            raise InputError(f"decay {decay}: of an average has to be at least 0 and below 1; give 0.999 or the like.")
        self.model = plain(model)
        self.decay = decay
        self.warmup = warmup
        self.updates = 0
        self.averages = {
            name: tensor.detach().to(accumulator(tensor.dtype), copy=True)
            for name, tensor in _numbers(self.model).items()
            if isinstance(tensor, nn.Parameter) or bool(own(tensor.detach()).isfinite().all())
        }
        self._applied = False

    @property
    def rate(self) -> float:
        """β_t of the next update."""
        return min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay

    @torch.no_grad()
    def update(self) -> None:
        """Take in the present weights; to be called after each step of the optimiser.

        Raises:
            RuntimeError: the averages are in the model's place.
        """
        self._check_trained()
        groups: dict[Any, tuple[list[Tensor], list[Tensor]]] = defaultdict(lambda: ([], []))
        weights = _numbers(self.model)
        for name in self.averages:
            self.averages[name] = self.averages[name].to(weights[name].device)  # where the model has been moved to
            average = own(self.averages[name])
            averages, news = groups[average.device, average.dtype]
            averages.append(average)
            news.append(own(weights[name].detach()).to(average.dtype))
        for averages, news in groups.values():
            torch._foreach_lerp_(averages, news, 1 - self.rate)
        self.updates += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the averages in the place of the weights for the length of a `with` block.

        Whatever happens in the block, the trained weights are back after it, bit for bit. Model and averages exchange
        their numbers, and every tensor stays where it is: FSDP, CUDA graphs and optimisers hold on to the memory.

        Raises:
            RuntimeError: they are there already.

        Cost: six passes over the memory of the weights, there and back; room for the largest of them, and for 16-bit
            weights another copy.
        """
        self._check_trained()
        weights, exchanged = _numbers(self.model), list[_Pair]()
        pairs = [
            (own(weights[name].detach()), own(average).to(weights[name].dtype))
            for name, average in self.averages.items()
        ]
        try:
            self._applied = True
            _exchange(pairs, exchanged)
            yield
        finally:
            _exchange_back(exchanged)
            self._applied = False
            _numbers(self.model)  # FSDP lets go of the averages that it has gathered for a forward pass

    def state_dict(self) -> dict[str, Any]:
        """What a run that goes on needs: the averages, not copied, and the number of updates.

        Raises:
            RuntimeError: the averages are in the model's place.
        """
        self._check_trained()
        return {"updates": self.updates, "averages": dict(self.averages)}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Args:
            state: that.

        Raises:
            InputError: it is of another model; nothing is changed then.
            RuntimeError: the averages are in the model's place.
        """
        self._check_trained()
        given, mine = state["averages"], self.averages
        wrong = sorted(given.keys() ^ mine.keys()) or [name for name in mine if given[name].shape != mine[name].shape]
        if wrong:
            raise InputError(
                f"the averages to go on from are of another model, which differs in {wrong[0]}; "
                f"build the model with the settings of then."
            )
        for name, average in mine.items():
            average.copy_(given[name])
        self.updates = int(state["updates"])

    def _check_trained(self) -> None:
        """See that the averages are where they belong: inside of `applied` they hold the trained weights."""
        if self._applied:
            raise RuntimeError("The averages are in the model's place; leave the block of `applied` first.")


_Pair = tuple[Tensor, Tensor]


def _numbers(model: nn.Module) -> dict[str, Tensor]:
    """The parameters and buffers of a model that hold numbers to calculate with, tied ones once, the very objects.

    They come from `state_dict`, for which FSDP takes back the shards that it has gathered into whole parameters.
    """
    names: dict[int, str] = {}
    return {
        name: tensor
        for name, tensor in model.state_dict(keep_vars=True).items()
        if isinstance(tensor, Tensor)
        and (tensor.is_floating_point() or tensor.is_complex())
        and names.setdefault(id(tensor), name) == name
    }


@torch.no_grad()
def _exchange(pairs: list[_Pair], exchanged: list[_Pair]) -> None:
    """Let the tensors of each pair exchange their numbers, and note which have; Ctrl-C finds no pair half-way."""
    for one, other in pairs:
        held = one.clone()
        try:
            one.copy_(other)
        finally:
            exchanged.append((one, other))
            other.copy_(held)


def _exchange_back(pairs: list[_Pair]) -> None:
    """Undo an exchange, to the end also when Ctrl-C comes in between."""
    done: list[_Pair] = []
    try:
        _exchange(pairs, done)
    except KeyboardInterrupt:
        _exchange_back(pairs[len(done) :])
        raise
