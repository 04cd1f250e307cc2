"""How long a text becomes: what the arguments say of it, and what the model has room for."""

import math

from minimodels.errors import InputError
from minimodels.generation.config import GenerationConfig

DEFAULT = 20
"""Tokens that are written where nobody says how many, as in Hugging Face's `generate`."""


def total_length(chosen: GenerationConfig, prompt: int, context: int | None) -> int:
    """Tokens of the longest text, prompt included.

    Args:
        chosen: the arguments of `generate`.
        prompt: tokens of the prompt, padding included.
        context: tokens that the model can read; None is without limit.

    Raises:
        InputError: the arguments contradict each other, or it is more than the model can read.

    See: tests/generation/test_lengths.py

    Example:
        >>> total_length(GenerationConfig(max_new_tokens=5), prompt=3, context=10)
        8
        >>> total_length(GenerationConfig(max_new_tokens=50), prompt=3, context=10)
        Traceback (most recent call last):
        ...
        minimodels.errors.InputError: max_new_tokens 50: with a prompt of 3 tokens ... lower it to 7 at most.
    """
    room = math.inf if context is None else context - prompt
    if room < 1:
        raise InputError(
            f"the prompt has {prompt} tokens and the model reads {context}, so none can be written; shorten the prompt."
        )
    new = _wished(chosen, prompt)
    if new is None:
        new = int(min(DEFAULT, room))
    elif new > room:
        name = "max_length" if chosen.max_new_tokens is None else "max_new_tokens"
        raise InputError(
            f"{name} {getattr(chosen, name)}: with a prompt of {prompt} tokens that is more than the {context} that "
            f"the model reads; lower it to {context if name == 'max_length' else room} at most."
        )
    if chosen.min_new_tokens is not None and chosen.min_new_tokens > new:
        raise InputError(
            f"min_new_tokens {chosen.min_new_tokens}: only {new} are written at most; lower it, or give more "
            "max_new_tokens."
        )
    return prompt + new


def _wished(chosen: GenerationConfig, prompt: int) -> int | None:
    """Tokens that are to be written; None where nothing is said of it."""
    if chosen.max_length is None:
        return chosen.max_new_tokens
    new = chosen.max_length - prompt
    if chosen.max_new_tokens not in (None, new):
        raise InputError(
            f"max_length {chosen.max_length} and max_new_tokens {chosen.max_new_tokens}: with a prompt of {prompt} "
            "tokens they contradict each other; give one of them."
        )
    if new < 1:
        raise InputError(
            f"max_length {chosen.max_length}: counts the prompt, which has {prompt} tokens already; raise it, or give "
            "max_new_tokens."
        )
    return new
