r"""
Maximum likelihood
==================

Why do classifiers minimise the *cross-entropy*? Because that makes the observed data as probable as
possible. This page goes there in small steps: from a lottery to its likelihood, from the likelihood
to a loss, and from the loss to a network of one neuron that finds the answer by itself.
"""

# %%
# A lottery
# ---------
# A ticket wins with probability π = 0.2. Of ten tickets, k win with probability
#
# .. math:: P(k) = \binom{10}{k} \, \pi^k (1 - \pi)^{10 - k}.
#
# Two wins are the most probable, as one would expect of 20 %.

import math

# sphinx_gallery_thumbnail_number = 2
import matplotlib.pyplot as plt
import numpy as np

import cnn
import cnn.plot


def probability(k, n, pi):
    """Compute the probability of k wins among n tickets."""
    return math.comb(n, k) * pi**k * (1 - pi) ** (n - k)


wins = np.arange(11)
p = np.array([probability(int(k), 10, 0.2) for k in wins])
print("most probable:", p.argmax(), "wins, with probability", p.max().round(3))
assert p.argmax() == 2
assert abs(p.sum() - 1) < 1e-14

figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
bars = ax.bar(wins, p, color="#0072B2")
bars[2].set_color("#D55E00")
ax.bar_label(bars, fmt="%.3f", padding=2, fontsize=9)
ax.margins(y=0.12)
ax.set_xticks(wins)
ax.set_xlabel("wins among ten tickets")
ax.set_ylabel("probability")
ax.set_title("ten tickets that win with probability 0.2")
plt.show()

# %%
# The question turned round
# -------------------------
# Now π is not known. Ten tickets were bought and **three** have won. Which π is
# the most plausible? The same formula answers, read as a function of π with k = 3 fixed.
# It is then called the *likelihood*. It is largest at π = 0.3, where it is
#
# .. math:: \binom{10}{3} \cdot 0.3^3 \cdot 0.7^7 \approx 0.267.

candidates = np.arange(101) / 100
likelihood = np.array([probability(3, 10, pi) for pi in candidates.tolist()])
best = candidates[likelihood.argmax()]
print(f"largest likelihood {likelihood.max():.3f} at pi = {best}")
assert best == 0.3
assert round(probability(3, 10, 0.3), 3) == 0.267

ax = cnn.plot.likelihood_curve([1, 3, 5], 10)
ax.set_title("likelihood after one, three or five wins of ten")
ax.set_xlabel("π, which the legend calls p")
plt.show()

# %%
# More data, more certainty
# -------------------------
# Three of ten, 30 of 100 and 300 of 1000 have the same best π. But the more tickets, the
# faster the likelihood falls beside it. Each curve is divided by its maximum here.

figure, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
pi = np.linspace(0.001, 0.999, 999)
widths = []
for n, colour in ((10, "#0072B2"), (100, "#D55E00"), (1000, "#009E73")):
    logs = 0.3 * n * np.log(pi / 0.3) + 0.7 * n * np.log((1 - pi) / 0.7)
    relative = np.exp(logs)
    widths.append(float((relative > 0.5).mean()))
    label = f"{3 * n // 10} wins of {n}"
    ax.plot(pi, relative, color=colour, linewidth=2, label=label)
    assert abs(pi[relative.argmax()] - 0.3) < 1e-9
ax.set_xlabel("π")
ax.set_ylabel("likelihood / its maximum")
ax.set_title("the same estimate, from more and more tickets")
ax.legend()
plt.show()
print("widths at half of the maximum:", np.round(widths, 3))
assert widths[0] > 3 * widths[1] > 9 * widths[2]

# %%
# Take the logarithm
# ------------------
# The tickets are independent, so the probability of all results is a *product* with one factor for
# each ticket. With many tickets the product is smaller than the smallest float64 above 0, so it
# becomes 0. Its logarithm is a *sum*, which stays in range, and is largest for the same π.

factors = np.array([0.3] * 3000 + [0.7] * 7000)
total = np.log(factors).sum()
print("product:", factors.prod(), " sum of logarithms:", total.round(3))
assert factors.prod() == 0
np.testing.assert_allclose(total, 3000 * np.log(0.3) + 7000 * np.log(0.7))
assert np.log(likelihood[1:-1]).argmax() + 1 == likelihood.argmax()

# %%
# From likelihood to cross-entropy
# --------------------------------
# With the sign turned, so that less is better, and divided by the number of tickets, that sum is
# the *binary cross-entropy*. The target t of a ticket is 1 if it won and 0 if it did not:
#
# .. math:: L(\pi) = -\frac{1}{n} \sum_i t_i \log \pi + (1 - t_i) \log (1 - \pi).
#
# :func:`cnn.binary_cross_entropy` takes the *logit* `z = log(π / (1 - π))` instead of
# π, whose sigmoid π is. So it needs no logarithm of a probability that may have
# been rounded to 0.

t = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0])


def loss(pi):
    """Compute the cross-entropy of the tickets, and its derivative by the logit."""
    logits = np.full(10, np.log(pi / (1 - pi)))
    value, gradient = cnn.binary_cross_entropy(logits, t)
    return value, gradient.sum()


one_order = probability(3, 10, 0.3) / math.comb(10, 3)  # 3 wins, then 7 losses
from_likelihood = -math.log(one_order) / 10
print(f"cross-entropy {loss(0.3)[0]:.6f}, from the likelihood {from_likelihood:.6f}")
assert math.isclose(loss(0.3)[0], from_likelihood, rel_tol=1e-14)

inner = candidates[1:-1]
assert inner[np.argmin([loss(pi)[0] for pi in inner])] == 0.3

# %%
# The derivative by the logit is simply π - 0.3: what is predicted minus the share of
# wins. It is 0 exactly where they agree. The softmax and :func:`cnn.cross_entropy` do the same for
# more than two classes: the loss is minus the logarithm of the probability of what happened, and
# the gradient is *predicted minus true*.

for pi_now in (0.1, 0.3, 0.5):
    value, slope = loss(pi_now)
    print(f"pi = {pi_now}: loss {value:.4f}, derivative {slope:+.4f}")
    assert math.isclose(slope, pi_now - 0.3, abs_tol=1e-15)

logits, labels = np.array([[1.0, 2.0, 0.5], [0.0, 0.0, 3.0]]), np.array([1, 2])
y = cnn.softmax(logits)
value, gradient = cnn.cross_entropy(logits, labels)
assert math.isclose(value, -math.log(y[0, 1] * y[1, 2]) / 2, rel_tol=1e-14)
np.testing.assert_allclose(gradient, (y - np.eye(3)[labels]) / 2, rtol=1e-14)

# %%
# One neuron finds 0.3
# --------------------
# A network with one neuron and a sigmoid gets the ten tickets. Its input is always 0, so it has
# nothing to go by but its bias, which is the logit. It begins at π = 0.5. Nothing tells
# it the formula; training goes down the slope of the loss.

neuron = cnn.Dense(1, 1, "sigmoid", init="zeros")
net = cnn.Sequential([neuron], rng=0, dtype="float64")
x = np.zeros((10, 1))
path = [float(net.predict([0.0])[0])]


class Record(cnn.Callback):
    """Append the prediction to the path after each epoch."""

    def on_epoch_end(self, epoch, logs):
        path.append(float(net.predict([0.0])[0]))


optimizer = cnn.SGD(lr=1.0)
net.fit(x, t, epochs=200, batch_size=10, optimizer=optimizer, callbacks=[Record()])
for epoch in (0, 1, 5, 20, 200):
    print(f"after {epoch:3} epochs pi = {path[epoch]:.6f}")
assert path[0] == 0.5
assert abs(path[200] - 0.3) < 1e-9
assert math.isclose(net.evaluate(x, t)["loss"], loss(0.3)[0], rel_tol=1e-12)

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
axes[0].plot(path[:31], color="#0072B2", linewidth=2, marker="o", markersize=4)
axes[0].axhline(0.3, color="grey", linewidth=1, linestyle=":")
axes[0].set_xlabel("epoch")
axes[0].set_ylabel("π")
axes[0].set_title("what the neuron predicts")
shown = np.linspace(0.08, 0.62, 200)
axes[1].plot(shown, [loss(pi)[0] for pi in shown], color="grey", linewidth=1.5)
losses = [loss(pi)[0] for pi in path]
axes[1].plot(path, losses, "o", color="#0072B2", markersize=5)
axes[1].set_xlabel("π")
axes[1].set_title("its way down the cross-entropy")
plt.show()

# %%
# And the squared error?
# ----------------------
# It comes from the same idea. If a target is the output y plus normally distributed noise of
# variance 1, minus the logarithm of its probability density is ½ (y - t)² plus
# a number that does not depend on y. So the output :func:`identity <cnn.identity>` with
# :func:`cnn.squared_error` is maximum likelihood for numbers, as softmax with cross-entropy is for
# classes. The best constant answer is then the mean of the targets.

targets = np.random.default_rng(0).normal(5.0, 1.0, size=50)


def negative_log_density(y):
    """Compute the mean over the targets of -log N(t; y, 1)."""
    return np.mean(-np.log(np.exp(-((targets - y) ** 2) / 2) / np.sqrt(2 * np.pi)))


for y_now in (4.0, 5.0, 6.0):
    half_squares, _ = cnn.squared_error(np.full(50, y_now), targets)
    difference = negative_log_density(y_now) - half_squares
    print(f"y = {y_now}: {half_squares:.4f}, -log density {difference:.6f} more")
    assert math.isclose(difference, math.log(2 * math.pi) / 2, rel_tol=1e-12)

line = cnn.Sequential([cnn.Dense(1, 1, init="zeros")], rng=0, dtype="float64")
optimizer = cnn.SGD(lr=0.5)
line.fit(np.zeros((50, 1)), targets, epochs=200, batch_size=50, optimizer=optimizer)
print(f"found {line.predict([0.0])[0]:.6f}, the mean is {targets.mean():.6f}")
assert math.isclose(line.predict([0.0])[0], targets.mean(), rel_tol=1e-12)
