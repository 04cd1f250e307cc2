"""What torch.nn has and this package has not: said in one sentence, with the remedy."""

import pytest
import torch

from minimodels import nn


def test_what_torch_has_and_we_have_not_is_said_with_the_remedy():
    with pytest.raises(AttributeError, match=r"'minimodels.nn' has no attribute 'Upsample'.*torch.nn.Upsample"):
        nn.Upsample  # noqa: B018
    with pytest.raises(AttributeError, match=r"'minimodels.nn.functional' has .*torch.nn.functional.interpolate"):
        nn.functional.interpolate  # noqa: B018
    with pytest.raises(AttributeError, match=r"'minimodels.nn.utils' has .*torch.nn.utils.parametrizations"):
        nn.utils.parametrizations  # noqa: B018


@pytest.mark.parametrize("room", [nn, nn.functional, nn.utils], ids=lambda room: room.__name__)
def test_what_nobody_has_is_said_in_python_s_own_words(room):
    with pytest.raises(AttributeError) as caught:
        room.Liner  # noqa: B018
    assert str(caught.value) == f"module {room.__name__!r} has no attribute 'Liner'"
    assert (caught.value.name, caught.value.obj) == ("Liner", room)  # from which Python asks "Did you mean"
    assert not hasattr(room, "__wrapped__")


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm", "orthogonal"])
@pytest.mark.parametrize("layer", ["Conv1d", "Linear", "LSTM"])
def test_pytorch_s_parametrizations_work_on_our_layers(kind, layer):
    found = []
    for room in (nn, torch.nn):
        torch.manual_seed(0)
        made = getattr(room, layer)(3, 4, *([2] if layer == "Conv1d" else [])).double().eval()
        name = "weight_hh_l0" if layer == "LSTM" else "weight"
        getattr(torch.nn.utils.parametrizations, kind)(made, name)
        steps = torch.linspace(0, 1, 15, dtype=torch.float64).view(5, 3)
        outputs = made(steps.T if layer == "Conv1d" else steps)
        outputs = outputs[0] if layer == "LSTM" else outputs
        outputs.square().sum().backward()
        found.append([outputs, *(parameter.grad for parameter in made.parameters())])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs)
