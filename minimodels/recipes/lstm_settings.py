"""The settings of the LSTM, which depend on what it is trained on."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

from minimodels.errors import InputError
from minimodels.recipes import lstm_data
from minimodels.recipes.settings import setting, settings
from minimodels.recipes.training_settings import TrainingSettings


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
    length: int = setting(200, "steps of the adding problem", at_least=2, at_most=10_000)
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
            InputError: a model of sst2 would be measured on rt-polarity, or the other way round; or one of texts on
                numbers, or of numbers on anything else.
        """
        data = given.get("data", self.data)
        if data != self.data and {data, self.data}.intersection(lstm_data.NUMBERS):
            raise InputError(f"--data {data}: is of another kind than {self.data}, which is all this model can read.")
        if {data, self.data} == {"sst2", "rt-polarity"}:
            raise InputError(f"--data {data}: shares many sentences with {self.data}, on which this model was trained.")
        if data != self.data:
            given = {"data_dir": None, "test": None, **given}
        return replace(self, **given)
