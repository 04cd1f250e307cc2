"""Settings in a file: the config.json of a run folder, which repeats the run."""

import json
import os
from pathlib import Path
from typing import Any

from minimodels.errors import InputError
from minimodels.files import replacing
from minimodels.recipes.settings import Settings


def read_config(path: str | os.PathLike[str]) -> tuple[str | None, dict[str, Any]]:
    """The recipe's name, if it is given, and the settings in a config file.

    Args:
        path: a JSON file, such as the config.json of a run folder.

    Raises:
        InputError: no such file, or not a JSON object.
    """
    try:
        values = json.loads(Path(path).read_bytes())
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise InputError(f"{path}: there is no such file; give a config.json.") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON ({error}); repair it, or give the config.json of a run.") from None
    if not isinstance(values, dict) or not isinstance(values.get("recipe"), str | None):
        raise InputError(f'{path}: must be a JSON object such as {{"recipe": "cnn", "epochs": 5}}.')
    return values.pop("recipe", None), values


def write_config(path: str | os.PathLike[str], recipe: str, chosen: Settings) -> None:
    """Write a config file that `read_config` reads back to the same settings.

    Args:
        path: the file.
        recipe: its name.
        chosen: its settings.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({"recipe": recipe, **chosen.to_json()}, indent=2) + "\n", encoding="utf-8")
