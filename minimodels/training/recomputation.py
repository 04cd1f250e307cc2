"""Trading time for memory: the blocks of a model keep their inputs alone, and compute the rest again when it is needed.

A backward pass needs what the forward pass computed. A model of L equal blocks whose inputs are I numbers and whose
insides are A numbers keeps L·(I + A) of them. With every block recomputed it keeps L·I + A: the inputs, and the insides
of the one block that the backward pass has come to. The price is a second forward pass of the blocks, a third of the
arithmetic of a step more.
"""

import functools
import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch.nn import Module, ModuleDict, ModuleList, Sequential
from torch.utils.checkpoint import checkpoint

from minimodels.errors import InputError
from minimodels.functional.transforms import plain_autograd
from minimodels.inspection.looking import buffers_kept
from minimodels.nn import KeyValueCache
from minimodels.tap import listened

LISTS = (ModuleList, ModuleDict, Sequential)
"""Modules that hold others one after the other."""


def blocks(model: Module) -> list[Module]:
    """Find the parts of which a model repeats one after the other: a Transformer's layers, a ResNet's residual blocks.

    These are the elements of its lists (`ModuleList`, `ModuleDict`, `Sequential`) that are modules of several parts and
    whose class occurs twice at least, on the outermost level where there are any. They are the units in which training
    saves memory, by `recompute` and by sharding.

    Args:
        model: where to look.

    Returns:
        The blocks in their order, each once; none, where nothing is repeated.

    See: `recompute`; tests/training/test_recomputation.py.

    Example:
        >>> from minimodels.models import GPT2Config, GPT2LMHeadModel
        >>> model = GPT2LMHeadModel(GPT2Config(n_layer=3, n_head=2, n_embd=8))
        >>> [type(block).__name__ for block in blocks(model)]
        ['GPT2Block', 'GPT2Block', 'GPT2Block']
    """
    found: list[Module] = []
    level = list(_elements(model))
    while level:
        kinds = Counter(map(type, level))
        found += [element for element in level if kinds[type(element)] > 1]
        level = [inner for element in level if kinds[type(element)] == 1 for inner in _elements(element)]
    return list(dict.fromkeys(found))


def recompute(model: Module) -> None:
    """Let the blocks of a model keep their inputs alone while it trains, and compute the rest again going backwards.

    Numbers, gradients, random numbers and running statistics are the same, bit for bit: dropout draws the same mask the
    second time, and a batch moves running statistics once. So are evaluation, generation, state dict, copies and
    pickles; only a block that runs in training mode, with gradients, without a cache of keys and values, with nobody
    listening and outside of the transforms of `torch.func` works differently inside. Going backwards it needs the
    parameters that it went forwards with: `torch.func.functional_call` takes them away too early.

    Args:
        model: whose `blocks` are changed, in place. Changing them twice changes nothing.

    Raises:
        InputError: the model has no blocks.

    Cost: one more forward pass of the blocks in every backward pass. In memory are the inputs of all blocks, and the
        insides of one at a time.

    References: Chen, Xu, Zhang & Guestrin 2016, "Training deep nets with sublinear memory cost", arXiv:1604.06174.

    See: `blocks`; tests/training/test_recomputation.py.

    Example:
        >>> from minimodels.models import ResNet
        >>> model = ResNet(20)
        >>> recompute(model)
        >>> model(torch.rand(2, 1, 28, 28)).sum().backward()
        >>> model.bn1.num_batches_tracked, model.layer1[0].bn1.num_batches_tracked
        (tensor(1), tensor(1))
    """
    found = blocks(model)
    if not found:
        raise InputError(
            f"recompute: {type(model).__name__} has no repeated blocks that could be computed again; leave it off, and "
            f"save memory by smaller batches, more of them in a step (batch_size, accumulate)."
        )
    for block in found:
        block.forward = functools.partial(_forward, block)


def _elements(model: Module) -> Iterator[Module]:
    """Go through the modules of several parts that stand in a list, not into them."""
    for part in model._modules.values():  # where `children()` gives one that stands there twice but once
        listed = isinstance(model, LISTS) and not isinstance(part, ModuleList | ModuleDict)
        if part is not None and part._modules and listed:
            yield part
        elif part is not None:
            yield from _elements(part)


def _forward(block: Module, *inputs: Any, **options: Any) -> Any:
    """Run a block, and in training keep its inputs alone.

    It stands in the block and knows it by an argument, so that a copy or a pickle of the block has one of its own.
    """
    forward = functools.partial(type(block).forward, block)
    if not _saves(block, inputs, options):
        return forward(*inputs, **options)
    if torch.compiler.is_compiling():  # what a compiled graph writes to buffers, it writes once
        return checkpoint(forward, *inputs, use_reentrant=False, **options)
    runs = itertools.count()

    def run(*inputs: Any, **options: Any) -> Any:
        with buffers_kept(block) if next(runs) else nullcontext():  # buffers have moved in the first run
            return forward(*inputs, **options)

    return checkpoint(run, *inputs, use_reentrant=False, **options)


def _saves(block: Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Say whether there will be a backward pass, and nobody for whom a second forward pass would make a difference."""
    return (
        block.training
        and torch.is_grad_enabled()
        and plain_autograd()
        and not listened()
        and not any(isinstance(value, KeyValueCache) for value in (*inputs, *options.values()))
    )
