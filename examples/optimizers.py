"""
Optimizers
==========

The gradient says in which direction the error falls. An optimizer decides how to walk. This page
draws the paths of five of them through a long valley, and then tries many learning rates with each
on real digits.
"""

import matplotlib.pyplot as plt
import numpy as np

import cnn

# %%
# A valley
# --------
# A usual example is the function `E(u, v) = u² / 20 + v²`: it falls twenty times as steeply in one
# direction as in the other. Such valleys are no invention. This one is the squared error of a
# single neuron with two weights, of which one belongs to small inputs and the other to large ones:

u_size, v_size = np.sqrt(0.2), 2.0
x = np.array([[u_size, 0], [-u_size, 0], [0, v_size], [0, -v_size]])
t = np.zeros(4)


def height(u, v):
    """Return the height of the valley."""
    return u**2 / 20 + v**2


def neuron(u, v):
    """Return a network that is one neuron, with these weights."""
    net = cnn.Sequential([cnn.Dense(2, 1)], rng=0, dtype="float64")
    net.layers[0].weight = [[u], [v]]
    return net


START = (-7.0, 2.0)
for u, v in (START, (3.0, -1.0), (0.0, 0.5)):
    loss = neuron(u, v).evaluate(x, t)["loss"]
    np.testing.assert_allclose(loss, height(u, v), rtol=1e-14)
print(f"height at the start: {height(*START)}")

# %%
# Five ways down
# --------------
# Each makes 30 steps from the same place.

OPTIMIZERS = {
    "SGD": cnn.SGD(lr=0.95),
    "Momentum": cnn.SGD(lr=0.1, momentum=0.9),
    "Nesterov": cnn.SGD(lr=0.1, momentum=0.9, nesterov=True),
    "Adagrad": cnn.Adagrad(lr=1.5),
    "Adam": cnn.Adam(lr=0.3),
}


def walk(optimizer, x, t, start, steps=30):
    """Return the weights at the start and after each step, shape (steps + 1, 2)."""
    net = neuron(*start)
    path = [net.layers[0].weight[:, 0]]
    for _ in range(steps):
        net.train_step(x, t, optimizer=optimizer)
        path.append(net.layers[0].weight[:, 0])
    # The inputs are symmetric, so the bias gets no gradient.
    assert net.layers[0].bias[0] == 0
    return np.array(path)


paths = {name: walk(kind, x, t, START) for name, kind in OPTIMIZERS.items()}


def draw(ax, title, path, function):
    """Draw lines of equal height and a path."""
    u, v = np.meshgrid(np.linspace(-8, 2, 200), np.linspace(-3, 3, 200))
    levels = np.arange(0.2, 5, 0.4) ** 2
    heights = function(u, v)
    ax.contour(u, v, heights, levels=levels, colors="#bbbbbb", linewidths=0.8)
    ax.plot(0, 0, "+", color="#009E73", markersize=12, markeredgewidth=2)
    ax.plot(*path.T, "o-", color="#D55E00", markersize=3, linewidth=1.2)
    ax.plot(*path[0], "o", color="#0072B2", markersize=7)
    ax.set_title(title, fontsize=10)
    ax.set_aspect("equal")


axes = plt.subplots(2, 3, figsize=(10, 5), sharex=True, sharey=True)[1].ravel()
for ax, (name, path) in zip(axes, paths.items(), strict=False):
    draw(ax, f"{name}: height {height(*path[-1]):.1e}", path, height)

# The last picture is explained below.
z = x / x.std(axis=0)
scaled = walk(cnn.SGD(lr=0.3), z, t, START)
draw(axes[5], "SGD, inputs scaled", scaled, lambda u, v: (u**2 + v**2) / 2)
for ax in axes[3:]:
    ax.set_xlabel("u")
for ax in axes[::3]:
    ax.set_ylabel("v")
plt.show()

# %%
# SGD
# ---
# A step is the learning rate times the gradient, so each weight is multiplied by a number: `u` by
# `1 - 0.95 / 10`, `v` by `1 - 0.95 * 2`. That is why the path jumps from side to side, and is slow
# along the valley. The steep direction limits the learning rate: above 1, `v` grows with each step.

k = np.arange(31)[:, None]
expected = np.array(START) * np.array([0.905, -0.9]) ** k
np.testing.assert_allclose(paths["SGD"], expected, rtol=1e-12)
too_fast = walk(cnn.SGD(lr=1.05), x, t, START)
print(f"with a learning rate of 1.05, v is {too_fast[-1, 1]:.1f} after 30 steps")
assert abs(too_fast[-1, 1]) > abs(too_fast[0, 1])

# %%
# Momentum and Nesterov
# ---------------------
# They keep a velocity, like a ball: along the valley the steps add up, across it they cancel. So a
# learning rate of 0.1 is enough. The ball rolls past the goal and comes back; Nesterov's brakes
# earlier, as it looks at the gradient where the velocity leads.

for name in ("SGD", "Momentum", "Nesterov"):
    beyond = max(paths[name][:, 0].max(), 0)
    print(f"{name:9} rolls beyond the goal by {beyond:.2f}")
assert paths["SGD"][:, 0].max() < 0
assert paths["Momentum"][:, 0].max() > paths["Nesterov"][:, 0].max() > 0

# %%
# Adagrad and Adam
# ----------------
# They divide the gradient of each weight by a measure of how large its gradients have been. So the
# first step is the learning rate itself, in both directions, however steep they are: the valley
# looks round.

for name, lr in (("Adagrad", 1.5), ("Adam", 0.3)):
    first = paths[name][1] - paths[name][0]
    print(f"{name:8} first step {first.round(6)}")
    np.testing.assert_allclose(np.abs(first), lr, rtol=1e-6)

# %%
# Adagrad divides by the root of the *sum* of all squares, so the same gradient makes ever shorter
# steps. Adam divides by the root of a running *mean*, so its steps stay as long. Here are steps on
# a slope that is the same everywhere:

steady = {}
for optimizer in (cnn.Adagrad(lr=0.1), cnn.Adam(lr=0.1)):
    name = type(optimizer).__name__
    net = neuron(0, 0)
    places = []
    for _ in range(100):
        net.apply_gradients([([[1.0], [0.0]], [0.0])], optimizer)
        places.append(net.layers[0].weight[0, 0])
    steady[name] = -np.diff(places)
    second, hundredth = steady[name][[0, -1]]
    print(f"{name:8} second step {second:.3f}, hundredth {hundredth:.3f}")
shrinking = 0.1 / np.sqrt(np.arange(2, 101))
np.testing.assert_allclose(steady["Adagrad"], shrinking, rtol=1e-8)
np.testing.assert_allclose(steady["Adam"], 0.1, rtol=1e-6)

# %%
# A better valley
# ---------------
# The valley came from inputs of different sizes. Divide each input by its standard deviation, and
# it is a round bowl: the last of the six pictures. SGD walks straight to the goal, with a learning
# rate of 1 even in one step. A first layer :class:`cnn.Standardize` does this for a network.

direction = scaled[:-1] / np.linalg.norm(scaled[:-1], axis=1, keepdims=True)
np.testing.assert_allclose(direction - direction[0], 0, atol=1e-12)
one_step = walk(cnn.SGD(lr=1), z, t, START, steps=1)
print(f"after one step: {np.abs(one_step[-1]).max():.0e} from the goal")
np.testing.assert_allclose(one_step[-1], 0, atol=1e-14)

# %%
# Learning rates on real digits
# -----------------------------
# Now a network of 64-50-50-10 neurons. Each optimizer gets eleven learning rates from 0.0001 to 10,
# and 5 epochs. A loss that becomes infinite ends the training with an error; the network then
# counts as one that guesses.

digits, labels, test_digits, test_labels = cnn.datasets.load_digits(split=True)
KINDS = {
    "SGD": cnn.SGD,
    "Momentum": lambda lr: cnn.SGD(lr, momentum=0.9),
    "Nesterov": lambda lr: cnn.SGD(lr, momentum=0.9, nesterov=True),
    "Adagrad": cnn.Adagrad,
    "RMSprop": cnn.RMSprop,
    "Adam": cnn.Adam,
}
RATES = np.logspace(-4, 1, 11)
GUESS = 0.1


def accuracy_with(kind, lr):
    """Return the accuracy on the test digits after 5 epochs."""
    net = cnn.mlp([64, 50, 50, 10], "relu", "softmax", rng=0)
    try:
        net.fit(
            digits,
            labels,
            epochs=5,
            batch_size=50,
            optimizer=kind(lr),
            progress=False,
        )
    except FloatingPointError:
        return GUESS
    return net.evaluate(test_digits, test_labels)["accuracy"]


sweep = {}
for name, kind in KINDS.items():
    sweep[name] = np.array([accuracy_with(kind, lr) for lr in RATES])

print(f"{'':9}{'best rate':>10}{'accuracy':>10}   rates with more than 90 %")
for name, values in sweep.items():
    rates = ", ".join(f"{lr:.2g}" for lr in RATES[values > 0.9])
    print(f"{name:9}{RATES[values.argmax()]:10.2g}{values.max():10.1%}   {rates}")

ax = plt.subplots()[1]
colours = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
for (name, values), colour in zip(sweep.items(), colours, strict=True):
    ax.semilogx(RATES, values, "o-", color=colour, label=name, markersize=4)
ax.axhline(GUESS, color="#555555", linestyle=":")
ax.set_xlabel("learning rate")
ax.set_ylabel("accuracy on test digits")
ax.set_title("After 5 epochs")
ax.set_ylim(0, 1.02)
ax.grid(color="#dddddd")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %%
# All of them learn the digits, each with its own learning rates. A good or a bad rate makes a
# larger difference than another optimizer does. Momentum of 0.9 adds up about ten steps, so its
# best rate is a tenth of that of SGD. RMSprop and Adam learn with a wider range of rates, and with
# much smaller ones.

best = {name: values.max() for name, values in sweep.items()}
good = {name: RATES[values > 0.9] for name, values in sweep.items()}
assert min(best.values()) > 0.95
assert max(best.values()) - min(best.values()) < 0.02
assert all(values.min() < 0.5 for values in sweep.values())
for name in ("Momentum", "Nesterov"):
    chosen, of_sgd = RATES[[sweep[name].argmax(), sweep["SGD"].argmax()]]
    np.testing.assert_allclose(chosen, of_sgd / 10)
for name in ("RMSprop", "Adam"):
    assert len(good[name]) > max(len(good["SGD"]), len(good["Momentum"]))
    assert good[name].min() < good["SGD"].min() / 50
