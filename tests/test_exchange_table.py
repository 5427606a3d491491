"""The tables of docs/guide/exchange.md: each operator and module in them is read, or refused so."""

import re
from pathlib import Path

import numpy as np
import pytest
from refused import refused

import cnn
from cnn.exchange import _onnx_nodes, sklearn_read, torch_read

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

DOCUMENT = (Path(__file__).parents[1] / "docs" / "guide" / "exchange.md").read_text(
    encoding="utf-8"
)
RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 4)).astype("f4")
CONSTANTS = {
    "W": RNG.standard_normal((4, 3)).astype("f4"), "B": RNG.standard_normal(3).astype("f4"),
    "V": RNG.uniform(0.5, 2, 3).astype("f4"), "M": RNG.standard_normal(4).astype("f4"),
    "S": RNG.uniform(0.5, 2, 4).astype("f4"), "zero": np.float32(0), "one": np.float32(1),
    "root": np.float32(2**0.5), "half": np.float32(0.5), "low": np.float32(-0.5),
    "high": np.float32(1.5), "slope": np.full(3, 0.2, "f4"), "twenty": np.float32(20),
    "columns": np.array([2, 0]), "axis": np.array([1]), "whole": np.array([-1, 3]),
    "from": np.array([1]), "to": np.array([3]), "sizes": np.array([1, 2]), "three": np.array([3]),
    "cubic": np.float32(0.044715), "root_2_pi": np.float32((2 / np.pi) ** 0.5),
    "minus": np.array([-1]), "wide": np.array([-1, 3, 1]),
}  # fmt: skip
GEMM = ("Gemm", ["x", "W", "B"], ["z"], {})
# Nodes in which each operator is read, from z, the outputs of GEMM, or from x.
READ = {
    "MatMul": [("MatMul", ["x", "W"], ["y"], {})],
    "Gemm": [("Gemm", ["x", "W", "B"], ["y"], {"alpha": 0.5, "beta": 2.0})],
    "Add": [("Add", ["x", "M"], ["a"], {}), ("MatMul", ["a", "W"], ["y"], {})],
    "Sub": [("Sub", ["x", "M"], ["a"], {}), ("MatMul", ["a", "W"], ["y"], {})],
    "Mul": [GEMM, ("Mul", ["z", "V"], ["y"], {})],
    "Div": [("Div", ["x", "S"], ["a"], {}), ("MatMul", ["a", "W"], ["y"], {})],
    "Neg": [GEMM, ("Neg", ["z"], ["y"], {})],
    "ai.onnx.ml:Scaler": [
        ("ai.onnx.ml:Scaler", ["x"], ["a"], {"offset": [1.0, 2.0, 3.0, 4.0], "scale": [0.5] * 4}),
        ("MatMul", ["a", "W"], ["y"], {}),
    ],
    "BatchNormalization": [GEMM, ("BatchNormalization", ["z", "B", "V", "B", "V"], ["y"], {})],
    "LeakyRelu": [GEMM, ("LeakyRelu", ["z"], ["y"], {"alpha": 0.3})],
    "Elu": [GEMM, ("Elu", ["z"], ["y"], {"alpha": 0.3})],
    "PRelu": [GEMM, ("PRelu", ["z", "slope"], ["y"], {})],
    "Selu": [GEMM, ("Selu", ["z"], ["y"], {"alpha": 1.5, "gamma": 2.0})],
    "Celu": [GEMM, ("Celu", ["z"], ["y"], {"alpha": 0.7})],
    "HardSigmoid": [GEMM, ("HardSigmoid", ["z"], ["y"], {})],
    "ThresholdedRelu": [GEMM, ("ThresholdedRelu", ["z"], ["y"], {"alpha": 0.0})],
    "Clip": [GEMM, ("Clip", ["z", "low", "high"], ["y"], {})],
    "Max": [GEMM, ("Max", ["z", "low"], ["y"], {})],
    "Min": [GEMM, ("Min", ["high", "z"], ["y"], {})],
    "Abs": [GEMM, ("Abs", ["z"], ["a"], {}), ("Add", ["a", "one"], ["b"], {}),
            ("Div", ["z", "b"], ["y"], {})],
    "Erf": [GEMM, ("Div", ["z", "root"], ["a"], {}), ("Erf", ["a"], ["b"], {}),
            ("Add", ["b", "one"], ["c"], {}), ("Mul", ["z", "c"], ["d"], {}),
            ("Mul", ["d", "half"], ["y"], {})],
    "Pow": [GEMM, ("Pow", ["z", "three"], ["a"], {}), ("Mul", ["a", "cubic"], ["b"], {}),
            ("Add", ["z", "b"], ["c"], {}), ("Mul", ["c", "root_2_pi"], ["d"], {}),
            ("Tanh", ["d"], ["e"], {}), ("Add", ["e", "one"], ["f"], {}),
            ("Mul", ["z", "f"], ["g"], {}), ("Mul", ["g", "half"], ["y"], {})],
    "Greater": [GEMM, ("Greater", ["z", "zero"], ["a"], {}), ("Cast", ["a"], ["y"], {"to": 1})],
    "Where": [GEMM, ("Greater", ["z", "twenty"], ["a"], {}), ("Softplus", ["z"], ["b"], {}),
              ("Where", ["a", "z", "b"], ["y"], {})],
    "Reciprocal": [GEMM, ("Neg", ["z"], ["a"], {}), ("Exp", ["a"], ["b"], {}),
                   ("Add", ["b", "one"], ["c"], {}), ("Reciprocal", ["c"], ["y"], {})],
    "Flatten": [GEMM, ("Flatten", ["z"], ["y"], {})],
    "Reshape": [GEMM, ("Reshape", ["z", "wide"], ["a"], {}),
                ("Reshape", ["a", "whole"], ["y"], {})],
    "Squeeze": [GEMM, ("Unsqueeze", ["z", "axis"], ["a"], {}),
                ("Squeeze", ["a", "axis"], ["y"], {})],
    "Cast": [GEMM, ("Cast", ["z"], ["y"], {"to": 1})],
    "Transpose": [GEMM, ("Transpose", ["z"], ["y"], {"perm": [0, 1]})],
    "Gather": [GEMM, ("Gather", ["z", "columns"], ["y"], {"axis": 1})],
    "Slice": [GEMM, ("Slice", ["z", "from", "to", "axis"], ["y"], {})],
    "Split": [GEMM, ("Split", ["z", "sizes"], ["a", "y"], {"axis": 1})],
    "Shape": [GEMM, ("Shape", ["z"], ["s"], {}), ("Reshape", ["z", "s"], ["y"], {})],
    "Concat": [GEMM, ("Concat", ["minus", "three"], ["s"], {"axis": 0}),
               ("Reshape", ["z", "s"], ["y"], {})],
    "ConstantOfShape": [GEMM, ("ConstantOfShape", ["three"], ["c"], {}),
                        ("Add", ["z", "c"], ["y"], {})],
    "Constant": [("Constant", [], ["c"], {"value": numpy_helper.from_array(CONSTANTS["W"])}),
                 ("MatMul", ["x", "c"], ["y"], {})],
    "Sqrt": [GEMM, ("Sqrt", ["V"], ["a"], {}), ("Div", ["z", "a"], ["y"], {})],
}  # fmt: skip
READ["Unsqueeze"] = READ["Squeeze"]
OPSETS = {"Gelu": 20, "Swish": 24, "Mish": 18}


def graph(path, nodes, opset=17):
    """Write nodes from x to y, with the constants that they take."""
    used = {name for _, inputs, _, _ in nodes for name in inputs}
    made = [
        helper.make_node(op.rpartition(":")[2], i, o, domain=op.rpartition(":")[0], **a)
        for op, i, o, a in nodes
    ]
    model = helper.make_model(
        helper.make_graph(
            made, "test",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "m"])],
            [numpy_helper.from_array(np.asarray(v), k) for k, v in CONSTANTS.items() if k in used],
        ),
        ir_version=10,
        opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)],
    )  # fmt: skip
    path.write_bytes(model.SerializeToString())


def section(title):
    return DOCUMENT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text, columns):
    """Return the names and the cells after them of each row of the tables with so many columns."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line[:1] == "|" else []
        if len(cells) == columns and cells[0].startswith("`"):
            yield re.findall(r"`([\w.:]+)`", cells[0]), cells[1:]


READ_NAMES = [name for names, _ in rows(section("ONNX"), 3) for name in names]
REFUSED = {name: why for names, (why,) in rows(section("ONNX"), 2) for name in names}


def test_tables_have_what_the_code_has():
    assert sorted(READ_NAMES) == sorted(["Constant", *_onnx_nodes.HANDLERS])
    assert _onnx_nodes.REASONS == REFUSED
    labels = {*re.findall(r"`([\w.:]+)`", section("ONNX").split("Labels at the end")[1])}
    tail = {name for name in _onnx_nodes.TAIL if name not in _onnx_nodes.HANDLERS}
    assert tail <= {name.removeprefix("ai.onnx.ml:") for name in labels}
    modules = [name for names, _ in rows(section("PyTorch"), 3) for name in names]
    assert sorted(modules) == sorted([*torch_read.LAYERS, *torch_read.ACTIVATIONS])
    for name in sklearn_read.SCALERS:
        assert f"`{name}`" in section("scikit-learn")


@pytest.mark.parametrize("op", READ_NAMES)
def test_operators_read(tmp_path, op):
    nodes = READ.get(op, [GEMM, (op, ["z"], ["y"], {})])
    assert any(op == node[0] for node in nodes)
    graph(tmp_path / "m", nodes, OPSETS.get(op, 17))
    if OPSETS.get(op, 0) > onnx.defs.onnx_opset_version():
        pytest.skip("this version of onnx does not have the operator")
    net = cnn.from_onnx(tmp_path / "m", outputs="y")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    if op == "Swish":  # which ONNX Runtime does not have yet
        z = X @ CONSTANTS["W"] + CONSTANTS["B"]
        expected = z / (1 + np.exp(-z))
    else:
        (expected,) = runtime.InferenceSession(tmp_path / "m").run(["y"], {"x": X})
    np.testing.assert_allclose(net.predict(X), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("op", _onnx_nodes.REASONS)
def test_operators_refused(tmp_path, op):
    """Checked as a node of another graph, since each has inputs of its own."""
    graph(tmp_path / "m", [GEMM, ("Relu", ["z"], ["y"], {})])
    model = onnx.load(tmp_path / "m")
    model.graph.node[1].op_type = op.rpartition(":")[2]
    model.graph.node[1].domain = op.rpartition(":")[0]
    from cnn.exchange._onnx_graph import Graph

    with refused(ValueError, f"does not have: {REFUSED[op]}; supported are"):
        Graph(onnx, model, 1000).steps(None)
