"""Weights whose matrix as a whole has a form: orthogonal, or mostly zeros."""

import math

import torch
from torch import Tensor


@torch.no_grad()
def orthogonal_(tensor: Tensor, gain: float = 1, generator: torch.Generator | None = None) -> Tensor:
    """Fill with a random orthogonal matrix, times a gain: W·Wᵀ = gain²·1 or, if it is taller than wide, Wᵀ·W = gain²·1.

    Such a layer changes no length and no angle, however many of them stand behind each other. Normal numbers have no
    preferred direction, so Q of their QR decomposition has none either, once the signs are settled: R's diagonal
    is made positive, because the decomposition is unique only then.

    Args:
        tensor: [O, I, *kernel], seen as the matrix [O, I·kernel], filled in place; an empty one is left alone.
        gain: the factor by which lengths grow.
        generator: where the randomness comes from; None is PyTorch's own.

    Raises:
        ValueError: the tensor has fewer than two dimensions.
        RuntimeError: it cannot be seen as a matrix (its memory has another order), or has 16-bit numbers.

    Cost: a QR decomposition, about 2/3·n²·(3m − n) multiply-adds with Q for the shorter side n and the longer m.

    References:
        Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep linear neural networks, 2013,
        arXiv:1312.6120, section 3.
        F. Mezzadri, How to generate random matrices from the classical compact groups, 2007, arXiv:math-ph/0609050,
        section 5 (the signs).

    Example:
        >>> w = orthogonal_(torch.empty(3, 5))
        >>> torch.allclose(w @ w.t(), torch.eye(3), atol=1e-6)
        True
    """
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0 or tensor.is_meta:
        return tensor
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    noise = tensor.new_empty((rows, columns)).normal_(0, 1, generator=generator)
    wide = rows < columns
    q, r = torch.linalg.qr(noise.t() if wide else noise)  # Q's columns are orthogonal: as many as the shorter side
    q *= r.diagonal().sign()
    q = q.t() if wide else q  # [rows, columns]
    tensor.view_as(q).copy_(q)
    return tensor.mul_(gain)


@torch.no_grad()
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: torch.Generator | None = None) -> Tensor:
    """Fill with numbers of N(0, std²), and set the same part of each column to zero, at random.

    Every input then feeds the same small number of outputs. Martens counts the other way, a small number of inputs to
    every output, so that none drowns in a sum of many: that is `sparse_(weight.t(), sparsity)`.

    Args:
        tensor: [O, I], filled in place.
        sparsity: the part of a column that is zero: ⌈sparsity·O⌉ of its elements.
        std: the standard deviation of the others.
        generator: where the normal numbers come from. Which of them are zero comes from PyTorch's own generator even
            then, as it does in torch.nn.init.

    Raises:
        ValueError: the tensor does not have two dimensions.

    References:
        J. Martens, Deep learning via Hessian-free optimization, ICML 2010,
        https://icml.cc/Conferences/2010/papers/458.pdf ("sparse initialization").

    Example:
        >>> (sparse_(torch.empty(10, 2), sparsity=0.75) == 0).sum(0)
        tensor([8, 8])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    if tensor.is_meta:
        return tensor
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    tensor.normal_(0, std, generator=generator)
    for column in range(columns):
        tensor[torch.randperm(rows)[:zeros], column] = 0
    return tensor
