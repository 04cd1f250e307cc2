"""The command line: `python -m benchmarks [family ...]`."""

import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks import (
    activations,
    attention,
    card,
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
from benchmarks.ceilings import ceilings
from benchmarks.checking import MismatchError
from benchmarks.comparison import compare, stored
from benchmarks.options import command, parser, setting, variants
from benchmarks.records import machine, record
from benchmarks.rows import expected, row
from benchmarks.run import attempt, effort
from benchmarks.studies import STUDIES
from benchmarks.tables import line
from minimodels.errors import InputError
from minimodels.recipes.wording import did_you_mean, listing

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
ALIASES = {
    "convolution": "conv",
    "embedding": "lookup",
    "gru": "recurrent",
    "loss": "losses",
    "lstm": "recurrent",
    "models": "model",
    "norms": "norm",
    "optimizers": "optim",
    "rnn": "recurrent",
    "tokenizers": "tokenizer",
}
"""Other names under which a family is looked for."""

RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the families that are named, print their tables and save their records.

    Returns:
        The exit status: 2 when the input is at fault or Ctrl-C stopped the run, 1 when a case failed or ours and
        torch's do not compute the same.
    """
    try:
        failed = _main(list(sys.argv[1:] if arguments is None else arguments))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except MismatchError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped by Ctrl-C: only families that were finished have been saved.", file=sys.stderr)
        return 2
    print("".join(f"{sentence}\n" for sentence in failed), end="", file=sys.stderr)
    return 1 if failed else 0


def _main(arguments: list[str]) -> list[str]:
    """Do what the command line says; what failed, a sentence a case."""
    options = parser([*FAMILIES, *STUDIES]).parse_args(arguments)
    families = _families(options)
    passes = [(each, setting(each)) for each in variants(options)]
    old = stored(options.compare) if options.compare else []
    folder = options.output or RESULTS
    if options.report:
        with _writing(folder):
            report.write_readme(folder)
        records = stored(folder) if old else []
    else:
        records = []
        for number, (each, chosen) in enumerate(passes):
            here = [name for name in families if number == 0 or _varied(name)]
            records += _measured(here, chosen, each, folder)
    if old:
        print("\n" + "\n".join(compare(old, records)))
    return [] if options.report else [sentence for made in records for sentence in _failures(made)]


def _measured(families: list[str], setting: Setting, options: Namespace, folder: Path) -> list[dict[str, Any]]:
    """The records of all families, each saved as soon as it is whole."""
    if saved := options.output is not None or not options.tiny:
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    card.round_products(options.tf32)
    about = machine(setting.device, torch.get_num_threads())
    about["ceilings"] = ceilings(setting)
    records = []
    for family in families:
        print(f"\n{_title(family, setting, about)}")
        records.append(_record(family, setting, _run(family, setting, options, about), options, about))
        if saved:
            with _writing(folder):
                print(report.save(records[-1], folder))
    return records


def _run(family: str, setting: Setting, options: Namespace, about: dict[str, Any]) -> Entries:
    """Measure a family, and print its table line by line."""
    if family in STUDIES:
        filled = {"repeats": effort(options).repeats, "ceilings": about["ceilings"]}
        return STUDIES[family].run(setting, Namespace(**vars(options) | filled))
    names, entries = expected(setting), []
    print(line(("case", *names)))
    for case in _cases(family, options):
        entries.append(attempt(case, setting, effort(options)))
        print(line(row(entries[-1], names, about["ceilings"])), flush=True)
    return entries


def _cases(family: str, options: Namespace) -> list[Case]:
    return [
        case
        for case in FAMILIES.get(family, [])
        if options.only is None or any(words in str(case) for words in options.only)
    ]


def _title(family: str, setting: Setting, about: dict[str, Any]) -> str:
    words = [about["slug"], str(setting.dtype).removeprefix("torch."), f"torch {torch.__version__}"]
    words += ["TF32"] * setting.tf32 + ["compiled"] * setting.compiled + ["tiny sizes"] * setting.tiny
    return f"{family} on {', '.join(words)}"


def _record(
    family: str, setting: Setting, entries: Entries, options: Namespace, about: dict[str, Any]
) -> dict[str, Any]:
    made = record(family, setting, entries, command(family, options), about)
    dtypes = STUDIES[family].dtypes if family in STUDIES else ()
    return made | {"dtype": ", ".join(dtypes) or made["dtype"]}


def _failures(made: dict[str, Any]) -> list[str]:
    return [
        f"{made['family']}: {entry['name']}, {entry['mode']}: {entry['failed']}"
        for entry in made["cases"]
        if "failed" in entry
    ]


def _families(options: Namespace) -> list[str]:
    known = [*FAMILIES, *STUDIES]
    chosen = list(dict.fromkeys(ALIASES.get(name, name) for name in options.families))
    for name in chosen:
        if name not in known:
            raise InputError(
                f"{name}: there is no such family of benchmarks, only {listing(known)}{did_you_mean(name, known)}"
            )
    if options.only is None and options.mode == "eager":
        return chosen or known
    for name in chosen:
        if name in STUDIES and (options.only or not _varied(name)):
            why, flag = ("brings its own cases", "--only") if options.only else ("runs eagerly", "--mode")
            raise InputError(f"{name}: it {why}; leave out {flag}.")
    holding = [name for name in chosen or known if _varied(name) and (options.only is None or _cases(name, options))]
    if not holding:
        raise InputError(
            f"--only {', '.join(options.only)}: no case there has this in its name; leave it out to see them all."
        )
    return holding


def _varied(name: str) -> bool:
    """Whether a family runs in every precision and mode; most studies run once, as they are."""
    return name in FAMILIES or STUDIES[name].variants


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """What the disk refuses becomes one sentence."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"--output {folder}: cannot be written ({error.strerror or error}); give another folder."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
