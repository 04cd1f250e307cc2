"""Connectionist temporal classification: the loss of a sequence of labels whose alignment in time is unknown.

A network gives, at each of T steps, a distribution over the labels and a blank; a path chooses one symbol at each step.
A path is read by merging repeats and then dropping blanks: "–hh–e–ll–lo–" reads "hello". The probability of a labelling
is the sum over all paths that read so. Their number grows exponentially with T, but two recursions over the labelling,
one from either end, add them up in O(T·S) (Graves et al. 2006).
"""

import functools
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from minimodels.functional.precision import autocast_to_float32
from minimodels.functional.transforms import apply, plain_autograd
from minimodels.tap import tap

Lengths = Tensor | tuple[int, ...] | list[int]


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Lengths,
    target_lengths: Lengths,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Measure how unlikely a labelling is, whatever its alignment: −log Σ_{paths π that read l} Π_t y_t(π_t).

    With blanks between and around the labels, l' = –l₁–l₂–…–l_S–, of length 2S + 1, α_t(s) is the probability of all
    beginnings of paths that have come to l'_s at step t, and β_t(s) that of all endings that go on from there:

        α_t(s) = y_t(l'_s) · (α_{t−1}(s) + α_{t−1}(s−1) + [l'_s ≠ l'_{s−2}]·α_{t−1}(s−2)),  α_1(s) = y_1(l'_s) for s ≤ 2
        β_t(s) = Σ_{s' ∈ {s, s+1, s+2 if l'_{s+2} ≠ l'_s}} y_{t+1}(l'_{s'}) · β_{t+1}(s'),  β_T(s) = 1 for s ≥ 2S
        loss   = −log (α_T(2S+1) + α_T(2S))
        ∂loss/∂log y_t(k) = y_t(k) − Σ_{s: l'_s = k} α_t(s)·β_t(s) / Σ_s α_T(s)·β_T(s)

    where [·] is 1 if the condition holds and else 0, and α and β are 0 where nothing else is said. All is computed in
    logarithms. (The paper's β_t(s) has y_t(l'_s) as a further factor.) The gradient is PyTorch's: its first term,
    y_t(k), is what the backward pass of a log-softmax before this loss would add anyway; with it the gradient sums to
    zero at each step. (It is the gradient of the loss plus Σ_t (Σ_k y_t(k) − 1), which is zero for distributions.)

    Args:
        log_probs: logarithms of the distributions, as `log_softmax` gives them.
        targets: the labellings, padded to one length or concatenated; no blanks in them.
        input_lengths: steps of each sequence; what follows them is ignored.
        target_lengths: labels of each labelling.
        blank: which symbol is the blank.
        reduction: "none", "sum", or "mean" (of the losses, each divided by the length of its labelling).
        zero_infinity: a labelling that does not fit into its sequence has the loss 0 and no gradient, instead of ∞.

    Shape:
        - log_probs: [T, N, C] or [T, C]; targets: [N, S] or [Σ target_lengths], or [S]; lengths: [N] or []
        - Output: [], or [N] ([] for a single sequence) for "none"

    Raises:
        RuntimeError: shapes or lengths do not fit together; the message says which.
        NotImplementedError: the logarithms are not float32 or float64.
        ValueError: the reduction is unknown.
        IndexError: a label is not below C (on a CPU; on a GPU the kernel's own assertion fails).

    Cost: three exponentials and one logarithm for each of T·N·(2S + 1) pairs of step and symbol forward, and as many
        backward; 2·T·N·(2S + 1) numbers are kept beside the input. The T steps follow one another; batch and labels are
        computed in parallel. No second derivatives, as in PyTorch.

    References: Graves, Fernández, Gomez & Schmidhuber 2006, "Connectionist temporal classification", ICML,
        doi:10.1145/1143844.1143891, equations 6 to 16.

    See: `minimodels.nn.CTCLoss`; decoding.py; tests/functional/test_ctc.py.

    Example:
        >>> y = torch.tensor([[0.4, 0.6], [0.4, 0.6]])  # two steps; a blank, and one label
        >>> ctc_loss(y.log()[:, None], torch.tensor([[1]]), (2,), (1,)).exp()  # 1 / (0.6·0.6 + 2·0.4·0.6)
        tensor(1.1905)
    """
    log_probs = autocast_to_float32(log_probs, log_probs)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if log_probs.ndim == 2:
        steps, count = _one("input", input_lengths), _one("target", target_lengths)
        loss = ctc_loss(log_probs[:, None], targets.reshape(1, -1), steps, count, blank, reduction, zero_infinity)
        return loss.squeeze(0) if reduction == "none" else loss
    _check(log_probs, targets, input_lengths, target_lengths, blank)
    device = log_probs.device
    steps, counts = torch.as_tensor(input_lengths, device=device), torch.as_tensor(target_lengths, device=device)
    lattice = _lattice(targets, steps, counts, blank)
    if plain_autograd():
        loss = apply(_CTC, log_probs, lattice, zero_infinity)
    else:
        loss = _by_definition(log_probs, lattice, zero_infinity)
    if reduction == "mean":
        return (loss / counts.clamp(min=1).to(loss.dtype)).mean()
    return loss.sum() if reduction == "sum" else loss


class _Lattice(NamedTuple):
    """The labellings with their blanks, and how far each sequence and labelling goes.

    Attributes:
        symbols: l', [N, 2S + 1].
        skips: where a step may come from two symbols before, [N, 2S + 1].
        steps: T of each sequence, [N].
        last: index of the last symbol of each labelling, 2S, [N].
    """

    symbols: Tensor
    skips: Tensor
    steps: Tensor
    last: Tensor


def _lattice(targets: Tensor, steps: Tensor, counts: Tensor, blank: int) -> _Lattice:
    """Put blanks between and around the labels."""
    if targets.ndim == 1:  # concatenated: labelling n begins where those before it end
        longest = max(_read(counts), default=targets.shape[0])
        places = (counts.cumsum(0) - counts)[:, None] + torch.arange(longest, device=targets.device)
        targets = targets.index_select(0, places.clamp(max=max(targets.shape[0] - 1, 0)).flatten()).view(places.shape)
    labels = targets.to(torch.int64)
    inside = torch.arange(labels.shape[1], device=labels.device) < counts[:, None]
    labels = labels.where(inside, blank)  # what follows a labelling may be anything
    symbols = labels.new_full((labels.shape[0], 2 * labels.shape[1] + 1), blank)
    symbols[:, 1::2] = labels
    skips = torch.zeros_like(symbols, dtype=torch.bool)
    skips[:, 2:] = symbols[:, 2:] != symbols[:, :-2]
    return _Lattice(symbols, skips, steps, 2 * counts)


def _forward(emissions: Tensor, lattice: _Lattice) -> tuple[Tensor, Tensor]:
    """Log α of every step, and the loss."""
    first = torch.arange(emissions.shape[2], device=emissions.device) < 2
    alpha = emissions[0].where(first, -torch.inf)  # [N, 2S + 1]
    alphas = [alpha]
    for emission in emissions[1:]:
        alpha = emission + _log_sum(alpha, _later(alpha, 1), _later(alpha, 2).where(lattice.skips, -torch.inf))
        alphas.append(alpha)
    stacked = torch.stack(alphas)  # [T, N, 2S + 1]
    final = (lattice.steps - 1).clamp(min=0)[None, :, None].expand(1, -1, emissions.shape[2])
    ends = stacked.gather(0, final).squeeze(0)  # [N, 2S + 1], α at each sequence's own last step
    at_blank, at_label = (ends.gather(1, (lattice.last - i).clamp(min=0)[:, None]).squeeze(1) for i in (0, 1))
    total = _log_sum(at_blank, at_label.where(lattice.last > 0, -torch.inf))
    nothing = torch.zeros_like(total).where(lattice.last == 0, -torch.inf)  # without a step, only no label is read
    return stacked, -total.where(lattice.steps > 0, nothing)


def _backward(emissions: Tensor, lattice: _Lattice) -> Tensor:
    """Log β of every step, [T, N, 2S + 1]."""
    places = torch.arange(emissions.shape[2], device=emissions.device)
    last, place_of_last = lattice.last[:, None], lattice.steps - 1
    ends = torch.zeros_like(emissions[0]).where((places == last) | ((places == last - 1) & (last > 0)), -torch.inf)
    arrives = _earlier(lattice.skips, 2)  # whether a step may go to two symbols on
    beta, betas = torch.full_like(ends, -torch.inf), []
    ahead = beta
    for t in range(emissions.shape[0] - 1, -1, -1):
        onward = _log_sum(ahead, _earlier(ahead, 1), _earlier(ahead, 2).where(arrives, -torch.inf))
        beta = ends.where((place_of_last == t)[:, None], onward)
        ahead = beta + emissions[t]
        betas.append(beta)
    return torch.stack(betas[::-1])


def _log_sum(*terms: Tensor) -> Tensor:
    """Log Σ exp of the terms; of nothing but −∞ it is −∞, with the derivative 0 where `torch.logaddexp` has NaN."""
    largest = functools.reduce(torch.maximum, terms).detach().clamp(min=torch.finfo(terms[0].dtype).min)
    total = functools.reduce(torch.add, [(term - largest).exp() for term in terms])
    some = total > 0
    return (largest + total.where(some, 1).log()).where(some, -torch.inf)


def _later(x: Tensor, by: int) -> Tensor:
    """Shift the symbols: place s gets what stood at s − by."""
    fill = x.new_full((x.shape[0], min(by, x.shape[1])), -torch.inf)
    return torch.cat([fill, x[:, : max(x.shape[1] - by, 0)]], 1)


def _earlier(x: Tensor, by: int) -> Tensor:
    """Shift the symbols the other way: place s gets what stood at s + by."""
    empty = False if x.dtype is torch.bool else -torch.inf
    fill = x.new_full((x.shape[0], min(by, x.shape[1])), empty)
    return torch.cat([x[:, by:], fill], 1)


def _emissions(log_probs: Tensor, symbols: Tensor) -> Tensor:
    """The log-probability of each symbol of the labellings at each step, log y_t(l'_s)."""
    return log_probs.gather(2, symbols.expand(log_probs.shape[0], -1, -1))  # [T, N, 2S + 1]


class _CTC(torch.autograd.Function):
    """The loss of each sequence, with its derivative out of both recursions."""

    @staticmethod
    def forward(ctx: Any, log_probs: Tensor, lattice: _Lattice, zero_infinity: bool) -> Tensor:
        try:
            emissions = _emissions(log_probs, lattice.symbols)
        except RuntimeError as error:  # shapes and types are checked, so a label is out of range
            raise IndexError(f"targets hold a label that is not below {log_probs.shape[2]}, the classes") from error
        alphas, loss = _forward(emissions, lattice)
        ctx.save_for_backward(log_probs, emissions, tap("ctc.alphas", alphas), loss, *lattice)
        ctx.zero_infinity = zero_infinity
        return loss.where(~loss.isinf(), 0) if zero_infinity else loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        log_probs, emissions, alphas, loss, *parts = ctx.saved_tensors
        lattice = _Lattice(*parts)
        shares = (alphas + _backward(emissions, lattice) + loss[:, None]).exp()  # [T, N, 2S + 1], they add up to 1
        symbols = lattice.symbols.expand(log_probs.shape[0], -1, -1)
        gradient = log_probs.exp().scatter_add(2, symbols, -shares)  # [T, N, C]
        impossible = loss.isinf()
        gradient = gradient.where(~impossible[:, None], 0.0 if ctx.zero_infinity else torch.nan)
        steps = torch.arange(log_probs.shape[0], device=log_probs.device)
        inside = (steps[:, None] < lattice.steps)[:, :, None]
        return gradient.where(inside, 0) * upstream[:, None], None, None


def _by_definition(log_probs: Tensor, lattice: _Lattice, zero_infinity: bool) -> Tensor:
    """The loss with autograd's derivative, for transforms: the sum of the probabilities is led past its value."""
    _, loss = _forward(_emissions(log_probs, lattice.symbols), lattice)
    steps = torch.arange(log_probs.shape[0], device=log_probs.device)
    mass = log_probs.exp().sum(2).where(steps[:, None] < lattice.steps, 0).sum(0)
    loss = loss + (mass - mass.detach())
    return loss.where(~loss.detach().isinf(), 0) if zero_infinity else loss


def _one(name: str, length: Lengths) -> Lengths:
    """The length of a single sequence as a list of one."""
    if isinstance(length, Tensor):
        if length.numel() != 1:
            raise RuntimeError(f"{name}_lengths must be of size batch_size, 1 for a single sequence")
        return length.reshape(1)
    return length


def _check(log_probs: Tensor, targets: Tensor, input_lengths: Lengths, target_lengths: Lengths, blank: int) -> None:
    """Check everything, in the words that PyTorch's users know; values of lengths only where they can be read."""
    if log_probs.ndim != 3:
        raise RuntimeError(f"Expected 3-dimensional tensor for log_probs, but got {log_probs.ndim}-dimensional tensor")
    if log_probs.numel() == 0:
        raise RuntimeError(f"log_probs tensor must not be empty, but got {list(log_probs.shape)}")
    if log_probs.dtype not in (torch.float32, torch.float64):
        raise NotImplementedError(f'"ctc_loss" not implemented for {log_probs.dtype}; give float32 or float64')
    steps, batch, classes = log_probs.shape
    if not 0 <= blank < classes:
        raise RuntimeError(f"blank must be in label range, from 0 to {classes - 1}, but got {blank}")
    if targets.ndim not in (1, 2) or (targets.ndim == 2 and targets.shape[0] != batch):
        raise RuntimeError(f"targets of shape {list(targets.shape)} do not fit a batch of {batch}")
    for name, lengths in (("input", input_lengths), ("target", target_lengths)):
        if isinstance(lengths, Tensor) and (lengths.is_floating_point() or lengths.is_complex()):
            raise RuntimeError(f"{name}_lengths must be integral, but got {lengths.dtype}")
        if len(lengths) != batch:
            raise RuntimeError(f"{name}_lengths must be of size batch_size, {batch}, but got {len(lengths)}")
    counted = [_read(lengths) for lengths in (input_lengths, target_lengths)]
    for name, numbers, most in zip(("input", "target"), counted, (steps, None), strict=True):
        if numbers and min(numbers) < 0:
            raise RuntimeError(f"Expected {name}_lengths to have value at least 0, but got value {min(numbers)}")
        if numbers and most is not None and max(numbers) > most:
            raise RuntimeError(f"Expected {name}_lengths to have value at most {most}, but got value {max(numbers)}")
    if counted[1]:
        _check_targets(targets, counted[1])


def _check_targets(targets: Tensor, counts: list[int]) -> None:
    needed = sum(counts) if targets.ndim == 1 else max(counts)
    found = targets.shape[-1]
    if found < needed or (targets.ndim == 1 and found > needed):
        least = "" if targets.ndim == 1 else "at least "
        raise RuntimeError(
            f"Expected targets to have size {least}{needed} at dimension {targets.ndim - 1}, but got size {found}"
        )


def _read(lengths: Lengths) -> list[int]:
    """The lengths as numbers, where that does not break a compiler's graph or a transform; nothing where it would."""
    if not isinstance(lengths, Tensor):
        return list(lengths)
    readable = plain_autograd() and not torch.compiler.is_compiling() and not lengths.is_meta
    numbers: list[int] = lengths.tolist() if readable else []
    return numbers
