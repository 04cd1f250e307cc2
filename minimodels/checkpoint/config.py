"""A model's settings as config.json has them: what is known becomes a field, the rest is kept."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import UnionType
from typing import Any, ClassVar, Self, get_args, get_origin

from minimodels.errors import InputError
from minimodels.hub import find_file


@dataclass(kw_only=True)
class PretrainedConfig:
    """What the settings of all published models share.

    A model's own class is a dataclass that adds its settings, and says what Hugging Face calls the model.

    Args:
        extra: keys of config.json that the model knows nothing of; kept, and written again.

    Attributes:
        model_type: the name of the architecture in config.json.
        aliases: other names of settings.
        only: settings that change the arithmetic, and the one value with which it is computed here.

    See: tests/checkpoint/test_config.py.

    Example:
        >>> @dataclass(kw_only=True)
        ... class TinyConfig(PretrainedConfig):
        ...     model_type: ClassVar[str] = "tiny"
        ...     n_embd: int = 8
        >>> TinyConfig.from_dict({"n_embd": 16, "task": "poems"}).to_dict()
        {'model_type': 'tiny', 'n_embd': 16, 'task': 'poems'}
    """

    model_type: ClassVar[str] = ""
    aliases: ClassVar[Mapping[str, str]] = {}
    only: ClassVar[Mapping[str, object]] = {
        "quantization_config": None,
        "pruned_heads": {},
        "is_encoder_decoder": False,
    }

    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | os.PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Read the settings of a published model.

        Args:
            name_or_folder: see `minimodels.hub.find_file`, as for all others.
            revision: branch, tag or commit.
            cache_dir: the Hugging Face cache.
            token: of an account.
            local_files_only: do not go to the network.

        Raises:
            InputError: there are none, or they cannot be used.
        """
        path = find_file(
            name_or_folder,
            "config.json",
            revision=revision,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
        )
        values = read_json(path)
        try:
            return cls.from_dict(values)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Take the settings from a config.json.

        Args:
            values: what it holds.

        Raises:
            InputError: it is of another architecture, a value is of another type, or asks for what is not computed.
        """
        values = {cls.aliases.get(name, name): value for name, value in values.items()}
        kind = values.pop("model_type", cls.model_type)
        if kind != cls.model_type:
            raise InputError(f"model_type {kind!r}: {cls.__name__} is for {cls.model_type!r}; take the class of that.")
        for name, value in cls.only.items():
            if values.get(name) not in (None, value):
                raise InputError(f"{name} {values[name]!r}: {cls.__name__} does not support it, only {value!r}.")
        known = {f.name: f.type for f in fields(cls) if f.name != "extra"}
        for name, annotation in known.items():
            if name in values and not _suits(values[name], annotation):
                wanted = getattr(annotation, "__name__", annotation)
                raise InputError(f"{name} {values[name]!r}: has to be {wanted}.")
        extra = {name: value for name, value in values.items() if name not in known}
        return cls(**{name: value for name, value in values.items() if name in known}, extra=extra)

    def to_dict(self) -> dict[str, Any]:
        """Give the settings as config.json has them."""
        mine = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "extra"}
        return {"model_type": self.model_type, **mine, **self.extra}


def read_json(path: os.PathLike[str]) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Args:
        path: the file.

    Raises:
        InputError: it holds something else.
    """
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  (a PathLike has no open)
            values = json.load(file)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no JSON ({error}); take another copy.") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds a {type(values).__name__}, not names and values; take another copy.")
    return values


def _suits(value: object, annotation: Any) -> bool:
    """Say whether a value is of an annotated type; a whole number is a float too."""
    if isinstance(annotation, UnionType):
        return any(_suits(value, kind) for kind in get_args(annotation))
    kind = get_origin(annotation) or annotation
    return not isinstance(kind, type) or isinstance(value, (int, float) if kind is float else kind)
