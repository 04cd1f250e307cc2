"""Real prose without a download: the documentation of Python's topics, which every Python brings along."""

from minimodels.errors import InputError


def load_topics() -> list[str]:
    """What `help("if")` and the like show: some 80 texts, about half a million characters, in the order of their names.

    They differ a little from one version of Python to the next.

    Raises:
        InputError: this Python comes without its documentation.

    See: tests/data/test_prose_or_code.py

    Example:
        >>> any("conditional execution" in topic for topic in load_topics())
        True
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise InputError(
            "this Python has no pydoc_data.topics; use another Python, or give texts of your own."
        ) from None
    return [topics[name] for name in sorted(topics)]
