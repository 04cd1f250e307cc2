"""The commands: what they print, their status, and one sentence for everything that can go wrong."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from minimodels import __version__
from minimodels.checkpoint import States, save_model, weights
from minimodels.cli import main
from minimodels.data import ImageSet, load_digits
from minimodels.models import ConvNet
from minimodels.recipes import pictures
from minimodels.recipes.cnn import CNNSettings
from minimodels.recipes.runs import write_config
from minimodels.training import Trainer
from tests.commands import refused

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with an untrained model."""
    folder = tmp_path_factory.mktemp("runs") / "cnn-digits"
    torch.manual_seed(0)
    save_model(folder / "model.safetensors", ConvNet())
    write_config(folder / "config.json", "cnn", CNNSettings(device="cpu"))
    return folder


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = load_digits()
    few = (ImageSet(train.images[:32], train.labels[:32]), ImageSet(test.images[:20], test.labels[:20]))
    monkeypatch.setattr(pictures, "load_data", lambda chosen: few)


def shell(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, **options)  # type: ignore


@pytest.mark.usefixtures("few_digits")
def test_train_evaluate_predict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    out = tmp_path / "run"
    assert main(["train", "cnn", "--epochs", "1", "--batch-size=16", "--device=cpu", "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("test accuracy ")
    assert main(["evaluate", str(out), "--threads", str(torch.get_num_threads())]) == 0
    assert capsys.readouterr().out.startswith("digits: test accuracy ")
    _, test = load_digits()
    Image.fromarray((255 * test.images[0, 0]).byte().numpy()).save(tmp_path / "a.png")
    picture = str(tmp_path / "a.png")
    for words in ([picture, picture, "--device", "cpu"], [picture, "--device", "cpu", picture], ["--device=cpu"]):
        assert main(["predict", str(out), *words]) == (0 if picture in words else 2)
        assert len(capsys.readouterr().out.splitlines()) == words.count(picture)


@pytest.mark.usefixtures("few_digits")
def test_a_config_file_and_flags_that_win(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text('{"epochs": 2, "seed": 5, "batch_size": 16}')
    config = str(tmp_path / "mine.json")
    assert main(["train", "cnn", "--config", config, "--epochs", "1", "--out", str(tmp_path / "run")]) == 0
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (written["epochs"], written["seed"], written["lr"]) == (1, 5, 2e-3)


def test_the_three_front_doors_are_one() -> None:
    answers = [
        shell("-m", "minimodels", "train", "cmn"),
        shell(ROOT / "train.py", "cmn"),
        shell("-c", "import sys; from minimodels.cli import main; sys.exit(main())", "train", "cmn"),
    ]
    for answer in answers:
        assert answer.returncode == 2
        assert answer.stdout == ""
        assert answer.stderr.startswith("minimodels: recipe cmn: there is none of this name, only cnn, resnet, lstm")
        assert answer.stderr.endswith("; did you mean cnn?\n")


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"minimodels {__version__}\n"
    for words in (
        ["--help"],
        ["-h"],
        ["train", "--help"],
        ["evaluate", "--help"],
        ["predict", "-h"],
        ["generate", "-h"],
    ):
        assert main(words) == 0
        assert capsys.readouterr().out.startswith("usage: minimodels ")
    for words in ([], ["train"]):
        assert main(words) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("usage: minimodels ")
    assert "cnn" in err


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_help_of_a_run(command: str, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, str(finished), "--help"]) == 0
    out = capsys.readouterr().out
    assert "--device" in out
    assert "--lr" not in out


def test_help_of_a_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "cnn", "--help"]) == 0
    assert "--lr" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["train", "--help"], ["predict", "-h"], ["trian"]])
def test_what_commands_there_are_is_said_without_pytorch(words: list[str]) -> None:
    code = f"import sys, minimodels.cli; minimodels.cli.main({words}); print('torch' in sys.modules)"
    assert shell("-c", code).stdout.endswith("False\n")


def test_help_of_a_recipe_does_not_wait_for_matplotlib() -> None:
    code = """
import sys, minimodels.cli
minimodels.cli.main(["train", "cnn", "--help"])
print("matplotlib" in sys.modules)
"""
    assert shell("-c", code).stdout.endswith("False\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["trian", "cnn"],
            "trian: there is no such command, only train, evaluate, predict or generate; did you mean train?",
        ),
        (["xyzzy"], "xyzzy: there is no such command, only train, evaluate, predict or generate."),
        (
            ["train", "cmn"],
            "recipe cmn: there is none of this name, only cnn, resnet, lstm, char-lstm or gpt; did you mean cnn?",
        ),
        (["train", "cnn", "--epoch", "3"], "--epoch: minimodels train cnn does not take this; did you mean --epochs?"),
        (["train", "cnn", "--epochs"], "--epochs: expected one argument"),
        (["train", "cnn", "--batch-size", "0"], "--batch-size 0: must be at least 1."),
        (["train", "cnn", "--lr", "nan"], "--lr nan: must be a finite number."),
        (["train", "cnn", "--lr", "-0.1"], "--lr -0.1: must be above 0."),
        (
            ["train", "cnn", "--data", "minst"],
            "--data minst: choose digits, mnist or fashion-mnist; did you mean mnist?",
        ),
        (["train", "cnn", "--device", "gpu"], "--device gpu: there is no such device here; choose --device"),
        (["train", "cnn", "--data", "mnist", "--data-dir", "no/where"], "--data-dir"),
        (["train", "cnn", "--config", "no.json"], "no.json: there is no such file"),
        (["evaluate"], "minimodels evaluate: name a run folder first"),
        (["evaluate", "no/run"], "no/run: is not the folder of a run"),
        (["predict", "--device", "cpu"], "minimodels predict: name a run folder first"),
    ],
)
def test_bad_words(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in refused(capsys, *words)


def test_bad_words_about_a_run(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "INPUT" in refused(capsys, "predict", finished)
    assert "-none.png: there is no such file" in refused(capsys, "predict", finished, "--", "-none.png")
    assert "none.png: there is no such file" in refused(capsys, "predict", finished, "none.png")
    (tmp_path / "text.png").write_text("no picture")
    assert "text.png: not a readable picture" in refused(capsys, "predict", finished, tmp_path / "text.png")
    assert "--data digts: choose" in refused(capsys, "evaluate", finished, "--data", "digts")
    assert "does not take this" in refused(capsys, "evaluate", finished, "--lr", "1")
    assert "--data-dir" in refused(capsys, "evaluate", finished, "--data", "mnist", "--data-dir", tmp_path / "none")


def test_a_run_of_a_device_that_is_not_here(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.safetensors").write_bytes((finished / "model.safetensors").read_bytes())
    write_config(tmp_path / "config.json", "cnn", CNNSettings(device="cuda:99"))
    sentence = refused(capsys, "evaluate", tmp_path)
    assert "--device cuda:99: there is no such device here; choose --device auto, --device cpu" in sentence


@pytest.mark.parametrize("damage", ["truncated", "flipped", "other model", "noise", "empty", "no numbers"])
def test_a_checkpoint_that_cannot_be_used(
    damage: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = (finished / "model.safetensors").read_bytes()
    path = tmp_path / "model.safetensors"
    write_config(tmp_path / "config.json", "cnn", CNNSettings(device="cpu"))
    match damage:
        case "truncated":
            path.write_bytes(good[:-100])
        case "flipped":
            path.write_bytes(good[:-100] + bytes([good[-100] ^ 1]) + good[-99:])
        case "other model":
            save_model(path, ConvNet(classes=26))
        case "noise":
            path.write_bytes(os.urandom(1000))
        case "no numbers":
            spoiled = ConvNet()
            spoiled.classifier[2].bias.data[3] = torch.nan
            save_model(path, spoiled)
        case _:
            path.touch()
    sentence = refused(capsys, "evaluate", tmp_path)
    assert str(path) in sentence
    if damage == "other model":
        assert "classifier.2.weight [26, 64] in the file but [10, 64] in the model" in sentence


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize("victim", ["save_file", "csv", "png"])
def test_a_full_disk(
    victim: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    match victim:
        case "save_file":
            monkeypatch.setattr(weights, "save_file", full)
        case "csv":
            monkeypatch.setattr("csv.DictWriter.writerows", full)
        case _:
            monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    sentence = refused(capsys, "train", "cnn", "--epochs", "1", "--batch-size", "16", "--out", tmp_path / "run")
    written = {"save_file": "model.safetensors", "csv": "metrics.csv", "png": "curves.png"}
    assert str(tmp_path / "run" / written[victim]) in sentence
    assert (tmp_path / "run" / "summary.json").exists() == (victim == "png")
    assert "no space left on device; free some space or choose another disk with --out." in sentence
    assert not [path.name for path in (tmp_path / "run").iterdir() if path.name.endswith((".part", ".tmp"))]


@pytest.mark.usefixtures("few_digits")
def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    sentence = refused(capsys, "train", "cnn", "--batch-size", "16", "--out", tmp_path / "file" / "run")
    assert "not a directory; check the path." in sentence


@pytest.mark.usefixtures("few_digits")
def test_ctrl_c_in_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "fit", stop)
    sentence = refused(capsys, "train", "cnn", "--batch-size", "16", "--out", tmp_path / "run")
    assert sentence == (
        f"minimodels: Stopped by Ctrl-C: go on with `minimodels train cnn --out {tmp_path / 'run'} --resume`; "
        f"{tmp_path / 'run'} keeps its settings."
    )
    monkeypatch.setattr(pictures, "load_data", stop)
    assert refused(capsys, "train", "cnn", "--out", tmp_path / "next") == "minimodels: Stopped by Ctrl-C."


@pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent to a process of its own only on POSIX")
def test_ctrl_c_stops_a_real_run_with_one_sentence(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, str(ROOT / "train.py"), "cnn", "--out", str(out), "--threads", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while not process.stdout.readline().startswith("epoch"):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    run = re.escape(str(out))
    said = rf"go on with `minimodels train cnn --out {run} --resume`; {run} keeps the run as it was after step (\d+)\."
    found = re.fullmatch(rf"minimodels: Stopped by Ctrl-C: {said}\n", err)
    assert found is not None, err
    assert main(["evaluate", str(out)]) == 0
    state = States(out / "checkpoints").load()
    assert int(found[1]) == state["step"] == 23 * state["epoch"] + state["batch"]


SLOW_TORCH = """
import sys, time
print("importing", flush=True)
try:
    time.sleep(60)
except BaseException:
    raise ImportError("whatever a library makes of it") from None
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent to a process of its own only on POSIX")
@pytest.mark.parametrize("door", [["-m", "minimodels", "train"], [str(ROOT / "train.py")]])
def test_ctrl_c_while_pytorch_is_imported_is_one_sentence(door: list[str], tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(SLOW_TORCH)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    process = subprocess.Popen(
        [sys.executable, *door, "cnn"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a shell ignores in the background
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (2, "minimodels: Stopped by Ctrl-C.\n")


@pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent to a process of its own only on POSIX")
def test_ctrl_c_at_the_end_of_the_process_says_nothing_more() -> None:
    code = "import atexit, os, signal, sys; atexit.register(os.kill, os.getpid(), signal.SIGINT)"
    answer = shell("-c", f"{code}; from minimodels.cli import main; sys.exit(main(['xyz']))")
    assert answer.returncode == 2
    assert answer.stderr.startswith("minimodels: xyz: ")
    assert len(answer.stderr.splitlines()) == 1


@pytest.mark.parametrize("hidden", [10**8, 10**13])
def test_a_model_that_no_machine_can_hold(hidden: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.txt").write_text("a text to learn from\n" * 20)
    words = ["train", "char-lstm", "--data", tmp_path / "text.txt", "--out", tmp_path / "run", "--hidden", hidden]
    sentence = refused(capsys, *words)
    assert sentence.startswith("minimodels: out of memory (")
    assert sentence.endswith("): ask for less, or take a machine with more.")


@pytest.mark.skipif(os.name != "posix", reason="pipes break this way only on POSIX")
def test_a_reader_that_goes_away_gets_no_traceback() -> None:
    command = f"{{ sleep 0.5; {sys.executable} -m minimodels --help; }} | true; exit ${{PIPESTATUS[0]}}"
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, check=False)
    assert answer.stderr == ""
    assert answer.returncode == 2
