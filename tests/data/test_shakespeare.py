"""Tiny Shakespeare: from a folder, from the cache, from the network, and nothing else in its place."""

from pathlib import Path

import pytest

from minimodels.data import load_shakespeare, shakespeare
from minimodels.data.download import digest
from minimodels.errors import InputError

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "tinyshakespeare"
real = pytest.mark.skipif(not FOLDER.is_dir(), reason="needs ../shared/data/tinyshakespeare")


@real
def test_the_text() -> None:
    text = load_shakespeare(FOLDER)
    assert len(text) == 1_115_394
    assert len(set(text)) == 65
    assert text.startswith("First Citizen:\nBefore we proceed any further, hear me speak.\n")


def test_downloaded_once(tmp_path: Path, served: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (served / "input.txt").write_text("To be")
    monkeypatch.setenv("MINIMODELS_CACHE", str(tmp_path))
    monkeypatch.setattr(shakespeare, "URLS", (f"{server}/input.txt",))
    monkeypatch.setattr(shakespeare, "CHECKSUM", digest(served / "input.txt", "sha256"))
    assert load_shakespeare() == "To be"
    cached = tmp_path / "tinyshakespeare" / "input.txt"
    cached.write_text("To bee")  # is noticed
    assert load_shakespeare() == "To be"
    (served / "input.txt").unlink()
    assert load_shakespeare() == "To be"
    cached.unlink()
    with pytest.raises(InputError, match=r"input.txt cannot be downloaded .* give its folder as --data-dir"):
        load_shakespeare()


def test_folders_that_do_not_hold_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--data-dir .*: has no input.txt"):
        load_shakespeare(tmp_path)
    (tmp_path / "input.txt").write_text("First Citizen:")
    with pytest.raises(InputError, match="is not Tiny Shakespeare as published"):
        load_shakespeare(tmp_path)


@pytest.mark.network
@real
def test_the_mirror_gives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIMODELS_CACHE", str(tmp_path))
    assert load_shakespeare() == load_shakespeare(FOLDER)
