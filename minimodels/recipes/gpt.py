"""Training a GPT: it reads a text, learns to say what comes next, and then writes."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from minimodels import functional as F
from minimodels import nn
from minimodels.data import AllWindows, RandomWindows
from minimodels.data.tokens import Tokens
from minimodels.errors import InputError
from minimodels.files import replacing
from minimodels.inspection import report
from minimodels.models import GPT2LMHeadModel
from minimodels.recipes.checks import check_weights
from minimodels.recipes.fitting import fit, prepare
from minimodels.recipes.gpt_data import Split, byte_lengths, check_length, load_text, tokens_of
from minimodels.recipes.gpt_model import Guess, Guessing, bits_per_byte, optimizer, pretrained, started
from minimodels.recipes.gpt_settings import GPTSettings
from minimodels.recipes.measuring import measured
from minimodels.recipes.plan import Plan
from minimodels.recipes.recipe import Recipe
from minimodels.recipes.runs import PRETRAINED
from minimodels.recipes.summary import shown
from minimodels.text import Tokenizer
from minimodels.training import STEPS, Metric, Trainer, current
from minimodels.training.progress import say
from minimodels.training.randomness import seed_everything

SAMPLE = 400
"""Tokens that are written when training is over."""

TOP_K = 200
"""The sample is drawn from so many likeliest tokens."""

PROMPT = 40
"""Characters of the text's first line that the sample begins with."""

EVALUATION_TOKENS = 8192
"""Tokens in a batch that is measured."""


def train(chosen: GPTSettings) -> Path:
    """Train, measure on the end of the text every so many steps, write a sample, and leave everything in a run folder.

    Args:
        chosen: the settings.

    Returns:
        The run folder, with the model and its tokenizer in the folder `model`.

    Raises:
        InputError: text, model, device or folder cannot be used, or the loss is no longer a number.

    See: tests/recipes/test_gpt.py
    """
    chosen = chosen.resolved()
    device = prepare(chosen)
    text = load_text(chosen.data, chosen.data_dir)
    seed_everything(chosen.seed)
    model, tokenizer = started(chosen, text)
    prompt = chosen.prompt or text.train.strip().splitlines()[0][:PROMPT]
    tokenizer.encode(prompt)  # refused now rather than when training is over
    plan = planned(chosen, text, model, tokenizer)
    folder = fit("gpt", chosen, device, plan, name=f"gpt-{Path(chosen.data).stem}", data=Path(chosen.data).name)
    if current().main:
        sample = write(*language_model(folder, chosen), prompt, chosen)
        with replacing(folder / "sample.txt") as temporary:
            temporary.write_text(sample + "\n", encoding="utf-8")
        say("\n" + sample)
    return folder


def planned(chosen: GPTSettings, text: Split, model: GPT2LMHeadModel, tokenizer: Tokenizer) -> Plan:
    """What the loop does: windows of the text go in, and the guess of every next token is made a better one.

    Args:
        chosen: the settings.
        text: what it learns from, and what it is measured on.
        model: what is trained.
        tokenizer: its tokenizer.

    Raises:
        InputError: the text is too short.
    """
    context = model.config.n_positions
    tokens, held_out = (tokens_of(part, tokenizer) for part in text)
    check_length(chosen.data, len(tokens), len(held_out), context)
    batches, total = chosen.eval_every * chosen.accumulate, chosen.steps * chosen.accumulate
    return Plan(
        Guessing(model),
        optimizer(chosen, model),
        Guess.surprise,
        RandomWindows(tokens, context, chosen.batch_size, batches, total, chosen.seed),
        windows(held_out, context),
        metrics(model, tokenizer),
        draw=lambda trainer, folder: _draw(trainer, folder, chosen),
        count=Tensor.numel,
        kind=GPT2LMHeadModel.__name__,
        steps=chosen.steps,
        floor=(chosen.min_lr or 0.0) / chosen.lr,
        save=lambda folder, guessing: _save(folder / PRETRAINED, guessing.get_submodule("model"), tokenizer),
        best=chosen.keep == "best",
    )


def metrics(model: GPT2LMHeadModel, tokenizer: Tokenizer) -> Mapping[str, Metric]:
    """What is measured besides the loss.

    Args:
        model: the model.
        tokenizer: its tokenizer.
    """
    return {"bits_per_byte": bits_per_byte(byte_lengths(tokenizer, model.config.vocab_size))}


def windows(tokens: Tokens, context: int) -> AllWindows:
    """Everything of a text, to be measured.

    Args:
        tokens: of the text.
        context: tokens in a window.
    """
    return AllWindows(tokens, context, max(1, EVALUATION_TOKENS // context))


def language_model(folder: Path, chosen: GPTSettings) -> tuple[GPT2LMHeadModel, Tokenizer]:
    """The model of a run, on its device, and its tokenizer.

    Args:
        folder: of the run.
        chosen: device and threads.

    Raises:
        InputError: a file is missing or damaged, or the weights are not finite.
    """
    device = prepare(chosen)
    model, tokenizer = pretrained(str(folder))
    check_weights(model, folder / PRETRAINED)
    return model.to(device), tokenizer


def write(model: GPT2LMHeadModel, tokenizer: Tokenizer, prompt: str, chosen: GPTSettings) -> str:
    """A text that begins with the prompt, as the model goes on with it.

    Where its context is full, the model goes on with the last half of it in sight.

    Args:
        model: what was trained.
        tokenizer: its tokenizer.
        prompt: at least one token.
        chosen: temperature and seed.
    """
    context = model.config.n_positions
    text = torch.tensor(tokenizer.encode(prompt))
    end = len(text) + SAMPLE
    generator = torch.Generator(_device(model)).manual_seed(chosen.seed)
    while len(text) < end:
        seen = text if len(text) < context else text[-(context // 2) :]
        count = min(end - len(text), context - len(seen))
        written = model.generate(
            seen,
            max_new_tokens=count,
            do_sample=True,
            temperature=chosen.temperature,
            top_k=min(TOP_K, model.config.vocab_size),
            eos_token_id=None,
            generator=generator,
        )
        text = torch.cat([text, written[0, len(seen) :]])
    return tokenizer.decode(text)


def evaluate(folder: Path, chosen: GPTSettings) -> dict[str, float]:
    """Measure the model of a run on the last tenth of a text, and print the result.

    Args:
        folder: of the run.
        chosen: its settings, perhaps with another text.

    Returns:
        loss and bits per byte.
    """
    model, tokenizer = language_model(folder, chosen)
    held_out = tokens_of(load_text(chosen.data, chosen.data_dir).test, tokenizer)
    trainer = _measuring(model, tokenizer, chosen)
    return measured(trainer, Path(chosen.data).name, windows(held_out, model.config.n_positions))


def predict(folder: Path, chosen: GPTSettings, texts: list[tuple[str, str]]) -> list[str]:
    """Say how one's own texts would go on, and how well the model could have guessed them.

    Args:
        folder: of the run.
        chosen: its settings.
        texts: (what to call it, the text) of each.

    Returns:
        The likeliest next token of each.

    Raises:
        InputError: a text is empty, or has characters that the model does not know.
    """
    model, tokenizer = language_model(folder, chosen)
    trainer = _measuring(model, tokenizer, chosen)
    answers = []
    for name, text in texts:
        tokens = tokenizer.encode_array(text)
        if len(tokens) == 0:
            raise InputError(f"{name}: the text is empty; give at least one character.")
        known = ""
        if len(tokens) > 1:
            results = trainer.evaluate(windows(tokens, model.config.n_positions))
            known = f"; the text itself costs {results['bits_per_byte']:.2f} bits a byte"
        first, second = likeliest(model, torch.from_numpy(tokens)[-model.config.n_positions :])
        answers.append(tokenizer.decode(first[0]))
        likely, else_ = (f"{_quoted(tokenizer, token)} ({100 * sure:.1f} %)" for token, sure in (first, second))
        say(f"{name}: next {likely}, or else {else_}{known}")
    return answers


@torch.no_grad()
def likeliest(model: GPT2LMHeadModel, tokens: Tensor, count: int = 2) -> list[tuple[int, float]]:
    """The tokens that a text most likely goes on with, and how likely each is.

    Args:
        model: in evaluation mode.
        tokens: of the text, [T].
        count: how many are wanted.
    """
    logits = model(tokens[None].to(_device(model)), logits_to_keep=1).logits[0, -1]
    found = F.softmax(logits.float(), dim=0).topk(count)
    return list(zip(found.indices.tolist(), found.values.tolist(), strict=True))


def _device(model: GPT2LMHeadModel) -> torch.device:
    return next(model.parameters()).device


def _quoted(tokenizer: Tokenizer, token: int) -> str:
    """A token as one can see it, line ends and all."""
    return json.dumps(tokenizer.decode(token), ensure_ascii=False)


def _measuring(model: GPT2LMHeadModel, tokenizer: Tokenizer, chosen: GPTSettings) -> Trainer:
    """What measures a model."""
    return Trainer(
        Guessing(model),
        Guess.surprise,
        metrics=metrics(model, tokenizer),
        count=Tensor.numel,
        device=_device(model),
        precision=chosen.precision,
        units=STEPS,
    )


def _save(folder: Path, model: nn.Module, tokenizer: Tokenizer) -> None:
    """The model as a folder that Hugging Face reads, and its tokenizer, which does not change."""
    assert isinstance(model, GPT2LMHeadModel)
    if not folder.exists():
        tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)


def _draw(trainer: Trainer, folder: Path, chosen: GPTSettings) -> None:
    """Put the learning curves into the run folder."""
    records = trainer.history.records
    lowest = min(records, key=lambda record: record["val_loss"])
    result = f"loss {lowest['val_loss']:.4f}, {shown('bits_per_byte', lowest['val_bits_per_byte'])}"
    title = f"GPT on {Path(chosen.data).name}: {result} at step {lowest['step']:.0f}, the best"
    report.curves(records, folder / "curves.png", title)


RECIPE = Recipe(
    settings=GPTSettings,
    train=train,
    evaluate=evaluate,
    predict=predict,
    inputs="a text file to go on with",
    evaluation_flags=("data", "data_dir", "device", "precision", "threads"),
    prediction_flags=("device", "precision", "threads"),
    reads_text=True,
    language_model=language_model,
)
