r"""
Activation functions
====================

A layer computes `y = h(x · W + b)`. The activation function *h* bends what would
otherwise be straight: without it, any number of layers computes no more than one. This page shows
the functions that cnn has, their derivatives, and what they do to learning.
"""

# %%
# Without a function
# ------------------
# Two layers without an activation are one layer: its weights are the product of theirs.

import math
import textwrap
import warnings

import matplotlib.pyplot as plt
import numpy as np

import cnn
import cnn.plot

rng = np.random.default_rng(0)
rows, w1, w2 = rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
b1, b2 = rng.normal(size=3), rng.normal(size=2)
two_layers = cnn.dense(cnn.dense(rows, w1, b1), w2, b2)
one_layer = cnn.dense(rows, w1 @ w2, b1 @ w2 + b2)
print("largest difference:", np.abs(two_layers - one_layer).max())
np.testing.assert_allclose(two_layers, one_layer, atol=1e-14)

# %%
# Step, sigmoid and ReLU
# ----------------------
# The step answers 0 or 1. The sigmoid `1 / (1 + exp(-x))` is a smooth step, whose values lie
# between 0 and 1. ReLU, the rectified linear unit `max(0, x)`, lets positive numbers pass.

x = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
for h in (cnn.step, cnn.sigmoid, cnn.relu):
    print(f"{h.__name__:8}", h(x).round(4))

assert cnn.step(x).tolist() == [0, 0, 0, 1, 1]
assert cnn.relu(x).tolist() == [0, 0, 0, 1, 2]

# %%
# The lecture gives three digits: h(1.0) = 0.731 and h(2.0) = 0.880. The second is
# cut off after three digits; rounded it is 0.881.

assert round(cnn.sigmoid(1.0), 3) == 0.731
assert math.floor(cnn.sigmoid(2.0) * 1000) / 1000 == 0.880
assert round(cnn.sigmoid(2.0), 3) == 0.881

# %%
# Their derivatives
# -----------------
# Training multiplies derivatives, so their size decides how fast a network learns. The derivative
# of the step is 0: nothing passes. That of the sigmoid is `y (1 - y)`, at most a quarter,
# and almost 0 for inputs far from 0. That of ReLU is 1 for all positive inputs, and 0 for all
# others.

cnn.plot.activations(["step", "sigmoid", "relu"])
plt.show()

ones = np.ones_like(x)
slopes = {
    "step": cnn.activation_backward("step", ones, x=x),
    "sigmoid": cnn.activation_backward("sigmoid", ones, x=x),
    "relu": cnn.activation_backward("relu", ones, x=x),
}
for title, slope in slopes.items():
    print(f"{title:8}", slope.round(4))

y = cnn.sigmoid(x)
assert not slopes["step"].any()
np.testing.assert_allclose(slopes["sigmoid"], y * (1 - y), rtol=1e-15)
assert slopes["sigmoid"].max() == slopes["sigmoid"][2] == 0.25
assert slopes["relu"].tolist() == [0, 0, 0, 1, 1]

# %%
# In a chain of ten layers the derivatives of ten activations are multiplied. Ten sigmoids leave
# less than a millionth, ten ReLUs leave 1. :ref:`sphx_glr_gallery_why_relu.py` measures this in
# networks.

print("ten sigmoids:", 0.25**10, " ten ReLUs:", 1.0**10)
assert 0.25**10 < 1e-6

# %%
# The newer ones
# --------------
# Researchers looked for functions that learn like ReLU and are smooth, or that do not lose negative
# inputs. These four are straight lines above 0, and differ below.

cnn.plot.activations(["relu", "leaky_relu", "elu", "selu"])
plt.show()

for h in (cnn.relu, cnn.leaky_relu, cnn.elu, cnn.selu):
    print(f"{h.__name__:10}", h(x).round(4))
    assert math.isclose(h(2.0), 2 * h(1.0))

# %%
# These three are smooth. From left to right they fall below 0, and then rise for good.

cnn.plot.activations(["gelu", "silu", "mish"])
plt.show()

z = np.linspace(-6, 6, 2401)
for h in (cnn.gelu, cnn.silu, cnn.mish):
    lowest = int(h(z).argmin())
    print(f"{h.__name__:10} is lowest at {z[lowest]:.2f}, with {h(z[lowest]):.3f}")
    assert z[lowest] < 0
    assert h(z[lowest]) < 0
    assert (np.diff(h(z[: lowest + 1])) < 0).all()
    assert (np.diff(h(z[lowest:])) > 0).all()

# %%
# These have limits on both sides, as the sigmoid has.

cnn.plot.activations(["sigmoid", "hard_sigmoid", "tanh", "softsign"])
plt.show()

for h in (cnn.sigmoid, cnn.hard_sigmoid, cnn.tanh, cnn.softsign):
    print(f"{h.__name__:12} from {h(-1e9):.3g} to {h(1e9):.3g}")
    assert np.abs(h(np.array([-1e9, 1e9]))).max() <= 1

# %%
# Two of them have a number of their own: the slope below 0 of `leaky_relu` and the limit of `elu`.
# As an argument of a layer they are objects.

print(cnn.leaky_relu([-1.0, 2.0]), cnn.leaky_relu([-1.0, 2.0], slope=0.2))
layer = cnn.Dense(4, 3, cnn.activations.LeakyReLU(0.2))
print(layer)
assert cnn.leaky_relu([-1.0, 2.0], slope=0.2).tolist() == [-0.2, 2.0]

# %%
# Relatives
# ---------
# Many of these functions are made from others.

x = np.linspace(-6, 6, 2401)
np.testing.assert_allclose(cnn.tanh(x), 2 * cnn.sigmoid(2 * x) - 1, atol=1e-15)
np.testing.assert_allclose(cnn.silu(x), x * cnn.sigmoid(x), rtol=1e-14)
np.testing.assert_allclose(cnn.mish(x), x * cnn.tanh(cnn.softplus(x)), rtol=1e-14)
assert np.array_equal(cnn.relu6(x), np.minimum(cnn.relu(x), 6))
assert np.array_equal(cnn.leaky_relu(x), np.where(x > 0, x, 0.01 * x))

# The derivative of softplus is the sigmoid.
slope = cnn.activation_backward("softplus", np.ones_like(x), x=x)
np.testing.assert_allclose(slope, cnn.sigmoid(x), rtol=1e-13)

# %%
# All of them, with their derivatives checked
# -------------------------------------------
# A derivative is the limit of a difference, so a difference over a small distance tests it:
# `h'(x) ≈ (h(x + d) - h(x - d)) / 2d`. Points next to a corner or a jump, where there
# is no derivative, are left out.

names: list[cnn.activations.Activation] = [
    *("identity", "step", "sigmoid", "hard_sigmoid", "tanh", "softsign"),
    *("relu", "relu6", "leaky_relu", "elu", "selu", "softplus"),
    *("gelu", "gelu_tanh", "silu", "mish", "hard_swish", "exponential"),
]
d = 1e-5
largest = {}
smooth = np.min(np.abs(x[:, None] - [0, -3, 3, 6]), axis=1) > 2 * d
for name in names:
    h = getattr(cnn, str(name))
    numerical = (h(x + d) - h(x - d)) / (2 * d)
    exact = cnn.activation_backward(name, np.ones_like(x), x=x)
    error = np.abs(numerical - exact)[smooth].max()
    largest[str(name)] = float(exact.max())
    print(f"{name:12}  h(1) = {h(1.0):.3f}, h' up to {exact.max():.3g}, error {error:.0e}")
    assert error < 1e-7
assert (largest["step"], largest["sigmoid"], largest["relu"]) == (0.0, 0.25, 1.0)

# %%
# What they do to learning
# ------------------------
# The same network learns to read digits, 64-50-50-10, once with each function in its two hidden
# layers: same seed, same data, 20 epochs. `fit` warns about the step, through which nothing passes.
# Only the last layer learns then, from the random features that the steps in front of it compute.

digits, t, digits_test, t_test = cnn.datasets.load_digits(split=True)
scores = {}
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    for name in names:
        net = cnn.mlp([64, 50, 50, 10], name, "softmax", rng=0)
        net.fit(digits, t, epochs=20, batch_size=50, optimizer=cnn.Adam(lr=3e-3))
        scores[str(name)] = net.evaluate(digits_test, t_test)["accuracy"]
print(textwrap.fill(str(told[0].message), 80))
assert len(told) == 1

# %%
# The step is far behind. Next come the two sigmoids, whose derivatives are the smallest of all but
# that of the step: what they pass back is small, so the layers before them learn slowly. Even
# *identity*, no activation at all, does well, because planes can almost separate these classes.
# :ref:`sphx_glr_gallery_gates_and_xor.py` has what it cannot do.

ranked = sorted(scores, key=lambda key: scores[key])
assert ranked[:3] == ["step", "hard_sigmoid", "sigmoid"]
assert sorted(largest, key=lambda key: largest[key])[:3] == ranked[:3]
assert scores["step"] < 0.7
assert scores["hard_sigmoid"] > 0.9
assert scores["identity"] > 0.95
assert "relu" in ranked[-3:]

figure, ax = plt.subplots(figsize=(8, 5), layout="constrained")
colours = ["#D55E00"] * 3 + ["#0072B2"] * (len(ranked) - 3)
bars = ax.barh(ranked, [100 * scores[key] for key in ranked], color=colours)
ax.bar_label(bars, fmt="%.1f", padding=3)
ax.set_xlim(50, 105)
ax.set_xticks(range(50, 101, 10))
ax.set_title("test accuracy in %, by the activation of the hidden layers")
ax.set_xlabel("the axis begins at 50 %")
plt.show()

# %%
# Which one?
# ----------
# For hidden layers begin with `relu`: here it is among the best three. :class:`cnn.Dense` chooses
# initial weights that suit the activation. That of the output layer is not a matter of taste. It
# follows from the targets: `identity` for numbers, `sigmoid` for yes or no, `softmax` for one of
# several classes. :ref:`sphx_glr_gallery_scores_to_probabilities.py` shows why.
