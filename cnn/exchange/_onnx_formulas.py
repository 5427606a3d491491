"""Activations that ONNX graphs compute by several nodes.

`Formula` says what single numbers and functions make of the values before them. Products,
quotients and factors of formulas that together are an activation of cnn are replaced by it.
"""

from __future__ import annotations

import math
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from cnn.activations import LeakyReLU
from cnn.exchange import folding
from cnn.exchange._onnx_values import Partial, Rows, common, formula, near, number
from cnn.exchange.folding import Activated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnn.activations import Activation
    from cnn.exchange._onnx_values import Formula, Node, Value

# In gelu_tanh, x (1 + tanh(GELU_ROOT (x + GELU_CUBIC x^3))) / 2.
GELU_ROOT, GELU_CUBIC = math.sqrt(2 / math.pi), 0.044715
# The most coefficients of a polynomial: that of x^3 is the last.
_MOST_COEFFICIENTS = 4


def applied(
    node: Node, x: Rows, activation: Activation, inner: float = 1.0, outer: float = 1.0
) -> Rows:
    """Return outer activation(inner x); factors that are 1 up to rounding are left out."""
    inner, outer = (1.0 if near(factor, 1) else factor for factor in (inner, outer))
    before = x.then(folding.scaled(node.what, inner))
    return before.then(Activated(node.what, activation)).then(folding.scaled(node.what, outer))


def product(node: Node, first: Rows, second: Rows) -> Rows | None:
    """Return x times a gate of x as an activation, a product of polynomials as one, or None."""
    base = common(first, second)
    if base is None:
        return None
    one, two = formula(first, base), formula(second, base)
    if one is None or two is None:
        return None
    for x, gate in ((one, two), (two, one)):
        factor = x.factor()
        if factor is not None:
            made = _gated(node, base, factor, gate)
            if made is not None:
                return made
    a, b = one.polynomial(), two.polynomial()
    if a is None or b is None:
        return None
    return _polynomial(node, base, np.convolve(a, b).tolist())


def total(node: Node, first: Rows, second: Rows) -> Rows | None:
    """Return a sum of polynomials of x as one, as in gelu_tanh, or None."""
    base = common(first, second)
    one = None if base is None else formula(first, base)
    two = None if base is None else formula(second, base)
    if base is None or one is None or two is None or not one.functions + two.functions:
        return None
    a, b = one.polynomial(), two.polynomial()
    if a is None or b is None:
        return None
    return _polynomial(node, base, [p + q for p, q in zip_longest(a, b, fillvalue=0.0)])


def power(node: Node, x: Rows, exponent: float) -> Rows | None:
    """Return x^2 or x^3, or None."""
    if exponent not in (2, 3):
        return None
    return _polynomial(node, x, [*[0.0] * int(exponent), 1.0])


def _polynomial(node: Node, base: Rows, coefficients: Sequence[float]) -> Rows | None:
    if len(coefficients) > _MOST_COEFFICIENTS:
        return None
    return base.then(Partial(node.what, "polynomial", coefficients=tuple(coefficients)))


def _gated(node: Node, base: Rows, factor: float, gate: Formula) -> Rows | None:
    """Return factor x gate(x) as an activation, or None."""
    inner, last = gate.numbers[0], gate.numbers[-1]
    if gate.functions == ["sigmoid"] and inner[1] == 0 and last[1] == 0 and inner[0] != 0:
        # x sigmoid(b x) is silu(b x) / b.
        return applied(node, base, "silu", inner[0], factor * last[0] / inner[0])
    if gate.functions == ["erf"] and inner[1] == 0 and near(*last) and inner[0] != 0:
        # x (1 + erf(b x)) is 2 gelu(c x) / c with c = sqrt(2) b.
        c = 1.0 if near(math.sqrt(2) * inner[0], 1) else math.sqrt(2) * inner[0]
        return applied(node, base, "gelu", c, 2 * factor * last[0] / c)
    inside = gate.polynomial("tanh")
    if inside is not None and near(*last):
        return _gelu_tanh(node, base, factor * last[0], inside)
    if last[1] != 0:
        return None
    if gate.functions == ["softplus", "tanh"] and gate.numbers[:2] == [(1, 0), (1, 0)]:
        return applied(node, base, "mish", 1.0, factor * last[0])
    if gate.functions == ["relu6"] and inner == (1, 3):
        return applied(node, base, "hard_swish", 1.0, 6 * factor * last[0])
    if gate.functions == ["hard_sigmoid"] and inner == (1, 0):
        return applied(node, base, "hard_swish", 1.0, factor * last[0])
    return None


def _gelu_tanh(node: Node, base: Rows, factor: float, inside: Sequence[float]) -> Rows | None:
    """Return factor x (1 + tanh(p(x))), p with these coefficients, or None.

    It is 2 factor gelu_tanh(c x) / c, if p(x) is GELU_ROOT (c x + GELU_CUBIC (c x)^3).
    """
    if len(inside) != _MOST_COEFFICIENTS or inside[0] != 0 or inside[2] != 0 or inside[1] == 0:
        return None
    c = inside[1] / GELU_ROOT
    if not near(inside[3], GELU_ROOT * GELU_CUBIC * c**3):
        return None
    c = 1.0 if near(c, 1) else c
    return applied(node, base, "gelu_tanh", c, 2 * factor / c)


def quotient(node: Node, first: Value, second: Value) -> Rows | None:
    """Return x / (1 + |x|), or 1 / (1 + exp(-x)), as an activation, or None."""
    if not isinstance(second, Rows):
        return None
    if isinstance(first, Rows):
        base = common(first, second)
        one = None if base is None else formula(first, base)
        two = None if base is None else formula(second, base)
        factor = None if one is None else one.factor()
        if base is None or two is None or factor is None:
            return None
        if two.functions == ["abs"] and two.numbers == [(1, 0), (1, 1)]:
            return applied(node, base, "softsign", 1.0, factor)
        return None
    factor, exponential = number(first), second.before
    while exponential is not None and isinstance(exponential.step, folding.Affine):
        exponential = exponential.before
    base = exponential.before if exponential is not None else None
    divisor = None if base is None else formula(second, base)
    if (
        base is None
        or divisor is None
        or factor is None
        or divisor.functions != ["exponential"]
        or divisor.numbers[-1] != (1, 1)
    ):
        return None
    return (
        base.then(folding.scaled(node.what, -1.0))
        .then(Activated(node.what, "sigmoid"))
        .then(folding.scaled(node.what, factor))
    )


def completed(node: Node, rows: Rows) -> Rows:
    """Return relu6(x + 3) / 6 as a hard sigmoid, and other rows as they are."""
    taken, at = 0, rows
    while at.before is not None and taken < 3 and at.step is not None:
        taken, at = taken + 1, at.before
    if taken == 3:
        found = formula(rows, at)
        if found is not None and found.functions == ["relu6"] and found.numbers[0] == (1, 3):
            scale, shift = found.numbers[1]
            if shift == 0 and near(scale, 1 / 6):
                return at.then(Activated(node.what, "hard_sigmoid"))
    return rows


def larger_of(node: Node, first: Rows, second: Rows) -> Rows | None:
    """Return max(x, slope x) for a slope of 0 to 1 as LeakyReLU, or None."""
    base = common(first, second)
    if base is None:
        return None
    for x, other in ((first, second), (second, first)):
        sloped = formula(other, base)
        slope = None if sloped is None else sloped.factor()
        if x is base and slope is not None and 0 < slope < 1:
            return base.then(Activated(node.what, LeakyReLU(slope)))
    return None
