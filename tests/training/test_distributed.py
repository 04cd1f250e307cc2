"""Several processes train as one does: the same weights, whichever way they share the work."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from minimodels import nn
from minimodels.data import Batches
from minimodels.models import GPT2Config, GPT2LMHeadModel
from minimodels.optim import AdamW
from minimodels.recipes.gpt_model import Guess, Guessing
from minimodels.training import Trainer, accuracy
from tests.distributed import run

SAMPLES = 26


def rows() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(SAMPLES, 5, generator=generator).double(), torch.randint(3, (SAMPLES,), generator=generator)


def tokens() -> list[tuple[Tensor, Tensor]]:
    """Ragged token counts: some targets are padding, more in one row than in another; the last batch has one row."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(11, (9, 7), generator=generator)
    targets = torch.where(torch.rand(9, 7, generator=generator) < 0.3, -100, inputs.roll(-1, 1))
    targets[:3, 1:] = -100
    return list(zip(inputs.split(4), targets.split(4), strict=True))


def perceptron(**options: Any) -> tuple[Trainer, Any]:
    torch.manual_seed(0)
    model = nn.Sequential(*[nn.Sequential(nn.Linear(5, 5), nn.Tanh()) for _ in range(3)], nn.Linear(5, 3)).double()
    optimizer = AdamW(model.parameters(), lr=0.02)
    data = Batches(*rows(), batch_size=8, shuffle=True, seed=1)
    return Trainer(model, nn.CrossEntropyLoss(), optimizer, metrics={"accuracy": accuracy}, **options), data


def language(**options: Any) -> tuple[Trainer, Any]:
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=11,
            n_positions=8,
            n_embd=12,
            n_layer=2,
            n_head=2,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
        )
    ).double()
    optimizer = AdamW(model.parameters(), lr=0.02)
    return Trainer(Guessing(model), Guess.surprise, optimizer, count=lambda t: (t != -100).sum(), **options), tokens()


def trained(make: Any, **options: Any) -> dict[str, Any]:
    """What training comes to: weights put together, and the history."""
    trainer, data = make(device="cpu", clip_norm=0.5, ema_decay=0.9, **options)
    trainer.fit(data, 2, data)
    with trainer.to_save() as model:
        weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return {"weights": weights, "records": trainer.history.records, "state": trainer.epoch}


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "a perceptron": (perceptron, {}),
    "a perceptron, sharded": (perceptron, {"shard": True}),
    "a perceptron, accumulated": (perceptron, {"accumulate": 3}),
    "a perceptron, accumulated and sharded": (perceptron, {"accumulate": 3, "shard": True}),
    "a language model": (language, {}),
    "a language model, sharded": (language, {"shard": True}),
    "a language model, accumulated": (language, {"accumulate": 2}),
}


def all_cases() -> dict[str, Any]:
    """What the two processes come to."""
    found = {name: trained(make, **options) for name, (make, options) in CASES.items()}
    found["a sampler's rows"] = trained(with_a_sampler)
    return found


def with_a_sampler(**options: Any) -> tuple[Trainer, Any]:
    """Each process reads rows of its own: a loader with a DistributedSampler is left as it is."""
    trainer, _ = perceptron(**options)
    data = TensorDataset(*rows())
    sampler = DistributedSampler(data, shuffle=False) if not trainer.world.alone else None
    return trainer, DataLoader(data, batch_size=SAMPLES if sampler is None else SAMPLES // 2, sampler=sampler)


def test_two_processes_with_half_the_batch_are_one_with_the_whole() -> None:
    first, second = run(2, all_cases)
    for name, found in first.items():
        make, options = CASES.get(name, (with_a_sampler, {}))
        alone = trained(make, **{key: value for key, value in options.items() if key != "shard"})
        for key, wanted in alone["weights"].items():
            torch.testing.assert_close(found["weights"][key], wanted, rtol=1e-10, atol=1e-12, msg=f"{name}: {key}")
        assert second[name]["records"] == found["records"], name
        for record, expected in zip(found["records"], alone["records"], strict=True):
            assert record == pytest.approx(expected, rel=1e-10), name
