"""exp, tanh, sigmoid and the like, computed again with bounds of the library's rounding errors."""

import re
from pathlib import Path

import numpy as np
from bounded import Bounded, unit_wide

PI = np.longdouble("3.14159265358979323846264338327950288")


def _limits() -> dict[str, tuple[int, int]]:
    """Return the limits of accuracy/functions.h: ULP in float32 and float64."""
    text = (Path(__file__).parent / "c" / "accuracy" / "functions.h").read_text(encoding="utf-8")
    found = re.findall(r"X\((\w+), \w+, (\d+), (\d+),", text)
    return {name: (int(single), int(double)) for name, single, double in found}


LIMITS = _limits()

ELEMENTARY = [
    *("exp", "expm1", "log", "log1p", "tanh", "sigmoid", "softplus", "normal_cdf", "normal_pdf")
]

ULP = {
    **{name: LIMITS[name] for name in ELEMENTARY},
    # 1 + |x| and the quotient are rounded, and an ULP may be as small as u |y|.
    "softsign": (2, 2),
    # mish / x: exp(-|x|) is off by 1 ULP, or 2 u; p^2 + 2 p q hands on at most 4/3 of that and adds
    # 1 u; d and the quotient add 1 u each: 5.7 u.
    "mish_gate": (6, 6),
    # The derivative of that, 4 p q^2 (p + q) / d^2: at most 2.5 of the 2 u of exp, 4 u of products
    # and a sum, 6 u of the two d, and 2 u of the quotients.
    "mish_gate_slope": (17, 17),
}


def _sigmoid(x):
    w = np.exp(-np.abs(x))
    return np.where(x < 0, w, 1) / (1 + w)


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _mish_gate(x):
    return np.tanh(_softplus(x))


def _mish_gate_slope(x):
    """(1 - tanh^2(softplus(x))) sigmoid(x), without a difference; w = exp(-|x|)."""
    w = np.exp(-np.abs(x))
    p, q = np.where(x < 0, w, 1), np.where(x < 0, 1, w)
    return 4 * p * q**2 * (p + q) / (p * (p + 2 * q) + 2 * q**2) ** 2


def _softsign(x):
    return x / (1 + np.abs(x))


def _normal_pdf(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * x.dtype.type(PI))


def _series(y):
    """Phi(y) - 1/2 for 0 <= y < 2: pdf(y) (y + y^3/3 + y^5/15 + ...)."""
    term, total = y.copy(), y.copy()
    for n in range(1, 60):
        term = term * y * y / (2 * n + 1)
        total = total + term
    return total * _normal_pdf(y)


def _tail(y):
    """Phi(-y) for y >= 2: pdf(y) / (y + 1/(y + 2/(y + 3/(y + ...))))."""
    fraction = y
    for n in range(150, 0, -1):
        fraction = y + n / fraction
    return _normal_pdf(y) / fraction


def _normal_cdf(x):
    """Phi(x), its relative error as in reference_error."""
    y = np.abs(x)
    near = _series(np.minimum(y, 2))
    tail = np.where(y < 2, 0.5 - near, _tail(np.maximum(y, 2)))
    return np.where(x > 0, 1 - tail, tail)


FUNCTIONS = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "normal_cdf": _normal_cdf,
    "mish_gate": _mish_gate,
    "softsign": _softsign,
}


def reference_error(name: str, x, dtype):
    """Return the relative error of the reference's own functions.

    A few ULP of the C library and of the formulas above. exp(-x^2 / 2) has x^2 u_wide, since x^2 is
    rounded. Phi loses a factor of at most 22 where 1/2 - (Phi - 1/2) cancels, below 2; above, an
    error in one of the 150 fractions shrinks by n / fraction^2 from each to the next, which for
    y = 2 sums up to less than 150 of their 2 roundings.
    """
    wide = unit_wide(dtype)
    if name.startswith("normal"):
        square = np.minimum(np.abs(x).astype(np.float64), 50) ** 2
        return (300 + 2 * square) * wide
    return 16 * wide


def apply(name: str, x: Bounded) -> Bounded:
    """Return f(x), f being increasing: the most it changes is at an end of [x - e, x + e]."""
    f = FUNCTIONS[name]
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        y = f(x.value)
        change = 0.0
        if x.error.any():
            change = np.maximum(np.abs(f(x.value + x.error) - y), np.abs(y - f(x.value - x.error)))
    own = reference_error(name, x.value, x.dtype) * np.abs(y).astype(np.float64)
    return x.like(y, change + own).off(ULP[name][x.dtype.itemsize // 8])


def normal_pdf(x: Bounded) -> Bounded:
    """Return the normal density, whose slope is at most 1/4."""
    y = _normal_pdf(x.value)
    own = reference_error("normal_pdf", x.value, x.dtype) * y.astype(np.float64)
    return x.like(y, x.error / 4 + own).off(ULP["normal_pdf"][x.dtype.itemsize // 8])


def mish_gate_slope(x: Bounded) -> Bounded:
    """Return the slope of mish / x, whose own slope is at most 0.19 in size."""
    y = _mish_gate_slope(x.value)
    own = reference_error("mish_gate_slope", x.value, x.dtype) * y.astype(np.float64)
    return x.like(y, 0.19 * x.error + own).off(ULP["mish_gate_slope"][x.dtype.itemsize // 8])
