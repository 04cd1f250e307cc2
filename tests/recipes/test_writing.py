"""`minimodels generate`: with published models and with those of a run, streamed and whole."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from minimodels import GPT2Config, GPT2LMHeadModel, MistralConfig, MistralForCausalLM
from minimodels.cli import main
from minimodels.errors import InputError
from minimodels.recipes import writing
from minimodels.recipes.char_lstm import CharLSTMSettings
from minimodels.recipes.recipe import find_recipe
from minimodels.recipes.runs import write_config
from minimodels.text import CharTokenizer, GPT2Tokenizer

ROOT = Path(__file__).parents[2]
PROMPT = "从前有座山"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small GPT-2 that reads bytes."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=257, n_positions=64, n_embd=8, n_layer=1, n_head=2, bos_token_id=256, eos_token_id=256
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    GPT2Tokenizer({bytes([byte]): byte for byte in range(256)}).save_pretrained(folder)
    return folder


def generate(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["generate", *map(str, words), "--device", "cpu"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["generate", *map(str, words)]) == 2
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    (line,) = err.splitlines()
    return line.removeprefix("minimodels: ")


def test_a_text_begins_with_its_prompt(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = generate(capsys, published, "--prompt", PROMPT, "--max-new-tokens", 20, "--seed", 0)
    assert text.startswith(PROMPT)
    assert len(text) > len(PROMPT) + 1
    assert text == generate(capsys, published, "--prompt", PROMPT, "--max-new-tokens", 20, "--seed", 0)


@pytest.mark.parametrize("flags", [["--seed", 3], ["--temperature", 0], ["--top-k", 5, "--top-p", 0.9, "--seed", 1]])
def test_streamed_it_is_the_same(published: Path, flags: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    words = [published, "--prompt", PROMPT, "--max-new-tokens", 30, *flags]
    assert generate(capsys, *words, "--stream") == generate(capsys, *words)


def test_the_flags_are_the_arguments(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, tokenizer = GPT2LMHeadModel.from_pretrained(published), GPT2Tokenizer.from_pretrained(published)
    ids = tokenizer.encode("ab", return_tensors="pt")
    for words, arguments in {
        "--temperature 0": {},
        "--temperature 0 --repetition-penalty 1.3": {"repetition_penalty": 1.3},
        "--num-beams 3 --length-penalty 2": {"num_beams": 3, "length_penalty": 2.0},
        "--seed 4": {"do_sample": True, "temperature": 0.8, "seed": 4},
        "--seed 4 --temperature 1.5 --min-p 0.1": {"do_sample": True, "temperature": 1.5, "min_p": 0.1, "seed": 4},
    }.items():
        (expected,) = model.generate(ids, max_new_tokens=10, **arguments)
        text = generate(capsys, published, "--prompt", "ab", "--max-new-tokens", 10, *words.split())
        assert text == tokenizer.decode(expected, skip_special_tokens=True) + "\n"


def test_several_texts(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--prompt", "ab", "--max-new-tokens", 5, "--seed", 0, "--num-return-sequences", 2]
    out = generate(capsys, published, *words)
    assert out.startswith("--- 1 of 2\nab")
    assert "\n--- 2 of 2\nab" in out


def test_where_a_text_begins_and_stops(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "prompt.txt").write_text(PROMPT + "\n", encoding="utf-8")
    words = ["--max-new-tokens", 8, "--temperature", 0]
    assert generate(capsys, published, "--prompt-file", tmp_path / "prompt.txt", *words).startswith(PROMPT + "\n")
    words = ["--max-new-tokens", 8, "--seed", 0]
    assert len(generate(capsys, published, *words)) > 1  # it begins by itself
    whole = generate(capsys, published, "--prompt", "ab", *words)
    stop = next(character for character in whole[3:] if character.isalnum())
    text = generate(capsys, published, "--prompt", "ab", *words, "--stop", stop)
    assert text == whole[: whole.index(stop, 2) + 1] + "\n"


@pytest.mark.parametrize("flags", [[], ["--stream"]])
def test_where_nobody_says_how_long_it_is_as_long_as_the_model_reads(
    flags: list[str], published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [published, "--prompt", "ab", "--seed", 0, *flags]
    text = generate(capsys, *words)
    assert text == generate(capsys, *words, "--max-new-tokens", 62)
    assert refused(capsys, published, "--prompt", "a" * 64).startswith("the prompt has 64 tokens and the model reads")


def test_a_folder_with_any_tokenizer_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ends = {"bos_token_id": None, "eos_token_id": None}
    config = GPT2Config(vocab_size=3, n_positions=8, n_embd=8, n_layer=1, n_head=2, **ends)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    CharTokenizer("abc").save_pretrained(tmp_path)
    text = generate(capsys, tmp_path, "--prompt", "ab", "--seed", 0)
    assert text.startswith("ab")
    assert set(text) <= set("abc\n")


def test_every_model_that_reads_published_folders_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {"vocab_size": 3, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    config = MistralConfig(**sizes, num_attention_heads=2, num_key_value_heads=1, bos_token_id=None, eos_token_id=None)
    MistralForCausalLM(config).save_pretrained(tmp_path)
    CharTokenizer("abc").save_pretrained(tmp_path)
    assert generate(capsys, tmp_path, "--prompt", "ab", "--max-new-tokens", 3, "--seed", 0).startswith("ab")


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # within PyTorch
def test_a_compiled_model_writes_the_same(
    published: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    def compiled(model: torch.nn.Module, **arguments: object) -> None:
        asked.append(arguments)
        torch.nn.Module.compile(model, backend="aot_eager", **arguments)

    words = published, "--prompt", PROMPT, "--max-new-tokens", 6, "--seed", 0
    expected = generate(capsys, *words)
    monkeypatch.setattr(GPT2LMHeadModel, "compile", compiled)
    assert generate(capsys, *words, "--compile") == expected
    assert asked == [{"dynamic": True}]


def test_without_a_compiler_the_flag_is_named(
    published: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor.exc import InductorError, InvalidCxxCompiler

    def missing(*args: object, **arguments: object) -> None:
        raise InductorError(InvalidCxxCompiler(), None)

    monkeypatch.setattr(GPT2LMHeadModel, "compile", lambda model, **_: setattr(model, "_compiled_call_impl", missing))
    sentence = refused(capsys, published, "--device", "cpu", "--max-new-tokens", 2, "--compile")
    assert sentence.startswith("--compile: torch.compile does not succeed here (")


def test_type_and_threads(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = writing.WritingSettings(device="cpu", dtype="bfloat16")
    assert next(writing.load(str(published), chosen).model.parameters()).dtype == torch.bfloat16
    generate(capsys, published, "--dtype", "bfloat16", "--threads", torch.get_num_threads(), "--max-new-tokens", 2)


def test_the_model_of_a_run(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.safetensors").touch()
    write_config(tmp_path / "config.json", "char-lstm", CharLSTMSettings())
    with pytest.raises(
        InputError, match="the recipe char-lstm trains no model for minimodels generate; see minimodels"
    ):
        writing.run([str(tmp_path)])

    def language_model(folder: Path, chosen: CharLSTMSettings) -> writing.Writer:
        assert (folder, chosen.device) == (tmp_path, "cpu")
        return writing.load(str(published), writing.WritingSettings(device="cpu"))

    recipe = replace(find_recipe("char-lstm"), language_model=language_model)
    monkeypatch.setattr(writing, "find_recipe", lambda name: recipe)
    (text,) = writing.run([str(tmp_path), "--prompt", "ab", "--device", "cpu", "--max-new-tokens", "3"])
    assert text.startswith("ab")


def test_what_is_refused(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text(json.dumps({"model_type": "bert"}))
    for words, sentence in {
        (): "the following arguments are required: MODEL",
        (tmp_path,): f"{tmp_path}: has no config.json",
        (tmp_path / "other",): f"{tmp_path / 'other' / 'config.json'}: has the model_type bert; models that write are",
        (published, "--prompts", "a"): "--prompts: minimodels generate does not take this; did you mean --prompt?",
        (published, "--prompt", "a", "--prompt-file", "b"): "--prompt and --prompt-file: both say what to go on with",
        (published, "--prompt-file", tmp_path / "empty.txt"): f"--prompt-file {tmp_path / 'empty.txt'}: is empty",
        (published, "--prompt-file", "none.txt"): "none.txt: there is no such file",
        (published, "--temperature", "-1"): "--temperature -1: must be at least 0.",
        (published, "--top-p", "1.5"): "--top-p 1.5: must be at most 1.",
        (published, "--top-k", "5", "--temperature", "0"): "--top-k: changes nothing where the likeliest token",
        (published, "--top-k", "5", "--num-beams", "2"): "--top-k: changes nothing where the likeliest token",
        (published, "--stream", "--num-return-sequences", "2"): "--stream: prints one text, not several",
        (published, "--stream", "--num-beams", "2"): "num_beams: beam search cannot be streamed",
        (published, "--prompt", "a", "--max-new-tokens", "64"): "max_new_tokens 64: with a prompt of 1 tokens that is",
        (published, "--device", "gpu"): "--device gpu: there is no such device here",
        (published, "--dtype", "float8"): "--dtype float8: choose float32, bfloat16 or float16",
    }.items():
        assert refused(capsys, *words).startswith(sentence)


@pytest.mark.skipif(os.name != "posix", reason="reads a pipe byte by byte")
def test_a_stream_is_written_at_once_where_there_is_no_terminal(published: Path) -> None:
    command = [sys.executable, "-m", "minimodels", "generate", published, "--prompt", PROMPT, "--stream"]
    command += ["--max-new-tokens", "40", "--seed", "0", "--device", "cpu", "--threads", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        pieces = list(iter(lambda: os.read(process.stdout.fileno(), 1 << 16), b""))
    assert process.returncode == 0
    assert len(pieces) > 3
    assert all(piece.decode() for piece in pieces)  # each is whole characters
