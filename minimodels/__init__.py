"""minimodels: the layers, models and training loops behind CNNs, LSTMs and Transformers, from scratch."""

__version__ = "0.1.0"
