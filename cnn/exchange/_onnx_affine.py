"""ONNX nodes that multiply by weights, and that add and multiply constants."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn.exchange import _onnx_formulas as formulas
from cnn.exchange import folding
from cnn.exchange._onnx_values import MOST_COLUMNS, Node, Rows, number
from cnn.exchange.folding import Product

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cnn.exchange._onnx_values import Handler, Value
    from cnn.exchange.folding import Affine, Numbers

# ---- Products ------------------------------------------------------------------------------------


def _product(node: Node, value: Value, weight: Value, bias: NDArray[Any] | None = None) -> Rows:
    """Return the rows that a layer makes by its weight of (inputs, outputs)."""
    x = node.rows(value)
    if not isinstance(weight, np.ndarray) or weight.ndim != 2:
        node.refuse("has weights that are not a constant of 2 dimensions")
    node.check_type("weights", weight)
    if not x.is_flat:
        node.refuse(f"multiplies an input of shape {x.described()}, should have 2 dimensions")
    if x.width is not None and weight.shape[0] != x.width:
        node.refuse(f"has weights for {weight.shape[0]} inputs, but it gets {x.width}")
    shape = (None, None) if x.shape is None else x.shape
    return x.then(Product(node.what, weight, bias), (*shape[:-1], weight.shape[1]))


def matmul(node: Node, inputs: list[Value]) -> Value:
    first, second = inputs
    if isinstance(first, np.ndarray) and isinstance(second, Rows):
        # A column of numbers instead of a row.
        if second.shape is None or len(second.shape) != 1:
            node.refuse("has a first input that does not come from the model's, but it should")
        return _product(node, second, first.T if first.ndim == 2 else first)
    return _product(node, first, second)


def _times_attribute(values: NDArray[Any], factor: float) -> NDArray[Any]:
    return values if factor == 1 else values * values.dtype.type(factor)


def gemm(node: Node, inputs: list[Value]) -> Value:
    node.expect("transA", 0, 0)
    weight, beta = inputs[1], node.get("beta", 1.0)
    if isinstance(weight, np.ndarray) and weight.dtype.kind == "f":
        weight = weight.T if node.get("transB", 0) else weight
        weight = _times_attribute(weight, node.get("alpha", 1.0))
    # With beta 0, C is not read: 0 times infinity would be NaN.
    bias = None if len(inputs) < 3 or beta == 0 else inputs[2]
    if bias is None:
        return _product(node, inputs[0], weight)
    if not isinstance(bias, np.ndarray):
        node.refuse("has a bias that is not a constant")
    node.check_type("a bias", bias)
    if isinstance(weight, np.ndarray) and weight.ndim == 2:
        outputs = weight.shape[1]
        if bias.shape not in ((), (1,), (1, 1), (outputs,), (1, outputs)):
            node.refuse(f"adds a constant of shape {bias.shape}, should be a bias of ({outputs},)")
        bias = np.broadcast_to(_times_attribute(bias, beta).ravel(), (outputs,))
    return _product(node, inputs[0], weight, bias)


# ---- Constants -----------------------------------------------------------------------------------


def _columns(node: Node, x: Rows, values: NDArray[Any]) -> Numbers:
    """Return a constant as a float64 for all columns or one for each."""
    node.check_type("a constant", values)
    shape = (None, None) if x.shape is None else x.shape
    if values.size == 1 and values.ndim <= max(2, len(shape)):
        return float(values.item())
    sizes = shape if len(shape) == 1 else shape[1:]
    given = (1,) * (1 + len(sizes) - values.ndim) + values.shape
    fits = len(given) == 1 + len(sizes) and given[0] == 1 and values.size > 0
    if fits and len(sizes) == 1 and sizes[0] is None:
        return values.ravel().astype(np.float64)
    made = x.width or 0
    fits = fits and all(a in (1, b) for a, b in zip(given[1:], sizes, strict=True))
    if not fits or made > max(MOST_COLUMNS, values.size):
        columns = "column" if x.width is None else f"of {x.width} columns"
        node.refuse(
            f"has a constant of shape {values.shape} for rows of shape {x.described()}, should be "
            f"a number or one for each {columns}"
        )
    spread = np.broadcast_to(values.reshape(given[1:]), [size or 0 for size in sizes])
    return spread.ravel().astype(np.float64)


def _affine(node: Node, x: Rows, values: NDArray[Any], made: Callable[..., Affine]) -> Rows:
    return x.then(made(node.what, _columns(node, x, values), values.dtype.name))


def _subtracted(name: str, values: Numbers, dtype: str) -> Affine:
    return folding.standardized(name, values, 1.0, dtype)


def _divided(name: str, values: Numbers, dtype: str) -> Affine:
    return folding.standardized(name, 0.0, values, dtype)


def _on_constants(node: Node, inputs: list[Value], operation: Callable[..., Any]) -> NDArray[Any]:
    """Return what NumPy makes of constants, of a size that is checked before it is made."""
    arrays = [value for value in inputs if isinstance(value, np.ndarray)]
    try:
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
    except ValueError as error:
        node.refuse(f"does not fit its constants: {error}")
    if math.prod(shape) > MOST_COLUMNS:
        node.refuse(f"makes a constant of shape {shape}, which is too large")
    if any(a.dtype != arrays[0].dtype or a.dtype.kind not in "fi" for a in arrays):
        node.refuse("computes with constants of types that cnn does not have")
    return np.asarray(operation(*arrays)).astype(arrays[0].dtype, copy=False)


def _all_constant(inputs: list[Value]) -> bool:
    return all(isinstance(value, np.ndarray) for value in inputs)


def add(node: Node, inputs: list[Value]) -> Value:
    if _all_constant(inputs):
        return _on_constants(node, inputs, np.add)
    first, second = inputs
    value, other = (second, first) if isinstance(first, np.ndarray) else (first, second)
    if isinstance(value, Rows) and isinstance(other, np.ndarray):
        return _affine(node, value, other, folding.shifted)
    if isinstance(value, Rows) and isinstance(other, Rows):
        made = formulas.total(node, value, other)
        if made is not None:
            return made
    node.refuse("adds two values of the network, should add a constant")


def subtract(node: Node, inputs: list[Value]) -> Value:
    if _all_constant(inputs):
        return _on_constants(node, inputs, np.subtract)
    first, second = inputs
    if isinstance(first, Rows) and isinstance(second, np.ndarray):
        return _affine(node, first, second, _subtracted)
    if isinstance(first, np.ndarray) and isinstance(second, Rows):
        negative = second.then(folding.scaled(node.what, -1.0))
        return _affine(node, negative, first, folding.shifted)
    node.refuse("subtracts two values of the network, should subtract a constant")


def multiply(node: Node, inputs: list[Value]) -> Value:
    if _all_constant(inputs):
        return _on_constants(node, inputs, np.multiply)
    first, second = inputs
    value, other = (second, first) if isinstance(first, np.ndarray) else (first, second)
    if isinstance(value, Rows) and isinstance(other, np.ndarray):
        return formulas.completed(node, _affine(node, value, other, folding.scaled))
    if isinstance(value, Rows) and isinstance(other, Rows):
        made = formulas.product(node, value, other)
        if made is not None:
            return made
    node.refuse("multiplies two values of the network that are no activation together")


def divide(node: Node, inputs: list[Value]) -> Value:
    if _all_constant(inputs):
        return _on_constants(node, inputs, np.divide)
    first, second = inputs
    if isinstance(first, Rows) and isinstance(second, np.ndarray):
        if not second.all():
            node.refuse("divides by 0")
        return formulas.completed(node, _affine(node, first, second, _divided))
    if isinstance(second, Rows):
        made = formulas.quotient(node, first, second)
        if made is not None:
            return made
    node.refuse("divides two values of the network that are no activation together")


def negative(node: Node, inputs: list[Value]) -> Value:
    if _all_constant(inputs):
        return _on_constants(node, inputs, np.negative)
    return node.rows(inputs[0]).then(folding.scaled(node.what, -1.0))


def square_root(node: Node, inputs: list[Value]) -> Value:
    if not _all_constant(inputs):
        node.refuse("takes the square root of what is not a constant")
    with np.errstate(invalid="ignore"):
        return _on_constants(node, inputs, np.sqrt)


def power(node: Node, inputs: list[Value]) -> Value:
    x, exponent = node.rows(inputs[0]), number(inputs[1])
    made = None if exponent is None else formulas.power(node, x, exponent)
    if made is None:
        node.refuse("has an exponent that is not the constant 2 or 3, as parts of gelu_tanh have")
    return made


def reciprocal(node: Node, inputs: list[Value]) -> Value:
    if _all_constant(inputs):
        return _on_constants(node, inputs, np.reciprocal)
    made = formulas.quotient(node, np.float32(1).reshape(1), inputs[0])
    if made is None:
        node.refuse("divides by a value of the network that is no part of an activation")
    return made


def batch_normalization(node: Node, inputs: list[Value]) -> Value:
    """(x - mean) / sqrt(var + epsilon) scale + B, of a column or, in pictures, a channel."""
    x = node.rows(inputs[0])
    node.expect("training_mode", 0, 0)
    node.expect("spatial", 1, 1)
    given = inputs[1:5]
    if len(given) < 4 or not _all_constant(given):
        node.refuse("has parameters that are not constant")
    arrays = [np.asarray(value) for value in given]
    shape = (None, None) if x.shape is None else x.shape
    channels = arrays[0].shape
    if len(shape) < 2 or len(channels) != 1 or any(a.shape != channels for a in arrays):
        node.refuse(f"has parameters of shapes {[a.shape for a in arrays]}, should be of one size")
    if len(shape) > 2:
        arrays = [a.reshape(-1, *[1] * (len(shape) - 2)) for a in arrays]
    scale, b, mean, var = (np.asarray(_columns(node, x, a)) for a in arrays)
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = np.sqrt(var + node.get("epsilon", 1e-5))
        good = np.isfinite(scale / deviation).all()
    if not good:
        node.refuse("has a variance that is negative, or parameters that are not finite")
    dtype = arrays[0].dtype.name
    return x.then(folding.normalized(node.what, mean, deviation, scale, b, dtype))


def scaler(node: Node, inputs: list[Value]) -> Value:
    """(x - offset) scale, of ai.onnx.ml."""
    x = node.rows(inputs[0])
    offset, scale = (np.asarray(node.get(n, []), np.float32) for n in ("offset", "scale"))
    if offset.size == 0 or scale.size == 0:
        node.refuse("has no offset or no scale")
    for values in (offset, scale):
        if values.size > 1 and x.width is not None and values.size != x.width:
            node.refuse(f"has {values.size} numbers for {x.width} columns")
    shift, factor = _one_or_each(offset), _one_or_each(scale)
    centred = folding.standardized(node.what, shift, 1.0)
    return x.then(centred.then(folding.scaled(node.what, factor)))


def _one_or_each(values: NDArray[Any]) -> Numbers:
    return float(values.item()) if values.size == 1 else values.ravel().astype(np.float64)


AFFINE: dict[str, Handler] = {
    "Add": add,
    "BatchNormalization": batch_normalization,
    "Div": divide,
    "Gemm": gemm,
    "MatMul": matmul,
    "Mul": multiply,
    "Neg": negative,
    "Pow": power,
    "Reciprocal": reciprocal,
    "Sqrt": square_root,
    "Sub": subtract,
    "ai.onnx.ml:Scaler": scaler,
}
