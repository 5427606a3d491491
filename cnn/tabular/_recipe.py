"""The network for tables and its training: RealMLP-TD, and averages of weights.

D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted
Trees on Tabular Data", NeurIPS 2024: scaled and clipped numbers with periodic embeddings (PBLD),
one-hot or embedded categories, a learned scale of features, NTK parametrization, parametric
activations, initial weights that fit the data, and schedules of learning rate, weight decay and
dropout. The epoch with the best score on held-out rows is kept.

With a momentum, what is scored and kept is an exponential moving average of the weights over the
epochs. That averages help is due to B. T. Polyak and A. B. Juditsky, "Acceleration of Stochastic
Approximation by Averaging", 1992. A quarter of the published epochs then gives smaller errors,
with GELU and a tenth of the rows held out (benchmarks/tabular/results).
"""

from __future__ import annotations

import bisect
import copy
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn.callbacks import Callback
from cnn.layers import Columns, Dense, Dropout, Layer, ParametricActivation, Scale, normal
from cnn.optimizers import AdamW, Group
from cnn.schedules import CosineLog, FlatCosine
from cnn.sequential import Sequential, network_of
from cnn.tabular._epochs import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from numpy.typing import NDArray

    from cnn.columns import Column
    from cnn.history import History
    from cnn.losses import Loss

# The rows that initial weights are fitted to.
_INITIAL_ROWS = 8192
# The points of which an initial bias is a random mean ("he+5").
_POINTS = 5
# Below this share of the largest sum a deviation is one of rounding.
_ROUNDING = 1e-6
# The cycles of the learning rate, and the shares of all epochs after which each has its peak.
_CYCLES = 4
_PEAKS = tuple((2.0 ** (cycle + 0.5) - 1.0) / (2.0**_CYCLES - 1.0) for cycle in range(_CYCLES))


@dataclass(frozen=True)
class Recipe:
    """The settings of a network for tables and of its training, by default the published ones."""

    hidden: tuple[int, ...] = (256, 256, 256)
    activation: str = "mish"
    lr: float = 0.2
    epochs: int = 256
    batch_size: int = 256
    dropout: float = 0.15
    weight_decay: float = 0.02
    frequencies: int = 16
    periodic_size: int = 4
    sigma: float = 0.1
    embedding_size: int = 8
    one_hot: int = 8
    clip: float = 3.0
    momentum: float = 0.0
    """The share that an epoch's average of weights has of the one before; 0 for no averages."""
    betas: tuple[float, float] = (0.9, 0.95)
    validation_fraction: float = 0.2
    most_validation_rows: int | None = None
    """The most rows that are held out whatever their share; None for no bound."""

    def for_rows(self, rows: int) -> Recipe:
        """Return the recipe with the share that is held out of so many rows."""
        if self.most_validation_rows is None:
            return self
        most = self.most_validation_rows / rows
        return replace(self, validation_fraction=min(self.validation_fraction, most))


# What presets of the estimators change of the published recipe.
_AVERAGED = {
    "epochs": 64,
    "sigma": 1.0,
    "momentum": 0.8,
    "activation": "gelu",
    "validation_fraction": 0.1,
}
PRESETS: dict[str, dict[str, Any]] = {
    "default": _AVERAGED,
    "fast": {**_AVERAGED, "hidden": (128, 128), "epochs": 19, "dropout": 0.0},
    "realmlp": {},
}


def layers_of(recipe: Recipe, columns: Sequence[Column], outputs: int, output: Any) -> list[Layer]:
    """Return the layers of a network; `columns` are those of its rows."""
    first = Columns(
        columns,
        clip=recipe.clip,
        frequencies=recipe.frequencies,
        periodic_size=recipe.periodic_size,
        embedding_size=recipe.embedding_size,
        sigma=recipe.sigma,
    )
    found: list[Layer] = [first, Scale(first.outputs)]
    width = first.outputs
    activation: Any = recipe.activation
    for size in recipe.hidden:
        found.append(Dense(width, size, init=normal(1.0), parametrization="ntk"))
        found.append(ParametricActivation(size, activation))
        if recipe.dropout > 0:
            found.append(Dropout(recipe.dropout))
        width = size
    found.append(Dense(width, outputs, output, init=normal(1.0), parametrization="ntk"))
    return found


def network(
    recipe: Recipe, columns: Sequence[Column], x: NDArray[Any], outputs: int, output: Any, seed: int
) -> Sequential:
    """Return a network whose initial weights fit rows x."""
    layers = layers_of(recipe, columns, outputs, output)
    first = layers[0]
    assert isinstance(first, Columns)
    first.adapt(x)
    net = Sequential(layers, rng=seed)
    fit_initial_weights(net, x)
    return net


def fit_initial_weights(net: Sequential, x: NDArray[Any]) -> None:
    """Give each unit's sums a deviation of 1 over rows x, and 0 at a random mean of five rows."""
    random = np.random.Generator(np.random.Philox(net.seed))
    rows = x[random.permutation(len(x))[:_INITIAL_ROWS]] if len(x) > _INITIAL_ROWS else x
    values = rows.astype(net.dtype)
    for layer in net.layers:
        if isinstance(layer, Dense):
            weight = layer.weight
            sums = _core.dense(values, weight, None, "identity")
            deviation = _deviation(sums)
            layer.weight = weight / deviation
            points = (sums / deviation)[
                random.integers(0, len(sums), (layer.outputs, _POINTS)),
                np.arange(layer.outputs)[:, np.newaxis],
            ]
            layer.bias = -(points * _shares(random, layer.outputs)).sum(axis=1)
        if not isinstance(layer, Dropout):
            values = layer(values)


def mean_of(outputs: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Return the mean of the outputs of several networks, added in their order."""
    total = np.zeros(outputs[0].shape)
    for output in outputs:
        total += output
    found: NDArray[np.float64] = total / len(outputs)
    return found


def logits_of(net: Sequential, x: NDArray[Any]) -> NDArray[Any]:
    """Return the sums of the last layer of a network, before its softmax."""
    last = net.layers[-1]
    assert isinstance(last, Dense)
    sums = Dense(last.inputs, last.outputs, init="zeros", parametrization=last.parametrization)
    plain = Sequential([sums], rng=0, dtype=net.dtype)
    sums.weight, sums.bias = last.weight, last.bias
    values = x.astype(net.dtype)
    for layer in net.layers[:-1]:
        if not isinstance(layer, Dropout):
            values = layer(values)
    return plain.predict(values)


def cool(net: Sequential, temperature: float) -> None:
    """Divide the sums of the last layer of a network by a temperature."""
    last = net.layers[-1]
    assert isinstance(last, Dense)
    last.weight, last.bias = last.weight / temperature, last.bias / temperature


def _shares(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Return random shares of 1 for each point, all shares being equally likely."""
    cuts = np.sort(random.random((count, _POINTS - 1)), axis=1)
    ends = np.concatenate((np.zeros((count, 1)), cuts, np.ones((count, 1))), axis=1)
    return np.diff(ends, axis=1)


def _deviation(sums: NDArray[Any]) -> NDArray[np.float64]:
    """Return the standard deviation of each column, and 1 for 0: the same bits on every machine."""
    values = sums.astype(np.float64)
    ones = np.full((1, len(values)), 1.0 / len(values))
    mean = _core.dense(ones, values, None, "identity")
    square = _core.dense(ones, (values - mean) ** 2, None, "identity")[0]
    deviation = np.sqrt(square)
    # Sums that are the same but for rounding have no deviation to speak of.
    least = _ROUNDING * np.abs(values).max(axis=0)
    found: NDArray[np.float64] = np.where(deviation > least, deviation, 1.0)
    return found


def optimizer_of(recipe: Recipe, steps: int, names: Collection[str]) -> AdamW:
    """Return the optimizer, with the recipe's groups and schedules, for a network's parameters."""

    def decay(factor: float) -> FlatCosine:
        return FlatCosine(recipe.weight_decay * factor, steps)

    # The published code multiplies the decay of a group by its factor of the learning rate twice.
    groups = [
        Group("bias", lr=0.1, weight_decay=0.0),
        Group("factor", lr=6.0, weight_decay=decay(6.0)),
        Group("mix", lr=0.1, weight_decay=decay(0.1)),
        Group("periodic", lr=0.1, weight_decay=decay(0.1)),
    ]
    groups = [group for group in groups if group.parameters in names]
    return AdamW(
        CosineLog(recipe.lr, steps, _CYCLES),
        betas=recipe.betas,
        weight_decay=decay(1.0),
        groups=groups,
    )


@dataclass(frozen=True)
class Candidate:
    """The averages of weights after an epoch, and their error on the held-out rows."""

    error: float
    epoch: int
    weights: list[NDArray[Any]]


class Best(Callback):
    """Averages the weights over the epochs, and keeps the averages with the least error.

    Of equal errors the last one counts. Without `error` the averages of the last epoch are kept.
    `peaks` are epochs; `candidates` has the best averages that are not behind the first of them,
    those behind it that are not behind the second, and so on, by the number of peaks before them.
    """

    def __init__(
        self,
        momentum: float,
        averaged: Sequential,
        error: Callable[[Sequential], float] | None,
        patience: int | None,
        peaks: Sequence[float] = (),
    ) -> None:
        self._momentum = momentum
        self._averaged = averaged
        self._error = error
        self._patience = patience
        self._peaks = peaks
        self._means: list[NDArray[np.float64]] | None = None
        self.candidates: dict[int, Candidate] = {}

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        """Average the weights and measure their error."""
        weights = self._average()
        error = -math.inf
        if self._error is not None:
            self._averaged.set_weights(weights)
            error = self._error(self._averaged)
        passed = bisect.bisect_left(self._peaks, epoch)
        least = self.candidates[passed].error if passed in self.candidates else math.inf
        if error <= least:
            self.candidates[passed] = Candidate(error, epoch, weights)
        if self._patience is not None and epoch - self.epoch >= self._patience:
            self.model.stop_training = True

    def on_train_end(self, logs: Any) -> None:
        """Go back to the best weights."""
        if self.candidates:
            self.model.set_weights(_best(self.candidates).weights)

    @property
    def epoch(self) -> int:
        """The best epoch, or 0 if there is none yet."""
        return _best(self.candidates).epoch if self.candidates else 0

    def _average(self) -> list[NDArray[Any]]:
        """Return the averages after one more epoch, as the network's numbers."""
        weights = self.model.get_weights()
        if self._momentum == 0:
            return weights
        if self._means is None:
            self._means = [weight.astype(np.float64) for weight in weights]
        for mean, weight in zip(self._means, weights, strict=True):
            np.multiply(mean, self._momentum, out=mean)
            np.add(mean, weight.astype(np.float64) * (1.0 - self._momentum), out=mean)
        return [mean.astype(self.model.dtype) for mean in self._means]


def _best(candidates: dict[int, Candidate]) -> Candidate:
    return min(candidates.values(), key=lambda each: (each.error, -each.epoch))


@dataclass
class Trained:
    """A network that was trained, and how."""

    net: Sequential
    history: History
    best_epoch: int
    interrupted: bool = False
    candidates: dict[int, Candidate] = field(default_factory=dict)
    """The best epochs between peaks of the learning rate, for `agree`."""


def agree(members: Sequence[Trained]) -> None:
    """Give members the weights that they had between the same two peaks of the learning rate.

    The peaks are those between which the mean of the members' errors is least. All held-out rows
    together tell that better than those of one member, which are few, and a mean gains from
    members that fit their rows closely. A member that ended before keeps its own best epoch.
    """
    own = [_best(member.candidates) for member in members if member.candidates]
    if len(own) < len(members):
        return

    def chosen(passed: int) -> list[Candidate]:
        return [each.candidates.get(passed, best) for each, best in zip(members, own, strict=True)]

    every = sorted({passed for member in members for passed in member.candidates})
    errors = {passed: sum(each.error for each in chosen(passed)) for passed in every}
    agreed = min(every, key=lambda passed: (errors[passed], -passed))
    for member, candidate in zip(members, chosen(agreed), strict=True):
        member.net.set_weights(candidate.weights)
        member.best_epoch = candidate.epoch


def train(
    recipe: Recipe,
    net: Sequential,
    samples: tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None],
    loss: Loss,
    error: Callable[[Sequential], float] | None,
    *,
    patience: int | None = None,
    callbacks: Sequence[Any] = (),
    progress: Any = False,
    class_weight: Any = None,
    keep_interrupted: bool = False,
    is_member: bool = False,
) -> Trained:
    """Train a network; with `error`, keep the epoch for whose averages it is least.

    A member of several networks has candidates for `agree`. With `keep_interrupted`, Ctrl-C ends
    the training if an epoch was finished. Otherwise it raises KeyboardInterrupt.
    """
    x, t, sample_weight = samples
    batches = max(1, round(len(x) / recipe.batch_size))
    batch_size = -(-len(x) // batches)
    steps = recipe.epochs * -(-len(x) // batch_size)
    names = {name for _, name, _ in network_of(net).trained}
    optimizer = optimizer_of(recipe, steps, names)
    peaks = [peak * recipe.epochs for peak in _PEAKS] if is_member and error else []
    best = Best(recipe.momentum, copy.deepcopy(net), error, patience, peaks)
    recorder = Recorder()
    interrupted = False
    try:
        history = net.fit(
            x,
            t,
            epochs=recipe.epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            loss=loss,
            sample_weight=sample_weight,
            class_weight=class_weight,
            callbacks=[*callbacks, best, recorder],
            progress=progress,
            dropout=FlatCosine(1.0, steps),
        )
    except KeyboardInterrupt:
        if not keep_interrupted or not len(recorder.history):
            raise
        history, interrupted = recorder.history, True
        best.on_train_end({})  # restores the weights of the best epoch
    return Trained(net, history, best.epoch, interrupted, best.candidates)
