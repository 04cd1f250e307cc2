"""The programs of the study `seeds`: what is run, what both sides have in common, and who stands beside ours."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import keras_twins as twins
from benchmarks.cases import Setting
from benchmarks.checking import distance
from benchmarks.gpt2_twins import TINY, transformers_model
from minimodels import nn, optim
from minimodels.data import Batches, load_digits
from minimodels.models import ConvNet, GPT2Config, GPT2LMHeadModel, LSTMClassifier
from minimodels.recipes.lstm import binary_accuracy
from minimodels.training import Metric, Trainer, accuracy

BATCH = 64
RATE = 1e-3
"""Keras's Adam's own."""


@dataclass(frozen=True)
class Program:
    """A program of ours beside that of another library: what is timed, and what was found to be the same.

    `items` is what one call does, in `unit`; `losses` gives what both have learnt.
    """

    name: str
    mode: str
    peer: str
    items: int
    unit: str
    error: float | None
    ours: Callable[[], Any]
    theirs: Callable[[], Any] | None
    losses: Callable[[], list[float]] | None = None


def programs(setting: Setting) -> Iterator[Program]:
    """The programs, one after the other: none is built before the one before it is done."""
    yield pictures(setting)
    if not setting.tiny:  # where nothing but a look is wanted, it does not wait for a compiler
        yield pictures(setting, compiled=True)
    yield sequences(setting)
    for batch in (1, 8):
        yield generation(batch, setting)


def pictures(setting: Setting, *, compiled: bool = False) -> Program:
    """The digits that come with the package, as often as it takes to fill 67 batches."""
    torch.manual_seed(0)
    images, labels = (part.repeat(3, *[1] * (part.ndim - 1)) for part in load_digits()[0])
    rows = 2 * BATCH if setting.tiny else len(labels)
    return training(
        "CNN, 28x28",
        ConvNet(),
        nn.CrossEntropyLoss(),
        accuracy,
        (images[:rows], labels[:rows]),
        Twin(
            partial(twins.pictures, size=images.shape[-1]),
            twins.pictures_arrays,
            lambda x: x.movedim(1, -1),
            lambda logits: logits,
        ),
        compiled=compiled,
    )


def sequences(setting: Setting) -> Program:
    """Random sequences; what is asked is whether the last step's first feature is above zero."""
    torch.manual_seed(0)
    rows, steps = (2 * BATCH, 3) if setting.tiny else (8 * BATCH, 100)
    inputs = torch.randn(rows, steps, 100)
    return training(
        f"LSTM, {steps} steps of 100",
        LSTMClassifier(),
        nn.BCEWithLogitsLoss(),
        binary_accuracy,
        (inputs, (inputs[:, -1, 0] > 0).float()),
        Twin(
            partial(twins.sequences, steps=steps, features=100),
            twins.sequences_arrays,
            lambda x: x,
            lambda logits: logits.sigmoid().unsqueeze(1),
        ),
    )


@dataclass(frozen=True)
class Twin:
    """How Keras sees a model of ours: its program, its weights, its inputs, and its outputs from our logits."""

    build: Callable[[Any], Any]
    arrays: Callable[..., twins.Arrays]
    inputs: Callable[[Tensor], Tensor]
    outputs: Callable[[Tensor], Tensor]


def training(
    name: str,
    model: torch.nn.Module,
    loss: torch.nn.Module,
    metric: Metric,
    data: tuple[Tensor, Tensor],
    twin: Twin,
    *,
    compiled: bool = False,
) -> Program:
    """An epoch of training with Adam, in batches of 64, in a new order each time."""
    inputs, targets = data
    optimizer = optim.Adam(model.parameters(), lr=RATE)
    trainer = Trainer(model, loss, optimizer, metrics={"accuracy": metric}, device="cpu", compile=compiled)
    batches = Batches(inputs, targets, batch_size=BATCH, shuffle=True)
    peer, theirs, error, losses = "Keras", None, None, None
    if find_spec("keras") and find_spec("tensorflow"):
        keras, tensorflow = twins.libraries(torch.get_num_threads())
        peer = f"Keras {version('keras')}, TensorFlow {tensorflow.__version__}"
        other = twin.build(keras)
        other.set_weights(twin.arrays(dict(model.named_parameters())))
        x, y = twin.inputs(inputs).numpy().copy(), targets.numpy()
        run = torch.compile(model) if compiled else model
        error = _off(run, loss, twin, inputs[:BATCH], targets[:BATCH], (tensorflow, other, x[:BATCH], y[:BATCH]))

        def theirs() -> None:
            other.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)

        def losses() -> list[float]:
            return [trainer.history.history["loss"][-1], other.history.history["loss"][-1]]

    return Program(
        f"{name}, batches of {BATCH}",
        "training epoch" + ", compiled" * compiled,
        peer,
        len(targets),
        "samples",
        error,
        lambda: trainer.fit(batches, 1),
        theirs,
        losses,
    )


def _off(
    model: torch.nn.Module, loss: torch.nn.Module, twin: Twin, inputs: Tensor, targets: Tensor, other: tuple[Any, ...]
) -> float:
    """How far ours is from Keras's: outputs and all gradients of one batch, each relative to its largest element."""
    tensorflow, keras_model, x, y = other
    logits = model(inputs)
    gradients = torch.autograd.grad(loss(logits, targets), list(model.parameters()))
    names = [name.removeprefix("_orig_mod.") for name, _ in model.named_parameters()]  # which a compiler puts in front
    named = dict(zip(names, gradients, strict=True))
    flags = {"gradients": True} if twin.arrays is twins.sequences_arrays else {}
    ours = [torch.from_numpy(np.ascontiguousarray(array)) for array in twin.arrays(named, **flags)]
    return distance([twin.outputs(logits.detach()), *ours], twins.outputs_and_gradients(tensorflow, keras_model, x, y))


def generation(batch: int, setting: Setting) -> Program:
    """GPT-2 with 124 million random weights, which writes the likeliest 32 tokens after prompts of 64."""
    torch.manual_seed(0)
    prompt, new = (4, 2) if setting.tiny else (64, 32)
    ours = GPT2LMHeadModel(GPT2Config(**(TINY if setting.tiny else {}))).eval()
    ids = torch.randint(ours.config.vocab_size, (batch, prompt))
    wanted = {"max_new_tokens": new, "min_new_tokens": new, "do_sample": False, "pad_token_id": 0}
    peer, theirs, error = "transformers", None, None
    if find_spec("transformers"):
        peer = f"transformers {version('transformers')}"
        other = transformers_model(ours).eval()
        mask = torch.ones_like(ids)

        def theirs() -> Tensor:
            return other.generate(ids, attention_mask=mask, **wanted)

        with torch.no_grad():
            text = ours.generate(ids, **wanted)
            error = distance([ours(text).logits], [other(text).logits])
    return Program(
        f"GPT-2, {prompt} + {new} tokens, batch {batch}",
        "generation",
        peer,
        batch * new,
        "tokens",
        error,
        lambda: ours.generate(ids, **wanted),
        theirs,
    )
