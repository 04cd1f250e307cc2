"""The arithmetic under its ecosystem name, so that `import minimodels.nn.functional as F` works."""

from minimodels.functional import *  # noqa: F403  (a re-export of whatever the room offers is this file's purpose)
from minimodels.functional import __all__ as __all__
