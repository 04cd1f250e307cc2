"""What every tokenizer can do, whatever its tokens are: text to numbers and back, one by one and in batches."""

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal, Self, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from minimodels.errors import InputError
from minimodels.text.batching import BatchEncoding, Side, Tensors, as_tensors, batched, tensor

Array: TypeAlias = NDArray[np.int64]
Ids: TypeAlias = int | Iterable[int] | Tensor | Array
Specials: TypeAlias = Collection[str] | Literal["all"]


class Tokenizer(ABC):
    """Text to numbers and back: decode(encode(text)) = text.

    A token stands for bytes; a text is the bytes of its tokens one behind the other, read as UTF-8. A character may
    therefore lie in several tokens: `decode` shows "�" where it is cut, and `StreamingDecoder` waits until it is whole.

    Args:
        special_tokens: numbers of the tokens that no text contains, such as {"<|endoftext|>": 50256}.
        eos_token: the special token that ends a text; None where texts do not end.
        bos_token: the special token that begins one.
        pad_token: the special token that fills a batch; None fills with `eos_token`, and the attention mask hides it.
        padding_side: where a batch is filled. "left", so that what is generated follows what was given (in Hugging
            Face's tokenizers "right").
        model_max_length: the most tokens that the model takes, at which `truncation` cuts.

    Attributes:
        special_tokens: as given.

    Raises:
        InputError: a name that is no special token's, or an unknown side.

    See: tests/text/test_tokenizer.py
    """

    FILES: ClassVar[tuple[str, ...]]
    """What `save_pretrained` writes."""

    def __init__(
        self,
        special_tokens: dict[str, int] | None = None,
        *,
        eos_token: str | None = None,
        bos_token: str | None = None,
        pad_token: str | None = None,
        padding_side: Side = "left",
        model_max_length: int | None = None,
    ) -> None:
        self.special_tokens = dict(special_tokens or {})
        self._special_names = {id: name for name, id in self.special_tokens.items()}
        self.eos_token, self.bos_token, self.pad_token = eos_token, bos_token, pad_token
        for name in (eos_token, bos_token, pad_token):
            self._special(name)
        if padding_side not in ("left", "right"):
            raise InputError(f"padding_side={padding_side!r}: give 'left' or 'right'.")
        self.padding_side: Side = padding_side
        self.model_max_length = model_max_length

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """One more than the largest number: the rows that a model's embedding needs."""

    @abstractmethod
    def encode_array(self, text: str, *, allowed_special: Specials = ()) -> Array:
        """As `encode`, but an array [T] of int64: a long text never becomes a list of Python's numbers.

        Args:
            text: any.
            allowed_special: see `encode`.
        """

    @abstractmethod
    def token_bytes(self, id: int) -> bytes:
        """What a token stands for, in UTF-8; it may be a part of a character.

        Args:
            id: number of a token.

        Raises:
            InputError: there is no such token.
        """

    @abstractmethod
    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write the files that `from_pretrained` reads.

        Args:
            folder: where to; it is made when it is missing.
        """

    @classmethod
    @abstractmethod
    def from_pretrained(cls, name_or_folder: str | os.PathLike[str]) -> Self:
        """Read what `save_pretrained` wrote.

        Args:
            name_or_folder: the folder.

        Raises:
            InputError: a file is missing or damaged.
        """

    @overload
    def encode(self, text: str, return_tensors: None = None, *, allowed_special: Specials = ()) -> list[int]: ...
    @overload
    def encode(self, text: str, return_tensors: Literal["pt"], *, allowed_special: Specials = ()) -> Tensor: ...
    @overload
    def encode(self, text: str, return_tensors: Literal["np"], *, allowed_special: Specials = ()) -> Array: ...

    def encode(self, text: str, return_tensors: Tensors | None = None, *, allowed_special: Specials = ()) -> Any:
        """The numbers of a text's tokens.

        Args:
            text: any.
            return_tensors: None gives a list, "pt" a tensor and "np" an array, [1, T] of int64.
            allowed_special: special tokens that are recognised where the text spells them, or "all". Others are the
                characters that they are written with: what a user types cannot end a text. (Hugging Face recognises
                all of them always; tiktoken refuses a text with one that is not allowed.)

        Raises:
            InputError: the text holds half a surrogate pair, which is no character; or a name is no special token's.
        """
        if return_tensors is None:
            return self._encode(text, allowed_special)
        return tensor(self.encode_array(text, allowed_special=allowed_special)[None], return_tensors)

    def encode_batch(self, texts: Sequence[str], *, allowed_special: Specials = ()) -> list[list[int]]:
        """The numbers of each text's tokens.

        Args:
            texts: any.
            allowed_special: see `encode`.
        """
        return [self.encode(text, allowed_special=allowed_special) for text in texts]

    def __call__(
        self,
        text: str | Sequence[str],
        *,
        padding: bool | Literal["longest", "max_length"] = False,
        truncation: bool = False,
        max_length: int | None = None,
        return_tensors: Tensors | None = None,
        allowed_special: Specials = (),
    ) -> BatchEncoding:
        """Encode one text or several for a model.

        Args:
            text: one, or a list of them.
            padding: fill all up to the longest, or, with "max_length", to `max_length`.
            truncation: cut off what is beyond `max_length`.
            max_length: tokens; None is `model_max_length`.
            return_tensors: None gives lists, "pt" tensors and "np" arrays, [N, T] of int64.
            allowed_special: see `encode`.

        Raises:
            InputError: texts of different lengths in one tensor, no length to cut at, or nothing to fill with.
        """
        longest = self.model_max_length if max_length is None else max_length
        if longest is None and (truncation or padding == "max_length"):
            raise InputError("max_length is missing; this tokenizer does not know how many tokens the model takes.")
        rows = self.encode_batch([text] if isinstance(text, str) else text, allowed_special=allowed_special)
        if truncation:
            rows = [row[:longest] for row in rows]
        if padding:
            fill = self.eos_token_id if self.pad_token is None else self.pad_token_id
            width = longest if padding == "max_length" else None
            encoded = batched(rows, width=width, fill=fill, side=self.padding_side)
        else:
            encoded = BatchEncoding(input_ids=rows, attention_mask=[[1] * len(row) for row in rows])
        if return_tensors is not None:
            return as_tensors(encoded, return_tensors)
        return BatchEncoding({name: rows[0] for name, rows in encoded.items()}) if isinstance(text, str) else encoded

    def decode(self, ids: Ids, skip_special_tokens: bool = False) -> str:
        """The text of some tokens; "�" stands where the bytes are not those of a whole character.

        Args:
            ids: a list, a tensor or an array of one dimension, or a single number.
            skip_special_tokens: leave them out.

        Raises:
            InputError: a number that is no token's.
        """
        return self.decode_bytes(ids, skip_special_tokens).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Ids, skip_special_tokens: bool = False) -> bytes:
        """The bytes of some tokens.

        Args:
            ids: see `decode`.
            skip_special_tokens: leave them out.

        Raises:
            InputError: a number that is no token's.
        """
        return b"".join(map(self.token_bytes, self._numbers(ids, skip_special_tokens)))

    def batch_decode(self, sequences: Iterable[Ids], skip_special_tokens: bool = False) -> list[str]:
        """The text of each sequence of tokens.

        Args:
            sequences: lists of numbers, or a tensor [N, T].
            skip_special_tokens: leave them out.
        """
        return [self.decode(ids, skip_special_tokens) for ids in sequences]

    @abstractmethod
    def get_vocab(self) -> dict[str, int]:
        """The number of every token by how it is written."""

    @overload
    def convert_ids_to_tokens(self, ids: int) -> str: ...
    @overload
    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]: ...

    def convert_ids_to_tokens(self, ids: int | list[int]) -> str | list[str]:
        """How a token, or each of several, is written.

        Args:
            ids: one number, or several.

        Raises:
            InputError: a number that is no token's.
        """
        tokens = []
        for id in self._numbers(ids, skip_special_tokens=False):
            self.token_bytes(id)  # says so if there is no such token
            tokens.append(self._written[id])
        return tokens if isinstance(ids, Iterable) else tokens[0]

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int: ...
    @overload
    def convert_tokens_to_ids(self, tokens: list[str]) -> list[int]: ...

    def convert_tokens_to_ids(self, tokens: str | list[str]) -> int | list[int]:
        """The number of a token, or of each of several.

        Args:
            tokens: written as `convert_ids_to_tokens` does.

        Raises:
            InputError: there is no such token. (Hugging Face gives the number of an unknown token, in GPT-2 the end.)
        """
        if not isinstance(tokens, str):
            return [self.convert_tokens_to_ids(token) for token in tokens]
        if tokens not in self._vocabulary:
            raise InputError(f"{tokens!r} is not a token of this vocabulary; encode() cuts any text into tokens.")
        return self._vocabulary[tokens]

    @cached_property
    def _vocabulary(self) -> dict[str, int]:
        return self.get_vocab()

    @cached_property
    def _written(self) -> dict[int, str]:
        return {id: token for token, id in self._vocabulary.items()}

    @property
    def eos_token_id(self) -> int | None:
        """The number of the token that ends a text."""
        return self._special(self.eos_token)

    @property
    def bos_token_id(self) -> int | None:
        """The number of the token that begins a text."""
        return self._special(self.bos_token)

    @property
    def pad_token_id(self) -> int | None:
        """The number of the token that fills a batch."""
        return self._special(self.pad_token)

    def __len__(self) -> int:
        return self.vocab_size

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.vocab_size} tokens)"

    def _encode(self, text: str, allowed_special: Specials) -> list[int]:
        """A list, for tokenizers that have no shorter way to one."""
        ids: list[int] = self.encode_array(text, allowed_special=allowed_special).tolist()
        return ids

    def _special(self, name: str | None) -> int | None:
        if name is not None and name not in self.special_tokens:
            known = ", ".join(self.special_tokens) or "none"
            raise InputError(f"{name!r} is not a special token of this tokenizer; it has {known}.")
        return None if name is None else self.special_tokens[name]

    def _allowed(self, names: Specials) -> frozenset[str]:
        """The special tokens that a text may spell."""
        allowed = self.special_tokens if names == "all" else [names] if isinstance(names, str) else names
        for name in allowed:
            self._special(name)
        return frozenset(allowed)

    def _numbers(self, ids: Ids, skip_special_tokens: bool) -> list[int]:
        """Whatever holds numbers as a list of them."""
        given: Any = ids.tolist() if isinstance(ids, Tensor | np.ndarray) else ids
        values: list[Any] = list(given) if isinstance(given, Iterable) else [given]
        if values and isinstance(values[0], list):
            raise InputError("decode() takes the tokens of one text; batch_decode() takes those of several.")
        if skip_special_tokens:
            return [value for value in values if value not in self._special_names]
        return values
