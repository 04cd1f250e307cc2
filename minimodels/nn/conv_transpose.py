"""Transposed convolution as a layer: the way back up from what a strided convolution made small."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from minimodels import functional as F
from minimodels.nn.conv import ConvNd, PaddingMode
from minimodels.shapes import effective_kernel_size, ntuple


class ConvTransposeNd(ConvNd):
    """What transposed convolutions of one, two and three dimensions share.

    Args:
        in_channels: C, channels of the input.
        out_channels: O, channels of the output.
        kernel_size: elements of a stamp; one number, or one per dimension.
        stride: step from one stamp to the next; one number, or one per dimension.
        padding: elements cut from either side of the output; one number, or one per dimension.
        output_padding: elements added behind the output; one number, or one per dimension.
        groups: into how many independent blocks the channels fall.
        bias: learn a number to add to each output channel.
        dilation: spacing between the elements of a stamp; one number, or one per dimension.
        padding_mode: "zeros", the only one there is.
        device: where the parameters are.
        dtype: of what type they are.

    Raises:
        ValueError: groups do not divide the channels, or the padding mode is another.
    """

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        output_padding: int | tuple[int, ...] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, ...] = 1,
        padding_mode: PaddingMode = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, ntuple(padding, self.dims), dilation, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip
        self.output_padding = ntuple(output_padding, self.dims)

    def weight_channels(self) -> tuple[int, int]:
        """Give the first two sizes of the weight: those of the convolution that leads the other way."""
        return self.in_channels, self.out_channels // self.groups

    def check(self) -> None:
        """Refuse settings that do not fit together.

        Raises:
            ValueError: see the class.
        """
        if self.padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        super().check()

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Convolve transposedly.

        Args:
            input: one sample or a batch.
            output_size: which of the sizes that a stride rounds to the input's; None takes `output_padding`'s.
        """
        rest = self.output_padding if output_size is None else self.rest(input, output_size)
        return self.operation(
            input, self.weight, self.bias, self.stride, self.padding, rest, self.groups, self.dilation
        )

    def rest(self, input: Tensor, output_size: Sequence[int]) -> tuple[int, ...]:
        """Find the output padding that gives an output of a wanted size.

        Args:
            input: one sample or a batch.
            output_size: the spatial size, or the whole one with channels (and batch) in front.

        Raises:
            ValueError: no output padding below the stride gives that size.
        """
        front = input.ndim - self.dims
        wanted = tuple(output_size[front:] if len(output_size) == input.ndim else output_size)
        if len(wanted) != self.dims:
            raise ValueError(
                f"ConvTranspose{self.dims}D: for {input.ndim}D input, output_size must have {self.dims} "
                f"or {front + self.dims} elements (got {len(output_size)})"
            )
        cut = cast(tuple[int, ...], self.padding)
        least = [
            (n - 1) * s - 2 * p + effective_kernel_size(k, d)
            for n, s, p, k, d in zip(
                input.shape[front:], self.stride, cut, self.kernel_size, self.dilation, strict=True
            )
        ]
        most = [size + s - 1 for size, s in zip(least, self.stride, strict=True)]
        if any(not low <= size <= high for low, size, high in zip(least, wanted, most, strict=True)):
            raise ValueError(
                f"requested an output size of {list(wanted)}, but valid sizes range from {least} to {most} "
                f"(for an input of {tuple(input.shape[front:])})"
            )
        return tuple(size - low for size, low in zip(wanted, least, strict=True))


class ConvTranspose1d(ConvTransposeNd):
    """Learn kernels to stamp over sequences: each input element adds the kernel, scaled by itself, to the output.

        y[n, o, s·p + d·i − padding] += Σ_c w[c, o, i] · x[n, c, p]

    and b[o] on top. Drop-in for torch.nn.ConvTranspose1d.

    Args:
        in_channels: C, channels of the input.
        out_channels: O, channels of the output.
        kernel_size: k, elements of a stamp.
        stride: s, step from one stamp to the next.
        padding: elements cut from either side of the output, as a convolution of the other direction would add them.
        output_padding: elements added behind the output, fewer than the stride or the dilation.
        groups: into how many independent blocks the channels fall.
        bias: learn b; without it there is none.
        dilation: d, spacing between the elements of a stamp.
        padding_mode: "zeros", the only one there is.
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: [N, O, P] or [O, P], P = (L − 1)·s − 2·padding + d·(k − 1) + output_padding + 1

    Attributes:
        weight: [C, O/groups, k], drawn uniformly within ±1/√(O/groups·k).
        bias: [O], drawn likewise, or None.

    Raises:
        ValueError: groups do not divide the channels, the padding mode is another, or `output_size` cannot be had.
        RuntimeError: the input does not fit; see `minimodels.functional.conv_transpose1d`.

    Cost: N·C·(O/groups)·k·L multiply-adds forward, twice that backward.

    References: van den Oord et al. 2016, arXiv:1609.03499 (as an upsampler, section 2.5).

    See: `minimodels.functional.conv_transpose1d`; tests/nn/test_conv_transpose.py.

    Example:
        >>> layer = ConvTranspose1d(64, 32, kernel_size=4, stride=2, padding=1)  # twice as long
        >>> layer(torch.zeros(8, 64, 50)).shape
        torch.Size([8, 32, 100])
    """

    dims = 1
    operation = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(ConvTransposeNd):
    """Learn kernels to stamp over images: each input element adds the kernel, scaled by itself, to the output.

        y[n, o, s·p + d·i − padding, s·q + d·j − padding] += Σ_c w[c, o, i, j] · x[n, c, p, q]

    and b[o] on top. Drop-in for torch.nn.ConvTranspose2d.

    Args:
        in_channels: C, channels of the input.
        out_channels: O, channels of the output.
        kernel_size: elements of a stamp; one number, or one for height and one for width (likewise the others).
        stride: s, step from one stamp to the next.
        padding: elements cut from either side of the output, as a convolution of the other direction would add them.
        output_padding: elements added behind the output, fewer than the stride or the dilation.
        groups: into how many independent blocks the channels fall.
        bias: learn b; without it there is none.
        dilation: d, spacing between the elements of a stamp.
        padding_mode: "zeros", the only one there is.
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: [N, O, P, Q] or [O, P, Q], P = (H − 1)·s − 2·padding + d·(kH − 1) + output_padding + 1, Q likewise

    Attributes:
        weight: [C, O/groups, kH, kW], drawn uniformly within ±1/√(O/groups·kH·kW).
        bias: [O], drawn likewise, or None.

    Raises:
        ValueError: groups do not divide the channels, the padding mode is another, or `output_size` cannot be had.
        RuntimeError: the input does not fit; see `minimodels.functional.conv_transpose2d`.

    Cost: N·C·(O/groups)·kH·kW·H·W multiply-adds forward, twice that backward.

    References: Zeiler et al. 2010, doi:10.1109/CVPR.2010.5539957; Dumoulin & Visin 2016, arXiv:1603.07285, chapter 4;
        Radford et al. 2015, arXiv:1511.06434 (the generator of DCGAN).

    See: `minimodels.functional.conv_transpose2d`; tests/nn/test_conv_transpose.py.

    Example:
        >>> from minimodels.nn import Conv2d
        >>> down = Conv2d(16, 16, 3, stride=2, padding=1)
        >>> x = torch.zeros(1, 16, 12, 12)
        >>> up = ConvTranspose2d(16, 16, 3, stride=2, padding=1)
        >>> up(down(x)).shape, up(down(x), output_size=[12, 12]).shape
        (torch.Size([1, 16, 11, 11]), torch.Size([1, 16, 12, 12]))
    """

    dims = 2
    operation = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(ConvTransposeNd):
    """Learn kernels to stamp over volumes: each input element adds the kernel, scaled by itself, to the output.

        y[n, o, s·p + d·i − padding] += Σ_c w[c, o, i] · x[n, c, p]      with p and i in three dimensions

    and b[o] on top. Drop-in for torch.nn.ConvTranspose3d.

    Args:
        in_channels: C, channels of the input.
        out_channels: O, channels of the output.
        kernel_size: elements of a stamp; one number, or one each for depth, height and width (likewise the others).
        stride: s, step from one stamp to the next.
        padding: elements cut from either side of the output, as a convolution of the other direction would add them.
        output_padding: elements added behind the output, fewer than the stride or the dilation.
        groups: into how many independent blocks the channels fall.
        bias: learn b; without it there is none.
        dilation: d, spacing between the elements of a stamp.
        padding_mode: "zeros", the only one there is.
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]
        - Output: [N, O, P, Q, R] or [O, P, Q, R],
          P = (D − 1)·s − 2·padding + d·(kD − 1) + output_padding + 1, Q and R likewise

    Attributes:
        weight: [C, O/groups, kD, kH, kW], drawn uniformly within ±1/√(O/groups·kD·kH·kW).
        bias: [O], drawn likewise, or None.

    Raises:
        ValueError: groups do not divide the channels, the padding mode is another, or `output_size` cannot be had.
        RuntimeError: the input does not fit; see `minimodels.functional.conv_transpose3d`.

    Cost: N·C·(O/groups)·kD·kH·kW·D·H·W multiply-adds forward, twice that backward.

    References: Çiçek et al. 2016, arXiv:1606.06650 (3D U-Net).

    See: `minimodels.functional.conv_transpose3d`; tests/nn/test_conv_transpose.py.

    Example:
        >>> ConvTranspose3d(8, 4, kernel_size=2, stride=2)(torch.zeros(1, 8, 3, 4, 5)).shape
        torch.Size([1, 4, 6, 8, 10])
    """

    dims = 3
    operation = staticmethod(F.conv_transpose3d)
