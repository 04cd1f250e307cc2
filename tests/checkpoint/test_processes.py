"""Two processes write one state, and any number reads it; a failure of one is a failure of all, and nobody hangs."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor, init_device_mesh

from minimodels import nn
from minimodels.checkpoint import StateError, States, pieces, read_state, write_state
from minimodels.checkpoint.processes import agreed, gathered, rank, shared
from tests.checkpoint.trees import assert_same
from tests.distributed import run

FULL = {
    "even": torch.arange(12.0).reshape(6, 2),
    "odd": torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16),
    "one": torch.ones(1, 4, dtype=torch.complex128),
    "empty": torch.zeros(0, 3),
    "truth": torch.tensor([True, False, True]),
    "number": torch.tensor(3.5, dtype=torch.float64),
}


def placed(tensor: Tensor, placement: Any, size: int = 2) -> DTensor:
    mesh = init_device_mesh("cpu", (size,))
    return distribute_tensor(tensor, mesh, [placement if tensor.dim() else Replicate()])


def tree(leaf: Callable[[Tensor], Tensor]) -> dict[str, Any]:
    """A state in which ordinary tensors and others alternate."""
    sharded = {name: leaf(tensor) for name, tensor in FULL.items()}
    return {"sharded": sharded, "rng": torch.arange(3), 7: (sharded["odd"], None), "step": 7}


def blank(placement: Any) -> Any:
    """Gives empty DTensors in place of what was a DTensor, and records what was asked for."""

    def like(place: Any, shape: torch.Size, dtype: torch.dtype) -> Tensor | None:
        if place == ("rng",):
            return None
        empty = torch.full(shape, 1).to(dtype)
        return placed(empty, placement)

    return like


def whole(state: Any) -> Any:
    """The tree with every DTensor gathered."""
    if isinstance(state, dict):
        return {key: whole(part) for key, part in state.items()}
    if isinstance(state, tuple | list):
        return type(state)(whole(part) for part in state)
    return state.full_tensor() if isinstance(state, DTensor) else state


def failing(work: Callable[[], object]) -> tuple[str, str]:
    """The kind and the words of what goes wrong."""
    try:
        work()
    except Exception as error:
        return type(error).__name__, str(error)
    return "", ""


def in_the_second(error: Exception) -> Callable[..., Any]:
    """A writer of tensors that fails in the second process alone."""
    write = pieces.write_tensors

    def call(*args: Any) -> None:
        if rank() == 1:
            raise error
        write(*args)

    return call


def writing_together(folder: Path) -> dict[str, Any]:
    """Everything that is asked of two processes; what the tests look at."""
    found: dict[str, Any] = {}
    for name, placement in {"rows": Shard(0), "same": Replicate()}.items():
        write_state(folder / name, tree(lambda tensor, placement=placement: placed(tensor, placement)))
        for again in (Shard(0), Replicate()):
            read = read_state(folder / name, blank(again))
            assert isinstance(read["sharded"]["even"], DTensor)
            assert_same(whole(read), tree(Tensor.clone))
        assert_same(read_state(folder / name), tree(Tensor.clone))
    assert_same(whole(read_state(folder / "alone", blank(Shard(0)))), tree(Tensor.clone))
    columns = {"weight": placed(torch.arange(10.0).reshape(2, 5), Shard(1))}
    write_state(folder / "columns", columns)
    assert_same(whole(read_state(folder / "columns", blank(Shard(0)))), whole(columns))

    def save(**change: Any) -> None:
        write_state(folder / "rows", {**columns, **change})

    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with mock.patch.object(pieces, "write_tensors", in_the_second(full)):
        found["full"] = failing(save)
    with mock.patch.object(pieces, "write_tensors", in_the_second(ZeroDivisionError("odd"))):
        found["odd"] = failing(save)
    found["unknown"] = failing(lambda: save(set={1} if rank() == 1 else 2))
    unsummed = DTensor.from_local(torch.ones(2), columns["weight"].device_mesh, [Partial()])
    found["sum"] = failing(lambda: save(sum=unsummed))
    found["different"] = failing(lambda: write_state(folder / "rows", columns if rank() == 0 else {}))
    found["more"] = failing(lambda: write_state(folder / "rows", columns if rank() == 1 else {}))
    found["folder"] = failing(lambda: write_state(folder / "file" / "rows", columns))
    assert_same(read_state(folder / "rows"), tree(Tensor.clone))
    found["names"] = sorted(path.name for path in folder.iterdir())
    return found


def resuming_together(folder: Path) -> Any:
    """Save in turns, damage what the second process has written, and let all of them see it."""
    states = States(folder / "states", keep_last=2)
    for step in (1, 2, 3):
        path = states.save(step, {"weight": placed(torch.full((4,), float(step)), Shard(0))})
    assert_same(whole(states.load(blank(Shard(0)))), {"weight": torch.full((4,), 3.0)})
    torch.distributed.barrier()
    (file,) = path.glob("tensors-00001-*")
    if rank() == 1:
        file.write_bytes(file.read_bytes()[:-1] + b"\1")
    torch.distributed.barrier()
    return failing(lambda: states.load(blank(Shard(0))))


def results(number: int) -> Any:
    """What the helpers give in a process."""

    def fails_in(which: int) -> int:
        if rank() == which:
            raise KeyError("lost")
        return rank()

    return (
        gathered(lambda: rank() * number),
        agreed(lambda: rank() * number),
        shared(lambda: rank() + number),
        failing(lambda: agreed(lambda: fails_in(1))),
        failing(lambda: shared(lambda: fails_in(0))),
        failing(lambda: shared(lambda: fails_in(1))),
    )


def training_together(folder: Path) -> None:
    """What FSDP2 makes of a model and its optimiser, after a step."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 1))
    fully_shard(model)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}

    def like(place: Any, shape: torch.Size, dtype: torch.dtype) -> Tensor | None:
        leaf: Any = state
        for key in place:
            leaf = leaf[key]
        return torch.zeros_like(leaf) if isinstance(leaf, DTensor) else None

    write_state(folder / "fsdp", state)
    read = read_state(folder / "fsdp", like)
    assert isinstance(read["optimizer"]["state"][0]["exp_avg"], DTensor)
    assert_same(whole(read), {"model": {**whole(state["model"])}, "optimizer": whole(state["optimizer"])})
    assert_same(read_state(folder / "fsdp"), whole(read))
    optimizer.load_state_dict(read["optimizer"])


def together(folder: str) -> Any:
    """All of it in one go, as new processes cost seconds."""
    place = Path(folder)
    training_together(place)
    return results(3), writing_together(place), resuming_together(place)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the processes write."""
    folder = tmp_path_factory.mktemp("together")
    write_state(folder / "alone", tree(Tensor.clone))
    (folder / "file").touch()
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> list[Any]:
    """What each of two processes found."""
    return run(2, together, str(folder))


def test_work_that_is_shared(found: list[Any]) -> None:
    lost = [("RuntimeError", "process 1: KeyError: 'lost'"), ("KeyError", "'lost'")]
    first = [("KeyError", "'lost'"), ("RuntimeError", "process 0: KeyError: 'lost'")]
    for number, (helpers, _, _) in enumerate(found):
        assert helpers == ([0, 3], 3 * number, 3, lost[number], first[number], ("", ""))


def test_a_failure_of_one_is_a_failure_of_all(found: list[Any], folder: Path) -> None:
    rows, second = folder / "rows", found[1][1]
    full = ("OSError", f"[Errno 28] No space left on device: '{rows}'")
    odd = [("RuntimeError", "process 1: ZeroDivisionError: odd"), ("ZeroDivisionError", "odd")]
    different = ("InputError", f"{rows}: the processes gave different states; give the same tree in all of them.")
    for number, (_, errors, _) in enumerate(found):
        assert errors["full"] == full
        assert errors["odd"] == odd[number]
        assert errors["different"] == errors["more"] == different
        assert errors["unknown"] == second["unknown"]
        assert errors["unknown"][0] == errors["sum"][0] == "InputError"
        assert errors["sum"][1].startswith("sum is a DTensor placed as (Partial(sum),), which a state cannot hold")
        assert errors["folder"] == ("FileExistsError", f"[Errno 17] File exists: '{folder / 'file'}'")
        assert errors["names"] == ["alone", "columns", "file", "fsdp", "rows", "same"]


def test_what_two_processes_wrote_one_reads(found: list[Any], folder: Path) -> None:
    for name in ("rows", "same"):
        assert_same(read_state(folder / name), tree(Tensor.clone))
    assert_same(read_state(folder / "columns"), {"weight": torch.arange(10.0).reshape(2, 5)})
    written = {name: len(list((folder / name).glob("tensors-00001-*"))) for name in ("rows", "same", "columns")}
    assert written == {"rows": 1, "same": 0, "columns": 1}


def test_all_hear_of_a_damaged_file_that_one_has_read(found: list[Any], folder: Path) -> None:
    bad, good = (folder / "states" / f"step-0000000{step}" for step in (3, 2))
    words = f"{bad}: its tensors-00001-00001.safetensors is damaged; "
    words += f"delete that folder, and --resume goes on from {good}, which is whole."
    assert [errors for _, _, errors in found] == [("StateError", words)] * 2
    with pytest.raises(StateError, match="is damaged"):
        read_state(bad)
    assert_same(read_state(good), {"weight": torch.full((4,), 2.0)})
