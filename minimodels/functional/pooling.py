"""Pooling over windows of a given size: each output is the largest element, or the mean, of what its window covers."""

from torch import Tensor

from minimodels.functional.pooling_arguments import as_volume, even_spans
from minimodels.functional.pooling_largest import largest
from minimodels.functional.pooling_mean import mean


def max_pool1d(
    input: Tensor,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Take the largest element of each window: y[n, c, p] = max_i x[n, c, s·p + d·i].

    Padding, equals and NaN are those of `max_pool2d`.

    Args:
        input: one signal or a batch.
        kernel_size: the window; a number or a tuple of one.
        stride: s, step from one window to the next; None is the window's size.
        padding: −∞ on either side, at most half the window.
        dilation: d, spacing between the elements of a window.
        ceil_mode: round the output size up; the last window may then hang over the edge.
        return_indices: give the winners' places too, as i within each signal.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: [N, C, P] or [C, P], P = ⌊(L + 2·padding − d·(k − 1) − 1) / s⌋ + 1 (⌈⌉ with ceil_mode)
        - indices: as the output, int64

    Raises:
        RuntimeError: shapes or numbers do not fit together; the message says which.
        NotImplementedError: the numbers have no order (complex, bool).
        TypeError: what should be whole numbers is something else.

    Cost: about k comparisons per output; with a derivative each is followed by a few operations on small
        integers, and one byte per output (more where rows are long) is kept for it.

    See: `minimodels.nn.MaxPool1d`; pooling_largest.py; tests/functional/test_pooling.py.

    Example:
        >>> import torch
        >>> max_pool1d(torch.tensor([[1.0, 5.0, 2.0, 0.0]]), 2, return_indices=True)
        (tensor([[5., 2.]]), tensor([[1, 2]]))
    """
    spans = even_spans("max_pool1d", input, kernel_size, stride, padding, dilation, ceil_mode, "ordered")
    return largest(input, spans, return_indices)


def max_pool2d(
    input: Tensor,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Take the largest element of each window: y[n, c, p, q] = max_{i, j} x[n, c, s·p + d·i, s·q + d·j].

    x is padded with −∞, so that padding never wins. Among equals the first in reading order wins, and it alone
    receives the gradient; a NaN wins over everything, the last NaN over the others.

    Args:
        input: one image or a batch.
        kernel_size: the window; one number, or one for height and one for width.
        stride: s, step from one window to the next; None is the window's size.
        padding: −∞ on either side, at most half the window.
        dilation: d, spacing between the elements of a window.
        ceil_mode: round the output size up; the last window may then hang over the edge.
        return_indices: give the winners' places too, as i·W + j within each image.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: [N, C, P, Q] or [C, P, Q], P = ⌊(H + 2·padding − d·(kH − 1) − 1) / s⌋ + 1 (⌈⌉ with ceil_mode)
        - indices: as the output, int64

    Raises:
        RuntimeError: shapes or numbers do not fit together; the message says which.
        NotImplementedError: the numbers have no order (complex, bool).
        TypeError: what should be whole numbers is something else.

    Cost: about kH + kW comparisons per output; with a derivative each is followed by a few operations on small
        integers, and one byte per output (more where rows are long) is kept for it.

    References: Weng, Ahuja & Huang 1992 (the cresceptron), doi:10.1109/IJCNN.1992.287150.

    See: `minimodels.nn.MaxPool2d`; pooling_largest.py; tests/functional/test_pooling.py.

    Example:
        >>> import torch
        >>> x = torch.tensor([[[1.0, 5.0, 2.0, 0.0], [4.0, 3.0, 1.0, 7.0]]])
        >>> max_pool2d(x, 2, return_indices=True)
        (tensor([[[5., 7.]]]), tensor([[[1, 7]]]))
    """
    spans = even_spans("max_pool2d", input, kernel_size, stride, padding, dilation, ceil_mode, "ordered")
    return largest(input, spans, return_indices)


def max_pool3d(
    input: Tensor,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Take the largest element of each window.

        y[n, c, o, p, q] = max_{h, i, j} x[n, c, s·o + d·h, s·p + d·i, s·q + d·j]

    Padding, equals and NaN are those of `max_pool2d`.

    Args:
        input: one volume or a batch.
        kernel_size: the window; one number, or one for depth, height and width each.
        stride: s, step from one window to the next; None is the window's size.
        padding: −∞ on either side, at most half the window.
        dilation: d, spacing between the elements of a window.
        ceil_mode: round the output size up; the last window may then hang over the edge.
        return_indices: give the winners' places too, as (h·H + i)·W + j within each volume.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]
        - Output: [N, C, O, P, Q] or [C, O, P, Q], P = ⌊(H + 2·padding − d·(kH − 1) − 1) / s⌋ + 1 (⌈⌉ with ceil_mode)
        - indices: as the output, int64

    Raises:
        RuntimeError: shapes or numbers do not fit together; the message says which.
        NotImplementedError: the numbers have no order (complex, bool).
        TypeError: what should be whole numbers is something else.

    Cost: about kD + kH + kW comparisons per output; with a derivative each is followed by a few operations on small
        integers, and one byte per output (more where rows are long) is kept for it.

    See: `minimodels.nn.MaxPool3d`; pooling_largest.py; tests/functional/test_pooling.py.

    Example:
        >>> import torch
        >>> max_pool3d(torch.arange(8.0).view(1, 2, 2, 2), 2)
        tensor([[[[7.]]]])
    """
    x = as_volume(input, keeps_layout=True)
    spans = even_spans("max_pool3d", x, kernel_size, stride, padding, dilation, ceil_mode, "ordered")
    return largest(x, spans, return_indices)


def avg_pool1d(
    input: Tensor,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Take the mean of each window: y[n, c, p] = Σ_i x[n, c, s·p + i] / k.

    x is padded with zeros. Integers are divided towards zero.

    Args:
        input: one signal or a batch.
        kernel_size: the window; a number or a tuple of one.
        stride: s, step from one window to the next; None is the window's size.
        padding: zeros on either side, at most half the window.
        ceil_mode: round the output size up; the last window may then hang over the edge, and what lies beyond
            the padding counts nowhere.
        count_include_pad: the padding's zeros count as elements; without it a mean is that of real elements.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: [N, C, P] or [C, P], P = ⌊(L + 2·padding − k) / s⌋ + 1 (⌈⌉ with ceil_mode)

    Raises:
        RuntimeError: shapes or numbers do not fit together.
        NotImplementedError: the numbers are neither real nor int64.
        TypeError: what should be whole numbers is something else.

    Cost: about k additions per output, the same backwards; 16-bit numbers are added up in float32.

    See: `minimodels.nn.AvgPool1d`; pooling_mean.py; tests/functional/test_pooling.py.

    Example:
        >>> import torch
        >>> avg_pool1d(torch.tensor([[1.0, 5.0, 2.0, 0.0]]), 2)
        tensor([[3., 1.]])
    """
    spans = even_spans("avg_pool1d", input, kernel_size, stride, padding, 1, ceil_mode, "averaged")
    return mean(input, spans, count_include_pad)


def avg_pool2d(
    input: Tensor,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Take the mean of each window: y[n, c, p, q] = Σ_{i, j} x[n, c, s·p + i, s·q + j] / (kH·kW).

    x is padded with zeros. Integers are divided towards zero.

    Args:
        input: one image or a batch.
        kernel_size: the window; one number, or one for height and one for width.
        stride: s, step from one window to the next; None is the window's size.
        padding: zeros on either side, at most half the window.
        ceil_mode: round the output size up; the last window may then hang over the edge, and what lies beyond
            the padding counts nowhere.
        count_include_pad: the padding's zeros count as elements; without it a mean is that of real elements.
        divisor_override: what to divide the sums by instead of the number of elements.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: [N, C, P, Q] or [C, P, Q], P = ⌊(H + 2·padding − kH) / s⌋ + 1 (⌈⌉ with ceil_mode)

    Raises:
        RuntimeError: shapes or numbers do not fit together.
        IndexError: the input has fewer than three dimensions.
        NotImplementedError: the numbers are neither real nor int64.
        TypeError: what should be whole numbers is something else.

    Cost: about kH + kW additions per output, the same backwards; 16-bit numbers are added up in float32.

    References: LeCun et al. 1989, doi:10.1162/neco.1989.1.4.541 (as subsampling).

    See: `minimodels.nn.AvgPool2d`; pooling_mean.py; tests/functional/test_pooling.py.

    Example:
        >>> import torch
        >>> avg_pool2d(torch.tensor([[[1.0, 5.0, 2.0, 0.0], [4.0, 2.0, 1.0, 7.0]]]), 2)
        tensor([[[3.0000, 2.5000]]])
    """
    spans = even_spans("avg_pool2d", input, kernel_size, stride, padding, 1, ceil_mode, "averaged")
    return mean(input, spans, count_include_pad, divisor_override)


def avg_pool3d(
    input: Tensor,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Take the mean of each window: y[n, c, o, p, q] = Σ_{h, i, j} x[n, c, s·o + h, s·p + i, s·q + j] / (kD·kH·kW).

    x is padded with zeros. Integers are divided towards zero.

    Args:
        input: one volume or a batch.
        kernel_size: the window; one number, or one for depth, height and width each.
        stride: s, step from one window to the next; None is the window's size.
        padding: zeros on either side, at most half the window.
        ceil_mode: round the output size up; the last window may then hang over the edge, and what lies beyond
            the padding counts nowhere.
        count_include_pad: the padding's zeros count as elements; without it a mean is that of real elements.
        divisor_override: what to divide the sums by instead of the number of elements.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]
        - Output: [N, C, O, P, Q] or [C, O, P, Q], P = ⌊(H + 2·padding − kH) / s⌋ + 1 (⌈⌉ with ceil_mode)

    Raises:
        RuntimeError: shapes or numbers do not fit together; so does a window larger than the input, however padded.
        NotImplementedError: the numbers are neither real nor int64.
        TypeError: what should be whole numbers is something else.

    Cost: about kD + kH + kW additions per output, the same backwards; 16-bit numbers are added up in float32.

    See: `minimodels.nn.AvgPool3d`; pooling_mean.py; tests/functional/test_pooling.py.

    Example:
        >>> import torch
        >>> avg_pool3d(torch.arange(8.0).view(1, 2, 2, 2), 2)
        tensor([[[[3.5000]]]])
    """
    x = as_volume(input)
    spans = even_spans("avg_pool3d", x, kernel_size, stride, padding, 1, ceil_mode, "averaged")
    return mean(x, spans, count_include_pad, divisor_override)
