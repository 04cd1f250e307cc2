"""The tree of a training state as JSON: its structure, and all in it that is no tensor.

None, bool, int, float, str and list stand for themselves wherever JSON can hold them to the last bit. Everything else
is an object with one key, which says what it is:

    {"dict": {"lr": 0.1}}             a dict; {"items": [[3, ...]]} where keys are not all of them plain text
    {"tuple": [1, 2]}                 a tuple
    {"tensor": "model.weight"}        a tensor, which is written elsewhere under this name
    {"int": "0x1f"}                   a whole number of more than 64 bits
    {"float": "7ff8000000000000"}     infinity, or what is not a number: its bits
    {"str": "eda080"}                 text that is not Unicode (lone surrogates): its bytes in UTF-8
"""

import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from minimodels.checkpoint.pieces import is_sharded
from minimodels.errors import InputError

Place = tuple[str | int, ...]
"""Where something stands in the tree: the keys and indices that lead to it."""

DEEPEST = 100
"""Levels of a tree; one with more is not written. It probably contains itself."""

RESERVED = "__metadata__"
"""The one name that safetensors keeps for itself."""


def take_apart(state: Mapping[str, Any]) -> tuple[Any, dict[str, Tensor]]:
    """Part a tree into its structure and its tensors.

    Args:
        state: nested dicts (with str or int keys), lists, tuples, None, bool, int, float, str and tensors.

    Returns:
        (what JSON can hold, the tensors by name); a tensor that the tree has twice is named once.

    Raises:
        InputError: the tree holds something else, or nests too deep.

    See: tests/checkpoint/test_tree.py

    Example:
        >>> import torch
        >>> take_apart({"step": 3, "rates": (0.1, math.inf), "weight": torch.zeros(2)})
        ({'dict': {'step': 3, 'rates': {'tuple': [0.1, {'float': '7ff0000000000000'}]},
                   'weight': {'tensor': 'weight'}}}, {'weight': tensor([0., 0.])})
    """
    if not isinstance(state, Mapping):
        raise InputError(f"the state is of type {type(state).__name__}; give a dict.")
    parts = _Parts()
    try:
        return parts.encode(state, ()), parts.tensors
    except RecursionError:
        raise InputError(_too_deep(())) from None


def put_together(value: Any, tensor: Callable[[Place, str], Any]) -> Any:
    """Give the tree that `take_apart` took apart.

    Args:
        value: its structure.
        tensor: (place, name) → the tensor that stands there.

    Raises:
        ValueError, TypeError, OverflowError: it is nothing that `take_apart` gives.

    Example:
        >>> put_together({"items": [[0, {"tuple": [1, {"tensor": "a"}]}]]}, lambda place, name: (place, name))
        {0: (1, ((0, 1), 'a'))}
    """
    return _decoded(value, (), tensor)


def _decoded(value: Any, place: Place, tensor: Callable[[Place, str], Any]) -> Any:
    """What a value in JSON stands for."""
    if len(place) > DEEPEST:
        raise ValueError(f"more than {DEEPEST} levels")
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [_decoded(part, (*place, number), tensor) for number, part in enumerate(value)]
        case dict() if len(value) == 1:
            ((kind, content),) = value.items()
            return _opened(kind, content, place, tensor)
    raise ValueError(f"an object with {len(value)} keys")


def _opened(kind: str, content: Any, place: Place, tensor: Callable[[Place, str], Any]) -> Any:
    """What an object with one key stands for."""
    match kind, content:
        case "dict", dict():
            return {key: _decoded(part, (*place, key), tensor) for key, part in content.items()}
        case "items", list():
            pairs = [(_decoded(key, (), tensor), part) for key, part in content]
            return {key: _decoded(part, (*place, key), tensor) for key, part in pairs}
        case "tuple", list():
            return tuple(_decoded(content, place, tensor))
        case "tensor", str():
            return tensor(place, content)
        case "int", str():
            return int(content, 16)
        case "float", str():
            return struct.unpack(">d", int(content, 16).to_bytes(8, "big"))[0]
        case "str", str():
            return bytes.fromhex(content).decode("utf-8", "surrogatepass")
    raise ValueError(f"an object of the kind {kind}")


class _Parts:
    """The tensors of a tree while it is taken apart."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.names: dict[object, str] = {}

    def encode(self, value: Any, place: Place) -> Any:
        """What stands for a value in JSON."""
        if len(place) > DEEPEST:
            raise InputError(_too_deep(place))
        match value:
            case None | bool():
                return value
            case int():
                return value if -(2**63) <= value < 2**63 else {"int": hex(value)}
            case float():
                return value if math.isfinite(value) else {"float": struct.pack(">d", value).hex()}
            case str():
                return value if _plain(value) else {"str": value.encode("utf-8", "surrogatepass").hex()}
            case list():
                return [self.encode(part, (*place, number)) for number, part in enumerate(value)]
            case tuple():
                return {"tuple": self.encode(list(value), place)}
            case Tensor():
                return {"tensor": self.named(value, place)}
            case Mapping():
                return self.encode_dict(value, place)
        kind = type(value).__name__
        raise InputError(
            f"{_said(place)} is of type {kind}, which a state cannot hold; make it numbers, text, tensors."
        )

    def encode_dict(self, value: Mapping[Any, Any], place: Place) -> Any:
        """What stands for a dict in JSON."""
        for key in value:
            if not isinstance(key, str | int) or isinstance(key, bool):
                raise InputError(f"{_said(place)} has the key {key!r}; a state has keys of type str and int.")
        encoded = [(key, self.encode(part, (*place, key))) for key, part in value.items()]
        if all(isinstance(key, str) and _plain(key) for key in value):
            return {"dict": dict(encoded)}
        return {"items": [[self.encode(key, ()), part] for key, part in encoded]}

    def named(self, tensor: Tensor, place: Place) -> str:
        """The name of a tensor: its place with dots, and something more where another has that already."""
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise InputError(f"{_said(place)} is a tensor without plain numbers; a state holds dense ones with data.")
        same = _memory(tensor)
        if same not in self.names:
            name = ".".join(map(_word, place))
            while name in self.tensors or name == RESERVED:
                name += "'"
            self.names[same] = name
            self.tensors[name] = tensor
        return self.names[same]


def _memory(tensor: Tensor) -> object:
    """What two tensors have in common that are the same numbers in the same memory."""
    if is_sharded(tensor):
        return id(tensor)  # where its shards are differs between processes, and the names must not
    look = (tensor.shape, tensor.stride(), tensor.dtype, tensor.is_conj(), tensor.is_neg())
    return (tensor.device, tensor.data_ptr(), *look)


def _plain(text: str) -> bool:
    """Whether text is Unicode, which all of JSON's readers can read."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _word(key: str | int) -> str:
    """A key as a part of a tensor's name."""
    if isinstance(key, int):
        return str(key) if -(2**63) <= key < 2**63 else hex(key)
    return key.encode("utf-8", "backslashreplace").decode()


def _said(place: Place) -> str:
    """A place as a message names it."""
    return ".".join(map(_word, place)) or "the state"


def _too_deep(place: Place) -> str:
    return f"{_said(place[:3])} nests more than {DEEPEST} levels deep, or contains itself; keep a state flatter."
