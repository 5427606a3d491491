"""Networks as C headers: the same bits as predict, whatever the compiler's options."""

import ctypes
import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from marks import quick
from refused import refused

import cnn
from cnn import _core

COMPILER = shlex.split(os.environ.get("CC", "cc"))

# More products than a chunk of 256 holds, and columns that no vector divides.
INPUTS, HIDDEN, OUTPUTS = 300, 21, 18

# Without an instruction for fma; with one, where compilers would like to contract; not optimized.
OPTIONS = {
    "portable": ["-std=c99", "-O2"],
    "native": ["-std=gnu99", "-O3", "-march=native", "-ffp-contract=fast"],
    "unoptimized": ["-std=c99", "-O0"],
}

WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which(COMPILER[0]) is None, reason="there is no C compiler"
)


def network(activation, dtype, rng=0):
    # Larger weights than usual, for arguments of all sizes.
    layers = [
        cnn.Dense(INPUTS, HIDDEN, "identity" if activation == "softmax" else activation),
        cnn.Dropout(0.5),
        cnn.Dense(HIDDEN, OUTPUTS, activation),
    ]
    net = cnn.Sequential(layers, dtype=dtype, rng=rng)
    random = np.random.default_rng(rng)
    # exp, taken twice, would make roundings of sums as large as its results.
    scale = 0.1 if activation == "exponential" else 1.0
    for layer in (net.layers[0], net.layers[2]):
        layer.weight = scale * random.standard_normal(layer.weight.shape).astype(dtype)
        layer.bias = random.standard_normal(layer.bias.shape).astype(dtype)
    return net


def compiled(folder, headers, options):
    """Compile headers of (name, C type) and return a library with NAME_rows for each."""
    lines = []
    for name, c_type in headers:
        lines += [
            f"#define {name.upper()}_SELF_TEST",
            f'#include "{name}.h"',
            f"void {name}_rows(size_t rows, const {c_type} *x, {c_type} *y);",
            f"int {name}_test(void);",
            f"void {name}_rows(size_t rows, const {c_type} *x, {c_type} *y)",
            "{",
            "    for (size_t i = 0; i < rows; i++)",
            f"        {name}_predict(x + i * {INPUTS}, y + i * {OUTPUTS});",
            "}",
            f"int {name}_test(void) {{ return {name}_self_test(); }}",
        ]
    source = folder / "all.c"
    source.write_text("\n".join(lines) + "\n")
    library = folder / "all.so"
    command = [*COMPILER, *options, *WARNINGS, "-shared", "-fPIC", str(source), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))


def rows_of(library, name, x, outputs):
    y = np.empty((len(x), outputs), x.dtype)
    function = library[f"{name}_rows"]
    function.argtypes = [ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p]
    function.restype = None
    function(len(x), x.ctypes.data, y.ctypes.data)
    return y


WITH_NUMBERS = {
    "leaky_relu_0_2": cnn.activations.LeakyReLU(0.2),
    "elu_2_5": cnn.activations.ELU(2.5),
    "elu_tiny": cnn.activations.ELU(1e-30),
}


def inputs(dtype):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((60, INPUTS))
    x[:20] *= 0.01
    x[20:25] *= 1e-42
    x[25] = 0
    x[26] = -0.0
    return x.astype(dtype)


@pytest.mark.parametrize("options", quick({"portable"}, OPTIONS))
def test_standardize(tmp_path, options, dtype, bits):
    """With one dense layer and with several, which take other buffers."""
    c_type, x = "float" if dtype == np.float32 else "double", inputs(dtype)
    nets = {}
    for hidden in ([], [HIDDEN], [HIDDEN, 5]):
        widths = [INPUTS, *hidden, OUTPUTS]
        dense = [cnn.Dense(a, b, "tanh") for a, b in itertools.pairwise(widths)]
        layers = [cnn.Standardize().adapt(x * 7 + 3), *dense]
        nets[f"net_{len(hidden)}"] = cnn.Sequential(layers, dtype=dtype, rng=0)
    for name, net in nets.items():
        net.to_c(tmp_path / f"{name}.h")
    library = compiled(tmp_path, [(name, c_type) for name in nets], OPTIONS[options])
    for name, net in nets.items():
        assert library[f"{name}_test"]() == 0
        assert bits(rows_of(library, name, x, OUTPUTS)) == bits(net.predict(x))


def test_standardize_of_another_type(tmp_path):
    """Mean and scale are rounded to the header's type, if it has them."""
    layers = [cnn.Standardize(mean=[0.1], scale=[1e-60]), cnn.Dense(1, 1)]
    net = cnn.Sequential(layers, dtype="float64", rng=0)
    with refused(ValueError, "to_c: the scale of layer 0 becomes 0.0 in float32 at [0]"):
        net.to_c(tmp_path / "net.h", dtype="float32")
    net.layers[0].scale = 0.3
    net.to_c(tmp_path / "net.h", dtype="float32")
    assert "net_mean_0[1] = {\n    0.1f};" in (tmp_path / "net.h").read_text()


# Each takes seconds of a compiler's time.
QUICK = {("native", True, "float64")}


@pytest.mark.parametrize(
    ("options", "fast", "dtype"),
    [
        pytest.param(*case, marks=[] if case in QUICK else [pytest.mark.slow])
        for case in itertools.product(
            ("portable", "native", "unoptimized"), (False, True), ("float32", "float64")
        )
    ],
    indirect=["dtype"],
)
def test_activations(tmp_path, options, fast, dtype, bits):
    c_type = "float" if dtype == np.float32 else "double"
    nets = {name: network(name, dtype) for name in _core.ACTIVATIONS}
    nets |= {name: network(activation, dtype) for name, activation in WITH_NUMBERS.items()}
    for name, net in nets.items():
        net.to_c(tmp_path / f"{name}.h", name=f"net_{name}", fast=fast)
        (tmp_path / f"{name}.h").rename(tmp_path / f"net_{name}.h")
    library = compiled(tmp_path, [(f"net_{name}", c_type) for name in nets], OPTIONS[options])
    x = inputs(dtype)
    for name, net in nets.items():
        assert library[f"net_{name}_test"]() == 0, name
        y = rows_of(library, f"net_{name}", x, OUTPUTS)
        if fast:
            # Two layers, each of which may lose the roundings of its sums; step may turn over.
            most = 1e4 * np.finfo(dtype).eps
            close = np.isclose(y, net.predict(x), rtol=most, atol=most)
            assert name == "step" or close.all(), name
        else:
            assert bits(y) == bits(net.predict(x)), name


def test_special_inputs(tmp_path):
    net = network("softmax", "float32")
    net.to_c(tmp_path / "net.h")
    x = inputs("float32")[:6]
    x[0, 3], x[1, 5], x[2, 7] = np.nan, np.inf, -np.inf
    library = compiled(tmp_path, [("net", "float")], OPTIONS["portable"])
    np.testing.assert_array_equal(rows_of(library, "net", x, OUTPUTS), net.predict(x))


def test_fma(tmp_path):
    """The portable multiply-add rounds as the C library's does, denormals and overflow included."""
    for name, dtype in (("single", "float32"), ("twice", "float64")):
        cnn.Sequential([cnn.Dense(2, 1, "tanh")], dtype=dtype).to_c(tmp_path / f"{name}.h")
    source = Path(__file__).parent / "c" / "headers" / "fma.c"
    library = tmp_path / "fma.so"
    options = ["-std=c99", "-O2", "-shared", "-fPIC", f"-I{tmp_path}"]
    subprocess.run([*COMPILER, *options, source, "-o", library, "-lm"], check=True)
    tested = ctypes.CDLL(str(library))
    for name in ("wrong_float", "wrong_double"):
        tested[name].argtypes, tested[name].restype = [ctypes.c_size_t], ctypes.c_size_t
        assert tested[name](2_000_000) == 0


def test_fma_of_the_cpu(tmp_path):
    """Cortex-M4 has the instruction for float alone, so each header asks for that of its type."""
    for dtype, defined in (("float32", "__FP_FAST_FMAF"), ("float64", "__FP_FAST_FMA")):
        cnn.Sequential([cnn.Dense(2, 1)], dtype=dtype).to_c(tmp_path / "net.h")
        header = (tmp_path / "net.h").read_text()
        assert re.findall(r"defined\((__FP_FAST\w+)\)", header) == [defined]


def test_stack(tmp_path, dtype):
    """The header tells the size of its arrays; compilers add little that are told not to inline."""
    c_type = "float" if dtype == np.float32 else "double"
    cnn.mlp([64, 50, 100, 70, 10], "relu", "softmax", rng=0, dtype=dtype).to_c(tmp_path / "net.h")
    said = int(re.search(r"about (\d+) bytes of stack", (tmp_path / "net.h").read_text())[1])
    assert said == (70 + 100 + 2 * 64) * dtype.itemsize
    (tmp_path / "net.c").write_text(
        f'#include "net.h"\nvoid f(const {c_type} *x, {c_type} *y) {{ net_predict(x, y); }}\n'
    )
    options = ["-std=c99", "-O0", "-fstack-usage", "-c", "net.c"]
    subprocess.run([*COMPILER, *options], cwd=tmp_path, check=True)
    lines = [line.split("\t") for line in (tmp_path / "net.su").read_text().splitlines()]
    frames = {where.rsplit(":", 1)[-1]: int(size) for where, size, _ in lines}
    assert said <= frames["net_predict"] + frames["net_cnn_columns"] <= said + 512


def test_other_dtype(tmp_path):
    net = network("gelu", "float64")
    net.to_c(tmp_path / "net.h", dtype="float32")
    rounded = cnn.Sequential(
        [cnn.Dense(INPUTS, HIDDEN, "gelu"), cnn.Dense(HIDDEN, OUTPUTS, "gelu")]
    )
    for to, source in ((0, 0), (1, 2)):
        rounded.layers[to].weight = net.layers[source].weight.astype("float32")
        rounded.layers[to].bias = net.layers[source].bias.astype("float32")
    library = compiled(tmp_path, [("net", "float")], OPTIONS["native"])
    x = inputs("float32")
    assert (rows_of(library, "net", x, OUTPUTS) == rounded.predict(x)).all()


def test_self_test_can_fail(tmp_path):
    net = network("sigmoid", "float32")
    for fast in (False, True):
        net.to_c(tmp_path / "net.h", fast=fast)
        text = (tmp_path / "net.h").read_text()
        bias = text.index("net_bias_2[")
        at = text.index("{", bias) + 1
        (tmp_path / "net.h").write_text(f"{text[:at]} 0.25f + {text[at:]}")
        library = compiled(tmp_path, [("net", "float")], OPTIONS["portable"])
        assert library.net_test() == 1


def test_needs_ieee_arithmetic(tmp_path):
    network("relu", "float32").to_c(tmp_path / "net.h")
    with pytest.raises(AssertionError, match="needs IEEE arithmetic"):
        compiled(tmp_path, [("net", "float")], ["-O2", "-ffast-math"])


def test_names():
    text = "to_c: path is '2nd.h', whose stem is not a name in C"
    net = network("relu", "float32")
    with refused(ValueError, text):
        net.to_c("2nd.h")
    with refused(ValueError, "to_c: name is 'a b', which is not a name in C"):
        net.to_c("net.h", name="a b")
    with refused(ValueError, "to_c: name has 1,001 characters, should have at most 1000"):
        net.to_c("net.h", name="n" * 1001)
    with refused(ValueError, "to_c: name is 'switch', which"):
        net.to_c("net.h", name="switch")
    with refused(TypeError, "to_c: name is of type int, should be a string or None"):
        net.to_c("net.h", name=3)


def test_bad_arguments(tmp_path):
    net = network("relu", "float64")
    with refused(TypeError, "to_c: path is of type int"):
        net.to_c(3)
    with refused(ValueError, "to_c: dtype is 'float16'"):
        net.to_c(tmp_path / "net.h", dtype="float16")
    with refused(TypeError, "to_c: fast is of type int"):
        net.to_c(tmp_path / "net.h", fast=1)
    with pytest.raises(FileNotFoundError):
        net.to_c(tmp_path / "absent" / "net.h")
    weight = np.array(net.layers[0].weight)
    weight[0, 0] = 1e300
    net.layers[0].weight = weight
    with refused(ValueError, "to_c: the weight of layer 0 is not finite in float32"):
        net.to_c(tmp_path / "net.h", dtype="float32")
    assert list(tmp_path.iterdir()) == []


def test_file_is_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / "net.h"
    path.write_text("before")
    path.chmod(0o640)
    net = network("relu", "float32")
    with monkeypatch.context() as patched:

        def full(_):
            raise OSError(28, "No space left on device")

        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            net.to_c(path)
    assert path.read_text() == "before"
    net.to_c(path)
    assert path.read_text().startswith("/*\n * net.h: the dense network 300-21-18 in float32")
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]
