"""Cases: constructor arguments and inputs of a layer, valid by construction, drawn by hypothesis.

Sizes are small (a mistake in an index shows at 3 as it does at 300) and never filtered: sizes are drawn first and
whatever depends on them afterwards. Numbers come from a drawn seed, so that a failing case prints in one line.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from torch import Tensor
from torch.utils import _pytree as pytree


@dataclass(frozen=True)
class Part:
    """A layer that another one is built of, as the constructor of TransformerEncoder is given an encoder layer.

    It comes out of the same library as the whole, so that one case builds ours and the reference.

    Args:
        name: what the library calls it.
        args: positional arguments of its constructor.
        kwargs: its keyword arguments.

    Example:
        >>> Part("Linear", (3, 4)).build(torch.nn)
        Linear(in_features=3, out_features=4, bias=True)
    """

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        arguments = [repr(a) for a in self.args] + [f"{k}={v!r}" for k, v in self.kwargs.items()]
        return f"{self.name}({', '.join(arguments)})"

    def build(self, library: Any) -> torch.nn.Module:
        """Build it.

        Args:
            library: a module of layers, such as torch.nn.
        """
        return _built(getattr(library, self.name), lambda: library, self.args, self.kwargs)


@dataclass(frozen=True)
class Case:
    """One way to build a layer and one input to run it on.

    Args:
        inputs: the arguments of `forward`, float64 where they are real numbers.
        args: positional arguments of the constructor.
        kwargs: its keyword arguments.

    Example:
        >>> Case((torch.zeros(2, 3),), (3, 4), {"bias": False})
        Case(3, 4, bias=False)([2, 3] float32 zeros)
    """

    inputs: tuple[Any, ...]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        arguments = [repr(a) for a in self.args] + [f"{k}={_shown(v)}" for k, v in self.kwargs.items()]
        return f"Case({', '.join(arguments)})({', '.join(map(_shown, self.inputs))})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # what hypothesis shows of a failing case: one line, not all its numbers

    def build(self, layer: type[torch.nn.Module], **more: Any) -> torch.nn.Module:
        """Build a layer, and before it the parts that it is given, out of the same library.

        Args:
            layer: its class, ours or the reference's.
            more: further keyword arguments.
        """

        def library() -> Any:
            return importlib.import_module(layer.__module__.partition(".nn.")[0] + ".nn")

        return _built(layer, library, self.args, {**self.kwargs, **more})

    def to(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> "Case":
        """Cast all real numbers, inputs and arguments alike.

        Args:
            dtype: the floating-point type to cast to.
            device: where the tensors go.
        """

        def cast(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            return value.to(device, dtype if value.is_floating_point() else value.dtype)

        return Case(pytree.tree_map(cast, self.inputs), self.args, {name: cast(v) for name, v in self.kwargs.items()})


def _built(
    layer: type[torch.nn.Module], library: Callable[[], Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> torch.nn.Module:
    """Build a layer; the parts among its arguments first, in the order in which they stand.

    Only parts ask for the library: a layer without them may be of anyone's.
    """

    def part(value: Any) -> Any:
        return value.build(library()) if isinstance(value, Part) else value

    return layer(*map(part, args), **{name: part(value) for name, value in kwargs.items()})


def _shown(value: Any) -> str:
    if isinstance(value, tuple) and any(isinstance(part, Tensor) for part in value):
        return f"({', '.join(map(_shown, value))})"
    if not isinstance(value, Tensor):
        return repr(value)
    numbers = (
        "zeros" if not value.any() else "contiguous" if value.is_contiguous() else f"strides {list(value.stride())}"
    )
    return f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')} {numbers}"


sizes = st.integers(1, 4)
seeds = st.integers(0, 2**31 - 1)


@st.composite
def tensors(draw: DrawFn, shape: tuple[int, ...], layouts: bool = True, dtype: torch.dtype = torch.float64) -> Tensor:
    """Draw a tensor of normal numbers in some memory layout.

    Args:
        draw: hypothesis's own.
        shape: its shape.
        layouts: lay it out in other ways than contiguously too: transposed, with gaps, channels-last.
        dtype: its floating-point type.

    Example:
        >>> from hypothesis import given
        >>> @given(tensors((2, 3)))
        ... def check(x):
        ...     assert x.shape == (2, 3)
        >>> check()
    """
    generator = torch.Generator().manual_seed(draw(seeds))
    layout = draw(st.sampled_from(["contiguous", "transposed", "gaps", "channels-last"])) if layouts else "contiguous"
    if layout == "gaps" and shape:
        return torch.randn(*shape[:-1], 2 * shape[-1] + 1, generator=generator, dtype=dtype)[..., 1::2]
    x = torch.randn(shape, generator=generator, dtype=dtype)
    if layout == "transposed" and len(shape) > 1:
        return x.transpose(0, -1).contiguous().transpose(0, -1)
    if layout == "channels-last" and len(shape) in (4, 5):
        return x.contiguous(memory_format=torch.channels_last if len(shape) == 4 else torch.channels_last_3d)
    return x
