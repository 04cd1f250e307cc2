"""Shapes, shards and the optimiser's state, beside those of real models."""

from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.inspection.footprint import Setup, memory
from minimodels.inspection.footprint.weights import buckets, count, parameter_shapes, shard
from minimodels.models import GPT2Config, GPT2LMHeadModel
from minimodels.models.gpt2_config import SIZES
from minimodels.optim import SGD, AdamW
from tests.inspection.footprint.real import Objective, batch, config

SMALL = {"n_layer": 2, "n_head": 2, "n_embd": 8, "vocab_size": 11, "n_positions": 6}


@pytest.mark.parametrize("name", SIZES)
def test_the_published_sizes(name):
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config.preset(name))
    real = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    shapes = parameter_shapes(model.config)
    assert list(shapes.items()) == list(real.items())  # in the same order, too


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("inner", [None, 5])
def test_shapes(tied, inner):
    model = GPT2LMHeadModel(config(**SMALL, n_inner=inner, tie_word_embeddings=tied))
    real = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert list(parameter_shapes(model.config).items()) == list(real.items())


@given(rows=st.integers(1, 20), columns=st.integers(1, 3), devices=st.integers(1, 8))
def test_a_shard_is_the_largest_part(rows, columns, devices):
    parts = torch.zeros(rows, columns).chunk(devices)
    assert shard({"table": (rows, columns)}, devices) == parts[0].numel()


@given(first=st.integers(1, 4000), most=st.integers(1, 4000), tied=st.booleans())
def test_buckets_hold_all_gradients(first, most, tied):
    made = config(**SMALL, tie_word_embeddings=tied)
    filled = buckets(made, first, most)
    assert sum(filled) == 4 * count(parameter_shapes(made))
    assert all(size >= (most if number else first) for number, size in enumerate(filled[:-1]))


@pytest.mark.parametrize("name", ["adamw", "sgd", "momentum", "muon"])
@pytest.mark.parametrize("average", [False, True])
def test_state(name, average):
    setup = Setup(config=config(**SMALL), optimizer=name, precision="float32", average=average)
    objective = Objective(setup)
    objective(*batch(setup))[1].backward()
    parameters = list(objective.parameters())
    for optimizer in optimizers(name, objective):
        optimizer.step()
        parameters += [t for state in optimizer.state.values() for t in state.values() if getattr(t, "ndim", 0)]
    found, size = memory(setup), len(list(objective.parameters()))
    assert sum(p.nbytes for p in islice(parameters, size)) == found.parameters
    assert sum(p.grad.nbytes for p in islice(parameters, size)) == found.gradients
    assert sum(t.nbytes for t in parameters[size:]) == found.optimizer
    assert found.average == (found.parameters if average else 0)


def optimizers(name, objective):
    """Real ones, which remember in tensors; their counts of steps are single numbers."""
    parameters = list(objective.parameters())
    if name == "adamw":
        return [AdamW(parameters)]
    if name != "muon":
        return [SGD(parameters, 0.1, momentum=0.9 if name == "momentum" else 0.0)]
    matrices = [parameter for parameter in objective.blocks.parameters() if parameter.ndim == 2]
    others = [parameter for parameter in parameters if all(parameter is not matrix for matrix in matrices)]
    return [torch.optim.Muon(matrices), AdamW(others)]
