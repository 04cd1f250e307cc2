"""What every loss does at its end."""

import pytest
import torch

from minimodels import functional as F
from minimodels.functional.losses.reduction import reduced

PAIR = torch.rand(3, 4), torch.rand(3, 4)
LEGACY = ["mse_loss", "l1_loss", "smooth_l1_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div"]
BROADCAST = ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"]


@pytest.mark.parametrize("name", LEGACY)
@pytest.mark.parametrize("size_average", [None, True, False])
@pytest.mark.parametrize("reduce", [None, True, False])
def test_the_old_spellings(name, size_average, reduce):
    if size_average is None and reduce is None:
        return
    results = []
    for loss in (getattr(F, name), getattr(torch.nn.functional, name)):
        with pytest.warns(UserWarning, match="please use reduction=") as caught:
            results.append(loss(*PAIR, size_average=size_average, reduce=reduce))
        assert len(caught) == 1
    torch.testing.assert_close(*results)


def test_the_warning_points_at_the_caller():
    for loss in (F.mse_loss, F.cross_entropy):
        with pytest.warns(UserWarning, match="please use reduction=") as caught:
            loss(*PAIR, reduce=False)
        assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="different to the input size") as caught:
        F.mse_loss(PAIR[0], PAIR[1][0])
    assert caught[0].filename == __file__


def test_an_older_name_of_the_mean():
    with pytest.warns(UserWarning, match="Please use reduction='mean'"):
        assert F.mse_loss(*PAIR, reduction="elementwise_mean") == F.mse_loss(*PAIR)


@pytest.mark.parametrize("name", BROADCAST)
@pytest.mark.parametrize("shapes", [((3, 4), (4,)), ((4,), (3, 4)), ((3, 1), (1, 4)), ((3, 4), ())])
def test_another_shape_is_broadcast_with_a_warning(name, shapes):
    x, t = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)
    results = []
    for loss in (getattr(F, name), getattr(torch.nn.functional, name)):
        with pytest.warns(UserWarning, match="different to the input size"):
            value = loss(x, t)
        results.append([value, *torch.autograd.grad(value, (x, t))])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("name", BROADCAST)
def test_what_does_not_broadcast_is_refused(name):
    with pytest.warns(UserWarning, match="different to the input size"), pytest.raises(RuntimeError):
        getattr(F, name)(torch.zeros(2, 3), torch.zeros(2))


def test_the_mean_of_nothing():
    for name in [*LEGACY[:-1], "huber_loss"]:
        assert getattr(F, name)(torch.zeros(0, 3), torch.zeros(0, 3)).isnan()
        assert getattr(F, name)(torch.zeros(0, 3), torch.zeros(0, 3), reduction="sum") == 0
    loss = torch.zeros(2, requires_grad=True)
    total = reduced(loss, "mean", torch.tensor(0))
    total.backward()
    assert total.isnan()
    assert not loss.grad.any()
