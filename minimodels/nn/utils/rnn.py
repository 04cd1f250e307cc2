"""Ragged batches: sequences of different lengths as one tensor, padded or packed.

Padded, every sequence is filled up to the longest. Packed, the rows of all sequences at step 0 come first, then those
at step 1, and so on, longest sequence first: nothing is stored, and nothing computed, that is not there.

    a₀ a₁ a₂        padded [T, N]     a₀ b₀ c₀     packed  a₀ b₀ c₀ a₁ c₁ a₂    (a, c, b if sorted by length)
    b₀                                a₁  ·  c₁     batch_sizes 3, 2, 1
    c₀ c₁                             a₂  ·  ·

`PackedSequence`, the container, is PyTorch's own.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence  # noqa: TID251  (the container, no arithmetic)

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack a padded batch: keep the rows that are there, step by step.

    Args:
        input: the padded batch.
        lengths: of each sequence; a tensor has to be on the CPU.
        batch_first: the input is [N, T, *] in place of [T, N, *].
        enforce_sorted: the sequences come longest first; otherwise they are sorted, and the order is remembered.

    Shape:
        - input: [T, N, *] or [N, T, *]
        - Output: data [Σ lengths, *], batch_sizes [longest]

    Raises:
        RuntimeError: nothing to pack, or lengths that are not positive, not sorted, too long or not one a sequence.

    Cost: one copy.

    See: tests/nn/utils/test_rnn.py.

    Example:
        >>> pack_padded_sequence(torch.tensor([[1, 3], [2, 0]]), [2, 1])
        PackedSequence(data=tensor([1, 3, 2]), batch_sizes=tensor([2, 1]), sorted_indices=None, unsorted_indices=None)
    """
    lengths = torch.as_tensor(lengths, dtype=torch.int64)
    _check_lengths(input, lengths, batch_first)
    order = None
    if not enforce_sorted:
        lengths, order = torch.sort(lengths, descending=True)
        order = order.to(input.device)
        input = input.index_select(0 if batch_first else 1, order)
    elif (lengths[1:] > lengths[:-1]).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. "
            "You can pass `enforce_sorted=False` to have the sequences sorted here."
        )
    there = _there(lengths)  # [longest, N]
    x = input.transpose(0, 1) if batch_first else input
    data = x[: len(there)][there.to(x.device)]
    return PackedSequence(data, there.sum(1), order, invert_permutation(order))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Unpack into a padded batch: the inverse of `pack_padded_sequence`.

    Args:
        sequence: the packed batch.
        batch_first: give [N, T, *] in place of [T, N, *].
        padding_value: what stands where no row is.
        total_length: T; the longest sequence's length if left out.

    Returns:
        the padded batch, its sequences in their first order, and their lengths.

    Raises:
        ValueError: `total_length` is less than the longest sequence.

    Cost: one copy.

    See: tests/nn/utils/test_rnn.py.

    Example:
        >>> pad_packed_sequence(PackedSequence(torch.tensor([1, 3, 2]), torch.tensor([2, 1])))
        (tensor([[1, 3],
                [2, 0]]), tensor([2, 1]))
    """
    data, batch_sizes, _, back = sequence
    longest = len(batch_sizes)
    T = longest if total_length is None else total_length
    if longest > T:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, "
            f"but got total_length={total_length} and max sequence length being {longest}"
        )
    N = int(batch_sizes[0])
    there = torch.arange(N) < batch_sizes.unsqueeze(1)  # [longest, N]
    padded = data.new_full((T, N, *data.shape[1:]), padding_value)
    padded[:longest][there.to(data.device)] = data
    lengths = there.sum(0)
    if back is not None:
        padded, lengths = padded.index_select(1, back), lengths[back.to(lengths.device)]
    return padded.transpose(0, 1) if batch_first else padded, lengths


def pad_sequence(
    sequences: Tensor | Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Stack sequences of different lengths, filling up the shorter ones.

    Args:
        sequences: one tensor a sequence.
        batch_first: give [N, T, *] in place of [T, N, *].
        padding_value: what the shorter ones are filled up with.
        padding_side: "right" or "left", where the padding goes.

    Shape:
        - sequences: [length, *] each
        - Output: [T, N, *], T the longest length

    Raises:
        RuntimeError: no sequences, or sequences of different features, or another side.

    Cost: one copy.

    See: tests/nn/utils/test_rnn.py.

    Example:
        >>> pad_sequence([torch.tensor([1, 2]), torch.tensor([3])], batch_first=True, padding_side="left")
        tensor([[1, 2],
                [0, 3]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    sequences = tuple(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    T, features = max(map(len, sequences)), sequences[0].shape[1:]
    padded = sequences[0].new_full((len(sequences), T, *features), padding_value)
    for i, sequence in enumerate(sequences):
        if sequence.shape[1:] != features:
            raise RuntimeError(f"sequences have different features: {list(features)} and {list(sequence.shape[1:])}")
        start = T - len(sequence) if padding_side == "left" else 0
        padded[i, start : start + len(sequence)] = sequence
    return padded if batch_first else padded.transpose(0, 1).contiguous()


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """Cut a padded batch into its sequences: the inverse of `pad_sequence`.

    PyTorch's transposes the caller's tensor in place; this one leaves it as it is.

    Args:
        padded_sequences: the padded batch.
        lengths: of each sequence.
        batch_first: the batch is [N, T, *] in place of [T, N, *].

    See: tests/nn/utils/test_rnn.py.

    Example:
        >>> unpad_sequence(torch.tensor([[1, 3], [2, 0]]), torch.tensor([2, 1]))
        [tensor([1, 2]), tensor([3])]
    """
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[:length].clone() for row, length in zip(rows, lengths.tolist(), strict=True)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences of different lengths.

    Args:
        sequences: one tensor a sequence.
        enforce_sorted: they come longest first; otherwise they are sorted, and the order is remembered.

    Raises:
        RuntimeError: see `pad_sequence` and `pack_padded_sequence`.

    See: tests/nn/utils/test_rnn.py.

    Example:
        >>> pack_sequence([torch.tensor([1, 2]), torch.tensor([3])]).data
        tensor([1, 3, 2])
    """
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """Cut a packed batch into its sequences, in their first order: the inverse of `pack_sequence`.

    Args:
        packed_sequences: the packed batch.

    See: tests/nn/utils/test_rnn.py.

    Example:
        >>> unpack_sequence(PackedSequence(torch.tensor([1, 3, 2]), torch.tensor([2, 1])))
        [tensor([1, 2]), tensor([3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """Give the permutation that undoes another.

    Args:
        permutation: each of 0 … N − 1 once, or None for None.

    Shape:
        - permutation: [N]
        - Output: [N]

    See: tests/nn/utils/test_rnn.py.

    Example:
        >>> invert_permutation(torch.tensor([2, 0, 1]))
        tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    return torch.empty_like(permutation).scatter_(
        0, permutation, torch.arange(len(permutation), device=permutation.device)
    )


def _there(lengths: Tensor) -> Tensor:
    """Say which rows of the padded batch are there: [longest, N]."""
    return torch.arange(int(lengths.max())).unsqueeze(1) < lengths


def _check_lengths(input: Tensor, lengths: Tensor, batch_first: bool) -> None:
    if lengths.ndim != 1 or lengths.device.type != "cpu":
        raise RuntimeError(
            f"'lengths' argument should be a 1D CPU int64 tensor, but got {lengths.ndim}D {lengths.device.type} tensor"
        )
    if input.numel() == 0:
        raise RuntimeError("Cannot pack empty tensors.")
    T, N = (input.shape[1], input.shape[0]) if batch_first else (input.shape[0], input.shape[1])
    if len(lengths) != N:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(lengths)} (batch_size={N})"
        )
    if lengths.min() <= 0:
        raise RuntimeError("Length of all samples has to be greater than 0, but found an element that is <= 0")
    if lengths.max() > T:
        raise RuntimeError(f"Expected no length above that of the padded batch, {T}, but found {int(lengths.max())}")
