"""The one training loop, and what it needs.

loop.py         Trainer: fit, evaluate, predict
steps.py        one step of it
objective.py    model and loss as one module
metrics.py      sums and counts that become means over samples
callbacks.py    the moments one can listen to; saving the model
monitoring.py   which of two measurements is better, and the best so far
stopping.py     ending when nothing gets better
saving.py       saving the state of a run, stopping between two steps
state.py        that state, from the trainer and back into it
randomness.py   the random states of a process
averaging.py    the weights averaged over the steps
diagnosis.py    which layer gave the first number that is none
finiteness.py   where tensors are not finite
logging.py      History, metrics.csv, timing.csv
tensorboard.py  the same for TensorBoard
progress.py     the bar in a terminal or notebook, the line in a log
feeding.py      from data to tensors on the device
devices.py      which device
distributed.py  several processes: joining, agreeing, who speaks
sharing.py      how they share the work: rows of every batch, or parts of the model
telling.py      what callbacks are told, and what if one fails
precision.py    16-bit numbers, TF32
recomputation.py activations computed twice rather than kept
speed.py        samples a second, memory, what part of the device is used
rates.py        how fast a device multiplies
memory.py       the most that was in use at once
allocation.py   what becomes of the memory that a step frees
units.py        epochs of samples, or steps over tokens
"""

from minimodels.training.allocation import keep_freed_memory
from minimodels.training.averaging import ExponentialMovingAverage
from minimodels.training.callbacks import Callback, Keeper, ModelCheckpoint
from minimodels.training.devices import find_device
from minimodels.training.diagnosis import blame_backward, blame_forward
from minimodels.training.distributed import World, current, joined, local_device
from minimodels.training.logging import CSVLogger, History
from minimodels.training.loop import Trainer
from minimodels.training.memory import peak_memory, reset_peak_memory
from minimodels.training.metrics import Metric, Totals, accuracy
from minimodels.training.monitoring import Monitor
from minimodels.training.precision import allow_tf32
from minimodels.training.progress import ProgressBar
from minimodels.training.rates import matmul_rate, utilisation
from minimodels.training.recomputation import blocks, recompute
from minimodels.training.saving import Saver, Stopped
from minimodels.training.stopping import EarlyStopping
from minimodels.training.tensorboard import TensorBoard
from minimodels.training.units import EPOCHS, STEPS, Units

__all__ = [
    "EPOCHS",
    "STEPS",
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "ExponentialMovingAverage",
    "History",
    "Keeper",
    "Metric",
    "ModelCheckpoint",
    "Monitor",
    "ProgressBar",
    "Saver",
    "Stopped",
    "TensorBoard",
    "Totals",
    "Trainer",
    "Units",
    "World",
    "accuracy",
    "allow_tf32",
    "blame_backward",
    "blame_forward",
    "blocks",
    "current",
    "find_device",
    "joined",
    "keep_freed_memory",
    "local_device",
    "matmul_rate",
    "peak_memory",
    "recompute",
    "reset_peak_memory",
    "utilisation",
]
