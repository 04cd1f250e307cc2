"""minimodels: the layers, models and training loops behind CNNs, LSTMs and Transformers, from scratch.

nn           layers, drop-in for torch.nn
functional   their arithmetic, drop-in for torch.nn.functional
optim        optimisers and schedules, drop-in for torch.optim
data         the embedded digits, MNIST, one's own pictures, mini-batches
models       ConvNet
training     Trainer: fit, evaluate, predict
inspection   look inside a running model; pictures of a run
checkpoint   weights in safetensors files
recipes      the jobs of the command line
testing      the oracle: strategies, laws, assert_equivalent (needs the `dev` extra)

The rooms are imported when they are first asked for.

Example:
    >>> import minimodels
    >>> minimodels.nn.Linear(3, 2)
    Linear(in_features=3, out_features=2, bias=True)
"""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

__version__ = "0.1.0"

_ROOMS = ("checkpoint", "data", "functional", "inspection", "models", "nn", "optim", "recipes", "testing", "training")


def __getattr__(name: str) -> ModuleType:
    """Import a room when it is first asked for, so that `import minimodels` alone costs nothing."""
    if name in _ROOMS:
        return import_module(f"minimodels.{name}")
    raise AttributeError(f"module 'minimodels' has no attribute {name!r}; its rooms are {', '.join(_ROOMS)}")


def __dir__() -> list[str]:
    """List the rooms too; the oracle only where hypothesis, which it needs, is installed."""
    closed = () if find_spec("hypothesis") else ("testing",)
    return sorted({*globals(), *_ROOMS}.difference(closed))
