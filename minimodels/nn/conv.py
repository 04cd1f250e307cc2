"""Convolution as a layer: the kernel is what is learned."""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from minimodels import functional as F
from minimodels.nn import init
from minimodels.shapes import Pads, ntuple, same_pads

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


class ConvNd(Module):
    """What convolutions of one, two and three dimensions share: the checked settings and the parameters.

    Args:
        in_channels: C, channels of the input.
        out_channels: O, channels of the output, one kernel each.
        kernel_size: elements a window reads, per dimension.
        stride: step from one window to the next, per dimension.
        padding: elements added on either side, per dimension, or "same" or "valid".
        dilation: spacing between the elements of a window, per dimension.
        groups: into how many independent blocks the channels fall.
        bias: learn a number to add to each output channel.
        padding_mode: what the added elements are: zeros, or the input reflected, replicated or continued circularly.
        device: where the parameters are.
        dtype: of what type they are.

    Raises:
        ValueError: groups do not divide the channels, or padding or its mode is not one of those named.
    """

    __constants__ = [
        "stride",
        "padding",
        "dilation",
        "groups",
        "padding_mode",
        "in_channels",
        "out_channels",
        "kernel_size",
    ]

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        stride: tuple[int, ...],
        padding: str | tuple[int, ...],
        dilation: tuple[int, ...],
        groups: int,
        bias: bool,
        padding_mode: PaddingMode,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        _check(in_channels, out_channels, stride, padding, groups, padding_mode)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.transposed = False
        self.output_padding = (0,) * len(kernel_size)
        self.groups = groups
        self.padding_mode = padding_mode
        shape = (out_channels, in_channels // groups, *kernel_size)
        self.weight = Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(torch.empty(out_channels, device=device, dtype=dtype)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights, evenly within ±1/√(C/groups · kernel), as torch.nn does."""
        init.initialize_affine(self.weight, self.bias)

    def padding_sizes(self) -> list[int]:
        """List what a padding mode other than zeros adds, in the order of `F.pad`: last dimension first."""
        pads: Pads
        if self.padding == "same":
            pads = same_pads(self.kernel_size, self.dilation)
        elif isinstance(self.padding, str):
            pads = ((0, 0),) * len(self.kernel_size)
        else:
            pads = tuple((p, p) for p in self.padding)
        return [size for pair in reversed(pads) for size in pair]

    def extra_repr(self) -> str:
        """Show the settings, leaving out those at their defaults."""
        dims = len(self.kernel_size)
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0,) * len(self.padding):
            text += f", padding={self.padding}"
        if self.dilation != (1,) * dims:
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class Conv2d(ConvNd):
    """Learn kernels that slide over images: y[n, o] = b[o] + Σ_c w[o, c] ⋆ x[n, c].

        y[n, o, p, q] = b[o] + Σ_c Σ_i Σ_j w[o, c, i, j] · x[n, c, s·p + d·i, s·q + d·j]

    Drop-in for torch.nn.Conv2d. The same kernel is used everywhere, so a shifted image gives a shifted output.

    Args:
        in_channels: C, channels of the input.
        out_channels: O, channels of the output, one kernel each.
        kernel_size: elements a window reads; one number, or one for height and one for width.
        stride: s, step from one window to the next.
        padding: elements added on either side, or "same" (keeps the size, stride 1 only) or "valid" (none).
        dilation: d, spacing between the elements of a window.
        groups: into how many independent blocks the channels fall; `groups=in_channels` is depthwise convolution.
        bias: learn b; without it there is none.
        padding_mode: what the added elements are: zeros, or the input reflected, replicated or continued circularly.
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: [N, O, P, Q] or [O, P, Q], P = ⌊(H + 2·padding − d·(kH − 1) − 1) / s⌋ + 1, Q likewise

    Attributes:
        weight: [O, C/groups, kH, kW], evenly drawn within ±1/√(C/groups·kH·kW).
        bias: [O], drawn likewise, or None.

    Raises:
        ValueError: groups do not divide the channels, or padding or its mode is not one of those named.
        RuntimeError: the input does not fit; see `minimodels.functional.conv2d`.

    Cost: N·O·(C/groups)·kH·kW·P·Q multiply-adds forward, twice that backward; beyond input and output, 2 MiB of
        windows at a time (one sample's, if more; in compiled code the batch's) and a channels-last copy of the input.

    References: LeCun et al. 1989, doi:10.1162/neco.1989.1.4.541; Dumoulin & Visin 2016, arXiv:1603.07285 (sizes).

    See: `minimodels.functional.conv2d`; tests/nn/test_conv.py.

    Example:
        >>> layer = Conv2d(1, 32, kernel_size=3)
        >>> layer(torch.zeros(64, 1, 28, 28)).shape
        torch.Size([64, 32, 26, 26])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: str | int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            ntuple(kernel_size, 2),
            ntuple(stride, 2),
            padding if isinstance(padding, str) else ntuple(padding, 2),
            ntuple(dilation, 2),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        """Convolve; padding other than zeros is laid around the input first.

        Args:
            input: one image or a batch.
        """
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self.padding_sizes(), mode=self.padding_mode), "valid"
        return F.conv2d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


def _check(
    in_channels: int, out_channels: int, stride: tuple[int, ...], padding: str | tuple[int, ...], groups: int, mode: str
) -> None:
    if groups <= 0:
        raise ValueError("groups must be a positive integer")
    if in_channels % groups:
        raise ValueError("in_channels must be divisible by groups")
    if out_channels % groups:
        raise ValueError("out_channels must be divisible by groups")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"Invalid padding string {padding!r}, should be one of 'same' and 'valid'")
        if padding == "same" and any(s != 1 for s in stride):
            raise ValueError("padding='same' is not supported for strided convolutions")
    if mode not in ("zeros", "reflect", "replicate", "circular"):
        raise ValueError(f"padding_mode must be one of zeros, reflect, replicate, circular, but got {mode!r}")
