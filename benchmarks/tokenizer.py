"""The study `tokenizer`: learning byte pairs, encoding and decoding, beside whoever else can do it.

Ours is pure Python where it learns, and tiktoken's Rust where it encodes. Beside it run tiktoken alone, Hugging Face's
`tokenizers` where it is installed, and on a small text the definition. All must give the same tokens before any
is timed.
"""

import os
import sysconfig
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from benchmarks.cases import Entries, Setting, Study
from benchmarks.checking import MismatchError
from benchmarks.clocks import in_turns, spread
from benchmarks.tables import markdown, milliseconds
from minimodels.data import load_topics
from minimodels.text import GPT2_PATTERN, train_bpe
from minimodels.text.bpe import definition
from minimodels.text.bpe.letters import BYTES, to_bytes
from minimodels.text.bpe.training import count_pieces

CHARACTERS = 1_000_000
TOKENS = 4096
SMALL = (20_000, 512)
"""Characters and tokens with which the definition, too, is done in seconds."""

EXPLANATION = (
    "The text is what every Python brings along: the documentation of its topics, then its library. Everyone learned, "
    "encoded and decoded to the same. The definition counts all pairs anew after each merge. A dash: not done."
)


@dataclass(frozen=True)
class Task:
    """One line of the table: what is done with how many bytes, and by whom; all results must be equal."""

    name: str
    bytes: int
    entrants: dict[str, Callable[[], Any]]


@cache
def text(characters: int) -> str:
    """Prose and code that every Python brings along: the documentation of its topics, then its library."""
    parts = load_topics()
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        if sum(map(len, parts)) >= characters:
            break
        parts.append(path.read_text(encoding="utf-8"))
    return "\n".join(parts)[:characters]


def tasks(*, tiny: bool) -> list[Task]:
    """All lines of the table."""
    characters, tokens = (3_000, 300) if tiny else (CHARACTERS, TOKENS)
    small = (1_000, 270) if tiny else SMALL
    return [learning(characters, tokens), learning(*small, by_definition=True), *coding(characters, tokens)]


def learning(characters: int, tokens: int, *, by_definition: bool = False) -> Task:
    """Learn tokens from a text; the result is the list of them."""
    given = text(characters)
    entrants: dict[str, Callable[[], Any]] = {
        "minimodels": lambda: list(train_bpe(given, tokens, special_tokens=()).ranks)
    }
    if find_spec("tokenizers"):
        entrants[_named("tokenizers")] = lambda: _in_order(_huggingface(given, tokens).get_vocab())
    if by_definition:
        entrants["definition"] = lambda: _by_definition(given, tokens)
    return Task(f"learn {tokens:,} tokens from {_size(given)}", len(given.encode()), entrants)


def coding(characters: int, tokens: int) -> list[Task]:
    """Encode and decode a text with tokens that were learned from it."""
    given = text(characters)
    ours = train_bpe(given, tokens, special_tokens=())
    ids = ours.encode(given)
    encode: dict[str, Callable[[], Any]] = {
        "minimodels": lambda: ours.encode(given),
        _named("tiktoken"): lambda: ours.encoding.encode_ordinary(given),
    }
    decode: dict[str, Callable[[], Any]] = {
        "minimodels": lambda: ours.decode(ids),
        _named("tiktoken"): lambda: ours.encoding.decode(ids),
    }
    if find_spec("tokenizers"):
        theirs = _huggingface(given, tokens)
        encode[_named("tokenizers")] = lambda: theirs.encode(given).ids
        decode[_named("tokenizers")] = lambda: theirs.decode(ids)
    size = len(given.encode())
    return [Task(f"encode {_size(given)}", size, encode), Task(f"decode {_size(given)}", size, decode)]


def run(setting: Setting, options: Namespace) -> Entries:
    """Compare, then time in turns, and print a line for each task."""
    os.environ.setdefault("RAYON_NUM_THREADS", str(torch.get_num_threads()))  # tokenizers reads it when it begins
    entries = []
    for task in tasks(tiny=setting.tiny):
        results = {name: work() for name, work in task.entrants.items()}
        for name, result in results.items():
            if result != results["minimodels"]:
                raise MismatchError(f"{task.name}: {name} gives something else than minimodels; nothing was timed.")
        times = in_turns(task.entrants, options.repeats)
        entries.append(
            {
                "name": task.name,
                "bytes": task.bytes,
                "rounds": len(times["minimodels"]),
                "times": {name: spread(seconds) for name, seconds in times.items()},
            }
        )
        print(
            f"{task.name}: " + ", ".join(f"{name} {milliseconds(spread(s))} ms" for name, s in times.items()),
            flush=True,
        )
    return entries


def row(entry: dict[str, Any], names: list[str]) -> tuple[str, ...]:
    """One task as the cells of a table: our megabytes a second, then everyone's time."""
    times = entry["times"]
    speed = entry["bytes"] / times["minimodels"]["median"] / 1e6
    return (entry["name"], f"{speed:.1f}", *(milliseconds(times[n]) if n in times else "–" for n in names))


def table(record: dict[str, Any]) -> str:
    """A record's section."""
    entries = record["cases"]
    names = list(dict.fromkeys(name for entry in entries for name in entry["times"]))
    header = ("task", "minimodels, MB/s", *(f"{name}, ms" for name in names))
    return f"{EXPLANATION}\n\n{markdown(header, (row(entry, names) for entry in entries))}"


def _by_definition(given: str, tokens: int) -> list[bytes]:
    merges = definition.learn(count_pieces([given], GPT2_PATTERN), tokens - len(BYTES), min_frequency=2)
    return [*(bytes([byte]) for byte in BYTES), *(left + right for left, right in merges)]


def _huggingface(given: str, tokens: int) -> Any:
    """The tokenizer that Hugging Face's library learns from a text."""
    import tokenizers

    level = tokenizers.pre_tokenizers.ByteLevel
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer, made.decoder = level(add_prefix_space=False), tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=tokens, min_frequency=2, initial_alphabet=level.alphabet(), special_tokens=[], show_progress=False
    )
    made.train_from_iterator([given], trainer)
    return made


def _in_order(vocabulary: dict[str, int]) -> list[bytes]:
    return [to_bytes(token) for token in sorted(vocabulary, key=lambda token: vocabulary[token])]


def _named(package: str) -> str:
    """A package with its version, as a column of the table is called."""
    return f"{package} {version(package)}"


def _size(given: str) -> str:
    return f"{len(given.encode()) / 1e6:.2g} MB"


STUDY = Study(run, table, dtypes=("bytes",))
