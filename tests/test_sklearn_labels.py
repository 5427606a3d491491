"""y of every kind: classes_, predictions and errors are those of scikit-learn's own estimators."""

import numpy as np
import pytest
import scipy.sparse
from estimators import CLASSIFIERS, REGRESSORS, X
from refused import refused
from sklearn.model_selection import cross_val_predict

from cnn.sklearn import MLPRegressor

pd = pytest.importorskip("pandas")

# What stops before it has converged is what most of these tests want, for it takes less time.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning"),
]

NUMBERS = np.arange(60) % 3
WORDS = np.array(["x", "yy", "zzz"])[NUMBERS]
FLAGS = NUMBERS > 0
MARKS = X[:, :3] > 0


def series(values, dtype):
    if "pyarrow" in str(dtype):
        pytest.importorskip("pyarrow")
    return pd.Series(values, dtype=dtype)


def polars(values, kind=None):
    pl = pytest.importorskip("polars")
    return pl.Series(values, dtype=kind and getattr(pl, kind))


LABELS = {
    "list of str": WORDS.tolist,
    "objects": lambda: WORDS.astype(object),
    "objects of NumPy's str": lambda: np.array(list(WORDS), object),
    "str": lambda: WORDS,
    "wider str": lambda: WORDS.astype("U10"),
    "list of bool": FLAGS.tolist,
    "bool": lambda: FLAGS,
    "list of int": NUMBERS.tolist,
    "list of float": lambda: NUMBERS.astype(float).tolist(),
    **{
        name: lambda name=name: NUMBERS.astype(name)
        for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    },
    **{
        name: lambda name=name: NUMBERS.astype(name)
        for name in ("float16", "float32", "float64", "longdouble", ">i4", ">f8")
    },
    "large uint64": lambda: np.array([2**64 - 1, 2**63, 5], np.uint64)[NUMBERS],
    "one class": lambda: ["only"] * 60,
    "empty str": lambda: np.array(["", "a", "b"], object)[NUMBERS],
    "category": lambda: series(WORDS, "category"),
    "category of int": lambda: series(NUMBERS, "category"),
    "ordered": lambda: pd.Categorical(WORDS, ["zzz", "yy", "x"], ordered=True),
    "pandas str": lambda: series(WORDS.tolist(), None),
    "pandas string": lambda: series(WORDS, "string"),
    "pandas object": lambda: series(WORDS, object),
    "pandas bool": lambda: series(FLAGS, bool),
    "pandas boolean": lambda: series(FLAGS, "boolean"),
    "pandas Int64": lambda: series(NUMBERS, "Int64"),
    "pandas UInt8": lambda: series(NUMBERS, "UInt8"),
    "pandas Float64": lambda: series(NUMBERS, "Float64"),
    "arrow string": lambda: series(WORDS.tolist(), "string[pyarrow]"),
    "arrow int": lambda: series(NUMBERS, "int64[pyarrow]"),
    "arrow bool": lambda: series(FLAGS, "bool[pyarrow]"),
    "index": lambda: pd.Index(WORDS),
    "frame": lambda: pd.DataFrame({"y": WORDS}),
    "polars str": lambda: polars(WORDS.tolist()),
    "polars int": lambda: polars(NUMBERS),
    "polars category": lambda: polars(WORDS.tolist(), "Categorical"),
    "polars bool": lambda: polars(FLAGS),
    "column": lambda: NUMBERS[:, None],
    "column of objects": lambda: WORDS.astype(object)[:, None],
    "dates": lambda: np.array(["2020-01-01", "2021-01-01"], "datetime64[D]")[NUMBERS % 2],
    "read-only": lambda: np.broadcast_to(NUMBERS[:1], 60),
}
INDICATORS = {
    "int": lambda: MARKS.astype(int),
    "bool": lambda: MARKS,
    "float32": lambda: MARKS.astype(np.float32),
    "list": lambda: MARKS.astype(int).tolist(),
    "csr": lambda: scipy.sparse.csr_matrix(MARKS.astype(int)),
    "frame": lambda: pd.DataFrame(MARKS.astype(int)),
    "frame of Int64": lambda: pd.DataFrame(MARKS.astype(int)).astype("Int64"),
}


def each(cases):
    return pytest.mark.parametrize("make", cases.values(), ids=cases)


def small(kind, **options):
    return kind(**({"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0} | options))


def described(array):
    dense = array.toarray() if hasattr(array, "toarray") else array
    return type(array), array.dtype, dense.shape, dense.dtype.kind


def learned(model):
    return (*described(model.classes_), model.classes_.tolist(), *described(model.predict(X)))


# ---- Classifiers -------------------------------------------------------------------------------


@each(LABELS | {f"indicator, {name}": make for name, make in INDICATORS.items()})
def test_labels(make):
    y = make()
    ours, theirs = (small(kind).fit(X, y) for kind in CLASSIFIERS)
    assert learned(ours) == learned(theirs)
    warm = small(CLASSIFIERS[0], warm_start=True).fit(X, y)
    assert learned(warm.fit(X, y)) == learned(theirs)


@each(LABELS)
def test_labels_that_are_told_before(make):
    y = make()
    classes = np.unique(np.asarray(y))
    ours, theirs = (small(kind).partial_fit(X, y, classes=classes) for kind in CLASSIFIERS)
    assert learned(ours) == learned(theirs)
    assert learned(ours.partial_fit(X, y)) == learned(theirs.partial_fit(X, y))


@pytest.mark.parametrize("name", ["objects", "wider str", "category", "pandas boolean", "int8"])
def test_labels_of_cross_validation_and_early_stopping(name):
    y = LABELS[name]()
    ours, theirs = (small(kind, early_stopping=True) for kind in CLASSIFIERS)
    assert learned(ours.fit(X, y)) == learned(theirs.fit(X, y))
    one, two = (cross_val_predict(model, X, y, cv=2) for model in (ours, theirs))
    assert described(one) == described(two)


@each(
    {
        "objects of bool": lambda: FLAGS.astype(object),
        "objects of int": lambda: NUMBERS.astype(object),
        "objects of both": lambda: np.array([1, "a", 2.0], object)[NUMBERS],
        "None": lambda: np.array(["a", None, "b"], object)[NUMBERS],
        "NaN": lambda: np.where(NUMBERS == 0, np.nan, NUMBERS),
        "bytes": lambda: WORDS.astype("S"),
        "fractions": lambda: NUMBERS + 0.5,
        "complex": lambda: NUMBERS + 0j,
        "two columns": lambda: np.stack([NUMBERS, NUMBERS], axis=1),
        "a row": lambda: NUMBERS[None, :],
        "missing": lambda: series([pd.NA, *NUMBERS[1:]], "Int64"),
        "missing category": lambda: series([None, *WORDS[1:]], "category"),
        "no labels": lambda: None,
        "a number": lambda: 3,
    }
)
def test_labels_that_both_refuse(make):
    y = make()
    for kind in CLASSIFIERS:
        with pytest.raises((TypeError, ValueError)):
            small(kind).fit(X, y)


# ---- Regressors --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bool", "int8", "uint64", "float16", "float32", ">f8", "column"])
def test_targets(name):
    y = LABELS[name]()
    for x in (X, X.astype(np.float32)):
        one, two = (small(kind).fit(x, y).predict(x) for kind in REGRESSORS)
        assert described(one) == described(two)


@pytest.mark.parametrize("name", ["pandas Int64", "pandas boolean", "polars int", "arrow int"])
def test_targets_of_series(name):
    y = LABELS[name]()
    one, two = (small(kind).fit(X, y).predict(X) for kind in REGRESSORS)
    assert described(one) == described(two)
    np.testing.assert_array_equal(
        one, small(MLPRegressor).fit(X, np.asarray(y).astype(float)).predict(X)
    )


def test_targets_as_text_and_others():
    expected = small(MLPRegressor).fit(X, NUMBERS).predict(X)
    for y in (NUMBERS.astype(str), NUMBERS.astype(object), NUMBERS.astype(str).astype(object)):
        np.testing.assert_array_equal(small(MLPRegressor).fit(X, y).predict(X), expected)
    with refused(ValueError, "fit: y is of type <U3, should be numbers: could not convert string"):
        small(MLPRegressor).fit(X, WORDS)
    for dtype in ("datetime64[D]", "timedelta64[s]"):
        with refused(ValueError, f"fit: y is of type {dtype}, should be numbers"):
            small(MLPRegressor).fit(X, NUMBERS.astype(dtype))
