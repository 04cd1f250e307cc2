"""Downloads: the right bytes under the name, or the name untouched."""

import errno
import hashlib
import io
import socket
import ssl
import sys
import time
from pathlib import Path
from types import ModuleType

import certifi
import pytest
from tqdm import tqdm

from minimodels.data import cache_folder, fetch
from minimodels.data.download import digest
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
    attempts = []

    class FullDisk(io.BufferedWriter):
        def write(self, block: object) -> int:
            attempts.append(self.name)
            raise OSError(errno.ENOSPC, "No space left on device")

    real = Path.open

    def opened(path: Path, mode: str = "r") -> object:
        return FullDisk(io.FileIO(path, "w")) if mode == "wb" else real(path, mode)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(OSError, match="No space left"):
        fetch([url, url], tmp_path / "data.bin", CHECKSUM)
    assert len(attempts) == 1
    assert not list(tmp_path.iterdir())


def test_certificates_are_those_of_the_system_and_those_of_certifi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = "-----END CERTIFICATE-----\n"
    of_system, of_certifi, *_ = (part + end for part in Path(certifi.where()).read_text(encoding="utf-8").split(end))
    (tmp_path / "system.pem").write_text(of_system, encoding="utf-8")
    (tmp_path / "certifi.pem").write_text(of_certifi, encoding="utf-8")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    monkeypatch.setattr(certifi, "where", lambda: str(tmp_path / "certifi.pem"))
    used: list[ssl.SSLContext] = []

    def refused(*_: object, context: ssl.SSLContext, **__: object) -> None:
        used.append(context)
        raise OSError("refused")

    monkeypatch.setattr("urllib.request.urlopen", refused)
    with pytest.raises(InputError, match="refused"):
        fetch(["https://127.0.0.1/data.bin"], tmp_path / "data.bin", CHECKSUM)
    trusted = set(used[0].get_ca_certs(binary_form=True))
    assert trusted >= {ssl.PEM_cert_to_DER_cert(part[part.index("-----BEGIN") :]) for part in (of_system, of_certifi)}
    assert used[0].verify_mode == ssl.CERT_REQUIRED
    assert used[0].check_hostname


@pytest.mark.parametrize("place", ["terminal", "notebook", "log file"])
def test_a_bar_is_shown_where_somebody_sees_it(
    place: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden: list[bool] = []

    class Bar(tqdm):
        def __init__(self, **settings: object) -> None:
            super().__init__(**settings)
            hidden.append(self.disable)

    monkeypatch.setattr("minimodels.data.download.tqdm", Bar)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: place == "terminal")
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    if place == "notebook":
        monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    fetch([url], tmp_path / "data.bin", CHECKSUM)
    assert hidden == [place == "log file"]


def test_md5_is_no_security_and_works_where_security_forbids_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = hashlib.new

    def strict(name: str, data: bytes = b"", *, usedforsecurity: bool = True) -> object:
        if usedforsecurity:
            raise ValueError("disabled for FIPS")
        return real(name, data, usedforsecurity=False)

    monkeypatch.setattr(hashlib, "new", strict)
    path = tmp_path / "data.bin"
    path.write_bytes(b"abc")
    assert digest(path) == "md5:900150983cd24fb0d6963f7d28e17f72"


def test_the_cache_folder_is_where_the_user_wants_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MINIMODELS_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path.home() / ".cache" / "minimodels"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "minimodels"
    monkeypatch.setenv("MINIMODELS_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
