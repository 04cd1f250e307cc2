"""Losses: classes of a large vocabulary, the last layer and its loss in one, and losses element by element."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.cases import Case, Outputs, Pair, Setting, both_ways
from minimodels import nn

Work = Callable[[Tensor, Tensor], Tensor]


LARGER = 8
"""How many times as many rows there are on a graphics card."""


def loss_cases(
    name: str,
    sides: Callable[[Setting], tuple[Work, Work]],
    inputs: Callable[[Setting], tuple[Tensor, Tensor]],
    *,
    products: Callable[[Setting], float] | None = None,
) -> list[Case]:
    """A loss forward, and forward with backward.

    Args:
        name: the first column of the table.
        sides: ours and the reference: input and target to the loss. Modules give the gradients of their parameters.
        inputs: draws input and target.
        products: floating-point operations of the products in a forward pass.
    """

    def make(setting: Setting, *, backward: bool) -> Pair:
        plain = sides(setting)
        ours, reference = setting.ready(*plain)
        input, target = inputs(setting)
        input = input.requires_grad_(backward)
        weights = _parameters(plain[1])

        def forward(side: Any) -> Outputs:
            with torch.no_grad():
                return (side(input, target),)

        def both(side: Any) -> Outputs:
            loss = side(input, target)
            return (loss.detach(), *torch.autograd.grad(loss, [input, *_parameters(side)]))

        work = both if backward else forward
        flops = None if products is None else (3 if backward else 1) * products(setting)
        operands = (input, target, *weights)
        return Pair(lambda: work(ours), lambda: work(reference), lambda side: side(), operands, flops=flops)

    return both_ways("losses", name, make, LARGER)


def _parameters(side: Any) -> list[Tensor]:
    return list(side.parameters()) if isinstance(side, torch.nn.Module) else []


def classes(rows: int, count: int) -> list[Case]:
    """Cross-entropy of rows of scores."""

    def inputs(setting: Setting) -> tuple[Tensor, Tensor]:
        n, c = (3, 7) if setting.tiny else (rows * setting.larger, count)
        return setting.noise(n, c), torch.randint(c, (n,), device=setting.device)

    sides = (nn.CrossEntropyLoss(), torch.nn.CrossEntropyLoss())
    return loss_cases(f"CrossEntropyLoss: {rows} rows, {count} classes", lambda setting: sides, inputs)


class Apart(torch.nn.Module):
    """A layer and a loss, one after the other."""

    def __init__(self, features: int, words: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(features, words, bias=False)
        self.loss = torch.nn.CrossEntropyLoss()

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of the layer's output."""
        return self.loss(self.linear(input), target)


def vocabulary(rows: int, features: int, words: int) -> list[Case]:
    """The last layer with its loss, against torch's layer and loss one after the other."""

    def sizes(setting: Setting) -> tuple[int, int, int]:
        return (3, 4, 7) if setting.tiny else (rows * setting.larger, features, words)

    def sides(setting: Setting) -> tuple[Work, Work]:
        _, features, words = sizes(setting)
        reference = setting.built(lambda: Apart(features, words))
        ours = setting.built(lambda: nn.LinearCrossEntropyLoss(features, words))
        ours.load_state_dict(reference.state_dict())
        return ours, reference

    def inputs(setting: Setting) -> tuple[Tensor, Tensor]:
        n, features, words = sizes(setting)
        return setting.noise(n, features), torch.randint(words, (n,), device=setting.device)

    def products(setting: Setting) -> float:
        n, features, words = sizes(setting)
        return 2.0 * n * features * words

    return loss_cases(f"LinearCrossEntropyLoss: {rows} rows, {features} to {words}", sides, inputs, products=products)


def elements(name: str, rows: int, columns: int) -> list[Case]:
    """A loss element by element, with targets between 0 and 1."""

    def inputs(setting: Setting) -> tuple[Tensor, Tensor]:
        n, c = (3, 7) if setting.tiny else (rows * setting.larger, columns)
        return setting.noise(n, c), setting.parts(n, c)

    sides = (getattr(nn, name)(), getattr(torch.nn, name)())
    return loss_cases(f"{name}: {rows}x{columns}", lambda setting: sides, inputs)


CASES = [
    *classes(64, 10),
    *classes(512, 10_000),
    *classes(512, 50_257),
    *vocabulary(512, 768, 50_257),
    *elements("MSELoss", 512, 3072),
    *elements("SmoothL1Loss", 512, 3072),
    *elements("BCEWithLogitsLoss", 512, 3072),
]
