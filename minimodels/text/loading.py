"""The tokenizer of a folder, whichever it is."""

import itertools
import os
from pathlib import Path

from minimodels.errors import InputError
from minimodels.text.bpe import BPETokenizer
from minimodels.text.characters import CharTokenizer
from minimodels.text.gpt2 import SOURCES, GPT2Tokenizer
from minimodels.text.tokenizer import Tokenizer


def load_tokenizer(folder: str | os.PathLike[str]) -> Tokenizer:
    """Read the tokenizer in a folder; by the files there it is known which one wrote them.

    Args:
        folder: of a model or of a tokenizer.

    Raises:
        InputError: there is no such folder, no tokenizer in it, or a damaged one.

    See: tests/text/test_loading.py

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> CharTokenizer("abc").save_pretrained(folder)
        >>> load_tokenizer(folder)
        CharTokenizer(3 tokens)
    """
    path = Path(folder)
    if not path.is_dir():
        raise InputError(f"{path}: there is no such folder; give one that a tokenizer was saved in.")
    kinds: dict[type[Tokenizer], tuple[str, ...]] = {
        BPETokenizer: BPETokenizer.FILES,
        CharTokenizer: CharTokenizer.FILES,
        GPT2Tokenizer: SOURCES,
    }
    for kind, names in kinds.items():
        if any((path / name).is_file() for name in names):
            return kind.from_pretrained(path)
    wanted = ", ".join(itertools.chain(*kinds.values()))
    raise InputError(f"{path}: holds no tokenizer, as it has none of {wanted}.")
