"""Files are whole or not there."""

import os
import stat

import pytest

from minimodels.files import replacing


def test_the_old_content_stays_until_the_new_is_whole(tmp_path):
    path = tmp_path / "folder" / "model.bin"
    with replacing(path) as temporary:
        temporary.write_bytes(b"first")
        assert not path.exists()
    with replacing(path) as temporary:
        temporary.write_bytes(b"second")
        assert path.read_bytes() == b"first"
    assert path.read_bytes() == b"second"
    assert [file.name for file in path.parent.iterdir()] == ["model.bin"]


def write_half(path):
    path.write_bytes(b"hal")
    raise OSError(28, "the disk is full")


def test_a_failure_leaves_everything_as_it_was(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="full"), replacing(path) as temporary:
        write_half(temporary)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["model.bin"]


def test_the_file_has_an_ordinary_mode(tmp_path):
    mask = os.umask(0o022)
    try:
        with replacing(tmp_path / "a") as temporary:
            temporary.write_text("x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644
