"""Real files, where they are: GPT-2's published vocabulary, and texts in English and Chinese."""

from pathlib import Path

import pytest

from minimodels.text import GPT2Tokenizer

SHARED = Path(__file__).parents[3] / "shared" / "data"


def real(name: str) -> Path:
    if not (SHARED / name).exists():
        pytest.skip(f"../shared/data/{name} is not here")
    return SHARED / name


@pytest.fixture(scope="session")
def published() -> Path:
    """The folder of GPT-2's encoder.json, vocab.bpe and r50k_base.tiktoken."""
    return real("gpt2-bpe")


@pytest.fixture(scope="session")
def gpt2(published: Path) -> GPT2Tokenizer:
    """GPT-2's tokenizer."""
    return GPT2Tokenizer.from_tiktoken(published / "r50k_base.tiktoken")


@pytest.fixture(scope="session")
def chinese() -> str:
    """Classical Chinese, some 200,000 characters, and the JSON around them."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(real("chinese").glob("*.json")))


@pytest.fixture(scope="session")
def shakespeare() -> str:
    """A million characters of English."""
    return real("tinyshakespeare/input.txt").read_text(encoding="utf-8")
