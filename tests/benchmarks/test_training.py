"""The study `training`: all take the same step, its operations are those that are counted, and so is the share."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import __main__ as command
from benchmarks import gpt2_twins, report, summary, training
from benchmarks.cases import Setting
from benchmarks.records import machine
from minimodels.models import GPT2Config, GPT2LMHeadModel
from minimodels.recipes.gpt_model import Guess, Guessing, optimizer
from minimodels.training import STEPS, Trainer

CPU = torch.device("cpu")
TINY = Setting(torch.float32, CPU, tiny=True)
FLAGS = ["training", "--tiny", "--repeats", "2"]
TORCH = training.Peer("torch.nn", "2", gpt2_twins.torch_blocks)
sizes = st.integers(1, 3)


def small(L: int, heads: int, d: int, V: int) -> GPT2Config:
    pdrop = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    return GPT2Config(vocab_size=V, n_positions=8, n_embd=heads * d, n_layer=L, n_head=heads, **pdrop)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody but torch is there."""
    monkeypatch.setattr(training, "find_spec", lambda name: None)


@pytest.fixture
def stored(tmp_path: Path, alone: None) -> dict[str, Any]:
    assert command.main([*FLAGS, "--output", str(tmp_path)]) == 0
    slug = machine(CPU, torch.get_num_threads())["slug"]
    return json.loads((tmp_path / slug / "training.json").read_text(encoding="utf-8"))


@settings(max_examples=15)
@given(L=sizes, heads=sizes, d=sizes, V=st.integers(2, 9), T=st.integers(1, 8))
def test_operations_are_those_of_palms_formula_and_of_pytorchs_counter(L, heads, d, V, T):
    """6·N + 12·L·E·T a token, N all weights but positions, biases and gains."""
    config, E = small(L, heads, d, V), heads * d
    model = GPT2LMHeadModel(config)
    N = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "wpe" not in name)
    assert training.operations(config, T) == 6 * N + 12 * L * E * T
    theirs = gpt2_twins.Expecting(gpt2_twins.torch_blocks(model))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        theirs(*torch.zeros(2, 2, T, dtype=torch.int64))[1].backward()
    assert counter.get_total_flops() == 2 * T * training.operations(config, T)


def test_operations_are_those_of_a_runs_summary():
    config = small(2, 2, 3, 7)
    model = GPT2LMHeadModel(config)
    adamw = optimizer(training.RECIPE, model)
    trainer = Trainer(
        Guessing(model), Guess.surprise, adamw, count=Tensor.numel, device="cpu", measure=True, units=STEPS
    )
    trainer.fit([tuple(torch.zeros(2, 3, 8, dtype=torch.int64))], 1)
    assert trainer.speed.operations == training.operations(config, 8)


@given(L=sizes, heads=sizes, d=sizes, V=st.integers(2, 9), T=st.integers(1, 8))
def test_torchs_network_computes_the_same(L, heads, d, V, T):
    model = GPT2LMHeadModel(small(L, heads, d, V)).double()
    ids = torch.randint(V, (2, T))
    hidden, loss = gpt2_twins.Expecting(gpt2_twins.torch_blocks(model).double())(ids, ids)
    guess = Guessing(model)(ids)
    torch.testing.assert_close(guess.hidden, hidden)
    torch.testing.assert_close(guess.surprise(ids), loss)


@pytest.mark.parametrize("name", ["torch.nn", "transformers"])
def test_steps_lead_to_the_same_weights(name: str):
    if name == "transformers":
        pytest.importorskip("transformers")
    (peer,) = (peer for peer in training.peers() if peer.name == name)
    torch.manual_seed(0)
    pair = training.case(peer, TINY).make(TINY)
    before = {key: value.clone() for key, value in pair.ours.blocks.state_dict().items()}
    for _ in range(3):
        pair.ours()
        pair.reference()
    theirs = pair.reference.blocks.state_dict()
    theirs = gpt2_twins.turned(theirs) if name == "torch.nn" else theirs
    for key, value in pair.ours.blocks.state_dict().items():
        torch.testing.assert_close(value, theirs[key], rtol=0, atol=1e-5)
        assert not torch.equal(value, before[key])
    assert pair.ours.loss == pytest.approx(pair.reference.loss)


def test_memory_is_that_of_weights_gradients_and_two_averages():
    pair = training.case(TORCH, TINY).make(TINY)
    parameters = sum(p.nbytes for p in pair.ours.blocks.parameters())
    for side in (pair.ours, pair.reference):
        assert side.held() == parameters
        side()
        assert 3 * parameters <= side.held() < 3.1 * parameters
        (first, second) = (training._memory(side, TINY)["peak"] for _ in range(2))
        assert 4 * parameters < first == second


def test_a_run_becomes_a_record_a_section_and_a_line_of_the_summary(stored: dict[str, Any], tmp_path: Path) -> None:
    (entry,) = stored["cases"]
    assert (entry["name"], entry["mode"]) == ("GPT-2, 2 x 8 tokens", "step beside torch.nn")
    assert entry["peer"] == f"torch.nn {torch.__version__}"
    assert entry["flops"] == 16 * training.operations(training.config(TINY), 8)
    for side in training.SIDES:
        reached = entry["flops"] / entry[side]["median"]
        assert entry[side]["mfu"] == pytest.approx(reached / stored["machine"]["ceilings"]["flops"])
        assert entry[side]["peak"] > 0
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert training.EXPLANATION in page
    assert "| " + " | ".join(training.row(entry)) + " |" in page
    assert summary.ratios([stored]) == {"float32": {"training": [entry["ratio"]]}}
    (tmp_path / "README.md").unlink()
    report.write_readme(tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == page


def test_a_run_is_compared(stored: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored["cases"][0]["ours"] |= {"q1": 1e3, "median": 1e3, "q3": 1e3, "peak": 1}
    old = tmp_path / "old.json"
    old.write_text(json.dumps(stored), encoding="utf-8")
    capsys.readouterr()
    assert command.main([*FLAGS, "--output", str(tmp_path / "new"), "--compare", str(old)]) == 0
    printed = capsys.readouterr().out
    assert "faster: training, float32, GPT-2, 2 x 8 tokens, step beside torch.nn: ours 1000000" in printed
    assert "more memory: training, float32, GPT-2" in printed
    assert "1 cases compared, 1 beyond the spread." in printed


def test_the_cells_of_a_row():
    side = {"q1": 0.4, "median": 0.5, "q3": 0.6, "mfu": 0.25, "peak": 2_345_000_000}
    entry = {"name": "GPT-2", "mode": "step", "peer": "torch.nn 2", "items": 512, "flops": 512e9, "error": 1e-6}
    entry |= {"ours": side, "reference": side | {"median": 0.25, "mfu": 0.5}, "ratio": 0.5}
    entry |= {"ratio_of_rounds": {"q1": 0.4, "median": 0.5, "q3": 0.6}, "losses": {"ours": 2.0, "reference": 2.0}}
    cells = dict(zip(training.HEADER, training.row(entry), strict=True))
    assert cells["tokens a second"] == "1,024 / 2,048"
    assert (cells["GFLOP a token"], cells["MFU, %"]) == ("1", "25.0 / 50.0")
    assert (cells["peak, MB"], cells["compiling, s"]) == ("2,345 / 2,345", "–")
    timed = dict(
        zip(training.HEADER, training.row(entry | {"compiling": {"ours": 61.0, "reference": 30.4}}), strict=True)
    )
    assert timed["compiling, s"] == "61 / 30"


def test_what_differs_is_not_timed_and_the_next_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(ours: GPT2LMHeadModel) -> torch.nn.Module:
        blocks = gpt2_twins.torch_blocks(ours)
        torch.nn.init.ones_(blocks.ln_f.bias)
        return blocks

    monkeypatch.setattr(training, "peers", lambda: [training.Peer("somebody", "1", wrong), TORCH])
    assert command.main([*FLAGS, "--output", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("training: GPT-2, 2 x 8 tokens, step beside somebody: ours and somebody's differ by")
    assert printed.err.count("\n") == 1
    assert "GPT-2, 2 x 8 tokens: beside torch.nn 2, ours, ms" in printed.out
    assert "| GPT-2, 2 x 8 tokens, step beside somebody | failed: ours" in (tmp_path / "README.md").read_text("utf-8")


@pytest.mark.usefixtures("alone")
def test_other_precisions(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([*FLAGS, "--dtype", "float16"]) == 0
    assert "step beside torch.nn: left out: training is measured in float32, and under" in capsys.readouterr().out
    seen = []
    autocast = torch.autocast

    def watched(kind: str, dtype: torch.dtype) -> torch.autocast:
        seen.append((kind, dtype))
        return autocast(kind, dtype)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "autocast", watched)
        setting = replace(TINY, dtype=torch.bfloat16)
        torch.manual_seed(0)
        pair = training.case(TORCH, setting).make(setting)
        pair.ours()
        pair.reference()
    assert seen == [("cpu", torch.bfloat16)] * 2
    assert {p.dtype for side in (pair.ours, pair.reference) for p in side.blocks.parameters()} == {torch.float32}


@pytest.mark.usefixtures("alone")
def test_both_sides_are_compiled_and_the_seconds_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    def compile(work: Any, **settings: Any) -> Any:
        seen.append(settings)
        return work

    monkeypatch.setattr(torch, "compile", compile)
    assert command.main([*FLAGS, "--mode", "compiled", "--output", str(tmp_path)]) == 0
    assert seen == [{"dynamic": False, "options": {"pattern_matcher": False}}, {"dynamic": False}]
    (path,) = tmp_path.glob("*/training-compiled.json")
    (entry,) = json.loads(path.read_text(encoding="utf-8"))["cases"]
    assert all(entry["compiling"][side] > 0 for side in training.SIDES)


def test_all_passes_have_a_line_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    monkeypatch.setattr(
        command, "_run", lambda family, setting, *_: ran.append((family, setting.dtype, setting.compiled)) or []
    )
    assert command.main(["training", "generation", "--all", "--tiny"]) == 0
    passes = [(dtype, mode) for mode in (False, True) for dtype in (torch.float32, torch.bfloat16)]
    assert ran[1] == ("generation", torch.float32, False)
    assert [each for each in ran if each[0] == "training"] == [("training", *each) for each in passes]
    assert len(ran) == 5


def test_a_card_gets_longer_and_more_texts() -> None:
    card = Setting(torch.bfloat16, torch.device("cuda"))
    assert training.case(TORCH, card).name == "GPT-2 124M, 8 x 1,024 tokens"
    assert training.case(TORCH, replace(card, device=CPU)).name == "GPT-2 124M, 2 x 256 tokens"
    assert training.case(TORCH, replace(card, tiny=True)).name == "GPT-2, 2 x 8 tokens"
    assert training.operations(training.config(card), 1024) == 6 * 123_532_032 + 12 * 12 * 768 * 1024


def test_on_a_card_its_own_allocator_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.card.peak", lambda side, device: 1000)
    pair = training.case(TORCH, TINY).make(TINY)
    setting = replace(TINY, device=torch.device("cuda"))
    assert training._memory(pair.ours, setting) == {"peak": pair.ours.held() + 1000}
    assert all(p.grad is None for p in pair.ours.blocks.parameters())
    assert training._memory(pair.ours, replace(TINY, device=torch.device("meta"))) == {}
