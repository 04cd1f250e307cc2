"""Settings of a recipe: one dataclass, from which flags, config files, --help and checks are made.

The flags are made in flags.py, the files in runs.py.
"""

import dataclasses
import math
import operator
import os
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import (
    Any,
    Literal,
    NamedTuple,
    Self,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from minimodels.errors import InputError
from minimodels.recipes.wording import did_you_mean, flag, listing

LARGEST = 2**63 - 1
"""The largest whole number that PyTorch can hold; no setting may be larger."""

GREATEST = 1e30
SMALLEST = 1e-30
"""The largest and the smallest of all other numbers but 0: far from the ends of float32 (3.4e38 and 1.2e-38), so that
what is computed from them, or by dividing by them, is still a number."""

COMPARISONS = {"at least": operator.ge, "above": operator.gt, "at most": operator.le, "below": operator.lt}

T = TypeVar("T")


def setting(
    default: Any,
    help: str,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> Any:
    """A field of a settings class.

    Args:
        default: its value unless a config file or a flag says otherwise.
        help: one line for --help.
        at_least: the smallest number allowed.
        above: a number that it must exceed.
        at_most: the largest number allowed.
        below: a number that must exceed it.
    """
    limits = {"at least": at_least, "above": above, "at most": at_most, "below": below}
    return dataclasses.field(default=default, metadata={"help": help, "limits": limits})


@dataclass_transform(frozen_default=True, field_specifiers=(setting,))
def settings(settings_class: type[T]) -> type[T]:
    """Make a frozen dataclass of settings, and its docstring's Args from the fields' help.

    Args:
        settings_class: a subclass of `Settings` whose fields are made by `setting`. A type may be bool, int, float,
            str, Path, a Literal of strings, or one of these or None.

    Example:
        >>> @settings
        ... class Walk(Settings):
        ...     '''How to walk.'''
        ...     steps: int = setting(3, "how many", at_least=1)
        >>> Walk(steps=0)
        Traceback (most recent call last):
        ...
        minimodels.errors.InputError: --steps 0: must be at least 1.
        >>> print(Walk.__doc__)
        How to walk.
        <BLANKLINE>
        Args:
            steps: how many.
    """
    made = dataclass(frozen=True)(settings_class)
    fields = dataclasses.fields(made)  # type: ignore[arg-type]  # mypy does not see that it is a dataclass now
    args = [f"    {field.name}: {field.metadata['help']}." for field in fields]
    made.__doc__ = "\n".join([made.__doc__ or "", "", "Args:", *args])
    return made


class Settings:
    """What all settings have in common: their values are checked whenever they are made."""

    def __post_init__(self) -> None:
        for name, kind in kinds(type(self)).items():
            value = getattr(self, name)
            object.__setattr__(self, name, kind.convert(value, f"{flag(name)} {value}"))

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON can hold them."""
        values = {name: getattr(self, name) for name in kinds(type(self))}
        return {name: os.fspath(value) if isinstance(value, Path) else value for name, value in values.items()}

    def for_evaluation(self, **given: Any) -> Self:
        """The same with some others, for a run that is evaluated.

        Args:
            **given: settings that take the place of these.
        """
        return dataclasses.replace(self, **given)  # type: ignore[type-var]  # every Settings is made by @settings

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Settings from the values that were given, as flags or in a file; the others keep their defaults.

        A class whose defaults depend on one another overrides it.

        Args:
            values: by name; texts from flags are converted.

        Raises:
            InputError: a value does not suit its setting.
        """
        return cls(**values)

    @classmethod
    def from_json(cls, values: Mapping[str, Any], source: str) -> Self:
        """Settings from a config file's values; what it leaves out keeps its default.

        Args:
            values: by name.
            source: the file, for messages.

        Raises:
            InputError: an unknown name, or a value that does not suit its setting.
        """
        return cls.of(checked(cls, values, source))


class Kind(NamedTuple):
    """What a setting may be.

    Attributes:
        base: bool, int, float, str or Path.
        choices: the only values allowed, if not empty.
        optional: whether it may be None.
        limits: numbers that bound it, by the words for them.
    """

    base: type
    choices: tuple[str, ...]
    optional: bool
    limits: Mapping[str, float | None]

    def convert(self, value: Any, where: str) -> Any:
        """A value from a flag (text) or from JSON or Python (typed), as the type of the setting.

        Args:
            value: what was given; the text "none" stands for None where that is allowed.
            where: the flag or file, for messages.

        Raises:
            InputError: it does not suit.
        """
        if self.optional and (value is None or (isinstance(value, str) and value.lower() == "none")):
            return None
        if self.choices:
            if value not in self.choices:
                raise InputError(f"{where}: choose {listing(self.choices)}{did_you_mean(value, self.choices)}")
            return value
        if self.base is bool:
            if not isinstance(value, bool):
                raise InputError(f"{where}: must be true or false.")
            return value
        return self._number(value, where) if self.base in (int, float) else self._text(value, where)

    def _number(self, value: Any, where: str) -> int | float:
        """A finite number within the limits."""
        sources = (str, int) if self.base is int else (str, int, float)
        try:
            number: int | float | None = (
                self.base(value) if isinstance(value, sources) and not isinstance(value, bool) else None
            )
        except (ValueError, OverflowError):
            number = None
        if number is None or not math.isfinite(number):
            raise InputError(f"{where}: must be a {'whole' if self.base is int else 'finite'} number.")
        for words, limit in self.limits.items():
            if limit is not None and not COMPARISONS[words](number, limit):
                raise InputError(f"{where}: must be {words} {limit}.")
        most = LARGEST if self.base is int else GREATEST
        if abs(number) > most:
            raise InputError(f"{where}: must be {f'at most {most}' if number > 0 else f'at least -{most}'}.")
        if 0 < abs(number) < SMALLEST:
            raise InputError(f"{where}: must be {SMALLEST} or more away from 0.")
        return number

    def _text(self, value: Any, where: str) -> Any:
        """A string or path that the system can take."""
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if value == "":
            raise InputError(f"{where.strip()}: is empty; give one, or leave it out.")
        try:
            usable = isinstance(value, str) and b"\0" not in os.fsencode(value)
        except UnicodeEncodeError:
            usable = False
        if not usable:
            raise InputError(f"{where}: must be a {'path' if self.base is Path else 'text'}.")
        if self.base is not Path:
            return value
        try:
            return Path(value).expanduser()
        except RuntimeError:  # nobody of that name has a home: the name is meant as it stands
            return Path(value)


def kinds(settings_class: type) -> dict[str, Kind]:
    """The kind of every setting of a class, by name.

    Args:
        settings_class: a settings class.
    """
    hints = get_type_hints(settings_class)
    return {
        field.name: _kind(hints[field.name], field.metadata["limits"]) for field in dataclasses.fields(settings_class)
    }


def _kind(hint: Any, limits: Mapping[str, float | None]) -> Kind:
    """The kind that a type annotation means."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    (base,) = [option for option in options if option is not type(None)]
    choices = get_args(base) if get_origin(base) is Literal else ()
    return Kind(str if choices else base, choices, len(options) > 1, limits)


def checked(settings_class: type, values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The values of a config file, each converted to the type of its setting.

    Args:
        settings_class: the settings class.
        values: by name.
        source: the file, for messages.

    Raises:
        InputError: an unknown name, or a value that does not suit its setting.
    """
    known = kinds(settings_class)
    for name in values:
        if name not in known:
            raise InputError(f'{source}: there is no setting "{name}"{did_you_mean(name, known)}')
    return {name: known[name].convert(value, f'{source}: "{name}" {value!r}') for name, value in values.items()}
