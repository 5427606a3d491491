"""
Why ReLU
========

The gradient of the first layer of a network is a product: of the derivatives of all activations
behind it, and of all weights behind it. If the derivatives are much smaller than 1, little of the
error reaches the first layers. They then hardly learn. This page measures it: for step, sigmoid,
tanh and ReLU, in networks with 2 to 20 hidden layers, and then what it does to learning.
"""

import itertools
import textwrap
import warnings

import matplotlib.pyplot as plt
import numpy as np

import cnn
import cnn.plot

NAMES = ("step", "sigmoid", "tanh", "relu")
DEPTHS = (2, 3, 5, 10, 15, 20)
COLOURS = {
    "step": "#0072B2",
    "sigmoid": "#D55E00",
    "tanh": "#009E73",
    "relu": "#CC79A7",
}

x, t, x_test, t_test = cnn.datasets.load_digits(split=True)

# %%
# One factor of the product
# -------------------------
# The largest derivative of each activation. That of step is 0 everywhere, and that of the sigmoid
# is never above a quarter. So 20 sigmoids, one after the other, let at most a quarter to the power
# of 20 through, if the weights do not make up for it.


def derivative(name, y):
    """Return the derivative of an activation if its output is y."""
    return cnn.activation_backward(name, np.ones_like(y), y)


z = np.linspace(-10, 10, 2001)
slopes = {name: derivative(name, getattr(cnn, name)(z)) for name in NAMES}
for name in NAMES:
    largest, far = slopes[name].max(), slopes[name][-1]
    print(f"{name:8}  largest derivative {largest:.2f},  at 10: {far:.1e}")

assert slopes["step"].max() == 0
assert slopes["sigmoid"].max() == 0.25
assert slopes["tanh"].max() == slopes["relu"].max() == 1
# Far from 0, tanh is flat too; ReLU is not, however large its input is.
assert slopes["tanh"][-1] < 1e-8
assert slopes["relu"][-1] == 1
print(f"0.25 to the power of 20 is {0.25**20:.0e}")

# %%
# The gradient, layer by layer
# ----------------------------
# Networks with 20 hidden layers of 50 neurons, with the initial weights that suit each activation
# (see :doc:`initial_weights`). The norm of the gradient of each layer's weights is drawn on a
# logarithmic scale.


def network(name, depth):
    """Return a network with this many hidden layers, which are all alike."""
    return cnn.mlp([64, *[50] * depth, 10], name, "softmax", rng=0)


ax = plt.subplots()[1]
for name in NAMES:
    cnn.plot.gradient_norms(network(name, 20), x, t, label=name, ax=ax)
ax.set_title("Gradient of each layer, 20 hidden layers, before training")
plt.show()

# %%
# With ReLU and tanh, the first layer gets as large a gradient as the last one. With the sigmoid,
# each layer gets a fraction of what the layer behind it gets. With step, nothing passes: the
# gradients of all layers but the last are exactly 0.
#
# How much arrives
# ----------------
# The same for all depths: the norm of the first layer's gradient, divided by that of the last
# layer.


def norms(net):
    """Return the norm of the gradient of each layer's weights."""
    _, gradients = net.gradients(x, t)
    return [float(np.linalg.norm(gradient.weight)) for gradient in gradients]


arrives = {}
for name in NAMES:
    for depth in DEPTHS:
        first, *_, last = norms(network(name, depth))
        arrives[name, depth] = first / last

print("hidden layers ", *(f"{depth:7}" for depth in DEPTHS))
for name in NAMES:
    print(f"{name:14}", *(f"{arrives[name, depth]:7.0e}" for depth in DEPTHS))

# Step: nothing arrives. Sigmoid: ever less. Tanh and ReLU: it does not vanish.
*others, last = norms(network("step", 20))
assert others == [0] * 20
assert last > 0
by_layer = norms(network("sigmoid", 20))
assert all(norm < behind for norm, behind in itertools.pairwise(by_layer))
assert all(arrives["step", depth] == 0 for depth in DEPTHS)
assert all(
    arrives["sigmoid", deeper] < arrives["sigmoid", depth]
    for depth, deeper in itertools.pairwise(DEPTHS)
)
assert arrives["sigmoid", 20] < 1e-12
for name in ("tanh", "relu"):
    assert all(0.5 < arrives[name, depth] < 2 for depth in DEPTHS)

# %%
# What it does to learning
# ------------------------
# Each network reads the digits 20 times. All are trained in the same way, by SGD with momentum, in
# batches of 50. `clip_norm` limits the length of each gradient.
#
# A network with step is warned about, as all layers but the last stay as they were:

net = network("step", 5)
before = net.get_weights()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    net.fit(x, t)
print(textwrap.fill(str(caught[0].message), 80))
assert "will not learn" in str(caught[0].message)
pairs = zip(before, net.get_weights(), strict=True)
changed = [bool((old != new).any()) for old, new in pairs]
assert changed == [False] * 10 + [True] * 2

# %%

accuracy = {}
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of step, as above
    for name in NAMES:
        for depth in DEPTHS:
            net = network(name, depth)
            optimizer = cnn.SGD(lr=0.03, momentum=0.9, clip_norm=1)
            net.fit(
                x,
                t,
                epochs=20,
                batch_size=50,
                optimizer=optimizer,
                progress=False,
            )
            accuracy[name, depth] = net.evaluate(x_test, t_test)["accuracy"]

print("hidden layers ", *(f"{depth:7}" for depth in DEPTHS))
for name in NAMES:
    print(f"{name:14}", *(f"{accuracy[name, depth]:7.1%}" for depth in DEPTHS))

# The sigmoid learns with 2 hidden layers. With 5 or more it guesses.
assert accuracy["sigmoid", 2] > 0.9
assert all(accuracy["sigmoid", depth] < 0.15 for depth in DEPTHS if depth >= 5)
for name in ("tanh", "relu"):
    assert all(accuracy[name, depth] > 0.9 for depth in DEPTHS)
# With step, the last layer learns something if only few layers are in front of it.
assert accuracy["step", 2] > 0.6
assert all(accuracy["step", depth] < 0.2 for depth in DEPTHS if depth >= 5)

# %%
# Cause and effect, side by side. If hardly any gradient reaches the first layers, a deep network
# learns nothing. With step only the last layer learns, from random features. After five or more
# layers these features say little about the digit.

figure, (left, right) = plt.subplots(1, 2)
for name in ("sigmoid", "tanh", "relu"):
    values = [arrives[name, depth] for depth in DEPTHS]
    left.semilogy(DEPTHS, values, "o-", color=COLOURS[name])
for name in NAMES:
    values = [accuracy[name, depth] for depth in DEPTHS]
    right.plot(DEPTHS, values, "o-", color=COLOURS[name], label=name)
left.set_title("Gradient, first layer / last layer")
left.text(2, 1e-12, "step: exactly 0", color=COLOURS["step"])
right.set_title("Accuracy on test digits, 20 epochs")
right.axhline(0.1, color="#555555", linestyle=":")
right.text(2, 0.04, "guessing", color="#555555", va="center")
right.set_ylim(0, 1.02)
right.legend(loc="center right", bbox_to_anchor=(1, 0.6))
for ax in (left, right):
    ax.set_xlabel("hidden layers")
    ax.set_xticks(DEPTHS)
    ax.grid(color="#dddddd")
plt.show()

# %%
# Why ReLU and not tanh?
# ----------------------
# In these networks tanh learns as well as ReLU, in the mean over the depths. Its initial weights
# keep the inputs of the neurons near 0, where its derivative is near 1. With larger weights, tanh
# saturates: its outputs are near -1 or 1, and its derivative is near 0. ReLU has no such limit:
# whether its derivative is 0 or 1 does not depend on the size of the weights at all.

of_tanh = np.mean([accuracy["tanh", depth] for depth in DEPTHS])
of_relu = np.mean([accuracy["relu", depth] for depth in DEPTHS])
print(f"mean accuracy: tanh {of_tanh:.1%}, relu {of_relu:.1%}")
assert abs(of_tanh - of_relu) < 0.01

for name in ("tanh", "relu"):
    shares = []
    for factor in (1, 8):
        net = network(name, 10)
        net.set_weights([factor * array for array in net.get_weights()])
        outputs = np.concatenate(net.activations(x)[:-1], axis=1)
        shares.append(float((derivative(name, outputs) > 0.5).mean()))
    share, then = shares
    print(f"{name}: derivative above 1/2 in {share:.0%}, then {then:.0%}")
    if name == "tanh":
        assert share > 0.95
        assert then < 0.2
    else:
        assert share == then

# %%
# ReLU is also cheap: it is a comparison, while tanh and the sigmoid need an exponential function.
# So it is the first choice for hidden layers. The sigmoid is used at the output, as a probability.
