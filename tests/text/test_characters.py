"""One token a character."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimodels.errors import InputError
from minimodels.text import CharTokenizer
from tests.text.strategies import texts


@given(texts.filter(bool))
def test_any_text_of_known_characters_comes_back(text: str) -> None:
    tokenizer = CharTokenizer.train(text)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert len(ids) == len(text)
    assert sorted(set(ids)) == list(range(len(tokenizer)))
    assert tokenizer.characters == sorted(set(text))


def test_it_is_that_of_nanogpt(shakespeare: str) -> None:
    tokenizer = CharTokenizer.train(shakespeare)
    assert tokenizer.vocab_size == len(tokenizer) == 65
    assert tokenizer.encode("hii there") == [46, 47, 47, 1, 58, 46, 43, 56, 43]
    number = {character: place for place, character in enumerate(sorted(set(shakespeare)))}
    assert tokenizer.encode(shakespeare) == [number[character] for character in shakespeare]


def test_several_texts_are_one() -> None:
    assert CharTokenizer.train(iter(["ab", "bc"])).characters == ["a", "b", "c"]


def test_texts_do_not_end() -> None:
    tokenizer = CharTokenizer("ab")
    assert tokenizer.eos_token_id is tokenizer.bos_token_id is tokenizer.pad_token_id is None
    assert tokenizer.get_vocab() == {"a": 0, "b": 1}
    assert tokenizer.convert_ids_to_tokens([1, 0]) == ["b", "a"]
    with pytest.raises(InputError, match="no token to fill the shorter texts with"):
        tokenizer(["a", "ab"], padding=True)
    with pytest.raises(InputError, match="'<s>' is not a special token of this tokenizer; it has none"):
        tokenizer.encode("a", allowed_special={"<s>"})


@given(st.characters(exclude_categories=["Cs"]).filter(lambda c: c not in "ab"), st.integers(0, 3))
def test_a_character_that_is_not_known_is_named(character: str, place: int) -> None:
    with pytest.raises(InputError) as caught:
        CharTokenizer("ab").encode("a" * place + character + "b")
    assert str(caught.value).startswith(
        f"{character!r} (U+{ord(character):04X}) at position {place} is not among the 2 "
    )


@pytest.mark.parametrize("wrong", [-1, 2, None])
def test_numbers_of_no_token_are_named(wrong) -> None:
    with pytest.raises(InputError, match=f"token {wrong} is not in the vocabulary, which has numbers from 0 to 1"):
        CharTokenizer("ab").decode([wrong])


@given(characters=texts.filter(bool).map(lambda text: sorted(set(text))))
def test_what_is_saved_comes_back(tmp_path_factory: pytest.TempPathFactory, characters: list[str]) -> None:
    folder = tmp_path_factory.mktemp("saved")
    CharTokenizer(characters).save_pretrained(folder)
    assert CharTokenizer.from_pretrained(folder).characters == characters


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read (No such file or directory)."),
        (b"", "is empty; get the file again."),
        (b"[]", "is not a vocabulary of characters; save the tokenizer again."),
        (b'{"characters": [1]}', "is not a vocabulary of characters; save the tokenizer again."),
        (b'{"characters": []}', "a vocabulary without characters can encode nothing; give some text."),
        (b'{"characters": ["ab"]}', "a character of the vocabulary is not a single one; give each of them by itself."),
        (b'{"characters": ["a", "a"]}', "a character is twice in the vocabulary; give each of them once."),
        (b'{"characters": ["\\ud800"]}', "the text holds half a surrogate pair, U+D800, at position 0, which is no"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "characters.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        CharTokenizer.from_pretrained(tmp_path)
    assert str(caught.value).startswith(f"{path}: {sentence}")
