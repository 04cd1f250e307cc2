"""Changing the scores of the next token before one is chosen. What is switched off is not there and costs nothing."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from minimodels import functional as F
from minimodels.generation.config import GenerationConfig

Processor = Callable[[Tensor, Tensor], Tensor]
"""(scores [N, V], all tokens so far [N, t]) → scores."""

HEADS = 256, 4096
"""So many of the likeliest tokens mostly have what `top_p` asks for; finding them is far less work than sorting all."""


def processors(
    chosen: GenerationConfig, prompt_length: int, mask: Tensor | None, eos: Sequence[int]
) -> list[Processor]:
    """What the arguments ask for, in the order in which Hugging Face does it.

    Args:
        chosen: the arguments of `generate`.
        prompt_length: tokens of a prompt, padding included.
        mask: which tokens of the prompts are real, a row for every row that is written; None means all.
        eos: tokens that end a text.

    Example:
        >>> [halve, best] = processors(GenerationConfig(do_sample=True, temperature=2.0, top_k=1), 1, None, [])
        >>> best(halve(torch.tensor([[1.0, 3.0]]), torch.tensor([[0]])), torch.tensor([[0]]))
        tensor([[  -inf, 1.5000]])
    """
    found: list[Processor] = []
    if chosen.repetition_penalty not in (None, 1):
        found.append(repetition_penalty(chosen.repetition_penalty, mask))
    if chosen.min_new_tokens and eos:
        found.append(no_end_before(prompt_length + chosen.min_new_tokens, eos))
    if chosen.do_sample:
        # Beams need a way to go on, even where all that ends a text is likely: so many survive each selection.
        keep = max(1, len(eos)) + 1 if chosen.num_beams > 1 else 1
        if chosen.temperature not in (None, 1):
            found.append(temperature(chosen.temperature))
        if chosen.top_k is not None:
            found.append(top_k(max(chosen.top_k, keep)))
        if chosen.top_p is not None and chosen.top_p < 1:
            found.append(top_p(chosen.top_p, keep))
        if chosen.min_p is not None:
            found.append(min_p(chosen.min_p, keep))
    return found


def repetition_penalty(penalty: float, mask: Tensor | None = None) -> Processor:
    """Make tokens that have occurred less likely: s / penalty where s ≥ 0, s · penalty where s < 0.

    Args:
        penalty: above 1; below 1 it is a reward.
        mask: which tokens of the prompts are real; padding has not occurred.

    Shape:
        mask [N, T].

    References: Keskar et al. 2019, arXiv:1909.05858, section 4.1.

    Example:
        >>> repetition_penalty(2.0)(torch.tensor([[3.0, -3.0, 3.0]]), torch.tensor([[0, 1, 0]]))
        tensor([[ 1.5000, -6.0000,  3.0000]])
    """

    def penalised(scores: Tensor, ids: Tensor) -> Tensor:
        if mask is not None:
            length = mask.shape[1]
            real = torch.where(mask != 0, ids[:, :length], ids[:, length - 1 : length])  # the last one always is real
            ids = torch.cat([real, ids[:, length:]], 1)
        seen = scores.gather(1, ids)
        return scores.scatter(1, ids, torch.where(seen < 0, seen * penalty, seen / penalty))

    return penalised


def no_end_before(length: int, eos: Sequence[int]) -> Processor:
    """Forbid what ends a text, until it has this many tokens.

    Args:
        length: in tokens, prompt and padding included.
        eos: tokens that end a text.

    Example:
        >>> no_end_before(2, [1])(torch.tensor([[3.0, 4.0]]), torch.tensor([[0]]))
        tensor([[3., -inf]])
    """
    ends = list(eos)

    def endless(scores: Tensor, ids: Tensor) -> Tensor:
        if ids.shape[1] >= length:
            return scores
        scores = scores.clone()
        scores[:, ends] = -math.inf
        return scores

    return endless


def temperature(degree: float) -> Processor:
    """Sharpen the distribution (below 1) or flatten it (above 1): s / degree.

    Args:
        degree: above 0.

    Example:
        >>> temperature(0.5)(torch.tensor([[1.0, 3.0]]), torch.tensor([[0]]))
        tensor([[2., 6.]])
    """
    return lambda scores, ids: scores / degree


def top_k(k: int) -> Processor:
    """Leave the k likeliest tokens, and whatever is as likely as the last of them.

    Args:
        k: how many.

    References: Fan, Lewis & Dauphin 2018, arXiv:1805.04833, section 5.4.

    Example:
        >>> top_k(2)(torch.tensor([[1.0, 3.0, 2.0]]), torch.tensor([[0]]))
        tensor([[-inf, 3., 2.]])
    """

    def likeliest(scores: Tensor, ids: Tensor) -> Tensor:
        least = scores.topk(min(k, scores.shape[1])).values[:, -1:]  # [N, 1]
        return scores.masked_fill(scores < least, -math.inf)

    return likeliest


def top_p(p: float, keep: int = 1) -> Processor:
    """Leave the nucleus: the fewest likeliest tokens that together have at least the probability p.

    A token belongs to it if those before it, likeliest first, have less than p.

    Args:
        p: above 0, at most 1.
        keep: so many of the likeliest stay in any case.

    References: Holtzman et al. 2019, arXiv:1904.09751, section 3.1.

    Example:
        >>> top_p(0.6)(torch.tensor([[0.5, 0.2, 0.3]]).log(), torch.tensor([[0]])).exp()
        tensor([[0.5000, 0.0000, 0.3000]])
    """

    def nucleus(scores: Tensor, ids: Tensor) -> Tensor:
        probabilities = F.softmax(scores, dim=1)
        for count in (*HEADS, scores.shape[1]):
            likely, tokens = probabilities.topk(min(max(count, keep), scores.shape[1]))
            if not (likely.sum(1) < p).any():
                break
        inside = likely.cumsum(1) - likely < p
        inside[:, :keep] = True
        chosen = torch.where(inside, scores.gather(1, tokens), -math.inf)
        return torch.full_like(scores, -math.inf).scatter(1, tokens, chosen)

    return nucleus


def min_p(p: float, keep: int = 1) -> Processor:
    """Leave the tokens that are at least p times as likely as the likeliest.

    Args:
        p: from 0 to 1.
        keep: so many of the likeliest stay in any case.

    References: Nguyen et al. 2024, arXiv:2407.01082, section 3.

    Example:
        >>> min_p(0.5)(torch.tensor([[0.5, 0.2, 0.3]]).log(), torch.tensor([[0]])).exp()
        tensor([[0.5000, 0.0000, 0.3000]])
    """
    span = math.log(p) if p > 0 else -math.inf  # P ≥ p·P_best means s ≥ s_best + log p

    def likely_enough(scores: Tensor, ids: Tensor) -> Tensor:
        least = scores.amax(1, keepdim=True) + span
        if keep > 1:
            least = torch.minimum(least, scores.topk(min(keep, scores.shape[1])).values[:, -1:])
        return scores.masked_fill(scores < least, -math.inf)

    return likely_enough
