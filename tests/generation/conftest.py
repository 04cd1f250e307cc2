"""Small language models, so that generation is seen to know of no model in particular."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from minimodels import nn
from minimodels.functional import causal_mask, scaled_dot_product_attention
from minimodels.generation import GenerationMixin


class Bigrams(GenerationMixin, nn.Module):
    """A table: row i scores what comes after token i; or one for each position. Its cache counts only."""

    def __init__(self, table: Tensor, **config: object) -> None:
        super().__init__()
        self.table = nn.Parameter(table)
        self.config = SimpleNamespace(vocab_size=table.shape[-1], **config)

    def forward(self, input_ids, past_key_values, attention_mask, use_cache, logits_to_keep):
        if use_cache:
            nothing = self.table.new_zeros(len(input_ids), 1, input_ids.shape[1], 0)
            past_key_values.update(nothing, nothing, 0)
        tokens = input_ids[:, -logits_to_keep:]
        table = self.table if self.table.ndim == 2 else self.table[past_key_values.length - 1]
        return SimpleNamespace(logits=table[tokens])

    def new_cache(self, batch_size, capacity):
        return nn.KeyValueCache(1, batch_size, 1, capacity, 0, dtype=self.table.dtype)


class Attentive(GenerationMixin, nn.Module):
    """Two layers of attention, with learned positions."""

    def __init__(self, vocabulary=20, width=8, heads=2, layers=2, context=32, **config):
        super().__init__()
        self.config = SimpleNamespace(vocab_size=vocabulary, max_position_embeddings=context, **config)
        self.heads = heads
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.projections = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(layers))
        self.head = nn.Linear(width, vocabulary)
        self.dropout = nn.Dropout(0.5)  # generation has to switch it off

    def forward(self, input_ids, past_key_values, attention_mask, use_cache, logits_to_keep):
        past = past_key_values.length if use_cache else 0
        (N, T), S = input_ids.shape, past + input_ids.shape[1]
        seen = causal_mask(T, S, device=input_ids.device)
        positions = torch.arange(past, S, device=input_ids.device)
        if attention_mask is not None:
            seen = seen & (attention_mask[:, None, None] != 0)
            seen = seen | torch.eye(S, dtype=torch.bool, device=seen.device)[past:]  # padding looks at itself
            positions = (attention_mask.cumsum(1) - 1).clamp(min=0)[:, past:]
        x = self.dropout(self.tokens(input_ids) + self.positions(positions))
        for number, projection in enumerate(self.projections):
            q, k, v = projection(x).view(N, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            if use_cache:
                k, v = past_key_values.update(k, v, number)
            x = x + scaled_dot_product_attention(q, k, v, seen).transpose(1, 2).reshape(N, T, -1)
        return SimpleNamespace(logits=4 * self.head(x[:, -logits_to_keep:]))

    def new_cache(self, batch_size, capacity):
        weight = self.tokens.weight
        size = weight.shape[1] // self.heads
        return nn.KeyValueCache(
            len(self.projections), batch_size, self.heads, capacity, size, weight.device, weight.dtype
        )


@pytest.fixture(scope="session")
def bigrams():
    return Bigrams


@pytest.fixture(scope="session")
def attentive():
    def make(seed=0, **settings):
        torch.manual_seed(seed)
        return Attentive(**settings).double()

    return make
