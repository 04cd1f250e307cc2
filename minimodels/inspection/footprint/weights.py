"""The parameters of a GPT-2 by arithmetic alone: their shapes, the shards of FSDP2, the buckets of DDP."""

import math

from minimodels.models import GPT2Config

Shapes = dict[str, tuple[int, ...]]
"""Name → shape, in the order in which a model lists its parameters."""

FIRST_BUCKET, BUCKET = 1 << 20, 25 << 20
"""Bytes from which on a bucket of DistributedDataParallel is full: the first is small, to be on its way soon."""


def block_shapes(config: GPT2Config) -> Shapes:
    """The parameters of one block: 12·E² in matrices and 13·E in vectors, where the MLP is 4·E wide.

    Args:
        config: the model.

    Example:
        >>> count(block_shapes(GPT2Config.preset("gpt2-xl"))) == 12 * 1600**2 + 13 * 1600
        True
    """
    E = config.n_embd
    inner = 4 * E if config.n_inner is None else config.n_inner
    sizes = {"attn.c_attn": (E, 3 * E), "attn.c_proj": (E, E), "mlp.c_fc": (E, inner), "mlp.c_proj": (inner, E)}
    shapes: Shapes = {}
    for part, layers in (("ln_1", ["attn.c_attn", "attn.c_proj"]), ("ln_2", ["mlp.c_fc", "mlp.c_proj"])):
        shapes |= {f"{part}.weight": (E,), f"{part}.bias": (E,)}
        for layer in layers:
            shapes |= {f"{layer}.weight": sizes[layer], f"{layer}.bias": sizes[layer][1:]}
    return shapes


def outer_shapes(config: GPT2Config) -> Shapes:
    """The parameters around the blocks: the tables of tokens and of positions, the last norm, a head of its own.

    Args:
        config: the model.

    Example:
        >>> outer_shapes(GPT2Config())["transformer.wte.weight"]
        (50257, 768)
    """
    V, E = config.vocab_size, config.n_embd
    shapes: Shapes = {"transformer.wte.weight": (V, E), "transformer.wpe.weight": (config.n_positions, E)}
    shapes |= {"transformer.ln_f.weight": (E,), "transformer.ln_f.bias": (E,)}
    return shapes if config.tie_word_embeddings else shapes | {"lm_head.weight": (V, E)}


def parameter_shapes(config: GPT2Config) -> Shapes:
    """All parameters of a `GPT2LMHeadModel`.

    Args:
        config: the model.

    See: tests/inspection/footprint/test_weights.py.

    Example:
        >>> count(parameter_shapes(GPT2Config.preset("gpt2-xl")))
        1557611200
    """
    outer, block = outer_shapes(config), block_shapes(config)
    behind = {name: outer.pop(name) for name in [*outer][2:]}
    for layer in range(config.n_layer):
        outer |= {f"transformer.h.{layer}.{name}": shape for name, shape in block.items()}
    return outer | behind


def count(shapes: Shapes) -> int:
    """How many numbers they are.

    Args:
        shapes: of tensors.

    Example:
        >>> count({"weight": (2, 3), "bias": (3,)})
        9
    """
    return sum(map(math.prod, shapes.values()))


def shard(shapes: Shapes, devices: int) -> int:
    """Numbers of a shard: Σ ⌈d₁/N⌉·d₂·…, each tensor cut into N runs of rows and filled up, so that all are alike.

    FSDP2 gives the last devices fewer rows, or none, but sets aside and sends as much for all.

    Args:
        shapes: of the tensors that are cut.
        devices: N.

    Example:
        >>> shard({"weight": (5, 3), "bias": (3,)}, 2)
        11
    """
    return sum(-(-rows // devices) * math.prod(rest) for rows, *rest in shapes.values())


def buckets(config: GPT2Config, first: int = FIRST_BUCKET, most: int = BUCKET) -> list[int]:
    """Bytes of the buckets in which DistributedDataParallel averages gradients, in the order in which they are ready.

    Gradients are put into a bucket, as they come, until it holds `most` bytes or more. They come from the last layer to
    the first, and a bias before its weight. The tokens' table comes last: its gradient is of both ends. The first step
    knows nothing of that order yet, and fills the buckets by another.

    Args:
        config: the model.
        first: bytes from which on the first bucket is full.
        most: bytes from which on any other is.

    References: Li et al. 2020, arXiv:2006.15704, section 3.2.3.

    See: tests/inspection/footprint/test_distributed.py.

    Example:
        >>> len(buckets(GPT2Config())), sum(buckets(GPT2Config())) == 4 * 124_439_808
        (13, True)
    """
    filled, limit = [0], first
    for size in _as_they_come(config):
        if filled[-1] >= limit:
            filled.append(0)
            limit = most
        filled[-1] += 4 * size
    return filled


def _as_they_come(config: GPT2Config) -> list[int]:
    """Sizes of the gradients in the order of the backward pass."""
    outer, block = outer_shapes(config), block_shapes(config)
    last = [outer.pop(f"transformer.{table}.weight") for table in ("wpe", "wte")]
    head = [outer.pop("lm_head.weight")] if "lm_head.weight" in outer else []
    layers = ("mlp.c_proj", "mlp.c_fc", "ln_2", "attn.c_proj", "attn.c_attn", "ln_1")
    blocks = [block[f"{layer}.{name}"] for layer in layers for name in ("bias", "weight")] * config.n_layer
    return [math.prod(shape) for shape in [*head, *outer.values(), *blocks, *last]]
