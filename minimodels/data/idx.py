"""The IDX file format of MNIST: arrays of any type and shape, read with nothing taken on trust.

offset  bytes      meaning
0       2          zero
2       1          type of an element: 08 uint8, 09 int8, 0B int16, 0C int32, 0D float32, 0E float64
3       1          d, the number of dimensions
4       4·d        the sizes, big-endian int32
4+4·d   the rest   the elements, big-endian, last dimension fastest
"""

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from minimodels.errors import InputError

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
LIMIT = 1 << 30
"""Bytes of elements that a file may announce; the largest set of MNIST's family, EMNIST ByClass, has half of it."""

DIMENSIONS = 32  # what every NumPy can hold; the format itself allows 255
GZIP = b"\x1f\x8b"
CHUNK = 1 << 20


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Read an IDX file, plain or compressed by gzip, whatever it is called.

    The size must be exactly what the header announces. Memory grows with the bytes that really arrive and never
    beyond the announced size, so neither a header of absurd sizes nor a decompression bomb can exhaust it.

    Args:
        path: the file.

    Returns:
        The array, in the byte order of the machine.

    Raises:
        InputError: the file is missing, unreadable, damaged, no IDX file, shorter or longer than its header
            announces, or larger than `LIMIT`.

    References:
        Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits", 1998, section
        "File formats".

    See: tests/data/test_idx.py

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "small.idx"
        >>> _ = path.write_bytes(bytes([0, 0, 8, 2,  0, 0, 0, 2,  0, 0, 0, 3,  1, 2, 3, 4, 5, 6]))
        >>> read_idx(path)
        array([[1, 2, 3],
               [4, 5, 6]], dtype=uint8)
    """
    path = Path(path)
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == GZIP
            raw.seek(0)
            return _parse(path, gzip.GzipFile(fileobj=raw) if compressed else raw)
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: the gzip data are damaged ({error}); get the file again.") from error
    except EOFError as error:
        raise InputError(f"{path}: the gzip data break off before their end; get the file again.") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check the path.") from error


def _parse(path: Path, stream: BinaryIO | gzip.GzipFile) -> npt.NDArray[Any]:
    """The array in a stream that ought to be IDX from its first byte to its last."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or magic[3] == 0:
        raise InputError(f"{path}: not an IDX file (it begins with {magic.hex(' ') or 'nothing'}); get the file again.")
    element, dimensions = np.dtype(TYPES[magic[2]]), magic[3]
    sizes = np.frombuffer(_read(path, stream, 4 * dimensions), ">i4").tolist()
    announced = element.itemsize * math.prod(sizes)
    extent = math.prod(size or 1 for size in sizes)  # NumPy refuses huge sizes even beside a 0
    if min(sizes) < 0 or element.itemsize * extent > LIMIT or dimensions > DIMENSIONS:
        raise InputError(f"{path}: the header announces the impossible sizes {sizes}; get the file again.")
    content = _read(path, stream, announced)
    if stream.read(1):  # at the end of a gzip stream this also checks its length and CRC-32
        raise InputError(f"{path}: longer than the {announced} bytes that its header announces; get the file again.")
    array = np.frombuffer(content, element).reshape(sizes)
    return array.astype(element.newbyteorder("="), copy=False)


def _read(path: Path, stream: BinaryIO | gzip.GzipFile, count: int) -> bytearray:
    """Exactly `count` bytes, asked for in pieces because `count` comes from the file and may be a lie."""
    content = bytearray()
    while len(content) < count:
        piece = stream.read(min(CHUNK, count - len(content)))
        if not piece:
            raise InputError(
                f"{path}: breaks off after {len(content)} of {count} bytes that are announced; get the file again."
            )
        content += piece
    return content
