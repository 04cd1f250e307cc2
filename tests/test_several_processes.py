"""The helper that runs tests in several processes: results come in order, and the first error comes to light."""

import pytest
import torch

from tests.distributed import run


def summed(number: float) -> tuple[int, float]:
    """This process's rank, and a sum over all of them."""
    total = torch.tensor(number) * (torch.distributed.get_rank() + 1)
    torch.distributed.all_reduce(total)
    return torch.distributed.get_rank(), total.item()


def one_fails() -> None:
    """The second process fails while the first waits for it."""
    if torch.distributed.get_rank() == 1:
        raise ValueError("this one is lost")
    torch.distributed.barrier()


def test_what_each_process_gave_and_what_went_wrong_in_one() -> None:
    assert run(2, summed, 2.0) == [(0, 6.0), (1, 6.0)]
    with pytest.raises(RuntimeError, match=r"(?s)process 1 of 2:.*ValueError: this one is lost"):
        run(2, one_fails)
