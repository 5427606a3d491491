"""Models of PyTorch and scikit-learn, and arrays of other libraries."""

import gc
import sys
import types
import warnings
import weakref

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
    "activation", [n for n in _core.ACTIVATIONS if n not in ("step", "softmax", "exponential")]
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


def test_torch_modules_that_do_more(torch):
    """Namesakes, hooks and forwards of one's own are compared with the network."""
    nn = torch.nn

    class Linear(nn.Module):  # a namesake, with the weights of PyTorch's
        def __init__(self, factor):
            super().__init__()
            self.factor = factor
            self.weight = nn.Parameter(torch.randn(3, 4))
            self.bias = nn.Parameter(torch.randn(3))

        def forward(self, x):
            return self.factor * nn.functional.linear(x, self.weight, self.bias)

    class Clipped(nn.Sequential):
        def forward(self, x):
            return super().forward(x).clip(-20, 20)

    class Pair(nn.Sequential):
        def forward(self, x):
            return super().forward(x), x

    torch.manual_seed(0)
    assert cnn.from_torch(nn.Sequential(Linear(1), nn.ReLU())).activation == "relu"
    hooked = nn.Sequential(nn.Linear(4, 3), nn.Tanh())
    hooked[0].register_forward_hook(lambda module, x, y: None)
    assert cnn.from_torch(hooked).activation == "tanh"
    assert cnn.from_torch(torch.compile(hooked, backend="eager")).activation == "tanh"
    hooked[0].register_forward_hook(lambda module, x, y: 2 * y)
    for module in (nn.Sequential(Linear(2)), Linear(2), Clipped(nn.Linear(4, 3)), hooked):
        with refused(ValueError, "computes something else than its children one after the other"):
            cnn.from_torch(module)
    with refused(ValueError, "from_torch: module Pair gives a tuple of 2, should give one tensor"):
        cnn.from_torch(Pair(nn.Linear(4, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, and still used
        normed = nn.Sequential(nn.utils.weight_norm(nn.Linear(4, 3)))
    with refused(ValueError, "from_torch: module '0' (Linear) computes its weight by weight norm"):
        cnn.from_torch(normed)
    parametrized = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)))
    with refused(
        ValueError, "from_torch: module '0' (ParametrizedLinear) computes its weight by a"
    ):
        cnn.from_torch(parametrized)


@pytest.mark.parametrize("double", [False, True])
def test_torch_modules_that_are_folded(torch, double):
    """Each beside layers, first, between two activations and last."""
    nn = torch.nn
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    norm = nn.BatchNorm1d(4)
    with torch.no_grad():
        for parameter in (*norm.parameters(), norm.running_mean, norm.running_var):
            parameter.copy_(torch.from_numpy(rng.uniform(0.5, 2, 4)))
    x = torch.from_numpy(X).double() if double else torch.from_numpy(X)
    for module in (
        norm, nn.BatchNorm1d(4, affine=False), nn.Hardtanh(), nn.Hardtanh(-0.5, 2.0), nn.ReLU6(),
        nn.Hardtanh(0.0, 6.0), nn.Hardsigmoid(), nn.Hardswish(), nn.Mish(), nn.SELU(), nn.SiLU(),
        nn.CELU(0.7), nn.Softplus(beta=2.0), nn.PReLU(), nn.PReLU(init=0.0), nn.Softsign(),
        nn.LeakyReLU(0.0), nn.Identity(), nn.Flatten(), nn.Tanh(),
    ):  # fmt: skip
        first, last = nn.Linear(4, 4, bias=False), nn.Linear(4, 4)
        for modules in ([module, first], [first, module], [first, nn.Tanh(), module, last],
                        [first, module, nn.Dropout(), module, nn.Tanh()]):  # fmt: skip
            whole = nn.Sequential(*modules).eval()
            whole = whole.double() if double else whole
            with torch.no_grad():
                expected = whole(x).numpy()
            tolerance = 1e-12 if double else 1e-5
            net = cnn.from_torch(whole)
            np.testing.assert_allclose(net.predict(x.numpy()), expected, rtol=0, atol=tolerance)
            whole.float()


def test_torch_standardize(torch, dtype):
    mean, scale = np.array([1, -2, 300, 0.1]), np.array([1, 2, 100, 0.3])
    layers = [cnn.Standardize(mean=mean, scale=scale), cnn.Dense(4, 3, "tanh"), cnn.Dense(3, 2)]
    net = cnn.Sequential(layers, rng=0, dtype=dtype)
    module = net.to_torch()
    back = cnn.from_torch(module)
    assert back.predict(X).tobytes() == net.predict(X).tobytes()
    assert back.layers[0].scale.tobytes() == scale.astype(dtype).tobytes()
    module[0].scale.zero_()
    with refused(ValueError, "module '0' (Standardize) has a scale that is not positive"):
        cnn.from_torch(module)


def test_torch_head_of_a_policy(torch):
    """The modules of Stable-Baselines3's MlpPolicy: two bodies, and a head on each."""
    nn = torch.nn

    class Bodies(nn.Module):
        def __init__(self):
            super().__init__()
            self.policy_net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh())
            self.value_net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh())

    class Policy(nn.Module):
        def __init__(self):
            super().__init__()
            self.features_extractor = nn.Sequential(nn.Flatten())
            self.mlp_extractor = Bodies()
            self.action_net, self.value_net = nn.Linear(8, 2), nn.Linear(8, 1)

        def forward(self, x):
            x = self.features_extractor(x)
            bodies = self.mlp_extractor
            return self.action_net(bodies.policy_net(x)), self.value_net(bodies.value_net(x))

    policy = Policy()
    with torch.no_grad():
        actions, values = (y.numpy() for y in policy(torch.from_numpy(X)))
    body = policy.mlp_extractor
    net = cnn.from_torch(nn.Sequential(body.policy_net, policy.action_net))
    assert [layer.activation for layer in net] == ["tanh", "tanh", "identity"]
    assert net.layers[2].weight.tobytes() == policy.action_net.weight.detach().numpy().T.tobytes()
    np.testing.assert_allclose(net.predict(X), actions, rtol=0, atol=1e-5)
    value = nn.Sequential(policy.features_extractor, body.value_net, policy.value_net)
    np.testing.assert_allclose(cnn.from_torch(value).predict(X), values, rtol=0, atol=1e-5)
    with refused(ValueError, "from_torch: module 'mlp_extractor.value_net.0' (Linear) has 4 in"):
        cnn.from_torch(policy)


def test_torch_refused(torch):
    nn = torch.nn
    linear = nn.Linear(4, 3)
    for modules, message in (
        ([nn.ReLU()], "there is no dense layer"),
        ([linear, nn.LeakyReLU(-0.5)], "module '1' (LeakyReLU) has negative_slope -0.5, which cnn"),
        ([linear, nn.PReLU(3)], "module '1' (PReLU) has 3 slopes, should have one"),
        ([linear, nn.CELU(-1.0)], "module '1' (CELU) has alpha -1.0, should be positive"),
        ([linear, nn.Softplus(threshold=1)], "module '1' (Softplus) has threshold 1.0, which cnn"),
        ([linear, nn.Softplus(beta=0)], "module '1' (Softplus) has beta 0, should be another"),
        ([linear, nn.BatchNorm1d(3, track_running_stats=False)],
         "module '1' (BatchNorm1d) has no running mean and variance"),
        ([linear, nn.BatchNorm1d(4)],
         "module '1' (BatchNorm1d) has 4 numbers, should have one for 3 columns"),
        ([linear, nn.BatchNorm1d(3).double()], "has constants of dtype float64, but the weights"),
        ([linear, nn.Softmax(dim=1), nn.Tanh()], "module '2' (Tanh) comes after Softmax, which"),
        ([linear, nn.LayerNorm(3)], "module '1' (LayerNorm) is not a part that cnn has"),
        ([linear, nn.ELU(-1.0)], "module '1' (ELU) has alpha -1.0, which cnn does not have: E"),
        ([linear, nn.GELU("erf")], "module '1' (GELU) has approximate 'erf', should be 'none'"),
        ([linear, nn.Softmax(dim=0)], "module '1' (Softmax) has dim 0"),
        ([linear, nn.LogSoftmax(dim=1)], "module '1' (LogSoftmax) is not a part that cnn has"),
        ([nn.Sequential(nn.Conv1d(1, 1, 1))], "module '0.0' (Conv1d) is not a part that cnn has"),
        ([nn.Linear(4, 3).bfloat16()], "the weight of module '0' (Linear) has dtype bfloat16"),
        ([nn.Linear(4, 3).half()], "the weight of module '0' (Linear) has dtype float16"),
        ([nn.Linear(4, 3), nn.Linear(3, 2).double()], "has dtype float64, but the first layer has"),
        ([nn.Linear(4, 3), nn.Linear(4, 2)],
         "module '1' (Linear) has 4 inputs, but module '0' (Linear) has 3 outputs"),
        ([nn.Linear(4, 3), nn.Softmax(dim=1), nn.Linear(3, 2)],
         "module '2' (Linear) comes after Softmax, which only the last layer can have"),
        ([nn.Linear(4, 3), nn.Dropout(1.0), nn.Linear(3, 2)],
         "module '1' (Dropout) has p 1.0, should be at least 0 and less than 1"),
        ([nn.Dropout(0.2), nn.Linear(3, 2)], "module '0' (Dropout) should come after a Linear"),
        ([nn.Linear(4, 3), nn.Flatten(0)], "module '1' (Flatten) should have start_dim 1 and end"),
        ([nn.Linear(4, 3, device="meta")], "the weight of module '0' (Linear) cannot be read"),
        ([nn.Identity()], "there is no dense layer"),
        ([nn.Linear(4, 3), nn.Dropout()],
         "a Dropout comes after module '0' (Linear), should be between two dense layers"),
    ):  # fmt: skip
        with refused(ValueError, message) as caught:
            cnn.from_torch(nn.Sequential(*modules))
        assert str(caught.value).startswith("from_torch: ")
    for name in ("step", "exponential"):
        net = cnn.mlp([4, 3, 2], name, "identity", rng=0)
        with refused(ValueError, f"to_torch: layer 0 has activation {name}, for which PyTorch has"):
            net.to_torch()


def test_not_a_module(monkeypatch):
    for value in (3, None, object, [1]):
        with refused(TypeError, "from_torch: module is of type"):
            cnn.from_torch(value)
    monkeypatch.setitem(sys.modules, "torch", None)
    tensor = types.SimpleNamespace(cpu=lambda: types.SimpleNamespace(numpy=lambda: X[:3]))
    weight = types.SimpleNamespace(detach=lambda: tensor)
    linear = type("Linear", (), {"_modules": {}, "weight": weight, "bias": None})()
    with refused(TypeError, "from_torch: module is of type Linear, should be a torch.nn.Module"):
        cnn.from_torch(linear)
    with refused(ImportError, 'to_torch: torch is not installed; pip install ".[torch]"'):
        cnn.mlp([4, 3], "relu", "relu", rng=0).to_torch()


# ---- scikit-learn --------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sklearn(activation, dtype):
    neural = pytest.importorskip("sklearn.neural_network", reason="scikit-learn is not installed")
    x = X.astype(dtype)
    for kind, t in (
        ("MLPClassifier", LABELS),
        ("MLPClassifier", np.array(["no", "yes"])[LABELS % 2]),
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


@pytest.mark.parametrize("own", [False, True], ids=["scikit-learn", "cnn"])
@pytest.mark.parametrize("scaled", [False, True])
def test_sklearn_names(own, scaled):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    neural = pytest.importorskip("sklearn.neural_network", reason="scikit-learn is not installed")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kind = pytest.importorskip("cnn.sklearn").MLPClassifier if own else neural.MLPClassifier
    columns = [f"c{i}" for i in range(X.shape[1])]
    frame = pandas.DataFrame(X, columns=columns)
    for labels in (["b", "a", "d", "c"], ["no", "yes"], ["\0a", "b"]):
        t = np.array(labels, object)[LABELS % len(labels)]
        mlp = kind((3,), max_iter=2)
        estimator = make_pipeline(StandardScaler(), mlp) if scaled else mlp
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it has not converged
            estimator.fit(frame, t)
        net = cnn.from_sklearn(estimator)
        has_names = "\0" not in labels[0]
        assert net.class_names == (tuple(map(str, estimator.classes_)) if has_names else None)
        assert net.feature_names == tuple(columns)


def test_sklearn_estimator_of_cnn():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from cnn.sklearn import MLPClassifier

    estimator = MLPClassifier((6, 5), activation=["gelu", "tanh"], dropout=0.2, max_iter=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged
        estimator.fit(X, LABELS)
    net = cnn.from_sklearn(estimator)
    assert net is not estimator.net_
    assert [type(layer) for layer in net] == [
        cnn.Dense,
        cnn.Dropout,
        cnn.Dense,
        cnn.Dropout,
        cnn.Dense,
    ]
    assert net.predict(X).tobytes() == estimator.net_.predict(X).tobytes()


@pytest.mark.parametrize("own", [False, True], ids=["scikit-learn", "cnn"])
@pytest.mark.parametrize(
    ("name", "options"),
    [("StandardScaler", {}), ("StandardScaler", {"with_mean": False}),
     ("StandardScaler", {"with_std": False}), ("MinMaxScaler", {}),
     ("MinMaxScaler", {"feature_range": (-1, 2), "clip": True}), ("MaxAbsScaler", {}),
     ("RobustScaler", {}), ("RobustScaler", {"with_centering": False})],
    ids=str,
)  # fmt: skip
def test_sklearn_pipeline(name, options, own, dtype):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn import neural_network, preprocessing
    from sklearn.pipeline import make_pipeline

    import cnn.sklearn

    made = (cnn.sklearn if own else neural_network).MLPClassifier((6,), max_iter=2, random_state=0)
    scaler = getattr(preprocessing, name)(**options)
    x = (X * [1, 10, 100, 0.1] + [0, 5, -300, 1]).astype(dtype)
    pipeline = make_pipeline(scaler, "passthrough", made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged
        pipeline.fit(x, LABELS)
    net = cnn.from_sklearn(pipeline)
    assert net.dtype == dtype
    assert isinstance(net.layers[0], cnn.Standardize)
    dense = [layer for layer in net.layers if isinstance(layer, cnn.Dense)]
    assert dense[-1].weight.tobytes() == np.ascontiguousarray(made.coefs_[-1]).tobytes()
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    x = np.vstack([x, 3 * x])  # beyond the bounds of those that clip
    expected = pipeline.predict_proba(x)
    np.testing.assert_allclose(net.predict(x), expected, rtol=0, atol=tolerance)


def test_sklearn_pipeline_refused():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, StandardScaler

    mlp = MLPClassifier((6,), max_iter=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged
        mlp.fit(X, LABELS)
    message = "from_sklearn: step 'normalizer' of the pipeline is of type Normalizer, should be one"
    with refused(ValueError, message):
        cnn.from_sklearn(make_pipeline(Normalizer(), mlp))
    with refused(TypeError, "step 'standardscaler' of the pipeline (StandardScaler) is not fitted"):
        cnn.from_sklearn(make_pipeline(StandardScaler(), mlp))
    with refused(TypeError, "from_sklearn: estimator is of type StandardScaler without coefs_"):
        cnn.from_sklearn(make_pipeline(StandardScaler().fit(X)))
    with refused(ValueError, "from_sklearn: the pipeline has no steps, should end in an estimator"):
        cnn.from_sklearn(make_pipeline("passthrough"))
    with refused(
        TypeError, "estimator is of type MLPClassifier without coefs_, should be a fitted"
    ):
        cnn.from_sklearn(make_pipeline(StandardScaler().fit(X), MLPClassifier()))
    with refused(ValueError, "step 'standardscaler' (StandardScaler) has 2 numbers, should have"):
        cnn.from_sklearn(make_pipeline(StandardScaler().fit(X[:, :2]), mlp))


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
    fitted.out_activation_ = "softmax"
    for activation in ("swish", ["relu"], None):
        fitted.activation = activation
        with refused(ValueError, f"from_sklearn: activation is {activation!r}, should be one of i"):
            cnn.from_sklearn(fitted)
    fitted.activation, fitted.intercepts_ = "relu", []
    with refused(ValueError, "from_sklearn: coefs_ has 1 arrays and intercepts_ 0, should be one"):
        cnn.from_sklearn(fitted)
    fitted.coefs_ = []
    with refused(ValueError, "from_sklearn: there is no dense layer, should be at least one"):
        cnn.from_sklearn(fitted)
    fitted.coefs_, fitted.intercepts_ = [np.ones((2, 3))] * 2, [np.ones(3)] * 2
    with refused(ValueError, "from_sklearn: layer 1 has 2 inputs, but layer 0 has 3 outputs"):
        cnn.from_sklearn(fitted)
    fitted.coefs_, fitted.intercepts_ = [np.ones((2, 3))], [np.ones(2)]
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


class Old(Foreign):
    """The same, from before DLPack had versions and read-only arrays."""

    def __dlpack__(self, stream=None):
        return self.array.__dlpack__(stream=stream)


class Both(Foreign, Wrapped):
    """An array of a library that has DLPack and __array__."""


class Failing:
    """An array that fails when it is read."""

    def __init__(self, error):
        self.error = error

    def __array__(self, dtype=None, copy=None):
        raise self.error("not now")


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


def test_types_and_layouts(convert):
    """What libcnn reads is read as NumPy's own array would be, whatever library it comes from."""
    net = cnn.mlp([4, 3], "relu", "softmax", rng=0)
    for kind in ("float64", "float16", "int8", "uint8", "int32", "int64", "bool"):
        x = (4 * X).astype(kind)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # JAX makes 64 bits 32
            made = convert(x)
        assert net.predict(made).tobytes() == net.predict(x).tobytes()
    x = np.tile(X, 2)[::2, 1:5]
    assert net.predict(convert(x)).tobytes() == net.predict(x).tobytes()


@pytest.mark.parametrize("form", [memoryview, Foreign, Old, Both])
def test_nothing_is_copied(form):
    for x in (X, X[::2, 1:], X.T):
        read = _core.numeric("predict", "x", form(x))
        assert np.shares_memory(read, X)
        assert read.strides == x.strides


def test_no_tensor_is_copied(torch):
    for x in (torch.from_numpy(X), torch.from_numpy(X)[::2, 1:], torch.from_numpy(X).T):
        read = _core.numeric("predict", "x", x)
        assert np.shares_memory(read, X)
        assert read.strides == tuple(4 * stride for stride in x.stride())


def test_read_only_arrays():
    x = X.copy()
    x.flags.writeable = False
    net = cnn.mlp([4, 3], "relu", "softmax", rng=0)
    forms = [memoryview, Both]
    if np.lib.NumpyVersion(np.__version__) >= "2.1.0":  # before, DLPack had no word for it
        forms.append(Foreign)
    for form in forms:
        assert net.predict(form(x)).tobytes() == net.predict(X).tobytes()
    with refused(TypeError, "predict: x of type Old cannot be read as an array: "):
        net.predict(Old(x))


def test_memory_lives_as_long_as_it_is_read():
    for form in (memoryview, Foreign, Old, Both):
        x = X.copy()
        alive = weakref.ref(x)
        read = _core.numeric("predict", "x", form(x))
        del x
        gc.collect()
        assert alive() is not None
        assert (read == X).all()
        del read
        gc.collect()
        assert alive() is None


def test_library_arrays_refused():
    net = cnn.mlp([4, 3], "relu", "softmax", rng=0)
    for device, kind in ((2, "CUDA"), (8, "Metal"), (99, "DLPack number 99")):
        for form in (Foreign, Both):
            message = f"predict: x is of type {form.__name__} on a device of kind {kind}, should be"
            with refused(TypeError, message):
                net.predict(form(X, device))
    swapped = Foreign(X.astype(X.dtype.newbyteorder()))
    for bad in (swapped, Failing(TypeError), Failing(ValueError), Failing(RuntimeError), Foreign):
        with refused(
            TypeError, f"predict: x of type {type(bad).__name__} cannot be read as an arr"
        ):
            net.predict(bad)
    with refused(ValueError, "predict: x is not a rectangular array of numbers"):
        net.predict([[1, 2, 3, 4], [5]])


def test_tensors_refused(torch):
    net = cnn.mlp([4, 3], "relu", "softmax", rng=0)
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
