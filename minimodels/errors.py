"""What is said when something given to us is wrong: one sentence that names it and the remedy."""

import difflib
import errno
from collections.abc import Iterable
from types import ModuleType

MEMORY = ("can't allocate memory", "Storage size calculation overflowed")
"""What PyTorch says on a CPU, where it has no class of its own for it."""


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


def disk_problem(error: OSError) -> str:
    """An error of the file system as one sentence with a remedy.

    Args:
        error: what was raised.

    Example:
        >>> disk_problem(OSError(errno.ENOSPC, "No space left on device", "runs/cnn-digits"))
        'runs/cnn-digits: no space left on device; free some space or choose another disk with --out.'
    """
    remedies = {
        errno.ENOSPC: "free some space or choose another disk with --out",
        errno.EDQUOT: "free some space or choose another disk with --out",
        errno.EFBIG: "choose another disk with --out",
        errno.EACCES: "change its permissions or choose another place",
        errno.EPERM: "change its permissions or choose another place",
        errno.EROFS: "choose another place",
    }
    remedy = remedies.get(error.errno or 0, "check the path")
    reason = (error.strerror or str(error)).lower()
    return f"{error.filename or 'a file'}: {reason}; {remedy}."


def no_memory(error: BaseException) -> str:
    """What an error says of memory that is not to be had, on one line; nothing where it is about something else.

    Args:
        error: that was raised, by PyTorch, NumPy or Python.

    Example:
        >>> no_memory(MemoryError("Unable to allocate 35.5 PiB"))
        'Unable to allocate 35.5 PiB'
        >>> no_memory(ValueError("no number"))
        ''
    """
    said = str(error).strip()
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"  # of a graphics card
    if not known and not (isinstance(error, RuntimeError) and any(words in said for words in MEMORY)):
        return ""
    return said.splitlines()[0].rstrip(".") if said else "no more memory"


def absent(name: str, room: ModuleType, reference: ModuleType) -> AttributeError:
    """What to raise for a name that a module has not: Python's words, and the remedy where PyTorch has it.

    Args:
        name: what was asked for.
        room: the module of this package.
        reference: its namesake in PyTorch.

    Example:
        >>> import sys, math
        >>> print(absent("tau", sys.modules["minimodels.errors"], math))
        module 'minimodels.errors' has no attribute 'tau'; math.tau works beside what it has
    """
    has = not name.startswith("_") and hasattr(reference, name)
    remedy = f"; {reference.__name__}.{name} works beside what it has" if has else ""
    return AttributeError(f"module {room.__name__!r} has no attribute {name!r}{remedy}", name=name, obj=room)
