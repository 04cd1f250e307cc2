"""Connectionist temporal classification as a layer."""

from torch import Tensor
from torch.nn import Module

from minimodels import functional as F
from minimodels.functional.ctc import Lengths


class CTCLoss(Module):
    """Measure how unlikely a labelling is, whatever its alignment: −log Σ_{paths π that read l} Π_t y_t(π_t).

    Drop-in for torch.nn.CTCLoss. A path chooses one symbol at each step, and is read by merging repeats
    and then dropping blanks.

    Args:
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

    Cost: three exponentials and one logarithm for each of T·N·(2S + 1) pairs of step and symbol forward, and as many
        backward; 2·T·N·(2S + 1) numbers are kept beside the input.

    References: Graves, Fernández, Gomez & Schmidhuber 2006, doi:10.1145/1143844.1143891.

    See: `minimodels.functional.ctc_loss` (the recursions), `minimodels.functional.ctc_beam_decode`;
        tests/nn/test_ctc.py.

    Example:
        >>> import torch
        >>> log_probs = F.log_softmax(torch.zeros(50, 16, 20), dim=2)  # 50 steps, 16 recordings, 20 symbols
        >>> targets, lengths = torch.ones(16, 10, dtype=torch.int64), torch.full((16,), 10)
        >>> CTCLoss()(log_probs, targets, torch.full((16,), 50), lengths).shape
        torch.Size([])
    """

    __constants__ = ["blank", "reduction"]

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__()
        self.reduction = reduction
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths: Lengths, target_lengths: Lengths) -> Tensor:
        """Compare sequences of distributions with labellings.

        Args:
            log_probs: logarithms of the distributions.
            targets: the labellings.
            input_lengths: steps of each sequence.
            target_lengths: labels of each labelling.
        """
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )
