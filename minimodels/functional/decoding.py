"""From distributions over symbols and time back to a labelling: the best path, and the best labelling."""

import math
from collections import defaultdict

from torch import Tensor

from minimodels.functional.ctc import Lengths


def ctc_greedy_decode(
    log_probs: Tensor, input_lengths: Lengths | None = None, blank: int = 0
) -> list[tuple[list[int], float]]:
    """Read the likeliest path: the likeliest symbol of each step, repeats merged, blanks dropped.

    It is fast, and often but not always the likeliest labelling: many unlikely paths that read the same may together
    outweigh the likeliest one.

    Args:
        log_probs: logarithms of the distributions, as for `ctc_loss`.
        input_lengths: steps of each sequence; None means all.
        blank: which symbol is the blank.

    Returns:
        For each sequence its labels and the logarithm of the path's probability.

    Shape:
        - log_probs: [T, N, C]
        - Output: a list of N pairs

    Raises:
        RuntimeError: the tensor has not three dimensions, or a length does not fit.

    Cost: one pass over the distributions.

    References: Graves et al. 2006, doi:10.1145/1143844.1143891, section 3.2 ("best path decoding").

    See: `ctc_beam_decode`; tests/functional/test_decoding.py.

    Example:
        >>> import torch
        >>> y = torch.tensor([[0.4, 0.6], [0.7, 0.3], [0.1, 0.9]])
        >>> [(labels, logarithm)] = ctc_greedy_decode(y.log()[:, None])
        >>> labels, round(math.exp(logarithm), 3)
        ([1, 1], 0.378)
    """
    lengths, found = _steps(log_probs, input_lengths), []
    best, path = log_probs.detach().max(2)  # [T, N]
    for n, steps in enumerate(lengths):
        symbols = path[:steps, n].tolist()
        labels = [s for s, before in zip(symbols, [blank, *symbols], strict=False) if s not in (blank, before)]
        found.append((labels, float(best[:steps, n].sum())))
    return found


def ctc_beam_decode(
    log_probs: Tensor,
    input_lengths: Lengths | None = None,
    beam_width: int = 16,
    blank: int = 0,
    top: int = 1,
) -> list[list[tuple[list[int], float]]]:
    """Search for the likeliest labellings, adding up the paths that read the same: prefix beam search.

    A prefix is known by its labels and carries two weights: of the paths that end in a blank, and of those that end in
    its last label. A step later

    - a blank keeps the prefix:                          P_b'(l) = y(–)·(P_b(l) + P_nb(l))
    - its last label again keeps it, merged:             P_nb'(l) += y(l_end)·P_nb(l)
    - any label c makes it longer:                       P_nb'(l + c) += y(c)·(P_b(l) + [c ≠ l_end]·P_nb(l))

    and the `beam_width` heaviest prefixes go on.

    Args:
        log_probs: logarithms of the distributions, as for `ctc_loss`.
        input_lengths: steps of each sequence; None means all.
        beam_width: prefixes that go on after each step; as many as there are labellings makes the search exact.
        blank: which symbol is the blank.
        top: labellings wanted for each sequence.

    Returns:
        For each sequence its likeliest labellings, the likeliest first, each with the logarithm of its probability (of
        those of its paths that the beam has kept).

    Shape:
        - log_probs: [T, N, C]
        - Output: a list of N lists of pairs

    Raises:
        RuntimeError: the tensor has not three dimensions, or a length does not fit.
        ValueError: `beam_width` or `top` is not positive.

    Cost: T·beam_width·C steps of Python for each sequence: for evaluation, not for training.

    References: Graves et al. 2006, doi:10.1145/1143844.1143891, section 3.2; Hannun et al. 2014, arXiv:1408.2873,
        algorithm 1 (this form).

    See: `ctc_greedy_decode`; tests/functional/test_decoding.py.

    Example:
        >>> import torch
        >>> y = torch.tensor([[0.6, 0.4], [0.6, 0.4]])  # the likeliest path is two blanks, 0.36
        >>> [[(labels, logarithm)]] = ctc_beam_decode(y.log()[:, None])
        >>> labels, round(math.exp(logarithm), 2)  # but three paths read [1]
        ([1], 0.64)
    """
    if beam_width < 1 or top < 1:
        raise ValueError(f"beam_width and top have to be positive, but are {beam_width} and {top}")
    table = log_probs.detach().double().cpu()
    lengths = _steps(log_probs, input_lengths)
    return [_search(table[:steps, n].tolist(), beam_width, blank)[:top] for n, steps in enumerate(lengths)]


def _search(steps: list[list[float]], width: int, blank: int) -> list[tuple[list[int], float]]:
    """The heaviest labellings of one sequence."""
    beam: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}  # (ends in a blank, ends in a label)
    for logarithms in steps:
        grown: defaultdict[tuple[int, ...], list[float]] = defaultdict(lambda: [-math.inf, -math.inf])
        for prefix, (in_blank, in_label) in beam.items():
            either = _add(in_blank, in_label)
            for symbol, logarithm in enumerate(logarithms):
                if symbol == blank:
                    grown[prefix][0] = _add(grown[prefix][0], logarithm + either)
                    continue
                repeated = prefix[-1:] == (symbol,)
                if repeated:
                    grown[prefix][1] = _add(grown[prefix][1], logarithm + in_label)
                longer = grown[(*prefix, symbol)]
                longer[1] = _add(longer[1], logarithm + (in_blank if repeated else either))
        heaviest = sorted(grown, key=lambda prefix: (-_add(*grown[prefix]), prefix))[:width]
        beam = {prefix: (grown[prefix][0], grown[prefix][1]) for prefix in heaviest}
    return [(list(prefix), _add(*weights)) for prefix, weights in beam.items()]


def _add(a: float, b: float) -> float:
    """log(exp a + exp b)."""
    if a < b:
        a, b = b, a
    return a if b == -math.inf else a + math.log1p(math.exp(b - a))


def _steps(log_probs: Tensor, lengths: Lengths | None) -> list[int]:
    """How many steps of each sequence count."""
    if log_probs.ndim != 3:
        raise RuntimeError(f"Expected 3-dimensional tensor for log_probs, but got {log_probs.ndim}-dimensional tensor")
    steps, batch = log_probs.shape[:2]
    if lengths is None:
        return [steps] * batch
    numbers: list[int] = lengths.tolist() if isinstance(lengths, Tensor) else list(lengths)
    if len(numbers) != batch or any(not 0 <= number <= steps for number in numbers):
        raise RuntimeError(f"input_lengths {numbers} do not fit {batch} sequences of {steps} steps")
    return numbers
