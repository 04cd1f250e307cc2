"""Three LSTM layers and a sigmoid: one answer to a whole sequence, of features or of text."""

from typing import Any

import torch
from torch import Tensor

from minimodels import functional as F
from minimodels import nn
from minimodels.nn.utils.rnn import pack_padded_sequence


class LSTMClassifier(nn.Module):
    """Read a sequence to its end, then answer: LSTM layers, their last step, one linear map; 382,081 parameters.

        h_1 … h_T = LSTM(LSTM(LSTM(x_1 … x_T)))
        logit = w · h_T + b,   P(label 1) = σ(logit)

    In a batch of different lengths T is each sequence's own: what stands behind its end changes nothing.

    Keras counts 380,545 parameters for the same network. Its LSTM has one bias per gate where PyTorch's, and therefore
    ours, has two, one for the input and one for the state: 3 layers · 4 gates · 128 = 1,536 more, although only their
    sum matters.

    Args:
        input_size: features of a step.
        hidden_size: width of each LSTM layer.
        num_layers: how many LSTM layers are stacked.
        classes: logits for so many classes; 1 is a yes-or-no question, or a number.
        dropout: probability with which what goes from layer to layer, and to the answer, is zeroed in training.
        bidirectional: read from both ends; the answer then comes from the last step of either reading.
        forget_bias: added to the first bias of the forget gates; with 1 a cell begins by keeping most of what it has.

    Shape:
        - x: [N, T, input_size]; lengths: [N]
        - Output: [N], logits; [N, classes] for more than one class

    Attributes:
        lstm: the recurrent layers.
        head: the linear map.

    Raises:
        ValueError: lengths that are not one for each sequence, or not between 1 and T.

    References: Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; Gers, Schmidhuber & Cummins 2000,
        doi:10.1162/089976600300015015 (the forget gate and its bias).

    See: `minimodels train lstm`; `minimodels.nn.LSTM`; tests/models/test_lstm_classifier.py.

    Example:
        >>> model = LSTMClassifier()
        >>> sum(parameter.numel() for parameter in model.parameters())
        382081
        >>> model(torch.zeros(4, 50, 100), lengths=torch.tensor([50, 7, 1, 23])).shape
        torch.Size([4])
    """

    def __init__(
        self,
        input_size: int = 100,
        hidden_size: int = 128,
        num_layers: int = 3,
        classes: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        forget_bias: float = 0.0,
    ) -> None:
        super().__init__()
        between = dropout if num_layers > 1 else 0.0
        self.lstm = nn.LSTM(
            input_size, hidden_size, num_layers, batch_first=True, dropout=between, bidirectional=bidirectional
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size * (1 + bidirectional), classes)
        with torch.no_grad():
            for name, bias in self.lstm.named_parameters():
                if name.startswith("bias_ih"):  # gates i, f, g, o: the second quarter is the forget gate's
                    bias[hidden_size : 2 * hidden_size] += forget_bias

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Answer to each sequence.

        Args:
            x: [N, T, input_size].
            lengths: T of each sequence, int64; None means that all are as long as the tensor.
        """
        if lengths is None:
            _, (h, _) = self.lstm(x)
        else:
            _check_lengths(x, lengths)
            packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
            _, (h, _) = self.lstm(packed)  # [layers·directions, N, H], each sequence's own last step
        last = h[-2:].transpose(0, 1).flatten(1) if self.lstm.bidirectional else h[-1]  # [N, directions·H]
        logits: Tensor = self.head(self.dropout(last))
        return logits.squeeze(1) if logits.shape[1] == 1 else logits

    def predict_proba(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Give label 1 its probability, or every class, where there are several.

        Args:
            x: [N, T, input_size].
            lengths: T of each sequence.
        """
        logits = self(x, lengths)
        return F.sigmoid(logits) if logits.ndim == 1 else F.softmax(logits, dim=1)


class TextClassifier(nn.Module):
    """The same for text: every token becomes a vector of 100 features, and these go through `LSTMClassifier`.

    Args:
        vocabulary: how many tokens there are; 0 is padding.
        embedding_size: features of a token.
        embedding_dropout: probability with which a feature of a token is zeroed in training.
        embedding_scale: standard deviation of the first vectors. A word that is seen a few times only should begin
            small: what chance says of it is then soon outweighed.
        **options: of `LSTMClassifier`.

    Shape:
        - tokens: [N, T]; lengths: [N]
        - Output: [N], logits

    Attributes:
        embedding: a vector per token.
        classifier: `LSTMClassifier`.

    See: tests/models/test_lstm_classifier.py.

    Example:
        >>> TextClassifier(vocabulary=50)(torch.tensor([[7, 3, 0], [1, 2, 3]]), torch.tensor([2, 3])).shape
        torch.Size([2])
    """

    def __init__(
        self,
        vocabulary: int,
        embedding_size: int = 100,
        embedding_dropout: float = 0.0,
        embedding_scale: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding_size, padding_idx=0)
        with torch.no_grad():
            self.embedding.weight.mul_(embedding_scale)
        self.dropout = nn.Dropout(embedding_dropout)
        self.classifier = LSTMClassifier(embedding_size, **options)

    def forward(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Answer to each text.

        Args:
            tokens: [N, T] of int64.
            lengths: T of each text.
        """
        logits: Tensor = self.classifier(self.dropout(self.embedding(tokens)), lengths)
        return logits

    def predict_proba(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Give label 1 its probability.

        Args:
            tokens: [N, T] of int64.
            lengths: T of each text.
        """
        return F.sigmoid(self(tokens, lengths))


def _check_lengths(x: Tensor, lengths: Tensor) -> None:
    if lengths.shape != x.shape[:1]:
        raise ValueError(f"{x.shape[0]} sequences need as many lengths, but got lengths of shape {list(lengths.shape)}")
    wrong = (lengths < 1) | (lengths > x.shape[1])
    if wrong.any():
        place = int(wrong.nonzero()[0])
        raise ValueError(
            f"length {int(lengths[place])} of sequence {place} has to be at least 1 and at most {x.shape[1]}"
        )
