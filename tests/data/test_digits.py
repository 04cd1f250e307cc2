"""The embedded digits: the real ones, split as promised."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.data import digits, load_digits
from minimodels.errors import InputError


@pytest.mark.parametrize("split", ["random", "writers"])
def test_shapes_types_and_range(split: digits.Split) -> None:
    train, test = load_digits(split)
    for part, samples in ((train, 1437), (test, 360)):
        assert part.images.shape == (samples, 1, 28, 28)
        assert part.images.dtype == torch.float32
        assert part.images.amax(dim=(1, 2, 3)).min() == 1
        assert part.images.min() == 0
        assert part.labels.shape == (samples,)
        assert part.labels.dtype == torch.int64
        assert part.labels.unique().tolist() == list(range(10))


@given(seed=st.integers(0, 2**40))
def test_every_digit_is_in_one_part_whatever_the_seed(seed: int) -> None:
    def fingerprints(*parts: digits.ImageSet) -> list[float]:
        weights = torch.linspace(1, 2, 28 * 28, dtype=torch.float64)
        return sorted(float(x) for part in parts for x in part.images.flatten(1).double() @ weights)

    assert fingerprints(*load_digits("random", seed)) == pytest.approx(fingerprints(*load_digits("writers")))


def test_the_default_split_is_the_one_that_figures_were_measured_on() -> None:
    _, test = load_digits()
    assert test.labels.bincount().tolist() == [36] * 10
    assert test.labels[:12].tolist() == [3, 6, 1, 4, 7, 0, 0, 9, 7, 5, 2, 3]
    _, writers = load_digits("writers")
    assert writers.labels[-3:].tolist() == [8, 9, 8]


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(InputError, match="'writer'"):
        load_digits("writer")  # type: ignore[arg-type]


def test_an_altered_file_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "SHA256", "0" * 64)
    monkeypatch.setattr(digits, "_read", digits._read.__wrapped__)  # around the cache
    with pytest.raises(InputError, match=r"digits\.csv\.gz"):
        load_digits()
