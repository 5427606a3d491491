"""The far tails of activations: how far off they are where the docstrings say so.

References have 50 digits, by `decimal`.
"""

from decimal import Decimal, localcontext

import numpy as np
import pytest

import cnn
from cnn import _core

DIGITS = 50
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494")


def sigmoid(x):
    return 1 / (1 + (-x).exp())


def normal_cdf(x):
    """Phi(x) for x <= -2: pdf(y) / (y + 1/(y + 2/(y + ...))) with y = -x."""
    y = -x
    fraction = y
    for n in range(400, 0, -1):
        fraction = y + n / fraction
    return (-y * y / 2).exp() / (2 * PI).sqrt() / fraction


def gelu_tanh_exponent(x):
    """A = sqrt(8 / pi) (x + 0.044715 x^3)."""
    return (8 / PI).sqrt() * (x + Decimal("0.044715") * x**3)


# The factor of x; from where on it is 0 in float32 and in float64; and how many units in the last
# place the product is off. gelu_tanh's exponent a has four roundings of u, so that exp(a) is off by
# 4 u |a|, which is at most 4 |a| units.
TAILS = {
    "silu": (sigmoid, 104, 746, lambda x: 4),
    "gelu": (normal_cdf, 14.6, 38.7, lambda x: 4),
    "gelu_tanh": (
        lambda x: sigmoid(gelu_tanh_exponent(x)), 10.6, 21.7,
        lambda x: 4 + 4 * abs(gelu_tanh_exponent(x)),
    ),
}  # fmt: skip


def tail(dtype, most):
    return -np.concatenate([np.linspace(2, most, 700), np.linspace(0.8, 1, 700) * most]).astype(
        dtype
    )


@pytest.mark.parametrize("name", TAILS)
def test_tails_of_products(name, dtype):
    """A number of ULP, and |x| times the least denormal number, as the docstrings have it.

    Where the factor of x is denormal, its last digit is 2^-149 or 2^-1074, which x multiplies.
    """
    factor, most32, most64, units = TAILS[name]
    x = tail(dtype, most32 if dtype == np.float32 else most64)
    y = getattr(cnn, name)(x)
    least = Decimal(float(np.finfo(dtype).smallest_subnormal))
    worst = 0.0
    with localcontext() as context:
        context.prec = DIGITS
        for a, got in zip(x, y, strict=True):
            exact_x = Decimal(float(a))
            expected = exact_x * factor(exact_x)
            spacing = Decimal(float(np.spacing(dtype.type(abs(float(expected))))))
            off = abs(Decimal(float(got)) - expected)
            assert off <= units(exact_x) * spacing + abs(exact_x) * least, a
            worst = max(worst, float(off / spacing))
    assert worst > 4, "the part of |x| is needed, or the docstring says too much"
    assert "smallest denormal" in getattr(cnn, name).__doc__


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "elu", "tanh"])
def test_other_tails_keep_their_relative_error(name, dtype):
    """sigmoid and softplus down to denormal numbers, elu and tanh near 0: 3 ULP."""
    far = 103 if dtype == np.float32 else 744
    if name in ("sigmoid", "softplus"):
        x = -np.linspace(1, far, 1500).astype(dtype)
    else:
        powers = np.linspace(-44 if dtype == np.float32 else -322, -0.3, 1500)
        x = -(10.0**powers).astype(dtype)
    y = _core.activation(name, x)
    with localcontext() as context:
        context.prec = 400 if name in ("elu", "tanh") else DIGITS + 330
        for a, got in zip(x[::7], y[::7], strict=True):
            e = Decimal(float(a)).exp()
            expected = {
                "sigmoid": lambda e=e: e / (1 + e),
                "softplus": lambda e=e: (1 + e).ln(),
                "elu": lambda e=e: e - 1,
                "tanh": lambda e=e: (e * e - 1) / (e * e + 1),
            }[name]()
            spacing = Decimal(float(np.spacing(dtype.type(abs(float(expected))))))
            assert abs(Decimal(float(got)) - expected) <= 3 * spacing, a


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "elu"])
def test_derivatives_from_outputs_are_within_a_rounding_of_1(name, dtype):
    """Taken from y, which is rounded: the error is a few roundings of 1, not of the derivative."""
    x = np.linspace(-40, 40, 999).astype(dtype)
    y = _core.activation(name, x)
    got = _core.activation_backward(name, np.ones_like(y), y).astype(np.float64)
    wide = x.astype(np.longdouble)
    e = np.exp(-np.abs(wide))
    expected = {
        "sigmoid": e / (1 + e) ** 2,
        "tanh": 4 * e * e / (1 + e * e) ** 2,
        "elu": np.where(wide > 0, 1, e),
    }[name]
    assert np.abs(got - expected.astype(np.float64)).max() <= 4 * np.finfo(dtype).eps
