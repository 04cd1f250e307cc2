"""Dense layers: those of the digit CNN, a perceptron 512 wide, and the widths of GPT-2."""

import itertools
from typing import Any

import torch

from benchmarks.cases import Case, Setting, layer_cases


def dense(name: str, rows: int, *widths: int, first: bool = False, larger: int = 16) -> list[Case]:
    """The cases of a chain of dense layers with ReLU between them."""

    def sizes(setting: Setting) -> list[int]:
        return [min(width, 8) for width in widths] if setting.tiny else list(widths)

    def build(module: Any, setting: Setting) -> torch.nn.Module:
        wide = sizes(setting)
        layers: list[torch.nn.Module] = []
        for inner, outer in itertools.pairwise(wide):
            layers += [module.Linear(inner, outer), module.ReLU()]
        return module.Sequential(*layers[:-1])

    def shape(setting: Setting) -> list[int]:
        return [min(rows, 3) if setting.tiny else rows * setting.larger, sizes(setting)[0]]

    def products(setting: Setting) -> list[float]:
        return [2.0 * shape(setting)[0] * inner * outer for inner, outer in itertools.pairwise(sizes(setting))]

    return layer_cases("linear", name, build, shape, first=first, larger=larger, products=products)


CASES = [
    *dense("CNN: 64 rows, 576 to 64", 64, 576, 64),
    *dense("CNN: 64 rows, 64 to 10", 64, 64, 10),
    *dense("perceptron: 64 rows, 784-512-512-10", 64, 784, 512, 512, 10, first=True),
    *dense("GPT-2 attention: 512 rows, 768 to 2304", 512, 768, 2304),
    *dense("GPT-2 block: 512 rows, 768-3072-768", 512, 768, 3072, 768),
    *dense("GPT-2 block, one token: 768-3072-768", 1, 768, 3072, 768, larger=1),
    *dense("GPT-2 head: 64 rows, 768 to 50257", 64, 768, 50257),
]
