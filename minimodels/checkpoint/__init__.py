"""Models on disk: weights as safetensors files, and the folders in which models are published.

config      PretrainedConfig: a model's settings, as config.json has them
pretrained  PretrainedModel: `from_pretrained` and `save_pretrained`
weights     save_model, load_model, load_tensors: one model, one file
tensors     the tensors of a model by name: what is written of it, and what fits it

states      States: the training states of a run, numbered; the newest one is always whole
state       write_state, read_state: one state, a folder that comes back to the last bit, on any number of processes
manifest    what a state's folder says of itself
tree        structure and numbers as JSON, tensors by name
pieces      the parts of tensors that each process has
processes   work that several processes do together, and fail together
"""

from minimodels.checkpoint.config import PretrainedConfig
from minimodels.checkpoint.manifest import StateError
from minimodels.checkpoint.pretrained import PretrainedModel
from minimodels.checkpoint.state import check_state, read_state, write_state
from minimodels.checkpoint.states import States
from minimodels.checkpoint.weights import FORMAT, HEADER, load_model, load_tensors, save_model

__all__ = [
    "FORMAT",
    "HEADER",
    "PretrainedConfig",
    "PretrainedModel",
    "StateError",
    "States",
    "check_state",
    "load_model",
    "load_tensors",
    "read_state",
    "save_model",
    "write_state",
]
