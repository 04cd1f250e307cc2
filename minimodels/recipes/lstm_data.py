"""What the LSTM can be trained on: real text, the adding problem, digits row by row, reviews, and one's own texts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minimodels.data import Batches, RaggedBatches, Vocabulary, load_adding, load_digit_rows, load_prose_or_code
from minimodels.data.reviews import REVIEWS, load_reviews
from minimodels.data.texts import TextSet, read_folders, read_tsv, split
from minimodels.errors import InputError
from minimodels.recipes.wording import did_you_mean, listing

NUMBERS = ("adding", "digits-rows")
NAMES = ("prose-or-code", *NUMBERS, *REVIEWS)
EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Loaded:
    """Data for the LSTM.

    Args:
        train: what to train on: texts, or sequences and targets.
        test: what to test with, of the same kind.
    """

    train: Any
    test: Any

    @property
    def is_text(self) -> bool:
        """Whether they are texts."""
        return isinstance(self.train, TextSet)


def load(data: str, data_dir: Path | None, test: Path | None, length: int) -> Loaded:
    """The data of that name, or the texts under that path.

    Args:
        data: one of `NAMES`, a TSV file, or a folder of two folders of texts (or of train and test with two each).
        data_dir: where the files of the reviews are.
        test: one's own texts to test with, of the same form as `data`; by default a tenth is held out.
        length: steps of the adding problem.

    Raises:
        InputError: there is no such name and no such path, or the files cannot be used.
    """
    if test is not None and data in NAMES:
        raise InputError(f"--test {test}: {data} has a test set of its own; leave this flag out.")
    if data_dir is not None and data not in REVIEWS:
        raise InputError(f"--data-dir {data_dir}: is for {listing(REVIEWS)}; leave this flag out.")
    if data == "prose-or-code":
        return Loaded(*load_prose_or_code())
    if data == "adding":
        return Loaded(*load_adding(length))
    if data == "digits-rows":
        return Loaded(*load_digit_rows())
    if data in REVIEWS:
        return Loaded(*load_reviews(data, data_dir))
    return Loaded(*_own(Path(data), test))


def batches(
    part: Any, vocabulary: Vocabulary | None, batch_size: int, *, shuffle: bool = False, seed: int = 0
) -> Batches | RaggedBatches:
    """Mini-batches of texts or sequences.

    Args:
        part: a `TextSet` or a `SequenceSet`.
        vocabulary: of texts.
        batch_size: sequences in a batch.
        shuffle: a new random order every epoch.
        seed: of the order.
    """
    if vocabulary is None:
        return Batches(*part, batch_size=batch_size, shuffle=shuffle, seed=seed)
    return RaggedBatches(
        encoded(part.texts, vocabulary), part.labels, batch_size=batch_size, shuffle=shuffle, seed=seed
    )


def encoded(texts: list[str], vocabulary: Vocabulary) -> list[Tensor]:
    """The numbers of the tokens of each text.

    Args:
        texts: at least one token in each.
        vocabulary: what the model knows.

    Raises:
        InputError: a text has no token in it.
    """
    sequences = [torch.tensor(vocabulary.encode(text), dtype=torch.int64) for text in texts]
    for number, sequence in enumerate(sequences):
        if len(sequence) == 0:
            raise InputError(f"text {number + 1} {texts[number][:20]!r} has no token in it; write something to read.")
    return sequences


def _own(path: Path, test: Path | None) -> tuple[TextSet, TextSet]:
    """One's own texts, with a test set of their own or a tenth held out."""
    if not path.exists():
        raise InputError(
            f"--data {path}: there are no such data and no such file; give {listing(NAMES)}, "
            f"a TSV file or a folder{did_you_mean(path.name, NAMES)}"
        )
    if test is not None:
        return _read(path), _read(test)
    if (path / "train").is_dir() and (path / "test").is_dir():
        return _read(path / "train"), _read(path / "test")
    return split(_read(path))


def _read(path: Path) -> TextSet:
    return read_folders(path) if path.is_dir() else read_tsv(path)
