"""The study `generation`: GPT-2 with 124 million random weights writes, and is trained, beside transformers' own.

A token that is written one after the other has to read all weights once, whatever is computed with them. So beside the
times stands how long this machine takes to read as many bytes, measured in the same rounds: no program that reads each
weight for each token is faster. Where transformers is not installed, ours runs alone.
"""

from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from benchmarks.cases import Entries, Outputs, Setting, Study
from benchmarks.checking import MismatchError, distance, tolerance
from benchmarks.clocks import in_turns, ratios, spread
from benchmarks.gpt2_twins import TINY, transformers_model
from benchmarks.memory import peak
from benchmarks.tables import markdown, milliseconds, ratio, sentence
from minimodels import optim
from minimodels.models import GPT2Config, GPT2LMHeadModel

MOST_SECONDS = 20.0
"""After so long no further round of a line begins, but three are always had."""

EXPLANATION = (
    "Milliseconds; the ratio is transformers' time by ours. A prompt is read as a whole, and a token is what each "
    "further one takes, of all texts together, the likeliest each time. The bound is how long it takes to read as many "
    "bytes as the weights have that every token reads, by a product of a matrix with a vector; the share is what the "
    "bound is of a token's time, ours / theirs. The peak is of memory beyond the weights: of writing all tokens, or of "
    "a step with its gradients. A training step has dropout, AdamW (torch's multi-tensor one for transformers) and "
    "the same loss on both sides. A dash: not there."
)


@dataclass(frozen=True)
class Line:
    """One line of the table, or the two of a batch that writes.

    `sides` are what is timed, by name: ours, and transformers' if it is installed. `tokens` counts what a call writes
    behind the first token; `reading` reads what each of them has to read. `results` is what must be the same.
    """

    name: str
    sides: dict[str, Callable[[int], Any]]
    results: dict[str, Callable[[], Outputs]]
    batch: int = 1
    tokens: int = 0
    reading: Callable[[], Any] | None = None


def run(setting: Setting, options: Namespace) -> Entries:
    """Compare, then time in turns, and print each line as soon as it is there."""
    entries: Entries = []
    for line in lines(setting):
        entries += _measured(line, setting, options.repeats)
        for entry in entries[-2:] if line.tokens else entries[-1:]:
            print(sentence(HEADER, row(entry)), flush=True)
    return entries


def lines(setting: Setting) -> Iterator[Line]:
    """The lines one after the other: no models are built before those of the line before it are gone."""
    for batch in (1, 8):
        yield writing(batch, setting)
    yield training(setting)


def models(setting: Setting) -> dict[str, Any]:
    """GPT-2 with the same random weights, ours and transformers'."""
    torch.manual_seed(0)
    sizes = TINY if setting.tiny else {}
    found: dict[str, Any] = {"ours": setting.built(lambda: GPT2LMHeadModel(GPT2Config(**sizes)))}
    if find_spec("transformers"):
        found["reference"] = transformers_model(found["ours"])
    return found


def writing(batch: int, setting: Setting) -> Line:
    """Write the likeliest tokens after prompts of 64, 64 behind the first."""
    pair = {name: model.eval() for name, model in models(setting).items()}
    prompt, tokens = (4, 3) if setting.tiny else (64, 64)
    ids = torch.randint(pair["ours"].config.vocab_size, (batch, prompt), device=setting.device)
    wanted: dict[str, Any] = {"do_sample": False, "eos_token_id": None, "pad_token_id": 0}

    def write(model: Any) -> Callable[[int], Tensor]:
        masks = {} if model is pair["ours"] else {"attention_mask": torch.ones_like(ids)}
        return lambda count: model.generate(ids, max_new_tokens=count, **wanted, **masks)

    sides = {name: write(model) for name, model in pair.items()}

    @torch.no_grad()
    def scores(model: Any) -> Outputs:
        return (model(text).logits,)

    text = sides["ours"](1 + tokens)
    return Line(
        f"GPT-2, prompt of {prompt}, batch {batch}",
        sides,
        {name: partial(scores, model) for name, model in pair.items()},
        batch,
        tokens,
        reading(pair["ours"]),
    )


def reading(model: Any) -> Callable[[], Tensor]:
    """Read as many bytes as the weights that every token reads: all but the positions, of which it reads one row."""
    positions = model.transformer.wpe.weight
    size = sum(p.nbytes for p in model.parameters()) - positions.nbytes
    columns = min(4096, size // 4)
    numbers = torch.ones(size // 4 // columns, columns, device=positions.device)
    return partial(torch.mv, numbers, numbers[0])


def training(setting: Setting) -> Line:
    """A step of training: the loss of 2 texts of 256 tokens, its gradients, and AdamW."""
    pair = models(setting)
    length = 8 if setting.tiny else 256
    ids = torch.randint(pair["ours"].config.vocab_size, (2, length), device=setting.device)
    # So asked, ours forms the loss piece by piece, as its recipe does.
    flags: dict[str, Any] = {"ours": {"logits_to_keep": 1}, "reference": {"use_cache": False}}
    adamw: dict[str, Any] = {"ours": optim.AdamW, "reference": torch.optim.AdamW}

    def step(name: str) -> Callable[[int], Any]:
        model = pair[name].train()
        optimizer = adamw[name](model.parameters(), lr=1e-4, **({"foreach": True} if name == "reference" else {}))

        def once(_: int) -> None:
            optimizer.zero_grad(set_to_none=True)
            model(ids, labels=ids, **flags[name]).loss.backward()
            optimizer.step()

        return once

    def learnt(name: str) -> Callable[[], Outputs]:
        def gradients() -> Outputs:
            model = pair[name].eval()  # dropout draws at other places
            loss = model(ids, labels=ids, **flags[name]).loss
            found = torch.autograd.grad(loss, [p for _, p in sorted(model.named_parameters())])
            model.train()
            return (loss.detach(), *found)

        return gradients

    return Line(
        f"GPT-2, training step, 2 x {length}", {n: step(n) for n in pair}, {n: learnt(n) for n in pair}, 2 * length
    )


def _measured(line: Line, setting: Setting, repeats: int) -> Entries:
    """Compare, then time everyone in each round: a line's entries."""
    _check(line, setting)
    calls = {(name, count): partial(side, count) for name, side in line.sides.items() for count in {1, 1 + line.tokens}}
    times = in_turns(calls | ({"reading": line.reading} if line.reading else {}), repeats, MOST_SECONDS)
    peaks = {name: peak(calls[name, 1 + line.tokens], setting.device) for name in line.sides}
    first = {name: times[name, 1] for name in line.sides}
    if not line.tokens:
        return [_entry(line.name, "step", line.batch, first) | {"peak": peaks}]
    later = {
        name: [(b - a) / line.tokens for a, b in zip(first[name], times[name, 1 + line.tokens], strict=True)]
        for name in line.sides
    }
    bound = {"reading": spread(times["reading"]), "peak": peaks}
    return [_entry(line.name, "prompt", line.batch, first), _entry(line.name, "token", line.batch, later) | bound]


def _check(line: Line, setting: Setting) -> None:
    """See that both sides compute the same."""
    found = {name: work() for name, work in line.results.items()}
    error = distance(found["ours"], found["reference"]) if "reference" in found else 0.0
    if not error <= tolerance(setting):
        raise MismatchError(f"{line.name}: ours and transformers' differ by {error:.1e}; nothing was timed.")


def _entry(name: str, mode: str, items: int, times: dict[str, list[float]]) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": name, "mode": mode, "items": items, "rounds": len(times["ours"])}
    entry |= {side: spread(seconds) for side, seconds in times.items()}
    if "reference" in times:
        entry |= {"peer": f"transformers {version('transformers')}", **ratios(times["ours"], times["reference"])}
    return entry


HEADER = ("case", "beside", "ours, ms", "theirs, ms", "ratio", "tokens a second", "bound, ms", "share", "peak, MB")


def row(entry: dict[str, Any]) -> tuple[str, ...]:
    """One entry as the cells of a table."""
    sides = [side for side in ("ours", "reference") if side in entry]

    def both(cell: Callable[[str], str]) -> str:
        return " / ".join(map(cell, sides))

    bound, peaks = entry.get("reading"), entry.get("peak", {})
    return (
        f"{entry['name']}, {entry['mode']}",
        entry.get("peer", "–"),
        milliseconds(entry["ours"]),
        milliseconds(entry["reference"]) if "reference" in entry else "–",
        ratio(entry) if "ratio" in entry else "–",
        both(lambda side: f"{entry['items'] / entry[side]['median']:,.1f}") if entry["mode"] != "prompt" else "–",
        milliseconds(bound) if bound else "–",
        both(lambda side: f"{bound['median'] / entry[side]['median']:.0%}") if bound else "–",
        both(lambda side: f"{peaks[side] / 1e6:,.0f}") if all(peaks.values()) and peaks else "–",
    )


def table(record: dict[str, Any]) -> str:
    """A record's section."""
    return f"{EXPLANATION}\n\n{markdown(HEADER, map(row, record['cases']))}"


STUDY = Study(run, table)
