"""Embeddings: the table of GPT-2, and one of characters, in which every row is looked up many times."""

from collections.abc import Callable

import torch

from benchmarks.cases import Case, Outputs, Pair, Setting
from minimodels import nn


def embedding(name: str, rows: int, width: int, tokens: int) -> list[Case]:
    """The cases of one table."""

    def make(setting: Setting, *, backward: bool) -> Pair:
        sizes = (min(rows, 20), 4) if setting.tiny else (rows, width)
        layers = [module.Embedding(*sizes).to(setting.device, setting.dtype) for module in (nn, torch.nn)]
        layers[0].load_state_dict(layers[1].state_dict())
        index = torch.randint(sizes[0], (3 if setting.tiny else tokens,), device=setting.device)
        upstream = setting.noise(len(index), sizes[1])

        def forward(layer: torch.nn.Module) -> Outputs:
            with torch.no_grad():
                return (layer(index),)

        def both(layer: torch.nn.Module) -> Outputs:
            output = layer(index)
            return (output.detach(), *torch.autograd.grad(output, list(layer.parameters()), upstream))

        work: Callable[[torch.nn.Module], Outputs] = both if backward else forward
        return Pair(lambda: work(layers[0]), lambda: work(layers[1]), lambda side: side())

    return [
        Case("lookup", name, "forward", lambda setting: make(setting, backward=False)),
        Case("lookup", name, "forward + backward", lambda setting: make(setting, backward=True)),
    ]


CASES = [
    *embedding("GPT-2: 512 tokens from 50257x768", 50257, 768, 512),
    *embedding("characters: 16384 tokens from 65x384", 65, 384, 16384),
]
