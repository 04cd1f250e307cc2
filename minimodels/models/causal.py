"""What causal language models share: the checks of their input, where a token stands, the head and the loss."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from minimodels import functional as F
from minimodels import nn
from minimodels.checkpoint import PretrainedModel
from minimodels.functional.precision import accumulator
from minimodels.generation import GenerationMixin
from minimodels.models.outputs import CausalLMOutput
from minimodels.nn import KeyValueCache

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "gelu_pytorch_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
    "swish": F.silu,
    "tanh": F.tanh,
}
"""Activation functions by the names that config.json has for them."""


def embedded(table: nn.Embedding, input_ids: Tensor | None, inputs_embeds: Tensor | None) -> Tensor:
    """Give the vectors of the tokens: looked up, unless the caller brings them.

    Args:
        table: the embedding.
        input_ids: the tokens.
        inputs_embeds: vectors in their place.

    Shape:
        input_ids [N, T]; inputs_embeds, Output [N, T, E]

    Raises:
        ValueError: both are given or neither is, or the shape is another.
        IndexError: a token is not in the vocabulary (on a CPU; on a GPU the kernel's own assertion fails).
    """
    if (input_ids is None) == (inputs_embeds is None):
        raise ValueError("give either input_ids or inputs_embeds, and not both")
    if input_ids is None:
        assert inputs_embeds is not None
        if inputs_embeds.ndim != 3 or inputs_embeds.shape[2] != table.embedding_dim:
            raise ValueError(f"inputs_embeds has to be [N, T, {table.embedding_dim}], not {[*inputs_embeds.shape]}")
        return inputs_embeds
    if input_ids.ndim != 2 or input_ids.is_floating_point():
        raise ValueError(f"input_ids has to be [N, T] of integers, not {[*input_ids.shape]} of {input_ids.dtype}")
    remedy = "is not in the vocabulary of {0} tokens, 0 to {1}; take the tokenizer that belongs to the model"
    return looked_up(table, input_ids, "token", remedy)


def looked_up(table: nn.Embedding, rows: Tensor, what: str, remedy: str) -> Tensor:
    """Look up rows of a table, and say of which there is none.

    Args:
        table: the embedding.
        rows: which.
        what: what a row stands for, for the error.
        remedy: the rest of that sentence, with {0} for the number of rows and {1} for the last.

    Shape:
        rows [*]; Output [*, E]

    Raises:
        IndexError: there is no such row (on a CPU; on a GPU the kernel's own assertion fails).
    """
    try:
        return table(rows)  # type: ignore[no-any-return]
    except IndexError:
        least, most = int(rows.min()), int(rows.max())
        size = table.num_embeddings
        raise IndexError(f"{what} {least if least < 0 else most} {remedy.format(size, size - 1)}") from None


def positions(
    x: Tensor, cache: nn.KeyValueCache | None, attention_mask: Tensor | None, position_ids: Tensor | None, limit: int
) -> Tensor:
    """Count where each token stands: behind those of the cache, and in a padded text behind its own tokens alone.

    Args:
        x: the embedded tokens.
        cache: what was read before.
        attention_mask: 1 for tokens, 0 for padding, those of the cache included.
        position_ids: positions that the caller counted himself, which are taken as they are.
        limit: the context length.

    Shape:
        x [N, T, E]; attention_mask [N, S], S = cache.length + T; position_ids [N, T] or [1, T]
        Output [N, T] or [1, T]

    Raises:
        ValueError: the mask has another shape, the cache is of another batch, or there are more tokens than the model
            has positions for.
    """
    N, T = x.shape[:2]
    past = cache.length if cache is not None else 0
    S = past + T
    if cache is not None and cache.layers[0].shape[1] != N:
        raise ValueError(
            f"the cache is of {cache.layers[0].shape[1]} texts, but there are {N}; make one for each batch"
        )
    if attention_mask is not None and attention_mask.shape != (N, S):
        raise ValueError(
            f"attention_mask has to be [{N}, {S}], one number for each token{_of_them(past)}, "
            f"not {[*attention_mask.shape]}"
        )
    if position_ids is not None:
        if position_ids.shape not in ((N, T), (1, T)):
            raise ValueError(f"position_ids has to be [{N}, {T}] or [1, {T}], not {[*position_ids.shape]}")
        return position_ids  # the look-up refuses those that are beyond the limit
    if limit < S:
        raise ValueError(
            f"the text has {S} tokens{_of_them(past)}, but the model reads {limit} at most; cut it to its last {limit}"
        )
    if attention_mask is None:
        return torch.arange(past, S, device=x.device)[None]  # [1, T]
    return ((attention_mask != 0).cumsum(1)[:, past:] - 1).clamp(min=0)  # [N, T]


def _of_them(past: int) -> str:
    """Words that are put together where they are needed: a compiler has a symbol for the number, not words for it."""
    return f" ({past} of them in the cache)" if past else ""


def next_token_loss(hidden: Tensor, head: nn.Linear, labels: Tensor, logits: Tensor) -> Tensor:
    """Compute the mean cross-entropy of each token but the first, given what stands before it.

    Args:
        hidden: what the head reads.
        head: the map to the logits.
        labels: the tokens themselves; −100 for those that do not count.
        logits: the head's scores, of all tokens or of the last ones. Where they are not there for all, the loss is
            computed in pieces, and they are never in memory whole.

    Shape:
        hidden [N, T, E]; labels [N, T]; logits [N, ≤ T, V]; Output []

    Raises:
        ValueError: the labels have another shape.
    """
    if labels.shape != hidden.shape[:2]:
        raise ValueError(f"labels have to be {[*hidden.shape[:2]]} like the tokens, unshifted, not {[*labels.shape]}")
    nothing = torch.full_like(labels[:, :1], -100)  # follows the last token; cheaper than cutting the logits, a copy
    targets = torch.cat([labels[:, 1:], nothing], dim=1).flatten()  # [N·T]
    if logits.shape[1] < hidden.shape[1]:
        return F.linear_cross_entropy(hidden.flatten(0, 1), head.weight, targets, linear_bias=head.bias)
    return F.cross_entropy(logits.flatten(0, 1).to(accumulator(logits.dtype)), targets)


class CausalLM(PretrainedModel, GenerationMixin):
    """Blocks with a head: P(next token) = softmax(x·Wᵀ), x what the blocks made of all tokens so far.

    A model's class inherits from it, and makes the blocks, under the name `base_model_prefix`, and the head.

    Attributes:
        lm_head: W, the map to the logits.

    See: `GPT2LMHeadModel`, `LlamaForCausalLM`; tests/models/test_gpt2.py.
    """

    lm_head: nn.Linear

    @property
    def base_model(self) -> Any:
        """The blocks without a head."""
        return getattr(self, self.base_model_prefix)

    def forward(
        self,
        input_ids: Tensor | None = None,
        past_key_values: KeyValueCache | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
    ) -> CausalLMOutput:
        """Score every token of the vocabulary as the next one.

        Args:
            input_ids: the tokens.
            past_key_values: what was read before; it is added to.
            attention_mask: 1 for tokens, 0 for padding, those of the cache included.
            position_ids: where the tokens stand; None counts them, without the padding.
            inputs_embeds: vectors in place of tokens.
            labels: the tokens again, for the loss; −100 for those that do not count.
            use_cache: make a cache, if none is given.
            logits_to_keep: compute the logits of this many last tokens only; 0 is all.
        """
        if logits_to_keep < 0:
            raise ValueError(f"logits_to_keep {logits_to_keep} has to be 0, for all, or more")
        read = self.base_model(input_ids, past_key_values, attention_mask, position_ids, inputs_embeds, use_cache)
        hidden = read.last_hidden_state
        logits = self.lm_head(hidden[:, -logits_to_keep:])  # −0 is the beginning
        loss = None if labels is None else next_token_loss(hidden, self.lm_head, labels, logits)
        return CausalLMOutput(logits, loss, read.past_key_values)

    def new_cache(self, batch_size: int, capacity: int) -> KeyValueCache:
        """Make room for the keys and values of the tokens to be read.

        Args:
            batch_size: N.
            capacity: tokens of each text.
        """
        cache: KeyValueCache = self.base_model.new_cache(batch_size, capacity)
        return cache
