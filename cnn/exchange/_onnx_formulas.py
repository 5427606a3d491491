"""Activations that ONNX graphs compute by several nodes.

`Formula` says what single numbers and functions make of the values before them. Products,
quotients and factors of formulas that together are an activation of cnn are replaced by it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cnn.activations import LeakyReLU
from cnn.exchange import folding
from cnn.exchange._onnx_values import Rows, common, formula, near, number
from cnn.exchange.folding import Activated

if TYPE_CHECKING:
    from cnn.activations import Activation
    from cnn.exchange._onnx_values import Formula, Node, Value


def applied(
    node: Node, x: Rows, activation: Activation, inner: float = 1.0, outer: float = 1.0
) -> Rows:
    """Return outer activation(inner x); factors that are 1 up to rounding are left out."""
    inner, outer = (1.0 if near(factor, 1) else factor for factor in (inner, outer))
    before = x.then(folding.scaled(node.what, inner))
    return before.then(Activated(node.what, activation)).then(folding.scaled(node.what, outer))


def product(node: Node, first: Rows, second: Rows) -> Rows | None:
    """Return x times a gate of x as an activation, or None."""
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
    return None


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
    if last[1] != 0:
        return None
    if gate.functions == ["softplus", "tanh"] and gate.numbers[:2] == [(1, 0), (1, 0)]:
        return applied(node, base, "mish", 1.0, factor * last[0])
    if gate.functions == ["relu6"] and inner == (1, 3):
        return applied(node, base, "hard_swish", 1.0, 6 * factor * last[0])
    if gate.functions == ["hard_sigmoid"] and inner == (1, 0):
        return applied(node, base, "hard_swish", 1.0, factor * last[0])
    return None


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
