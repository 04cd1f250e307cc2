"""The character LSTM: it reads a text, and then writes one."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from minimodels import nn
from minimodels.data import Streams, Vocabulary
from minimodels.data.texts import read_text
from minimodels.data.topics import load_topics
from minimodels.errors import InputError
from minimodels.inspection import report
from minimodels.models import CharLSTM
from minimodels.models.char_lstm import State
from minimodels.optim import Adam
from minimodels.recipes.fitting import fit, prepare
from minimodels.recipes.measuring import measured, restored
from minimodels.recipes.plan import Plan
from minimodels.recipes.recipe import Recipe
from minimodels.recipes.runs import VOCABULARY
from minimodels.recipes.settings import setting, settings
from minimodels.recipes.summary import shown
from minimodels.recipes.training_settings import TrainingSettings
from minimodels.training import Trainer, current
from minimodels.training.progress import say
from minimodels.training.randomness import seed_everything

TEST_SHARE = 0.1
SAMPLE = 500
"""Characters that are written when training is over."""


@settings
class CharLSTMSettings(TrainingSettings):
    """Train an LSTM to write, character by character: on Python's documentation, or on a text of your own."""

    data: str = setting("topics", "topics (Python's documentation, no download), or a text file or a folder of .txt")
    layers: int = setting(2, "LSTM layers", at_least=1)
    hidden: int = setting(256, "width of each LSTM layer", at_least=1)
    dropout: float = setting(0.2, "into, between and out of the layers", at_least=0, at_most=1)
    length: int = setting(64, "characters that a gradient goes back over", at_least=1)
    prompt: str | None = setting(None, "what the sample begins with (default: the first line of the text)")
    temperature: float = setting(0.7, "of the sample: below 1 likely characters are preferred", at_least=0)
    epochs: int | None = setting(10, "times through the training text", at_least=1)
    batch_size: int = setting(32, "streams of text side by side", at_least=1)
    lr: float = setting(4e-3, "learning rate of Adam at its peak", above=0)
    clip_norm: float | None = setting(1.0, "greatest norm of the gradient; none does not clip it", above=0)

    def resolved(self) -> Self:
        """The same with the path of the text in full, as config.json keeps it."""
        return self if self.data == "topics" else replace(self, data=str(Path(self.data).absolute()))


class Carrying(nn.Module):
    """A language model in training: its state goes from batch to batch, its gradient does not.

    Args:
        model: what is trained.

    Attributes:
        state: what is remembered of the batch before.

    Example:
        >>> model = Carrying(CharLSTM(5, hidden_size=4))
        >>> model(torch.zeros(2, 3, dtype=torch.int64), torch.tensor([True])).shape
        torch.Size([2, 5, 3])
    """

    def __init__(self, model: CharLSTM) -> None:
        super().__init__()
        self.model = model
        self.state: State | None = None

    def memory(self) -> dict[str, Tensor]:
        """What is remembered of the batch before, for a run that is resumed in the middle of a text."""
        return {} if self.state is None else dict(zip("hc", self.state, strict=True))

    def remember(self, memory: dict[str, Tensor]) -> None:
        """Go on with what was remembered.

        Args:
            memory: what `memory` gave.
        """
        self.state = (memory["h"], memory["c"]) if memory else None

    def forward(self, tokens: Tensor, begins: Tensor) -> Tensor:
        """Score the next tokens, as a loss wants them: classes in the second dimension.

        Args:
            tokens: [N, T].
            begins: [1], whether the streams begin here.
        """
        logits, (h, c) = self.model(tokens, None if begins.item() else self.state)
        self.state = h.detach(), c.detach()
        scores: Tensor = logits.transpose(1, 2)
        return scores


def train(chosen: CharLSTMSettings) -> Path:
    """Train, test after every epoch on the end of the text, write a sample, and leave everything in a run folder.

    Args:
        chosen: the settings.

    Returns:
        The run folder.

    Raises:
        InputError: text, device or folder cannot be used, or the loss is no longer a number.

    See: tests/recipes/test_char_lstm.py
    """
    chosen = chosen.resolved()
    device = prepare(chosen)
    train_text, test_text = load(chosen.data)
    vocabulary = Vocabulary.of([train_text], "characters")
    seed_everything(chosen.seed)
    model = build(chosen, vocabulary)
    plan = Plan(
        model,
        Adam(model.parameters(), lr=chosen.lr),
        nn.CrossEntropyLoss(),
        Streams(_numbers(train_text, vocabulary), chosen.batch_size, chosen.length),
        Streams(_numbers(test_text, vocabulary), chosen.batch_size, chosen.length),
        {"bits_per_character": bits_per_character},
        {"data": Path(chosen.data).name},
        lambda trainer, folder: _draw(trainer, folder, chosen),
        {VOCABULARY: vocabulary.to_json()},
        count=Tensor.numel,
        kind=CharLSTM.__name__,
        best=chosen.keep == "best",
    )
    folder = fit("char-lstm", chosen, device, plan, name=f"char-lstm-{Path(chosen.data).stem}", data=chosen.data)
    if current().main:
        prompt = chosen.prompt or train_text.strip().splitlines()[0]
        _, kept, _ = _restored(folder, chosen)
        say("\n" + write(kept, vocabulary, prompt, chosen))
    return folder


def load(data: str) -> tuple[str, str]:
    """The text to train on, and its last tenth, to test with.

    Args:
        data: "topics", a text file, or a folder of .txt files, which are put one behind the other.

    Raises:
        InputError: there is no such file, and none in a folder, it is not UTF-8, or too short.
    """
    path = Path(data)
    if data == "topics":
        text = "\n\n".join(load_topics())
    elif path.is_dir():
        files = sorted(each for each in path.iterdir() if each.suffix == ".txt")
        if not files:
            raise InputError(f"--data {data}: has no .txt file; give something to read.")
        text = "\n\n".join(map(read_text, files))
    else:
        text = read_text(path)
    cut = len(text) - math.ceil(TEST_SHARE * len(text))
    if cut < 2 or len(text) - cut < 2 or text[:cut].isspace():
        raise InputError(f"--data {data}: holds {len(text)} characters, too few to learn from; give a longer text.")
    return text[:cut], text[cut:]


def build(chosen: CharLSTMSettings, vocabulary: Vocabulary) -> Carrying:
    """The model that the settings describe.

    Args:
        chosen: the settings.
        vocabulary: the characters that it knows.
    """
    model = CharLSTM(len(vocabulary), hidden_size=chosen.hidden, num_layers=chosen.layers, dropout=chosen.dropout)
    return Carrying(model)


def bits_per_character(outputs: Tensor, targets: Tensor) -> tuple[Tensor, int]:
    """How many bits a character costs whoever encodes the text with the model's guesses: −log₂ P(character).

    Args:
        outputs: logits [N, V, T].
        targets: [N, T].

    Example:
        >>> bits_per_character(torch.zeros(1, 8, 2), torch.tensor([[0, 7]]))  # eight equal guesses: 3 bits each
        (tensor(6.), 2)
    """
    total = nn.functional.cross_entropy(outputs.float(), targets, reduction="sum")
    return total / math.log(2), targets.numel()


def write(model: CharLSTM, vocabulary: Vocabulary, prompt: str, chosen: CharLSTMSettings) -> str:
    """A text that begins with the prompt, as the model goes on with it.

    Args:
        model: what was trained.
        vocabulary: its characters.
        prompt: at least one character.
        chosen: temperature and seed.
    """
    device = next(model.parameters()).device
    tokens = _numbers(prompt, vocabulary).to(device)
    generator = torch.Generator().manual_seed(chosen.seed)
    training = model.training
    model.eval()
    written = vocabulary.decode(model.generate(tokens, SAMPLE, chosen.temperature, generator))
    model.train(training)
    return prompt + written


def evaluate(folder: Path, chosen: CharLSTMSettings) -> dict[str, float]:
    """Measure the model of a run on the last tenth of a text, and print the result.

    Args:
        folder: of the run.
        chosen: its settings, perhaps with another text.

    Returns:
        loss and bits per character.
    """
    trainer, _, vocabulary = _restored(folder, chosen)
    _, text = load(chosen.data)
    return measured(trainer, chosen.data, Streams(_numbers(text, vocabulary), chosen.batch_size, chosen.length))


def predict(folder: Path, chosen: CharLSTMSettings, texts: list[tuple[str, str]]) -> list[str]:
    """Go on with one's own texts, and print what was written.

    Args:
        folder: of the run.
        chosen: its settings.
        texts: (what to call it, the text) of each.

    Returns:
        Each text with what was written behind it.

    Raises:
        InputError: a text is empty.
    """
    _, model, vocabulary = _restored(folder, chosen)
    written = []
    for name, text in texts:
        if not text:
            raise InputError(f"{name}: the text is empty; give at least one character to go on with.")
        written.append(write(model, vocabulary, text, chosen))
        say(written[-1])
    return written


def _restored(folder: Path, chosen: CharLSTMSettings) -> tuple[Trainer, CharLSTM, Vocabulary]:
    """The model of a run, and the characters that it knows."""
    vocabulary = Vocabulary.read(folder / VOCABULARY)
    model = build(chosen, vocabulary)
    metrics = {"bits_per_character": bits_per_character}
    return restored(folder, chosen, model, nn.CrossEntropyLoss(), metrics, Tensor.numel), model.model, vocabulary


def _numbers(text: str, vocabulary: Vocabulary) -> Tensor:
    return torch.tensor(vocabulary.encode(text), dtype=torch.int64)


def _draw(trainer: Trainer, folder: Path, chosen: CharLSTMSettings) -> None:
    """Put the learning curves into the run folder."""
    records = trainer.history.records
    result = shown("bits_per_character", records[-1]["val_bits_per_character"])
    title = f"CharLSTM on {Path(chosen.data).name}: {result} after epoch {trainer.epoch}"
    report.curves(records, folder / "curves.png", title)


RECIPE = Recipe(
    settings=CharLSTMSettings,
    train=train,
    evaluate=evaluate,
    predict=predict,
    inputs="a text file to go on with",
    evaluation_flags=("data", "device", "precision", "threads"),
    prediction_flags=("temperature", "seed", "device", "precision", "threads"),
    reads_text=True,
)
