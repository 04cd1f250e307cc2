"""The training states of a run: one folder a step, the newest of which a run goes on from."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minimodels.checkpoint.manifest import ANOTHER_COPY, StateError
from minimodels.checkpoint.processes import shared
from minimodels.checkpoint.state import Like, check_state, read_state, write_state
from minimodels.errors import InputError
from minimodels.files import folders, remove_folder, sweep

PREFIX = "step-"


class States:
    """The numbered states in a folder: step-00000050, step-00000100, ...

    At every moment, also when the process is killed, the newest of them is whole: it got its name when it was complete
    and on the disk, and older ones go only after that. What a killed process left is cleared away at the next `save`.
    Whatever else lies in the folder is left alone. In a process group all processes call `save` and `load` together.

    Args:
        folder: where they lie; it is made when it is missing.
        keep_last: how many are kept; None keeps all of them.

    Raises:
        InputError: `keep_last` is below 1.

    See: tests/checkpoint/test_states.py

    Example:
        >>> import tempfile
        >>> states = States(Path(tempfile.mkdtemp()) / "checkpoints", keep_last=2)
        >>> for step in (50, 100, 150):
        ...     _ = states.save(step, {"step": step})
        >>> [path.name for path in states.all()], states.load()
        (['step-00000100', 'step-00000150'], {'step': 150})
    """

    def __init__(self, folder: str | os.PathLike[str], keep_last: int | None = None) -> None:
        if keep_last is not None and keep_last < 1:
            raise InputError(f"keep_last {keep_last}: the newest state has to be kept; give 1 or more.")
        self.folder = Path(folder)
        self.keep_last = keep_last

    def save(self, step: int, state: Mapping[str, Any]) -> Path:
        """Write a state; once it is whole, remove those that are older than the last `keep_last`.

        Args:
            step: its number.
            state: as for `write_state`.

        Returns:
            Its folder.

        Raises:
            InputError: a step that is no such number, or as for `write_state`.
            OSError: the disk is full, or the like; all states are then as they were.
        """
        if not 0 <= step < 10**18:
            raise InputError(f"step {step}: give a whole number from 0 on with at most 18 digits.")
        path = self.folder / f"{PREFIX}{step:08d}"
        shared(lambda: sweep(self.folder, PREFIX))
        write_state(path, state)
        shared(lambda: self._prune(path))
        return path

    def all(self) -> list[Path]:
        """The folders of all states, in the order of their steps."""
        steps = {_step(path.name): path for path in folders(self.folder)}
        return [steps[step] for step in sorted(step for step in steps if step is not None)]

    def newest(self) -> Path | None:
        """The folder of the state with the highest step; None where there is none."""
        return next(reversed(self.all()), None)

    def load(self, like: Like | None = None) -> dict[str, Any]:
        """Read the newest state.

        Args:
            like: as for `read_state`.

        Raises:
            InputError: there is none; or it is not whole, and then the message says from which one a run can go on.
        """
        newest = shared(self.newest)
        if newest is None:
            raise InputError(f"{self.folder}: holds no state to go on from; begin a new run, without --resume.")
        try:
            return read_state(newest, like)
        except StateError as error:
            problem = error
        raise shared(lambda: self._with_offer(problem))

    def _with_offer(self, error: StateError) -> StateError:
        """The error, with the newest whole state as the remedy."""
        doomed = ["that folder"]
        offer = f"begin a new run without --resume, since no whole state is left in {self.folder}"
        for path in reversed(self.all()):
            if path == error.folder:
                continue
            try:
                check_state(path)
            except StateError:
                doomed.append(str(path))
            else:
                offer = f"delete {' and '.join(doomed)}, and --resume goes on from {path}, which is whole"
                break
        better = "" if error.remedy == ANOTHER_COPY else f"{error.remedy}, or "
        return StateError(error.folder, error.problem, better + offer)

    def _prune(self, newest: Path) -> None:
        """Remove what is older than the last `keep_last` states, up to the newest."""
        if self.keep_last is not None:
            states = self.all()
            last = states[: states.index(newest) + 1]
            for path in last[: -self.keep_last]:
                remove_folder(path)


def _step(name: str) -> int | None:
    """The step of a state's folder; None for any other."""
    found = re.fullmatch(rf"{PREFIX}([0-9]{{8,18}})", name)
    return int(found[1]) if found and name == f"{PREFIX}{int(found[1]):08d}" else None
