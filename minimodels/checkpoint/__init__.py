"""Models on disk: weights as safetensors files, and the folders in which models are published.

config      PretrainedConfig: a model's settings, as config.json has them
pretrained  PretrainedModel: `from_pretrained` and `save_pretrained`
weights     save_model, load_model, load_tensors: one model, one file
"""

from minimodels.checkpoint.config import PretrainedConfig
from minimodels.checkpoint.pretrained import PretrainedModel
from minimodels.checkpoint.weights import FORMAT, HEADER, load_model, load_tensors, save_model

__all__ = [
    "FORMAT",
    "HEADER",
    "PretrainedConfig",
    "PretrainedModel",
    "load_model",
    "load_tensors",
    "save_model",
]
