"""Padding as layers: what stands around the edge of a signal, an image or a volume. The arithmetic is `F.pad`'s."""

from torch import Tensor
from torch.nn import Module

from minimodels import functional as F
from minimodels.shapes import ntuple

Sizes = int | tuple[int, ...]


class _Pad(Module):
    """What all padding shares: the sizes, two for each of the last dimensions, the last dimension first."""

    __constants__ = ["padding"]

    dims: int
    mode: str

    def __init__(self, padding: Sizes) -> None:
        super().__init__()
        self.padding = ntuple(padding, 2 * self.dims)

    def forward(self, input: Tensor) -> Tensor:
        """Pad.

        Args:
            input: what to pad.
        """
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        """Show the sizes."""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    """What padding with a number shares: the number."""

    __constants__ = ["padding", "value"]

    mode = "constant"

    def __init__(self, padding: Sizes, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """Pad.

        Args:
            input: what to pad.
        """
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        """Show the sizes and the number."""
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    """What padding with zeros shares: the number is not asked for, nor shown."""

    def __init__(self, padding: Sizes) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        """Show the sizes."""
        return f"{self.padding}"


class _ReflectionPad(_Pad):
    mode = "reflect"


class _ReplicationPad(_Pad):
    mode = "replicate"


class _CircularPad(_Pad):
    """What circular padding shares: it alone checks the input's dimensions by itself."""

    mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        """Pad.

        Args:
            input: what to pad.
        """
        if input.ndim not in (self.dims + 1, self.dims + 2):
            raise ValueError(f"expected {self.dims + 1}D or {self.dims + 2}D input (got {input.ndim}D input)")
        return super().forward(input)


class ConstantPad1d(_ConstantPad):
    """Surround a signal with a number.

    Drop-in for torch.nn.ConstantPad1d. Negative sizes cut instead.

    Args:
        padding: (before, after), or one number for both.
        value: the number.

    Shape:
        - input: [*, L]
        - Output: the same, but L + before + after

    Raises:
        RuntimeError: negative sizes cut more than there is.

    Cost: one copy of the output.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ConstantPad1d((1, 2), 9.0)(torch.ones(1, 2))
        tensor([[9., 1., 1., 9., 9.]])
    """

    dims = 1


class ConstantPad2d(_ConstantPad):
    """Surround an image with a number.

    Drop-in for torch.nn.ConstantPad2d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom), or one number for all four.
        value: the number.

    Shape:
        - input: [*, H, W]
        - Output: the same, but H + top + bottom, W + left + right

    Raises:
        RuntimeError: negative sizes cut more than there is.

    Cost: one copy of the output.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ConstantPad2d(1, 9.0)(torch.zeros(1, 3, 4, 5)).shape
        torch.Size([1, 3, 6, 7])
    """

    dims = 2


class ConstantPad3d(_ConstantPad):
    """Surround a volume with a number.

    Drop-in for torch.nn.ConstantPad3d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom, front, back), or one number for all six.
        value: the number.

    Shape:
        - input: [*, D, H, W]
        - Output: the same, but D + front + back, H + top + bottom, W + left + right

    Raises:
        RuntimeError: negative sizes cut more than there is.

    Cost: one copy of the output.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ConstantPad3d(1, 9.0)(torch.zeros(1, 3, 4, 5, 6)).shape
        torch.Size([1, 3, 6, 7, 8])
    """

    dims = 3


class ZeroPad1d(_ZeroPad, ConstantPad1d):
    """Surround a signal with zeros.

    Drop-in for torch.nn.ZeroPad1d. Negative sizes cut instead.

    Args:
        padding: (before, after), or one number for both.

    Shape:
        - input: [*, L]
        - Output: the same, but L + before + after

    Raises:
        RuntimeError: negative sizes cut more than there is.

    Cost: one copy of the output.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ZeroPad1d((1, 2))(torch.ones(1, 2))
        tensor([[0., 1., 1., 0., 0.]])
    """

    dims = 1


class ZeroPad2d(_ZeroPad, ConstantPad2d):
    """Surround an image with zeros.

    Drop-in for torch.nn.ZeroPad2d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom), or one number for all four.

    Shape:
        - input: [*, H, W]
        - Output: the same, but H + top + bottom, W + left + right

    Raises:
        RuntimeError: negative sizes cut more than there is.

    Cost: one copy of the output.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ZeroPad2d(1)(torch.zeros(1, 3, 4, 5)).shape
        torch.Size([1, 3, 6, 7])
    """

    dims = 2


class ZeroPad3d(_ZeroPad, ConstantPad3d):
    """Surround a volume with zeros.

    Drop-in for torch.nn.ZeroPad3d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom, front, back), or one number for all six.

    Shape:
        - input: [*, D, H, W]
        - Output: the same, but D + front + back, H + top + bottom, W + left + right

    Raises:
        RuntimeError: negative sizes cut more than there is.

    Cost: one copy of the output.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ZeroPad3d(1)(torch.zeros(1, 3, 4, 5, 6)).shape
        torch.Size([1, 3, 6, 7, 8])
    """

    dims = 3


class ReflectionPad1d(_ReflectionPad):
    """Surround a signal with its mirror image; the edge itself is not repeated: a b c d → c b a b c d c b.

    Drop-in for torch.nn.ReflectionPad1d. Negative sizes cut instead.

    Args:
        padding: (before, after), or one number for both.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: the same, but L + before + after

    Raises:
        RuntimeError: a size is not smaller than its dimension.
        NotImplementedError: the input has too few or too many dimensions.

    Cost: one copy of the output.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ReflectionPad1d(2)(torch.tensor([[1, 2, 3, 4]]))
        tensor([[3, 2, 1, 2, 3, 4, 3, 2]])
    """

    dims = 1


class ReflectionPad2d(_ReflectionPad):
    """Surround an image with its mirror image; the edge itself is not repeated: a b c d → c b a b c d c b.

    Drop-in for torch.nn.ReflectionPad2d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom), or one number for all four.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: the same, but H + top + bottom, W + left + right

    Raises:
        RuntimeError: a size is not smaller than its dimension.
        NotImplementedError: the input has too few or too many dimensions.

    Cost: one copy of the output for each dimension that is padded.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ReflectionPad2d(1)(torch.zeros(1, 3, 4, 5)).shape
        torch.Size([1, 3, 6, 7])
    """

    dims = 2


class ReflectionPad3d(_ReflectionPad):
    """Surround a volume with its mirror image; the edge itself is not repeated: a b c d → c b a b c d c b.

    Drop-in for torch.nn.ReflectionPad3d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom, front, back), or one number for all six.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]
        - Output: the same, but D + front + back, H + top + bottom, W + left + right

    Raises:
        RuntimeError: a size is not smaller than its dimension.
        NotImplementedError: the input has too few or too many dimensions.

    Cost: one copy of the output for each dimension that is padded.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ReflectionPad3d(1)(torch.zeros(1, 3, 4, 5, 6)).shape
        torch.Size([1, 3, 6, 7, 8])
    """

    dims = 3


class ReplicationPad1d(_ReplicationPad):
    """Surround a signal with its edge: a b c d → a a a b c d d d.

    Drop-in for torch.nn.ReplicationPad1d. Negative sizes cut instead.

    Args:
        padding: (before, after), or one number for both.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: the same, but L + before + after

    Raises:
        RuntimeError: a dimension is empty.
        NotImplementedError: the input has too few or too many dimensions.

    Cost: one copy of the output.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ReplicationPad1d(2)(torch.tensor([[1, 2, 3, 4]]))
        tensor([[1, 1, 1, 2, 3, 4, 4, 4]])
    """

    dims = 1


class ReplicationPad2d(_ReplicationPad):
    """Surround an image with its edge: a b c d → a a a b c d d d.

    Drop-in for torch.nn.ReplicationPad2d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom), or one number for all four.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: the same, but H + top + bottom, W + left + right

    Raises:
        RuntimeError: a dimension is empty.
        NotImplementedError: the input has too few or too many dimensions.

    Cost: one copy of the output for each dimension that is padded.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ReplicationPad2d(1)(torch.zeros(1, 3, 4, 5)).shape
        torch.Size([1, 3, 6, 7])
    """

    dims = 2


class ReplicationPad3d(_ReplicationPad):
    """Surround a volume with its edge: a b c d → a a a b c d d d.

    Drop-in for torch.nn.ReplicationPad3d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom, front, back), or one number for all six.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]
        - Output: the same, but D + front + back, H + top + bottom, W + left + right

    Raises:
        RuntimeError: a dimension is empty.
        NotImplementedError: the input has too few or too many dimensions.

    Cost: one copy of the output for each dimension that is padded.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ReplicationPad3d(1)(torch.zeros(1, 3, 4, 5, 6)).shape
        torch.Size([1, 3, 6, 7, 8])
    """

    dims = 3


class CircularPad1d(_CircularPad):
    """Surround a signal with its other end, as on a ring: a b c d → c d a b c d a b.

    Drop-in for torch.nn.CircularPad1d. Negative sizes cut instead.

    Args:
        padding: (before, after), or one number for both.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: the same, but L + before + after

    Raises:
        RuntimeError: a size is larger than its dimension.
        ValueError: the input has too few or too many dimensions.

    Cost: one copy of the output.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> CircularPad1d(2)(torch.tensor([[1, 2, 3, 4]]))
        tensor([[3, 4, 1, 2, 3, 4, 1, 2]])
    """

    dims = 1


class CircularPad2d(_CircularPad):
    """Surround an image with its other end, as on a ring: a b c d → c d a b c d a b.

    Drop-in for torch.nn.CircularPad2d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom), or one number for all four.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: the same, but H + top + bottom, W + left + right

    Raises:
        RuntimeError: a size is larger than its dimension.
        ValueError: the input has too few or too many dimensions.

    Cost: one copy of the output for each dimension that is padded.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> CircularPad2d(1)(torch.zeros(1, 3, 4, 5)).shape
        torch.Size([1, 3, 6, 7])
    """

    dims = 2


class CircularPad3d(_CircularPad):
    """Surround a volume with its other end, as on a ring: a b c d → c d a b c d a b.

    Drop-in for torch.nn.CircularPad3d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom, front, back), or one number for all six.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]
        - Output: the same, but D + front + back, H + top + bottom, W + left + right

    Raises:
        RuntimeError: a size is larger than its dimension.
        ValueError: the input has too few or too many dimensions.

    Cost: one copy of the output for each dimension that is padded.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> CircularPad3d(1)(torch.zeros(1, 3, 4, 5, 6)).shape
        torch.Size([1, 3, 6, 7, 8])
    """

    dims = 3
