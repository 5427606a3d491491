"""ONNX nodes of activations, and of functions that are parts of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from cnn._base.numbers import exact
from cnn.activations import ELU, LeakyReLU
from cnn.exchange import _onnx_formulas as formulas
from cnn.exchange import folding
from cnn.exchange._onnx_values import FLOATS, Node, Partial, Rows, formula, near, number
from cnn.exchange.folding import Activated, Affine

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnn.activations import Activation
    from cnn.exchange._onnx_values import Handler, Value

# Above this, PyTorch's softplus is x, which agrees up to rounding.
_SOFTPLUS_THRESHOLD = 20.0
# The constants of SELU; ONNX has them in float32.
SELU_ALPHA, SELU_GAMMA = 1.6732632423543772, 1.0507009873554805
# Bounds beyond which exporters write those of float32 for none.
_NO_BOUND = 3.4e38


def _simple(name: str) -> Handler:
    """Return the handler of a node that is an activation, as it is."""

    def handler(node: Node, inputs: list[Value]) -> Value:
        return node.rows(inputs[0]).then(Activated(node.what, name))

    return handler


def _of_number(
    node: Node, what: str, value: float, made: Callable[[float], Activation]
) -> Activation:
    """Return an activation with a number, ReLU if the number is 0."""
    if value == 0:
        return "relu"
    try:
        return made(value)
    except ValueError as error:
        node.refuse(f"has {what} {exact(value)}, which cnn does not have: {error}")


def _leaky(node: Node, what: str, slope: float) -> Activation:
    return "identity" if slope == 1 else _of_number(node, what, slope, LeakyReLU)


def leaky_relu(node: Node, inputs: list[Value]) -> Value:
    slope = node.number("alpha", 0.01)
    return node.rows(inputs[0]).then(Activated(node.what, _leaky(node, "alpha", slope)))


def prelu(node: Node, inputs: list[Value]) -> Value:
    x, slope = node.rows(inputs[0]), inputs[1]
    if not isinstance(slope, np.ndarray) or slope.size == 0:
        node.refuse("has a slope that is not a constant")
    node.check_type("a slope", slope)
    if (slope != slope.flat[0]).any():
        node.refuse("has several slopes, should have one for all columns as LeakyRelu")
    # The slope is a parameter, and used to the bit.
    return x.then(Activated(node.what, _leaky(node, "a slope of", float(slope.flat[0]))))


def elu(node: Node, inputs: list[Value]) -> Value:
    activation = _of_number(node, "alpha", node.number("alpha", 1.0), ELU)
    return node.rows(inputs[0]).then(Activated(node.what, activation))


def selu(node: Node, inputs: list[Value]) -> Value:
    """SELU, or for other constants gamma ELU(alpha)."""
    x = node.rows(inputs[0])
    alpha, gamma = node.number("alpha", SELU_ALPHA), node.number("gamma", SELU_GAMMA)
    if near(alpha, SELU_ALPHA) and near(gamma, SELU_GAMMA):
        return x.then(Activated(node.what, "selu"))
    return formulas.applied(node, x, _of_number(node, "alpha", alpha, ELU), 1.0, gamma)


def celu(node: Node, inputs: list[Value]) -> Value:
    """Alpha ELU(x / alpha)."""
    x, alpha = node.rows(inputs[0]), node.number("alpha", 1.0)
    if alpha <= 0:
        node.refuse(f"has alpha {exact(alpha)}, should be positive")
    return formulas.applied(node, x, "elu", 1 / alpha, alpha)


def thresholded_relu(node: Node, inputs: list[Value]) -> Value:
    x, alpha = node.rows(inputs[0]), node.number("alpha", 1.0)
    if alpha != 0:
        node.refuse(f"has alpha {exact(alpha)}, should be 0 as Relu")
    return x.then(Activated(node.what, "relu"))


def swish(node: Node, inputs: list[Value]) -> Value:
    """X sigmoid(alpha x), which is silu(alpha x) / alpha."""
    x, alpha = node.rows(inputs[0]), node.number("alpha", 1.0)
    if alpha == 0:
        return x.then(folding.scaled(node.what, 0.5))
    return formulas.applied(node, x, "silu", alpha, 1 / alpha)


def gelu(node: Node, inputs: list[Value]) -> Value:
    form = node.text("approximate", "none")
    if form not in ("none", "tanh"):
        node.refuse(f"has approximate {form!r}, should be 'none' or 'tanh'")
    name = "gelu" if form == "none" else "gelu_tanh"
    return node.rows(inputs[0]).then(Activated(node.what, name))


def hard_sigmoid(node: Node, inputs: list[Value]) -> Value:
    """Take alpha x + beta from 0 to 1; other numbers than 1/6 and 0.5 are folded."""
    x, alpha, beta = node.rows(inputs[0]), node.get("alpha", 0.2), node.get("beta", 0.5)
    return _clipped(node, x.then(folding.linear(node.what, alpha, beta)), 0, 1)


def _clipped(node: Node, x: Rows, low: float | None, high: float | None) -> Rows:
    """Return the rows with bounds."""
    if low is not None and high is not None and not low < high:
        node.refuse(f"clips from {exact(low)} to {exact(high)}, should be to a larger bound")
    steps = folding.clipped(node.what, low, high)
    if len(steps) == 3 and x.before is not None and isinstance(steps[0], Affine):
        # x / 6 + 1 / 2 clipped to 0 to 1 is the hard sigmoid itself.
        found = formula(x, x.before)
        if found is not None and not found.functions:
            whole = folding.linear("", *found.numbers[0]).then(steps[0]).numbers
            if whole is not None and near(whole[0], 1) and abs(whole[1]) < 1e-6:
                x, steps = x.before, steps[1:]
    for step in steps:
        x = x.then(step)
    return x


def _bound(node: Node, value: Value) -> float | None:
    if value is None:
        return None
    bound = number(value)
    if bound is None or math.isnan(bound):
        node.refuse("has a bound that is not a constant number")
    return None if abs(bound) > _NO_BOUND else bound


def clip(node: Node, inputs: list[Value]) -> Value:
    """Any bounds; before opset 11 they are attributes."""
    x = node.rows(inputs[0])
    bounds = [node.get("min", None), node.get("max", None)]
    bounds = [None if b is None else np.asarray(b) for b in bounds]
    for i, value in enumerate(inputs[1:3]):
        bounds[i] = value
    low, high = (_bound(node, bound) for bound in bounds)
    return _clipped(node, x, low, high)


def maximum(node: Node, inputs: list[Value]) -> Value:
    return _extreme(node, inputs, is_maximum=True)


def minimum(node: Node, inputs: list[Value]) -> Value:
    return _extreme(node, inputs, is_maximum=False)


def _extreme(node: Node, inputs: list[Value], *, is_maximum: bool) -> Value:
    if len(inputs) == 2:
        first, second = inputs
        x, other = (second, first) if isinstance(first, np.ndarray) else (first, second)
        if isinstance(x, Rows) and isinstance(other, np.ndarray):
            bound = _bound(node, other)
            return _clipped(node, x, *((bound, None) if is_maximum else (None, bound)))
        if is_maximum and isinstance(x, Rows) and isinstance(other, Rows):
            made = formulas.larger_of(node, x, other)
            if made is not None:
                return made
    node.refuse("compares values of the network, should be with a constant number")


def softmax(node: Node, inputs: list[Value]) -> Value:
    x = node.rows(inputs[0])
    axis = node.get("axis", -1 if node.opset >= 13 else 1)
    last = {-1} if x.shape is None else {-1, len(x.shape) - 1}
    if axis not in (last | {1} if x.is_flat else last):
        node.refuse(f"has axis {axis}, should be -1 or 1")
    if not x.is_flat:
        node.refuse(f"takes rows of shape {x.described()}, should have 2 dimensions")
    return x.then(Activated(node.what, "softmax"))


def _partial(function: str) -> Handler:
    """Return the handler of a node that is only a part of activations."""

    def handler(node: Node, inputs: list[Value]) -> Value:
        return node.rows(inputs[0]).then(Partial(node.what, function))

    return handler


# ---- Comparisons ---------------------------------------------------------------------------------


def greater(node: Node, inputs: list[Value]) -> Value:
    x, threshold = inputs[0], number(inputs[1])
    if not isinstance(x, Rows) or threshold is None:
        node.refuse("does not compare with a constant, should be x > 0 for step")
    return x.then(Partial(node.what, "above", threshold))


def where(node: Node, inputs: list[Value]) -> Value:
    above, then, other = inputs
    if isinstance(above, Rows) and isinstance(above.step, Partial) and isinstance(other, Rows):
        base = above.before
        if (
            above.step.function == "above"
            and above.step.number >= _SOFTPLUS_THRESHOLD
            and base is not None
            and then is base
            and other.before is base
            and isinstance(other.step, Activated)
            and other.step.activation == "softplus"
        ):
            return other
    node.refuse("chooses between values, should be a part of Softplus")


def cast_of_rows(node: Node, x: Rows, to: int) -> Rows:
    """Return rows as floats; x > 0 becomes the activation step."""
    if isinstance(x.step, Partial) and x.step.function == "above" and x.before is not None:
        if to in FLOATS and x.step.number == 0:
            return x.before.then(Activated(node.what, "step"))
        if to in FLOATS:
            node.refuse(f"makes numbers of x > {exact(x.step.number)}, should be x > 0 for step")
    if to not in FLOATS:
        name = _OTHERS.get(to, "")
        node.refuse(f"makes values of ONNX type {to}{name}, should be 1 (float32) or 11 (float64)")
    return x


_OTHERS = {10: " (float16)", 16: " (bfloat16)", 9: " (bool)", 6: " (int32)", 7: " (int64)"}

ACTIVATIONS: dict[str, Handler] = {
    "Abs": _partial("abs"),
    "Celu": celu,
    "Clip": clip,
    "Elu": elu,
    "Erf": _partial("erf"),
    "Exp": _simple("exponential"),
    "Gelu": gelu,
    "Greater": greater,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": _simple("hard_swish"),
    "LeakyRelu": leaky_relu,
    "Max": maximum,
    "Min": minimum,
    "Mish": _simple("mish"),
    "PRelu": prelu,
    "Relu": _simple("relu"),
    "Selu": selu,
    "Sigmoid": _simple("sigmoid"),
    "Softmax": softmax,
    "Softplus": _simple("softplus"),
    "Softsign": _simple("softsign"),
    "Swish": swish,
    "Tanh": _simple("tanh"),
    "ThresholdedRelu": thresholded_relu,
    "Where": where,
}
