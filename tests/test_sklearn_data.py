"""What goes into the estimators of cnn.sklearn, and what comes out: types, sparse rows, frames."""

import copy
import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from estimators import INDICATOR, LABELS, T2, X, parameters, same, small
from refused import refused
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import cnn
from cnn._training import sparse
from cnn.sklearn import MLPClassifier, MLPRegressor

# What stops before it has converged is what most of these tests want, for it takes less time.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(1)


def test_predictions_are_the_networks():
    model = small().fit(X, LABELS)
    assert isinstance(model.net_, cnn.Sequential)
    np.testing.assert_array_equal(model.predict_proba(X), model.net_.predict(X))
    np.testing.assert_array_equal(model.predict_log_proba(X), np.log(model.net_.predict(X)))
    weight = model.net_.layers[0].weight
    model.net_.layers[0].weight = 0 * weight
    assert np.ptp(model.predict_proba(X), axis=0).max() == 0
    assert (model.coefs_[0] == 0).all()


@pytest.mark.parametrize("activation", ["logistic", "elu", ["gelu", "sigmoid"]])
def test_networks_of_estimators(activation):
    model = small(hidden_layer_sizes=(8, 5), activation=activation).fit(X, LABELS)
    net = cnn.from_sklearn(model)
    np.testing.assert_array_equal(net.predict(X), model.predict_proba(X))
    net.layers[0].weight = 0 * net.layers[0].weight
    assert np.ptp(model.predict_proba(X), axis=0).max() > 0


@pytest.mark.parametrize("name", ["coefs_", "intercepts_"])
def test_parameters_may_be_set(name, dtype):
    x = X.astype(dtype)
    model, other = small().fit(x, LABELS), small(random_state=1).fit(x, LABELS)
    mixed = small().fit(x, LABELS)
    for layer, source in zip(mixed.net_.layers, other.net_.layers, strict=True):
        attribute = {"coefs_": "weight", "intercepts_": "bias"}[name]
        setattr(layer, attribute, getattr(source, attribute))
    twin = copy.deepcopy(model)
    setattr(model, name, getattr(other, name))
    held = getattr(twin, name)
    held[0] = getattr(other, name)[0].tolist()
    held[-1:] = getattr(other, name)[-1:]
    assert held[0].dtype == dtype
    assert same(model, mixed)
    assert same(twin, mixed)
    np.testing.assert_array_equal(held[0], getattr(twin, name)[0])
    with refused(ValueError, "read-only"):
        held[0][:] = 0
    assert type(copy.deepcopy(held)) is list


def test_parameters_are_set_as_a_whole_or_not_at_all():
    model = small().fit(X, LABELS)
    twin = copy.deepcopy(model)
    good, bad = model.coefs_
    for values, message in (
        ([good], "MLPClassifier: coefs_ is set to 1 arrays, should be to 2, one for each layer"),
        ([0 * good, bad.T], "MLPClassifier: coefs_[1] has shape (3, 8), should be (8, 3)"),
    ):
        with refused(ValueError, message):
            model.coefs_ = values
    with refused(IndexError, "out of range"):
        model.coefs_[2] = good
    assert same(model, twin)
    with refused(AttributeError, "MLPClassifier is not fitted yet; call fit first"):
        small().coefs_ = [good, bad]


def test_loss_is_what_was_measured():
    """Full batches: the loss before the last step is that of the model an epoch shorter."""
    model, before = small(alpha=0.0).fit(X, LABELS), small(alpha=0.0, max_iter=4).fit(X, LABELS)
    assert model.loss_ == pytest.approx(log_loss(LABELS, before.predict_proba(X)))
    assert model.best_loss_ == min(model.loss_curve_)


def test_types_of_x():
    """float32 stays; libcnn reads other numbers as they are, and computes in float64."""
    for dtype in ("float32", "float64", "float16", "int8", "uint8", "int64", "bool", "longdouble"):
        x = np.abs(3 * X).astype(dtype)
        model = small().fit(x, LABELS)
        expected = np.float32 if dtype == "float32" else np.float64
        assert model.net_.dtype == model.predict_proba(x).dtype == expected
        assert same(model, small().fit(x.astype(expected), LABELS))
        np.testing.assert_array_equal(
            model.predict_proba(x), model.predict_proba(x.astype(expected))
        )


def test_lbfgs_in_float32_searches_in_float64():
    x = X.astype(np.float32)
    one, two = (
        small(solver="lbfgs", hidden_layer_sizes=(), alpha=0.1, tol=1e-6, max_iter=500).fit(
            a, LABELS
        )
        for a in (x, x.astype(float))
    )
    assert one.net_.dtype == np.float32
    # They begin with weights that differ by rounding, but there is one minimum: g^2 / curvature
    # is what is left of the loss where the gradient is g = 1e-6; x differs by 2^-24.
    assert one.loss_ == pytest.approx(two.loss_, rel=1e-6)


def test_labels_of_any_kind():
    for names in (np.array(["no", "perhaps", "yes"]), np.array([10, 20, -5]), [1.0, 2.0, 3.0]):
        y = np.asarray(names)[LABELS]
        model = small(max_iter=300, learning_rate_init=0.01).fit(X, y)
        assert model.predict(X).dtype == y.dtype
        assert (model.predict(X) == y).mean() > 0.9
    one = small().fit(X, ["only"] * 60)
    assert (one.predict(X) == "only").all()
    np.testing.assert_array_equal(one.predict_proba(X), np.ones((60, 1)))


def test_several_labels():
    model = small(max_iter=300, learning_rate_init=0.01).fit(X, INDICATOR)
    assert model.out_activation_ == "logistic"
    assert accuracy_score(INDICATOR, model.predict(X)) > 0.9
    sparse = small(max_iter=300, learning_rate_init=0.01).fit(X, scipy.sparse.csr_matrix(INDICATOR))
    assert same(model, sparse)
    np.testing.assert_array_equal(sparse.predict(X).toarray(), model.predict(X))


def test_several_outputs():
    model = small(MLPRegressor, max_iter=500, learning_rate_init=0.01).fit(X, T2)
    assert model.predict(X).shape == (60, 2)
    assert model.score(X, T2) == r2_score(T2, model.predict(X)) > 0.9


SPARSE = scipy.sparse.csr_array(np.where(RNG.random((300, 40)) < 0.1, RNG.random((300, 40)), 0))
SPARSE_LABELS = np.arange(300) % 3


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"solver": "lbfgs"}])
def test_sparse_is_the_same_as_dense(monkeypatch, kind, options):
    monkeypatch.setattr(sparse, "BLOCK_NUMBERS", 40 * 70)  # 70 rows: not all in one block
    x = SPARSE.asformat(kind)
    model = small(**options, batch_size=32).fit(x, SPARSE_LABELS)
    dense = small(**options, batch_size=32).fit(SPARSE.toarray(), SPARSE_LABELS)
    for a, b in zip(parameters(model), parameters(dense), strict=True):
        if "solver" in options:
            np.testing.assert_allclose(a, b, atol=1e-9)  # sums of other slices
        else:
            np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(model.predict_proba(x), dense.predict_proba(SPARSE.toarray()), 1e-9)


def test_sparse_is_never_dense_as_a_whole():
    """800 MB if it were; a block has 8 MB, and the network's weights and their copies are less."""
    columns = RNG.integers(0, 20000, 100_000)
    x = scipy.sparse.csr_array(
        (RNG.random(100_000), columns, np.arange(0, 100_001, 20)), shape=(5000, 20000)
    )
    tracemalloc.start()
    model = small(hidden_layer_sizes=(2,), max_iter=1, batch_size=50).fit(x, np.arange(5000) % 2)
    model.predict(x)
    small(hidden_layer_sizes=(2,), solver="lbfgs", max_iter=1).fit(x, np.arange(5000) % 2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6


def test_whole_numbers_are_not_copied_whole():
    x = np.random.default_rng(0).integers(0, 256, (20000, 400), dtype=np.uint8)
    tracemalloc.start()
    small(max_iter=1).fit(x, x[:, 0] % 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < x.nbytes  # of which float64 would be eight times


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames(library):
    frames = pytest.importorskip(library)
    names = ["a", "b", "c", "d"]
    frame = frames.DataFrame(dict(zip(names, X.T, strict=True)))
    model = small().fit(frame, frames.Series(LABELS))
    assert same(model, small().fit(X, LABELS))
    assert list(model.feature_names_in_) == names
    np.testing.assert_array_equal(model.predict_proba(frame), model.net_.predict(X))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X)
    with refused(ValueError, "The feature names should match"):
        model.predict(frame[names[::-1]])
    assert model.score(frame, frames.Series(LABELS)) == small().fit(X, LABELS).score(X, LABELS)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output_of_what_comes_before(library):
    pytest.importorskip(library)
    plain = make_pipeline(StandardScaler(), small()).fit(X, LABELS)
    model = make_pipeline(StandardScaler(), small()).set_output(transform=library).fit(X, LABELS)
    assert isinstance(model.predict(X), np.ndarray)
    assert list(model[-1].feature_names_in_) == ["x0", "x1", "x2", "x3"]
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))


def test_rows_of_other_layouts():
    model = small().fit(X, LABELS)
    expected = model.predict_proba(X)
    for x in (np.asfortranarray(X), X[::-1][::-1], X.tolist(), np.repeat(X, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(model.predict_proba(x), expected)
    for i in range(3):
        np.testing.assert_array_equal(model.predict_proba(X[i : i + 1]), expected[i : i + 1])


@pytest.mark.parametrize("make", ["csr_array", "csc_matrix", "coo_array"])
def test_indices_beyond_the_shape(make):
    """SciPy would write there, and crash the process."""
    x, t = getattr(scipy.sparse, make)(np.eye(50, 3, dtype=np.float32)), np.arange(50) % 2
    settings = {"hidden_layer_sizes": [3], "max_iter": 1, "random_state": 0}
    model = MLPClassifier(**settings).fit(x, t)
    for name in ("row", "col") if make.startswith("coo") else ("indices", "indptr"):
        for bad in (10**8, -(10**8)):
            wrong = x.copy()
            getattr(wrong, name)[1] = bad
            for call in (MLPClassifier(**settings).fit, model.predict, model.predict_proba):
                arguments = (wrong, t) if call.__name__ == "fit" else (wrong,)
                with refused(ValueError, "X is a sparse matrix whose indices do not lie in"):
                    call(*arguments)
    assert (model.predict(x) == model.predict(x.toarray())).all()
