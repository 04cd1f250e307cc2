"""What a pass through our GPT-2 keeps for its backward pass, tensor by tensor, and what it needs beside that.

With R = N·T rows of E numbers, H heads and b bytes a number of a matrix product (4, or 2 in 16 bits), a block keeps

    norm 1, norm 2      2·(4·R·E + 8·R)       what goes in, in float32, and of each row mean and variance
    c_attn, c_fc        2·b·R·E               what goes in
    attention           3·b·R·E               queries, keys and values
                        b·R·E + 4·R·H         what comes out, which c_proj shares, and a number of each row of scores
    GELU, c_proj        2·4·b·R·E             what goes in

that is (8 + 14·b)·R·E and a little, 64·R·E bytes in float32 and 36·R·E in 16 bits, and nothing with T². (On a CPU
attention keeps two numbers of each row of scores.) Autocast adds a copy of the four matrices, b·12·E². Where weights of
attention are dropped, or are few, they are kept as well (`minimodels.functional.attention.choice`).

The blocks of Korthikanti et al. keep 34·R·E bytes in 16 bits, with three masks of dropout, and where attention keeps
its scores 5·H·T bytes more for each row: `korthikanti`.
"""

import torch

from minimodels.functional.activations import curves
from minimodels.functional.losses.chunked import ROWS, SCORES
from minimodels.functional.losses.surprise import PIECE
from minimodels.inspection.footprint.attention import attention_work, keeps_scores
from minimodels.inspection.footprint.setup import Setup
from minimodels.inspection.footprint.weights import block_shapes
from minimodels.models import GPT2Config


def block_activations(setup: Setup) -> int:
    """Bytes that one block keeps from its forward pass to its backward pass, if it does not compute them anew.

    Args:
        setup: what is trained.

    References: Korthikanti et al. 2022, arXiv:2205.05198, section 4.1, for the same sum over Megatron's block.

    See: tests/inspection/footprint/test_kept.py.

    Example:
        >>> setup = Setup.of("gpt2-xl", precision="float32")
        >>> f"{block_activations(setup) / (1024 * 1600):.3f} R·E"
        '64.073 R·E'
    """
    c, R, b = setup.config, setup.rows, setup.element
    stream, hidden = R * c.n_embd, R * _inner(c)
    kept = 2 * _norm(setup) + 2 * b * stream + 2 * b * hidden
    kept += (3 + 1) * b * stream + (_scores(setup) if keeps_scores(setup) else _levels(setup))
    kept += 2 * b * stream if c.resid_pdrop > 0 else 0  # masks
    return kept + (b * _matrices(c) if _copies(setup) else 0)


def activations(setup: Setup) -> int:
    """Bytes that all blocks, the embeddings, the last norm and the head keep from the forward to the backward pass.

    With `recompute` a block keeps what goes into it alone.

    Args:
        setup: what is trained.

    References: Chen et al. 2016, arXiv:1604.06174 (to compute anew instead of keeping).

    See: tests/inspection/footprint/test_kept.py.

    Example:
        >>> setup = Setup.of("gpt2-xl", batch=8)
        >>> f"{activations(setup) / 1e9:.1f} GB"
        '25.9 GB'
    """
    c, R = setup.config, setup.rows
    stream = _stream(setup) * R * c.n_embd
    blocks = c.n_layer * (stream if setup.recompute else block_activations(setup))
    embedded = 8 * R + 8 * setup.tokens + (stream if c.embd_pdrop > 0 else 0)
    return embedded + blocks + behind_the_blocks(setup)


def behind_the_blocks(setup: Setup) -> int:
    """Bytes of `activations` that the last norm and the head keep: they are the first to go.

    Args:
        setup: what is trained.

    Example:
        >>> behind_the_blocks(Setup.of("gpt2", precision="float32")) == 1024 * (8 * 768 + 8 + 13) + 9
        True
    """
    c, R, b = setup.config, setup.rows, setup.element
    copies = b * c.vocab_size * c.n_embd if _copies(setup) else 0
    truth = (8 + 1 + 4) * R + 9  # tokens, whether they count, and how much; how many do in all, and whether any does
    return _norm(setup) + b * R * c.n_embd + truth + copies


def recomputed(setup: Setup) -> int:
    """Bytes that a block keeps for its own backward pass once it was computed anew, beside what went into it.

    Args:
        setup: what is trained.

    Example:
        >>> recomputed(Setup.of("gpt2"))
        0
    """
    if not setup.recompute:
        return 0
    shared = 0 if _widens(setup) else _stream(setup) * setup.rows * setup.config.n_embd  # by the first norm
    return block_activations(setup) - shared


def scores_at_once(setup: Setup) -> int:
    """Bytes that the head's loss needs while it makes the scores of a few rows, beside the gradients that it makes.

    Args:
        setup: what is trained.

    Example:
        >>> scores_at_once(Setup.of("gpt2", precision="float32")) == 128 * 50257 * 4
        True
    """
    V, E, b = setup.config.vocab_size, setup.config.n_embd, setup.element
    few = max(ROWS, SCORES // V)
    chunk = min(setup.rows, few if b == 4 or setup.accelerator else max(few, E)) * V
    piece = chunk if setup.accelerator else min(chunk, PIECE)
    return 4 * chunk if b == 4 else b * chunk + max(4 * piece, b * V * E)  # what goes wide, then ∂W of the chunk


def work(setup: Setup) -> int:
    """Bytes that the backward pass of a block takes at its most, less what the block has let go by then.

    Either in the slope of GELU: four buffers of float32 (one where what goes in is of float32 itself) for as much of
    the hidden layer as goes at a time, and two tensors of b bytes as wide. By then there is the gradient of c_proj's
    matrix. Or in `attention_work`: then those of the MLP's other matrix and of attention's c_proj are there too, and
    what the MLP kept has gone, with the copies of 16 bits of all three. In both the gradient of the stream waits.

    Args:
        setup: what is trained.

    See: tests/inspection/footprint/test_peak.py.

    Example:
        >>> f"{work(Setup.of('gpt2-xl', batch=8)) / 1e9:.2f} GB"
        '0.45 GB'
    """
    c, b = setup.config, setup.element
    stream, hidden = setup.rows * c.n_embd, setup.rows * _inner(c)
    matrix = (0 if setup.sharded or setup.passes > 1 else 4) - (b if _copies(setup) else 0)
    behind = c.n_embd * _inner(c)  # numbers of each of the MLP's matrices
    chunk = curves.DEVICE_CHUNK if setup.accelerator else curves.CHUNK * torch.get_num_threads()
    gelu = 4 * (1 if b == 4 else 4) * min(hidden, chunk) + b * hidden + matrix * behind
    attention = attention_work(setup) - 2 * b * hidden - b * stream - _norm(setup) + matrix * (2 * behind + c.n_embd**2)
    return _stream(setup) * stream + max(gelu, attention)


def korthikanti(setup: Setup, scores: bool = True) -> int:
    """Bytes that Megatron's blocks keep, in 16 bits and with dropout: L·R·E·(34 + 5·H·T/E), on one device.

    Args:
        setup: what is trained.
        scores: with what attention keeps; without it L·R·E·34, as with the paper's selective recomputation.

    References: Korthikanti et al. 2022, arXiv:2205.05198, equations 1 and 6.

    Example:
        >>> setup = Setup.of("gpt2-xl", batch=8)
        >>> f"{korthikanti(setup) / 1e9:.1f} GB, {korthikanti(setup, scores=False) / 1e9:.1f} GB"
        '71.7 GB, 21.4 GB'
    """
    c = setup.config
    square = 5 * c.n_head * setup.tokens * setup.rows if scores else 0
    return c.n_layer * (34 * setup.rows * c.n_embd + square)


def _inner(config: GPT2Config) -> int:
    """Width of the hidden layer."""
    return block_shapes(config)["mlp.c_fc.bias"][0]


def _matrices(config: GPT2Config) -> int:
    """Numbers in a block's four matrices."""
    return sum(shape[0] * shape[1] for shape in block_shapes(config).values() if len(shape) == 2)


def _copies(setup: Setup) -> bool:
    """Whether autocast copies weights to 16 bits; those that FSDP2 fetches are of 16 bits."""
    return setup.element == 2 and not setup.sharded


def _stream(setup: Setup) -> int:
    """Bytes of a number of the residual stream, which is as wide as the embeddings that it begins with."""
    return setup.element if setup.sharded else 4


def _widens(setup: Setup) -> bool:
    """Whether a norm makes a copy of the stream in float32, as autocast has it on an accelerator."""
    return setup.accelerator and _stream(setup) == 2


def _norm(setup: Setup) -> int:
    """Bytes that a norm keeps: what goes in, mean and variance, and copies of its gain and shift, if there are any."""
    element = 4 if _widens(setup) else _stream(setup)
    width = setup.config.n_embd
    return element * setup.rows * width + 8 * setup.rows + (8 * width if _widens(setup) else 0)


def _levels(setup: Setup) -> int:
    """Bytes of what attention keeps of each row of scores: their level, or on a CPU its two parts."""
    return (4 if setup.accelerator else 8) * setup.rows * setup.config.n_head


def _scores(setup: Setup) -> int:
    """Bytes of attention's weights, of dropout's mask, and of the output once more: side by side for c_proj."""
    c = setup.config
    weights = c.n_head * setup.rows * setup.tokens * (2 if c.attn_pdrop > 0 else 1)
    moved = setup.rows * c.n_embd if min(c.n_head, setup.tokens) > 1 else 0
    return setup.element * (weights + moved)
