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
from importlib import import_module
before = set(sys.modules)
for rooms in sys.argv[1:]:
    for room in rooms.split():
        import_module(f"minimodels.{room}")
    names = {name.partition(".")[0] for name in set(sys.modules) - before}
    print(*sorted(names - sys.stdlib_module_names - {"minimodels", "torch"}))
"""


def test_arithmetic_needs_torch_alone_and_nothing_waits_for_what_is_heavy_and_may_never_be_used() -> None:
    """In one process, as importing torch takes seconds: first the rooms of arithmetic, then those that need more."""
    command = [sys.executable, "-c", BESIDE_TORCH, "functional nn optim generation", "models recipes training"]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    arithmetic, all = (set(line.split()) for line in run.stdout.splitlines())
    assert not arithmetic
    assert not all & {"hypothesis", "matplotlib", "PIL", "tensorboard", "tiktoken", "transformers"}


@pytest.mark.parametrize("name", sorted(minimodels._NAMES))
def test_every_name_at_the_top_is_its_room_s(name: str) -> None:
    room = getattr(minimodels, minimodels._NAMES[name])
    assert name in room.__all__
    assert getattr(minimodels, name) is getattr(room, name)


def test_what_there_is_not() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'GPT5'; it has checkpoint, data.*GPT2Config"):
        minimodels.GPT5  # noqa: B018


def test_listing_the_package_shows_rooms_and_names_alone() -> None:
    shown = {name for name in dir(minimodels) if not name.startswith("__")}
    assert {*minimodels._NAMES, *minimodels._ROOMS} - {"testing"} <= shown
    assert not shown & {"Any", "find_spec", "import_module", "_NAMES", "_ROOMS"}


WITHOUT_HYPOTHESIS = """
import sys
sys.modules["hypothesis"] = None
try:
    from minimodels.testing import assert_equivalent
except ModuleNotFoundError as error:
    print(error.name, error)
"""


def test_the_oracle_says_what_it_needs() -> None:
    command = [sys.executable, "-c", WITHOUT_HYPOTHESIS]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said == "hypothesis minimodels.testing draws its cases with hypothesis; run: pip install hypothesis\n"
