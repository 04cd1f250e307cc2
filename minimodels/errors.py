"""The one exception that means: what was given to us is wrong, and here is what to do about it."""


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
