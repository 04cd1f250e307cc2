"""The study `seeds`: three classic programs as their own libraries run them, and ours beside them.

1. Keras's convolutional network for digits: `model.fit` for an epoch, against `training.Trainer`, the loop of
   `python train.py cnn`; eager, and compiled as by `--compile`. Keras compiles in any case.
2. Keras's three LSTM layers over sequences of 100 steps, likewise.
3. GPT-2 of transformers that continues a text: `generate` against ours.

Both sides begin with the same weights and get the same data. What the models give for a batch, and in training the
gradients of all weights, are compared before anything is timed. Everything runs in one process with the same number of
threads, in turns; the first epoch of either side, in which it sets itself up, does not count. The process keeps the
memory that it frees, as it does in every recipe.
"""

from argparse import Namespace
from typing import Any

import torch

from benchmarks.cases import Entries, Setting, Study
from benchmarks.checking import TOLERANCE, MismatchError
from benchmarks.clocks import in_turns, ratios, spread
from benchmarks.programs import Program, programs
from benchmarks.tables import markdown, milliseconds, ratio, sentence
from minimodels.training import keep_freed_memory

INSTALL = 'pip install "minimodels[peers]" brings the other side along'

EXPLANATION = (
    "A time is that of an epoch in training and of a call in generation; the ratio is theirs by ours. The loss is the "
    "mean over the last epoch that was timed. A dash: the library was not installed."
)


def run(setting: Setting, options: Namespace) -> Entries:
    """Compare, then time in turns, and print a line for each program."""
    keep_freed_memory()
    entries = []
    for program in programs(setting):
        entries.append(_hold(program, options.repeats))
        print(sentence(HEADER, row(entries[-1])), flush=True)
    return entries


def _hold(program: Program, repeats: int) -> dict[str, Any]:
    """Time one program in turns."""
    if program.error is not None and not program.error <= TOLERANCE[torch.float32]:
        raise MismatchError(
            f"{program.name}: ours and {program.peer} differ by {program.error:.1e}; nothing was timed."
        )
    if program.theirs is None:
        print(f"{program.name}: {program.peer} is not installed; {INSTALL}.")
    works = {"ours": program.ours} | ({"reference": program.theirs} if program.theirs else {})
    times = in_turns(works, repeats)
    entry: dict[str, Any] = {
        "name": program.name,
        "mode": program.mode,
        "peer": program.peer,
        "items": program.items,
        "unit": program.unit,
        "rounds": len(times["ours"]),
        **{side: spread(seconds) for side, seconds in times.items()},
    }
    if program.theirs is not None:
        entry |= {"error": program.error, **ratios(times["ours"], times["reference"])}
        entry |= {"losses": program.losses()} if program.losses else {}
    return entry


HEADER = ("program", "beside", "ours, ms", "theirs, ms", "ratio", "ours / theirs a second", "error", "loss")


def row(entry: dict[str, Any]) -> tuple[str, ...]:
    """One program as the cells of a table."""
    sides = [side for side in ("ours", "reference") if side in entry]
    speeds = " / ".join(f"{entry['items'] / entry[side]['median']:,.0f}" for side in sides)
    title, ours = f"{entry['name']}, {entry['mode']}", milliseconds(entry["ours"])
    if "reference" not in entry:
        return title, entry["peer"], ours, "–", "–", f"{speeds} {entry['unit']}", "–", "–"
    return (
        title,
        entry["peer"],
        ours,
        milliseconds(entry["reference"]),
        ratio(entry),
        f"{speeds} {entry['unit']}",
        f"{entry['error']:.0e}",
        " / ".join(f"{loss:.4f}" for loss in entry["losses"]) if "losses" in entry else "–",
    )


def table(record: dict[str, Any]) -> str:
    """A record's section."""
    return f"{EXPLANATION}\n\n{markdown(HEADER, map(row, record['cases']))}"


STUDY = Study(run, table, dtypes=("float32",), counts=True)
