"""Reviews: three data sets from their own files, and an archive that is never unpacked."""

import io
import tarfile
from pathlib import Path

import pytest

from minimodels.data import load_reviews, reviews
from minimodels.errors import InputError

SHARED = Path(__file__).parents[3] / "shared" / "data" / "sentiment"
needs_files = pytest.mark.skipif(not SHARED.is_dir(), reason="the real reviews are not beside this checkout")
REVIEWS = {f"{part}/{kind}/{n}.txt": f"{kind} {part} {n}" for part in ("train", "test") for kind in ("neg", "pos")
           for n in (1, 2)}  # fmt: skip


def archive(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


@needs_files
def test_the_real_files() -> None:
    train, dev = load_reviews("sst2", SHARED)
    assert (len(train.texts), len(dev.texts)) == (6920, 872)
    assert (int(train.labels.sum()), train.names) == (3610, ("negative", "positive"))
    train, test = load_reviews("rt-polarity", SHARED)
    assert (len(train.texts), len(test.texts)) == (2 * (5331 - 533), 2 * 533)
    assert not set(train.texts) & set(test.texts) or len(set(train.texts) & set(test.texts)) < 10


def test_imdb_from_a_folder_or_from_its_archive(tmp_path: Path) -> None:
    for name, text in REVIEWS.items():
        (tmp_path / "plain" / "aclImdb" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "plain" / "aclImdb" / name).write_text(text)
    packed = tmp_path / "packed"
    packed.mkdir()
    files = {f"aclImdb/{name}": text for name, text in REVIEWS.items()}
    archive(packed / "aclImdb_v1.tar.gz", files | {"aclImdb/train/unsup/1.txt": "?", "../evil.txt": "x"})
    for folder in (tmp_path / "plain", tmp_path / "plain" / "aclImdb", packed):
        train, test = load_reviews("imdb", folder)
        assert train.texts == ["neg train 1", "neg train 2", "pos train 1", "pos train 2"]
        assert test.labels.tolist() == [0, 0, 1, 1]
    assert not list(tmp_path.rglob("evil.txt"))
    assert [path.name for path in packed.iterdir()] == ["aclImdb_v1.tar.gz"]


def test_without_a_folder_imdb_is_downloaded_with_its_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(urls: tuple[str, ...], path: Path, checksum: str, remedy: str) -> None:
        asked.append((urls, checksum))
        path.parent.mkdir(parents=True)
        archive(path, {f"aclImdb/{name}": text for name, text in REVIEWS.items()})

    monkeypatch.setattr(reviews, "fetch", fetch)
    monkeypatch.setattr(reviews, "cache_folder", lambda: tmp_path)
    for _ in range(2):  # the second time it is there
        assert len(load_reviews("imdb")[0].texts) == 4
    assert asked == [(reviews.IMDB_URLS, "md5:7c2ac02c03563afcf9b574c7e56c153a")]


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sst2: give the folder that holds its files with --data-dir"):
        load_reviews("sst2")
    with pytest.raises(InputError, match=r"sst2-train.tsv: there is no such file"):
        load_reviews("sst2", tmp_path)
    with pytest.raises(InputError, match="has no folder aclImdb and no aclImdb_v1"):
        load_reviews("imdb", tmp_path)
    (tmp_path / "aclImdb_v1.tar.gz").write_bytes(b"\x1f\x8b\x08 no archive")
    with pytest.raises(InputError, match="is damaged"):
        load_reviews("imdb", tmp_path)
    archive(tmp_path / "aclImdb_v1.tar.gz", {"aclImdb/train/neg/1.txt": "x"})
    with pytest.raises(InputError, match="lacks the reviews of train"):
        load_reviews("imdb", tmp_path)
    (tmp_path / "rt-polarity.neg").write_text("dull\n\nworse\n")
    with pytest.raises(InputError, match=r"rt-polarity.neg, line 2: the text is empty"):
        load_reviews("rt-polarity", tmp_path)
