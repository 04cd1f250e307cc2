"""What the LSTM's settings stand for: the model, its loss and metrics, and what can be had without it."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from minimodels import nn
from minimodels.data import Vocabulary
from minimodels.models import BigramLogistic, LSTMClassifier, TextClassifier
from minimodels.optim import Adam
from minimodels.recipes.lstm_data import EVALUATION_BATCH, Loaded, batches
from minimodels.recipes.lstm_settings import LSTMSettings
from minimodels.training import Metric, Trainer, accuracy

WORD_SCALE = 0.1
"""How large the vectors of words begin, settled on a tenth of SST-2's training sentences; characters' begin at 1."""

BIGRAM_EPOCHS, BIGRAM_LR, BIGRAM_DECAY = 10, 1e-2, 1e-6
"""How the baseline is trained: settled on a tenth of prose-or-code's training set."""


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
