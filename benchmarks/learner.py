"""GPT-2 with what trains it, as the recipe of `python train.py gpt --preset gpt2` has it: ours, and the others'."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from benchmarks.cases import Outputs, Setting
from benchmarks.gpt2_twins import Blocks, turned
from minimodels.recipes.gpt_model import Guess
from minimodels.recipes.gpt_settings import GPTSettings
from minimodels.training.precision import autocast

RECIPE = GPTSettings.of({"preset": "gpt2"})


class Learner:
    """A model and what trains it; called, it takes a step.

    Args:
        blocks: the model without its head, which has no parameters of its own.
        run: tokens and targets to what is expected, and the loss.
        optimizer: of the parameters of the blocks.
        clip: limits the norm of their gradient.
        batch: tokens and targets, the same in every step.
        setting: in which precision the products are.
    """

    def __init__(
        self,
        blocks: torch.nn.Module,
        run: Callable[..., tuple[Any, Tensor]],
        optimizer: Optimizer,
        clip: Callable[..., Tensor],
        batch: tuple[Tensor, Tensor],
        setting: Setting,
    ) -> None:
        self.blocks, self.run, self.optimizer, self.clip, self.batch = blocks, run, optimizer, clip, batch
        self.device, self.precision = setting.device, str(setting.dtype).removeprefix("torch.")
        self.loss = torch.tensor(math.nan)

    def __call__(self) -> None:
        """Forward pass, loss, backward pass, a gradient of limited size, and the update."""
        self.optimizer.zero_grad()
        _, loss = self._forward()
        loss.backward()
        self.clip(self.blocks.parameters(), RECIPE.clip_norm)
        self.optimizer.step()
        self.loss = loss.detach()

    def _forward(self) -> tuple[Any, Tensor]:
        with autocast(self.device, self.precision):
            return self.run(*self.batch)

    def results(self) -> Outputs:
        """The residual stream at its end, the loss, and the gradients of all parameters by their names."""
        expected, loss = self._forward()
        names, parameters = zip(*sorted(self.blocks.named_parameters()), strict=True)
        gradients = dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))
        if isinstance(self.blocks, Blocks):
            gradients = turned(gradients)
        hidden = expected.hidden if isinstance(expected, Guess) else expected
        return [t.detach().float() for t in (hidden, loss, *gradients.values())]

    def held(self) -> int:
        """Bytes of weights and of the optimiser's averages."""
        averages = [value for state in self.optimizer.state.values() for value in state.values()]
        return sum(t.nbytes for t in (*self.blocks.parameters(), *averages) if isinstance(t, Tensor))


def torch_adamw(blocks: torch.nn.Module) -> Optimizer:
    """Torch's AdamW, its fused kernel, with the recipe's settings: matrices are decayed, vectors are not.

    Args:
        blocks: whose parameters it moves.
    """
    matrices, vectors = ([p for p in blocks.parameters() if (p.dim() >= 2) == wide] for wide in (True, False))
    groups = [{"params": matrices, "weight_decay": RECIPE.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=RECIPE.lr, betas=(0.9, RECIPE.beta2), fused=True)
