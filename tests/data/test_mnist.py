"""MNIST from a folder and from mirrors, and every way in which the files can be the wrong ones."""

import gzip
import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from minimodels.data import load_mnist, mnist
from minimodels.errors import InputError

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "mnist"
FILES = list(mnist.CHECKSUMS["mnist"])


def idx_bytes(array: npt.NDArray[Any]) -> bytes:
    return struct.pack(f">HBB{array.ndim}i", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def write(folder: Path, train: int = 12, test: int = 5, dotted: bool = False, compressed: bool = True) -> Path:
    """Four small files in MNIST's format."""
    random = np.random.default_rng(0)
    for part, count in (("train", train), ("t10k", test)):
        arrays = (random.integers(0, 256, (count, 28, 28)), np.arange(count) % 10)
        for kind, array in zip(("images-idx3-ubyte", "labels-idx1-ubyte"), arrays, strict=True):
            name = f"{part}-{kind}".replace("-idx", ".idx" if dotted else "-idx") + (".gz" if compressed else "")
            content = idx_bytes(array)
            (folder / name).write_bytes(gzip.compress(content) if compressed else content)
    return folder


@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_folder_of_ones_own(tmp_path: Path, dotted: bool, compressed: bool) -> None:
    train, test = load_mnist(data_dir=write(tmp_path, dotted=dotted, compressed=compressed))
    pixels = np.random.default_rng(0).integers(0, 256, (12, 28, 28))
    assert train.images.shape == (12, 1, 28, 28)
    torch.testing.assert_close(train.images[:, 0], torch.from_numpy(pixels).float() / 255)
    assert train.images.dtype == torch.float32
    assert train.labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert test.labels.tolist() == [0, 1, 2, 3, 4]
    assert test.labels.dtype == torch.int64


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_named(tmp_path: Path, file: str) -> None:
    (write(tmp_path) / f"{file}.gz").unlink()
    with pytest.raises(InputError, match=f"{file}.gz is missing"):
        load_mnist(data_dir=tmp_path)


def replaced(folder: Path, file: str, array: npt.NDArray[Any]) -> Path:
    (write(folder) / f"{file}.gz").write_bytes(gzip.compress(idx_bytes(array)))
    return folder


@pytest.mark.parametrize(
    ("file", "array", "words"),
    [
        (FILES[0], np.zeros(12), r"train-images.* holds uint8 \[12\], not pictures"),
        (FILES[2], np.zeros((5, 32, 32)), r"t10k-images.* holds uint8 \[5, 32, 32\], not pictures"),
        (FILES[1], np.zeros((12, 28, 28)), r"train-labels.* holds uint8 \[12, 28, 28\], not labels"),
        (FILES[1], np.zeros(11), "12 pictures and train-labels-idx1-ubyte.gz 11 labels"),
        (FILES[3], np.array([0, 1, 10, 3, 4]), "t10k-labels.* has the label 10"),
    ],
)
def test_wrong_contents_are_named(tmp_path: Path, file: str, array: npt.NDArray[Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_mnist(data_dir=replaced(tmp_path, file, array))


def test_empty_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 pictures"):
        load_mnist(data_dir=write(tmp_path, test=0))


def test_a_published_file_in_another_ones_place_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path) / "t10k-images-idx3-ubyte.gz"
    md5 = "md5:" + hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setitem(mnist.PUBLISHED, md5, "train-images-idx3-ubyte of fashion-mnist")
    with pytest.raises(
        InputError, match=r"t10k-images.* is the train-images-idx3-ubyte of fashion-mnist, not the t10k"
    ):
        load_mnist(data_dir=tmp_path)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match="'emnist'"):
        load_mnist("emnist")  # type: ignore[arg-type]


def test_without_a_network_the_other_ways_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIMODELS_CACHE", str(tmp_path))
    monkeypatch.setitem(mnist.MIRRORS, "mnist", ("http://127.0.0.1:9/",))
    with pytest.raises(InputError, match=r"127.0.0.1: .*--data digits needs no download, and --data-dir"):
        load_mnist()
    with pytest.raises(InputError, match=r"switched off; --data digits"):
        load_mnist(download=False)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_downloads_are_cached_and_a_damaged_one_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str, served: Path
) -> None:
    write(served)
    published = {file: "md5:" + hashlib.md5((served / f"{file}.gz").read_bytes()).hexdigest() for file in FILES}
    monkeypatch.setenv("MINIMODELS_CACHE", str(tmp_path))
    monkeypatch.setitem(mnist.MIRRORS, "mnist", (f"{server}/",))
    monkeypatch.setitem(mnist.CHECKSUMS, "mnist", published)
    first, _ = load_mnist()
    (tmp_path / "mnist" / "train-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    with pytest.raises(InputError, match="switched off"):
        load_mnist(download=False)
    again, _ = load_mnist()
    assert torch.equal(again.labels, first.labels)
    (served / "train-labels-idx1-ubyte.gz").unlink()
    cached, _ = load_mnist(download=False)
    assert torch.equal(cached.images, first.images)


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/mnist is not here")
def test_the_real_files() -> None:
    train, test = load_mnist(data_dir=REAL)
    assert (len(train.labels), len(test.labels)) == (60_000, 10_000)
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert train.images.mean().item() == pytest.approx(0.1307, abs=1e-4)  # the figure that everybody normalises by
    with pytest.raises(InputError, match="train-images-idx3-ubyte of mnist, not the train-images-idx3-ubyte of fash"):
        load_mnist("fashion-mnist", data_dir=REAL)
