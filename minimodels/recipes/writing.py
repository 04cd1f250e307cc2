"""Writing on the command line: with the model of a run folder, or with a published one."""

import itertools
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from minimodels import models
from minimodels.checkpoint.config import read_json
from minimodels.data.texts import read_text
from minimodels.errors import InputError
from minimodels.generation.streaming import text_pieces
from minimodels.hub import find_file
from minimodels.recipes.checks import compiler_explained
from minimodels.recipes.flags import Parser, add_flags
from minimodels.recipes.recipe import find_recipe
from minimodels.recipes.runs import CONFIG, open_run
from minimodels.recipes.settings import Settings, setting, settings
from minimodels.recipes.wording import flag, listing
from minimodels.text import GPT2Tokenizer, StreamingDecoder, Tokenizer, load_tokenizer
from minimodels.training import find_device
from minimodels.training.progress import say

PUBLISHED = {"gpt2": "GPT2LMHeadModel", "llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM"}
"""The model for each `model_type` of a published config.json."""

TEMPERATURE = 0.8

NEW_TOKENS = 100
"""Tokens that are written where nobody says how many, if the model reads as many."""


@settings
class WritingSettings(Settings):
    """Let a language model go on with a text."""

    prompt: str | None = setting(None, "the text to go on with (default: the model begins by itself)")
    prompt_file: Path | None = setting(None, "the same from a UTF-8 file, as it stands there, line end and all")
    stream: bool = setting(False, "print the text as it is made, in whole characters")
    max_new_tokens: int | None = setting(
        None,
        f"tokens that are written at most (default: {NEW_TOKENS}, or as many as there is room for)",
        at_least=1,
    )
    min_new_tokens: int | None = setting(None, "tokens that are written at least", at_least=0)
    temperature: float | None = setting(
        None,
        f"below 1 likely tokens are preferred, 0 always takes the likeliest (default: {TEMPERATURE}, with beams 0)",
        at_least=0,
    )
    top_k: int | None = setting(None, "draw from so many likeliest tokens only", at_least=1)
    top_p: float | None = setting(None, "draw from the likeliest that have this probability", above=0, at_most=1)
    min_p: float | None = setting(
        None, "draw from those that are so many times as likely as the likeliest", at_least=0, at_most=1
    )
    repetition_penalty: float | None = setting(None, "above 1, what has occurred becomes less likely", above=0)
    num_beams: int = setting(1, "texts that beam search pursues side by side; 1 is none", at_least=1)
    length_penalty: float = setting(1.0, "of beam search: above 0 it helps longer texts", at_least=-50, at_most=50)
    num_return_sequences: int = setting(1, "texts that are written", at_least=1)
    stop: str | None = setting(None, "the text ends where this is complete")
    seed: int | None = setting(None, "fixes what is drawn (default: another text each time)", at_least=0)
    device: str = setting("auto", "where to compute: auto, cpu, cuda, cuda:1, mps")
    dtype: Literal["float32", "bfloat16", "float16"] | None = setting(None, "of the weights (default: as saved)")
    threads: int | None = setting(None, "CPU threads (default: PyTorch's choice)", at_least=1, at_most=1024)
    compile: bool = setting(
        False,
        "let torch.compile make a program for the prompt and one for a token: a start of a minute or two, then faster; "
        "needs a C++ compiler",
    )

    def arguments(self) -> dict[str, Any]:
        """The arguments of `generate` that they stand for.

        Raises:
            InputError: they contradict each other.
        """
        same = ("max_new_tokens", "min_new_tokens", "repetition_penalty", "num_beams", "length_penalty")
        found = {name: getattr(self, name) for name in (*same, "num_return_sequences", "seed")}
        degree = self.temperature
        if degree is None:
            degree = TEMPERATURE if self.num_beams == 1 else 0.0
        drawn = {name: getattr(self, name) for name in ("top_k", "top_p", "min_p") if getattr(self, name) is not None}
        if degree == 0:
            for name in drawn:
                raise InputError(
                    f"{flag(name)}: changes nothing where the likeliest token is always taken; give a --temperature."
                )
            return found
        return found | drawn | {"do_sample": True, "temperature": degree}


class Writer(NamedTuple):
    """A language model and what belongs to it.

    Attributes:
        model: it has `generate` and `stream`.
        tokenizer: its own.
    """

    model: Any
    tokenizer: Tokenizer


def run(argv: Sequence[str]) -> list[str]:
    """`minimodels generate`: write, and print what was written.

    Args:
        argv: MODEL and flags.

    Returns:
        The texts, with their prompt.

    Raises:
        InputError: the model cannot be had, or a flag does not suit.

    See: tests/recipes/test_writing.py
    """
    parser = Parser("minimodels generate", (WritingSettings.__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a run folder, the folder of a published GPT-2, Llama or Mistral, or its name on the hub, such as gpt2",
    )
    add_flags(parser, WritingSettings)
    given = vars(parser.parse(argv))
    name = given.pop("model")
    chosen = WritingSettings(**given)
    prompt, arguments = prompt_of(chosen), chosen.arguments()  # what is wrong with them need not wait for the model
    writer = load(name, chosen)
    if not chosen.compile:
        return write(writer, prompt, arguments, chosen)
    writer.model.compile(dynamic=True)  # lengths as symbols: the same program for every token
    with compiler_explained():
        return write(writer, prompt, arguments, chosen)


def prompt_of(chosen: WritingSettings) -> str | None:
    """The text to go on with; None lets the model begin.

    Args:
        chosen: prompt or prompt_file.

    Raises:
        InputError: both are given, or the file cannot be read or is empty.
    """
    if chosen.prompt_file is None:
        return chosen.prompt
    if chosen.prompt is not None:
        raise InputError("--prompt and --prompt-file: both say what to go on with; give one of them.")
    text = read_text(chosen.prompt_file)
    if not text:
        raise InputError(f"--prompt-file {chosen.prompt_file}: is empty; give a text to go on with.")
    return text


def load(name: str, chosen: WritingSettings) -> Writer:
    """The language model of that name.

    Args:
        name: a run folder, another folder, or a name on the hub.
        chosen: device, type and threads.

    Raises:
        InputError: there is none, it is damaged, or no model that writes.
    """
    if chosen.threads is not None:
        torch.set_num_threads(chosen.threads)
    device = find_device(chosen.device, "--device")
    dtype = None if chosen.dtype is None else getattr(torch, chosen.dtype)
    path = find_file(name, CONFIG)
    config = read_json(path)
    if "recipe" in config:
        return _of_run(Path(name), chosen.device, dtype)
    kind = config.get("model_type")
    if kind not in PUBLISHED:
        raise InputError(f"{path}: has the model_type {kind}; models that write are {listing(PUBLISHED)}.")
    model = getattr(models, PUBLISHED[kind]).from_pretrained(name, dtype=dtype, device=device)
    return Writer(model, load_tokenizer(name) if Path(name).is_dir() else GPT2Tokenizer.from_pretrained(name))


def _of_run(folder: Path, device: str, dtype: torch.dtype | None) -> Writer:
    """The language model of a run folder."""
    name, values = open_run(folder)
    recipe = find_recipe(name)
    if recipe.language_model is None:
        raise InputError(
            f"{folder}: the recipe {name} trains no model for minimodels generate; see minimodels predict {folder} "
            "--help."
        )
    chosen = recipe.settings.from_json(values, str(folder / CONFIG)).for_evaluation(device=device)
    model, tokenizer = recipe.language_model(folder, chosen)
    return Writer(model.to(dtype), tokenizer)


def write(writer: Writer, prompt: str | None, arguments: dict[str, Any], chosen: WritingSettings) -> list[str]:
    """Write on from a prompt, and print it.

    Args:
        writer: the model.
        prompt: None begins with the model's own token.
        arguments: of `generate`.
        chosen: whether it is printed as it is made, and where it stops.

    Returns:
        The texts, with the prompt.
    """
    model, tokenizer = writer
    ids = None if prompt is None else tokenizer.encode(prompt)
    begun, start = prompt or "", 1 if ids is None else len(ids)
    if chosen.max_new_tokens is None:
        arguments = arguments | {"max_new_tokens": _room(model, start)}
    if chosen.stop is not None:
        arguments = arguments | {"stop_strings": [chosen.stop], "tokenizer": tokenizer}
    if chosen.stream:
        if chosen.num_return_sequences > 1:
            raise InputError("--stream: prints one text, not several; leave --num-return-sequences out.")
        tokens = model.stream(ids, **arguments)
        pieces = text_pieces(tokens, StreamingDecoder(tokenizer, skip_special_tokens=True))
        return [_printed(itertools.chain([begun], pieces))]
    written = model.generate(ids, **arguments)[:, start:].tolist()
    texts = [begun + tokenizer.decode(tokens, skip_special_tokens=True) for tokens in written]
    for number, text in enumerate(texts, start=1):
        if len(texts) > 1:
            say(f"--- {number} of {len(texts)}")
        say(text)
    return texts


def _room(model: Any, start: int) -> int:
    """How many tokens are written by default; a prompt that leaves room for none is refused by `generate`."""
    context = getattr(model.config, "max_position_embeddings", None)
    return NEW_TOKENS if context is None else max(1, min(NEW_TOKENS, context - start))


def _printed(pieces: Iterable[str]) -> str:
    """Print a text as it comes; it is given back whole."""
    whole = ""
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
        whole += piece
    say("")
    return whole
