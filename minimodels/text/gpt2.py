"""The tokenizer of GPT-2: 50,000 merges of byte pairs, from the files that it was published in."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import tiktoken

from minimodels.errors import InputError
from minimodels.files import write_json
from minimodels.hub import find_file
from minimodels.text.bpe.formats import (
    Vocabulary,
    read_tiktoken,
    read_tokenizer_json,
    read_vocab_and_merges,
    write_vocab_and_merges,
)
from minimodels.text.bpe.tokenizer import END_OF_TEXT, SETTINGS, BPETokenizer
from minimodels.text.reading import naming, read_json

PUBLISHED = ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "distilgpt2")
"""Models that share the one vocabulary of GPT-2, on the hub also with an owner before the name."""

CONFIG = "tokenizer_config.json"
PAIRS = {"vocab.json": "merges.txt", "encoder.json": "vocab.bpe"}
SOURCES = ("tokenizer.json", *PAIRS, "gpt2.tiktoken", "r50k_base.tiktoken")
"""Files that hold such a vocabulary, the fullest first."""

CONTEXT = 1024
LONGEST = 10**9
"""Hugging Face writes a larger number where a model's length is not known."""


class GPT2Tokenizer(BPETokenizer):
    """GPT-2's tokenizer, or another that cuts text as GPT-2 does; it gives the numbers of transformers' GPT2Tokenizer.

    Three things differ from there, all on purpose. Special tokens are recognised in a text only where
    `allowed_special` names them. A batch is filled at the left, and with "<|endoftext|>" where no `pad_token` is given.
    Nothing stands for an unknown token, as any text can be encoded.

    Args:
        ranks: number of each token by its bytes, lower where it is merged earlier; all 256 bytes are among them.
        special_tokens: numbers of the tokens that no text contains; None is {"<|endoftext|>": the next number}.
        **settings: those of `Tokenizer`; `model_max_length` is 1,024 where it is not given.

    Attributes:
        ranks: as given.

    Raises:
        InputError: a byte is missing, or two tokens have one number.

    References: Radford et al. 2019, "Language models are unsupervised multitask learners", section 2.2;
        https://github.com/openai/tiktoken.

    See: minimodels/text/bpe/tokenizer.py; tests/text/test_gpt2.py

    Example:
        >>> bytes_alone = GPT2Tokenizer({bytes([byte]): byte for byte in range(256)})
        >>> bytes_alone.encode("é!")
        [195, 169, 33]
        >>> bytes_alone(["!", "!!!"], padding=True, return_tensors="pt").input_ids
        tensor([[256, 256,  33],
                [ 33,  33,  33]])
    """

    FILES: ClassVar = ("vocab.json", "merges.txt", CONFIG)

    def __init__(self, ranks: dict[bytes, int], special_tokens: dict[str, int] | None = None, **settings: Any) -> None:
        super().__init__(ranks, special_tokens, **{"model_max_length": CONTEXT} | settings)

    @classmethod
    def from_files(cls, vocab: str | os.PathLike[str], merges: str | os.PathLike[str], **settings: Any) -> Self:
        """From the pair of files that OpenAI calls encoder.json and vocab.bpe, Hugging Face vocab.json and merges.txt.

        Args:
            vocab: the numbers of the tokens.
            merges: the list of merges.
            **settings: those of `Tokenizer`.

        Raises:
            InputError: a file is missing or damaged, or the two do not belong together.
        """
        vocabulary = read_vocab_and_merges(Path(vocab), Path(merges))
        with naming(vocab):
            return cls(*vocabulary, **settings)

    @classmethod
    def from_tiktoken(cls, path: str | os.PathLike[str], **settings: Any) -> Self:
        """From tiktoken's file of ranks, such as r50k_base.tiktoken; "<|endoftext|>" gets the next number.

        Args:
            path: the file.
            **settings: those of `Tokenizer`.

        Raises:
            InputError: the file is missing or damaged.
        """
        ranks = read_tiktoken(Path(path))
        with naming(path):
            return cls(ranks, **settings)

    @classmethod
    def download(cls, **settings: Any) -> Self:
        """GPT-2's own, from where tiktoken downloads it or has put it (TIKTOKEN_CACHE_DIR).

        Args:
            **settings: those of `Tokenizer`.

        Raises:
            InputError: it is not there and cannot be downloaded.
        """
        try:
            found = tiktoken.get_encoding("gpt2")
        except (OSError, ValueError) as error:
            raise InputError(
                f"GPT-2's vocabulary cannot be downloaded ({_first_line(error)}); give a folder with vocab.json and "
                "merges.txt."
            ) from None
        return cls(found._mergeable_ranks, found._special_tokens, **settings)

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | os.PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        **settings: Any,
    ) -> Self:
        """From the folder of a model, the Hugging Face cache, or the hub; GPT-2's own also from tiktoken.

        It takes the first of tokenizer.json, vocab.json with merges.txt, encoder.json with vocab.bpe,
        gpt2.tiktoken and r50k_base.tiktoken that there is, and settings from tokenizer_config.json.

        Args:
            name_or_folder: a folder, or the name of a model on the hub, such as "gpt2".
            revision: branch, tag or commit on the hub.
            cache_dir: the Hugging Face cache; None is where huggingface_hub keeps it.
            token: of a Hugging Face account.
            local_files_only: do not go to the network.
            **settings: those of `Tokenizer`; they go before those of the file.

        Raises:
            InputError: there are no such files, they cannot be had, or they are damaged.
        """

        def find(*names: str) -> Path:
            return find_file(
                name_or_folder,
                *names,
                revision=revision,
                cache_dir=cache_dir,
                token=token,
                local_files_only=local_files_only,
            )

        try:
            path = find(*SOURCES)
        except InputError:
            name = str(name_or_folder)
            if local_files_only or Path(name).is_dir() or name.removeprefix("openai-community/") not in PUBLISHED:
                raise
            return cls.download(**settings)
        ranks, special_tokens = _read(path, find)
        added, found = _settings(find)
        with naming(path):
            return cls(ranks, special_tokens | added, **found | settings)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write vocab.json, merges.txt and tokenizer_config.json, which transformers reads too.

        Each file is replaced in one step; if the machine stops between two of them, reading says that they do not
        belong together.

        Args:
            folder: where to; it is made when it is missing.

        Raises:
            InputError: the ranks are not those of an order of merges.
        """
        vocab, merges, settings = (Path(folder) / name for name in self.FILES)
        write_vocab_and_merges(vocab, merges, Vocabulary(self.ranks, self.special_tokens))
        kept = {name: getattr(self, name) for name in SETTINGS}
        write_json(settings, {"tokenizer_class": "GPT2Tokenizer", "unk_token": self.eos_token, **kept})


def _read(path: Path, find: Callable[..., Path]) -> Vocabulary:
    """The vocabulary in a file, and in the one that belongs to it."""
    if path.name == "tokenizer.json":
        return read_tokenizer_json(path)
    if path.name in PAIRS:
        return read_vocab_and_merges(path, find(PAIRS[path.name]))
    ranks = read_tiktoken(path)
    return Vocabulary(ranks, {END_OF_TEXT: max(ranks.values()) + 1})


def _settings(find: Callable[..., Path]) -> tuple[dict[str, int], dict[str, Any]]:
    """The special tokens and the settings in tokenizer_config.json, where there is one."""
    try:
        path = find(CONFIG)
    except InputError:
        return {}, {}
    value = read_json(path)
    try:
        added = {token["content"]: int(id) for id, token in value.get("added_tokens_decoder", {}).items()}
        found = {name: value[name] for name in SETTINGS if name in value}
        for name in found.keys() & {"eos_token", "bos_token", "pad_token"}:
            if isinstance(found[name], dict):
                found[name] = found[name]["content"]
        if (found.get("model_max_length") or 0) > LONGEST:
            found["model_max_length"] = None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(f"{path}: is not the settings of a tokenizer; get the file again.") from None
    return added, found


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
