"""A walk downhill that autograd can look through, for the tests of every optimiser."""

from typing import Any

import torch


def descend(cls: Any, start: torch.Tensor, target: torch.Tensor, **settings: Any) -> torch.Tensor:
    """Three steps towards a target, everything recorded by autograd."""
    p = start.clone()
    p.retain_grad()
    optimizer = cls([p], differentiable=True, **settings)
    for _ in range(3):
        [p.grad] = torch.autograd.grad(((p - target) ** 4).sum(), p, create_graph=True)
        optimizer.step()
    return p
