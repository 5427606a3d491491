"""
Overfitting
===========

A network with many weights and few samples can learn each sample by heart, mistakes included. On
new samples it is then worse than it could be. This page lets it happen, and measures three cures on
samples that were not trained on: an L2 penalty, dropout, and early stopping.
"""

import matplotlib.pyplot as plt
import numpy as np

import cnn
import cnn.plot

# %%
# Few samples, some of them wrong
# -------------------------------
# 200 digits to train on, and 200 others, the *validation* samples, to watch training and to choose
# settings. The test digits are for the very end. In real tables some labels are wrong, so here each
# training label is replaced by a random one with a probability of a fifth. Some of the random ones
# happen to be right.

x_all, t_all, x_test, t_test = cnn.datasets.load_digits(split=True)


def samples(seed, count=200):
    """Return x, t with wrong labels, the true t, and validation data."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x_all))
    validation, train = order[:200], order[200 : 200 + count]
    true = t_all[train]
    t = np.where(rng.random(count) < 0.2, rng.integers(0, 10, count), true)
    return x_all[train], t, true, (x_all[validation], t_all[validation])


x, t, true, validation = samples(0)
wrong = t != true
print(f"{len(t)} training samples, {wrong.sum()} of them with a wrong label")
assert 0.15 < wrong.mean() < 0.2

# %%
# By heart
# --------
# A network with 7510 weights and biases, which reads the samples 200 times.


def train(seed=0, count=200, *, l2=0.0, dropout=0.0, callbacks=()):
    """Return a network that was trained for 2000 steps, and its history."""
    x, t, _, validation = samples(seed, count)
    sizes = [64, 100, 10]
    net = cnn.mlp(sizes, "relu", "softmax", rng=seed, l2=l2, dropout=dropout)
    history = net.fit(
        x,
        t,
        epochs=2000 * 20 // count,
        batch_size=20,
        optimizer=cnn.Adam(lr=3e-3),
        validation_data=validation,
        callbacks=callbacks,
        progress=False,
    )
    return net, history


plain, history = train()
assert plain.parameter_count == 7510

figure, (left, right) = plt.subplots(1, 2)
cnn.plot.learning_curves(history, ax=left)
cnn.plot.learning_curves(history, metric="accuracy", ax=right)
left.set_title("Loss")
right.set_title("Accuracy")
plt.show()

# %%
# The loss on the training samples falls to nearly 0. On the validation samples it falls at first,
# then rises for the rest of the training. From there on the network learns what holds for the 200
# samples only.

best = int(np.argmin(history.val_loss))
lowest, last = history.val_loss[best], history.val_loss[-1]
print(f"validation loss: lowest {lowest:.2f} in epoch {history.epoch[best]}")
print(f"at the end {last:.2f}")
assert history.epoch[best] < 50
assert history.loss[-1] < 0.01
assert last > 1.5 * lowest

# %%
# It has even learnt the wrong labels: it gives each of them back.

by_heart = (plain.predict(x)[wrong].argmax(axis=1) == t[wrong]).mean()
print(f"wrong labels that it gives back: {by_heart:.0%}")
assert by_heart == 1

# %%
# L2
# --
# `l2` adds `l2 / 2` times the sum of the squares of the weights to the loss. Large weights then
# cost something, and only what many samples agree on is worth it. If it is too weak, nothing
# changes; if it is too strong, the network learns too little. The validation samples choose the
# strength.

STRENGTHS = (1e-4, 1e-3, 3e-3, 1e-2, 2e-2, 5e-2, 1e-1)
of_strength = {l2: train(l2=l2)[0] for l2 in STRENGTHS}
nets = of_strength.values()
on_training = [net.evaluate(x, t)["accuracy"] for net in nets]
on_validation = [net.evaluate(*validation)["accuracy"] for net in nets]
strength = STRENGTHS[int(np.argmax(on_validation))]
print(f"chosen strength: {strength}")
assert STRENGTHS[0] < strength < STRENGTHS[-1]
assert on_training[0] == 1
assert on_training[-1] < 0.7

ax = plt.subplots()[1]
ax.semilogx(STRENGTHS, on_training, "o-", color="#0072B2", label="training")
ax.semilogx(STRENGTHS, on_validation, "o-", color="#D55E00", label="validation")
ax.axhline(1 - wrong.mean(), color="#555555", ls=":", label="right labels")
ax.axvline(strength, color="#D55E00", linestyle="--", linewidth=1)
ax.set_xlabel("strength of the L2 penalty")
ax.set_ylabel("accuracy")
ax.set_title("Too weak: learns by heart. Too strong: learns too little.")
ax.set_ylim(0, 1.02)
ax.grid(color="#dddddd")
ax.legend(loc="lower left")
plt.show()

# %%
# With this strength the network gives few of the wrong labels back. For most of these samples it
# finds the true digit, which it was never told.

predicted = of_strength[strength].predict(x)[wrong].argmax(axis=1)
print(f"wrong labels given back: {(predicted == t[wrong]).mean():.0%}")
print(f"true digit found instead: {(predicted == true[wrong]).mean():.0%}")
assert (predicted == t[wrong]).mean() < 0.2
assert (predicted == true[wrong]).mean() > 0.7

# %%
# Dropout
# -------
# Dropout switches off random hidden neurons in each step, here half of them, so that none can rely
# on particular other ones. The network still learns nearly all wrong labels by heart, but what it
# learns about other images is better.

dropped, dropout_history = train(dropout=0.5)
by_heart = (dropped.predict(x)[wrong].argmax(axis=1) == t[wrong]).mean()
accuracies = [net.evaluate(*validation)["accuracy"] for net in (plain, dropped)]
print(f"wrong labels given back: {by_heart:.0%}")
print(f"validation accuracy {accuracies[1]:.1%}, without dropout {accuracies[0]:.1%}")
assert by_heart > 0.9
assert accuracies[1] > accuracies[0]

# %%
# Early stopping
# --------------
# :class:`cnn.EarlyStopping` ends training if the loss on the validation samples has not improved
# for 20 epochs, and goes back to the weights of the best epoch. It saves time, too: here it runs
# less than a third of the epochs.


def stopping():
    """Return a callback that stops early."""
    return cnn.EarlyStopping("val_loss", patience=20, restore_best_weights=True)


stop = stopping()
_, stopped_history = train(callbacks=[stop])
print(f"stopped after epoch {stop.stopped_epoch}, best epoch {stop.best_epoch}")
assert stop.stopped_epoch == stop.best_epoch + 20 == len(stopped_history)
assert len(stopped_history) < len(history) / 3

runs = {
    "nothing": history,
    "dropout": dropout_history,
    "early stopping": stopped_history,
}
ax = cnn.plot.learning_curves(runs)
ax.set_title("Loss")
plt.show()

# %%
# On test digits
# --------------
# Do the cures help? One run may be luck, so each is tried on five other choices of samples. All
# networks are measured on the same 355 test digits, which have no wrong labels and were not used to
# choose anything.

SEEDS = range(1, 6)
CURES = {
    "nothing": train,
    "L2": lambda seed: train(seed, l2=strength),
    "dropout": lambda seed: train(seed, dropout=0.5),
    "early stopping": lambda seed: train(seed, callbacks=[stopping()]),
    "all three": lambda seed: train(
        seed,
        l2=strength,
        dropout=0.5,
        callbacks=[stopping()],
    ),
    "1200 samples": lambda seed: train(seed, 1200),
}
test = {}
for name, cure in CURES.items():
    found = [cure(seed)[0].evaluate(x_test, t_test)["accuracy"] for seed in SEEDS]
    test[name] = np.array(found)
    values = "  ".join(f"{value:.1%}" for value in found)
    print(f"{name:15} {test[name].mean():.1%}, of the five {values}")

figure, ax = plt.subplots()
for place, scores in enumerate(test.values()):
    colour = "#0072B2" if place else "#777777"
    ax.plot(scores, [place] * 5, "o", color=colour, alpha=0.4, mew=0)
    ax.plot(scores.mean(), place, "|", color=colour, markersize=22, mew=3)
ax.set_yticks(range(len(test)), test)
ax.invert_yaxis()
ax.set_xlabel("accuracy on test digits: five choices of samples, and mean")
ax.set_title("What helps, and how much")
ax.grid(axis="x", color="#dddddd")
plt.show()

# %%
# Each cure is better than none for each of the five choices. All three together are better than
# dropout or early stopping alone, and hardly better than L2 alone: the cures work on the same
# fault, so their gains do not add up. Six times as many samples help more than all of them,
# although the same share of their labels was replaced.

for name in ("L2", "dropout", "early stopping", "all three", "1200 samples"):
    assert (test[name] > test["nothing"]).all(), name
mean = {name: scores.mean() for name, scores in test.items()}
assert mean["nothing"] + 0.03 < mean["dropout"]
assert mean["dropout"] < mean["early stopping"] < mean["L2"]
assert mean["L2"] < mean["all three"] < mean["L2"] + 0.02
assert mean["1200 samples"] > mean["all three"] + 0.03
