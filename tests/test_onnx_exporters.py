"""ONNX files as other libraries really export them, made here where the library is installed."""

import importlib.util
import os
import warnings

import numpy as np
import pytest
from refused import refused

import cnn

pytest.importorskip("onnx", reason="onnx is not installed")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 4)).astype(np.float32)


def quiet(function, *arguments, **options):
    """Call an exporter, which warns of its own future."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


# ---- PyTorch -------------------------------------------------------------------------------------


@pytest.fixture(params=["dynamo", "torchscript"])
def export(request, tmp_path):
    """Return a function that exports a module by one of PyTorch's exporters and reads the file."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    dynamo = request.param == "dynamo"
    if dynamo:
        pytest.importorskip("onnxscript", reason="onnxscript is not installed")

    def exported(module, x, *, opset=20, any_rows=True):
        options = {"dynamo": dynamo, "verbose": False}
        if dynamo:
            options["external_data"] = False
            opset = max(opset, 18)  # the oldest that this exporter writes
            if any_rows:
                options["dynamic_shapes"] = ({0: torch.export.Dim("rows")},)
        elif any_rows:
            options |= {"input_names": ["x"], "dynamic_axes": {"x": {0: "rows"}}}
        path = tmp_path / "net.onnx"
        arguments = (module.eval(), (torch.from_numpy(x),), path)
        quiet(torch.onnx.export, *arguments, opset_version=opset, **options)
        return cnn.from_onnx(path)

    return exported


@pytest.mark.parametrize("any_rows", [True, False])
@pytest.mark.parametrize("opset", [17, 20])
def test_pytorch(export, opset, any_rows):
    import torch
    from torch import nn

    torch.manual_seed(0)
    activations = {
        "gelu": nn.GELU, "gelu_tanh": lambda: nn.GELU("tanh"), "silu": nn.SiLU,
        "softplus": nn.Softplus, "elu": nn.ELU,
        "leaky_relu": nn.LeakyReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU,
        "mish": nn.Mish, "selu": nn.SELU, "hard_sigmoid": nn.Hardsigmoid, "relu6": nn.ReLU6,
        "hard_swish": nn.Hardswish, "softsign": nn.Softsign,
        cnn.activations.LeakyReLU(0.2): lambda: nn.LeakyReLU(0.2),
        cnn.activations.ELU(0.5): lambda: nn.ELU(0.5),
    }  # fmt: skip
    modules = [nn.Flatten()]
    for activation in activations.values():
        modules += [nn.Linear(4, 4), activation(), nn.Dropout(0.5)]
    modules += [nn.Linear(4, 4, bias=False), nn.Linear(4, 3), nn.Softmax(dim=1)]
    module = nn.Sequential(*modules)
    net = export(module, X, opset=opset, any_rows=any_rows)
    assert [layer.activation for layer in net] == [*activations, "identity", "softmax"]
    linear = [part for part in module if isinstance(part, nn.Linear)]
    for layer, part in zip(net.layers, linear, strict=True):
        assert layer.weight.tobytes() == part.weight.detach().numpy().T.tobytes()
        if part.bias is not None:
            assert layer.bias.tobytes() == part.bias.detach().numpy().tobytes()
    with torch.no_grad():
        np.testing.assert_allclose(net.predict(X), module(torch.from_numpy(X)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("any_rows", [True, False])
@pytest.mark.parametrize("form", ["flatten", "view(size, -1)", "view(size, 4)", "view(-1, 4)"])
def test_pytorch_shapes(export, form, any_rows):
    """Samples of several dimensions, made rows in each way that tutorials show."""
    import torch

    class Flat(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = torch.nn.Linear(4, 4), torch.nn.Linear(4, 3)

        def flat(self, x):
            if form == "flatten":
                return torch.flatten(x, 1)
            sizes = {"view(size, -1)": (x.size(0), -1), "view(size, 4)": (x.size(0), 4)}
            return x.view(sizes.get(form, (-1, 4)))

        def forward(self, x):
            return self.last(self.flat(torch.tanh(self.first(self.flat(x)))))

    module = Flat()
    net = export(module, X.reshape(20, 2, 2), any_rows=any_rows)
    assert [layer.activation for layer in net] == ["tanh", "identity"]
    with torch.no_grad():
        y = module(torch.from_numpy(X.reshape(20, 2, 2)))
    np.testing.assert_allclose(net.predict(X), y, rtol=0, atol=1e-5)


def test_pytorch_in_float64(export):
    import torch
    from torch import nn

    modules = [nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 4), nn.SiLU(), nn.Linear(4, 2)]
    module = nn.Sequential(*modules).double()
    net = export(module, X.astype(np.float64))
    assert net.dtype == np.float64
    assert net.layers[0].weight.tobytes() == module[0].weight.detach().numpy().T.tobytes()
    with torch.no_grad():
        y = module(torch.from_numpy(X.astype(np.float64)))
    np.testing.assert_allclose(net.predict(X.astype(np.float64)), y, rtol=0, atol=1e-12)


def test_pytorch_refused(export):
    from torch import nn

    linear = nn.Linear(4, 3)
    for module, dtype, op, message in (
        (nn.LogSoftmax(dim=1), "f4", "LogSoftmax", "that cnn does not have: end the model in"),
        (nn.ELU(-2.0), "f4", "Elu", "has alpha -2, which cnn does not have"),
        (nn.Softmax(dim=0), "f4", "Softmax", "has axis 0, should be -1 or 1"),
        (nn.LayerNorm(3), "f4", "LayerNormalization", "it divides each row by its own deviation"),
    ):
        with refused(ValueError, f"({op}) ") as caught:
            export(nn.Sequential(linear, module), X.astype(dtype))
        assert str(caught.value).startswith("from_onnx: node '")
        assert message in str(caught.value)
    half = nn.Sequential(nn.Linear(4, 3)).half()
    weight = export(half, X.astype("f2")).layers[0].weight
    assert weight.tobytes() == half[0].weight.detach().float().numpy().T.tobytes()


def test_pytorch_with_weights_in_a_file_beside(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    path = tmp_path / "net.onnx"
    quiet(torch.onnx.export, torch.nn.Linear(64, 64), (torch.zeros(1, 64),), path, verbose=False)
    assert (tmp_path / "net.onnx.data").exists()
    with refused(ValueError, "save it as one file (torch.onnx.export: external_data=False)"):
        cnn.from_onnx(path)


# ---- scikit-learn --------------------------------------------------------------------------------


@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize("kind", ["three", "two", "words", "many"])
def test_skl2onnx_classifier(tmp_path, kind, zipmap, dtype):
    skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
    from sklearn.neural_network import MLPClassifier

    targets = {
        "three": np.arange(20) % 3,
        "two": np.arange(20) % 2,
        "words": np.array(list("abcd") * 5),
        "many": (X[:, :3] > 0).astype(int),
    }
    estimator = MLPClassifier((5, 4), activation="tanh", max_iter=5, random_state=0)
    quiet(estimator.fit, X.astype(dtype), targets[kind])
    options = {"zipmap": zipmap} if kind != "many" else {"zipmap": False}
    x = X.astype(dtype)
    model = quiet(skl2onnx.to_onnx, estimator, x[:1], options={id(estimator): options})
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    net = cnn.from_onnx(tmp_path / "net.onnx")
    expected = np.asarray(estimator.predict_proba(x))
    if kind == "two":
        assert (net.outputs, net.activation) == (1, "sigmoid")
        expected = expected[:, 1:]
    assert net.dtype == dtype
    for layer, weight in zip(net.layers, estimator.coefs_, strict=True):
        assert layer.weight.tobytes() == np.ascontiguousarray(weight).tobytes()
    np.testing.assert_allclose(net.predict(x), expected, rtol=0, atol=1e-5)


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


@pytest.mark.parametrize("name", ["StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"])
def test_skl2onnx_pipeline(tmp_path, name, dtype):
    skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
    from sklearn import preprocessing
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline

    scaler = getattr(preprocessing, name)()
    pipeline = make_pipeline(scaler, MLPClassifier((5,), max_iter=5, random_state=0))
    x = (X * [1, 10, 100, 0.1] + [0, 5, -300, 1]).astype(dtype)
    quiet(pipeline.fit, x, np.arange(20) % 3)
    model = quiet(skl2onnx.to_onnx, pipeline, x[:1], options={"zipmap": False})
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    net = cnn.from_onnx(tmp_path / "net.onnx")
    assert isinstance(net.layers[0], cnn.Standardize)
    y = net.predict(x)
    np.testing.assert_allclose(y, pipeline.predict_proba(x), rtol=0, atol=1e-5)


def test_skl2onnx_pipeline_refused(tmp_path):
    skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    pipeline = make_pipeline(Normalizer(), MLPClassifier((5,), max_iter=5, random_state=0))
    quiet(pipeline.fit, X, np.arange(20) % 3)
    model = quiet(skl2onnx.to_onnx, pipeline, X[:1])
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with refused(ValueError, "(Normalizer) is an operation of domain ai.onnx.ml that cnn"):
        cnn.from_onnx(tmp_path / "net.onnx")


# ---- Keras ---------------------------------------------------------------------------------------


# Keras itself calls what NumPy, TensorFlow and PyTorch would rather it did not.
_warns = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def keras():
    """Return Keras with a backend that exports ONNX, TensorFlow's if there is one."""
    found = {"tensorflow": "tf2onnx", "torch": "onnxscript"}
    for backend, exporter in found.items():
        if all(importlib.util.find_spec(name) for name in (backend, exporter)):
            os.environ.setdefault("KERAS_BACKEND", backend)
            break
    else:
        pytest.skip("neither TensorFlow and tf2onnx nor PyTorch and onnxscript are installed")
    return quiet(pytest.importorskip, "keras", reason="Keras is not installed")


def exported_by_keras(keras, model, path):
    """Give a Keras model biases, export it, and return what it makes of X."""
    for layer in model.layers:
        weights = layer.get_weights()
        if len(weights) == 2:
            layer.set_weights([weights[0], RNG.standard_normal(weights[1].shape)])
    y = keras.ops.convert_to_numpy(model(X.reshape(20, *model.input_shape[1:])))
    quiet(model.export, path, format="onnx", verbose=False)
    return y


@_warns
@pytest.mark.parametrize(
    "kind", ["classes", "two classes", "regression", "activations", "layers", "flat", "functional"]
)
def test_keras(keras, tmp_path, kind):
    layers = keras.layers
    dense = layers.Dense
    parts = {
        "classes": [dense(5, "relu"), layers.Dropout(0.3), dense(3, "softmax")],
        "two classes": [dense(5, "tanh"), dense(1, "sigmoid")],
        "regression": [dense(5, "elu"), dense(5, "softplus"), dense(2)],
        "activations": [dense(5, "silu"), dense(2, "sigmoid")],
        "layers": [dense(5), layers.LeakyReLU(negative_slope=0.01), dense(3, use_bias=False)],
        "flat": [layers.Flatten(), dense(5, "sigmoid"), layers.Reshape((5,)), dense(2)],
        "functional": [dense(5, "relu"), layers.Dense(3), layers.Softmax()],
    }[kind]
    x = y = keras.Input((2, 2) if kind == "flat" else (4,))
    if kind == "functional":
        for part in parts:
            y = part(y)
        model = keras.Model(x, y)
    else:
        model = keras.Sequential([x, *parts])
    path = tmp_path / "net.onnx"
    expected = exported_by_keras(keras, model, path)
    net = cnn.from_onnx(path)
    made = [layer for layer in model.layers if layer.get_weights()]
    for layer, other in zip(net.layers, made, strict=True):
        weight, *bias = map(keras.ops.convert_to_numpy, other.get_weights())
        assert layer.weight.tobytes() == weight.tobytes()
        assert layer.bias.tobytes() == (bias or [np.zeros(3, "f4")])[0].tobytes()
    np.testing.assert_allclose(net.predict(X), expected, rtol=0, atol=1e-5)


@_warns
@pytest.mark.parametrize("kind", ["BatchNormalization", "Rescaling", "relu6", "log_softmax"])
def test_keras_between_layers(keras, tmp_path, kind):
    """Constants are folded, and a logarithm of a sum is refused."""
    layers = keras.layers
    between = {
        "BatchNormalization": layers.BatchNormalization,
        "Rescaling": lambda: layers.Rescaling(1 / 255),
    }.get(kind, lambda: layers.Activation(kind))
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4), between(), layers.Dense(3)])
    expected = exported_by_keras(keras, model, tmp_path / "net.onnx")
    if kind != "log_softmax":
        y = cnn.from_onnx(tmp_path / "net.onnx").predict(X)
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5)
        return
    with refused(ValueError, "from_onnx: node '"):
        cnn.from_onnx(tmp_path / "net.onnx")
