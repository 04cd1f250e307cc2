"""Several processes that train one model, each on its own rows of every batch: torch.distributed, and little else.

`torchrun --nproc_per_node=N` starts the processes and tells each of them its rank by environment variables. In here are
joining and leaving the group, what the loop asks the others, and who speaks; sharing.py has how the work is shared.
"""

import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

import torch
import torch.distributed as dist
from torch import Tensor

from minimodels.errors import InputError, hush, hushed
from minimodels.training.devices import find_device

TIMEOUT = 600.0
"""Seconds that a process waits for the others before it gives up."""

STORE_SECONDS = 5.0
"""How long a process that failed looks for the place where all of them can leave word."""

BROKEN = re.compile(r"gloo|nccl|closed by peer|connection reset|timed out", re.IGNORECASE)
"""What the errors of a broken connection have in common that have no class of their own."""


@dataclass(frozen=True)
class World:
    """The processes that train together, as one of them sees them.

    Args:
        rank: the number of this process, from 0.
        size: how many there are.
        grouped: whether they form a process group of torch.distributed, which can be one of a single process.

    Example:
        >>> World().main, World().any(True)
        (True, True)
    """

    rank: int = 0
    size: int = 1
    grouped: bool = False

    @property
    def main(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there is no group to talk to."""
        return not self.grouped

    def largest(self, number: int) -> int:
        """The largest of the numbers that the processes give; all of them have to ask.

        Args:
            number: what this one gives.
        """
        if self.alone:
            return number
        numbers = torch.tensor(number)  # on the CPU: no accelerator has to wait for it
        dist.all_reduce(numbers, dist.ReduceOp.MAX)
        return int(numbers)

    def any(self, flag: bool) -> bool:
        """Whether it is so in any of the processes; all of them have to ask.

        Args:
            flag: whether it is so in this one.
        """
        return bool(self.largest(int(flag)))

    def sum(self, values: Tensor) -> Tensor:
        """The sum over the processes; all of them have to ask.

        Args:
            values: what this one adds, on the device that the group was made for.
        """
        if not self.alone:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def named(self, device: torch.device) -> str:
        """Where a run computes, in words.

        Args:
            device: of this process.

        Example:
            >>> World(size=4).named(torch.device("cuda", 0)), World().named(torch.device("cpu"))
            ('4 x cuda', 'cpu')
        """
        return str(device) if self.size == 1 else f"{self.size} x {device.type}"

    def rows(self, count: int) -> slice:
        """Which rows of a batch are this process' own: as many as the others have, or one more.

        Args:
            count: rows of the whole batch.

        Example:
            >>> [World(rank, 3).rows(7) for rank in range(3)]
            [slice(0, 3, None), slice(3, 5, None), slice(5, 7, None)]
        """
        small, more = divmod(count, self.size)
        start = self.rank * small + min(self.rank, more)
        return slice(start, start + small + (self.rank < more))


def current() -> World:
    """The processes that this one trains with: those of the default group of torch.distributed, if there is one."""
    if not (dist.is_available() and dist.is_initialized()):
        return World()
    return World(dist.get_rank(), dist.get_world_size(), grouped=True)


def launched() -> bool:
    """Whether torchrun, or whatever speaks as it does, started this process as one of several."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ and "MASTER_ADDR" in os.environ


@contextmanager
def joined(device: str | torch.device | None = None, timeout: float = TIMEOUT) -> Iterator[World]:
    """Join the other processes that torchrun started, and leave them at the end; a process that is alone stays so.

    Tensors on CUDA devices go by NCCL, those on CPUs by gloo.

    Args:
        device: where each process computes; on a machine with several GPUs the process with LOCAL_RANK i takes GPU i.
        timeout: seconds that a process waits for the others.

    Raises:
        InputError: another process has died, or did not answer in time.

    Example:
        >>> with joined("cpu") as world:
        ...     world
        World(rank=0, size=1, grouped=False)
    """
    if not launched() or dist.is_initialized():
        yield current()
        return
    with said_once():
        here = local_device(device)
    if here.type == "cuda":
        torch.cuda.set_device(here)
    backend = "cpu:gloo,cuda:nccl" if here.type == "cuda" else "gloo"
    with said_once(), _others_named(timeout):
        dist.init_process_group(backend, timeout=timedelta(seconds=timeout))
    try:
        with said_once(), _others_named(timeout):  # before the others see that this process has gone
            yield current()
    finally:
        dist.destroy_process_group()


@contextmanager
def said_once() -> Iterator[None]:
    """Of all that goes wrong in several processes only the first thing is said, by one of them: the rest follows of it.

    The errors of the other processes are marked by `hush`.

    Raises:
        Exception: what the block raises, whatever it is.
    """
    try:
        yield
    except (InputError, OSError, KeyboardInterrupt) as error:
        if launched() and not hushed(error):
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, signal.SIG_IGN)  # by which torchrun ends those who have yet to speak
            if not _first():
                hush(error)
        raise


def _first() -> bool:
    """Whether no other process of this run has asked before; yes, where there is nobody left to ask."""
    place = "-".join(os.environ.get(f"TORCHELASTIC_{name}", "") for name in ("RUN_ID", "RESTART_COUNT"))
    from torch.distributed import TCPStore  # type: ignore[attr-defined]  # PyTorch documents it, and has not listed it

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        store = TCPStore(address, port, None, False, timedelta(seconds=STORE_SECONDS), wait_for_workers=False)
        return store.add(f"minimodels/said/{place}", 1) == 1
    except RuntimeError:  # of torch.distributed: the store has ended with its process
        return True


def starter(processes: int | None = None) -> list[str]:
    """The words of a command line that start minimodels as it was started here, before those on what it is to do.

    Args:
        processes: on this machine; None: as many as there are.

    Example:
        >>> starter(), starter(2)
        (['minimodels'], ['torchrun', '--standalone', '--nproc_per_node=2', '-m', 'minimodels'])
    """
    if processes is None and not launched():
        return ["minimodels"]
    number = os.environ.get("LOCAL_WORLD_SIZE", "1") if processes is None else processes
    machines = os.environ.get("GROUP_WORLD_SIZE", "1")
    meeting = "--standalone" if machines == "1" else f"--nnodes={machines}"
    return ["torchrun", meeting, f"--nproc_per_node={number}", "-m", "minimodels"]


def leave(status: int) -> NoReturn:
    """End this process at once: Python's own end now and then aborts in a thread of gloo that is still waking up.

    Args:
        status: of the exit.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def local_device(name: str | torch.device | None = None, flag: str = "") -> torch.device:
    """The device of this process: the one of that name, or its own one of several GPUs.

    Args:
        name: as for `find_device`.
        flag: of the command line, for messages.

    Raises:
        InputError: there is no such device, or torchrun started more processes than there are GPUs.
    """
    device = find_device(name, flag)
    if device.type != "cuda" or ":" in str(device) or "LOCAL_RANK" not in os.environ:
        return device
    number, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if number >= count:
        raise InputError(
            f"torchrun: process {number} of this machine has no GPU of its own, for there are {count}; "
            f"start it with --nproc_per_node={count}."
        )
    return torch.device("cuda", number)


@contextmanager
def _others_named(timeout: float) -> Iterator[None]:
    """What a communication library says of a connection that broke becomes a sentence on the process behind it."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and BROKEN.search(str(error)) is None:
            raise
        reason = re.sub(r"^\[[^]]*\] *", "", str(error).strip()).splitlines()[0].partition(". ")[0]
        raise InputError(
            f"another process of this run has died, or did not answer within {timeout:g} seconds ({reason}): what it "
            f"said last stands above; start the run again with --resume."
        ) from error
