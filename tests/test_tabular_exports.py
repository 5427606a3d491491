"""Networks with columns, and estimators of tables, as C headers."""

import ctypes
import math
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
from marks import slow_sets
from raw_tables import (
    COLUMNS,
    RENT,
    ROWS,
    SETTINGS,
    fitted,
    inputs,
    network,
    numbers_of,
    other_rows,
    predicted,
    table,
)
from refused import refused
from table_models import COMPILER, OPTIONS, WARNINGS, blocks, compiled, needs_compiler

import cnn
from cnn.columns import Embedding, Ignored, Number, OneHot, Periodic
from cnn.tabular import TabularClassifier, TabularRegressor

# ---- Networks ----------------------------------------------------------------------------------


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
        *slow_sets(
            *(("native", "selu"), ("native", "silu")),
            *(("unoptimized", "gelu"), ("portable", "identity")),
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
    with refused(
        ValueError, "to_torch: layer 0 is a columns layer, which modules of PyTorch do not"
    ):
        network("float32").to_torch()


# ---- Tables ------------------------------------------------------------------------------------

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
        ("quantiles", "native"),
        ("infrequent", "native"),
        *slow_sets(
            *(("numbers", "portable"), ("poisson", "portable"), ("poisson", "native")),
            *(("classifier", "unoptimized"), ("quantiles", "unoptimized")),
        ),
    ],
)
def test_headers_have_the_bits_of_python(tmp_path, name, options):
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
def test_headers_of_dates_far_from_1970(tmp_path):
    """Products of their seconds with a million have more digits than float64."""
    random = np.random.default_rng(4)
    days = random.integers(-400000, 800000, (ROWS, 2)).astype("M8[D]").astype("M8[us]")
    days += (random.integers(0, 86400 * 64, days.shape) * 15625).astype("m8[us]")
    rows = {"born": days[:, 0], "built": days[:, 1]}
    model = TabularRegressor(**SETTINGS).fit(rows, RENT)
    library = header(tmp_path, model)
    assert library.test() == 0
    whole, part = np.divmod(days.astype(np.int64), 10**6)
    found = results(library, whole + part / 1e6, 1)[:, 0]
    assert found.tobytes() == model.predict(rows).tobytes()
    # In float64, outputs tell microseconds apart.
    assert header(tmp_path, model, dtype="float64").test() == 0


@needs_compiler
def test_headers_of_arrays(tmp_path):
    """Columns of numbers without names, far beyond those of training too; many classes."""
    random = np.random.default_rng(2)
    x = random.normal(size=(ROWS, 8)) * 10.0 ** random.integers(-5, 6, 8)
    far = np.where(random.random(x.shape) < 0.2, x * 1e6, x)
    far[random.random(x.shape) < 0.1] = np.nan
    classifier = TabularClassifier(**SETTINGS).fit(x, np.arange(ROWS) % 19 - 3)
    regressor = TabularRegressor(**SETTINGS).fit(x, x[:, 0] + np.sin(x[:, 1]))
    for model, predict in (
        (classifier, classifier.predict_proba),
        (regressor, lambda rows: regressor.predict(rows)[:, None]),
    ):
        library = header(tmp_path, model, OPTIONS["native"])
        assert library.test() == 0
        y = predict(far)
        assert results(library, far, y.shape[1]).tobytes() == y.tobytes()


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
def test_fast_headers_and_other_types(tmp_path, name):
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
def test_headers_refuse_rows(tmp_path):
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
def test_headers_can_fail(tmp_path):
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


def test_loaded_estimators(tmp_path):
    """An estimator of a file writes the same header."""
    for name in ("classifier", "number", "quantiles"):
        fitted(name).save(tmp_path / "m.safetensors")
        headers = []
        for model in (fitted(name), cnn.load(tmp_path / "m.safetensors")):
            model.to_c(tmp_path / "m.h")
            headers.append((tmp_path / "m.h").read_text())
        assert headers[0] == headers[1]


def test_bad_arguments(tmp_path):
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


def test_a_single_row_has_the_bits_of_many():
    """Sums of probabilities have one order, whatever the number of rows."""
    t = np.arange(ROWS) % 19
    model = TabularClassifier(**SETTINGS).fit(table()["rooms"].reshape(-1, 1), t)
    x = np.arange(1.0, 9.0).reshape(-1, 1)
    many = model.predict_proba(x)
    assert all((model.predict_proba(x[i : i + 1]) == many[i]).all() for i in range(len(x)))
    assert all(math.isclose(sum(row), 1.0) for row in many)
