"""A folder's files say which tokenizer wrote them."""

from pathlib import Path

import pytest

from minimodels.errors import InputError
from minimodels.text import CharTokenizer, GPT2Tokenizer, Tokenizer, load_tokenizer, train_bpe

TRAINED = train_bpe("to be or not to be", 260)


@pytest.mark.parametrize(
    "tokenizer", [CharTokenizer("tobe "), TRAINED, GPT2Tokenizer(TRAINED.ranks)], ids=lambda each: type(each).__name__
)
def test_every_kind_is_recognised(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    found = load_tokenizer(tmp_path)
    assert type(found) is type(tokenizer)
    assert found.encode("to be") == tokenizer.encode("to be")
    assert {path.name for path in tmp_path.iterdir()} == set(tokenizer.FILES)


def test_published_files_are_gpt2(published: Path) -> None:
    found = load_tokenizer(published)
    assert type(found) is GPT2Tokenizer
    assert found.encode("Hello world") == [15496, 995]


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no tokenizer, as it has none of bpe\.json, .*vocab\.json"):
        load_tokenizer(tmp_path)
    with pytest.raises(InputError, match="there is no such folder"):
        load_tokenizer(tmp_path / "none")


def test_half_a_tokenizer_is_named(tmp_path: Path) -> None:
    TRAINED.save_pretrained(tmp_path)
    (tmp_path / "bpe.json").unlink()
    with pytest.raises(InputError, match=r"bpe\.json: cannot be read"):
        load_tokenizer(tmp_path)
