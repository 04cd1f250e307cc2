"""The tokenizer of byte pairs, whoever has trained it. Encoding is tiktoken's."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import tiktoken

from minimodels.errors import InputError
from minimodels.files import write_json
from minimodels.text.bpe.formats import read_tiktoken, write_tiktoken
from minimodels.text.bpe.letters import to_letters
from minimodels.text.reading import checked, naming, read_json
from minimodels.text.tokenizer import Array, Ids, Specials, Tokenizer

GPT2_PATTERN = "|".join(
    (
        r"'(?:s|t|re|ve|m|ll|d)",  # what English hangs on a word
        r" ?\p{L}++",  # a word, with the space before it
        r" ?\p{N}++",  # a number
        r" ?[^\s\p{L}\p{N}]++",  # signs
        r"\s++$",  # spaces at the end, without looking back on each of them
        r"\s+(?!\S)",  # spaces, all but the last, which belongs to the word
        r"\s",
    )
)
"""Where GPT-2 cuts a text into pieces; no token reaches over a cut (Radford et al. 2019, section 2.2)."""

END_OF_TEXT = "<|endoftext|>"
SETTINGS = ("eos_token", "bos_token", "pad_token", "padding_side", "model_max_length")
"""What files keep of a tokenizer besides its vocabulary."""


class BPETokenizer(Tokenizer):
    """Tokens that are made of bytes by merging two of them at a time, in a fixed order.

    A text is cut into pieces by a pattern. In each piece, which begins as its bytes in UTF-8, the two neighbours whose
    union has the lowest number become one token, the leftmost first, until no union of neighbours is a token.

    Args:
        ranks: number of each token by its bytes, lower where it is merged earlier; all 256 bytes are among them.
        special_tokens: numbers of the tokens that no text contains; None is {"<|endoftext|>": the next number}.
        pattern: a regular expression that finds the pieces.
        **settings: those of `Tokenizer`. `eos_token` and `bos_token` are "<|endoftext|>" where there is one.

    Attributes:
        ranks: as given.
        pattern: as given.
        encoding: the `tiktoken.Encoding` that does the work.

    Raises:
        InputError: a byte is missing, two tokens have one number, or the pattern is none.

    Cost: tiktoken's own, some ten million bytes of English a second on one core.

    References: Sennrich, Haddow & Birch 2016, arXiv:1508.07909, algorithm 1; Radford et al. 2019, "Language models are
        unsupervised multitask learners", section 2.2 (bytes instead of characters).

    See: `train_bpe`; minimodels/text/gpt2.py; tests/text/bpe/test_tokenizer.py

    Example:
        >>> ranks = {bytes([byte]): byte for byte in range(256)} | {b"lo": 256, b"low": 257, b"er": 258}
        >>> tokenizer = BPETokenizer(ranks)
        >>> tokenizer.encode("lower")
        [257, 258]
        >>> tokenizer.eos_token_id
        259
    """

    FILES: ClassVar[tuple[str, ...]] = ("bpe.json", "bpe.tiktoken")

    def __init__(
        self,
        ranks: dict[bytes, int],
        special_tokens: dict[str, int] | None = None,
        pattern: str = GPT2_PATTERN,
        **settings: Any,
    ) -> None:
        if special_tokens is None:
            special_tokens = {END_OF_TEXT: max(ranks.values(), default=-1) + 1}
        _check(ranks, special_tokens)
        end = END_OF_TEXT if END_OF_TEXT in special_tokens else None
        super().__init__(special_tokens, **{"eos_token": end, "bos_token": end} | settings)
        self.ranks, self.pattern = ranks, pattern
        try:
            self.encoding = tiktoken.Encoding(
                type(self).__name__, pat_str=pattern, mergeable_ranks=ranks, special_tokens=self.special_tokens
            )
        except ValueError as error:
            raise InputError(f"the pattern {pattern!r} is not a regular expression ({error}).") from None

    @property
    def vocab_size(self) -> int:
        """One more than the largest number."""
        return self.encoding.max_token_value + 1

    def encode_array(self, text: str, *, allowed_special: Specials = ()) -> Array:
        """As `encode`, but an array [T] of int64.

        Args:
            text: any.
            allowed_special: see `encode`.

        Raises:
            InputError: the text holds half a surrogate pair.
        """
        allowed = self._allowed(allowed_special)
        found = self.encoding.encode_to_numpy(checked(text), allowed_special=allowed, disallowed_special=())
        return found.astype(np.int64)

    def _encode(self, text: str, allowed_special: Specials) -> list[int]:
        allowed = self._allowed(allowed_special)
        return self.encoding.encode(checked(text), allowed_special=allowed, disallowed_special=())

    def encode_batch(self, texts: Sequence[str], *, allowed_special: Specials = ()) -> list[list[int]]:
        """The numbers of each text's tokens; eight texts are encoded at a time.

        Args:
            texts: any.
            allowed_special: see `encode`.

        Raises:
            InputError: a text holds half a surrogate pair.
        """
        allowed = self._allowed(allowed_special)
        texts = [checked(text) for text in texts]
        return self.encoding.encode_batch(texts, allowed_special=allowed, disallowed_special=())

    def token_bytes(self, id: int) -> bytes:
        """What a token stands for.

        Args:
            id: number of a token.

        Raises:
            InputError: there is no such token.
        """
        return self.decode_bytes(id)

    def decode_bytes(self, ids: Ids, skip_special_tokens: bool = False) -> bytes:
        """The bytes of some tokens.

        Args:
            ids: see `decode`.
            skip_special_tokens: leave them out.

        Raises:
            InputError: a number that is no token's.
        """
        numbers = self._numbers(ids, skip_special_tokens)
        try:
            return self.encoding.decode_bytes(numbers)
        except (KeyError, OverflowError, TypeError):
            wrong = next(id for id in numbers if not isinstance(id, int | np.integer) or int(id) not in self._written)
            raise InputError(
                f"token {wrong!r} is not in the vocabulary, which has numbers from 0 to {self.vocab_size - 1}."
            ) from None

    def get_vocab(self) -> dict[str, int]:
        """The number of every token by how it is written: bytes as letters (see letters.py), special ones as they are.

        Example:
            >>> BPETokenizer({bytes([byte]): byte for byte in range(256)}).convert_ids_to_tokens([32, 65, 256])
            ['Ġ', 'A', '<|endoftext|>']
        """
        return {to_letters(token): id for token, id in self.ranks.items()} | self.special_tokens

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write the ranks as tiktoken reads them, in bpe.tiktoken, and all else in bpe.json.

        Args:
            folder: where to; it is made when it is missing.
        """
        settings, ranks = (Path(folder) / name for name in BPETokenizer.FILES)
        write_tiktoken(ranks, self.ranks)
        write_json(
            settings,
            {
                "pattern": self.pattern,
                "tokens": len(self.ranks),
                "special_tokens": self.special_tokens,
                "settings": {name: getattr(self, name) for name in SETTINGS},
            },
        )

    @classmethod
    def from_pretrained(cls, name_or_folder: str | os.PathLike[str]) -> Self:
        """Read bpe.json and bpe.tiktoken.

        Args:
            name_or_folder: the folder.

        Raises:
            InputError: a file is missing or damaged, or the two do not belong together.
        """
        path, table = (Path(name_or_folder) / name for name in BPETokenizer.FILES)
        value = read_json(path)
        ranks = read_tiktoken(table)
        try:
            tokens, special, pattern = (value[name] for name in ("tokens", "special_tokens", "pattern"))
            settings = {name: value["settings"][name] for name in SETTINGS}
            numbered = all(type(number) is int for number in special.values())
        except (KeyError, TypeError, AttributeError):
            numbered = False
        if not numbered or not isinstance(pattern, str):
            raise InputError(f"{path}: is not the settings of a tokenizer; save the tokenizer again.")
        if tokens != len(ranks):
            raise InputError(f"{path}: belongs to {tokens} tokens, but {table.name} has {len(ranks)}; save both again.")
        with naming(path):
            return cls(ranks, special, pattern, **settings)


def _check(ranks: dict[bytes, int], special_tokens: dict[str, int]) -> None:
    """A vocabulary with a hole or with a number for two would fail inside tiktoken, or in silence."""
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise InputError(f"the byte 0x{missing[0]:02X} has no token; a vocabulary of bytes needs all 256.")
    numbers = [*ranks.values(), *special_tokens.values()]
    if len(set(numbers)) != len(numbers):
        raise InputError("two tokens have the same number; give each its own.")
    if min(numbers) < 0 or max(numbers) >= 2**32 - 1:
        raise InputError("a token's number is negative or beyond 32 bits; count from 0.")
