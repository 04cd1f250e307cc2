"""Text as it is written: tokens that come one by one, as pieces of whole characters."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from torch import Tensor


class Pieces(Protocol):
    """What turns tokens into text, such as `minimodels.text.StreamingDecoder`."""

    def put(self, token: int) -> str:
        """The text that is certain now and was not before.

        Args:
            token: the next one.
        """

    def finish(self) -> str:
        """What is left at the end."""


def text_pieces(tokens: Iterable[Tensor], decoder: Pieces) -> Iterator[str]:
    """The text of one stream of tokens, piece by piece, no sooner than its characters are whole.

    Args:
        tokens: of one text, as `GenerationMixin.stream` gives them.
        decoder: of the model's tokenizer.

    Shape:
        tokens: [1] each.

    See: `minimodels generate --stream`; tests/generation/test_streaming.py

    Example:
        >>> import torch
        >>> from minimodels.text import CharTokenizer, StreamingDecoder
        >>> tokens = [torch.tensor([1]), torch.tensor([0])]
        >>> list(text_pieces(tokens, StreamingDecoder(CharTokenizer("ba"))))
        ['a', 'b']
    """
    for token in tokens:
        if piece := decoder.put(int(token)):
            yield piece
    if rest := decoder.finish():
        yield rest
