"""The peak, beside that of real passes, and of passes at full size in which every tensor has a shape but no memory."""

from dataclasses import replace

import pytest
import torch
from torch._subclasses import FakeTensorMode

from minimodels.functional import matmul, placement
from minimodels.functional.attention import Band, causal_attention, cutting, tiles
from minimodels.functional.attention.tiles_derivative import derivative
from minimodels.functional.losses import chunked
from minimodels.functional.losses.chunked import chunk_rows
from minimodels.inspection.footprint import Setup, attention, memory, most_sequences
from minimodels.inspection.footprint.attention import attention_work
from tests.inspection.footprint.real import Watch, config, peak

SETTINGS = [
    {"precision": precision, "recompute": recompute, "passes": passes}
    for precision, recompute, passes in (("float32", False, 1), ("bfloat16", False, 2), ("bfloat16", True, 1))
]
settings = pytest.mark.parametrize("given", SETTINGS, ids=lambda given: "-".join(map(str, given.values())))


@settings
@pytest.mark.parametrize("batch", [1, 8])
def test_small_and_real(given, batch):
    sizes = {"n_layer": 4, "n_head": 4, "n_embd": 128, "vocab_size": 512, "n_positions": 128}
    setup = Setup(config=config(**sizes), batch=batch, optimizer="sgd", accelerator=False, **given)
    found = memory(setup).peak
    assert 0.9 * found < peak(setup) < 1.01 * found


@pytest.fixture
def as_on_an_accelerator(monkeypatch):
    """What is chosen there, on the CPU, whose tensors are the ones that can be watched here."""
    monkeypatch.setattr(placement, "launches", lambda x: True)
    monkeypatch.setattr(matmul, "bfloat16_is_fast", lambda: True)
    monkeypatch.setattr(matmul, "_unrounded", lambda sums, *_: sums)  # CUDA's needs nothing beside
    monkeypatch.setattr(chunked, "chunk_rows", lambda x, matrix: chunk_rows(x[:0].float(), matrix))


@pytest.mark.parametrize(
    "given", [*SETTINGS, {"precision": "float16"}], ids=lambda given: "-".join(map(str, given.values()))
)
@pytest.mark.parametrize(("name", "batch"), [("gpt2-xl", 8), ("gpt2", 16), ("gpt2", 2)])
@pytest.mark.usefixtures("as_on_an_accelerator")
def test_a_block_of_full_size(given, name, batch):
    setup = Setup.of(name, batch=batch, optimizer="sgd", **given)
    setup = replace(setup, config=replace(setup.config, n_layer=1, vocab_size=64))  # next to nothing but the block
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert peak(setup) == pytest.approx(memory(setup).peak, rel=0.001)


SIZES = pytest.mark.parametrize(("name", "batch"), [("gpt2-xl", 1), ("gpt2-xl", 8), ("gpt2", 16), ("gpt2", 2)])
PRECISIONS = pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])


def operands(setup):
    """Queries, keys and values, as they come out of one layer."""
    heads = setup.config.n_head
    shape = setup.batch, setup.tokens, 3, heads, setup.config.n_embd // heads
    return torch.empty(shape, dtype=getattr(torch, setup.precision)).permute(2, 0, 3, 1, 4)


@SIZES
@PRECISIONS
@pytest.mark.usefixtures("as_on_an_accelerator")
def test_attention_of_full_size(name, batch, precision):
    """Beside the rest of a block, whose peak may be elsewhere."""
    setup = Setup.of(name, batch=batch, precision=precision)
    with FakeTensorMode(), Watch() as watch:
        q, k, v = (t.requires_grad_() for t in operands(setup))
        output = causal_attention(q, k, v)
        gradient = torch.empty_like(output)
        watch.most, before = watch.now, watch.now - gradient.nbytes
        torch.autograd.grad(output, (q, k, v), gradient)
    assert watch.most - before == pytest.approx(attention_work(setup), rel=0.001)


@pytest.mark.parametrize(("name", "batch"), [("gpt2-xl", 1), ("gpt2", 2)])
@PRECISIONS
def test_tiles_of_full_size(name, batch, precision, monkeypatch):
    """The same on a CPU, of several steps."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    for module in (matmul, attention):
        monkeypatch.setattr(module, "bfloat16_is_fast", lambda: True)
    setup = Setup.of(name, batch=batch, precision=precision, accelerator=False)
    with FakeTensorMode(), Watch() as watch:
        q, k, v = operands(setup)
        output, largest, total = tiles.forward(cutting.Cut(q, k, None, Band()), q, k, v, 0.125)
        before = watch.now
        watch.most = watch.now
        gradient = torch.empty_like(output)
        derivative(cutting.Cut(q, k, None, Band(), turned=True), q, k, v, 0.125, output, largest, total, gradient)
    assert watch.most - before == pytest.approx(attention_work(setup), rel=0.001)


@pytest.mark.parametrize(
    ("layers", "given"), [(48, {"batch": 8}), (3, {}), (3, {"passes": 2}), (3, {"precision": "float32"})], ids=str
)
@pytest.mark.usefixtures("as_on_an_accelerator")
def test_gpt2_xl(layers, given):
    setup = Setup.of("gpt2-xl", optimizer="sgd", **given)
    setup = replace(setup, config=replace(setup.config, n_layer=layers))
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert peak(setup) == pytest.approx(memory(setup).peak, rel=0.001)


def test_most_sequences_are_the_last_that_fit():
    setup, room = Setup.of("gpt2-xl"), 72e9
    most = most_sequences(setup, room)
    assert memory(replace(setup, batch=most)).peak <= room < memory(replace(setup, batch=most + 1)).peak


def test_shards_of_one_device_are_the_whole():
    assert memory(Setup.of("gpt2", shard=True)) == memory(Setup.of("gpt2"))


def test_more_devices_need_less_each():
    peaks = [memory(Setup.of("gpt2-xl", shard=True, devices=devices)).peak for devices in (1, 2, 8, 64)]
    assert peaks == sorted(peaks, reverse=True)
    assert len({*peaks}) == 4
