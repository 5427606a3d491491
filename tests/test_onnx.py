"""ONNX files, ours and others': the same weights, the same outputs, and what is refused."""

import warnings

import numpy as np
import pytest
from refused import refused

import cnn
from cnn import _core

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64

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


@pytest.mark.parametrize("activation", ["identity", "sigmoid", "tanh", "relu", "silu", "step"])
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


# ---- Files of others -----------------------------------------------------------------------------


def quiet(function, *arguments, **options):
    """Call an exporter, which warns of its own future."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize("opset", [17, 20])
def test_pytorch(tmp_path, dynamo, opset):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    if dynamo:
        pytest.importorskip("onnxscript", reason="onnxscript is not installed")
        opset = max(opset, 18)  # the oldest that this exporter writes
    nn = torch.nn
    torch.manual_seed(0)
    activations = [
        nn.GELU,
        nn.SiLU,
        nn.Softplus,
        nn.ELU,
        nn.LeakyReLU,
        nn.Sigmoid,
        nn.Tanh,
        nn.ReLU,
    ]
    modules = [nn.Flatten()]
    for activation in activations:
        modules += [nn.Linear(4, 4), activation(), nn.Dropout(0.5)]
    modules += [nn.Linear(4, 4, bias=False), nn.Linear(4, 3), nn.Softmax(dim=1)]
    module = nn.Sequential(*modules).eval()
    path = tmp_path / "net.onnx"
    options = {"dynamo": True, "external_data": False} if dynamo else {"dynamo": False}
    quiet(
        torch.onnx.export, module, (torch.from_numpy(X),), path, opset_version=opset,
        verbose=False, **options,
    )  # fmt: skip
    net = cnn.from_onnx(path)
    assert [layer.activation for layer in net] == [
        "gelu", "silu", "softplus", "elu", "leaky_relu", "sigmoid", "tanh", "relu", "identity",
        "softmax",
    ]  # fmt: skip
    assert net.layers[0].weight.tobytes() == module[1].weight.detach().numpy().T.tobytes()
    with torch.no_grad():
        np.testing.assert_allclose(net.predict(X), module(torch.from_numpy(X)), atol=1e-5)


@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize("kind", ["three", "two", "words", "many"])
def test_skl2onnx_classifier(tmp_path, kind, zipmap):
    skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
    from sklearn.neural_network import MLPClassifier

    targets = {
        "three": np.arange(20) % 3,
        "two": np.arange(20) % 2,
        "words": np.array(list("abcd") * 5),
        "many": (X[:, :3] > 0).astype(int),
    }
    estimator = MLPClassifier((5, 4), activation="tanh", max_iter=5, random_state=0)
    quiet(estimator.fit, X, targets[kind])
    options = {"zipmap": zipmap} if kind != "many" else {"zipmap": False}
    model = quiet(skl2onnx.to_onnx, estimator, X[:1], options={id(estimator): options})
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    net = cnn.from_onnx(tmp_path / "net.onnx")
    expected = np.asarray(estimator.predict_proba(X))
    if kind == "two":
        assert (net.outputs, net.activation) == (1, "sigmoid")
        expected = expected[:, 1:]
    np.testing.assert_allclose(net.predict(X), expected, atol=1e-5)


@pytest.mark.parametrize("outputs", [1, 2])
def test_skl2onnx_regressor(tmp_path, outputs):
    skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
    from sklearn.neural_network import MLPRegressor

    estimator = MLPRegressor(hidden_layer_sizes=(5,), max_iter=5, random_state=0)
    quiet(estimator.fit, X, X[:, 0] if outputs == 1 else X[:, :2])
    model = quiet(skl2onnx.to_onnx, estimator, X[:1])
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    if outputs == 2:
        # Exported as it is, the model puts all outputs below one another, in a single column.
        with refused(
            ValueError, "node 'Reshape' (Reshape) has shape [-1, 1], should be of 2 dimen"
        ):
            cnn.from_onnx(tmp_path / "net.onnx")
        return
    y = cnn.from_onnx(tmp_path / "net.onnx").predict(X)
    np.testing.assert_allclose(y.squeeze(), estimator.predict(X), atol=1e-5)


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


# ---- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        ([GEMM, ("LogSoftmax", ["z"], ["y"], {})], {}, "node 'n1' (LogSoftmax) is an operation"),
        ([GEMM, ("Sin", ["z"], ["y"], {})], {}, "node 'n1' (Sin) is an operation that dense"),
        ([GEMM, ("Own", ["z"], ["y"], {"domain": "mine"})], {}, "(Own) is an operation of domain"),
        ([GEMM, ("LeakyRelu", ["z"], ["y"], {"alpha": 0.3})], {}, "has alpha 0.3, should be 0.01"),
        ([GEMM, ("Elu", ["z"], ["y"], {"alpha": 2.0})], {}, "(Elu) has alpha 2, should be 1"),
        ([GEMM, ("Softmax", ["z"], ["y"], {"axis": 0})], {}, "has axis 0, should be -1 or 1"),
        ([GEMM, ("Relu", ["z"], ["r"], {}), ("Tanh", ["r"], ["y"], {})], {},
         "node 'n2' (Tanh) comes after the activation relu"),
        ([("Relu", ["x"], ["y"], {})], {}, "(Relu) comes before the first dense layer"),
        ([GEMM, ("Add", ["z", "z"], ["y"], {})], {}, "(Add) adds two values of the network"),
        ([GEMM, ("Mul", ["z", "z"], ["y"], {})], {}, "(Mul) multiplies two values of the network"),
        ([GEMM, ("Add", ["z", "B"], ["y"], {})], {}, "(Add) comes after a layer that has its bias"),
        ([GEMM, ("Mul", ["z", "c"], ["y"], {})], {"c": np.float32(2)}, "(Mul) is not the end of a"),
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
        ([("Sub", ["x", "c"], ["d"], {}), ("Gemm", ["d", "W"], ["y"], {})], {"c": np.float32(1)},
         "node 'n0' (Sub) is an operation that dense networks do not have"),
    ],
)  # fmt: skip
def test_nodes_refused(tmp_path, nodes, constants, message):
    made(tmp_path / "net.onnx", nodes, constants)
    with refused(ValueError, message) as caught:
        cnn.from_onnx(tmp_path / "net.onnx")
    assert str(caught.value).startswith("from_onnx: node 'n")


def test_other_refusals(tmp_path):
    path = tmp_path / "net.onnx"
    made(path, [GEMM, ("Relu", ["z"], ["y"], {})], outputs=("y", "z"))
    with refused(ValueError, "from_onnx: 2 of the outputs 'y', 'z' are float32 or float64"):
        cnn.from_onnx(path)
    made(path, [("Gemm", ["x", "W"], ["y"], {})], shape=("batch", 5))
    with refused(ValueError, "has weights for 4 inputs, but it gets 5"):
        cnn.from_onnx(path)
    made(path, [("MatMul", ["x", "W"], ["y"], {})], shape=("batch", 2, 4))
    with refused(ValueError, "multiplies an input of 3 dimensions"):
        cnn.from_onnx(path)
    made(path, [("MatMul", ["x", "V"], ["y"], {})], {"V": W.astype(np.float16)})
    with refused(ValueError, "the weight of node 'n0' has dtype float16, should be float32 or"):
        cnn.from_onnx(path)


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


def test_paths(tmp_path):
    for function in (network().to_onnx, cnn.from_onnx):
        with refused(TypeError, "path is of type int, should be a string or a path"):
            function(3)
    with pytest.raises(FileNotFoundError):
        cnn.from_onnx(tmp_path / "none.onnx")
    with pytest.raises(FileNotFoundError):
        network().to_onnx(tmp_path / "none" / "net.onnx")
