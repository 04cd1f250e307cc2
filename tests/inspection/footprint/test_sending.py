"""Rings, and what can be hidden; the counts themselves are held against real processes in test_distributed.py."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from minimodels.inspection.footprint import Machine, Setup, Traffic, flops, times, traffic
from minimodels.inspection.footprint.sending import Collectives
from tests.inspection.footprint.real import Objective, batch, config

MACHINE = Machine(room=72e9, speed=1e15, share=0.5, link=1e11)


@given(devices=st.integers(2, 9), size=st.integers(1, 50))
def test_a_ring_played_through(devices, size):
    """Every device hands one of N parts to the next, N − 1 times; to average, it does so a second time."""
    held = [{rank} for rank in range(devices)]
    sent, rounds = 0, 0
    while any(len(parts) < devices for parts in held):
        handed = [(rank - rounds) % devices for rank in range(devices)]
        for rank, part in enumerate(handed):
            assert part in held[rank]
            held[(rank + 1) % devices].add(part)
        sent, rounds = sent + size, rounds + 1
    whole = Collectives(1, devices * size)
    assert Traffic(devices=devices, gathered=whole).sent == pytest.approx(sent)
    assert Traffic(devices=devices, scattered=whole).sent == pytest.approx(sent)
    assert Traffic(devices=devices, reduced=whole).sent == pytest.approx(2 * sent)


def test_one_device_sends_nothing():
    for shard in (False, True):
        assert traffic(Setup.of("gpt2", shard=shard)).sent == 0
    assert times(Setup.of("gpt2"), MACHINE).hidden


def test_shards_in_float32_send_half_as_much_again():
    """Rajbhandari et al.: three times the parameters instead of twice; what is around the blocks is fetched once."""
    whole, shards = (traffic(Setup.of("gpt2-xl", devices=4, shard=s, precision="float32")).sent for s in (False, True))
    assert 1.45 < shards / whole < 1.5


def test_passes_are_averaged_once_and_fetched_each():
    once, thrice = (traffic(Setup.of("gpt2", devices=4, shard=True, passes=passes)) for passes in (1, 3))
    assert thrice.scattered == once.scattered
    assert thrice.gathered == Collectives(3 * once.gathered.calls, 3 * once.gathered.bytes)
    assert traffic(Setup.of("gpt2", devices=4, passes=3)) == traffic(Setup.of("gpt2", devices=4))


@pytest.mark.parametrize("recompute", [False, True])
def test_operations_are_those_of_the_products(recompute):
    """All but the tables are multiplied with; here a table is of no account."""
    made = config(n_layer=3, n_head=4, n_embd=128, vocab_size=64, n_positions=64)
    setup = Setup(config=made, batch=4, precision="float32", recompute=recompute, accelerator=False)
    with FlopCounterMode(display=False) as counter:
        _, loss = Objective(setup)(*batch(setup))
        loss.backward()
    assert counter.get_total_flops() == pytest.approx(flops(setup), rel=0.1)


def test_a_slow_link_cannot_be_hidden():
    setup = Setup.of("gpt2-xl", batch=8, devices=8)
    for shard in (False, True):
        sharing = replace(setup, shard=shard)
        took = times(sharing, MACHINE)
        assert took.sending == pytest.approx(traffic(sharing).sent / 1e11)
        assert took.computing == pytest.approx(flops(sharing) / 0.5e15)
        assert took.hidden
        assert not times(sharing, replace(MACHINE, link=1e9)).hidden


def test_averages_hide_behind_the_last_backward_pass_alone():
    setup = Setup.of("gpt2-xl", batch=1, devices=8, passes=64)
    seconds = times(setup, MACHINE)
    slow = replace(MACHINE, link=MACHINE.link * seconds.sending / seconds.computing * 2)  # half as long as all passes
    fast = replace(MACHINE, link=slow.link * 64)  # half as long as one pass
    assert not times(setup, slow).hidden
    assert times(setup, fast).hidden
