"""What is read: a file or a text that is not what it should be is named in one sentence."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minimodels.errors import InputError


@contextmanager
def naming(source: str | os.PathLike[str]) -> Iterator[None]:
    """What is wrong with a vocabulary that was read is said with the name of its file.

    Args:
        source: the file.

    Raises:
        InputError: as in the block, the file's name before it.

    Example:
        >>> with naming("vocab.json"):
        ...     raise InputError("two tokens have the same number.")
        Traceback (most recent call last):
        ...
        minimodels.errors.InputError: vocab.json: two tokens have the same number.
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def read_bytes(path: Path) -> bytes:
    """What a file holds.

    Args:
        path: the file.

    Raises:
        InputError: it cannot be read, or it is empty.

    See: tests/text/test_reading.py
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from None
    if not content.strip():
        raise InputError(f"{path}: is empty; get the file again.")
    return content


def read_text(path: Path) -> str:
    """The text of a file in UTF-8.

    Args:
        path: the file.

    Raises:
        InputError: it cannot be read, is empty, or is not UTF-8.
    """
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start}); get the file again.") from None


def read_json(path: Path) -> Any:
    """The value in a JSON file.

    Args:
        path: the file.

    Raises:
        InputError: it cannot be read, is empty, or is not JSON in UTF-8.
    """
    try:
        return json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON ({error}); get the file again.") from None


def checked(text: str) -> str:
    r"""The text, when it can be written in UTF-8.

    Args:
        text: any.

    Raises:
        InputError: it holds half a surrogate pair, or is no text at all.

    Example:
        >>> checked("half a pair: \ud83d")
        Traceback (most recent call last):
        ...
        minimodels.errors.InputError: the text holds half a surrogate pair, U+D83D, at position 13, ...
    """
    try:
        text.encode("utf-8")
    except AttributeError:
        raise InputError(f"a text has to be a str, but {type(text).__name__} was given.") from None
    except UnicodeEncodeError as error:
        raise InputError(
            f"the text holds half a surrogate pair, U+{ord(text[error.start]):04X}, at position {error.start}, which "
            'is no character; read the text as UTF-8, or put "\\ufffd" in its place.'
        ) from None
    return text
