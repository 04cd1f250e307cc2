"""The flags of the command line, and what they come to."""

import argparse
import math
import shlex
from collections.abc import Iterable
from pathlib import Path

from benchmarks.cases import Setting
from benchmarks.checking import TOLERANCE
from benchmarks.run import QUICK, USUAL
from minimodels.errors import InputError
from minimodels.training.devices import find_device

DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in TOLERANCE}
MODES = ("eager", "compiled")

MOST_THREADS = 1024
"""PyTorch takes any number, and the process then dies without a word."""


def parser(families: Iterable[str]) -> argparse.ArgumentParser:
    """The flags; the default stands in brackets.

    Args:
        families: all that can be named.
    """
    build = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time our layers and optimisers against torch's.",
    )
    build.add_argument("families", nargs="*", metavar="family", help=f"{', '.join(families)}; all when none is named")
    build.add_argument(
        "--only", action="append", metavar="WORDS", help="of their cases those whose name contains this; repeatable"
    )
    build.add_argument("--threads", type=int, help="threads of both sides; torch's own choice when not given")
    build.add_argument("--repeats", type=int, help=f"least number of rounds for a case ({USUAL.repeats})")
    build.add_argument("--min-time", type=float, help=f"least number of seconds for a case ({USUAL.min_time})")
    build.add_argument("--quick", action="store_true", help=f"fewer rounds, about {QUICK.limit} seconds for a case")
    build.add_argument("--dtype", choices=DTYPES, default="float32", help="of inputs and weights (%(default)s)")
    build.add_argument("--tf32", action="store_true", help="on CUDA, float32 products in TF32; otherwise exactly")
    build.add_argument(
        "--mode", choices=MODES, default="eager", help="compiled: both sides through torch.compile (%(default)s)"
    )
    build.add_argument(
        "--all", action="store_true", help="float32 and bfloat16, each eager and compiled, one after the other"
    )
    build.add_argument("--device", default="cpu", help="auto, cpu, cuda, mps (%(default)s)")
    build.add_argument("--output", type=Path, help="folder of the results (benchmarks/results)")
    build.add_argument("--compare", type=Path, metavar="OLD", help="a record or a folder of them: say what has changed")
    build.add_argument("--tiny", action="store_true", help="shrink every case, only to see that it runs; saves nothing")
    build.add_argument("--report", action="store_true", help="only write README.md from the results that are there")
    return build


def setting(options: argparse.Namespace) -> Setting:
    """Where and with which numbers to measure.

    Args:
        options: the flags.

    Raises:
        InputError: flags that are out of range or do not go together.
    """
    for flag in ("threads", "repeats"):
        value = getattr(options, flag)
        if value is not None and value < 1:
            raise InputError(f"--{flag} {value}: give a number from 1 upwards.")
    if options.threads is not None and options.threads > MOST_THREADS:
        raise InputError(f"--threads {options.threads}: give at most {MOST_THREADS}.")
    if options.min_time is not None and not 0 <= options.min_time < math.inf:
        raise InputError(f"--min-time {options.min_time}: give a number of seconds from 0 upwards.")
    device = find_device(options.device)
    if options.tf32 and (device.type != "cuda" or options.dtype != "float32"):
        raise InputError("--tf32: it rounds float32 products on CUDA; give --device cuda and no other --dtype.")
    return Setting(DTYPES[options.dtype], device, options.tiny, options.mode == "compiled", options.tf32)


def variants(options: argparse.Namespace) -> list[argparse.Namespace]:
    """The flags of each pass over the families: as they are, or for `--all` one for each precision and mode.

    Args:
        options: the flags.

    Raises:
        InputError: `--all` beside a flag that chooses one of them.
    """
    if not options.all:
        return [options]
    if options.dtype != "float32" or options.mode != "eager":
        raise InputError("--all: goes through all precisions and modes; leave out --dtype and --mode.")
    given = vars(options) | {"all": False}
    passes = [{"dtype": dtype, "mode": mode} for mode in MODES for dtype in ("float32", "bfloat16")]
    return [argparse.Namespace(**given | each) for each in passes if not options.tf32 or each["dtype"] == "float32"]


def command(family: str, options: argparse.Namespace) -> str:
    """The line that repeats a family's run; where the results went is nobody else's concern.

    Args:
        family: the family.
        options: the flags.
    """
    words = ["python -m benchmarks", family]
    plain = vars(parser([]).parse_args([]))
    for flag in ("only", "threads", "repeats", "min_time", "quick", "dtype", "tf32", "mode", "device", "tiny"):
        value = getattr(options, flag)
        if value != plain[flag]:
            name = f"--{flag.replace('_', '-')}"
            values = value if isinstance(value, list) else [value]
            words += [name if each is True else f"{name} {shlex.quote(str(each))}" for each in values]
    return " ".join(words)
