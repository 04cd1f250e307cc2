"""A person's own picture of a digit, made to look like the pictures that the model was trained on."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from minimodels.data.resampling import BOX, frame
from minimodels.errors import InputError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""What is decoded. Pillow could do more, but its EPS reader, for one, starts Ghostscript on what the file says."""

MAX_PIXELS = 50_000_000
MAX_SIDE = 20_000
CONTRAST = 0.1  # of the whole range; what differs less from the paper is a blank page
FAINT = 0.2  # of the darkest stroke; what is fainter is paper: its grain, its shading, JPEG's ripples


def read_digit(path: str | os.PathLike[str], box: int = BOX) -> Tensor:
    """Read a picture of one digit, of any size, colours and polarity, as one of MNIST's kind.

    Grey from colours, transparency laid on a contrasting ground, paper and ink told apart by the border, contrast
    stretched, cropped to the ink, fitted into 20×20 with its proportions kept, and centred by mass in 28×28.
    Pieces of clothing, which fill the 28×28 of Fashion-MNIST, are read with `box=28`.

    Args:
        path: a PNG, JPEG, BMP, GIF (its first frame), TIFF, WebP or PPM file.
        box: height or width, whichever is larger, of what is drawn; 20 for digits, 28 for Fashion-MNIST.

    Returns:
        float32 [1, 28, 28], from 0 (paper) to 1 (ink).

    Raises:
        InputError: no such file, no picture, a damaged or enormous one, a blank one, a box that does not fit, or Pillow
            is not installed.

    Cost: a few passes over the picture; 50 megapixels, the limit, take 1.0 to 1.3 GB.

    References:
        Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition", 1998,
        section III.A, doi:10.1109/5.726791, for the frame.

    See: `minimodels.data.resampling.frame`; tests/data/test_pictures.py

    Example:
        >>> read_digit("no such file.png")
        Traceback (most recent call last):
        ...
        minimodels.errors.InputError: no such file.png: there is no such file; check the path.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; check the path.")
    return frame(_ink(path, _grey(path, _decode(path))), box).unsqueeze(0)


def _decode(path: Path) -> npt.NDArray[Any]:
    """The pixels: grey and opacity as bytes [H, W, 2], or the values [H, W] of files with more than 8 bits."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise InputError(f"{path}: reading pictures needs Pillow; run: pip install pillow") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as opened:
                if opened.width * opened.height > MAX_PIXELS or max(opened.size) > MAX_SIDE:
                    raise InputError(f"{path}: {opened.width}×{opened.height} pixels are too many; make it smaller.")
                upright = ImageOps.exif_transpose(opened)
                deep = upright.mode in ("I", "F") or upright.mode.startswith("I;16")
                return np.asarray(upright if deep else upright.convert("RGBA").convert("LA"))
    except InputError:
        raise
    except Exception as error:  # decoders meet damaged files with whatever type comes up, SyntaxError included
        kinds = ", ".join(FORMATS)
        raise InputError(f"{path}: not a readable picture ({error}); give one of {kinds}.") from error


def _grey(path: Path, pixels: npt.NDArray[Any]) -> Tensor:
    """Brightness in 0..1, [H, W]; what is transparent takes the colour of which the picture has less."""
    if pixels.ndim == 2:
        values = torch.from_numpy(pixels.astype(np.float64))
        if not values.isfinite().all():
            raise InputError(f"{path}: has pixels that are no finite numbers; give an ordinary picture.")
        low, high = values.min(), values.max()
        return ((values - low) / (high - low).clamp(min=torch.finfo(torch.float64).tiny)).float()
    grey, opaque = (torch.from_numpy(pixels.copy()) / 255).unbind(dim=-1)  # [H, W] each
    ground = float((grey * opaque).sum() <= 0.5 * opaque.sum())
    return grey * opaque + ground * (1 - opaque)


def _ink(path: Path, grey: Tensor) -> Tensor:
    """How much ink there is on each pixel, 0..1.

    The paper is what most of the border shows. Whether ink is darker or lighter than that is decided by the third
    moment of the differences: its sign follows the few large ones (strokes), not the many small ones (shading).
    """
    border = torch.cat([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    difference = grey - border.median()
    ink = (difference * difference.pow(3).sum().sign()).clamp(min=0)
    if ink.max() < CONTRAST:
        raise InputError(f"{path}: the picture is blank; give one with a digit on an even ground.")
    return ink.where(ink > FAINT * ink.max(), 0)
