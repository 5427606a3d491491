"""Numbers and sizes for tests of bits."""

import numpy as np

from cnn import _core

FAST_ISAS = [name for name in _core.isas() if name != "scalar"]
SIZES = [*range(1, 41), 255, 256, 257, 511, 512, 513, 784]
FEW = [1, 5, 16, 33, 257]
# All but softmax; a tuple is an activation with its number.
HIDDEN = [
    *(n for n in _core.ACTIVATIONS if n != "softmax"),
    *((n, alpha) for n in _core.ALPHAS for alpha in (0.3, 2.5)),
]
LABELS = _core.Loss("cross_entropy", labels=True)


def numbers(seed, shape, dtype):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def on_scalar(f, threads=1):
    """Return f() as the scalar instruction set computes it, and go back to the present one."""
    now = _core.isa()
    _core.select_isa("scalar")
    _core.set_num_threads(threads)
    try:
        return f()
    finally:
        _core.select_isa(now)
