"""The command line: `python -m benchmarks [family ...]`."""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import (
    activations,
    attention,
    conv,
    linear,
    lookup,
    losses,
    model,
    norm,
    optim,
    pooling,
    recurrent,
    report,
    transformer,
)
from benchmarks.cases import Case, Entries, Setting
from benchmarks.run import TOLERANCE, MismatchError, machine, measure, record
from benchmarks.studies import STUDIES
from benchmarks.tables import line
from minimodels.errors import InputError
from minimodels.recipes.wording import did_you_mean, listing
from minimodels.training.devices import find_device

FAMILIES = {
    "conv": conv.CASES,
    "linear": linear.CASES,
    "pooling": pooling.CASES,
    "norm": norm.CASES,
    "activations": activations.CASES,
    "lookup": lookup.CASES,
    "losses": losses.CASES,
    "recurrent": recurrent.CASES,
    "attention": attention.CASES,
    "transformer": transformer.CASES,
    "model": model.CASES,
    "optim": optim.CASES,
}
RESULTS = Path(__file__).parent / "results"
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in TOLERANCE}


def parser() -> argparse.ArgumentParser:
    """The flags; the default stands in brackets."""
    build = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time our layers and optimisers against torch's.",
    )
    build.add_argument(
        "families", nargs="*", metavar="family", help=f"{', '.join([*FAMILIES, *STUDIES])}; all when none is named"
    )
    build.add_argument("--threads", type=int, help="threads of both sides; torch's own choice when not given")
    build.add_argument("--repeats", type=int, default=20, help="least number of rounds for a case (%(default)s)")
    build.add_argument("--min-time", type=float, default=1.0, help="least number of seconds for a case (%(default)s)")
    build.add_argument("--dtype", choices=DTYPES, default="float32", help="of inputs and weights (%(default)s)")
    build.add_argument("--device", default="cpu", help="auto, cpu, cuda, mps (%(default)s)")
    build.add_argument("--output", type=Path, help="folder of the results (benchmarks/results)")
    build.add_argument("--tiny", action="store_true", help="shrink every case, only to see that it runs; saves nothing")
    build.add_argument("--report", action="store_true", help="only write README.md from the results that are there")
    return build


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the families that are named, print their tables and save their records.

    Returns:
        The exit status: 2 when the input is at fault or Ctrl-C stopped the run, 1 when ours and torch's do not
        compute the same.
    """
    try:
        _main(list(sys.argv[1:] if arguments is None else arguments))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except MismatchError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped by Ctrl-C: only families that were finished have been saved.", file=sys.stderr)
        return 2
    return 0


def _main(arguments: list[str]) -> None:
    options = parser().parse_args(arguments)
    families = _families(options.families)
    setting = Setting(DTYPES[options.dtype], find_device(options.device), options.tiny)
    for flag in ("threads", "repeats"):
        value = getattr(options, flag)
        if value is not None and value < 1:
            raise InputError(f"--{flag} {value}: give a number from 1 upwards.")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    folder = options.output or RESULTS
    if options.report:
        with _writing(folder):
            report.write_readme(folder)
        return
    saved = options.output is not None or not options.tiny
    if saved:
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
    about = machine(setting.device, torch.get_num_threads())
    for family in families:
        print(
            f"\n{family} on {about['slug']}, {options.dtype}, torch {torch.__version__}" + ", tiny sizes" * options.tiny
        )
        run = STUDIES[family].run if family in STUDIES else partial(_beside_torch, FAMILIES[family])
        entries = run(setting, options)
        if saved:
            with _writing(folder):
                print(report.save(_record(family, setting, entries, options), folder))


def _beside_torch(cases: list[Case], setting: Setting, options: argparse.Namespace) -> Entries:
    """Measure a family's cases, and print its table line by line."""
    print(line(report.HEADER))
    entries = []
    for case in cases:
        entries.append(measure(case, setting, repeats=options.repeats, min_time=options.min_time))
        print(line(report.row(entries[-1])), flush=True)
    return entries


def _record(family: str, setting: Setting, entries: Entries, options: argparse.Namespace) -> dict[str, Any]:
    made = record(family, setting, entries, _command(family, options))
    dtypes = STUDIES[family].dtypes if family in STUDIES else ()
    return made | {"dtype": ", ".join(dtypes) or made["dtype"]}


def _families(names: list[str]) -> list[str]:
    known = [*FAMILIES, *STUDIES]
    for name in names:
        if name not in known:
            raise InputError(
                f"{name}: there is no such family of benchmarks, only {listing(known)}{did_you_mean(name, known)}"
            )
    return names or known


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """What the disk refuses becomes one sentence."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"--output {folder}: cannot be written ({error.strerror or error}); give another folder."
        ) from error


def _command(family: str, options: argparse.Namespace) -> str:
    """The line that repeats a family's run; where the results went is nobody else's concern."""
    words = ["python -m benchmarks", family]
    for flag in ("threads", "repeats", "min_time", "dtype", "device"):
        value = getattr(options, flag)
        if value != parser().get_default(flag):
            words.append(f"--{flag.replace('_', '-')} {value}")
    return " ".join(words + ["--tiny"] * options.tiny)


if __name__ == "__main__":
    sys.exit(main())
