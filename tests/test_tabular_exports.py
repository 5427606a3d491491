"""Networks with columns, and estimators of tables, as C headers and ONNX files."""

import ctypes
import math
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
from refused import refused
from table_models import COMPILER, OPTIONS, WARNINGS, blocks, compiled, needs_compiler

import cnn
from cnn.columns import Embedding, Ignored, Number, OneHot, Periodic
from cnn.tabular import TabularClassifier, TabularRegressor

# ---- Networks ----------------------------------------------------------------------------------

COLUMNS = (
    *(Number(), Number(missing=True), Periodic(), Periodic(missing=True)),
    *(OneHot(2), OneHot(1), Embedding(30), Ignored(), OneHot(5), Embedding(1000), Periodic()),
)
CATEGORIES = {4: 2, 5: 1, 6: 30, 8: 5, 9: 1000}


def network(dtype, activation="mish", *, columns=COLUMNS, clip=3.0, frequencies=16):
    """Return a network whose parameters are all random."""
    first = cnn.Columns(columns, clip=clip, frequencies=frequencies, embedding_size=3)
    layers = [
        *(first, cnn.Scale(first.outputs), cnn.Dense(first.outputs, 37)),
        *(cnn.ParametricActivation(37, activation), cnn.Dropout(0.2), cnn.Dense(37, 20, "tanh")),
        *(cnn.Scale(20), cnn.Dense(20, 11), cnn.ParametricActivation(11, "relu")),
        cnn.Dense(11, 4, "softmax"),
    ]
    net = cnn.Sequential(layers, rng=0, dtype=dtype)
    random = np.random.default_rng(0)
    first.mean = random.normal(size=first.inputs)
    first.scale = random.uniform(0.5, 2.0, first.inputs)
    if any(isinstance(column, Periodic) for column in columns):
        first.periodic = random.normal(size=first.periodic.shape)
    for layer in net.layers:
        if isinstance(layer, cnn.Scale):
            layer.factor = random.normal(size=layer.factor.shape)
        if isinstance(layer, cnn.ParametricActivation):
            layer.mix = random.uniform(-0.5, 1.5, layer.mix.shape)
    return net


def inputs(dtype, n=200):
    """Return rows with missing values, codes that are none, and numbers of all sizes."""
    random = np.random.default_rng(1)
    x = 3 * random.normal(size=(n, len(COLUMNS)))
    for j, count in CATEGORIES.items():
        x[:, j] = random.integers(-1, count + 1, n)
    x[: n // 10, 4:10] += 0.5
    x[random.random(x.shape) < 0.1] = np.nan
    x[0, :4], x[1, :4], x[2, :4] = (np.inf, -np.inf, 1e30, -1e30), 0.0, -0.0
    return x.astype(dtype)


def rows_of(folder, net, x, options, **settings):
    """Return the outputs of a network's header for rows, and what its self-test finds."""
    c_type = {"float32": "float", "float64": "double"}[x.dtype.name]
    net.to_c(folder / "net.h", **settings)
    library = compiled(
        folder,
        f"""
#define NET_SELF_TEST
#include "net.h"
void run(size_t rows, const {c_type} *x, {c_type} *y);
void run(size_t rows, const {c_type} *x, {c_type} *y)
{{
    for (size_t i = 0; i < rows; i++)
        net_predict(x + i * NET_INPUTS, y + i * NET_OUTPUTS);
}}
int test(void);
int test(void) {{ return net_self_test(); }}
""",
        options,
    )
    y = np.empty((len(x), net.outputs), x.dtype)
    library.run.argtypes = [ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p]
    library.run.restype = None
    library.run(len(x), x.ctypes.data, y.ctypes.data)
    return y, library.test()


@needs_compiler
@pytest.mark.parametrize(
    ("options", "activation"),
    [
        ("portable", "mish"),
        ("native", "selu"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [("native", "silu"), ("unoptimized", "gelu"), ("portable", "identity")]
        ),
    ],
)
def test_headers_have_the_bits_of_predict(tmp_path, options, activation, dtype, bits):
    x = inputs(dtype)
    for clip, frequencies in ((3.0, 16), (0.0, 5)):
        net = network(dtype, activation, clip=clip, frequencies=frequencies)
        y, wrong = rows_of(tmp_path, net, x, OPTIONS[options])
        assert wrong == 0
        assert bits(y) == bits(net.predict(x))


@needs_compiler
def test_columns_alone(tmp_path, dtype, bits):
    """A network may have columns of one kind alone, or a scale in the first place."""
    kinds = ([Number()], [OneHot(3)], [Embedding(4)], [Ignored(), Periodic(missing=True)])
    for columns in kinds:
        net = network(dtype, columns=columns)
        x = np.array([[0.5], [2.0], [np.nan], [-1.0]], dtype) * np.ones(len(columns), dtype)
        y, wrong = rows_of(tmp_path, net, x, OPTIONS["unoptimized"])
        assert wrong == 0
        assert bits(y) == bits(net.predict(x))
    net = cnn.Sequential([cnn.Scale(3), cnn.Dense(3, 2)], rng=0, dtype=dtype)
    net.layers[0].factor = [0.1, 0.2, -3.0]
    x = np.array([[1.0, 2.0, 3.0]], dtype)
    y, wrong = rows_of(tmp_path, net, x, OPTIONS["unoptimized"])
    assert wrong == 0
    assert bits(y) == bits(net.predict(x))


@needs_compiler
def test_fast_headers(tmp_path, dtype):
    """Sums of at most 90 products in each of four layers lose some of their last bits."""
    net, x = network(dtype), inputs(dtype)
    y, wrong = rows_of(tmp_path, net, x, OPTIONS["native"], fast=True)
    assert wrong == 0
    np.testing.assert_allclose(y, net.predict(x), rtol=0, atol=4 * 90 * np.finfo(dtype).eps)


@needs_compiler
def test_headers_in_another_type(tmp_path):
    net = network("float64")
    x = inputs("float32")
    y, wrong = rows_of(tmp_path, net, x, OPTIONS["portable"], dtype="float32")
    assert wrong == 0
    np.testing.assert_allclose(y, net.predict(x.astype(float)), rtol=0, atol=1e-4)
    net.layers[0].scale = np.full(len(COLUMNS), 1e-60)
    with refused(ValueError, "to_c: the scale of layer 0 becomes 0.0 in float32 at [0]"):
        net.to_c(tmp_path / "net.h", dtype="float32")


@needs_compiler
def test_self_tests_can_fail(tmp_path):
    """Whichever parameter is changed, the self-test finds it."""
    net = network("float32")
    net.to_c(tmp_path / "net.h")
    text = (tmp_path / "net.h").read_text()
    for parameter in ("mean_0", "scale_0", "periodic_0", "embedding_0", "factor_1", "mix_3"):
        at = text.index("{", text.index(f"net_{parameter}[")) + 1
        (tmp_path / "net.h").write_text(f"{text[:at]} 0.25f + {text[at:]}")
        source = '#define NET_SELF_TEST\n#include "net.h"\nint test(void);\n'
        source += "int test(void) { return net_self_test(); }\n"
        assert compiled(tmp_path, source, OPTIONS["unoptimized"]).test() > 0, parameter


@needs_compiler
def test_square_roots(tmp_path):
    for name, dtype in (("single", "float32"), ("twice", "float64")):
        network(dtype).to_c(tmp_path / f"{name}.h")
    source = Path(__file__).parent / "c" / "headers" / "root.c"
    library = tmp_path / "root.so"
    options = ["-std=c99", "-O2", *WARNINGS, "-shared", "-fPIC", f"-I{tmp_path}"]
    subprocess.run([*COMPILER, *options, source, "-o", library, "-lm"], check=True)
    tested = ctypes.CDLL(str(library))
    tested.wrong_float.restype = tested.wrong_double.restype = ctypes.c_size_t
    tested.wrong_double.argtypes = [ctypes.c_size_t]
    assert tested.wrong_float() == 0
    assert tested.wrong_double(500_000) == 0


def test_pytorch_has_no_columns():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    with refused(ValueError, "to_torch: layer 0 is a columns layer, which PyTorch modules do not"):
        network("float32").to_torch()


# ---- Tables ------------------------------------------------------------------------------------

ROWS = 160
UNSEEN = "nowhere"


def table():
    """Return columns of each kind, with missing values, and some that hold nothing."""
    random = np.random.default_rng(0)
    since = np.datetime64("1955-01-01T00:00:00.123457", "us")
    found = {
        "size": random.uniform(20, 140, ROWS),
        "district": random.choice(["centre", "nörth", "so?uth"], ROWS).astype(object),
        "since": since + random.integers(0, 36500 * 86400 * 10**6, ROWS),
        "balcony": random.random(ROWS) < 0.4,
        "code": random.integers(0, 20, ROWS).astype(str).astype(object),
        "one": np.full(ROWS, "x", dtype=object),
        "rooms": random.integers(1, 9, ROWS),
        "nothing": np.full(ROWS, np.nan),
        "none": np.full(ROWS, None, dtype=object),
        "took": random.integers(0, 10**6, ROWS).astype("timedelta64[ms]"),
        "huge": 1e300 * random.normal(size=ROWS),
    }
    found["size"][::10] = np.nan
    found["district"][5::20] = None
    found["since"][7::30] = "NaT"
    # Leap days, and the microsecond before 1970.
    days = [
        "1969-12-31T23:59:59.999999",
        "1970-01-01",
        "2000-02-29T12:00",
        "1900-03-01",
        "1583-12-31",
    ]
    found["since"][: len(days)] = np.array(days, "datetime64[us]")
    return found


def other_rows():
    """Return the table with a category that it did not have."""
    found = table()
    found["district"][3] = found["code"][9] = UNSEEN
    found["size"][4] = 1e308
    return found


RENT = 200 + 9 * np.nan_to_num(table()["size"], nan=80.0) + 300 * (table()["district"] == "centre")
SETTINGS = {"preset": "fast", "epochs": 2, "hidden_layer_sizes": (24, 10), "random_state": 0}
MODELS = {
    "classifier": lambda: TabularClassifier(**SETTINGS, calibrate=True).fit(table(), KINDS),
    "ensemble": lambda: TabularClassifier(**SETTINGS, n_ens=3).fit(table(), KINDS),
    "number": lambda: TabularRegressor(**SETTINGS).fit(table(), RENT),
    "numbers": lambda: TabularRegressor(**SETTINGS, n_ens=2).fit(
        table(), np.stack([RENT, -RENT], axis=1)
    ),
    "quantiles": lambda: TabularRegressor(**SETTINGS, loss="quantile").fit(table(), RENT),
    "poisson": lambda: TabularRegressor(**SETTINGS, loss="poisson").fit(table(), RENT),
}
KINDS = np.where(RENT > 900, "dear", np.where(RENT > 500, "fair", "cheap"))


@pytest.fixture(scope="module")
def fitted():
    """Return a function that fits a model once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = MODELS[name]()
        return made[name]

    return get


def predicted(model, rows):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        get = model.predict_proba if hasattr(model, "predict_proba") else model.predict
        return get(rows).reshape(ROWS, -1)


PROGRAM = """
#define M_SELF_TEST
#include "m.h"
#ifdef __cplusplus
extern "C" {
#endif
int status(const double *row, double *y);
int status(const double *row, double *y) { return m_predict(row, y); }
int test(void);
int test(void) { return m_self_test(); }
int category(size_t column, const char *text);
int category(size_t column, const char *text) { return m_category(column, text); }
MORE
#ifdef __cplusplus
}
#endif
"""
CLASS = """
const char *class_name(const double *y);
const char *class_name(const double *y) { return m_class_names[m_class(y)]; }
"""
LEVELS = """
double level(int i);
double level(int i) { return m_levels[i]; }
"""


def header(folder, model, options=OPTIONS["portable"], more="", **settings):
    """Return the library of an estimator's header."""
    model.to_c(folder / "m.h", **settings)
    library = compiled(folder, PROGRAM.replace("MORE", more), options)
    library.category.argtypes = [ctypes.c_size_t, ctypes.c_char_p]
    library.status.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    return library


def seconds(dates):
    """Return dates as seconds since 1970, and NaN for NaT."""
    numbers = dates.astype("datetime64[us]").astype(np.int64) / 1e6
    return np.where(np.isnat(dates), np.nan, numbers)


def numbers_of(values):
    """Return a column of numbers, durations or dates as exports take it, None for categories."""
    if values.dtype.kind == "M":
        return seconds(values)
    if values.dtype.kind == "m":
        return values / np.timedelta64(1, "s")
    is_number = values.dtype.kind in "if" or all(value is None for value in values)
    return values.astype(float) if is_number else None


def encoded(library, rows):
    """Return rows as a C program makes them."""
    found = []
    for i, values in enumerate(rows.values()):
        numbers = numbers_of(values)
        if numbers is None:
            known = [None if v is None else library.category(i, str(v).encode()) for v in values]
            numbers = np.array([np.nan if code is None else code for code in known])
        found.append(numbers)
    return np.stack(found, axis=1)


def results(library, rows, width):
    y = np.empty((len(rows), width))
    for row, out in zip(rows, y, strict=True):
        assert library.status(row.ctypes.data, out.ctypes.data) == 0
    return y


@needs_compiler
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("classifier", "portable"),
        ("ensemble", "native"),
        ("number", "C++"),
        ("numbers", "portable"),
        ("quantiles", "native"),
        ("poisson", "portable"),
        pytest.param("poisson", "native", marks=pytest.mark.slow),
        pytest.param("classifier", "unoptimized", marks=pytest.mark.slow),
        pytest.param("quantiles", "unoptimized", marks=pytest.mark.slow),
    ],
)
def test_headers_have_the_bits_of_python(tmp_path, fitted, name, options):
    model = fitted(name)
    more = {"classifier": CLASS, "ensemble": CLASS, "quantiles": LEVELS}.get(name, "")
    library = header(tmp_path, model, OPTIONS[options], more)
    assert library.test() == 0
    rows = other_rows()
    y = results(library, encoded(library, rows), model.nets_[0].outputs)
    assert y.tobytes() == predicted(model, rows).tobytes()
    if more == CLASS:
        library.class_name.argtypes, library.class_name.restype = [ctypes.c_void_p], ctypes.c_char_p
        names = [library.class_name(row.ctypes.data).decode() for row in y]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert names == model.predict(rows).tolist()
    if more == LEVELS:
        library.level.restype = ctypes.c_double
        assert [library.level(i) for i in range(3)] == [0.1, 0.5, 0.9]
        assert (np.diff(y) >= 0).all()


@needs_compiler
def test_headers_of_arrays(tmp_path):
    """Columns of numbers without names, in float64, with a class for each of many numbers."""
    random = np.random.default_rng(2)
    x = random.normal(size=(ROWS, 8)) * 10.0 ** random.integers(-5, 6, 8)
    t = np.arange(ROWS) % 19 - 3
    model = TabularClassifier(**SETTINGS).fit(x, t)
    library = header(tmp_path, model, OPTIONS["native"])
    assert library.test() == 0
    assert results(library, x, 19).tobytes() == model.predict_proba(x).tobytes()


@needs_compiler
def test_columns_without_categories(tmp_path):
    """A column that is said to be of categories may have one, or none."""
    rows = {"a": [None] * 20, "b": [3.0] * 20, "c": [1, 2.5, 7, None] * 5, "n": range(20)}
    model = TabularRegressor(**SETTINGS, categorical_features=["a", "b", "c"])
    model.fit(rows, np.arange(20.0))
    library = header(tmp_path, model)
    assert library.test() == 0
    assert [library.category(i, b"3.0") for i in range(4)] == [-1, 0, -1, -1]
    assert [library.category(2, text) for text in (b"1", b"2.5", b"7")] == [0, 1, 2]
    x = np.array([[np.nan, 0, 2, 3], [-1, -1, np.nan, 4], [np.nan, 0, 0, np.nan]], float)
    same = {"a": [None, None, None], "b": [3.0, None, 3.0], "c": [7, None, 1], "n": [3, 4, None]}
    assert results(library, x, 1)[:, 0].tobytes() == model.predict(same).tobytes()
    y = np.empty(1)
    bad = np.array([0.0, 0, 0, 0])
    assert library.status(bad.ctypes.data, y.ctypes.data) == 1
    model.unseen = "error"
    with refused(ValueError, "to_c: column 'a' had no categories in fit, so that"):
        model.to_c(tmp_path / "m.h")


@needs_compiler
@pytest.mark.parametrize("name", ["classifier", "quantiles", "poisson"])
def test_fast_headers_and_other_types(tmp_path, fitted, name):
    model, rows = fitted(name), other_rows()
    y = predicted(model, rows)
    # Roundings of float32 in sums of at most 60 products, beside numbers of the target's size.
    most = 4 * 60 * np.finfo(np.float32).eps * (1 if name == "classifier" else RENT.max())
    for settings in ({"fast": True}, {"dtype": "float64"}):
        library = header(tmp_path, model, OPTIONS["native"], **settings)
        assert library.test() == 0
        found = results(library, encoded(library, rows), y.shape[1])
        np.testing.assert_allclose(found, y, rtol=0, atol=most)


@needs_compiler
def test_headers_refuse_rows(tmp_path, fitted):
    """What Python refuses, and what is no code, has the number of its column."""
    model = fitted("classifier")
    for unseen in ("warn", "error"):
        model.unseen = unseen
        library = header(tmp_path, model, OPTIONS["unoptimized"])
        rows = table()
        good, y = encoded(library, rows)[0], np.empty(3)
        names = list(rows)
        assert library.status(good.ctypes.data, y.ctypes.data) == 0
        for name, value in (
            *(("size", np.inf), ("size", -np.inf), ("took", np.inf), ("nothing", -np.inf)),
            *(("district", 3), ("district", 0.5), ("district", -2), ("district", np.inf)),
            *(("since", 1e13), ("since", -np.inf), ("none", np.inf), ("district", -0.5)),
        ):
            bad = good.copy()
            bad[names.index(name)] = value
            assert library.status(bad.ctypes.data, y.ctypes.data) == names.index(name) + 1
            assert np.isnan(y).all()
        good[1] = -1
        expected = 2 if unseen == "error" else 0
        assert library.status(good.ctypes.data, y.ctypes.data) == expected
    model.unseen = "warn"
    assert library.category(99, b"x") == -1


@needs_compiler
def test_headers_can_fail(tmp_path, fitted):
    """The self-test finds a center, a scale or a bound that is not that of training."""
    fitted("number").to_c(tmp_path / "m.h")
    text = (tmp_path / "m.h").read_text()
    for what in ("m_cnn_centers[", "m_cnn_scales[", "targets[1][4] = {\n    "):
        at = text.index("{", text.index(what) + len(what) - 1) + 1
        (tmp_path / "m.h").write_text(f"{text[:at]} 0.25 + {text[at:]}")
        library = compiled(tmp_path, PROGRAM.replace("MORE", ""), OPTIONS["unoptimized"])
        assert library.test() > 0, what


@needs_compiler
def test_the_example_of_the_documentation(tmp_path):
    sizes, days = np.tile([20.0, 80.0, np.nan], 20), np.arange("2015-01", "2020-01", dtype="M8[M]")
    flats = {
        "size": sizes,
        "district": ["centre", "north", None] * 20,
        "since": days,
        "balcony": [True, False] * 30,
    }
    model = TabularClassifier(**SETTINGS).fit(flats, ["cheap", "dear", "dear"] * 20)
    model.to_c(tmp_path / "flats.h")
    (source,) = blocks("docs/guide/raw_tables.md", "c")
    (tmp_path / "main.c").write_text(source)
    program = tmp_path / "main"
    command = [*COMPILER, "-std=c99", *WARNINGS, tmp_path / "main.c", "-o", program]
    subprocess.run(command, check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    since = np.array(["2016-02-29"], "M8[us]")
    row = {"size": [np.nan], "district": ["centre"], "since": since, "balcony": [True]}
    expected = f"{model.predict(row)[0]} {model.predict_proba(row).max():.2f}\n"
    assert done.stdout == expected


def test_texts_that_c_does_not_have(tmp_path):
    for text in ("a\0b", "\ud800"):
        model = TabularRegressor(**SETTINGS).fit({"a": [text, "b"] * 9, "n": range(18)}, range(18))
        message = (
            f"to_c: a category of 'a' is {text!r}, which C's strings cannot hold; model.net_.to"
        )
        with refused(ValueError, message):
            model.to_c(tmp_path / "m.h")
    assert list(tmp_path.iterdir()) == []


def test_categories_that_are_the_same_text(tmp_path):
    model = TabularRegressor(**SETTINGS).fit({"a": [1, "1", 2.5] * 6, "n": range(18)}, range(18))
    message = "column 'a' has the categories 1 and '1', which are the same text"
    with refused(ValueError, f"to_c: {message}"):
        model.to_c(tmp_path / "m.h")
    pytest.importorskip("onnx", reason="onnx is not installed")
    with refused(ValueError, f"to_onnx: {message}"):
        model.to_onnx(tmp_path / "m.onnx")


def test_loaded_estimators(tmp_path, fitted):
    """An estimator of a file writes the same header."""
    for name in ("classifier", "number", "quantiles"):
        fitted(name).save(tmp_path / "m.safetensors")
        headers = []
        for model in (fitted(name), cnn.load(tmp_path / "m.safetensors")):
            model.to_c(tmp_path / "m.h")
            headers.append((tmp_path / "m.h").read_text())
        assert headers[0] == headers[1]


def test_bad_arguments(tmp_path, fitted):
    from sklearn.exceptions import NotFittedError

    for to in ("to_c", "to_onnx"):
        with pytest.raises(NotFittedError):
            getattr(TabularRegressor(), to)(tmp_path / "m.h")
        with refused(TypeError, f"{to}: path is of type int"):
            getattr(fitted("number"), to)(3)
        with refused(ValueError, "whose ending is that of another format"):
            getattr(fitted("number"), to)(tmp_path / "m.safetensors")
    with refused(ValueError, "to_c: name is 'switch', which"):
        fitted("number").to_c(tmp_path / "m.h", name="switch")
    with refused(TypeError, "to_c: fast is of type int"):
        fitted("number").to_c(tmp_path / "m.h", fast=1)
    with refused(ValueError, "to_c: dtype is 'float16'"):
        fitted("number").to_c(tmp_path / "m.h", dtype="float16")
    assert list(tmp_path.iterdir()) == []


def test_a_single_row_has_the_bits_of_many(fitted):
    """Sums of probabilities have one order, whatever the number of rows."""
    t = np.arange(ROWS) % 19
    model = TabularClassifier(**SETTINGS).fit(table()["rooms"].reshape(-1, 1), t)
    x = np.arange(1.0, 9.0).reshape(-1, 1)
    many = model.predict_proba(x)
    assert all((model.predict_proba(x[i : i + 1]) == many[i]).all() for i in range(len(x)))
    assert all(math.isclose(sum(row), 1.0) for row in many)


# ---- ONNX --------------------------------------------------------------------------------------


@pytest.fixture
def onnx():
    return pytest.importorskip("onnx", reason="onnx is not installed")


def session(onnx, path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    onnx.checker.check_model(onnx.load(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


# ONNX Runtime has mish and selu in float32 alone.
@pytest.mark.parametrize(
    ("dtype", "activation", "clip"),
    [
        *(("float32", "mish", 3.0), ("float32", "selu", 0.0), ("float32", "identity", 3.0)),
        *(("float64", "tanh", 3.0), ("float64", "relu", 0.0)),
    ],
)
def test_networks_as_onnx(tmp_path, onnx, dtype, activation, clip):
    net, x = network(dtype, activation, clip=clip), inputs(dtype)
    if clip == 0:
        x[:3] = 1.0
    net.to_onnx(tmp_path / "net.onnx")
    running = session(onnx, tmp_path / "net.onnx")
    y = running.run(None, {"input": x})[0]
    # Sums of 90 products in four layers, and turns of up to 3 sigma, times 2 pi.
    most = 8 * 90 * np.finfo(dtype).eps
    np.testing.assert_allclose(y, net.predict(x), rtol=0, atol=most)
    assert running.run(None, {"input": x[:1]})[0].shape == (1, 4)
    assert running.run(None, {"input": x[:0]})[0].shape == (0, 4)


def fed(rows):
    """Return rows as ONNX Runtime takes them."""
    found = {}
    for name, values in rows.items():
        numbers = numbers_of(values)
        if numbers is None:
            numbers = np.array(["" if v is None else str(v) for v in values], object)
        found[name] = numbers[:, np.newaxis]
    return found


@pytest.mark.parametrize("name", MODELS)
def test_estimators_as_onnx(tmp_path, onnx, fitted, name):
    model, path = fitted(name), tmp_path / "m.onnx"
    model.to_onnx(path)
    loaded = onnx.load(path)
    rows = other_rows()
    assert [entry.name for entry in loaded.graph.input] == list(rows)
    found = session(onnx, path).run(None, fed(rows))
    y = predicted(model, rows)
    outputs = [entry.name for entry in loaded.graph.output]
    most = 4 * 60 * np.finfo(np.float32).eps
    if hasattr(model, "classes_"):
        assert outputs == ["label", "probabilities"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert found[0].tolist() == model.predict(rows).tolist()
    else:
        assert outputs == (["number"] if y.shape[1] == 1 else ["numbers"])
        assert found[0].ndim == (1 if y.shape[1] == 1 else 2)
        most *= RENT.max()
    assert found[-1].dtype == np.float64
    np.testing.assert_allclose(found[-1].reshape(y.shape), y, rtol=0, atol=most)


def test_inputs_of_onnx_have_the_bits_of_python(tmp_path, onnx, fitted):
    model, path = fitted("number"), tmp_path / "m.onnx"
    model.to_onnx(path)
    loaded = onnx.load(path)
    kind = onnx.TensorProto.FLOAT
    shape = ["batch", model.net_.inputs]
    loaded.graph.output.append(onnx.helper.make_tensor_value_info("columns.output", kind, shape))
    onnx.save(loaded, path)
    rows = other_rows()
    found = session(onnx, path).run(["columns.output"], fed(rows))[0]
    x = model._encoder.transform("f", rows, "ignore").astype(np.float32)
    # A category that is missing is -1, and one that is not known -2, in place of NaN.
    codes = [
        feature.kind in ("category", "boolean")
        for feature in model._encoder.features
        for _ in feature.names
    ]
    found[:, codes] = np.where(found[:, codes] < 0, np.nan, found[:, codes])
    np.testing.assert_array_equal(found, x)


def test_rows_that_python_refuses(tmp_path, onnx, fitted):
    for name in ("classifier", "number"):
        model = fitted(name)
        model.unseen = "error"
        model.to_onnx(tmp_path / "m.onnx")
        model.unseen = "warn"
        rows = {name: values[:6].copy() for name, values in fed(table()).items()}
        rows["size"][0], rows["took"][1], rows["since"][2] = np.inf, -np.inf, 1e13
        rows["district"][3], rows["district"][4] = UNSEEN, ""
        found = session(onnx, tmp_path / "m.onnx").run(None, rows)
        lost = np.isnan(found[-1].reshape(6, -1)).all(axis=1)
        assert lost.tolist() == [True, True, True, True, False, False]
        if name == "classifier":
            assert (found[0] == "").tolist() == lost.tolist()


def test_names_of_outputs_and_columns(tmp_path, onnx):
    """Columns may have the names of outputs and of values within; a column needs a name."""
    rows = {name: [1.0, 2.0] * 9 for name in ("number", "columns", "constants.nan", "means.output")}
    model = TabularRegressor(**SETTINGS).fit(rows, np.arange(18.0))
    model.to_onnx(tmp_path / "m.onnx")
    running = session(onnx, tmp_path / "m.onnx")
    assert [entry.name for entry in running.get_outputs()] == ["number_"]
    found = running.run(None, {name: np.array(values)[:, None] for name, values in rows.items()})
    np.testing.assert_allclose(found[0], model.predict(rows), rtol=0, atol=1e-3)
    model = TabularRegressor(**SETTINGS).fit({"": [1.0, 2.0] * 9, "b": range(18)}, range(18))
    with refused(
        ValueError, "to_onnx: a column's name is empty, but an input of ONNX needs a name"
    ):
        model.to_onnx(tmp_path / "other.onnx")


def test_texts_that_onnx_does_not_have(tmp_path, onnx):
    model = TabularRegressor(**SETTINGS).fit({"a": ["\ud800", "b"] * 9, "n": range(18)}, range(18))
    message = (
        "to_onnx: a category of column 'a' is '\\ud800', which ONNX's strings cannot hold; model.n"
    )
    with refused(ValueError, message):
        model.to_onnx(tmp_path / "m.onnx")
