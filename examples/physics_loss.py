r"""
A loss with derivatives in it
=============================

The position :math:`u(t)` of a weight on a spring, which friction slows down, obeys the equation of
a damped oscillator:

.. math:: u'' + 2 d\,u' + w^2 u = 0, \quad u(0) = 1, \quad u'(0) = 0

On this page a network learns to solve it. It knows how the motion starts, but no later value of
:math:`u`. The loss is how far the network is from obeying the equation: the mean square of the left
side, the residual, at 80 times. Such networks are called physics-informed (Raissi et al., 2019).
"""

import matplotlib.pyplot as plt
import numpy as np

import cnn

DAMPING, FREQUENCY = 0.3, 2.0
END = 4.0

# %%
# The start is built in
# ---------------------
#
# The position is :math:`u(t) = 1 + g(t) N(t)`, with :math:`N` the network and
# :math:`g(t) = 1 - \exp(-t^2)`. So :math:`u(0) = 1` and :math:`u'(0) = 0`, whatever :math:`N` is.


def growth(t):
    """Return g(t), and its derivative."""
    return 1 - np.exp(-(t**2)), 2 * t * np.exp(-(t**2))


# %%
# The loss
# --------
#
# The derivatives come from differences. The times :math:`t - h`, :math:`t` and :math:`t + h` go
# forward as three rows, and
#
# .. math:: u' = \frac{u(t + h) - u(t - h)}{2 h}, \quad
#    u'' = \frac{u(t + h) - 2 u(t) + u(t - h)}{h^2}
#
# are sums of outputs times constants, off by terms with :math:`h^2`. So the gradient of the loss
# with respect to each output is a sum, too, and :meth:`cnn.Sequential.backward` does the rest. The
# network has the type float64, in which rounding, enlarged by :math:`1 / h^2`, is still small.

H = 1e-2


def step(net, optimizer, t):
    """Make a step on the mean square of the residual at times t (rows, 1), and return it."""
    times = np.concatenate([t - H, t, t + H])
    g, _ = growth(times)
    before, now, after = np.split(1 + g * net.forward(times), 3)
    first = (after - before) / (2 * H)
    second = (after - 2 * now + before) / H**2
    residual = second + 2 * DAMPING * first + FREQUENCY**2 * now

    # The chain rule, from the loss back to the outputs.
    d_residual = 2 * residual / len(t)
    d_before = d_residual * (1 / H**2 - DAMPING / H)
    d_now = d_residual * (FREQUENCY**2 - 2 / H**2)
    d_after = d_residual * (1 / H**2 + DAMPING / H)
    gradients, _ = net.backward(np.concatenate([d_before, d_now, d_after]) * g)
    net.apply_gradients(gradients, optimizer)
    return float(np.mean(residual**2))


# %%
# Training
# --------

net = cnn.mlp([1, 32, 32, 1], "tanh", "identity", rng=0, dtype="float64")
STEPS = 4000
optimizer = cnn.Adam(cnn.CosineDecay(1e-2, STEPS))
t = np.linspace(0, END, 80)[:, None]
snapshots, losses = {}, []
for i in range(STEPS):
    if i in (0, 30, 200):
        snapshots[i] = 1 + growth(t)[0] * net.predict(t)
    losses.append(step(net, optimizer, t))
    if i % 1000 == 0 or i + 1 == STEPS:
        print(f"step {i + 1:4}  mean square of the residual {losses[-1]:.2e}")

# %%
# The solution
# ------------
#
# The exact solution is known, so that the network can be compared with it. Its velocity is
# :math:`u' = g' N + g N'`, now with the exact derivative :math:`N'` of the network, which
# :meth:`cnn.Sequential.jacobian` returns.

fine = np.linspace(0, END, 1000)[:, None]
slow = np.sqrt(FREQUENCY**2 - DAMPING**2)
decay = np.exp(-DAMPING * fine)
u = decay * (np.cos(slow * fine) + DAMPING / slow * np.sin(slow * fine))
velocity = -decay * FREQUENCY**2 / slow * np.sin(slow * fine)

n, slope = net.predict(fine), net.jacobian(fine)[:, 0]
g, dg = growth(fine)
found, found_velocity = 1 + g * n, dg * n + g * slope
error = np.abs(found - u).max()
velocity_error = np.abs(found_velocity - velocity).max()
print(f"largest error of the position {error:.1e}, of the velocity {velocity_error:.1e}")
assert error < 2e-3
assert velocity_error < 5e-3

# %%
# The dots are the times at which the loss measures the residual. The grey lines are the network in
# the course of training.

_, (above, below) = plt.subplots(
    2, 1, figsize=(8, 5.6), sharex=True, height_ratios=[2, 1], layout="constrained"
)
for (i, drawn), shade in zip(snapshots.items(), ("#DDDDDD", "#BBBBBB", "#888888"), strict=True):
    above.plot(t, drawn, color=shade, label=f"network after {i} steps")
above.plot(fine, u, color="#E69F00", linewidth=6, label="exact solution")
above.plot(fine, found, color="#0072B2", linewidth=1.5, label=f"network after {STEPS} steps")
above.plot(t, np.zeros(80), "k.", markersize=2)
above.set(title="A damped oscillator, solved by a network", ylabel="position u", ylim=(-1, 2.1))
above.legend(ncols=2, loc="upper right")

times = np.concatenate([fine - H, fine, fine + H])
before, now, after = np.split(1 + growth(times)[0] * net.predict(times), 3)
residual = (after - 2 * now + before) / H**2 + DAMPING * (after - before) / H + FREQUENCY**2 * now
below.plot(fine, residual, color="#009E73")
below.axhline(0, color="#555555", linewidth=0.8)
below.set(
    title="The residual: what is left of 0 in the equation", xlabel="time t", ylabel="residual"
)
plt.show()

# %%
# The loss falls by more than five powers of ten.

_, ax = plt.subplots(figsize=(8, 3))
ax.semilogy(losses, color="#0072B2")
ax.set(title="The loss", xlabel="step", ylabel="mean square of the residual")
plt.show()
assert losses[-1] < 1e-5 * losses[0]
