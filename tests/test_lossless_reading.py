"""What NumPy would read with a loss in silence is refused, or read as documented."""

import re

import numpy as np
import pytest
from refused import refused

import cnn
from cnn import _core


@pytest.fixture(scope="module")
def net():
    return cnn.mlp([3, 4, 2], "tanh", "softmax", rng=0)


X = np.arange(15, dtype=np.float32).reshape(5, 3) / 15
T = np.array([0, 1, 1, 0, 1])
ROWS = np.full((5, 2), 0.5)
WEIGHT = np.ones(5)

# Each call, with its name, the argument, and a good value for this.
CALLS = {
    "predict: x": (lambda net, v: net.predict(v), X),
    "predict: out": (lambda net, v: net.predict(X, out=v), np.zeros((5, 2), np.float32)),
    "fit: x": (lambda net, v: net.fit(v, T), X),
    "fit: t": (lambda net, v: net.fit(X, v), T),
    "fit: sample_weight": (lambda net, v: net.fit(X, T, sample_weight=v), WEIGHT),
    "fit: class_weight": (lambda net, v: net.fit(X, T, class_weight=v), np.ones(2)),
    "fit: validation_data: x": (lambda net, v: net.fit(X, T, validation_data=(v, T)), X),
    "fit: validation_data: t": (lambda net, v: net.fit(X, T, validation_data=(X, v)), T),
    "train_step: x": (lambda net, v: net.train_step(v, T, optimizer=cnn.SGD()), X),
    "evaluate: t": (lambda net, v: net.evaluate(X, v), ROWS),
    "evaluate: sample_weight": (lambda net, v: net.evaluate(X, T, sample_weight=v), WEIGHT),
    "gradients: x": (lambda net, v: net.gradients(v, T), X),
    "Dense: weight": (lambda net, v: setattr(net.layers[1], "weight", v), np.ones((4, 2))),
    "Dense: bias": (lambda net, v: setattr(net.layers[1], "bias", v), np.ones(2)),
    "relu: x": (lambda _, v: cnn.relu(v), X),
    "relu: out": (lambda _, v: cnn.relu(X, out=v), np.zeros((5, 3), np.float32)),
    "softmax: x": (lambda _, v: cnn.softmax(v, axis=0), X),
    "softmax: out": (lambda _, v: cnn.softmax(X, axis=0, out=v), np.zeros((5, 3), np.float32)),
    "log_softmax: x": (lambda _, v: cnn.log_softmax(v), X),
    "activation_backward: dy": (lambda _, v: cnn.activation_backward("tanh", v, X), X),
    "activation_backward: y": (lambda _, v: cnn.activation_backward("tanh", X, v), X),
    "activation_backward: x": (lambda _, v: cnn.activation_backward("gelu", X, x=v), X),
    "dense: x": (lambda _, v: cnn.dense(v, np.ones((3, 2))), X),
    "dense: weight": (lambda _, v: cnn.dense(X, v), np.ones((3, 2))),
    "dense: bias": (lambda _, v: cnn.dense(X, np.ones((3, 2)), v), np.ones(2)),
    "dense_backward: dy": (lambda _, v: cnn.dense_backward(v, X, np.ones((3, 2))), ROWS),
    "cross_entropy: logits": (lambda _, v: cnn.cross_entropy(v, T), ROWS),
    "cross_entropy: t": (lambda _, v: cnn.cross_entropy(ROWS, v), T),
    "squared_error: y": (lambda _, v: cnn.squared_error(v, ROWS), ROWS),
    "huber: sample_weight": (lambda _, v: cnn.huber(ROWS, ROWS, sample_weight=v), WEIGHT),
    "loss: class_weight": (lambda _, v: _core.Loss("cross_entropy", class_weight=v), np.ones(2)),
    "loss: quantiles": (lambda _, v: _core.Loss("quantile", quantiles=v), np.ones(2)),
    "quantile_loss: t": (lambda _, v: cnn.quantile_loss(ROWS, v, (0.2, 0.8)), WEIGHT),
}
INPUTS = [name for name in CALLS if not name.endswith("out")]


@pytest.mark.parametrize("name", CALLS)
def test_masked_elements(name, net):
    """They are not read as if they had no mask, and not written as if they kept it."""
    call, good = CALLS[name]
    before = net.predict(X)
    with refused(TypeError, f"{name} is a masked array with 2 masked elements"):
        call(net, two_masked(good))
    assert (net.predict(X) == before).all()


def two_masked(values):
    """Return a masked array with two masked elements, the values below untouched."""
    mask = np.zeros(values.shape, bool)
    mask.flat[:2] = True
    return np.ma.masked_array(values, mask)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("mask", [np.ma.nomask, False])
def test_a_mask_that_hides_nothing(name, mask, net):
    call, good = CALLS[name]
    call(net, np.ma.masked_array(good.copy(), mask))


@pytest.mark.parametrize("name", INPUTS)
def test_masked_arrays_in_lists(name, net):
    call, good = CALLS[name]
    rows = [two_masked(row) for row in good] if good.ndim == 2 else [*good[1:], np.ma.masked]
    count = 2 if good.ndim == 2 else 1
    with refused(TypeError, f"{name} holds a masked array with {count} masked element"):
        call(net, rows)
    with refused(TypeError, f"{name} holds a masked array with {count} masked element"):
        call(net, tuple(rows))


def test_masked_results_are_written_whole(net):
    out = np.ma.masked_array(np.zeros((5, 2), np.float32), mask=False)
    assert net.predict(X, out=out) is out
    assert (out.data == net.predict(X)).all()
    assert not out.mask.any()


LOSSY = {
    "complex numbers": (lambda v: v + 1j, "has dtype complex", "real and imaginary parts"),
    "objects": (lambda v: v.astype(object), "has dtype object", "astype(float)"),
    "None": (lambda v: with_first(v, None), "has dtype object", "missing"),
    "texts": (lambda v: v.astype(str), "has dtype <U", "astype(float)"),
    "bytes": (lambda v: v.astype("S9"), "has dtype |S", "astype(float)"),
    "dates": (lambda v: v.astype("M8[s]"), "has dtype datetime64[s]", "days since a date"),
    "time spans": (lambda v: v.astype("m8[s]"), "has dtype timedelta64[s]", "dividing it"),
    "records": (lambda v: v.astype([("a", "f4")]), "has dtype [('a', '<f4')]", "fields"),
    "large floats": (lambda v: v.astype(np.longdouble), "has dtype", "numpy.float64"),
    "large ints": (lambda v: with_first(v, 2**70), "has dtype object", "astype(float)"),
}


def with_first(values, first):
    made = values.astype(object)
    made.flat[0] = first
    return made.tolist()


@pytest.mark.skipif(np.finfo(np.longdouble).bits == 64, reason="longdouble is float64")
@pytest.mark.parametrize("kind", LOSSY)
@pytest.mark.parametrize("name", INPUTS)
def test_what_are_no_numbers_of_these_types(name, kind, net):
    """Refused, with what to do."""
    call, good = CALLS[name]
    change, what, cure = LOSSY[kind]
    given = change(good.astype(np.int64) if kind in ("dates", "time spans") else good)
    with pytest.raises(TypeError, match=f"^{name} {re.escape(what)}.*{re.escape(cure)}"):
        call(net, given)


def test_sparse_matrices(net):
    scipy = pytest.importorskip("scipy.sparse")
    for make in (scipy.csr_array, scipy.coo_matrix):
        with pytest.raises(TypeError, match=r"predict: x has dtype object.*give its toarray\(\)"):
            net.predict(make(X))


def test_missing_values_of_pandas(net):
    pandas = pytest.importorskip("pandas")
    labels = pandas.Series([0, 1, None, 0, 1], dtype="Int64")
    # Of objects in older versions of pandas, of NaN in younger ones.
    with pytest.raises((TypeError, ValueError), match=r"fit: t has (dtype object|label nan)"):
        net.fit(X, labels)
    assert net.evaluate(X, labels.fillna(1)) == net.evaluate(X, T)
    frame = pandas.DataFrame(X.astype(float))
    assert (net.predict(frame) == net.predict(X.astype(float))).all()
    with refused(TypeError, "predict: x has column 'name' of type"):
        net.predict(frame.assign(name="a"))


def test_subclasses_are_read_as_their_numbers(net):
    """As documented: of a matrix, a memory map, or numbers with a unit."""

    class Metres(np.ndarray):
        unit = "m"

    expected = net.predict(X)
    for given in (X.view(Metres), X.view(np.matrix), X.view(np.recarray)):
        y = net.predict(given)
        assert type(y) is np.ndarray
        assert (y == expected).all()


def test_estimators():
    """scikit-learn's own checks would leave masks aside."""
    pytest.importorskip("sklearn")
    from cnn.sklearn import MLPClassifier, MLPRegressor

    for cls in (MLPClassifier, MLPRegressor):
        model = cls(hidden_layer_sizes=[3], max_iter=2, solver="lbfgs", random_state=0)
        with refused(TypeError, f"{cls.__name__}: X is a masked array with 2 masked elements"):
            model.fit(two_masked(X), T)
        with refused(TypeError, f"{cls.__name__}: y is a masked array with 2 masked elements"):
            model.fit(X, two_masked(T))
    model = MLPClassifier(hidden_layer_sizes=[3], tol=1.0, n_iter_no_change=1, random_state=0)
    with refused(TypeError, "sample_weight is a masked array with 2 masked elements"):
        model.fit(X, T, sample_weight=two_masked(WEIGHT))
    model.fit(X, np.ma.masked_array(T, mask=False))
    with refused(TypeError, "MLPClassifier: X is a masked array with 2 masked elements"):
        model.predict(two_masked(X))


@pytest.mark.skipif(np.finfo(np.longdouble).bits == 64, reason="longdouble is float64")
def test_estimators_refuse_numbers_beyond_float64():
    pytest.importorskip("sklearn")
    from cnn.sklearn import MLPRegressor

    x = X.astype(np.longdouble)
    x[2, 1] = np.longdouble(10) ** 400
    with refused(ValueError, "has numbers that are too large for float64"):
        MLPRegressor(hidden_layer_sizes=[3]).fit(x, T)
