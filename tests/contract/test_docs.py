"""Docstrings that cannot drift: arguments equal the signature, size formulas are evaluated, twins exist."""

import importlib
import inspect
import math
import pathlib
import pkgutil
import re
import typing

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minimodels
from minimodels import functional, nn
from tests.registry import LAYERS

ROOT = pathlib.Path(minimodels.__file__).parent.parent
MODULES = [
    importlib.import_module(info.name)
    for info in pkgutil.walk_packages(minimodels.__path__, "minimodels.")
    if not info.name.endswith("__main__")
]


def public():
    """Everything public that the package defines: functions, classes, and their public methods."""
    found = {}
    for module in MODULES:
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(value) or inspect.isclass(value):
                found[f"{module.__name__}.{name}"] = value
                for method, member in vars(value).items() if inspect.isclass(value) else ():
                    if inspect.isfunction(member) and not method.startswith("_"):
                        found[f"{module.__name__}.{name}.{method}"] = member
    return found


PUBLIC = public()
everything = pytest.mark.parametrize("name", PUBLIC)


def sections(docstring):
    """Split a docstring at its section headings: name → text."""
    parts = re.split(r"^(Args|Shape|Attributes|Returns|Raises|Cost|References|See|Example):", docstring, flags=re.M)
    return dict(zip(["", *parts[1::2]], parts[::2], strict=True))


def listed(section):
    """The names that an Args section explains, in order."""
    return re.findall(r"^\*{0,2}(\w+):", inspect.cleandoc("x\n" + section), flags=re.M)


def parameters(value):
    """The parameters that a caller gives."""
    if getattr(value, "_is_protocol", False):
        return None
    if inspect.isclass(value) and ("__init__" not in vars(value) or issubclass(value, BaseException)):
        return None  # what it is made with is its parent's business
    overloads = typing.get_overloads(value.__init__) if inspect.isclass(value) else []
    signature = inspect.signature(overloads[0] if overloads else value)  # the first overload names what *args are
    return [name for name in signature.parameters if name not in ("self", "cls", "draw")]


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_every_file_says_what_it_is(module):
    assert module.__doc__, module.__name__
    assert module.__doc__.strip().splitlines()[0].endswith((".", ":", "?"))


@everything
def test_args_equal_the_signature(name):
    value = PUBLIC[name]
    docstring = inspect.getdoc(value)
    assert docstring, f"{name} has no docstring"
    names = parameters(value)
    if names is None:
        return
    explained = [n for n in listed(sections(docstring).get("Args", "")) if n != "draw"]
    assert explained == names, f"{name}: the signature has {names}, Args explain {explained}"


@pytest.mark.parametrize("room", [functional, nn], ids=["functional", "nn"])
def test_layers_and_their_arithmetic_have_all_sections(room):
    wanted = {"Args", "Shape", "Cost", "See", "Example"}
    for name in room.__all__:
        value = getattr(room, name)
        if (value.__module__ if hasattr(value, "__module__") else "").startswith("minimodels"):
            missing = wanted - sections(inspect.getdoc(value)).keys()
            assert not missing, f"{name} lacks {missing}"


@everything
def test_twins_exist(name):
    see = sections(inspect.getdoc(PUBLIC[name]) or "").get("See", "")
    for path in re.findall(r"tests/[\w/]+\.py", see):
        assert (ROOT / path).is_file(), f"{name} points at {path}"


def formula(layer, letter="P"):
    """The output size as the docstring's Shape gives it, made into Python."""
    (text,) = re.findall(rf"\b{letter} = ([^,\n]*? \+ 1)(?=,|\n|$| \(⌈)", sections(inspect.getdoc(layer))["Shape"])
    return text.replace("⌊", "round_(").replace("⌋", ")").replace("·", "*").replace("−", "-")


POOLS = [nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d]


@pytest.mark.parametrize("layer", POOLS, ids=lambda layer: layer.__name__)
@given(
    H=st.integers(6, 15), kH=st.integers(1, 3), s=st.integers(1, 3), d=st.integers(1, 2), ceil=st.booleans(),
    data=st.data(),
)  # fmt: skip
def test_size_formulas_are_true(layer, H, kH, s, d, ceil, data):
    padding = data.draw(st.integers(0, kH // 2))
    names = {"H": H, "L": H, "kH": kH, "k": kH, "s": s, "d": d, "padding": padding}
    names["round_"] = math.ceil if ceil else math.floor
    kwargs = {"stride": s, "padding": padding} | ({"dilation": d} if layer not in POOLS[3:] else {})
    output = layer(kH, ceil_mode=ceil, **kwargs)(torch.zeros(1, 1, *(H,) * int(layer.__name__[-2])))
    if ceil and (output.shape[-1] - 1) * s + s >= H + padding:
        return  # the window that would start in the right padding is dropped, as the text says
    assert output.shape[-1] == eval(formula(layer), names)


CONVOLUTIONS = [(nn.Conv1d, 1), (nn.Conv2d, 2), (nn.Conv3d, 3)]
CONVOLUTIONS += [(nn.ConvTranspose1d, 1), (nn.ConvTranspose2d, 2), (nn.ConvTranspose3d, 3)]


@pytest.mark.parametrize(("layer", "dims"), CONVOLUTIONS, ids=[layer.__name__ for layer, _ in CONVOLUTIONS])
@given(size=st.integers(6, 9), k=st.integers(1, 3), s=st.integers(1, 3), d=st.integers(1, 2), data=st.data())
def test_size_formulas_of_convolutions_are_true(layer, dims, size, k, s, d, data):
    settings = {"stride": s, "padding": data.draw(st.integers(0, 2)), "dilation": d}
    if layer.transposed:
        settings["output_padding"] = data.draw(st.integers(0, max(s, d) - 1))
    output = layer(1, 1, k, **settings)(torch.zeros(1, 1, *[size] * dims))
    names = {**settings, "s": s, "d": d, "round_": math.floor}
    names |= dict.fromkeys(("L", "H", "D"), size) | dict.fromkeys(("k", "kH", "kD"), k)
    twin = getattr(functional, f"conv{'_transpose' * layer.transposed}{dims}d")
    for text in (layer, twin):
        assert output.shape[2] == eval(formula(text), names)


def test_the_registry_knows_every_layer():
    classes = {getattr(nn, name) for name in nn.__all__ if inspect.isclass(getattr(nn, name))}
    twins = {c for c in classes if c.__module__.startswith("minimodels") and hasattr(torch.nn, c.__name__)}
    assert twins == {row.ours for row in LAYERS}
