"""The tables of docs/scaling.md: GPT-2 in its four sizes on 1, 8 and 64 devices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from minimodels.inspection.footprint.kept import activations, block_activations, korthikanti
from minimodels.inspection.footprint.peak import memory, most_sequences
from minimodels.inspection.footprint.sending import Machine, Traffic, flops, times, traffic
from minimodels.inspection.footprint.setup import Setup
from minimodels.inspection.footprint.weights import count, parameter_shapes
from minimodels.models.gpt2_config import SIZES

NODE = Machine(room=72e9, speed=989e12, share=0.4, link=450e9)
"""A device of one machine: nine tenths of 80 GB, an H100's speed in bfloat16, NVLink's rate in one direction."""

NODES = replace(NODE, link=50e9)
"""A device of several machines: each with an adapter of 400 Gb/s of its own."""

BATCH = 512
"""Sequences of 1,024 tokens in a step, half a million tokens."""

WAYS: Mapping[str, Mapping[str, Any]] = {
    "whole": {},
    "whole, `--recompute`": {"recompute": True},
    "`--shard`": {"shard": True},
    "`--shard --recompute`": {"shard": True, "recompute": True},
}


def page() -> str:
    """All tables in Markdown, as they stand in docs/scaling.md.

    See: tests/inspection/footprint/test_tables.py.

    Example:
        >>> page().count("### ")
        6
    """
    parts = (
        ("The four sizes, in bfloat16 with AdamW", _sizes()),
        ("GPT-2 XL by part, eight sequences of 1,024 tokens a device, GB", _parts()),
        ("What the 48 blocks of GPT-2 XL keep of eight sequences for the backward pass", _kept()),
        ("Most sequences of 1,024 tokens that a device of 80 GB reads in one pass", _fitting()),
        ("The same of GPT-2 XL on one device alone, by its memory", _smaller()),
        (f"A step of {BATCH} sequences: what is sent, and whether it hides behind the computation", _steps()),
    )
    return "\n\n".join(f"### {title}\n\n{table}" for title, table in parts) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, its numbers to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _gb(number: float) -> str:
    return f"{number / 1e9:.2f}"


def _sizes() -> str:
    """Parameters, state, and the work a token is."""
    head = ("model", "parameters", "blocks, heads, width", "state, GB", "kept a sequence, GB", "GFLOP a token")
    rows = []
    for name, shape in SIZES.items():
        setup = Setup.of(name)
        parameters = count(parameter_shapes(setup.config))
        kept = activations(replace(setup, batch=2)) - activations(setup)
        each = flops(setup) / setup.rows
        sizes = ", ".join(map(str, shape))
        rows.append((name, f"{parameters:,}", sizes, _gb(16 * parameters), _gb(kept), _gb(each)))
    return _table(head, rows)


def _parts() -> str:
    """The memory of GPT-2 XL in several settings."""
    shown = ("parameters", "gradients", "optimizer", "average", "exchange", "waiting", "activations", "peak")
    settings: Mapping[str, Mapping[str, Any]] = {
        "1, float32": {"precision": "float32"},
        "1": {},
        "1, `--recompute`": {"recompute": True},
        "1, `--recompute`, Muon": {"recompute": True, "optimizer": "muon"},
        "8": {"devices": 8},
        "8, `--ema`": {"devices": 8, "average": True},
        "8, `--shard`": {"devices": 8, "shard": True},
        "8, `--shard`, several passes": {"devices": 8, "shard": True, "passes": 2},
        "64, `--shard`": {"devices": 64, "shard": True},
        "64, `--shard`, blocks stay": {"devices": 64, "shard": True, "reshard": False},
        "64, `--shard --recompute`": {"devices": 64, "shard": True, "recompute": True},
    }
    rows = []
    for title, given in settings.items():
        found = memory(Setup.of("gpt2-xl", batch=8, **given))
        rows.append((title, *(_gb(getattr(found, part)) for part in shown)))
    return _table(("devices", *shown), rows)


def _kept() -> str:
    """Our activations beside the formula of others."""
    plain = Setup.of("gpt2-xl", batch=8)
    L = plain.config.n_layer
    rows = (
        ("here, float32", _gb(L * block_activations(replace(plain, precision="float32")))),
        ("here, bfloat16, with autocast's copies of the weights", _gb(L * block_activations(plain))),
        ("here, bfloat16, sharded: without copies", _gb(L * block_activations(replace(plain, devices=8, shard=True)))),
        ("here, `--recompute`", _gb(L * 4 * plain.rows * plain.config.n_embd)),
        ("Korthikanti et al., L·R·E·(34 + 5·H·T/E)", _gb(korthikanti(plain))),
        ("the same without the scores, L·R·E·34", _gb(korthikanti(plain, scores=False))),
    )
    return _table(("blocks", "GB"), rows)


def _fitting() -> str:
    """The largest batch of a pass."""
    rows = []
    for name in SIZES:
        for title, way in WAYS.items():
            setups = [Setup.of(name, devices=N, passes=2, **way) for N in (1, 8, 64)]
            fits = ["–" if s.shard and s.devices == 1 else _most(s, NODE.room) for s in setups]
            rows.append((name, title, *fits))
    return _table(("model", "way", "1 device", "8 devices", "64 devices"), rows)


def _smaller() -> str:
    """The largest batch of a pass on one device of 24, 40 and 80 GB."""
    rows = []
    for optimizer, name in (("adamw", "AdamW"), ("muon", "Muon")):
        for title in ("whole", "whole, `--recompute`"):
            setup = Setup.of("gpt2-xl", passes=2, optimizer=optimizer, **WAYS[title])
            rows.append((name, title, *(_most(setup, 0.9e9 * size) for size in (24, 40, 80))))
    return _table(("optimiser", "way", "24 GB", "40 GB", "80 GB"), rows)


def _most(setup: Setup, room: float) -> str:
    return str(most_sequences(setup, room) or "none")


def _steps() -> str:
    """Passes, traffic and times of a step of half a million tokens."""
    head = (
        "model",
        "devices",
        "way",
        "sequences × passes",
        "collectives",
        "sent, GB",
        "sending, ms",
        "computing, ms",
        "hides",
    )
    rows = []
    for name in SIZES:
        for devices, machine in ((1, NODE), (8, NODE), (64, NODES)):
            for title, way in (("whole", {}), ("`--shard`", {"shard": True})):
                setup = planned(Setup.of(name, devices=devices, **way))
                if devices == 1 and setup.shard:
                    continue
                exchanged, seconds = traffic(setup), times(setup, machine)
                load = f"{setup.batch} × {setup.passes}" + (" `--recompute`" if setup.recompute else "")
                took = (f"{1e3 * seconds.sending:,.1f}", f"{1e3 * seconds.computing:,.0f}")
                hides = "–" if devices == 1 else "yes" if seconds.hidden else "no"
                rows.append((name, str(devices), title, load, _calls(exchanged), _gb(exchanged.sent), *took, hides))
    return _table(head, rows)


def planned(setup: Setup) -> Setup:
    """A step of `BATCH` sequences in as few passes as fit, without recomputation if it can be.

    Args:
        setup: what is trained; batch, passes and recomputation are chosen here.

    Example:
        >>> planned(Setup.of("gpt2-xl", devices=8)).passes
        8
    """
    share = BATCH // setup.devices
    for recompute in (False, True):
        for batch in (share >> halvings for halvings in range(share.bit_length())):
            found = replace(setup, batch=batch, passes=share // batch, recompute=recompute)
            if memory(found).peak <= NODE.room:
                return found
    raise AssertionError(f"{setup} does not fit in any way")


def _calls(exchanged: Traffic) -> str:
    """How many operations of which kind."""
    kinds = {"all-reduce": exchanged.reduced, "all-gather": exchanged.gathered, "reduce-scatter": exchanged.scattered}
    return ", ".join(f"{kind.calls} {name}" for name, kind in kinds.items() if kind.calls) or "–"
