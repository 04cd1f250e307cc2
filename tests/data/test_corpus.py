"""One's own texts: what is read of plain files and of JSON, and what is said of files without text."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimodels.data import read_corpus
from minimodels.errors import InputError

CHINESE = Path(__file__).parents[3] / "shared" / "data" / "chinese"

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["title", "content", "id"]), inner),
)


def write(folder: Path, name: str, value: object) -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def test_plain_text_of_any_name(tmp_path: Path) -> None:
    assert read_corpus(write(tmp_path, "README", "[1]")) == ["[1]"]


def test_a_folder_in_the_order_of_its_names(tmp_path: Path) -> None:
    write(tmp_path, "b.txt", "second")
    write(tmp_path, "a.json", ["first", " "])
    write(tmp_path, "c.jsonl", '{"text": "third"}\n\n"fourth"\n')
    write(tmp_path, "LICENSE", "not read")
    (tmp_path / "inside").mkdir()
    write(tmp_path / "inside", "d.txt", "not looked into")
    assert read_corpus(tmp_path) == ["first", "second", "third", "fourth"]


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (["one", "two"], ["one", "two"]),
        ("alone", ["alone"]),
        ({"text": "one"}, ["one"]),
        ([{"paragraphs": ["a", "b"], "title": "T", "tags": ["x"], "id": 3}], ["T\na\nb"]),
        ({"title": "Book", "content": [{"chapter": "1", "paragraphs": ["a"]}, {"text": "b"}]}, ["Book", "1\na", "b"]),
        ({"title": "Book", "content": {"text": "in it"}}, ["Book", "in it"]),
        ({"content": ["a", [["b"]], {"text": "c"}, 5, None]}, ["a", "b", "c"]),
        ([{"text": "half \ud83d a sign"}], ["half ? a sign"]),
    ],
)
def test_what_is_read_of_json(tmp_path: Path, value: object, texts: list[str]) -> None:
    assert read_corpus(write(tmp_path, "x.json", json.dumps(value))) == texts


@given(value=VALUES)
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    write(folder, "a.txt", "something")
    write(folder, "b.json", json.dumps(value))
    first, *rest = read_corpus(folder)
    assert first == "something"
    assert all(text.strip() for text in rest)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.txt", b"", r"x.txt: holds no text; give something to read."),
        ("x.txt", b" \n", r"holds no text"),
        ("x.txt", b"caf\xe9", r"line 1: byte 3 \(0xe9\) is not UTF-8"),
        ("x.json", b"{", r"x.json: is not JSON \(.*\); repair it"),
        ("x.json", b"[" * 100_000, r"x.json: is not JSON"),
        ("x.json", b"[" * 500 + b"]" * 500, r"holds no text|is not JSON"),
        ("x.json", b'{"id": 5, "tags": ["a"]}', r"holds no text"),
        ("x.jsonl", b'"a"\n\n{', r"x.jsonl, line 3: is not JSON"),
    ],
)
def test_files_without_text(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_corpus(tmp_path / name)


def test_no_file_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_corpus(tmp_path / "nowhere")
    write(tmp_path, "photo.png", "x")
    with pytest.raises(InputError, match=r"has no .txt, .json or .jsonl file"):
        read_corpus(tmp_path)


@pytest.mark.skipif(not CHINESE.is_dir(), reason="needs ../shared/data/chinese")
def test_chinese_books() -> None:
    texts = read_corpus(CHINESE)
    assert len(texts) == 926
    assert "在嶽詠蟬\n駱賓王\n西陸蟬聲唱，南冠客思侵。\n那堪玄鬢影，來對白頭吟。" in "".join(texts)
    assert not any("唐诗三百首" in text for text in texts)  # a tag
