"""Keras with the backend of JAX, which is its fastest on a CPU."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
from numpy.typing import NDArray

import data
from cases import Net, Train
from peers.base import Job, Peer, training


def model(net: Net) -> keras.Sequential:
    """Return a net that ends in the activation of the case."""
    layers: list[Any] = [keras.Input((net.widths[0],))]
    for _, outputs in pairwise(net.widths[:-1]):
        layers.append(keras.layers.Dense(outputs, net.hidden))
    layers.append(keras.layers.Dense(net.widths[-1]))
    return keras.Sequential(layers)


class Keras(Peer):
    """Epochs by `fit`; its threads are those of JAX."""

    @property
    def version(self) -> str:
        return str(keras.__version__)

    def train(self, case: Train) -> list[Job]:
        if not case.net.is_classifier:
            return []
        net = model(case.net)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        x, t = data.inputs(case.net, case.samples), data.targets(case.net, case.samples)

        kind = keras.optimizers.SGD if case.optimizer == "SGD" else keras.optimizers.Adam
        extra = {} if case.optimizer == "SGD" else {"epsilon": 1e-8}
        net.compile(kind(case.lr, **extra), loss)

        def begin() -> None:
            # Compiled anew, it would be traced anew.
            net.set_weights([array for pair in data.parameters(case.net) for array in pair])
            for variable in net.optimizer.variables:
                if variable is not net.optimizer._learning_rate:
                    variable.assign(np.zeros(variable.shape))
            keras.utils.set_random_seed(case.seed)

        def fit(x: NDArray[Any], t: NDArray[Any], *, shuffle: bool = True) -> None:
            net.fit(x, t, batch_size=case.batch, shuffle=shuffle, verbose=0)

        def run_checked() -> None:
            fit(x[: case.checked_samples], t[: case.checked_samples], shuffle=False)

        return [training(case, lambda: fit(x, t), run_checked, begin, net.get_weights)]
