"""The files in which vocabularies of byte pairs are published, read and written."""

import base64
import binascii
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from minimodels.errors import InputError
from minimodels.files import replacing, write_json
from minimodels.text.bpe.letters import to_bytes, to_letters
from minimodels.text.bpe.merges import check_merges, merges_of
from minimodels.text.reading import naming, read_bytes, read_json, read_text

SPECIAL = re.compile(r"<.+>|\[.+\]")
"""How the names of special tokens are written, where a file does not say which tokens are special."""


class Vocabulary(NamedTuple):
    """What all of these files hold.

    Attributes:
        ranks: number of each token by its bytes.
        special_tokens: number of each special token by its name.
    """

    ranks: dict[bytes, int]
    special_tokens: dict[str, int]


def read_vocab_and_merges(vocab: Path, merges: Path) -> Vocabulary:
    """Read a pair of files: tokens with their numbers in JSON, and the list of merges.

    OpenAI calls them encoder.json and vocab.bpe, Hugging Face vocab.json and merges.txt.

    Args:
        vocab: an object of numbers by tokens, bytes written as letters (see letters.py).
        merges: two tokens a line, the first to be merged first, below an optional line "#version: …".

    Raises:
        InputError: a file is missing or damaged, or the two do not belong together.

    See: tests/text/bpe/test_formats.py
    """
    pairs = []
    for number, line in enumerate(read_text(merges).splitlines(), start=1):
        if (number == 1 and line.startswith("#version")) or not line:
            continue
        parts = line.split(" ")
        if len(parts) != 2:
            raise InputError(f"{merges}, line {number}: {line!r} is not two tokens with a space between them.")
        pairs.append(parts)
    return _from_letters(read_json(vocab), pairs, f"{vocab} and {merges.name}")


def read_tokenizer_json(path: Path) -> Vocabulary:
    """Read the one file of Hugging Face's `tokenizers`.

    Args:
        path: a tokenizer.json of byte pairs that cuts as GPT-2 does.

    Raises:
        InputError: it is missing or damaged, or describes another kind of tokenizer.
    """
    value = read_json(path)
    model = value.get("model") if isinstance(value, dict) else None
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        raise InputError(f"{path}: is not a tokenizer of byte pairs; give the files of GPT-2 or of one like it.")
    cutting = value.get("pre_tokenizer")
    plain = isinstance(cutting, dict) and cutting.get("type") == "ByteLevel" and not cutting.get("add_prefix_space")
    if not plain or value.get("normalizer"):
        raise InputError(f"{path}: does not cut text as GPT-2 does; give the files of GPT-2 or of one like it.")
    try:
        added = {token["content"]: token["id"] for token in value.get("added_tokens", [])}
        halves = (pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"])
        pairs = [(left, right) for left, right in halves]
        numbers = model["vocab"] | added
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(f"{path}: is damaged; get the file again.") from None
    return _from_letters(numbers, pairs, str(path), special=added)


def read_tiktoken(path: Path) -> dict[bytes, int]:
    """Read the ranks in a file of tiktoken: a line for each token, its bytes in base64, a space, its number.

    Args:
        path: the file.

    Raises:
        InputError: it is missing or damaged.
    """
    ranks = {}
    for number, line in enumerate(read_bytes(path).splitlines(), start=1):
        try:
            token, rank = line.split(b" ")
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            raise InputError(f"{path}, line {number}: is not a token in base64 and its number.") from None
    if len(ranks) != number:
        raise InputError(f"{path}: has a token twice; get the file again.")
    return ranks


def write_tiktoken(path: str | os.PathLike[str], ranks: dict[bytes, int]) -> None:
    """Write ranks as tiktoken reads them.

    Args:
        path: the file.
        ranks: number of each token by its bytes.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
            file.write(base64.b64encode(token) + b" %d\n" % rank)


def write_vocab_and_merges(vocab: Path, merges: Path, vocabulary: Vocabulary) -> None:
    """Write a pair of files as Hugging Face reads them.

    Args:
        vocab: the JSON file.
        merges: the list of merges.
        vocabulary: what to write.

    Raises:
        InputError: the numbers are not those of an order of merges.
    """
    ranks, special_tokens = vocabulary
    pairs = merges_of(ranks)
    numbers = {to_letters(token): rank for token, rank in ranks.items()} | special_tokens
    write_json(vocab, dict(sorted(numbers.items(), key=lambda item: item[1])))
    with replacing(merges) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write("#version: 0.2\n")
        file.writelines(f"{to_letters(left)} {to_letters(right)}\n" for left, right in pairs)


def _from_letters(
    numbers: Any, pairs: Sequence[Sequence[str]], source: str, special: Collection[str] = ()
) -> Vocabulary:
    """A vocabulary from tokens in letters, once it is certain that numbers and merges belong together."""
    if not isinstance(numbers, dict) or not all(type(number) is int for number in numbers.values()):
        raise InputError(f"{source}: the vocabulary is not an object of numbers by tokens; get the files again.")
    made = {left + right for left, right in pairs}
    if lost := sorted({token for pair in pairs for token in (*pair, "".join(pair))} - numbers.keys()):
        raise InputError(f"{source} do not belong together: {lost[0]!r} is merged, but has no number.")
    unmade = {token for token in numbers if token not in made and len(token) > 1}
    names = {token for token in unmade if token in special or SPECIAL.fullmatch(token)}
    if strange := sorted(unmade - names):
        raise InputError(f"{source} do not belong together: {strange[0]!r} has a number, but no merge makes it.")
    with naming(source):
        ranks = {to_bytes(token): number for token, number in numbers.items() if token not in names}
        check_merges(ranks, [(to_bytes(left), to_bytes(right)) for left, right in pairs])
    return Vocabulary(ranks, {name: numbers[name] for name in names})
