"""Activations with a number: the objects of cnn.activations, and each place that takes one."""

import copy
import pickle

import numpy as np
import pytest
from refused import refused

import cnn
from cnn import _core
from cnn.activations import ELU, LeakyReLU

OBJECTS = [LeakyReLU(0.2), LeakyReLU(1 / 3), ELU(0.5), ELU(1e30)]
X = np.linspace(-3, 3, 24).reshape(6, 4)


def network(activation, output="identity", dtype="float32"):
    return cnn.mlp([4, 5, 2], activation, output, rng=1, dtype=dtype)


def test_the_classes_are_those_of_the_list():
    assert {name: made.__name__ for name, made in cnn.activations._CLASSES.items()} == {
        "leaky_relu": "LeakyReLU",
        "elu": "ELU",
    }
    assert set(cnn.activations._CLASSES) == set(_core.ALPHAS) == set(_core.ALPHA_NAMES)
    for name, made in cnn.activations._CLASSES.items():
        assert cnn.activations.resolved(made()) == (name, _core.ALPHAS[name])


@pytest.mark.parametrize("made", [LeakyReLU, ELU])
@pytest.mark.parametrize(
    ("number", "error", "message"),
    [
        (0, ValueError, "is 0, should be finite and at least 1e-30, at most 1e+30"),
        (-0.2, ValueError, "is -0.2, should be"),
        (np.nan, ValueError, "is nan, should be"),
        (np.inf, ValueError, "is inf, should be"),
        (1e31, ValueError, "is 1e+31, should be"),
        ("0.2", TypeError, "is of type str, should be a number"),
        (True, TypeError, "is of type bool, should be a number"),
        (np.array([0.2]), TypeError, "is of type ndarray, should be a number"),
        (None, TypeError, "is of type NoneType, should be a number"),
    ],
)
def test_bad_numbers(made, number, error, message):
    name = cnn.activations._NAMES[made]
    argument = _core.ALPHA_NAMES[name]
    with refused(error, f"{made.__name__}: {argument} {message}"):
        made(number)
    with refused(error, f"{name}: {argument} {message}"):
        getattr(cnn, name)([1.0], number)


def test_objects_are_values():
    assert LeakyReLU(np.float64(0.2)) == LeakyReLU(0.2) != LeakyReLU(0.3)
    assert type(LeakyReLU(1).slope) is float
    assert len({LeakyReLU(0.2), LeakyReLU(slope=0.2), ELU(0.2)}) == 2
    assert (repr(ELU(0.5)), str(ELU(0.5)), str(LeakyReLU(1e-3))) == (
        "ELU(alpha=0.5)",
        "elu(0.5)",
        "leaky_relu(0.001)",
    )
    for made in OBJECTS:
        assert copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == made


# ---- Functions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions(dtype):
    x = X.astype(dtype)
    slope, alpha = (np.dtype(dtype).type(number) for number in (0.2, 0.5))
    np.testing.assert_array_equal(cnn.leaky_relu(x, 0.2), np.where(x > 0, x, slope * x))
    np.testing.assert_array_equal(cnn.elu(x, alpha=0.5), np.where(x > 0, x, alpha * cnn.elu(x)))
    out = np.empty_like(x)
    assert cnn.leaky_relu(x, slope=0.2, out=out) is out
    for made, function in ((LeakyReLU(0.2), cnn.leaky_relu), (ELU(0.5), cnn.elu)):
        y = function(x, cnn.activations.resolved(made)[1])
        back = cnn.activation_backward(made, np.ones_like(x), y)
        assert back.tobytes() == cnn.activation_backward(made, np.ones_like(x), x=x).tobytes()
        slopes = np.where(y > 0, 1, slope if made == LeakyReLU(0.2) else y + alpha)
        np.testing.assert_array_equal(back, slopes)
        w, b = x[:4], x[0]
        assert (
            cnn.dense(x, w, b, made).tobytes()
            == function(cnn.dense(x, w, b), cnn.activations.resolved(made)[1]).tobytes()
        )


def test_defaults_are_the_names():
    assert cnn.Dense(2, 3, LeakyReLU()).activation == "leaky_relu"
    assert cnn.Dense(2, 3, ELU(1)).activation == "elu"
    one, other = network("leaky_relu"), network(LeakyReLU(0.01))
    assert pickle.dumps(one) == pickle.dumps(other)
    assert cnn.leaky_relu(X).tobytes() == cnn.leaky_relu(X, 0.01).tobytes()


# ---- Networks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("made", OBJECTS, ids=str)
def test_networks_keep_it(made, tmp_path):
    net = network(made, made)
    assert net.activation == net.layers[0].activation == made
    assert repr(net).count(repr(made)) == 2
    assert str(made) in net.summary()
    names = {"Dense": cnn.Dense, "Sequential": cnn.Sequential, **vars(cnn.activations)}
    assert eval(repr(net), names).layers[0].activation == made
    net.save(tmp_path / "net.safetensors")
    twins = [
        cnn.load(tmp_path / "net.safetensors"),
        pickle.loads(pickle.dumps(net)),
        copy.copy(net),
        copy.deepcopy(net),
    ]
    for twin in twins:
        assert [layer.activation for layer in twin.layers] == [made, made]
        assert twin.predict(X).tobytes() == net.predict(X).tobytes()


def test_files_have_the_number_if_it_is_not_the_default(tmp_path):
    path = tmp_path / "net.safetensors"
    network("leaky_relu").save(path)
    assert b"alpha" not in path.read_bytes()
    network(LeakyReLU(0.2)).save(path)
    content = path.read_bytes()
    assert content.count(b'\\"alpha\\": 0.2') + content.count(b'\\"alpha\\":0.2') == 1
    for bad in (b"-.2", b"-12", b"0.0", b"1e9"):
        path.write_bytes(content.replace(b"0.2}", bad + b"}"))
        if bad == b"1e9":
            assert cnn.load(path).layers[0].activation == LeakyReLU(1e9)
            continue
        with pytest.raises(
            cnn.ModelFileError, match=r"alpha is 0|has alpha -12, the slope|expected a digit"
        ):
            cnn.load(path)


def test_training_uses_it():
    t = X[:, :2] * 0.5 - 0.1
    losses = {
        made: network(made).fit(X, t, epochs=5, batch_size=3).loss[-1]
        for made in ("elu", ELU(0.5), ELU(2.0))
    }
    assert len(set(losses.values())) == 3


# ---- Elsewhere ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_estimators():
    sklearn = pytest.importorskip("sklearn.base")
    from cnn.sklearn import MLPRegressor

    model = MLPRegressor(
        hidden_layer_sizes=(5,), activation=LeakyReLU(0.2), max_iter=3, random_state=0
    )
    twin = sklearn.clone(model)
    assert twin.get_params()["activation"] == LeakyReLU(0.2)
    for estimator in (model, twin.set_params(activation=[LeakyReLU(0.2)])):
        estimator.fit(X, X[:, 0])
        assert estimator.net_.layers[0].activation == LeakyReLU(0.2)
    assert model.predict(X).tobytes() == twin.predict(X).tobytes()
    named = MLPRegressor(
        hidden_layer_sizes=(5,), activation="leaky_relu", max_iter=3, random_state=0
    ).fit(X, X[:, 0])
    assert named.predict(X).tobytes() != model.predict(X).tobytes()
    for bad in (LeakyReLU, 0.2, [LeakyReLU]):
        with pytest.raises((TypeError, ValueError), match="activation"):
            MLPRegressor(hidden_layer_sizes=(5,), activation=bad, max_iter=3).fit(X, X[:, 0])


@pytest.mark.parametrize("made", OBJECTS[:3], ids=str)
def test_torch(made):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    net = network(made)
    module = net.to_torch()
    with torch.no_grad():
        y = module.eval()(torch.from_numpy(X.astype(np.float32))).numpy()
    np.testing.assert_allclose(net.predict(X), y, rtol=0, atol=1e-5)
    assert cnn.from_torch(module).layers[0].activation == made


@pytest.mark.parametrize("made", OBJECTS, ids=str)
def test_onnx(made, tmp_path):
    pytest.importorskip("onnx")
    net = network(made)
    net.to_onnx(tmp_path / "net.onnx")
    back = cnn.from_onnx(tmp_path / "net.onnx")
    assert type(back.layers[0].activation) is type(made)
    number, found = (cnn.activations.resolved(a)[1] for a in (made, back.layers[0].activation))
    assert np.float32(found) == np.float32(number)
    assert back.predict(X).tobytes() == net.predict(X).tobytes()
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"input": X.astype(np.float32)})
    np.testing.assert_allclose(y, net.predict(X), rtol=1e-5, atol=1e-5)
