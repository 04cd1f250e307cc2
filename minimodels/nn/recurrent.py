"""What recurrent layers share: the checked settings, the parameters, and the ways that sequences come in."""

import inspect
import math
import numbers
import warnings
from typing import Any, get_overloads

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.nn.utils.rnn import PackedSequence  # noqa: TID251  (the container, not a layer)

from minimodels.functional.recurrence import Cell, Gains, Regularization, State, Weights, stack
from minimodels.nn import init

GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
"""Blocks of hidden_size rows in a weight, by mode."""


class RNNBase(Module):
    """What LSTM, GRU and RNN share.

    Args:
        mode: "LSTM", "GRU", "RNN_TANH" or "RNN_RELU".
        input_size: I, features of the input at each step.
        hidden_size: H, features of the state.
        num_layers: how many layers are stacked.
        bias: learn biases.
        batch_first: batches are [N, T, I] in place of [T, N, I].
        dropout: probability of a zero in what one layer hands to the next.
        bidirectional: read each sequence from both ends.
        proj_size: P, features of the projected output, or 0 for none; LSTM only.
        device: where the parameters are.
        dtype: of what type they are.
        layer_norm: normalise the projections (and the LSTM's cell state) inside the cell.
        recurrent_dropout: probability that a unit of the state before is zeroed, for a whole sequence.
        update_dropout: probability that a unit of a candidate is zeroed, anew at each step.

    Attributes:
        all_weights: the parameters as torch.nn lists them, by layer and direction.

    Raises:
        ValueError: a size is not positive, a probability not in [0, 1], or the mode unknown.
        TypeError: a size is no whole number, or a flag no bool.
    """

    __constants__ = [
        "mode",
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
        "proj_size",
    ]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let `help` and completion name what a layer takes, where it is written (*args, **kwargs) as torch.nn's."""
        super().__init_subclass__(**kwargs)
        named, *_ = (*get_overloads(cls.__init__), cls.__init__)
        shown = inspect.signature(named)
        cls.__signature__ = shown.replace(parameters=list(shown.parameters.values())[1:])  # type: ignore[attr-defined]

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        update_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self.layer_norm = layer_norm
        self.recurrent_dropout = float(recurrent_dropout)
        self.update_dropout = float(update_dropout)
        for name, p in (
            ("dropout", dropout),
            ("recurrent_dropout", recurrent_dropout),
            ("update_dropout", update_dropout),
        ):
            _check_probability(name, p)
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=3,
            )
        _check_settings(mode, input_size, hidden_size, num_layers, bias, batch_first, proj_size)
        self._all_weights = self._names(["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if bias else [])])
        if proj_size:
            self._all_weights = [[*names, names[0].replace("weight_ih", "weight_hr")] for names in self._all_weights]
        self._register(device, dtype)
        self.reset_parameters()

    def _names(self, kinds: list[str]) -> list[list[str]]:
        """Name one parameter of each kind for each layer and direction."""
        suffixes = ["", "_reverse"] if self.bidirectional else [""]
        return [[f"{kind}_l{k}{suffix}" for kind in kinds] for k in range(self.num_layers) for suffix in suffixes]

    def _register(self, device: Any, dtype: torch.dtype | None) -> None:
        """Make the parameters, those of torch.nn first."""
        gates = GATES[self.mode] * self.hidden_size
        outputs = self.proj_size or self.hidden_size
        directions = 2 if self.bidirectional else 1

        def register(name: str, *shape: int) -> None:
            self.register_parameter(name, Parameter(torch.empty(shape, device=device, dtype=dtype)))

        for i, names in enumerate(self._all_weights):
            inputs = self.input_size if i < directions else outputs * directions
            for name in names:
                kind = name[: name.index("_l")]
                sizes = {"weight_ih": (gates, inputs), "weight_hh": (gates, outputs)}
                register(name, *({**sizes, "weight_hr": (self.proj_size, self.hidden_size)}.get(kind, (gates,))))
        for names in self._gain_names():
            for name in names:
                register(name, self.hidden_size if "_cell_" in name else gates)

    def _gain_names(self) -> list[list[str]]:
        """Name what layer normalisation learns, in the order of `Gains`."""
        if not self.layer_norm:
            return []
        cell = ["gain_cell", *(["shift_cell"] if self.bias else [])] if self.mode == "LSTM" else []
        return self._names(["gain_ih", "gain_hh", *cell])

    def reset_parameters(self) -> None:
        """Draw new weights and biases, uniformly within ±1/√H, as torch.nn does; gains are 1, shifts 0."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for name in self._flat_weights_names:
            init.uniform_(getattr(self, name), -bound, bound)
        with torch.no_grad():
            for names in self._gain_names():
                for name in names:
                    getattr(self, name).fill_(1.0 if name.startswith("gain") else 0.0)

    def flatten_parameters(self) -> None:
        """Do nothing: torch.nn lays weights out for cuDNN here, and callers may call it after moving a model."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters as torch.nn lists them, by layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Tensor]:
        return [getattr(self, name) for name in self._flat_weights_names]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take pickles without the settings that came later; the defaults are what those layers were."""
        defaults = {"proj_size": 0, "layer_norm": False, "recurrent_dropout": 0.0, "update_dropout": 0.0}
        super().__setstate__(defaults | state)  # type: ignore[no-untyped-call]

    def _cell(self) -> Cell:
        """Name the arithmetic."""
        raise NotImplementedError

    def _run(self, input: Tensor | PackedSequence, states: State | None) -> tuple[Tensor | PackedSequence, State]:
        """Bring whatever comes in into packed rows, run the stack, and hand back what came in's kind."""
        if isinstance(input, PackedSequence):
            return self._run_packed(input, states)
        if input.dim() not in (2, 3):
            name = "RNN" if self.mode.startswith("RNN") else self.mode
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {input.dim()}D instead")
        batched, batch_dim = input.dim() == 3, 0 if self.batch_first else 1
        if states is not None:
            _check_dimensions(input, states)
            states = states if batched else tuple(part.unsqueeze(1) for part in states)
        x = input if batched else input.unsqueeze(batch_dim)
        self._check_input(x)
        x = x.transpose(0, 1) if self.batch_first else x  # [T, N, I]
        steps, N = len(x), x.shape[1]
        y, states = self._stack(x.flatten(0, 1), (N,) * steps, self._first(x, N, states))
        y = y.unflatten(0, (steps, N))
        y = y.transpose(0, 1) if self.batch_first else y
        return (y, states) if batched else (y.squeeze(batch_dim), tuple(part.squeeze(1) for part in states))

    def _run_packed(self, input: PackedSequence, states: State | None) -> tuple[PackedSequence, State]:
        """Run a ragged batch as it is: rows that are not there cost nothing."""
        x, batch_sizes, order, back = input
        if x.dim() != 2:
            raise RuntimeError(f"input must have 2 dimensions, got {x.dim()}")
        self._check_input(x)
        sizes = tuple(batch_sizes.tolist())
        if states is not None and order is not None:
            states = tuple(part.index_select(1, order) for part in states)
        y, states = self._stack(x, sizes, self._first(x, sizes[0], states))
        if back is not None:
            states = tuple(part.index_select(1, back) for part in states)
        return PackedSequence(y, batch_sizes, order, back), states

    def _stack(self, x: Tensor, sizes: tuple[int, ...], states: State) -> tuple[Tensor, State]:
        """Make the one call into the arithmetic."""
        weights = [self._weights(names) for names in self._all_weights]
        gains = [Gains(*(getattr(self, name) for name in names)) for names in self._gain_names()]
        extras = Regularization(gains or None, self.recurrent_dropout, self.update_dropout)
        plain = not gains and not (self.training and (self.recurrent_dropout or self.update_dropout))
        return stack(
            self._cell(),
            x,
            sizes,
            states,
            weights,
            self.dropout,
            self.training,
            self.bidirectional,
            None if plain else extras,
        )

    def _weights(self, names: list[str]) -> Weights:
        w_ih, w_hh, *rest = (getattr(self, name) for name in names)
        b_ih, b_hh = rest[:2] if self.bias else (None, None)
        return Weights(w_ih, w_hh, b_ih, b_hh, rest[-1] if self.proj_size else None)

    def _check_input(self, x: Tensor) -> None:
        """Check the input against the weights."""
        dtype = getattr(self, self._all_weights[0][0]).dtype
        if x.dtype != dtype and not torch._C._is_any_autocast_enabled():
            raise ValueError(
                f"RNN input dtype ({x.dtype}) does not match weight dtype ({dtype}). "
                f"Convert input: input.to({dtype}), or convert model: model.to({x.dtype})"
            )
        if x.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {x.shape[-1]}"
            )

    def _first(self, x: Tensor, N: int, states: State | None) -> State:
        """Check the first states; without any, they are zeros."""
        levels = len(self._all_weights)
        features = [self.proj_size or self.hidden_size, *([self.hidden_size] if self.mode == "LSTM" else [])]
        if states is None:
            return tuple(torch.zeros(levels, N, size, dtype=x.dtype, device=x.device) for size in features)
        if len(states) != len(features):
            raise RuntimeError(f"expected {len(features)} hidden states, but got {len(states)}")
        for i, (part, size) in enumerate(zip(states, features, strict=True)):
            if part.shape != (levels, N, size):
                which = f"hidden[{i}]" if self.mode == "LSTM" else "hidden"
                raise RuntimeError(f"Expected {which} size {(levels, N, size)}, got {list(part.shape)}")
        return states

    def extra_repr(self) -> str:
        """Show the settings, leaving out those at their defaults."""
        text = f"{self.input_size}, {self.hidden_size}"
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0}
        defaults |= {"bidirectional": False, "layer_norm": False, "recurrent_dropout": 0, "update_dropout": 0}
        for name, default in defaults.items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text


def _check_probability(name: str, p: Any) -> None:
    if isinstance(p, bool) or not isinstance(p, numbers.Number) or not 0 <= p <= 1:  # type: ignore[operator]
        raise ValueError(
            f"{name} should be a number in range [0, 1] representing the probability of an element being zeroed"
        )


def _check_settings(
    mode: str, input_size: Any, hidden_size: Any, num_layers: int, bias: Any, batch_first: Any, proj_size: int
) -> None:
    """Check the settings in the order and the words that PyTorch's users know."""
    for name, value, kind in (
        ("bias", bias, bool),
        ("batch_first", batch_first, bool),
        ("input_size", input_size, int),
        ("hidden_size", hidden_size, int),
    ):
        if not isinstance(value, kind):
            raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
        if kind is int and value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")
    if mode not in GATES:
        raise ValueError(f"Unrecognized RNN mode: {mode}")


def _check_dimensions(input: Tensor, states: State) -> None:
    """Check that states have as many dimensions as the input."""
    dims = [part.dim() for part in states]
    if any(dim != input.dim() for dim in dims):
        batched = "batched" if input.dim() == 3 else "unbatched"
        which = "hx" if len(dims) == 1 else "hx and cx"
        raise RuntimeError(
            f"For {batched} {input.dim()}-D input, {which} should also be {input.dim()}-D but got "
            f"{', '.join(f'{dim}-D' for dim in dims)}"
        )
