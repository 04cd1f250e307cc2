"""Looking at models and runs.

flops       the arithmetic that a model asks for
footprint/  what training a GPT-2 needs, on paper: memory by part, communication by step
looking     running a model without leaving a trace on it
report      pictures of a run: learning curves, mistakes, filters
trace       intermediate values of a running model: record them, or put others in their place
"""

from minimodels.inspection.flops import count_flops, count_training_flops
from minimodels.inspection.looking import buffers_kept, modes_kept, only_looking
from minimodels.inspection.trace import Trace, patch, trace

__all__ = [
    "Trace",
    "buffers_kept",
    "count_flops",
    "count_training_flops",
    "modes_kept",
    "only_looking",
    "patch",
    "trace",
]
