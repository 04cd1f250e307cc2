"""A language model of characters: LSTM layers that carry what they have read from one piece of text to the next."""

from collections.abc import Iterator

import torch
from torch import Tensor

from minimodels import functional as F
from minimodels import nn

State = tuple[Tensor, Tensor]
"""Hidden and cell state of all layers, [layers, N, hidden_size] each: all that the model remembers."""


class CharLSTM(nn.Module):
    """Predict the next character from all before it: P(c_{t+1} | c_1 … c_t) = softmax(W·h_t + b).

    Args:
        vocabulary: how many tokens there are.
        embedding_size: features of a token.
        hidden_size: width of each LSTM layer.
        num_layers: how many LSTM layers are stacked.
        dropout: probability with which what goes into, between and out of the layers is zeroed in training.

    Shape:
        - tokens: [N, T]; state: [num_layers, N, hidden_size] twice
        - Output: logits [N, T, vocabulary], and the state after the last step

    Attributes:
        embedding: a vector per token.
        lstm: the recurrent layers.
        head: the linear map to the logits of the next token.

    References: Graves 2013, "Generating sequences with recurrent neural networks", arXiv:1308.0850; Zaremba,
        Sutskever & Vinyals 2014, arXiv:1409.2329 (where dropout goes); Karpathy 2015, "The unreasonable effectiveness
        of recurrent neural networks" (characters).

    See: `minimodels train char-lstm`; tests/models/test_char_lstm.py.

    Example:
        >>> model = CharLSTM(vocabulary=30)
        >>> logits, state = model(torch.zeros(2, 7, dtype=torch.int64))
        >>> logits, state = model(torch.zeros(2, 5, dtype=torch.int64), state)  # goes on where it stopped
        >>> logits.shape
        torch.Size([2, 5, 30])
    """

    def __init__(
        self,
        vocabulary: int,
        embedding_size: int = 64,
        hidden_size: int = 256,
        num_layers: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        between = dropout if num_layers > 1 else 0.0
        self.embedding = nn.Embedding(vocabulary, embedding_size)
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(embedding_size, hidden_size, num_layers, batch_first=True, dropout=between)
        self.head = nn.Linear(hidden_size, vocabulary)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Score every token as the next one, after each step.

        Args:
            tokens: [N, T] of int64.
            state: what the last call gave; None begins without a memory.
        """
        hidden, state = self.lstm(self.dropout(self.embedding(tokens)), state)  # [N, T, hidden_size]
        return self.head(self.dropout(hidden)), state

    @torch.no_grad()
    def generate(
        self,
        prompt: Tensor,
        length: int,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Iterator[int]:
        """Write on from a prompt, one token after the other, each drawn from softmax(logits / temperature).

        Args:
            prompt: the tokens to begin with, at least one.
            length: tokens to write.
            temperature: below 1 the likely ones are drawn more often; 0 always takes the likeliest.
            generator: where the randomness comes from, on the CPU; None is PyTorch's own.

        Shape:
            prompt [T].

        Raises:
            ValueError: an empty prompt, or a negative temperature.
        """
        if prompt.numel() == 0:
            raise ValueError("the prompt is empty; give at least one token")
        if not temperature >= 0:
            raise ValueError(f"temperature {temperature} has to be 0 or more")
        logits, state = self(prompt[None])
        for _ in range(length):
            token = _drawn(logits[0, -1], temperature, generator)
            yield token
            logits, state = self(torch.tensor([[token]], device=prompt.device), state)


def _drawn(logits: Tensor, temperature: float, generator: torch.Generator | None) -> int:
    """One token of the distribution."""
    if temperature == 0:
        return int(logits.argmax())
    probabilities = F.softmax(logits.double().cpu() / temperature, dim=0)
    return int(probabilities.multinomial(1, generator=generator))
