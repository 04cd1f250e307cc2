"""What a device sends to the others in a step, and how long it takes beside the computation.

In a ring each of N devices hands on an N-th of S bytes N − 1 times to gather them or to sum them up in shards, and does
both to average them:

    all-gather, reduce-scatter  (N − 1)/N · S        all-reduce  2·(N − 1)/N · S
"""

from dataclasses import dataclass

from minimodels.inspection.footprint.setup import Setup
from minimodels.inspection.footprint.weights import (
    block_shapes,
    buckets,
    count,
    outer_shapes,
    parameter_shapes,
    shard,
)


@dataclass(frozen=True)
class Collectives:
    """Operations of one kind in one step.

    Args:
        calls: how many.
        bytes: S, what all of them together sum or gather, as each device sees it whole.
    """

    calls: int = 0
    bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What is exchanged in one step.

    Single numbers, such as the loss and the gradient's norm, are not counted.

    Args:
        devices: N.
        reduced: all-reduces.
        gathered: all-gathers.
        scattered: reduce-scatters.

    Attributes:
        sent: bytes that a device sends.

    Example:
        >>> Traffic(devices=2, reduced=Collectives(1, 100), gathered=Collectives(2, 10)).sent
        105.0
    """

    devices: int
    reduced: Collectives = Collectives()
    gathered: Collectives = Collectives()
    scattered: Collectives = Collectives()

    @property
    def sent(self) -> float:
        """Bytes that a device sends."""
        whole = 2 * self.reduced.bytes + self.gathered.bytes + self.scattered.bytes
        return (self.devices - 1) / self.devices * whole


def traffic(setup: Setup) -> Traffic:
    """What is exchanged in one step of the optimiser.

    DistributedDataParallel averages 4·P bytes of gradients, once a step. FSDP2 fetches b·P bytes for the forward pass
    and, but for what is around the blocks, again for the backward pass, in every pass; and it sums 4·P bytes of
    gradients, once a step.

    Args:
        setup: what is trained.

    References: Rajbhandari et al. 2020, arXiv:1910.02054, section 7 (twice the gradients, and three times); Patarasuk &
        Yuan 2009, doi:10.1016/j.jpdc.2008.09.002 (the ring).

    See: tests/inspection/footprint/test_distributed.py.

    Example:
        >>> f"{traffic(Setup.of('gpt2-xl', devices=8)).sent / 1e9:.1f} GB"
        '10.9 GB'
        >>> f"{traffic(Setup.of('gpt2-xl', devices=8, shard=True)).sent / 1e9:.1f} GB"
        '10.8 GB'
    """
    c, N = setup.config, setup.devices
    if N == 1:
        return Traffic(devices=1)
    if not setup.shard:
        return Traffic(devices=N, reduced=Collectives(len(buckets(c)), 4 * count(parameter_shapes(c))))
    outer, blocks = N * shard(outer_shapes(c), N), N * shard(block_shapes(c), N) * c.n_layer
    times = setup.passes * (2 if setup.reshard else 1)
    fetched = setup.element * (setup.passes * outer + times * blocks)
    return Traffic(
        devices=N,
        gathered=Collectives(setup.passes + times * c.n_layer, fetched),
        scattered=Collectives(1 + c.n_layer, 4 * (outer + blocks)),
    )


def flops(setup: Setup) -> int:
    """Floating-point operations of a device in a step: 6·P + 12·L·E·T for each token.

    Two for each parameter and token forward (a product and a sum), twice that backward; and attention's scores and
    means, as if nothing were hidden from anybody, as is customary. Recomputation adds a forward pass: 8·P + 16·L·E·T.

    Args:
        setup: what is trained.

    References: Chowdhery et al. 2022, arXiv:2204.02311, appendix B.

    Example:
        >>> setup = Setup.of("gpt2-xl")
        >>> f"{flops(setup) / setup.rows / 1e9:.2f} GFLOP a token"
        '10.29 GFLOP a token'
    """
    c = setup.config
    a_token = 6 * count(parameter_shapes(c)) + 12 * c.n_layer * c.n_embd * setup.tokens
    return setup.passes * setup.rows * a_token * (4 if setup.recompute else 3) // 3


@dataclass(frozen=True)
class Machine:
    """A device and how fast it is linked to the others.

    Args:
        room: bytes of memory that training may fill.
        speed: floating-point operations a second, in 16 bits.
        share: of that speed that training reaches.
        link: bytes a second that a device sends to the others.
    """

    room: float
    speed: float
    share: float
    link: float


@dataclass(frozen=True)
class Times:
    """Seconds of a step.

    Args:
        computing: of all passes.
        sending: of all that is sent.
        hidden: whether what is sent can go out while the device computes.
    """

    computing: float
    sending: float
    hidden: bool


def times(setup: Setup, machine: Machine) -> Times:
    """How long a step computes, and how long it sends.

    DistributedDataParallel sends while the last backward pass runs, two thirds of the pass (three quarters where it
    recomputes); FSDP2 sends at any time. That so much can be hidden is necessary, not sufficient: something is always
    first and last.

    Args:
        setup: what is trained.
        machine: on what.

    See: tests/inspection/footprint/test_sending.py.

    Example:
        >>> times(Setup.of("gpt2-xl", batch=8, devices=64), Machine(72e9, 989e12, 0.4, 50e9)).hidden
        False
    """
    computing = flops(setup) / (machine.speed * machine.share)
    sending = traffic(setup).sent / machine.link
    backward = computing / setup.passes * (3 / 4 if setup.recompute else 2 / 3)
    return Times(computing, sending, sending <= (computing if setup.sharded else backward))
