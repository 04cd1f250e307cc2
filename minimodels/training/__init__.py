"""The one training loop, and what it needs.

loop.py       Trainer: fit, evaluate, predict
metrics.py    sums and counts that become means over samples
callbacks.py  the moments one can listen to; saving the model
logging.py    History, metrics.csv, timing.csv
progress.py   the bar in a terminal or notebook, the line in a log
feeding.py    from data to tensors on the device
devices.py    which device
precision.py  16-bit numbers
units.py      epochs of samples, or steps over tokens
"""

from minimodels.training.callbacks import Callback, Keeper, ModelCheckpoint
from minimodels.training.devices import find_device
from minimodels.training.logging import CSVLogger, History
from minimodels.training.loop import Trainer
from minimodels.training.metrics import Metric, Totals, accuracy
from minimodels.training.progress import ProgressBar
from minimodels.training.units import EPOCHS, STEPS, Units

__all__ = [
    "EPOCHS",
    "STEPS",
    "CSVLogger",
    "Callback",
    "History",
    "Keeper",
    "Metric",
    "ModelCheckpoint",
    "ProgressBar",
    "Totals",
    "Trainer",
    "Units",
    "accuracy",
    "find_device",
]
