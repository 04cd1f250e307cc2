"""What is said: every error of the system is one sentence, and memory that is not to be had is told from all else."""

import errno

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.errors import disk_problem, no_memory


@given(number=st.sampled_from(sorted(errno.errorcode)))
def test_every_disk_error_is_one_sentence(number: int) -> None:
    sentence = disk_problem(OSError(number, "Some Reason", "runs/x"))
    assert sentence.startswith("runs/x: some reason; ")
    assert sentence.endswith(".")
    assert "\n" not in disk_problem(OSError("no number at all"))


@pytest.mark.parametrize("sizes", [(1 << 29, 1 << 29), (1 << 40, 1 << 40)])
def test_what_pytorch_and_numpy_say_of_memory_is_known(sizes: tuple[int, int]) -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(sizes)
    assert "\n" not in no_memory(caught.value) != ""
    with pytest.raises(MemoryError) as other:
        np.empty(1 << 55)
    assert no_memory(other.value) == str(other.value)
    assert no_memory(MemoryError()) == "no more memory"
    assert no_memory(torch.OutOfMemoryError("CUDA out of memory.\nmore lines")) == "CUDA out of memory"


def test_other_errors_are_about_something_else() -> None:
    assert no_memory(RuntimeError("shapes do not fit")) == ""
    assert no_memory(ValueError("can't allocate memory")) == ""
