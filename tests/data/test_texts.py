"""Labelled texts: what is read, what is refused with its place, and how a tenth is held out."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.data.texts import TextSet, decoded, joined, read_folders, read_text, read_tsv, split, windows
from minimodels.errors import InputError


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("heading", ["", "sentence\tlabel\n", "text\tLabel\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_table_of_texts(tmp_path: Path, heading: str, mark: str) -> None:
    path = written(tmp_path / "a.tsv", f"{mark}{heading}a tab\tinside\t1\nschön 好\t0\n")
    assert read_tsv(path, ("bad", "good")).texts == ["a tab\tinside", "schön 好"]
    assert read_tsv(path).labels.tolist() == [1.0, 0.0]
    assert read_tsv(path, ("bad", "good")).names == ("bad", "good")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("good\t1\nbad 0\n", "a.tsv, line 2: has no tab"),
        ("good\t1\nbad\t2\n", "a.tsv, line 2: the label is '2'; it has to be 0 or 1."),
        ("good\t1\nbad\t\n", "a.tsv, line 2: the label is ''"),
        ("good\t1\n \t0\n", "a.tsv, line 2: the text is empty"),
        ("", "a.tsv: holds no text"),
        ("sentence\tlabel\n", "a.tsv: holds no text"),
        (b"good\t1\ncaf\xe9\t0\n", "a.tsv, line 2: byte 10 (0xe9) is not UTF-8; save the file as UTF-8."),
        (b"\xef\xbb\xbfa\xff\t0\n", "a.tsv, line 1: byte 4 (0xff) is not UTF-8"),
    ],
)
def test_a_table_that_cannot_be_used_names_the_place(tmp_path: Path, content: str | bytes, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        read_tsv(written(tmp_path / "a.tsv", content))
    assert sentence in str(caught.value)


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.tsv", tmp_path):
        with pytest.raises(InputError, match="there is no such file; give the path of a text file"):
            read_text(path)


def test_two_folders(tmp_path: Path) -> None:
    for name, text in (("pos/2.txt", "fine"), ("pos/10.txt", "great"), ("neg/1.txt", "dull"), ("unsup/1.txt", "hm")):
        written(tmp_path / name, text)
    written(tmp_path / "notes" / "read.me", "no text")
    texts, labels, names = read_folders(tmp_path)
    assert (texts, labels.tolist(), names) == (["dull", "great", "fine"], [0.0, 1.0, 1.0], ("neg", "pos"))


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "needs two folders of .txt files, one for each kind, but has none"),
        ({"a/1.txt": "x"}, "but has a."),
        ({"a/1.txt": "x", "b/1.txt": "x", "c/1.txt": "x"}, "but has a, b, c."),
        ({"a/1.txt": "x", "b/1.txt": " \n"}, "1.txt: the text is empty"),
        ({"a/1.txt": "x", "b/1.txt": b"\x80"}, "1.txt, line 1: byte 0 (0x80) is not UTF-8"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path: Path, files: dict[str, str | bytes], sentence: str) -> None:
    for name, content in files.items():
        written(tmp_path / name, content)
    with pytest.raises(InputError) as caught:
        read_folders(tmp_path)
    assert sentence in str(caught.value)
    with pytest.raises(InputError, match="there is no such folder"):
        read_folders(tmp_path / "nowhere")


@given(st.binary(max_size=30))
def test_decoding_is_pythons_or_names_the_first_wrong_byte(raw: bytes) -> None:
    try:
        expected = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        with pytest.raises(InputError) as caught:
            decoded(raw, "x")
        place = int(str(caught.value).split("byte ")[1].split()[0])
        raw[:place].decode("utf-8", "strict") if not raw.startswith(b"\xef\xbb\xbf") else None
        assert f"(0x{raw[place]:02x})" in str(caught.value)
    else:
        assert decoded(raw, "x") == expected


@given(zeros=st.integers(10, 60), ones=st.integers(10, 60), seed=st.integers(0, 5))
def test_a_tenth_of_either_kind_is_held_out_and_nothing_is_lost(zeros: int, ones: int, seed: int) -> None:
    texts = [str(number) for number in range(zeros + ones)]
    whole = TextSet(texts, torch.tensor([0.0] * zeros + [1.0] * ones), ("a", "b"))
    train, test = split(whole, seed)
    assert sorted(train.texts + test.texts, key=int) == texts
    assert [int((test.labels == label).sum()) for label in (0, 1)] == [zeros // 10, ones // 10]
    for part in (train, test):
        assert [int(text) >= zeros for text in part.texts] == part.labels.bool().tolist()
        assert part.names == ("a", "b")
    assert split(whole, seed)[1].texts == test.texts


def test_too_few_to_hold_any_out() -> None:
    with pytest.raises(InputError, match="9 texts with label 1: too few"):
        split(joined([["x"] * 10, ["y"] * 9], ("a", "b")))


@given(text=st.text("ab \n", max_size=40), size=st.integers(1, 7))
def test_windows_are_whole_and_in_order(text: str, size: int) -> None:
    pieces = list(windows(text, size))
    assert all(len(piece) == size and piece.strip() for piece in pieces)
    every = [text[i : i + size] for i in range(0, len(text), size)]
    assert pieces == [piece for piece in every if len(piece) == size and not piece.isspace()]


@pytest.mark.parametrize("sign", ["\x85", "\u2028", "\x0b", "\x0c", "\x1c"])
def test_a_line_ends_where_an_editor_ends_it(sign, tmp_path):
    path = written(tmp_path / "a.tsv", f"good{sign}indeed\t1\r\nbad\t0\n")
    assert read_tsv(path).texts == [f"good{sign}indeed", "bad"]
