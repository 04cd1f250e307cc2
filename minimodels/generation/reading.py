"""What generation knows of a language model: it reads tokens, remembers them, and scores every possible next one."""

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from minimodels import nn
from minimodels.errors import InputError


class LanguageModel(Protocol):
    """What a model has to have, to be written with.

    Attributes:
        config: at least `vocab_size`; where there are, also `max_position_embeddings`, `eos_token_id`,
            `bos_token_id` and `pad_token_id`.
    """

    config: Any

    def __call__(
        self,
        input_ids: Tensor,
        *,
        past_key_values: nn.KeyValueCache | None,
        attention_mask: Tensor | None,
        use_cache: bool,
        logits_to_keep: int,
    ) -> Any:
        """Read tokens [N, T] behind those of the cache, and give an object with `logits` [N, logits_to_keep, V].

        The mask [N, S] has 1 for tokens and 0 for padding, over all that was read and is read now.
        """

    def new_cache(self, batch_size: int, capacity: int) -> nn.KeyValueCache:
        """Make a cache of the model's shapes, type and device.

        Args:
            batch_size: N.
            capacity: tokens that there is room for.
        """

    def modules(self) -> Iterator[torch.nn.Module]:
        """The model and all its parts."""

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """Its weights."""


class Reader:
    """A model together with what it has read: it is given a text that grows, and reads only what is new.

    Args:
        model: the language model.
        mask: which tokens of the prompts are real; None means all.
        capacity: tokens that will be read at most.
        use_cache: keep keys and values; without, all is read anew for every token.

    Shape:
        mask [N, T], of int64.

    Raises:
        InputError: the model's scores are no numbers.

    Cost: with the cache a token costs one pass over one token, without it one over the whole text.

    See: tests/generation/test_reading.py
    """

    def __init__(self, model: LanguageModel, mask: Tensor | None, capacity: int, use_cache: bool = True) -> None:
        self.model, self.capacity, self.use_cache = model, capacity, use_cache
        self.cache: nn.KeyValueCache | None = None
        self.mask: Tensor | None = None
        if mask is not None:
            self.mask = mask.new_ones(mask.shape[0], capacity)
            self.mask[:, : mask.shape[1]] = mask

    def read(self, ids: Tensor) -> Tensor:
        """Read on, and score the next token.

        Args:
            ids: all tokens so far.

        Shape:
            ids [N, t]; Output [N, V], float32.

        Raises:
            InputError: the scores are no numbers.
        """
        length = ids.shape[1]
        if self.use_cache and self.cache is None:
            # Never full: a view of all that there is looks different, and a compiler would make a program for it alone.
            self.cache = self.model.new_cache(ids.shape[0], self.capacity + 1)
        output = self.model(
            ids if self.cache is None else ids[:, self.cache.length :],
            past_key_values=self.cache,
            attention_mask=None if self.mask is None else self.mask[:, :length],
            use_cache=self.use_cache,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1].to(torch.float32)  # [N, V]
        if not logits.amax(1).isfinite().all():  # one NaN makes the largest NaN
            raise InputError(
                f"token {length}: the model's scores are not finite numbers; its weights are broken, or the precision "
                "too low for them (try float32)."
            )
        return logits

    def repeat(self, times: int) -> None:
        """Let every row stand `times` times, one below the other: from here on they may part.

        Args:
            times: how often.
        """
        if self.cache is not None:
            self.cache = self.cache.repeat(times)
        if self.mask is not None:
            self.mask = self.mask.repeat_interleave(times, 0)

    def reorder(self, rows: Tensor, start: int) -> None:
        """Let row i go on with what row `rows[i]` has read.

        Args:
            rows: [N] of int64.
            start: before this token they have read the same.
        """
        if self.cache is not None:
            self.cache.reorder(rows, start)
