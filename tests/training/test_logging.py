"""The history and its files."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimodels.training.logging import History, column_names, write_csv

records = st.lists(
    st.dictionaries(st.sampled_from(["epoch", "loss", "accuracy", "val_loss"]), st.floats(allow_nan=False), min_size=1),
    min_size=1,
    max_size=5,
)


@given(records=records)
def test_every_digit_survives_the_file(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, float]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "metrics.csv"
    write_csv(path, records)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{name: float(cell) for name, cell in row.items() if cell} for row in rows] == records
    assert b"\r" not in path.read_bytes()


@given(records=records)
def test_columns_hold_the_records(records: list[dict[str, float]]) -> None:
    history = History()
    for record in records:
        history.add(record, {"seconds": 2.0})
    for name, column in history.history.items():
        assert column == [record[name] for record in records if name in record]
    assert {*history.history, "epoch"} >= set(column_names(records))
    assert history.total("seconds") == 2.0 * len(records)


def test_a_write_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    write_csv(path, [{"loss": 1.0}])

    class Unprintable(float):
        def __repr__(self) -> str:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_csv(path, [{"loss": Unprintable(2.0)}])
    assert path.read_text() == "loss\n1.0\n"
    assert list(tmp_path.iterdir()) == [path]
