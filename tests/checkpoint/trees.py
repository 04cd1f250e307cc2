"""Trees of training states, and when two of them are the same to the last bit."""

import math
import struct
from typing import Any

import torch
from hypothesis import strategies as st

DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool, torch.uint8, torch.int8),
    *(torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64, torch.complex64),
    *(torch.complex128, torch.float8_e4m3fn, torch.float8_e5m2),
]


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """The bytes of a tensor."""
    return tensor.detach().resolve_conj().resolve_neg().unsqueeze(-1).contiguous().view(torch.uint8)


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    """Any bytes at all, as numbers of any dtype and shape; contiguous or not, alone in memory or not."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    size = math.prod(shape) * dtype.itemsize
    data = torch.tensor(list(draw(st.binary(min_size=size, max_size=size))), dtype=torch.uint8)
    if dtype == torch.bool:
        data = data % 2
    tensor = data.view(dtype).reshape(shape)
    match draw(st.sampled_from(["plain", "turned", "expanded", "parameter", "conjugate", "window"])):
        case "turned":
            return tensor.permute(tuple(reversed(range(tensor.dim()))))
        case "expanded":
            return tensor.unsqueeze(0).expand(2, *shape)
        case "parameter" if dtype.is_floating_point:
            return torch.nn.Parameter(tensor)
        case "conjugate" if dtype.is_complex:
            return tensor.conj()
        case "window" if shape:
            return tensor[1:]
    return tensor


characters = st.characters() | st.characters(categories=["Cs"])
texts = st.text(characters, max_size=8)
keys = texts | st.integers() | st.sampled_from([0, 1, "0", "1", "a", "a.b", "__metadata__", ""])
numbers = st.integers() | st.sampled_from([2**63, -(2**63), 2**64, 10**60, -(10**60)])
any_floats = st.binary(min_size=8, max_size=8).map(lambda data: struct.unpack(">d", data)[0])
leaves = st.none() | st.booleans() | numbers | st.floats() | any_floats | texts | tensors()
values = st.recursive(
    leaves,
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.lists(parts, max_size=3).map(tuple)
        | st.dictionaries(keys, parts, max_size=3)
        | parts.map(lambda part: [part, part])
    ),
    max_leaves=12,
)
states = st.dictionaries(keys, values, max_size=4)


def assert_same(found: Any, expected: Any) -> None:
    """Same structure, types, order of keys, and bits."""
    if isinstance(expected, torch.Tensor):
        assert type(found) is torch.Tensor
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert torch.equal(bits(found), bits(expected))
        return
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert [(type(key), key) for key in found] == [(type(key), key) for key in expected]
        for key, value in expected.items():
            assert_same(found[key], value)
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, float):
        assert struct.pack(">d", found) == struct.pack(">d", expected)
    else:
        assert found == expected
