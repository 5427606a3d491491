"""What training, evaluation and prediction refuse, leaving the network as it was."""

import math

import numpy as np
import pytest
from refused import refused

import cnn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
LABELS = RNG.integers(0, 4, size=20)
T = RNG.normal(size=20)


def classifier(**options):
    return cnn.mlp([3, 5, 4], "tanh", "softmax", rng=0, **options)


def regressor(outputs=1):
    return cnn.mlp([3, 5, outputs], "tanh", "identity", rng=0)


def parameters(net):
    return np.concatenate([p.ravel() for layer in net for p in (layer.weight, layer.bias)])


# Each function that takes samples, as fit, train_step and so on call it.
CALLS = {
    "fit": lambda net, x, t, **o: net.fit(x, t, epochs=2, **o),
    "train_step": lambda net, x, t, **o: net.train_step(x, t, optimizer=cnn.Adam(), **o),
    "evaluate": lambda net, x, t, **o: net.evaluate(x, t, **o),
    "gradients": lambda net, x, t, **o: net.gradients(x, t, **o),
}


@pytest.fixture(params=CALLS)
def refuses(request):
    """Expect a call to be refused, with the network left as it was."""

    def check(net, x, t, error, message, **options):
        before = parameters(net)
        with refused(error, f"{request.param}: {message}"):
            CALLS[request.param](net, x, t, **options)
        np.testing.assert_array_equal(parameters(net), before)
        assert net.epochs == 0

    return check


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (None, TypeError, "x is None, should be an array of numbers"),
        (b"text", TypeError, "x has dtype |S4"),
        (np.full((20, 3), None), TypeError, "x has dtype object"),
        (X + 0j, TypeError, "x has dtype complex128"),
        ([[1.0], [1.0, 2.0]], ValueError, "x is not a rectangular array of numbers"),
        (X.astype(">f4"), TypeError, "x has dtype >f4 in foreign byte order"),
        (X[:, :2], ValueError, "x has 2 columns, but the first layer has 3 inputs"),
        (X[:, 0], ValueError, "x has 1 dimensions (20,), should have 2: (n, 3)"),
        (X[None], ValueError, "x has 3 dimensions (1, 20, 3), should have 2: (n, 3)"),
        (X[:0], ValueError, "x has 0 rows, should have at least 1"),
    ],
)
def test_bad_x(refuses, x, error, message):
    refuses(classifier(), x, LABELS, error, message)


@pytest.mark.parametrize(
    ("t", "error", "message"),
    [
        (None, TypeError, "t is None, should be an array of numbers"),
        (["a"] * 20, TypeError, "t has dtype <U1, texts such as 'a', should be numbers"),
        (LABELS[:19], ValueError, "t has 19 rows, but x has 20"),
        (LABELS[:, None], ValueError, "t has shape (20, 1), should be (20,) class numbers or (20"),
        (np.zeros((20, 3)), ValueError, "t has shape (20, 3), should be (20,) class numbers or ("),
        (3, ValueError, "t has shape (), should be (20,) class numbers or (20, 4) probabilities"),
        (np.full((20, 4), np.nan), ValueError, "t has nan in row 0, but its numbers should be fi"),
        (np.full((20, 4), -0.5), ValueError, "t has -0.5 in row 0, but its numbers should be fin"),
    ],
)
def test_bad_t_of_softmax(refuses, t, error, message):
    refuses(classifier(), X, t, error, message)


@pytest.mark.parametrize(
    ("label", "shown"),
    [(4, "4"), (-1, "-1"), (1.5, "1.5"), (np.nan, "nan"), (np.inf, "inf"), (10**18, 10**18)],
)
def test_bad_labels(refuses, label, shown):
    t = np.where(np.arange(20) == 13, label, LABELS)
    message = f"t has label {shown}, but the output layer has 4 classes (labels 0 to 3); it is in"
    refuses(classifier(), X, t, ValueError, f"{message} row 13")


def test_bad_label_of_ten_classes():
    net = cnn.mlp([3, 10], "relu", "softmax")
    message = "fit: t has label 10, but the output layer has 10 classes (labels 0 to 9)"
    with refused(ValueError, message):
        net.fit(X, np.arange(20) % 11)


@pytest.mark.parametrize(
    ("output", "t", "message"),
    [
        ("identity", np.full(20, np.nan), "t has nan in row 0, but its numbers should be finite"),
        ("identity", np.full(20, -np.inf), "t has -inf in row 0, but its numbers should be fini"),
        ("identity", np.zeros((20, 2)), "t has shape (20, 2), should be (20, 1) or (20,)"),
        ("sigmoid", np.full(20, 2), "t has 2 in row 0, but its numbers should be from 0 to 1"),
        ("sigmoid", np.full(20, np.nan), "t has nan in row 0, but its numbers should be from 0"),
    ],
)
def test_bad_t_of_others(refuses, output, t, message):
    refuses(cnn.mlp([3, 1], "tanh", output), X, t, ValueError, message)


def test_bad_t_of_several_outputs(refuses):
    refuses(regressor(2), X, T, ValueError, "t has shape (20,), should be (20, 2)")


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (np.ones(19), ValueError, "sample_weight has shape (19,), should be (20,), a number for"),
        (np.ones((20, 1)), ValueError, "sample_weight has shape (20, 1), should be (20,)"),
        (-np.ones(20), ValueError, "sample_weight has -1 in row 0, but its numbers should be fi"),
        (np.full(20, np.nan), ValueError, "sample_weight has nan in row 0"),
        (["a"] * 20, TypeError, "sample_weight has dtype <U1"),
    ],
)
def test_bad_sample_weight(refuses, weight, error, message):
    refuses(classifier(), X, LABELS, error, message, sample_weight=weight)


@pytest.mark.parametrize(
    ("output", "loss", "error", "message"),
    [
        (
            "identity",
            "cross_entropy",
            ValueError,
            "loss cross_entropy needs an output layer with activation softmax, but it has identity",
        ),
        (
            "softmax",
            cnn.BinaryCrossEntropy(),
            ValueError,
            "loss binary_cross_entropy needs an output layer with activation sigmoid, but it has",
        ),
        ("tanh", "poisson", ValueError, "loss poisson needs an output layer with activation ident"),
        ("softmax", "squared_error", ValueError, "loss squared_error does not go with an output"),
        ("softmax", cnn.Huber(), ValueError, "loss huber does not go with an output layer"),
        ("softmax", "absolute_error", ValueError, "loss absolute_error does not go with an output"),
        ("softmax", cnn.Quantile(0.5), ValueError, "loss quantile does not go with an output"),
        (
            "identity",
            "quantile",
            ValueError,
            "quantiles has 3 levels (0.1, 0.5, 0.9), but the output layer has 1 outputs, should be",
        ),
        ("identity", "mse", ValueError, "loss is 'mse', should be one of squared_error, cross_en"),
        ("identity", cnn.Huber, TypeError, "loss is Huber, should be a name or an object like"),
        ("identity", 3, TypeError, "loss is of type int, should be a name or an object"),
    ],
)
def test_bad_loss(refuses, output, loss, error, message):
    refuses(cnn.mlp([3, 1], "tanh", output), X, T, error, message, loss=loss)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: cnn.CrossEntropy(label_smoothing=1),
            ValueError,
            "CrossEntropy: label_smoothing is",
        ),
        (lambda: cnn.CrossEntropy("x"), TypeError, "CrossEntropy: label_smoothing is of type str"),
        (lambda: cnn.Huber(0), ValueError, "Huber: delta is 0, should be finite and more than 0"),
        (lambda: cnn.Huber(math.inf), ValueError, "Huber: delta is inf"),
        (lambda: cnn.Quantile(1), ValueError, "Quantile: quantiles is 1, should be more than 0 an"),
        (lambda: cnn.Quantile([]), ValueError, "Quantile: quantiles is empty, should have a numb"),
        (lambda: cnn.Quantile((0.5, 0.1)), ValueError, "Quantile: quantiles[1] is 0.1, should be"),
        (lambda: cnn.Quantile({}), TypeError, "Quantile: quantiles is of type dict, should be a"),
    ],
)
def test_bad_loss_settings(make, error, message):
    with refused(error, message):
        make()


@pytest.mark.parametrize(
    ("class_weight", "error", "message"),
    [
        ({4: 1.0}, ValueError, "a label in class_weight is 4, should be at most 3"),
        ({"a": 1.0}, TypeError, "a label in class_weight is of type str, should be an int"),
        ({0: -1.0}, ValueError, "class_weight[0] is -1, should be finite and at least 0"),
        ({0: None}, TypeError, "class_weight[0] is of type NoneType"),
        ([1, 1, 1], ValueError, "class_weight has shape (3,), should be (4,), a number for each"),
        ([1, 1, 1, np.nan], ValueError, "class_weight has nan in row 3"),
        ("equal", ValueError, "class_weight is 'equal', should be 'balanced', a dict, or a number"),
    ],
)
def test_bad_class_weight(class_weight, error, message):
    for name in ("fit", "train_step"):
        with refused(error, f"{name}: {message}"):
            CALLS[name](classifier(), X, LABELS, class_weight=class_weight)


def test_class_weight_needs_labels():
    for net, t in ((classifier(), np.eye(4)[LABELS]), (regressor(), T)):
        with refused(ValueError, "fit: class_weight is given, but t does not hold class numbers"):
            net.fit(X, t, class_weight=[1, 1, 1, 1])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "fit: epochs is 0, should be at least 1"),
        ({"epochs": 1.0}, TypeError, "fit: epochs is of type float, should be an int"),
        ({"batch_size": 0}, ValueError, "fit: batch_size is 0, should be at least 1"),
        ({"batch_size": "32"}, TypeError, "fit: batch_size is of type str"),
        ({"shuffle": 1}, TypeError, "fit: shuffle is of type int, should be True or False"),
        ({"progress": "yes"}, ValueError, "fit: progress is 'yes', should be 'auto', True or Fal"),
        ({"progress": 1}, ValueError, "fit: progress is 1"),
        ({"validation_data": X}, TypeError, "fit: validation_data is of type ndarray, should be"),
        ({"validation_data": (X,)}, TypeError, "fit: validation_data is of type tuple, should be"),
        (
            {"validation_data": (X, LABELS + 1)},
            ValueError,
            "fit: validation_data: t has label 4, but the output layer has 4 classes",
        ),
        (
            {"validation_data": (X[:, :2], LABELS)},
            ValueError,
            "fit: validation_data: x has 2 columns, but the first layer has 3 inputs",
        ),
        (
            {"validation_data": (X, LABELS, T)},
            ValueError,
            "fit: validation_data: sample_weight has ",
        ),
    ],
)
def test_bad_fit_options(options, error, message):
    net, optimizer = classifier(), cnn.Adam()
    before = parameters(net)
    with refused(error, message):
        net.fit(X, LABELS, optimizer=optimizer, **options)
    np.testing.assert_array_equal(parameters(net), before)
    assert (net.epochs, optimizer.steps, optimizer._trainer) == (0, 0, None)


# ---- Prediction and gradients -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (None, TypeError, "predict: x is None, should be an array of numbers"),
        ([["a"] * 3], TypeError, "predict: x has dtype <U1"),
        ([[None] * 3], TypeError, "predict: x has dtype object"),
        (np.zeros((2, 2)), ValueError, "predict: x has 2 columns, but the first layer has 3 input"),
        (np.zeros(2), ValueError, "predict: x has 2 columns, but the first layer has 3 inputs"),
        (np.zeros((1, 2, 3)), ValueError, "predict: x has 3 dimensions (1, 2, 3), should have 1"),
        (1.0, ValueError, "predict: x has 0 dimensions (), should have 1 or 2"),
    ],
)
def test_bad_predict(x, error, message):
    with refused(error, message):
        classifier().predict(x)


def test_bad_predict_out():
    net = classifier(dtype="float64")
    with refused(ValueError, "predict: out has shape (20, 3), should be (20, 4)"):
        net.predict(X, out=np.zeros((20, 3)))
    with refused(TypeError, "predict: out has dtype float32, should be float64"):
        net.predict(X, out=np.zeros((20, 4), "float32"))
    with refused(TypeError, "predict: out is of type list"):
        net.predict(X, out=[])
    memory = np.zeros(200)
    with refused(ValueError, "predict: out overlaps x"):
        net.predict(memory[:60].reshape(20, 3), out=memory[:80].reshape(20, 4))


def test_bad_dropout_step():
    with refused(ValueError, "gradients: dropout_step is -1, should be at least 0"):
        classifier().gradients(X, LABELS, dropout_step=-1)
    with refused(TypeError, "gradients: dropout_step is of type float"):
        classifier().gradients(X, LABELS, dropout_step=0.5)


@pytest.mark.parametrize("make", [list, np.array, lambda t: np.array(t, object)])
def test_targets_that_are_texts(make):
    net = cnn.mlp([2, 3, 2], "tanh", "softmax", rng=0)
    t = make(["no", "yes", "no", "yes"])
    for where, call in (
        ("fit", lambda: net.fit(np.eye(4, 2), t)),
        ("fit", lambda: net.fit(np.eye(4, 2), t, validation_split=0.5)),
        ("evaluate", lambda: net.evaluate(np.eye(4, 2), t)),
    ):
        with refused(TypeError, f"{where}: t has dtype ") as caught:
            call()
        assert ", texts such as 'no', should be numbers; convert it with" in str(caught.value)
