"""Layer normalisation as recurrent cells need it: of a projection, with the bias for its shift."""

from torch import Tensor

from minimodels.functional.affine import linear


def normalized_linear(x: Tensor, w: Tensor, b: Tensor | None, gain: Tensor | None) -> Tensor:
    """Map rows and normalise what comes out: (a − mean a) / √(var a + ε) · gain + b with a = x·wᵀ.

    Args:
        x: rows.
        w: the matrix.
        b: the shift, or None.
        gain: learned scale of each output, or None for no normalisation.

    Shape:
        - x: [N, I]; w: [O, I]; b, gain: [O]
        - Output: [N, O]

    References: Ba, Kiros & Hinton 2016, arXiv:1607.06450, equations (3), (4) and section 3.1.

    See: `minimodels.nn.LSTM` (layer_norm); tests/functional/test_recurrence.py.
    """
    if gain is None:
        return linear(x, w, b)
    return normalized(linear(x, w), gain, b)


def normalized(a: Tensor, gain: Tensor, shift: Tensor | None) -> Tensor:
    """Bring each row to mean 0 and variance 1, then scale and shift it.

    Args:
        a: rows.
        gain: the scale.
        shift: added, or None.

    Shape:
        - a: [N, O]; gain, shift: [O]
        - Output: [N, O]

    References: Ba, Kiros & Hinton 2016, arXiv:1607.06450.

    See: tests/functional/test_recurrence.py.
    """
    centred = a - a.mean(-1, keepdim=True)
    y = centred * (centred.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * gain
    return y if shift is None else y + shift
