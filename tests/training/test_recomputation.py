"""Recomputed blocks: the same numbers bit for bit, and less to keep."""

import copy
import io
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from minimodels import nn
from minimodels.errors import InputError
from minimodels.inspection import trace
from minimodels.models import (
    ConvNet,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LSTMClassifier,
    ResNet,
)
from minimodels.models.gpt2 import GPT2Block
from minimodels.models.resnet import BasicBlock
from minimodels.training import blocks, recompute

N, T, E, V = 2, 32, 8, 17


def gpt(layers: int = 3, dropout: float = 0.3) -> nn.Module:
    rates = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), dropout)
    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=V, n_positions=T, n_embd=E, n_layer=layers, n_head=2, **rates)  # type: ignore[arg-type]
    )


def llama() -> nn.Module:
    sizes = {"vocab_size": V, "hidden_size": E, "intermediate_size": 12, "num_hidden_layers": 2}
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=2, num_key_value_heads=1))


def resnet() -> nn.Module:
    torch.manual_seed(0)
    return ResNet(8)


def encoder() -> nn.Module:
    torch.manual_seed(0)
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(E, 2, 12, dropout=0.3), 3)


def tokens() -> Tensor:
    return torch.randint(V, (N, T), generator=torch.Generator().manual_seed(1))


def pictures() -> Tensor:
    return torch.rand(3, 1, 14, 14, generator=torch.Generator().manual_seed(1))


def rows() -> Tensor:
    return torch.randn(T, N, E, generator=torch.Generator().manual_seed(1))


MODELS = pytest.mark.parametrize(
    ("build", "inputs"), [(gpt, tokens), (llama, tokens), (resnet, pictures), (encoder, rows)]
)


def step(model: nn.Module, x: Tensor, forward: Callable[..., Any] | None = None) -> dict[str, Tensor]:
    """One pass forward and backward: outputs, gradients, buffers, and the random state that is left."""
    torch.manual_seed(7)
    model.zero_grad()
    y = (model if forward is None else forward)(x)
    y = y if isinstance(y, Tensor) else y.logits
    (y * torch.linspace(-1, 1, y.numel(), device=y.device).view_as(y)).sum().backward()
    gradients = {f"∂{name}": p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    assert len(gradients) == len(list(model.parameters()))
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    return {"y": y.detach(), **gradients, **buffers, "random": torch.get_rng_state()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def recomputed(model: nn.Module) -> nn.Module:
    model = copy.deepcopy(model)
    recompute(model)
    return model


# Which blocks there are


def test_blocks_of_the_models() -> None:
    model = gpt(4)
    assert blocks(model) == list(model.transformer.h)
    assert [type(block) for block in blocks(resnet())] == [BasicBlock] * 3  # in three lists of one
    assert len(blocks(ResNet(20))) == 9
    small = {"d_model": E, "nhead": 2, "dim_feedforward": 8}
    transformer = nn.Transformer(num_encoder_layers=2, num_decoder_layers=3, **small)
    assert blocks(transformer) == [*transformer.encoder.layers, *transformer.decoder.layers]
    for model in (ConvNet(), LSTMClassifier(), nn.Linear(2, 2), gpt(1)):
        assert blocks(model) == []


def pair(*more: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2), *more)


@pytest.mark.parametrize(
    ("build", "places"),
    [
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)), []),  # of one part each
        (lambda: nn.Sequential(pair(), nn.ReLU(), pair()), ["0", "2"]),  # others between them
        (lambda: nn.Sequential(pair(pair(), pair()), pair()), ["0", "1"]),  # the outermost
        (lambda: nn.Sequential(pair(pair(), pair()), nn.ReLU()), ["0.1", "0.2"]),  # within what stands there once
        (lambda: nn.ModuleDict({"a": nn.ModuleList([pair(), pair()]), "b": nn.Identity()}), ["a.0", "a.1"]),
        (lambda: nn.Sequential(pair(), nn.Sequential(gpt(2), pair())), ["0", "1"]),
        (lambda: nn.Sequential(gpt(2), ConvNet()), ["0.transformer.h.0", "0.transformer.h.1"]),
    ],
)
def test_blocks_are_of_one_class_of_several_parts_and_outermost(
    build: Callable[[], nn.Module], places: list[str]
) -> None:
    model = build()
    assert blocks(model) == [model.get_submodule(place) for place in places]


def test_a_block_that_serves_several_times_is_one() -> None:
    block = GPT2Block(GPT2Config(n_embd=E, n_head=2), 0)
    assert blocks(nn.ModuleList([block, block])) == [block]


def test_a_model_without_blocks_is_refused() -> None:
    with pytest.raises(InputError, match=r"recompute: ConvNet has no repeated blocks .*; leave it off"):
        recompute(ConvNet())


# The same numbers


@MODELS
def test_everything_is_the_same_bit_for_bit(build: Callable[[], nn.Module], inputs: Callable[[], Tensor]) -> None:
    """Outputs, gradients under dropout's masks, running statistics and their count, the random state."""
    model, x = build(), inputs()
    twin = recomputed(model)
    assert same(step(model, x), step(twin, x))
    assert same(step(model, x), step(twin, x))  # and so on


@MODELS
def test_the_blocks_do_run_twice(build: Callable[[], nn.Module], inputs: Callable[[], Tensor]) -> None:
    runs = []
    for model in (build(), recomputed(build())):
        seen: list[nn.Module] = []
        for block in blocks(model):
            for part in block.modules():
                part.register_forward_pre_hook(lambda part, _inputs, seen=seen: seen.append(part))
        step(model, inputs())
        runs.append(len(seen) - len(blocks(model)))
    assert runs[1] == 2 * runs[0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@MODELS
def test_under_autocast(build: Callable[[], nn.Module], inputs: Callable[[], Tensor], dtype: torch.dtype) -> None:
    model, x = build(), inputs()
    twin = recomputed(model)
    results = []
    for one in (model, twin):
        with torch.autocast("cpu", dtype=dtype):
            torch.manual_seed(7)
            y = one(x)
        y = (y if isinstance(y, Tensor) else y.logits).float()
        y.square().sum().backward()
        results.append({"y": y.detach(), **{name: p.grad for name, p in one.named_parameters()}})
    assert same(*results)


@settings(max_examples=10)
@given(frozen=st.lists(st.booleans(), min_size=3, max_size=3), data=st.data())
def test_parts_that_are_frozen(frozen: list[bool], data: st.DataObject) -> None:
    """Statistics that stand still are kept for a derivative; blocks in evaluation mode run as they always do."""
    model = resnet()
    for block, still in zip(blocks(model), frozen, strict=True):
        norm = data.draw(st.sampled_from([block, block.bn1, block.bn2]))
        norm.train(not still)
        norm.requires_grad_(data.draw(st.booleans()))
    twin, x = recomputed(model), pictures()
    results = []
    for one in (model, twin):
        one(x).square().sum().backward()
        gradients = {name: p.grad for name, p in one.named_parameters() if p.grad is not None}
        results.append({**gradients, **dict(one.named_buffers())})
    assert same(*results)


def test_a_graph_that_is_kept_is_gone_through_again() -> None:
    for build, inputs in ((gpt, tokens), (resnet, pictures)):
        results = []
        for model in (build(), recomputed(build())):
            torch.manual_seed(7)
            y = model(inputs())
            y = (y if isinstance(y, Tensor) else y.logits).square().sum()
            y.backward(retain_graph=True)
            y.backward()
            results.append({name: p.grad for name, p in model.named_parameters()} | dict(model.named_buffers()))
        assert same(*results)


def test_second_derivatives() -> None:
    results = []
    for model in (gpt(2), recomputed(gpt(2))):
        model = model.double()
        torch.manual_seed(7)
        y = model(tokens()).logits.square().sum()
        parameters = list(model.parameters())
        first = torch.autograd.grad(y, parameters, create_graph=True)
        sum(g.square().sum() for g in first).backward()
        results.append([p.grad for p in parameters])
    torch.testing.assert_close(*results)


def test_on_the_device(device: torch.device) -> None:
    for build, inputs in ((gpt, tokens), (resnet, pictures)):
        model, x = build().to(device), inputs().to(device)
        twin = recomputed(model)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            one, other = step(model, x), step(twin, x)
        for name in one:
            torch.testing.assert_close(one[name], other[name], rtol=1e-3, atol=1e-4)


# What stays as it was


def test_names_texts_copies_and_pickles() -> None:
    model = gpt()
    twin = recomputed(model)
    assert repr(twin) == repr(model)
    assert list(twin.state_dict()) == list(model.state_dict())
    file = io.BytesIO()
    torch.save(twin, file)
    file.seek(0)
    copies = [copy.deepcopy(twin), pickle.loads(pickle.dumps(twin)), torch.load(file, weights_only=False)]
    x, expected = tokens(), step(model, tokens())
    for one in copies:
        assert all(block.forward.args == (block,) for block in blocks(one))
        with torch.no_grad():
            one.transformer.h[0].mlp.c_fc.weight.add_(1)  # a copy is a model of its own
        assert not same(step(one, x), expected)
    assert same(step(twin, x), expected)


def test_twice_is_once() -> None:
    model = gpt()
    twin = recomputed(recomputed(model))
    runs: list[int] = []
    twin.transformer.h[0].ln_1.register_forward_hook(lambda *_: runs.append(1))
    assert same(step(model, tokens()), step(twin, tokens()))
    assert len(runs) == 2


@pytest.fixture
def nothing_recomputed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a block was to be recomputed")

    monkeypatch.setattr("minimodels.training.recomputation.checkpoint", refuse)


@pytest.mark.usefixtures("nothing_recomputed")
def test_evaluation_generation_caches_listeners_and_transforms() -> None:
    model, x = gpt(dropout=0.0), tokens()
    twin = recomputed(model)
    for one in (model, twin):
        one.eval()
    assert same(step(model, x), step(twin, x))  # evaluation, with gradients
    prompt = x[:, :3]
    one, other = (m.generate(prompt, max_new_tokens=4, eos_token_id=None) for m in (model, twin))
    assert torch.equal(one, other)
    model.train(), twin.train()
    with torch.no_grad():
        assert torch.equal(model(x).logits, twin(x).logits)
    results = []
    for one in (model, twin):  # read in two parts, in training mode and with gradients: what is cached is cached once
        cache = one.new_cache(N, T)
        one(x[:, :5], past_key_values=cache)
        results.append(one(x[:, 5:], past_key_values=cache).logits)
        assert cache.length == T
    assert torch.equal(*results)
    with trace(model) as heard, trace(twin) as also:
        model(x), twin(x)
    assert heard.keys() == also.keys()
    weights = [dict(one.named_parameters()) for one in (model, twin)]
    gradients = [
        torch.func.grad(lambda p, one=one: torch.func.functional_call(one, p, x).logits.square().sum())(p)
        for one, p in zip((model, twin), weights, strict=True)
    ]
    assert same(*gradients)


# Less to keep


def saved(model: nn.Module, forward: Callable[..., Any], x: Tensor) -> int:
    """Bytes that a forward pass keeps for the backward pass, the parameters apart."""
    own = {p.untyped_storage()._cdata for p in model.parameters()}
    kept: dict[int, Any] = {}

    def pack(t: Tensor) -> Tensor:
        if t.untyped_storage()._cdata not in own:
            kept[t.untyped_storage()._cdata] = t.untyped_storage()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        _graph = forward(x).logits
    return sum(storage.nbytes() for storage in kept.values())


def saved_by(layers: int, again: bool, compiled: bool = False) -> int:
    model = gpt(layers)
    if again:
        recompute(model)
    forward = torch.compile(model, backend="aot_eager", fullgraph=True) if compiled else model
    return saved(model, forward, tokens())


INPUT = N * T * E * 4
"""Bytes of what goes into a block."""


@given(layers=st.integers(2, 5))
def test_of_each_further_block_the_input_is_kept_and_nothing_else(layers: int) -> None:
    insides = saved_by(3, again=False) - saved_by(2, again=False)
    assert saved_by(layers, again=False) - saved_by(2, again=False) == (layers - 2) * insides
    assert saved_by(layers, again=True) - saved_by(2, again=True) == (layers - 2) * INPUT
    assert insides > 10 * INPUT  # q, k, v; two norms; the MLP's four, twice; what attention and dropout keep


class Live(TorchDispatchMode):
    """Adds up what is in memory at once."""

    def __init__(self) -> None:
        super().__init__()
        self.storages: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self.storages[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.storages = {key: entry for key, entry in self.storages.items() if not entry[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self.storages.values()))
        return result


@pytest.mark.parametrize("layers", [3, 6])
def test_at_the_peak_the_insides_of_one_block_are_in_memory(layers: int) -> None:
    """Saved are the insides of all blocks but that one; a block's worth is left for what comes and goes."""
    insides = saved_by(3, again=False) - saved_by(2, again=False)
    peaks = []
    for model in (gpt(layers), recomputed(gpt(layers))):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        with Live() as live:
            model(tokens()).logits.sum().backward()
        peaks.append(live.peak)
    assert peaks[0] - peaks[1] >= (layers - 2) * (insides - INPUT)


# In company


@pytest.mark.parametrize(("build", "inputs"), [(gpt, tokens), (resnet, pictures)])
def test_compiled_whole(build: Callable[[], nn.Module], inputs: Callable[[], Tensor]) -> None:
    """In float64, where the compiler's order of summation cannot hide a difference."""
    model, x = build().double(), inputs()
    x = x.double() if x.is_floating_point() else x
    twin = recomputed(model)
    compiled = step(twin, x, torch.compile(twin, backend="aot_eager", fullgraph=True))
    torch.testing.assert_close(compiled, step(model, x))


def test_a_compiled_model_keeps_less_too() -> None:
    assert saved_by(3, again=True, compiled=True) < saved_by(3, again=False, compiled=True) / 2


@pytest.fixture
def alone() -> Iterator[None]:
    """A group of one process."""
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("alone")
@MODELS
def test_with_the_hooks_of_data_parallel_training(build: Callable[[], nn.Module], inputs: Callable[[], Tensor]) -> None:
    model, x = build(), inputs()
    twin = recomputed(model)
    assert same(step(model, x), step(twin, x, DistributedDataParallel(twin)))


@pytest.mark.filterwarnings("ignore:FSDP2-wrapped module:UserWarning")  # returned a view, which nobody writes to
@pytest.mark.parametrize("first", ["recompute", "shard"])
@pytest.mark.usefixtures("alone")
@MODELS
def test_with_the_hooks_of_sharding(build: Callable[[], nn.Module], inputs: Callable[[], Tensor], first: str) -> None:
    """Its weights are gathered before a block runs, forward and backward, and gone in between."""
    model, x = build(), inputs()
    expected = step(copy.deepcopy(model), x)
    mesh = init_device_mesh("cpu", (1,))
    found = blocks(model)
    if first == "recompute":
        recompute(model)
    for block in found:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    assert blocks(model) == found
    if first == "shard":
        recompute(model)
    result = {name: t.full_tensor() if hasattr(t, "full_tensor") else t for name, t in step(model, x).items()}
    torch.testing.assert_close(result, expected)
