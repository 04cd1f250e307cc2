"""Prompts as the loops want them: one block of tokens, padded on the left, and a mask that says what is padding."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from minimodels.errors import InputError
from minimodels.generation.config import GenerationConfig

Ids = Tensor | Sequence[int] | Sequence[Sequence[int]]


def prepared(
    input_ids: Ids | None, attention_mask: Any, chosen: GenerationConfig, config: Any
) -> tuple[Tensor, Tensor | None]:
    """Prompts as tokens and mask; the mask is None where nothing is padding.

    Without a mask, padding is recognised as Hugging Face does: tokens equal to `pad_token_id`, if it is not also one
    that ends a text. Lists of different lengths are padded here.

    Args:
        input_ids: one prompt or several; None begins with the model's `bos_token_id`.
        attention_mask: 1 for tokens, 0 for padding, or None.
        chosen: the arguments of `generate`.
        config: of the model.

    Shape:
        input_ids [T] or [N, T]; Output: twice [N, T], of int64.

    Raises:
        InputError: an empty prompt, tokens that the model does not know, or a mask that does not fit.

    See: tests/generation/test_prompts.py

    Example:
        >>> from types import SimpleNamespace
        >>> ids, mask = prepared([[5, 6, 7], [8]], None, GenerationConfig(), SimpleNamespace(vocab_size=10))
        >>> ids.tolist(), mask.tolist()
        ([[5, 6, 7], [0, 0, 8]], [[1, 1, 1], [0, 0, 1]])
    """
    pad, ends = chosen.padding(config), chosen.ends(config)
    if input_ids is None:
        input_ids = _beginning(config)
    ids, mask = (input_ids, None) if isinstance(input_ids, Tensor) else _block(input_ids, pad or 0)
    ids = ids[None] if ids.ndim == 1 else ids
    _check_tokens(ids, config.vocab_size)
    if attention_mask is not None:
        mask = _given(attention_mask, ids)
    elif mask is None and pad is not None and pad not in ends:
        mask = (ids != pad).to(torch.int64)
    return ids.to(torch.int64), _checked(mask)


def _beginning(config: Any) -> list[int]:
    """The token that texts begin with."""
    bos = getattr(config, "bos_token_id", None)
    if bos is None:
        raise InputError("input_ids: the model has no token to begin with (bos_token_id); give a prompt.")
    return [bos]


def _block(prompts: Sequence[Any], pad: int) -> tuple[Tensor, Tensor | None]:
    """Lists as one tensor, padded on the left; the mask only where they are of different lengths."""
    rows = [list(prompt) for prompt in prompts] if prompts and not isinstance(prompts[0], int) else [list(prompts)]
    longest = max(map(len, rows))
    if min(map(len, rows)) == 0:
        raise InputError("input_ids: a prompt is empty; give at least one token, such as the bos_token_id.")
    ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])
    if all(len(row) == longest for row in rows):
        return ids, None
    return ids, torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])


def _check_tokens(ids: Tensor, vocabulary: int) -> None:
    """Refuse what is no block of tokens of this vocabulary."""
    if ids.ndim != 2 or ids.is_floating_point() or ids.dtype == torch.bool:
        raise InputError(f"input_ids: must be whole numbers [N, T], not {ids.dtype} {list(ids.shape)}.")
    if ids.numel() == 0:
        raise InputError("input_ids: the prompt is empty; give at least one token, such as the bos_token_id.")
    low, high = (int(bound) for bound in ids.aminmax())
    if low < 0 or high >= vocabulary:
        raise InputError(
            f"input_ids: token {low if low < 0 else high} is outside the vocabulary of {vocabulary} tokens (0 to "
            f"{vocabulary - 1}); is the tokenizer this model's?"
        )


def _given(attention_mask: Any, ids: Tensor) -> Tensor:
    """The mask that the caller gives."""
    mask = torch.as_tensor(attention_mask, device=ids.device)
    mask = mask[None] if mask.ndim == 1 else mask
    if mask.shape != ids.shape:
        raise InputError(f"attention_mask: is {list(mask.shape)}, but input_ids {list(ids.shape)}; give one a token.")
    if not ((mask == 0) | (mask == 1)).all():
        raise InputError("attention_mask: must be 1 for tokens and 0 for padding, and nothing else.")
    return mask.to(torch.int64)


def _checked(mask: Tensor | None) -> Tensor | None:
    """The mask, if it hides anything."""
    if mask is None or mask.all():
        return None
    if not mask[:, -1].all():
        row = int((mask[:, -1] == 0).nonzero()[0])
        raise InputError(
            f"attention_mask: prompt {row} ends in padding, so there is no last token to go on from; pad on the left."
        )
    return mask
