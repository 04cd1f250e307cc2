"""Functions that run in several processes at once: a process group over gloo, on this machine's CPU."""

import multiprocessing
import os
import pickle
import sys
import tempfile
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

T = TypeVar("T")

PATIENCE = timedelta(seconds=60)
"""How long a process waits for the others, so that a test with a deadlock fails rather than hangs."""

METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
"""How processes are started: forked from one that has imported what they need, where the system can do so."""

IMPORTED = [__name__, "torch._dynamo", "torch.distributed.fsdp", "torch.nn.parallel", "hypothesis", "pytest"]
IMPORTED += ["minimodels.inspection.footprint", "minimodels.recipes.gpt_model", "minimodels.testing"]


def run(world_size: int, function: Callable[..., T], *args: Any) -> list[T]:
    """Call a function in each of several new processes, which form a process group and know their RANK.

    They meet at a file, so that no port need be free. A call costs a second: put many cases into one.

    Args:
        world_size: how many processes.
        function: of a module, since the processes have to import it.
        *args: of the function; pickled.

    Returns:
        What the function gave in each process, in the order of the ranks.

    Raises:
        RuntimeError: a process failed; the message is the traceback of the first one.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            multiprocessing.set_forkserver_preload(IMPORTED)
            torch.multiprocessing.start_processes(
                _process, (world_size, folder, function, args), world_size, start_method=METHOD
            )
        except (ProcessExitedException, ProcessRaisedException):
            error = Path(folder, "error")
            if not error.exists():
                raise
            raise RuntimeError(error.read_text()) from None
        return [pickle.loads(Path(folder, str(rank)).read_bytes()) for rank in range(world_size)]


def _process(rank: int, world_size: int, folder: str, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """One of the processes; the first to fail leaves its traceback, as the others fail for want of it."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world_size)}
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    torch.distributed.init_process_group("gloo", meeting, PATIENCE, world_size, rank)
    try:
        Path(folder, str(rank)).write_bytes(pickle.dumps(function(*args)))
    except BaseException:
        error = Path(folder, "error")
        if not error.exists():
            error.write_text(f"process {rank} of {world_size}:\n{traceback.format_exc()}")
        raise
    torch.distributed.barrier()  # nobody leaves while another still needs an answer
    torch.distributed.destroy_process_group()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # Python's own end would now and then abort in a thread of gloo that is still waking up
