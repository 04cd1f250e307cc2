"""What a Llama is made with, under Hugging Face's names, in the older and the newer spelling of rotary positions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from minimodels import functional as F
from minimodels.checkpoint.config import PretrainedConfig
from minimodels.errors import InputError

_SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
)
_COMPUTED: dict[str, object] = {**PretrainedConfig.only, "hidden_act": "silu", "partial_rotary_factor": 1.0}


@dataclass(kw_only=True)
class LlamaConfig(PretrainedConfig):
    """The settings of a Llama; the defaults are those of the first one, of 7 billion parameters.

    Rotary positions are set in two ways: transformers 5 has `rope_parameters`, with everything in it; before, there
    were `rope_theta` and, for longer texts, `rope_scaling`. Either is read, and afterwards both are there.

    Args:
        extra: what else stood in config.json; kept, and written again.
        vocab_size: V, tokens that there are.
        hidden_size: E, the width of the residual stream.
        intermediate_size: width of the hidden layer of a block's MLP.
        num_hidden_layers: blocks.
        num_attention_heads: H, heads of queries.
        num_key_value_heads: G, heads of keys and values; None is H.
        head_dim: d, numbers a head; None is E/H.
        hidden_act: what gates the MLP: silu.
        max_position_embeddings: the context length: how many tokens the model can read at most.
        initializer_range: standard deviation of the initial weights.
        rms_norm_eps: ε of every normalisation.
        use_cache: kept for Hugging Face; here a cache is used where one is given or asked for.
        bos_token_id: the token before a text.
        eos_token_id: the token behind a text, or several of them.
        pad_token_id: the token that fills up a batch; None: there is none.
        tie_word_embeddings: the head's weights are the embedding's.
        rope_theta: the base of the rotary frequencies.
        rope_scaling: how they are slowed down for long texts, see `rotary_frequencies`; None: not at all.
        rope_parameters: both in one: {"rope_theta": …, "rope_type": …, …}.
        attention_bias: biases in the four maps of attention.
        attention_dropout: dropout of the attention weights.
        mlp_bias: biases in the three maps of the MLP.
        sliding_window: how many tokens one sees at most, itself among them; None for all that came before.

    Raises:
        InputError: a size is not positive, heads do not share evenly, or the rotary settings are unknown.

    See: tests/models/test_llama.py.

    Example:
        >>> config = LlamaConfig(rope_theta=500000.0, num_key_value_heads=8)
        >>> config.rope_parameters, config.head_dim
        ({'rope_theta': 500000.0, 'rope_type': 'default'}, 128)
    """

    model_type: ClassVar[str] = "llama"
    only: ClassVar[dict[str, object]] = {**_COMPUTED, "sliding_window": None}  # else it is a Mistral

    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    hidden_act: str = "silu"
    max_position_embeddings: int = 2048
    initializer_range: float = 0.02
    rms_norm_eps: float = 1e-6
    use_cache: bool = True
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    pad_token_id: int | None = None
    tie_word_embeddings: bool = False
    rope_theta: float = 10000.0
    rope_scaling: dict[str, Any] | None = None
    rope_parameters: dict[str, Any] | None = None
    attention_bias: bool = False
    attention_dropout: float = 0.0
    mlp_bias: bool = False
    sliding_window: int | None = None

    def __post_init__(self) -> None:
        for name in _SIZES:
            size = getattr(self, name)
            if size is not None and size < 1:
                raise InputError(f"{name} {size}: has to be 1 or more.")
        if self.num_key_value_heads is None:
            self.num_key_value_heads = self.num_attention_heads
        if self.head_dim is None:
            if self.hidden_size % self.num_attention_heads:
                raise InputError(
                    f"hidden_size {self.hidden_size}: {self.num_attention_heads} heads cannot share it evenly; "
                    "give a multiple, or head_dim."
                )
            self.head_dim = self.hidden_size // self.num_attention_heads
        if self.num_attention_heads % self.num_key_value_heads:
            raise InputError(
                f"num_attention_heads {self.num_attention_heads}: has to be a multiple of num_key_value_heads "
                f"{self.num_key_value_heads}."
            )
        if self.head_dim % 2:
            raise InputError(f"head_dim {self.head_dim}: has to be even, numbers are turned two by two.")
        self._settle_positions()

    def _settle_positions(self) -> None:
        """Bring the two spellings of rotary positions together: if both are there, `rope_scaling` counts, as in HF."""
        given = dict(self.rope_scaling or self.rope_parameters or {})
        self.rope_theta = given.pop("rope_theta", self.rope_theta)
        kind = given.pop("rope_type", given.pop("type", "default"))
        if kind == "llama3":
            given.setdefault("original_max_position_embeddings", self.max_position_embeddings)
        if given.get("partial_rotary_factor", 1.0) != 1.0:
            raise InputError("partial_rotary_factor: Llama turns all numbers of a head; take it out.")
        self.rope_parameters = {"rope_theta": self.rope_theta, "rope_type": kind, **given}
        self.rope_scaling = None if kind == "default" else {"rope_type": kind, **given}
        try:
            F.rotary_frequencies(2, self.rope_theta, self.rope_scaling, device="cpu")
        except (ValueError, TypeError) as error:
            raise InputError(f"rope_scaling {self.rope_scaling}: cannot be used ({error}).") from None


class MistralConfig(LlamaConfig):
    """The settings of a Mistral: those of a Llama, and a `sliding_window`.

    See: `LlamaConfig`; tests/models/test_llama.py.

    Example:
        >>> MistralConfig.from_dict({"sliding_window": 1024}).num_key_value_heads
        8
    """

    model_type: ClassVar[str] = "mistral"
    only: ClassVar[dict[str, object]] = _COMPUTED

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Take the settings from a config.json.

        Args:
            values: what it holds; what is missing is as in the first Mistral, of 7 billion parameters.

        Raises:
            InputError: as for a Llama.
        """
        first = {"intermediate_size": 14336, "num_key_value_heads": 8, "max_position_embeddings": 131072}
        return super().from_dict({**first, "sliding_window": 4096, **values})
