"""Cases of embeddings."""

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from minimodels.testing.cases.case import Case, seeds


@st.composite
def embedding_cases(draw: DrawFn, sparse: bool = True) -> Case:
    """Draw an embedding and row numbers, many of them more than once.

    Args:
        draw: hypothesis's own.
        sparse: give sparse gradients too.
    """
    rows, width = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    kind = draw(st.sampled_from(["plain", "scale_grad_by_freq", *["sparse"] * sparse]))
    least = 1 if kind == "sparse" else 0  # PyTorch's sparse gradient knows no index without a dimension
    shape = draw(st.lists(st.integers(0, 4), min_size=least, max_size=3).map(tuple))
    generator = torch.Generator().manual_seed(draw(seeds))
    dtype = draw(st.sampled_from([torch.int64, torch.int32]))
    index = torch.randint(0, rows, shape, generator=generator).to(dtype)
    if index.ndim > 1 and draw(st.booleans()):
        index = index.transpose(0, -1)
    kwargs = {
        "padding_idx": draw(st.sampled_from([None, 0, rows - 1, -1, -rows])),
        "max_norm": draw(st.sampled_from([None, 0.5, 2.0])),
        "norm_type": draw(st.sampled_from([2.0, 1.0, 3.5, float("inf")])),
        "scale_grad_by_freq": kind == "scale_grad_by_freq",
        "sparse": kind == "sparse",
    }
    return Case((index,), (rows, width), kwargs)
