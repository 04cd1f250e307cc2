"""linear against torch.nn.functional.linear, where the layer cannot reach."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.testing import assert_commutes, assert_equivalent, tensors

shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@given(leading=shapes, features=st.integers(0, 4), biased=st.booleans(), data=st.data())
def test_a_vector_gives_one_output(leading, features, biased, data):
    operands = [data.draw(tensors((*leading, features))), data.draw(tensors((features,)))]
    if biased and not leading:  # torch has no bias for a vector under rows
        operands.append(data.draw(tensors(())))
    assert_equivalent(F.linear, torch.nn.functional.linear, *operands)


@given(leading=shapes, features=st.integers(0, 4), outputs=st.integers(0, 4), data=st.data())
def test_empty_features_and_outputs(leading, features, outputs, data):
    operands = [data.draw(tensors(shape)) for shape in ((*leading, features), (outputs, features), (outputs,))]
    assert_equivalent(F.linear, torch.nn.functional.linear, *operands)


def test_rows_do_not_see_each_other():
    x, w = torch.randn(5, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    assert_commutes(lambda rows: F.linear(rows, w), lambda rows: rows[[3, 1, 4, 0, 2]], x)


@pytest.mark.parametrize("shapes", [((2, 3), (4, 5)), ((), (4, 5)), ((3,), ()), ((2, 3), (4, 3), (5,))])
def test_misfits_raise_what_torch_raises(shapes):
    operands = [torch.ones(shape) for shape in shapes]
    for linear in (F.linear, torch.nn.functional.linear):
        with pytest.raises(RuntimeError):
            linear(*operands)
