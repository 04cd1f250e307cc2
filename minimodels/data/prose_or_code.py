"""Prose or code? Real text that every Python brings along: the documentation of its topics, and its own library."""

import ast
import functools
import io
import sysconfig
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

from minimodels.data.order import permutation
from minimodels.data.texts import TextSet, joined, windows
from minimodels.data.topics import load_topics
from minimodels.errors import InputError

WINDOW = 128
"""Characters in a text."""

PER_FILE = 64
"""At most so many texts are cut from one source file, so that no large file stands for all code."""

TEST_FILES = 5
"""Every fifth topic, and every fifth source file, is for testing."""


@functools.cache
def load_prose_or_code() -> tuple[TextSet, TextSet]:
    """Windows of 128 characters, half of them prose and half of them code, split by what they were cut from.

    Prose (label 0) are the topics of `pydoc_data`, what `help("if")` shows; code (label 1) are the modules of the
    standard library without comments and docstrings. A topic or a file is in the training set or in the test set as
    a whole, so that nothing of what is tested was seen in training. How many there are depends a little on the version
    of Python; of each kind there are equally many.

    Returns:
        (train, test)

    Raises:
        InputError: this Python comes without its documentation or without its sources.

    See: tests/data/test_prose_or_code.py

    Example:
        >>> train, test = load_prose_or_code()
        >>> {len(text) for text in train.texts}, train.names
        ({128}, ('prose', 'code'))
    """
    prose, code = _parts(load_topics(), None), _parts(_modules(), PER_FILE)
    sets = []
    for prose_windows, code_windows in zip(prose, code, strict=True):
        count = min(len(prose_windows), len(code_windows))
        sets.append(joined([_spread(prose_windows, count), _spread(code_windows, count)], ("prose", "code")))
    return sets[0], sets[1]


def stripped(source: str) -> str:
    r"""Python code without its comments and docstrings; all else stays as it was written.

    Args:
        source: of a module.

    Raises:
        SyntaxError: it is not Python.

    Example:
        >>> stripped('def f(x):\n    "Say it."\n    return x  # as it is\n')
        'def f(x):\n    return x\n'
    """
    lines = io.StringIO(source).readlines()  # as `tokenize` counts them: a form feed ends none
    for (first, begin), (last, end) in sorted(_spoken(source), reverse=True):  # from the end: places before stay true
        lines[first - 1 : last] = [lines[first - 1][:begin] + lines[last - 1][end:]]
    kept = (line.rstrip() for line in lines)
    return "".join(f"{line}\n" for line in kept if line)


def _spoken(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where people speak in a module, (line, character) to (line, character): its comments and its docstrings."""
    documented = {
        node.body[0].lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node, clean=False) is not None
    }
    opened = False  # a docstring of several strings in a row is spoken as a whole
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        opened = token.type == tokenize.STRING and (opened or token.start[0] in documented)
        if opened or token.type == tokenize.COMMENT:
            yield token.start, token.end


def _modules() -> Iterator[str]:
    """The modules of the standard library that are one file and not private, in the order of their names."""
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("[a-z]*.py"))
    if not paths:
        raise InputError(
            "prose-or-code: this Python has no sources of its library; use another Python, or give texts of your own."
        )
    for path in paths:
        yield stripped(path.read_text(encoding="utf-8"))


def _parts(sources: Iterable[str], most: int | None) -> tuple[list[str], list[str]]:
    """The windows of the sources for training, and of those for testing; sources are mixed in a fixed order first."""
    whole = list(sources)
    parts: tuple[list[str], list[str]] = ([], [])
    for place, number in enumerate(permutation(len(whole), seed=0).tolist()):
        pieces = list(windows(whole[number], WINDOW))
        parts[place % TEST_FILES == 0].extend(pieces if most is None else _spread(pieces, most))
    return parts


def _spread(pieces: list[str], count: int) -> list[str]:
    """So many of the pieces, in even distances."""
    if len(pieces) <= count:
        return pieces
    return [pieces[place * len(pieces) // count] for place in range(count)]
