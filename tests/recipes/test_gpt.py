"""The GPT recipe: it learns a song and sings it, goes on from models, and says what it cannot use."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from minimodels.cli import main
from minimodels.errors import InputError
from minimodels.models import GPT2Config, GPT2LMHeadModel
from minimodels.recipes import gpt
from minimodels.recipes.gpt import RECIPE, evaluate, language_model, likeliest, predict, train, write
from minimodels.recipes.gpt_data import byte_lengths, fingerprint, load_text, read_tokenizer
from minimodels.recipes.gpt_model import Guess, Guessing, bits_per_byte, optimizer
from minimodels.recipes.gpt_presets import PRESETS
from minimodels.recipes.gpt_settings import GPTSettings
from minimodels.recipes.runs import read_config
from minimodels.text import CharTokenizer, GPT2Tokenizer
from tests.commands import refused

SHARED = Path(__file__).parents[3] / "shared" / "data"
SONG = "la li lu, nur der Mann im Mond schaut zu. " * 40
SMALL = {
    "tokenizer": "char",
    "layers": 1,
    "heads": 2,
    "width": 16,
    "context": 16,
    "steps": 6,
    "eval_every": 3,
    "batch_size": 4,
    "lr": 1e-3,
    "device": "cpu",
}


def needs(folder: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not (SHARED / folder).is_dir(), reason=f"needs ../shared/data/{folder}")


@pytest.fixture(autouse=True)
def quick(no_pictures: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpt, "SAMPLE", 20)
    monkeypatch.setenv("MINIMODELS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def song(tmp_path: Path) -> str:
    path = tmp_path / "song.txt"
    path.write_text(SONG)
    return str(path)


def run(folder: Path, **options: object) -> Path:
    return train(GPTSettings.of({**SMALL, "out": folder, **options}))


def restored(folder: Path) -> GPTSettings:
    return GPTSettings.from_json(read_config(folder / "config.json")[1], "config.json")


def rows(folder: Path, name: str = "metrics.csv") -> list[dict[str, str]]:
    with (folder / name).open() as file:
        return list(csv.DictReader(file))


def test_it_learns_a_song_and_sings_it(tmp_path: Path, song: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = {"steps": 300, "eval_every": 100, "lr": 1e-2, "width": 32, "context": 32}
    options |= {"prompt": "la li lu,", "temperature": 0.1}
    folder = run(tmp_path / "run", data=song, **options)
    out = capsys.readouterr().out
    assert "song.txt: 1,511 tokens to train on, 167 to test with" in out
    assert "step 100/300  loss " in out
    assert "test bits per byte " in out
    assert "tokens/s" in out
    assert "epoch" not in out
    assert "samples" not in out
    assert out.endswith("\nla li lu, nur der Mann im Mon\n")  # the prompt and twenty characters more
    assert (folder / "sample.txt").read_text() == "la li lu, nur der Mann im Mon\n"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["test_loss"] < 0.5
    assert summary["test_bits_per_byte"] == pytest.approx(summary["test_loss"] / math.log(2), rel=1e-6)
    assert summary["steps"] == 300
    assert summary["best_step"] == 300
    assert [row["step"] for row in rows(folder)] == ["100", "200", "300"]
    assert [row["tokens"] for row in rows(folder, "timing.csv")] == ["12800"] * 3
    results = evaluate(folder, restored(folder))
    assert results["loss"] == pytest.approx(summary["test_loss"], rel=1e-6)
    capsys.readouterr()
    assert predict(folder, restored(folder), [("x", "nur der Man"), ("y", "z")]) == ["n", "u"]
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith('x: next "n" (')
    assert " bits a byte" in first
    assert "bits" not in second  # of one character nothing can be guessed


def test_the_same_from_the_command_line(tmp_path: Path, song: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "run")
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    assert main(["train", "gpt", "--data", song, *flags, "--out", out]) == 0
    assert main(["evaluate", out, "--data", song]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("song.txt: test bits per byte ")
    assert main(["predict", out, "--text", "la li", song]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main(["predict", out, "--text", ""]) == 2
    assert "the text is empty" in capsys.readouterr().err
    assert main(["predict", out, "--text", "käse"]) == 2
    assert "is not among the" in capsys.readouterr().err
    assert main(["train", "gpt", "--help"]) == 0
    help = capsys.readouterr().out
    assert "--epochs" not in help
    assert "--eval-every" in help


def test_one_seed_gives_the_same_bytes(tmp_path: Path, song: str) -> None:
    one, two, other = (
        run(tmp_path / name, data=song, seed=seed, dropout=0.3) for name, seed in (("1", 7), ("2", 7), ("3", 8))
    )
    for name in ("metrics.csv", "model/model.safetensors", "sample.txt"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
        assert (one / name).read_bytes() != (other / name).read_bytes()


def test_how_often_it_is_measured_changes_nothing_else(tmp_path: Path, song: str) -> None:
    often, seldom = (run(tmp_path / str(every), data=song, eval_every=every, keep="last") for every in (2, 100))
    assert [row["step"] for row in rows(often)] == ["2", "4", "6"]
    assert [row["step"] for row in rows(seldom)] == ["6"]
    one, other = ((folder / "model" / "model.safetensors").read_bytes() for folder in (often, seldom))
    assert one == other
    mean = sum(float(row["loss"]) for row in rows(often)) / 3
    assert float(rows(seldom)[0]["loss"]) == pytest.approx(mean)


def test_the_last_stretch_may_be_shorter_and_batches_are_accumulated(tmp_path: Path, song: str) -> None:
    folder = run(tmp_path / "run", data=song, steps=5, eval_every=3, accumulate=2)
    assert [row["step"] for row in rows(folder)] == ["3", "5"]
    assert [row["tokens"] for row in rows(folder, "timing.csv")] == [str(3 * 2 * 64), str(2 * 2 * 64)]
    cosine = 0.5 * (1 + math.cos(0.8 * math.pi))  # the fifth step of five
    assert float(rows(folder)[-1]["lr"]) == pytest.approx(1e-4 + 9e-4 * cosine)


def test_the_best_model_is_kept_unless_the_last_one_is_wanted(tmp_path: Path) -> None:
    """The end of the text is another one, so that it is guessed worse and worse."""
    (tmp_path / "x.txt").write_text("ab" * 450 + "ba" * 5 + "aabb" * 20 + "bbaa")
    options = {"steps": 30, "eval_every": 5, "lr": 1e-2, "data": tmp_path / "x.txt"}
    for keep, place in (("best", "best_step"), ("last", None)):
        folder = run(tmp_path / keep, keep=keep, **options)
        losses = [float(row["val_loss"]) for row in rows(folder)]
        best = losses.index(min(losses))
        assert best != len(losses) - 1
        summary = json.loads((folder / "summary.json").read_text())
        kept = losses[best] if place else losses[-1]
        assert summary["test_loss"] == kept
        assert summary.get("best_step") == (5 * best + 5 if place else None)
        assert evaluate(folder, restored(folder))["loss"] == pytest.approx(kept, rel=1e-6)


def test_a_byte_pair_vocabulary_is_learnt_on_the_spot(tmp_path: Path, song: str) -> None:
    folder = run(tmp_path / "run", data=song, tokenizer="bpe", vocab_size=270)
    model, tokenizer = language_model(folder, restored(folder))
    assert isinstance(tokenizer, GPT2Tokenizer)
    assert len(tokenizer) == model.config.vocab_size == 270
    assert len(tokenizer.encode(SONG)) < len(SONG)
    assert model.config.eos_token_id == tokenizer.eos_token_id


def test_the_folder_inside_is_a_published_model(tmp_path: Path, song: str) -> None:
    folder = run(tmp_path / "run", data=song, tokenizer="bpe", vocab_size=270)
    model = GPT2LMHeadModel.from_pretrained(folder / "model")
    tokenizer = GPT2Tokenizer.from_pretrained(folder / "model")
    assert tokenizer.model_max_length == model.config.n_positions == 16
    transformers = pytest.importorskip("transformers")
    theirs = transformers.GPT2LMHeadModel.from_pretrained(folder / "model").eval()
    ids = torch.tensor([tokenizer.encode("la li lu, nur")])
    torch.testing.assert_close(theirs(ids).logits, model(ids).logits, rtol=1e-4, atol=1e-4)
    read = transformers.GPT2Tokenizer.from_pretrained(folder / "model")
    assert read("la li lu, nur")["input_ids"] == ids[0].tolist()


def test_going_on_from_a_run(tmp_path: Path, song: str, capsys: pytest.CaptureFixture[str]) -> None:
    first = run(tmp_path / "first", data=song, steps=60, eval_every=60, lr=1e-2)
    small = {name: SMALL[name] for name in ("eval_every", "batch_size", "device")}
    options = {**small, "init_from": first, "data": song, "steps": 1, "lr": 1e-6, "out": tmp_path / "second"}
    second = train(GPTSettings.of({name: str(value) for name, value in options.items()}))
    before, after = (float(rows(folder)[-1]["val_loss"]) for folder in (first, second))
    assert after == pytest.approx(before, abs=1e-3)
    written = json.loads((second / "config.json").read_text())
    assert written["init_from"] == str(first)
    assert written["layers"] is None
    assert main(["train", "gpt", "--config", str(second / "config.json"), "--out", str(tmp_path / "third")]) == 0
    assert (tmp_path / "third" / "metrics.csv").read_bytes() == (second / "metrics.csv").read_bytes()
    shorter = train(GPTSettings.of({**options, "context": 8, "dropout": 0.5, "out": tmp_path / "fourth"}))
    config = GPT2LMHeadModel.from_pretrained(shorter / "model").config
    assert (config.n_positions, config.resid_pdrop) == (8, 0.5)


def test_going_on_from_the_folder_of_a_model(tmp_path: Path, song: str) -> None:
    folder = tmp_path / "published"
    tokenizer = GPT2Tokenizer({bytes([byte]): byte for byte in range(256)})
    GPT2LMHeadModel(GPT2Config(vocab_size=300, n_positions=32, n_embd=8, n_layer=1, n_head=1)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    options = {"init_from": folder, "data": song, "steps": 2, "batch_size": 2, "device": "cpu"}
    out = train(GPTSettings.of({**options, "out": tmp_path / "run"}))
    assert language_model(out, restored(out))[0].config.n_positions == 32
    GPT2LMHeadModel(GPT2Config(vocab_size=100, n_positions=32, n_embd=8, n_layer=1, n_head=1)).save_pretrained(folder)
    with pytest.raises(InputError, match="the tokenizer has 257 tokens and the model knows 100"):
        train(GPTSettings.of({**options, "out": tmp_path / "never"}))
    GPT2LMHeadModel(GPT2Config(vocab_size=257, n_positions=32, n_embd=8, n_layer=1, n_head=1)).save_pretrained(folder)
    with pytest.raises(InputError, match=r"--context 33: the model of --init-from reads 32"):
        train(GPTSettings.of({**options, "context": 33, "out": tmp_path / "never"}))
    assert not (tmp_path / "never").exists()


@needs("chinese")
@pytest.mark.parametrize("tokenizer", ["char", "bpe"])
def test_chinese_texts(tmp_path: Path, tokenizer: str) -> None:
    folder = run(
        tmp_path / "run", data=str(SHARED / "chinese"), tokenizer=tokenizer, vocab_size=300, steps=2, prompt="子曰："
    )
    assert (folder / "sample.txt").read_text(encoding="utf-8").startswith("子曰：")
    (row,) = rows(folder)
    split = load_text(str(SHARED / "chinese"))
    tokens = len(read_tokenizer(folder / "model").encode(split.test)) - 1
    bits = float(row["val_loss"]) / math.log(2) * tokens
    assert float(row["val_bits_per_byte"]) == pytest.approx(bits / len(split.test.encode()), rel=1e-3)


@needs("tinyshakespeare")
@pytest.mark.parametrize("preset", ["shakespeare-char-cpu", "shakespeare-char"])
def test_presets_of_shakespeare(tmp_path: Path, preset: str) -> None:
    values = {"preset": preset, "steps": 1, "batch_size": 1, "data_dir": SHARED / "tinyshakespeare", "device": "cpu"}
    small = {"layers": 1, "width": 12} if preset == "shakespeare-char" else {}
    folder = train(GPTSettings.of({**values, **small, "out": tmp_path / "run"}))
    written = json.loads((folder / "config.json").read_text())
    for name, value in {**PRESETS[preset], **values, **small}.items():
        assert written[name] == (str(value) if isinstance(value, Path) else value)
    assert written["min_lr"] == pytest.approx(1e-4)
    assert len(load_text("shakespeare", SHARED / "tinyshakespeare").train) == 1_003_854  # as nanoGPT cuts it
    model, tokenizer = language_model(folder, restored(folder))
    assert isinstance(tokenizer, CharTokenizer)
    assert model.config.vocab_size == 65


@needs("gpt2-bpe")
def test_the_tokenizer_of_gpt2(tmp_path: Path, song: str) -> None:
    folder = run(tmp_path / "run", data=song, tokenizer="gpt2", tokenizer_dir=SHARED / "gpt2-bpe", steps=1)
    model, tokenizer = language_model(folder, restored(folder))
    assert len(tokenizer) == model.config.vocab_size == 50257
    assert tokenizer.model_max_length == 16


def test_presets_are_settings_and_flags_win() -> None:
    for name, values in PRESETS.items():
        chosen = GPTSettings.of({"preset": name})
        assert chosen.preset == name
        assert {key: getattr(chosen, key) for key in values} == dict(values)
        assert GPTSettings.of({"preset": name, "steps": 7}).steps == 7
        again = GPTSettings.from_json(chosen.resolved().to_json(), "config.json")
        assert again == chosen.resolved()
    assert GPTSettings.of({}) == GPTSettings()
    assert GPTSettings.of({"init_from": "gpt2"}).layers is None
    assert GPTSettings.of({"init_from": "none"}).layers == 4
    assert GPTSettings.of({"preset": "finetune-shakespeare"}).resolved().min_lr == 3e-5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"preset": "shakespear-char"}, "--preset shakespear-char: choose .*did you mean shakespeare-char?"),
        ({"steps": 0}, "--steps 0: must be at least 1"),
        ({"eval_every": 0}, "--eval-every 0: must be at least 1"),
        ({"width": 30, "heads": 4}, "--width 30: 4 heads cannot share it evenly"),
        ({"layers": None}, "--layers none: only a model of --init-from brings its own"),
        ({"vocab_size": None}, "--vocab-size none: only a model of --init-from"),
        ({"context": 1}, "--context 1: must be at least 2"),
        ({"vocab_size": 100}, "--vocab-size 100: must be at least 257"),
        ({"lr": 1e-3, "min_lr": 2e-3}, "--min-lr 0.002: is above --lr 0.001"),
        ({"data_dir": "x"}, "--data-dir x: is for shakespeare"),
        ({"tokenizer_dir": "x"}, "--tokenizer-dir x: is for GPT-2's"),
        ({"init_from": "gpt2", "layers": 3}, "--layers 3: comes with the model of --init-from"),
        ({"init_from": "gpt2", "tokenizer": "char"}, "--tokenizer char: comes with the model of --init-from"),
    ],
)
def test_settings_that_contradict_each_other(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        GPTSettings.of(values)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, {}, "there is no such file or folder"),
        (b"", {}, "holds no text"),
        (b"a", {}, "a text of 1 characters is too short to learn from"),
        (b"abc", {}, "gives 2 tokens to train on and 1 to test with"),
        (b"la li lu " * 3, {"context": 30}, "gives 24 tokens .* too short for windows of 30"),
        (b"ab\xff" * 50, {}, "line 1: byte 2"),
        (b"la li lu " * 30, {"tokenizer": "bpe", "vocab_size": 5000}, "the texts have pairs for"),
        (b"la li lu " * 30, {"tokenizer": "gpt2", "tokenizer_dir": "nowhere"}, "nowhere"),
        (b"la li lu " * 30, {"prompt": "xyz"}, "is not among the 5 characters"),
    ],
)
def test_texts_that_cannot_be_used_touch_nothing(
    tmp_path: Path, content: bytes | None, options: dict[str, object], message: str
) -> None:
    if content is not None:
        (tmp_path / "x.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        run(tmp_path / "run", data=str(tmp_path / "x.txt"), **options)
    assert not (tmp_path / "run").exists()


def test_folders_that_cannot_be_used(tmp_path: Path, song: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"has no .txt, .json or .jsonl file"):
        run(tmp_path / "run", data=str(tmp_path / "empty"))
    with pytest.raises(InputError, match="did you mean shakespeare"):
        run(tmp_path / "run", data="shakespear")
    with pytest.raises(InputError, match=r"config\.json"):
        train(GPTSettings.of({"init_from": tmp_path / "empty", "data": song, "out": tmp_path / "run"}))
    assert not (tmp_path / "run").exists()


def test_bits_per_byte_are_those_of_the_text(song: str) -> None:
    tokenizer = CharTokenizer.train("aä鸟")
    lengths = byte_lengths(tokenizer, 5)
    assert lengths.tolist() == [1, 2, 3, 0, 0]
    hidden, head, targets = torch.randn(2, 3, 4), torch.randn(5, 4), torch.tensor([[0, 1, 2], [2, 1, 0]])
    guess = Guess(hidden, head)
    loss = guess.surprise(targets)
    logits = hidden @ head.T
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets))
    total, count = bits_per_byte(lengths)(guess, targets)
    assert count == 12
    torch.testing.assert_close(total, loss * 6 / math.log(2))
    end = GPT2Tokenizer({bytes([byte]): byte for byte in range(256)})
    assert byte_lengths(end, 257)[-1] == 0


def test_tokenizers_are_told_apart() -> None:
    one, other = CharTokenizer.train("abc"), CharTokenizer.train("abd")
    assert fingerprint(one) == fingerprint(CharTokenizer.train("cba")) != fingerprint(other)


def test_matrices_decay_and_vectors_do_not() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=7, n_positions=8, n_embd=8, n_layer=1, n_head=1))
    decayed, others = optimizer(GPTSettings(), model).param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert all(parameter.dim() == 2 for parameter in decayed["params"])
    assert all(parameter.dim() == 1 for parameter in others["params"])
    assert len(decayed["params"]) + len(others["params"]) == len(list(model.parameters()))


def test_muon_moves_the_matrices_in_the_blocks_and_adamw_the_rest() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=7, n_positions=8, n_embd=8, n_layer=2, n_head=1))
    muon, adamw = optimizer(GPTSettings(optimizer="muon", lr=0.1, weight_decay=0.2), model).parts
    names = {parameter: name for name, parameter in model.named_parameters()}
    (inside,) = muon.param_groups
    assert [names[p] for p in inside["params"]] == [
        f"transformer.h.{block}.{matrix}.weight"
        for block in range(2)
        for matrix in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    ]
    decayed, others = adamw.param_groups
    assert [names[p] for p in decayed["params"]] == ["transformer.wte.weight", "transformer.wpe.weight"]
    assert all(parameter.dim() == 1 for parameter in others["params"])
    assert sum(len(group["params"]) for group in (inside, decayed, others)) == len(names)
    assert [group["weight_decay"] for group in (inside, decayed, others)] == [0.2, 0.2, 0.0]
    assert {group["lr"] for group in (inside, decayed, others)} == {0.1}
    assert inside["adjust_lr_fn"] == "match_rms_adamw"


def test_learning_with_muon(tmp_path: Path, song: str) -> None:
    folder = run(tmp_path / "run", data=song, optimizer="muon", steps=60, eval_every=20, lr=1e-2)
    losses = [float(row["val_loss"]) for row in rows(folder)]
    assert losses[-1] < 2 < losses[0]
    assert json.loads((folder / "config.json").read_text())["optimizer"] == "muon"


def test_the_training_model_guesses_as_the_model_does() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=7, n_positions=8, n_embd=8, n_layer=2, n_head=2)).eval()
    tokens = torch.randint(7, (3, 8))
    loss = Guessing(model)(tokens[:, :-1]).surprise(tokens[:, 1:])
    torch.testing.assert_close(loss, model(tokens, labels=tokens).loss)


def test_what_is_likeliest_next() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=7, n_positions=8, n_embd=8, n_layer=1, n_head=1)).eval()
    tokens = torch.tensor([1, 2, 3])
    expected = torch.softmax(model(tokens[None]).logits[0, -1], 0).topk(2)
    found, sure = zip(*likeliest(model, tokens), strict=True)
    assert list(found) == expected.indices.tolist()
    assert list(sure) == pytest.approx(expected.values.tolist())


@pytest.mark.parametrize("context", [2, 3, 8, 100])
def test_writing_goes_on_where_the_context_is_full(context: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = CharTokenizer.train("abcdefg")
    model = GPT2LMHeadModel(GPT2Config(vocab_size=7, n_positions=context, n_embd=8, n_layer=1, n_head=1)).eval()
    seen = []
    generate = model.generate
    monkeypatch.setattr(
        model, "generate", lambda ids, **options: seen.append(tokenizer.decode(ids)) or generate(ids, **options)
    )
    text = write(model, tokenizer, "abcabc", replace(GPTSettings(), temperature=1.0))
    assert text.startswith("abcabc")
    assert all(piece in text for piece in seen)
    assert [len(piece) for piece in seen[1:]] == [context // 2] * (len(seen) - 1)
    assert len(text) == 26
    assert text == write(model, tokenizer, "abcabc", replace(GPTSettings(), temperature=1.0))


def test_tokens_are_kept_in_the_cache(tmp_path: Path, song: str) -> None:
    run(tmp_path / "one", data=song)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "tokens").iterdir()}
    assert len(files) == 2
    run(tmp_path / "two", data=song)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "tokens").iterdir()} == files
    assert all(np.memmap(path, "<u2", "r", 512).max() < 21 for path in files)


def test_a_cache_that_cannot_be_written_to_is_named(
    tmp_path: Path, song: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINIMODELS_CACHE", str(tmp_path / "file"))
    sentence = refused(capsys, "train", "gpt", "--data", song, "--tokenizer", "char", "--out", tmp_path / "run")
    assert f"{tmp_path / 'file' / 'tokens'}: the tokens of the text cannot be kept there (not a directory)" in sentence
    assert sentence.endswith("let the environment variable MINIMODELS_CACHE name another folder.")
    assert not (tmp_path / "run").exists()


def test_a_recipe_gives_its_language_model(tmp_path: Path, song: str) -> None:
    folder = run(tmp_path / "run", data=song)
    assert RECIPE.language_model is language_model
    model, tokenizer = language_model(folder, restored(folder))
    assert not model.training
    assert tokenizer.decode(tokenizer.encode("la li")) == "la li"
