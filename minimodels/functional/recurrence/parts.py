"""What a recurrent layer is made of: its weights, its steps, and its kind of cell."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

State = tuple[Tensor, ...]
"""What is carried from step to step, the output first: (h,) or (h, c), each [N, features]."""


class Weights(NamedTuple):
    """The parameters of one layer in one direction, under torch.nn's names.

    Args:
        w_ih: [G·H, I], on the input; G gates of H rows.
        w_hh: [G·H, H], on the state before.
        b_ih: [G·H] or None.
        b_hh: [G·H] or None.
        w_hr: [P, H], the LSTM's projection of its output, or None.
    """

    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None = None
    b_hh: Tensor | None = None
    w_hr: Tensor | None = None

    def mapped(self, function: Callable[[Tensor], Tensor]) -> "Weights":
        """Apply a function to each parameter that is there.

        Args:
            function: what to apply.
        """
        b_ih, b_hh, w_hr = (None if w is None else function(w) for w in self[2:])
        return Weights(function(self.w_ih), function(self.w_hh), b_ih, b_hh, w_hr)

    def bias(self) -> Tensor | None:
        """Add up the biases, of which there are two or none."""
        return None if self.b_ih is None or self.b_hh is None else self.b_ih + self.b_hh


class Gains(NamedTuple):
    """What layer normalisation inside a cell learns; the biases of `Weights` are its shifts.

    Args:
        ih: [G·H], on the normalised projection of the input.
        hh: [G·H], on that of the state before.
        cell: [H], on the LSTM's normalised cell state, or None.
        shift: [H], added to that, or None.
    """

    ih: Tensor
    hh: Tensor
    cell: Tensor | None = None
    shift: Tensor | None = None


class Regularization(NamedTuple):
    """What the layers offer beyond torch.nn; the defaults are torch.nn's layers.

    Args:
        gains: layer normalisation's, one for each layer and direction, or None for no normalisation.
        recurrent: probability that a unit of the state before is zeroed, for a whole sequence.
        update: probability that a unit of a candidate is zeroed, anew at each step.
    """

    gains: Sequence[Gains] | None = None
    recurrent: float = 0.0
    update: float = 0.0


class Steps(NamedTuple):
    """The steps of a packed batch, and the direction in which they are taken.

    Args:
        sizes: how many sequences reach each step; never growing.
        reverse: begin at the end.
        launched: every operation is a launch on an accelerator.
    """

    sizes: tuple[int, ...]
    reverse: bool = False
    launched: bool = False

    def order(self) -> Sequence[int]:
        """List the steps in the order in which they are taken."""
        steps = range(len(self.sizes))
        return steps[::-1] if self.reverse else steps

    def reversed(self) -> "Steps":
        """Give the same steps in the other direction."""
        return self._replace(reverse=not self.reverse)

    def even(self) -> bool:
        """Say whether all sequences are equally long."""
        return self.sizes[0] == self.sizes[-1]


class Cell(NamedTuple):
    """A kind of recurrent cell.

    Args:
        step: the definition, (x [N, I], state, weights) → state.
        regularized: the same with layer normalisation and dropouts, (x, state, weights, gains, mask, update) → state.
        forward: the fast sequence, (x [rows, I], state, weights, steps, keep) → (y [rows, H], state, tensors to keep).
        backward: its derivative, (∂y, ∂state, x, weights, steps, what was kept) → (∂x, ∂state, ∂weights).
        narrow: of bfloat16, `forward` and `backward` take input and weights as they are, beside a state in float32.
        lowers_state: under autocast the state is cast to the low precision too, as PyTorch does for this kind.
    """

    step: Callable[[Tensor, State, Weights], State]
    regularized: Callable[[Tensor, State, Weights, Gains | None, Tensor | None, float], State]
    forward: Callable[[Tensor, State, Weights, Steps, bool], tuple[Tensor, State, State]]
    backward: Callable[[Tensor, State, Tensor, Weights, Steps, State], tuple[Tensor, State, Weights]]
    narrow: bool = False
    lowers_state: bool = True
