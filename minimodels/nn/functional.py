"""The arithmetic under its ecosystem name, so that `import minimodels.nn.functional as F` works."""

import sys
from typing import NoReturn

import torch

from minimodels.errors import absent
from minimodels.functional import *  # noqa: F403  (a re-export of whatever the room offers is this file's purpose)
from minimodels.functional import __all__ as __all__


def __getattr__(name: str) -> NoReturn:
    raise absent(name, sys.modules[__name__], torch.nn.functional)  # noqa: TID251  (asked for its names alone)
