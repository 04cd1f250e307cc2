"""Beam search: pursue the few likeliest texts side by side, and give the likeliest of those that came to an end.

Greedy writing takes the best next token and may miss a better text that begins with a worse one. Beam search keeps B
texts; each step looks at all their continuations, B·V, and keeps the best B of those that have not ended. Those that
have ended are compared by their mean log-probability, log P / length^length_penalty.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from minimodels import functional as F
from minimodels.generation.config import GenerationConfig
from minimodels.generation.reading import Reader
from minimodels.generation.sampling import Draw
from minimodels.generation.scores import Processor
from minimodels.generation.stopping import Stopping

NEVER = -1e9
"""Added to the score of what must not be chosen. Finite: where nothing else is left, the best of it still wins."""


@dataclass
class Texts:
    """B texts for each of N prompts, the best first.

    Args:
        ids: tokens, [N, B, L].
        scores: [N, B]: log P of a text that goes on, log P / length^length_penalty of one that is complete.
        lengths: tokens written, [N, B].
        real: whether there is such a text yet, [N, B].
    """

    ids: Tensor
    scores: Tensor
    lengths: Tensor
    real: Tensor

    def best(self, count: int, by: Tensor) -> "tuple[Texts, Tensor]":
        """The best of them, and which ones they are.

        Args:
            count: how many.
            by: what they are compared by, their score from then on.

        Shape:
            by [N, B].
        """
        scores, order = by.topk(count)
        chosen = Texts(_take(self.ids, order), scores, self.lengths.gather(1, order), self.real.gather(1, order))
        return chosen, order

    def beside(self, others: "Texts") -> "Texts":
        """These and others, in one.

        Args:
            others: of the same prompts.
        """
        pairs = zip(vars(self).values(), vars(others).values(), strict=True)
        return Texts(*(torch.cat(pair, 1) for pair in pairs))


def search(
    reader: Reader,
    ids: Tensor,
    length: int,
    change: Sequence[Processor],
    stopping: Stopping,
    pad: int | None,
    chosen: GenerationConfig,
    draw: Draw | None = None,
) -> Tensor:
    """Write on from prompts by beam search, as Hugging Face's `generate` does.

    Args:
        reader: the model.
        ids: the prompts.
        length: tokens of the longest text, prompt included.
        change: what is done to the log-probabilities before they are compared.
        stopping: says which texts have ended.
        pad: stands behind them.
        chosen: `num_beams`, `length_penalty`, `early_stopping` and `num_return_sequences`.
        draw: how continuations are drawn (without putting any back); None takes the likeliest.

    Shape:
        ids [N, T]; Output [N·num_return_sequences, t].

    Cost: a pass over B tokens a step, and the cache of all B, of which what the beams do not share is copied when
        one takes the place of another.

    References: Graves 2012, arXiv:1211.3711, section 2.4 (the search); Wu et al. 2016, arXiv:1609.08144, section 7
        (a length penalty).

    See: tests/generation/test_beams.py
    """
    (N, prompt), B, device = ids.shape, chosen.num_beams, ids.device
    running, complete = _beginning(ids, length, B, 0 if pad is None else pad)
    improvable = torch.ones(N, 1, dtype=torch.bool, device=device)
    first_row = torch.arange(0, N * B, B, device=device)[:, None]  # of each prompt
    logits = reader.read(ids).repeat_interleave(B, 0)
    reader.repeat(B)
    for end in range(prompt, length):
        if end > prompt:
            logits = reader.read(running.ids[:, :, :end].flatten(0, 1))
        candidates, source = _continuations(logits, running, end, change, stopping, draw)
        over = candidates.real | (end + 1 == length)
        candidates.real = over

        running, order = candidates.best(B, candidates.scores + NEVER * over)
        reader.reorder((source.gather(1, order) + first_row).flatten(), prompt)

        complete = _completed(complete, candidates, improvable, chosen)
        improvable = improvable & _can_improve(running, complete, length - prompt, chosen)
        full = chosen.early_stopping is True and complete.real.all()
        if full or over.all() or not improvable.any():
            break
    best = chosen.num_return_sequences
    longest = prompt + int(complete.lengths[:, :best].max())
    return complete.ids[:, :best, :longest].flatten(0, 1)


def _beginning(ids: Tensor, length: int, B: int, pad: int) -> tuple[Texts, Texts]:
    """The prompts, of which at first only one beam counts (they are all the same), and no complete text."""
    N, prompt = ids.shape
    block = ids.new_full((N, B, length), pad)
    block[:, :, :prompt] = ids[:, None]
    scores = torch.full((N, B), NEVER, device=ids.device)
    lengths = ids.new_zeros(N, B)
    nothing = Texts(block, scores, lengths, lengths != 0)
    first = scores.clone()
    first[:, 0] = 0
    return Texts(block, first, lengths, lengths != 0), nothing


def _continuations(
    logits: Tensor, running: Texts, end: int, change: Sequence[Processor], stopping: Stopping, draw: Draw | None
) -> tuple[Texts, Tensor]:
    """The best texts with one token more, `real` if they have ended; and which beam each goes on from.

    As many are looked at as leave B of them that go on, whatever of the others has ended.
    """
    N, B, _ = running.ids.shape
    log_p = F.log_softmax(logits, dim=1)
    for processor in change:
        log_p = processor(log_p, running.ids[:, :, :end].flatten(0, 1))
    V = log_p.shape[1]
    total = (log_p.view(N, B, V) + running.scores[:, :, None]).view(N, B * V)
    count = min(max(2, 1 + len(stopping.eos)) * B, B * V)
    if draw is None:
        scores, place = total.topk(count)
    else:
        drawn = draw.several(total, count)
        scores, order = total.gather(1, drawn).sort(dim=1, descending=True)
        place = drawn.gather(1, order)
    source = place // V
    ids = _take(running.ids, source)
    ids[:, :, end] = place % V
    over = stopping(ids[:, :, : end + 1].flatten(0, 1)).view(N, count)
    return Texts(ids, scores, running.lengths.gather(1, source) + 1, over), source


def _completed(complete: Texts, candidates: Texts, improvable: Tensor, chosen: GenerationConfig) -> Texts:
    """The best complete texts, those of this step among them.

    Only a candidate among the best B may be one: the others are there to go on with.
    """
    B = chosen.num_beams
    ended = candidates.real.clone()
    ended[:, B:] = False
    scores = candidates.scores / int(candidates.lengths[0, 0]) ** chosen.length_penalty
    if chosen.early_stopping is True:
        scores = scores + NEVER * complete.real.all(1, keepdim=True)
    scores = scores + NEVER * ~improvable
    scores = scores + NEVER * ~ended
    both = complete.beside(Texts(candidates.ids, scores, candidates.lengths, ended))
    return both.best(B, both.scores)[0]


def _can_improve(running: Texts, complete: Texts, longest: int, chosen: GenerationConfig) -> Tensor:
    """Whether a text that goes on may yet be better than the worst complete one, [N, 1].

    With "never" it is judged by the length at which it would look best; otherwise by the present one, which is a
    heuristic where `length_penalty` is above 0.
    """
    latest = chosen.early_stopping == "never" and chosen.length_penalty > 0
    length = longest if latest else int(running.lengths[0, 0])
    possible = running.scores[:, :1] / length**chosen.length_penalty
    worst = torch.where(complete.real, complete.scores.amin(1, keepdim=True), NEVER)
    improves: Tensor = (possible > worst).any(1, keepdim=True)
    return improves


def _take(ids: Tensor, order: Tensor) -> Tensor:
    """Of texts [N, B, L] those that are named, [N, K, L]."""
    return ids.gather(1, order[:, :, None].expand(-1, -1, ids.shape[2]))
