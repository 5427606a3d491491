"""ONNX graphs with more than dense layers: what is dropped, folded, chosen, and how exactly."""

import itertools

import numpy as np
import pytest
from refused import refused

import cnn

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

RNG = np.random.default_rng(0)
W, B = RNG.standard_normal((4, 3)).astype("f4"), RNG.standard_normal(3).astype("f4")
V, C = RNG.standard_normal((3, 2)).astype("f4"), RNG.standard_normal(2).astype("f4")
M, S = RNG.standard_normal(4).astype("f4"), RNG.uniform(0.5, 2, 4).astype("f4")
K = RNG.uniform(0.5, 2, 3).astype("f4")
X = RNG.standard_normal((20, 4)).astype("f4")
U = 2.0**-24  # half the distance from 1 to the next number of float32
FIRST = ("Gemm", ["x", "W", "B"], ["z"], {})
LAST = ("Gemm", ["h", "V", "C"], ["y"], {})


def made(path, nodes, shape=("n", 4), outputs=("y",), kinds=None, **constants):
    """Write nodes from x to the outputs, and return the network."""
    constants = {"W": W, "B": B, "V": V, "C": C, "M": M, "S": S, "K": K, **constants}
    graph = helper.make_graph(
        [helper.make_node(op, i, o, name=f"n{k}", **a) for k, (op, i, o, a) in enumerate(nodes)],
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [
            helper.make_tensor_value_info(name, kind, ["n", "m"][: 1 if kind == 7 else 2])
            for name, kind in zip(outputs, kinds or [1] * len(outputs), strict=True)
        ],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, ir_version=8, opset_imports=opsets)
    (path / "m").write_bytes(model.SerializeToString())


def run(path, x=X, outputs=("y",)):
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    session = runtime.InferenceSession(path / "m", providers=["CPUExecutionProvider"])
    return session.run(list(outputs), {"x": x})[0]


def check(path, nodes, *, x=X, atol=1e-5, **options):
    made(path, nodes, **options)
    net = cnn.from_onnx(path / "m")
    rows = x.reshape(len(x), -1)
    np.testing.assert_allclose(net.predict(rows), run(path, x), rtol=0, atol=atol)
    return net


# ---- Dropped -------------------------------------------------------------------------------------


def test_acas_xu(tmp_path):
    """A zero is subtracted from a picture of one row, which is then flattened."""
    sizes = [5, 50, 50, 50, 50, 50, 50, 5]
    weights = [RNG.standard_normal(p).astype("f4") / 5 for p in itertools.pairwise(sizes)]
    biases = [RNG.standard_normal(n).astype("f4") for n in sizes[1:]]
    constants = {f"w{i}": w for i, w in enumerate(weights)}
    constants |= {f"b{i}": b for i, b in enumerate(biases)}
    nodes = [("Sub", ["x", "mean"], ["s"], {}), ("Flatten", ["s"], ["v0"], {"axis": 1})]
    for i in range(7):
        nodes.append(("MatMul", [f"v{i}", f"w{i}"], [f"m{i}"], {}))
        nodes.append(("Add", [f"m{i}", f"b{i}"], ["y" if i == 6 else f"a{i}"], {}))
        nodes += [("Relu", [f"a{i}"], [f"v{i + 1}"], {})] if i < 6 else []
    constants["mean"] = np.zeros((1, 1, 1, 5), "f4")
    made(tmp_path, nodes, shape=(1, 1, 1, 5), **constants)
    net = cnn.from_onnx(tmp_path / "m")
    plain = cnn.mlp(sizes, "relu", "identity", rng=0)
    for layer, weight, bias in zip(plain.layers, weights, biases, strict=True):
        layer.weight, layer.bias = weight, bias
    x = RNG.standard_normal((20, 5)).astype("f4")
    assert net.predict(x).tobytes() == plain.predict(x).tobytes()
    expected = [run(tmp_path, row.reshape(1, 1, 1, 5))[0] for row in x]
    np.testing.assert_allclose(net.predict(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("place", ["first", "before", "after", "last"])
def test_what_changes_nothing_changes_no_bit(tmp_path, op, place):
    value = np.float32(op in ("Mul", "Div"))
    constant = {
        "c": value if place == "last" else np.full((1, 4 if place == "first" else 3), value)
    }
    bias = np.array([-0.0, 0.0, 1.5], "f4")
    gemm = ("Gemm", ["x" if place != "first" else "i", "W", "B"], ["z"], {})
    nodes = {
        "first": [(op, ["x", "c"], ["i"], {}), gemm, ("Tanh", ["z"], ["h"], {}), LAST],
        "before": [gemm, (op, ["z", "c"], ["a"], {}), ("Tanh", ["a"], ["h"], {}), LAST],
        "after": [gemm, ("Tanh", ["z"], ["a"], {}), (op, ["a", "c"], ["h"], {}), LAST],
        "last": [gemm, ("Tanh", ["z"], ["h"], {}), (*LAST[:2], ["o"], {}),
                 (op, ["o", "c"], ["y"], {})],
    }[place]  # fmt: skip
    made(tmp_path, nodes, B=bias, **constant)
    net = cnn.from_onnx(tmp_path / "m")
    assert [type(layer) for layer in net.layers] == [cnn.Dense, cnn.Dense]
    for layer, weight, b in zip(net.layers, (W, V), (bias, C), strict=True):
        assert layer.weight.tobytes() == weight.tobytes()
        assert layer.bias.tobytes() == b.tobytes()


# ---- Standardize ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "mean", "scale"),
    [
        ([("Sub", ["x", "M"], ["a"], {}), ("Div", ["a", "S"], ["i"], {})], M, S),
        ([("Sub", ["x", "M"], ["i"], {})], M, np.ones(4)),
        ([("Add", ["M", "x"], ["i"], {})], -M, np.ones(4)),
        ([("Div", ["x", "S"], ["i"], {})], np.zeros(4), S),
        ([("Mul", ["x", "four"], ["i"], {})], np.zeros(4), np.full(4, 0.25)),
    ],
)
def test_standardize_to_the_bit(tmp_path, nodes, mean, scale):
    """With a unit matrix after it, so that its outputs are those of the network."""
    nodes = [*nodes, ("MatMul", ["i", "unit"], ["y"], {})]
    net = check(tmp_path, nodes, four=np.float32(4), unit=np.eye(4, dtype="f4"), atol=0)
    assert net.layers[0].mean.tobytes() == mean.astype("f4").tobytes()
    assert net.layers[0].scale.tobytes() == scale.astype("f4").tobytes()


def test_other_constants_before_the_first_layer(tmp_path):
    """Those that Standardize cannot have are folded."""
    negative = [("Sub", ["x", "M"], ["a"], {}), ("Mul", ["a", "minus"], ["i"], {}),
                ("MatMul", ["i", "W"], ["y"], {})]  # fmt: skip
    net = check(tmp_path, negative, minus=np.float32(-2))
    assert (net.layers[0].weight == -2 * W).all()
    zero = [("Mul", ["x", "zeros"], ["a"], {}), ("Add", ["a", "M"], ["i"], {}),
            ("MatMul", ["i", "W"], ["y"], {})]  # fmt: skip
    net = check(tmp_path, zero, zeros=np.array([0, 1, 2, 3], "f4"))
    assert (net.layers[0].weight[0] == 0).all()
    reverse = [("Sub", ["M", "x"], ["i"], {}), ("MatMul", ["i", "W"], ["y"], {})]
    assert isinstance(check(tmp_path, reverse).layers[0], cnn.Dense)


# ---- Folded --------------------------------------------------------------------------------------


def within(found, exact, terms=None):
    """Whether numbers are within u of exact ones, and a little for float64's own rounding."""
    size = np.abs(exact) if terms is None else terms
    return (np.abs(found - exact) <= U * np.abs(exact) + 1e-14 * size).all()


def test_bounds_of_what_is_folded(tmp_path):
    k, b, w, v, c = (a.astype("f8") for a in (K, B, W, V, C))
    after = [("MatMul", ["x", "W"], ["a"], {}), ("Mul", ["a", "K"], ["b"], {}),
             ("Add", ["b", "B"], ["y"], {})]  # fmt: skip
    net = check(tmp_path, after)
    assert within(net.layers[0].weight, w * k)
    assert net.layers[0].bias.tobytes() == B.tobytes()
    twice = [FIRST, ("Add", ["z", "K"], ["a"], {}), ("Tanh", ["a"], ["h"], {}), LAST]
    net = check(tmp_path, twice)
    assert net.layers[0].weight.tobytes() == W.tobytes()
    assert within(net.layers[0].bias, b + k)
    before = [FIRST, ("Tanh", ["z"], ["a"], {}), ("Mul", ["a", "K"], ["b"], {}),
              ("Add", ["b", "B"], ["h"], {}), LAST]  # fmt: skip
    net = check(tmp_path, before)
    assert within(net.layers[1].weight, v * k[:, None])
    assert within(net.layers[1].bias, c + b @ v, np.abs(c) + np.abs(b) @ np.abs(v))


@pytest.mark.parametrize("place", ["first", "before", "after", "last"])
def test_batch_normalization(tmp_path, place):
    p = RNG.uniform(0.5, 2, (4, 4)).astype("f4")
    width = {"first": 4, "last": 2}.get(place, 3)
    constants = {f"p{i}": p[i][:width] for i in range(4)}
    norm = ("BatchNormalization", ["a", "p0", "p1", "p2", "p3"], ["b"], {"epsilon": 0.01})
    nodes = {
        "first": [norm, ("Gemm", ["b", "W", "B"], ["y"], {})],
        "before": [(*FIRST[:2], ["a"], {}), norm, ("Relu", ["b"], ["h"], {}), LAST],
        "after": [FIRST, ("Relu", ["z"], ["a"], {}), norm, ("Gemm", ["b", "V", "C"], ["y"], {})],
        "last": [FIRST, ("Relu", ["z"], ["h"], {}), (*LAST[:2], ["a"], {}), norm],
    }[place]
    nodes = [
        (op, ["x" if place == "first" and i == "a" else i for i in ins],
         ["y" if place == "last" and o == "b" else o for o in outs], a)
        for op, ins, outs, a in nodes
    ]  # fmt: skip
    net = check(tmp_path, nodes, **constants)
    assert isinstance(net.layers[0], cnn.Standardize) == (place == "first")


def test_batch_normalization_of_channels(tmp_path):
    p = RNG.uniform(0.5, 2, (4, 2)).astype("f4")
    nodes = [("BatchNormalization", ["x", "p0", "p1", "p2", "p3"], ["b"], {}),
             ("Flatten", ["b"], ["f"], {}), ("Gemm", ["f", "W", "B"], ["y"], {})]  # fmt: skip
    constants = {f"p{i}": p[i] for i in range(4)}
    check(tmp_path, nodes, x=X.reshape(20, 2, 2), shape=("n", 2, 2), **constants)


def test_batch_normalization_refused(tmp_path):
    for attributes, variance, message in (
        ({"training_mode": 1}, K, "(BatchNormalization) has training_mode 1, should be 0"),
        ({}, -K, "(BatchNormalization) has a variance that is negative, or parameters that are"),
        ({}, S, "(BatchNormalization) has parameters of shapes [(3,), (3,), (3,), (4,)]"),
    ):
        norm = ("BatchNormalization", ["z", "K", "K", "K", "var"], ["y"], attributes)
        made(tmp_path, [FIRST, norm], var=variance)
        with refused(ValueError, message):
            cnn.from_onnx(tmp_path / "m")


# ---- Steps without a layer -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "activations"),
    [
        ([("Relu", ["x"], ["a"], {}), ("Gemm", ["a", "W", "B"], ["y"], {})], ["relu", "identity"]),
        ([FIRST, ("Relu", ["z"], ["a"], {}), ("Tanh", ["a"], ["y"], {})], ["relu", "tanh"]),
        ([FIRST, ("Tanh", ["z"], ["a"], {}), ("Mul", ["a", "K"], ["y"], {})], ["tanh", "identity"]),
        ([("Sub", ["x", "M"], ["a"], {}), ("Tanh", ["a"], ["b"], {}),
          ("Gemm", ["b", "W", "B"], ["y"], {})], ["tanh", "identity"]),
        ([FIRST, ("Softplus", ["z"], ["s"], {}), ("Tanh", ["s"], ["y"], {})], ["softplus", "tanh"]),
    ],
)  # fmt: skip
def test_steps_become_layers(tmp_path, nodes, activations):
    net = check(tmp_path, nodes)
    dense = [layer for layer in net.layers if isinstance(layer, cnn.Dense)]
    assert [layer.activation for layer in dense] == activations


def test_layers_that_are_added_are_bounded(tmp_path):
    """A small file could ask for any number of wide layers."""
    count = 80
    nodes = [("MatMul", ["x", "wide"], ["v0"], {})]
    nodes += [("Tanh", [f"v{i}"], [f"v{i + 1}"], {}) for i in range(count)]
    nodes += [("Identity", [f"v{count}"], ["y"], {})]
    made(tmp_path, nodes, shape=("n", 1), wide=np.ones((1, 1000), "f4"))
    with refused(
        ValueError, "(Tanh) needs a layer of its own, which makes the layers that are add"
    ):
        cnn.from_onnx(tmp_path / "m")


# ---- Shapes and columns --------------------------------------------------------------------------


def test_a_single_sample(tmp_path):
    """A weight times a sample without the dimension of rows, as some suites write all layers."""
    nodes = [("MatMul", ["T", "x"], ["a"], {}), ("Add", ["a", "B"], ["b"], {}),
             ("Relu", ["b"], ["h"], {}), ("MatMul", ["h", "V"], ["y"], {})]  # fmt: skip
    made(tmp_path, nodes, shape=(4,), T=W.T.copy())
    net = cnn.from_onnx(tmp_path / "m")
    assert net.layers[0].weight.tobytes() == W.tobytes()
    expected = [run(tmp_path, row) for row in X]
    np.testing.assert_allclose(net.predict(X), expected, rtol=0, atol=1e-5)


def test_orders_and_choices_of_inputs(tmp_path):
    gather = [("Gather", ["x", "index"], ["a"], {"axis": 1}), ("MatMul", ["a", "V3"], ["y"], {})]
    net = check(tmp_path, gather, index=np.array([3, 0, -2]), V3=W[:3])
    assert net.layers[0].weight.tolist() == [W[1].tolist(), [0, 0, 0], *W[[2, 0]].tolist()]
    turned = [("Transpose", ["x"], ["a"], {"perm": [0, 2, 1]}), ("Flatten", ["a"], ["b"], {}),
              ("Sub", ["b", "M"], ["c"], {}), ("MatMul", ["c", "W"], ["y"], {})]  # fmt: skip
    net = check(tmp_path, turned, x=X.reshape(20, 2, 2), shape=("n", 2, 2))
    order = [0, 2, 1, 3]
    assert net.layers[1].weight.tobytes() == W[order].tobytes()
    assert net.layers[0].mean.tobytes() == M[order].tobytes()
    twice = [("Gather", ["x", "index"], ["a"], {"axis": 1}), ("MatMul", ["a", "W"], ["y"], {})]
    made(tmp_path, twice, index=np.array([0, 1, 1, 2]))
    with refused(ValueError, "(Gather) chooses a column twice before the first dense layer"):
        cnn.from_onnx(tmp_path / "m")
    made(tmp_path, gather, index=np.array([3, 0, 4]), V3=W[:3])
    with refused(ValueError, "(Gather) asks for columns that are not among 4"):
        cnn.from_onnx(tmp_path / "m")


def test_shapes_refused(tmp_path):
    for nodes, message in (
        ([("Transpose", ["z"], ["y"], {"perm": [1, 0]})], "moves the rows, should keep them first"),
        ([("Slice", ["z", "one", "two"], ["y"], {})], "has axis 0, should be that of the columns"),
        ([("Slice", ["z", "two", "one", "one"], ["y"], {})], "(Slice) takes no columns"),
        ([("Split", ["z", "two"], ["y"], {"axis": 1})], "(Split) splits 3 columns into [2]"),
        ([("Squeeze", ["z", "one"], ["y"], {})], "has axes [1], but its input has shape (?, 3)"),
        ([("Unsqueeze", ["z", "zero"], ["y"], {})], "moves the rows of shape (?, 3), should keep"),
    ):
        constants = {"zero": np.array([0]), "one": np.array([1]), "two": np.array([2])}
        made(tmp_path, [FIRST, *nodes], **constants)
        with refused(ValueError, message):
            cnn.from_onnx(tmp_path / "m")


# ---- Outputs -------------------------------------------------------------------------------------


def test_heads_and_parts(tmp_path):
    """The mean and deviation of a policy, a value beside it, and logits before a LogSoftmax."""
    nodes = [
        FIRST, ("Tanh", ["z"], ["h"], {}), ("Gemm", ["h", "wide", "four"], ["a"], {}),
        ("Split", ["a"], ["mean", "raw"], {"axis": 1}), ("Exp", ["raw"], ["deviation"], {}),
        ("Gemm", ["h", "V", "C"], ["logits"], {}), ("LogSoftmax", ["logits"], ["y"], {}),
    ]  # fmt: skip
    wide, four = RNG.standard_normal((3, 4)).astype("f4"), RNG.standard_normal(4).astype("f4")
    outputs = ("mean", "deviation", "y")
    made(tmp_path, nodes, outputs=outputs, wide=wide, four=four)
    for name in ("mean", "deviation"):
        net = cnn.from_onnx(tmp_path / "m", outputs=name)
        expected = run(tmp_path, outputs=[name])
        np.testing.assert_allclose(net.predict(X), expected, rtol=1e-5, atol=1e-5)
    mean = cnn.from_onnx(tmp_path / "m", outputs="mean")
    assert mean.layers[1].weight.tobytes() == wide[:, :2].tobytes()
    logits = cnn.from_onnx(tmp_path / "m", outputs="logits")
    assert logits.layers[1].weight.tobytes() == V.tobytes()
    with refused(ValueError, "3 of the outputs 'mean', 'deviation', 'y' hold numbers, should be 1"):
        cnn.from_onnx(tmp_path / "m")
    with refused(ValueError, "(LogSoftmax) is an operation that cnn does not have: end the model"):
        cnn.from_onnx(tmp_path / "m", outputs="y")
    with refused(ValueError, "outputs is 'value', should be an output of the model, 'mean', 'devi"):
        cnn.from_onnx(tmp_path / "m", outputs="value")
    with refused(TypeError, "from_onnx: outputs is of type int, should be the name of an output"):
        cnn.from_onnx(tmp_path / "m", outputs=0)


@pytest.mark.parametrize(
    "tail",
    [
        [("ArgMax", ["z"], ["y"], {"axis": 1, "keepdims": 0})],
        [("Softmax", ["z"], ["p"], {}), ("ArgMax", ["p"], ["i"], {"axis": 1}),
         ("Squeeze", ["i"], ["y"], {})],
        [("ArgMax", ["z"], ["i"], {"axis": 1}), ("Cast", ["i"], ["y"], {"to": 7})],
    ],
)  # fmt: skip
def test_labels_alone(tmp_path, tail):
    made(tmp_path, [FIRST, *tail], kinds=[7])
    net = cnn.from_onnx(tmp_path / "m")
    assert net.layers[0].weight.tobytes() == W.tobytes()
    assert net.predict(X).argmax(axis=1).tolist() == run(tmp_path).ravel().tolist()


def test_inputs_that_a_chosen_output_does_not_need(tmp_path):
    made(
        tmp_path,
        [FIRST, ("Relu", ["z"], ["y"], {}), ("Relu", ["u"], ["v"], {})],
        outputs=("y", "v"),
    )
    model = onnx.load(tmp_path / "m")
    model.graph.input.append(helper.make_tensor_value_info("u", TensorProto.FLOAT, ["n", 4]))
    (tmp_path / "m").write_bytes(model.SerializeToString())
    assert cnn.from_onnx(tmp_path / "m", outputs="y").activation == "relu"
    with refused(ValueError, "2 of the outputs 'y', 'v' hold numbers"):
        cnn.from_onnx(tmp_path / "m")
