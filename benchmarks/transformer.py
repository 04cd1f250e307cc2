"""Transformers: attention as a layer, with its weights and without, and an encoder layer: training, inference."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.cases import Case, Outputs, Pair, Setting, layer_cases
from minimodels import nn

WIDTH, HEADS, HIDDEN = 512, 8, 2048
"""Those of the base model of Vaswani et al. 2017."""

LENGTHS = {256: 8, 512: 4, 1024: 2}
"""Sequences of so many positions, and how many of them: 2,048 positions in all."""

LARGER = 8
"""How many times as many sequences there are on a graphics card."""


class ToItself(torch.nn.Module):
    """A sequence that attends to itself.

    Args:
        layer: attention by several heads.
        options: arguments of its `forward`.
    """

    def __init__(self, layer: torch.nn.Module, **options: Any) -> None:
        super().__init__()
        self.layer, self.options = layer, options

    def forward(self, x: Tensor) -> Tensor:
        """The output, without the weights."""
        return self.layer(x, x, x, **self.options)[0]


def shape(setting: Setting, length: int) -> tuple[int, int, int]:
    """Batch, length and width."""
    return (2, 6, 8) if setting.tiny else (LENGTHS[length] * setting.larger, length, WIDTH)


def attention(length: int, name: str, *, need_weights: bool = False, causal: bool = False) -> list[Case]:
    """The cases of self-attention."""

    def build(module: Any, setting: Setting) -> torch.nn.Module:
        _, size, width = shape(setting, length)
        mask = torch.ones(size, size, dtype=torch.bool, device=setting.device).triu(1) if causal else None
        layer = module.MultiheadAttention(width, 2 if setting.tiny else HEADS, batch_first=True)
        return ToItself(layer, need_weights=need_weights, attn_mask=mask, is_causal=causal)

    title = f"MultiheadAttention{name}: {LENGTHS[length]}x{length}x{WIDTH}"
    return layer_cases(
        "transformer",
        title,
        build,
        lambda setting: shape(setting, length),
        larger=LARGER,
        products=lambda setting: [products(*shape(setting, length), causal=causal)],
    )


def products(batch: int, length: int, width: int, *, causal: bool = False) -> float:
    """Floating-point operations of a layer of attention: four projections, scores and their sums of values."""
    return batch * length * (8.0 * width**2 + 4.0 * length * width / (2 if causal else 1))


def encoder_case(length: int, mode: str, work: Callable[..., Outputs]) -> Case:
    """A case of one encoder layer."""

    def make(setting: Setting) -> Pair:
        size = shape(setting, length)
        heads, hidden = (2, 16) if setting.tiny else (HEADS, HIDDEN)
        layers = [
            setting.built(partial(module.TransformerEncoderLayer, size[-1], heads, hidden, batch_first=True))
            for module in (nn, torch.nn)
        ]
        layers[0].load_state_dict(layers[1].state_dict())
        input, upstream = setting.noise(*size).requires_grad_(), setting.noise(*size)
        ours, reference = (partial(work, layer, input, upstream) for layer in setting.ready(*layers))

        def results(side: Callable[[], Any]) -> Outputs:
            return side(chance=_draws_alike(setting))

        flops = products(*size) + 4.0 * size[0] * size[1] * size[2] * hidden
        training = work is training_step
        operands = [input, *layers[1].parameters(), *([upstream] if training else [])]
        return Pair(ours, reference, results, operands, flops=flops * (3 if training else 1))

    return Case("transformer", f"TransformerEncoderLayer: {LENGTHS[length]}x{length}x{WIDTH}", mode, make, LARGER)


def _draws_alike(setting: Setting) -> bool:
    """Whether dropout draws the same zeros on both sides. Where not, results are compared without it."""
    exact = setting.dtype.itemsize >= 4 and setting.rounded is None
    return setting.device.type == "cpu" and exact and not setting.compiled


def training_step(layer: torch.nn.Module, input: Tensor, upstream: Tensor, *, chance: bool = True) -> Outputs:
    """The output and all gradients, under dropout where chance is wanted."""
    torch.manual_seed(0)
    output = layer.train(chance)(input)
    return (output.detach(), *torch.autograd.grad(output, [input, *layer.parameters()], upstream))


def inference(layer: torch.nn.Module, input: Tensor, upstream: Tensor, *, chance: bool = False) -> Outputs:
    """The output, by the reference's own kernel for a whole encoder layer."""
    with torch.no_grad():
        return (layer.eval()(input),)


CASES = [
    case
    for length in LENGTHS
    for case in (
        *attention(length, ""),
        *attention(length, ", causal", causal=True),
        *attention(length, ", with weights", need_weights=True),
        encoder_case(length, "training step", training_step),
        encoder_case(length, "inference", inference),
    )
]
