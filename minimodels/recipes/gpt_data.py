"""What a GPT reads: the text, the tokenizer, and the tokens on disk."""

import hashlib
import json
import os
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from minimodels.data import cache_folder, load_shakespeare, load_topics, read_corpus, token_file
from minimodels.data.tokens import Tokens
from minimodels.errors import InputError
from minimodels.recipes.runs import PRETRAINED
from minimodels.recipes.wording import did_you_mean
from minimodels.text import CharTokenizer, GPT2Tokenizer, Tokenizer, load_tokenizer, train_bpe

NAMES = ("topics", "shakespeare")


class Split(NamedTuple):
    """A text in two parts.

    Attributes:
        train: its first nine tenths.
        test: the rest.
    """

    train: str
    test: str


def load_text(data: str, data_dir: Path | None = None) -> Split:
    """The text to learn from; its last tenth is held out, as nanoGPT does. Several texts are one, with blank lines.

    Args:
        data: "topics", "shakespeare", or a file or folder that `read_corpus` reads.
        data_dir: where Shakespeare's input.txt lies.

    Raises:
        InputError: there is no such text, or it is too short to be cut.
    """
    if data == "shakespeare":
        text = load_shakespeare(data_dir)
    elif data == "topics":
        text = "\n\n".join(load_topics())
    elif Path(data).exists():
        text = "\n\n".join(read_corpus(Path(data)))
    else:
        raise InputError(
            f"--data {data}: there is no such file or folder, and the texts that have a name are "
            f"{' and '.join(NAMES)}{did_you_mean(data, NAMES)}"
        )
    cut = len(text) * 9 // 10
    if cut < 1:
        raise InputError(f"--data {data}: a text of {len(text)} characters is too short to learn from.")
    return Split(text[:cut], text[cut:])


def new_tokenizer(
    kind: str | None, text: Split, vocab_size: int | None, folder: Path | None, context: int | None
) -> Tokenizer:
    """The tokenizer of a model that begins from nothing.

    Args:
        kind: "char", "bpe" or "gpt2".
        text: for "char" all its characters are taken; "bpe" is trained on the part to train on.
        vocab_size: tokens of "bpe".
        folder: of GPT-2's files; None looks into the caches, and downloads them if they are not there.
        context: tokens that the model reads.

    Raises:
        InputError: GPT-2's files are not there, or the text does not give so many tokens.
    """
    if kind == "char":
        return CharTokenizer.train(text)
    if kind == "gpt2":
        return GPT2Tokenizer.from_pretrained(folder or "gpt2", model_max_length=context)
    trained = train_bpe(text.train, vocab_size or 0)
    return GPT2Tokenizer(trained.ranks, trained.special_tokens, model_max_length=context)


def read_tokenizer(place: str | os.PathLike[str]) -> Tokenizer:
    """The tokenizer of a published model, or of one that was trained here.

    Args:
        place: a folder, or a name on the hub.

    Raises:
        InputError: it has none of a kind that is known.
    """
    return load_tokenizer(place) if Path(place).is_dir() else GPT2Tokenizer.from_pretrained(place)


def place_of(model: str) -> str | Path:
    """Where a model is that was named: in the folder inside of a run folder, in a folder, or on the hub.

    Args:
        model: a run folder, the folder of a model, or a name.
    """
    inside = Path(model) / PRETRAINED
    return inside if inside.is_dir() else model


def check_length(data: str, train: int, test: int, context: int) -> None:
    """Whether there is enough to learn from and to measure on.

    Args:
        data: what the user calls it.
        train: tokens to train on.
        test: tokens to test with.
        context: tokens in a window.

    Raises:
        InputError: there is not.
    """
    if train <= context or test < 2:
        raise InputError(
            f"--data {data}: gives {train:,} tokens to train on and {test:,} to test with, which is too short for "
            f"windows of {context:,}; give a longer text, or a smaller --context."
        )


def tokens_of(text: str, tokenizer: Tokenizer) -> Tokens:
    """The tokens of a text, mapped from a file in the cache folder.

    Args:
        text: any.
        tokenizer: what encodes it, if it is not there yet.

    Raises:
        InputError: nothing can be written there.
    """
    folder, name, size = cache_folder() / "tokens", fingerprint(tokenizer), tokenizer.vocab_size
    try:
        return token_file(folder, text, tokenizer.encode_array, tokenizer=name, vocab_size=size)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"{folder}: the tokens of the text cannot be kept there ({reason}); let the environment variable "
            "MINIMODELS_CACHE name another folder."
        ) from error


def fingerprint(tokenizer: Tokenizer) -> str:
    """A checksum of all that decides how a text is encoded.

    Args:
        tokenizer: any.
    """
    pattern = getattr(tokenizer, "pattern", None)
    about = [type(tokenizer).__name__, pattern, sorted(tokenizer.get_vocab().items())]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def byte_lengths(tokenizer: Tokenizer, rows: int) -> Tensor:
    """How many bytes of text each token stands for; special ones, and numbers without a token, for none.

    Args:
        tokenizer: whose tokens.
        rows: of the model's embedding.

    Shape:
        Output [rows], of int64.
    """
    lengths = torch.zeros(rows, dtype=torch.int64)
    special = set(tokenizer.special_tokens.values())
    for number in tokenizer.get_vocab().values():
        if number not in special:
            lengths[number] = len(tokenizer.token_bytes(number))
    return lengths
