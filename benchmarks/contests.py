"""Contests: one operation on one shape, and every algorithm that serves it.

A contest belongs to a sweep, a row of contests in which one size grows and nothing else changes: a line of the picture.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarks.cases import Setting
from minimodels.functional import attention as forms
from minimodels.functional import lstm as lstms
from minimodels.functional.conv import choice
from minimodels.functional.recurrence import Steps, Weights, layer
from minimodels.functional.recurrence.running import SHORT
from minimodels.shapes import Windows

Entrant = Callable[..., Tensor]


@dataclass(frozen=True)
class Contest:
    """One line of the table.

    `make` draws the operands; `entrants` are functions of them, by name: all of our algorithms that serve, and torch.
    `exact` is the definition, which is run on the operands in float64. `chosen` names, for the operands, the one of
    ours that is taken when nobody asks for one.
    """

    operation: str
    sweep: str
    axis: str
    place: int
    name: str
    make: Callable[[Setting], tuple[Tensor, ...]]
    entrants: dict[str, Entrant]
    exact: Entrant
    chosen: Callable[..., str]


def convolution(
    sweep: str, axis: str, place: int, batch: int, channels: int, size: int, kernel: int, *, depthwise: bool = False
) -> Contest:
    """A square convolution with as many output channels as input channels, padded so that its size stays the same."""
    margin = kernel // 2

    def windows(x: Tensor) -> Windows:
        return Windows((kernel,) * 2, (1, 1), ((margin, margin),) * 2, (1, 1), x.shape[1] if depthwise else 1)

    def make(setting: Setting) -> tuple[Tensor, Tensor]:
        n, c, s = (1, min(channels, 4), min(size, 9)) if setting.tiny else (batch, channels, size)
        return setting.noise(n, c, s, s), setting.noise(c, 1 if depthwise else c, kernel, kernel)

    def ours(x: Tensor, w: Tensor, *, name: str) -> Tensor:
        return choice.ALGORITHMS[name](x, w, None, windows(x)).contiguous()

    def torchs(x: Tensor, w: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(x, w, padding=margin, groups=x.shape[1] if depthwise else 1)

    served = {
        "definition": True,
        "im2col": not depthwise,
        "winograd F(2x2)": kernel == 3 and not depthwise,
        "winograd F(4x4)": kernel == 3 and not depthwise,
        "fft": not depthwise,
        "shifts": depthwise,
        "bands": depthwise,
    }
    entrants: dict[str, Entrant] = {name: partial(ours, name=name) for name, serves in served.items() if serves}
    entrants["torch"] = torchs
    name = f"{batch}x{channels}x{size}x{size}, {kernel}x{kernel}" + ", depthwise" * depthwise
    return Contest(
        operation="conv",
        sweep=sweep,
        axis=axis,
        place=place,
        name=name,
        make=make,
        entrants=entrants,
        exact=entrants["definition"],
        chosen=lambda x, w: choice.choose(x, w, windows(x)),
    )


def attention(sweep: str, length: int, *, causal: bool) -> Contest:
    """A text that attends to itself, with GPT-2's 12 heads of 64."""
    band = forms.Band() if causal else None

    def make(setting: Setting) -> tuple[Tensor, ...]:
        shape = (1, 2, 5, 4) if setting.tiny else (1, 12, length, 64)
        return setting.noise(*shape), setting.noise(*shape), setting.noise(*shape)

    def definition(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        mask = None if band is None else band.mask(q.shape[2], k.shape[2], q.device)
        return forms.definition.attention(q, k, v, mask)

    def ours(q: Tensor, k: Tensor, v: Tensor, *, form: Entrant) -> Tensor:
        return form(q, k, v, None, band, q.shape[-1] ** -0.5)

    entrants: dict[str, Entrant] = {
        "definition": definition,
        "batched": partial(ours, form=forms.batched.attention),
        "tiles": partial(ours, form=forms.tiles.attention),
        "torch": partial(torch.nn.functional.scaled_dot_product_attention, is_causal=causal),
    }
    return Contest(
        operation="attention",
        sweep=sweep,
        axis="length",
        place=length,
        name=f"1x12x{length}x64" + ", causal" * causal,
        make=make,
        entrants=entrants,
        exact=definition,
        chosen=lambda q, k, v: forms.choice.choose(q, k, v, None),
    )


def lstm(sweep: str, axis: str, place: int, *, batch: int = 64, length: int = 100, hidden: int = 128) -> Contest:
    """A layer of an LSTM that is as wide as its input: step by step under autograd, or the whole sequence at once."""

    def make(setting: Setting) -> tuple[Tensor, ...]:
        n, t, h = (2, 3, 4) if setting.tiny else (batch, length, hidden)
        weights = (setting.noise(*shape) / h**0.5 for shape in ((4 * h, h), (4 * h, h), (4 * h,), (4 * h,)))
        return setting.noise(t, n, h), *weights

    def first(x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        return x.new_zeros(x.shape[1], w.shape[1]), x.new_zeros(x.shape[1], w.shape[1])

    def definition(x: Tensor, *weights: Tensor) -> Tensor:
        return lstms.definition.sequence(x, first(x, weights[1]), Weights(*weights))[0]

    def sequence(x: Tensor, *weights: Tensor) -> Tensor:
        steps = Steps((x.shape[1],) * x.shape[0])
        y, _ = layer(lstms.LSTM, x.flatten(0, 1), steps, first(x, weights[1]), Weights(*weights), short=0)
        return y.view(*x.shape[:2], -1)

    def torchs(x: Tensor, *weights: Tensor) -> Tensor:
        states = [part.unsqueeze(0) for part in first(x, weights[1])]
        return torch.lstm(x, states, list(weights), True, 1, 0.0, torch.is_grad_enabled(), False, False)[0]

    return Contest(
        operation="lstm",
        sweep=sweep,
        axis=axis,
        place=place,
        name=f"LSTM, {length} steps of {batch}x{hidden}",
        make=make,
        entrants={"definition": definition, "sequence": sequence, "torch": torchs},
        exact=definition,
        chosen=lambda x, *_: "definition" if len(x) < SHORT else "sequence",
    )


CONTESTS = [
    *(convolution("conv, 3x3, 64 channels", "image size", s, 8, 64, s, 3) for s in (7, 14, 28, 56)),
    *(convolution("conv, 3x3, images of 14x14", "channels", c, 16, c, 14, 3) for c in (8, 32, 128, 256)),
    *(convolution("conv, images of 32x32, 16 channels", "kernel size", k, 8, 16, 32, k) for k in (1, 3, 7, 11, 15)),
    *(
        convolution("conv, 3x3, depthwise, 64 channels", "image size", s, 8, 64, s, 3, depthwise=True)
        for s in (7, 14, 28, 56)
    ),
    *(attention("attention, causal, 12 heads of 64", n, causal=True) for n in (64, 256, 512, 1024)),
    *(attention("attention, everything, 12 heads of 64", n, causal=False) for n in (64, 256, 512, 1024)),
    *(lstm("LSTM, 100 steps of 64", "hidden size", h, hidden=h) for h in (16, 64, 128, 512)),
    *(lstm("LSTM, 100 steps, 128 wide", "batch", n, batch=n) for n in (1, 8, 64, 256)),
    *(lstm("LSTM, 64 sequences, 128 wide", "length", t, length=t) for t in (1, 4, 25, 100)),
]
