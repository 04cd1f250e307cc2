"""Texts of different lengths side by side: filled up to one length, with a mask of what is text."""

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import torch

from minimodels.errors import InputError

Side = Literal["left", "right"]
Tensors = Literal["pt", "np"]


class BatchEncoding(dict[str, Any]):
    """What a tokenizer gives a model: `model(**tokenizer(texts, return_tensors="pt"))`.

    Attributes:
        input_ids: numbers of tokens, [N, T], or of one text.
        attention_mask: 1 for a token, 0 for what only fills; of the same shape.

    See: tests/text/test_batching.py

    Example:
        >>> batched([[5, 6], [7]], fill=0, side="left").attention_mask
        [[1, 1], [0, 1]]
    """

    @property
    def input_ids(self) -> Any:
        """The numbers of the tokens."""
        return self["input_ids"]

    @property
    def attention_mask(self) -> Any:
        """1 for a token, 0 for what only fills."""
        return self["attention_mask"]

    def to(self, device: torch.device | str) -> Self:
        """The same with all tensors on a device.

        Args:
            device: where to.
        """
        return type(self)({name: value.to(device) for name, value in self.items()})


def batched(
    rows: Sequence[list[int]], *, width: int | None = None, fill: int | None = None, side: Side = "left"
) -> BatchEncoding:
    """Fill rows up to one length.

    Args:
        rows: the tokens of each text.
        width: the length; None is that of the longest. Rows that are longer stay so.
        fill: the token to fill with; None is allowed where nothing needs to be filled.
        side: where it is put. After tokens on the "left" nothing follows but what is generated.

    Raises:
        InputError: a row is too short, and there is nothing to fill it with.

    See: tests/text/test_batching.py

    Example:
        >>> batched([[5, 6], [7]], fill=0, side="right")
        {'input_ids': [[5, 6], [7, 0]], 'attention_mask': [[1, 1], [1, 0]]}
    """
    width = max(map(len, rows), default=0) if width is None else width
    ids, masks = [], []
    for row in rows:
        missing = max(0, width - len(row))
        if missing and fill is None:
            raise InputError("there is no token to fill the shorter texts with; give the tokenizer a pad_token.")
        filling, ones = [fill or 0] * missing, [1] * len(row)
        ids.append(filling + row if side == "left" else row + filling)
        masks.append([0] * missing + ones if side == "left" else ones + [0] * missing)
    return BatchEncoding(input_ids=ids, attention_mask=masks)


def as_tensors(encoded: BatchEncoding, kind: Tensors) -> BatchEncoding:
    """Lists of rows become tensors [N, T].

    Args:
        encoded: rows of one length.
        kind: "pt" for PyTorch's tensors, "np" for NumPy's arrays, both of int64.

    Raises:
        InputError: the rows are of different lengths.

    Example:
        >>> as_tensors(batched([[5, 6], [7]], fill=0), "pt").input_ids
        tensor([[5, 6],
                [0, 7]])
    """
    lengths = sorted({len(row) for row in encoded.input_ids})
    if len(lengths) > 1:
        raise InputError(
            f"texts of {lengths[0]} and of {lengths[-1]} tokens do not fit into one tensor; say padding=True."
        )
    return BatchEncoding({name: tensor(np.array(rows, np.int64), kind) for name, rows in encoded.items()})


def tensor(values: "np.ndarray[Any, np.dtype[np.int64]]", kind: Tensors) -> Any:
    """An array as it is, or as a PyTorch tensor.

    Args:
        values: the array.
        kind: "np" or "pt".

    Raises:
        InputError: another kind.
    """
    if kind not in ("pt", "np"):
        raise InputError(f"return_tensors={kind!r}: give 'pt' for PyTorch, 'np' for NumPy, or nothing for lists.")
    return values if kind == "np" else torch.from_numpy(values)
