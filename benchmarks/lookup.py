"""Embeddings: the table of GPT-2, and one of characters, in which every row is looked up many times."""

from collections.abc import Callable
from functools import partial

import torch

from benchmarks.cases import Case, Outputs, Pair, Setting, both_ways
from minimodels import nn


def embedding(name: str, rows: int, width: int, tokens: int) -> list[Case]:
    """The cases of one table."""

    def make(setting: Setting, *, backward: bool) -> Pair:
        sizes = (min(rows, 20), 4) if setting.tiny else (rows, width)
        layers = [setting.built(partial(module.Embedding, *sizes)) for module in (nn, torch.nn)]
        layers[0].load_state_dict(layers[1].state_dict())
        count = 3 if setting.tiny else tokens * setting.larger
        index = torch.randint(sizes[0], (count,), device=setting.device)
        upstream = setting.noise(count, sizes[1]) if backward else None
        ours, reference = setting.ready(*layers)

        def forward(layer: torch.nn.Module) -> Outputs:
            with torch.no_grad():
                return (layer(index),)

        def both(layer: torch.nn.Module) -> Outputs:
            output = layer(index)
            return (output.detach(), *torch.autograd.grad(output, list(layer.parameters()), upstream))

        work: Callable[[torch.nn.Module], Outputs] = both if backward else forward
        row = sizes[1] * setting.dtype.itemsize
        moved = 2 * count * row + (count + sizes[0]) * row * backward  # of the table, what is looked up
        return Pair(lambda: work(ours), lambda: work(reference), lambda side: side(), moved=moved)

    return both_ways("lookup", name, make, larger=8)


CASES = [
    *embedding("GPT-2: 512 tokens from 50257x768", 50257, 768, 512),
    *embedding("characters: 16384 tokens from 65x384", 65, 384, 16384),
]
