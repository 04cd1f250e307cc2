"""Words for messages: lists, flags, and the guess at what was meant."""

import difflib
from collections.abc import Iterable


def flag(name: str) -> str:
    """The flag of a setting.

    Args:
        name: of the field.

    Example:
        >>> flag("batch_size")
        '--batch-size'
    """
    return "--" + name.replace("_", "-")


def did_you_mean(word: object, choices: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: a question about the nearest choice, or a full stop.

    Args:
        word: what was given.
        choices: what there is.

    Example:
        >>> did_you_mean("--epoch", ["--epochs", "--lr"])
        '; did you mean --epochs?'
        >>> did_you_mean("xyz", ["--epochs", "--lr"])
        '.'
    """
    near = difflib.get_close_matches(str(word), list(choices), n=1)
    return f"; did you mean {near[0]}?" if near else "."


def listing(words: Iterable[str]) -> str:
    """Words as one says them.

    Args:
        words: at least one.

    Example:
        >>> listing(["mnist", "digits", "svhn"])
        'mnist, digits or svhn'
    """
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def shortened(text: str, most: int = 40) -> str:
    """A text in quotes and on one line, its end cut off where it is long.

    Args:
        text: any.
        most: characters of it.

    Example:
        >>> shortened("To be, or not to be", 5)
        '"To be…"'
    """
    line = " ".join(text.split())
    return f'"{line[:most]}…"' if len(line) > most else f'"{line}"'
