"""Models of tables as C headers and as ONNX files: raw values in, classes or numbers out."""

import ctypes
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from refused import refused

import cnn
from cnn import __main__ as command_line
from cnn import _core, _preprocessing
from cnn._preprocessing import Preprocessing
from cnn._table import Category, Number
from cnn.tabular import TableModel

COMPILER = shlex.split(os.environ.get("CC", "cc"))
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
OPTIONS = {
    "portable": ["-std=c99", "-O2"],
    "native": ["-std=gnu99", "-O3", "-march=native", "-ffp-contract=fast"],
    "unoptimized": ["-std=c99", "-O0"],
    "trigraphs": ["-std=c99", "-trigraphs", "-O1"],
    "C++": ["-x", "c++", "-std=c++17", "-O2"],
}
needs_compiler = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which(COMPILER[0]) is None, reason="there is no C compiler"
)

# Texts that a C string, a comment or a template might make something else of.
TEXTS = (
    "Adelie",
    'quo"te',
    "back\\slash",
    "tri??/graph??)",
    "Gentoo \u00fc\U0001f427",
    "new\nline\ttab",
    "\x7f\x01\u00e912",
    "*/ // /*",
    "$name ${own} $identity $$ %s %n",
    " spaces ",
    "",
    "1",
)
COLUMNS = (
    Number("t", 1.7e12 + 0.25, 10.0),
    Category('isl"and\\??/', TEXTS),
    Number("\u00fcber\nalles */", -1 / 3, 1e-3),
    Number("scale of 1e300", 0.0, 1e300),
    Category("x", ("a", "b")),
)
SPECIES = Category("spe\\cies", TEXTS)
PRICE = Number('pri"ce', 1.7e12 + 0.123, 1 / 3)


def made(target, dtype="float32", columns=COLUMNS, hidden="tanh"):
    plan = Preprocessing(columns, target)
    output = "softmax" if isinstance(target, Category) else "identity"
    net = cnn.mlp([plan.inputs, 20, target.width], hidden, output, rng=0, dtype=dtype)
    net._network.set_metadata(_preprocessing.KEY, plan.to_json())
    return TableModel(net)


def rows(n=200):
    rng = np.random.default_rng(0)
    return [
        [
            1.7e12 + 10 * rng.standard_normal(),
            TEXTS[rng.integers(len(TEXTS))],
            rng.standard_normal() * 1e-3,
            rng.standard_normal() * 1e300,
            "ab"[rng.integers(2)],
        ]
        for _ in range(n)
    ]


# ---- C -----------------------------------------------------------------------------------------


def compiled(folder, source, options=OPTIONS["portable"]):
    # Of a path that was loaded before, the library of then would be had again.
    path, library = folder / "all.c", folder / f"all{len(list(folder.iterdir()))}.so"
    path.write_text(source)
    command = [*COMPILER, *options, *WARNINGS, "-shared", "-fPIC", str(path), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))


PROGRAM = """
#define M_SELF_TEST
#include "m.h"
#ifdef __cplusplus
extern "C" {
#endif
int run(size_t rows, const double *row, RESULT *y);
int run(size_t rows, const double *row, RESULT *y)
{
    int wrong = 0;
    for (size_t i = 0; i < rows; i++)
        wrong += m_predict(row + i * M_COLUMNS, y + i * WIDTH) != 0;
    return wrong;
}
int status(const double *row, RESULT *y);
int status(const double *row, RESULT *y) { return m_predict(row, y); }
int test(void);
int test(void) { return m_self_test(); }
int category(size_t column, const char *text);
int category(size_t column, const char *text) { return m_category(column, text); }
const char *column_name(size_t i);
const char *column_name(size_t i) { return m_column_names[i]; }
const char *target_name(void);
const char *target_name(void) { return m_target_name; }
MORE
#ifdef __cplusplus
}
#endif
"""
CLASSES = """
const char *class_name(const RESULT *y);
const char *class_name(const RESULT *y) { return m_class_names[m_class(y)]; }
"""


def header(folder, model, options, **settings):
    """Return the library of a model's header."""
    model.to_c(folder / "m.h", **settings)
    is_class = model.classes is not None
    small = "float32" in (settings.get("dtype"), model.net.dtype.name)
    result = "float" if is_class and small else "double"
    source = PROGRAM.replace("MORE", CLASSES if is_class else "")
    width = model.net.outputs
    library = compiled(
        folder, source.replace("RESULT", result).replace("WIDTH", str(width)), options
    )
    for name in ("column_name", "target_name", "class_name")[: 3 if is_class else 2]:
        getattr(library, name).restype = ctypes.c_char_p
    library.column_name.argtypes = [ctypes.c_size_t]
    library.category.argtypes = [ctypes.c_size_t, ctypes.c_char_p]
    library.run.argtypes = [ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p]
    library.status.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    return library, np.dtype("float32" if result == "float" else "float64")


def encoded(library, model, table):
    """Return rows as a C program makes them."""
    found = []
    for row in table:
        cells = []
        for i, (name, value) in enumerate(zip(model.columns, row, strict=True)):
            is_text = name in model.categories
            cells.append(library.category(i, value.encode()) if is_text else value)
        found.append(cells)
    return np.array(found, np.float64)


def results(library, dtype, values, width):
    y = np.empty((len(values), width), dtype)
    assert library.run(len(values), values.ctypes.data, y.ctypes.data) == 0
    return y


@needs_compiler
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", [SPECIES, PRICE], ids=["classes", "number"])
def test_headers_have_the_bits_of_python(tmp_path, target, dtype, options):
    model = made(target, dtype)
    library, result = header(tmp_path, model, OPTIONS[options])
    assert library.test() == 0
    table = rows()
    y = results(library, result, encoded(library, model, table), model.net.outputs)
    if model.classes is None:
        assert y[:, 0].tobytes() == model.predict(table).tobytes()
    else:
        assert y.tobytes() == model.predict_proba(table).tobytes()
        library.class_name.argtypes = [ctypes.c_void_p]
        names = [library.class_name(row.ctypes.data).decode() for row in y]
        assert names == model.predict(table).tolist()
    assert [library.column_name(i).decode() for i in range(5)] == list(model.columns)
    assert library.target_name().decode() == target.name
    for i, name in enumerate(model.columns):
        for place, text in enumerate(model.categories.get(name, ())):
            assert library.category(i, text.encode()) == place
        assert library.category(i, b"absent") == -1
    assert library.category(5, b"a") == -1


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", [SPECIES, PRICE], ids=["classes", "number"])
def test_fast_headers(tmp_path, target, dtype):
    model = made(target, dtype)
    library, result = header(tmp_path, model, OPTIONS["native"], fast=True)
    assert library.test() == 0
    table = rows()
    y = results(library, result, encoded(library, model, table), model.net.outputs)
    if model.classes is None:
        # An ULP of 1.7e12 beside what the sums of float32 leave of a deviation of 1/3.
        np.testing.assert_allclose(y[:, 0], model.predict(table), rtol=0, atol=1e-3)
    else:
        np.testing.assert_allclose(y, model.predict_proba(table), rtol=0, atol=1e-5)


@needs_compiler
def test_headers_in_another_type(tmp_path):
    model = made(SPECIES, "float64")
    library, result = header(tmp_path, model, OPTIONS["portable"], dtype="float32")
    assert library.test() == 0
    table = rows(20)
    y = results(library, result, encoded(library, model, table), model.net.outputs)
    np.testing.assert_allclose(y, model.predict_proba(table), rtol=0, atol=1e-5)


@needs_compiler
@pytest.mark.parametrize("target", [SPECIES, PRICE], ids=["classes", "number"])
def test_headers_refuse_what_python_does(tmp_path, target):
    model = made(target, columns=(*COLUMNS, Number("narrow", 0.0, 1e-3)))
    library, result = header(tmp_path, model, OPTIONS["portable"])
    good = np.array([1.7e12, 3, 0, 0, 1, 0], np.float64)
    y = np.empty(model.net.outputs, result)
    assert library.status(good.ctypes.data, y.ctypes.data) == 0
    for column, value in (
        *itertools.product(range(6), (np.nan, np.inf, -np.inf)),
        (1, -1), (1, 12), (1, 0.5), (1, 1e300), (4, 2), (4, -0.5), (5, 1e300),
    ):  # fmt: skip
        bad = good.copy()
        bad[column] = value
        assert library.status(bad.ctypes.data, y.ctypes.data) == column + 1
    model.net.layers[1].weight = np.full(model.net.layers[1].weight.shape, 3e38, np.float32)
    library, result = header(tmp_path, model, OPTIONS["portable"])
    far = np.array([1.7e12, 3, 0, 9e304, 1, 0], np.float64)
    assert library.status(far.ctypes.data, y.ctypes.data) == -1


@needs_compiler
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(
    ("target", "old", "new"),
    [
        (SPECIES, "{1700000000000.25, 10.0,", "{1700000000000.5, 10.0,"),
        (PRICE, "* 0.3333333333333333;", "* 0.34;"),
        (PRICE, "product + 1700000000000.123", "product + 1700000000000.5"),
        (SPECIES, "return (int)i + 1;", "x[at] = 0;"),
    ],
)
def test_self_tests_can_fail(tmp_path, target, old, new, fast):
    model = made(target)
    model.to_c(tmp_path / "m.h", fast=fast)
    text = (tmp_path / "m.h").read_text()
    assert old in text
    (tmp_path / "m.h").write_text(text.replace(old, new, 1))
    library = compiled(
        tmp_path,
        '#define M_SELF_TEST\n#include "m.h"\nint test(void);\n'
        "int test(void) { return m_self_test(); }\n",
    )
    assert library.test() > 0


@needs_compiler
def test_a_table_of_numbers_alone_and_one_of_categories_alone(tmp_path):
    for columns in (COLUMNS[:1], COLUMNS[1:2]):
        model = made(PRICE, columns=columns)
        library, result = header(tmp_path, model, OPTIONS["portable"])
        assert library.test() == 0
        place = 0 if columns[0] is COLUMNS[0] else 1
        table = [[row[place]] for row in rows(20)]
        y = results(library, result, encoded(library, model, table), 1)
        assert y[:, 0].tobytes() == model.predict(table).tobytes()


def test_headers_are_ascii(tmp_path):
    made(SPECIES).to_c(tmp_path / "m.h")
    assert (tmp_path / "m.h").read_bytes().isascii()


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_texts_that_c_does_not_have(tmp_path, text):
    for columns, target, what in (
        ((Number(text), *COLUMNS), SPECIES, "a column's name"),
        (COLUMNS, Number(text), "the target's name"),
        (COLUMNS, Category("c", ("x", text)), "a class"),
        ((Category("c", ("x", text)), *COLUMNS), PRICE, "a category of column 'c'"),
    ):
        plan = Preprocessing(columns, target)
        model = made(PRICE if isinstance(target, Number) else SPECIES)
        model._plan = plan
        message = f"to_c: {what} is {text!r}, which C's strings cannot hold; model.net.to_c writes"
        with refused(ValueError, message):
            model.to_c(tmp_path / "m.h")
    assert list(tmp_path.iterdir()) == []


def test_bad_arguments(tmp_path):
    model = made(SPECIES)
    with refused(TypeError, "to_c: path is of type int"):
        model.to_c(3)
    with refused(ValueError, "to_c: name is 'a b', which is not a name in C"):
        model.to_c("m.h", name="a b")
    with refused(ValueError, "to_c: dtype is 'float16'"):
        model.to_c("m.h", dtype="float16")
    with refused(TypeError, "to_onnx: path is of type int"):
        model.to_onnx(3)


# ---- Names of headers --------------------------------------------------------------------------


ALIKE = [
    ["net", "Net", "NET", "nET", "NeT"],
    ["net", "net_v", "net_leaky", "net_element", "net_vm", "net_cnn_vm", "net_dense", "net_x"],
    ["v", "V", "vm", "vi", "real", "R", "INLINE", "VM", "cnn", "CNN", "Cnn", "bits", "integer"],
    [
        "x",
        "y",
        "a",
        "b",
        "i",
        "j",
        "k",
        "sum",
        "total",
        "column",
        "row",
        "bad",
        "E1",
        "INT8",
        "isx",
    ],
    [
        "linux",
        "NULL",
        "size_t",
        "uint32",
        "uint32_t",
        "int8",
        "float64",
        "str",
        "mem",
        "a_",
        "a__b",
    ],
]


@needs_compiler
@pytest.mark.parametrize("options", ["portable", "C++"])
@pytest.mark.parametrize("names", ALIKE, ids=lambda names: names[0])
def test_one_file_may_include_headers_of_all_names(tmp_path, names, options):
    """`net` and `Net` shared a guard, so that the second of them was left out."""
    lines, nets = ["#define TESTS"], []
    for i, name in enumerate(names):
        # Each function is in one of them at least, in both types, with and without a table.
        activation = [a for a in _core.ACTIVATIONS if a != "softmax"][i % 8]
        dtype = ("float32", "float64")[i % 2]
        net = cnn.mlp(
            [3, 4, 2], activation, "softmax" if i % 3 else "leaky_relu", rng=i, dtype=dtype
        )
        model = made(SPECIES, dtype, hidden=activation) if i % 4 == 3 else net
        model.to_c(tmp_path / f"header{i}.h", name=name)
        nets.append(model)
        lines += [f"#define {name.upper()}_SELF_TEST"] * (
            f"#define {name.upper()}_SELF_TEST" not in lines
        )
    lines += [f'#include "header{i}.h"' for i in range(len(names))] * 2
    lines += [
        "#ifdef __cplusplus",
        'extern "C"',
        "#endif",
        "int test(void);",
        "int test(void) { return",
    ]
    lines += [f"    {name}_self_test() * {i + 1} +" for i, name in enumerate(names)]
    library = compiled(tmp_path, "\n".join([*lines, "0; }", ""]), OPTIONS[options])
    assert library.test() == 0


@needs_compiler
def test_sizes_of_networks_whose_names_differ_in_capitals(tmp_path):
    sizes = {"net": 2, "Net": 3, "NET": 5}
    for name, size in sizes.items():
        cnn.mlp([size, 1], "tanh", "tanh", rng=0).to_c(tmp_path / f"{size}.h", name=name)
    macros = {"net": "NET_INPUTS", "Net": "Net_inputs", "NET": "NET_inputs"}
    lines = [f'#include "{size}.h"' for size in sizes.values()]
    lines += ["int test(void);", "int test(void) { return 0"]
    lines += [f"    + ({macros[name]} != {size})" for name, size in sizes.items()]
    assert compiled(tmp_path, "\n".join([*lines, "; }", ""])).test() == 0


@needs_compiler
def test_names_beside_those_of_cnn_h(tmp_path):
    for name in ("cnn", "CNN", "Cnn"):
        made(SPECIES).to_c(tmp_path / f"{name}_net.h", name=name)
    lines = ["#include <cnn/cnn.h>", *(f'#include "{n}_net.h"' for n in ("cnn", "CNN", "Cnn"))]
    source = "\n".join([*lines, "int test(void);", "int test(void) { return CNN_INPUTS; }", ""])
    options = [*OPTIONS["portable"], f"-I{cnn.get_include()}"]
    assert compiled(tmp_path, source, options).test() == made(SPECIES).net.inputs


@needs_compiler
def test_two_networks_of_one_name_are_told(tmp_path):
    """The second was left out in silence, and the first's outputs were taken for its own."""
    for folder, seed in (("a", 0), ("b", 1)):
        (tmp_path / folder).mkdir()
        cnn.mlp([2, 1], "tanh", "tanh", rng=seed).to_c(tmp_path / folder / "net.h")
    again = '#include "a/net.h"\n#include "a/net.h"\nint n = NET_INPUTS;\n'
    compiled(tmp_path, again)
    with pytest.raises(AssertionError, match="two different headers have the name net; give one"):
        compiled(tmp_path, '#include "a/net.h"\n#include "b/net.h"\nint n = NET_INPUTS;\n')


def test_names_of_headers_can_be_told_apart(tmp_path):
    """No name of a header is another's with a longer name, but for those with _cnn in it."""
    found = set()
    for dtype in ("float32", "float64"):
        for activation in _core.ACTIVATIONS:
            hidden = "identity" if activation == "softmax" else activation
            net = cnn.mlp([3, 2, 2], hidden, activation, rng=0, dtype=dtype)
            net.to_c(tmp_path / "zq.h")
            found |= set(re.findall(r"\bzq_(\w+)|\bZQ_(\w+)", (tmp_path / "zq.h").read_text()))
        for target in (SPECIES, PRICE):
            made(target, dtype).to_c(tmp_path / "zq.h")
            found |= set(re.findall(r"\bzq_(\w+)|\bZQ_(\w+)", (tmp_path / "zq.h").read_text()))
    public = {lower or upper for lower, upper in found if not lower.startswith("cnn_")}
    assert {"predict", "self_test", "fma", "weight_0", "INPUTS", "COLUMNS", "category"} <= public
    for suffix in public:
        assert not [other for other in public if suffix.endswith(f"_{other}")], suffix


FRUIT = "weight,skin,fruit\n" + "150,smooth,apple\n10,rough,lychee\n140,rough,avocado\n" * 20


def blocks(page, language):
    """Return the blocks of code of a page of the documentation."""
    text = (Path(__file__).parent.parent / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@needs_compiler
def test_the_example_of_the_documentation(tmp_path):
    (tmp_path / "fruit.csv").write_text(FRUIT)
    model = str(tmp_path / "fruit.safetensors")
    data = ["train", str(tmp_path / "fruit.csv"), "--target", "fruit", "-q", "-o", model]
    assert command_line.main(data) == 0
    assert command_line.main(["export", model, "--to", "c"]) == 0
    (source,) = [block for block in blocks("docs/doors.md", "c") if "fruit.h" in block]
    (tmp_path / "main.c").write_text(source)
    program = tmp_path / "main"
    command = [*COMPILER, "-std=c99", *WARNINGS, tmp_path / "main.c", "-o", program]
    subprocess.run(command, check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert done.stdout == "avocado\n"


def test_the_example_of_the_readme(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    pandas = pytest.importorskip("pandas")
    names, content = iris()
    frame = pandas.DataFrame(content, columns=names)
    frame.to_csv(tmp_path / "iris.csv", index=False)
    frame.drop(columns="species").to_csv(tmp_path / "new.csv", index=False)
    monkeypatch.chdir(tmp_path)
    train = ["train", "iris.csv", "--target", "species", "-o", "iris.safetensors"]
    assert command_line.main([*train, "--quiet"]) == 0
    (source,) = [block for block in blocks("README.md", "python") if "model.transform" in block]
    found = {}
    exec(source, found)
    assert (found["model"].predict(found["frame"]) == frame["species"]).mean() > 0.9
    assert (tmp_path / "iris.h").is_file()


# ---- ONNX --------------------------------------------------------------------------------------


@pytest.fixture
def onnx():
    return pytest.importorskip("onnx", reason="onnx is not installed")


def session(path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def fed(model, table):
    """Return a table as ONNX Runtime takes it."""
    return {
        name: np.array([[row[i]] for row in table], object if name in model.categories else float)
        for i, name in enumerate(model.columns)
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", [SPECIES, PRICE], ids=["classes", "number"])
def test_onnx(tmp_path, onnx, target, dtype):
    model, path = made(target, dtype), tmp_path / "m.onnx"
    model.to_onnx(path)
    loaded = onnx.load(path)
    onnx.checker.check_model(loaded, full_check=True)
    assert [entry.name for entry in loaded.graph.input] == list(model.columns)
    properties = {entry.key: entry.value for entry in loaded.metadata_props}
    assert json.loads(properties["cnn_preprocessing"])["target"]["name"] == target.name
    table = rows()
    found = session(path).run(None, fed(model, table))
    atol = 1e-5 if dtype == "float32" else 1e-12
    if model.classes is None:
        assert [entry.name for entry in loaded.graph.output] == ["number"]
        assert (found[0].dtype, found[0].shape) == (np.float64, (200,))
        np.testing.assert_allclose(found[0], model.predict(table), rtol=0, atol=atol + 3e-4)
    else:
        assert [entry.name for entry in loaded.graph.output] == ["label", "probabilities"]
        assert found[0].tolist() == model.predict(table).tolist()
        np.testing.assert_allclose(found[1], model.predict_proba(table), rtol=0, atol=atol)


# exponential overflows on inputs such as these.
@pytest.mark.parametrize(
    "activation", [name for name in _core.ACTIVATIONS if name not in ("softmax", "exponential")]
)
def test_onnx_with_all_activations(tmp_path, onnx, activation):
    for target in (SPECIES, PRICE):
        model = made(target, hidden=activation)
        model.to_onnx(tmp_path / "m.onnx")
        table = rows(20)
        found = session(tmp_path / "m.onnx").run(None, fed(model, table))
        if model.classes is None:
            np.testing.assert_allclose(found[0], model.predict(table), rtol=0, atol=1e-3)
        else:
            np.testing.assert_allclose(found[1], model.predict_proba(table), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inputs_of_onnx_have_the_bits_of_python(tmp_path, onnx, dtype):
    model, path = made(SPECIES, dtype), tmp_path / "m.onnx"
    model.to_onnx(path)
    loaded = onnx.load(path)
    (gemm,) = [node for node in loaded.graph.node if node.name == "layers.0.gemm"]
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    shape = ["batch", model.net.inputs]
    loaded.graph.output.append(onnx.helper.make_tensor_value_info(gemm.input[0], kind, shape))
    onnx.save(loaded, path)
    table = rows()
    found = session(path).run([gemm.input[0]], fed(model, table))[0]
    assert found.tobytes() == model.transform(table).tobytes()


def test_rows_that_python_refuses(tmp_path, onnx):
    model = made(SPECIES, columns=(Number("n", 0.0, 1e-3), Category("c", ("a", "b"))))
    model.to_onnx(tmp_path / "m.onnx")
    running = session(tmp_path / "m.onnx")
    table = [[1.0, "a"], [np.nan, "a"], [np.inf, "b"], [-1e300, "a"], [2.0, "b"]]
    label, p = running.run(None, fed(model, table))
    good = [row for row in table if abs(row[0]) < 3]
    # An empty text is a class here.
    first, last = model.predict(good)
    assert label.tolist() == [first, "NaN", "NaN", "NaN", last]
    assert np.isnan(p[1:4]).all()
    np.testing.assert_allclose(p[[0, 4]], model.predict_proba(good), atol=1e-6)
    with pytest.raises(Exception, match="Unknown Category"):
        running.run(None, fed(model, [[1.0, "c"]]))
    usual = made(Category("c", ("x", "y")), columns=(Number("n", 0.0, 1e-3),))
    usual.to_onnx(tmp_path / "m.onnx")
    label, _ = session(tmp_path / "m.onnx").run(None, {"n": np.array([[1.0], [np.nan]])})
    assert label.tolist() == [usual.predict([[1.0]])[0], ""]
    number = made(PRICE, columns=(Number("n", 0.0, 1e-3),))
    number.to_onnx(tmp_path / "m.onnx")
    found = session(tmp_path / "m.onnx").run(None, {"n": np.array([[1.0], [np.nan], [1e300]])})[0]
    assert np.isnan(found).tolist() == [False, True, True]


def test_columns_with_the_names_of_nodes(tmp_path, onnx):
    names = ["label", "probabilities", "label_", "checked", "columns", "layers.0.weight", "check"]
    columns = tuple(Number(name, 1.0, 2.0) for name in names)
    for target, outputs in ((SPECIES, ["label__", "probabilities_"]), (PRICE, ["number"])):
        model = made(target, columns=columns)
        model.to_onnx(tmp_path / "m.onnx")
        running = session(tmp_path / "m.onnx")
        assert [entry.name for entry in running.get_outputs()] == outputs
        table = np.random.default_rng(0).normal(size=(5, 7)).tolist()
        assert (running.run(None, fed(model, table))[0] == model.predict(table)).mean() > 0.5 or (
            target is PRICE
        )


def test_texts_that_onnx_does_not_have(tmp_path, onnx):
    model = made(PRICE)
    model._plan = Preprocessing((Number("\ud800"),), PRICE)
    with refused(ValueError, "to_onnx: the name of a column is '\\ud800', which ONNX's strings"):
        model.to_onnx(tmp_path / "m.onnx")


def test_from_onnx_tells_what_to_do(tmp_path, onnx):
    made(PRICE, columns=COLUMNS[:1]).to_onnx(tmp_path / "m.onnx")
    message = "from_onnx: the model takes the columns of a table, should be a network alone; cnn.lo"
    with refused(ValueError, message):
        cnn.from_onnx(tmp_path / "m.onnx")


# ---- Real tables, and the command line ---------------------------------------------------------


def iris():
    datasets = pytest.importorskip("sklearn.datasets")
    data = datasets.load_iris()
    names = [name.replace(" (cm)", "") for name in data.feature_names]
    species = data.target_names[data.target].tolist()
    return [*names, "species"], [[*x, t] for x, t in zip(data.data.tolist(), species, strict=True)]


def penguins():
    rng = np.random.default_rng(0)
    table = []
    for _ in range(300):
        kind = rng.integers(3)
        island = rng.choice(
            [["Torgersen", "Biscoe"], ["Dream", "Dream"], ["Biscoe", "Dream"]][kind]
        )
        when = 1.7e12 + 10 * rng.standard_normal() + 8 * kind
        table.append([float(rng.normal(38 + 5 * kind, 1)), str(island), float(when),
                      ["Ad\u00e9lie", "Chinstrap", 'Gen"too'][kind]])  # fmt: skip
    return ["bill", "island", "time", "species"], table


@needs_compiler
@pytest.mark.parametrize("table", [iris, penguins])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_exports_of_the_command_line(tmp_path, capsys, table, task):
    """From a CSV file to C and to ONNX: the classes and numbers of `predict`, on raw rows."""
    import csv

    pytest.importorskip("onnx")
    names, content = table()
    target = names[-1] if task == "classification" else names[0]
    with (tmp_path / "data.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, *([*map(str, row)] for row in content)])
    at = names.index(target)
    given = [row[:at] + row[at + 1 :] for row in content]
    path = str(tmp_path / "m.safetensors")
    options = ["--target", target, "--task", task, "--epochs", "40", "-q", "-o", path]
    assert command_line.main(["train", str(tmp_path / "data.csv"), *options]) == 0
    capsys.readouterr()
    assert command_line.main(["export", path, "--to", "onnx"]) == 0
    assert "It takes the raw values of columns by their names, and does" in capsys.readouterr().out
    assert command_line.main(["export", path, "--to", "c"]) == 0
    assert "\nm_predict takes the raw values of a row, and does" in capsys.readouterr().out
    model = cnn.load(path)
    expected = model.predict(given)
    if task == "classification":
        truth = np.array([row[at] for row in content], object)
        assert (expected == truth).mean() > 0.9
    found = session(tmp_path / "m.onnx").run(None, fed(model, given))
    library, result = header(tmp_path, model, OPTIONS["native"])
    if not any(column in model.categories for column in model.columns):
        values = np.array(given, np.float64)
    else:
        values = encoded(library, model, given)
    y = results(library, result, values, model.net.outputs)
    if task == "classification":
        assert found[0].tolist() == expected.tolist()
        np.testing.assert_allclose(found[1], model.predict_proba(given), rtol=0, atol=1e-5)
        assert y.tobytes() == model.predict_proba(given).tobytes()
    else:
        np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-4)
        assert y[:, 0].tobytes() == expected.tobytes()
