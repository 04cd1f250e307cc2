"""What a GPT-2 is made with, under Hugging Face's names, and the four sizes that were published."""

from dataclasses import dataclass
from operator import attrgetter
from typing import ClassVar

from minimodels.checkpoint.config import PretrainedConfig
from minimodels.errors import InputError
from minimodels.models.causal import ACTIVATIONS


@dataclass(kw_only=True)
class GPT2Config(PretrainedConfig):
    """The settings of a GPT-2; the defaults are those of the smallest one, of 124 million parameters.

    Args:
        extra: what else stood in config.json; kept, and written again.
        vocab_size: V, tokens that there are.
        n_positions: the context length: how many tokens the model can read at most.
        n_embd: E, the width of the residual stream.
        n_layer: blocks.
        n_head: heads of attention a block; they share the width evenly.
        n_inner: width of the hidden layer of a block's MLP; None is 4·E.
        activation_function: what stands between the MLP's two layers; "gelu_new" is GELU by tanh.
        resid_pdrop: dropout of what a block adds to the residual stream.
        embd_pdrop: dropout of the embeddings.
        attn_pdrop: dropout of the attention weights.
        layer_norm_epsilon: ε of every layer normalisation.
        initializer_range: standard deviation of the initial weights.
        scale_attn_weights: divide the scores by √d.
        scale_attn_by_inverse_layer_idx: divide them also by the number of the layer, counted from one.
        reorder_and_upcast_attn: attend in float32 where the weights are of 16 bits.
        use_cache: kept for Hugging Face; here a cache is used where one is given or asked for.
        bos_token_id: the token before a text.
        eos_token_id: the token behind a text, or several of them.
        pad_token_id: the token that fills up a batch; None: there is none.
        tie_word_embeddings: the head's weights are the embedding's.

    Attributes:
        hidden_size: n_embd; so are max_position_embeddings, num_hidden_layers and num_attention_heads the other sizes.

    Raises:
        InputError: a size is not positive, the heads do not share the width evenly, or the activation is unknown.

    See: tests/models/test_gpt2.py.

    Example:
        >>> config = GPT2Config(n_layer=2, n_head=4, n_embd=64)
        >>> config.hidden_size, config.vocab_size
        (64, 50257)
        >>> GPT2Config.preset("gpt2-xl").n_layer
        48
    """

    model_type: ClassVar[str] = "gpt2"
    aliases: ClassVar[dict[str, str]] = {
        "hidden_size": "n_embd",
        "max_position_embeddings": "n_positions",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
    }
    only: ClassVar[dict[str, object]] = {**PretrainedConfig.only, "add_cross_attention": False}

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None
    activation_function: str = "gelu_new"
    resid_pdrop: float = 0.1
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    layer_norm_epsilon: float = 1e-5
    initializer_range: float = 0.02
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    reorder_and_upcast_attn: bool = False
    use_cache: bool = True
    bos_token_id: int | None = 50256
    eos_token_id: int | list[int] | None = 50256
    pad_token_id: int | None = None
    tie_word_embeddings: bool = True

    hidden_size = property(attrgetter("n_embd"))
    max_position_embeddings = property(attrgetter("n_positions"))
    num_hidden_layers = property(attrgetter("n_layer"))
    num_attention_heads = property(attrgetter("n_head"))

    def __post_init__(self) -> None:
        for name in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: has to be 1 or more.")
        if self.n_embd % self.n_head:
            raise InputError(f"n_embd {self.n_embd}: {self.n_head} heads cannot share it evenly; give a multiple.")
        if self.activation_function not in ACTIVATIONS:
            known = ", ".join(sorted(ACTIVATIONS))
            raise InputError(f"activation_function {self.activation_function!r}: is unknown; known are {known}.")

    @classmethod
    def preset(cls, name: str) -> "GPT2Config":
        """Give the settings of one of the published sizes.

        Args:
            name: gpt2 (124 million parameters), gpt2-medium (355), gpt2-large (774) or gpt2-xl (1,558).

        Raises:
            InputError: there is no such size.
        """
        if name not in SIZES:
            raise InputError(f"{name}: is no published size of GPT-2; these are {', '.join(SIZES)}.")
        n_layer, n_head, n_embd = SIZES[name]
        return cls(n_layer=n_layer, n_head=n_head, n_embd=n_embd)


SIZES = {
    "gpt2": (12, 12, 768),
    "gpt2-medium": (24, 16, 1024),
    "gpt2-large": (36, 20, 1280),
    "gpt2-xl": (48, 25, 1600),
}
"""Layers, heads and width of the published models: Radford et al. 2019, table 2."""
