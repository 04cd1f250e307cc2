"""The memory of a device in training, part by part, and when it is fullest.

With P parameters, of which a device of N holds P/N if they are sharded, the state is 4·P bytes of parameters, 4·P of
gradients and 8·P of AdamW's means, all in float32: 16·P, 24.9 GB for GPT-2 XL, before anything is computed. Gradients
and what is kept for the backward pass are not there at the same time, unless several passes are added up.
"""

from dataclasses import dataclass, replace

from minimodels.inspection.footprint.kept import (
    activations,
    behind_the_blocks,
    recomputed,
    scores_at_once,
    work,
)
from minimodels.inspection.footprint.setup import Setup
from minimodels.inspection.footprint.weights import block_shapes, count, outer_shapes, parameter_shapes, shard


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes of one device, part by part; not all of them are there at once.

    Args:
        parameters: in float32, all or a shard.
        gradients: likewise.
        optimizer: what it remembers.
        average: the moving average of the weights.
        exchange: DistributedDataParallel's buckets, or what FSDP2 has fetched and is about to send.
        waiting: whole gradients of float32 that FSDP2 adds up over several passes, before each device gets its shard.
        activations: kept by the whole model from the forward to the backward pass.
        head: what the loop holds of the model's output, in float32 beside the copy of 16 bits that is kept, and the
            gradients that the head's loss makes in the forward pass, with the scores of a few rows.
        block: of the block whose turn it is in the backward pass: its work, and what was computed anew.
        table: the gradients of both ends of the tokens' table, and their sum.
        start: the most that is there from the end of the forward pass to the last block's backward pass.
        end: the most that is there from the first block's backward pass to the end of it.

    Attributes:
        peak: the larger of these two.

    Example:
        >>> found = memory(Setup.of("gpt2-xl", batch=8, recompute=True))
        >>> f"{found.optimizer / 1e9:.1f} GB of AdamW's, {found.activations / 1e9:.1f} GB kept"
        "12.5 GB of AdamW's, 2.8 GB kept"
    """

    parameters: int
    gradients: int
    optimizer: int
    average: int
    exchange: int
    waiting: int
    activations: int
    head: int
    block: int
    table: int
    start: int
    end: int

    @property
    def peak(self) -> int:
        """The most that is there at once."""
        return max(self.start, self.end)


def memory(setup: Setup) -> Memory:
    """The memory of the fullest device.

    While the backward pass goes from the last block to the first, activations go and gradients come, block by block. So
    the memory is fullest at one of its two ends. With `held` = parameters + optimizer + average + exchange + waiting:

        start = held + max(activations + head, activations − those behind the blocks + output + table/3 + block)
        end = held + gradients + output + max(block − its gradients, 2/3·table)

    where output, 4·R·E, is what the head reads, which the loop holds until the pass is over. Where passes are added up,
    the gradients of those before are there all the time. What FSDP2 has on its way is estimated from above. The
    allocator's losses, CUDA's context and what NCCL sets aside are not counted.

    Args:
        setup: what is trained.

    References: Rajbhandari et al. 2020, arXiv:1910.02054, section 3 (16 bytes a parameter) and 5 (shards); Zhao et al.
        2023, arXiv:2304.11277 (FSDP).

    See: tests/inspection/footprint/test_peak.py.

    Example:
        >>> for devices in (1, 8, 64):
        ...     print(f"{memory(Setup.of('gpt2-xl', devices=devices, shard=True)).peak / 1e9:.1f} GB")
        25.6 GB
        6.2 GB
        4.1 GB
    """
    mine, state, moved = shards(setup), optimizer_state(setup), in_exchange(setup)
    average = mine if setup.average else 0
    waiting = 4 * count(parameter_shapes(setup.config)) if setup.sharded and setup.passes > 1 else 0
    stream, table = setup.rows * setup.config.n_embd, setup.config.vocab_size * setup.config.n_embd
    head = 4 * table + setup.element * stream + scores_at_once(setup) + (4 * stream if setup.element == 2 else 0)
    kept, block = activations(setup), work(setup) + recomputed(setup)
    ends = (setup.element if setup.sharded else 4) * table
    held = mine + state + average + moved + waiting
    fresh = not setup.sharded and setup.passes == 1  # the first gradient of a parameter becomes its `grad`
    before = 0 if setup.sharded or fresh else mine
    last = kept - behind_the_blocks(setup) + 4 * stream + ends + block
    first = 4 * stream + ends + block - (4 * count(block_shapes(setup.config)) if fresh else 0)
    return Memory(
        parameters=mine,
        gradients=mine,
        optimizer=state,
        average=average,
        exchange=moved,
        waiting=waiting,
        activations=kept,
        head=head,
        block=block,
        table=3 * ends,
        start=held + before + max(kept + head, last),
        end=held + mine + max(first, 4 * stream + 3 * ends) - (ends if fresh else 0),
    )


def shards(setup: Setup) -> int:
    """Bytes of the parameters in float32 that a device holds: all, or the largest shard.

    Args:
        setup: what is trained.

    Example:
        >>> shards(Setup.of("gpt2")), shards(Setup.of("gpt2", devices=4, shard=True))
        (497759232, 124442112)
    """
    c, devices = setup.config, setup.devices if setup.sharded else 1
    return 4 * (shard(outer_shapes(c), devices) + c.n_layer * shard(block_shapes(c), devices))


def optimizer_state(setup: Setup) -> int:
    """Bytes that the optimiser remembers from step to step: tensors of float32, each of a parameter's shape or shard's.

    Args:
        setup: what is trained.

    See: tests/inspection/footprint/test_peak.py.

    Example:
        >>> optimizer_state(Setup.of("gpt2")) == 8 * 124_439_808
        True
    """
    c, devices = setup.config, setup.devices if setup.sharded else 1
    block = block_shapes(c)
    matrices = c.n_layer * shard({name: shape for name, shape in block.items() if len(shape) == 2}, devices)
    others = c.n_layer * shard(block, devices) + shard(outer_shapes(c), devices) - matrices
    of_matrices, of_others = {"adamw": (2, 2), "muon": (1, 2), "sgd": (0, 0), "momentum": (1, 1)}[setup.optimizer]
    return 4 * (of_matrices * matrices + of_others * others)


def in_exchange(setup: Setup) -> int:
    """Bytes that the exchange with other devices takes.

    DistributedDataParallel copies gradients into buckets, which stay: 4·P. FSDP2 has fetched what is around the blocks,
    and two blocks, the one that computes and the one that comes next (without `reshard` all of them); behind a block
    its gradients are there whole, and in float32 once more to be sent.

    Args:
        setup: what is trained.

    References: Li et al. 2020, arXiv:2006.15704, section 3.2; Zhao et al. 2023, arXiv:2304.11277, section 3.

    Example:
        >>> in_exchange(Setup.of("gpt2", devices=8)) == 4 * 124_439_808
        True
    """
    c, b, N = setup.config, setup.element, setup.devices
    if not setup.sharded:
        return 4 * count(parameter_shapes(c)) if N > 1 else 0
    outer, block = N * shard(outer_shapes(c), N), N * shard(block_shapes(c), N)
    fetched = outer + (min(2, c.n_layer) if setup.reshard else c.n_layer) * block
    return b * fetched + (b + 4) * max(block, outer - c.vocab_size * c.n_embd)


def most_sequences(setup: Setup, room: float, highest: int = 4096) -> int:
    """How many sequences a device can read in one pass; 0 where not even one fits.

    Args:
        setup: what is trained; its own batch does not count.
        room: bytes that a device has for it.
        highest: what is not worth exceeding.

    Example:
        >>> most_sequences(Setup.of("gpt2-xl"), 72e9), most_sequences(Setup.of("gpt2-xl"), 24e9)
        (17, 0)
    """
    low, high = 0, highest
    while low < high:  # the peak grows with the batch
        middle = (low + high + 1) // 2
        low, high = (middle, high) if memory(replace(setup, batch=middle)).peak <= room else (low, middle - 1)
    return low
