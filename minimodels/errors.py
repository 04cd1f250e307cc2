"""What is said when something given to us is wrong: one sentence that names it and the remedy."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """A user's file, flag or setting cannot be used; the message is one sentence that names it and the remedy.

    The command line prints the message of an `InputError` without a traceback and exits with status 2.
    Layers raise PyTorch's own exception types instead, because they are drop-in replacements.

    Example:
        >>> raise InputError("--epochs 0: training needs at least one epoch; give a positive number.")
        Traceback (most recent call last):
        ...
        minimodels.errors.InputError: --epochs 0: training needs at least one epoch; give a positive number.
    """


def hush(error: BaseException) -> None:
    """Mark an error as one that another process of the same run says already.

    Args:
        error: any.

    Example:
        >>> error = InputError("--epochs 0: training needs at least one epoch; give a positive number.")
        >>> hush(error)
        >>> hushed(error)
        True
    """
    vars(error)["hushed"] = True


def hushed(error: BaseException) -> bool:
    """Whether another process says it.

    Args:
        error: any.

    Example:
        >>> hushed(OSError("no space left on device"))
        False
    """
    return "hushed" in vars(error)


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
