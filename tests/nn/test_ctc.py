"""CTCLoss the layer: it makes a network find the places in time by itself."""

import torch

from minimodels import functional as F
from minimodels import nn


def test_a_linear_layer_learns_to_spell():
    """Each symbol shows itself for one to three steps with pauses between; only the labelling is told."""
    torch.manual_seed(0)
    words = torch.randint(1, 5, (32, 4))
    steps = []
    for word in words.tolist():
        shown = [0]
        for symbol in word:
            shown += [symbol] * int(torch.randint(1, 4, ())) + [0]
        steps.append(torch.tensor(shown + [0] * (17 - len(shown))))
    signals = torch.eye(5)[torch.stack(steps, 1)] + 0.1 * torch.randn(17, 32, 5)  # [T, N, 5]
    layer, loss = nn.Linear(5, 5), nn.CTCLoss()
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(150):
        log_probs = F.log_softmax(layer(signals), 2)
        optimizer.zero_grad()
        loss(log_probs, words, (17,) * 32, (4,) * 32).backward()
        optimizer.step()
    assert [labels for labels, _ in F.ctc_greedy_decode(log_probs)] == words.tolist()
    assert [beam[0][0] for beam in F.ctc_beam_decode(log_probs)] == words.tolist()


def test_settings():
    layer = nn.CTCLoss(blank=2, reduction="sum", zero_infinity=True)
    assert (layer.blank, layer.reduction, layer.zero_infinity) == (2, "sum", True)
