"""A digit recipe of a few pictures, and runs that draw none, so that a whole run takes a moment."""

import pytest

from minimodels.data import ImageSet, load_digits
from minimodels.inspection import report
from minimodels.recipes import pictures


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> tuple[ImageSet, ImageSet]:
    """Replaces the recipe's data by 64 real digits to train on and 40 to test with."""
    train, test = load_digits()
    few = (ImageSet(train.images[:64], train.labels[:64]), ImageSet(test.images[:40], test.labels[:40]))
    monkeypatch.setattr(pictures, "load_data", lambda chosen: few)
    return few


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if matplotlib were not installed: to draw takes four times as long as all the rest of a small run."""
    monkeypatch.setattr(report, "can_draw", lambda: False)
