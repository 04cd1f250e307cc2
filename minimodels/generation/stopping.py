"""When a text is over: a token that ends it, or a string that was to be its last."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from minimodels.errors import InputError


class Decoder(Protocol):
    """What is asked of a tokenizer here."""

    def decode(self, ids: list[int]) -> str:
        """Tokens as text.

        Args:
            ids: the tokens.
        """


class Stopping:
    """Say which texts have just ended.

    Args:
        eos: tokens that end a text.
        strings: strings that end a text, wherever token boundaries lie.
        tokenizer: gives tokens as text; needed for strings.

    Raises:
        InputError: strings without a tokenizer.

    See: tests/generation/test_stopping.py

    Example:
        >>> Stopping([0], [], None)(torch.tensor([[5, 0], [0, 5]]))
        tensor([ True, False])
    """

    def __init__(self, eos: Sequence[int], strings: Sequence[str], tokenizer: Decoder | None) -> None:
        if strings and tokenizer is None:
            raise InputError("stop_strings: needs the tokenizer, to know what the tokens say; give tokenizer=...")
        self.eos, self.strings, self.tokenizer = list(eos), list(strings), tokenizer
        # A token stands for a byte at least, so a string that ends in the last one begins no further back than this.
        self.window = max((len(string.encode()) for string in strings), default=0)
        self.ever = bool(self.eos or self.strings)

    def __call__(self, ids: Tensor) -> Tensor:
        """Whether each text has ended with its last token.

        Args:
            ids: all tokens so far.

        Shape:
            ids [N, t]; Output [N] of booleans.
        """
        last = ids[:, -1]
        over = torch.zeros_like(last, dtype=torch.bool)
        for token in self.eos:
            over = over | (last == token)
        if self.strings:
            tails = ids[:, -self.window :].tolist()
            over = over | torch.tensor([self._said(tail) for tail in tails], device=ids.device)
        return over

    def _said(self, tokens: list[int]) -> bool:
        """Whether the last token has completed one of the strings."""
        assert self.tokenizer is not None, "strings need it"
        before = len(self.tokenizer.decode(tokens[:-1]).rstrip("\ufffd"))  # an unfinished character does not count
        text = self.tokenizer.decode(tokens)
        return any(text.rfind(string) + len(string) > before for string in self.strings if string in text)
