"""Convolution as a layer: the kernel is what is learned."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from minimodels import functional as F
from minimodels.nn import init
from minimodels.shapes import Pads, ntuple, same_pads

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


class ConvNd(Module):
    """What convolutions of one, two and three dimensions share: all but the number of dimensions.

    Args:
        in_channels: C, channels of the input.
        out_channels: O, channels of the output, one kernel each.
        kernel_size: elements a window reads; one number, or one per dimension.
        stride: step from one window to the next; one number, or one per dimension.
        padding: elements added on either side, one number or one per dimension, or "same" or "valid".
        dilation: spacing between the elements of a window; one number, or one per dimension.
        groups: into how many independent blocks the channels fall.
        bias: learn a number to add to each output channel.
        padding_mode: what the added elements are: zeros, or the input reflected, replicated or continued circularly.
        device: where the parameters are.
        dtype: of what type they are.

    Attributes:
        dims: the number of spatial dimensions.
        operation: the arithmetic in that many dimensions.

    Raises:
        ValueError: groups do not divide the channels, or padding or its mode is not one of those named.
    """

    __constants__ = [
        "stride",
        "padding",
        "dilation",
        "groups",
        "padding_mode",
        "output_padding",
        "in_channels",
        "out_channels",
        "kernel_size",
    ]

    dims: ClassVar[int]
    operation: ClassVar[Callable[..., Tensor]]
    transposed = False
    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: str | int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = ntuple(kernel_size, self.dims)
        self.stride = ntuple(stride, self.dims)
        self.padding = padding if isinstance(padding, str) else ntuple(padding, self.dims)
        self.dilation = ntuple(dilation, self.dims)
        self.output_padding = (0,) * self.dims
        self.groups = groups
        self.padding_mode = padding_mode
        self.check()
        shape = (*self.weight_channels(), *self.kernel_size)
        self.weight = Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(torch.empty(out_channels, device=device, dtype=dtype)) if bias else None
        )
        self.reset_parameters()

    def weight_channels(self) -> tuple[int, int]:
        """Give the first two sizes of the weight: a kernel for each output channel, over the input channels it sees."""
        return self.out_channels, self.in_channels // self.groups

    def check(self) -> None:
        """Refuse settings that do not fit together.

        Raises:
            ValueError: see the class.
        """
        if self.groups <= 0:
            raise ValueError("groups must be a positive integer")
        if self.in_channels % self.groups:
            raise ValueError("in_channels must be divisible by groups")
        if self.out_channels % self.groups:
            raise ValueError("out_channels must be divisible by groups")
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {self.padding!r}, should be one of 'same' and 'valid'")
            if self.padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
        if self.padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError(
                f"padding_mode must be one of zeros, reflect, replicate, circular, but got {self.padding_mode!r}"
            )

    def reset_parameters(self) -> None:
        """Draw new weights, uniformly within ±1/√(C/groups · kernel), as torch.nn does."""
        init.initialize_affine(self.weight, self.bias)

    def padding_sizes(self) -> list[int]:
        """List what a padding mode other than zeros adds, in the order of `F.pad`: last dimension first."""
        pads: Pads
        if self.padding == "same":
            pads = same_pads(self.kernel_size, self.dilation)
        elif isinstance(self.padding, str):
            pads = ((0, 0),) * self.dims
        else:
            pads = tuple((p, p) for p in self.padding)
        return [size for pair in reversed(pads) for size in pair]

    def forward(self, input: Tensor) -> Tensor:
        """Convolve; padding other than zeros is laid around the input first.

        Args:
            input: one sample or a batch.
        """
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self.padding_sizes(), mode=self.padding_mode), "valid"
        return self.operation(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        """Show the settings, leaving out those at their defaults."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, plain in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            value = getattr(self, name)
            if value != (plain,) * len(value):
                text += f", {name}={value}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class Conv1d(ConvNd):
    """Learn kernels that slide along sequences: y[n, o] = b[o] + Σ_c w[o, c] ⋆ x[n, c].

        y[n, o, p] = b[o] + Σ_c Σ_i w[o, c, i] · x[n, c, s·p + d·i]

    Drop-in for torch.nn.Conv1d. The same kernel is used everywhere, so a shifted sequence gives a shifted output.

    Args:
        in_channels: C, channels of the input.
        out_channels: O, channels of the output, one kernel each.
        kernel_size: k, elements a window reads.
        stride: s, step from one window to the next.
        padding: elements added on either side, or "same" (keeps the length, stride 1 only) or "valid" (none).
        dilation: d, spacing between the elements of a window.
        groups: into how many independent blocks the channels fall; `groups=in_channels` is depthwise convolution.
        bias: learn b; without it there is none.
        padding_mode: what the added elements are: zeros, or the input reflected, replicated or continued circularly.
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: [N, O, P] or [O, P], P = ⌊(L + 2·padding − d·(k − 1) − 1) / s⌋ + 1

    Attributes:
        weight: [O, C/groups, k], drawn uniformly within ±1/√(C/groups·k).
        bias: [O], drawn likewise, or None.

    Raises:
        ValueError: groups do not divide the channels, or padding or its mode is not one of those named.
        RuntimeError: the input does not fit; see `minimodels.functional.conv1d`.

    Cost: N·O·(C/groups)·k·P multiply-adds forward, twice that backward; memory as for `Conv2d`.

    References: Waibel et al. 1989 (time-delay neural networks), doi:10.1109/29.21701; van den Oord et al. 2016,
        arXiv:1609.03499 (dilation).

    See: `minimodels.functional.conv1d`; tests/nn/test_conv.py.

    Example:
        >>> Conv1d(64, 64, kernel_size=3, padding="same", dilation=2)(torch.zeros(8, 64, 100)).shape
        torch.Size([8, 64, 100])
    """

    dims = 1
    operation = staticmethod(F.conv1d)


class Conv2d(ConvNd):
    """Learn kernels that slide over images: y[n, o] = b[o] + Σ_c w[o, c] ⋆ x[n, c].

        y[n, o, p, q] = b[o] + Σ_c Σ_i Σ_j w[o, c, i, j] · x[n, c, s·p + d·i, s·q + d·j]

    Drop-in for torch.nn.Conv2d. The same kernel is used everywhere, so a shifted image gives a shifted output.

    Args:
        in_channels: C, channels of the input.
        out_channels: O, channels of the output, one kernel each.
        kernel_size: elements a window reads; one number, or one for height and one for width (likewise the others).
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
        weight: [O, C/groups, kH, kW], drawn uniformly within ±1/√(C/groups·kH·kW).
        bias: [O], drawn likewise, or None.

    Raises:
        ValueError: groups do not divide the channels, or padding or its mode is not one of those named.
        RuntimeError: the input does not fit; see `minimodels.functional.conv2d`.

    Cost: N·O·(C/groups)·kH·kW·P·Q multiply-adds forward, twice that backward; beyond input and output, 2 MiB of
        windows at a time (one sample's, if more; in compiled code the batch's) and a copy of the input where it is
        padded or turned. That is im2col; functional/conv/choice.py says where other algorithms serve.

    References: LeCun et al. 1989, doi:10.1162/neco.1989.1.4.541; Dumoulin & Visin 2016, arXiv:1603.07285 (sizes).

    See: `minimodels.functional.conv2d`; tests/nn/test_conv.py.

    Example:
        >>> layer = Conv2d(1, 32, kernel_size=3)
        >>> layer(torch.zeros(64, 1, 28, 28)).shape
        torch.Size([64, 32, 26, 26])
    """

    dims = 2
    operation = staticmethod(F.conv2d)


class Conv3d(ConvNd):
    """Learn kernels that slide through volumes, or clips: y[n, o] = b[o] + Σ_c w[o, c] ⋆ x[n, c].

        y[n, o, p, q, r] = b[o] + Σ_c Σ_h Σ_i Σ_j w[o, c, h, i, j] · x[n, c, s·p + d·h, s·q + d·i, s·r + d·j]

    Drop-in for torch.nn.Conv3d.

    Args:
        in_channels: C, channels of the input.
        out_channels: O, channels of the output, one kernel each.
        kernel_size: elements a window reads; one number, or one each for depth, height and width (likewise the others).
        stride: s, step from one window to the next.
        padding: elements added on either side, or "same" (keeps the size, stride 1 only) or "valid" (none).
        dilation: d, spacing between the elements of a window.
        groups: into how many independent blocks the channels fall; `groups=in_channels` is depthwise convolution.
        bias: learn b; without it there is none.
        padding_mode: what the added elements are: zeros, or the input reflected, replicated or continued circularly.
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]
        - Output: [N, O, P, Q, R] or [O, P, Q, R], P = ⌊(D + 2·padding − d·(kD − 1) − 1) / s⌋ + 1, Q and R likewise

    Attributes:
        weight: [O, C/groups, kD, kH, kW], drawn uniformly within ±1/√(C/groups·kD·kH·kW).
        bias: [O], drawn likewise, or None.

    Raises:
        ValueError: groups do not divide the channels, or padding or its mode is not one of those named.
        RuntimeError: the input does not fit; see `minimodels.functional.conv3d`.

    Cost: N·O·(C/groups)·kD·kH·kW·P·Q·R multiply-adds forward, twice that backward; memory as for `Conv2d`.

    References: Ji et al. 2013, doi:10.1109/TPAMI.2012.59; Tran et al. 2015, arXiv:1412.0767 (3x3x3 throughout).

    See: `minimodels.functional.conv3d`; tests/nn/test_conv.py.

    Example:
        >>> layer = Conv3d(3, 64, kernel_size=3, padding=1)
        >>> layer(torch.zeros(1, 3, 16, 12, 12)).shape
        torch.Size([1, 64, 16, 12, 12])
    """

    dims = 3
    operation = staticmethod(F.conv3d)
