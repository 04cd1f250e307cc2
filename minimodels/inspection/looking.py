"""Running a model without leaving a trace on it: its modes, its buffers and the random numbers stay as they were."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch.nn import Module


@contextmanager
def modes_kept(model: Module) -> Iterator[None]:
    """Put every part of a model back into the mode of before, also parts that were frozen on purpose.

    Args:
        model: whose parts may change between training and evaluation in the block.

    Example:
        >>> from minimodels import nn
        >>> layer = nn.Dropout()
        >>> with modes_kept(layer):
        ...     _ = layer.eval()
        >>> layer.training
        True
    """
    modes = [(part, part.training) for part in model.modules()]
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


@contextmanager
def buffers_kept(model: Module) -> Iterator[None]:
    """Let a model work on copies of its buffers; afterwards it has its own again, which nobody wrote to.

    They are exchanged and not written back, because autograd may keep them for a derivative, and refuses one whose
    operands were written to.

    Args:
        model: whose running statistics and other buffers may move in the block.

    Cost: a copy of the buffers.

    Example:
        >>> from minimodels import nn
        >>> layer = nn.BatchNorm1d(2)
        >>> with buffers_kept(layer):
        ...     _ = layer(torch.ones(3, 2))
        ...     inside = layer.num_batches_tracked
        >>> inside, layer.num_batches_tracked
        (tensor(1), tensor(0))
    """
    own = [(part, dict(part._buffers)) for part in model.modules()]
    for part, buffers in own:
        part._buffers.update({name: None if b is None else b.clone() for name, b in buffers.items()})
    try:
        yield
    finally:
        for part, buffers in own:
            part._buffers.update(buffers)


@contextmanager
def only_looking(*models: Module) -> Iterator[None]:
    """Run models in evaluation mode and without gradients; modes, buffers and random state are those of before.

    Args:
        models: those that run in the block.

    Example:
        >>> from minimodels import nn
        >>> layer = nn.Dropout()
        >>> with only_looking(layer):
        ...     layer(torch.ones(2))
        tensor([1., 1.])
        >>> layer.training
        True
    """
    cards = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.random.fork_rng(cards))
        for model in models:
            stack.enter_context(modes_kept(model))
            stack.enter_context(buffers_kept(model))
            model.eval()
        yield
