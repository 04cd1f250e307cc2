"""Data: where samples come from, and how they are handed to the training loop.

Sets, each a pair (train, test) of `ImageSet(images, labels)`:
    load_digits   1,797 handwritten digits that are part of the package    digits.py
    load_mnist    MNIST and Fashion-MNIST in their original files          mnist.py
    read_digit    one picture of one's own, made like those                pictures.py

From there to the loop:
    Batches       mini-batches in an order that depends on (seed, epoch)   batches.py
    RandomShift   small moves of the pictures, for Batches(augment=...)    augment.py

What these stand on:
    order.py        the one shuffle          resampling.py   sizes and frames of pictures, as matrix products
    idx.py          the file format          download.py     mirrors, checksums, the cache folder
"""

from minimodels.data.augment import RandomShift
from minimodels.data.batches import Batches
from minimodels.data.digits import load_digits
from minimodels.data.download import cache_folder, fetch
from minimodels.data.idx import read_idx
from minimodels.data.images import ImageSet
from minimodels.data.mnist import load_mnist
from minimodels.data.pictures import read_digit

__all__ = [
    "Batches",
    "ImageSet",
    "RandomShift",
    "cache_folder",
    "fetch",
    "load_digits",
    "load_mnist",
    "read_digit",
    "read_idx",
]
