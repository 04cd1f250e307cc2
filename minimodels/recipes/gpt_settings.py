"""The settings of training a GPT: a preset, and what one says otherwise."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from minimodels.errors import InputError
from minimodels.recipes.gpt_data import NAMES
from minimodels.recipes.gpt_presets import DEFAULT, PRESETS
from minimodels.recipes.settings import setting, settings
from minimodels.recipes.training_settings import TrainingSettings
from minimodels.recipes.wording import flag

OF_THE_MODEL = ("layers", "heads", "width", "context", "tokenizer", "vocab_size")
"""What a model that training goes on from brings along."""


@settings
class GPTSettings(TrainingSettings):
    """Train a GPT to write: on Python's documentation, on Shakespeare, or on texts of your own."""

    preset: Literal["small", "shakespeare-char-cpu", "shakespeare-char", "finetune-shakespeare", "gpt2"] = setting(
        DEFAULT, "what all other settings begin with: the defaults below, or those of nanoGPT"
    )
    data: str = setting(
        "topics",
        "topics (Python's documentation, no download), shakespeare, or a file or folder of your own texts "
        "(.txt, .json, .jsonl)",
    )
    data_dir: Path | None = setting(None, "folder with shakespeare's input.txt, instead of a download")
    init_from: str | None = setting(
        None, "go on from a model with its tokenizer: a run folder, a model's folder, or a name such as gpt2"
    )
    tokenizer: Literal["char", "bpe", "gpt2"] | None = setting(
        "bpe", "characters, byte pairs learnt from the text, or GPT-2's"
    )
    tokenizer_dir: Path | None = setting(None, "folder with gpt2's vocab.json and merges.txt, instead of a download")
    vocab_size: int | None = setting(1024, "tokens of bpe", at_least=257)
    layers: int | None = setting(4, "blocks", at_least=1)
    heads: int | None = setting(4, "heads of attention in a block", at_least=1)
    width: int | None = setting(128, "of the residual stream, a multiple of heads", at_least=1)
    context: int | None = setting(128, "tokens that the model sees at most", at_least=2)
    dropout: float = setting(0.0, "of embeddings, attention and what a block adds", at_least=0, at_most=1)
    steps: int = setting(800, "of the optimiser", at_least=1)
    eval_every: int = setting(100, "steps between two measurements on the held-out tenth of the text", at_least=1)
    keep: Literal["best", "last"] = setting("best", "which model stays: that of the lowest held-out loss, or the last")
    batch_size: int = setting(16, "windows of text in a batch", at_least=1)
    optimizer: Literal["adamw", "muon"] = setting(
        "adamw", "AdamW for all, or Muon for the matrices in the blocks and AdamW for the rest"
    )
    lr: float = setting(3e-3, "learning rate at its peak", above=0)
    min_lr: float | None = setting(
        None, "learning rate at the end of its cosine (default: a tenth of --lr)", at_least=0
    )
    beta2: float = setting(0.99, "of AdamW, how long it remembers the size of gradients", at_least=0, at_most=0.99999)
    weight_decay: float = setting(0.1, "of matrices; vectors are not decayed", at_least=0)
    clip_norm: float | None = setting(1.0, "greatest norm of the gradient; none does not clip it", above=0)
    prompt: str | None = setting(None, "what the sample begins with (default: the first line of the text)")
    temperature: float = setting(0.8, "of the sample: below 1 likely tokens are preferred", above=0)

    epochs: ClassVar[None] = None  # type: ignore[misc]  # a run is measured in steps, so that there is no such flag

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data_dir is not None and self.data != "shakespeare":
            raise InputError(f"--data-dir {self.data_dir}: is for shakespeare; give your own texts with --data.")
        if self.tokenizer_dir is not None and self.tokenizer != "gpt2":
            raise InputError(f"--tokenizer-dir {self.tokenizer_dir}: is for GPT-2's; add --tokenizer gpt2.")
        if self.min_lr is not None and self.min_lr > self.lr:
            raise InputError(f"--min-lr {self.min_lr}: is above --lr {self.lr}, from which the rate falls; lower it.")
        self._check_shape()

    def _check_shape(self) -> None:
        """What the model brings along is not given a second time, and is given where there is none."""
        for name in OF_THE_MODEL:
            value = getattr(self, name)
            if self.init_from is not None and value is not None and name != "context":
                raise InputError(f"{flag(name)} {value}: comes with the model of --init-from; leave this flag out.")
            if self.init_from is None and value is None and (name != "vocab_size" or self.tokenizer == "bpe"):
                raise InputError(f"{flag(name)} none: only a model of --init-from brings its own; give a value.")
        if self.width and self.heads and self.width % self.heads:
            raise InputError(f"--width {self.width}: {self.heads} heads cannot share it evenly; give a multiple.")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Settings from those that were given; the others are the preset's, or come with the model.

        Args:
            values: by name.

        Raises:
            InputError: a value does not suit.

        Example:
            >>> GPTSettings.of({"preset": "shakespeare-char", "steps": 100}).width
            384
        """
        chosen = {**PRESETS.get(values.get("preset", DEFAULT), {}), **values}
        if str(chosen.get("init_from")).lower() != "none":
            chosen |= {name: None for name in OF_THE_MODEL if name not in values}
        return cls(**chosen)

    def resolved(self) -> Self:
        """The same with every default that depends on others filled in, and paths in full, as config.json keeps it."""
        own, init = self.data not in NAMES, self.init_from
        return replace(
            self,
            data=str(Path(self.data).absolute()) if own and Path(self.data).exists() else self.data,
            data_dir=self.data_dir and self.data_dir.absolute(),
            tokenizer_dir=self.tokenizer_dir and self.tokenizer_dir.absolute(),
            init_from=str(Path(init).absolute()) if init and Path(init).is_dir() else init,
            min_lr=self.lr / 10 if self.min_lr is None else self.min_lr,
        )

    def for_evaluation(self, **given: Any) -> Self:
        """The same with some others; the folder of the training data is forgotten when the data are others.

        Args:
            **given: settings that take the place of these.
        """
        if given.get("data", self.data) != self.data:
            given = {"data_dir": None, **given}
        return replace(self, **given)
