"""A text as numbers on disk: encoded once, and from then on read from where it lies.

A file is one line of JSON, padded to 512 bytes, that `head -1` shows, and the numbers of the tokens behind it: two
bytes each where the vocabulary allows (65,536 tokens), else four. It is mapped into memory, not read: the system
fetches the pages that a batch touches, and may drop them again.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from minimodels.errors import InputError
from minimodels.files import replacing

FORMAT = 1
HEADER = 512
"""Bytes before the first token."""

PIECE = 1 << 20
"""Characters that are encoded at once, so that the numbers of a long text are never in memory together."""

Tokens = npt.NDArray[np.uint16] | npt.NDArray[np.uint32] | npt.NDArray[np.int64]


def token_file(
    folder: Path,
    text: str,
    encode: Callable[[str], Sequence[int] | npt.NDArray[np.int64]],
    *,
    tokenizer: str,
    vocab_size: int,
) -> Tokens:
    """The tokens of a text, memory-mapped; they are encoded unless the folder holds them already.

    A file is named after what it is made of (text, tokenizer, format), and its first line says so again: what was
    made of another text or by another tokenizer, cut short, or written by somebody else, is noticed and made anew. It
    appears in one atomic step, so two runs may ask for the same tokens at the same moment.

    Args:
        folder: where such files are kept; it is made when it is missing.
        text: what to encode.
        encode: text → numbers of tokens. It is called for one piece of the text after another, cut before line ends,
            which no tokenizer joins to a letter before them.
        tokenizer: what tells this tokenizer from all others, such as a checksum of its vocabulary.
        vocab_size: tokens that it knows.

    Returns:
        The numbers, [L], of uint16 or uint32, which cannot be written to.

    Raises:
        InputError: the text is empty, or the tokenizer gave a number outside of its vocabulary.

    Cost: the first time what the tokenizer costs; later one checksum of the text.

    See: `RandomWindows`, which draws from them; tests/data/test_tokens.py

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> token_file(folder, "abba", lambda text: [ord(sign) for sign in text], tokenizer="ASCII", vocab_size=128)
        memmap([97, 98, 98, 97], dtype=uint16)
    """
    about = {
        "format": FORMAT,
        "tokenizer": tokenizer,
        "dtype": "uint16" if vocab_size <= 1 << 16 else "uint32",
        "text": hashlib.sha256(text.encode()).hexdigest(),
    }
    name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"{name}.bin"
    tokens = _mapped(path, about)
    if tokens is None:
        _write(path, about, (_numbers(encode(piece), vocab_size) for piece in pieces(text)))
        tokens = _mapped(path, about)
    if tokens is None:
        raise InputError("a text without a single token has nothing to learn from; give a longer one.")
    return tokens


def pieces(text: str, size: int = PIECE) -> Iterator[str]:
    r"""Cut a text into pieces whose tokens, one behind the other, are those of the whole.

    A cut lies between a sign that is no white space and a line end: byte-level BPE puts the two into different words.

    Args:
        text: what to cut.
        size: characters that a piece has at least; the last one may be shorter.

    Example:
        >>> list(pieces("one\n\ntwo\nthree\n", 4))
        ['one\n\ntwo', '\nthree', '\n']
    """
    start = 0
    while cut := _CUT.search(text, start + size):
        yield text[start : cut.start()]
        start = cut.start()
    if start < len(text):
        yield text[start:]


_CUT = re.compile(r"(?<=\S)\n")


def _numbers(ids: Sequence[int] | npt.NDArray[np.int64], vocab_size: int) -> npt.NDArray[np.int64]:
    """The ids as an array, once they are found to be of the vocabulary."""
    numbers = np.asarray(ids, dtype=np.int64)
    strange = numbers[(numbers < 0) | (numbers >= vocab_size)]
    if len(strange):
        raise InputError(f"the tokenizer gave the number {strange[0]}, but its vocabulary has {vocab_size} tokens.")
    return numbers


def _write(path: Path, about: dict[str, Any], parts: Iterator[npt.NDArray[np.int64]]) -> None:
    """The header, once it is known how many tokens there are, and the tokens."""
    count = 0
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(b" " * HEADER)
        for numbers in parts:
            file.write(numbers.astype(_layout(about)).tobytes())
            count += len(numbers)
        file.seek(0)
        file.write(_header({**about, "tokens": count}))


def _mapped(path: Path, about: dict[str, Any]) -> Tokens | None:
    """The tokens of a file whose header says what it should; None where there is no such file, or it is not whole."""
    try:
        with path.open("rb") as file:
            header = file.read(HEADER)
            size = file.seek(0, 2) - HEADER
    except FileNotFoundError:
        return None
    layout = _layout(about)
    count = size // layout.itemsize
    if count < 1 or size % layout.itemsize or header != _header({**about, "tokens": count}):
        return None
    return np.memmap(path, layout, "r", HEADER, (count,))


def _layout(about: dict[str, Any]) -> "np.dtype[Any]":
    """How a number lies in the file: little-endian, whatever the machine."""
    return np.dtype("<u2" if about["dtype"] == "uint16" else "<u4")


def _header(about: dict[str, Any]) -> bytes:
    """One line of `HEADER` bytes."""
    line = json.dumps(about, sort_keys=True).encode()
    return line.ljust(HEADER - 1) + b"\n"
