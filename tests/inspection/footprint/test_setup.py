"""What cannot be trained is refused."""

import pytest

from minimodels.errors import InputError
from minimodels.inspection.footprint import Setup


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batch": 0}, "batch 0: has to be 1 or more"),
        ({"devices": 0}, "devices 0: has to be 1 or more"),
        ({"passes": -1}, "passes -1: has to be 1 or more"),
        ({"context": 0}, "tokens 0: has to be 1 or more"),
        ({"context": 2000}, "context 2000: the model reads 1024 tokens"),
        ({"precision": "int8"}, "precision int8: choose one of"),
        ({"optimizer": "lion"}, "optimizer lion: choose one of"),
    ],
)
def test_what_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        Setup.of("gpt2", **given)


def test_an_unknown_size():
    with pytest.raises(InputError, match="gpt5: is no published size"):
        Setup.of("gpt5")


def test_one_device_shares_nothing():
    assert not Setup.of("gpt2", shard=True).sharded
    assert Setup.of("gpt2", shard=True, devices=2).sharded
