"""Writing one token after the other: the likeliest (greedy), or one that is drawn."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from minimodels import functional as F
from minimodels.generation.reading import Reader
from minimodels.generation.scores import Processor
from minimodels.generation.stopping import Stopping


def write(
    reader: Reader,
    ids: Tensor,
    length: int,
    change: Sequence[Processor],
    stopping: Stopping,
    pad: int | None,
    draw: "Draw | None" = None,
    times: int = 1,
) -> Iterator[Tensor]:
    """Write on from prompts until all texts have ended, and give all tokens so far after each one that is written.

    Args:
        reader: the model.
        ids: the prompts.
        length: tokens of the longest text, prompt included.
        change: what is done to the scores before a token is chosen.
        stopping: says which texts have ended.
        pad: stands behind them.
        draw: how tokens are drawn; None takes the likeliest.
        times: texts a prompt.

    Shape:
        ids [N, T]; Output [N·times, t], views of one tensor: t = T + 1, T + 2, … length.
    """
    rows, prompt = ids.shape[0] * times, ids.shape[1]
    logits = reader.read(ids)
    if times > 1:
        reader.repeat(times)
        logits = logits.repeat_interleave(times, 0)
    text = ids.new_empty(rows, length)
    text[:, :prompt] = ids.repeat_interleave(times, 0)
    over = torch.zeros(rows, dtype=torch.bool, device=ids.device)
    for end in range(prompt, length):
        scores = logits if end == prompt else reader.read(text[:, :end])
        for processor in change:
            scores = processor(scores, text[:, :end])
        # On a CPU `max` finds the likeliest, the first of equals, in a third of the time of `argmax`.
        tokens = scores.max(1).indices if draw is None else draw(scores)
        text[:, end] = tokens if pad is None else torch.where(over, pad, tokens)
        if stopping.ever:
            over = over | stopping(text[:, : end + 1])
        yield text[:, : end + 1]
        if stopping.ever and over.all():
            return


class Draw:
    """Draw tokens with the probabilities softmax(scores).

    All tokens side by side, each as wide as it is probable, fill a line; a point is thrown on it. That takes one random
    number a text, and it comes from the CPU wherever the model computes: a seed gives the same text everywhere, as far
    as the scores are the same.

    Args:
        generator: where chance comes from; None is PyTorch's own, on the CPU.

    Cost: three passes over the scores.

    See: tests/generation/test_sampling.py

    Example:
        >>> Draw(torch.Generator().manual_seed(0))(torch.tensor([[0.0, float("-inf")]]))
        tensor([0])
    """

    def __init__(self, generator: torch.Generator | None = None) -> None:
        self.generator = generator
        self.device = torch.device("cpu") if generator is None else generator.device

    def __call__(self, scores: Tensor) -> Tensor:
        """Draw one token for each row.

        Args:
            scores: logarithms of the probabilities, up to a constant.

        Shape:
            scores [N, V]; Output [N].
        """
        exact = torch.float32 if scores.device.type == "mps" else torch.float64  # which Apple's GPUs do not have
        line = F.softmax(scores, dim=1).to(exact).cumsum(1)
        # In (0, 1]: what has no width is never hit, neither at the beginning of the line nor at its end.
        point = 1 - torch.rand(len(line), 1, generator=self.generator, device=self.device, dtype=exact)
        return torch.searchsorted(line, point.to(line.device) * line[:, -1:])[:, 0]

    def several(self, scores: Tensor, count: int) -> Tensor:
        """Draw several tokens for each row, all different: what is drawn is not put back.

        Args:
            scores: as above.
            count: how many.

        Shape:
            scores [N, V]; Output [N, count].
        """
        probabilities = F.softmax(scores, dim=1).to(self.device)
        return probabilities.multinomial(count, generator=self.generator).to(scores.device)
