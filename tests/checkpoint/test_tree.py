"""A tree taken apart is JSON, and put together again it is the same; what cannot be kept is refused by its place."""

import collections
import enum
import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.checkpoint.tree import DEEPEST, put_together, take_apart
from minimodels.errors import InputError
from tests.checkpoint.trees import assert_same, states


class Kind(enum.IntEnum):
    """A number with a name."""

    ONE = 1


@given(state=states)
def test_a_tree_goes_through_json_and_stays_the_same(state: dict[Any, Any]) -> None:
    value, tensors = take_apart(state)
    text = json.dumps(value, allow_nan=False)
    assert text.isascii()
    assert "__metadata__" not in tensors
    again = put_together(json.loads(text), lambda place, name: tensors[name].detach())
    assert_same(again, state)


@pytest.mark.parametrize("power", [62, 63, 64, 65, 20_000])
@pytest.mark.parametrize("sign", [1, -1])
def test_whole_numbers_of_any_size(power: int, sign: int) -> None:
    """Python itself turns those of more than 4300 digits into no decimal text."""
    number = sign * 2**power
    value, _ = take_apart({"number": number, number: torch.zeros(1)})
    again = put_together(json.loads(json.dumps(value)), lambda place, name: place)
    assert again["number"] == number
    assert again[number] == (number,)  # its place


@given(state=states)
def test_every_tensor_is_asked_for_by_its_place(state: dict[Any, Any]) -> None:
    value, tensors = take_apart(state)
    places: dict[Any, str] = {}
    put_together(value, places.__setitem__)
    for place, name in places.items():
        found: Any = state
        for key in place:
            found = found[key]
        assert found.shape == tensors[name].shape
    assert set(places.values()) == tensors.keys()


def test_a_tensor_is_named_by_where_it_is_and_once() -> None:
    weight = torch.randn(2, 3)
    model = {"a.b": weight, "a": {"b": torch.zeros(1)}, 7: [weight]}
    _, tensors = take_apart({"model": model, "turned": weight.t(), "é\ud800": weight[0]})
    assert list(tensors) == ["model.a.b", "model.a.b'", "turned", "é\\ud800"]


def test_what_behaves_like_the_plain_types_becomes_one_of_them() -> None:
    pair = collections.namedtuple("pair", "a b")
    state = collections.OrderedDict(a=pair(Kind.ONE, np.float64(0.1)), b=collections.defaultdict(int, {1: 2}))
    value, _ = take_apart(state)
    assert_same(put_together(json.loads(json.dumps(value)), dict), {"a": (1, 0.1), "b": {1: 2}})


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"a": {"b": [0, {1}]}}, "a.b.1 is of type set"),
        ({"a": np.int64(3)}, "a is of type int64"),
        ({"a": b"x"}, "a is of type bytes"),
        ({"a": {(1, 2): 3}}, r"a has the key \(1, 2\)"),
        ({True: 3}, "the state has the key True"),
        ({"a": {None: 3}}, "a has the key None"),
        ([1], "the state is of type list"),
        ({"a": torch.zeros(2, device="meta")}, "a is a tensor without plain numbers"),
        ({"a": torch.zeros(2).to_sparse()}, "a is a tensor without plain numbers"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_place(state: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        take_apart(state)
    assert str(caught.value).endswith(".")


def test_text_that_is_not_unicode_keeps_its_pairs() -> None:
    """Two lone surrogates in a row would come back from JSON as one letter."""
    state = {"\ud83d\ude00": "\ud83d\ude00", "\U0001f600": "\ud83d", "plain": {"\udfff": "\U0001f600"}}
    value, _ = take_apart(state)
    assert_same(put_together(json.loads(json.dumps(value)), dict), state)


def nested(depth: int) -> dict[str, Any]:
    state: dict[str, Any] = {}
    for _ in range(depth):
        state = {"a": state}
    return state


def test_depth_is_limited_on_both_ways() -> None:
    value, _ = take_apart(nested(DEEPEST))
    assert put_together(json.loads(json.dumps(value)), dict) == nested(DEEPEST)
    with pytest.raises(InputError, match=r"a\.a\.a nests more than 100 levels deep, or contains itself"):
        take_apart(nested(DEEPEST + 1))
    with pytest.raises(ValueError, match="more than 100 levels"):
        put_together({"dict": {"a": value}}, dict)
    cycle: dict[str, Any] = {}
    cycle["again"] = [cycle]
    with pytest.raises(InputError, match="contains itself"):
        take_apart(cycle)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.dictionaries(st.sampled_from(["dict", "items", "tuple", "tensor", "int", "float", "str", "x"]), parts)
    ),
)


@given(value=json_values)
def test_any_other_json_is_an_error_and_no_more(value: Any) -> None:
    with suppress(ValueError, TypeError, OverflowError):
        put_together(value, lambda place, name: name)
