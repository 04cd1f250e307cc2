"""A state on disk comes back to the last bit; damage is noticed wherever it is; a failure leaves what was there."""

import json
import os
import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.checkpoint import StateError, check_state, pieces, read_state, write_state
from minimodels.checkpoint.manifest import STATE
from minimodels.errors import InputError
from tests.checkpoint.trees import assert_same, states

EXAMPLE: dict[str, Any] = {
    "model": {"weight": torch.arange(6.0).reshape(2, 3), "half": torch.ones(5, dtype=torch.bfloat16)},
    "optimizer": {"state": {0: {"step": torch.tensor(7.0)}}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.95)}]},
    "rng": torch.arange(40, dtype=torch.uint8),
    "best": float("inf"),
    "done": None,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a state."""
    write_state(tmp_path / "state", EXAMPLE)
    return tmp_path / "state"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@given(state=states, largest=st.sampled_from([1, 16, 1 << 30]))
def test_what_is_written_comes_back(tmp_path_factory: pytest.TempPathFactory, state: Any, largest: int) -> None:
    folder = tmp_path_factory.mktemp("state")
    with mock.patch.object(pieces, "LARGEST", largest):
        write_state(folder / "a", state)
    assert_same(read_state(folder / "a"), state)
    check_state(folder / "a")
    write_state(folder / "a", EXAMPLE)  # over another one
    assert_same(read_state(folder / "a"), EXAMPLE)
    assert names(folder) == ["a"]


def test_tensors_that_look_at_the_same_memory_in_other_ways(tmp_path: Path) -> None:
    numbers, square = torch.tensor([1 + 2j, 3 - 4j]), torch.arange(4.0).reshape(2, 2)
    views = {"plain": numbers, "conjugate": numbers.conj(), "imaginary": numbers.conj().imag, "real": numbers.real}
    state = {
        **views,
        "one": torch.tensor([1 + 2j]).conj().imag,
        "square": square,
        "turned": square.t(),
        "bits": square.view(torch.int32),
        "__metadata__": square[0],
    }
    write_state(tmp_path / "a", state)
    assert_same(read_state(tmp_path / "a"), state)


def test_a_state_without_numbers_is_one_file(tmp_path: Path) -> None:
    state = {"step": 3, "empty": torch.zeros(0, 2)}
    write_state(tmp_path / "a", state)
    assert names(tmp_path / "a") == [STATE]
    assert_same(read_state(tmp_path / "a"), state)


@pytest.mark.skipif(os.name != "posix", reason="folders are flushed on POSIX alone")
def test_all_is_on_the_disk_before_the_folder_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed, flush, rename = set(), os.fsync, Path.rename
    renamed = []

    def note_flush(handle: int) -> None:
        flushed.add(os.fstat(handle).st_ino)
        flush(handle)

    def note_rename(path: Path, target: Path) -> Path:
        assert {path.stat().st_ino, *(file.stat().st_ino for file in path.iterdir())} <= flushed
        renamed.append(target)
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note_flush)
    monkeypatch.setattr(Path, "rename", note_rename)
    write_state(tmp_path / "a", EXAMPLE)
    assert renamed == [tmp_path / "a"]
    assert tmp_path.stat().st_ino in flushed


def test_tensors_are_in_memory_of_their_own(folder: Path) -> None:
    state = read_state(folder)
    shutil.rmtree(folder)
    assert_same(state, EXAMPLE)
    state["model"]["weight"] += 1


def test_a_tensor_that_a_tree_has_twice_is_written_once(tmp_path: Path) -> None:
    large = torch.randn(1000)
    write_state(tmp_path / "a", {"a": large, "b": {"tied": large.view(1000)}, "turned": large.view(10, 100).t()})
    size = sum(path.stat().st_size for path in (tmp_path / "a").iterdir())
    assert 8000 < size < 11_000
    state = read_state(tmp_path / "a")
    state["a"].zero_()
    assert torch.equal(state["b"]["tied"], large)


def test_a_file_is_full_at_some_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "LARGEST", 100)
    write_state(tmp_path / "a", {str(number): torch.zeros(10) for number in range(5)} | {"large": torch.zeros(99)})
    files = [path for path in names(tmp_path / "a") if path != STATE]
    assert files == [f"tensors-00000-0000{number}.safetensors" for number in (1, 2, 3, 4)]


def test_the_same_state_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_state(tmp_path / "again", EXAMPLE)
    assert names(folder) == names(tmp_path / "again")
    for name in names(folder):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_tensors_to_be_filled(folder: Path) -> None:
    asked = []
    weight = torch.nn.Parameter(torch.full((3, 2), -1.0).t())

    def like(place: Any, shape: torch.Size, dtype: torch.dtype) -> torch.Tensor | None:
        asked.append((place, shape, dtype))
        return weight if place == ("model", "weight") else None

    state = read_state(folder, like)
    assert state["model"]["weight"] is weight
    assert_same({**state, "model": {**state["model"], "weight": weight.detach()}}, EXAMPLE)
    assert (("optimizer", "state", 0, "step"), torch.Size([]), torch.float32) in asked
    assert len(asked) == 4


@pytest.mark.parametrize("wrong", [torch.zeros(2, 4), torch.zeros(2, 3, dtype=torch.float64)])
def test_a_tensor_to_be_filled_that_does_not_fit(folder: Path, wrong: torch.Tensor) -> None:
    words = re.escape(f"model.weight is torch.float32 [2, 3], not {wrong.dtype} {[*wrong.shape]}")
    with pytest.raises(InputError, match=words):
        read_state(folder, lambda place, shape, dtype: wrong if place == ("model", "weight") else None)


def refused(folder: Path) -> str:
    """The sentence about a damaged state, which is the same from both that look."""
    with pytest.raises(StateError) as caught:
        read_state(folder)
    with pytest.raises(StateError, match=re.escape(str(caught.value))):
        check_state(folder)
    sentence = str(caught.value)
    assert sentence.startswith(f"{folder}: ")
    assert re.search(r"; [^;]+\.$", sentence)
    return sentence


@given(place=st.integers(0), bit=st.integers(0, 7))
@pytest.mark.parametrize("name", [STATE, "tensors-00000-00001.safetensors"])
def test_a_flipped_bit_is_noticed(tmp_path_factory: pytest.TempPathFactory, name: str, place: int, bit: int) -> None:
    folder = tmp_path_factory.mktemp("flip") / "a"
    write_state(folder, EXAMPLE)
    content = bytearray((folder / name).read_bytes())
    content[place % len(content)] ^= 1 << bit
    (folder / name).write_bytes(content)
    assert f"its {name} is damaged" in refused(folder)


@given(cut=st.integers(0), more=st.binary(max_size=9))
@pytest.mark.parametrize("name", [STATE, "tensors-00000-00001.safetensors"])
def test_another_length_is_noticed(tmp_path_factory: pytest.TempPathFactory, name: str, cut: int, more: bytes) -> None:
    folder = tmp_path_factory.mktemp("cut") / "a"
    write_state(folder, EXAMPLE)
    content = (folder / name).read_bytes()
    changed = content[: cut % len(content)] + more
    if changed != content:
        (folder / name).write_bytes(changed)
        refused(folder)


@pytest.mark.parametrize("name", [STATE, "tensors-00000-00001.safetensors"])
@pytest.mark.parametrize("kind", ["missing", "folder", "of another state"])
def test_a_file_that_is_not_there(folder: Path, tmp_path: Path, name: str, kind: str) -> None:
    (folder / name).unlink()
    match kind:
        case "folder":
            (folder / name).mkdir()
        case "of another state":
            write_state(tmp_path / "other", {**EXAMPLE, "rng": EXAMPLE["rng"] + 1, "epoch": 3})
            shutil.copy(tmp_path / "other" / name, folder / name)
    expected = "is damaged" if kind == "of another state" else f"lacks {name}"
    if name == STATE and kind == "of another state":
        expected = "its tensors-00000-00001.safetensors is damaged"
    assert expected in refused(folder)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"[" * 100_000, b"\xff", b'{"crc32":"00000001",', b"null"])
def test_a_description_that_is_none(folder: Path, content: bytes) -> None:
    (folder / STATE).write_bytes(content)
    assert f"its {STATE} is damaged, or not one of minimodels" in refused(folder)


def forge(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a state's description says, with a checksum that is right."""
    about = json.loads((folder / STATE).read_bytes())
    del about["crc32"]
    change(about)
    rest = json.dumps(about)[1:].encode()
    (folder / STATE).write_bytes(b'{"crc32":"%08x",' % zlib.crc32(rest) + rest)


@pytest.mark.parametrize(
    "change",
    [
        lambda about: about.clear(),
        lambda about: about.update(format="1"),
        lambda about: about.update(format=None),
        lambda about: about.update(files=[]),
        lambda about: about["files"].update({"../other.safetensors": 3}),
        lambda about: about["files"].update({"run.py": 3}),
        lambda about: about["files"].update({"tensors-00000-00001.safetensors": "3"}),
        lambda about: about.update(tensors=None),
        lambda about: about["tensors"].clear(),
        lambda about: about["tensors"]["rng"].update(dtype="nn"),
        lambda about: about["tensors"]["rng"].update(dtype="load"),
        lambda about: about["tensors"]["rng"].update(dtype=["uint8"]),
        lambda about: about["tensors"]["rng"].update(shape=[-40]),
        lambda about: about["tensors"]["rng"].update(shape=[-1, 0], pieces=[]),
        lambda about: about["tensors"]["rng"].update(shape=[40.0]),
        lambda about: about["tensors"]["rng"].update(shape=[10**30]),
        lambda about: about["tensors"]["rng"].update(shape=[41]),
        lambda about: about["tensors"]["rng"].update(pieces=[]),
        lambda about: about["tensors"]["rng"].update(pieces=[["tensors-00000-00001.safetensors", [1], [40]]]),
        lambda about: about["tensors"]["rng"].update(pieces=[["tensors-00000-00009.safetensors", [0], [40]]]),
        lambda about: about["tensors"]["rng"].update(pieces=[["tensors-00000-00001.safetensors", [0, 0], [40, 1]]]),
        lambda about: about.update(state=[1]),
        lambda about: about.update(state={"items": [[[], 1]]}),
        lambda about: about.update(state={"items": 3}),
        lambda about: about.update(state={"dict": {"a": {"tensor": "b"}}}),
        lambda about: about.update(state={"dict": {"a": {"float": "zz"}}}),
        lambda about: about.update(state={"dict": {"a": {"call": "os.system"}}}),
    ],
)
def test_a_forged_description_is_refused(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    forge(folder, change)
    assert f"its {STATE} describes no state" in refused(folder)


def test_a_forged_description_of_other_tensors(folder: Path) -> None:
    forge(folder, lambda about: about["tensors"]["rng"].update(dtype="int8"))
    assert "holds other tensors than its state.json says" in refused(folder)


def test_memory_is_not_taken_for_what_is_not_there(folder: Path) -> None:
    huge = {"shape": [10**15], "pieces": [["tensors-00000-00001.safetensors", [0], [10**15]]]}
    forge(folder, lambda about: about["tensors"]["rng"].update(huge))
    assert "its files are too short for its tensors" in refused(folder)


def test_a_nesting_without_end(folder: Path) -> None:
    rest = b'"format":1,"state":' + b'{"tuple":[' * 100_000
    (folder / STATE).write_bytes(b'{"crc32":"%08x",' % zlib.crc32(rest) + rest)
    assert "describes no state" in refused(folder)


def test_a_later_version(folder: Path) -> None:
    forge(folder, lambda about: about.update(format=2, minimodels="9.9"))
    assert "was written by minimodels 9.9 in a newer format; upgrade minimodels." in refused(folder)


def test_no_folder(tmp_path: Path) -> None:
    assert "there is no such folder" in refused(tmp_path / "nothing")


def test_a_tree_that_cannot_be_kept_leaves_the_old_one(folder: Path) -> None:
    with pytest.raises(InputError, match="a is of type set"):
        write_state(folder, {"a": set()})
    assert_same(read_state(folder), EXAMPLE)
    assert names(folder.parent) == ["state"]


def test_a_file_that_outgrows_its_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "LARGEST", 4000)
    resource = pytest.importorskip("resource", reason="limits on file sizes are POSIX's")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(InputError, match=r"state.tensors-00000-00002\.safetensors: cannot be written"):
            write_state(folder, {"a": torch.zeros(900), "b": torch.zeros(1100)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_same(read_state(folder), EXAMPLE)
    assert names(folder.parent) == ["state"]
