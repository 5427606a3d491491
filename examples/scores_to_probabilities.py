r"""
From scores to probabilities
============================

The last layer of a classifier computes one number for each class, its *score*: the higher, the more
the input looks like that class. This page turns scores into probabilities by *softmax*,

.. math:: y_j = \frac{e^{x_j}}{\sum_k e^{x_k}}

and shows what that does, where the formula as it stands fails, and what a temperature is.
"""

# %%
# Cat, dog or tiger?
# ------------------
# A network has looked at a picture and computed three scores. They are not probabilities: one is
# negative, and their sum is not 1. Dividing by the sum does not help, as it leaves a negative
# number.

# sphinx_gallery_thumbnail_number = 2
import matplotlib.pyplot as plt
import numpy as np

import cnn
import cnn.plot

classes = ["cat", "dog", "tiger"]
scores = np.array([2.0, 1.43, -1.0])
print("divided by the sum:", (scores / scores.sum()).round(2))
assert scores.sum() != 1
assert (scores / scores.sum()).min() < 0

# %%
# The exponential function makes every number positive and keeps the order. Divided by their sum,
# the results have the sum 1. :func:`cnn.softmax` does both.

powers = np.exp(scores)
probabilities = cnn.softmax(scores)
print("powers:      ", powers.round(2))
print("softmax:     ", probabilities.round(2))
np.testing.assert_allclose(probabilities, powers / powers.sum(), rtol=1e-14)
assert probabilities.round(2).tolist() == [0.62, 0.35, 0.03]

figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
colours = ["#0072B2", "#D55E00", "#009E73"]
titles = ["scores", "exp(scores)", "softmax(scores)"]
for ax, title, values in zip(axes, titles, [scores, powers, probabilities], strict=True):
    bars = ax.bar(classes, values, color=colours)
    ax.bar_label(bars, fmt="%.2f", padding=2)
    ax.axhline(0, color="grey", linewidth=0.8)
    ax.margins(y=0.15)
    ax.set_title(title)
plt.show()

# %%
# What softmax promises
# ---------------------
# Every output lies between 0 and 1, the sum is 1, and the order of the scores is kept. So the class
# of the highest score is that of the highest probability: to *choose* a class, softmax is not
# needed. It is needed to say how probable the class is.

rows = np.random.default_rng(0).normal(scale=5, size=(1000, 3))
y = cnn.softmax(rows)
assert ((y >= 0) & (y <= 1)).all()
assert np.abs(y.sum(axis=1) - 1).max() < 1e-15
assert np.array_equal(y.argsort(axis=1), rows.argsort(axis=1))

# %%
# Every output depends on every input
# -----------------------------------
# If the score of the dog rises, the dog becomes more probable and *both others* less: the sum stays
# 1. The derivatives show it. That of output j by input k is `y_j (1 - y_j)` if j = k, and
# `-y_j y_k` otherwise. None of them is 0, and each column adds up to 0.

three_rows = np.tile(probabilities, (3, 1))
jacobian = cnn.activation_backward("softmax", np.eye(3), three_rows)
print(jacobian.round(3))
exact = np.diag(probabilities) - np.outer(probabilities, probabilities)
np.testing.assert_allclose(jacobian, exact, rtol=1e-14)
assert (np.abs(jacobian) > 0.01).all()
assert np.abs(jacobian.sum(axis=0)).max() < 1e-16

raised = cnn.softmax(scores + np.array([0.0, 0.5, 0.0]))
print("before:                     ", probabilities.round(3))
print("with more score for the dog:", raised.round(3))
assert raised[1] > probabilities[1]
assert raised[0] < probabilities[0]
assert raised[2] < probabilities[2]

# %%
# Only differences count
# ----------------------
# The same number added to all scores changes nothing: it multiplies numerator and denominator by
# the same factor. A difference of scores is the logarithm of a ratio of probabilities.

whole = np.array([2.0, 1.0, -1.0])
assert np.array_equal(cnn.softmax(whole + 1000), cnn.softmax(whole))
ratio = probabilities[0] / probabilities[1]
print(f"cat : dog = {ratio:.3f} = exp({scores[0] - scores[1]:.2f})")
np.testing.assert_allclose(ratio, np.exp(scores[0] - scores[1]), rtol=1e-14)

# %%
# The formula overflows, cnn does not
# -----------------------------------
# `exp(1010)` is larger than any float64, so the formula as it stands
# divides infinity by infinity. As only differences count, the largest score can be subtracted
# first. Then the largest power is `exp(0) = 1`. :func:`cnn.softmax` does this always.


def naive_softmax(x):
    """Compute softmax as the formula says."""
    return np.exp(x) / np.exp(x).sum()


large = np.array([1010.0, 1000.0, 990.0])
with np.errstate(over="ignore", invalid="ignore"):
    print("naive:", naive_softmax(large))
    assert np.isnan(naive_softmax(large)).all()
print("cnn:  ", cnn.softmax(large))
shifted = naive_softmax(large - 1010)
np.testing.assert_allclose(cnn.softmax(large), shifted, rtol=1e-14)
assert cnn.softmax(large).round(6).tolist() == [0.999955, 0.000045, 0.0]

# %%
# Small probabilities fail too. One that is too small for float64 becomes 0. Its logarithm, which
# losses need, is then infinite. :func:`cnn.log_softmax` computes the logarithm directly from the
# scores, and the losses of cnn do the same.

with np.errstate(divide="ignore"):
    print("log of softmax:", np.log(cnn.softmax([0.0, 1000.0])))
    assert np.log(cnn.softmax([0.0, 1000.0]))[0] == -np.inf
print("log_softmax:   ", cnn.log_softmax([0.0, 1000.0]))
assert cnn.log_softmax([0.0, 1000.0]).tolist() == [-1000.0, 0.0]
assert cnn.cross_entropy([[0.0, 1000.0]], [0])[0] == 1000.0

# %%
# Two classes: the sigmoid
# ------------------------
# With two classes only one difference is left, and softmax is the sigmoid of it. That is why a
# question of yes or no needs a single output.

z = np.linspace(-8, 8, 101)
two = cnn.softmax(np.column_stack([z, np.zeros_like(z)]))
np.testing.assert_allclose(two[:, 0], cnn.sigmoid(z), rtol=1e-14)

# %%
# Temperature
# -----------
# Scores divided by a temperature T > 0 keep their order, so the choice stays the same. The
# probabilities become sharper if T is small, and more equal if it is large. Towards T = 0 the
# highest score takes all; for a very high T all classes become equally probable. The entropy
# `-Σ y_j log(y_j)`, which measures how undecided the probabilities are, rises with T.

temperatures = np.geomspace(0.1, 100, 301)
curves = cnn.softmax(scores / temperatures[:, None])
entropy = -(curves * cnn.log_softmax(scores / temperatures[:, None])).sum(axis=1)
assert (curves.argmax(axis=1) == 0).all()
assert (np.diff(entropy) > 0).all()
assert curves[0, 0] > 0.99
assert np.abs(curves[-1] - 1 / 3).max() < 0.01
for temperature in (0.25, 1.0, 4.0):
    print(f"T = {temperature:<4}", cnn.softmax(scores / temperature).round(2))

figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for name, curve, colour in zip(classes, curves.T, colours, strict=True):
    ax.plot(temperatures, curve, color=colour, linewidth=2, label=name)
ax.axvline(1, color="grey", linewidth=0.8, linestyle=":")
ax.axhline(1 / 3, color="grey", linewidth=0.8, linestyle=":")
ax.set_xscale("log")
ax.set_xticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
ax.set_xlabel("temperature T")
ax.set_ylabel("probability")
ax.set_title("softmax(scores / T): sharp on the left, equal on the right")
ax.legend()
plt.show()

# %%
# In a network
# ------------
# With `"softmax"` as the activation of the last layer, :meth:`cnn.Sequential.predict` returns a
# row of probabilities for each image. Here are the six test images of which the network is least
# sure.

x, t, x_test, t_test = cnn.datasets.load_digits(split=True)
net = cnn.mlp([64, 50, 10], "relu", "softmax", rng=0)
net.fit(x, t, epochs=30, batch_size=50, optimizer=cnn.Adam(lr=3e-3))
p = net.predict(x_test)
assert np.abs(p.sum(axis=1) - 1).max() < 1e-6

order = p.max(axis=1).argsort()
print(f"accuracy {net.evaluate(x_test, t_test)['accuracy']:.1%}")
cnn.plot.predictions(net, x_test[order], t_test[order], (8, 8), count=6)
plt.show()

# %%
# The probabilities mean something: of the images of which the network is surest, fewer are wrong.

wrong = p.argmax(axis=1) != t_test
unsure, sure = wrong[order[:55]].mean(), wrong[order[55:]].mean()
print(f"wrong among the 55 least sure {unsure:.1%}, among the other 300 {sure:.1%}")
assert len(t_test) == 355
assert unsure > 10 * sure
