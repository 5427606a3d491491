"""Pickle, cloudpickle, joblib and skops: what they bring back is the same and trains on alike."""

import copy
import pickle

import cloudpickle
import joblib
import numpy as np
import pytest
import skops.io
from estimators import INDICATOR, LABELS, T2, X, same, small
from refused import refused

import cnn
from cnn.sklearn import MLPClassifier, MLPRegressor

# What stops before it has converged is what most of these tests want, for it takes less time.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def through_joblib(thing, folder, mmap_mode=None):
    joblib.dump(thing, folder / "thing.joblib")
    return joblib.load(folder / "thing.joblib", mmap_mode=mmap_mode)


def through_skops(thing, _):
    data = skops.io.dumps(thing)
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


WAYS = {
    **{
        f"pickle {protocol}": lambda thing, _, protocol=protocol: pickle.loads(
            pickle.dumps(thing, protocol)
        )
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "cloudpickle": lambda thing, _: pickle.loads(cloudpickle.dumps(thing)),
    "joblib": through_joblib,
    "joblib, mapped": lambda thing, folder: through_joblib(thing, folder, "r"),
    "skops": through_skops,
    "deepcopy": lambda thing, _: copy.deepcopy(thing),
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)

# ---- Estimators --------------------------------------------------------------------------------

NAMES = np.array(["a", "b", "c"], dtype=object)[LABELS]
ESTIMATORS = {
    "labels": (MLPClassifier, {}, LABELS),
    "objects": (MLPClassifier, {"random_state": np.random.RandomState(3)}, NAMES),
    "strings": (MLPClassifier, {"dropout": 0.2}, NAMES.astype(str)),
    "several labels": (MLPClassifier, {"batch_size": 7}, INDICATOR),
    "invscaling": (MLPClassifier, {"solver": "sgd", "learning_rate": "invscaling"}, LABELS),
    "regression": (MLPRegressor, {}, T2),
    "counts": (MLPRegressor, {"loss": "poisson", "solver": "sgd"}, LABELS),
}


@each_way
@pytest.mark.parametrize("case", ESTIMATORS.values(), ids=ESTIMATORS)
def test_estimators_train_on_alike(case, way, dtype, tmp_path):
    kind, options, y = case
    x = X.astype(dtype)
    model = small(kind, **options).fit(x, y)
    twin = way(model, tmp_path)
    assert type(twin) is kind
    before = model.predict(x)
    found = twin.predict(x)
    assert type(found) is np.ndarray
    assert (found.dtype, found.tolist()) == (before.dtype, before.tolist())
    for _ in range(2):
        twin.partial_fit(x, y)
    np.testing.assert_array_equal(model.predict(x), before)
    for _ in range(2):
        model.partial_fit(x, y)
    assert same(model, twin)
    assert (twin.loss_, twin.t_, twin.loss_curve_) == (model.loss_, model.t_, model.loss_curve_)


@each_way
def test_estimators_of_lbfgs(way, tmp_path):
    model = small(solver="lbfgs", warm_start=True).fit(X, LABELS)
    twin = way(model, tmp_path)
    assert same(model, twin)
    assert same(model.fit(X, LABELS), twin.fit(X, LABELS))


def test_what_skops_asks_to_trust():
    """No function is among them: skops cannot restore what only a function can."""
    found = skops.io.get_untrusted_types(data=skops.io.dumps(small().fit(X, LABELS)))
    assert set(found) <= {
        "cnn.history.History",
        "cnn.optimizers.Adam",
        "cnn.optimizers._State",
        "cnn.sequential.Sequential",
        "cnn.sklearn._classifier.MLPClassifier",
        "numpy.dtype",
    }


# ---- Networks and what trains them -------------------------------------------------------------


class Labelled(cnn.Sequential):
    """A network of a user's own class."""

    def __init__(self, label):
        super().__init__([cnn.Dense(4, 5, "tanh"), cnn.Dense(5, 3, "softmax")], rng=3)
        self.label = label


@each_way
@pytest.mark.parametrize("optimizer", [cnn.SGD(0.1, momentum=0.5), cnn.Adam(), cnn.RMSprop()])
def test_networks_train_on_alike(way, optimizer, dtype, tmp_path):
    net = cnn.mlp([4, 6, 3], "gelu", "softmax", rng=2**64 - 1, dropout=0.3, l2=0.01, dtype=dtype)
    optimizer = copy.copy(optimizer)
    optimizer.lr = cnn.Warmup(cnn.CosineDecay(0.1, 50), 5)
    net.fit(X, LABELS, epochs=2, batch_size=7, optimizer=optimizer)
    net_twin, optimizer_twin = way([net, optimizer], tmp_path)
    assert repr(net_twin) == repr(net)
    assert repr(optimizer_twin) == repr(optimizer)
    expected = net.predict(X)
    net_twin.fit(X, LABELS, epochs=2, batch_size=7, optimizer=optimizer_twin)
    np.testing.assert_array_equal(net.predict(X), expected)
    net.fit(X, LABELS, epochs=2, batch_size=7, optimizer=optimizer)
    np.testing.assert_array_equal(net_twin.predict(X), net.predict(X))
    assert net_twin.epochs == net.epochs == 4


@pytest.mark.parametrize("way", [*WAYS.values(), lambda net, _: copy.copy(net)])
def test_classes_and_attributes_of_ones_own_travel(way, tmp_path):
    net = Labelled({"name": "first"})
    twin = way(net, tmp_path)
    assert type(twin) is Labelled
    assert twin.label == {"name": "first"}
    twin.layers[0].weight = 0 * twin.layers[0].weight
    assert net.layers[0].weight.any()


PARTS = [
    *(cnn.SGD(0.1, momentum=0.9), cnn.Adam(), cnn.AdamW(), cnn.RMSprop(), cnn.Adagrad()),
    *(cnn.CrossEntropy(label_smoothing=0.1), cnn.BinaryCrossEntropy(), cnn.Huber(2.0)),
    *(cnn.SquaredError(), cnn.Poisson(), cnn.AbsoluteError(), cnn.Quantile((0.2, 0.7))),
    *(cnn.Constant(0.1), cnn.CosineDecay(0.1, 50), cnn.ExponentialDecay(0.1, 0.9)),
    *(cnn.StepDecay(0.1, 3), cnn.Warmup(0.1, 5)),
    *(cnn.Dense(3, 4, "relu", init=cnn.uniform(0.1), l2=0.1), cnn.Dropout(0.5)),
]


@each_way
@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_parts(part, way, tmp_path):
    twin = way(part, tmp_path)
    assert type(twin) is type(part)
    assert repr(twin) == repr(part)


@each_way
def test_histories_and_callbacks(way, tmp_path):
    net = cnn.mlp([4, 3], "tanh", "softmax", rng=0)
    stop = cnn.EarlyStopping("loss", patience=3, restore_best_weights=True)

    def interrupt(epoch, logs):
        if epoch == 5:
            raise KeyboardInterrupt

    history = net.fit(X, LABELS, epochs=2)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, LABELS, epochs=9, callbacks=[stop, cnn.LambdaCallback(on_epoch_end=interrupt)])
    assert stop._best_weights is not None  # the fit was broken off
    assert way(history, tmp_path).to_dict() == history.to_dict()
    twin = way(stop, tmp_path)
    assert (twin.best, twin.best_epoch, twin.patience) == (stop.best, stop.best_epoch, 3)
    twin.model.fit(X, LABELS, epochs=2, callbacks=[twin])


# ---- Old and bad pickles -----------------------------------------------------------------------


def test_pickles_of_earlier_versions():
    """They name a function, which stays."""
    net = cnn.mlp([4, 3], "tanh", "softmax", rng=0)

    class Old:
        def __reduce__(self):
            return cnn.sequential._of_bytes, (net._network.to_bytes(),)

    assert repr(pickle.loads(pickle.dumps(Old()))) == repr(net)


@pytest.mark.parametrize("state", [None, 5, {}, {"_network": "text"}, {"_network": None}])
def test_states_that_hold_no_network(state):
    with refused(TypeError, "Sequential: the state of a pickle should hold a network as bytes"):
        cnn.Sequential.__new__(cnn.Sequential).__setstate__(state)


USES = {
    "repr": repr,
    "len": len,
    "list": list,
    "predict": lambda net: net.predict(X),
    "fit": lambda net: net.fit(X, LABELS),
    "evaluate": lambda net: net.evaluate(X, LABELS),
    "train_step": lambda net: net.train_step(X, LABELS, optimizer=cnn.Adam()),
    "gradients": lambda net: net.gradients(X, LABELS),
    "save": lambda net: net.save("unused"),
    "epochs": lambda net: net.epochs,
    "summary": lambda net: net.summary(),
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_half_restored_network_raises(use):
    with pytest.raises(AttributeError):
        use(cnn.Sequential.__new__(cnn.Sequential))
