"""The map of the whole: rooms and names come when they are asked for, and nothing before."""

import subprocess
import sys

import pytest

import minimodels

SCRIPT = """
import sys, minimodels
assert "torch" not in sys.modules
assert {"models", "GPT2LMHeadModel", "__version__"} <= set(dir(minimodels))
from minimodels import GPT2Config, GPT2LMHeadModel
from minimodels.models import gpt2
assert GPT2LMHeadModel is gpt2.GPT2LMHeadModel
"""


def test_the_package_alone_imports_no_torch() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], check=True)


BESIDE_TORCH = """
import sys, torch
before = set(sys.modules)
import minimodels.{room}
names = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(*sorted(names - sys.stdlib_module_names - {{"minimodels", "torch"}}))
"""


def imported(room: str) -> set[str]:
    """What a room imports beside torch and the standard library."""
    script = BESIDE_TORCH.format(room=room)
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(run.stdout.split())


@pytest.mark.parametrize("room", ["functional", "nn", "optim", "generation"])
def test_arithmetic_needs_torch_alone(room: str) -> None:
    assert imported(room) == set()


@pytest.mark.parametrize("room", ["models", "recipes", "training"])
def test_what_is_heavy_and_may_never_be_used_is_not_waited_for(room: str) -> None:
    heavy = {"hypothesis", "matplotlib", "PIL", "tensorboard", "tiktoken", "transformers"}
    assert not imported(room) & heavy


@pytest.mark.parametrize("name", sorted(minimodels._NAMES))
def test_every_name_at_the_top_is_its_room_s(name: str) -> None:
    room = getattr(minimodels, minimodels._NAMES[name])
    assert name in room.__all__
    assert getattr(minimodels, name) is getattr(room, name)


def test_what_there_is_not() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'GPT5'; it has checkpoint, data.*GPT2Config"):
        minimodels.GPT5  # noqa: B018
