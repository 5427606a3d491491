"""Random valid and invalid calls of the Python API, by a state machine of Hypothesis.

After each call the network is usable: it predicts what NumPy computes of its weights. A call that
failed has changed no bit, and copies are independent. `CNN_FUZZ_EXAMPLES` asks for more sequences.
"""

import copy
import os
import pickle
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from column_networks import features
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import cnn
from cnn.columns import Embedding, OneHot, Periodic
from cnn.optimizers import Group

EXAMPLES = int(os.environ.get("CNN_FUZZ_EXAMPLES", "12"))
INPUTS, OUTPUTS, ROWS = 3, 2, 7
COLUMNS = [Periodic(missing=True), OneHot(3), Embedding(4)]
REFUSED = (ValueError, TypeError, OSError, FloatingPointError)
FORMULAS = {
    "identity": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "softplus": lambda z: np.logaddexp(z, 0),
    "softmax": lambda z: (
        np.exp(z - z.max(1, keepdims=True))
        / np.exp(z - z.max(1, keepdims=True)).sum(1, keepdims=True)
    ),
}
BAD_INPUTS = [
    np.zeros((ROWS, INPUTS + 1)),
    np.zeros((0, INPUTS)),
    np.full((ROWS, INPUTS), np.nan),
    np.full((ROWS, INPUTS), np.inf),
    np.zeros((ROWS, INPUTS), complex),
    np.array([["a"] * INPUTS] * ROWS),
    np.empty((ROWS, INPUTS), object),
    None,
    "no such file.npy",
    3,
    iter([]),
    [(np.zeros((2, INPUTS)), np.zeros((3, OUTPUTS)))],
]
BAD_OPTIONS = [
    {"epochs": 0},
    {"epochs": 1.5},
    {"batch_size": 0},
    {"batch_size": "all"},
    {"optimizer": "adamant"},
    {"optimizer": cnn.Adam},
    {"loss": "huge"},
    {"sample_weight": np.zeros(ROWS)},
    {"sample_weight": -np.ones(ROWS)},
    {"sample_weight": np.ones(ROWS - 1)},
    {"validation_split": 1.0},
    {"validation_data": (np.zeros((2, INPUTS)), np.zeros((2, OUTPUTS + 1)))},
    {"callbacks": 3},
    {"metrics": "accuracies"},
    {"shuffle": "yes"},
    {"verbose": 7},
    {"progress": 3},
    {"epoch": 1},
]


class Stop(Exception):
    """What a callback raises."""


class Raises(cnn.Callback):
    def __init__(self, hook):
        self._hook = hook

    def on_train_begin(self, *_):
        self._raise("begin")

    def on_epoch_end(self, *_):
        self._raise("epoch")

    def _raise(self, hook):
        if hook == self._hook:
            raise Stop


def bits(net):
    return net._network.to_bytes()


def reference(net, x):
    """Return what NumPy computes of the network's weights in float64."""
    y = np.asarray(x, float)
    for layer in net.layers:
        if isinstance(layer, cnn.Standardize):
            y = (y - np.asarray(layer.mean, float)) / np.asarray(layer.scale, float)
        elif isinstance(layer, cnn.Columns):
            y = features(layer, x).value.astype(float)
        elif isinstance(layer, cnn.Scale):
            y = y * np.asarray(layer.factor, float)
        elif isinstance(layer, cnn.ParametricActivation):
            y = y + np.asarray(layer.mix, float) * (FORMULAS[layer.activation](y) - y)
        elif isinstance(layer, cnn.Dense):
            y = FORMULAS[layer.activation](
                y @ np.asarray(layer.weight, float) + np.asarray(layer.bias, float)
            )
    return y


class Calls(RuleBasedStateMachine):
    """Calls on a network, an optimizer, and copies that must stay as they are."""

    @initialize(
        hidden=st.sampled_from(["relu", "tanh", "sigmoid", "softplus"]),
        output=st.sampled_from(["identity", "softmax", "sigmoid"]),
        dtype=st.sampled_from(["float32", "float64"]),
        first=st.sampled_from(["dense", "standardize", "columns"]),
        dropout=st.booleans(),
        grouped=st.booleans(),
        seed=st.integers(0, 5),
    )
    def build(self, hidden, output, dtype, first, dropout, grouped, seed):
        rng = np.random.default_rng(seed)
        l2 = 1e-3 * (seed % 2)
        self.x = rng.normal(size=(ROWS, INPUTS))
        self.of_columns, self.grouped = first == "columns", grouped
        if self.of_columns:
            self.x[:, 1:] = rng.integers(0, 4, (ROWS, 2))  # of the codes 0 to 2 one is unknown
            self.x[rng.random((ROWS, INPUTS)) < 0.1] = np.nan
            made = cnn.Columns(COLUMNS, frequencies=3, embedding_size=2)
            stages = [made, cnn.Scale(made.outputs)]
            stages += [cnn.Dense(made.outputs, 17, l2=l2, parametrization="ntk")]
            stages += [cnn.ParametricActivation(17, hidden)]
        else:
            stages = [cnn.Standardize(INPUTS)] if first == "standardize" else []
            stages += [cnn.Dense(INPUTS, 17, hidden, l2=l2)]
        stages += [cnn.Dropout(0.3)] if dropout else []
        stages += [cnn.Dense(17, OUTPUTS, output)]
        self.net = cnn.Sequential(stages, rng=seed, dtype=dtype)
        self.t = np.eye(OUTPUTS)[rng.integers(0, OUTPUTS, ROWS)]
        self.optimizer = self.new_optimizer()
        self.copies = []
        self.folder = tempfile.TemporaryDirectory()

    def new_optimizer(self):
        """Return an optimizer that has made no step, with groups and schedules in some runs."""
        if not self.grouped:
            return cnn.Adam(0.01)
        names = ("embedding", "periodic", "factor", "mix") if self.of_columns else ((0, "weight"),)
        if isinstance(self.net.layers[0], cnn.Standardize):
            names = ((1, "weight"),)
        groups = [Group("bias", lr=0.5, weight_decay=0.0), Group(names, lr=cnn.StepDecay(0.5, 3))]
        decay = cnn.FlatCosine(0.1, steps=9)
        return cnn.AdamW(cnn.CosineLog(0.01, steps=9), weight_decay=decay, groups=groups)

    def teardown(self):
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def refused(self, call, *arguments, errors=REFUSED, **options):
        """Make a call that must fail, and change nothing."""
        before, steps = bits(self.net), self.optimizer.steps
        with pytest.raises(errors) as caught:
            call(*arguments, **options)
        assert str(caught.value) or caught.type is Stop
        assert bits(self.net) == before
        assert self.optimizer.steps == steps

    # ---- Valid calls -------------------------------------------------------------------------

    @rule(epochs=st.integers(1, 3), batch_size=st.integers(1, ROWS + 1), own=st.booleans())
    def fit(self, epochs, batch_size, own):
        before = bits(self.net)
        options = {"optimizer": self.optimizer} if own else {}
        self.net.fit(self.x, self.t, epochs=epochs, batch_size=batch_size, **options)
        assert bits(self.net) != before

    @rule(size=st.integers(1, ROWS))
    def fit_batches(self, size):
        batches = [(self.x[i : i + size], self.t[i : i + size]) for i in range(0, ROWS, size)]
        self.net.fit(batches, optimizer=self.optimizer, batch_size=size)

    @rule(rate=st.floats(0, 1))
    def fit_with_another_dropout(self, rate):
        before = self.optimizer.steps
        dropout = cnn.FlatCosine(rate, steps=5)
        self.net.fit(self.x, self.t, batch_size=3, optimizer=self.optimizer, dropout=dropout)
        assert self.optimizer.steps == before + 3

    @rule()
    def step(self):
        if self.grouped:
            self.refused(self.net.train_step, self.x, self.t, optimizer=self.optimizer)
            return
        steps = self.optimizer.steps
        self.net.train_step(self.x, self.t, optimizer=self.optimizer)
        assert self.optimizer.steps == steps + 1

    @rule(shards=st.integers(1, 3))
    def fit_shards(self, shards):
        x, t = (np.array_split(array, shards) for array in (self.x, self.t))
        parts = list(zip(x, t, strict=True))
        cnn.distributed.fit(self.net, parts, batch_size=ROWS, optimizer=cnn.SGD(0.01))

    @rule()
    def evaluate(self):
        before = bits(self.net)
        assert self.net.evaluate(self.x, self.t)["loss"] >= 0
        assert bits(self.net) == before

    @rule()
    def save_and_load(self):
        path = Path(self.folder.name) / "net"
        steps = self.optimizer.steps
        try:
            self.net.save(path, optimizer=self.optimizer)
        except ValueError:  # it has made no step, and belongs to no network
            assert steps == 0
            self.net.save(path)
            loaded = cnn.load(path)
        else:
            loaded, self.optimizer = cnn.load_checkpoint(path)
            assert self.optimizer.steps == steps
        assert bits(loaded) == bits(self.net)
        self.copies.append((self.net, bits(self.net)))
        self.net = loaded
        if self.optimizer.steps == 0:
            self.optimizer = self.new_optimizer()

    @rule(how=st.sampled_from([copy.copy, copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))]))
    def take_copy(self, how):
        made = how(self.net)
        assert bits(made) == bits(self.net)
        self.copies = [*self.copies[-3:], (made, bits(made))]

    @precondition(lambda self: self.copies)
    @rule()
    def train_copy(self):
        before = bits(self.net)
        made, _ = self.copies.pop()
        made.fit(self.x, self.t, optimizer=cnn.SGD(0.1))
        assert bits(self.net) == before

    @rule(scale=st.floats(-2, 2))
    def set_weights(self, scale):
        if self.of_columns:  # frequencies stay small, so that float32 has digits for their turns
            scale = max(-1.0, min(scale, 1.0))
        weights = [w * scale for w in self.net.get_weights()]
        self.net.set_weights(weights)
        for a, b in zip(weights, self.net.get_weights(), strict=True):
            assert np.array_equal(a, b)

    # ---- Calls that fail ---------------------------------------------------------------------

    @rule(bad=st.sampled_from(BAD_INPUTS), call=st.sampled_from(["fit", "evaluate", "train_step"]))
    def bad_inputs(self, bad, call):
        options = {"optimizer": self.optimizer} if call != "evaluate" else {}
        if self.of_columns and isinstance(bad, np.ndarray) and bad.dtype == float:
            bad = np.where(np.isnan(bad), np.inf, bad)  # a NaN is a missing value there
        self.refused(getattr(self.net, call), bad, self.t, **options)

    @rule(options=st.sampled_from(BAD_OPTIONS))
    def bad_options(self, options):
        options = {"optimizer": self.optimizer} | options
        self.refused(self.net.fit, self.x, self.t, **options)

    @rule(bad=st.sampled_from([BAD_INPUTS[i] for i in (0, 5, 6, 7, 8, 9, 10)]))
    def bad_predict(self, bad):
        self.refused(self.net.predict, bad)

    @rule(
        t=st.sampled_from(
            [
                np.zeros((ROWS, OUTPUTS + 1)),
                np.full((ROWS, OUTPUTS), np.nan),
                np.zeros(3),
                "t",
                None,
            ]
        )
    )
    def bad_targets(self, t):
        self.refused(self.net.fit, self.x, t, optimizer=self.optimizer)

    @rule(
        groups=st.sampled_from(
            [[Group("mean")], [Group(((9, "weight"),))], [Group("bias"), Group("gamma")]]
        )
    )
    def groups_that_the_network_lacks(self, groups):
        made = cnn.Adam(0.01, groups=groups)
        self.refused(self.net.fit, self.x, self.t, optimizer=made)
        assert made.steps == 0

    @rule(place=st.integers(0, 4), shape=st.sampled_from([(1,), (INPUTS, 16), ()]))
    def bad_weights(self, place, shape):
        weights = self.net.get_weights()
        weights[min(place, len(weights) - 1)] = np.zeros(shape)
        self.refused(self.net.set_weights, weights if place < 4 else weights[:-1])

    @rule(data=st.binary(max_size=40), cut=st.integers(0, 200))
    def bad_file(self, data, cut):
        path = Path(self.folder.name) / "bad"
        path.write_bytes(bits(self.net)[:cut] + data)
        self.refused(cnn.load, path)
        self.refused(self.net.save, Path(self.folder.name) / "none" / "net")

    @rule()
    def optimizer_of_another(self):
        other = cnn.Sequential([cnn.Dense(INPUTS, OUTPUTS)], rng=0)
        owned = cnn.SGD(0.1)
        other.train_step(np.nan_to_num(self.x), self.t, optimizer=owned)
        self.refused(self.net.train_step, self.x, self.t, optimizer=owned)

    @rule()
    def callback_raises_first(self):
        self.refused(
            self.net.fit,
            self.x,
            self.t,
            optimizer=self.optimizer,
            callbacks=[Raises("begin")],
            errors=Stop,
        )

    @rule()
    def callback_raises_later(self):
        before = bits(self.net)
        try:
            self.net.fit(self.x, self.t, optimizer=self.optimizer, callbacks=[Raises("epoch")])
        except Stop:
            assert bits(self.net) != before
        else:
            raise AssertionError("the callback's error was lost")

    @rule()
    def batches_raise(self):
        def batches():
            yield self.x, self.t
            raise Stop

        before = bits(self.net)
        try:
            self.net.fit(batches(), optimizer=cnn.SGD(0.1))
        except Stop:
            pass
        else:
            raise AssertionError("the error of a generator was lost")
        assert len(bits(self.net)) == len(before)

    # ---- What always holds -------------------------------------------------------------------

    @invariant()
    def predicts_what_numpy_does(self):
        if not hasattr(self, "net"):
            return
        found, expected = self.net.predict(self.x), reference(self.net, self.x)
        tolerance = 1e-4 if self.net.dtype == np.float32 else 1e-12
        scale = max(1.0, float(np.abs(expected).max()))
        assert np.abs(found - expected).max() <= tolerance * scale

    @invariant()
    def copies_are_independent(self):
        for made, before in getattr(self, "copies", ()):
            assert bits(made) == before


TestCalls = Calls.TestCase
TestCalls.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=20,
    deadline=None,
    derandomize=EXAMPLES == 12,
    suppress_health_check=[HealthCheck.too_slow],
)
