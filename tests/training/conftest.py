"""What the tests of training share: a process group, as sharding needs one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture
def group_of_one(tmp_path: Path) -> Iterator[None]:
    """This process alone, as a group."""
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()
