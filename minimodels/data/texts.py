"""Labelled texts: what every loader of texts gives, and the files that they are read from."""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from minimodels.data.order import permutation
from minimodels.errors import InputError

TEST_SHARE = 10
"""Of texts that come without a test set every tenth is held out."""


class TextSet(NamedTuple):
    """Texts of two kinds.

    Attributes:
        texts: what was written.
        labels: float32 of each text, 0 or 1, shape [N].
        names: what the two labels mean.

    Example:
        >>> len(TextSet(["good", "bad"], torch.tensor([1.0, 0.0]), ("negative", "positive")).texts)
        2
    """

    texts: list[str]
    labels: Tensor
    names: tuple[str, str] = ("0", "1")


def read_tsv(path: Path, names: tuple[str, str] = ("0", "1")) -> TextSet:
    r"""Texts from a file of lines `text<TAB>label`, label 0 or 1; a first line `sentence<TAB>label` is a heading.

    Args:
        path: a UTF-8 file.
        names: what the two labels mean.

    Raises:
        InputError: no such file, bytes that are not UTF-8, an empty text, or a label that is neither 0 nor 1; the
            message names file and line.

    See: tests/data/test_texts.py

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "reviews.tsv"
        >>> _ = path.write_text("very good\t1\nvery bad\t0\n")
        >>> read_tsv(path).texts, read_tsv(path).labels
        (['very good', 'very bad'], tensor([1., 0.]))
    """
    texts, labels = [], []
    for number, line in enumerate(lines_of(read_text(path)), start=1):
        text, tab, label = line.rpartition("\t")
        if number == 1 and label.strip().lower() == "label":
            continue
        if not tab:
            raise InputError(f"{path}, line {number}: has no tab; write one text a line, a tab, and its label 0 or 1.")
        if label.strip() not in ("0", "1"):
            raise InputError(f"{path}, line {number}: the label is {label.strip()!r}; it has to be 0 or 1.")
        if not text.strip():
            raise InputError(f"{path}, line {number}: the text is empty; write one, or take the line out.")
        texts.append(text)
        labels.append(float(label))
    if not texts:
        raise InputError(f"{path}: holds no text; write one a line, a tab, and its label 0 or 1.")
    return TextSet(texts, torch.tensor(labels), names)


def read_folders(folder: Path) -> TextSet:
    """Texts from the .txt files in two folders, one for each kind; `neg` and `pos`, or whatever they are called.

    Args:
        folder: holds the two folders; the first in alphabetical order is label 0. Others that hold no .txt, and
            `unsup` of aclImdb, do not count.

    Raises:
        InputError: there are not two such folders, or a file in them is empty or not UTF-8.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("ham", "spam"):
        ...     (folder / name).mkdir()
        ...     _ = (folder / name / "1.txt").write_text(f"this is {name}")
        >>> read_folders(folder)
        TextSet(texts=['this is ham', 'this is spam'], labels=tensor([0., 1.]), names=('ham', 'spam'))
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; give one with two folders of .txt files.")
    kinds = [each for each in sorted(folder.iterdir()) if each.is_dir() and each.name != "unsup"]
    kinds = [each for each in kinds if any(each.glob("*.txt"))]
    if len(kinds) != 2:
        found = ", ".join(each.name for each in kinds) or "none"
        raise InputError(f"{folder}: needs two folders of .txt files, one for each kind, but has {found}.")
    texts, labels = [], []
    for label, kind in enumerate(kinds):
        for path in sorted(kind.glob("*.txt")):
            text = read_text(path)
            if not text.strip():
                raise InputError(f"{path}: the text is empty; write one, or take the file away.")
            texts.append(text)
            labels.append(float(label))
    return TextSet(texts, torch.tensor(labels), (kinds[0].name, kinds[1].name))


def read_text(path: Path) -> str:
    """A UTF-8 file as text.

    Args:
        path: the file.

    Raises:
        InputError: no such file, or bytes that are not UTF-8; the message says where.
    """
    try:
        return decoded(path.read_bytes(), str(path))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise InputError(f"{path}: there is no such file; give the path of a text file.") from None


def lines_of(text: str) -> list[str]:
    r"""Cut a text at its line ends, as an editor counts them; `str.splitlines` also cuts at signs within a sentence.

    Args:
        text: with line ends of any system.

    Example:
        >>> lines_of("one\x85 and more\r\ntwo\n")
        ['one\x85 and more', 'two']
    """
    return [line.removesuffix("\n") for line in io.StringIO(text, newline=None)]


def decoded(raw: bytes, source: str) -> str:
    r"""Bytes as text.

    Args:
        raw: UTF-8, perhaps with a byte-order mark.
        source: where they are from, for the message.

    Raises:
        InputError: they are not UTF-8; the message says in which line and at which byte.

    Example:
        >>> decoded(b"caf\xe9", "menu.txt")
        Traceback (most recent call last):
        ...
        minimodels.errors.InputError: menu.txt, line 1: byte 3 (0xe9) is not UTF-8; save the file as UTF-8.
    """
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        mark = 3 if raw.startswith(b"\xef\xbb\xbf") else 0  # the codec counts behind the byte-order mark
        place = error.start + mark
        line = raw.count(b"\n", 0, place) + 1
        raise InputError(
            f"{source}, line {line}: byte {place} (0x{raw[place]:02x}) is not UTF-8; save the file as UTF-8."
        ) from None


def split(whole: TextSet, seed: int = 0) -> tuple[TextSet, TextSet]:
    """Hold a tenth of the texts out, as large a part of either kind; the same ones whenever it is asked for.

    Args:
        whole: the texts.
        seed: of the order in which they are drawn; figures are comparable only under one.

    Returns:
        (train, test)

    Raises:
        InputError: there are not ten texts of each kind, so that nothing could be held out.

    Example:
        >>> train, test = split(TextSet(["no"] * 10 + ["yes"] * 20, torch.tensor([0.0] * 10 + [1.0] * 20)))
        >>> len(train.texts), test.texts
        (27, ['no', 'yes', 'yes'])
    """
    order = torch.from_numpy(permutation(len(whole.texts), seed))
    held_out = torch.zeros(len(whole.texts), dtype=torch.bool)
    for label in (0.0, 1.0):
        of_kind = order[whole.labels[order] == label]
        if len(of_kind) < TEST_SHARE:
            raise InputError(
                f"{len(of_kind)} texts with label {label:.0f}: too few to hold a tenth of them out; "
                f"give at least {TEST_SHARE} of each kind, or a test set of their own."
            )
        held_out[of_kind[: len(of_kind) // TEST_SHARE]] = True
    return _rows(whole, ~held_out), _rows(whole, held_out)


def _rows(whole: TextSet, chosen: Tensor) -> TextSet:
    """The texts under a mask."""
    texts = [text for text, keep in zip(whole.texts, chosen.tolist(), strict=True) if keep]
    return TextSet(texts, whole.labels[chosen], whole.names)


def windows(text: str, size: int) -> Iterator[str]:
    """Cut a text into pieces of one length; what is left at its end falls away, and so do pieces of white space.

    Args:
        text: what to cut.
        size: characters in a piece.

    Example:
        >>> list(windows("abcdefg", 3))
        ['abc', 'def']
    """
    pieces = (text[start : start + size] for start in range(0, len(text) - size + 1, size))
    return (piece for piece in pieces if not piece.isspace())


def joined(kinds: Iterable[Iterable[str]], names: tuple[str, str]) -> TextSet:
    """Texts of two kinds, one kind after the other, as a labelled set.

    Args:
        kinds: those with label 0, then those with label 1.
        names: what the labels mean.

    Example:
        >>> joined([["a"], ["b", "c"]], ("vowel", "consonant")).labels
        tensor([0., 1., 1.])
    """
    texts, labels = [], []
    for label, kind in enumerate(kinds):
        for text in kind:
            texts.append(text)
            labels.append(float(label))
    return TextSet(texts, torch.tensor(labels), names)
