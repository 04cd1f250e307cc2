"""What goes into a convolution: every way to say it brought into one form, and checked as PyTorch's users know it."""

import torch
from torch import Tensor

from minimodels.functional.arguments import spread
from minimodels.functional.layout import image_layout
from minimodels.shapes import Windows, same_pads

Sizes = int | tuple[int, ...]


def read_windows(
    name: str, dims: int, weight: Tensor, stride: Sizes, padding: str | Sizes, dilation: Sizes, groups: int
) -> Windows:
    """Bring stride, padding and dilation into one form, and check the numbers by themselves.

    Args:
        name: whose arguments they are, for the messages.
        dims: the number of spatial dimensions.
        weight: the kernels.
        stride: one number, or one per dimension; likewise the others.
        padding: "same" and "valid" too.
        dilation: spacing between the elements of a window.
        groups: into how many independent blocks the channels fall.

    Raises:
        RuntimeError: a number is out of range, or there are too many or too few of them.
        TypeError: a number is not whole.
    """
    if weight.ndim != dims + 2:
        raise RuntimeError(f"Expected a {dims + 2}D weight for {name}, but got weight of size: {list(weight.shape)}")
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    kernel, steps, spacing = tuple(weight.shape[2:]), spread(stride, dims, "stride"), spread(dilation, dims, "dilation")
    if any(s <= 0 for s in steps):
        raise RuntimeError("non-positive stride is not supported")
    if any(d <= 0 for d in spacing):
        raise RuntimeError(f"dilation should be greater than zero, but got {list(spacing)}")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(f"Invalid padding string: {padding!r}; should be 'same' or 'valid'")
        if padding == "same" and any(s != 1 for s in steps):
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        pads = same_pads(kernel, spacing) if padding == "same" else ((0, 0),) * dims
    else:
        pads = tuple((p, p) for p in spread(padding, dims, "padding"))
        if any(p < 0 for p, _ in pads):
            raise RuntimeError("negative padding is not supported")
    return Windows(kernel, steps, pads, spacing, groups)


def check_rank(name: str, dims: int, input: Tensor) -> None:
    """Take one sample or a batch of them.

    Args:
        name: the function, for the message.
        dims: the number of spatial dimensions.
        input: its input.

    Raises:
        RuntimeError: the input has another number of dimensions.
    """
    if input.ndim not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {name}, "
            f"but got input of size: {list(input.shape)}"
        )


def check_operands(input: Tensor, weight: Tensor, bias: Tensor | None, groups: int, transposed: bool) -> None:
    """Check the tensors against each other, in the order and the words that PyTorch's users know.

    Args:
        input: [N, C, *size].
        weight: [O, C/groups, *kernel], or transposed [C, O/groups, *kernel].
        bias: [O], or None.
        groups: into how many independent blocks the channels fall.
        transposed: the operation is the transposed one.

    Raises:
        RuntimeError: channels, groups or dtypes do not fit together.
        NotImplementedError: the input is boolean.
    """
    blocks, within, *kernel = weight.shape
    size = list(weight.shape)
    if blocks < groups or blocks % groups:
        wanted = f"at least {groups}" if blocks < groups else f"divisible by {groups}"
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be {wanted} at dimension 0, "
            f"but got weight of size {size} instead"
        )
    inputs, outputs = (blocks, within * groups) if transposed else (within * groups, blocks)
    given = f"Given transposed={transposed}, groups={groups}, weight of size {size}"
    if input.shape[1] != inputs:
        raise RuntimeError(
            f"{given}, expected input{list(input.shape)} to have {inputs} channels, "
            f"but got {input.shape[1]} channels instead"
        )
    if bias is not None and bias.shape != (outputs,):
        raise RuntimeError(
            f"{given}, expected bias to be 1-dimensional with {outputs} elements, "
            f"but got bias of size {list(bias.shape)} instead"
        )
    if min(kernel) <= 0:
        raise RuntimeError(f"kernel size should be greater than zero, but got {tuple(kernel)}")
    for name, operand in (("weight", weight), ("bias", bias)):
        if operand is not None and operand.dtype != input.dtype:
            raise RuntimeError(f"Input type ({input.dtype}) and {name} type ({operand.dtype}) should be the same")
    if input.dtype is torch.bool:
        raise NotImplementedError("convolution is not implemented for torch.bool")


def output_layout(input: Tensor, weight: Tensor) -> torch.memory_format:
    """Name the layout to hand on: channels-last if an operand has it, but for volumes of float64 or whole numbers.

    For those two PyTorch has only a kernel that writes contiguously.

    Args:
        input: what is convolved.
        weight: the kernels.
    """
    plain = input.ndim == 5 and (input.dtype is torch.float64 or not (input.is_floating_point() or input.is_complex()))
    return torch.contiguous_format if plain else image_layout(input, weight)
