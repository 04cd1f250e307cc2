"""The three-layer LSTM: prose or code, reviews, one's own texts, and sequences of numbers."""

import json
from pathlib import Path

import torch

from minimodels import functional as F
from minimodels.data import RaggedBatches, Vocabulary
from minimodels.errors import InputError
from minimodels.inspection import report
from minimodels.optim import Adam
from minimodels.recipes import lstm_data
from minimodels.recipes.fitting import fit, prepare
from minimodels.recipes.lstm_data import EVALUATION_BATCH, batches, encoded
from minimodels.recipes.lstm_model import baseline, binary_accuracy, build, objective, squared_error
from minimodels.recipes.lstm_settings import LSTMSettings
from minimodels.recipes.measuring import measured, restored
from minimodels.recipes.plan import Plan
from minimodels.recipes.recipe import Recipe
from minimodels.recipes.runs import VOCABULARY
from minimodels.recipes.summary import shown
from minimodels.training import Trainer
from minimodels.training.progress import say
from minimodels.training.randomness import seed_everything

__all__ = [
    "RECIPE",
    "LSTMSettings",
    "baseline",
    "binary_accuracy",
    "build",
    "evaluate",
    "objective",
    "predict",
    "squared_error",
    "train",
]


def train(chosen: LSTMSettings) -> Path:
    """Train, test after every epoch, measure the baseline, and leave everything in a run folder.

    Args:
        chosen: the settings.

    Returns:
        The run folder.

    Raises:
        InputError: data, device or folder cannot be used, or the loss is no longer a number.

    See: tests/recipes/test_lstm.py
    """
    chosen = chosen.resolved()
    device = prepare(chosen)
    loaded = lstm_data.load(chosen.data, chosen.data_dir, chosen.test, chosen.length)
    vocabulary = None
    if loaded.is_text:
        vocabulary = Vocabulary.of(loaded.train.texts, chosen.tokens or "words", most=chosen.vocabulary)
    seed_everything(chosen.seed)
    model = build(chosen, vocabulary)
    loss, metrics = objective(chosen)
    train_batches = batches(loaded.train, vocabulary, chosen.batch_size, shuffle=True, seed=chosen.seed)
    test_batches = batches(loaded.test, vocabulary, EVALUATION_BATCH)
    name, value = baseline(chosen, loaded, vocabulary, device)
    headline = next(iter(metrics))
    plan = Plan(
        model,
        Adam(model.parameters(), lr=chosen.lr or 0.0),
        loss,
        train_batches,
        test_batches,
        metrics,
        {"data": chosen.data},
        lambda trainer, folder: _draw(trainer, folder, chosen, headline),
        {VOCABULARY: {**vocabulary.to_json(), "labels": loaded.train.names}} if vocabulary else {},
        {"baseline": name, f"baseline_{headline}": value},
        best=chosen.keep == "best",
    )
    say(f"baseline, {name}: test {shown(headline, value)}")
    return fit("lstm", chosen, device, plan, name=f"lstm-{Path(chosen.data).stem}", data=chosen.data)


def evaluate(folder: Path, chosen: LSTMSettings) -> dict[str, float]:
    """Measure the model of a run on test data, and print the result.

    Args:
        folder: of the run.
        chosen: its settings, perhaps with other data.

    Returns:
        loss, and accuracy or squared error.
    """
    loaded = lstm_data.load(chosen.data, chosen.data_dir, chosen.test, chosen.length)
    trainer, vocabulary = _restored(folder, chosen)
    return measured(trainer, chosen.data, batches(loaded.test, vocabulary, EVALUATION_BATCH))


def predict(folder: Path, chosen: LSTMSettings, texts: list[tuple[str, str]]) -> list[float]:
    """Say of one's own texts which of the two kinds they are, and how sure the model is.

    Args:
        folder: of the run.
        chosen: its settings.
        texts: (what to call it, the text) of each.

    Returns:
        The probability of label 1 for each text.

    Raises:
        InputError: the model was not trained on texts, or a text is empty.
    """
    trainer, vocabulary = _restored(folder, chosen)
    if vocabulary is None:
        raise InputError(f"{folder}: was trained on {chosen.data}, not on text; evaluate it instead.")
    for name, text in texts:
        if not vocabulary.encode(text):
            raise InputError(f"{name}: the text is empty; write something to read.")
    names = _names(folder)
    sequences = encoded([text for _, text in texts], vocabulary)
    nothing = torch.zeros(len(texts))
    logits = trainer.predict(RaggedBatches(sequences, nothing, batch_size=EVALUATION_BATCH)).float()
    probabilities: list[float] = F.sigmoid(logits).tolist()
    for (name, _), probability in zip(texts, probabilities, strict=True):
        say(f"{name}: {names[probability > 0.5]} ({100 * max(probability, 1 - probability):.1f} %)")
    return probabilities


def _names(folder: Path) -> tuple[str, str]:
    """What the two labels of a run mean."""
    first, second = json.loads((folder / VOCABULARY).read_bytes())["labels"]
    return first, second


def _restored(folder: Path, chosen: LSTMSettings) -> tuple[Trainer, Vocabulary | None]:
    """The model of a run, and the vocabulary that it was trained with."""
    vocabulary = None if chosen.tokens is None else Vocabulary.read(folder / VOCABULARY)
    loss, metrics = objective(chosen)
    return restored(folder, chosen, build(chosen, vocabulary), loss, metrics), vocabulary


def _draw(trainer: Trainer, folder: Path, chosen: LSTMSettings, headline: str) -> None:
    """Put the learning curves into the run folder."""
    records = trainer.history.records
    result = shown(headline, records[-1][f"val_{headline}"])
    kind = type(trainer.model).__name__
    title = f"{kind} on {Path(chosen.data).stem}: {result} after epoch {trainer.epoch}"
    report.curves(records, folder / "curves.png", title)


RECIPE = Recipe(
    settings=LSTMSettings,
    train=train,
    evaluate=evaluate,
    predict=predict,
    inputs="a text file to read",
    evaluation_flags=("data", "data_dir", "test", "length", "device", "precision", "threads"),
    prediction_flags=("device", "precision", "threads"),
    reads_text=True,
)
