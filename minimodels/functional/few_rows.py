"""Products of a few rows with a large matrix, which is read where it lies.

MKL copies a factor into an order of its own before it multiplies, and few rows do not repay the copy: eight rows read
the matrix at a third of the memory's rate. Cut into small factors, it is multiplied where it lies: rows of it in
slices, columns of it in layers. matmul.py says where that is done. Nothing is differentiated.
"""

import torch
from torch import Tensor

FEW, MIDDLE, SLICE, THIN, BEYOND_CACHE = (4, 16), 12, 64, 16, 1 << 20
"""A few rows of a are 4 to 16. Up to 12, b is cut into slices of 64 rows; beyond, into slices of 16, which then are the
left factors. From so many numbers of b on, no longer in a core's cache, that is faster than the whole.

Time of `torch.addmm` over that of slices, one thread of an Intel Xeon with AVX-512, by rows of a:

                     2     4     8    12    16    24    32
    512x512        0.57  0.65  0.62  0.62  0.84  0.77  0.78
    512x2048       0.74  1.12  1.38  1.57  1.13  0.92  1.11
    1024x1024      0.79  1.29  1.47  1.65  1.37  1.00  1.28
    2048x2048      0.91  1.39  1.69  1.81  1.80  1.27  1.58
    768x50257      0.98  1.67  2.24     –  1.43  1.19  1.37
    GPT-2, all     1.05  1.25  1.61     –  1.28  0.97  1.02
"""


def in_slices(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    """Form a·bᵀ + bias as a batch of products with slices of b.

    Args:
        a: few rows.
        b: one dense row an output.
        bias: added to each row; None for nothing.

    Shape:
        - a: [M, K]; b: [N, K]; bias: [N]
        - Output: [M, N]

    Cost: M·N·K multiply-adds.

    See: tests/functional/test_matmul.py.

    Example:
        >>> in_slices(torch.ones(2, 3), torch.ones(1, 3), None)
        tensor([[3.],
                [3.]])
    """
    (M, K), N = a.shape, b.shape[0]
    size = SLICE if M <= MIDDLE else THIN
    count, whole = N // size, N - N % size
    slices, y = b[:whole].view(count, size, K), a.new_empty(M, N)
    if M <= MIDDLE:
        products = torch.bmm(a.expand(count, M, K), slices.transpose(1, 2))  # [count, M, size]
        y[:, :whole].view(M, count, size).copy_(products.transpose(0, 1))
    else:
        y[:, :whole] = torch.bmm(slices, a.t().contiguous().expand(count, K, M)).view(whole, M).t()
    if whole < N:
        torch.mm(a, b[whole:].t(), out=y[:, whole:])
    return y if bias is None else y.add_(bias)


LAYER, EVEN = 32, 8
"""Where b lies column by column, few rows of a meet it in layers of 32 of its columns; on several threads up to 7 rows.

Milliseconds of the products of GPT-2's blocks (85 million weights, in turns, none in the cache) on an Intel Xeon, on
one thread and on two: by `torch.addmm`, in layers of 32, 48 and 96 columns, and in `in_slices` of weights that were
turned over before, which takes 210 ms and as much memory again:

    rows         addmm          32            48            96           turned
    2        35.9  23.0    30.6  17.3    30.8  17.4                    27.9  16.7
    4        44.5  22.5    34.6  18.7    35.8  19.5    49.2            33.7  18.2
    8        61.3  25.7    43.1  26.3    45.4  35.0    62.6            40.2  23.0
    16       66.7  30.6    43.2  31.8    45.4  35.6    66.0            44.6  28.3
"""


def in_layers(a: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
    """Form a·w + bias as a sum of products of some columns of a with as many rows of w, which lie side by side.

    Such a product is small enough for MKL to read w as it lies, and long enough in w's rows to read it at speed. One
    thread adds to the same sums again and again. Several would wait for each other at every layer; they form all
    products at once, and add them up then.

    Args:
        a: few rows.
        w: one column an output, dense rows.
        bias: added to each row; None for nothing.

    Shape:
        - a: [M, K]; w: [K, N]; bias: [N]
        - Output: [M, N]

    Cost: M·N·K multiply-adds.

    See: tests/functional/test_matmul.py.

    Example:
        >>> in_layers(torch.ones(2, 3), torch.ones(3, 1), None)
        tensor([[3.],
                [3.]])
    """
    (M, K), N = a.shape, w.shape[1]
    count, whole = K // LAYER, K - K % LAYER
    parts, layers = a[:, :whole].view(M, count, LAYER).transpose(0, 1), w[:whole].view(count, LAYER, N)
    if torch.get_num_threads() == 1:
        y = torch.addbmm(a.new_empty(1) if bias is None else bias, parts, layers, beta=0 if bias is None else 1)
    else:
        y = torch.bmm(parts, layers).sum(0)
        y = y if bias is None else y.add_(bias)
    return y if whole == K else y.addmm_(a[:, whole:], w[whole:])
