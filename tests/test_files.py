"""Files are whole or not there."""

import errno
import json
import os
import stat
import threading
from pathlib import Path

import pytest

from minimodels.files import folders, remove_folder, replacing, replacing_folder, standing, sweep, write_json


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


def fill(folder, text):
    with replacing_folder(folder) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "a.txt").write_text(text)


def content(folder):
    return (standing(folder) / "sub" / "a.txt").read_text()


def test_a_folder_takes_the_place_of_the_old_one_when_it_is_whole(tmp_path):
    folder = tmp_path / "new" / "deep" / "state"
    fill(folder, "first")
    with replacing_folder(folder) as temporary:
        assert content(folder) == "first"
        (temporary / "b").touch()
    assert [path.name for path in folder.iterdir()] == ["b"]
    assert [path.name for path in folder.parent.iterdir()] == ["state"]


def test_a_file_or_a_link_of_that_name_is_replaced_and_what_it_leads_to_stays(tmp_path):
    fill(tmp_path / "elsewhere", "kept")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        fill(tmp_path / name, "new")
        assert content(tmp_path / name) == "new"
    assert content(tmp_path / "elsewhere") == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "file", "link"]


def half(folder):
    with replacing_folder(folder) as temporary:
        write_half(temporary / "a.txt")


def test_a_folder_that_fails_leaves_the_old_one(tmp_path):
    fill(tmp_path / "state", "old")
    with pytest.raises(OSError, match="full") as caught:
        half(tmp_path / "state")
    assert caught.value.filename == str(tmp_path / "state")
    assert content(tmp_path / "state") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_rename_that_fails_puts_the_old_folder_back(tmp_path, monkeypatch):
    fill(tmp_path / "state", "old")
    rename = Path.rename

    def refuse(path, target):
        if path.suffix == ".part":
            raise OSError(errno.EIO, "Input/output error", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="Input/output error") as caught:
        fill(tmp_path / "state", "new")
    assert caught.value.filename == str(tmp_path / "state")
    assert content(tmp_path / "state") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_folder_is_found_between_the_two_renames(tmp_path, monkeypatch):
    fill(tmp_path / "state", "old")
    rename, seen = Path.rename, []

    def watch(path, target):
        seen.append((content(tmp_path / "state"), folders(tmp_path)))
        result = rename(path, target)
        seen.append((content(tmp_path / "state"), folders(tmp_path)))
        return result

    monkeypatch.setattr(Path, "rename", watch)
    fill(tmp_path / "state", "new")
    assert [text for text, _ in seen] == ["old", "old", "old", "new"]
    assert all(found == [tmp_path / "state"] for _, found in seen)


def test_leftovers_are_cleared_away_or_put_back(tmp_path):
    parts = (".a-1.0123abcd.part", ".b-1.0123abcd.part", ".a-3.part")
    for name in (*parts, ".a-1.0123abcd.old", ".a-2.0123abcd.old", "a-2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").touch()
    (tmp_path / ".a-4.0123abcd.part").touch()
    assert folders(tmp_path) == [tmp_path / name for name in (".a-3.part", "a-1", "a-2")]
    sweep(tmp_path, "a-")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a-3.part", ".b-1.0123abcd.part", "a-1", "a-2"]
    sweep(tmp_path / "nothing", "a-")


def test_a_folder_that_is_removed_is_gone_at_once(tmp_path, monkeypatch):
    fill(tmp_path / "state", "old")
    monkeypatch.setattr("shutil.rmtree", lambda *args, **kwargs: None)  # as if the process were killed here
    remove_folder(tmp_path / "state")
    assert folders(tmp_path) == []
    monkeypatch.undo()
    sweep(tmp_path, "state")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="folders are flushed on POSIX alone")
def test_a_folder_is_on_the_disk_before_its_name_is(tmp_path, monkeypatch):
    events, flush, rename = [], os.fsync, Path.rename

    def note_flush(handle):
        events.append(os.fstat(handle).st_ino)
        flush(handle)

    def note_rename(path, target):
        events.append(target.name)
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", note_flush)
        patch.setattr(Path, "rename", note_rename)
        with replacing_folder(tmp_path / "new" / "state") as temporary:
            inner = temporary.stat().st_ino
    assert events == [tmp_path.stat().st_ino, inner, "state", (tmp_path / "new").stat().st_ino]
