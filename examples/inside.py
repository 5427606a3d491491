"""
Inside
======

Every number in a trained network can be read and drawn. This page looks at a network that reads
handwritten digits. It shows the outputs of its layers, the errors
that backpropagation carries back (the deltas), the derivatives of outputs with respect to the
pixels (the Jacobian), and pictures of which pixels matter.
"""

import matplotlib.pyplot as plt
import numpy as np

import cnn
import cnn.plot

x, t, x_test, t_test = cnn.datasets.load_digits(split=True)
net = cnn.mlp([64, 30, 16, 10], "tanh", "softmax", rng=0, l2=1e-4)
net.fit(x, t, epochs=60, batch_size=100, optimizer=cnn.Adam(lr=3e-3))
accuracy = net.evaluate(x_test, t_test)["accuracy"]
print(f"{accuracy:.1%} of the test images are read right")
assert accuracy > 0.95

# %%
# First-layer weights
# -------------------
#
# Each neuron of the first layer has a weight for each of the 8 x 8 pixels. Drawn as an image, they
# show what the neuron looks for: ink at red pixels, and none at blue ones.

axes = cnn.plot.first_layer_weights(net, (8, 8))
axes[0].figure.suptitle("The weights of the first layer")
plt.show()

# %%
# Activations
# -----------
#
# :meth:`cnn.Sequential.activations` returns the outputs of every layer. The last ones are the
# prediction, to the bit. Each layer computes h(x . weight + bias), so that NumPy can repeat it.
#
# The picture shows the test image that the network reads right with the least certainty, and the
# outputs of its layers. In the pictures of neurons red is 1, white 0 and blue -1.

p_test = net.predict(x_test)
right = p_test.argmax(axis=1) == t_test
at = int(np.where(right, p_test.max(axis=1), 2).argmin())
image, digit = x_test[at], int(t_test[at])
first, second, p = net.activations(image)
print("shapes:", first.shape, second.shape, p.shape, " most likely:", p.argmax())
assert (p == net.predict(image)).all()
assert np.allclose(first, np.tanh(image @ net[0].weight + net[0].bias), atol=1e-6)
assert np.allclose(second, np.tanh(first @ net[1].weight + net[1].bias), atol=1e-6)
assert p.argmax() == digit

fig, axes = plt.subplots(1, 4, figsize=(9, 2.8), width_ratios=[1.5, 1.5, 1.3, 1.6])
axes[0].imshow(image.reshape(8, 8), cmap="gray_r")
for ax, each, columns in zip(axes[1:3], (first, second), (6, 4), strict=True):
    ax.imshow(each.reshape(-1, columns), cmap="RdBu_r", vmin=-1, vmax=1)
for ax, title in zip(axes, ("the image", "30 neurons", "16 neurons"), strict=False):
    ax.set(title=title, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
axes[3].barh(range(10), p, color="#0072B2")
axes[3].set(title="10 probabilities", xlabel="probability", xlim=(0, 1), yticks=range(10))
axes[3].invert_yaxis()
plt.show()

# %%
# Deltas
# ------
#
# Training asks: how does the loss change with the sum of each neuron? This derivative is the
# neuron's delta. Backpropagation computes those of a layer from those of the next one:
#
# .. math:: \delta_3 = p - t, \quad \delta_2 = (\delta_3 W_3^T)\, h'(z_2), \quad
#    \delta_1 = (\delta_2 W_2^T)\, h'(z_1)
#
# with :math:`h'(z) = 1 - h(z)^2` for tanh. For a single image the gradient of a bias is the delta,
# and the gradient of a weight is the delta times the input. :meth:`cnn.Sequential.gradients` has
# both, so that it can be compared with the formula.

loss, gradients = net.gradients(image[None], [digit])
target = np.eye(10)[digit]
delta3 = p - target
delta2 = delta3 @ net[2].weight.T * (1 - second**2)
delta1 = delta2 @ net[1].weight.T * (1 - first**2)
for delta, gradient in zip((delta1, delta2, delta3), gradients, strict=True):
    assert np.allclose(delta, gradient.bias, atol=1e-5)
penalty = 1e-4 * net[0].weight
assert np.allclose(np.outer(image, delta1) + penalty, gradients[0].weight, atol=1e-5)
print(f"loss {loss:.2f}; the deltas are those of the formula")

fig, axes = plt.subplots(1, 3, figsize=(9, 2.6), width_ratios=[2, 1.5, 1.2])
for i, (ax, delta) in enumerate(zip(axes, (delta1, delta2, delta3), strict=True)):
    ax.bar(range(len(delta)), delta, color=np.where(delta > 0, "#D55E00", "#0072B2"))
    ax.axhline(0, color="#555555", linewidth=0.8)
    ax.set(title=f"deltas of layer {i + 1}", xlabel="neuron")
axes[0].set_ylabel("delta")
axes[2].set_xticks(range(10))
plt.show()

# %%
# The Jacobian
# ------------
#
# :meth:`cnn.Sequential.jacobian` has the derivative of each output with respect to each pixel: here
# 10 images of 8 x 8. More ink at a red pixel makes the digit more likely, at a blue one less
# likely. The probabilities always add up to 1. So the ten derivatives of a pixel add up to 0.

jacobian = net.jacobian(image)
print("shape of the Jacobian:", jacobian.shape)
assert np.abs(jacobian.sum(axis=0)).max() < 1e-6


def draw(ax, gradient):
    """Draw the derivatives of a number with respect to the pixels."""
    limit = np.abs(gradient).max()
    ax.imshow(gradient.reshape(8, 8), cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


fig, axes = plt.subplots(2, 5, figsize=(8, 3.6))
for k, ax in enumerate(axes.flat):
    draw(ax, jacobian[k])
    ax.set_title(f"{k}:  {p[k]:.1%}")
fig.suptitle("The derivative of each probability, each with a scale of its own")
plt.show()

# %%
# Gradients of the input
# ----------------------
#
# The Jacobian needs a backward pass for each output. If the derivatives of one number are enough,
# such as those of the probability of one class, :meth:`cnn.Sequential.vjp` needs a single pass: it
# multiplies a row vector, here a row of the identity, with the Jacobian. The result has the bits of
# the Jacobian's row.

y, gradient = net.vjp(image, np.eye(10)[digit])
assert (y == p).all()
assert (gradient == jacobian[digit]).all()

# %%
# The derivative is what a small change does. Below, each pixel in turn gets a little more ink.
# The difference quotient agrees with the gradient. It is computed in float64, where a difference
# of nearly equal numbers keeps enough digits.

exact = cnn.mlp([64, 30, 16, 10], "tanh", "softmax", dtype="float64")
exact.set_weights(net.get_weights())
step = 1e-5
more, less = image + step * np.eye(64), image - step * np.eye(64)
quotient = (exact.predict(more) - exact.predict(less))[:, digit] / (2 * step)
difference = np.abs(quotient - exact.jacobian(image)[digit]).max()
print(f"largest difference between gradient and difference quotient: {difference:.0e}")
assert difference < 1e-8
assert np.allclose(quotient, gradient, atol=1e-5)

# %%
# Saliency maps
# -------------
#
# Which pixels matter for an answer? The map below each digit is the gradient of the logarithm of
# its probability. Red pixels speak for the answer if they get more ink, blue ones against it.

samples = np.array([np.flatnonzero((t_test == k) & right)[0] for k in range(10)])
digits, p_digits = x_test[samples], p_test[samples]
y, maps = net.vjp(digits, np.eye(10) / p_digits)  # d log p = dp / p
maps /= np.abs(maps).max(axis=1, keepdims=True)  # each with a scale of its own


def side_by_side(rows):
    """Return images in one, with a gap between them."""
    framed = np.pad(rows.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    return np.hstack(list(framed))


fig, (above, below) = plt.subplots(2, 1, figsize=(9, 2.4))
above.imshow(side_by_side(digits), cmap="gray_r")
below.imshow(side_by_side(maps), cmap="RdBu_r", vmin=-1, vmax=1)
for ax, title in ((above, "Digits"), (below, "Which pixels speak for the answer, and against it")):
    ax.set(title=title, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
plt.show()

# %%
# Moving along the gradient
# -------------------------
#
# A small step along the gradient of a probability raises it. This holds for each test image and
# for each of the ten digits.

size = 0.01
for k in range(10):
    y, up = net.vjp(x_test, np.eye(10)[[k] * len(x_test)] / p_test)
    stepped = x_test + size * up / np.linalg.norm(up, axis=1, keepdims=True)
    raised = exact.predict(stepped)[:, k] > exact.predict(x_test)[:, k]
    assert raised.all(), k
print("each step has raised its probability")

# %%
# Many small steps can change the answer. Here they go towards another digit, until the network
# prefers it. The second picture is the sum of all steps. It is smaller than the image itself, and
# the third picture, the changed image, still looks like the first one. Such an image is called an
# adversarial example (Szegedy et al., 2014).

start = int(np.flatnonzero((t_test == 3) & (p_test.max(axis=1) > 0.99))[0])
other = 8
moved, path = x_test[start].copy(), [p_test[start]]
while path[-1].argmax() != other and len(path) < 200:
    y, up = net.vjp(moved, np.eye(10)[other] / path[-1])
    moved = np.clip(moved + 0.05 * up / np.linalg.norm(up), 0, 1)
    path.append(net.predict(moved))
change = moved - x_test[start]
print(f"{len(path) - 1} steps; on average a pixel changes by {np.abs(change).mean():.3f}")
assert path[0].argmax() == 3
assert path[-1].argmax() == other
assert np.linalg.norm(change) < 0.6 * np.linalg.norm(x_test[start])

fig, axes = plt.subplots(1, 4, figsize=(9, 2.6), width_ratios=[1, 1, 1, 1.5])
for ax, each in zip(axes[::2], (x_test[start], moved), strict=False):
    ax.imshow(each.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
draw(axes[1], change)
axes[0].set_title(f"read as 3 ({path[0][3]:.0%})")
axes[1].set_title("the change")
axes[2].set_title(f"read as {other} ({path[-1][other]:.0%})")
for k, colour in ((3, "#0072B2"), (other, "#D55E00")):
    axes[3].plot(np.array(path)[:, k], color=colour, label=f"probability of {k}")
axes[3].set(xlabel="step", ylim=(0, 1))
axes[3].legend(loc="center left")
plt.show()
