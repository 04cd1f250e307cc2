"""Words for messages: flags, long texts made short, and those that stand in `errors`."""

from minimodels.errors import did_you_mean, listing

__all__ = ["did_you_mean", "flag", "listing", "shortened"]


def flag(name: str) -> str:
    """The flag of a setting.

    Args:
        name: of the field.

    Example:
        >>> flag("batch_size")
        '--batch-size'
    """
    return "--" + name.replace("_", "-")


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
