"""What `minimodels train`, `evaluate`, `predict` and `generate` do with what stands behind them."""

from pathlib import Path
from typing import Any

from minimodels.data.texts import read_text
from minimodels.errors import InputError
from minimodels.recipes.flags import Parser, add_flags, parse_settings
from minimodels.recipes.recipe import Recipe, find_recipe
from minimodels.recipes.runs import CONFIG, open_run
from minimodels.recipes.wording import shortened
from minimodels.training import distributed


def train(argv: list[str]) -> None:
    """Train the model of a recipe.

    Args:
        argv: the recipe's name and its flags.

    Raises:
        InputError: there is no such recipe, a flag does not suit, or what the recipe itself refuses.

    See: tests/test_cli.py
    """
    name, *flags = argv
    with distributed.said_once():
        recipe = find_recipe(name)
        chosen: Any = parse_settings(recipe.settings, name, flags, f"minimodels train {name}")
    with distributed.joined(chosen.device, chosen.timeout):
        recipe.train(chosen)


def evaluate(argv: list[str]) -> None:
    """Measure the model of a run folder.

    Args:
        argv: the run folder and flags.

    Raises:
        InputError: it is no run folder, a flag does not suit, or what the recipe itself refuses.
    """
    folder, recipe, values = _opened("evaluate", argv)
    parser = Parser(f"minimodels evaluate {folder}", "Measure the model of this run folder on test data.")
    add_flags(parser, recipe.settings, recipe.evaluation_flags)
    given = vars(parser.parse(argv[1:]))
    recipe.evaluate(folder, recipe.settings.from_json(values, str(folder / CONFIG)).for_evaluation(**given))


def predict(argv: list[str]) -> None:
    """Let the model of a run folder answer to the user's own inputs.

    Args:
        argv: the run folder, the inputs and flags.

    Raises:
        InputError: it is no run folder, there is nothing to answer to, a flag does not suit, or what the recipe itself
            refuses.
    """
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


def generate(argv: list[str]) -> None:
    """Let a language model go on with a text.

    Args:
        argv: the model and flags.

    Raises:
        InputError: as `minimodels.recipes.writing.run`.
    """
    from minimodels.recipes import writing  # the other commands need not wait for models and tokenizers

    writing.run(argv)


def _texts(paths: list[str], texts: list[str], command: str) -> list[tuple[str, str]]:
    """Texts with what to call them: the path of a file, or the beginning of a text of the command line."""
    if not paths and not texts:
        raise InputError(f'{command}: give a text file, or a text itself: --text "...".')
    return [(path, read_text(Path(path))) for path in paths] + [(shortened(text), text) for text in texts]


def _opened(command: str, argv: list[str]) -> tuple[Path, Recipe, dict[str, Any]]:
    """The run folder that a command line names first, its recipe and the values of its settings."""
    if not argv or argv[0].startswith("-"):
        raise InputError(f"minimodels {command}: name a run folder first, such as runs/cnn-digits.")
    folder = Path(argv[0])
    name, values = open_run(folder)
    return folder, find_recipe(name), values
