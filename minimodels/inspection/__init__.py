"""Looking at models and runs.

report   pictures of a run: learning curves, mistakes, filters
trace    intermediate values of a running model: record them, or put others in their place
"""

from minimodels.inspection.trace import Trace, patch, trace

__all__ = ["Trace", "patch", "trace"]
