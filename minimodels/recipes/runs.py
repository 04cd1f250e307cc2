"""The run folder: where a training run leaves everything it made, and nothing of another run is ever touched."""

import dataclasses
import itertools
import json
import os
import shlex
import signal
from collections.abc import Container, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from minimodels.checkpoint import States
from minimodels.errors import InputError
from minimodels.files import write_json
from minimodels.recipes.settings import Settings
from minimodels.recipes.wording import flag
from minimodels.training.distributed import starter

CONFIG = "config.json"
CHECKPOINTS = "checkpoints"
"""The folder in a run folder that holds the states from which a run can go on."""

LOCK = ".lock"
MODEL = "model.safetensors"
SUMMARY = "summary.json"
VOCABULARY = "vocabulary.json"
PRETRAINED = "model"
"""The folder in a run folder that holds a language model and its tokenizer, as published models have them."""


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
    """Write a config file that `read_config` reads back to the same settings: it repeats the run.

    Args:
        path: the file.
        recipe: its name.
        chosen: its settings.
    """
    write_json(path, {"recipe": recipe, **chosen.to_json()})


def new_run(out: Path, recipe: str, chosen: Settings) -> Path:
    """Make the folder of a run, with its config.json.

    A folder that already holds something stays as it is: the run then goes into the first free one of out-2,
    out-3, ... Its config.json is made exclusively, so two runs that start at the same moment get two folders.

    Args:
        out: the folder wished for.
        recipe: name of the recipe.
        chosen: its settings.

    Returns:
        The folder that was made.

    Raises:
        InputError: there is a file of that name.

    Example:
        >>> import tempfile
        >>> from minimodels.recipes.cnn import CNNSettings
        >>> out = Path(tempfile.mkdtemp()) / "runs" / "mine"
        >>> [new_run(out, "cnn", CNNSettings()).name for _ in range(3)]
        ['mine', 'mine-2', 'mine-3']
    """
    if out.name in ("", ".."):
        raise InputError(f"--out {out}: give a folder a name of its own, such as runs/cnn.")
    for number in itertools.count(1):
        folder = out if number == 1 else out.with_name(f"{out.name}-{number}")
        if folder.exists() and not folder.is_dir():
            raise InputError(f"--out {folder}: is a file; give the name of a folder.")
        folder.mkdir(parents=True, exist_ok=True)
        if _claimed(folder):
            break
    write_config(folder / CONFIG, recipe, chosen)
    return folder


def resumed_run(out: Path, recipe: str, chosen: Settings, free: Container[str]) -> Path:
    """The folder of a run that goes on, once it is found to be a run of these settings; or a new one of that name.

    Args:
        out: the folder.
        recipe: name of the recipe.
        chosen: its settings.
        free: names of the settings that may be others than they were.

    Returns:
        The same folder.

    Raises:
        InputError: it holds something else, the run of another recipe, or one with other settings, which are named.
    """
    if not began(out):
        check_free(out)
        write_config(out / CONFIG, recipe, dataclasses.replace(chosen, resume=False))  # type: ignore[type-var]
        return out
    name, values = read_config(out / CONFIG)
    if name != recipe:
        raise InputError(f"--resume: {out} is a run of the recipe {name}, not of {recipe}; choose another --out.")
    before = type(chosen).from_json(values, str(out / CONFIG)).to_json()
    for setting, value in chosen.to_json().items():
        if setting not in free and before[setting] != value:
            raise InputError(
                f"--resume: {out} was begun with {_spoken(setting, before[setting])} and cannot go on with "
                f"{_spoken(setting, value)}; give --out {out} --resume alone to go on as it was begun, or choose "
                f"another --out to begin a new run."
            )
    return out


def check_free(out: Path) -> None:
    """Whether a folder may become that of a run; there need not be one.

    Args:
        out: the folder.

    Raises:
        InputError: it holds what is no run.
    """
    if out.is_dir() and not began(out) and any(entry.name not in (LOCK, CONFIG) for entry in out.iterdir()):
        raise InputError(f"--resume: {out} holds files, but no run (it has no {CONFIG}); choose another --out.")


def began(folder: Path) -> bool:
    """Whether a run has written its settings into a folder.

    Args:
        folder: any.
    """
    config = folder / CONFIG
    return config.is_file() and config.stat().st_size > 0


def _spoken(setting: str, value: Any) -> str:
    """A setting as one would type it."""
    if isinstance(value, bool):
        return flag(setting) if value else flag(f"no_{setting}")
    return f"{flag(setting)} {'none' if value is None else value}"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a run folder to one process; the lock dies with it, however it ends.

    Args:
        folder: of the run; it is made where there is none.

    Raises:
        InputError: another process has it, or it is a file.
    """
    if folder.is_file():
        raise InputError(f"--out {folder}: is a file; give the name of a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(FileLock(folder / LOCK, timeout=0))
        except Timeout:
            raise InputError(
                f"{folder}: another run is writing to this folder at this moment; wait until it ends, or choose "
                f"another with --out."
            ) from None
        yield


def _claimed(folder: Path) -> bool:
    """Whether the folder was empty and is now ours."""
    if any(folder.iterdir()):
        return False
    try:
        (folder / CONFIG).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def open_run(folder: Path) -> tuple[str, dict[str, Any]]:
    """The recipe and the settings of a run folder that holds a model.

    Args:
        folder: of the run.

    Raises:
        InputError: it is not the folder of a run, or nothing was saved in it.
    """
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder}: is not the folder of a run; give one with a config.json, such as runs/cnn-digits.")
    recipe, values = read_config(folder / CONFIG)
    if recipe is None:
        raise InputError(f'{folder / CONFIG}: does not say which recipe it is of; add "recipe": "cnn".')
    if not has_model(folder):
        raise InputError(f"{folder}: has no {MODEL}, its run ended before the first epoch did; train it again.")
    return recipe, values


def has_model(folder: Path) -> bool:
    """Whether a model was saved in a run folder.

    Args:
        folder: of the run.
    """
    return any((place / MODEL).is_file() for place in (folder, folder / PRETRAINED))


@contextmanager
def guarded(folder: Path, recipe: str) -> Iterator[None]:
    """When somebody stops the block, the message says what the folder keeps, and how to go on.

    Args:
        folder: of the run.
        recipe: its name.

    Raises:
        KeyboardInterrupt: with that message.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        how = "by SIGTERM" if getattr(stop, "signal", None) is signal.SIGTERM else "by Ctrl-C"
        states = States(folder / CHECKPOINTS).all()
        kept = f"the run as it was after step {int(states[-1].name.split('-')[1]):,}" if states else "its settings"
        command = shlex.join([*starter(), "train", recipe, "--out", str(folder), "--resume"])
        raise KeyboardInterrupt(f"Stopped {how}: go on with `{command}`; {folder} keeps {kept}.") from None
