"""Cases of connectionist temporal classification."""

from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from minimodels.testing.cases.case import Case, seeds, tensors


@st.composite
def ctc_cases(draw: DrawFn) -> Case:
    """Draw a CTC loss with distributions and labellings: batched or not, padded or joined, also ones that do not fit.

    Args:
        draw: hypothesis's own.
    """
    steps, batch, classes = draw(st.integers(1, 6)), draw(st.integers(1, 3)), draw(st.integers(2, 4))
    blank = draw(st.integers(0, classes - 1))
    generator = torch.Generator().manual_seed(draw(seeds))
    counts = [draw(st.integers(0, 3)) for _ in range(batch)]
    lengths = [draw(st.integers(0, steps)) for _ in range(batch)]
    labels = torch.randint(classes - 1, (batch, max(1, *counts)), generator=generator)
    labels = labels + (labels >= blank)  # any symbol but the blank
    log_probs = draw(tensors((steps, batch, classes), layouts=False)).log_softmax(2)
    kwargs: dict[str, Any] = {
        "blank": blank,
        "reduction": draw(st.sampled_from(["none", "mean", "sum"])),
        "zero_infinity": draw(st.booleans()),
    }
    form = draw(st.sampled_from(["padded", "joined", "single"]))
    as_tensors = draw(st.booleans())
    if form == "single":
        one = (torch.tensor(lengths[0]), torch.tensor(counts[0])) if as_tensors else ((lengths[0],), (counts[0],))
        return Case((log_probs[:, 0], labels[0, : counts[0]], *one), (), kwargs)
    if form == "joined":
        labels = torch.cat([row[:count] for row, count in zip(labels, counts, strict=True)])
    both = (torch.tensor(lengths), torch.tensor(counts)) if as_tensors else (tuple(lengths), tuple(counts))
    return Case((log_probs, labels, *both), (), kwargs)
