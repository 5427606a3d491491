"""ONNX files, ours and others': the same weights, the same outputs, and what is refused."""

import sys
import tracemalloc

import numpy as np
import pytest
from refused import refused

import cnn
from cnn import _core
from cnn.exchange import onnx_write

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
FLOAT, DOUBLE, INT64 = (getattr(onnx.TensorProto, n) for n in ("FLOAT", "DOUBLE", "INT64"))

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 4)).astype(np.float32)
W, B = RNG.standard_normal((4, 3)).astype(np.float32), RNG.standard_normal(3).astype(np.float32)


def network(activation="tanh", output="softmax", dtype="float32"):
    layers = [cnn.Dense(4, 6, activation), cnn.Dropout(0.3), cnn.Dense(6, 3, output)]
    net = cnn.Sequential(layers, rng=1, dtype=dtype)
    net.layers[0].bias, net.layers[2].bias = RNG.normal(size=6), RNG.normal(size=3)
    return net


def run(path, x, output=0):
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[output]


def check_parameters(net, other):
    dense, others = ([lay for lay in n if isinstance(lay, cnn.Dense)] for n in (net, other))
    assert [lay.activation for lay in dense] == [lay.activation for lay in others]
    for a, b in zip(dense, others, strict=True):
        assert a.weight.dtype == b.weight.dtype
        assert a.weight.tobytes() == b.weight.tobytes()
        assert a.bias.tobytes() == b.bias.tobytes()


# ---- Our files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [name for name in _core.ACTIVATIONS if name != "softmax"])
def test_round_trip(tmp_path, activation, dtype):
    path = tmp_path / "net.onnx"
    for output in (activation, "softmax"):
        net = network(activation, output, dtype)
        net.to_onnx(path)
        check_parameters(net, cnn.from_onnx(path))


@pytest.mark.parametrize("activation", [name for name in _core.ACTIVATIONS if name != "softmax"])
def test_onnxruntime(tmp_path, activation):
    net = network(activation)
    net.to_onnx(tmp_path / "net.onnx")
    for rows in (1, 20):
        y = run(tmp_path / "net.onnx", X[:rows])
        np.testing.assert_allclose(y, net.predict(X[:rows]), rtol=0, atol=1e-5)


def test_standardize(tmp_path, dtype):
    """A Sub and a Div node have the bits of the layer."""
    x = (X * 100 + 7).astype(dtype)
    layers = [cnn.Standardize().adapt(x), cnn.Dense(4, 4), cnn.Dense(4, 2, "tanh")]
    net = cnn.Sequential(layers, rng=0, dtype=dtype)
    net.layers[1].weight = np.eye(4)
    net.to_onnx(tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    assert [node.op_type for node in model.graph.node] == ["Sub", "Div", "Gemm", "Gemm", "Tanh"]
    model.graph.output.append(helper.make_empty_tensor_value_info(model.graph.node[1].output[0]))
    onnx.save(model, tmp_path / "net.onnx")
    expected = (x - net.layers[0].mean) / net.layers[0].scale
    assert run(tmp_path / "net.onnx", x, 1).tobytes() == expected.tobytes()
    # Three roundings of each of some sums of four products, and tanh's few units.
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(run(tmp_path / "net.onnx", x), net.predict(x), atol=50 * eps)


def test_onnxruntime_on_a_larger_network(tmp_path):
    net = cnn.mlp([784, 50, 100, 10], "relu", "softmax", rng=0)
    net.to_onnx(tmp_path / "net.onnx")
    x = RNG.random((100, 784), dtype=np.float32)
    y = run(tmp_path / "net.onnx", x)
    np.testing.assert_allclose(y, net.predict(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "activation", ["identity", "sigmoid", "tanh", "relu", "silu", "step", "gelu_tanh"]
)
def test_onnxruntime_in_float64(tmp_path, activation):
    net = network(activation, dtype="float64")
    net.to_onnx(tmp_path / "net.onnx")
    y = run(tmp_path / "net.onnx", X.astype(np.float64))
    np.testing.assert_allclose(y, net.predict(X.astype(np.float64)), rtol=0, atol=1e-12)


def test_file(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_text("an older file")
    network().to_onnx(path)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 8
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert (model.producer_name, model.producer_version) == ("cnn", cnn.__version__)
    assert [node.op_type for node in model.graph.node] == ["Gemm", "Tanh", "Gemm", "Softmax"]
    assert {entry.key for entry in model.metadata_props} == {"cnn_version", "cnn_numerics_version"}
    assert list(tmp_path.iterdir()) == [path]


# ---- Files of others, made by hand ---------------------------------------------------------------


def made(path, nodes, constants=(), shape=("batch", 4), opset=17, outputs=("y",), **options):
    """Write a model of nodes from x to y, with W and B among its constants."""
    tensors = [numpy_helper.from_array(W, "W"), numpy_helper.from_array(B, "B")]
    tensors += [numpy_helper.from_array(np.asarray(v), n) for n, v in dict(constants).items()]
    graph = helper.make_graph(
        [helper.make_node(op, i, o, name=f"n{k}", **a) for k, (op, i, o, a) in enumerate(nodes)],
        "test",
        [helper.make_tensor_value_info("x", FLOAT, list(shape))],
        [helper.make_tensor_value_info(name, FLOAT, ["n", "m"]) for name in outputs],
        tensors,
    )
    model = helper.make_model(
        graph, ir_version=8,
        opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3),
                       helper.make_opsetid("mine", 1)],
        **options,
    )  # fmt: skip
    path.write_bytes(model.SerializeToString())
    return model


def changed(path, change):
    """Change a model on disk in a way that `made` cannot."""
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())


GEMM = ("Gemm", ["x", "W", "B"], ["z"], {})


def test_forms_of_a_layer(tmp_path):
    """Keras's MatMul and Add; Gemm with all its attributes; constants on their way."""
    path = tmp_path / "net.onnx"
    expected = X @ W + B
    two = {"alpha": 0.5, "beta": 2.0, "transB": 1}
    for nodes, constants in (
        ([("MatMul", ["x", "W"], ["z"], {}), ("Add", ["B", "z"], ["y"], {})], {}),
        ([("Gemm", ["x", "V", "C"], ["y"], two)], {"V": 2 * W.T, "C": B / 2}),
        ([("Transpose", ["V"], ["t"], {"perm": [1, 0]}), ("Identity", ["x"], ["i"], {}),
          ("Gemm", ["i", "t", "B"], ["y"], {})], {"V": W.T.copy()}),
        ([("Reshape", ["x", "s"], ["r"], {}), ("Gemm", ["r", "W", "B"], ["y"], {})],
         {"s": np.array([-1, 4])}),
        ([("Cast", ["x"], ["c"], {"to": FLOAT}), ("Gemm", ["c", "W", "B"], ["d"], {}),
          ("Dropout", ["d"], ["y"], {})], {}),
    ):  # fmt: skip
        made(path, nodes, constants)
        np.testing.assert_allclose(cnn.from_onnx(path).predict(X), expected, atol=1e-5)
    made(path, [("Flatten", ["x"], ["f"], {}), ("Gemm", ["f", "W"], ["y"], {})], shape=("b", 2, 2))
    np.testing.assert_allclose(cnn.from_onnx(path).predict(X), X @ W, atol=1e-5)


def test_forms_of_a_tensor(tmp_path):
    """Numbers one by one instead of bytes, and float16 made float32: to the bit."""
    path = tmp_path / "net.onnx"

    def numbers(model):
        model.graph.initializer[0].CopyFrom(helper.make_tensor("W", FLOAT, W.shape, W.ravel()))
        assert not model.graph.initializer[0].raw_data

    made(path, [("Gemm", ["x", "W"], ["y"], {})])
    changed(path, numbers)
    assert cnn.from_onnx(path).layers[0].weight.tobytes() == W.tobytes()
    half = W.astype(np.float16)
    made(
        path, [("Cast", ["H"], ["V"], {"to": FLOAT}), ("Gemm", ["x", "V"], ["y"], {})], {"H": half}
    )
    assert cnn.from_onnx(path).layers[0].weight.tobytes() == half.astype("f4").tobytes()


# ---- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        ([GEMM, ("LogSoftmax", ["z"], ["y"], {})], {}, "node 'n1' (LogSoftmax) is an operation"),
        ([GEMM, ("Sin", ["z"], ["y"], {})], {}, "node 'n1' (Sin) is an operation that cnn d"),
        ([GEMM, ("Own", ["z"], ["y"], {"domain": "mine"})], {}, "(Own) is an operation of domain"),
        ([GEMM, ("LeakyRelu", ["z"], ["y"], {"alpha": -0.5})], {},
         "has alpha -0.5, which cnn does not have: LeakyReLU: slope is -0.5, should be finite"),
        ([GEMM, ("Elu", ["z"], ["y"], {"alpha": -2.0})], {}, "(Elu) has alpha -2, which cnn does"),
        ([GEMM, ("Elu", ["z"], ["y"], {"alpha": np.nan})], {}, "alpha nan, should be finite"),
        ([GEMM, ("Selu", ["z"], ["y"], {"alpha": -1.5})], {}, "(Selu) has alpha -1.5, which cnn"),
        ([GEMM, ("Celu", ["z"], ["y"], {"alpha": 0.0})], {}, "has alpha 0, should be positive"),
        ([GEMM, ("ThresholdedRelu", ["z"], ["y"], {})], {}, "has alpha 1, should be 0 as Relu"),
        ([GEMM, ("Abs", ["z"], ["a"], {}), ("Abs", ["a"], ["y"], {})], {}, "is a part of no activ"),
        ([GEMM, ("Abs", ["z"], ["y"], {})], {}, "(Abs) is a part of no activation that cnn has"),
        ([GEMM, ("Abs", ["z"], ["a"], {}), ("Div", ["z", "a"], ["y"], {})], {},
         "(Div) divides two values of the network that are no activation together"),
        ([GEMM, ("Div", ["z", "zero"], ["y"], {})], {"zero": np.float32(0)}, "(Div) divides by 0"),
        ([GEMM, ("Clip", ["z", "six", "zero"], ["y"], {})],
         {"zero": np.float32(0), "six": np.float32(6)}, "clips from 6 to 0, should be to a larger"),
        ([GEMM, ("Clip", ["z", "B"], ["y"], {})], {}, "has a bound that is not a constant number"),
        ([GEMM, ("Max", ["z", "x"], ["y"], {})], {}, "(Max) compares values of the network"),
        ([GEMM, ("PRelu", ["z", "B"], ["y"], {})], {}, "(PRelu) has several slopes, should have"),
        ([GEMM, ("Softmax", ["z"], ["y"], {"axis": 0})], {}, "has axis 0, should be -1 or 1"),
        ([("Relu", ["x"], ["y"], {})], {}, "(Relu) is not the end of a dense network"),
        ([GEMM, ("Softmax", ["z"], ["s"], {}), ("Relu", ["s"], ["y"], {})], {},
         "node 'n2' (Relu) comes after Softmax, which only the last layer can have"),
        ([GEMM, ("Softmax", ["z"], ["s"], {}), ("Add", ["s", "B"], ["y"], {})], {},
         "node 'n2' (Add) comes after Softmax, which only the last layer can have"),
        ([GEMM, ("Add", ["z", "z"], ["y"], {})], {}, "(Add) adds two values of the network"),
        ([GEMM, ("Mul", ["z", "z"], ["y"], {})], {}, "(Mul) is a part of no activation that"),
        ([GEMM, ("Mul", ["z", "c"], ["y"], {})], {"c": np.float64(2)},
         "(Mul) has constants of dtype float64, but the weights beside it have float32"),
        ([("Gemm", ["x", "W"], ["y"], {"transA": 1})], {}, "(Gemm) has transA 1, should be 0"),
        ([("Gemm", ["x", "V"], ["y"], {})], {"V": W[:3]}, "has weights for 3 inputs, but it ge"),
        ([("MatMul", ["x", "x"], ["y"], {})], {}, "(MatMul) has weights that are not a constant"),
        ([("MatMul", ["W", "x"], ["y"], {})], {}, "(MatMul) has a first input that does not come"),
        ([GEMM, ("Softmax", ["z"], ["s"], {}), ("Gemm", ["s", "V"], ["y"], {})],
         {"V": np.eye(3, dtype="f4")}, "node 'n2' (Gemm) comes after Softmax"),
        ([("Reshape", ["x", "s"], ["r"], {}), ("Gemm", ["r", "W"], ["y"], {})],
         {"s": np.array([4, -1])}, "(Reshape) has shape [4, -1], should be of 2 dimensions"),
        ([GEMM, ("Dropout", ["z", "r", "t"], ["y"], {})], {"r": np.float32(0.5), "t": True},
         "(Dropout) is in training mode"),
        ([GEMM, ("Cast", ["z"], ["i"], {"to": INT64}), ("Cast", ["i"], ["y"], {"to": FLOAT})], {},
         "node 'n1' (Cast) makes values of ONNX type 7"),
        ([("Reshape", ["x", "s"], ["r"], {"allowzero": 1}), ("Gemm", ["r", "W"], ["y"], {})],
         {"s": np.array([0, 4])}, "(Reshape) has shape [0, 4] with zeros that are allowed"),
        ([("Reshape", ["x", "s"], ["r"], {}), ("Gemm", ["r", "W"], ["y"], {})],
         {"s": np.array([-1.0, 4.0])}, "(Reshape) has a shape that is neither constant nor that"),
        ([("Reshape", ["W", "s"], ["r"], {}), ("Gemm", ["x", "r"], ["y"], {})],
         {"s": np.array([7, 4])}, "node 'n0' (Reshape) does not fit its constant"),
        ([("Transpose", ["W"], ["t"], {"perm": [0, 0]}), ("Gemm", ["x", "t"], ["y"], {})], {},
         "node 'n0' (Transpose) does not fit its constant"),
        ([GEMM, ("Flatten", ["z"], ["y"], {"axis": 0})], {}, "(Flatten) has axis 0, should be 1"),
        ([GEMM, ("Concat", ["z", "z"], ["y"], {"axis": 1})], {}, "(Concat) joins values of the ne"),
        ([("Add", ["W", "B", ], ["b"], {}), ("Gemm", ["x", "W", "b"], ["y"], {})], {},
         "node 'n1' (Gemm) adds a constant of shape (4, 3), should be a bias of (3,)"),
        ([("Add", ["B", "c"], ["b"], {}), ("Gemm", ["x", "W", "b"], ["y"], {})], {"c": W[0, :2]},
         "node 'n0' (Add) does not fit its constants"),
        ([("Softplus", ["B"], ["b"], {}), ("Gemm", ["x", "W", "b"], ["y"], {})], {},
         "(Softplus) has a first input that does not come from the model's, but it should"),
        ([GEMM, ("Add", ["z", "c"], ["y"], {})], {"c": np.ones((2, 3), "f4")},
         "has a constant of shape (2, 3) for rows of shape (?, 3), should be a number or one for"),
        ([("MatMul", ["x", "W"], ["z"], {}), ("Add", ["z", "c"], ["y"], {})],
         {"c": np.ones((2, 1), "f4")}, "has a constant of shape (2, 1) for rows of shape (?, 3)"),
        ([("Gemm", ["x", "W", "c"], ["y"], {})], {"c": np.ones((2, 3), "f4")},
         "(Gemm) adds a constant of shape (2, 3), should be a bias of (3,)"),
        ([GEMM, ("Mul", ["z", "c"], ["y"], {})], {"c": np.array("half", object)},
         "node 'n1' (Mul) has a constant of dtype object, should be float32 or float64"),
        ([GEMM, ("Dropout", ["z"], ["d", "m"], {}), ("Dropout", ["d", "r", "m"], ["y"], {})],
         {"r": np.float32(0.5)}, "node 'n2' (Dropout) takes 'm', which is neither a value of a"),
        ([GEMM, ("Dropout", ["z"], ["d", "y"], {})], {},
         "node 'n1' (Dropout) is not the end of a dense network"),
        ([GEMM, ("Sigmoid", ["z"], ["p"], {}), ("Sub", ["c", "p"], ["q"], {}),
          ("Concat", ["q", "p"], ["y"], {"axis": 1})], {"c": np.float32(1)},
         "node 'n3' (Concat) joins 1 - p and p, but p is not one sigmoid output"),
        ([("Gemm", ["x", "V"], ["z"], {}), ("Sub", ["c", "z"], ["q"], {}),
          ("Concat", ["q", "z"], ["y"], {"axis": 1})], {"c": np.float32(1), "V": W[:, :1]},
         "node 'n2' (Concat) joins 1 - p and p, but p is not one sigmoid output"),
        ([("Gemm", ["x", "V"], ["z"], {}), ("Sigmoid", ["z"], ["p"], {}),
          ("Sub", ["c", "p"], ["q"], {}), ("Concat", ["q", "p"], ["y"], {"axis": 0})],
         {"c": np.float32(1), "V": W[:, :1]}, "node 'n3' (Concat) joins values of the network"),
        ([GEMM, ("Sub", ["z"], ["q"], {"domain": "mine"}), ("Concat", ["q", "z"], ["y"],
          {"axis": 1})], {}, "node 'n1' (Sub) is an operation of domain mine"),
        ([GEMM, ("Own", ["z"], [], {"domain": "mine"}), ("Relu", ["z"], ["y"], {})], {},
         "node 'n1' (Own) is not on the way to the output 'y'"),
        ([("Shape", ["x"], ["s"], {}), ("Gather", ["s", "i"], ["g"], {}),
          ("Gemm", ["x", "W", "g"], ["y"], {})], {"i": np.array(7)},
         "node 'n1' (Gather) asks for size 7 of 2"),
        ([("Shape", ["x"], ["s"], {}), ("Gather", ["s", "i"], ["g"], {}),
          ("Concat", ["g", "m"], ["t"], {"axis": 0}), ("Reshape", ["x", "t"], ["y"], {})],
         {"i": np.array(0), "m": np.array([-1])}, "node 'n2' (Concat) has a shape that is neither"),
        ([("Sub", ["x", "x"], ["d"], {}), ("Gemm", ["d", "W"], ["y"], {})], {},
         "node 'n0' (Sub) subtracts two values of the network, should subtract a constant"),
        ([("Sub", ["x", "B"], ["d"], {}), ("Gemm", ["d", "W"], ["y"], {})], {},
         "(Sub) has a constant of shape (3,) for rows of shape (?, 4), should be a number or one"),
    ],
)  # fmt: skip
def test_nodes_refused(tmp_path, nodes, constants, message):
    made(tmp_path / "net.onnx", nodes, constants)
    with refused(ValueError, message) as caught:
        cnn.from_onnx(tmp_path / "net.onnx")
    assert str(caught.value).startswith("from_onnx: node 'n")


def test_other_refusals(tmp_path):
    path = tmp_path / "net.onnx"
    made(path, [("ZipMap", [], ["y"], {"domain": "mine"})])
    with refused(ValueError, "from_onnx: output 'y' does not depend on the input 'x'"):
        cnn.from_onnx(path)
    made(path, [GEMM, ("Relu", ["z"], ["y"], {})])
    changed(path, lambda model: model.graph.input.append(model.graph.output[0]))
    changed(path, lambda model: setattr(model.graph.input[1], "name", "u"))
    with refused(ValueError, "from_onnx: the inputs are 'x', 'u', should be one, with a sample in"):
        cnn.from_onnx(path)
    made(path, [GEMM, ("Relu", ["z"], ["y"], {})], outputs=("y", "z"))
    with refused(ValueError, "from_onnx: 2 of the outputs 'y', 'z' hold numbers, should be 1"):
        cnn.from_onnx(path)
    made(path, [("Gemm", ["x", "W"], ["y"], {})], shape=("batch", 5))
    with refused(ValueError, "has weights for 4 inputs, but it gets 5"):
        cnn.from_onnx(path)
    made(path, [("MatMul", ["x", "W"], ["y"], {})], shape=("batch", 2, 4))
    with refused(ValueError, "multiplies an input of shape (?, 2, 4), should have 2 dimensions"):
        cnn.from_onnx(path)
    made(path, [("MatMul", ["x", "V"], ["y"], {})], {"V": W.astype(np.int32)})
    with refused(ValueError, "node 'n0' (MatMul) has weights of dtype int32, should be float32 or"):
        cnn.from_onnx(path)


# z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2 in several orders.
GELU_TANH = {
    "three": np.float32(3), "two": np.float32(2), "cubic": np.float32(0.044715),
    "root": np.float32((2 / np.pi) ** 0.5), "one": np.float32(1), "half": np.float32(0.5),
}  # fmt: skip
# With the cube by Pow, as TensorFlow, JAX and PyTorch's newer exporter write it; by Mul, as the
# older one does; and as z (1 + 0.044715 z^2), as Hugging Face's FastGELU.
GELU_TANH_NODES = [
    [("Pow", ["z", "three"], ["a"], {}), ("Mul", ["cubic", "a"], ["b"], {}),
     ("Add", ["z", "b"], ["c"], {}), ("Mul", ["root", "c"], ["d"], {}),
     ("Tanh", ["d"], ["e"], {}), ("Add", ["e", "one"], ["f"], {}),
     ("Mul", ["z", "f"], ["g"], {}), ("Mul", ["half", "g"], ["y"], {})],
    [("Mul", ["z", "z"], ["s"], {}), ("Mul", ["z", "s"], ["a"], {}),
     ("Mul", ["cubic", "a"], ["b"], {}), ("Add", ["b", "z"], ["c"], {}),
     ("Mul", ["c", "root"], ["d"], {}), ("Tanh", ["d"], ["e"], {}),
     ("Add", ["one", "e"], ["f"], {}), ("Mul", ["f", "half"], ["g"], {}),
     ("Mul", ["g", "z"], ["y"], {})],
    [("Mul", ["z", "half"], ["h"], {}), ("Mul", ["z", "root"], ["r"], {}),
     ("Mul", ["z", "cubic"], ["k"], {}), ("Mul", ["k", "z"], ["a"], {}),
     ("Add", ["a", "one"], ["b"], {}), ("Mul", ["r", "b"], ["d"], {}),
     ("Tanh", ["d"], ["e"], {}), ("Add", ["e", "one"], ["f"], {}),
     ("Mul", ["h", "f"], ["y"], {})],
    [("Pow", ["z", "two"], ["s"], {}), ("Mul", ["s", "z"], ["a"], {}),
     ("Mul", ["a", "cubic"], ["b"], {}), ("Add", ["z", "b"], ["c"], {}),
     ("Mul", ["c", "root"], ["d"], {}), ("Tanh", ["d"], ["e"], {}),
     ("Mul", ["e", "half"], ["f"], {}), ("Add", ["f", "half"], ["g"], {}),
     ("Mul", ["z", "g"], ["y"], {})],
]  # fmt: skip


def test_gelu_by_tanh_of_a_multiple(tmp_path):
    """With 2 z for z in the tanh it is gelu_tanh(2 z) / 2, whose factors are folded."""
    path, nodes = tmp_path / "net.onnx", GELU_TANH_NODES[0]
    nodes = [
        ("Mul", ["z", "two"], ["w"], {}),
        *((op, ["w" if i == "z" else i for i in inputs], *rest) for op, inputs, *rest in nodes[:6]),
        *nodes[6:],
    ]
    made(path, [GEMM, *nodes], GELU_TANH)
    net = cnn.from_onnx(path)
    assert net.layers[0].activation == "gelu_tanh"
    np.testing.assert_allclose(net.predict(X), run(path, X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cubic": np.float32(0.0447)}, "node 'n7' (Mul) multiplies two values of the network"),
        ({"root": np.float32(0.8)}, "node 'n7' (Mul) multiplies two values of the network"),
        ({"one": np.float32(1.1)}, "node 'n7' (Mul) multiplies two values of the network"),
        ({"three": np.float32(2)}, "node 'n7' (Mul) multiplies two values of the network"),
        ({"three": np.float32(4)}, "node 'n1' (Pow) has an exponent that is not the constant 2 or"),
        ({"three": B}, "node 'n1' (Pow) has an exponent that is not the constant 2 or 3"),
    ],
)
def test_other_functions_than_gelu_by_tanh(tmp_path, change, message):
    made(tmp_path / "net.onnx", [GEMM, *GELU_TANH_NODES[0]], GELU_TANH | change)
    with refused(ValueError, message):
        cnn.from_onnx(tmp_path / "net.onnx")


def test_polynomials_alone(tmp_path):
    path = tmp_path / "net.onnx"
    power, square = ("Pow", ["z", "three"], ["a"], {}), ("Mul", ["z", "z"], ["a"], {})
    for nodes, message in (
        ([power, ("Relu", ["a"], ["y"], {})], "node 'n1' (Pow) is a part of no activation"),
        ([square, ("Add", ["a", "z"], ["y"], {})], "node 'n2' (Add) is a part of no activation"),
        ([power, ("Mul", ["a", "z"], ["y"], {})], "node 'n2' (Mul) multiplies two values of the"),
        ([square, ("Tanh", ["z"], ["b"], {}), ("Add", ["a", "b"], ["y"], {})],
         "node 'n3' (Add) adds two values of the network, should add a constant"),
        ([("Pow", ["two", "z"], ["y"], {})], "node 'n1' (Pow) has a first input that does not"),
    ):  # fmt: skip
        made(path, [GEMM, *nodes], GELU_TANH)
        with refused(ValueError, message):
            cnn.from_onnx(path)


@pytest.mark.parametrize(
    ("nodes", "constants", "opset", "activation"),
    [
        ([("Softplus", ["z"], ["s"], {}), ("Tanh", ["s"], ["t"], {}),
          ("Mul", ["t", "z"], ["y"], {})], {}, 17, "mish"),
        ([("Mish", ["z"], ["y"], {})], {}, 18, "mish"),
        ([("Abs", ["z"], ["a"], {}), ("Add", ["one", "a"], ["s"], {}),
          ("Div", ["z", "s"], ["y"], {})], {"one": np.float32(1)}, 17, "softsign"),
        ([("Clip", ["z"], ["y"], {"min": 0.0, "max": 6.0})], {}, 10, "relu6"),
        ([("Clip", ["z", "low", "high"], ["y"], {})],
         {"low": np.float32(0), "high": np.float32(6)}, 17, "relu6"),
        ([("Elu", ["z"], ["y"], {})], {}, 17, "elu"),
        ([("Elu", ["z"], ["y"], {"alpha": 0.3})], {}, 17, cnn.activations.ELU(0.3)),
        ([("LeakyRelu", ["z"], ["y"], {})], {}, 17, "leaky_relu"),
        ([("Selu", ["z"], ["y"], {})], {}, 17, "selu"),
        ([("HardSigmoid", ["z"], ["y"], {"alpha": 1 / 6})], {}, 17, "hard_sigmoid"),
        ([("LeakyRelu", ["z"], ["y"], {"alpha": 0.0})], {}, 17, "relu"),
        ([("LeakyRelu", ["z"], ["y"], {"alpha": 1.0})], {}, 17, "identity"),
        ([("PRelu", ["z", "s"], ["y"], {})], {"s": np.full(3, 0.25, "f4")}, 17,
         cnn.activations.LeakyReLU(0.25)),
        ([("Mul", ["s", "z"], ["a"], {}), ("Max", ["z", "a"], ["y"], {})],
         {"s": np.float32(0.25)}, 17, cnn.activations.LeakyReLU(0.25)),
        ([("Max", ["z", "s"], ["y"], {})], {"s": np.float32(0)}, 17, "relu"),
        ([("Clip", ["z", "s"], ["y"], {})], {"s": np.float32(0)}, 17, "relu"),
        ([("ThresholdedRelu", ["z"], ["y"], {"alpha": 0.0})], {}, 17, "relu"),
        ([("Add", ["z", "three"], ["a"], {}), ("Clip", ["a", "zero", "six"], ["b"], {}),
          ("Div", ["b", "six"], ["y"], {})],
         {"three": np.float32(3), "zero": np.float32(0), "six": np.float32(6)}, 17, "hard_sigmoid"),
        ([("Add", ["z", "three"], ["a"], {}), ("Clip", ["a", "zero", "six"], ["b"], {}),
          ("Mul", ["z", "b"], ["c"], {}), ("Div", ["c", "six"], ["y"], {})],
         {"three": np.float32(3), "zero": np.float32(0), "six": np.float32(6)}, 17, "hard_swish"),
        ([("HardSigmoid", ["z"], ["a"], {"alpha": 1 / 6}), ("Mul", ["a", "z"], ["y"], {})],
         {}, 17, "hard_swish"),
        ([("Neg", ["z"], ["a"], {}), ("Exp", ["a"], ["b"], {}), ("Add", ["b", "one"], ["c"], {}),
          ("Reciprocal", ["c"], ["y"], {})], {"one": np.float32(1)}, 17, "sigmoid"),
        ([("Mul", ["z", "half"], ["a"], {}), ("Div", ["z", "root"], ["b"], {}),
          ("Erf", ["b"], ["c"], {}), ("Add", ["c", "one"], ["d"], {}),
          ("Mul", ["a", "d"], ["y"], {})],
         {"half": np.float32(0.5), "root": np.float32(2**0.5), "one": np.float32(1)}, 17, "gelu"),
        ([("Gelu", ["z"], ["y"], {})], {}, 20, "gelu"),
        ([("Gelu", ["z"], ["y"], {"approximate": "tanh"})], {}, 20, "gelu_tanh"),
        *((nodes, GELU_TANH, 17, "gelu_tanh") for nodes in GELU_TANH_NODES),
    ],
)  # fmt: skip
def test_activations_as_others_write_them(tmp_path, nodes, constants, opset, activation):
    path = tmp_path / "net.onnx"
    made(path, [GEMM, *nodes], constants, opset=opset)
    net = cnn.from_onnx(path)
    assert net.activation == activation
    np.testing.assert_allclose(net.predict(X), run(path, X), rtol=1e-5, atol=1e-6)


def test_nodes_of_one_name(tmp_path):
    """SiLU is of the same values, not of values by layers that look the same."""
    nodes = [
        ("Gemm", ["x", "V"], ["a"], {}), ("Relu", ["a"], ["b"], {}), ("Tanh", ["a"], ["c"], {}),
        ("Gemm", ["b", "V"], ["d"], {}), ("Gemm", ["c", "V"], ["e"], {}),
        ("Sigmoid", ["e"], ["f"], {}), ("Mul", ["d", "f"], ["y"], {}),
    ]  # fmt: skip
    made(tmp_path / "net.onnx", nodes, {"V": np.eye(4, dtype="f4")})

    def same_names(model):
        for node in model.graph.node[3:5]:
            node.name = "dense"

    changed(tmp_path / "net.onnx", same_names)
    with refused(ValueError, "(Mul) multiplies two values of the network that are no activation"):
        cnn.from_onnx(tmp_path / "net.onnx")


def test_changed_files_refused(tmp_path):
    path = tmp_path / "net.onnx"

    def sparse_bias(model):
        tensor = numpy_helper.from_array(np.ones(1, "f4"), "S")
        indices = numpy_helper.from_array(np.zeros(1, np.int64), "I")
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(tensor, indices, [3]))

    def of_a_function(model):
        model.graph.node[1].attribute[0].ref_attr_name = "a"

    made(path, [GEMM, ("Elu", ["z"], ["y"], {"alpha": 1.0})])
    changed(path, of_a_function)
    with refused(ValueError, "node 'n1' (Elu) has an attribute 'alpha' that has no value of its"):
        cnn.from_onnx(path)
    made(path, [("Gemm", ["x", "W", "S"], ["y"], {})])
    changed(path, sparse_bias)
    with refused(ValueError, "node 'n0' (Gemm) takes the sparse tensor 'S', should be a dense one"):
        cnn.from_onnx(path)

    def negative(model):
        model.graph.initializer[0].dims[:] = [-1, 3]

    made(path, [("Gemm", ["x", "W"], ["y"], {})])
    changed(path, negative)
    with refused(cnn.ModelFileError, "from_onnx: the file is not a good model"):
        cnn.from_onnx(path)


def test_opsets(tmp_path):
    made(tmp_path / "net.onnx", [GEMM, ("Gelu", ["z"], ["y"], {"approximate": "erf"})], opset=20)
    with refused(ValueError, "(Gelu) has approximate 'erf', should be 'none' or 'tanh'"):
        cnn.from_onnx(tmp_path / "net.onnx")
    for opset, good in ((6, False), (7, True), (12, True)):
        made(tmp_path / "net.onnx", [GEMM, ("Softmax", ["z"], ["y"], {})], opset=opset)
        if good:
            assert cnn.from_onnx(tmp_path / "net.onnx").activation == "softmax"
            continue
        with refused(ValueError, "from_onnx: the model has opset 6, should have 7 or more"):
            cnn.from_onnx(tmp_path / "net.onnx")


def test_memory_is_bounded_by_the_file(tmp_path):
    path = tmp_path / "net.onnx"
    square = {"V": np.eye(200, dtype="f4")}
    layers = [("Gemm", [f"z{i}", "V"], [f"z{i + 1}"], {}) for i in range(100)]
    casts = [
        ("Cast", [f"c{i}"], [f"c{i + 1}"], {"to": (FLOAT, DOUBLE)[i % 2]}) for i in range(1, 100)
    ]
    for nodes in (
        [("Identity", ["x"], ["z0"], {}), *layers, ("Identity", ["z100"], ["y"], {})],
        [("Identity", ["V"], ["c1"], {}), *casts, ("Gemm", ["x", "c100"], ["y"], {})],
    ):
        made(path, nodes, square, shape=("b", 200))
        with refused(ValueError, "16 times the file"):
            cnn.from_onnx(path)
    count = 3000
    nodes = [("MatMul", [f"z{i}", "V"], [f"z{i + 1}"], {}) for i in range(count)]
    made(path, [("Identity", ["x"], ["z0"], {}), *nodes, ("Relu", [f"z{count}"], ["y"], {})],
         {"V": np.ones((1, 1), "f4")}, shape=("b", 1))  # fmt: skip
    tracemalloc.start()
    try:
        net = cnn.from_onnx(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(net) == count
    assert peak < 100 * path.stat().st_size


def test_external_data(tmp_path):
    path = tmp_path / "net.onnx"
    network().to_onnx(path)
    onnx.save(onnx.load(path), path, save_as_external_data=True, size_threshold=0, location="data")
    with refused(ValueError, "from_onnx: tensor 'layers.0.weight' is kept in another file"):
        cnn.from_onnx(path)


def test_damage(tmp_path):
    path = tmp_path / "net.onnx"
    network().to_onnx(path)
    good = path.read_bytes()
    for data in (b"", b"no model", good[: len(good) // 2], good[:-1]):
        path.write_bytes(data)
        with refused(cnn.ModelFileError, "from_onnx: the file is not a"):
            cnn.from_onnx(path)
    rng = np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(good)
        data[rng.integers(len(data))] = rng.integers(256)
        path.write_bytes(data)
        try:
            cnn.from_onnx(path)
        except ValueError as error:  # ModelFileError is one
            assert str(error).startswith("from_onnx: ")  # noqa: PT017


def test_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_write, "_MOST_BYTES", 100)
    with refused(ValueError, "to_onnx: the parameters take 204 bytes, but an ONNX file holds less"):
        network().to_onnx(tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_without_onnx(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    for function, name in ((network().to_onnx, "to_onnx"), (cnn.from_onnx, "from_onnx")):
        message = f'{name}: onnx is not installed; pip install ".[onnx]"'
        with refused(ImportError, message):
            function(tmp_path / "net.onnx")


def test_paths(tmp_path):
    for function in (network().to_onnx, cnn.from_onnx):
        with refused(TypeError, "path is of type int, should be a string or a path"):
            function(3)
        with refused(ValueError, "path is 'a\\x00b', should not contain a NUL character"):
            function("a\0b")
    with pytest.raises(FileNotFoundError):
        cnn.from_onnx(tmp_path / "none.onnx")
    with pytest.raises(FileNotFoundError):
        network().to_onnx(tmp_path / "none" / "net.onnx")
