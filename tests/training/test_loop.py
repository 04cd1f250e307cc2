"""Laws of the one training loop."""

import copy
import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from minimodels import nn
from minimodels.data import Batches
from minimodels.errors import InputError
from minimodels.optim import SGD, Adam, WarmupCosineLR
from minimodels.training import Trainer, accuracy, devices, find_device
from minimodels.training.metrics import Totals

FEATURES, CLASSES = 5, 3


def make_data(samples: int = 50, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(samples, FEATURES, generator=generator)
    return inputs, (inputs @ torch.randn(FEATURES, CLASSES, generator=generator)).argmax(1)


def make_model(seed: int = 0, dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, CLASSES))


def make_trainer(model: nn.Module, **options: Any) -> Trainer:
    rate = options.pop("lr", 0.05)
    options = {"device": "cpu", "metrics": {"accuracy": accuracy}, **options}
    return Trainer(model, nn.CrossEntropyLoss(), Adam(model.parameters(), lr=rate), **options)


def weights(model: nn.Module) -> list[Tensor]:
    return [tensor.clone() for tensor in model.state_dict().values()]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


# What a step does


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=7),
    accumulate=st.integers(1, 4),
    clip=st.sampled_from([None, 0.01, 100.0]),
)
def test_accumulated_steps_are_those_of_big_batches(sizes: list[int], accumulate: int, clip: float | None) -> None:
    """Batches of any sizes, taken k at a time, train as their unions do; the last group may be short."""
    inputs, targets = make_data(sum(sizes))
    small = list(zip(inputs.double().split(sizes), targets.split(sizes), strict=True))
    groups = [small[start : start + accumulate] for start in range(0, len(small), accumulate)]
    big = [tuple(torch.cat(parts) for parts in zip(*group, strict=True)) for group in groups]
    results = []
    for batches, together in ((small, accumulate), (big, 1)):
        model = make_model().double()
        trainer = Trainer(
            model,
            nn.CrossEntropyLoss(),
            SGD(model.parameters(), lr=0.1),
            device="cpu",
            metrics={"accuracy": accuracy},
            accumulate=together,
            clip_norm=clip,
        )
        record = trainer.fit(batches, 2).records[-1]
        results.append((weights(model), record, trainer.step))
    (one, first, steps), (other, second, big_steps) = results
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
    assert steps == big_steps == 2 * len(groups)
    assert first == pytest.approx(second, rel=1e-10)


@given(ignored=st.lists(st.booleans(), min_size=8, max_size=8).filter(lambda flags: not all(flags)))
def test_a_loss_that_skips_targets_accumulates_by_what_it_counts(ignored: list[bool]) -> None:
    """With `count` the mean runs over the targets that are not padding, as one big batch's mean does."""
    inputs, targets = make_data(8)
    targets = torch.where(torch.tensor(ignored), -100, targets)
    parts = list(zip(inputs.double().split(3), targets.split(3), strict=True))
    united = [tuple(torch.cat(column) for column in zip(*parts, strict=True))]
    found = []
    for batches, together in ((parts, len(parts)), (united, 1)):
        model = make_model().double()
        optimizer = SGD(model.parameters(), lr=0.1)
        trainer = Trainer(
            model,
            nn.CrossEntropyLoss(),
            optimizer,
            device="cpu",
            count=lambda targets: (targets >= 0).sum(),
            accumulate=together,
        )
        loss = trainer.fit(batches, 1).records[0]["loss"]
        found.append((loss, weights(model)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-12)
    for a, b in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_the_loop_is_that_of_the_textbook_bit_for_bit() -> None:
    inputs, targets = make_data(20)
    batches = list(zip(inputs.split(6), targets.split(6), strict=True))
    model, plain = make_model(), make_model()
    make_trainer(model).fit(batches, 2)
    optimizer, criterion = Adam(plain.parameters(), lr=0.05), nn.CrossEntropyLoss()
    for _ in range(2):
        for some_inputs, some_targets in batches:
            optimizer.zero_grad()
            criterion(plain(some_inputs), some_targets).backward()
            optimizer.step()
    assert same(weights(model), weights(plain))


def test_the_gradient_is_clipped_before_the_step() -> None:
    model, start = make_model(), make_model()
    optimizer = SGD(model.parameters(), lr=1.0)
    Trainer(model, nn.CrossEntropyLoss(), optimizer, device="cpu", clip_norm=0.01).fit([make_data(6)], 1)
    moved = [(a - b).flatten() for a, b in zip(weights(model), weights(start), strict=True)]
    assert torch.linalg.vector_norm(torch.cat(moved)).item() == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_only_what_the_optimizer_trains_is_clipped(precision: str) -> None:
    """A head on a backbone that is not trained: whether the backbone is frozen as well makes no difference."""
    results = []
    for frozen in (True, False):
        model = make_model()
        model[0].requires_grad_(not frozen)
        trainer = Trainer(
            model,
            nn.CrossEntropyLoss(),
            SGD(model[3].parameters(), lr=0.1),
            device="cpu",
            precision=precision,
            clip_norm=0.05,
        )
        trainer.fit(make_data(), 2)
        results.append(weights(model))
    assert same(*results)


def test_the_schedule_moves_once_a_step_and_its_rate_is_recorded() -> None:
    model = make_model()
    optimizer = SGD(model.parameters(), lr=1.0)
    schedule = WarmupCosineLR(optimizer, warmup_steps=0, total_steps=6)
    trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, schedule=schedule, device="cpu", accumulate=2)
    history = trainer.fit(make_data(50), 2, batch_size=10).history  # 5 batches: steps of 2, 2 and 1
    assert trainer.step == 6
    assert history["lr"] == pytest.approx([0.5 * (1 + math.cos(math.pi * step / 6)) for step in (2, 5)])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_sixteen_bits_learn_and_keep_weights_in_float32(precision: str) -> None:
    model = make_model()
    history = make_trainer(model, precision=precision, clip_norm=1.0).fit(make_data(), 20, batch_size=10)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


# One seed


def run(seed: int, **options: Any) -> tuple[list[Tensor], list[dict[str, float]]]:
    model = make_model(seed, dropout=0.5)
    history = make_trainer(model, **options).fit(make_data(), 3, make_data(20, 1), batch_size=8, seed=seed)
    return weights(model), history.records


def test_one_seed_fixes_everything_and_another_changes_it() -> None:
    one, two, other = run(0), run(0), run(1)
    assert same(one[0], two[0])
    assert one[1] == two[1]
    assert not same(one[0], other[0])
    assert one[1] != other[1]


def test_validation_does_not_change_training() -> None:
    inputs, targets = make_data(20, 1)
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=4, shuffle=True)
    results = []
    for validation in (None, loader):
        model = make_model(dropout=0.5)
        make_trainer(model).fit(make_data(), 2, validation)
        results.append(weights(model))
    assert same(*results)


def test_two_fits_are_one_long_one() -> None:
    once, twice = make_model(), make_model()
    whole = make_trainer(once).fit(make_data(), 4)
    trainer = make_trainer(twice)
    trainer.fit(make_data(), 1)
    parts = trainer.fit(make_data(), 3)
    assert same(weights(once), weights(twice))
    assert whole.records == parts.records
    assert parts.epoch == [1, 2, 3, 4]


# Looking changes nothing


@given(samples=st.integers(1, 40), batch_size=st.integers(1, 50))
def test_means_are_over_samples_whatever_the_batches(samples: int, batch_size: int) -> None:
    inputs, targets = make_data(samples)
    model = make_model().double()
    results = make_trainer(model).evaluate((inputs.double(), targets), batch_size=batch_size)
    outputs = model(inputs.double())
    assert results["loss"] == pytest.approx(nn.CrossEntropyLoss()(outputs, targets).item())
    assert results["accuracy"] == pytest.approx((outputs.argmax(1) == targets).double().mean().item())


def test_a_batch_of_padding_alone_leaves_the_mean_alone() -> None:
    inputs, targets = make_data(12)
    padded = torch.cat([targets[:8], torch.full((4,), -100)])
    trainer = make_trainer(make_model(), count=lambda targets: (targets >= 0).sum(), metrics={})
    expected = trainer.evaluate((inputs[:8], targets[:8]))
    assert trainer.evaluate((inputs, padded), batch_size=4) == pytest.approx(expected)
    trainer.count = lambda targets: int((targets >= 0).sum())
    assert trainer.evaluate((inputs, padded), batch_size=4) == pytest.approx(expected)
    assert math.isnan(trainer.evaluate((inputs[8:], padded[8:]))["loss"])


def test_looking_builds_no_graph() -> None:
    seen = []

    def metric(outputs: Tensor, targets: Tensor) -> tuple[Tensor, int]:
        seen.append(outputs.requires_grad)
        return accuracy(outputs, targets)

    trainer = make_trainer(make_model(), metrics={"accuracy": metric})
    trainer.evaluate(make_data())
    assert set(seen) == {False}
    assert not trainer.predict(make_data()).requires_grad


@pytest.mark.parametrize("look", ["evaluate", "predict"])
def test_looking_changes_nothing(look: str) -> None:
    model = make_model(dropout=0.5)
    model[0].eval()  # a part that was frozen on purpose
    trainer = make_trainer(model)
    loader = DataLoader(TensorDataset(*make_data()), batch_size=7, shuffle=True)
    modes = [part.training for part in model.modules()]
    before, random = weights(model), torch.get_rng_state()
    getattr(trainer, look)(loader)
    assert same(before, weights(model))
    assert torch.equal(random, torch.get_rng_state())
    assert modes == [part.training for part in model.modules()]
    assert torch.is_grad_enabled()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_modes_come_back_after_an_error_too() -> None:
    model = make_model()
    with pytest.raises(RuntimeError):
        make_trainer(model).predict(torch.zeros(2, FEATURES + 1))
    assert all(part.training for part in model.modules())
    assert torch.is_grad_enabled()


def test_training_restores_the_mode_it_found() -> None:
    model = make_model(dropout=0.5).eval()
    seen = []

    class Mode:
        def on_batch_end(self, trainer: Trainer, totals: Totals) -> None:
            seen.append(trainer.model.training)

    make_trainer(model, callbacks=[Mode()]).fit(make_data(), 1)
    assert set(seen) == {True}
    assert not any(part.training for part in model.modules())


def test_predict_takes_inputs_batches_or_pairs_and_keeps_their_order() -> None:
    inputs, targets = make_data()
    model = make_model(dropout=0.5)
    trainer = make_trainer(model)
    expected = copy.deepcopy(model).eval()(inputs)
    for data in (inputs, (inputs, targets), Batches(inputs, batch_size=8), list(inputs.split(9))):
        torch.testing.assert_close(trainer.predict(data, batch_size=7), expected)


def test_a_model_with_two_arguments() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(FEATURES, CLASSES)

        def forward(self, one: Tensor, other: Tensor) -> Tensor:
            return self.layer(one + other)

    inputs, targets = make_data()
    torch.manual_seed(0)
    trainer = make_trainer(Sum())
    history = trainer.fit((inputs, inputs, targets), 3, (inputs, inputs, targets))
    assert history.history["val_loss"][-1] < history.history["loss"][0]
    assert trainer.predict((inputs, inputs, targets)).shape == (50, CLASSES)


# Where it computes


def test_training_on_the_device_is_training_on_the_cpu(device: torch.device) -> None:
    """Data come from the CPU, results go back to it, and the numbers are the same but for rounding."""
    results = []
    for where in ("cpu", str(device)):
        model = make_model()
        trainer = make_trainer(model, device=where, accumulate=2, clip_norm=1.0)
        record = trainer.fit(make_data(), 3, make_data(20, 1), batch_size=8).records[-1]
        assert {parameter.device.type for parameter in model.parameters()} == {torch.device(where).type}
        results.append((record, trainer.predict(make_data()), weights(model.cpu())))
    assert results[1][0] == pytest.approx(results[0][0], rel=1e-3)
    torch.testing.assert_close(results[1][1], results[0][1], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(results[1][2], results[0][2], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_sixteen_bits_learn_on_the_device(device: torch.device, precision: str) -> None:
    history = make_trainer(make_model(), device=device, precision=precision).fit(make_data(), 20, batch_size=10)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]


def test_a_weighted_loss_goes_where_the_model_goes(device: torch.device) -> None:
    model = make_model()
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]))
    Trainer(model, loss, SGD(model.parameters(), lr=0.1), device=device).fit(make_data(), 1)
    assert loss.weight.device.type == device.type


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """A device that every machine has beside the CPU: meta, which computes nothing."""
    monkeypatch.setattr(devices, "find_device", lambda name: torch.device("meta"))
    torch.__future__.set_swap_module_params_on_conversion(True)  # parameters stay themselves, as on any other device
    yield torch.device("meta")
    torch.__future__.set_swap_module_params_on_conversion(False)


def test_the_state_of_the_optimizer_and_the_loss_follow_the_model(elsewhere: torch.device) -> None:
    model = make_model()
    optimizer = Adam(model.parameters(), lr=0.1)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    loss = nn.CrossEntropyLoss(weight=torch.ones(CLASSES))
    Trainer(model, loss, optimizer)
    assert {parameter.device for parameter in model.parameters()} == {elsewhere}
    assert {optimizer.state[parameter]["exp_avg"].device for parameter in model.parameters()} == {elsewhere}
    assert loss.weight.device == elsewhere


def test_without_a_name_a_model_on_an_accelerator_stays_there() -> None:
    class Placed(nn.Module):
        """As if it were on a second card."""

        def parameters(self, recurse: bool = True) -> Iterator[Any]:
            yield SimpleNamespace(device=torch.device("cuda:1"))

        def to(self, device: torch.device) -> "Placed":
            return self

    assert devices.device_for(Placed(), None) == torch.device("cuda:1")
    assert devices.device_for(Placed(), "cpu") == torch.device("cpu")
    assert devices.device_for(make_model(), None) == find_device()


# Data, callbacks, history


def test_a_stream_of_data_without_a_length() -> None:
    class Stream(IterableDataset):  # type: ignore[type-arg]
        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            yield from zip(*make_data(), strict=True)

    streamed, plain = make_model(), make_model()
    trainer = make_trainer(streamed)
    trainer.fit(DataLoader(Stream(), batch_size=8), 2)
    make_trainer(plain).fit(Batches(*make_data(), batch_size=8), 2)
    assert trainer.steps_per_epoch is None
    assert same(weights(streamed), weights(plain))


@pytest.mark.parametrize("target", [np.int64, np.int32, np.uint8])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_numpy_arrays_train_as_tensors_do(kind: type, target: type) -> None:
    inputs, targets = make_data()
    arrays = (inputs.numpy().astype(kind), targets.numpy().astype(target))
    results = []
    for data in ((inputs, targets), arrays):
        model = make_model()
        trainer = make_trainer(model)
        record = trainer.fit(data, 2, data).records[-1]
        results.append((weights(model), record, trainer.predict(data[0])))
    assert same(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]
    assert torch.equal(results[0][2], results[1][2])


def test_batches_of_numpy_arrays_and_arrays_seen_backwards() -> None:
    inputs, targets = make_data()
    backwards = (inputs.numpy()[::-1], targets.numpy()[::-1])
    backwards[0].flags.writeable = False
    trainer = make_trainer(make_model())
    assert trainer.evaluate([backwards]) == pytest.approx(trainer.evaluate((inputs, targets)))
    assert trainer.evaluate(backwards) == pytest.approx(trainer.evaluate((inputs, targets)))


def test_torch_loaders_and_our_batches_train_alike() -> None:
    inputs, targets = make_data()
    loaders = [
        DataLoader(TensorDataset(inputs, targets), batch_size=8),
        Batches(inputs, targets, batch_size=8),
        list(zip(inputs.split(8), targets.split(8), strict=True)),
    ]
    results = []
    for loader in loaders:
        model = make_model()
        make_trainer(model).fit(loader, 2)
        results.append(weights(model))
    assert same(results[0], results[1])
    assert same(results[0], results[2])


def test_every_epoch_is_announced_to_the_data_and_to_its_sampler() -> None:
    class Announced:
        def __init__(self) -> None:
            self.epochs: list[int] = []

        def set_epoch(self, epoch: int) -> None:
            self.epochs.append(epoch)

    class Data(Announced):
        def __init__(self) -> None:
            super().__init__()
            self.sampler = Announced()

        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            yield make_data(4)

    data = Data()
    trainer = make_trainer(make_model())
    trainer.fit(data, 2)
    trainer.fit(data, 1)
    assert data.epochs == data.sampler.epochs == [0, 1, 2]
    assert trainer.steps_per_epoch is None


def test_callbacks_hear_everything_in_order() -> None:
    class Listener:
        def __init__(self) -> None:
            self.heard: list[Any] = []

        def on_train_begin(self, trainer: Trainer) -> None:
            self.heard.append(("begin", trainer.epochs, trainer.steps_per_epoch))

        def on_epoch_begin(self, trainer: Trainer) -> None:
            self.heard.append(("epoch", trainer.epoch))

        def on_batch_end(self, trainer: Trainer, totals: Totals) -> None:
            self.heard.append((trainer.step, totals.samples, sorted(totals.means())))

        def on_epoch_end(self, trainer: Trainer, record: dict[str, float]) -> None:
            assert record is trainer.history.records[-1]
            self.heard.append(("end of", record["epoch"], trainer.epoch))

        def on_train_end(self, trainer: Trainer) -> None:
            self.heard.append("end")

    listener, names = Listener(), ["accuracy", "loss"]
    make_trainer(make_model(), accumulate=2, callbacks=[listener, object()]).fit(make_data(9), 2, batch_size=3)
    assert listener.heard == [
        ("begin", 2, 2),
        *[("epoch", 0), (1, 6, names), (2, 9, names), ("end of", 1, 1)],
        *[("epoch", 1), (3, 6, names), (4, 9, names), ("end of", 2, 2)],
        "end",
    ]


def test_a_callback_can_stop_training() -> None:
    class Enough:
        def on_epoch_end(self, trainer: Trainer, record: dict[str, float]) -> None:
            trainer.stop_training = record["epoch"] == 2

    trainer = make_trainer(make_model(), callbacks=[Enough()])
    assert trainer.fit(make_data(), 5).epoch == [1, 2]
    trainer.callbacks.clear()
    assert trainer.fit(make_data(), 1).epoch == [1, 2, 3]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_the_end_is_told_when_training_fails(error: type[BaseException]) -> None:
    ended = []

    class Failing:
        def on_batch_end(self, trainer: Trainer, totals: Totals) -> None:
            raise error

        def on_train_end(self, trainer: Trainer) -> None:
            ended.append(trainer)

    with pytest.raises(error):
        make_trainer(make_model(), callbacks=[Failing()]).fit(make_data(), 1)
    assert len(ended) == 1


def test_every_callback_hears_the_end_and_the_first_error_counts() -> None:
    ended = []

    class Failing:
        def __init__(self, name: str) -> None:
            self.name = name

        def on_train_end(self, trainer: Trainer) -> None:
            ended.append(self.name)
            raise RuntimeError(f"the end of {self.name}")

    class Broken:
        def on_epoch_end(self, trainer: Trainer, record: dict[str, float]) -> None:
            raise ValueError("the real one")

    one, two = Failing("one"), Failing("two")
    with pytest.raises(InputError, match="the real one") as caught:
        make_trainer(make_model(), callbacks=[one, Broken(), two]).fit(make_data(), 1)
    assert ended == ["one", "two"]
    assert [note.partition(": ")[2][:74] for note in caught.value.__notes__] == [
        "InputError('callback Failing.on_train_end failed: RuntimeError: the end of",
        "InputError('callback Failing.on_train_end failed: RuntimeError: the end of",
    ]
    with pytest.raises(InputError, match="the end of one"):
        make_trainer(make_model(), callbacks=[one, two]).fit(make_data(), 1)
    assert ended == ["one", "two"] * 2


@pytest.mark.parametrize("moment", ["on_train_begin", "on_epoch_begin", "on_batch_end", "on_epoch_end", "on_train_end"])
def test_a_callback_that_fails_is_named_with_its_moment(moment: str) -> None:
    cause = ZeroDivisionError("division by zero.\nmore lines")

    def fail(*details: object) -> None:
        raise cause

    class Mine:
        def __getattr__(self, name: str) -> Any:
            if name == moment:
                return fail
            raise AttributeError(name)

    with pytest.raises(InputError) as caught:
        make_trainer(make_model(), callbacks=[object(), Mine()]).fit(make_data(), 1)
    assert str(caught.value) == (
        f"callback Mine.{moment} failed: ZeroDivisionError: division by zero; mend it, what was saved before stays as "
        f"it is."
    )
    assert caught.value.__cause__ is cause


@pytest.mark.parametrize("error", [InputError("said already"), OSError(28, "full"), KeyboardInterrupt()])
def test_a_callback_that_says_what_is_wrong_is_not_spoken_for(error: BaseException) -> None:
    class Mine:
        def on_epoch_end(self, trainer: Trainer, record: dict[str, float]) -> None:
            raise error

    with pytest.raises(type(error)) as caught:
        make_trainer(make_model(), callbacks=[Mine()]).fit(make_data(), 1)
    assert caught.value is error


def test_the_history_has_keras_columns_and_no_times() -> None:
    history = make_trainer(make_model()).fit(make_data(), 2, make_data(20, 1))
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy", "lr"]
    assert all(len(column) == 2 for column in history.history.values())
    assert history.total("samples") == 100
    assert all(timing["seconds"] > 0 and timing["validation_seconds"] > 0 for timing in history.timings)


# Bad input


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_before_it_spoils_the_weights(poison: float, accumulate: int) -> None:
    inputs, targets = make_data(30)
    inputs[23] = poison
    model = make_model()
    trainer = make_trainer(model, accumulate=accumulate)
    batches = list(zip(inputs.split(5), targets.split(5), strict=True))
    with pytest.raises(InputError, match=f"by step {5 // accumulate + (accumulate > 1)}, in epoch 1.*lower the learn"):
        trainer.fit(batches, 1)
    assert all(tensor.isfinite().all() for tensor in weights(model))
    assert trainer.history.records == []


@pytest.mark.parametrize(("check_every", "noticed"), [(1, 1), (2, 2), (50, 3)])
def test_an_accelerator_is_asked_rarely_and_at_the_end_of_the_epoch(check_every: int, noticed: int) -> None:
    trainer = make_trainer(make_model())
    trainer.check_every = check_every
    inputs, targets = make_data(30)
    inputs[3] = math.nan
    with pytest.raises(InputError, match=f"the loss is nan by step {noticed}, in epoch 1"):
        trainer.fit(list(zip(inputs.split(10), targets.split(10), strict=True)), 1)
    assert trainer.history.records == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "gave no batch"),
        (iter([make_data(4)]), "only once"),
        ((batch for batch in [make_data(4)]), "only once"),
        (make_data(4)[0], r"batch 1 is one tensor without targets; give \(inputs, targets\) as one tuple"),
        ([make_data(4)[0]], "batch 1 is one tensor without targets"),
        ([make_data(4)[:1]], "batch 1 is one tensor without targets"),
        ([*make_data(4)], r"batch 1 is one tensor without targets; give \(inputs, targets\) as one tuple"),
        ([make_data(4)[0].numpy(), make_data(4)[1].numpy()], "batch 1 is one tensor without targets"),
        ([make_data(4), {"inputs": make_data(4)[0]}], "batch 2 is a dict; .* through the loader's collate_fn"),
        ([((make_data(4)[0], make_data(4)[0]), make_data(4)[1])], "batch 1 holds a tuple; .* through the loader's col"),
        (
            ((make_data(4)[0], make_data(4)[0]), make_data(4)[1]),
            "the data are of type tuple, Tensor; give one flat tuple",
        ),
        ({"inputs": make_data(4)[0], "targets": make_data(4)[1]}, "the data are of type dict; give one flat"),
        (TensorDataset(*make_data(4)), "batch 1 is a single sample; .*DataLoader"),
        (5, "the data are of type int"),
        ((np.array(["a", "b"]), np.array([1, 2])), "an array of <U1"),
        ((torch.zeros(3, FEATURES), torch.zeros(2)), "do not belong together"),
    ],
)
def test_data_that_cannot_be_used(data: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_trainer(make_model()).fit(data, 1)


def test_inputs_and_targets_apart_as_keras_takes_them() -> None:
    for parts in (make_data(4), [part.numpy() for part in make_data(4)]):
        with pytest.raises(InputError, match=r"give \(inputs, targets\) as one tuple"):
            make_trainer(make_model()).fit(*parts)


def test_validation_data_are_looked_at_before_anything_is_trained() -> None:
    trainer = make_trainer(make_model())
    with pytest.raises(InputError, match="only once"):
        trainer.fit(make_data(), 1, iter([make_data(4)]))
    assert trainer.step == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accumulate": 0}, "accumulate 0"),
        ({"clip_norm": 0.0}, "clip_norm 0.0"),
        ({"clip_norm": math.nan}, "clip_norm nan"),
        ({"precision": "float8"}, "precision float8: choose one of float32, bfloat16, float16"),
        ({"device": "gpu"}, "device gpu"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_trainer(make_model(), **options)


def test_fit_needs_an_optimizer_and_an_epoch() -> None:
    with pytest.raises(InputError, match="no optimizer"):
        Trainer(make_model(), nn.CrossEntropyLoss(), device="cpu").fit(make_data(), 1)
    with pytest.raises(InputError, match="epochs 0"):
        make_trainer(make_model()).fit(make_data(), 0)


def test_operations_are_counted_once_also_where_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []

    def operations(trainer: Trainer, part: object) -> float:
        counted.append(trainer.step)
        return 0.0

    monkeypatch.setattr(Trainer, "_operations", operations)
    weight = torch.nn.Parameter(torch.zeros(2))
    model = torch.nn.Module()
    model.weight = weight
    model.forward = lambda inputs: inputs + weight  # no products
    trainer = Trainer(model, nn.MSELoss(), SGD([weight], lr=0.1), device="cpu", measure=True)
    trainer.fit((torch.ones(8, 2), torch.ones(8, 2)), 2, batch_size=2)
    assert counted == [0]
    assert "utilisation" not in trainer.history.timings[-1]
