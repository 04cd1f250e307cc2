"""Two ways to compute the same thing: compare everything that a user could see of them."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch.utils import _pytree as pytree

from minimodels.functional.layout import image_layout


def assert_equivalent(
    ours: Module | Callable[..., Any],
    reference: Module | Callable[..., Any],
    *inputs: Any,
    order: int = 2,
    seed: int = 0,
    rtol: float | None = None,
    atol: float | None = None,
) -> None:
    """Assert that two modules, or two functions, give the same numbers and the same derivatives.

    Compared are the outputs with their dtypes, shapes and (for contiguous and channels-last inputs) layouts; the
    gradients of a random combination of the outputs by all floating-point inputs and parameters, and so on to the
    given order; and the buffers afterwards. Modules get the same parameters first (the reference loads ours), and
    each side runs from the same seed, so that random layers draw the same numbers.

    Args:
        ours: the module or function under test; its inputs are never changed.
        reference: what it must equal.
        inputs: the arguments; tensors, also those in tuples and lists, are copied with their strides, anything else is
            handed on.
        order: how many times to differentiate; 0 compares outputs alone.
        seed: for the random combination and for random layers.
        rtol: relative tolerance; None takes `torch.testing.assert_close`'s for the dtype.
        atol: absolute tolerance, likewise; the two are given together or not at all.

    Raises:
        AssertionError: something differs; the message says what, and by how much.

    Example:
        >>> assert_equivalent(torch.tanh, lambda x: 2 * torch.sigmoid(2 * x) - 1, torch.linspace(-2, 2, 5))
    """
    if isinstance(ours, Module) and isinstance(reference, Module):
        assert ours.state_dict().keys() == reference.state_dict().keys(), "the state dicts have different keys"
        reference.load_state_dict(ours.state_dict())
    mine = derivatives(ours, *inputs, order=order, seed=seed)
    theirs = derivatives(reference, *inputs, order=order, seed=seed)
    assert mine.keys() == theirs.keys(), f"ours gives {list(mine)}, the reference {list(theirs)}"
    for name in theirs:
        assert_same(mine[name], theirs[name], name, rtol, atol)
        if (
            name.startswith("output")
            and theirs[name].numel()
            and all(map(_plainly_laid_out, pytree.tree_leaves(inputs)))
        ):
            layouts = _layout(mine[name]), _layout(theirs[name])
            assert layouts[0] == layouts[1], f"{name}: (contiguous, channels-last) is {layouts[0]}, not {layouts[1]}"


def derivatives(f: Module | Callable[..., Any], *inputs: Any, order: int = 2, seed: int = 0) -> dict[str, Tensor]:
    """Run a module or function and list, by name, its outputs, its derivatives up to an order, and its buffers.

    The derivative of order n + 1 is that of a random combination of the derivatives of order n, so that one number
    stands for a whole Jacobian and a mistake in any of its entries shows.

    Args:
        f: the module or function.
        inputs: its arguments; tensors are numbered in the order in which they stand, those in tuples too.
        order: how many times to differentiate.
        seed: for the random combinations and for random layers.

    Returns:
        "output 0", "order 1 by input 0", "order 1 by weight", "buffer running_mean", … → tensor.

    Example:
        >>> sorted(derivatives(torch.exp, torch.zeros(1), order=1))
        ['order 1 by input 0', 'output 0']
    """
    arguments = pytree.tree_map(_leaf, inputs)
    parameters = dict(f.named_parameters()) if isinstance(f, Module) else {}
    leaves = {
        f"input {i}": a
        for i, a in enumerate(pytree.tree_leaves(arguments))
        if isinstance(a, Tensor) and a.requires_grad
    } | parameters
    torch.manual_seed(seed)
    results = _tensors(f(*pytree.tree_map(_given, arguments)))
    found = {f"output {i}": result.detach() for i, result in enumerate(results)}
    generator = torch.Generator().manual_seed(seed)
    for n in range(1, order + 1):
        gradients = _gradients(results, list(leaves.values()), generator, create_graph=n < order)
        found |= {f"order {n} by {name}": g.detach() for name, g in zip(leaves, gradients, strict=True)}
        results = gradients
    buffers = dict(f.named_buffers()) if isinstance(f, Module) else {}
    return found | {f"buffer {name}": buffer.clone() for name, buffer in buffers.items()}


def assert_same(
    ours: Tensor, reference: Tensor, name: str = "tensor", rtol: float | None = None, atol: float | None = None
) -> None:
    """Assert that two tensors agree in dtype, shape, device and, to a tolerance, in their numbers (NaN equals NaN).

    Args:
        ours: the tensor under test.
        reference: what it must equal.
        name: what the tensor is, for the message.
        rtol: relative tolerance; None takes `torch.testing.assert_close`'s for the dtype.
        atol: absolute tolerance, likewise.

    Raises:
        AssertionError: they differ.

    Example:
        >>> assert_same(torch.ones(2), torch.ones(3), "weight")
        Traceback (most recent call last):
        ...
        AssertionError: weight: The values for attribute 'shape' do not match: torch.Size([2]) != torch.Size([3]).
    """
    if ours.is_sparse or reference.is_sparse:
        ours, reference = ours.to_dense(), reference.to_dense()
    torch.testing.assert_close(
        ours, reference, rtol=rtol, atol=atol, equal_nan=True, msg=lambda message: f"{name}: {message}"
    )


def _layout(x: Tensor) -> tuple[bool, bool]:
    """Say whether a tensor is contiguous, and whether channels-last: what a layer has to hand on."""
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.ndim)
    return x.is_contiguous(), last is not None and x.is_contiguous(memory_format=last)


def _given(value: Any) -> Any:
    """Hand a layer a tensor that it may write to (no leaf), laid out as the leaf is."""
    if not isinstance(value, Tensor) or not value.requires_grad:
        return value
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=value.device).copy_(value)


def _gradients(
    results: list[Tensor], leaves: list[Tensor], generator: torch.Generator, create_graph: bool
) -> list[Tensor]:
    """Differentiate a random combination of the results; what depends on nothing has zeros for derivatives."""
    functions = [result for result in results if result.requires_grad]
    if not functions or not leaves:
        return [torch.zeros_like(leaf) for leaf in leaves]
    weights = [_noise(result, generator) for result in functions]
    return list(
        torch.autograd.grad(
            functions, leaves, weights, create_graph=create_graph, allow_unused=True, materialize_grads=True
        )
    )


def _plainly_laid_out(value: Any) -> bool:
    """Leave out slices and transposed tensors: what layout follows from theirs is nobody's promise."""
    return not isinstance(value, Tensor) or value.is_contiguous() or image_layout(value) is not torch.contiguous_format


def _leaf(value: Any) -> Any:
    """Copy a tensor with its strides, and let autograd follow it where that makes sense."""
    if not isinstance(value, Tensor):
        return value
    copy = value.detach().clone(memory_format=torch.preserve_format)
    if value.numel() and copy.stride() != value.stride() and 0 not in value.stride():  # rebuild the gaps
        base = value.new_zeros(1 + sum((n - 1) * s for n, s in zip(value.shape, value.stride(), strict=True)))
        copy = base.as_strided(value.shape, value.stride()).copy_(value)
    return copy.requires_grad_(value.is_floating_point() or value.is_complex())


def _tensors(result: Any) -> list[Tensor]:
    """Flatten whatever a layer returns into its tensors, in order."""
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, dict):
        result = result.values()
    return [t for part in result for t in _tensors(part)] if isinstance(result, Iterable) else []


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw on the CPU in float64, so that every device and dtype gets the same numbers."""
    return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like.device, like.dtype)
