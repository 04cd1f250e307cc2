"""The Transformer: its twin out of torch.nn, what padding and the future may not change, and that it can reverse."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels import nn
from minimodels.models import Seq2SeqTransformer
from minimodels.optim import Adam
from minimodels.testing import derivatives

seeds = st.integers(0, 9)
SIZES = {"vocab_size": 11, "d_model": 8, "nhead": 2, "num_encoder_layers": 2, "num_decoder_layers": 2}
PAD, BOS, EOS = 0, 1, 2


class Twin(torch.nn.Module):
    """The same network out of PyTorch's layers."""

    def __init__(self, norm_first):
        super().__init__()
        self.embedding = torch.nn.Embedding(11, 8)
        settings = {"dim_feedforward": 12, "batch_first": True, "norm_first": norm_first}
        norms = [torch.nn.LayerNorm(8) if norm_first else None for _ in range(2)]
        reads, writes = torch.nn.TransformerEncoderLayer, torch.nn.TransformerDecoderLayer
        self.encoder = torch.nn.TransformerEncoder(reads(8, 2, **settings), 2, norms[0], enable_nested_tensor=False)
        self.decoder = torch.nn.TransformerDecoder(writes(8, 2, **settings), 2, norms[1])

    def placed(self, tokens):
        x = self.embedding(tokens) * math.sqrt(8)
        return x + F.sinusoidal_encoding(torch.arange(tokens.shape[1]), 8, dtype=torch.float64)

    def forward(self, source, target):
        later = torch.ones(target.shape[1], target.shape[1], dtype=torch.bool).triu(1)
        memory = self.encoder(self.placed(source), src_key_padding_mask=source == PAD)
        hidden = self.decoder(self.placed(target), memory, later, memory_key_padding_mask=source == PAD)
        return hidden @ self.embedding.weight.T


def built(norm_first=False, seed=0, **sizes):
    torch.manual_seed(seed)
    model = Seq2SeqTransformer(**SIZES | sizes, dim_feedforward=12, norm_first=norm_first).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)  # norms and biases too
    return model


def drawn(*shape):
    return torch.randint(3, 11, shape)


@given(norm_first=st.booleans(), seed=seeds, padding=st.integers(0, 2))
def test_equals_the_twin_with_gradients(norm_first, seed, padding):
    model, twin = built(norm_first, seed), Twin(norm_first).double().train()
    for module in twin.modules():  # training, but without chance: in evaluation PyTorch takes a shortcut
        if isinstance(module, torch.nn.Dropout | torch.nn.MultiheadAttention):
            module.eval()
    twin.load_state_dict(model.state_dict())
    source, target = drawn(2, 6), drawn(2, 4)
    source[0, 6 - padding :] = PAD
    mine, theirs = (derivatives(m, source, target, order=1) for m in (model, twin))
    for name, expected in theirs.items():
        torch.testing.assert_close(mine[name], expected, rtol=1e-8, atol=1e-8, msg=name)


@given(norm_first=st.booleans(), seed=seeds, padding=st.integers(1, 4))
def test_padding_of_the_source_changes_nothing(norm_first, seed, padding):
    model, source, target = built(norm_first, seed), drawn(2, 5), drawn(2, 4)
    padded = torch.nn.functional.pad(source, (0, padding), value=PAD)
    torch.testing.assert_close(model(padded, target), model(source, target))
    found, expected = (model.generate(s, BOS, EOS, 6) for s in (padded, source))
    assert torch.equal(found, expected)


@given(norm_first=st.booleans(), seed=seeds, t=st.integers(1, 5))
def test_what_is_written_later_is_not_known(norm_first, seed, t):
    model, source, target = built(norm_first, seed), drawn(2, 5), drawn(2, 6)
    expected = model(source, target)
    other = target.clone()
    other[:, t:] = PAD
    torch.testing.assert_close(model(source, other)[:, :t], expected[:, :t])
    torch.testing.assert_close(model(source, target[:, :t]), expected[:, :t])


@given(seed=seeds)
def test_every_token_of_the_source_counts_where_it_stands(seed):
    model, target = built(seed=seed), drawn(1, 3)
    source = torch.tensor([[3, 4, 5, 6]])
    for other in ([4, 3, 5, 6], [3, 4, 5, 7]):
        assert not torch.allclose(model(torch.tensor([other]), target), model(source, target))


@given(seed=seeds, length=st.integers(0, 6))
def test_what_it_writes_is_the_likeliest_each_time(seed, length):
    model, source = built(seed=seed), drawn(3, 5)
    written = model.generate(source, BOS, EOS, length)
    assert written.shape[0] == 3
    assert written.shape[1] == length or (written.shape[1] < length and (written == EOS).any(1).all())
    for text, row in zip(source, written, strict=True):
        end = row.tolist().index(EOS) + 1 if EOS in row else len(row)
        assert (row[end:] == PAD).all()
        begun = torch.cat([torch.tensor([BOS]), row[:end]])[None]
        if end:
            assert torch.equal(model(text[None], begun[:, :-1]).argmax(-1)[0], row[:end])


def test_one_table_serves_three_purposes():
    model = built()
    names = dict(model.named_parameters())
    assert [name for name in names if 11 in names[name].shape] == ["embedding.weight"]
    gradient = torch.autograd.grad(model(torch.tensor([[3]]), torch.tensor([[4]])).sum(), model.embedding.weight)[0]
    assert (gradient != 0).any(-1).all(), "the output touches every row"


def test_it_begins_near_chance():
    torch.manual_seed(0)
    model = Seq2SeqTransformer(1000, 64, 4, 2, 2, 128)
    source, target = torch.randint(3, 1000, (8, 12)), torch.randint(3, 1000, (8, 12))
    loss = nn.CrossEntropyLoss()(model(source, target).transpose(1, 2), torch.randint(3, 1000, (8, 12)))
    assert loss.item() == pytest.approx(math.log(1000) + 0.5, abs=0.3)  # logits of variance 1 cost half a nat
    embedded = model.eval()._embedded(source) - model.positions(torch.zeros(8, 12, 64))
    assert embedded.std().item() == pytest.approx(1, rel=0.05)


def test_compiles_to_one_graph():
    model = built(num_encoder_layers=1, num_decoder_layers=1).float()  # more of them are traced alike, one by one
    source, target = drawn(2, 5), drawn(2, 4)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(source, target), model(source, target))


@pytest.mark.parametrize("norm_first", [False, True])
def test_learns_to_reverse(norm_first):
    torch.manual_seed(0)
    model = Seq2SeqTransformer(10, 32, 4, 1, 1, 64, dropout=0.0, norm_first=norm_first)
    optimizer = Adam(model.parameters(), lr=3e-3)
    loss = nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=0.1)
    for _ in range(300):
        source, target = sentences(64)
        optimizer.zero_grad()
        loss(model(source, target[:, :-1]).transpose(1, 2), target[:, 1:]).backward()
        optimizer.step()
    source, target = sentences(100)
    written = model.eval().generate(source, BOS, EOS, 7)
    assert (written == target[:, 1 : 1 + written.shape[1]]).all(1).float().mean() > 0.9


def sentences(count):
    """Sequences of 2 to 5 tokens, and what they are backwards."""
    source, target = torch.zeros(count, 5, dtype=torch.int64), torch.zeros(count, 8, dtype=torch.int64)
    for row in range(count):
        text = torch.randint(3, 10, (int(torch.randint(2, 6, ())),))
        source[row, : len(text)] = text
        target[row, : len(text) + 2] = torch.cat([torch.tensor([BOS]), text.flip(0), torch.tensor([EOS])])
    return source, target
