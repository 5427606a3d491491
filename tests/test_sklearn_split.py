"""What early stopping sets aside: as scikit-learn does, and a weight of 2 is a row given twice."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from estimators import BINARY, INDICATOR, LABELS, T2, T, X, parameters, same, small
from refused import refused
from sklearn.model_selection import train_test_split
from sklearn.utils import estimator_checks, shuffle

from cnn.sklearn import MLPClassifier, MLPRegressor, _split
from cnn.sklearn._data import Data

# What stops before it has converged is what most of these tests want, for it takes less time.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# ---- Weights and repeated rows -----------------------------------------------------------------


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"early_stopping": True},
        {"early_stopping": True, "solver": "sgd", "learning_rate": "adaptive"},
        {"early_stopping": True, "activation": "tanh", "validation_fraction": 0.3},
        {"early_stopping": True, "solver": "lbfgs"},
        {"early_stopping": True, "batch_size": 1000, "validation_fraction": 0.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("data", ["dense", "sparse"])
@pytest.mark.filterwarnings("ignore:Got `batch_size`")
def test_scikit_learns_check_of_weights(kind, options, data):
    check = getattr(estimator_checks, f"check_sample_weight_equivalence_on_{data}_data")
    check(kind.__name__, kind(**options))


@pytest.mark.parametrize(
    "problem",
    [
        (MLPClassifier, BINARY),
        (MLPClassifier, LABELS),
        (MLPClassifier, INDICATOR),
        (MLPRegressor, T),
        (MLPRegressor, T2),
    ],
)
def test_a_weight_is_a_number_of_rows(problem, dtype):
    """Rounding of sums of other numbers of rows is all that differs."""
    kind, y = problem
    x, weights = X.astype(dtype), np.arange(60) % 4
    options = {"early_stopping": True, "max_iter": 10, "learning_rate_init": 0.01}
    many = small(kind, **options).fit(x.repeat(weights, axis=0), np.repeat(y, weights, axis=0))
    mixed = shuffle(x, y, weights, random_state=1)
    once = small(kind, **options).fit(*mixed)
    tolerance = 1e-4 if dtype == np.float32 else 1e-10
    assert len(once.validation_scores_) == 10
    np.testing.assert_allclose(once.validation_scores_, many.validation_scores_, tolerance)
    for one, two in zip(parameters(once), parameters(many), strict=True):
        np.testing.assert_allclose(one, two, tolerance, tolerance)


@pytest.mark.parametrize("y", [BINARY, LABELS])
def test_a_row_of_weight_0_is_no_row(y):
    weights = np.arange(60) % 3
    there = weights > 0
    model = small(early_stopping=True, batch_size=7).fit(X, y, weights)
    assert same(
        model, small(early_stopping=True, batch_size=7).fit(X[there], y[there], weights[there])
    )
    assert model.t_ < 60 * 5 * 2 / 3
    ones = small(early_stopping=True).fit(X, y, there)
    assert same(ones, small(early_stopping=True).fit(X[there], y[there]))


def test_all_weights_1_are_no_weights():
    ones = small(early_stopping=True).fit(X, BINARY, np.ones(60))
    assert same(ones, small(early_stopping=True).fit(X, BINARY))


def test_sparse_rows_that_are_alike():
    x = np.where(X > 0.5, X, 0.0).repeat(2, axis=0)
    dense = small(early_stopping=True).fit(x, LABELS.repeat(2))
    assert same(dense, small(early_stopping=True).fit(scipy.sparse.csr_array(x), LABELS.repeat(2)))


def test_a_table_of_truth_is_learned():
    """Each of its four rows stays in the training set, though each has a quarter of the weight."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    y = x[:, 0] != x[:, 1]
    options = {"early_stopping": True, "max_iter": 500, "n_iter_no_change": 50}
    for weights in (None, [50, 50, 50, 50], [0.5, 0.25, 0.5, 0.5]):
        repeat = 50 if weights is None else 1
        model = small(**options, learning_rate_init=0.03)
        model.fit(x.repeat(repeat, axis=0), y.repeat(repeat), weights)
        assert model.score(x, y) == 1


# ---- The split itself --------------------------------------------------------------------------


def parts(x, t, weights=None, strata=None, fraction=0.1):
    random = np.random.RandomState(0)
    return _split.hold_out("fit", Data(x, t, weights), strata, fraction, random)


@pytest.mark.parametrize(
    "x",
    [
        X,
        np.asfortranarray(X),
        X.astype(np.float32),
        X.astype(np.float16),
        np.arange(120, dtype=np.uint8).reshape(60, 2),
    ],
    ids=lambda x: x.dtype.name,
)
@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("strata", [None, BINARY])
def test_rows_that_all_differ_are_parted_as_by_scikit_learn(x, fraction, strata):
    kept, aside = parts(x, T, None, strata, fraction)
    random = np.random.RandomState(0)
    one, two = train_test_split(
        np.arange(60), test_size=fraction, random_state=random, stratify=strata
    )
    np.testing.assert_array_equal(kept.t, T[one])
    np.testing.assert_array_equal(aside.t, T[two])
    assert kept.sample_weight is aside.sample_weight is None


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("strata", [None, BINARY])
@pytest.mark.parametrize("whole", [True, False])
def test_weights_are_parted(fraction, strata, whole):
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 5, 60) if whole else rng.random(60)
    weights = weights.astype(float)
    kept, aside = parts(X, np.arange(60), weights, strata, fraction)
    sums = np.zeros(60)
    for part in (kept, aside):
        given = np.ones(part.rows) if part.sample_weight is None else part.sample_weight
        assert (given > 0).all()
        np.testing.assert_array_equal(part.x, X[part.t])
        np.add.at(sums, part.t, given)
    np.testing.assert_allclose(sums, weights, atol=1e-12)
    expected = fraction * weights.sum()
    assert expected - 1e-9 <= np.sum(aside.sample_weight) <= expected + (2 if whole else 1e-9)
    if strata is not None:
        of_it = strata[aside.t]
        share = aside.sample_weight[of_it].sum() / weights[strata].sum()
        assert share == pytest.approx(fraction, abs=1 / weights[strata].sum() + 1e-9)


def test_columns_of_any_scale_tell_rows_apart():
    """A large constant, tiny numbers and others: each row is another one."""
    x = np.column_stack([np.full(60, 1.7e18), 1e-30 * np.arange(60), np.zeros(60)])
    for columns in (x, x.astype(np.float32), x[:, ::-1]):
        kept, aside = parts(columns, np.zeros(60))
        assert kept.sample_weight is aside.sample_weight is None
        assert aside.rows == 6


def test_whole_numbers_are_not_copied_whole():
    x = np.random.default_rng(0).integers(0, 256, (20000, 400), dtype=np.uint8)
    tracemalloc.start()
    _split._keys(x, _split._largest(x, len(x)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * 8 * _split.BLOCK_NUMBERS


def test_rows_alike_but_for_their_targets_are_others():
    kept, aside = parts(np.zeros((60, 2)), np.arange(60.0))
    assert (kept.rows, aside.rows) == (54, 6)
    random = np.random.RandomState(0)
    np.testing.assert_array_equal(
        aside.t, train_test_split(np.arange(60), test_size=0.1, random_state=random)[1]
    )


# ---- Too few -----------------------------------------------------------------------------------

ONE_OF_THEM = np.array(["many"] * 59 + ["one"])


@pytest.mark.parametrize(
    ("rows", "y", "weights", "options", "message"),
    [
        (60, ONE_OF_THEM, None, {}, "fit: y has the label 'one' in 1 row only, but early_stopping"),
        (60, ONE_OF_THEM == "one", None, {}, "fit: y has the label True in 1 row only"),
        (
            60,
            ONE_OF_THEM,
            1 + np.arange(60) // 2 * (np.arange(60) < 59),
            {},
            "fit: y has the label 'one' in a weight of 1 only",
        ),
        (
            60,
            np.array(["many"] * 58 + ["one"] * 2),
            np.arange(60) < 59,
            {},
            "fit: y has the label 'one' in 1 row only, but early_stopping sets some samples",
        ),
        (60, BINARY, None, {"validation_fraction": 0}, "validation_fraction is 0.0, which makes"),
        (60, BINARY, None, {"validation_fraction": 0.01}, "a validation set of 1 of 60 rows"),
        (60, BINARY, None, {"validation_fraction": 0.99}, "a validation set of 60 of 60 rows"),
        (60, LABELS, None, {"validation_fraction": 0.99}, "a validation set of 60 of 60 rows"),
        (4, [0, 0, 1, 1], None, {"validation_fraction": 0.75}, "a validation set of 3 of 4 rows"),
        (1, [0], None, {}, "fit: X has 1 sample, too few for early_stopping, which sets some"),
        (2, [0, 1], None, {}, "fit: X has 2 samples, too few for early_stopping"),
        (3, [0, 1, 2], None, {}, "a validation set of 1 of 3 rows"),
        (60, LABELS, np.eye(60)[0], {}, "fit: X has 1 sample, too few for early_stopping"),
    ],
)
def test_too_few_samples_are_told_in_words_of_this_library(rows, y, weights, options, message):
    model = small(early_stopping=True, **options)
    with refused(ValueError, message) as caught:
        model.fit(X[:rows], y, weights)
    for word in ("test_size", "train_size", "least populated", "n_samples="):
        assert word not in str(caught.value)
    assert not hasattr(model, "net_")
