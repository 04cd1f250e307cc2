"""Work that several processes do together: a failure of one is a failure of all, so that nobody waits for ever.

Without a process group there is one process, and nothing is sent. What is sent goes between the processes of one
program; no file is ever read this way.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from torch import distributed

from minimodels.errors import InputError, hush

T = TypeVar("T")


def grouped() -> bool:
    """Whether this process belongs to a group.

    Example:
        >>> grouped()
        False
    """
    return distributed.is_available() and distributed.is_initialized()


def rank() -> int:
    """The number of this process in the group; 0 without one.

    Example:
        >>> rank()
        0
    """
    return distributed.get_rank() if grouped() else 0


def gathered(work: Callable[[], T]) -> list[T]:
    """Do the work in every process, and give what all of them found, in the order of their ranks.

    Args:
        work: of this process; its result is pickled for the others.

    Raises:
        Exception: what the work raised in the first process in which it failed.

    Cost: one exchange of small objects.

    See: tests/checkpoint/test_processes.py

    Example:
        >>> gathered(rank)
        [0]
    """
    result: Any = None
    error: Exception | None = None
    try:
        result = work()
    except Exception as caught:  # whatever it is, the others wait for word from here
        error = caught
    outcomes: list[Any] = [(result, error)]
    if grouped():
        outcomes = [None] * distributed.get_world_size()
        distributed.all_gather_object(outcomes, (result, _sendable(error)))
    for number, (_, problem) in enumerate(outcomes):
        if problem is not None:  # the same one in all processes, so that they go on alike
            if error is not None and number == rank():
                raise error
            hush(problem)  # it is said where it happened
            raise problem
    return [value for value, _ in outcomes]


def agreed(work: Callable[[], T]) -> T:
    """Do the work in every process, and give what it found here once it has succeeded in all of them.

    Args:
        work: of this process; its result stays here.

    Raises:
        Exception: as for `gathered`.

    Example:
        >>> agreed(lambda: "done")
        'done'
    """
    results: list[T] = []
    gathered(lambda: results.append(work()))
    return results[0]


def shared(work: Callable[[], T]) -> T:
    """Do the work in the first process alone, and give what it found in all of them.

    Args:
        work: done where `rank()` is 0.

    Raises:
        Exception: what the work raised there.

    Example:
        >>> shared(lambda: "done")
        'done'
    """
    result: T = gathered(lambda: work() if rank() == 0 else None)[0]  # type: ignore[assignment]
    return result


def _sendable(error: Exception | None) -> Exception | None:
    """An error that another process can raise: those of ours and of the system as they are, others in words."""
    if error is None or isinstance(error, InputError | OSError):
        return error
    return RuntimeError(f"process {rank()}: {type(error).__name__}: {error}")
