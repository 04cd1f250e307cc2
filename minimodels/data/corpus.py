"""Texts of one's own to learn writing from: a file or a folder of .txt, .json and .jsonl."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minimodels.data.texts import lines_of, read_text
from minimodels.errors import InputError

FIELDS = ("title", "chapter", "author", "text", "abstract", "content", "paragraphs")
"""What is read of a JSON object, in this order; its other fields, such as tags and ids, are not text."""

KINDS = (".txt", ".json", ".jsonl")


def read_corpus(path: Path) -> list[str]:
    r"""The texts in a file, or in all files of a folder, in the order of their names.

    A .txt file is one text. A .json file holds texts, or objects with texts under `FIELDS`: lists of strings in an
    object are the lines of one text, and objects in an object are texts of their own. A .jsonl file has a value of that
    kind in every line. A single file of any other name is taken to be plain text.

    Args:
        path: the file; or a folder, whose own folders are not looked into.

    Returns:
        The texts that are more than white space, one at least.

    Raises:
        InputError: there is no such file or folder, there is no text in it, or a file is not UTF-8 or not JSON.

    See: tests/data/test_corpus.py

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.txt").write_text("plain")
        >>> _ = (folder / "b.json").write_text('[{"title": "Night", "paragraphs": ["It was", "dark."], "id": "x1"}]')
        >>> read_corpus(folder)
        ['plain', 'Night\nIt was\ndark.']
    """
    files = sorted(each for each in path.iterdir() if each.suffix in KINDS) if path.is_dir() else [path]
    texts = [text for file in files for text in _texts(file) if text.strip()]
    if not texts:
        found = "has no .txt, .json or .jsonl file" if not files else "holds no text"
        raise InputError(f"{path}: {found}; give something to read.")
    return texts


def _texts(path: Path) -> Iterator[str]:
    """The texts of one file."""
    text = read_text(path)
    if path.suffix == ".json":
        yield from _parsed(text, str(path))
    elif path.suffix == ".jsonl":
        for number, line in enumerate(lines_of(text), start=1):
            if line.strip():
                yield from _parsed(line, f"{path}, line {number}")
    else:
        yield text


def _parsed(text: str, source: str) -> list[str]:
    """The texts in a piece of JSON."""
    try:
        return list(_documents(json.loads(text)))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source}: is not JSON ({error}); repair it, or give plain text as .txt.") from None


def _documents(value: Any) -> Iterator[str]:
    """The texts that a JSON value holds."""
    if isinstance(value, str):
        yield value.encode(errors="replace").decode()  # JSON can hold halves of signs, which no file of text can
    elif isinstance(value, list):
        for each in value:
            yield from _documents(each)
    elif isinstance(value, dict):
        parts = [value[name] for name in FIELDS if name in value]
        yield "\n".join(line for part in parts for line in _lines(part))
        for part in parts:
            if isinstance(part, list | dict):
                yield from _inner(part)


def _lines(part: Any) -> Iterator[str]:
    """The strings of a field."""
    for each in part if isinstance(part, list) else [part]:
        if isinstance(each, str):
            yield from _documents(each)


def _inner(part: Any) -> Iterator[str]:
    """The texts of the objects in a field."""
    for each in part if isinstance(part, list) else [part]:
        if not isinstance(each, str):
            yield from _documents(each)
