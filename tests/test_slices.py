"""What fit and evaluate measure depends on the data alone, wherever time cuts their slices."""

import warnings

import numpy as np
import pytest

import cnn
from cnn import _core
from cnn._training import loop, samples
from cnn._training.sparse import SparseRows

RNG = np.random.default_rng(0)
ROWS = 517
X = RNG.normal(size=(ROWS, 6))
LABELS = RNG.integers(0, 3, ROWS)
WEIGHT = RNG.uniform(0.1, 3, ROWS)
# Slices end after every step, after some, and never; rows are asked for in few and in many pieces.
CUTS = {
    "every step": (1e-12, 65536),
    "two steps": (100.0, 2 * 16),
    "odd": (1e-12, 37),
    "some time": (1e-4, 65536),
    "never": (1e9, 65536),
}


@pytest.fixture(params=list(CUTS)[:-1])
def cut(request, monkeypatch):
    """Return what sets the limits of slices: to those of the parameter, or to none."""

    def apply(*, whole):
        seconds, rows = CUTS["never" if whole else request.param]
        monkeypatch.setattr(loop, "SLICE_SECONDS", seconds)
        monkeypatch.setattr(samples, "SLICE_ROWS", rows)
        monkeypatch.setattr(samples, "SLICE_WORK", 10**12 if whole else 16 * 60)

    return apply


class Plateau(cnn.Callback):
    """Halve the learning rate where the loss has not become less, to the last bit."""

    def __init__(self, metric):
        self.metric, self.best = metric, np.inf

    def on_epoch_end(self, epoch, logs):
        if not logs[self.metric] < self.best:
            self.optimizer.lr = self.optimizer.lr / 2
        self.best = min(self.best, logs[self.metric])


def classifier(dtype):
    return cnn.Sequential(
        [cnn.Dense(6, 20, "tanh", l2=1e-4), cnn.Dropout(0.1), cnn.Dense(20, 3, "softmax")],
        rng=1,
        dtype=dtype,
    )


def trained(dtype, x, **options):
    """Train on a plateau, where the last bits of a loss decide; return all there is to compare."""
    net = classifier(dtype)
    metric = "val_loss" if options.get("validation_data") else "loss"
    stop = cnn.EarlyStopping(metric, patience=2)
    optimizer = cnn.Adam(0.02)
    history = loop.fit(
        net,
        net._network,
        x,
        LABELS,
        **{
            "epochs": 8,
            "batch_size": 16,
            "optimizer": optimizer,
            "loss": None,
            "validation_data": None,
            "sample_weight": None,
            "class_weight": None,
            "shuffle": True,
            "progress": False,
            "callbacks": [stop, Plateau(metric)],
        }
        | options,
    )
    metrics = {name: history[name] for name in history if name != "seconds"}
    weights = [p.tobytes() for i in (0, 2) for p in (net.layers[i].weight, net.layers[i].bias)]
    return metrics, weights, stop.stopped_epoch, optimizer.steps, optimizer.lr


OPTIONS = {
    "plain": {},
    "weights": {"sample_weight": WEIGHT, "class_weight": [1.0, 0.5, 2.0]},
    "zeros": {"sample_weight": np.where(np.arange(ROWS) < 100, 0.0, WEIGHT), "shuffle": False},
    "validation": {
        "validation_data": (X[:300], LABELS[:300], WEIGHT[:300]),
    },
    "in order": {"shuffle": False, "batch_size": 7},
}


@pytest.mark.parametrize("options", OPTIONS)
def test_fit(cut, dtype, options):
    found = []
    for whole in (True, False):
        cut(whole=whole)
        found.append(trained(dtype, X, **OPTIONS[options]))
    assert found[0] == found[1]


def sparse_and_dense(rows=ROWS):
    csr = pytest.importorskip("scipy.sparse").csr_matrix
    x = np.where(RNG.uniform(size=(rows, 6)) < 0.3, RNG.normal(size=(rows, 6)), 0.0)
    return SparseRows(csr(x)), x


@pytest.mark.parametrize("block", [6 * 5, 6 * 100, 2**20])
def test_sparse_rows_are_dense_ones(monkeypatch, block, dtype):
    """Blocks of rows that are made dense cut slices too, at numbers that are no multiples of 16."""
    sparse, x = sparse_and_dense()
    monkeypatch.setattr("cnn._training.sparse.BLOCK_NUMBERS", block)
    options = {"validation_data": (sparse, LABELS, WEIGHT), "shuffle": False}
    found = trained(dtype, sparse, **options, sample_weight=WEIGHT)
    options["validation_data"] = (x, LABELS, WEIGHT)
    assert found == trained(dtype, x, **options, sample_weight=WEIGHT)


@pytest.mark.parametrize("weighted", [False, True])
def test_evaluate(cut, dtype, weighted):
    """However it is cut, it is the sum in 16 lanes over all rows that the contract says."""
    net = classifier(dtype)
    found = []
    for whole in (True, False):
        cut(whole=whole)
        found.append(net.evaluate(X, LABELS, sample_weight=WEIGHT if weighted else None))
    assert found[0] == found[1]
    whole = net._network.evaluate(
        _core.Loss("cross_entropy", labels=True), X, LABELS, WEIGHT if weighted else None
    )
    assert found[0]["loss"] == whole.loss


def test_pieces_of_any_length(dtype):
    network = classifier(dtype)._network
    loss = _core.Loss("cross_entropy", labels=True)
    whole = network.evaluate(loss, X, LABELS, WEIGHT)
    for ends in ([1, 2, 30, 31, 200], [100], [5, 400, 516]):
        result = _core.Result()
        for first, end in zip([0, *ends], [*ends, ROWS], strict=True):
            rows = slice(first, end)
            result = network.evaluate(loss, X[rows], LABELS[rows], WEIGHT[rows], so_far=result)
        for name in ("loss_sum", "weight_sum", "rows", "correct"):
            assert getattr(result, name) == getattr(whole, name)


def test_epochs_in_calls(network_of):
    """An epoch of the C interface in one call, and in calls of a step or of some."""
    x, t = X.astype("float32"), LABELS
    loss = _core.Loss("cross_entropy", labels=True)
    index = _core.permutation(3, 0, ROWS, 0, ROWS)
    found = []
    for seconds in (0, 1e-12, 1e-5):
        trainer = _core.Trainer(network_of([6, 20, 3]), "adam", beta1=0.9, beta2=0.99, eps=1e-8)
        result = _core.Result()
        while result.rows < ROWS:
            left = index[result.rows :]
            lr = np.full(-(-left.size // 16), 0.01)
            result = trainer.epoch(loss, x, t, WEIGHT, left, 16, lr, seconds, result)
        names = ("loss_sum", "weight_sum", "rows", "correct", "steps")
        found.append([getattr(result, name) for name in names])
    assert found[0] == found[1] == found[2]


def test_the_number_of_threads_does_not_show(threads, dtype):
    net = cnn.mlp([6, 300, 3], "relu", "softmax", rng=0, dtype=dtype)
    history = net.fit(X, LABELS, epochs=2, batch_size=200, validation_data=(X, LABELS))
    _core.set_num_threads(1)
    alone = cnn.mlp([6, 300, 3], "relu", "softmax", rng=0, dtype=dtype)
    expected = alone.fit(X, LABELS, epochs=2, batch_size=200, validation_data=(X, LABELS))
    assert history.loss == expected.loss
    assert history.val_loss == expected.val_loss


def test_estimators(cut):
    """Training that ends by the loss ends at the same epoch."""
    cnn_sklearn = pytest.importorskip("cnn.sklearn")
    sparse = pytest.importorskip("scipy.sparse").csr_matrix(X)
    found = []
    for whole in (True, False):
        cut(whole=whole)
        for x in (X, sparse):
            model = cnn_sklearn.MLPClassifier((8,), max_iter=12, tol=1e-2, random_state=0)
            model.set_params(n_iter_no_change=2, batch_size=16)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of training that has not converged
                model.fit(x, LABELS)
            model.partial_fit(x, LABELS)
            found.append((model.n_iter_, model.loss_curve_, [w.tobytes() for w in model.coefs_]))
    assert all(other == found[0] for other in found)
