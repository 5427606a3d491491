"""
Initial weights
===============

Training begins with random weights. Their size decides what the layers compute before training,
and whether they can learn at all. This page draws the outputs of each layer as
histograms, for several initialisers, and then trains the networks.

All networks have five hidden layers of 100 neurons. Their inputs are the digits.
"""

import itertools

import matplotlib.pyplot as plt
import numpy as np

import cnn
import cnn.plot

x, t, x_test, t_test = cnn.datasets.load_digits(split=True)


def spread(deviation):
    """Return an initialiser of uniform weights with a standard deviation."""
    return cnn.uniform(np.sqrt(3) * deviation)


def hidden_layers(activation, init):
    """Return five hidden layers."""
    sizes = [64, 100, 100, 100, 100, 100]
    pairs = itertools.pairwise(sizes)
    return [cnn.Dense(n, m, activation, init=init) for n, m in pairs]


def network(activation, init):
    """Return a network of five hidden layers and ten classes."""
    last = cnn.Dense(100, 10, "softmax", init=init)
    return cnn.Sequential([*hidden_layers(activation, init), last], rng=0)


def outputs_of(activation, init):
    """Return the outputs of five hidden layers on the digits, in float64."""
    net = cnn.Sequential(hidden_layers(activation, init), rng=0)
    return [outputs.astype(np.float64) for outputs in net.activations(x)]


def draw(activation, initialisers, limits):
    """Draw the outputs of each hidden layer, a row for each initialiser."""
    rows = len(initialisers)
    size = (10, 2.2 * rows)
    ticks = np.linspace(limits[0], limits[1], 5)[1:-1]
    axes = plt.subplots(rows, 5, figsize=size, sharex=True, sharey="row")[1]
    for row, (name, init) in zip(axes, initialisers.items(), strict=True):
        net = cnn.Sequential(hidden_layers(activation, init), rng=0)
        cnn.plot.activation_histograms(net, x, limits=limits, ax=row)
        row[0].set_ylabel(f"{name}\n\nshare of outputs")
        for ax in row:
            ax.set_xticks(ticks)
            ax.label_outer()
    plt.show()


# %%
# All the same
# ------------
# Why random at all? If all weights are the same number, all neurons of a layer have the same output
# and get the same gradient. So they stay the same for ever, and a layer of 100 neurons is worth
# one. Here the number is 0.1.

net = network("tanh", "zeros")
net.set_weights([np.full(array.shape, 0.1) for array in net.get_weights()])
net.fit(x, t, epochs=5, batch_size=50, optimizer=cnn.SGD(lr=0.1))
weights = [layer.weight for layer in net.layers[:-1]]
different = [np.unique(weight, axis=1).shape[1] for weight in weights]
print(f"different neurons in each hidden layer: {different}")
assert different == [1] * 5

# %%
# tanh: too small, too large, right
# ---------------------------------
# With small weights, each layer makes its inputs smaller. After a few layers all outputs are nearly
# 0, whatever the input was: what the image showed is lost. With large weights, the outputs are at
# -1 and 1, where tanh is flat and its derivative nearly 0.
#
# Glorot and Bengio (2010) choose the size so that the outputs of a layer vary as much as its
# inputs: the variance is `2 / (inputs + outputs)`. It is the default for tanh:
# `init="glorot_uniform"`.

of_tanh = {
    "deviation 0.01": spread(0.01),
    "deviation 1": spread(1),
    "glorot": "glorot_uniform",
}
draw("tanh", of_tanh, (-1, 1))

# %%
# In numbers: the standard deviation of each layer's outputs, and the share that is saturated.

for name, init in of_tanh.items():
    outputs = outputs_of("tanh", init)
    flat = np.mean([np.abs(y) > 0.99 for y in outputs])
    deviations = "".join(f"{y.std():9.1e}" for y in outputs)
    print(f"{name:14}{deviations}   saturated: {flat:.0%}")

# A sum of 100 inputs with weights of deviation 0.01 has 0.01 sqrt(100) = 0.1 of their
# deviation.
small = [y.std() for y in outputs_of("tanh", spread(0.01))]
np.testing.assert_allclose(np.divide(small[1:], small[:-1]), 0.1, rtol=0.1)
assert np.mean([np.abs(y) > 0.99 for y in outputs_of("tanh", spread(1))]) > 0.5
assert min(y.std() for y in outputs_of("tanh", "glorot_uniform")) > 0.2

# %%
# ReLU: He
# --------
# ReLU sets about half of its outputs to 0. This halves the mean square, in each layer again. He et
# al. (2015) therefore make the variance of the weights twice as large, `2 / inputs`. It is the
# default for ReLU: `init="he_uniform"`. The titles also count the neurons that are 0 for every
# digit.

draw("relu", {"glorot": "glorot_uniform", "he": "he_uniform"}, (0, 2))

# %%
# The mean square of each layer's outputs, and what it is multiplied by from layer to layer.

for name in ("glorot_uniform", "he_uniform"):
    squares = [np.mean(y**2) for y in outputs_of("relu", name)]
    factor = (squares[-1] / squares[0]) ** (1 / 4)
    print(f"{name:15}", *(f"{s:.4f}" for s in squares), f"  x {factor:.2f}")
    # From layer to layer, on average; the weights of one network are a sample.
    expected = 0.5 if name == "glorot_uniform" else 1
    np.testing.assert_allclose(factor, expected, rtol=0.15)

# %%
# Sigmoid: four times as large
# ----------------------------
# Glorot's rule is for functions whose slope at 0 is 1. That of the sigmoid is a quarter. With
# Glorot's weights its outputs soon hardly depend on the image; with weights four times as large
# they do.

glorot_4 = spread(4 * np.sqrt(2 / 200))
draw("sigmoid", {"glorot": "glorot_uniform", "4 x glorot": glorot_4}, (0, 1))

# %%
# How much a neuron's output differs *from image to image*: its standard deviation, in the mean over
# the neurons of each layer.

differs = {}
for name, init in (("glorot", "glorot_uniform"), ("4 x glorot", glorot_4)):
    differs[name] = [y.std(axis=0).mean() for y in outputs_of("sigmoid", init)]
    print(f"{name:11}" + "".join(f"{value:9.1e}" for value in differs[name]))
assert differs["4 x glorot"][0] < 3 * differs["glorot"][0]
assert differs["4 x glorot"][-1] > 100 * differs["glorot"][-1]

# %%
# What it does to learning
# ------------------------
# Each network reads the digits 20 times, trained by plain SGD with the same learning rate.

CHOICES = {
    "zeros": "zeros",
    "deviation 0.01": spread(0.01),
    "glorot": "glorot_uniform",
    "he": "he_uniform",
    "4 x glorot": glorot_4,
    "deviation 1": spread(1),
}
ACTIVATIONS = ("sigmoid", "tanh", "relu")
accuracy = {}
histories = {}
for activation in ACTIVATIONS:
    for name, init in CHOICES.items():
        net = network(activation, init)
        try:
            histories[activation, name] = net.fit(
                x,
                t,
                epochs=20,
                batch_size=50,
                optimizer=cnn.SGD(lr=0.1),
                progress=False,
            )
            accuracy[activation, name] = net.evaluate(x_test, t_test)["accuracy"]
        except FloatingPointError:  # the loss became infinite
            accuracy[activation, name] = np.nan

print(f"{'':15}" + "".join(f"{activation:>9}" for activation in ACTIVATIONS))
for name in CHOICES:
    values = [accuracy[activation, name] for activation in ACTIVATIONS]
    shown = ["diverges" if np.isnan(value) else f"{value:.1%}" for value in values]
    print(f"{name:15}" + "".join(f"{text:>9}" for text in shown))

# %%
# Too small is as bad as zeros: the networks guess. Too large is bad for tanh, and with ReLU the
# loss becomes infinite. Each activation learns with the weights that were made for it.

for activation in ACTIVATIONS:
    assert accuracy[activation, "zeros"] < 0.15
    assert accuracy[activation, "deviation 0.01"] < 0.15
assert accuracy["tanh", "glorot"] > 0.95
assert accuracy["tanh", "deviation 1"] < 0.7
assert accuracy["relu", "he"] > 0.95
assert np.isnan(accuracy["relu", "deviation 1"])
assert accuracy["sigmoid", "glorot"] < 0.2
assert accuracy["sigmoid", "4 x glorot"] > 0.9

# %%
# The sigmoid is the exception to "too large is bad": with a deviation of 1 it learns as well as
# with 0.4. And ReLU learns with Glorot's weights too, as five layers are few; He's weights begin to
# learn sooner.

assert accuracy["sigmoid", "deviation 1"] > 0.9
assert accuracy["relu", "glorot"] > 0.95
assert histories["relu", "he"].loss[0] < histories["relu", "glorot"].loss[0]

runs = {
    f"{activation}, {name}": histories[activation, name]
    for activation, name in (
        ("relu", "he"),
        ("relu", "glorot"),
        ("tanh", "glorot"),
        ("tanh", "deviation 1"),
        ("sigmoid", "4 x glorot"),
        ("sigmoid", "glorot"),
    )
}
ax = cnn.plot.learning_curves(runs, log=True)
ax.set_title("Loss on the training digits")
plt.show()
