"""Convolution by Winograd's minimal filtering: fewer multiplications, paid for with additions and with accuracy.

A 3x3 kernel g gives m x m outputs Y from a tile d of t x t inputs, t = m + 2; neighbouring tiles overlap by two. The
direct sum takes 9·m² multiplications; Winograd's F(m x m, 3x3) takes t²:

    Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A            Lavin & Gray 2015, equation 8

The algorithm is polynomial multiplication. A product of two polynomials, one with 3 coefficients and one with m, has t
coefficients, and is found by evaluating both at t − 1 points and at infinity, multiplying value by value, and
interpolating. Correlation is that product transposed: G evaluates the kernel, Bᵀ is the interpolation transposed, Aᵀ
the evaluation transposed; in two dimensions the same is done to rows and to columns. The values are multiplied for
every pair of an input and an output channel: summed over input channels, that is t² matrix products, one for each place
k of a tile,

    M_k = U_k · V_kᵀ     [O, C] · [C, tiles]

which is where the time goes, with 2.25 (m = 2) or 4 (m = 4) times fewer multiplications than in the direct sum. All
transforms are matrix products too, since Aᵀ M A, read row by row, is kron(Aᵀ, Aᵀ) times M.

Interpolation subtracts large numbers from each other, more so the more points there are: half a decimal digit is lost
at m = 4 with good points (`POINTS`), a whole one with the usual ones. benchmarks/results has the errors.

A transform mixes all elements of a tile, so an infinite or NaN input element makes every output of the tiles that hold
it NaN, where the definition and torch.nn spread it only to the windows that touch it.

References: Winograd 1980, "Arithmetic Complexity of Computations", doi:10.1137/1.9781611970364; Lavin & Gray 2015,
"Fast Algorithms for Convolutional Neural Networks", arXiv:1509.09308; Barabasz et al. 2018, arXiv:1803.10986 (errors).
"""

import functools
import operator
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor

from minimodels.functional import placement
from minimodels.functional.conv import im2col
from minimodels.functional.conv.bilinear import Bilinear
from minimodels.functional.conv.frame import Buffer
from minimodels.functional.matmul import batched_product
from minimodels.functional.padding import pad
from minimodels.functional.precision import accumulator
from minimodels.shapes import Pads, Windows
from minimodels.tap import listened

CHUNK = 1 << 20
"""Numbers of transformed input at a time on a CPU: 4 MiB of float32. Half of it or twice as much changed the times of
five shapes by a tenth at most (one thread of an Intel Xeon)."""

DEVICE_CHUNK = 1 << 27
"""The same on an accelerator, which wants large launches."""

POINTS = {
    2: [Fraction(0), Fraction(1), Fraction(-1)],
    4: [Fraction(0), Fraction(3, 4), Fraction(-3, 4), Fraction(3, 2), Fraction(-3, 2)],
}
"""Where the polynomials are evaluated, for m = 2 and m = 4.

The usual points for m = 4 are 0, ±1 and ±2, because halving and doubling are cheap. Here transforms are matrix
products, whose numbers may be any, so the points are chosen for their errors: with 64 channels 1.6e-6 of the largest
output, where the usual ones make 5.9e-6, 0, ±1/2 and ±1 6.3e-6, and 0, ±1, 1/2 and −2 2.4e-6 (float32, means of four
draws; one product over all windows has 6e-7).
"""


def convolve(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows, tile: int = 2) -> Tensor:
    """Correlate images with 3x3 kernels at stride 1: the operation of definition.py with fewer multiplications.

    Args:
        x: the input.
        w: the kernel.
        bias: one number per output channel, or None.
        windows: kernel (3, 3), stride and dilation (1, 1), one group, any padding.
        tile: m, how many outputs a tile gives in each direction: 2, or 4, with fewer products and less accuracy.

    Shape:
        - x: [N, C, H, W]; w: [O, C, 3, 3]; bias: [O]
        - Output: [N, O, P, Q]

    Raises:
        RuntimeError: the kernel, stride, dilation or groups are not those above, or the input is not floating-point.

    Cost: (m + 2)²·N·O·C·⌈P/m⌉·⌈Q/m⌉ multiply-adds in the products, that is 4·N·O·C·P·Q for m = 2 and 2.25 for m = 4,
        where the definition has 9; the transforms of input and output add (m + 2)⁴/m²·N·C·P·Q and
        (m + 2)²·N·O·P·Q. Beyond input and output, (m + 2)²·O·C numbers for the transformed kernel, and buffers
        of about `CHUNK` numbers each (or what a row of tiles needs, where that is more). 16-bit numbers are computed
        with in float32.

    See: definition.py, im2col.py (which serves while a tap is listened to); tests/functional/test_conv.py.

    Example:
        >>> windows = Windows(kernel=(3, 3), stride=(1, 1), pads=((1, 1), (1, 1)), dilation=(1, 1), groups=1)
        >>> convolve(torch.eye(3).view(1, 1, 3, 3), torch.ones(1, 1, 3, 3), None, windows).round()
        tensor([[[[2., 2., 1.],
                  [2., 3., 2.],
                  [1., 2., 2.]]]])
    """
    if not serves(x, windows):
        raise RuntimeError(
            "winograd convolution takes real numbers, 3x3 kernels, stride 1, dilation 1 and one group, but got "
            f"{x.dtype} and {windows}"
        )
    if listened():
        return im2col.convolve(x, w, bias, windows)
    return _ALGORITHMS[tile].convolve(x, w, bias, windows)


def serves(x: Tensor, windows: Windows) -> bool:
    """Say whether the algorithm is defined for a convolution.

    Args:
        x: the input.
        windows: kernel, stride, padding, dilation and groups.
    """
    return x.is_floating_point() and windows._replace(pads=()) == Windows((3, 3), (1, 1), (), (1, 1), 1)


class Transforms(NamedTuple):
    """The matrices of F(m, 3) in one dimension, and how many outputs a tile gives.

    Attributes:
        m: outputs of a tile.
        A: [t, m], evaluation of the output's coefficients.
        B: [t, t], interpolation.
        G: [t, 3], evaluation of the kernel's coefficients.
    """

    m: int
    A: tuple[tuple[float, ...], ...]
    B: tuple[tuple[float, ...], ...]
    G: tuple[tuple[float, ...], ...]


def transforms(points: Sequence[Fraction]) -> Transforms:
    """Derive the matrices of F(m, 3) by Toom and Cook, from m + 1 points and infinity.

    For the points a_i and N_i = Π_{l≠i} (a_i − a_l):

        A[i, j] = a_iʲ            G[i, j] = a_iʲ / N_i            B[:, i] = the coefficients of Π_{l≠i} (z − a_l)

    and at infinity only the highest coefficient counts, with Π_l (z − a_l) for the column of B. From 0, 1, −1 (and
    2, −2) come the matrices that Lavin & Gray print for m = 2 (and 4), up to signs that cancel.

    Args:
        points: where the polynomials are evaluated, no two alike.

    Example:
        >>> transforms([Fraction(0), Fraction(1), Fraction(-1)]).G
        ((-1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))
    """
    m = len(points) - 1
    scales = [_times(a - b for b in points if b != a) for a in points]
    A = [[a**j for j in range(m)] for a in points] + [[0] * (m - 1) + [1]]
    G = [[a**j / scale for j in range(3)] for a, scale in zip(points, scales, strict=True)] + [[0, 0, 1]]
    columns = [_roots([b for b in points if b != a]) for a in points] + [_roots(points)]
    B = zip(*(column + [0] * (m + 2 - len(column)) for column in columns), strict=True)
    return Transforms(m, *(tuple(tuple(map(float, row)) for row in matrix) for matrix in (A, B, G)))


def _forward(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows, m: int) -> Tensor:
    """Transform the kernel, and correlate with it: U = G g Gᵀ."""
    f = _Matrices(m, x)
    return _correlate(x, _kernel(w, f.GG), bias, windows, f)


def _correlate(x: Tensor, U: Tensor, bias: Tensor | None, windows: Windows, f: "_Matrices") -> Tensor:
    """Transform the input, multiply with the transformed kernel, [t², O, C], place by place, transform back."""
    m, outputs = f.m, U.shape[1]
    P, Q = windows.output_size(x.shape[2:])
    rows, columns = -(-P // m), -(-Q // m)
    y = x.new_empty(x.shape[0], outputs, rows, m, columns, m)
    products, results = Buffer(U), Buffer(U)
    for images, lines, V in _tiles(x, windows.pads, (rows, columns), f):
        L = V.shape[1]
        M = batched_product(U, V, products.take(f.t**2, outputs, L))  # [t², O, L]
        Y = torch.mm(f.AA.t(), M.view(f.t**2, -1), out=results.take(m * m, outputs * L))  # [m², O·L]
        if bias is not None:
            Y.view(m * m, outputs, L).add_(bias.view(-1, 1))
        part = y[images, :, lines]
        part.copy_(Y.view(m, m, outputs, part.shape[0], part.shape[2], columns).permute(3, 2, 4, 0, 5, 1))
    return y.view(x.shape[0], outputs, rows * m, columns * m)[:, :, :P, :Q].contiguous()


def _input_gradient(gradient: Tensor, w: Tensor, size: tuple[int, ...], windows: Windows, m: int) -> Tensor:
    """Read the convolution backwards: correlate ∂y with the kernel flipped and its channels exchanged.

    The transform of a flipped kernel is another matrix, G with its columns flipped, and channels are exchanged by
    strides, so that the kernel stays where it lies: 0.19 ms for 256x256x3x3 on two threads of an Intel Xeon, and 0.58.
    """
    pads = windows.mirrored().pads
    if any(before < 0 or after < 0 for before, after in pads):  # more padding than the kernel reaches: crop first
        gradient = pad(gradient, [min(p, 0) for pair in reversed(pads) for p in pair])
        pads = tuple((max(before, 0), max(after, 0)) for before, after in pads)
    f = _Matrices(m, gradient)
    return _correlate(gradient, _kernel(w, f.GG.flip(1)).mT, None, windows._replace(pads=pads), f)


def _weight_gradient(x: Tensor, gradient: Tensor, windows: Windows, m: int) -> Tensor:
    """Multiply transformed gradients with transformed inputs, and transform back: ∂w = Gᵀ [Σ (A ∂Y Aᵀ) ⊙ V] G."""
    f, outputs, (P, Q) = _Matrices(m, x), gradient.shape[1], gradient.shape[2:]
    rows, columns = -(-P // m), -(-Q // m)
    gradient = pad(gradient, (0, columns * m - Q, 0, rows * m - P)).unflatten(3, (columns, m)).unflatten(2, (rows, m))
    total = f.AA.new_zeros(f.t**2, outputs, x.shape[1])
    parts, products = Buffer(f.AA), Buffer(f.AA)
    for images, lines, V in _tiles(x, windows.pads, (rows, columns), f):
        part = gradient[images, :, lines].permute(3, 5, 1, 0, 2, 4)  # [m, m, O, n, rows, columns]
        dY = parts.take(*part.shape).copy_(part)
        dM = torch.mm(f.AA, dY.view(m * m, -1), out=products.take(f.t**2, dY[0, 0].numel()))  # [t², O·L]
        total.baddbmm_(dM.view(f.t**2, outputs, -1), V)
    return torch.mm(f.GG.t(), total.view(f.t**2, -1)).view(3, 3, outputs, -1).permute(2, 3, 0, 1).to(x.dtype)


class _Matrices:
    """The transforms of two dimensions as Kronecker products, in the numbers that are computed with."""

    def __init__(self, m: int, x: Tensor) -> None:
        self.m, self.t = m, m + 2
        f, dtype = transforms(POINTS[m]), accumulator(x.dtype)
        A, B, G = (torch.tensor(matrix, dtype=dtype, device=x.device) for matrix in (f.A, f.B, f.G))
        self.AA, self.BB, self.GG = (torch.kron(matrix, matrix) for matrix in (A, B, G))


def _kernel(w: Tensor, GG: Tensor) -> Tensor:
    """Transform the kernel, [t², O, C]."""
    return torch.mm(GG, w.to(GG.dtype).reshape(-1, 9).t()).view(-1, *w.shape[:2])


def _tiles(x: Tensor, pads: Pads, counts: tuple[int, int], f: _Matrices) -> Iterator[tuple[slice, slice, Tensor]]:
    """Transform the input, V = Bᵀ d B, a chunk of tiles at a time: which images, which rows of tiles, [t², L, C]."""
    (top, _), (left, _) = pads
    (batch, channels, H, W), (rows, columns), t = x.shape, counts, f.t
    gathered, transformed = Buffer(f.BB), Buffer(f.BB)
    step, lines = _chunk(x, t * t * columns * channels, rows)
    canvas = f.BB.new_zeros(min(step, batch), rows * f.m + 2, columns * f.m + 2, channels)  # channels-last
    for n in range(0, batch, step):
        images = canvas[: min(step, batch - n)]
        images[:, top : top + H, left : left + W].copy_(x[n : n + step].movedim(1, -1))
        image, row, column, channel = images.stride()
        strides = (row, column, image, f.m * row, f.m * column, channel)
        d = images.as_strided((t, t, images.shape[0], rows, columns, channels), strides)  # tiles overlap
        for r in range(0, rows, lines):
            part = d[:, :, :, r : r + lines]
            D = gathered.take(*part.shape).copy_(part).view(t * t, -1)
            V = torch.mm(f.BB.t(), D, out=transformed.take(*D.shape))
            yield slice(n, n + step), slice(r, r + lines), V.view(t * t, -1, channels)


def _chunk(x: Tensor, line: int, rows: int) -> tuple[int, int]:
    """Say how many images and how many rows of tiles go together, when a row of tiles makes so many numbers."""
    if torch.compiler.is_compiling():
        return x.shape[0], rows
    fitting = max(1, placement.at_once(x, CHUNK, DEVICE_CHUNK) // max(1, line))
    return max(1, min(fitting // rows, x.shape[0])), min(fitting, rows)


_ALGORITHMS = {
    m: Bilinear(*(functools.partial(part, m=m) for part in (_forward, _input_gradient, _weight_gradient)))
    for m in (2, 4)
}


def _times(numbers: Iterable[Fraction]) -> Fraction:
    return functools.reduce(operator.mul, numbers, Fraction(1))


def _roots(roots: Sequence[Fraction]) -> list[Fraction]:
    """Multiply out Π (z − root): the coefficients, the lowest first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted, scaled = [Fraction(0), *coefficients], [*(-root * c for c in coefficients), Fraction(0)]
        coefficients = [a + b for a, b in zip(shifted, scaled, strict=True)]
    return coefficients
