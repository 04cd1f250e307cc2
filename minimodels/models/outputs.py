"""What a language model gives back, under Hugging Face's names."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from minimodels.nn.cache import KeyValueCache


class ModelOutput:
    """A result of several parts, read by name, by key or by number; what there is not has no number.

    Attributes:
        order: the names of the parts, in the order of their numbers.
    """

    order: ClassVar[tuple[str, ...]]

    def keys(self) -> list[str]:
        """Name the parts that there are."""
        return [name for name in self.order if getattr(self, name) is not None]

    def to_tuple(self) -> tuple[Any, ...]:
        """Give the parts that there are."""
        return tuple(getattr(self, name) for name in self.keys())

    def __getitem__(self, index: Any) -> Any:
        """One part by its name, or by number among those that there are."""
        if isinstance(index, str):
            if index not in self.keys():
                raise KeyError(index)
            return getattr(self, index)
        return self.to_tuple()[index]

    def __iter__(self) -> Iterator[Any]:
        """The parts that there are: `loss, logits = model(ids, labels=ids)`."""
        return iter(self.to_tuple())

    def __len__(self) -> int:
        return len(self.keys())

    def __contains__(self, name: object) -> bool:
        return name in self.keys()


@dataclass
class BaseModelOutput(ModelOutput):
    """What the blocks of a model give, without a head.

    Args:
        last_hidden_state: [N, T, E], the residual stream behind the last block, normalised.
        past_key_values: what was read so far, where a cache is used.

    Example:
        >>> import torch
        >>> len(BaseModelOutput(torch.zeros(1, 2, 5)))
        1
    """

    order = "last_hidden_state", "past_key_values"

    last_hidden_state: Tensor
    past_key_values: KeyValueCache | None = None


@dataclass
class CausalLMOutput(ModelOutput):
    """What a model that predicts the next token gives.

    Args:
        logits: [N, T, V], the score of every token of the vocabulary as the next one.
        loss: the mean cross-entropy, where labels were given.
        past_key_values: what was read so far, where a cache is used.

    Example:
        >>> import torch
        >>> output = CausalLMOutput(torch.zeros(1, 2, 5))
        >>> output[0].shape, "loss" in output
        (torch.Size([1, 2, 5]), False)
    """

    order = "loss", "logits", "past_key_values"

    logits: Tensor
    loss: Tensor | None = None
    past_key_values: KeyValueCache | None = None
