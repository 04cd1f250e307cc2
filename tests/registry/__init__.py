"""One row a layer: ours, PyTorch's, and the cases that both are run on. Every contract test runs over every row."""

from tests.registry import (
    activation,
    affine,
    attention,
    conv,
    ctc,
    dropout,
    lookup,
    loss,
    norm,
    padding,
    pooling,
    recurrent,
    shape,
)
from tests.registry.row import Row, at_rest, each, few

__all__ = ["LAYERS", "Row", "at_rest", "each", "few"]

LAYERS: list[Row] = [
    *conv.ROWS,
    *ctc.ROWS,
    *pooling.ROWS,
    *activation.ROWS,
    *affine.ROWS,
    *shape.ROWS,
    *dropout.ROWS,
    *loss.ROWS,
    *padding.ROWS,
    *norm.ROWS,
    *lookup.ROWS,
    *recurrent.ROWS,
    *attention.ROWS,
]
