"""What all kinds of recurrent layer share: the fast sequence against the definition, and the laws of reading on."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import nn
from minimodels.functional.gru import GRU
from minimodels.functional.lstm import LSTM
from minimodels.functional.recurrence import Steps, Trail, Weights, buffers, layer, running, stack, unroll
from minimodels.functional.rnn import RELU, TANH
from minimodels.nn.utils.rnn import pack_sequence, unpack_sequence
from minimodels.tap import listening
from minimodels.testing import assert_equivalent, assert_same, tensors

CELLS = {"LSTM": (LSTM, 4, 2), "GRU": (GRU, 3, 1), "TANH": (TANH, 1, 1), "RELU": (RELU, 1, 1)}
kinds = pytest.mark.parametrize("kind", CELLS)
LAYERS = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
layers = pytest.mark.parametrize("kind", LAYERS)


@st.composite
def ragged(draw):
    """The number of sequences at each step: never growing, and never none."""
    return tuple(sorted(draw(st.lists(st.integers(1, 4), min_size=1, max_size=5)), reverse=True))


@st.composite
def sequences(draw, kind):
    """A layer in one direction without a module around it: cell, steps, and the operands x, states, weights."""
    cell, gates, states = CELLS[kind]
    steps = Steps(draw(ragged()), draw(st.booleans()))
    inputs, hidden = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    shapes = [(sum(steps.sizes), inputs), *[(steps.sizes[0], hidden)] * states, (gates * hidden, inputs)]
    shapes += [(gates * hidden, hidden), *([(gates * hidden,)] * 2 if draw(st.booleans()) else [])]
    return cell, steps, states, [draw(tensors(shape)) for shape in shapes]


def flat(run, cell, steps, states):
    """A function of plain tensors."""

    def f(x, *operands):
        y, final = run(cell, x, steps, operands[:states], Weights(*operands[states:]))
        return (y, *final)

    return f


def by_definition(cell, x, steps, state, weights):
    return unroll(cell.step, x, steps, state, weights)


@kinds
@pytest.mark.parametrize("order", [1, 2])  # 1 runs the hand-derived backward, 2 the one that is differentiated again
@given(data=st.data())
def test_the_fast_sequence_is_the_definition(kind, order, data):
    cell, steps, states, operands = data.draw(sequences(kind))
    fast, slow = (flat(run, cell, steps, states) for run in (layer, by_definition))
    assert_equivalent(fast, slow, *operands, order=order, rtol=1e-9, atol=1e-9)


@kinds
@given(data=st.data(), chunk=st.integers(1, 40))
def test_without_gradients_the_same_numbers_come_chunk_by_chunk(kind, data, chunk):
    cell, steps, states, operands = data.draw(sequences(kind))
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(buffers, "CHUNK", chunk)
        found = flat(layer, cell, steps, states)(*operands)
        wanted = flat(by_definition, cell, steps, states)(*operands)
    for mine, theirs in zip(found, wanted, strict=True):
        assert_same(mine, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "TANH"])  # ReLU has corners
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_both_orders_are_finite_differences(kind, reverse):
    cell, gates, states = CELLS[kind]
    steps = Steps((3, 3, 2, 1), reverse)
    shapes = [(9, 2), *[(3, 2)] * states, (gates * 2, 2), (gates * 2, 2), (gates * 2,), (gates * 2,)]
    generator = torch.Generator().manual_seed(0)
    operands = [torch.randn(s, generator=generator, dtype=torch.float64, requires_grad=True) for s in shapes]
    f = flat(layer, cell, steps, states)
    assert torch.autograd.gradcheck(f, operands)
    assert torch.autograd.gradgradcheck(f, operands)


def test_an_operand_made_of_another_counts_once():
    w = torch.randn(8, 2, dtype=torch.float64, requires_grad=True)
    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)

    def f(x, w):
        return layer(LSTM, x, Steps((1, 1, 1)), (x[:1].sin(), x[1:2].cos()), Weights(w, 2 * w))[0]

    assert torch.autograd.gradcheck(f, (x, w))
    assert torch.autograd.gradgradcheck(f, (x, w))
    for once, again in zip(
        *(torch.autograd.grad(f(x, w).sum(), (x, w), create_graph=c) for c in (False, True)), strict=True
    ):
        assert_same(once, again.detach())


@kinds
def test_only_what_is_asked_for_is_differentiated(kind):
    cell, gates, states = CELLS[kind]
    x = torch.randn(4, 2, requires_grad=True)
    weights = Weights(torch.randn(gates * 3, 2), torch.randn(gates * 3, 3))
    y, _ = layer(cell, x, Steps((2, 2)), (torch.zeros(2, 3),) * states, weights)
    y.sum().backward()
    assert x.grad is not None


@kinds
def test_outputs_may_be_overwritten_before_the_backward_pass(kind):
    cell, gates, states = CELLS[kind]
    x = torch.randn(4, 2, requires_grad=True)
    weights = Weights(torch.randn(gates * 3, 2), torch.randn(gates * 3, 3, requires_grad=True))
    gradients = []
    for spoil in (False, True):
        y, final = layer(cell, x, Steps((2, 2)), (torch.zeros(2, 3),) * states, weights)
        loss = y.sum() + final[-1].sum()
        if spoil:
            for part in (y, *final):
                part.data.zero_()
        gradients.append(torch.autograd.grad(loss, (x, weights.w_hh)))
    for clean, spoilt in zip(*gradients, strict=True):
        assert torch.equal(clean, spoilt)


@layers
@pytest.mark.parametrize("longer", [False, True])
def test_a_few_steps_are_the_definition_and_say_the_same(kind, longer, monkeypatch):
    limit = 4
    monkeypatch.setattr(running, "SHORT", limit)
    layer, x = LAYERS[kind](2, 3).double(), torch.randn(limit - 1 + longer, 2, 2, dtype=torch.float64)
    twin = getattr(torch.nn, kind)(2, 3).double()
    twin.load_state_dict(layer.state_dict())
    assert_equivalent(lambda x: layer(x)[0], lambda x: twin(x)[0], x, order=1)
    node, names = layer(x)[0].grad_fn, []
    while node is not None:
        names.append(node.name())
        node = node.next_functions[0][0] if node.next_functions else None
    assert any("_Sequence" in name for name in names) == longer


@layers
@given(cut=st.integers(1, 4), seed=st.integers(0, 99))
def test_a_sequence_read_in_two_parts_is_the_whole(kind, cut, seed):
    torch.manual_seed(seed)
    reader = LAYERS[kind](3, 4, num_layers=2).double()
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    whole, last = reader(x)
    first, state = reader(x[:cut])
    second, state = reader(x[cut:], state)
    assert torch.allclose(torch.cat([first, second]), whole, rtol=1e-12, atol=1e-12)
    for mine, theirs in zip(*[s if isinstance(s, tuple) else (s,) for s in (state, last)], strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-12, atol=1e-12)


@layers
def test_a_mirrored_input_with_exchanged_directions_is_a_mirrored_output(kind):
    reader, mirrored = (LAYERS[kind](3, 4, bidirectional=True).double() for _ in range(2))
    for name, parameter in reader.named_parameters():
        other = name.removesuffix("_reverse") if name.endswith("_reverse") else f"{name}_reverse"
        mirrored.get_parameter(other).data.copy_(parameter)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    forwards, backwards = reader(x)[0].chunk(2, -1)
    assert torch.allclose(mirrored(x.flip(0))[0].flip(0), torch.cat([backwards, forwards], -1))


@layers
@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4), seed=st.integers(0, 99), bidirectional=st.booleans()
)
def test_in_a_ragged_batch_each_sequence_is_as_if_alone(kind, lengths, seed, bidirectional):
    torch.manual_seed(seed)
    reader = LAYERS[kind](3, 4, num_layers=2, bidirectional=bidirectional).double()
    alone = [torch.randn(n, 3, dtype=torch.float64) for n in lengths]
    output, last = reader(pack_sequence(alone, enforce_sorted=False))
    for i, (x, y) in enumerate(zip(alone, unpack_sequence(output), strict=True)):
        expected, state = reader(x)
        assert torch.allclose(y, expected, rtol=1e-12, atol=1e-12)
        for mine, theirs in zip(*[s if isinstance(s, tuple) else (s,) for s in (last, state)], strict=True):
            assert torch.allclose(mine[:, i], theirs, rtol=1e-12, atol=1e-12)


@kinds
@given(data=st.data())
def test_a_trail_holds_what_was_written(kind, data):
    """Forwards and backwards, even and ragged: what stands after one step stands before the next."""
    steps = Steps(data.draw(ragged()), data.draw(st.booleans()))
    initial = torch.arange(steps.sizes[0], dtype=torch.float64).unsqueeze(1)
    for keep in (True, False):
        trail, current = Trail(initial, steps, keep), initial.clone()
        before, after = {}, {}
        for t in steps.order():
            n = steps.sizes[t]
            assert torch.equal(trail.before[t], current[:n])
            before[t] = current[:n].clone()
            current[:n] = current[:n] + 10
            trail.after[t].copy_(current[:n])
            after[t] = current[:n].clone()
        assert torch.equal(trail.final(), current)
        if keep:
            order = range(len(steps.sizes))
            assert torch.equal(trail.rows_before(), torch.cat([before[t] for t in order]))
            assert torch.equal(trail.rows_after(), torch.cat([after[t] for t in order]))


@layers
def test_a_listener_hears_every_step_and_what_it_gives_counts(kind):
    reader = LAYERS[kind](3, 4, bidirectional=True)
    x, heard = torch.randn(5, 2, 3), []
    name = f"{kind.lower()}.hidden"
    with listening(lambda n, value: heard.append(n) or value):
        output, _ = reader(x)
    assert heard.count(name) == 2 * 5
    assert torch.allclose(output, reader(x)[0], atol=1e-6)
    with listening(lambda n, value: value * 0 if n == name else value):
        assert not reader(x)[0].any()


@pytest.mark.parametrize(("kind", "dtype"), [("LSTM", torch.float16), ("GRU", torch.float16), ("RNN", torch.bfloat16)])
def test_sixteen_bits_are_rounded_once(kind, dtype):
    torch.manual_seed(0)
    reader = LAYERS[kind](8, 16).to(dtype)
    x = torch.randn(20, 4, 8).to(dtype)
    wide = LAYERS[kind](8, 16)
    wide.load_state_dict(reader.state_dict())
    assert torch.equal(reader(x)[0], wide(x.float())[0].to(dtype))


@layers
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("step", [buffers.STEP, 0])
@given(sizes=ragged(), reverse=st.booleans(), seed=st.integers(0, 99), rows=st.integers(1, 20))
def test_bfloat16_is_as_exact_as_its_numbers(kind, grad, step, sizes, reverse, seed, rows):
    """Output, last state and gradients, from the same rounded numbers in float64, products of either type in a step."""
    cell, gates, states = CELLS[kind if kind in CELLS else "TANH"]
    steps, generator = Steps(sizes, reverse), torch.Generator().manual_seed(seed)
    shapes = [(sum(sizes), 5), *[(sizes[0], 6)] * states, (gates * 6, 5), (gates * 6, 6), (gates * 6,), (gates * 6,)]
    operands = [(torch.randn(s, generator=generator) / 2).bfloat16() for s in shapes]

    def results(dtype):
        leaves = [o.to(dtype).requires_grad_(grad) for o in operands]
        outputs = flat(layer, cell, steps, states)(*leaves)
        found = torch.autograd.grad(sum(o.square().sum() for o in outputs), leaves) if grad else ()
        return [*outputs, *found]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buffers, "STEP", step)
        patch.setattr(buffers, "ROWS", rows)
        patch.setattr(buffers, "CHUNK", 100)
        rounded = results(torch.bfloat16)
    for mine, exact in zip(rounded, results(torch.float64), strict=True):
        assert mine.dtype is torch.bfloat16
        assert (mine.double() - exact).abs().max() <= 2**-5 * exact.abs().max()


@kinds
@given(data=st.data(), chunk=st.integers(1, 500))
def test_gradients_come_chunk_by_chunk(kind, data, chunk):
    cell, steps, states, operands = data.draw(sequences(kind))
    fast, slow = (flat(run, cell, steps, states) for run in (layer, by_definition))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buffers, "CHUNK", chunk)
        assert_equivalent(fast, slow, *operands, order=1, rtol=1e-9, atol=1e-9)


def test_a_stack_without_steps_is_refused():
    with pytest.raises(RuntimeError, match="sequence length"):
        stack(LSTM, torch.zeros(0, 2), (), (torch.zeros(1, 0, 3),) * 2, [])


@layers
@pytest.mark.parametrize("layer_norm", [True, False])
@given(seed=st.integers(0, 99), recurrent=st.sampled_from([0.0, 0.5]), bias=st.booleans())
def test_regularised_layers_are_a_plain_loop(kind, layer_norm, seed, recurrent, bias):
    reader = LAYERS[kind](3, 4, bias=bias, layer_norm=layer_norm, recurrent_dropout=recurrent).double()
    generator = torch.Generator().manual_seed(seed)
    for parameter in reader.parameters():
        parameter.data.normal_(generator=generator)
    x = torch.randn(5, 2, 3, generator=generator, dtype=torch.float64)
    torch.manual_seed(seed)
    output, last = reader(x)
    torch.manual_seed(seed)
    ones = torch.ones(2, 4, dtype=torch.float64)
    mask = torch.nn.functional.dropout(ones, recurrent) if recurrent else ones
    expected, state = plain_loop(kind, reader, x, mask)
    assert_same(output, expected, rtol=1e-9, atol=1e-9)
    assert_same(last[1][0] if kind == "LSTM" else last[0], state, rtol=1e-9, atol=1e-9)
    assert "layer_norm=True" in repr(reader) or not layer_norm
    reader.eval()
    ones_only, _ = plain_loop(kind, reader, x, ones)
    assert_same(reader(x)[0], ones_only, rtol=1e-9, atol=1e-9)


def plain_loop(kind, reader, x, mask):
    """One layer, written down once more without looking at ours; gives all outputs and the last state."""
    p = dict(reader.named_parameters())
    zeros = torch.zeros(p["weight_hh_l0"].shape[0], dtype=x.dtype)

    def affine(rows, which):
        a, b = rows @ p[f"weight_{which}_l0"].t(), p.get(f"bias_{which}_l0", zeros)
        if not reader.layer_norm:
            return a + b
        gain = p[f"gain_{which}_l0"]
        cuts = [8, 4] if kind == "GRU" else [len(gain)]
        parts = zip(*(v.split(cuts, -1) for v in (a, gain, b)), strict=True)
        return torch.cat([torch.nn.functional.layer_norm(v, (v.shape[-1],), g, s) for v, g, s in parts], -1)

    h = c = torch.zeros(2, 4, dtype=x.dtype)
    outputs = []
    for x_t in x:
        a, b = affine(x_t, "ih"), affine(h * mask, "hh")
        if kind == "RNN":
            h = torch.tanh(a + b)
        elif kind == "GRU":
            r, z = torch.sigmoid((a + b)[:, :8]).chunk(2, -1)
            h = (1 - z) * torch.tanh(a[:, 8:] + r * b[:, 8:]) + z * h
        else:
            i, f, g, o = (a + b).chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            shown = c
            if reader.layer_norm:
                shown = torch.nn.functional.layer_norm(c, (4,), p["gain_cell_l0"], p.get("shift_cell_l0"))
            h = torch.sigmoid(o) * torch.tanh(shown)
        outputs.append(h)
    return torch.stack(outputs), c if kind == "LSTM" else h


@layers
def test_layer_normalisation_ignores_the_size_of_the_weights(kind):
    reader = LAYERS[kind](3, 4, layer_norm=True).double()
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    before, _ = reader(x)
    with torch.no_grad():
        reader.weight_ih_l0 *= 100
    torch.testing.assert_close(reader(x)[0], before, rtol=1e-2, atol=1e-2)  # but for ε beside the smallest variances


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_update_dropout_silences_candidates_anew_at_each_step(kind):
    reader = LAYERS[kind](3, 50, update_dropout=0.5)
    candidates = []
    with listening(lambda name, value: candidates.append(value) or value if name.endswith("candidate") else value):
        reader(torch.randn(4, 2, 3))
    masks = torch.stack(candidates) == 0
    assert 0.3 < masks.float().mean() < 0.7
    assert not torch.equal(masks[0], masks[1])
    reader.eval()
    plain = LAYERS[kind](3, 50)
    plain.load_state_dict(reader.state_dict())
    x = torch.randn(4, 2, 3)
    assert torch.equal(plain(x)[0], reader(x)[0])


@layers
def test_regularised_ragged_batches_and_layers_run_and_learn(kind):
    reader = LAYERS[kind](3, 4, 2, bidirectional=True, dropout=0.2, layer_norm=True, recurrent_dropout=0.3)
    output, _ = reader(pack_sequence([torch.randn(n, 3) for n in (2, 5, 1)], enforce_sorted=False))
    output.data.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in reader.parameters())
