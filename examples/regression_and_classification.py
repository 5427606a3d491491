r"""
Regression and classification
=============================

A network answers one of two kinds of questions. *How much?* is **regression**: the answer is a
number. *Which one?* is **classification**: the answer is a class. Only the output layer differs:

==================  ====================================  =====================================
..                  regression                            classification
==================  ====================================  =====================================
output neurons      one for each number                   one for each class
output activation   identity, :math:`y = a`               softmax, outputs are probabilities
loss                :math:`E = \frac12 \sum (y - t)^2`    :math:`E = -\sum t \log y`
target              the number                            the number of the class
==================  ====================================  =====================================

This page trains one network of each kind on real data and compares them.
"""

# %%
# A table with numbers
# --------------------
# How far does a car roll until it stops? These are measurements of the 1920s: the speed in miles
# per hour, and the distance in feet (M. Ezekiel, *Methods of Correlation Analysis*, 1930).

import matplotlib.pyplot as plt
import numpy as np

import cnn
import cnn.plot

distances = {
    **{4: [2, 10], 7: [4, 22], 8: [16], 9: [10], 10: [18, 26, 34], 11: [17, 28]},
    **{12: [14, 20, 24, 28], 13: [26, 34, 34, 46], 14: [26, 36, 60, 80], 15: [20, 26, 54]},
    **{16: [32, 40], 17: [32, 40, 50], 18: [42, 56, 76, 84], 19: [36, 46, 68]},
    **{20: [32, 48, 52, 56, 64], 22: [66], 23: [54], 24: [70, 92, 93, 120], 25: [85]},
}
table = np.array([(mph, feet) for mph, row in distances.items() for feet in row], np.float64)
speed, distance = table[:, :1], table[:, 1:]
print("inputs", speed.shape, "targets", distance.shape)
assert table.shape == (50, 2)

# %%
# Without a hidden layer
# ----------------------
# One neuron with the identity computes :math:`y = x w + b`, a line. Training makes the squared
# error as small as it can be, so the network becomes the line of least squares. `np.polyfit` finds
# the same line by a formula. :class:`cnn.Standardize` is no part of the training: it only brings
# the speeds to mean 0 and deviation 1, so that the optimizer needs fewer steps.

line = cnn.Sequential([cnn.Standardize().adapt(speed), cnn.Dense(1, 1)], rng=0, dtype="float64")
line.fit(speed, distance, epochs=1000, batch_size=50, optimizer=cnn.SGD(lr=0.1))

slope, start = np.polyfit(speed.ravel(), distance.ravel(), 1)
print(f"least squares: {slope:.4f} x {start:+.4f}")
assert np.abs(line.predict(speed) - (slope * speed + start)).max() < 1e-9

# %%
# With a hidden layer
# -------------------
# A hidden layer lets the line bend. The loss of the output layer with the identity is
# `squared_error` without being told. It has the factor ½ of the formula above, so `loss` is half of
# the mean squared error `mse`.

curve = cnn.Sequential(
    [cnn.Standardize().adapt(speed), cnn.Dense(1, 8, "tanh"), cnn.Dense(8, 1, "identity")],
    rng=0,
    dtype="float64",
)
curve.fit(speed, distance, epochs=2000, batch_size=50, optimizer=cnn.Adam(lr=0.02))

for name, net in (("line", line), ("curve", curve)):
    scores = net.evaluate(speed, distance)
    print(f"{name:5}", {key: round(value, 3) for key, value in scores.items()})
    assert np.isclose(scores["loss"], scores["mse"] / 2)
assert curve.evaluate(speed, distance)["mse"] < 0.9 * line.evaluate(speed, distance)["mse"]

# %%
# The line says that a car of 3 miles per hour rolls backwards; the curve does not. The distance
# grows faster than the speed, and the curve follows: from 15 to 25 miles per hour it rises more
# than from 5 to 15.

slow = [[3.0]]
print(f"at 3 mph: {line.predict(slow).item():.1f} and {curve.predict(slow).item():.1f} feet")
assert line.predict(slow).item() < 0 < curve.predict(slow).item()
at = curve.predict([[5.0], [15.0], [25.0]]).ravel()
print("at 5, 15 and 25 mph:", at.round(1))
assert at[2] - at[1] > at[1] - at[0]

figure, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
grid = np.linspace(3, 26, 200)[:, None]
ax.plot(speed, distance, "o", color="#767676", alpha=0.7, label="measured")
ax.plot(grid, line.predict(grid), "--", color="#E69F00", lw=2, label="no hidden layer")
ax.plot(grid, curve.predict(grid), color="#0072B2", lw=2, label="a hidden layer of 8")
ax.axhline(0, color="#767676", lw=0.8)
ax.set_title("regression: the output is a number")
ax.set_xlabel("speed in miles per hour")
ax.set_ylabel("distance in feet")
ax.legend()
plt.show()

# %%
# Pictures with classes
# ---------------------
# The digits have ten classes, so the output layer has ten neurons with softmax. Its loss is
# `cross_entropy`, again without being told. The hidden layer, the optimizer and the call of
# :meth:`~cnn.Sequential.fit` are as they were.

x, t, x_test, t_test = cnn.datasets.load_digits(split=True)
digits = cnn.Sequential([cnn.Dense(64, 50, "tanh"), cnn.Dense(50, 10, "softmax")], rng=0)
digits.fit(x, t, epochs=30, batch_size=50, optimizer=cnn.Adam(lr=3e-3))

p = digits.predict(x_test)
scores = digits.evaluate(x_test, t_test)
print({key: round(value, 3) for key, value in scores.items()}, "probabilities", p.shape)
assert scores["accuracy"] > 0.96
assert p.shape == (355, 10)
assert np.allclose(p.sum(axis=1), 1)
assert np.mean(p.argmax(axis=1) == t_test) == scores["accuracy"]

# %%
# The answer is a probability for each class. The class with the highest one is what the network
# takes the picture for. Here are the pictures of which it was least certain.

certain = p.max(axis=1)
least = certain.argsort()[:4]
axes = cnn.plot.predictions(digits, x_test[least], t_test[least], (8, 8))
axes[0, 0].figure.suptitle("classification: the outputs are probabilities")
plt.show()
print("the highest probability of each:", certain[least].round(2))
assert certain[least].max() < 0.6 < np.median(certain)

# %%
# What stays: y - t
# -----------------
# The two losses look different. But each belongs to its activation: the derivative of the loss with
# respect to :math:`a`, what goes into the activation, is :math:`y - t` for both. For softmax,
# :math:`t` is 1 at the right class and 0 elsewhere. This difference is all that backpropagation
# takes from the output layer, so everything before it works in the same way.
#
# The gradient of the output layer's biases shows it: it is the mean of :math:`y - t` over the rows.

one_hot = np.eye(10)[t]
for net, inputs, targets, rows in (
    (curve, speed, distance, distance),
    (digits, x, t, one_hot),
):
    _, gradients = net.gradients(inputs, targets)
    difference = net.predict(inputs) - rows
    mean = difference.mean(axis=0)
    print(f"{net.activation:8}  gradient {gradients[-1].bias[0]:.6f}  mean of y - t {mean[0]:.6f}")
    assert np.allclose(gradients[-1].bias, mean, rtol=0, atol=1e-7)

# %%
# Classes are not numbers
# -----------------------
# The digits *are* numbers. Why not ask how much? A regression is told that a 4 is between a 3 and a
# 5. But the picture of a 4 is not between the pictures of a 3 and a 5, and if the network hesitates
# between 1 and 7, it answers about 4. So more pictures are taken for another digit.

number = cnn.Sequential([cnn.Dense(64, 50, "tanh"), cnn.Dense(50, 1, "identity")], rng=0)
number.fit(x, t, epochs=30, batch_size=50, optimizer=cnn.Adam(lr=3e-3))

y = number.predict(x_test).ravel()
right = {
    "softmax, most probable class": float(np.mean(p.argmax(axis=1) == t_test)),
    "identity, nearest digit": float(np.mean(y.round() == t_test)),
}
for name, share in right.items():
    print(f"{name}: {share:.1%} right")
assert right["identity, nearest digit"] < right["softmax, most probable class"] - 0.05

figure, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
ax.plot([-0.5, 9.5], [-0.5, 9.5], color="#767676", lw=1)
ax.plot(t_test + np.linspace(-0.2, 0.2, len(t_test)), y, "o", color="#0072B2", alpha=0.5, ms=4)
ax.set_xticks(range(10))
ax.set_yticks(range(0, 10, 3))
ax.set_title(f"regression on the digits: {right['identity, nearest digit']:.0%} are right")
ax.set_xlabel("digit")
ax.set_ylabel("answer")
plt.show()

# %%
# One neuron for each class
# -------------------------
# The number of output neurons is the number of classes. A label that has no neuron is an error that
# says so; the network stays as it was.

message = ""
try:
    digits.fit([x[0]], [10])
except ValueError as error:
    message = str(error)
print(message)
assert "t has label 10, but the output layer has 10 classes (labels 0 to 9)" in message
