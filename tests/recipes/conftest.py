"""A digit recipe of a few pictures, so that a whole run takes a moment."""

import pytest

from minimodels.data import ImageSet, load_digits
from minimodels.recipes import pictures


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> tuple[ImageSet, ImageSet]:
    """Replaces the recipe's data by 64 real digits to train on and 40 to test with."""
    train, test = load_digits()
    few = (ImageSet(train.images[:64], train.labels[:64]), ImageSet(test.images[:40], test.labels[:40]))
    monkeypatch.setattr(pictures, "load_data", lambda chosen: few)
    return few
