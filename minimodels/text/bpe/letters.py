"""How GPT-2's files write bytes: each of the 256 as one visible character.

A byte that Latin-1 shows as a visible character is written as that one; the others, such as the space, take the
characters from U+0100 on, in their order. The space is "Ġ", the line feed "Ċ".
"""

from minimodels.errors import InputError

VISIBLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
BYTES = VISIBLE + sorted(set(range(256)) - set(VISIBLE))
"""The bytes in the order of their letters, which is that of their numbers in GPT-2's vocabulary."""


class _Bytes(dict[int, int]):
    """Letter → byte; any other character becomes one that no byte has, so that it is found."""

    def __missing__(self, key: int) -> int:
        return 0x100


_LETTER_OF = {byte: byte if i < len(VISIBLE) else 0x100 + i - len(VISIBLE) for i, byte in enumerate(BYTES)}
_BYTE_OF = _Bytes({letter: byte for byte, letter in _LETTER_OF.items()})


def to_letters(token: bytes) -> str:
    r"""Write bytes as letters.

    Args:
        token: any bytes.

    See: tests/text/bpe/test_letters.py

    Example:
        >>> to_letters(" naïve\n".encode())
        'ĠnaÃ¯veĊ'
    """
    return token.decode("latin-1").translate(_LETTER_OF)


def to_bytes(letters: str) -> bytes:
    """The bytes that letters stand for.

    Args:
        letters: what `to_letters` writes.

    Raises:
        InputError: a character that stands for no byte.

    Example:
        >>> to_bytes("Ġnot")
        b' not'
    """
    try:
        return letters.translate(_BYTE_OF).encode("latin-1")
    except UnicodeEncodeError as error:
        raise InputError(f"{letters!r} is not a token of bytes: {letters[error.start]!r} stands for none.") from None
