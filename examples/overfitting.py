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
# settings. The test digits are for the very end. In real tables some labels are wrong, so here a
# fifth of the training labels is replaced by random ones.

x_all, t_all, x_test, t_test = cnn.datasets.load_digits(split=True)


def samples(seed):
    """Return x, t with wrong labels, the true t, and validation data."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x_all))
    train, validation = order[:200], order[200:400]
    true = t_all[train]
    t = np.where(rng.random(200) < 0.2, rng.integers(0, 10, 200), true)
    return x_all[train], t, true, (x_all[validation], t_all[validation])


x, t, true, validation = samples(0)
wrong = t != true
print(f"{len(t)} training samples, {wrong.sum()} of them with a wrong label")

# %%
# By heart
# --------
# A network with 7510 weights and biases, which reads the samples 200 times.


def train(seed=0, *, l2=0.0, dropout=0.0, callbacks=()):
    """Return a trained network and its history."""
    x, t, _, validation = samples(seed)
    net = cnn.mlp([64, 100, 10], "relu", "softmax", rng=seed, l2=l2, dropout=dropout)
    history = net.fit(
        x,
        t,
        epochs=200,
        batch_size=20,
        optimizer=cnn.Adam(lr=3e-3),
        validation_data=validation,
        callbacks=callbacks,
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
print(f"validation loss: lowest {lowest:.2f} in epoch {history.epoch[best]}, at the end {last:.2f}")
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
# changes; if it is too strong, the network learns nothing. The validation samples choose the
# strength.

STRENGTHS = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
of_strength = {l2: train(l2=l2)[0] for l2 in STRENGTHS}
on_training = [net.evaluate(x, t)["accuracy"] for net in of_strength.values()]
on_validation = [net.evaluate(*validation)["accuracy"] for net in of_strength.values()]
strength = STRENGTHS[int(np.argmax(on_validation))]
print(f"chosen strength: {strength}")

ax = plt.subplots()[1]
ax.semilogx(STRENGTHS, on_training, "o-", color="#0072B2", label="training, with wrong labels")
ax.semilogx(STRENGTHS, on_validation, "o-", color="#D55E00", label="validation")
ax.axhline(1 - wrong.mean(), color="#555555", linestyle=":", label="share of right labels")
ax.axvline(strength, color="#D55E00", linestyle="--", linewidth=1)
ax.set_xlabel("strength of the L2 penalty")
ax.set_ylabel("accuracy")
ax.set_title("Too weak: learns by heart. Too strong: learns nothing.")
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
# Dropout and early stopping
# --------------------------
# Dropout switches off random hidden neurons in each step of training, here half of them, so that
# none can rely on a particular other one. :class:`cnn.EarlyStopping` ends training if the loss on
# the validation samples has not improved for 20 epochs, and goes back to the best epoch. It costs
# nothing: it even saves time.


def stopping():
    """Return a new callback that stops early."""
    return cnn.EarlyStopping("val_loss", patience=20, restore_best_weights=True)


runs = {
    "nothing": history,
    "L2": train(l2=strength)[1],
    "dropout": train(dropout=0.5)[1],
    "early stopping": train(callbacks=[stopping()])[1],
}
ax = cnn.plot.learning_curves(runs, metric="accuracy")
ax.set_title("Accuracy")
plt.show()

# %%
# On test digits
# --------------
# Do the cures help? One run may be luck, so each is trained on five other choices of samples, and
# all are measured on the same 355 test digits, which have no wrong labels.

SEEDS = range(1, 6)
CURES = {
    "nothing": {},
    "L2": {"l2": strength},
    "dropout": {"dropout": 0.5},
    "early stopping": {"callbacks": [stopping()]},
    "all three": {"l2": strength, "dropout": 0.5, "callbacks": [stopping()]},
}
test = {}
for name, cure in CURES.items():
    scores = [train(seed, **cure)[0].evaluate(x_test, t_test) for seed in SEEDS]
    test[name] = np.array([score["accuracy"] for score in scores])
    print(
        f"{name:15} accuracy {test[name].mean():.1%}, of the five "
        + "  ".join(f"{value:.1%}" for value in test[name])
    )
