"""Adaptive pooling: the number of windows is given, and they share the input out among them, whatever its size."""

from torch import Tensor

from minimodels.functional.pooling_arguments import as_volume, shared_spans
from minimodels.functional.pooling_largest import largest
from minimodels.functional.pooling_mean import mean


def adaptive_avg_pool1d(
    input: Tensor,
    output_size: int | tuple[int, ...],
) -> Tensor:
    """Take the mean of each of a given number of windows, which share the input out.

    Window p covers the elements [⌊p·L/m⌋, ⌈(p + 1)·L/m⌉) of the L elements; where m does not
    divide L, some neighbours overlap by one.

    Args:
        input: one signal or a batch.
        output_size: m, how many windows.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: [N, C, m] or [C, m]

    Raises:
        RuntimeError: the input has too few or too many dimensions, or an empty one, or a size is negative.
        NotImplementedError: the numbers are not real.
        TypeError: what should be whole numbers is something else.

    Cost: each element is read about once a dimension (twice, where windows overlap); one window takes one reduction.

    References: He et al. 2014, arXiv:1406.4729 (as spatial pyramid pooling).

    See: `minimodels.nn.AdaptiveAvgPool1d`; pooling_mean.py; tests/functional/test_adaptive_pooling.py.

    Example:
        >>> import torch
        >>> adaptive_avg_pool1d(torch.tensor([[0.0, 3.0, 3.0, 6.0, 9.0]]), 2)  # 0, 3, 3 and 3, 6, 9
        tensor([[2., 6.]])
    """
    spans = shared_spans("adaptive_avg_pool1d", input, output_size, "real", channels=False)
    return mean(input, spans)


def adaptive_avg_pool2d(
    input: Tensor,
    output_size: int | tuple[int | None, ...] | None,
) -> Tensor:
    """Take the mean of each of a given number of windows, which share the input out.

    Window p covers the elements [⌊p·H/P⌋, ⌈(p + 1)·H/P⌉) along height, and likewise along the others; where P does not
    divide H, some neighbours overlap by one.

    Args:
        input: one image or a batch.
        output_size: how many windows; one number, or one for height and one for width, where None keeps the size.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: [N, C, P, Q] or [C, P, Q]

    Raises:
        RuntimeError: the input has too few or too many dimensions, or an empty one, or a size is negative.
        ValueError: more output sizes than the input has dimensions.
        NotImplementedError: the numbers are not real.
        TypeError: what should be whole numbers is something else.

    Cost: each element is read about once a dimension (twice, where windows overlap); one window takes one reduction.

    References: He et al. 2014, arXiv:1406.4729 (as spatial pyramid pooling).

    See: `minimodels.nn.AdaptiveAvgPool2d`; pooling_mean.py; tests/functional/test_adaptive_pooling.py.

    Example:
        >>> import torch
        >>> adaptive_avg_pool2d(torch.arange(4.0).view(1, 2, 2), (1, None))
        tensor([[[1., 2.]]])
    """
    spans = shared_spans("adaptive_avg_pool2d", input, output_size, "real", channels=False)
    return mean(input, spans)


def adaptive_avg_pool3d(
    input: Tensor,
    output_size: int | tuple[int | None, ...] | None,
) -> Tensor:
    """Take the mean of each of a given number of windows, which share the input out.

    Window p covers the elements [⌊p·H/P⌋, ⌈(p + 1)·H/P⌉) along height, and likewise along the others; where P does not
    divide H, some neighbours overlap by one.

    Args:
        input: one volume or a batch.
        output_size: how many windows; one number, or one for depth, height and width each, where None keeps the size.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]
        - Output: [N, C, O, P, Q] or [C, O, P, Q]

    Raises:
        RuntimeError: the input has too few or too many dimensions, or an empty one, or a size is negative.
        ValueError: more output sizes than the input has dimensions.
        NotImplementedError: the numbers are not real.
        TypeError: what should be whole numbers is something else.

    Cost: each element is read about once a dimension (twice, where windows overlap); one window takes one reduction.

    References: He et al. 2014, arXiv:1406.4729 (as spatial pyramid pooling).

    See: `minimodels.nn.AdaptiveAvgPool3d`; pooling_mean.py; tests/functional/test_adaptive_pooling.py.

    Example:
        >>> import torch
        >>> adaptive_avg_pool3d(torch.arange(8.0).view(1, 2, 2, 2), 1)
        tensor([[[[3.5000]]]])
    """
    x = as_volume(input)
    spans = shared_spans("adaptive_avg_pool3d", x, output_size, "real", channels=True)
    return mean(x, spans)


def adaptive_max_pool1d(
    input: Tensor,
    output_size: int | tuple[int, ...],
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Take the largest element of each of a given number of windows, which share the input out.

    Window p covers the elements [⌊p·L/m⌋, ⌈(p + 1)·L/m⌉) of the L elements; where m does not
    divide L, some neighbours overlap by one. Equals and NaN are those of `max_pool2d`.

    Args:
        input: one signal or a batch.
        output_size: m, how many windows.
        return_indices: give the winners' places too, as i within each signal.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: [N, C, m] or [C, m]
        - indices: as the output, int64

    Raises:
        RuntimeError: the input has too few or too many dimensions, or an empty one, or a size is negative.
        NotImplementedError: the numbers are not real.
        TypeError: what should be whole numbers is something else.

    Cost: each element is compared about once a dimension (twice, where windows overlap).

    References: He et al. 2014, arXiv:1406.4729 (as spatial pyramid pooling).

    See: `minimodels.nn.AdaptiveMaxPool1d`; pooling_largest.py; tests/functional/test_adaptive_pooling.py.

    Example:
        >>> import torch
        >>> adaptive_max_pool1d(torch.tensor([[0.0, 3.0, 2.0, 6.0, 9.0]]), 2, return_indices=True)
        (tensor([[3., 9.]]), tensor([[1, 4]]))
    """
    spans = shared_spans("adaptive_max_pool1d", input, output_size, "real", channels=True)
    return largest(input, spans, return_indices)


def adaptive_max_pool2d(
    input: Tensor,
    output_size: int | tuple[int | None, ...] | None,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Take the largest element of each of a given number of windows, which share the input out.

    Window p covers the elements [⌊p·H/P⌋, ⌈(p + 1)·H/P⌉) along height, and likewise along the others; where P does not
    divide H, some neighbours overlap by one. Equals and NaN are those of `max_pool2d`.

    Args:
        input: one image or a batch.
        output_size: how many windows; one number, or one for height and one for width, where None keeps the size.
        return_indices: give the winners' places too, as i·W + j within each image.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: [N, C, P, Q] or [C, P, Q]
        - indices: as the output, int64

    Raises:
        RuntimeError: the input has too few or too many dimensions, or an empty one, or a size is negative.
        ValueError: more output sizes than the input has dimensions.
        NotImplementedError: the numbers are not real.
        TypeError: what should be whole numbers is something else.

    Cost: each element is compared about once a dimension (twice, where windows overlap).

    References: He et al. 2014, arXiv:1406.4729 (as spatial pyramid pooling).

    See: `minimodels.nn.AdaptiveMaxPool2d`; pooling_largest.py; tests/functional/test_adaptive_pooling.py.

    Example:
        >>> import torch
        >>> adaptive_max_pool2d(torch.arange(4.0).view(1, 2, 2), (1, None))
        tensor([[[2., 3.]]])
    """
    spans = shared_spans("adaptive_max_pool2d", input, output_size, "real", channels=True)
    return largest(input, spans, return_indices)


def adaptive_max_pool3d(
    input: Tensor,
    output_size: int | tuple[int | None, ...] | None,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Take the largest element of each of a given number of windows, which share the input out.

    Window p covers the elements [⌊p·H/P⌋, ⌈(p + 1)·H/P⌉) along height, and likewise along the others; where P does not
    divide H, some neighbours overlap by one. Equals and NaN are those of `max_pool2d`.

    Args:
        input: one volume or a batch.
        output_size: how many windows; one number, or one for depth, height and width each, where None keeps the size.
        return_indices: give the winners' places too, as (h·H + i)·W + j within each volume.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]
        - Output: [N, C, O, P, Q] or [C, O, P, Q]
        - indices: as the output, int64

    Raises:
        RuntimeError: the input has too few or too many dimensions, or an empty one, or a size is negative.
        ValueError: more output sizes than the input has dimensions.
        NotImplementedError: the numbers are not real.
        TypeError: what should be whole numbers is something else.

    Cost: each element is compared about once a dimension (twice, where windows overlap).

    References: He et al. 2014, arXiv:1406.4729 (as spatial pyramid pooling).

    See: `minimodels.nn.AdaptiveMaxPool3d`; pooling_largest.py; tests/functional/test_adaptive_pooling.py.

    Example:
        >>> import torch
        >>> adaptive_max_pool3d(torch.arange(8.0).view(1, 2, 2, 2), 1)
        tensor([[[[7.]]]])
    """
    x = as_volume(input)
    spans = shared_spans("adaptive_max_pool3d", x, output_size, "real", channels=True)
    return largest(x, spans, return_indices)
