"""The command line of a recipe, made from its settings: defaults < --config file.json < flags."""

import argparse
import dataclasses
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from minimodels.errors import InputError
from minimodels.recipes.runs import CONFIG, began, read_config
from minimodels.recipes.settings import Kind, Settings, checked, kinds
from minimodels.recipes.wording import did_you_mean, flag

S = TypeVar("S", bound=Settings)


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `InputError` with one sentence, and suggests the flag that was meant.

    Args:
        prog: how the command is called.
        description: what it does.
    """

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise instead of exiting.

        Args:
            message: what argparse has found.
        """
        raise InputError(f"{message.removeprefix('argument ')}; {self.prog} --help shows how it is used.")

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """The arguments; a flag that does not exist is answered with the nearest one that does.

        Args:
            argv: without the name of the program.

        Raises:
            InputError: they do not fit.
        """
        # Flags may stand between inputs; but up to Python 3.12 argparse then loses what comes after "--".
        parse = self.parse_known_args if "--" in argv else self.parse_known_intermixed_args
        known, rest = parse(argv)
        if rest:
            word = rest[0].split("=")[0]
            flags = [option for option in self._option_string_actions if option.startswith("--")]
            raise InputError(f"{word}: {self.prog} does not take this{did_you_mean(word, flags)}")
        return known


def add_flags(
    parser: argparse.ArgumentParser, settings_class: type[Settings], only: Container[str] | None = None
) -> None:
    """Give a parser a flag for every setting.

    Args:
        parser: to which they are added.
        settings_class: the settings class.
        only: names of the settings that get one; None means all.
    """
    known = kinds(settings_class)
    for field in _in_order(settings_class):
        if only is not None and field.name not in only:
            continue
        kind, help = known[field.name], field.metadata["help"]
        shown = "" if field.default is None else f" (default: {_shown(field.default)})"
        options: dict[str, Any] = {"dest": field.name, "default": argparse.SUPPRESS}
        options["help"] = f"{help}{shown}".replace("%", "%%")
        if kind.base is bool:
            parser.add_argument(flag(field.name), action=argparse.BooleanOptionalAction, **options)
        else:
            parser.add_argument(flag(field.name), metavar=_metavar(kind), **options)


def _in_order(settings_class: type[Settings]) -> "list[dataclasses.Field[Any]]":
    """The settings as --help lists them: what is a recipe's own first, what it shares with others after that."""
    fields = dataclasses.fields(settings_class)  # type: ignore[arg-type]  # every Settings is made by @settings
    shared = {
        field.name: depth
        for depth, base in enumerate(settings_class.__mro__)
        if dataclasses.is_dataclass(base)
        for field in dataclasses.fields(base)
    }  # the last one to write is the first class that knew the setting
    return sorted(fields, key=lambda field: shared[field.name])


def parse_settings(settings_class: type[S], recipe: str, argv: Sequence[str], prog: str) -> S:
    """The settings that a command line asks for.

    Args:
        settings_class: the recipe's settings class.
        recipe: its name; a config file of another recipe is refused.
        argv: the flags.
        prog: how the command is called.

    Raises:
        InputError: an unknown flag or setting, or a value that does not suit.
    """
    parser = Parser(prog, (settings_class.__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--config", metavar="FILE.json", help="settings to start from, such as the config.json of a run"
    )
    add_flags(parser, settings_class)
    given = vars(parser.parse(argv))
    config = given.pop("config") or _of_the_run(given, recipe)
    values: dict[str, Any] = {}
    if config is not None:
        name, read = read_config(config)
        if name not in (None, recipe):
            raise InputError(f"--config {config}: has settings of the recipe {name}, not of {recipe}.")
        values = checked(settings_class, read, str(config))
    return settings_class.of({**values, **given})


def _of_the_run(given: Mapping[str, Any], recipe: str) -> Path | None:
    """The settings of a run that is to go on, so that they need not be given a second time."""
    if not given.get("resume") or "out" not in given or not began(Path(given["out"])):
        return None
    config = Path(given["out"]) / CONFIG
    return config if read_config(config)[0] == recipe else None


def _metavar(kind: Kind) -> str:
    """What --help shows for the value of a flag: its choices or its type."""
    if kind.choices:
        return "{" + ",".join(kind.choices) + "}"
    return "PATH" if kind.base is Path else kind.base.__name__.upper()


def _shown(default: Any) -> str:
    """A default as one would type it."""
    return str(default).lower() if isinstance(default, bool) else str(default)
