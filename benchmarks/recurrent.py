"""Recurrent layers: even batches and ragged ones, packed, of 100 steps and 64 sequences."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from benchmarks.cases import Case, Setting, layer_cases


class Reader(torch.nn.Module):
    """A recurrent layer whose input and output are plain tensors; a ragged batch is packed once, before anything runs.

    Args:
        layer: the recurrent layer.
        packed: tells how the rows of a ragged batch lie; None for an even batch.
    """

    def __init__(self, layer: torch.nn.Module, packed: PackedSequence | None) -> None:
        super().__init__()
        self.layer, self.packed = layer, packed

    def forward(self, input: Tensor) -> Tensor:
        """The outputs at all steps."""
        if self.packed is None:
            return self.layer(input)[0]
        return self.layer(PackedSequence(input, self.packed.batch_sizes))[0].data


def recurrent(kind: str, inputs: int, hidden: int, *, ragged: bool = False, **settings: Any) -> list[Case]:
    """The cases of one recurrent layer; the sequences of a ragged batch are 1 to 100 steps long, 51 on average."""

    def lengths(setting: Setting) -> list[int]:
        steps, batch = (4, 3) if setting.tiny else (100, 64)
        each = torch.linspace(steps, 1, batch, device="cpu").round().int().tolist() if ragged else [steps] * batch
        return sorted(each * (1 if setting.tiny else setting.larger), reverse=True)

    def packed(setting: Setting) -> PackedSequence | None:
        count = lengths(setting)
        return pack_padded_sequence(torch.zeros(max(count), len(count)), count) if ragged else None

    def build(module: Any, setting: Setting) -> torch.nn.Module:
        sizes = (min(inputs, 4), min(hidden, 4)) if setting.tiny else (inputs, hidden)
        return Reader(getattr(module, kind)(*sizes, **settings), packed(setting))

    def shape(setting: Setting) -> list[int]:
        count, width = lengths(setting), min(inputs, 4) if setting.tiny else inputs
        return [sum(count), width] if ragged else [max(count), len(count), width]

    def products(setting: Setting) -> list[float]:
        wide, size = (min(inputs, 4), min(hidden, 4)) if setting.tiny else (inputs, hidden)
        gates, ways = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind], 2 if settings.get("bidirectional") else 1
        widths = [wide] + [size * ways] * (settings.get("num_layers", 1) - 1)
        return [2.0 * sum(lengths(setting)) * ways * gates * size * (width + size) for width in widths]

    name = f"{kind} {inputs} to {hidden}"
    name += f", {settings['num_layers']} layers" if "num_layers" in settings else ""
    name += ", bidirectional" if settings.get("bidirectional") else ""
    return layer_cases("recurrent", name + ", ragged" * ragged, build, shape, larger=8, products=products)


CASES = [
    *recurrent("LSTM", 128, 128),
    *recurrent("LSTM", 100, 128, num_layers=3),
    *recurrent("LSTM", 128, 128, bidirectional=True),
    *recurrent("LSTM", 512, 512),
    *recurrent("LSTM", 128, 128, ragged=True),
    *recurrent("LSTM", 128, 128, bidirectional=True, ragged=True),
    *recurrent("LSTM", 512, 512, ragged=True),
    *recurrent("GRU", 128, 128),
    *recurrent("GRU", 100, 128, num_layers=3),
    *recurrent("GRU", 128, 128, bidirectional=True),
    *recurrent("GRU", 512, 512),
    *recurrent("GRU", 128, 128, ragged=True),
    *recurrent("RNN", 128, 128),
]
