"""Rotary positions: queries and keys are turned by their position, so that their product knows only the distance."""

from typing import Any

import torch
from torch import Tensor

from minimodels.functional.transforms import apply, steps_aside
from minimodels.tap import tap


def rotary_angles(positions: Tensor, frequencies: Tensor) -> tuple[Tensor, Tensor]:
    """Give cosine and sine of the angles p·ω_i by which the pairs of numbers at position p are turned.

    All layers of a model turn by the same angles: they are computed once.

    Args:
        positions: p.
        frequencies: ω, in the type that the angles are computed in. A bfloat16 could not tell position 256 from 257.

    Shape:
        - positions: [*]; frequencies: [d/2]
        - Output: twice [*, d/2]

    Cost: a sine and a cosine per angle.

    References: Su et al. 2021, arXiv:2104.09864, equation 15.

    See: `minimodels.nn.RotaryEmbedding`; tests/functional/test_positions.py.

    Example:
        >>> rotary_angles(torch.tensor([0, 1]), torch.tensor([1.0]))
        (tensor([[1.0000],
                [0.5403]]), tensor([[0.0000],
                [0.8415]]))
    """
    angles = tap("position.angles", positions.to(frequencies.dtype).unsqueeze(-1) * frequencies)
    return angles.cos(), angles.sin()


def rotary_embedding(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool = False) -> Tensor:
    """Turn pairs of numbers: (a, b) → (a·cos φ − b·sin φ, a·sin φ + b·cos φ).

    With query and key turned by p·ω and q·ω their product is that of the query with the key turned by (q − p)·ω: the
    score depends on the distance alone, and the lengths stay as they are.

    Args:
        x: queries or keys. Numbers beyond the first d pass unturned (partial rotary).
        cos: cosines of the angles φ.
        sin: their sines.
        interleaved: whether neighbours are a pair, (0, 1), (2, 3), as in the paper and in GPT-J; otherwise i and
            i + d/2 are, as in GPT-NeoX, in Llama and at Hugging Face. The two differ by a permutation alone, which
            training cannot see, but weights trained for one are wrong with the other.

    Shape:
        - x: [*, D]; cos, sin: [*, d/2], broadcastable to x, with d ≤ D
        - Output: [*, D], of x's type; the products are formed in the wider of the two types

    Raises:
        RuntimeError: x has fewer than d numbers, or the shapes do not meet.

    Cost: four multiplications and two additions per pair, in two passes; backward likewise. Nothing of x is kept.

    References: Su et al. 2021, arXiv:2104.09864, equation 34; Wang & Komatsuzaki 2021 (GPT-J); Black et al. 2022,
        arXiv:2204.06745 (GPT-NeoX: halves, and partly).

    See: `minimodels.nn.RotaryEmbedding`; tests/functional/test_positions.py.

    Example:
        >>> quarter = torch.zeros(2), torch.ones(2)
        >>> rotary_embedding(torch.tensor([1.0, 2.0, 3.0, 4.0]), *quarter, interleaved=True)
        tensor([-2.,  1., -4.,  3.])
        >>> rotary_embedding(torch.tensor([1.0, 2.0, 3.0, 4.0]), *quarter)
        tensor([-3., -4.,  1.,  2.])
    """
    if x.shape[-1] < 2 * cos.shape[-1]:
        raise RuntimeError(f"angles for {2 * cos.shape[-1]} numbers cannot turn heads of {x.shape[-1]}")
    learned = cos.requires_grad or sin.requires_grad
    if learned or torch.compiler.is_compiling() or steps_aside(x, cos, sin):
        return tap("position.rotated", _definition(x, cos, sin, interleaved))
    return tap("position.rotated", apply(_Rotation, x, cos, sin, interleaved, 1))


def _pairs(x: Tensor, d: int, interleaved: bool) -> tuple[Tensor, Tensor]:
    """The first and the second number of each pair, [*, d/2] each, as views."""
    first, second = x[..., :d].unflatten(-1, (-1, 2) if interleaved else (2, -1)).unbind(-1 if interleaved else -2)
    return first, second


def _definition(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    d = 2 * cos.shape[-1]
    a, b = _pairs(x, d, interleaved)
    turned = torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1 if interleaved else -2).flatten(-2)
    return torch.cat([turned.to(x.dtype), x[..., d:]], dim=-1)


class _Rotation(torch.autograd.Function):
    """The turn, written straight into its place; its derivative is the turn back.

    On one thread of a Xeon, [1, 12, 1024, 64] takes 2.0 ms with backward (neighbours 3.0), the definition 3.3 (5.7).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool, sign: int) -> Tensor:
        ctx.save_for_backward(cos, sin)
        ctx.interleaved, ctx.sign = interleaved, sign
        d, wide = 2 * cos.shape[-1], x.to(torch.promote_types(x.dtype, cos.dtype))
        y = torch.empty(x.shape, dtype=wide.dtype, device=x.device)
        (a, b), (p, q) = _pairs(wide, d, interleaved), _pairs(y, d, interleaved)
        torch.mul(a, cos, out=p).addcmul_(b, sin, value=-sign)
        torch.mul(b, cos, out=q).addcmul_(a, sin, value=sign)
        y[..., d:] = wide[..., d:]
        return y.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return apply(_Rotation, gradient, *ctx.saved_tensors, ctx.interleaved, -ctx.sign), None, None, None, None
