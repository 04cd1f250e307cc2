"""minimodels: the layers, models and training loops behind CNNs, LSTMs and Transformers, from scratch.

nn           layers, drop-in for torch.nn
functional   their arithmetic, drop-in for torch.nn.functional
optim        optimisers and schedules, drop-in for torch.optim
data         the embedded digits, MNIST, one's own pictures, mini-batches
text         tokenizers
models       ConvNet, GPT2LMHeadModel and others
training     Trainer: fit, evaluate, predict
inspection   look inside a running model; pictures of a run
checkpoint   weights in safetensors files, folders of published models
generation   writing with a language model
hub          where published models are found
recipes      the jobs of the command line
testing      the oracle: strategies, laws, assert_equivalent (needs the `dev` extra)

The rooms are imported when they are first asked for, and so are the names that stand here themselves:
`from minimodels import GPT2LMHeadModel, GPT2Tokenizer`.

Example:
    >>> import minimodels
    >>> minimodels.nn.Linear(3, 2)
    Linear(in_features=3, out_features=2, bias=True)
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

__version__ = "0.1.0"

_ROOMS = (
    "checkpoint",
    "data",
    "functional",
    "generation",
    "hub",
    "inspection",
    "models",
    "nn",
    "optim",
    "recipes",
    "testing",
    "text",
    "training",
)

_NAMES = {
    "GPT2Config": "models",
    "GPT2LMHeadModel": "models",
    "GPT2Model": "models",
    "GPT2Tokenizer": "text",
    "LlamaConfig": "models",
    "LlamaForCausalLM": "models",
    "LlamaModel": "models",
    "MistralConfig": "models",
    "MistralForCausalLM": "models",
}
"""Names that are worth having at the top, as `from minimodels import GPT2LMHeadModel`, and the rooms they are from."""


def __getattr__(name: str) -> Any:
    """Import a room, or a name from one, when it is first asked for: `import minimodels` alone costs nothing."""
    if name in _ROOMS:
        return import_module(f"minimodels.{name}")
    if name in _NAMES:
        return getattr(import_module(f"minimodels.{_NAMES[name]}"), name)
    known = ", ".join((*_ROOMS, *_NAMES))
    raise AttributeError(f"module 'minimodels' has no attribute {name!r}; it has {known}")


def __dir__() -> list[str]:
    """List rooms and names; the oracle only where hypothesis, which it needs, is installed."""
    closed = () if find_spec("hypothesis") else ("testing",)
    dunders = {name for name in globals() if name.startswith("__")}
    return sorted({*dunders, *_ROOMS, *_NAMES}.difference(closed))
