"""Settings of published models: what is known, what is kept, what is refused."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimodels.checkpoint import PretrainedConfig
from minimodels.errors import InputError


@dataclass(kw_only=True)
class TinyConfig(PretrainedConfig):
    """Settings of every kind."""

    model_type: ClassVar[str] = "tiny"
    aliases: ClassVar[dict[str, str]] = {"hidden_size": "width"}
    only: ClassVar[dict[str, object]] = {**PretrainedConfig.only, "rotary": False}

    width: int = 8
    rate: float = 0.5
    name: str = "x"
    stop: int | list[int] | None = None
    tied: bool = True


settings = st.fixed_dictionaries(
    {},
    optional={
        "width": st.integers(),
        "rate": st.floats(allow_nan=False) | st.integers(),
        "name": st.text(),
        "stop": st.none() | st.integers() | st.lists(st.integers()),
        "tied": st.booleans(),
        "something_else": st.none() | st.text() | st.lists(st.integers()),
    },
)


@given(values=settings)
def test_what_is_read_is_written_again(values: dict[str, Any]) -> None:
    config = TinyConfig.from_dict(values)
    assert config.to_dict().items() >= ({"model_type": "tiny"} | values).items()
    assert TinyConfig.from_dict(config.to_dict()) == config
    assert config.extra.keys() == values.keys() & {"something_else"}


def test_other_names_of_a_setting() -> None:
    assert TinyConfig.from_dict({"hidden_size": 3}).width == 3


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model_type": "huge"}, "model_type 'huge': TinyConfig is for 'tiny'; take the class of that"),
        ({"rotary": True}, "rotary True: TinyConfig does not support it, only False"),
        ({"quantization_config": {"bits": 4}}, "quantization_config {'bits': 4}: TinyConfig does not support it"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads"),
        ({"width": "8"}, "width '8': has to be int"),
        ({"width": 8.5}, "width 8.5: has to be int"),
        ({"hidden_size": None}, "width None: has to be int"),
        ({"rate": "fast"}, "rate 'fast': has to be float"),
        ({"stop": "end"}, "stop 'end': has to be int | list"),
        ({"tied": 1}, "tied 1: has to be bool"),
    ],
)
def test_what_cannot_be_computed_is_refused_by_name(values: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        TinyConfig.from_dict(values)
    assert words in str(caught.value)
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(InputError) as caught:
        TinyConfig.from_pretrained(tmp_path)
    assert f"{tmp_path / 'config.json'}: " in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("values", [{"rotary": False}, {"rotary": None}, {"quantization_config": None}])
def test_what_is_computed_anyway_may_be_said(values: dict[str, Any]) -> None:
    assert TinyConfig.from_dict(values).to_dict().items() >= values.items()


@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 100_000, '"x"', b"\xff"])
def test_a_file_that_is_no_settings(tmp_path: Path, text: str | bytes) -> None:
    (tmp_path / "config.json").write_bytes(text.encode() if isinstance(text, str) else text)
    path = re.escape(str(tmp_path / "config.json"))
    with pytest.raises(InputError, match=rf"^{path}: (is no JSON|holds a)"):
        TinyConfig.from_pretrained(tmp_path)
