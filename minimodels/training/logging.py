"""What a run remembers: the history in memory, and two CSV files of it."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from minimodels.files import replacing

if TYPE_CHECKING:
    from minimodels.training.loop import Trainer

Record = dict[str, float]
"""One epoch's numbers by name: epoch (or step), loss, metrics, val_loss, ..., lr."""


class History:
    """The epochs of a run, one record each; times apart, because they differ from run to run.

    Attributes:
        records: what was learnt: epoch, loss, metrics, the same with `val_` for validation, lr.
        timings: what it took: epoch, samples, seconds, samples_per_second, validation_seconds.
            A run counted in other `Units` has their names in place of epoch and samples.

    Example:
        >>> history = History()
        >>> history.add({"epoch": 1, "loss": 0.5}, {"epoch": 1, "samples": 64, "seconds": 0.2})
        >>> history.add({"epoch": 2, "loss": 0.3}, {"epoch": 2, "samples": 64, "seconds": 0.1})
        >>> history.epoch, history.history["loss"]
        ([1, 2], [0.5, 0.3])
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.timings: list[Record] = []

    def add(self, record: Record, timing: Record) -> None:
        """Append an epoch.

        Args:
            record: its results.
            timing: its times.
        """
        self.records.append(record)
        self.timings.append(timing)

    @property
    def epoch(self) -> list[int]:
        """The numbers of the epochs, from 1; for a run that counts steps, the steps after which it was measured."""
        return [int(record[name]) for record in self.records for name in ("epoch", "step") if name in record]

    @property
    def history(self) -> dict[str, list[float]]:
        """The records turned into columns, as Keras' `History.history` has them."""
        names = [name for name in column_names(self.records) if name not in ("epoch", "step")]
        return {name: [record[name] for record in self.records if name in record] for name in names}

    def total(self, name: str) -> float:
        """The sum of one column of the timings.

        Args:
            name: such as "seconds" or "samples".
        """
        return sum(timing[name] for timing in self.timings)


def column_names(records: Sequence[Record]) -> list[str]:
    """Every name that occurs in the records, in the order of first occurrence.

    Args:
        records: rows by name.

    Example:
        >>> column_names([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "val_loss": 3.0}])
        ['epoch', 'loss', 'val_loss']
    """
    return list(dict.fromkeys(name for record in records for name in record))


def write_csv(path: str | os.PathLike[str], records: Sequence[Record]) -> None:
    """Write records as CSV with a header, in one atomic step; every number with all its digits.

    Args:
        path: the file.
        records: rows by name; a cell is empty where a row lacks the name.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "metrics.csv"
        >>> write_csv(path, [{"epoch": 1, "loss": 0.1}])
        >>> path.read_text().splitlines()
        ['epoch,loss', '1,0.1']
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, column_names(records), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)


class CSVLogger:
    """A callback that keeps metrics.csv and timing.csv of a folder up to date after every epoch.

    metrics.csv holds no times, so two runs with one seed on one machine write the same bytes.

    Args:
        folder: where the two files go.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def on_epoch_end(self, trainer: "Trainer", record: Record) -> None:
        """Write both files anew.

        Args:
            trainer: whose history is written.
            record: of this epoch; it is in the history already.
        """
        write_csv(self.folder / "metrics.csv", trainer.history.records)
        write_csv(self.folder / "timing.csv", trainer.history.timings)
