"""Files from the internet: several mirrors, a progress bar, a checksum, and never a half-written file."""

import hashlib
import http.client
import os
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import certifi
from tqdm.auto import tqdm

from minimodels.errors import InputError
from minimodels.files import replacing

CHUNK = 1 << 16
T = TypeVar("T")


def cache_folder() -> Path:
    """Where downloads are kept: `$MINIMODELS_CACHE`, else `$XDG_CACHE_HOME/minimodels`, else `~/.cache/minimodels`.

    Example:
        >>> import unittest.mock
        >>> with unittest.mock.patch.dict(os.environ, MINIMODELS_CACHE="/data/cache"):
        ...     cache_folder().as_posix()
        '/data/cache'
    """
    if own := os.environ.get("MINIMODELS_CACHE"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "minimodels"


def fetch(
    urls: Sequence[str],
    path: str | os.PathLike[str],
    checksum: str,
    *,
    timeout: float = 20.0,
    remedy: str = "check the connection and try again",
) -> Path:
    """Download a file from the first mirror that gives the right bytes.

    The bytes go to a temporary file and take the name `path` only when their checksum is right, so that what
    stands under `path` is always whole; what stood there before stays until then.

    Args:
        urls: the mirrors, tried in this order.
        path: where the file shall stand; its folder is created when it is missing.
        checksum: algorithm and hexadecimal digest, such as "sha256:9f86d0…" or, where only that was published, "md5:…".
        timeout: seconds of silence after which a mirror is given up.
        remedy: what the user can do if all mirrors fail; the end of the message.

    Returns:
        `path`.

    Raises:
        InputError: no mirror gave the file; the message names each with its reason.
        OSError: the file cannot be written, for example on a full disk.

    See: tests/data/test_download.py

    Example:
        >>> fetch(["http://127.0.0.1:9/data.gz"], "data.gz", "md5:0", remedy="ask for a copy")
        Traceback (most recent call last):
        ...
        minimodels.errors.InputError: data.gz cannot be downloaded (127.0.0.1: ...); ask for a copy.
    """
    path = Path(path)
    failures = []
    for url in urls:
        try:
            with replacing(path) as temporary:
                _download(url, temporary, checksum, timeout, path.name)
            return path
        except _MirrorError as error:
            failures.append(f"{urlsplit(url).hostname}: {error}")
    raise InputError(f"{path.name} cannot be downloaded ({'; '.join(failures)}); {remedy}.")


def digest(path: str | os.PathLike[str], algorithm: str = "md5") -> str:
    """The checksum of a file, in the form that `fetch` takes.

    Args:
        path: the file.
        algorithm: any name that hashlib knows.

    Example:
        >>> digest(os.devnull)
        'md5:d41d8cd98f00b204e9800998ecf8427e'
    """
    with Path(path).open("rb") as file:  # strict systems forbid MD5 for security, which is not what it is for here
        whole = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False))
    return f"{algorithm}:{whole.hexdigest()}"


class _MirrorError(Exception):
    """This mirror did not give the file; the next one may."""


def _download(url: str, path: Path, checksum: str, timeout: float, label: str) -> None:
    """Write what the URL gives to `path`; whatever the network does wrong becomes a `_MirrorError`."""
    request = urllib.request.Request(url, headers={"User-Agent": "minimodels"})
    response = _network(lambda: urllib.request.urlopen(request, timeout=timeout, context=_certificates()))
    announced = response.length or 0
    with response, path.open("wb") as file, _progress(announced, label) as progress:
        while block := _network(lambda: response.read(CHUNK)):
            file.write(block)
            progress.update(len(block))
        received = file.tell()
    if received < announced:
        raise _MirrorError(f"the connection was cut after {received:,} of {announced:,} bytes")
    if digest(path, checksum.partition(":")[0]) != checksum:
        raise _MirrorError("the checksum is not the published one")


def _certificates() -> ssl.SSLContext:
    """Whom to trust: the system's authorities, and certifi's, because python.org's Python on macOS has none."""
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=certifi.where())
    return context


def _network(call: Callable[[], T]) -> T:
    """The result of a call that reads from the network; errors of the disk stay apart and are not caught here."""
    try:
        return call()
    except urllib.error.HTTPError as error:
        error.close()
        raise _MirrorError(f"{error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _MirrorError(" ".join(str(getattr(error, "reason", None) or error).split())) from error  # one line


def _progress(total: int, label: str) -> "tqdm[None]":
    """A bar of bytes on a terminal or in a notebook, nothing in a log file."""
    unseen = not sys.stderr.isatty() and "ipykernel" not in sys.modules
    return tqdm(total=total or None, desc=label, unit="B", unit_scale=True, unit_divisor=1024, disable=unseen)
