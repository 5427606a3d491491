"""Data frames of pandas and polars, and Arrow tables, as arrays; columns named in messages."""

import subprocess
import sys

import numpy as np
import pytest
from refused import refused

import cnn
from cnn import _core

pd = pytest.importorskip("pandas", reason="pandas is not installed")

COLUMNS = {
    "bill": [39.5, 46.25, 50.0, 38.0],
    "adult": [True, False, True, True],
    "n": [3, -1, 7, 2],
}
FRAME = pd.DataFrame(COLUMNS)
ARRAY = FRAME.astype(float).to_numpy()
T = np.array([0, 1, 1, 0])


def polars_frame(columns, **options):
    return pytest.importorskip("polars", reason="polars is not installed").DataFrame(
        columns, **options
    )


def arrow():
    return pytest.importorskip("pyarrow", reason="pyarrow is not installed")


FRAMES = {
    "pandas": lambda: FRAME,
    "nullable": FRAME.convert_dtypes,
    "arrow-backed": lambda: arrow() and FRAME.convert_dtypes(dtype_backend="pyarrow"),
    "objects": lambda: FRAME.astype(object),
    "mixed objects": lambda: FRAME.assign(
        n=pd.Series([3, -1.0, np.int8(7), np.float32(2)], dtype=object)
    ),
    "other index": lambda: FRAME.set_index(pd.Index([5, 5, "a", None])),
    "columns of numbers": lambda: FRAME.set_axis([0, 1, 0], axis=1),
    "levels": lambda: FRAME.set_axis(pd.MultiIndex.from_product([["a"], [1, 2, 3]]), axis=1),
    "sparse": lambda: FRAME.astype({"bill": pd.SparseDtype(float)}),
    "polars": lambda: polars_frame(COLUMNS),
    "arrow table": lambda: arrow().table(COLUMNS),
    "arrow batch": lambda: arrow().RecordBatch.from_pydict(COLUMNS),
}


@pytest.fixture(scope="module")
def net():
    return cnn.mlp([3, 4, 2], "tanh", "softmax", rng=0)


def trained(x, t=T):
    net = cnn.mlp([3, 4, 2], "tanh", "softmax", rng=0)
    net.fit(x, t, epochs=2)
    return net


@pytest.mark.parametrize("kind", FRAMES)
def test_every_interface(kind, net, bits):
    frame = FRAMES[kind]()
    assert bits(net.predict(frame)) == bits(net.predict(ARRAY))
    assert net.evaluate(frame, T) == net.evaluate(ARRAY, T)
    assert bits(*net.gradients(frame, T)[1][0]) == bits(*net.gradients(ARRAY, T)[1][0])
    assert bits(*trained(frame).get_weights()) == bits(*trained(ARRAY).get_weights())
    assert bits(cnn.relu(frame)) == bits(cnn.relu(ARRAY))
    assert bits(cnn.Standardize().adapt(frame).scale) == bits(cnn.Standardize().adapt(ARRAY).scale)


def test_dummies(bits):
    """What pandas.get_dummies returns: floats and booleans."""
    frame = pd.get_dummies(pd.DataFrame({"x": [1.5, 2.5, 3.5, 4.5], "s": ["a", "b", "a", "b"]}))
    assert set(map(str, frame.dtypes)) == {"float64", "bool"}
    array = frame.astype(float).to_numpy()
    assert bits(*trained(frame).get_weights()) == bits(*trained(array).get_weights())


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (["bool", "float32", "int16"], "float32"),
        (["bool", "float32", "int32"], "float64"),
        (["bool", "int8", "bool"], "int8"),
        (["bool", "uint64", "int64"], "float64"),
        (["boolean", "Float32", "Int8"], "float32"),
        (["bool", "bool", "bool"], "bool"),
        (["float16", "float16", "float16"], "float16"),
    ],
)
def test_types(dtypes, expected):
    """Those that NumPy promotes to."""
    frame = pd.DataFrame({i: pd.Series([0, 1], dtype=dtype) for i, dtype in enumerate(dtypes)})
    array = _core.numeric("f", "x", frame)
    assert array.dtype == expected
    assert array.tolist() == [[0, 0, 0], [1, 1, 1]]


def test_one_type_is_not_copied():
    frame = pd.DataFrame(np.arange(12.0).reshape(4, 3))
    assert np.shares_memory(_core.numeric("f", "x", frame), frame.to_numpy())


def test_large_integers(net):
    """Integers of 64 bits are read exactly beside booleans, and rounded beside floats."""
    frame = pd.DataFrame({"a": [2**53 + 1], "b": [True]})
    assert _core.numeric("f", "x", frame).tolist() == [[2**53 + 1, 1]]
    frame["c"] = 0.5
    assert _core.numeric("f", "x", frame).tolist() == [[float(2**53 + 1), 1, 0.5]]


MISSING = {
    "pandas.NA": lambda: FRAME.convert_dtypes().mask(
        [[False] * 3, [False, True, False], [False] * 3, [False] * 3]
    ),
    "None": lambda: FRAME.assign(adult=[True, None, True, True]),
    "polars": lambda: polars_frame(COLUMNS | {"adult": [True, None, True, True]}),
    "arrow": lambda: arrow().table(COLUMNS | {"adult": [True, None, True, True]}),
    "integers": lambda: FRAME.assign(adult=pd.array([1, None, 1, 1], dtype="Int64")),
    "floats": lambda: FRAME.assign(adult=pd.array([1, None, 1, 1], dtype="Float64")),
    "arrow-backed": lambda: (
        arrow() and FRAME.assign(adult=[1, None, 1, 1]).astype({"adult": "int64[pyarrow]"})
    ),
}


@pytest.mark.parametrize("kind", MISSING)
def test_missing_values(kind, net):
    """They are NaN, which fit and evaluate refuse by row and column."""
    frame = MISSING[kind]()
    found = net.predict(frame)
    assert np.isnan(found[1]).all()
    assert np.isfinite(found[[0, 2, 3]]).all()
    for call in (
        lambda: trained(frame),
        lambda: net.evaluate(frame, T),
        lambda: net.gradients(frame, T),
        lambda: net.fit(ARRAY, T, validation_data=(frame, T)),
    ):
        with refused(ValueError, "x has nan in row 1, column 1 ('adult')"):
            call()
    with refused(ValueError, "Standardize.adapt: x has nan in row 1, but its numbers"):
        cnn.Standardize().adapt(frame)
    with refused(ValueError, "it is in column 1 ('adult')"):
        cnn.Standardize().adapt(frame)


CATEGORIES = "pandas.get_dummies, or use cnn.tabular.TableModel"
REFUSED = {
    "texts": (lambda: FRAME.assign(n=["Adelie", "b", "c", "d"]), "'Adelie' in row 0", CATEGORIES),
    "objects": (
        lambda: FRAME.assign(n=pd.Series([1, 2, "Adelie", 3], dtype=object)),
        "of type object ('Adelie' in row 2)",
        CATEGORIES,
    ),
    "categories": (lambda: FRAME.astype({"n": "category"}), "of type category", CATEGORIES),
    "dates": (
        lambda: FRAME.assign(n=pd.Timestamp("2020-01-01")),
        "of type datetime64",
        "days since",
    ),
    "time spans": (lambda: FRAME.assign(n=pd.Timedelta("1s")), "of type timedelta64", "a unit"),
    "complex": (lambda: FRAME.assign(n=1j), "of type complex128", "real and imaginary"),
    "beyond 64 bits": (lambda: FRAME.assign(n=[1, 2**70, 3, 4]), "in row 1)", "astype(float)"),
    "lists": (lambda: FRAME.assign(n=[[1], [2], [3], [4]]), "([1] in row 0)", "astype(float)"),
    "polars": (lambda: polars_frame(COLUMNS | {"n": list("abcd")}), "('a' in row 0)", CATEGORIES),
    "arrow": (lambda: arrow().table(COLUMNS | {"n": list("abcd")}), "('a' in row 0)", CATEGORIES),
    "arrow dictionaries": (
        lambda: arrow().table(COLUMNS | {"n": arrow().array([1, 2, 1, 2]).dictionary_encode()}),
        "of type dictionary<",
        CATEGORIES,
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_are_no_numbers(kind, net):
    make, what, cure = REFUSED[kind]
    frame = make()
    for where, call in (
        ("predict: x", lambda: net.predict(frame)),
        ("fit: x", lambda: net.fit(frame, T)),
        ("fit: validation_data: x", lambda: net.fit(ARRAY, T, validation_data=(frame, T))),
        ("evaluate: x", lambda: net.evaluate(frame, T)),
        ("train_step: x", lambda: net.train_step(frame, T, optimizer=cnn.SGD())),
        ("gradients: x", lambda: net.gradients(frame, T)),
        ("relu: x", lambda: cnn.relu(frame)),
        ("Standardize.adapt: x", lambda: cnn.Standardize().adapt(frame)),
    ):
        with refused(TypeError, f"{where} has column 'n' of type") as caught:
            call()
        assert what in str(caught.value)
        assert "should be numbers; " in str(caught.value)
        assert cure in str(caught.value)


def test_targets(bits):
    """A series or a frame of one column; rows of probabilities."""
    expected = bits(*trained(ARRAY).get_weights())
    for t in (
        pd.Series(T),
        pd.Series(T, dtype="Int64"),
        pd.Series(T == 1),
        pd.Series(T == 1, dtype="boolean"),
        pd.Series(T, index=[3, 2, 1, 0]),
    ):
        assert bits(*trained(FRAME, t).get_weights()) == expected
    rows = pd.DataFrame({"no": T == 0, "yes": T.astype(float)})
    with_rows = trained(ARRAY, rows.astype(float).to_numpy())
    assert bits(*trained(FRAME, rows).get_weights()) == bits(*with_rows.get_weights())
    regression = cnn.Sequential([cnn.Dense(3, 1)], rng=0)
    regression.fit(FRAME, FRAME[["bill"]])
    with refused(TypeError, "fit: t has column 'species' of type"):
        regression.fit(FRAME, pd.DataFrame({"species": list("abcd")}))


def test_widths(net):
    with refused(ValueError, "predict: x has 2 columns, but the first layer has 3 inputs"):
        net.predict(FRAME[["bill", "adult"]])
    with refused(ValueError, "fit: x has 0 rows"):
        net.fit(FRAME[:0], T[:0])
    with refused(ValueError, "x has 0 columns"):
        net.fit(FRAME[[]], T)
    assert net.predict(FRAME[:1]).shape == (1, 2)


def test_frames_that_cannot_be_read(net):
    """Errors of foreign code are the argument's."""

    class Broken:
        columns = ("a",)

        @property
        def iloc(self):
            raise RuntimeError("gone")

    with refused(TypeError, "predict: x of type Broken cannot be read as an array: gone"):
        net.predict(Broken())
    assert _core.column_names(Broken()) is None


def test_no_library_is_imported():
    program = (
        "import sys, cnn; net = cnn.mlp([2, 2], 'relu', 'softmax', rng=0); net.predict([[1, 2]]);"
        "assert not {'pandas', 'polars', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-P", "-c", program], check=True)


# ---- The warning of scales -----------------------------------------------------------------------


def warned(x, *layers, **options):
    """Return the texts of the warnings of fit's first call."""
    layers = layers or (cnn.Dense(np.shape(x)[1], 2, "softmax"),)
    net = cnn.Sequential([*layers], rng=0)
    with pytest.warns(UserWarning, match=r"^fit: x has ") as caught:
        net.fit(x, np.arange(len(x)) % 2, **options)
    net.fit(x, np.arange(len(x)) % 2)  # once
    return [str(warning.message) for warning in caught]


RNG = np.random.default_rng(0)


def test_large_columns():
    x = RNG.normal([0, 4200, -2e6], [1, 800, 10], (500, 3))
    (text,) = warned(x)
    assert text.startswith("fit: x has typical magnitudes above 1000, up to ~2e+06, in column 1, ")
    assert "column 1, column 2; networks learn" in text
    assert "begin the network with cnn.Standardize().adapt(x), or scale x beforehand" in text
    assert "StandardScaler" in text
    (text,) = warned(pd.DataFrame(x, columns=["a", "mass", "time"]))
    assert "in column 1 ('mass'), column 2 ('time');" in text
    (text,) = warned(np.full((10, 8), 1e4))
    assert "in column 0, column 1, column 2 and 5 more;" in text


def test_columns_of_different_scales():
    x = RNG.normal(0, [1, 1e-4, 300], (500, 3))
    (text,) = warned(x)
    assert text.startswith("fit: x has columns of different scales: typical magnitudes are ~6.")
    assert " in column 1, but ~" in text
    assert " in column 2; networks" in text


def test_standardized_columns():
    x = RNG.normal([0, 4200], [1, 800], (500, 2))
    (text,) = warned(x, cnn.Standardize(2), cnn.Dense(2, 2, "softmax"))
    assert ", after its first layer; networks" in text
    assert "call adapt(x) of the first layer" in text
    net = cnn.Sequential([cnn.Standardize().adapt(x), cnn.Dense(2, 2, "softmax")], rng=0)
    net.fit(x, np.arange(500) % 2)


QUIET = {
    "pixels": lambda: RNG.integers(0, 256, (300, 50)) * (RNG.random((300, 50)) < 0.1),
    "one-hot": lambda: np.eye(40)[RNG.integers(0, 40, 300)],
    "one-hot beside a number": lambda: np.c_[
        np.eye(40)[RNG.integers(0, 40, 300)], np.full(300, 900)
    ],
    "zeros": lambda: np.zeros((300, 3)),
    "an outlier": lambda: np.where(np.arange(300)[:, np.newaxis] == 7, 1e9, 1.0),
    "one row": lambda: np.array([[1.0, 900.0]]),
    "booleans": lambda: RNG.random((300, 3)) < 0.5,
}


@pytest.mark.parametrize("kind", QUIET)
def test_no_warning(kind):
    """pytest turns warnings into errors."""
    x = QUIET[kind]()
    cnn.mlp([x.shape[1], 2], "relu", "softmax", rng=0).fit(x, np.arange(len(x)) % 2)


def test_no_warning_of_mnist(mnist_folder):
    x, t = cnn.datasets.load_mnist(mnist_folder)[:2]
    cnn.mlp([784, 10], "relu", "softmax", rng=0).fit(x[:2000] * 255, t[:2000], batch_size=100)


def test_no_warning_of_estimators():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from cnn.sklearn import MLPClassifier

    x = RNG.normal([0, 4200], [1, 800], (100, 2))
    MLPClassifier([3], max_iter=50, tol=1e9, n_iter_no_change=1).fit(x, np.arange(100) % 2)


# ---- Rows that are held out ----------------------------------------------------------------------


def test_names_of_columns_in_messages_on_a_split():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"age": np.arange(10.0), "pay": np.arange(10) * 5e4})
    targets = np.arange(10.0)

    def fit():
        net = cnn.Sequential([cnn.Dense(2, 1)], rng=0)
        return net.fit(frame, targets, validation_split=0.3)

    with pytest.warns(UserWarning, match=r"column 1 \('pay'\)"):
        fit()
    frame.loc[8, "age"] = np.inf
    message = "fit: the last 3 rows (validation_split): x has inf in row 1, column 0 ('age'), but"
    with refused(ValueError, message):
        fit()
    frame.loc[[8, 2], "age"] = [8, np.inf]
    with (
        pytest.warns(UserWarning, match="scale"),
        pytest.raises(FloatingPointError, match=r"x has inf in row 2, column 0 \('age'\)"),
    ):
        fit()


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow table", "arrow batch"])
def test_fit_takes_the_names_of_every_frame(kind):
    net = cnn.Sequential([cnn.Dense(len(COLUMNS), 1)], rng=0)
    net.fit(FRAMES[kind](), np.arange(4.0))
    assert net.feature_names == tuple(COLUMNS)


def test_what_is_nearly_a_frame(net):
    with refused(TypeError, "predict: x has dtype object") as caught:
        net.predict(COLUMNS)
    assert str(caught.value).endswith("; make a data frame of it, as by pandas.DataFrame")
    lazy = polars_frame(COLUMNS).lazy()
    with refused(TypeError, "gradients: x has dtype object") as caught:
        net.gradients(lazy, [0])
    assert str(caught.value).endswith("; give its collect(), which makes a frame of it")
    assert (net.predict(lazy) == net.predict(lazy.collect())).all()
