"""MNIST and Fashion-MNIST in their original files, from one's own folder or from the internet."""

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from minimodels.data.download import cache_folder, digest, fetch
from minimodels.data.idx import read_idx
from minimodels.data.images import SIZE, ImageSet
from minimodels.errors import InputError

CLASSES = 10
MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    ),
    "fashion-mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ),
}
CHECKSUMS = {  # MD5 is what the publishers give; it stands against broken transfers and mix-ups, not against forgers
    "mnist": {
        "train-images-idx3-ubyte": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "md5:d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "md5:9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "md5:ec29112dd5afa0611ce80d1b7f02629c",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "md5:25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "md5:bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "md5:bb300cfdad3c16e7a12a480ee83cd310",
    },
}
PUBLISHED = {md5: f"{file} of {name}" for name, files in CHECKSUMS.items() for file, md5 in files.items()}


def load_mnist(
    name: Literal["mnist", "fashion-mnist"] = "mnist",
    data_dir: str | os.PathLike[str] | None = None,
    download: bool = True,
) -> tuple[ImageSet, ImageSet]:
    """MNIST (60,000 and 10,000 digits) or Fashion-MNIST (as many pieces of clothing), from 0 (paper) to 1 (ink).

    Args:
        name: which of the two; their files have the same names.
        data_dir: a folder with the four IDX files, compressed (.gz) or not, spelt `train-images-idx3-ubyte` or
            `train-images.idx3-ubyte`. One's own pictures in this format are welcome: 28×28, labels 0 to 9.
        download: without `data_dir`, whether files that are not yet in `cache_folder()` may be downloaded.

    Returns:
        (train, test), each an `ImageSet`.

    Raises:
        InputError: an unknown name; files that are missing, damaged, of the other set or part, or do not belong
            together; no connection.

    References:
        Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition", 1998,
        doi:10.1109/5.726791; H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST", 2017, arXiv:1708.07747.

    See: `read_idx`; tests/data/test_mnist.py

    Example:
        >>> load_mnist(data_dir="no/such/folder")
        Traceback (most recent call last):
        ...
        minimodels.errors.InputError: --data-dir no/such/folder: there is no such folder; give the one with the ...
    """
    if name not in MIRRORS:
        raise InputError(f"data set {name!r} is unknown; give 'mnist' or 'fashion-mnist'.")
    if data_dir is not None and not Path(data_dir).is_dir():
        raise InputError(f"--data-dir {data_dir}: there is no such folder; give the one with the four IDX files.")
    paths = {
        file: _cached(name, file, download) if data_dir is None else _found(name, file, Path(data_dir))
        for file in CHECKSUMS[name]
    }
    train, test = (
        _image_set(paths[f"{part}-images-idx3-ubyte"], paths[f"{part}-labels-idx1-ubyte"]) for part in ("train", "t10k")
    )
    return train, test


def _cached(name: str, file: str, download: bool) -> Path:
    """The file in the cache folder, downloaded first when it is not there whole."""
    path = cache_folder() / name / f"{file}.gz"
    checksum = CHECKSUMS[name][file]
    if path.is_file() and digest(path) == checksum:
        return path
    remedy = f"--data digits needs no download, and --data-dir FOLDER reads the files of {name} from your disk"
    if not download:
        raise InputError(f"{path} is not there and downloading is switched off; {remedy}.")
    return fetch([mirror + path.name for mirror in MIRRORS[name]], path, checksum, remedy=remedy)


def _found(name: str, file: str, folder: Path) -> Path:
    """The file in the user's folder, under any of its usual names, unless it is a published file of another kind."""
    dotted = file.replace("-idx", ".idx")
    candidates = [folder / f"{stem}{suffix}" for suffix in (".gz", "") for stem in (file, dotted)]
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        raise InputError(f"--data-dir {folder}: {file}.gz is missing; put the four files of {name} there.")
    wanted, published = f"{file} of {name}", PUBLISHED.get(digest(path))
    if published not in (wanted, None):
        raise InputError(f"{path} is the {published}, not the {wanted}; put the right file there.")
    return path


def _image_set(images: Path, labels: Path) -> ImageSet:
    """Both files of one part, checked against each other."""
    pixels, classes = read_idx(images), read_idx(labels)
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (SIZE, SIZE):
        raise InputError(f"{images} holds {_describe(pixels)}, not pictures uint8 [N, 28, 28]; exchange the file.")
    if classes.dtype != np.uint8 or classes.ndim != 1:
        raise InputError(f"{labels} holds {_describe(classes)}, not labels uint8 [N]; exchange the file.")
    if len(pixels) != len(classes) or len(pixels) == 0:
        raise InputError(f"{images} has {len(pixels)} pictures and {labels.name} {len(classes)} labels; give as many.")
    if classes.max() >= CLASSES:
        raise InputError(f"{labels} has the label {classes.max()}; labels go from 0 to {CLASSES - 1}.")
    return ImageSet(_scaled(pixels), torch.from_numpy(classes.astype(np.int64)))


def _scaled(pixels: npt.NDArray[Any]) -> Tensor:
    """Bytes to float32 in 0..1, [N, 28, 28] to [N, 1, 28, 28]."""
    return torch.from_numpy(pixels).unsqueeze(1).float().div_(255)


def _describe(array: npt.NDArray[Any]) -> str:
    return f"{array.dtype} {list(array.shape)}"
