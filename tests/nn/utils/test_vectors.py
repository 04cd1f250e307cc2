"""Parameters as one vector and back: a round trip, and torch's errors."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.nn import utils

ROOMS = (utils, torch.nn.utils)
shapes = st.lists(st.lists(st.integers(0, 4), max_size=3), min_size=1, max_size=4)


@given(shapes=shapes, seed=st.integers(0, 99))
def test_there_and_back(shapes, seed):
    generator = torch.Generator().manual_seed(seed)
    start = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    vector = utils.parameters_to_vector(p for p in start)
    assert torch.equal(vector, torch.nn.utils.parameters_to_vector(start))
    copies = [[torch.nn.Parameter(torch.zeros(shape)) for shape in shapes] for _ in ROOMS]
    for room, copy in zip(ROOMS, copies, strict=True):
        room.vector_to_parameters(vector, iter(copy))
        for parameter, original in zip(copy, start, strict=True):
            assert torch.equal(parameter, original)
            assert parameter.requires_grad
            assert parameter.untyped_storage().data_ptr() == vector.untyped_storage().data_ptr()


def test_autograd_follows_the_vector():
    a, b = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(3))
    (utils.parameters_to_vector([a, b]) * torch.arange(7.0)).sum().backward()
    assert a.grad.tolist() == [[0, 1], [2, 3]]
    assert b.grad.tolist() == [4, 5, 6]


@pytest.mark.parametrize(
    "call",
    [
        lambda room: room.parameters_to_vector([]),
        lambda room: room.parameters_to_vector([torch.zeros(2, 3).t()]),
        lambda room: room.vector_to_parameters([1.0, 2.0], [torch.zeros(2)]),
        lambda room: room.vector_to_parameters(torch.zeros(3), [torch.zeros(2), torch.zeros(2)]),
    ],
)
def test_the_same_errors(call):
    errors = []
    for room in ROOMS:
        with pytest.raises((TypeError, ValueError, RuntimeError)) as seen:
            call(room)
        errors.append(seen.type)
    assert errors[0] is errors[1]


def test_two_devices_are_refused():
    for call in (utils.parameters_to_vector, lambda ps: utils.vector_to_parameters(torch.zeros(2), ps)):
        with pytest.raises(TypeError, match="on different devices"):
            call([torch.zeros(1), torch.zeros(1, device="meta")])
