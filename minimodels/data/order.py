"""One shuffle for splits and batches: the same seed gives the same order on every machine and version."""

import numpy as np
import numpy.typing as npt

from minimodels.errors import InputError


def permutation(count: int, seed: int, epoch: int = 0) -> npt.NDArray[np.int64]:
    """The numbers 0 .. count−1 in a random order that depends on (seed, epoch) and on nothing else.

    Every number draws a 64-bit key from PCG64 and the keys are sorted. NumPy promises that the raw stream of a
    bit generator never changes (NEP 19), which neither `numpy.random.Generator.permutation` nor `torch.randperm`
    does, so a split or a resumed run is the same years later. No global random state is read or touched.

    Args:
        count: how many numbers.
        seed: any whole number from 0 up.
        epoch: a second number, so that one seed gives a whole series of orders.

    Returns:
        An int64 array of shape [count].

    Raises:
        InputError: the seed or the epoch is negative.

    Cost: one sort, O(count · log count).

    References:
        M. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random Number
        Generation", 2014, HMC-CS-2014-0905; R. Kern, NumPy Enhancement Proposal 19, 2018.

    See: tests/data/test_order.py

    Example:
        >>> permutation(5, seed=0)
        array([3, 1, 4, 2, 0])
    """
    return np.argsort(stream(seed, epoch).random_raw(count), kind="stable")


def stream(seed: int, *path: int) -> np.random.PCG64:
    """A source of random bits of its own for every (seed, *path).

    Args:
        seed: any whole number from 0 up.
        *path: what the bits are for, such as the number of the epoch.

    Raises:
        InputError: a number is negative.

    Example:
        >>> stream(0, 1).random_raw(2) % 100
        array([33, 88], dtype=uint64)
    """
    if min(seed, 0, *path) < 0:
        raise InputError(f"seed and epoch {(seed, *path)}: a number is negative; give whole numbers from 0 up.")
    return np.random.PCG64(np.random.SeedSequence(seed, spawn_key=path))


class Epochs:
    """Passes that are numbered, so that each has a random order of its own and a resumed run finds its place.

    Attributes:
        epoch: number of the next pass.
    """

    epoch: int

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass epoch number `epoch`, as `torch.utils.data.DistributedSampler.set_epoch` does.

        Args:
            epoch: the number, from 0.

        Raises:
            InputError: the number is negative.

        Example:
            >>> import torch
            >>> from minimodels.data import Batches
            >>> batches = Batches(torch.arange(8), batch_size=8, shuffle=True)
            >>> first, second = list(batches), list(batches)
            >>> batches.set_epoch(0)
            >>> torch.equal(next(iter(batches))[0], first[0][0])
            True
        """
        if epoch < 0:
            raise InputError(f"epoch {epoch}: epochs count from 0; give a number from 0 up.")
        self.epoch = epoch
