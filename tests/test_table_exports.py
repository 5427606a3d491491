"""Models of tables as C headers: raw values in, classes or numbers out."""

import ctypes
import itertools
import re
import subprocess

import numpy as np
import pytest
from marks import quick, slow
from refused import refused
from table_models import (
    COLUMNS,
    COMPILER,
    FRUIT,
    OPTIONS,
    PRICE,
    SPECIES,
    WARNINGS,
    blocks,
    compiled,
    encoded,
    header,
    made,
    needs_compiler,
    results,
    rows,
)

import cnn
from cnn import _core
from cnn._tables.preprocessing import Preprocessing
from cnn._tables.table import Category, Number
from cnn.cli import main as command_line


@needs_compiler
@pytest.mark.parametrize("options", quick({"native"}, OPTIONS))
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
@pytest.mark.parametrize("options", ["portable", *slow("C++")])
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
    # What is tested is which names the compiler accepts, so it need not optimise.
    library = compiled(tmp_path, "\n".join([*lines, "0; }", ""]), [*OPTIONS[options], "-O0"])
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


@needs_compiler
def test_the_example_of_the_documentation(tmp_path):
    (tmp_path / "fruit.csv").write_text(FRUIT)
    model = str(tmp_path / "fruit.safetensors")
    data = ["train", str(tmp_path / "fruit.csv"), "--target", "fruit", "--model", "dense", "-q"]
    data += ["-o", model]
    assert command_line.main(data) == 0
    assert command_line.main(["export", model, "--to", "c"]) == 0
    (source,) = [block for block in blocks("docs/guide/devices.md", "c") if "fruit.h" in block]
    (tmp_path / "main.c").write_text(source)
    program = tmp_path / "main"
    command = [*COMPILER, "-std=c99", *WARNINGS, tmp_path / "main.c", "-o", program]
    subprocess.run(command, check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert done.stdout == "avocado\n"
