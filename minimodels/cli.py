"""The command line: minimodels train | evaluate | predict | generate."""

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from minimodels import __version__
from minimodels.data.texts import read_text
from minimodels.errors import InputError, hushed
from minimodels.recipes import RECIPES, Recipe, find_recipe
from minimodels.recipes.flags import Parser, add_flags, parse_settings
from minimodels.recipes.runs import CONFIG, disk_problem, open_run
from minimodels.recipes.wording import did_you_mean, listing, shortened
from minimodels.training import distributed

SILENCE = 1.0
"""Seconds that a process waits in which another one speaks: torchrun ends all of them as soon as one has gone."""

USAGE = """usage: minimodels COMMAND ...

  train RECIPE [flags]         train a model; everything goes into a run folder
  evaluate RUN [flags]         measure the model of a run folder on test data
  predict RUN INPUT ...        let it answer to your own pictures, or texts (--text "...")
  generate MODEL [flags]       let a language model write: of a run folder, or a published one (gpt2)
  --version                    print the version

Every command and recipe explains itself: minimodels train cnn --help"""


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
        return _failed(stop, str(stop) or "Stopped by Ctrl-C.")
    except BrokenPipeError:  # the reader of our output has gone, so nothing more can be said to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    except OSError as error:
        return _failed(error, disk_problem(error))


def run(argv: list[str]) -> int:
    """Choose the command and run it.

    Args:
        argv: the arguments without the program's name.

    Returns:
        The exit status.

    Raises:
        InputError: there is no such command, or it was called wrongly.
    """
    commands = {"train": train, "evaluate": evaluate, "predict": predict, "generate": generate}
    match argv:
        case []:
            print(USAGE, file=sys.stderr)
            return 2
        case ["-h" | "--help", *_]:
            print(USAGE)
        case ["--version", *_]:
            print(f"minimodels {__version__}")
        case [name, *rest] if name in commands:
            return commands[name](rest)
        case [name, *_]:
            hint = did_you_mean(name, commands)
            raise InputError(f"{name}: there is no such command, only {listing(commands)}{hint}")
    return 0


def train(argv: list[str]) -> int:
    """Train the model of a recipe.

    Args:
        argv: the recipe's name and its flags.

    Returns:
        The exit status.
    """
    recipes = "\n".join(f"  {name:<12} {purpose}" for name, purpose in RECIPES.items())
    usage = f"usage: minimodels train RECIPE [flags]\n\n{recipes}\n\nThe flags of a recipe: minimodels train cnn --help"
    match argv:
        case []:
            print(usage, file=sys.stderr)
            return 2
        case ["-h" | "--help", *_]:
            print(usage)
            return 0
    name, *flags = argv
    with distributed.said_once():
        recipe = find_recipe(name)
        chosen: Any = parse_settings(recipe.settings, name, flags, f"minimodels train {name}")
    with distributed.joined(chosen.device, chosen.timeout):
        recipe.train(chosen)
    return 0


def evaluate(argv: list[str]) -> int:
    """Measure the model of a run folder.

    Args:
        argv: the run folder and flags.

    Returns:
        The exit status.
    """
    if _asks_for_help(argv, "evaluate RUN [flags]", "measure the model of a run folder on test data"):
        return 0
    folder, recipe, values = _opened("evaluate", argv)
    parser = Parser(f"minimodels evaluate {folder}", "Measure the model of this run folder on test data.")
    add_flags(parser, recipe.settings, recipe.evaluation_flags)
    given = vars(parser.parse(argv[1:]))
    recipe.evaluate(folder, recipe.settings.from_json(values, str(folder / CONFIG)).for_evaluation(**given))
    return 0


def predict(argv: list[str]) -> int:
    """Let the model of a run folder answer to the user's own inputs.

    Args:
        argv: the run folder, the inputs and flags.

    Returns:
        The exit status.
    """
    if _asks_for_help(argv, "predict RUN INPUT ... [flags]", "let the model answer to your own pictures or texts"):
        return 0
    folder, recipe, values = _opened("predict", argv)
    parser = Parser(f"minimodels predict {folder}", "Let the model of this run folder answer to your own inputs.")
    parser.add_argument("inputs", nargs="*" if recipe.reads_text else "+", metavar="INPUT", help=recipe.inputs)
    if recipe.reads_text:
        parser.add_argument("--text", action="append", default=[], help="a text itself; may be given several times")
    add_flags(parser, recipe.settings, recipe.prediction_flags)
    given = vars(parser.parse(argv[1:]))
    inputs = given.pop("inputs")
    if recipe.reads_text:
        inputs = _texts(inputs, given.pop("text"), f"minimodels predict {folder}")
    chosen = recipe.settings.from_json(values, str(folder / CONFIG)).for_evaluation(**given)
    recipe.predict(folder, chosen, inputs)
    return 0


def generate(argv: list[str]) -> int:
    """Let a language model go on with a text.

    Args:
        argv: the model and flags.

    Returns:
        The exit status.
    """
    from minimodels.recipes import writing  # the other commands need not wait for models and tokenizers

    writing.run(argv)
    return 0


def _texts(paths: list[str], texts: list[str], command: str) -> list[tuple[str, str]]:
    """Texts with what to call them: the path of a file, or the beginning of a text of the command line."""
    if not paths and not texts:
        raise InputError(f'{command}: give a text file, or a text itself: --text "...".')
    return [(path, read_text(Path(path))) for path in paths] + [(shortened(text), text) for text in texts]


def _asks_for_help(argv: list[str], usage: str, purpose: str) -> bool:
    """Whether help is wanted before there is a run folder; it is then printed."""
    wanted = argv[:1] in (["-h"], ["--help"])
    if wanted:
        command = usage.split()[0]
        print(f"usage: minimodels {usage}\n\n{purpose}; minimodels {command} RUN --help lists the flags of its recipe")
    return wanted


def _opened(command: str, argv: list[str]) -> tuple[Path, Recipe, dict[str, Any]]:
    """The run folder that a command line names first, its recipe and the values of its settings."""
    if not argv or argv[0].startswith("-"):
        raise InputError(f"minimodels {command}: name a run folder first, such as runs/cnn-digits.")
    folder = Path(argv[0])
    name, values = open_run(folder)
    return folder, find_recipe(name), values


def _failed(error: BaseException, sentence: str) -> int:
    """Say what is wrong, unless another process does, and give the status that stands for it."""
    rank = os.environ.get("RANK", "0") if distributed.launched() else "0"
    if hushed(error):
        time.sleep(SILENCE)
    else:
        print(f"minimodels{f' (process {rank})' if rank != '0' else ''}: {sentence}", file=sys.stderr)
    return 2
