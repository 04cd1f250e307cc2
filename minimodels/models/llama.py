"""Llama: what a language model became after GPT-2, with a reason for every change.

Positions are turned into queries and keys (`RotaryEmbedding`), so that scores know distances and no table ends.
Normalisations keep the scale alone (`RMSNorm`). Heads of queries share keys and values (`GroupedQueryAttention`), so
that the cache is small. A gate bends the MLP (`SwiGLU`). There are no biases, and the rest is GPT-2's: blocks that add
to one residual stream, and a head that scores the next token. Mistral is the same with a window in its attention.
"""

import torch
from torch import Tensor

from minimodels import nn
from minimodels.checkpoint.pretrained import PretrainedModel
from minimodels.models.causal import CausalLM, embedded, positions
from minimodels.models.llama_config import LlamaConfig, MistralConfig
from minimodels.models.outputs import BaseModelOutput
from minimodels.nn import KeyValueCache

ROOM = 2048
"""Tokens for which a cache that nobody gave has room beyond those that are read; whole contexts can be too long."""


class LlamaDecoderLayer(nn.Module):
    """One step of the residual stream: x ← x + attention(norm(x)); x ← x + mlp(norm(x)).

    Args:
        config: the settings.
        rotary: turns queries and keys; all blocks share it.
        layer: the number of the block, from 0.
    """

    def __init__(self, config: LlamaConfig, rotary: nn.RotaryEmbedding, layer: int) -> None:
        super().__init__()
        c = config
        self.self_attn = nn.GroupedQueryAttention(
            c.hidden_size,
            c.num_attention_heads,
            c.num_key_value_heads,
            c.head_dim,
            bias=c.attention_bias,
            dropout=c.attention_dropout,
            rotary=rotary,
            sliding_window=c.sliding_window,
            layer=layer,
        )
        self.mlp = nn.SwiGLU(c.hidden_size, c.intermediate_size, bias=c.mlp_bias)
        self.input_layernorm = nn.RMSNorm(c.hidden_size, eps=c.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(c.hidden_size, eps=c.rms_norm_eps)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        angles: tuple[Tensor, Tensor] | None = None,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Add to the stream.

        Args:
            x: [N, T, E].
            mask: [N, 1, 1, S], True for tokens and False for padding.
            angles: by which queries and keys are turned.
            cache: keys and values of the tokens before, which those of the new ones join.
        """
        x = x + self.self_attn(self.input_layernorm(x), mask, angles, cache)
        return x + self.mlp(self.post_attention_layernorm(x))  # type: ignore[no-any-return]


class LlamaPreTrainedModel(PretrainedModel):
    """What the model with and without a head share: how published files name their tensors."""

    config_class = LlamaConfig
    base_model_prefix = "model"
    ignored = r"rotary_emb\.inv_freq$"  # frequencies, which older files carry along

    config: LlamaConfig

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw new weights: normal ones of σ = 0.02, no biases, and normalisations that begin with 1."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=self.config.initializer_range)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                module.weight[module.padding_idx].zero_()


class LlamaModel(LlamaPreTrainedModel):
    """The blocks without a head: tokens in, the normalised residual stream out.

    Args:
        config: the settings.

    Shape:
        - input_ids: [N, T]; attention_mask: [N, S], S = T and what the cache holds
        - Output: `last_hidden_state` [N, T, E]

    References: Touvron et al. 2023, arXiv:2302.13971; Grattafiori et al. 2024, arXiv:2407.21783 (Llama 3).

    See: tests/models/test_llama.py.

    Example:
        >>> config = LlamaConfig(vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        ...     num_attention_heads=4, num_key_value_heads=2)
        >>> LlamaModel(config)(torch.tensor([[1, 7, 3]])).last_hidden_state.shape
        torch.Size([1, 3, 16])
    """

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        assert config.head_dim is not None  # settled by the settings themselves
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        self.rotary_emb = nn.RotaryEmbedding(config.head_dim, config.rope_theta, config.rope_scaling)
        self.layers = nn.ModuleList(
            LlamaDecoderLayer(config, self.rotary_emb, layer) for layer in range(config.num_hidden_layers)
        )
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.reset_parameters()

    def forward(
        self,
        input_ids: Tensor | None = None,
        past_key_values: KeyValueCache | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
    ) -> BaseModelOutput:
        """Read the tokens.

        Args:
            input_ids: the tokens.
            past_key_values: what was read before; it is added to.
            attention_mask: 1 for tokens, 0 for padding, those of the cache included.
            position_ids: where the tokens stand; None counts them, without the padding.
            inputs_embeds: vectors in place of tokens.
            use_cache: make a cache, if none is given; `new_cache` makes one with as much room as needed.
        """
        x = embedded(self.embed_tokens, input_ids, inputs_embeds)  # [N, T, E]
        limit = self.config.max_position_embeddings
        if use_cache and past_key_values is None:
            past_key_values = self.new_cache(x.shape[0], min(limit, x.shape[1] + ROOM))
        where = positions(x, past_key_values, attention_mask, position_ids, limit)
        angles = self.rotary_emb.angles(where[:, None])  # [N or 1, 1, T, d/2], one for all heads and blocks
        mask = None if attention_mask is None else (attention_mask != 0)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, mask, angles, past_key_values)
        return BaseModelOutput(self.norm(x), past_key_values)

    def new_cache(self, batch_size: int, capacity: int) -> KeyValueCache:
        """Make room for the keys and values of the tokens to be read.

        Args:
            batch_size: N.
            capacity: tokens of each text.
        """
        c, like = self.config, self.embed_tokens.weight
        assert c.num_key_value_heads is not None
        assert c.head_dim is not None
        return KeyValueCache(
            c.num_hidden_layers, batch_size, c.num_key_value_heads, capacity, c.head_dim, like.device, like.dtype
        )


class LlamaForCausalLM(LlamaPreTrainedModel, CausalLM):
    """Llama with its head: P(next token) = softmax(x·Wᵀ).

    Args:
        config: the settings.

    Shape:
        - input_ids: [N, T]; attention_mask: [N, S], S = T and what the cache holds; labels: [N, T]
        - Output: `logits` [N, T, V]; `loss` []

    Attributes:
        model: the blocks.
        lm_head: W.

    References: Touvron et al. 2023, arXiv:2302.13971; Grattafiori et al. 2024, arXiv:2407.21783 (Llama 3).

    See: tests/models/test_llama.py.

    Example:
        >>> model = LlamaForCausalLM(LlamaConfig(vocab_size=50, hidden_size=16, intermediate_size=32,
        ...     num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2))
        >>> tokens = torch.tensor([[1, 7, 3]])
        >>> model(tokens, labels=tokens).logits.shape
        torch.Size([1, 3, 50])
    """

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.model = LlamaModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        nn.init.normal_(self.lm_head.weight, std=config.initializer_range)
        self.tie_weights()

    def tie_weights(self) -> None:
        """Let the head use the embedding's own table, if the settings say so."""
        if self.config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight


class MistralForCausalLM(LlamaForCausalLM):
    """Mistral: a Llama whose tokens see a window of tokens; what is farther reaches them through the blocks between.

    Args:
        config: the settings.

    References: Jiang et al. 2023, arXiv:2310.06825.

    See: `LlamaForCausalLM`; tests/models/test_llama.py.
    """

    config_class = MistralConfig
