"""Who is to blame for NaN: the one fault that was built in is found, and looking for it changes nothing."""

import copy
import math
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributed.fsdp import fully_shard

from minimodels import nn
from minimodels.training import blame_backward, blame_forward
from minimodels.training.precision import autocast

FLAWS = {"NaN": math.nan, "infinity": math.inf}


class Faulty(nn.Module):
    """Gives what it should not, from anything."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return input + self.value


class Split(nn.Module):
    """Gives more than one tensor, in the middle of a model."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, input: Tensor) -> Tensor:
        (first,), named = self.inner(input)
        part: Tensor = named["rest"]
        return first + part


class Parts(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, input: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
        return [input], {"rest": self.inner(input)}


class Between(nn.Module):
    """What happens between layers, not in them."""

    def __init__(self, change: Any, *layers: nn.Module) -> None:
        super().__init__()
        self.change = change
        self.layers = nn.ModuleList(layers)

    def forward(self, input: Tensor) -> Tensor:
        for layer in self.layers:
            input = layer(self.change(input))
        return input


class Objective(nn.Module):
    """A model and its loss in one."""

    def __init__(self, model: nn.Module, loss: Any) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, *batch: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self.model(*batch[:-1])
        return outputs, self.loss(outputs, batch[-1])


def nested(leaves: list[nn.Module], shape: list[str]) -> nn.Module:
    """The leaves one after the other, the rest of the model being wrapped again and again."""
    model: nn.Module = nn.Identity()
    for leaf, kind in zip(reversed(leaves), shape, strict=False):
        model = nn.Sequential(leaf, model)
        if kind == "parts":
            model = Split(Parts(model))
        elif kind == "between":
            model = Between(lambda x: x, model)
    return model


shapes = st.lists(st.sampled_from(["flat", "parts", "between"]), min_size=5, max_size=5)


def state(model: nn.Module) -> dict[str, Any]:
    """Everything that could be changed by looking."""
    return {
        "weights": copy.deepcopy(model.state_dict()),
        "objects": [id(tensor) for tensor in (*model.parameters(), *model.buffers())],
        "versions": [tensor._version for tensor in (*model.parameters(), *model.buffers())],
        "modes": [part.training for part in model.modules()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "hooks": [{k: len(v) for k, v in vars(part).items() if "hooks" in k} for part in model.modules()],
        "random": torch.get_rng_state(),
    }


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one.nan_to_num(), other.nan_to_num()) and torch.equal(one.isnan(), other.isnan())
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


# One fault, found


@given(shape=shapes, place=st.integers(0, 4), flaw=st.sampled_from(sorted(FLAWS)))
def test_the_layer_that_fails_is_named(shape: list[str], place: int, flaw: str) -> None:
    leaves: list[nn.Module] = [nn.Linear(3, 3), nn.Dropout(0.5), nn.BatchNorm1d(3), nn.LeakyReLU(), nn.Linear(3, 3)]
    leaves[place] = Faulty(FLAWS[flaw])
    model = nested(leaves, shape)
    (name,) = (name for name, module in model.named_modules() if isinstance(module, Faulty))
    said = blame_forward(model, [torch.full((4, 3), 0.125)])
    assert said.startswith(f"the first layer to give {flaw} is {name} (Faulty), from finite inputs up to ")
    if place == 0:
        assert said.endswith("up to 0.125") or "the first to give NaN" in said


@given(shape=shapes, place=st.sampled_from([0, 2, 4]), flaw=st.sampled_from(sorted(FLAWS)), name=st.data())
def test_the_weight_that_was_bad_already_is_named(shape: list[str], place: int, flaw: str, name: Any) -> None:
    leaves = [nn.Linear(3, 3), nn.LeakyReLU(), nn.BatchNorm1d(3), nn.LeakyReLU(), nn.Linear(3, 3)]
    model = nested(leaves, shape).eval()
    which = name.draw(st.sampled_from(sorted(leaves[place].state_dict())[:3]))
    weight = leaves[place].state_dict()[which]
    if not weight.is_floating_point():
        return
    weight.view(-1)[-1] = FLAWS[flaw]
    (path,) = (name for name, tensor in model.state_dict().items() if tensor.data_ptr() == weight.data_ptr())
    said = blame_forward(model, [torch.full((4, 3), 0.125)])
    if (which, flaw) == ("running_var", "infinity"):
        assert said.startswith("all layers give finite numbers")  # x/∞ is 0
    else:
        assert f"whose {path} holds {flaw} already" in said


@given(index=st.tuples(st.integers(0, 3), st.integers(0, 2)), flaw=st.sampled_from(sorted(FLAWS)))
def test_data_are_to_blame_before_all_else(index: tuple[int, int], flaw: str) -> None:
    data = torch.zeros(4, 3)
    data[index] = FLAWS[flaw]
    said = blame_forward(Faulty(math.nan), [torch.arange(4), {"features": [data]}])
    assert said == f"the data hold {flaw}, tensor 2 of the batch first at {list(index)}"


def test_bad_data_are_run_as_well_for_others_may_wait() -> None:
    """A sharded model gathers its weights from all processes, and each has rows of its own."""
    calls = []
    model = Between(lambda x: calls.append(1) or x, nn.Identity())
    assert "the data hold NaN" in blame_forward(model, [torch.tensor([math.nan])])
    assert len(calls) == 1
    assert "the data hold NaN" in blame_forward(Broken(ValueError()), [torch.full((2, 3), math.nan)])


def test_overflow_names_both_where_it_began_and_where_it_became_nan() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Identity(), nn.Softmax(1))
    with torch.no_grad():
        model[0].weight.fill_(1e38)
    assert blame_forward(model, [torch.full((1, 2), -9.0)]) == (
        "the first layer to give infinity is 0 (Linear), from finite inputs up to 9 and weights up to 1e+38, "
        "and the first to give NaN is 2 (Softmax)"
    )


def test_what_happens_between_layers_is_said_so() -> None:
    model = nn.Sequential(nn.Tanh(), Between(lambda x: x / 0, nn.Identity(), nn.Softmax(1)))
    assert blame_forward(model, [torch.full((1, 2), 1.0)]) == (
        "the first layer to give infinity is 1 (Between) between its layers, from finite inputs up to 0.762, "
        "and the first to give NaN is 1.layers.1 (Softmax)"
    )
    said = blame_forward(Between(lambda x: x * math.nan, nn.Linear(1, 1)), [torch.ones(1)])
    assert said.endswith("is the model itself (Between) between its layers, from finite inputs up to 1")


class Inner(nn.Module):
    def forward(self, one: Tensor, *, other: Tensor) -> "Result":
        return Result(one + other, object())


def test_what_a_layer_is_given_by_name_is_looked_at_too() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def forward(self, input: Tensor) -> Tensor:
            result: Result = self.inner(input, other=input * math.nan)
            return result.scores

    assert "is the model itself (Model) between its layers" in blame_forward(Model(), [torch.ones(2)])


def test_a_weight_that_another_layer_uses_is_found() -> None:
    """Our attention multiplies by the weights of its last layer without calling it."""
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    layer.self_attn.out_proj.weight.data[1, 2] = math.nan
    said = blame_forward(layer, [torch.ones(1, 3, 4)])
    assert "self_attn (MultiheadAttention)" in said
    assert "whose self_attn.out_proj.weight holds NaN already" in said


def test_nothing_is_said_of_the_size_of_outputs_that_cannot_be_seen() -> None:
    """What the GPT recipe's model gives is an object, of which the loss makes its numbers."""

    class Guess:
        def __init__(self, scores: Tensor) -> None:
            self.scores = scores

    class Model(nn.Module):
        def forward(self, input: Tensor) -> Guess:
            return Guess(input)

    wrapped = Objective(Model(), lambda guess, targets: (guess.scores * math.nan).mean())
    said = blame_forward(wrapped, [torch.ones(2), torch.ones(2)])
    assert said == "all layers give finite numbers, and the loss itself is NaN"


def test_the_loss_is_to_blame_when_all_else_is_finite() -> None:
    model, batch = nn.Linear(2, 2), [torch.full((3, 2), 7.0), torch.zeros(3, 2)]
    model.weight.data.fill_(1.0)
    model.bias.data.zero_()
    said = blame_forward(Objective(model, lambda outputs, targets: (outputs - 15).log().mean()), batch)
    assert said == "all layers give finite numbers, up to 14, and the loss itself is NaN"
    assert (
        blame_forward(model, batch[:1])
        == "all layers give finite numbers, up to 14, so that the loss itself is to blame"
    )
    wrapped = Objective(model, nn.MSELoss())
    model.weight.data.fill_(1e19)
    assert blame_forward(wrapped, batch) == (
        "the first layer to give infinity is loss (MSELoss), from finite inputs up to 1.4e+20"
    )


def test_the_loss_is_not_to_blame_for_what_it_is_given() -> None:
    batch = [torch.ones(3, 2), torch.zeros(3, 2)]
    said = blame_forward(Objective(lambda x: x * math.nan, nn.MSELoss()), batch)
    assert (
        said
        == "the first layer to give NaN is the model itself (Objective) between its layers, from finite inputs up to 1"
    )

    class Weighted(Objective):
        def __init__(self) -> None:
            super().__init__(nn.Identity(), lambda outputs, targets: (outputs * self.weight).mean())
            self.weight = nn.Parameter(torch.tensor(math.nan))

    assert blame_forward(Weighted(), batch).endswith("between its layers, whose weight holds NaN already")


def test_what_does_not_happen_again_is_chance() -> None:
    said = blame_forward(Objective(nn.Tanh(), nn.MSELoss()), [torch.zeros(2, 2), torch.ones(2, 2)])
    assert said == (
        "the same batch gives finite numbers, up to 1, when it is run again, so that chance has a part in it, "
        "such as dropout"
    )


def test_names_inside_of_a_part_are_its_own() -> None:
    batch = [torch.full((3, 2), 7.0), torch.zeros(3, 2)]
    model = Objective(nn.Sequential(nn.Linear(2, 2)), nn.MSELoss())
    model.model[0].bias.data.fill_(math.nan)
    assert "is 0 (Linear), whose 0.bias holds" in blame_forward(model, batch, inside="model")
    assert "is model.0 (Linear), whose model.0.bias holds" in blame_forward(model, batch)
    model(*batch)[1].backward()
    assert blame_backward(model, inside="model").endswith("is that of 0.bias")
    assert blame_backward(model).endswith("is that of model.0.bias")


class Hidden(nn.Module):
    """Scores that may not be seen are −∞."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.tensor([0.0, -math.inf, 0.0]))

    def forward(self, input: Tensor) -> Tensor:
        hidden: Tensor = input + self.mask
        return hidden


def test_what_is_put_right_again_is_not_to_blame() -> None:
    model = nn.Sequential(nn.Sequential(Hidden(), nn.Softmax(1)), Faulty(math.nan))
    assert (
        blame_forward(model, [torch.ones(2, 3)])
        == "the first layer to give NaN is 1 (Faulty), from finite inputs up to 0.5"
    )


def test_what_is_put_right_elsewhere_excuses_nobody() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bad = Faulty(math.inf)
            self.good = nn.Sequential(Hidden(), nn.Softmax(1))

        def forward(self, input: Tensor) -> Tensor:
            sum: Tensor = self.bad(input) + self.good(input)
            return sum

    assert "is bad (Faulty)" in blame_forward(Branches(), [torch.ones(2, 3)])


def test_masks_are_not_to_blame() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = Hidden()
            self.leaf = Leaf()

        def forward(self, input: Tensor, mask: Tensor) -> Tensor:
            scores: Tensor = self.leaf(input, mask)
            return scores

    class Leaf(Hidden):
        def forward(self, input: Tensor, mask: Tensor) -> Tensor:
            return torch.softmax(input + mask, 1) * math.nan

    batch = [torch.ones(2, 3), torch.tensor([-math.inf, 0.0, 0.0])]
    assert blame_forward(Masked(), batch) == "the first layer to give NaN is leaf (Leaf), from finite inputs up to 1"
    assert "tensor 2 of the batch first at [0]" in blame_forward(Masked(), [batch[0], torch.full((3,), -math.inf)])


def test_a_weight_is_no_mask() -> None:
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data.copy_(torch.tensor([[0.0, -math.inf]]))
    assert blame_forward(layer, [torch.ones(1, 2)]).endswith("whose weight holds infinity already")


def test_eight_bits_and_nothing_at_all_are_looked_at() -> None:
    data = torch.tensor([1.0, math.nan]).to(torch.float8_e4m3fn)
    assert (
        blame_forward(nn.Identity(), [torch.zeros(0), data]) == "the data hold NaN, tensor 2 of the batch first at [1]"
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.complex64])
def test_all_types_of_numbers_are_looked_at(dtype: torch.dtype) -> None:
    said = blame_forward(nn.Sequential(nn.Identity(), Faulty(math.nan)), [torch.ones(2, 3, dtype=dtype)])
    assert said == "the first layer to give NaN is 1 (Faulty), from finite inputs up to 1"
    assert "the data hold" in blame_forward(nn.Identity(), [torch.tensor([0.0, math.inf]).to(dtype)])


def test_16_bits_overflow_where_32_do_not() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Flatten())
    model[0].weight.data.fill_(300.0)
    batch = [torch.full((1, 2), 300.0)]
    assert blame_forward(model, batch).startswith("all layers give finite numbers")
    with autocast(torch.device("cpu"), "float16"):
        assert blame_forward(model, batch).startswith("the first layer to give infinity is 0 (Linear)")


@pytest.mark.parametrize("whole", [True, False])
def test_compiled_models_are_run_without_their_compiler(whole: bool) -> None:
    graphs = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    model = nn.Sequential(nn.Linear(2, 2), Faulty(math.nan))
    compiled = torch.compile(model, backend=backend)
    if not whole:
        model.compile(backend=backend)
        compiled = model
    with torch.no_grad():
        compiled(torch.ones(1, 2))
    before = len(graphs)
    assert "is 1 (Faulty)" in blame_forward(compiled, [torch.ones(1, 2)])
    assert before > 0
    assert len(graphs) == before


def test_a_compiler_is_not_loaded_to_be_told_to_stand_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)
    monkeypatch.setattr(torch.compiler, "set_stance", None)
    assert "is the model itself (Faulty)" in blame_forward(Faulty(math.nan), [torch.ones(1)])


@dataclass
class Result:
    scores: Tensor
    cache: object = None


def test_models_that_give_dataclasses_and_take_several_inputs() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(3, 2)
            self.inner = Inner()

        def forward(self, tokens: Tensor, shift: Tensor) -> Result:
            found: Result = self.inner(self.embedding(tokens), other=shift)
            return found

    model, batch = Model(), [torch.tensor([0, 1]), torch.full((2, 2), 3e38)]
    model.embedding.weight.data.fill_(3e38)
    assert (
        blame_forward(model, batch)
        == "the first layer to give infinity is inner (Inner), from finite inputs up to 3e+38"
    )
    model.embedding.weight.data[1] = math.nan
    assert "is embedding (Embedding), whose embedding.weight holds NaN" in blame_forward(model, batch)


# Looking changes nothing, and never fails


@given(shape=shapes, value=st.sampled_from([0.0, math.nan]))
def test_looking_changes_nothing(shape: list[str], value: float) -> None:
    leaves = [nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.ReLU(inplace=True), Faulty(value)]
    model = nested(leaves, shape)
    leaves[0].eval()
    inputs = torch.randn(4, 3)
    model(inputs.clone()).sum().backward()
    before, given_inputs = state(model), inputs.clone()
    blame_forward(model, [inputs])
    blame_backward(model)
    assert same(before, state(model))
    assert torch.equal(inputs, given_inputs)
    assert torch.is_grad_enabled()


class Broken(nn.Module):
    """Fails in its own way, after it has changed what it could."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.norm = nn.BatchNorm1d(3)

    def forward(self, input: Tensor) -> Tensor:
        self.norm(input.mul_(2))
        torch.rand(3)
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("out of memory\nsome lines more"), KeyError("x"), ValueError()])
def test_it_never_raises(error: Exception) -> None:
    model, inputs = Broken(error), torch.ones(4, 3)
    before = state(model)
    said = blame_forward(model, [inputs])
    reason = (str(error) or "ValueError").splitlines()[0]
    assert said == f"where it began cannot be told, as looking for it failed ({reason})"
    assert same(before, state(model))
    assert torch.equal(inputs, torch.ones(4, 3))


def test_a_layer_that_fails_and_is_caught_does_not_confuse() -> None:
    class Forgiving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = Faulty(math.inf)
            self.broken = Broken(ValueError("tried"))

        def forward(self, input: Tensor) -> Tensor:
            self.unused(input)
            with suppress(ValueError):
                self.broken(input)
            return input

    said = blame_forward(nn.Sequential(Forgiving(), Faulty(math.nan)), [torch.ones(4, 3)])
    assert said == "the first layer to give NaN is 1 (Faulty), from finite inputs up to 2"


@given(words=st.lists(st.sampled_from([0.0, 1.0, math.nan, math.inf, -math.inf]), min_size=4, max_size=4))
def test_it_always_says_one_part_of_a_sentence(words: list[float]) -> None:
    model = nn.Sequential(nn.Linear(1, 1), Faulty(words[0]), nn.Linear(1, 1))
    model[2].weight.data.fill_(words[1])
    model[0].bias.data.fill_(words[2])
    for said in (blame_forward(model, [torch.tensor([[words[3]]])]), blame_backward(model)):
        assert re.fullmatch(r"(the|all|where) [^\n;]*[^\n;.]", said)


def test_models_on_the_device(device: torch.device) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), Faulty(math.nan)).to(device)
    inputs = torch.ones(2, 3, device=device)
    torch.manual_seed(0)
    expected = torch.rand(5, device=device)
    torch.manual_seed(0)
    assert "is 2 (Faulty), from finite inputs" in blame_forward(model, [inputs])
    assert torch.equal(torch.rand(5, device=device), expected)


# Gradients


@given(place=st.integers(0, 3), flaw=st.sampled_from(sorted(FLAWS)), earlier=st.booleans())
def test_the_last_parameter_with_a_bad_gradient_is_the_first_on_the_way_back(
    place: int, flaw: str, earlier: bool
) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    names = [name for name, _ in model.named_parameters()]
    for number, parameter in enumerate(model.parameters()):
        bad = number == place or (earlier and number < place)
        parameter.grad = torch.full_like(parameter, FLAWS[flaw] if bad else 0.5)
    assert blame_backward(model) == f"the first gradient with {flaw} on the way back is that of {names[place]}"


def test_gradients_that_cannot_be_looked_at() -> None:
    layer = nn.Linear(1, 1, device="meta")
    layer.weight.grad = torch.empty_like(layer.weight)
    assert blame_backward(layer).startswith("where it began cannot be told, as looking for it failed (")


def test_gradients_that_are_finite_missing_or_sparse() -> None:
    model = nn.Sequential(nn.Embedding(4, 2, sparse=True), nn.Linear(2, 1))
    assert blame_backward(model) == "all gradients are finite, up to 0"
    model[0](torch.tensor([1, 1])).sum().backward()
    assert blame_backward(model) == "all gradients are finite, up to 2"
    (model[0](torch.tensor([1, 1])) * math.nan).sum().backward()
    assert blame_backward(model) == "the first gradient with NaN on the way back is that of 0.weight"


# Shards


@pytest.mark.usefixtures("group_of_one")
@pytest.mark.parametrize("poison", [0, 1])
def test_shards_are_looked_at(poison: int) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Tanh())
    model[poison].weight.data[0, 0] = math.nan
    parts: Sequence[Any] = [model[0], model[1], model]
    for part in parts:
        fully_shard(part, mesh=torch.distributed.init_device_mesh("cpu", (1,)), reshard_after_forward=True)
    said = blame_forward(model, [torch.ones(1, 2)])
    assert f"is {poison} (" in said
    assert f"whose {poison}.weight holds NaN already" in said
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    assert blame_backward(model) == "all gradients are finite, up to 1"
