"""What the lecture that cnn grew out of shows, with the lecture's own numbers."""

import math

import numpy as np
import pytest

import cnn


def test_perceptron_with_step():
    # Logical AND and OR, as perceptrons y = h(x . W + b).
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    np.testing.assert_array_equal(cnn.dense(x, [[1], [1]], [-1.5], "step").ravel(), [0, 0, 0, 1])
    np.testing.assert_array_equal(cnn.dense(x, [[1], [1]], [-0.5], "step").ravel(), [0, 1, 1, 1])
    np.testing.assert_array_equal(cnn.step([-1.0, 0.0, 1e-300, 2.0]), [0, 0, 1, 1])


def test_exclusive_or_needs_two_layers():
    net = cnn.Sequential([cnn.Dense(2, 2, "step"), cnn.Dense(2, 1, "step")])
    net.layers[0].weight = [[1, -1], [1, -1]]
    net.layers[0].bias = [-0.5, 1.5]  # OR, NAND
    net.layers[1].weight = [[1], [1]]
    net.layers[1].bias = [-1.5]  # AND
    x = [[0, 0], [0, 1], [1, 0], [1, 1]]
    np.testing.assert_array_equal(net.predict(x).ravel(), [0, 1, 1, 0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid(dtype):
    y = cnn.sigmoid(np.array([-1.0, 0.0, 1.0, 2.0], dtype))
    assert math.isclose(y[2], 0.731, abs_tol=5e-4)
    assert math.isclose(y[3], 0.880, abs_tol=1e-3)  # 0.8808, cut off in the lecture
    assert y[1] == 0.5
    assert math.isclose(y[0], 1 - y[2], rel_tol=1e-6)
    slope = cnn.activation_backward("sigmoid", np.ones(4, dtype), y)
    np.testing.assert_allclose(slope, y * (1 - y), rtol=1e-6)
    assert slope[1] == 0.25


def test_relu_and_its_derivative():
    x = np.array([-2.0, 0.0, 3.0])
    np.testing.assert_array_equal(cnn.relu(x), [0, 0, 3])
    np.testing.assert_array_equal(cnn.activation_backward("relu", np.ones(3), x=x), [0, 0, 1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_of_large_numbers(dtype):
    y = cnn.softmax(np.array([1010, 1000, 990], dtype))
    assert np.isfinite(y).all()
    exact = np.exp([0.0, -10.0, -20.0])
    np.testing.assert_allclose(y, exact / exact.sum(), rtol=1e-6)
    np.testing.assert_array_equal(y, cnn.softmax(np.array([20, 10, 0], dtype)))


@pytest.mark.parametrize("columns", [1, 2, 10, 16, 17, 100, 1000])
def test_softmax_rows(columns):
    x = np.random.default_rng(0).normal(size=(50, columns)).astype("float32") * 5
    y = cnn.softmax(x)
    assert (y >= 0).all()
    assert (y <= 1).all()
    # The bound on the sum is derived in tests/reference.py.
    bound = (math.ceil(columns / 16) + 4) * 2.0**-24
    assert abs(y.astype("float64").sum(axis=1) - 1).max() <= bound
    # The order is kept.
    in_order = np.take_along_axis(y, x.argsort(axis=1), axis=1)
    assert (np.diff(in_order, axis=1) >= 0).all()


def test_every_output_of_softmax_depends_on_every_input():
    x = np.array([0.3, 2.9, 4.0])
    y = cnn.softmax(x)
    np.testing.assert_allclose(y, [0.01821127, 0.24519181, 0.73659691], rtol=1e-6)
    for j in range(3):
        changed = x.copy()
        changed[j] += 0.1
        assert (cnn.softmax(changed) != y).all()


def test_batch_inference_of_the_reference_network():
    # X (n, 784) . W1 (784, 50) . W2 (50, 100) . W3 (100, 10) = Y (n, 10)
    net = cnn.mlp([784, 50, 100, 10], "sigmoid", "softmax", rng=0)
    assert [layer.weight.shape for layer in net] == [(784, 50), (50, 100), (100, 10)]
    x = np.random.default_rng(0).uniform(size=(100, 784)).astype("float32")
    y = net.predict(x)
    assert y.shape == (100, 10)
    np.testing.assert_allclose(y.sum(axis=1), 1, atol=5 * 2.0**-24)
    by_layer = x
    for layer in net:
        by_layer = cnn.dense(by_layer, layer.weight, layer.bias, layer.activation)
    np.testing.assert_array_equal(by_layer, y)


def test_likelihood():
    # Ten throws, three hits: C(10, 3) 0.3^3 0.7^7 is the largest likelihood.
    def likelihood(p):
        return math.comb(10, 3) * p**3 * (1 - p) ** 7

    assert math.isclose(likelihood(0.3), 0.267, abs_tol=5e-4)
    assert all(likelihood(0.3) >= likelihood(k / 100) for k in range(101))
    # The same maximum, as the minimum of the negative log-likelihood, found by training.
    net = cnn.Sequential([cnn.Dense(1, 1, "sigmoid", init="zeros")], dtype="float64")
    hits = [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    x = np.zeros((10, 1))  # nothing to go by: the bias alone learns
    net.fit(x, hits, epochs=500, batch_size=10, optimizer=cnn.SGD(lr=1.0))
    assert math.isclose(net.predict([0.0])[0], 0.3, rel_tol=1e-6)
    expected = -math.log(likelihood(0.3) / math.comb(10, 3)) / 10
    assert math.isclose(net.evaluate(x, hits)["loss"], expected, rel_tol=1e-9)


def test_squared_error_and_its_gradient():
    y, t = np.array([[0.8, 0.1, 0.6]]), np.array([[1.0, 0.0, 0.0]])
    loss, gradient = cnn.squared_error(y, t)
    assert math.isclose(loss, 0.5 * (0.04 + 0.01 + 0.36), rel_tol=1e-15)
    np.testing.assert_array_equal(gradient, y - t)


def test_cross_entropy_is_the_negative_log_of_the_likelihood():
    logits = np.array([[1.0, 2.0, 0.5], [0.0, 0.0, 3.0]])
    labels = [1, 2]
    p = cnn.softmax(logits)
    loss, gradient = cnn.cross_entropy(logits, labels)
    assert math.isclose(loss, -math.log(p[0, 1] * p[1, 2]) / 2, rel_tol=1e-14)
    np.testing.assert_allclose(gradient, (p - np.eye(3)[labels]) / 2, rtol=1e-14)


def test_backpropagation_by_hand():
    # One hidden layer of sigmoids, the error E = (y - t)^2 / 2: the chain rule, factor by factor.
    net = cnn.Sequential([cnn.Dense(2, 2, "sigmoid"), cnn.Dense(2, 1)], rng=0, dtype="float64")
    x, t = np.array([[0.5, -1.5]]), np.array([[0.25]])
    hidden, output = net.layers
    a = 1 / (1 + np.exp(-(x @ hidden.weight + hidden.bias)))
    y = a @ output.weight + output.bias
    loss, (first, second) = net.gradients(x, t)
    assert math.isclose(loss, 0.5 * ((y - t) ** 2).item(), rel_tol=1e-14)
    np.testing.assert_allclose(second.weight, a.T @ (y - t), rtol=1e-13)
    np.testing.assert_allclose(second.bias, (y - t)[0], rtol=1e-13)
    delta = (y - t) @ output.weight.T * a * (1 - a)
    np.testing.assert_allclose(first.weight, x.T @ delta, rtol=1e-13)
    np.testing.assert_allclose(first.bias, delta[0], rtol=1e-13)


def test_step_has_no_gradient_and_fit_warns():
    net = cnn.mlp([2, 4, 1], "step", "identity", rng=0)
    x, t = np.random.default_rng(0).normal(size=(10, 2)), np.ones(10)
    _, gradients = net.gradients(x, t)
    assert not gradients[0].weight.any()
    assert not gradients[0].bias.any()
    assert gradients[1].weight.any()
    with pytest.warns(UserWarning, match="the derivative of step, the activation of layer 0, is 0"):
        net.fit(x, t)


def test_gradients_vanish_with_sigmoid_and_not_with_relu():
    def ratio(activation):
        net = cnn.mlp([10] + [30] * 8 + [2], activation, "softmax", rng=0)
        x = np.random.default_rng(0).normal(size=(100, 10))
        _, gradients = net.gradients(x, np.arange(100) % 2)
        norms = [float(np.linalg.norm(gradient.weight)) for gradient in gradients]
        return norms[0] / norms[-1]

    assert ratio("sigmoid") < 1e-4
    assert ratio("relu") > 0.05


def test_outputs_are_as_many_as_classes():
    net = cnn.mlp([2, 3], "relu", "softmax")
    message = r"fit: t has label 3, but the output layer has 3 classes \(labels 0 to 2\)"
    with pytest.raises(ValueError, match=message):
        net.fit(np.zeros((4, 2)), [0, 1, 2, 3])
