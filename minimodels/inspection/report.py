"""Pictures of a run: learning curves, mistakes, filters. Needs matplotlib, which the `plot` extra brings."""

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from minimodels.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HINT = "For pictures of the run: pip install matplotlib"
INK, MUTED, GRID = "#1f2430", "#7a8190", "#e6e8ec"
TRAIN, TEST, WRONG = "#9aa7bd", "#1f5fbf", "#c23b3b"

OTHER_SCRIPTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei"),
    *("PingFang SC", "Hiragino Sans GB", "Arial Unicode MS", "Microsoft YaHei", "SimHei"),
)
"""Fonts with the characters that matplotlib's own lacks, of which most systems have one: a title names the data."""


def can_draw() -> bool:
    """Whether matplotlib is installed, and whole."""
    try:
        import matplotlib.figure  # noqa: F401 (it is the attempt that counts)
    except ImportError:
        return False
    return True


def is_share(name: str) -> bool:
    """Whether a quantity of this name is a part of a whole, which is shown in per cent.

    Args:
        name: such as "loss" or "val_accuracy".

    Example:
        >>> is_share("val_accuracy"), is_share("loss")
        (True, False)
    """
    return name.endswith("accuracy")


RISING = ("accuracy", "auc", "bleu", "f1", "iou", "precision", "recall")
FALLING = ("loss", "error", "perplexity", "bits_per_byte", "bits_per_character")


def larger_is_better(name: str) -> bool | None:
    """Whether a quantity of this name is better when it is larger; None where the name does not say.

    Args:
        name: such as "loss" or "val_accuracy"; what counts is its end.

    Example:
        >>> larger_is_better("val_accuracy"), larger_is_better("squared_error"), larger_is_better("lr")
        (True, False, None)
    """
    return True if name.endswith(RISING) else False if name.endswith(FALLING) else None


def curves(records: Sequence[Mapping[str, float]], path: str | os.PathLike[str], title: str = "") -> None:
    """Draw how training went: one panel for each quantity that was measured in training and on held-out data.

    Args:
        records: one an epoch, as `History.records` has them; "loss" is shown beside "val_loss", over "epoch" or
            "step", whichever stands first.
        path: the PNG file.
        title: above the panels.
    """
    unit, *columns = dict.fromkeys(name for record in records for name in record)
    names = [name for name in columns if name != "lr" and not name.startswith("val_")]
    figure = _figure(width=5.0 * len(names), height=3.6, title=title, layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        percent = is_share(name)
        for column, label, colour in ((name, "train", TRAIN), (f"val_{name}", "test", TEST)):
            measured = [record for record in records if column in record]
            if measured:
                values = [record[column] * (100 if percent else 1) for record in measured]
                _line(axes, [record[unit] for record in measured], values, label, colour)
        if name == "loss" and min(record["loss"] for record in records) > 0:
            _logarithmic(axes)
        axes.set_title(f"{name}, %" if percent else name, loc="left", color=INK, fontsize=10)
        axes.set_xlabel(unit, color=MUTED, fontsize=9)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if percent:
            axes.set_ylim(top=100)
        axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="lower right" if percent else "best")
    _save(figure, path)


def mistakes(
    images: Tensor,
    labels: Tensor,
    probabilities: Tensor,
    path: str | os.PathLike[str],
    names: Sequence[str] | None = None,
    most: int = 40,
) -> None:
    """Draw the pictures that a classifier got wrong, the ones it was surest of first.

    If there are none, those are drawn of which it was least sure.

    Args:
        images: what was classified.
        labels: what they are.
        probabilities: of every class.
        path: the PNG file.
        names: of the classes; by default their numbers.
        most: at most so many are shown.

    Shape:
        images [N, 1, H, W]; labels [N]; probabilities [N, C].
    """
    sureness, predicted = probabilities.max(1)
    wrong = torch.nonzero(predicted != labels).flatten()
    if len(wrong):
        shown = wrong[sureness[wrong].argsort(descending=True, stable=True)][:most]
        rest = f"; the {len(shown)} of which the model was surest" if len(shown) < len(wrong) else ""
        headline = f"{len(wrong):,} of {len(labels):,} test pictures misread{rest}"
    else:
        shown = sureness.argsort(stable=True)[:8]
        headline = f"None of {len(labels):,} test pictures misread; the closest calls"
    names = names or [str(number) for number in range(probabilities.shape[1])]
    per_row = min(8, max(4, len(shown)))
    figure, tiles = _tiles(len(shown), per_row, size=1.2, title=headline, above=0.22, below=0.32)
    for axes, number in zip(tiles, shown.tolist(), strict=False):
        guess, truth = int(predicted[number]), int(labels[number])
        axes.imshow(images[number, 0].numpy(), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        read, true = (f"{names[which]}  {100 * probabilities[number, which]:.0f} %" for which in (guess, truth))
        axes.set_title(f"read {read}", color=WRONG if guess != truth else INK, fontsize=8.5, pad=4)
        axes.set_xlabel(f"is {true}", color=MUTED, fontsize=8.5, labelpad=4)
        _frame(axes)
    _save(figure, path)


def filters(weight: Tensor, path: str | os.PathLike[str], title: str = "First convolution") -> None:
    """Draw the kernels of a convolution, each as a small picture: blue adds, red subtracts.

    Args:
        weight: of the convolution; kernels with several input channels are averaged over them.
        path: the PNG file.
        title: above the kernels.

    Shape:
        weight [O, I, kH, kW].
    """
    kernels = weight.detach().float().mean(1).cpu()  # [O, kH, kW]
    limit = float(kernels.abs().max()) or 1.0
    title = f"{title}: from −{limit:.2f} (red) to {limit:.2f} (blue)"
    figure, tiles = _tiles(len(kernels), min(8, len(kernels)), size=0.9, title=title)
    for axes, kernel in zip(tiles, kernels, strict=False):
        axes.imshow(kernel.numpy(), cmap="RdBu", vmin=-limit, vmax=limit, interpolation="nearest")
        _frame(axes)
    _save(figure, path)


def _figure(width: float, height: float, title: str, layout: "Literal['constrained'] | None" = None) -> "Figure":
    """An empty figure in inches, drawn without any window or global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=160, layout=layout, facecolor="white")
    top = None if layout else 1 - 0.08 / height  # a layout engine finds the place by itself
    place: dict[str, Any] = {"x": 0.12 / width, "y": top, "ha": "left", "va": "top"}
    plain: dict[str, Any] = {"family": _family(), "parse_math": False}  # the names of files may hold anything
    figure.suptitle(title, color=INK, fontsize=11, weight="bold", **place, **plain)
    return figure


def _family() -> list[str]:
    """The font of a title, and those that stand in where it lacks a character."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return ["sans-serif", *(name for name in OTHER_SCRIPTS if name in installed)]


def _tiles(
    count: int, per_row: int, size: float, title: str, above: float = 0.06, below: float = 0.06
) -> "tuple[Figure, list[Any]]":
    """A figure with rows of small square axes, all switched off; inches, with room for text above and below each."""
    rows, head, edge = math.ceil(count / per_row), 0.42, 0.08
    width, height = per_row * (size + 2 * edge), rows * (size + above + below) + head
    figure = _figure(width, height, title)
    tiles = []
    for number in range(count):
        row, column = divmod(number, per_row)
        left, top = column * (size + 2 * edge) + edge, head + row * (size + above + below) + above
        tiles.append(figure.add_axes((left / width, 1 - (top + size) / height, size / width, size / height)))
        tiles[-1].set_axis_off()
    return figure, tiles


def _frame(axes: Any) -> None:
    """Show the edge of a picture, without ticks."""
    axes.set_axis_on()
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(GRID)


def _logarithmic(axes: Any) -> None:
    """A loss falls by factors: equal steps on the page are equal factors, labelled in plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _line(axes: Any, epochs: Sequence[float], values: Sequence[float], label: str, colour: str) -> None:
    """One curve over the epochs, with its last value in the legend."""
    axes.plot(epochs, values, color=colour, lw=1.8, clip_on=False, label=f"{label} {values[-1]:.4g}")
    axes.plot(epochs[-1], values[-1], "o", color=colour, ms=4, clip_on=False)
    axes.grid(axis="y", color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(colors=MUTED, labelsize=8, length=0)


def _save(figure: "Figure", path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG in one atomic step."""
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # an empty box says the same
        figure.savefig(temporary, format="png")
