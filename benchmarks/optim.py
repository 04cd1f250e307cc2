"""Optimisers: a step over the parameters of the digit CNN, and over those of GPT-2 with 124 million parameters.

torch's side takes the loop that torch.optim chooses on a CPU by itself, unless a case names its lists (foreach) or its
kernel (fused). Ours is the same each time.
"""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.cases import Case, Outputs, Pair, Setting
from minimodels import optim
from minimodels.models import ConvNet

Shape = tuple[int, ...]


def convnet_shapes(*, tiny: bool) -> list[Shape]:
    """The parameters of the digit CNN."""
    shapes = [tuple(p.shape) for p in ConvNet().parameters()]
    return shapes[:2] if tiny else shapes


def gpt2_shapes(*, tiny: bool) -> list[Shape]:
    """The parameters of GPT-2's smallest model."""
    vocabulary, context, width, layers = (50, 8, 4, 1) if tiny else (50257, 1024, 768, 12)
    attention = [(width, 3 * width), (3 * width,), (width, width), (width,)]
    perceptron = [(width, 4 * width), (4 * width,), (4 * width, width), (width,)]
    norm: list[Shape] = [(width,), (width,)]
    block = [*norm, *attention, *norm, *perceptron]
    return [(vocabulary, width), (context, width), *block * layers, *norm]


def block_matrices(*, tiny: bool) -> list[Shape]:
    """The matrices of two of GPT-2's blocks, which are what Muon is for."""
    width = 4 if tiny else 768
    return [(width, 3 * width), (width, width), (width, 4 * width), (4 * width, width)] * 2


PASSES = {"Muon": 5, "SGD": 5, "AdamW": 7}
"""Parameters, gradients and averages that a step reads, and those of them that it writes."""


def optimizer_case(
    name: str, shapes: Callable[..., list[Shape]], cls: str, way: str | None = None, **settings: Any
) -> Case:
    """A case of one optimiser; gradients are the same at every step.

    Args:
        name: the first column of the table.
        shapes: of the parameters.
        cls: the optimiser, under torch's name.
        way: "foreach" or "fused", how torch's side goes; None leaves it to torch.
        settings: both sides' hyper-parameters.
    """

    def make(setting: Setting) -> Pair:
        start = [setting.noise(*shape, scale=0.02) for shape in shapes(tiny=setting.tiny)]
        gradients = [setting.noise(*p.shape) for p in start]
        sides: dict[Callable[[], Any], list[torch.nn.Parameter]] = {}
        for module, flags in ((optim, {}), (torch.optim, {way: True} if way else {})):
            params = [torch.nn.Parameter(p.clone()) for p in start]
            for p, gradient in zip(params, gradients, strict=True):
                p.grad = gradient
            sides[getattr(module, cls)(params, **settings, **flags).step] = params
        ours, reference = setting.ready(*sides)
        params_of = dict(zip((ours, reference), sides.values(), strict=True))

        def results(side: Callable[[], Any]) -> Outputs:
            for _ in range(3):
                side()
            return [p.detach() - p0 for p, p0 in zip(params_of[side], start, strict=True)]

        moved = PASSES[cls] * sum(p.numel() * p.element_size() for p in start)
        return Pair(ours, reference, results, moved=moved)

    return Case("optim", name, "step", make)


# Rates so large that after three steps the change, which is compared, stands out from the rounding of the parameters.
SGD = {"lr": 1e-2, "momentum": 0.9, "weight_decay": 5e-4}
ADAMW = {"lr": 1e-2, "weight_decay": 0.1}
CASES = [
    optimizer_case("SGD, momentum, CNN", convnet_shapes, "SGD", **SGD),
    optimizer_case("AdamW, CNN", convnet_shapes, "AdamW", **ADAMW),
    optimizer_case("AdamW, CNN, torch fused", convnet_shapes, "AdamW", "fused", **ADAMW),
    optimizer_case("SGD, momentum, GPT-2", gpt2_shapes, "SGD", **SGD),
    optimizer_case("SGD, momentum, GPT-2, torch foreach", gpt2_shapes, "SGD", "foreach", **SGD),
    optimizer_case("AdamW, GPT-2", gpt2_shapes, "AdamW", **ADAMW),
    optimizer_case("AdamW, GPT-2, torch foreach", gpt2_shapes, "AdamW", "foreach", **ADAMW),
    optimizer_case("AdamW, GPT-2, torch fused", gpt2_shapes, "AdamW", "fused", **ADAMW),
    optimizer_case("Muon, matrices of two GPT-2 blocks", block_matrices, "Muon", lr=1e-2),
]
