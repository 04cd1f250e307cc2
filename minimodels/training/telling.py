"""Telling the callbacks where training is, and what became of it when one of them fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from minimodels.errors import InputError

if TYPE_CHECKING:
    from minimodels.training.loop import Trainer


def tell(trainer: "Trainer", moment: str, *details: Any) -> None:
    """Call the method of that name on every callback that has it.

    Args:
        trainer: whose callbacks they are.
        moment: such as "on_epoch_end".
        *details: what it is told besides the trainer.

    Raises:
        InputError: a callback failed, which is named.
    """
    for callback in trainer.callbacks:
        _call(trainer, callback, moment, *details)


@contextmanager
def ending(trainer: "Trainer") -> Iterator[None]:
    """Whatever happens, every callback hears of the end; the first error is raised, and notes name the others.

    Args:
        trainer: whose training ends with the block.
    """
    errors: list[BaseException] = []
    try:
        yield
    except BaseException as error:
        errors.append(error)
    for callback in trainer.callbacks:
        try:
            _call(trainer, callback, "on_train_end")
        except BaseException as error:
            errors.append(error)
    if errors:
        first, *others = errors
        for other in others:
            first.add_note(f"Afterwards on_train_end of a callback failed too: {other!r}")
        raise first


def _call(trainer: "Trainer", callback: object, moment: str, *details: Any) -> None:
    """Call a method of a callback, if it has it; when that fails, say whose it was.

    The package's own callbacks say themselves what is wrong, or break where a connection to other processes does,
    which `joined` explains.
    """
    try:
        if hasattr(callback, moment):
            getattr(callback, moment)(trainer, *details)
    except (InputError, OSError):
        raise
    except Exception as error:
        kind = type(callback)
        if kind.__module__.startswith("minimodels."):
            raise
        raise InputError(
            f"callback {kind.__name__}.{moment} failed: {_reason(error)}; mend it, what was saved before stays as "
            f"it is."
        ) from error


def _reason(error: Exception) -> str:
    """The kind of an error, and the first line of what it says."""
    return " ".join([f"{type(error).__name__}:", *str(error).strip().splitlines()[:1]]).removesuffix(":").rstrip(".")
