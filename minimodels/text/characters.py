"""One token a character: the smallest tokenizer there is, and the one that small models learn fastest."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from minimodels.errors import InputError
from minimodels.files import write_json
from minimodels.text.reading import checked, naming, read_json
from minimodels.text.tokenizer import Array, Specials, Tokenizer

UNKNOWN = -1


class CharTokenizer(Tokenizer):
    """A number for each character of a text, in the order of Unicode: that of nanoGPT's shakespeare_char.

    It has no number for what is unknown and none for padding, because a language model would have to learn them too;
    `minimodels.data.Vocabulary`, which has both, is for classifiers.

    Args:
        characters: all different.

    Attributes:
        characters: as given; the number of a character is its place.

    Raises:
        InputError: none, one twice, something that is not a single character, or half a surrogate pair.

    References: Karpathy 2022, nanoGPT, data/shakespeare_char/prepare.py.

    See: tests/text/test_characters.py

    Example:
        >>> tokenizer = CharTokenizer.train("to be or not to be")
        >>> tokenizer.encode("be not")
        [1, 2, 0, 3, 4, 6]
        >>> tokenizer.decode([1, 4, 6])
        'bot'
    """

    FILES: ClassVar = ("characters.json",)

    def __init__(self, characters: Sequence[str]) -> None:
        super().__init__()
        self.characters = list(characters)
        if not self.characters:
            raise InputError("a vocabulary without characters can encode nothing; give some text.")
        if any(len(character) != 1 for character in self.characters):
            raise InputError("a character of the vocabulary is not a single one; give each of them by itself.")
        if len(set(self.characters)) != len(self.characters):
            raise InputError("a character is twice in the vocabulary; give each of them once.")
        self._bytes = {id: checked(character).encode() for id, character in enumerate(self.characters)}
        points = np.array([ord(character) for character in self.characters])
        self._number = np.full(points.max() + 2, UNKNOWN, np.int64)  # by code point; the last stands for all beyond
        self._number[points] = np.arange(len(points))

    @classmethod
    def train(cls, texts: str | Iterable[str]) -> Self:
        """The tokenizer of all characters of some texts.

        Args:
            texts: one or several.
        """
        return cls(sorted(set(texts) if isinstance(texts, str) else set().union(*texts)))

    @property
    def vocab_size(self) -> int:
        """How many characters there are."""
        return len(self.characters)

    def encode_array(self, text: str, *, allowed_special: Specials = ()) -> Array:
        """The place of each character in the vocabulary.

        Args:
            text: of known characters.
            allowed_special: nothing, as there are no special tokens.

        Raises:
            InputError: a character is not in the vocabulary.
        """
        self._allowed(allowed_special)
        points = np.frombuffer(checked(text).encode("utf-32-le"), "<u4")
        ids: Array = self._number[np.minimum(points, len(self._number) - 1)]
        if (unknown := np.flatnonzero(ids == UNKNOWN)).size:
            place = int(unknown[0])
            raise InputError(
                f"{text[place]!r} (U+{ord(text[place]):04X}) at position {place} is not among the {len(self)} "
                "characters of this vocabulary; take it out, or train with a text that has it."
            )
        return ids

    def token_bytes(self, id: int) -> bytes:
        """The character in UTF-8.

        Args:
            id: number of a token.

        Raises:
            InputError: there is no such token.
        """
        if id not in self._bytes:
            raise InputError(f"token {id!r} is not in the vocabulary, which has numbers from 0 to {len(self) - 1}.")
        return self._bytes[id]

    def get_vocab(self) -> dict[str, int]:
        """The number of every character."""
        return {character: id for id, character in enumerate(self.characters)}

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write `characters.json`.

        Args:
            folder: where to; it is made when it is missing.
        """
        write_json(Path(folder) / self.FILES[0], {"characters": self.characters})

    @classmethod
    def from_pretrained(cls, name_or_folder: str | os.PathLike[str]) -> Self:
        """Read `characters.json`.

        Args:
            name_or_folder: the folder.

        Raises:
            InputError: the file is missing or damaged.
        """
        path = Path(name_or_folder) / cls.FILES[0]
        found = read_json(path)
        characters = found.get("characters") if isinstance(found, dict) else None
        if not isinstance(characters, list) or not all(isinstance(character, str) for character in characters):
            raise InputError(f"{path}: is not a vocabulary of characters; save the tokenizer again.")
        with naming(path):
            return cls(characters)
