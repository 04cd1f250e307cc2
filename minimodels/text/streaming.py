"""Text that appears token by token, and never half a character."""

import codecs

from minimodels.text.tokenizer import Tokenizer


class StreamingDecoder:
    """Give the text of one token after the other, as far as its characters are whole.

    A Chinese character or an emoji takes three or four bytes in UTF-8, which may lie in several tokens; its bytes are
    kept until the last has come. All pieces together are what `decode` gives for all tokens together.

    Args:
        tokenizer: whose tokens they are.
        skip_special_tokens: leave them out.

    See: tests/text/test_streaming.py

    Example:
        >>> from minimodels.text import BPETokenizer
        >>> stream = StreamingDecoder(BPETokenizer({bytes([byte]): byte for byte in range(256)}))
        >>> [stream.put(token) for token in "hé!".encode()]
        ['h', '', 'é', '!']
        >>> stream.finish()
        ''
    """

    def __init__(self, tokenizer: Tokenizer, skip_special_tokens: bool = False) -> None:
        self.tokenizer = tokenizer
        self.skip_special_tokens = skip_special_tokens
        self._bytes = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def put(self, token: int) -> str:
        """The text that is certain now and was not before.

        Args:
            token: the next number.

        Raises:
            InputError: there is no such token.
        """
        return self._bytes.decode(self.tokenizer.decode_bytes(token, self.skip_special_tokens))

    def finish(self) -> str:
        """What is left: nothing, or "�" where the last character has stayed without its end.

        The next token that is put begins a new text.
        """
        return self._bytes.decode(b"", final=True)
