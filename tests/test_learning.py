"""Real data are learnt to a stated accuracy from a fixed seed, so with the same bits anywhere."""

import pytest

import cnn


class Enough(cnn.Callback):
    """End training when the held-out samples are classified well enough."""

    def __init__(self, accuracy):
        self.accuracy = accuracy

    def on_epoch_end(self, epoch, logs):
        self.model.stop_training = logs["val_accuracy"] >= self.accuracy


def epochs_to_reach(net, data, accuracy, *, epochs, **options):
    """Return after how many epochs the held-out accuracy was reached, and the accuracy."""
    x, t, x_test, t_test = data
    options = {"validation_data": (x_test, t_test), "progress": False, **options}
    history = net.fit(x, t, epochs=epochs, callbacks=[Enough(accuracy)], **options)
    assert net.evaluate(x_test, t_test)["accuracy"] == history["val_accuracy"][-1]
    return len(history["loss"]), history["val_accuracy"][-1]


@pytest.fixture(scope="module")
def digits():
    return cnn.datasets.load_digits(split=True)


@pytest.fixture(scope="module")
def mnist(mnist_folder):
    return cnn.datasets.load_mnist(mnist_folder)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("hidden", ["sigmoid", "tanh", "relu", "gelu"])
def test_digits(hidden, seed, digits):
    """64-50-100-10: at least 96 % of the held-out digits, from any of these seeds."""
    net = cnn.mlp([64, 50, 100, 10], hidden, "softmax", rng=seed)
    options = {"batch_size": 50, "optimizer": cnn.Adam(3e-3)}
    _, accuracy = epochs_to_reach(net, digits, 0.96, epochs=60, **options)
    assert accuracy >= 0.96


OPTIMIZERS = {
    "sgd": lambda: cnn.SGD(0.3),
    "momentum": lambda: cnn.SGD(0.05, momentum=0.9),
    "nesterov": lambda: cnn.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": lambda: cnn.Adam(3e-3),
    "adamw": lambda: cnn.AdamW(3e-3),
    "rmsprop": lambda: cnn.RMSprop(1e-3),
    "adagrad": lambda: cnn.Adagrad(0.03),
}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_every_optimizer_learns_digits(kind, digits):
    net = cnn.mlp([64, 50, 10], "relu", "softmax", rng=0, l2=1e-4, dropout=0.1)
    options = {"batch_size": 50, "optimizer": OPTIMIZERS[kind]()}
    _, accuracy = epochs_to_reach(net, digits, 0.95, epochs=60, **options)
    assert accuracy >= 0.95


def test_regression():
    """A line through noiseless points is found to the type's own precision."""
    x = [[i / 10, (i * i) % 7 / 7] for i in range(40)]
    t = [3 * a - 2 * b + 0.5 for a, b in x]
    net = cnn.Sequential([cnn.Dense(2, 1)], rng=0, dtype="float64")
    net.fit(x, t, epochs=3000, batch_size=40, optimizer=cnn.SGD(0.2, momentum=0.9))
    # At the minimum the residuals are rounding errors of outputs of up to 12: squares of some
    # 10 u, with u = 2^-53.
    assert net.evaluate(x, t)["loss"] <= (100 * 2.0**-53) ** 2
    assert net.layers[0].weight.ravel() == pytest.approx([3, -2], rel=1e-13)


@pytest.mark.slow
def test_mnist_sigmoid(mnist):
    """784-50-100-10, sigmoid, batches of 100, Adam: 97 % of the test images in 20 epochs."""
    net = cnn.mlp([784, 50, 100, 10], "sigmoid", "softmax", rng=0)
    options = {"batch_size": 100, "optimizer": cnn.Adam(3e-3)}
    _, accuracy = epochs_to_reach(net, mnist, 0.97, epochs=20, **options)
    assert accuracy >= 0.97


def test_mnist_relu(mnist):
    """784-256-128-10, ReLU: 98 % of the test images in 10 epochs."""
    net = cnn.mlp([784, 256, 128, 10], "relu", "softmax", rng=0)
    options = {"batch_size": 100, "optimizer": cnn.Adam(cnn.CosineDecay(2e-3, 600 * 7, 1e-4))}
    _, accuracy = epochs_to_reach(net, mnist, 0.98, epochs=10, **options)
    assert accuracy >= 0.98
