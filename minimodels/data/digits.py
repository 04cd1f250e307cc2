"""The digits that come with the package: 1,797 real handwritten digits, no download."""

import functools
import gzip
import hashlib
import io
from importlib import resources
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from minimodels.data.images import ImageSet
from minimodels.data.order import permutation
from minimodels.data.resampling import frame
from minimodels.errors import InputError

SPLIT_SEED = 0
"""The random split: in the order of `permutation(1797, SPLIT_SEED)` the first 36 of each digit test, the rest train."""

TEST_SAMPLES = 360
Split = Literal["random", "writers"]
SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"


def load_digits(split: Split = "random", seed: int = SPLIT_SEED) -> tuple[ImageSet, ImageSet]:
    """The UCI handwritten digits at MNIST's size, as a training set of 1,437 and a test set of 360.

    Each 8×8 picture is set into MNIST's frame (`frame`: cropped, enlarged bilinearly into 20×20, centred by mass in
    28×28), as `read_digit` sets one's own. Enlarged straight to 28×28 they are learned as well, but a network
    trained on them then reads far fewer of MNIST's digits and of one's own.

    Args:
        split: "random" mixes all writers and tests with 36 of each digit. "writers" tests with the last 360 in the
            file, where writers follow one another: hands that were never trained on, the harder, more honest figure.
        seed: of the random split; figures are comparable only under the default, `SPLIT_SEED`.

    Returns:
        (train, test), each an `ImageSet`.

    Raises:
        InputError: an unknown split, a negative seed, or an installed file that was altered.

    References:
        E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
        doi:10.24432/C50P49, CC BY 4.0 (assets/NOTICE.md).

    See: tests/data/test_digits.py

    Example:
        >>> train, test = load_digits("writers")
        >>> train.labels[:5].tolist(), len(test.labels)
        ([0, 1, 2, 3, 4], 360)
    """
    if split not in ("random", "writers"):
        raise InputError(f"split {split!r} is unknown; give 'random' or 'writers'.")
    everything = _read()
    test = _drawn(everything.labels, seed) if split == "random" else _last(everything.labels)
    return ImageSet(*(whole[~test] for whole in everything)), ImageSet(*(whole[test] for whole in everything))


def _last(labels: Tensor) -> Tensor:
    """A mask of the last samples in the file."""
    return torch.arange(len(labels)) >= len(labels) - TEST_SAMPLES


def _drawn(labels: Tensor, seed: int) -> Tensor:
    """A mask of random test samples, as many of every digit."""
    order = torch.from_numpy(permutation(len(labels), seed))
    test = torch.zeros(len(labels), dtype=torch.bool)
    for digit in range(10):
        test[order[labels[order] == digit][: TEST_SAMPLES // 10]] = True
    return test


@functools.cache
def _read() -> ImageSet:
    """All the digits in the order of the file; kept, because nobody is given more than copies of rows."""
    raw = resources.files("minimodels.data").joinpath("assets/digits.csv.gz").read_bytes()
    if hashlib.sha256(raw).hexdigest() != SHA256:
        raise InputError("minimodels/data/assets/digits.csv.gz was altered; install minimodels again.")
    table = np.loadtxt(io.BytesIO(gzip.decompress(raw)), delimiter=",", dtype=np.float32)  # [1797, 65]
    pixels, labels = torch.from_numpy(table[:, :-1]), torch.from_numpy(table[:, -1])
    images = torch.stack([frame(picture) for picture in pixels.reshape(-1, 8, 8)])  # from 0..16 to 0..1
    return ImageSet(images.unsqueeze(1), labels.long())
