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


LAYER, SHORT, EVEN, HELD = 32, 1024, 8, 1 << 16
"""Where b lies column by column, few rows of a meet it in layers of 32 of its columns. On several threads columns of
less than 1,024 numbers do so with up to 7 rows; and a thread holds sums of 65,536 numbers in its cache, 256 KB.

Microseconds of a product with weights in turns, none of them in the cache, on two threads of an Intel Xeon with
AVX-512: by `torch.addmm`, by layers that are all formed before they are added up, and with sums in the cache:

    rows                2               4               8              12              16
    768x768         78  76  76      81  81  81     112 134 136     114 125 128     124 162 165
    768x2304       274 215 205     306 286 243     348 340 273     414 386 338     400 401 368
    768x3072       339 241 257     340 284 278     435 426 348     440 432 382     523 530 443
    3072x768       309 258 271     312 296 285     376 455 401     408 552 457     434 617 473
    1024x1024      132 121 123     145 136 139     186 184 182     195 223 212     228 248 225
    4096x1024      603 423 437     589 500 466     733 796 646     737 930 674     824 1040 769
    1600x6400     1190 934 887    1286 1088 992   1398 1370 1028  1768 2118 1515  1915 2633 1726
    2048x2048      572 430 404     575 496 459     664 645 520     715 862 632     811 1079 709

48 columns are too many for MKL to read them as they lie: 8 rows by 768x2304 take 437. On one thread layer after layer
into the same sums is faster than held sums, 461 and 519 there, and than `torch.addmm`, 972.
"""


def repay_layers(a: Tensor, w: Tensor) -> bool:
    """Say whether `in_layers` is faster than the whole product.

    Args:
        a: few rows.
        w: one column an output, dense rows.

    Example:
        >>> repay_layers(torch.ones(7, 2), torch.ones(2, 3))
        True
    """
    return torch.get_num_threads() == 1 or w.shape[1] >= SHORT or a.shape[0] < EVEN


def in_layers(a: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
    """Form a·w + bias as a sum of products of some columns of a with as many rows of w, which lie side by side.

    Such a product is small enough for MKL to read w as it lies, and long enough in w's rows to read it at speed. One
    thread adds to the same sums again and again. Several would wait for each other at every layer: each has sums of its
    own, as many as its cache holds, to which it adds one layer after the other, and these are added up at last.

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
    if (threads := torch.get_num_threads()) == 1:
        y = torch.addbmm(a.new_empty(1) if bias is None else bias, parts, layers, beta=0 if bias is None else 1)
    else:
        step = threads * max(1, HELD // (M * N))
        sums = torch.bmm(parts[:step], layers[:step])
        for done in range(step, count, step):
            more = parts[done : done + step]
            sums[: len(more)].baddbmm_(more, layers[done : done + step])
        y = sums.sum(0)
        y = y if bias is None else y.add_(bias)
    return y if whole == K else y.addmm_(a[:, whole:], w[whole:])
