"""What cannot be read is said in one sentence."""

from pathlib import Path

import pytest

from minimodels.errors import InputError
from minimodels.text.reading import checked, read_json, read_text


def test_what_is_whole_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes('{"a": "é"}'.encode())
    assert read_text(tmp_path / "a") == '{"a": "é"}'
    assert read_json(tmp_path / "a") == {"a": "é"}
    assert checked("🙂") == "🙂"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b" \n", "is empty"),
        (b"ab\xff", "is not UTF-8 text (byte 2)"),
        (b"{", "is not JSON (Expecting property name"),
        (b"[" * 100_000, "is not JSON ("),
    ],
)
def test_what_is_damaged_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_json(tmp_path / "a")
    assert str(caught.value).startswith(f"{tmp_path / 'a'}: {sentence}")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read \("):
        read_text(tmp_path)
