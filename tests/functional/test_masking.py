"""Dropout: torch's mask, the expected value, and in place."""

import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F


@given(
    p=st.floats(0, 1), seed=st.integers(0, 999), dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16])
)
def test_the_same_seed_gives_torchs_mask_and_leaves_the_generator_where_torch_does(p, seed, dtype):
    x = torch.randn(7, 5).to(dtype)
    results = []
    for dropout in (F.dropout, torch.nn.functional.dropout):
        torch.manual_seed(seed)
        results.append((dropout(x, p), torch.rand(1)))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_the_mean_stays():
    torch.manual_seed(0)
    y = F.dropout(torch.ones(100_000), 0.3)
    assert y.mean().item() == pytest.approx(1, abs=0.01)
    assert (y == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_in_place(p):
    results = []
    for dropout in (F.dropout, torch.nn.functional.dropout):
        torch.manual_seed(0)
        x = torch.ones(10)
        assert dropout(x, p, inplace=True) is x
        results.append(x)
    assert torch.equal(*results)


def test_without_training_or_chance_the_input_comes_back():
    x = torch.ones(3)
    assert F.dropout(x, 0.5, training=False) is x
    assert F.dropout(x, 0.0) is x


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(ValueError, match="between 0 and 1"):
        F.dropout(torch.ones(3), p)


CHANNELS = [
    *((F.dropout1d, torch.nn.functional.dropout1d, shape) for shape in [(4, 3), (2, 4, 3)]),
    *(
        (F.dropout2d, torch.nn.functional.dropout2d, shape)
        for shape in [(2, 3), (2, 3, 4), (2, 4, 3, 2), (2, 3, 1, 2, 2)]
    ),
    *((F.dropout3d, torch.nn.functional.dropout3d, shape) for shape in [(9,), (9, 2), (3, 4, 2), (6, 1, 2, 2)]),
    *((F.dropout3d, torch.nn.functional.dropout3d, shape) for shape in [(2, 5, 1, 2, 2), (5, 2, 1, 2, 2, 1)]),
]


@pytest.mark.parametrize(("ours", "reference", "shape"), CHANNELS)
@pytest.mark.parametrize("inplace", [False, True])
def test_channels_of_any_rank_fall_as_torchs_do_with_its_warnings(ours, reference, shape, inplace):
    results = []
    for dropout in (ours, reference):
        torch.manual_seed(3)
        x = torch.arange(1.0, 1 + math.prod(shape)).view(shape)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            y = dropout(x, 0.5, inplace=inplace)
        assert (y is x) == inplace
        assert all(warning.filename == __file__ for warning in caught)
        results.append((y, torch.rand(1), len(caught)))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert results[0][2] == results[1][2]


@pytest.mark.filterwarnings("ignore:dropout.d. Received:UserWarning")
@pytest.mark.parametrize(
    ("name", "shape"), [("dropout1d", (3,)), ("dropout1d", (1, 2, 3, 4)), ("dropout2d", (3,)), ("dropout3d", ())]
)
def test_what_has_no_channels_is_refused(name, shape):
    for dropout in (getattr(room, name) for room in (F, torch.nn.functional)):
        with pytest.raises(RuntimeError):
            dropout(torch.ones(shape), 0.5)
