"""IDX: what is written comes back, and whatever is damaged is one clear error."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minimodels.data import idx, read_idx
from minimodels.errors import InputError

Array = npt.NDArray[Any]
CODES = {np.dtype(name).newbyteorder("="): code for code, name in idx.TYPES.items()}
arrays = st.sampled_from(list(CODES)).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=6))
)


def idx_bytes(array: Array) -> bytes:
    header = struct.pack(f">HBB{array.ndim}i", 0, CODES[array.dtype], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("idx") / "data.idx"


@given(array=arrays, compressed=st.booleans())
def test_every_array_comes_back(path: Path, array: Array, compressed: bool) -> None:
    path.write_bytes(gzip.compress(idx_bytes(array)) if compressed else idx_bytes(array))
    read = read_idx(path)
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, array)


@given(array=arrays, compressed=st.booleans(), data=st.data())
def test_a_file_that_breaks_off_is_refused(path: Path, array: Array, compressed: bool, data: st.DataObject) -> None:
    whole = gzip.compress(idx_bytes(array)) if compressed else idx_bytes(array)
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(InputError, match=r"data\.idx"):
        read_idx(path)


@given(array=arrays, more=st.binary(min_size=1, max_size=9), compressed=st.booleans())
def test_a_file_that_goes_on_is_refused(path: Path, array: Array, more: bytes, compressed: bool) -> None:
    content = idx_bytes(array) + more
    path.write_bytes(gzip.compress(content) if compressed else content)
    with pytest.raises(InputError, match="longer"):
        read_idx(path)


@given(array=arrays, data=st.data())
def test_a_flipped_bit_under_gzip_is_noticed_or_harmless(path: Path, array: Array, data: st.DataObject) -> None:
    damaged = bytearray(gzip.compress(idx_bytes(array)))
    place = data.draw(st.integers(0, len(damaged) - 1))
    damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(damaged)
    try:
        read = read_idx(path)
    except InputError:
        return
    np.testing.assert_array_equal(read, array)  # gzip's header has bytes that carry nothing, such as the time


@given(content=st.binary(max_size=60))
def test_any_bytes_give_an_array_or_one_clear_error(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        read = read_idx(path)
    except InputError:
        return
    assert idx_bytes(read) == content


@given(
    sizes=st.lists(st.just(2**31 - 1) | st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=5),
    code=st.sampled_from(list(idx.TYPES)),
)
def test_a_header_alone_cannot_claim_memory(path: Path, sizes: list[int], code: int) -> None:
    path.write_bytes(struct.pack(f">HBB{len(sizes)}i", 0, code, len(sizes), *sizes))
    try:
        read = read_idx(path)
    except InputError:
        return
    assert read.shape == tuple(sizes)
    assert read.size == 0


def test_more_than_the_limit_is_refused_before_it_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(idx_bytes(np.zeros(20, np.uint8)))
    monkeypatch.setattr(idx, "LIMIT", 20)
    assert read_idx(path).size == 20
    monkeypatch.setattr(idx, "LIMIT", 19)
    with pytest.raises(InputError, match=r"impossible sizes \[20\]"):
        read_idx(path)


def test_huge_sizes_beside_an_empty_one(path: Path) -> None:
    path.write_bytes(struct.pack(">HBB5i", 0, 8, 5, 0, *[2**31 - 1] * 4))
    with pytest.raises(InputError, match="impossible sizes"):
        read_idx(path)


def test_a_bomb_is_cut_at_its_announced_size(path: Path) -> None:
    path.write_bytes(gzip.compress(idx_bytes(np.zeros(10, np.uint8)) + bytes(50_000_000), compresslevel=1))
    with pytest.raises(InputError, match="longer than the 10 bytes"):
        read_idx(path)


def test_more_dimensions_than_an_array_can_have(path: Path) -> None:
    path.write_bytes(struct.pack(">HBB255i", 0, 8, 255, *[1] * 255) + b"\0")
    with pytest.raises(InputError, match="impossible sizes"):
        read_idx(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "begins with nothing"),
        (b"<!DOCTYPE html>", "begins with 3c 21 44 4f"),
        (bytes([0, 0, 7, 1, 0, 0, 0, 0]), "not an IDX file"),
        (bytes([0, 0, 8, 0]), "not an IDX file"),
        (b"\x1f\x8bnot really gzip", "gzip data are damaged"),
    ],
)
def test_files_of_another_kind(path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_idx(path)


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.idx: cannot be read"):
        read_idx(tmp_path / "nothing.idx")
    with pytest.raises(InputError, match="cannot be read"):
        read_idx(tmp_path)
