"""Pictures made larger and smaller by matrix products, and set into the frame that MNIST's digits have.

Along one axis every output pixel is a weighted mean of input pixels, so resampling is a matrix A [outputs, inputs]
whose rows sum to 1; along both axes it is Y = A · X · Bᵀ.
"""

import math

import torch
from torch import Tensor

from minimodels.data.images import SIZE
from minimodels.errors import InputError

BOX = 20
"""Height or width, whichever is larger, of the ink of one of MNIST's digits."""

TIE = 1e-4
"""Centres this near to halfway count as halfway, so that rounding errors never move a symmetric digit by a pixel."""


def bilinear(inputs: int, outputs: int) -> Tensor:
    """The matrix of linear interpolation along one axis, with half-pixel centres.

    Pixel j covers [j, j+1] and has its centre at j + ½; the centre of output pixel i, seen from the input, is at

        sᵢ = clamp((i + ½) · inputs / outputs − ½, 0, inputs − 1)
        Aᵢⱼ = max(0, 1 − |sᵢ − j|)

    so each output pixel weighs its two neighbours by nearness, and beyond the outer centres the edge goes on.

    Args:
        inputs: number of pixels before.
        outputs: number of pixels after.

    Returns:
        float32 matrix A of shape [outputs, inputs]; its rows sum to 1.

    See: `area`, its twin for shrinking; tests/data/test_resampling.py, where `A X Bᵀ` is
    `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)`.

    Example:
        >>> bilinear(2, 4)
        tensor([[1.0000, 0.0000],
                [0.7500, 0.2500],
                [0.2500, 0.7500],
                [0.0000, 1.0000]])
    """
    centres = (torch.arange(outputs, dtype=torch.float64) + 0.5) * (inputs / outputs) - 0.5
    distance = (centres.clamp(0, inputs - 1)[:, None] - torch.arange(inputs)).abs()  # [outputs, inputs]
    return (1 - distance).clamp(min=0).float()


def area(inputs: int, outputs: int) -> Tensor:
    """The matrix of the area mean along one axis: what each output pixel covers, averaged.

        Aᵢⱼ = |[i·r, (i+1)·r] ∩ [j, j+1]| / r,   r = inputs / outputs

    When shrinking, every input pixel counts for the same, so thin strokes grow pale but never vanish between
    the sampling points as they do under `bilinear`.

    Args:
        inputs: number of pixels before.
        outputs: number of pixels after.

    Returns:
        float32 matrix A of shape [outputs, inputs]; its rows sum to 1, its columns to outputs / inputs.

    See: `bilinear`, its twin for enlarging; tests/data/test_resampling.py

    Example:
        >>> area(3, 2)
        tensor([[0.6667, 0.3333, 0.0000],
                [0.0000, 0.3333, 0.6667]])
    """
    ratio = inputs / outputs
    edges = torch.arange(outputs + 1, dtype=torch.float64) * ratio
    left, pixels = edges[:-1, None], torch.arange(inputs)
    overlap = torch.minimum(edges[1:, None], pixels + 1.0) - torch.maximum(left, pixels.double())
    return (overlap.clamp(min=0) / ratio).float()


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """Resample pictures to a new size: by `area` along an axis that shrinks, by `bilinear` along one that grows.

    Args:
        images: float32 pictures.
        height: number of rows after.
        width: number of columns after.

    Shape:
        Input [..., H, W], output [..., height, width].

    Cost: height · W · (H + width) multiply-adds a picture.

    See: tests/data/test_resampling.py

    Example:
        >>> resize(torch.tensor([[0.0, 4.0], [8.0, 12.0]]), 1, 1)
        tensor([[6.]])
    """
    rows, columns = _axis(images.shape[-2], height), _axis(images.shape[-1], width)
    return rows @ images @ columns.T


def _axis(inputs: int, outputs: int) -> Tensor:
    return area(inputs, outputs) if outputs < inputs else bilinear(inputs, outputs)


def frame(ink: Tensor, box: int = BOX) -> Tensor:
    """Set a digit as MNIST's are: cropped to its ink, scaled into 20×20 in proportion, centred by mass in 28×28.

    The ink stands in the middle of its box, and the box is moved over the paper by the ink's mass. A box of 28, that
    of Fashion-MNIST, cannot move: its pictures fill the paper and are centred by their outline.

    Args:
        ink: a picture with 0 for paper and at least one pixel above it.
        box: height or width, whichever is larger, of the ink afterwards; from 1 to 28.

    Shape:
        Input [H, W], output [28, 28]; the brightest pixel becomes 1.

    Raises:
        InputError: a box that does not fit.

    References:
        Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition", 1998,
        section III.A, doi:10.1109/5.726791; H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST", 2017,
        arXiv:1708.07747, section 2, for the box of 28.

    See: tests/data/test_resampling.py

    Example:
        >>> stroke = torch.zeros(100, 60)
        >>> stroke[10:90, 5:15] = 0.5
        >>> framed = frame(stroke)
        >>> framed.shape, framed.any(dim=1).sum().item(), framed.any(dim=0).sum().item()  # 80×10 becomes 20×2
        (torch.Size([28, 28]), 20, 2)
    """
    if not 1 <= box <= SIZE:
        raise InputError(f"box {box}: the paper has {SIZE}×{SIZE} pixels; give a number from 1 to {SIZE}.")
    rows, columns = ink.any(dim=1).nonzero(), ink.any(dim=0).nonzero()
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, round(side * box / max(cropped.shape))) for side in cropped.shape)
    top, left = (box - height) // 2, (box - width) // 2
    square = ink.new_zeros(box, box)
    square[top : top + height, left : left + width] = resize(cropped, height, width)
    return place(square)


def place(digit: Tensor) -> Tensor:
    """Put a small picture on a paper of 28×28, its centre of mass on pixel 14, as near as whole pixels allow.

    Pixel 14, counted from 0, is where it is in MNIST: within [13.5, 14.5) along both axes of all the test pictures.
    Nothing is cut off: where the centre of mass is far out, the picture stops at the edge of the paper.

    Args:
        digit: a picture of at most 28×28 with some ink.

    Shape:
        Input [h, w], output [28, 28]; the brightest pixel becomes 1.

    See: tests/data/test_resampling.py

    Example:
        >>> place(torch.ones(3, 1)).nonzero().tolist()
        [[13, 14], [14, 14], [15, 14]]
    """
    paper = digit.new_zeros(SIZE, SIZE)
    (top, height), (left, width) = _span(digit.sum(dim=1)), _span(digit.sum(dim=0))
    paper[top : top + height, left : left + width] = digit / digit.max()
    return paper


def _span(mass: Tensor) -> tuple[int, int]:
    """Where pixels of this mass begin so that their centre comes to the middle and all of them onto the paper."""
    length, mass = len(mass), mass.double()
    centre = (mass @ torch.arange(length).to(mass) / mass.sum()).item()
    start = math.ceil(SIZE // 2 - 0.5 - centre - TIE)
    return min(max(start, 0), SIZE - length), length
