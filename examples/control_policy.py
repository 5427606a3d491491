"""
Small control policy
====================

Reinforcement learning: a network learns to balance a pole on a cart. 50 times a second it sees four
numbers: position and speed of the cart, angle and speed of the pole. It answers how likely a push
to the right should be. Nobody shows it a right answer. It only sees how long the pole stood.

A controller has a budget: here the next decision is due 20 ms after the last one. The page ends
with how much of this budget the network needs, called from Python and from a compiled loop.
"""

import ctypes
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import cnn

# %%
# The cart and the pole
# ---------------------
#
# The physics are those of Barto, Sutton and Anderson (1983), as CartPole-v1 of Gymnasium has them.
# Each step that the pole stands earns 1. An episode ends if the pole leans by more than 12 degrees,
# if the cart leaves the track, or after 500 steps. At 475 on average the task counts as solved.

GRAVITY, CART_MASS, POLE_MASS, HALF_LENGTH = 9.8, 1.0, 0.1, 0.5  # m/s^2, kg, kg, m
FORCE, SECONDS = 10.0, 0.02  # N, s
MOST_POSITION, MOST_ANGLE = 2.4, np.deg2rad(12)
MOST_STEPS = 500


def move(state, right):
    """Return the states (episodes, 4) after a push to the right, or else to the left."""
    speed, angle, turn = state.T[1:]
    force = np.where(right, FORCE, -FORCE)
    mass, sine, cosine = CART_MASS + POLE_MASS, np.sin(angle), np.cos(angle)
    push = (force + POLE_MASS * HALF_LENGTH * turn**2 * sine) / mass
    turning = (GRAVITY * sine - cosine * push) / (
        HALF_LENGTH * (4 / 3 - POLE_MASS * cosine**2 / mass)
    )
    speeding = push - POLE_MASS * HALF_LENGTH * turning * cosine / mass
    change = np.stack([speed, speeding, turn, turning], axis=1)
    return state + SECONDS * change


def stands(state):
    """Return for each episode whether it goes on."""
    return (np.abs(state[:, 0]) <= MOST_POSITION) & (np.abs(state[:, 2]) <= MOST_ANGLE)


# %%
# Playing
# -------
#
# Many episodes are played side by side, so that one `predict` decides for all of them. While the
# network learns, pushes are drawn by their probabilities, so that all are tried. Later each push is
# the likelier one.


def play(policy, state, rng=None):
    """Play episodes from states (episodes, 4); return states, pushes and whether steps count."""
    alive = np.ones(len(state), bool)
    steps = []
    for _ in range(MOST_STEPS):
        if not alive.any():
            break
        chance = cnn.sigmoid(policy.predict(state))[:, 0]
        right = (0.5 if rng is None else rng.random(len(state))) < chance
        steps.append((state, right, alive))
        state = move(state, right)
        alive = alive & stands(state)
    return [np.array(each) for each in zip(*steps, strict=True)]


def start(episodes, rng):
    """Return states in which the pole nearly stands."""
    return rng.uniform(-0.05, 0.05, (episodes, 4))


# %%
# Learning
# --------
#
# The method is REINFORCE (Williams, 1992) with a baseline. Pushes that were followed by more than
# was expected become likelier, and others less likely. What is expected, the baseline, is learnt by
# a second network. The loss of the first one,
#
# .. math:: L = -\frac{1}{n} \sum_i \text{advantage}_i \log p(\text{push}_i),
#
# is none that cnn has. Its gradient with respect to the logit of a push to the right is
# :math:`(p_i - \text{push}_i)\,\text{advantage}_i / n`. That is all that
# :meth:`cnn.Sequential.backward` needs.


def returns_of(counts, discount=0.99):
    """Return what each step earns from there on; later steps count less."""
    found = np.zeros(counts.shape)
    after = np.zeros(counts.shape[1])
    for i in reversed(range(len(counts))):
        after = found[i] = counts[i] * (1 + discount * after)
    return found


def learn(policy, baseline, optimizers, states, pushes, counts):
    """Make a step of the policy, and five of the baseline."""
    earned = returns_of(counts)[counts][:, None] / 100
    x, right = states[counts], pushes[counts][:, None]
    advantage = earned - baseline.predict(x)
    advantage /= advantage.std() + 1e-8
    chance = cnn.sigmoid(policy.forward(x))
    gradients, _ = policy.backward((chance - right) * advantage / len(x))
    policy.apply_gradients(gradients, optimizers[0])
    for _ in range(5):
        baseline.train_step(x, earned, optimizer=optimizers[1])


# %%
# A round plays 20 episodes and learns from them. It ends when nearly all of them last to the end.

rng = np.random.default_rng(0)
policy = cnn.mlp([4, 32, 1], "tanh", "identity", rng=0)
baseline = cnn.mlp([4, 64, 1], "tanh", "identity", rng=1)
untrained = cnn.mlp([4, 32, 1], "tanh", "identity", rng=0)
optimizers = cnn.Adam(2e-2), cnn.Adam(1e-2)
earned = []
for i in range(200):
    played = play(policy, start(20, rng), rng)
    earned.append(played[2].sum(axis=0))
    if i % 10 == 0:
        print(f"round {i + 1:3}  mean return {earned[-1].mean():5.1f}")
    if earned[-1].mean() >= 495:
        break
    learn(policy, baseline, optimizers, *played)

test = play(policy, start(100, rng))[2].sum(axis=0)
print(f"{len(earned)} rounds: mean return of 100 new episodes {test.mean():.1f} of {MOST_STEPS}")
assert test.mean() >= 475

# %%
# Each grey point is an episode, and the line is the mean of a round.

rounds = np.arange(1, len(earned) + 1)
fig, ax = plt.subplots()
ax.plot(np.repeat(rounds, 20), np.concatenate(earned), ".", color="#AAAAAA", markersize=4)
ax.plot(rounds, np.mean(earned, axis=1), color="#0072B2", linewidth=2)
ax.axhline(475, color="#D55E00", linestyle="--", linewidth=1)
ax.text(1, 479, "solved", color="#D55E00", va="bottom")
ax.set(title="How long the pole stands", xlabel="round of 20 episodes", ylabel="steps")
plt.show()

# %%
# What it does
# ------------
#
# Both networks begin with the pole at 6 degrees, further than any start that was learnt from. The
# network that has learnt nothing lets it fall. The trained one drives the cart under the pole and
# keeps it there. The pictures show the cart and the pole in the first moments, from pale to dark.
# The grey band is where the pole counts as standing.

tilted = np.array([[0.0, 0.0, np.deg2rad(6), 0.0]])
runs = {"before training": untrained, "after training": policy}
paths = {name: play(net, tilted)[0][:, 0] for name, net in runs.items()}
for name, path in paths.items():
    print(f"{name:16} the pole stands {len(path)} steps, {len(path) * SECONDS:.1f} s")
assert len(paths["before training"]) < 50
assert len(paths["after training"]) == MOST_STEPS

fig, axes = plt.subplots(1, 3, figsize=(9, 3.8), width_ratios=[1, 1, 1.5])
colours = ("#D55E00", "#0072B2")
for ax, (name, path), colour in zip(axes, paths.items(), colours, strict=False):
    few = path[: 60 : 1 + len(path) // 100]
    for state, strength in zip(few, np.linspace(0.2, 1, len(few)), strict=True):
        at, angle = state[0], state[2]
        ax.plot([at, at + np.sin(angle)], [0, np.cos(angle)], color=colour, alpha=strength)
        ax.plot(at, 0, "s", color="#333333", alpha=strength)
    ax.set(title=name, aspect="equal", xlim=(-0.5, 0.5), ylim=(-0.1, 1.1), yticks=[])
    ax.set_xlabel("metres")
    ax.spines["left"].set_visible(False)
for (name, path), colour in zip(paths.items(), colours, strict=True):
    axes[2].plot(SECONDS * np.arange(len(path)), np.rad2deg(path[:, 2]), color=colour, label=name)
axes[2].axhspan(-12, 12, color="#EEEEEE", zorder=0)
axes[2].set(title="Angle of the pole", xlabel="seconds", ylabel="degrees", ylim=(-14, 14))
axes[2].legend(loc="lower right")
plt.show()

# %%
# The next picture shows the policy itself, for a cart that stands in the middle: how likely a push
# to the right is, for each angle and speed of the pole. The line is what the pole did in
# its first 3 seconds, from its start at 6 degrees.

angles, turns = np.meshgrid(np.linspace(-8, 8, 120), np.linspace(-60, 60, 120))
states = np.zeros((angles.size, 4))
states[:, 2], states[:, 3] = np.deg2rad(angles.ravel()), np.deg2rad(turns.ravel())
chance = cnn.sigmoid(policy.predict(states)).reshape(angles.shape)
path = np.rad2deg(paths["after training"][:150, 2:])
fig, ax = plt.subplots(figsize=(7, 4.2))
drawn = ax.contourf(angles, turns, chance, levels=np.linspace(0, 1, 21), cmap="RdBu")
fig.colorbar(drawn, label="probability of a push to the right", ticks=[0, 0.5, 1])
ax.plot(*path.T, color="k", linewidth=0.8)
ax.plot(*path[0], "o", color="k")
ax.set(title="The policy", xlabel="angle, degrees", ylabel="speed of the angle, degrees a second")
plt.show()
assert chance[-1, -1] > 0.9  # leans to the right, and moves to the right
assert chance[0, 0] < 0.1

# %%
# The time of a decision
# ----------------------
#
# A controller calls the network with one row, and waits for the answer. `out=` gives the call an
# array for it, so that none is made. Here are 20 000 decisions, each timed by itself, with the
# states of the run above.

rows = paths["after training"].astype(np.float32)
answer = np.empty(1, np.float32)
answers = np.empty(len(rows), np.float32)
times = []
for _ in range(40):
    for i, row in enumerate(rows):
        began = time.perf_counter_ns()
        policy.predict(row, out=answer)
        times.append(time.perf_counter_ns() - began)
        answers[i] = answer[0]
micros = np.array(times) / 1000
p50, p99 = np.percentile(micros, [50, 99])
budget = 1e6 * SECONDS
print(f"a decision from Python: median {p50:.1f} µs, 99 of 100 within {p99:.1f} µs")
print(f"share of the 20 ms: {p50 / budget:.4%}")
assert p50 < budget / 100

# %%
# A compiled loop needs no Python. :attr:`cnn.Sequential.c_function` is the function of libcnn that
# predicts, and :attr:`cnn.Sequential.handle` has the address of the network. A loop in C gets both
# as pointers; one in Cython, Numba or Fortran does the same. On a device without libcnn a network
# is a header: see :doc:`network_in_a_header`. The answers are the same to the bit.

LOOP = """
#include <stddef.h>

typedef int predict(const void *, size_t, const float *, size_t, float *, size_t, void *, size_t);

int decide(predict *call, const void *net, const float *states, float *answers, size_t rows)
{
    for (size_t i = 0; i < rows; i++) {
        if (call(net, 1, states + 4 * i, 4, answers + i, 1, NULL, 0) != 0) {
            return 1;
        }
    }
    return 0;
}
"""
compiled = None
if shutil.which("cc"):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "loop.c").write_text(LOOP)
        command = ["cc", "-O2", "-shared", "-fPIC", "loop.c", "-o", "loop.so"]
        subprocess.run(command, cwd=folder, check=True)
        decide = ctypes.CDLL(str(Path(folder) / "loop.so")).decide
    from_c = np.empty(len(rows), np.float32)
    with policy.handle as handle:
        arguments = (
            ctypes.cast(policy.c_function, ctypes.c_void_p),
            ctypes.c_void_p(handle.address),
            rows.ctypes.data_as(ctypes.c_void_p),
            from_c.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_size_t(len(rows)),
        )
        loops = []
        for _ in range(40):
            began = time.perf_counter_ns()
            assert decide(*arguments) == 0
            loops.append(time.perf_counter_ns() - began)
    compiled = float(np.median(loops)) / 1000 / len(rows)
    print(f"a decision in a compiled loop: {compiled:.2f} µs")
    assert from_c.tobytes() == answers.tobytes()
    assert compiled < budget / 100
else:
    print("There is no C compiler here, so the loop is left out.")

# %%
# On a scale of powers of ten, the budget is far to the right.

fig, ax = plt.subplots(figsize=(8, 3.2))
ax.hist(micros, bins=np.logspace(-1, 5, 150).tolist(), color="#0072B2")
ax.axvline(budget, color="#D55E00", linewidth=2)
top = ax.get_ylim()[1]
ax.text(budget * 0.8, 0.8 * top, "20 ms: the next\ndecision is due", color="#D55E00", ha="right")
ax.text(12, 0.8 * top, f"from Python: {p50:.1f} µs", color="#0072B2")
if compiled is not None:
    ax.axvline(compiled, color="#009E73", linewidth=2)
    ax.text(12, 0.6 * top, f"compiled loop: {compiled:.2f} µs", color="#009E73")
ax.set(xscale="log", yticks=[], title="The time of a decision", xlabel="microseconds")
ax.spines["left"].set_visible(False)
plt.show()
