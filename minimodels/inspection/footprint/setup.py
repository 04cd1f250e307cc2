"""What is trained, how, and on how many devices: the question that the rest of this folder answers."""

from dataclasses import dataclass, replace
from typing import Any, Self

from minimodels.errors import InputError
from minimodels.models import GPT2Config

PRECISIONS = ("float32", "bfloat16", "float16")
OPTIMIZERS = ("adamw", "muon", "sgd", "momentum")


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A GPT-2 in training.

    One device holds everything. Several hold everything each and average their gradients (DistributedDataParallel), or
    with `shard` each an N-th of parameters, gradients and optimiser state (FSDP2's fully_shard, on every block and on
    the rest). In 16 bits weights stay in float32 and autocast makes copies of 16 bits; sharded, it is these that are
    fetched, and gradients are summed in float32.

    Args:
        config: the model.
        batch: N, sequences that a device reads in one pass.
        context: T, tokens of a sequence; None for all that the model can read.
        precision: float32, bfloat16 or float16.
        optimizer: adamw (two means of each parameter), muon (one of a block's matrices, AdamW's two of all else), sgd
            (none) or momentum (one).
        devices: how many there are.
        shard: FSDP2 in place of DistributedDataParallel.
        reshard: let a fetched block go after the forward pass, and fetch it again for the backward one.
        recompute: keep of every block what goes in, and compute the rest anew for the backward pass.
        average: keep a moving average of the weights.
        passes: passes whose gradients are added up before a step.
        accelerator: False for a CPU, where attention is computed in tiles and autocast leaves norms in 16 bits.

    Attributes:
        tokens: T.
        rows: R = N·T, tokens of a device and pass.
        element: bytes of a number that matrix products work on.
        sharded: whether there is anything to share out.

    Raises:
        InputError: a number below 1, more tokens than the model reads, or an unknown precision or optimiser.

    See: tests/inspection/footprint/test_setup.py.

    Example:
        >>> Setup.of("gpt2-xl", batch=8, devices=64, shard=True).rows
        8192
    """

    config: GPT2Config
    batch: int = 1
    context: int | None = None
    precision: str = "bfloat16"
    optimizer: str = "adamw"
    devices: int = 1
    shard: bool = False
    reshard: bool = True
    recompute: bool = False
    average: bool = False
    passes: int = 1
    accelerator: bool = True

    def __post_init__(self) -> None:
        for name in ("batch", "devices", "passes", "tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: has to be 1 or more.")
        if self.tokens > self.config.n_positions:
            raise InputError(f"context {self.context}: the model reads {self.config.n_positions} tokens; lower it.")
        for name, known in (("precision", PRECISIONS), ("optimizer", OPTIMIZERS)):
            if getattr(self, name) not in known:
                raise InputError(f"{name} {getattr(self, name)}: choose one of {', '.join(known)}.")

    @classmethod
    def of(cls, name: str, **settings: Any) -> Self:
        """A published size, without dropout, as large models are trained.

        Args:
            name: such as gpt2-xl.
            **settings: all others.

        Raises:
            InputError: there is no such size.

        Example:
            >>> Setup.of("gpt2-xl").config.attn_pdrop
            0.0
        """
        config = replace(GPT2Config.preset(name), resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
        return cls(config=config, **settings)

    @property
    def tokens(self) -> int:
        """T, tokens of a sequence."""
        return self.config.n_positions if self.context is None else self.context

    @property
    def rows(self) -> int:
        """R = N·T, tokens of a device and pass."""
        return self.batch * self.tokens

    @property
    def element(self) -> int:
        """Bytes of a number that matrix products work on."""
        return 4 if self.precision == "float32" else 2

    @property
    def sharded(self) -> bool:
        """Whether there is anything to share out."""
        return self.shard and self.devices > 1
