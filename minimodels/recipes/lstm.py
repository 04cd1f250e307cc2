"""The three-layer LSTM: prose or code, reviews, one's own texts, and sequences of numbers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor

from minimodels import functional as F
from minimodels import nn
from minimodels.data import RaggedBatches, Vocabulary
from minimodels.errors import InputError
from minimodels.inspection import report
from minimodels.models import BigramLogistic, LSTMClassifier, TextClassifier
from minimodels.optim import Adam
from minimodels.recipes import lstm_data
from minimodels.recipes.fitting import fit, prepare
from minimodels.recipes.lstm_data import EVALUATION_BATCH, Loaded, batches, encoded
from minimodels.recipes.measuring import measured, restored
from minimodels.recipes.plan import Plan
from minimodels.recipes.recipe import Recipe
from minimodels.recipes.runs import VOCABULARY
from minimodels.recipes.settings import setting, settings
from minimodels.recipes.summary import shown
from minimodels.recipes.training_settings import TrainingSettings
from minimodels.training import Metric, Trainer, accuracy
from minimodels.training.progress import say
from minimodels.training.randomness import seed_everything

WORD_SCALE = 0.1
"""How large the vectors of words begin, settled on a tenth of SST-2's training sentences; characters' begin at 1."""

BIGRAM_EPOCHS, BIGRAM_LR, BIGRAM_DECAY = 10, 1e-2, 1e-6
"""How the baseline is trained: settled on a tenth of prose-or-code's training set."""


@settings
class LSTMSettings(TrainingSettings):
    """Train three LSTM layers to tell sequences apart: prose from code, good reviews from bad ones, your own texts."""

    data: str = setting(
        "prose-or-code",
        "prose-or-code (no download), adding, digits-rows, sst2, rt-polarity, imdb, a TSV file text<TAB>label, "
        "or a folder of two folders of .txt",
    )
    data_dir: Path | None = setting(None, "folder with the files of sst2, rt-polarity or imdb")
    test: Path | None = setting(None, "your own texts to test with (default: a tenth of --data is held out)")
    tokens: Literal["characters", "words"] | None = setting(
        None, "what a text is cut into (default: characters for prose-or-code, else words)"
    )
    vocabulary: int = setting(20_000, "different tokens at most", at_least=1)
    length: int = setting(200, "steps of the adding problem", at_least=2, at_most=1_000_000)
    layers: int | None = setting(None, "LSTM layers (default: 3; 1 for adding)", at_least=1)
    hidden: int = setting(128, "width of each LSTM layer", at_least=1)
    dropout: float | None = setting(None, "between layers (default: 0.5 for words, else 0)", at_least=0, at_most=1)
    bidirectional: bool = setting(False, "read from both ends")
    forget_bias: float = setting(1.0, "what the forget gates begin with")
    epochs: int | None = setting(10, "times through the training data", at_least=1)
    lr: float | None = setting(None, "learning rate of Adam at its peak (default: 4e-3 for words, else 2e-3)", above=0)
    clip_norm: float | None = setting(1.0, "greatest norm of the gradient; none does not clip it", above=0)

    def resolved(self) -> Self:
        """The same with every default that depends on others filled in, as config.json keeps it."""
        numbers = self.data in lstm_data.NUMBERS
        tokens = self.tokens or ("characters" if self.data == "prose-or-code" else "words")
        own = Path(self.data) if self.data not in lstm_data.NAMES else None
        return replace(
            self,
            data=str(own.absolute()) if own else self.data,
            tokens=None if numbers else tokens,
            lr=self.lr or (4e-3 if tokens == "words" and not numbers else 2e-3),
            layers=self.layers or (1 if self.data == "adding" else 3),
            dropout=self.dropout if self.dropout is not None else 0.5 * (tokens == "words" and not numbers),
            data_dir=self.data_dir and self.data_dir.absolute(),
            test=self.test and self.test.absolute(),
        )

    def for_evaluation(self, **given: Any) -> Self:
        """The same with some others; the files of the training data are forgotten when the data are others.

        Args:
            **given: settings that take the place of these.

        Raises:
            InputError: a model of sst2 would be measured on rt-polarity, or the other way round.
        """
        data = given.get("data", self.data)
        if {data, self.data} == {"sst2", "rt-polarity"}:
            raise InputError(f"--data {data}: shares many sentences with {self.data}, on which this model was trained.")
        if data != self.data:
            given = {"data_dir": None, "test": None, **given}
        return replace(self, **given)


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


def build(chosen: LSTMSettings, vocabulary: Vocabulary | None) -> nn.Module:
    """The model that the settings describe.

    Args:
        chosen: the settings, with their defaults filled in.
        vocabulary: of texts; None for sequences of numbers.
    """
    options: dict[str, Any] = {
        "hidden_size": chosen.hidden,
        "num_layers": chosen.layers,
        "dropout": chosen.dropout,
        "bidirectional": chosen.bidirectional,
        "forget_bias": chosen.forget_bias,
    }
    if vocabulary is not None:
        options["embedding_scale"] = WORD_SCALE if vocabulary.kind == "words" else 1.0
        return TextClassifier(len(vocabulary), embedding_dropout=chosen.dropout or 0.0, **options)
    if chosen.data == "adding":
        return LSTMClassifier(2, **options)
    return LSTMClassifier(28, classes=10, **options)


def objective(chosen: LSTMSettings) -> tuple[Callable[[Tensor, Tensor], Tensor], Mapping[str, Metric]]:
    """What is minimised, and what is measured beside it.

    Args:
        chosen: the settings.
    """
    if chosen.data == "adding":
        return nn.MSELoss(), {"squared_error": squared_error}
    if chosen.data == "digits-rows":
        return nn.CrossEntropyLoss(), {"accuracy": accuracy}
    return nn.BCEWithLogitsLoss(), {"accuracy": binary_accuracy}


def baseline(
    chosen: LSTMSettings, loaded: Loaded, vocabulary: Vocabulary | None, device: torch.device
) -> tuple[str, float]:
    """What can be had without a recurrent network: its name, and its result on the test data.

    Args:
        chosen: the settings.
        loaded: the data.
        vocabulary: of texts.
        device: where to compute.
    """
    if vocabulary is None:
        train, test = loaded.train.targets, loaded.test.targets
        if chosen.data == "adding":
            return "always the mean", float((test - train.mean()).square().mean())
        return "always the most frequent digit", float((test == train.mode().values).float().mean())
    model = BigramLogistic(len(vocabulary))
    optimizer = Adam(model.parameters(), lr=BIGRAM_LR, weight_decay=BIGRAM_DECAY)
    trainer = Trainer(model, nn.BCEWithLogitsLoss(), optimizer, metrics={"accuracy": binary_accuracy}, device=device)
    trainer.fit(batches(loaded.train, vocabulary, 64, shuffle=True), BIGRAM_EPOCHS)
    return "logistic regression on bigrams", trainer.evaluate(batches(loaded.test, vocabulary, EVALUATION_BATCH))[
        "accuracy"
    ]


def binary_accuracy(outputs: Tensor, targets: Tensor) -> tuple[Tensor, int]:
    """How many logits have the sign of their target.

    Args:
        outputs: logits.
        targets: 0 or 1.

    Example:
        >>> binary_accuracy(torch.tensor([2.0, -1.0]), torch.tensor([1.0, 1.0]))
        (tensor(1), 2)
    """
    return ((outputs > 0) == (targets > 0.5)).sum(), targets.numel()


def squared_error(outputs: Tensor, targets: Tensor) -> tuple[Tensor, int]:
    """The sum of the squared differences.

    Args:
        outputs: numbers.
        targets: what they should be.

    Example:
        >>> squared_error(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
        (tensor(4.), 2)
    """
    return (outputs.float() - targets).square().sum(), targets.numel()


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
