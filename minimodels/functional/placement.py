"""Where numbers lie, and what follows from it: how many of them are worked on at a time.

On a CPU, what goes through several operations goes through in pieces, which its caches hold from the first operation to
the last. On an accelerator every operation is a launch, of 2 µs at least and of 6 to 20 µs for the processor that asks
for it; there pieces are large, and only bound the memory that they take.

Whatever cuts its work into pieces asks here how large they are.
"""

from torch import Tensor

PIECE = 1 << 26
"""Numbers in a piece on an accelerator, 256 MiB of float32, where a caller does not say otherwise.

On an NVIDIA H100, bfloat16, forward and backward, microseconds from the first launch until all is done, by the numbers
in a piece (GELU 8192x3072, softmax 8192x3072, layer norm 32768x1024, group norm 1024x64x28x28, cross-entropy
4096x50257, where ∞ is all of it at once):

                        2²⁰     2²¹     2²²     2²³     2²⁴     2²⁶       ∞
    GELU               4220    2877    1794            1389    1355
    softmax            4138    3223    1917            1121    1084
    layer norm        11903    6176    4862            2193    2066
    group norm        16326   10868    6086            2866    2495
    cross-entropy             32416   17994    8559                    5620
"""


def launches(x: Tensor) -> bool:
    """Say whether operations on a tensor are launched on an accelerator, and not run here.

    Args:
        x: the tensor.

    Example:
        >>> import torch
        >>> launches(torch.ones(1))
        False
    """
    return not x.is_cpu


def at_once(x: Tensor, cached: int, launched: int | None = None) -> int:
    """Say how many numbers are worked on at a time.

    Args:
        x: a tensor, of which the device counts.
        cached: how many on a CPU.
        launched: how many on an accelerator; None for `PIECE`.

    Example:
        >>> import torch
        >>> at_once(torch.ones(1), cached=7)
        7
    """
    if not launches(x):
        return cached
    return PIECE if launched is None else launched
