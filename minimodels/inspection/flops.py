"""How much arithmetic a model asks for: floating-point operations, counted while it runs.

What is counted is what the equations say, whatever runs: Winograd's convolutions multiply less, attention in tiles
leaves out what a mask hides, and neither makes a model smaller. While a tap is listened to, every such algorithm steps
aside for its definition, and a definition multiplies by matrix products. These are seen where PyTorch dispatches them.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from minimodels.inspection.looking import only_looking
from minimodels.tap import listening

PASSES = 3
"""Forward, and a product each for the derivatives by the two factors."""


def count_flops(function: Callable[..., Any], *inputs: Any, **options: Any) -> int:
    """Count the floating-point operations of the products in one forward pass: 2 for each multiply-add.

    Counted are matrix products, and with them linear maps, convolutions, recurrent steps and attention, by their
    equations: a convolution pays for the zeros it is padded with, and causal attention for the whole square of L·S
    scores, as in PaLM's account of its training. Additions of biases, normalisations, activations, softmax, look-ups
    and whatever else goes element by element are not: there are few of them, and memory, not arithmetic, is their
    price. Of someone else's layers all that PyTorch's own counter knows is counted (convolutions and attention of
    torch.nn, not its LSTM, GRU and RNN).

    A model runs in evaluation mode, on copies of its buffers, without gradients, and the random state is that of before
    afterwards. It has to run in this thread, and not compiled. A function is called as it is, without gradients.

    Args:
        function: a model, or any function.
        inputs: what it is called with; one row of a batch is enough, for the count grows with the rows.
        options: likewise, by name.

    Returns:
        Floating-point operations. The same on every machine, and on the meta device, where a model of any size takes
        no memory and no time.

    Cost: one forward pass by the definitions, which is slower and needs more memory than the fast algorithms'.

    References: Chowdhery et al. 2022 (PaLM), arXiv:2204.02311, appendix B.

    See: `count_training_flops`; tests/inspection/test_flops.py.

    Example:
        >>> from minimodels import nn
        >>> count_flops(nn.Linear(3, 5), torch.zeros(2, 3))  # 2 · rows · inputs · outputs
        60
        >>> from minimodels.models import GPT2Config, GPT2LMHeadModel
        >>> with torch.device("meta"):
        ...     model, tokens = GPT2LMHeadModel(GPT2Config()), torch.zeros(1, 1024, dtype=torch.long)
        >>> f"{count_flops(model, tokens):,}"
        '291,648,307,200'
    """
    models, counter = [function] if isinstance(function, Module) else [], _Counter()
    with only_looking(*models), listening(lambda name, value: value), counter:
        function(*inputs, **options)
    return counter.flops


def count_training_flops(function: Callable[..., Any], *inputs: Any, **options: Any) -> int:
    """Count the floating-point operations of a step of training: three times those of the forward pass.

    Every product y = a·b of the forward pass has two in the backward pass, ∂a = ∂y·bᵀ and ∂b = aᵀ·∂y, as large as
    itself. (The first layer of a model needs no gradient by its input; that it is counted is the custom.) What a step
    computes a second time in order to save memory (see `minimodels.training.recompute`) is not what the model asks for,
    and is not counted: these are model FLOPs, not hardware FLOPs.

    Args:
        function: as for `count_flops`; with the loss in it, if the loss has products, as that of a vocabulary has.
        inputs: likewise.
        options: likewise.

    Returns:
        Floating-point operations.

    References: Chowdhery et al. 2022 (PaLM), arXiv:2204.02311, appendix B; Kaplan et al. 2020, arXiv:2001.08361,
        section 2.1.

    See: `count_flops`; tests/inspection/test_flops.py.

    Example:
        >>> from minimodels import nn
        >>> count_training_flops(nn.Linear(3, 5), torch.zeros(2, 3))
        180
    """
    return PASSES * count_flops(function, *inputs, **options)


class _Counter(TorchDispatchMode):
    """Adds up the operations of the products that PyTorch dispatches."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        product = function.overloadpacket
        if product in _FORMULAS:
            self.flops += _FORMULAS[product](*args, **kwargs)
        elif product in flop_registry:
            self.flops += flop_registry[product](*args, **kwargs, out_val=result)
        return result


def _inner(a: Tensor, b: Tensor, *others: Any, **options: Any) -> int:
    """Of a product whose right factor is a vector, or a matrix with a row for each output."""
    rows = b.shape[0] if b.ndim == 2 else 1
    return 2 * a.numel() * rows


def _added(sums: Tensor, a: Tensor, b: Tensor, **options: Any) -> int:
    """Of a product that is added to something."""
    return 2 * a.numel() * (b.shape[-1] if b.ndim > 1 else 1)


_FORMULAS: dict[Any, Callable[..., int]] = {
    torch.ops.aten.mv: _inner,
    torch.ops.aten.dot: _inner,
    torch.ops.aten.vdot: _inner,
    torch.ops.aten.addmv: _added,
    torch.ops.aten.addmm_: _added,
    torch.ops.aten.baddbmm_: _added,
    **({torch.ops.mkldnn._linear_pointwise: _inner} if hasattr(torch.ops.mkldnn, "_linear_pointwise") else {}),
}
"""Products that PyTorch's counter does not know."""
