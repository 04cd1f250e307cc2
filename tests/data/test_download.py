"""Downloads: the right bytes under the name, or the name untouched."""

import errno
import hashlib
import socket
import time
from pathlib import Path

import pytest

from minimodels.data import cache_folder, fetch
from minimodels.errors import InputError

CONTENT = bytes(range(256)) * 1000
CHECKSUM = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def url(server: str, served: Path) -> str:
    (served / "data.bin").write_bytes(CONTENT)
    return f"{server}/data.bin"


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/data.bin"


def test_the_file_arrives(url: str, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "data.bin"
    assert fetch([url], path, CHECKSUM) == path
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def test_the_second_mirror_helps(url: str, tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    fetch([closed_port(), f"{url}.missing", url.replace("data.bin", "cut/data.bin"), url], path, CHECKSUM)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("{server}/data.bin.missing", "127.0.0.1: 404 "),
        ("{server}/cut/data.bin", "cut after 256,000 of 256,001 bytes"),
        ("{server}/other.bin", "the checksum is not the published one"),
        ("{server}/nonsense", "nonsense"),
        ("{closed}", "refused"),
    ],
)
def test_a_failure_is_explained_and_damages_nothing(
    url: str, served: Path, tmp_path: Path, place: str, reason: str
) -> None:
    (served / "other.bin").write_bytes(CONTENT[:-1] + b"\0")
    path = tmp_path / "data.bin"
    path.write_bytes(b"from before")
    address = place.format(server=url.removesuffix("/data.bin"), closed=closed_port())
    with pytest.raises(InputError, match=rf"data.bin cannot be downloaded \(.*{reason}.*\); ask a friend\.") as caught:
        fetch([address], path, CHECKSUM, remedy="ask a friend")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"from before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_silent_server_is_given_up(tmp_path: Path) -> None:
    start = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(InputError, match="timed out"):
        fetch([f"http://127.0.0.1:{silent.getsockname()[1]}/"], tmp_path / "data.bin", CHECKSUM, timeout=0.1)
    assert time.monotonic() - start < 2


def test_every_mirror_is_named_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\(127.0.0.1: [^;]*; localhost: [^;]*\);"):
        fetch([closed_port(), closed_port().replace("127.0.0.1", "localhost")], tmp_path / "data.bin", CHECKSUM)


def test_a_full_disk_is_no_fault_of_the_mirror(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("minimodels.data.download.tqdm.update", full)  # stands where the disk is written
    with pytest.raises(OSError, match="No space left"):
        fetch([url, url], tmp_path / "data.bin", CHECKSUM)
    assert not list(tmp_path.iterdir())


def test_the_cache_folder_is_where_the_user_wants_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MINIMODELS_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path.home() / ".cache" / "minimodels"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "minimodels"
    monkeypatch.setenv("MINIMODELS_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
