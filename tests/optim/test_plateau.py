"""ReduceLROnPlateau beside torch's: each step, and the state's way from one to the other."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import optim
from minimodels.optim import lr_scheduler
from tests.optim.groups import optimizers, same, seen, two_groups

ROOMS = (lr_scheduler, torch.optim.lr_scheduler)
LIBRARIES = (optim, torch.optim)


@given(
    mode=st.sampled_from(["min", "max"]), threshold_mode=st.sampled_from(["rel", "abs"]), factor=st.floats(0.1, 0.9),
    patience=st.integers(0, 3), threshold=st.sampled_from([0.0, 1e-4, 0.3]), cooldown=st.integers(0, 2),
    min_lr=st.sampled_from([0, 0.05, [0.01, 0.3]]), eps=st.sampled_from([1e-8, 0.01]), make=optimizers(),
    measures=st.integers(0, 20).map(lambda n: [1.0] * n)
    | st.lists(st.floats(-2, 2) | st.sampled_from([float("nan"), float("inf")]), max_size=20),
    stop=st.integers(0, 20), way=st.permutations([0, 1]),
)  # fmt: skip
def test_plateau(make, measures, stop, way, **kwargs):
    whole, first, second = (
        ROOMS[side].ReduceLROnPlateau(make(LIBRARIES[side]), **kwargs) for side in (way[1], way[0], way[1])
    )
    for t, measure in enumerate(measures):
        if t == stop:
            second.optimizer.load_state_dict(copy.deepcopy(first.optimizer.state_dict()))
            second.load_state_dict(copy.deepcopy(first.state_dict()))
        going = first if t < stop else second
        whole.step(measure)
        going.step(torch.tensor(measure, dtype=torch.float64))
        assert seen(whole) == seen(going)
        assert same(
            {k: str(v) for k, v in whole.state_dict().items()}, {k: str(v) for k, v in going.state_dict().items()}
        )
        assert whole.in_cooldown == going.in_cooldown


def test_plateau_with_a_group_that_comes_later():
    for room, library in zip(ROOMS, LIBRARIES, strict=True):
        for least in (0.05, [0.05, 0.05]):
            schedule = room.ReduceLROnPlateau(two_groups(library), factor=0.5, patience=0, min_lr=least)
            schedule.optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.08})
            schedule.step(1.0)
            if least == 0.05:
                schedule.step(1.0)
                assert [group["lr"] for group in schedule.optimizer.param_groups] == [0.05, 0.25, 0.05]
            else:
                with pytest.raises(RuntimeError, match="The number of param groups"):
                    schedule.step(1.0)
