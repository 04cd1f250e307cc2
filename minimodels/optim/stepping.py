"""What every optimiser here shares: the frame of a step, the choice of its path, and the tiles of the fast path."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

import torch
from torch import Tensor

from minimodels.shards import ORDINARY, is_shared

Group = dict[str, Any]
"""One entry of `param_groups`: the parameters under "params", every hyper-parameter under its own name."""

TILE = 131_072
"""Elements in a tile, for each thread.

AdamW over 22 million float32 elements of GPT-2 shapes, AMD EPYC with AVX-512, one thread, milliseconds a step:
tiles of 16k 111, 32k 78, 64k 66, 128k 57, 256k 52, uncut 101. Five tensors of 128k are 2.6 MB: they leave room
in the caches for a neighbour, and smaller tiles pay for their calls.
"""

FUSED_DEVICES = ("mps", "cuda", "xpu", "hpu", "cpu", "mtia")
CAPTURABLE_DEVICES = ("cuda", "xpu", "hpu", "xla")


class SteppingOptimizer(torch.optim.Optimizer):
    """The frame of a step: the closure first, then every parameter group through the algorithm's own `update`.

    Parameter groups, `state_dict`, hooks and `zero_grad` are those of `torch.optim.Optimizer`.
    """

    def update(self, group: Group) -> None:
        """Move the parameters of one group; gradients are recorded only for a differentiable optimiser.

        Args:
            group: the entry of `param_groups` to work on.
        """
        raise NotImplementedError

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Move every parameter that has a gradient.

        Args:
            closure: evaluates the model anew with gradients switched on, and gives the loss.

        Returns:
            What the closure gave, or None without one.
        """
        loss = None
        with torch.set_grad_enabled(self.defaults.get("differentiable", False)):
            if closure is not None:
                with torch.enable_grad():
                    loss = closure()
            for group in self.param_groups:
                self.update(group)
        return loss


def prefers_tiles(group: Group) -> bool:
    """Whether a group takes the multi-tensor path: as its flags say, and unless they say, wherever it can.

    torch.optim chooses its own by default on accelerators alone; ours is the faster on a CPU too (see `TILE`).

    Args:
        group: the entry of `param_groups`.
    """
    if group["foreach"] is None and group["fused"] is None:
        able = all(type(p) in ORDINARY or is_shared(p) for p in group["params"])
        return able and not group["differentiable"]
    return bool(group["foreach"] or group["fused"])


def check_flags(*, foreach: bool | None, fused: bool | None, differentiable: bool) -> None:
    """Refuse the pairs of flags that contradict each other.

    Args:
        foreach: the flag of that name.
        fused: the flag of that name.
        differentiable: the flag of that name.

    Raises:
        RuntimeError: `fused` stands beside `differentiable` or `foreach`.
    """
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def check_fused(param: Tensor) -> None:
    """Refuse a parameter that `fused=True` does not allow.

    Args:
        param: the parameter.

    Raises:
        RuntimeError: it is not floating point, or on a device without fused optimisers.
    """
    if param.device.type not in FUSED_DEVICES or not param.is_floating_point():
        raise RuntimeError(
            "`fused=True` requires all the params to be floating point Tensors of supported devices: "
            f"{list(FUSED_DEVICES)} but {param.dtype} and {param.device.type}"
        )


def scalar(value: float | Tensor) -> float | Tensor:
    """A hyper-parameter as a number or a 0-d tensor, so that it multiplies a parameter without changing its shape.

    Args:
        value: a number, or a tensor of one element in any number of dimensions.

    Example:
        >>> scalar(torch.tensor([[0.5]]))
        tensor(0.5000)
    """
    return value.reshape(()) if isinstance(value, Tensor) else value


def real(tensor: Tensor) -> Tensor:
    """A complex tensor as a view of pairs of real numbers, a real one as it is: optimisers treat the two parts alike.

    Args:
        tensor: any tensor.
    """
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def tiles(rows: Sequence[Sequence[Tensor]]) -> Iterator[list[list[Tensor]]]:
    """Cut a table of tensors, one row a parameter, into tiles that stay in the processor's caches.

    An optimiser is a chain of elementwise steps. Taken over all parameters one after the other, each step fetches
    every tensor from memory again; taken tile by tile, only the first step does. Large tensors are cut, small ones
    are gathered. An accelerator gains nothing from it, has fast lists instead, and gets everything in one tile.

    Args:
        rows: for each parameter its tensors of one shape, all rows on one device: parameter, gradient, state...

    Returns:
        Tiles, column by column: a list of (pieces of) parameters, the list of their gradients, and so on.
        The pieces are views: what is written to them is written to the tensors.

    Example:
        >>> [[parameters, gradients]] = tiles([(torch.ones(2), torch.zeros(2)), (torch.ones(3), torch.zeros(3))])
        >>> parameters
        [tensor([1., 1.]), tensor([1., 1., 1.])]
    """
    size = TILE * torch.get_num_threads()
    gathered: list[Sequence[Tensor]] = []
    elements = 0
    for row in rows:
        if row[0].numel() > size and row[0].is_cpu and all(t.is_contiguous() for t in row):
            count = math.ceil(row[0].numel() / size)
            for pieces in zip(*(t.view(-1).chunk(count) for t in row), strict=True):
                yield [[piece] for piece in pieces]
            continue
        gathered.append(row)
        elements += row[0].numel()
        if elements >= size and row[0].is_cpu:
            yield [list(column) for column in zip(*gathered, strict=True)]
            gathered, elements = [], 0
    if gathered:
        yield [list(column) for column in zip(*gathered, strict=True)]
