"""What all recurrent layers share: how a step becomes a sequence, a sequence a layer, and layers a stack.

Batches are packed: the rows of all sequences at step 0, then those at step 1, and so on, longest sequence first. So a
ragged batch costs what its sequences' real lengths cost, and an even one is the case in which no step is smaller than
the one before.

    step 0   a₀ b₀ c₀      sizes 3, 3, 1:  a is three steps long, b and c two      rows [7, features]
    step 1   a₁ b₁ c₁      forwards, b and c end after step 1
    step 2   a₂            backwards, they begin there, with their own first state

A kind of cell is a `Cell`: the step of the definition, and the fast sequence that lstm/sequence.py, gru/sequence.py and
rnn.py derive by hand. `layer` chooses between them.

parts            Weights, Steps, Cell and what else is handed around
running          one layer in one direction: the loop of the definition, or the fast sequence
stacking         layers on top of each other
single           one step, for the cells
buffers          the memory of a fast sequence
normalization    layer normalisation inside a cell
casting          autocast and numbers of 16 bits
"""

from minimodels.functional.recurrence.buffers import (
    Chunk,
    Trail,
    blocks,
    chunks,
    is_narrow,
    projected,
    rows_at_a_time,
    step_dtype,
)
from minimodels.functional.recurrence.normalization import normalized, normalized_linear
from minimodels.functional.recurrence.parts import Cell, Gains, Regularization, State, Steps, Weights
from minimodels.functional.recurrence.running import layer, unroll
from minimodels.functional.recurrence.single import one_step
from minimodels.functional.recurrence.stacking import stack

__all__ = [
    "Cell",
    "Chunk",
    "Gains",
    "Regularization",
    "State",
    "Steps",
    "Trail",
    "Weights",
    "blocks",
    "chunks",
    "is_narrow",
    "layer",
    "normalized",
    "normalized_linear",
    "one_step",
    "projected",
    "rows_at_a_time",
    "stack",
    "step_dtype",
    "unroll",
]
