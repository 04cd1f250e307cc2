"""The command line: minimodels train | evaluate | predict | generate.

What the commands do stands in recipes/commands.py. It is imported when one of them has something to do, for PyTorch
comes with it, and takes seconds.
"""

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from minimodels import __version__
from minimodels.errors import InputError, did_you_mean, disk_problem, hushed, listing, no_memory
from minimodels.recipes import RECIPES

SILENCE = 1.0
"""Seconds that a process waits in which another one speaks: torchrun ends all of them as soon as one has gone."""

STOPPED = "Stopped by Ctrl-C."

COMMANDS = ("train", "evaluate", "predict", "generate")

USAGE = """usage: minimodels COMMAND ...

  train RECIPE [flags]         train a model; everything goes into a run folder
  evaluate RUN [flags]         measure the model of a run folder on test data
  predict RUN INPUT ...        let it answer to your own pictures, or texts (--text "...")
  generate MODEL [flags]       let a language model write: of a run folder, or a published one (gpt2)
  --version                    print the version

Every command and recipe explains itself: minimodels train cnn --help"""

HELP = {
    "train": "\n".join(
        (
            "usage: minimodels train RECIPE [flags]\n",
            *(f"  {name:<12} {purpose}" for name, purpose in RECIPES.items()),
            "\nThe flags of a recipe: minimodels train cnn --help",
        )
    ),
    "evaluate": "usage: minimodels evaluate RUN [flags]\n\n"
    "measure the model of a run folder on test data; minimodels evaluate RUN --help lists the flags of its recipe",
    "predict": "usage: minimodels predict RUN INPUT ... [flags]\n\n"
    "let the model answer to your own pictures or texts; minimodels predict RUN --help lists the flags of its recipe",
}
"""What is said of a command as long as it is not known what for; `generate` has flags of its own."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; whatever goes wrong is one sentence on stderr and status 2.

    Args:
        argv: the arguments without the program's name; by default those of the process.

    Returns:
        The exit status: 0, or 2.

    Example:
        >>> main(["--version"])
        minimodels ...
        0
    """
    status = answered(list(sys.argv[1:] if argv is None else argv))
    atexit.unregister(_deaf)
    atexit.register(_deaf)  # what is registered last comes first, before what libraries do at the end
    if "RANK" in os.environ:
        from minimodels.training import distributed

        if distributed.launched():
            distributed.leave(status)
    return status


def answered(argv: list[str]) -> int:
    """Run a command, and say what is wrong with it.

    Args:
        argv: the arguments without the program's name.

    Returns:
        The exit status: 0, or 2.
    """
    try:
        status = 0
        with suppress(SystemExit):  # the way argparse leaves when it has printed --help
            status = run(argv)
        sys.stdout.flush()  # here, where a reader that has gone is still noticed
        return status
    except InputError as error:
        return _failed(error, str(error))
    except KeyboardInterrupt as stop:
        return _failed(stop, str(stop) or STOPPED)
    except BrokenPipeError:  # the reader of our output has gone, so nothing more can be said to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    except OSError as error:
        return _failed(error, disk_problem(error))
    except (MemoryError, RuntimeError) as error:
        reason = no_memory(error)
        if not reason:
            raise
        return _failed(error, f"out of memory ({reason}): ask for less, or take a machine with more.")


def run(argv: list[str]) -> int:
    """Choose the command and run it.

    Args:
        argv: the arguments without the program's name.

    Returns:
        The exit status.

    Raises:
        InputError: there is no such command, or it was called wrongly.
    """
    match argv:
        case [] | ["train"]:
            print(HELP["train"] if argv else USAGE, file=sys.stderr)
            return 2
        case ["-h" | "--help", *_]:
            print(USAGE)
        case ["--version", *_]:
            print(f"minimodels {__version__}")
        case [name, "-h" | "--help", *_] if name in HELP:
            print(HELP[name])
        case [name, *rest] if name in COMMANDS:
            with _importing():
                from minimodels.recipes import commands
            getattr(commands, name)(rest)
        case [name, *_]:
            hint = did_you_mean(name, COMMANDS)
            raise InputError(f"{name}: there is no such command, only {listing(COMMANDS)}{hint}")
    return 0


@contextmanager
def _importing() -> Iterator[None]:
    """While PyTorch is imported Ctrl-C ends the process at once: nothing is begun, and an import that is broken off
    inside of a library fails in whatever way the library likes.
    """
    ours = threading.current_thread() is threading.main_thread()  # which alone may listen
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        if _rank() == "0":
            os.write(2, f"minimodels: {STOPPED}\n".encode())
        os._exit(2)

    signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _deaf() -> None:
    """At the end of the process there is nothing left that Ctrl-C could stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _failed(error: BaseException, sentence: str) -> int:
    """Say what is wrong, unless another process does, and give the status that stands for it."""
    rank = _rank()
    if hushed(error):
        time.sleep(SILENCE)
    else:
        print(f"minimodels{f' (process {rank})' if rank != '0' else ''}: {sentence}", file=sys.stderr)
    return 2


def _rank() -> str:
    """The number of this process among those that torchrun has started; that of a process alone is 0."""
    return os.environ.get("RANK", "0") if "MASTER_ADDR" in os.environ else "0"
