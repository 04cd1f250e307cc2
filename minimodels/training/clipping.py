"""Gradient clipping by the norm of all gradients together."""

from collections.abc import Iterable

import torch
from torch import Tensor


@torch.no_grad()
def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Shorten the gradient, seen as one long vector, to a length of at most `max_norm`; its direction stays.

    g ← g · min(1, max_norm / (‖g‖₂ + 10⁻⁶))

    Args:
        parameters: tensors whose `.grad` is changed in place; those without one are passed over.
        max_norm: the greatest length allowed.

    Returns:
        ‖g‖₂ before clipping, on the gradients' device: nothing is read back to the host.

    Cost: one pass over the gradients for the norm, one to scale them.

    References:
        R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
        arXiv:1211.5063, algorithm 1.

    See: tests/training/test_clipping.py (equal to torch.nn.utils.clip_grad_norm_)

    Example:
        >>> weight = torch.zeros(2, requires_grad=True)
        >>> weight.grad = torch.tensor([3.0, 4.0])
        >>> clip_gradients([weight], max_norm=1.0), weight.grad
        (tensor(5.), tensor([0.6000, 0.8000]))
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return torch.zeros(())
    norms = [torch.linalg.vector_norm(gradient).to(gradients[0].device) for gradient in gradients]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))  # the norm of the norms is the norm of the whole
    scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(scale.to(gradient.device))
    return norm
