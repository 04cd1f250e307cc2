"""What training a GPT-2 needs, on paper: memory by part, communication by step.

setup.py      what is trained, how, on how many devices
weights.py    parameters, shards, buckets
kept.py       what is kept for the backward pass
attention.py  what the backward pass of attention takes beside it
peak.py       all parts, and the peak
sending.py    what devices send to each other, and how long it takes
tables.py     the tables of docs/scaling.md: `python -m minimodels.inspection.footprint`

Nothing is computed but sums: no tensor is made. The tests hold every sum against real small runs.
"""

from minimodels.inspection.footprint.kept import activations, block_activations
from minimodels.inspection.footprint.peak import Memory, memory, most_sequences
from minimodels.inspection.footprint.sending import Machine, Times, Traffic, flops, times, traffic
from minimodels.inspection.footprint.setup import Setup

__all__ = [
    "Machine",
    "Memory",
    "Setup",
    "Times",
    "Traffic",
    "activations",
    "block_activations",
    "flops",
    "memory",
    "most_sequences",
    "times",
    "traffic",
]
