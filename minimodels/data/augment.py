"""Small random changes that leave a picture's meaning alone: more pictures out of the ones there are."""

import numpy as np
import torch
from torch import Tensor

from minimodels.errors import InputError


class RandomShift:
    """Move every picture by its own random number of pixels up or down and left or right; paper fills the gap.

    A digit moved by a pixel is the same digit, but every convolution and pooling sees other numbers: a network
    that trains on shifted pictures learns what stays. Meant for `Batches(..., augment=RandomShift(1))`.

    Args:
        pixels: the farthest that a picture moves along either axis; all distances are equally likely.

    Shape:
        Input and output: [N, C, H, W].

    Raises:
        InputError: a negative number of pixels.

    Cost: one copy of the pictures.

    See: tests/data/test_augment.py

    Example:
        >>> RandomShift(1)(torch.eye(3).reshape(1, 1, 3, 3), np.random.PCG64(0))
        tensor([[[[0., 1., 0.],
                  [0., 0., 1.],
                  [0., 0., 0.]]]])
    """

    def __init__(self, pixels: int = 1) -> None:
        if pixels < 0:
            raise InputError(f"a shift of {pixels} pixels: give 0 or more.")
        self.pixels = pixels

    def __call__(self, images: Tensor, bits: np.random.PCG64) -> Tensor:
        """Give the shifted pictures.

        Args:
            images: [N, C, H, W].
            bits: where the random numbers come from.
        """
        N, C, H, W = images.shape
        k = self.pixels
        padded = images.new_zeros(N, C, H + 2 * k, W + 2 * k)
        padded[:, :, k : k + H, k : k + W] = images
        windows = padded.unfold(2, H, 1).unfold(3, W, 1)  # [N, C, 2k+1, 2k+1, H, W], a view
        choices = torch.from_numpy((bits.random_raw(2 * N).reshape(2, N) % (2 * k + 1)).astype(np.int64)).to(
            images.device
        )
        return windows[torch.arange(N, device=images.device), :, choices[0], choices[1]]

    def __repr__(self) -> str:
        return f"RandomShift({self.pixels})"
