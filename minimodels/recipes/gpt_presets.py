"""Ready-made settings for training a GPT: the ones that run on any machine, and nanoGPT's."""

from collections.abc import Mapping
from typing import Any

DEFAULT = "small"

PRESETS: Mapping[str, Mapping[str, Any]] = {
    DEFAULT: {},  # what stands in `GPTSettings`
    "shakespeare-char-cpu": {
        "data": "shakespeare",
        "tokenizer": "char",
        "layers": 4,
        "heads": 4,
        "width": 128,
        "context": 64,
        "dropout": 0.0,
        "steps": 2000,
        "eval_every": 250,
        "batch_size": 12,
        "lr": 1e-3,
        "warmup": 0.05,
        "beta2": 0.99,
    },
    "shakespeare-char": {
        "data": "shakespeare",
        "tokenizer": "char",
        "layers": 6,
        "heads": 6,
        "width": 384,
        "context": 256,
        "dropout": 0.2,
        "steps": 5000,
        "eval_every": 250,
        "batch_size": 64,
        "lr": 1e-3,
        "warmup": 0.02,
        "beta2": 0.99,
    },
    "finetune-shakespeare": {
        "data": "shakespeare",
        "init_from": "gpt2",
        "dropout": 0.0,
        "steps": 20,
        "eval_every": 5,
        "batch_size": 1,
        "accumulate": 32,
        "lr": 3e-5,
        "min_lr": 3e-5,
        "warmup": 0.0,
        "beta2": 0.95,
    },
    "gpt2": {
        "tokenizer": "gpt2",
        "layers": 12,
        "heads": 12,
        "width": 768,
        "context": 1024,
        "dropout": 0.0,
        "steps": 600_000,
        "eval_every": 1000,
        "batch_size": 12,
        "accumulate": 40,
        "lr": 6e-4,
        "warmup": 1 / 300,
        "beta2": 0.95,
    },
}
"""What each preset sets; flags and config files win over it.

Weight decay 0.1, a gradient clipped at 1 and a last rate of a tenth of the peak are the same in all of nanoGPT's that
are trained from nothing, and stand in `GPTSettings`. One thing is GPT-2's and not nanoGPT's, so that the model is one
that others can read: layers have biases, and GELU is computed by tanh.

References: A. Karpathy, nanoGPT, 2022, https://github.com/karpathy/nanoGPT: its README ("only have a macbook"),
    config/train_shakespeare_char.py, config/finetune_shakespeare.py (there with gpt2-xl) and config/train_gpt2.py.
"""
