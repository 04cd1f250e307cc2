"""The schedules under their ecosystem name, so that `from minimodels.optim import lr_scheduler` works."""

from minimodels.optim.schedules import *  # noqa: F403  (a re-export of whatever the folder offers is this file's purpose)
from minimodels.optim.schedules import __all__ as __all__
