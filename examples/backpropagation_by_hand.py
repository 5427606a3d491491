r"""
Backpropagation by hand
=======================

A network learns because of one number per weight: how fast the error changes if this weight
changes. This page computes these numbers by hand, in NumPy, for a network so small that each of
them can be looked at: two inputs, two hidden neurons, one output. It compares them with what
:meth:`cnn.Sequential.gradients` finds, and checks both with a method that needs no calculus. Then
it corrects the weights with them.

The error of an output `y`, if it should have been `t`, is

.. math:: E = \tfrac{1}{2} (y - t)^2, \qquad \frac{\partial E}{\partial y} = y - t

The ½ is there so that the derivative has no factor.
"""

import matplotlib.pyplot as plt
import numpy as np

import cnn
import cnn.plot

# %%
# The network
# -----------
# A hidden layer with a sigmoid, and an output layer with the identity. `x` is one row, as
# everywhere in cnn; a weight matrix has a row for each input and a column for each neuron.

x = np.array([[1.0, 0.5]])
t = np.array([[1.0]])

w1 = np.array([[0.4, -0.6], [0.8, 0.2]])
b1 = np.array([0.1, -0.1])
w2 = np.array([[0.7], [-0.5]])
b2 = np.array([0.2])

layers = [cnn.Dense(2, 2, "sigmoid"), cnn.Dense(2, 1)]
net = cnn.Sequential(layers, rng=0, dtype="float64")
net.set_weights([w1, b1, w2, b2])

# %%
# Forward
# -------
# Each layer multiplies its inputs by its weights, adds its biases, and applies its activation.

a1 = x @ w1 + b1
h = 1 / (1 + np.exp(-a1))
y = h @ w2 + b2
error = 0.5 * np.sum((y - t) ** 2)

print(f"hidden outputs {h[0].round(4)}, output y = {y[0, 0]:.4f}")
print(f"error E = {error:.4f}")
np.testing.assert_allclose(net.predict(x), y, rtol=1e-14)
np.testing.assert_allclose(net.evaluate(x, t)["loss"], error, rtol=1e-14)

# The error and its derivative, also as a function of the package.
value, derivative = cnn.squared_error(y, t)
np.testing.assert_allclose([value, derivative[0, 0]], [error, (y - t)[0, 0]], rtol=1e-14)

# %%
# Backward
# --------
# The chain rule, from the error back to the first weights. A *delta* is the derivative of the error
# with respect to what a neuron has before its activation.
#
# The activation of the output is the identity, whose derivative is 1. So its delta is `y - t`, how
# far the output is too high.

delta2 = (y - t) * 1.0

# %%
# The output is `h @ w2 + b2`. If a weight grows by a little, the output grows by this little times
# the hidden output that the weight multiplies. So the derivative for a weight is *what came in*
# times *the delta behind it*; for a bias it is the delta itself.

dw2 = h.T @ delta2
db2 = delta2[0]

# %%
# The delta of a hidden neuron arrives through the weight that leads out of it. It is then
# multiplied by the derivative of the sigmoid, which is `h (1 - h)`. The weights of the first layer
# follow the same rule as those of the second.

delta1 = (delta2 @ w2.T) * h * (1 - h)
dw1 = x.T @ delta1
db1 = delta1[0]

# %%
# The same network, with the output and the delta of each neuron:

texts = [
    [f"x = {value:g}" for value in x[0]],
    [
        f"h = {value:.3f}\ndelta = {delta:+.4f}"
        for value, delta in zip(h[0], delta1[0], strict=True)
    ],
    [f"y = {y[0, 0]:.3f}\ndelta = {delta2[0, 0]:+.4f}"],
]
ax = cnn.plot.network_diagram(net, texts=texts)
ax.set_title("Outputs go to the right, deltas come back to the left")
plt.show()

# %%
# The package finds the same numbers. They are equal but for rounding in the last digit of float64:
# the exponential function of NumPy and that of cnn may round differently.

loss, gradients = net.gradients(x, t)
for by_hand, found in ((dw1, gradients[0].weight), (db1, gradients[0].bias)):
    np.testing.assert_allclose(found, by_hand, rtol=1e-14)
for by_hand, found in ((dw2, gradients[1].weight), (db2, gradients[1].bias)):
    np.testing.assert_allclose(found, by_hand, rtol=1e-14)

print("         by hand             net.gradients")
for name, by_hand, layer in (("w1", dw1, 0), ("w2", dw2, 1)):
    for place, value in np.ndenumerate(by_hand):
        found = gradients[layer].weight[place]
        print(f"{name}{list(place)}  {value:+.15f}  {found:+.15f}")

# %%
# Without calculus
# ----------------
# A derivative is a slope. It can be measured: make one weight a little larger, then a little
# smaller, and compare the errors. This is the *central difference*, `(E(w + h) - E(w - h)) / 2h`.
# It needs two runs of the network for each weight, so nobody trains with it, but it finds mistakes
# in formulas.


def measured_gradient(h):
    """Return the central differences for all weights and biases, in a row."""
    weights = net.get_weights()
    slopes = []
    for array in weights:
        for place in np.ndindex(array.shape):
            before = array[place]
            errors = []
            for value in (before + h, before - h):
                array[place] = value
                net.set_weights(weights)
                errors.append(net.evaluate(x, t)["loss"])
            array[place] = before
            slopes.append((errors[0] - errors[1]) / (2 * h))
    net.set_weights(weights)
    return np.array(slopes)


parts = [part.ravel() for gradient in gradients for part in gradient]
exact = np.concatenate(parts)
steps = 10.0 ** np.arange(0, -15, -1)
off = np.array([np.abs(measured_gradient(h) - exact).max() for h in steps])
for h_step, distance in zip(steps, off, strict=True):
    print(f"h = {h_step:.0e}: largest difference {distance:.1e}")

# %%
# How small should `h` be? If it is large, the curve between the two points is not straight: the
# difference is off by a multiple of `h²`. If it is tiny, the two errors agree in nearly all of
# their digits, and what rounding leaves of them is divided by a tiny number: the difference is off
# by about 1e-16 / `h`. The best `h` is in between.

best = steps[off.argmin()]
print(f"best step {best:.0e}, largest difference there {off.min():.1e}")
assert 1e-7 < best < 1e-3
assert off.min() < 1e-10
# A tenth of the step makes a hundredth of the difference.
np.testing.assert_allclose(off[1:3] / off[2:4], 100, rtol=0.1)
# With tiny steps, the difference times the step is about 1e-16.
assert (off[-6:] * steps[-6:] > 1e-17).all()
assert (off[-6:] * steps[-6:] < 1e-15).all()

figure, ax = plt.subplots()
ax.loglog(steps, off, "o-", color="#0072B2", label="largest difference")
parabola = off[2] * (steps[:7] / steps[2]) ** 2
ax.loglog(steps[:7], parabola, "k--", label="proportional to h²")
ax.loglog(steps[4:], 2**-53 / steps[4:], "k:", label="rounding: 2⁻⁵³ / h")
ax.set_xlabel("step h")
ax.set_ylabel("difference")
ax.set_title("Numerical against analytic gradients")
ax.grid(color="#dddddd")
ax.legend()
plt.show()

# %%
# One correction
# --------------
# The gradient points to where the error grows. A step against it lowers the error, if the step is
# not too long. The length is the learning rate times the gradient.

lr = 0.5
corrected = [w1 - lr * dw1, b1 - lr * db1, w2 - lr * dw2, b2 - lr * db2]
step = net.train_step(x, t, optimizer=cnn.SGD(lr=lr))
for by_hand, found in zip(corrected, net.get_weights(), strict=True):
    np.testing.assert_allclose(found, by_hand, rtol=1e-14)

after = net.evaluate(x, t)["loss"]
print(f"error before {step['loss']:.6f}, after one correction {after:.6f}")
assert after < step["loss"] == loss

# %%
# Training is this correction, again and again.

optimizer = cnn.SGD(lr=lr)
for _ in range(50):
    step = net.train_step(x, t, optimizer=optimizer)
after = net.evaluate(x, t)["loss"]
print(f"after 50 more: y = {net.predict(x)[0, 0]:.6f}, error {after:.1e}")
assert after < 1e-12
