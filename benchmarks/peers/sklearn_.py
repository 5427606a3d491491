"""scikit-learn's MLPClassifier and MLPRegressor."""

from __future__ import annotations

from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier, MLPRegressor

import data
from cases import Net, Predict, Train
from peers.base import Job, Peer, same, training

ACTIVATIONS = {"sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}


def model(net: Net, batch: int, **settings: Any) -> MLPClassifier | MLPRegressor:
    """Return a model with the parameters that all peers start from."""
    kind = MLPClassifier if net.is_classifier else MLPRegressor
    made = kind(
        hidden_layer_sizes=net.widths[1:-1],
        activation=ACTIVATIONS[net.hidden],
        alpha=0.0,
        batch_size=batch,
        shuffle=False,
        **settings,
    )
    # A first step makes the arrays of parameters, which are then filled.
    classes = {"classes": np.arange(net.widths[-1])} if net.is_classifier else {}
    made.partial_fit(data.inputs(net, batch), data.targets(net, batch), **classes)
    begin_anew(made, net)
    return made


def begin_anew(made: MLPClassifier | MLPRegressor, net: Net) -> None:
    """Set the parameters that all peers start from."""
    for i, (weight, bias) in enumerate(data.parameters(net)):
        made.coefs_[i][...] = weight
        made.intercepts_[i][...] = bias
    if hasattr(made, "_optimizer"):
        del made._optimizer  # the next step begins with a new one


class Sklearn(Peer):
    """Its threads are those of NumPy's BLAS."""

    @property
    def version(self) -> str:
        return str(sklearn.__version__)

    def predict(self, case: Predict) -> list[Job]:
        net = model(case.net, 1)
        x = data.inputs(case.net, case.rows)
        call = net.predict_proba if case.net.is_classifier else net.predict
        return [same(lambda: call(x))]

    def train(self, case: Train) -> list[Job]:
        settings: dict[str, Any] = {"solver": "adam"}
        if case.optimizer == "SGD":
            settings = {"solver": "sgd", "momentum": 0.0, "nesterovs_momentum": False}
        net = model(case.net, case.batch, learning_rate_init=case.lr, **settings)
        x, t = data.inputs(case.net, case.samples), data.targets(case.net, case.samples)

        def begin() -> None:
            begin_anew(net, case.net)
            net._random_state = np.random.RandomState(case.seed)

        def run_checked() -> None:
            net.partial_fit(x[: case.checked_samples], t[: case.checked_samples])
            net.set_params(shuffle=True)

        def parameters() -> list[NDArray[Any]]:
            pairs = zip(net.coefs_, net.intercepts_, strict=True)
            return [array.copy() for pair in pairs for array in pair]

        return [training(case, lambda: net.partial_fit(x, t), run_checked, begin, parameters)]
