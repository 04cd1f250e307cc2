"""Cases of recurrent layers and cells."""

from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from torch import Tensor

from minimodels.testing.cases.case import Case, sizes, tensors


@st.composite
def recurrent_cases(draw: DrawFn, kind: str = "LSTM") -> Case:
    """Draw a recurrent layer and its input: layers, directions, projection, first states or none, batched or not.

    Dropout between layers is drawn too; a contract that wants a function of its input sets the same seed.

    Args:
        draw: hypothesis's own.
        kind: "LSTM", "GRU" or "RNN".
    """
    inputs, hidden, layers = draw(sizes), draw(st.integers(2, 4)), draw(st.integers(1, 3))
    kwargs: dict[str, Any] = {
        "num_layers": layers,
        "bias": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
        "bidirectional": draw(st.booleans()),
        "dropout": draw(st.sampled_from([0.0, 0.5, 1.0])) if layers > 1 else 0.0,
    }
    outputs = hidden
    if kind == "LSTM":
        kwargs["proj_size"] = draw(st.integers(0, hidden - 1))
        outputs = kwargs["proj_size"] or hidden
    if kind == "RNN":
        kwargs["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    steps, batch = draw(sizes), draw(st.sampled_from([(), (1,), (3,)]))
    leading = (*batch, steps) if kwargs["batch_first"] else (steps, *batch)
    levels = layers * (2 if kwargs["bidirectional"] else 1)
    x = draw(tensors((*leading, inputs)))
    features = [outputs, hidden] if kind == "LSTM" else [hidden]
    return Case((x, *draw(_states(features, (levels, *batch)))), (inputs, hidden), kwargs)


@st.composite
def recurrent_cell_cases(draw: DrawFn, kind: str = "LSTM") -> Case:
    """Draw a recurrent cell and the input of one step, with states or without, batched or not.

    Args:
        draw: hypothesis's own.
        kind: "LSTM", "GRU" or "RNN".
    """
    inputs, hidden, batch = draw(sizes), draw(sizes), draw(st.sampled_from([(), (0,), (1,), (3,)]))
    kwargs: dict[str, Any] = {"bias": draw(st.booleans())}
    if kind == "RNN":
        kwargs["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    features = [hidden, hidden] if kind == "LSTM" else [hidden]
    return Case((draw(tensors((*batch, inputs))), *draw(_states(features, batch))), (inputs, hidden), kwargs)


@st.composite
def _states(draw: DrawFn, features: list[int], leading: tuple[int, ...]) -> tuple[Any, ...]:
    """Draw the last argument of `forward`: left out, or a state, or a tuple of two."""
    if draw(st.booleans()):
        return ()
    states: list[Tensor] = [draw(tensors((*leading, size), dtype=torch.float64)) for size in features]
    return (tuple(states) if len(states) > 1 else states[0],)
