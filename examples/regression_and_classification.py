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

CSV = """
4,2    4,10   7,4    7,22   8,16   9,10   10,18  10,26  10,34  11,17
11,28  12,14  12,20  12,24  12,28  13,26  13,34  13,34  13,46  14,26
14,36  14,60  14,80  15,20  15,26  15,54  16,32  16,40  17,32  17,40
17,50  18,42  18,56  18,76  18,84  19,36  19,46  19,68  20,32  20,48
20,52  20,56  20,64  22,66  23,54  24,70  24,92  24,93  24,120 25,85
"""
table = np.array([row.split(",") for row in CSV.split()], np.float64)
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

layers = [cnn.Standardize().adapt(speed), cnn.Dense(1, 1)]
line = cnn.Sequential(layers, rng=0, dtype="float64")
line.fit(speed, distance, epochs=1000, batch_size=50, optimizer=cnn.SGD(lr=0.1))

slope, start = np.polyfit(speed.ravel(), distance.ravel(), 1)
print(f"least squares: {slope:.4f} x {start:+.4f}")
assert np.abs(line.predict(speed) - (slope * speed + start)).max() < 1e-9

# %%
# With a hidden layer
# -------------------
# A hidden layer lets the line bend. Its activation is softplus, a smooth ReLU. The loss of the
# output layer with the identity is `squared_error` without being told. It has the factor ½ of the
# formula above, so `loss` is half of the mean squared error `mse`.

hidden, output = cnn.Dense(1, 8, "softplus"), cnn.Dense(8, 1, "identity")
layers = [cnn.Standardize().adapt(speed), hidden, output]
curve = cnn.Sequential(layers, rng=0, dtype="float64")
curve.fit(speed, distance, epochs=2000, batch_size=50, optimizer=cnn.Adam(lr=0.02))

errors = []
for name, net in (("line", line), ("curve", curve)):
    scores = net.evaluate(speed, distance)
    print(f"{name:5}", {key: round(value, 3) for key, value in scores.items()})
    assert np.isclose(scores["loss"], scores["mse"] / 2)
    errors.append(scores["mse"])
assert errors[1] < 0.95 * errors[0]

# %%
# The line says that a car of 3 miles per hour rolls backwards; the curve does not. The distance
# grows faster than the speed, and the curve follows: from 15 to 25 miles per hour it rises more
# than from 5 to 15.

at = [[3.0], [5.0], [15.0], [25.0]]
straight, bent = line.predict(at).ravel(), curve.predict(at).ravel()
print("feet at 3, 5, 15 and 25 mph:", straight.round(1), "and", bent.round(1))
assert straight[0] < 0 < bent[0]
assert bent[3] - bent[2] > bent[2] - bent[1]

figure, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
grid = np.linspace(3, 26, 200)[:, None]
ax.plot(speed, distance, "o", color="#767676", alpha=0.7, label="measured")
ax.plot(grid, line.predict(grid), "--", color="#E69F00", label="no hidden layer")
ax.plot(grid, curve.predict(grid), color="#0072B2", label="a hidden layer of 8")
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
# :meth:`~cnn.Sequential.fit` are of the same kind as before, only with other sizes and numbers.

x, t, x_test, t_test = cnn.datasets.load_digits(split=True)
hidden, output = cnn.Dense(64, 50, "softplus"), cnn.Dense(50, 10, "softmax")
digits = cnn.Sequential([hidden, output], rng=0)
digits.fit(x, t, epochs=30, batch_size=50, optimizer=cnn.Adam(lr=3e-3))

p = digits.predict(x_test)
scores = digits.evaluate(x_test, t_test)
print({key: round(value, 3) for key, value in scores.items()})
print("probabilities", p.shape)
assert scores["accuracy"] > 0.96
assert p.shape == (355, 10)
assert np.allclose(p.sum(axis=1), 1)
cross_entropy = -np.log(p[np.arange(len(p)), t_test]).mean()
assert np.isclose(scores["loss"], cross_entropy, rtol=1e-4)
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
for net, inputs, targets in ((curve, speed, distance), (digits, x, one_hot)):
    _, gradients = net.gradients(inputs, targets)
    bias = gradients[-1].bias
    mean = (net.predict(inputs) - targets).mean(axis=0)
    print(f"{net.activation:8}  gradient {bias[0]:.6f}  mean of y - t {mean[0]:.6f}")
    assert np.allclose(bias, mean, rtol=0, atol=1e-7)

# %%
# Classes are not numbers
# -----------------------
# The digits *are* numbers. Why not ask how much? A regression is told that a 4 is between a 3 and a
# 5. But the picture of a 4 is not between the pictures of a 3 and a 5. The squared error is
# smallest at the mean of the targets. So if a picture is a 1 or a 7 with the same probability, the
# best answer is 4. Many pictures are taken for another digit.

hidden, output = cnn.Dense(64, 50, "softplus"), cnn.Dense(50, 1, "identity")
number = cnn.Sequential([hidden, output], rng=0)
number.fit(x, t, epochs=30, batch_size=50, optimizer=cnn.Adam(lr=3e-3))

answers = np.arange(10.0)[:, None]
error_1_or_7 = [cnn.squared_error([a, a], [[1.0], [7.0]])[0] for a in answers]
print("the best answer to 1 or 7:", np.argmin(error_1_or_7))
assert np.argmin(error_1_or_7) == 4

y = number.predict(x_test).ravel()
by_class = np.mean(p.argmax(axis=1) == t_test)
by_number = np.mean(y.round() == t_test)
print(f"softmax, the most probable class: {by_class:.1%} right")
print(f"identity, the nearest digit:      {by_number:.1%} right")
assert by_number < by_class - 0.2

figure, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
ax.plot([-0.5, 9.5], [-0.5, 9.5], color="#767676", lw=1)
beside = t_test + np.linspace(-0.2, 0.2, len(t_test))
ax.plot(beside, y, "o", color="#0072B2", alpha=0.5, ms=4)
ax.set_xticks(range(10))
ax.set_yticks(range(0, 10, 3))
ax.set_title(f"regression on the digits: {by_number:.0%} are right")
ax.set_xlabel("digit")
ax.set_ylabel("answer")
plt.show()

# %%
# One neuron for each class
# -------------------------
# The number of output neurons is the number of classes. A label that has no neuron is an error that
# says so; the network stays as it was.

message = ""
before = digits.get_weights()
try:
    digits.fit([x[0]], [10])
except ValueError as error:
    message = str(error)
print(message)
assert "t has label 10, but the output layer has 10 classes" in message
assert all(map(np.array_equal, before, digits.get_weights()))
