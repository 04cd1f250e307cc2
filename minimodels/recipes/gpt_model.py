"""A GPT in training: where it begins, what its loss is made of, and what moves its weights."""

import math
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from minimodels import functional as F
from minimodels import nn
from minimodels.errors import InputError
from minimodels.models import GPT2Config, GPT2LMHeadModel
from minimodels.optim import AdamW, CombinedOptimizer, Muon
from minimodels.recipes.gpt_data import Split, new_tokenizer, place_of, read_tokenizer
from minimodels.recipes.gpt_settings import GPTSettings
from minimodels.text import Tokenizer
from minimodels.training import Metric


def started(chosen: GPTSettings, text: Split) -> tuple[GPT2LMHeadModel, Tokenizer]:
    """The model to train and its tokenizer: new ones, or those to go on from.

    Args:
        chosen: the settings.
        text: what a new tokenizer is made for.

    Raises:
        InputError: there is no such model or tokenizer, or the two do not fit.
    """
    return new(chosen, text) if chosen.init_from is None else continued(chosen, chosen.init_from)


def new(chosen: GPTSettings, text: Split) -> tuple[GPT2LMHeadModel, Tokenizer]:
    """A model with random weights, and a tokenizer for the text.

    Args:
        chosen: the settings.
        text: what a trained tokenizer is trained on.

    Raises:
        InputError: the tokenizer cannot be had.
    """
    tokenizer = new_tokenizer(chosen.tokenizer, text, chosen.vocab_size, chosen.tokenizer_dir, chosen.context)
    config: dict[str, Any] = {
        "vocab_size": tokenizer.vocab_size,
        "n_positions": chosen.context,
        "n_embd": chosen.width,
        "n_layer": chosen.layers,
        "n_head": chosen.heads,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    return GPT2LMHeadModel(GPT2Config(**config, **_dropout(chosen))), tokenizer


def continued(chosen: GPTSettings, name: str) -> tuple[GPT2LMHeadModel, Tokenizer]:
    """A model that was trained before, with the context and the dropout that are wished for, and its tokenizer.

    Args:
        chosen: the settings; a shorter context takes the first of the model's positions.
        name: see `pretrained`.

    Raises:
        InputError: there is no such model, or its context is shorter than the one wished for.
    """
    published, tokenizer = pretrained(name)
    longest = published.config.n_positions
    context = chosen.context or longest
    if context > longest:
        raise InputError(f"--context {context}: the model of --init-from reads {longest} tokens; lower it.")
    model = GPT2LMHeadModel(replace(published.config, n_positions=context, **_dropout(chosen)))
    weights = published.state_dict()
    weights["transformer.wpe.weight"] = weights["transformer.wpe.weight"][:context]
    model.load_state_dict(weights)
    return model, tokenizer


def _dropout(chosen: GPTSettings) -> dict[str, Any]:
    return dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), chosen.dropout)


def pretrained(name: str) -> tuple[GPT2LMHeadModel, Tokenizer]:
    """A model that was trained before, and its tokenizer.

    Args:
        name: a run folder, the folder of a model, or a name on the hub.

    Raises:
        InputError: there is no such model, or the tokenizer has tokens that it does not know.
    """
    place = place_of(name)
    model, tokenizer = GPT2LMHeadModel.from_pretrained(place), read_tokenizer(place)
    if tokenizer.vocab_size > model.config.vocab_size:
        raise InputError(
            f"{place}: the tokenizer has {tokenizer.vocab_size} tokens and the model knows {model.config.vocab_size}; "
            f"give a model with its own tokenizer."
        )
    return model, tokenizer


def optimizer(chosen: GPTSettings, model: GPT2LMHeadModel) -> Optimizer:
    """AdamW, or Muon for the matrices inside the blocks and AdamW for the rest: embeddings, head, biases and gains.

    What is decayed are matrices, not biases and gains, whose size says nothing about overfitting. Muon's changes are
    made as large as AdamW's, so that one learning rate and one weight decay serve both.

    Args:
        chosen: the settings.
        model: whose parameters it moves.
    """
    inside = {p for p in model.transformer.h.parameters() if p.dim() == 2 and chosen.optimizer == "muon"}
    rest = [p for p in model.parameters() if p not in inside]
    groups = [
        {"params": [p for p in rest if p.dim() >= 2], "weight_decay": chosen.weight_decay},
        {"params": [p for p in rest if p.dim() < 2], "weight_decay": 0.0},
    ]
    adamw = AdamW(groups, lr=chosen.lr, betas=(0.9, chosen.beta2))
    if not inside:
        return adamw
    matrices = [p for p in model.parameters() if p in inside]
    muon = Muon(matrices, lr=chosen.lr, weight_decay=chosen.weight_decay, adjust_lr_fn="match_rms_adamw")
    return CombinedOptimizer([muon, adamw])


class Guess:
    """What a model expects at every place of a text: the stream at its end, and the head that makes scores of it.

    The scores are the largest tensor of a language model; the loss takes them a few rows at a time.

    Args:
        hidden: [N, T, E].
        head: [V, E].

    Attributes:
        loss: of the guess, once it was computed.
    """

    def __init__(self, hidden: Tensor, head: Tensor) -> None:
        self.hidden = hidden
        self.head = head
        self.loss: Tensor | None = None

    def surprise(self, targets: Tensor) -> Tensor:
        """The mean cross-entropy, in nats a token.

        Args:
            targets: what came, [N, T].
        """
        self.loss = F.linear_cross_entropy(self.hidden.flatten(0, 1), self.head, targets.flatten())
        return self.loss


class Guessing(nn.Module):
    """A language model in training: it gives a `Guess`.

    Args:
        model: what is trained.
    """

    def __init__(self, model: GPT2LMHeadModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Guess:
        """Read windows of text.

        Args:
            tokens: [N, T].
        """
        return Guess(self.model.transformer(tokens).last_hidden_state, self.model.lm_head.weight)


def bits_per_byte(lengths: Tensor) -> Metric:
    """How many bits a byte of text costs whoever encodes it with the model's guesses: Σ −log₂ P(token) / Σ bytes.

    A loss a token says little beside that of another tokenizer, whose tokens are longer; bits a byte compare.

    Args:
        lengths: bytes of each token, [V].

    Example:
        >>> import torch
        >>> guess = Guess(torch.zeros(1, 2, 3), torch.zeros(8, 3))  # eight equal guesses: 3 bits each
        >>> _ = guess.surprise(torch.tensor([[0, 7]]))
        >>> bits_per_byte(torch.ones(8, dtype=torch.int64))(guess, torch.tensor([[0, 7]]))
        (tensor(6.), tensor(2))
    """

    def metric(guess: Guess, targets: Tensor) -> tuple[Tensor, Tensor]:
        loss = guess.surprise(targets) if guess.loss is None else guess.loss
        return loss * targets.numel() / math.log(2), lengths.to(targets.device)[targets].sum()

    return metric
