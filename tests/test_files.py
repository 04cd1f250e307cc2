"""Files are whole or not there."""

import errno
import json
import os
import stat
import threading
from pathlib import Path

import pytest

from minimodels.files import replacing, write_json


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
            temporary.chmod(0o600)  # as some libraries make their files
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_what_is_flushed_is_open_for_writing(tmp_path, monkeypatch):
    """Windows flushes nothing that was opened for reading alone; a folder can be opened in no other way."""
    opened, system_open = {}, os.open

    def remember(path, flags, *args, **options):
        opened[Path(path).suffix] = flags
        return system_open(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", remember)
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
    assert opened[".part"] & os.O_ACCMODE == os.O_RDWR


@pytest.mark.skipif(os.name != "posix", reason="folders are flushed on POSIX alone")
def test_a_file_system_that_cannot_flush_a_folder_keeps_the_file(tmp_path, monkeypatch):
    flush = os.fsync

    def refuse(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        flush(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "a").read_text() == "x"


def test_the_mask_of_the_process_is_never_touched(tmp_path, monkeypatch):
    """It belongs to all threads: a file that another one makes meanwhile would get the wrong mode."""
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("umask was called"))
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("x")


def test_threads_that_write_one_file_do_not_disturb_each_other(tmp_path):
    start, found = threading.Barrier(8), []

    def write(number):
        start.wait()
        for _ in range(5):
            write_json(tmp_path / "a", [number] * 1000)
            found.append(len(set(json.loads((tmp_path / "a").read_text()))))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 40
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_full_disk_names_the_file(tmp_path):
    path = tmp_path / "model.bin"
    with pytest.raises(OSError, match="full") as caught, replacing(path) as temporary:
        write_half(temporary)
    assert caught.value.filename == str(path)


def test_json_is_readable_text_without_nan(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"name": "é", "list": [1]})
    assert path.read_bytes().endswith(b"\n  ]\n}\n")
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "é", "list": [1]}
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, float("nan"))
    assert path.read_bytes().startswith(b"{")
