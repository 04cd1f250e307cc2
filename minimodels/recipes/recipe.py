"""What a recipe is, and which there are."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minimodels.errors import InputError
from minimodels.recipes.settings import Settings
from minimodels.recipes.wording import did_you_mean, listing

RECIPES = {
    "cnn": "a convolutional network reads handwritten digits",
    "resnet": "a residual network reads them",
    "lstm": "three LSTM layers tell prose from code, good reviews from bad ones, or your own texts apart",
    "char-lstm": "an LSTM learns to write, character by character",
    "gpt": "a GPT learns to write: Python's documentation, Shakespeare, or texts like your own",
}
"""Name and purpose of every recipe; each stands in the module of its name, as `RECIPE`."""


@dataclass(frozen=True)
class Recipe:
    """A job that one command does, from data to a run folder, and what can be done with that folder.

    Args:
        settings: the class of its settings.
        train: settings → run folder.
        evaluate: (run folder, settings) → results.
        predict: (run folder, settings, inputs) → answers; the inputs are paths or, if it reads text, pairs
            (name, text).
        inputs: what the inputs of `predict` are, for --help.
        evaluation_flags: the settings that may be others for evaluation than they were in training.
        prediction_flags: the same for prediction.
        reads_text: whether `predict` takes texts, which may also stand on the command line.
        language_model: (run folder, settings) → (model with `generate` and `stream`, its tokenizer), of a recipe that
            trains one: `minimodels generate` writes with it.
    """

    settings: type[Settings]
    train: Callable[[Any], Path]
    evaluate: Callable[[Path, Any], dict[str, float]]
    predict: Callable[[Path, Any, list[Any]], Any]
    inputs: str
    evaluation_flags: tuple[str, ...]
    prediction_flags: tuple[str, ...]
    reads_text: bool = False
    language_model: Callable[[Path, Any], tuple[Any, Any]] | None = None


def find_recipe(name: str) -> Recipe:
    """The recipe of that name; only its own module is imported.

    Args:
        name: one of `RECIPES`.

    Raises:
        InputError: there is none of that name.

    Example:
        >>> find_recipe("cn")
        Traceback (most recent call last):
        ...
        minimodels.errors.InputError: recipe cn: there is none of this name, only cnn, ...; did you mean cnn?
    """
    if name not in RECIPES:
        raise InputError(
            f"recipe {name}: there is none of this name, only {listing(RECIPES)}{did_you_mean(name, RECIPES)}"
        )
    recipe: Recipe = importlib.import_module(f"minimodels.recipes.{name.replace('-', '_')}").RECIPE
    return recipe
