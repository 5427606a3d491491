"""Central differences in float64, each with its tolerance.

With D(h) = (L(w + h) - L(w - h)) / 2h, the extrapolation E(h) = (4 D(h) - D(2h)) / 3 is
L' - c h^4 + O(h^6), so that E(2h) - E(h) is 15 times its truncation error: the tolerance for that
is the whole difference, which leaves room for the terms of higher order.

Each value is off by at most e, which tests/reference.py derives, so that E is off by
(4 e/h + e/2h) / 3 = 1.5 e/h. Weights are multiples of 2^-30 and h is a power of 2, so that w + h
is exact. The gradient's own error is the reference's too.

A kink within reach would spoil all this: networks with relu and the like are drawn until no input
of theirs is near it.
"""

import bounded
import numpy as np
import reference as ref

from cnn import _core

# Where those functions bend that are not smooth.
KINKS = {
    "step": (0,),
    "relu": (0,),
    "leaky_relu": (0,),
    "elu": (0,),
    "selu": (0,),
    "hard_sigmoid": (-3, 3),
    "hard_swish": (-3, 3),
    "relu6": (0, 6),
    "softsign": (0,),
}
# A tuple is an activation with its number.
KINKED = [*KINKS, ("leaky_relu", 0.2), ("elu", 0.5), ("elu", 2.0)]
SMOOTH = [name for name in _core.ACTIVATIONS if name not in {*KINKS, "softmax"}]
H = {True: 2.0**-9, False: 2.0**-16}  # by whether the loss is smooth in every weight
ROWS = 5


def extrapolated(f, h):
    """Return E(h) and the tolerance for its truncation."""
    d = [(f(k * h) - f(-k * h)) / (2 * k * h) for k in (1, 2, 4)]
    near, far = (4 * d[0] - d[1]) / 3, (4 * d[1] - d[2]) / 3
    return near, np.abs(far - near)


def rounding(e, h):
    """Return how far E(h) is off when each value is by e."""
    return 1.5 * e / h


# ---- Networks ----------------------------------------------------------------------------------


def quantized(network):
    """Round all parameters to multiples of 2^-30."""
    for i, layer in enumerate(network.layers):
        if layer.kind == "dense":
            for name in ("weight", "bias"):
                network.set(i, name, np.round(network.get(i, name) * 2**30) / 2**30)
    return network


def distance_to_kinks(network, x, settings, t):
    """Return how far the inputs of kinked functions are from where they bend."""
    reference = ref.Network(network)
    *taken, z = reference._run(x)
    distance = np.inf
    for layer, into in zip(reference.layers, taken, strict=True):
        for kink in KINKS.get(layer.activation, ()):
            sums = bounded.dot(into, layer.weight) + layer.bias
            distance = min(distance, float(np.abs(sums.value - kink).min()))
    if settings.kind == "huber":
        last = reference.layers[-1]
        r = ref.activation(last.activation, z, last.alpha).value - t
        distance = min(distance, float(np.abs(np.abs(r) - settings.delta).min()))
    if settings.kind in ("absolute_error", "quantile"):
        last = reference.layers[-1]
        r = ref.activation(last.activation, z, last.alpha).value - t
        distance = min(distance, float(np.abs(r).min()))
    return distance


def targets(settings, outputs, rng):
    if settings.labels:
        return rng.integers(0, outputs, ROWS)
    if settings.kind == "cross_entropy":
        return rng.dirichlet(np.ones(outputs), ROWS)
    if settings.kind == "binary_cross_entropy":
        return rng.uniform(0, 1, (ROWS, outputs))
    return rng.uniform(0, 3, (ROWS, outputs))


def case(network_of, sizes, hidden, output, settings, **options):
    """Return a network and data on which the loss is smooth within reach of 4 h."""
    for seed in range(200):
        made = network_of(sizes, hidden, output, dtype="float64", seed=seed, **options)
        network = quantized(made)
        rng = np.random.default_rng(seed)
        x = rng.uniform(-1, 1, (ROWS, sizes[0]))
        t = targets(settings, sizes[-1], rng)
        # One weight moves a sum by 4 h |x|, and a sum two layers up by some times that.
        if distance_to_kinks(network, x, settings, t) > 100 * H[False]:
            return network, x, t, rng.uniform(0.2, 2, ROWS)
    raise AssertionError("no network without a kink in reach")
