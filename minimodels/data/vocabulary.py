"""From text to numbers: a vocabulary of characters or of words."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from minimodels.errors import InputError

Kind = Literal["characters", "words"]
PADDING, UNKNOWN = 0, 1
"""The numbers that mean: no token, and a token that was not seen in training."""

WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
"""A word with what hangs on it by apostrophes, or a single sign."""


class Vocabulary:
    """The tokens that a model knows, the most frequent first, numbered from 2; 0 is padding and 1 stands for the rest.

    Args:
        kind: whether tokens are characters, or words in lower case.
        tokens: all different.

    Raises:
        InputError: an unknown kind, or a token twice.

    See: tests/data/test_vocabulary.py

    Example:
        >>> words = Vocabulary.of(["To be, or not to be"], "words")
        >>> words.encode("to be or to bee")
        [3, 2, 6, 3, 1]
        >>> len(words)
        7
    """

    def __init__(self, kind: Kind, tokens: Sequence[str]) -> None:
        if kind not in ("characters", "words"):
            raise InputError(f"vocabulary of {kind!r}: give characters or words.")
        self.kind: Kind = kind
        self.tokens = list(tokens)
        self.numbers = {token: number for number, token in enumerate(self.tokens, start=UNKNOWN + 1)}
        if len(self.numbers) != len(self.tokens):
            raise InputError("a token is twice in the vocabulary; give each of them once.")

    @classmethod
    def of(cls, texts: Iterable[str], kind: Kind, *, least: int = 1, most: int | None = None) -> Self:
        """The vocabulary of some texts.

        Args:
            texts: what a model is going to be trained on; what it is tested on must not be among them.
            kind: characters or words.
            least: tokens seen less often are left out.
            most: tokens at the most.
        """
        counts = Counter(token for text in texts for token in tokenized(text, kind))
        frequent = sorted((token for token in counts if counts[token] >= least), key=lambda t: (-counts[t], t))
        return cls(kind, frequent[:most])

    def __len__(self) -> int:
        return len(self.tokens) + UNKNOWN + 1

    def encode(self, text: str) -> list[int]:
        """The numbers of a text's tokens.

        Args:
            text: any.
        """
        return [self.numbers.get(token, UNKNOWN) for token in tokenized(text, self.kind)]

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of some numbers; padding falls away, what is unknown becomes "�".

        Args:
            numbers: of tokens.

        Example:
            >>> Vocabulary("characters", ["a", "b"]).decode([3, 2, 1, 0])
            'ba�'
        """
        tokens = ("�" if n == UNKNOWN else self.tokens[n - UNKNOWN - 1] for n in numbers if n != PADDING)
        return ("" if self.kind == "characters" else " ").join(tokens)

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold of it."""
        return {"kind": self.kind, "tokens": self.tokens}

    @classmethod
    def from_json(cls, value: Any, source: str) -> Self:
        """The vocabulary that `to_json` wrote.

        Args:
            value: what was read.
            source: the file, for messages.

        Raises:
            InputError: it is not that of a vocabulary.
        """
        if not isinstance(value, dict) or not isinstance(value.get("tokens"), list):
            raise InputError(f"{source}: is not a vocabulary; train the model again to get a whole run folder.")
        if not all(isinstance(token, str) for token in value["tokens"]):
            raise InputError(f"{source}: a token is not a text; train the model again to get a whole run folder.")
        return cls(value.get("kind", ""), value["tokens"])

    @classmethod
    def read(cls, path: Path) -> Self:
        """The vocabulary in a JSON file.

        Args:
            path: the file.

        Raises:
            InputError: there is no such file, or it is not one of a vocabulary.
        """
        try:
            return cls.from_json(json.loads(path.read_bytes()), str(path))
        except FileNotFoundError:
            raise InputError(f"{path}: is missing, so that texts cannot be read; train the model again.") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: is not JSON ({error}); train the model again.") from None


def tokenized(text: str, kind: Kind) -> list[str]:
    """Cut a text into tokens.

    Args:
        text: any.
        kind: characters as they are, or words and signs in lower case.

    Example:
        >>> tokenized("It's 5 o'clock.", "words")
        ["it's", '5', "o'clock", '.']
    """
    return list(text) if kind == "characters" else WORD.findall(text.lower())
