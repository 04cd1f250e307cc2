"""Writing files so that nothing is ever half-written: temporary name, flush to disk, rename."""

import json
import os
import secrets
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
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
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
    if os.name == "posix":  # elsewhere a folder cannot be opened, and the rename is already journaled
        with suppress(OSError):  # some network file systems refuse it; the file is in its place already
            _flush(path.parent, os.O_RDONLY)


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


def _flush(path: Path, flags: int) -> None:
    """Force what the system still holds of a file, or of a folder's list of names, onto the disk."""
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
