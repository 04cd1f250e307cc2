"""Looking inside a model while it runs: record what a textbook would point at, or put something else in its place."""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import get_ident

import torch
from torch import Tensor
from torch.nn import Module

from minimodels.errors import InputError
from minimodels.tap import listening

Trace = dict[str, list[Tensor]]
"""What was heard: "module/operation.value" → the values, one for each time it came by."""


@contextmanager
def trace(model: Module) -> Iterator[Trace]:
    """Record every tapped value of a model for the length of a `with` block.

    A name is the module's path in the model, a slash, and the value's name where it is computed:
    "features.3/convolution.patches". Values are detached copies; the model keeps no trace of having been watched.
    While it is watched, a model that was compiled runs uncompiled: a graph has no values to show.

    Args:
        model: the model to watch; it is to run in this thread.

    Returns:
        A dictionary that fills while the model runs.

    Cost: fast algorithms that never form a value step aside for the definition; each value is copied.

    See: `minimodels.tap`; tests/inspection/test_trace.py.

    Example:
        >>> import torch
        >>> from minimodels.models import ConvNet
        >>> model = ConvNet()
        >>> with trace(model) as values:
        ...     _ = model(torch.zeros(1, 1, 28, 28))
        >>> values["features.0/convolution.output"][0].shape
        torch.Size([1, 32, 26, 26])
    """
    values: Trace = {}

    def record(name: str, value: Tensor) -> Tensor:
        values.setdefault(name, []).append(value.detach().clone())
        return value

    with _heard(model, record):
        yield values


@contextmanager
def patch(model: Module, changes: Mapping[str, Callable[[Tensor], Tensor]]) -> Iterator[None]:
    """Put something else in the place of tapped values for the length of a `with` block; gradients follow.

    Args:
        model: the model to change; it is to run in this thread.
        changes: name as in `trace` → function from the value to what takes its place.

    Raises:
        InputError: a named value never came by, or what takes its place has another shape.

    See: `minimodels.tap`; tests/inspection/test_trace.py.

    Example:
        >>> import torch
        >>> from minimodels.models import ConvNet
        >>> model, image = ConvNet(), torch.rand(1, 1, 28, 28)
        >>> with patch(model, {"features.6/convolution.output": torch.zeros_like}):  # blind the last convolution
        ...     blind = model(image)
        >>> torch.equal(blind, model.classifier(torch.zeros(1, 576)))
        True
    """
    met: set[str] = set()

    def change(name: str, value: Tensor) -> Tensor:
        if name not in changes:
            return value
        met.add(name)
        changed = changes[name](value)
        if changed.shape != value.shape:
            raise InputError(f"{name}: {list(value.shape)} cannot become {list(changed.shape)}; keep the shape.")
        return changed

    with _heard(model, change):
        yield
    missed = sorted(changes.keys() - met)
    if missed:
        raise InputError(f"{missed[0]}: no such value came by; trace(model) lists those that do.")


@contextmanager
def _heard(model: Module, listener: Callable[[str, Tensor], Tensor]) -> Iterator[None]:
    """Listen, with the path of the innermost running module in front of each name."""
    running: defaultdict[int, list[str]] = defaultdict(lambda: [""])  # by thread: others may run the model as well

    def enter(path: str) -> None:
        running[get_ident()].append(path)

    def leave() -> None:
        running[get_ident()].pop()

    hooks = []
    for wrapped, module in model.named_modules():
        path = ".".join(part for part in wrapped.split(".") if part != "_orig_mod")  # what torch.compile puts around it
        hooks.append(module.register_forward_pre_hook(lambda _module, _inputs, path=path: enter(path), prepend=True))
        hooks.append(module.register_forward_hook(lambda *_: leave(), always_call=True))
    try:
        with (
            _uncompiled(),
            listening(lambda name, value: listener(f"{running[get_ident()][-1]}/{name}".removeprefix("/"), value)),
        ):
            yield
    finally:
        for hook in hooks:
            hook.remove()


def _uncompiled() -> AbstractContextManager[object]:
    """Let compiled functions run as they are written; where nothing was ever compiled, the compiler stays unloaded."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
