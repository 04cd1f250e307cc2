"""Two of Keras's classic programs, with our weights in them: what `seeds` runs beside ours.

Keras lays its arrays out in its own way: kernels of convolutions are [height, width, in, out], dense ones [in, out],
pictures [N, height, width, channels]; an LSTM has one bias where ours has two whose sum counts, and the gates stand in
the same order (Keras: i, f, c, o; here: i, f, g, o).
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

Values = Mapping[str, Tensor]
Arrays = list[np.ndarray[Any, Any]]


def libraries(threads: int) -> tuple[Any, Any]:
    """Keras and TensorFlow, with as many threads as PyTorch has.

    Args:
        threads: of one operation, and operations at a time.

    Raises:
        RuntimeError: TensorFlow is at work already, with other threads.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    return keras, tensorflow


def pictures(keras: Any, size: int) -> Any:
    """The convolutional network of Keras's introduction: three convolutions, two poolings, two dense layers."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((size, size, 1)),
            layers.Conv2D(32, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    return model


def sequences(keras: Any, steps: int, features: int) -> Any:
    """Three LSTM layers and a sigmoid over sequences."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((steps, features)),
            layers.LSTM(128, return_sequences=True),
            layers.LSTM(128, return_sequences=True),
            layers.LSTM(128),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return model


def pictures_arrays(values: Values) -> Arrays:
    """ConvNet's weights, or their gradients, as Keras lays them out.

    Args:
        values: by the names of ConvNet's parameters.
    """
    found = []
    for name, value in values.items():
        array = value.detach()
        if array.ndim == 4:
            array = array.permute(2, 3, 1, 0)
        elif name == "classifier.0.weight":  # reads what Flatten gave: there channels come first, in Keras last
            array = array.unflatten(1, (64, 3, 3)).permute(2, 3, 1, 0).flatten(0, 2)
        elif array.ndim == 2:
            array = array.T
        found.append(array.numpy())
    return found


def sequences_arrays(values: Values, *, gradients: bool = False) -> Arrays:
    """LSTMClassifier's weights, or their gradients, as Keras lays them out.

    Args:
        values: by the names of LSTMClassifier's parameters.
        gradients: whether they are gradients: those of both biases are the same, that of their sum.
    """
    found = []
    for layer in range(3):
        inputs, state, bias, other = (
            values[f"lstm.{name}_l{layer}"].detach() for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        found += [inputs.T, state.T, bias if gradients else bias + other]
    found += [values["head.weight"].detach().T, values["head.bias"].detach()]
    return [array.numpy() for array in found]


def outputs_and_gradients(tensorflow: Any, model: Any, inputs: Any, targets: Any) -> list[Tensor]:
    """What a model of Keras gives for a batch, and the gradients of its loss.

    Args:
        tensorflow: the library.
        model: compiled.
        inputs: of the batch.
        targets: likewise.
    """
    with tensorflow.GradientTape() as tape:
        outputs = model(inputs, training=True)
        loss = model.loss(targets, outputs) if callable(model.loss) else model.compute_loss(y=targets, y_pred=outputs)
    gradients = tape.gradient(loss, model.trainable_variables)
    return [torch.from_numpy(np.array(part)) for part in (outputs, *gradients)]
