"""A loss with derivatives in it: a network learns to solve the equation of a damped oscillator.

The position u(t) of a weight on a spring, which friction slows down, obeys

    u'' + 2 d u' + w^2 u = 0,    u(0) = 1,    u'(0) = 0

Nobody tells the network a single value of u. The loss is how far it is from obeying the equation:
the mean square of the left side, the residual, at 80 times ("physics-informed", Raissi et al.,
2019). The start is built in: u(t) = 1 + g(t) N(t), with N the network and g(t) = 1 - exp(-t^2), has
u(0) = 1 and u'(0) = 0 whatever N is.

The derivatives come from differences. The times t - h, t and t + h go forward as three rows, and

    u'  = (u(t + h) - u(t - h)) / 2h,    u'' = (u(t + h) - 2 u(t) + u(t - h)) / h^2

are sums of the outputs times constants, off by terms with h^2. So the gradient of the loss with
respect to each output is a sum too, and `backward` does the rest. It runs in float64, where
rounding, enlarged by 1 / h^2, is still small.

    python examples/physics_loss.py
"""

import numpy as np

import cnn

DAMPING, FREQUENCY = 0.3, 2.0
END = 4.0
H = 1e-2


def exact(t):
    """Return the solution, and its derivative by t."""
    slow = np.sqrt(FREQUENCY**2 - DAMPING**2)
    decay = np.exp(-DAMPING * t)
    u = decay * (np.cos(slow * t) + DAMPING / slow * np.sin(slow * t))
    return u, -decay * FREQUENCY**2 / slow * np.sin(slow * t)


def growth(t):
    """Return g, by which the network's outputs count: 0 with derivative 0 at the start, then 1."""
    return 1 - np.exp(-(t**2))


def step(net, optimizer, t):
    """Make a step on the mean square of the residual at times t (rows, 1), and return it."""
    times = np.concatenate([t - H, t, t + H])
    position = 1 + growth(times) * net.forward(times)
    before, now, after = np.split(position, 3)
    first = (after - before) / (2 * H)
    second = (after - 2 * now + before) / H**2
    residual = second + 2 * DAMPING * first + FREQUENCY**2 * now

    # The chain rule, from the loss back to the outputs.
    d_residual = 2 * residual / len(t)
    d_before = d_residual * (1 / H**2 - DAMPING / H)
    d_now = d_residual * (FREQUENCY**2 - 2 / H**2)
    d_after = d_residual * (1 / H**2 + DAMPING / H)
    d_position = np.concatenate([d_before, d_now, d_after])
    gradients, _ = net.backward(d_position * growth(times))
    net.apply_gradients(gradients, optimizer)
    return float(np.mean(residual**2))


def main():
    net = cnn.mlp([1, 32, 32, 1], "tanh", "identity", rng=0, dtype="float64")
    steps = 4000
    optimizer = cnn.Adam(cnn.CosineDecay(1e-2, steps))
    t = np.linspace(0, END, 80)[:, None]
    for i in range(steps):
        loss = step(net, optimizer, t)
        if i % 1000 == 0 or i + 1 == steps:
            print(f"step {i + 1:4}  mean square of the residual {loss:.2e}")

    t = np.linspace(0, END, 1000)[:, None]
    n, slope = net.predict(t), net.jacobian(t)[:, 0]
    u, velocity = exact(t)
    error = np.abs(1 + growth(t) * n - u).max()
    # u' = g' N + g N', now with the exact derivative of the network.
    found = 2 * t * np.exp(-(t**2)) * n + growth(t) * slope
    velocity_error = np.abs(found - velocity).max()
    print(f"largest error of the position {error:.1e}, of the velocity {velocity_error:.1e}")
    assert error < 2e-3, error
    assert velocity_error < 5e-3, velocity_error


if __name__ == "__main__":
    main()
