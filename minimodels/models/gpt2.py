"""GPT-2: a stack of blocks that read and write one residual stream, and a head that scores the next token.

Each token begins as the sum of two vectors: which token it is, and where it stands. Every block adds to it, first
what attention gathers from the tokens before (`GPT2Attention`), then what an MLP makes of the token alone (`GPT2MLP`).
What is in the stream at the end is compared with the vector of every token of the vocabulary: those are the logits.
"""

import math

import torch
from torch import Tensor

from minimodels import functional as F
from minimodels import nn
from minimodels.checkpoint import PretrainedModel
from minimodels.functional.matmul import product_with_columns
from minimodels.functional.precision import accumulator
from minimodels.models import gpt2_token
from minimodels.models.causal import ACTIVATIONS, CausalLM, embedded, looked_up, positions
from minimodels.models.gpt2_config import GPT2Config
from minimodels.models.outputs import BaseModelOutput
from minimodels.nn import KeyValueCache


class Conv1D(nn.Module):
    """A linear layer whose weight lies the other way round: y = x·W + b; a convolution of width 1, whence the name.

    Args:
        nf: O, size of an output row.
        nx: I, size of an input row.
        std: standard deviation of the initial weights.

    Shape:
        - x: [*, I]
        - Output: [*, O]

    Attributes:
        weight: [I, O], as GPT-2's files have it, drawn from a normal distribution.
        bias: [O], zeros at first.

    Cost: rows·I·O multiply-adds forward, twice that backward.

    Example:
        >>> Conv1D(3, 2)(torch.zeros(5, 2)).shape
        torch.Size([5, 3])
    """

    def __init__(self, nf: int, nx: int, std: float = 0.02) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.normal_(torch.empty(nx, nf), std=std))
        self.bias = nn.Parameter(torch.zeros(nf))

    def forward(self, x: Tensor) -> Tensor:
        """Map each row.

        Args:
            x: rows of features.
        """
        rows = x.flatten(0, -2) if x.ndim > 1 else x[None]
        return product_with_columns(rows, self.weight, self.bias).view(*x.shape[:-1], self.weight.shape[1])

    def extra_repr(self) -> str:
        """Show the sizes."""
        return "nf={1}, nx={0}".format(*self.weight.shape)


class GPT2Attention(nn.Module):
    """Gather from the tokens before: softmax(Q·Kᵀ/√d + M)·V, in several heads side by side.

    Each head has d = E / heads numbers of a query, a key and a value, all three of one product with the stream. The
    mask M lets a token see itself and what came before.

    Args:
        config: the settings.
        layer: the number of the block, from 0.

    Shape:
        - x: [N, T, E]
        - Output: [N, T, E]

    Cost: N·T·4·E² multiply-adds for the projections, and N·T·S·E for S tokens that are seen (half where T = S).

    References: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.

    See: `minimodels.functional.causal_attention`; tests/models/test_gpt2.py.
    """

    def __init__(self, config: GPT2Config, layer: int) -> None:
        super().__init__()
        E, std = config.n_embd, config.initializer_range
        self.layer, self.heads = layer, config.n_head
        self.scale = (E // self.heads) ** -0.5 if config.scale_attn_weights else 1.0
        if config.scale_attn_by_inverse_layer_idx:
            self.scale /= layer + 1
        self.upcast = config.reorder_and_upcast_attn
        self.c_attn = Conv1D(3 * E, E, std)
        self.c_proj = Conv1D(E, E, std / math.sqrt(2 * config.n_layer))
        self.attn_dropout = nn.Dropout(config.attn_pdrop)
        self.resid_dropout = nn.Dropout(config.resid_pdrop)

    def forward(self, x: Tensor, mask: Tensor | None = None, cache: KeyValueCache | None = None) -> Tensor:
        """Let each token look at those that it may see.

        Args:
            x: what comes in.
            mask: [N, 1, 1, S] of booleans, False for padding, which nobody looks at; None where there is none.
            cache: keys and values of the tokens before, which those of the new ones join.
        """
        N, T, E = x.shape
        q, k, v = self.c_attn(x).view(N, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # [N, heads, T, d] each
        dtype, dropout = q.dtype, self.attn_dropout.p if self.training else 0.0
        if cache is not None:
            k, v = cache.update(k, v, self.layer)  # [N, heads, S, d]
        if self.upcast:
            q, k, v = (t.to(accumulator(dtype)) for t in (q, k, v))
        y = F.causal_attention(q, k, v, attn_mask=mask, dropout_p=dropout, scale=self.scale)  # [N, heads, T, d]
        y = y.transpose(1, 2).reshape(N, T, E).to(dtype)  # the heads side by side again
        return self.resid_dropout(self.c_proj(y))  # type: ignore[no-any-return]


class GPT2MLP(nn.Module):
    """Make something of each token alone: f(x·W₁ + b₁)·W₂ + b₂, four times as wide between.

    Args:
        config: the settings.

    Shape:
        - x: [N, T, E]
        - Output: [N, T, E]

    Cost: N·T·8·E² multiply-adds, two thirds of a block's.

    See: tests/models/test_gpt2.py.
    """

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        E, std = config.n_embd, config.initializer_range
        inner = 4 * E if config.n_inner is None else config.n_inner
        self.c_fc = Conv1D(inner, E, std)
        self.act = ACTIVATIONS[config.activation_function]
        self.c_proj = Conv1D(E, inner, std / math.sqrt(2 * config.n_layer))
        self.dropout = nn.Dropout(config.resid_pdrop)

    def forward(self, x: Tensor) -> Tensor:
        """Widen, bend, narrow.

        Args:
            x: what comes in.
        """
        return self.dropout(self.c_proj(self.act(self.c_fc(x))))  # type: ignore[no-any-return]


class GPT2Block(nn.Module):
    """Add to the residual stream twice: x ← x + attention(norm(x)), then x ← x + mlp(norm(x)).

    Args:
        config: the settings.
        layer: the number of the block, from 0.

    Shape:
        - x: [N, T, E]
        - Output: [N, T, E]

    References: Radford et al. 2019, "Language models are unsupervised multitask learners", section 2.3 (the norm
        moved to the input of each part); He et al. 2016, arXiv:1603.05027 (why the stream itself stays clean).

    See: tests/models/test_gpt2.py.
    """

    def __init__(self, config: GPT2Config, layer: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.attn = GPT2Attention(config, layer)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.mlp = GPT2MLP(config)

    def forward(self, x: Tensor, mask: Tensor | None = None, cache: KeyValueCache | None = None) -> Tensor:
        """Add what attention gathers, then what the MLP makes of it.

        Args:
            x: the stream.
            mask: see `GPT2Attention`.
            cache: likewise.
        """
        x = x + self.attn(self.ln_1(x), mask, cache)
        return x + self.mlp(self.ln_2(x))  # type: ignore[no-any-return]


_KINDS = gpt2_token.Kinds(GPT2Block, GPT2Attention, GPT2MLP, Conv1D)


class GPT2PreTrainedModel(PretrainedModel):
    """What the model with and without a head share: how published files name their tensors."""

    config_class = GPT2Config
    base_model_prefix = "transformer"
    ignored = r"\.attn\.(bias|masked_bias)$"  # the causal mask, which older files carry along

    config: GPT2Config


class GPT2Model(GPT2PreTrainedModel):
    """The blocks without a head: tokens in, the residual stream out.

    The initial weights are normal with σ = 0.02. Where a block writes into the stream, σ is 0.02/√(2·layers): the
    stream is a sum of so many terms, and thus does not grow with the depth.

    Args:
        config: the settings.

    Shape:
        - input_ids: [N, T]
        - Output: last_hidden_state [N, T, E]

    Attributes:
        wte: a vector for each token.
        wpe: a vector for each position.
        h: the blocks.
        ln_f: the norm behind the last.

    Raises:
        ValueError: shapes do not fit, or there are more tokens than positions.
        IndexError: a token is not in the vocabulary, or a given position beyond the last.

    Cost: N·T·layers·12·E² multiply-adds, and those of attention.

    References: Radford et al. 2019, "Language models are unsupervised multitask learners", section 2.3.

    See: gpt2_token.py, for a token that is read behind others; tests/models/test_gpt2.py.

    Example:
        >>> model = GPT2Model(GPT2Config(n_layer=2, n_head=2, n_embd=8))
        >>> model(torch.tensor([[464, 3290]])).last_hidden_state.shape
        torch.Size([1, 2, 8])
    """

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd)
        self.drop = nn.Dropout(config.embd_pdrop)
        self.h = nn.ModuleList(GPT2Block(config, layer) for layer in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        for table in (self.wte, self.wpe):
            nn.init.normal_(table.weight, std=config.initializer_range)

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
            use_cache: make a cache for the whole context, if none is given.
        """
        x = embedded(self.wte, input_ids, inputs_embeds)  # [N, T, E]
        if use_cache and past_key_values is None:
            past_key_values = self.new_cache(x.shape[0], self.config.n_positions)
        where = positions(x, past_key_values, attention_mask, position_ids, self.config.n_positions)
        mask = None if attention_mask is None else (attention_mask != 0)[:, None, None, :]
        x = self.drop(x + looked_up(self.wpe, where, "position", "is beyond the {0} that the model has"))
        if past_key_values is not None and (blocks := gpt2_token.gathered(self.h, _KINDS, x, past_key_values)):
            x = gpt2_token.read(blocks, x, mask, past_key_values)
        else:
            for block in self.h:
                x = block(x, mask, past_key_values)
        return BaseModelOutput(self.ln_f(x), past_key_values)

    def new_cache(self, batch_size: int, capacity: int) -> KeyValueCache:
        """Make room for the keys and values of the tokens to be read.

        Args:
            batch_size: N.
            capacity: tokens of each text.
        """
        c, like = self.config, self.wte.weight
        return KeyValueCache(
            c.n_layer, batch_size, c.n_head, capacity, c.n_embd // c.n_head, device=like.device, dtype=like.dtype
        )


class GPT2LMHeadModel(GPT2PreTrainedModel, CausalLM):
    """GPT-2 with its head: P(next token) = softmax(x·Wᵀ), where W is the table of the tokens' vectors itself.

    Names, shapes and results are those of Hugging Face's class of this name; `from_pretrained("gpt2")` reads the
    published weights, `generate` writes on from a prompt. Three things differ: no cache is made unless one is asked
    for, padding on the left is counted out of the positions by default, and with `labels` the loss is over all tokens
    however few logits are kept, so that `logits_to_keep=1` trains without ever holding the logits of all.

    Args:
        config: the settings.

    Shape:
        - input_ids: [N, T]; attention_mask: [N, S] with S = cache.length + T; position_ids: [N, T] or [1, T];
          inputs_embeds: [N, T, E]; labels: [N, T]
        - Output: logits [N, T, V], or [N, logits_to_keep, V]; loss []

    Attributes:
        transformer: the blocks.
        lm_head: the map to the logits; its weight is `transformer.wte.weight` if they are tied.

    Raises:
        ValueError: shapes do not fit, or there are more tokens than positions.
        IndexError: a token is not in the vocabulary, or a given position beyond the last.

    Cost: N·T·(layers·12·E² + E·V) multiply-adds forward, and those of attention; twice that backward. One token after
        the other, with a cache, is bound by reading the weights once for each.

    References: Radford et al. 2019, "Language models are unsupervised multitask learners"; Press & Wolf 2017,
        arXiv:1608.05859 (one table for both ends).

    See: tests/models/test_gpt2.py.

    Example:
        >>> model = GPT2LMHeadModel(GPT2Config(n_layer=2, n_head=2, n_embd=8)).eval()
        >>> ids = torch.tensor([[464, 3290, 373]])
        >>> loss, logits = model(ids, labels=ids)
        >>> logits.shape
        torch.Size([1, 3, 50257])
        >>> cache = model.new_cache(batch_size=1, capacity=10)
        >>> first = model(ids[:, :2], past_key_values=cache)
        >>> torch.allclose(model(ids[:, 2:], past_key_values=cache).logits, logits[:, 2:], atol=1e-6)
        True
    """

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.config = config
        self.transformer = GPT2Model(config)
        tied = config.tie_word_embeddings
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False, device="meta" if tied else None)
        if tied:
            self.tie_weights()  # no memory was given to what the table takes the place of
        else:
            nn.init.normal_(self.lm_head.weight, std=config.initializer_range)

    def tie_weights(self) -> None:
        """Let the head use the embedding's own table, if the settings say so."""
        if self.config.tie_word_embeddings:
            self.lm_head.weight = self.transformer.wte.weight
