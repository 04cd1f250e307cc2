"""Writing files so that nothing is ever half-written: temporary name, flush to disk, rename."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block succeeds, it takes `path`'s place in one atomic step.

    Whoever reads `path` sees the old content or the new one, never a part: POSIX rename(2) within one
    file system is atomic, and the data are on the disk (fsync) before the name points to them.
    If the block raises, the temporary file goes and `path` stays as it was.

    Args:
        path: the file to write; its folder is created when it is missing.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> with replacing(folder / "note.txt") as temporary:
        ...     _ = temporary.write_text("whole")
        >>> (folder / "note.txt").read_text()
        'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _flush(temporary)
        temporary.chmod(_default_mode())
        temporary.replace(path)
        if os.name == "posix":  # elsewhere a folder cannot be opened, and the rename is already journaled
            _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Force what the system still holds of a file, or of a folder's list of names, onto the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _default_mode() -> int:
    """The mode that an ordinary open() would give; mkstemp's private 0600 would surprise."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
