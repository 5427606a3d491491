"""Models of PyTorch and scikit-learn, and arrays of other libraries."""

import sys
import types
import warnings

import numpy as np
import pytest
from refused import refused

import cnn
from cnn import _core

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 4)).astype(np.float32)
LABELS = np.arange(20) % 3


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


# ---- PyTorch -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "activation", [n for n in _core.ACTIVATIONS if n not in ("step", "softmax")]
)
def test_torch_round_trip(torch, activation, dtype):
    layers = [cnn.Dense(4, 6, activation), cnn.Dropout(0.25), cnn.Dense(6, 3, "softmax")]
    net = cnn.Sequential(layers, rng=1, dtype=dtype)
    net.layers[0].bias = RNG.normal(size=6)
    state = torch.get_rng_state()
    module = net.to_torch()
    assert torch.equal(state, torch.get_rng_state())
    x = X.astype(dtype)
    with torch.no_grad():
        y = module.eval()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(
        net.predict(x), y, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-8
    )
    back = cnn.from_torch(module)
    assert repr(back).split("rng")[0] == repr(net).split("rng")[0]
    for a, b in ((net.layers[i], back.layers[i]) for i in (0, 2)):
        assert (a.weight.tobytes(), a.bias.tobytes()) == (b.weight.tobytes(), b.bias.tobytes())
    with torch.no_grad():  # copies, so that neither trains the other
        module[0].weight.zero_()
    assert back.layers[0].weight.any()
    assert net.layers[0].weight.any()


def test_torch_modules(torch):
    nn = torch.nn

    class Own(nn.Module):
        def __init__(self, *, functional):
            super().__init__()
            self.first, self.act = nn.Linear(4, 5), nn.Tanh()
            self.body = nn.Sequential(nn.Identity(), nn.Linear(5, 3, bias=False))
            self.functional = functional

        def forward(self, x):
            y = self.body(self.act(self.first(x)))
            return torch.relu(y) if self.functional else y

    module = Own(functional=False)
    with torch.no_grad():
        expected = module(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(cnn.from_torch(module).predict(X), expected, atol=1e-5)
    assert module.training
    with refused(ValueError, "from_torch: module Own computes something else than its children"):
        cnn.from_torch(Own(functional=True))
    flat = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    assert cnn.from_torch(flat).inputs == 4
    assert cnn.from_torch(nn.Linear(4, 2)).outputs == 2


def test_torch_refused(torch):
    nn = torch.nn
    linear = nn.Linear(4, 3)
    for modules, message in (
        ([nn.ReLU()], "module '0' (ReLU) comes before the first Linear"),
        ([linear, nn.ReLU(), nn.Tanh()], "module '2' (Tanh) comes after activation relu"),
        ([linear, nn.Dropout(), nn.Tanh()], "module '2' (Tanh) comes after Dropout"),
        ([linear, nn.LeakyReLU(0.3)], "module '1' (LeakyReLU) has negative_slope 0.3"),
        ([linear, nn.GELU("tanh")], "module '1' (GELU) has approximate 'tanh'"),
        ([linear, nn.Softmax(dim=0)], "module '1' (Softmax) has dim 0"),
        ([linear, nn.LogSoftmax(dim=1)], "module '1' (LogSoftmax) is not a part that cnn has"),
        ([nn.BatchNorm1d(4), linear], "module '0' (BatchNorm1d) is not a part that cnn has"),
        ([nn.Sequential(nn.Conv1d(1, 1, 1))], "module '0.0' (Conv1d) is not a part that cnn has"),
        ([nn.Linear(4, 3).bfloat16()], "the weight of module '0' (Linear) cannot be read"),
        ([nn.Linear(4, 3).half()], "the weight of module '0' (Linear) has dtype float16"),
        ([nn.Linear(4, 3), nn.Linear(3, 2).double()], "has dtype float64, but the first layer has"),
        ([nn.Linear(4, 3), nn.Linear(4, 2)], "has 4 inputs, but layer 0"),
        ([nn.Linear(4, 3, device="meta")], "the weight of module '0' (Linear) cannot be read"),
        ([nn.Identity()], "there is no dense layer"),
        ([nn.Linear(4, 3), nn.Dropout()], "should be between two Dense layers"),
    ):
        with refused(ValueError, message) as caught:
            cnn.from_torch(nn.Sequential(*modules))
        assert str(caught.value).startswith("from_torch: ")
    net = cnn.mlp([4, 3, 2], "step", "identity", rng=0)
    with refused(ValueError, "to_torch: layer 0 has activation step, for which PyTorch has no mod"):
        net.to_torch()


def test_not_a_module(monkeypatch):
    for value in (3, None, object, [1]):
        with refused(TypeError, "from_torch: module is of type"):
            cnn.from_torch(value)
    monkeypatch.setitem(sys.modules, "torch", None)
    with refused(ImportError, "pip install torch installs it"):
        cnn.mlp([4, 3], "relu", "relu", rng=0).to_torch()


# ---- scikit-learn --------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sklearn(activation, dtype):
    neural = pytest.importorskip("sklearn.neural_network", reason="scikit-learn is not installed")
    x = X.astype(dtype)
    for kind, t in (
        ("MLPClassifier", LABELS),
        ("MLPClassifier", LABELS % 2),
        ("MLPClassifier", (X[:, :3] > 0).astype(int)),
        ("MLPRegressor", x[:, 0]),
        ("MLPRegressor", x[:, :2]),
    ):
        estimator = getattr(neural, kind)(
            hidden_layer_sizes=(6, 5), activation=activation, max_iter=3, random_state=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it has not converged
            estimator.fit(x, t)
        net = cnn.from_sklearn(estimator)
        assert net.dtype == dtype
        for layer, weight in zip(net.layers, estimator.coefs_, strict=True):
            assert layer.weight.tobytes() == np.ascontiguousarray(weight).tobytes()
        predict = getattr(estimator, "predict_proba", estimator.predict)
        expected = predict(x).reshape(20, -1)
        y = net.predict(x)
        np.testing.assert_allclose(y, expected[:, -y.shape[1] :], rtol=0, atol=1e-5)


def test_sklearn_refused():
    with refused(TypeError, "from_sklearn: estimator is of type int without coefs_, should be a"):
        cnn.from_sklearn(3)
    fitted = types.SimpleNamespace(
        coefs_=[np.ones((2, 3))], intercepts_=[np.ones(3)], activation="relu", out_activation_="exp"
    )
    with refused(
        ValueError, "from_sklearn: out_activation_ is 'exp', should be one of identity, l"
    ):
        cnn.from_sklearn(fitted)
    fitted.out_activation_, fitted.intercepts_ = "softmax", [np.ones(2)]
    with refused(ValueError, "from_sklearn: the bias of layer 0 has shape (2,), should be (3,)"):
        cnn.from_sklearn(fitted)


# ---- Arrays --------------------------------------------------------------------------------------


class Foreign:
    """An array of a library that has DLPack alone."""

    def __init__(self, array, device=1):
        self.array, self.device = array, device

    def __dlpack_device__(self):
        return self.device, 0

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)


class Wrapped:
    """An array of a library that has __array__ alone."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


@pytest.fixture(params=["buffer", "dlpack", "array", "torch", "jax"])
def convert(request):
    if request.param == "torch":
        return pytest.importorskip("torch", reason="PyTorch is not installed").from_numpy
    if request.param == "jax":
        return pytest.importorskip("jax.numpy", reason="JAX is not installed").asarray
    return {"buffer": memoryview, "dlpack": Foreign, "array": Wrapped}[request.param]


def test_arrays(convert):
    x, labels = convert(X), convert(LABELS.astype(np.int32))
    net, other = (cnn.mlp([4, 5, 3], "tanh", "softmax", rng=0) for _ in range(2))
    assert net.predict(x).tobytes() == other.predict(X).tobytes()
    net.fit(x, labels, epochs=2, batch_size=7)
    other.fit(X, LABELS, epochs=2, batch_size=7)
    assert net.layers[0].weight.tobytes() == other.layers[0].weight.tobytes()
    assert net.evaluate(x, labels) == other.evaluate(X, LABELS)
    assert cnn.softmax(x).tobytes() == cnn.softmax(X).tobytes()
    assert cnn.relu(x).tobytes() == cnn.relu(X).tobytes()
    weight = convert(np.ascontiguousarray(X[:4, :3]))
    assert cnn.dense(x, weight).tobytes() == cnn.dense(X, X[:4, :3].copy()).tobytes()


def test_nothing_is_copied(torch):
    for made in (torch.from_numpy(X), Foreign(X), memoryview(X), torch.from_numpy(X)[::2, 1:]):
        assert np.shares_memory(_core.numeric("predict", "x", made), X)
    fortran = torch.from_numpy(X).T
    assert _core.numeric("predict", "x", fortran).strides == (4, 16)


def test_arrays_refused(torch):
    net = cnn.mlp([4, 3], "relu", "softmax", rng=0)
    for device, kind in ((2, "CUDA"), (8, "Metal"), (99, "DLPack number 99")):
        message = f"predict: x is of type Foreign on a device of kind {kind}, should be in the mem"
        with refused(TypeError, message):
            net.predict(Foreign(X, device))
    tensor = torch.from_numpy(X.copy()).requires_grad_()
    with refused(
        TypeError, "fit: x is of type Tensor and requires gradients, which cnn does not p"
    ):
        net.fit(tensor, LABELS)
    assert net.predict(tensor.detach()).shape == (20, 3)
    for bad in (tensor.detach().bfloat16(), tensor.detach().to_sparse()):
        with refused(TypeError, "predict: x of type Tensor cannot be read as an array: "):
            net.predict(bad)
    with refused(TypeError, "predict: x has dtype complex64"):
        net.predict(tensor.detach().to(torch.complex64))
    with refused(TypeError, "predict: x of type Tensor cannot be read as an array: "):
        net.predict(torch.zeros(2, 4, device="meta"))
