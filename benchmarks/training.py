"""The study `training`: a step of training of GPT-2 with 124 million random weights, and its model FLOPs utilisation.

A step is that of `python train.py gpt --preset gpt2`: forward pass (under autocast where `--dtype bfloat16` is asked
for), loss, backward pass, the gradient clipped, AdamW. Beside ours stand the same network out of torch.nn's layers with
torch's fused kernels, and transformers' own where it is installed.

References: Chowdhery et al. 2022 (PaLM), arXiv:2204.02311, section 4.1 and appendix B.
"""

import gc
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
from torch.utils.benchmark import timer

from benchmarks.cases import Case, Entries, Pair, Setting, Study
from benchmarks.checking import check
from benchmarks.clocks import in_turns, ratios, spread
from benchmarks.gpt2_twins import TINY, Expecting, torch_blocks, transformers_blocks
from benchmarks.learner import RECIPE, Learner, torch_adamw
from benchmarks.memory import peak
from benchmarks.rows import error, unmeasured
from benchmarks.run import Effort, attempt, effort
from benchmarks.tables import markdown, milliseconds, ratio, sentence
from minimodels.inspection import count_training_flops
from minimodels.models import GPT2Config, GPT2LMHeadModel
from minimodels.nn.utils import clip_grad_norm_
from minimodels.recipes.gpt_model import Guess, Guessing, optimizer
from minimodels.training import keep_freed_memory, utilisation
from minimodels.training.objective import Objective

SIDES = ("ours", "reference")

MOST_SECONDS = 40.0
"""After so long no further round of a line begins, but three are always had."""

BATCH = {"cuda": (8, 1024), "cpu": (2, 256)}
"""Texts, and tokens of each."""

PRECISIONS = (torch.float32, torch.bfloat16)
"""Those in which training needs no scaled loss."""

EXPLANATION = (
    "Milliseconds of a step of training: forward pass, loss, backward pass, the gradient clipped, AdamW (torch's fused "
    "one on the other side), without dropout; in bfloat16 under autocast, with weights in float32. The ratio is their "
    "time by ours. A token's operations are those of its products by the equations, forward and twice as many "
    "backward: 6·N + 12·L·E·T for N weights that multiply (matrices of the blocks, and the table of tokens once, as "
    "the head; not positions, biases and gains), L layers of width E and T tokens, as `minimodels.inspection` counts "
    "them and summary.json of a run has them. MFU, model FLOPs utilisation, is what a step's operations a second are "
    "of the rate at which the machine multiplies matrices in this precision. The peak is of all memory of a model: "
    "weights, gradients, AdamW's averages, and what a step needs beside them. Compiling is how long the first forward "
    "and backward pass took. The error is that of the stream, the loss and all gradients before the first step; the "
    "loss is that of the last step. All ours / theirs."
)


@dataclass(frozen=True)
class Peer:
    """Who trains beside ours: its blocks with our weights, by its name and version."""

    name: str
    version: str
    blocks: Callable[[GPT2LMHeadModel], torch.nn.Module]


def peers() -> list[Peer]:
    """All that are installed."""
    found = [Peer("torch.nn", torch.__version__, torch_blocks)]
    if find_spec("transformers"):
        found.append(Peer("transformers", version("transformers"), transformers_blocks))
    return found


def run(setting: Setting, options: Namespace) -> Entries:
    """Compare, then time in turns, and print each line as soon as it is there."""
    keep_freed_memory()
    entries: Entries = []
    for peer in peers():
        entries.append(_entry(peer, setting, options))
        print(_said(entries[-1]), flush=True)
    return entries


def _entry(peer: Peer, setting: Setting, options: Namespace) -> dict[str, Any]:
    """One line; what is not measured says why."""
    chosen = case(peer, setting)
    if setting.dtype not in PRECISIONS:
        word = "training is measured in float32, and under autocast in bfloat16"
        return {"name": chosen.name, "mode": chosen.mode, "omitted": word}
    measuring = partial(measured, peer=peer, rate=options.ceilings["flops"])
    return attempt(chosen, setting, effort(options), measuring)


def _said(entry: dict[str, Any]) -> str:
    """A line in the terminal."""
    cells, why = row(entry), unmeasured(entry)
    return f"{cells[0]}: {why}" if why else sentence(HEADER, cells)


def config(setting: Setting) -> GPT2Config:
    """GPT-2 as it is trained from nothing: without dropout."""
    return GPT2Config(**(TINY if setting.tiny else {}), resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)


def sizes(setting: Setting) -> tuple[int, int]:
    """How many texts, and how many tokens of each."""
    return (2, 8) if setting.tiny else BATCH.get(setting.device.type, BATCH["cpu"])


def case(peer: Peer, setting: Setting) -> Case:
    """Ours beside one of the others."""
    texts, length = sizes(setting)
    name = f"GPT-2{'' if setting.tiny else ' 124M'}, {texts} x {length:,} tokens"
    return Case("training", name, f"step beside {peer.name}", partial(make, peer.blocks), peer=peer.name)


def make(blocks: Callable[[GPT2LMHeadModel], torch.nn.Module], setting: Setting) -> Pair:
    """Both learners, with the same weights and texts. Weights stay in float32 in every precision."""
    texts, length = sizes(setting)
    model = replace(setting, dtype=torch.float32, rounded=None).built(lambda: GPT2LMHeadModel(config(setting)))
    ids = torch.randint(model.config.vocab_size, (texts, length + 1), device=setting.device)
    theirs = blocks(model)
    runs = setting.ready(Objective(Guessing(model), Guess.surprise), Expecting(theirs))
    batch = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    ours = Learner(model.transformer, runs[0], optimizer(RECIPE, model), clip_grad_norm_, batch, setting)
    clip = torch.nn.utils.clip_grad_norm_
    reference = Learner(theirs, runs[1], torch_adamw(theirs), clip, batch, setting)
    flops = texts * length * operations(config(setting), length)
    return Pair(ours, reference, lambda side: side.results(), flops=flops)


def operations(config: GPT2Config, length: int) -> float:
    """Floating-point operations of training a token in a text of so many, by the equations of ours."""
    with torch.device("meta"):
        objective = Objective(Guessing(GPT2LMHeadModel(config)), Guess.surprise)
        text = torch.zeros(1, length, dtype=torch.int64)
    return count_training_flops(objective, text, text) / length


def measured(case: Case, setting: Setting, effort: Effort, *, peer: Peer, rate: float) -> dict[str, Any]:
    """Compare and time ours beside one of the others.

    Args:
        case: what `case` gave.
        setting: dtype, device and size.
        effort: how many rounds.
        peer: who the other is.
        rate: at which the machine multiplies.

    Raises:
        MismatchError: the two do not compute the same.
    """
    gc.collect()  # what a line before has left
    if setting.compiled:
        torch._dynamo.reset()
    torch.manual_seed(0)
    pair = case.make(setting)
    sides: dict[str, Learner] = {"ours": pair.ours, "reference": pair.reference}
    results, first = {}, {}
    for name, side in sides.items():
        begin = timer()
        results[name] = pair.results(side)
        first[name] = timer() - begin
    errors = check(case, setting, results["ours"], results["reference"])
    results.clear()
    times = in_turns(sides, effort.repeats, MOST_SECONDS)
    texts, length = sizes(setting)
    entry = {
        "name": case.name,
        "mode": case.mode,
        "peer": f"{peer.name} {peer.version}",
        "items": texts * length,
        "rounds": len(times["ours"]),
        "flops": pair.flops,
        **errors,
        **({"compiling": first} if setting.compiled else {}),
        **ratios(times["ours"], times["reference"]),
        "losses": {name: float(side.loss) for name, side in sides.items()},
    }
    for name, side in sides.items():
        entry[name] = spread(times[name]) | _memory(side, setting)
        entry[name]["mfu"] = utilisation(pair.flops, entry[name]["median"], rate)
    return entry


def _memory(side: Learner, setting: Setting) -> dict[str, int]:
    """The peak of all memory of a model that trains, where it is counted."""
    side.optimizer.zero_grad()  # a step then frees nothing that was there before, which a processor does not count
    kept = side.held()
    most = peak(side, setting.device)
    return {} if most is None else {"peak": kept + most}


HEADER = (
    *("model", "beside", "ours, ms", "theirs, ms", "ratio", "tokens a second", "GFLOP a token", "MFU, %"),
    *("peak, MB", "compiling, s", "error", "loss"),
)


def row(entry: dict[str, Any]) -> tuple[str, ...]:
    """One entry as the cells of a table."""
    if why := unmeasured(entry):
        return f"{entry['name']}, {entry['mode']}", why, *["–"] * (len(HEADER) - 2)

    def both(cell: Callable[[dict[str, Any]], str]) -> str:
        return " / ".join(cell(entry[side]) for side in SIDES)

    compiling = [f"{entry['compiling'][side]:.0f}" for side in SIDES] if "compiling" in entry else ["–"]
    return (
        entry["name"],
        entry["peer"],
        *(milliseconds(entry[side]) for side in SIDES),
        ratio(entry),
        both(lambda side: f"{entry['items'] / side['median']:,.0f}"),
        f"{entry['flops'] / entry['items'] / 1e9:.3g}",
        both(lambda side: f"{100 * side['mfu']:.1f}"),
        both(lambda side: f"{side['peak'] / 1e6:,.0f}") if "peak" in entry["ours"] else "–",
        " / ".join(compiling),
        error(entry),
        " / ".join(f"{entry['losses'][side]:.4f}" for side in SIDES),
    )


def table(record: dict[str, Any]) -> str:
    """A record's section."""
    return f"{EXPLANATION}\n\n{markdown(HEADER, map(row, record['cases']))}"


STUDY = Study(run, table, counts=True, variants=True)
