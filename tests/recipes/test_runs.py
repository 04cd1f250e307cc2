"""The run folder: always a new one, and whatever stops a run is said together with its name."""

import threading
from pathlib import Path

import pytest

from minimodels.checkpoint import States
from minimodels.errors import InputError
from minimodels.recipes.cnn import CNNSettings
from minimodels.recipes.runs import (
    CHECKPOINTS,
    CONFIG,
    MODEL,
    PRETRAINED,
    guarded,
    new_run,
    open_run,
    read_config,
)


def test_a_run_never_takes_a_folder_that_holds_something(tmp_path: Path) -> None:
    out = tmp_path / "runs" / "mine"
    first = new_run(out, "cnn", CNNSettings())
    (first / MODEL).write_text("precious")
    folders = [new_run(out, "cnn", CNNSettings(seed=seed)) for seed in (1, 2)]
    assert [folder.name for folder in folders] == ["mine-2", "mine-3"]
    assert (first / MODEL).read_text() == "precious"
    assert read_config(first / CONFIG)[1]["seed"] == 0
    assert read_config(folders[1] / CONFIG)[1]["seed"] == 2


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    assert new_run(tmp_path, "cnn", CNNSettings()) == tmp_path


def test_a_folder_of_somebody_else_is_not(tmp_path: Path) -> None:
    out = tmp_path / "photos"
    out.mkdir()
    (out / "holiday.jpg").write_text("sun")
    assert new_run(out, "cnn", CNNSettings()).name == "photos-2"
    assert [path.name for path in out.iterdir()] == ["holiday.jpg"]


def test_runs_that_start_at_the_same_moment_get_folders_of_their_own(tmp_path: Path) -> None:
    found: list[Path] = []
    start = threading.Barrier(8)

    def begin() -> None:
        start.wait()
        found.append(new_run(tmp_path / "run", "cnn", CNNSettings()))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 8


def test_a_folder_that_another_run_has_just_claimed_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment between looking into an empty folder and writing to it belongs to whoever comes first."""
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(()))
    assert [new_run(tmp_path / "run", "cnn", CNNSettings()).name for _ in range(3)] == ["run", "run-2", "run-3"]


@pytest.mark.parametrize("name", ["", ".", "..", "/"])
def test_a_folder_without_a_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="--out"):
        new_run(Path(name), "cnn", CNNSettings())


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("text")
    with pytest.raises(InputError, match=r"--out .*taken: is a file"):
        new_run(tmp_path / "taken", "cnn", CNNSettings())
    assert (tmp_path / "taken").read_text() == "text"


def test_what_is_no_run_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not the folder of a run"):
        open_run(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is not the folder of a run"):
        open_run(tmp_path)
    (tmp_path / CONFIG).write_text("{}")
    with pytest.raises(InputError, match="does not say which recipe"):
        open_run(tmp_path)
    (tmp_path / CONFIG).write_text('{"recipe": "cnn", "seed": 3}')
    with pytest.raises(InputError, match=r"has no model.safetensors"):
        open_run(tmp_path)
    (tmp_path / MODEL).touch()
    assert open_run(tmp_path) == ("cnn", {"seed": 3})
    (tmp_path / MODEL).unlink()
    (tmp_path / PRETRAINED).mkdir()
    with pytest.raises(InputError, match=r"has no model.safetensors"):
        open_run(tmp_path)
    (tmp_path / PRETRAINED / MODEL).touch()
    assert open_run(tmp_path) == ("cnn", {"seed": 3})


def test_ctrl_c_says_what_is_kept(tmp_path: Path) -> None:
    def stop() -> str:
        with pytest.raises(KeyboardInterrupt) as caught, guarded(tmp_path, "cnn"):
            raise KeyboardInterrupt
        return str(caught.value)

    goes_on = f"go on with `minimodels train cnn --out {tmp_path} --resume`"
    assert stop() == f"Stopped by Ctrl-C: {goes_on}; {tmp_path} keeps its settings."
    States(tmp_path / CHECKPOINTS).save(1200, {})
    assert stop() == f"Stopped by Ctrl-C: {goes_on}; {tmp_path} keeps the run as it was after step 1,200."
