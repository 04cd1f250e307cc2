"""Writing files and folders so that nothing is ever half-written: temporary name, flush to disk, rename."""

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block succeeds, it takes `path`'s place in one atomic step.

    Whoever reads `path` sees the old content or the new one, never a part: POSIX rename(2) within one
    file system is atomic, and the data are on the disk (fsync) before the name points to them.
    If the block raises, the temporary file goes and `path` stays as it was.

    Args:
        path: the file to write; its folder is created when it is missing.

    Raises:
        OSError: it cannot be written; the error names `path` where the system named no file (as for a full disk).

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with replacing(folder / "note.txt") as temporary:
        ...     _ = temporary.write_text("whole")
        >>> (folder / "note.txt").read_text()
        'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path, "part")
    temporary.touch(exist_ok=False)
    mode = temporary.stat().st_mode
    try:
        yield temporary
        temporary.chmod(mode)  # as any new file here: some libraries write files that their owner alone can read
        _flush(temporary, os.O_RDWR)
        temporary.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    _flush_names(path.parent)


@contextmanager
def replacing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary folder beside `path`; when the block succeeds, it takes `path`'s place.

    Files in it are on the disk when the block ends if `replacing` wrote them. A new name appears in one atomic step.
    No system puts a folder in the place of one that is not empty, so an old one first steps aside: `path` is missing
    from then to the next step, and `standing` gives what is whole at any moment.
    If the block raises, the temporary folder goes and `path` stays as it was.

    Args:
        path: the folder to write; the one it lies in is created when it is missing.

    Raises:
        OSError: it cannot be written; the error names `path`, where it would name the temporary folder or nothing.

    See: tests/test_files.py

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with replacing_folder(folder / "state") as temporary:
        ...     write_json(temporary / "a.json", 1)
        >>> [file.name for file in (folder / "state").iterdir()]
        ['a.json']
    """
    path = Path(path)
    made = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    for folder in made:
        _flush_names(folder.parent)
    temporary = _beside(path, "part")
    try:
        temporary.mkdir()
        yield temporary
        _flush_names(temporary)
        _take_place(temporary, path)
    except OSError as error:
        if error.filename is None or str(error.filename).startswith(str(temporary)):
            error.filename = str(path)
        raise
    finally:
        _discard(temporary)
    _flush_names(path.parent)
    for old in _aside(path):
        _discard(old)


def standing(path: str | os.PathLike[str]) -> Path:
    """Where a folder of `replacing_folder` is now: at `path`, or aside, if a process was killed as it replaced it.

    Args:
        path: the folder.

    Example:
        >>> standing("runs/no-such-run") == Path("runs/no-such-run")
        True
    """
    path = Path(path)
    aside = [] if path.exists() else _aside(path)
    return aside[0] if aside else path


def folders(folder: Path) -> list[Path]:
    """The folders in a folder, with those of `replacing_folder` that stand aside at this moment.

    Args:
        folder: where to look; it need not exist.

    Example:
        >>> folders(Path("runs/no-such-run"))
        []
    """
    entries = _entries(folder)
    left = dict(_left(entries))
    whole = (path for path in entries if path.is_dir() and not (path in left and path.suffix == ".part"))
    return sorted({left.get(path, path) for path in whole})


def sweep(folder: Path, prefix: str) -> None:
    """Clear away what killed processes left half-written, and put back what they had only moved aside.

    Args:
        folder: where to look; it need not exist.
        prefix: of the names that nobody else writes at this moment.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / ".state-1.0123abcd.part").mkdir()
        >>> (folder / ".state-1.4567cdef.old").mkdir()
        >>> sweep(folder, "state-")
        >>> [path.name for path in folder.iterdir()]
        ['state-1']
    """
    for left, path in _left(_entries(folder)):
        if path.name.startswith(prefix):
            if left.suffix == ".old" and not path.exists():
                left.rename(path)
            else:
                _discard(left)


def remove_folder(path: Path) -> None:
    """Remove a folder so that no part of it is ever seen under its name.

    Args:
        path: the folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> remove_folder(folder)
        >>> folder.exists()
        False
    """
    temporary = _beside(path, "part")
    path.rename(temporary)
    _discard(temporary)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    r"""Write a value as indented JSON, in one atomic step.

    Args:
        path: the file.
        value: what JSON can hold; NaN and infinity are not among it.

    Raises:
        ValueError: a number is not finite.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "config.json"
        >>> write_json(path, {"epochs": 5})
        >>> path.read_text()
        '{\n  "epochs": 5\n}\n'
    """
    text = json.dumps(value, indent=2, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _take_place(temporary: Path, path: Path) -> None:
    """Rename a folder, over an old one if there is one; if that fails, the old one is put back."""
    if not os.path.lexists(path):
        temporary.rename(path)
        return
    aside = _beside(path, "old")
    path.rename(aside)
    try:
        temporary.rename(path)
    except BaseException:
        aside.rename(path)
        raise


def _discard(path: Path) -> None:
    """Remove what stands under a temporary name; what the system does not let go stays for the next `sweep`."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _beside(path: Path, purpose: str) -> Path:
    """A new name in the same folder, hidden, by which `_left` knows what it was for."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.{purpose}")


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _left(entries: list[Path]) -> list[tuple[Path, Path]]:
    """Those under names of `_beside`, each with the path that it was for."""
    found = [(path, re.fullmatch(r"\.(.+)\.[0-9a-f]{8}\.(part|old)", path.name, re.DOTALL)) for path in entries]
    return [(path, path.with_name(match[1])) for path, match in found if match]


def _aside(path: Path) -> list[Path]:
    """The folders that stepped aside for a new one at `path`."""
    return [left for left, place in _left(_entries(path.parent)) if left.suffix == ".old" and place == path]


def _flush_names(folder: Path) -> None:
    """Force a folder's list of names onto the disk, where the system lets one."""
    if os.name == "posix":  # elsewhere a folder cannot be opened, and the rename is already journaled
        with suppress(OSError):  # some network file systems refuse it; the names are in their place already
            _flush(folder, os.O_RDONLY)


def _flush(path: Path, flags: int) -> None:
    """Force what the system still holds of a file, or of a folder's list of names, onto the disk."""
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
