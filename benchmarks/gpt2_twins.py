"""GPT-2 as others have it, with our weights in it: out of torch.nn's layers, and transformers' own.

All have the same parameters under the same names. Those of ours and of transformers' linear maps are [in, out], as
GPT-2's files have them; torch.nn's are [out, in].
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from minimodels.models import GPT2Config, GPT2LMHeadModel

T = torch.nn.functional

TINY: dict[str, Any] = {"n_layer": 1, "n_head": 2, "n_embd": 8, "vocab_size": 50, "bos_token_id": 0, "eos_token_id": 0}
"""The sizes of a model that is built only to see that everything runs."""


class Block(torch.nn.Module):
    """A block out of torch.nn's layers and torch's fused attention.

    Args:
        config: the settings.
    """

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        E, linear = config.n_embd, torch.nn.Linear
        self.heads = config.n_head
        self.ln_1, self.ln_2 = (torch.nn.LayerNorm(E, eps=config.layer_norm_epsilon) for _ in range(2))
        self.attn = torch.nn.ModuleDict({"c_attn": linear(E, 3 * E), "c_proj": linear(E, E)})
        self.mlp = torch.nn.ModuleDict({"c_fc": linear(E, 4 * E), "c_proj": linear(4 * E, E)})

    def forward(self, x: Tensor) -> Tensor:
        """Add what attention gathers, then what the MLP makes of it."""
        q, k, v = self.attn["c_attn"](self.ln_1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        y = T.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn["c_proj"](y.transpose(1, 2).flatten(2))
        return x + self.mlp["c_proj"](T.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate="tanh"))


class Blocks(torch.nn.Module):
    """What `GPT2Model` is, out of torch.nn's layers, without dropout.

    Args:
        config: the settings.
    """

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.wte = torch.nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = torch.nn.Embedding(config.n_positions, config.n_embd)
        self.h = torch.nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = torch.nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)

    def forward(self, tokens: Tensor) -> tuple[Tensor]:
        """The residual stream at its end, alone in a row as transformers gives it."""
        x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
        for block in self.h:
            x = block(x)
        return (self.ln_f(x),)


class Expecting(torch.nn.Module):
    """Blocks, the table of their tokens as the head, and torch's loss of what they expect.

    Args:
        blocks: tokens to the residual stream, which is the first of what they give.
    """

    def __init__(self, blocks: torch.nn.Module) -> None:
        super().__init__()
        self.blocks = blocks

    def forward(self, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The stream and the loss."""
        hidden = self.blocks(tokens)[0]
        scores = T.linear(hidden, self.blocks.wte.weight)
        return hidden, T.cross_entropy(scores.flatten(0, 1), targets.flatten())


def torch_blocks(ours: GPT2LMHeadModel) -> Blocks:
    """GPT-2 out of torch.nn's layers, with the weights of ours.

    Args:
        ours: the model.
    """
    weights = ours.transformer.state_dict()
    with ours.transformer.wte.weight.device:
        blocks = Blocks(ours.config)
    blocks.load_state_dict(turned(weights))
    return blocks


def transformers_model(ours: GPT2LMHeadModel) -> Any:
    """GPT-2 of transformers, with the weights and the settings of ours.

    Args:
        ours: the model.
    """
    import transformers

    transformers.logging.set_verbosity_error()
    like = ours.transformer.wte.weight
    with like.device:
        theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(**ours.config.to_dict()))
    theirs.load_state_dict(ours.state_dict(), strict=False)
    return theirs.to(like)


def transformers_blocks(ours: GPT2LMHeadModel) -> torch.nn.Module:
    """Transformers' GPT-2 without its head, with the weights of ours.

    Args:
        ours: the model.
    """
    blocks: torch.nn.Module = transformers_model(ours).transformer
    blocks.config.use_cache = False
    return blocks


def turned(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights or their gradients by name, with the linear maps' the other way round.

    Args:
        values: of ours or of transformers' to have them as torch.nn's, or back.
    """
    return {name: value.t() if re.search(r"\.c_\w+\.weight$", name) else value for name, value in values.items()}
