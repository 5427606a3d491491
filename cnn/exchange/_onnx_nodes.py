"""The evaluation of ONNX nodes on rows, sizes and constants.

Activations that are made of several nodes, such as GELU and SiLU in older opsets, are recognised by
the values of these nodes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from cnn._base.numbers import exact
from cnn.activations import ELU, LeakyReLU
from cnn.exchange.assembly import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cnn.activations import Unchecked as Activation

# Above this, PyTorch's softplus is x, which agrees up to rounding.
_SOFTPLUS_THRESHOLD = 20.0
# The constants of SELU; ONNX has them in float32.
SELU_ALPHA, SELU_GAMMA = 1.6732632423543772, 1.0507009873554805
# ONNX's numbers of the types that a Cast may make.
_FLOATS = {1: "float32", 11: "float64"}
_INTEGERS = {6: "int32", 7: "int64"}
_OTHERS = {10: " (float16)", 16: " (bfloat16)", 9: " (bool)", 6: " (int32)", 7: " (int64)"}
# The most dimensions of a NumPy array, and so the most sizes of a shape. The length of a shape is
# checked before the shape is made, since each Concat could double the one before.
MOST_SIZES = 64


# ---- Values --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of numbers that are computed from the input.

    `layer` is the last dense layer before these rows, and `inputs` are its input rows; both are
    None before the first layer. `before` are the rows to which the layer's activation was applied.
    The rows are `factor` times a function of `base`, named by `form`: "x" is the identity, "erf",
    "1+erf" and "x(1+erf)" are parts of GELU, "tanh of softplus" is one of Mish, "abs" and "1+abs"
    are parts of Softsign, and "above" is x > threshold.
    """

    shape: tuple[int | None, ...] | None
    layer: Part | None = None
    inputs: Rows | None = None
    before: Rows | None = None
    base: Rows | None = None
    form: str = "x"
    factor: float = 1.0

    @property
    def plain(self) -> bool:
        return self.base is None

    @property
    def width(self) -> int | None:
        return self.shape[1] if self.shape is not None and len(self.shape) == 2 else None

    def parts(self) -> list[Part]:
        """Return the layers from the first to this one."""
        found: list[Part] = []
        rows: Rows | None = self
        while rows is not None and rows.layer is not None:
            found.append(rows.layer)
            rows = rows.inputs
        return found[::-1]


@dataclass(frozen=True, eq=False)
class Sizes:
    """Sizes from which exporters compute shapes; None stands for the number of rows."""

    sizes: tuple[int | None, ...]
    scalar: bool = False


Value: TypeAlias = "Rows | Sizes | NDArray[Any] | None"


def number(value: Value) -> float | None:
    """Return the number of a constant of one element that broadcasts to rows, or None."""
    if isinstance(value, np.ndarray) and value.size == 1 and value.ndim <= 2:
        return float(value.item()) if value.dtype.kind in "biuf" else None
    return None


class Node:
    """A node with its attributes; `refuse` raises an error that names it."""

    def __init__(self, onnx: Any, proto: Any, domain: str, opset: int) -> None:
        self.op = proto.op_type
        self.domain = domain
        self.name = proto.name or next(iter(proto.output), "")
        self.opset = opset
        self._attributes = {}
        for attribute in proto.attribute:
            try:
                value = onnx.helper.get_attribute_value(attribute)
            except ValueError:
                self.refuse(f"has an attribute {attribute.name!r} that has no value of its own")
            self._attributes[attribute.name] = value

    def get(self, name: str, default: Any) -> Any:
        return self._attributes.get(name, default)

    def refuse(self, why: str) -> NoReturn:
        raise ValueError(f"from_onnx: node {self.name!r} ({self.op}) {why}")

    def expect(self, name: str, default: Any, should: Any) -> None:
        """Refuse an attribute whose value differs from `should` by more than float32's rounding."""
        value = self.get(name, default)
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        if isinstance(should, float):
            good = isinstance(value, float) and math.isclose(value, should, rel_tol=1e-7)
        else:
            good = value == should
        if not good:
            if isinstance(value, float):
                # Attributes are float32.
                value, should = exact(np.float32(value)), exact(should)
            else:
                value, should = repr(value), repr(should)
            self.refuse(f"has {name} {value}, should be {should}")


# ---- Layers --------------------------------------------------------------------------------------

Handler: TypeAlias = "Callable[[Node, list[Value]], Value]"


def _rows(node: Node, value: Value) -> Rows:
    if not isinstance(value, Rows):
        node.refuse("has a first input that does not come from the model's, but it should")
    return value


def _check_plain(node: Node, x: Rows) -> None:
    if not x.plain:
        node.refuse("takes part of an activation that is not one of cnn's")
    if x.layer is not None and x.layer.activation == "softmax":
        node.refuse("comes after Softmax, which only the last layer can have")


def _product(node: Node, value: Value, weight: Value) -> Rows:
    """Return the rows that a layer makes by its weights, without a bias."""
    x = _rows(node, value)
    if not isinstance(weight, np.ndarray) or weight.ndim != 2:
        node.refuse("has weights that are not a constant of 2 dimensions")
    _check_plain(node, x)
    _check_type(node, "weights", weight)
    if x.shape is not None and len(x.shape) != 2:
        node.refuse(f"multiplies an input of shape {_shape(x)}, should have 2 dimensions")
    if x.width is not None and weight.shape[0] != x.width:
        node.refuse(f"has weights for {weight.shape[0]} inputs, but it gets {x.width}")
    batch = None if x.shape is None else x.shape[0]
    layer = Part(f"node {node.name!r}", weight)
    return Rows((batch, weight.shape[1]), layer, inputs=x)


def _check_type(node: Node, what: str, values: NDArray[Any]) -> None:
    if values.dtype.name not in _FLOATS.values():
        node.refuse(
            f"has {what} of dtype {values.dtype.name}, should be float32 or float64; save the "
            f"model in float32, as it was before it was quantised"
        )


def _shape(x: Rows) -> str:
    sizes = ", ".join("?" if size is None else str(size) for size in x.shape or ())
    return f"({sizes},)" if x.shape is not None and len(x.shape) == 1 else f"({sizes})"


def _with_bias(node: Node, x: Rows, values: NDArray[Any]) -> Rows:
    layer = x.layer
    if not x.plain or layer is None:
        node.refuse("does not follow a product with weights, should be the bias of one")
    if layer.bias is not None or layer.activation is not None:
        node.refuse("comes after a layer that has its bias or activation already")
    _check_type(node, "a bias", values)
    outputs = layer.weight.shape[1]
    if values.shape not in ((), (1,), (1, 1), (outputs,), (1, outputs)):
        node.refuse(f"adds a constant of shape {values.shape}, should be a bias of ({outputs},)")
    bias = np.broadcast_to(values.ravel(), (outputs,))
    return replace(x, layer=replace(layer, bias=bias))


def _scaled(values: NDArray[Any], factor: float) -> NDArray[Any]:
    return values if factor == 1 else values * values.dtype.type(factor)


def _gemm(node: Node, inputs: list[Value]) -> Value:
    node.expect("transA", 0, 0)
    weight = inputs[1]
    if isinstance(weight, np.ndarray) and weight.dtype.kind == "f":
        weight = _scaled(weight.T if node.get("transB", 0) else weight, node.get("alpha", 1.0))
    product = _product(node, inputs[0], weight)
    beta = node.get("beta", 1.0)
    # With beta 0, C is not read: 0 times infinity would be NaN.
    if len(inputs) < 3 or inputs[2] is None or beta == 0:
        return product
    bias = inputs[2]
    if not isinstance(bias, np.ndarray):
        node.refuse("has a bias that is not a constant")
    if bias.dtype.kind == "f":
        bias = _scaled(bias, beta)
    return _with_bias(node, product, bias)


def _matmul(node: Node, inputs: list[Value]) -> Value:
    return _product(node, inputs[0], inputs[1])


def _constant_last(inputs: list[Value]) -> tuple[Value, Value]:
    first, second = inputs
    return (second, first) if isinstance(first, np.ndarray) else (first, second)


def _add(node: Node, inputs: list[Value]) -> Value:
    value, constant = _constant_last(inputs)
    if not isinstance(value, Rows) or not isinstance(constant, np.ndarray):
        node.refuse("adds two values of the network, should add a constant bias")
    if value.form in ("erf", "abs") and value.factor == 1 and number(constant) == 1:
        return replace(value, form=f"1+{value.form}")
    return _with_bias(node, value, constant)


# ---- Activations ---------------------------------------------------------------------------------


def _mul(node: Node, inputs: list[Value]) -> Value:
    value, other = _constant_last(inputs)
    if isinstance(value, Rows) and isinstance(other, np.ndarray):
        factor = number(other)
        if factor is None or value.form == "above":
            node.refuse("multiplies by a constant that is not a part of GELU")
        return _times(value, factor)
    if isinstance(value, Rows) and isinstance(other, Rows):
        for x, gate in ((value, other), (other, value)):
            # SiLU, if the gate is the sigmoid of the same values.
            if x.plain and _is_activation("sigmoid", gate, x):
                return _activated(node, x, "silu")
            if gate.form == "tanh of softplus" and gate.base is x and gate.factor == 1:
                return _activated(node, x, "mish")
            base = x if x.plain else x.base
            if gate.form == "1+erf" and x.form == "x" and gate.base is base:
                return _finished(replace(gate, form="x(1+erf)", factor=x.factor * gate.factor))
    node.refuse("multiplies two values of the network that are not GELU or SiLU together")


def _div(node: Node, inputs: list[Value]) -> Value:
    value, other = inputs
    if isinstance(other, Rows) and other.form == "1+abs" and other.base is value:
        return _activated(node, value, "softsign")
    divisor = number(other)
    if not isinstance(value, Rows) or not divisor:
        node.refuse("divides by something that is not a constant of GELU")
    if value.form == "above":
        node.refuse("divides what is not a part of GELU")
    return _times(value, 1 / divisor)


def _times(value: Rows, factor: float) -> Rows:
    if factor == 1:
        return value
    base = value if value.plain else value.base
    return _finished(replace(value, base=base, factor=value.factor * factor))


def _finished(value: Rows) -> Rows:
    """Return the layer with GELU if a value is complete, otherwise the value."""
    base = value.base
    complete = value.form == "x(1+erf)" and math.isclose(value.factor, 0.5, rel_tol=1e-6)
    if not complete or base is None or base.layer is None or base.layer.activation is not None:
        return value
    return _with_activation(base, base.layer, "gelu")


def _erf(node: Node, inputs: list[Value]) -> Value:
    x = _rows(node, inputs[0])
    if x.form != "x" or x.plain or not math.isclose(x.factor, math.sqrt(0.5), rel_tol=1e-6):
        node.refuse("is not of x / sqrt(2), should be a part of GELU")
    return replace(x, form="erf", factor=1.0)


def _with_activation(x: Rows, layer: Part, activation: Activation) -> Rows:
    return replace(x, layer=replace(layer, activation=activation), before=x)


def _is_activation(name: str, value: Rows, of: Rows) -> bool:
    made = value.plain and value.before is of and value.layer is not None
    return made and value.layer is not None and value.layer.activation == name


def _activated(node: Node, value: Value, activation: Activation) -> Rows:
    x = _rows(node, value)
    _check_plain(node, x)
    if x.layer is None:
        node.refuse("comes before the first dense layer, should come after one")
    if x.layer.activation is not None:
        node.refuse(f"comes after the activation {x.layer.activation}, should come after a layer")
    return _with_activation(x, x.layer, activation)


def _activation(name: str, **expected: tuple[Any, Any]) -> Handler:
    """Return the handler of an activation; `expected` has ONNX's default and cnn's attributes."""

    def handler(node: Node, inputs: list[Value]) -> Value:
        for attribute, (default, should) in expected.items():
            node.expect(attribute, default, should)
        return _activated(node, inputs[0], name)

    return handler


def _numbered(made: Callable[[float], LeakyReLU | ELU], default: float) -> Handler:
    """Return the handler of an activation whose parameter is the attribute alpha."""

    def handler(node: Node, inputs: list[Value]) -> Value:
        # Attributes are float32; the shortest decimal that rounds to this one is the intended
        # number.
        alpha = float(exact(np.float32(node.get("alpha", default))))
        try:
            activation = made(alpha)
        except ValueError as error:
            node.refuse(f"has alpha {exact(alpha)}, which cnn does not have: {error}")
        return _activated(node, inputs[0], activation)

    return handler


def _clip(node: Node, inputs: list[Value]) -> Value:
    """ReLU6; before opset 11 the bounds are attributes."""
    bounds = [node.get("min", None), node.get("max", None)]
    for i, value in enumerate(inputs[1:3]):
        bounds[i] = number(value)
    if bounds != [0, 6]:
        shown = " to ".join("?" if b is None else exact(b) for b in bounds)
        node.refuse(f"clips from {shown}, should be from 0 to 6 as ReLU6")
    return _activated(node, inputs[0], "relu6")


def _tanh(node: Node, inputs: list[Value]) -> Value:
    x = _rows(node, inputs[0])
    if x.before is not None and _is_activation("softplus", x, x.before):
        return replace(x.before, base=x.before, form="tanh of softplus")
    return _activated(node, x, "tanh")


def _abs(node: Node, inputs: list[Value]) -> Value:
    x = _rows(node, inputs[0])
    if not x.plain:
        node.refuse("is not of a layer's outputs, should be a part of Softsign")
    return replace(x, base=x, form="abs")


def _softmax(node: Node, inputs: list[Value]) -> Value:
    axis = node.get("axis", -1 if node.opset >= 13 else 1)
    if axis not in (-1, 1):
        node.refuse(f"has axis {axis}, should be -1 or 1")
    return _activated(node, inputs[0], "softmax")


def _greater(node: Node, inputs: list[Value]) -> Value:
    x, threshold = inputs[0], number(inputs[1])
    if not isinstance(x, Rows) or not x.plain or threshold is None:
        node.refuse("does not compare with a constant, should be x > 0 for step")
    return replace(x, base=x, form="above", factor=threshold)


def _where(node: Node, inputs: list[Value]) -> Value:
    above, then, other = inputs
    if (
        isinstance(above, Rows)
        and above.form == "above"
        and above.factor >= _SOFTPLUS_THRESHOLD
        and above.base is not None
        and then is above.base
        and isinstance(other, Rows)
        and _is_activation("softplus", other, above.base)
    ):
        return other
    node.refuse("chooses between values, should be a part of Softplus")


def _is_number(values: NDArray[Any]) -> bool:
    """Whether a constant holds numbers, including ONNX's own types (float8, float4)."""
    return values.dtype.kind in "biuf" or values.dtype.name.startswith(("float8_", "float4_"))


def _cast(node: Node, inputs: list[Value]) -> Value:
    (value,) = inputs
    to = node.get("to", 0)
    if isinstance(value, Sizes) and to in _INTEGERS:
        return value
    if isinstance(value, np.ndarray):
        name = (_FLOATS | _INTEGERS).get(to)
        if name is None or not _is_number(value):
            node.refuse("makes a constant of a type that cnn does not have")
        return value.astype(name, copy=False)
    x = _rows(node, value)
    if to not in _FLOATS:
        node.refuse(
            f"makes values of ONNX type {to}{_OTHERS.get(to, '')}, should be 1 (float32) or 11 "
            f"(float64)"
        )
    if x.form == "above":
        if x.factor != 0:
            node.refuse(f"makes numbers of x > {exact(x.factor)}, should be x > 0 for step")
        return _activated(node, x.base, "step")
    return x


# ---- Shapes --------------------------------------------------------------------------------------


def _identity(node: Node, inputs: list[Value]) -> Value:
    if inputs[0] is None:
        node.refuse("has no input")
    return inputs[0]


def _dropout(node: Node, inputs: list[Value]) -> Value:
    x = _rows(node, inputs[0])
    if len(inputs) > 2 and inputs[2] is not None:
        training = inputs[2]
        if number(training) != 0:
            node.refuse("is in training mode; export the model in inference mode")
    return x


def _transpose(node: Node, inputs: list[Value]) -> Value:
    if not isinstance(inputs[0], np.ndarray):
        node.refuse("transposes what is not a constant")
    axes = node.get("perm", None)
    try:
        return np.transpose(inputs[0], None if axes is None else list(axes))
    except ValueError as error:
        node.refuse(f"does not fit its constant: {error}")


def _flatten(node: Node, inputs: list[Value]) -> Value:
    x = _rows(node, inputs[0])
    axis = node.get("axis", 1)
    if axis != 1 and (x.shape is None or axis != 1 - len(x.shape)):
        node.refuse(f"has axis {axis}, should be 1: all of a sample in a row")
    return _flat(x)


def _flat(x: Rows) -> Rows:
    if x.shape is None or len(x.shape) == 2:
        return x
    sizes = x.shape[1:]
    known = [size for size in sizes if size is not None]
    width = math.prod(known) if len(known) == len(sizes) else None
    return replace(x, shape=(*x.shape[:1], width))


def _sizes(node: Node, value: Value) -> tuple[int | None, ...]:
    """Return the sizes of a shape, in which None stands for the number of rows."""
    if isinstance(value, Sizes) and not value.scalar:
        return value.sizes
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind != "i":
        node.refuse("has a shape that is neither constant nor that of the input")
    _check_count(node, value.size)
    return tuple(value.tolist())


def _check_count(node: Node, sizes: int) -> None:
    if sizes > MOST_SIZES:
        node.refuse(f"makes a shape of {sizes} sizes, should have at most {MOST_SIZES}")


def _reshape(node: Node, inputs: list[Value]) -> Value:
    value, sizes = inputs[0], _sizes(node, inputs[1])
    if node.get("allowzero", 0) and 0 in sizes:
        node.refuse(f"has shape {list(sizes)} with zeros that are allowed, should have none")
    if isinstance(value, np.ndarray):
        known = [size for size in sizes if size is not None]
        if len(known) < len(sizes):
            node.refuse("makes the shape of a constant depend on the number of rows")
        try:
            return value.reshape([value.shape[i] if n == 0 else n for i, n in enumerate(known)])
        except (IndexError, OverflowError, ValueError) as error:
            node.refuse(f"does not fit its constant: {error}")
    x = _flat(_rows(node, value))
    batch = x.shape[0] if x.shape is not None and x.shape else None
    shown = ", ".join("rows" if size is None else str(size) for size in sizes)
    if len(sizes) == 2:
        rows, width = sizes
        rows_stay = rows in (None, -1, 0) or (batch is not None and rows == batch)
        if rows_stay and width == -1 and rows != -1:
            return x
        if rows_stay and width is not None and width > 0 and x.width in (None, width):
            return x if x.width is not None else replace(x, shape=(batch, width))
    node.refuse(f"has shape [{shown}], should be of 2 dimensions and keep each sample in its row")


def _shape_of(node: Node, inputs: list[Value]) -> Value:
    x = _rows(node, inputs[0])
    # A model may be run with another number of rows than it was exported with.
    sizes = None if x.shape is None else (None, *x.shape[1:])
    asked = None if sizes is None else sizes[node.get("start", 0) : node.get("end", None)]
    if sizes is None or asked is None or None in sizes[1:]:
        node.refuse("asks for sizes that the model's input does not have")
    return Sizes(asked)


def _gather(node: Node, inputs: list[Value]) -> Value:
    sizes, index = inputs
    if not isinstance(sizes, Sizes) or sizes.scalar or not isinstance(index, np.ndarray):
        node.refuse("does not take sizes of the input by constant numbers")
    if index.ndim > 1 or index.dtype.kind != "i":
        node.refuse(f"has indices of shape {index.shape}, should be a number or a list of them")
    _check_count(node, index.size)
    try:
        return Sizes(tuple(sizes.sizes[i] for i in index.ravel().tolist()), index.ndim == 0)
    except IndexError:
        node.refuse(f"asks for size {index.tolist()} of {len(sizes.sizes)}")


def _unsqueeze(node: Node, inputs: list[Value]) -> Value:
    axes = inputs[1] if len(inputs) > 1 else np.asarray(node.get("axes", None))
    at_front = isinstance(axes, np.ndarray) and axes.shape == (1,) and axes[0] in (0, -1)
    if not isinstance(inputs[0], Sizes) or not inputs[0].scalar or not at_front:
        node.refuse("does not make a shape of a size of the input")
    return Sizes(inputs[0].sizes)


def _concat(node: Node, inputs: list[Value]) -> Value:
    if any(not isinstance(value, (Sizes, np.ndarray)) for value in inputs):
        node.refuse("joins values of the network, should join sizes to a shape")
    joined: tuple[int | None, ...] = ()
    for value in inputs:
        joined += _sizes(node, value)
        _check_count(node, len(joined))
    return Sizes(joined)


HANDLERS: dict[str, Handler] = {
    "Abs": _abs,
    "Add": _add,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Div": _div,
    "Dropout": _dropout,
    "Elu": _numbered(ELU, 1.0),
    "Erf": _erf,
    "Exp": _activation("exponential"),
    "Flatten": _flatten,
    "Gather": _gather,
    "Gelu": _activation("gelu", approximate=("none", "none")),
    "Gemm": _gemm,
    "Greater": _greater,
    "HardSigmoid": _activation("hard_sigmoid", alpha=(0.2, 1 / 6), beta=(0.5, 0.5)),
    "HardSwish": _activation("hard_swish"),
    "Identity": _identity,
    "LeakyRelu": _numbered(LeakyReLU, 0.01),
    "MatMul": _matmul,
    "Mish": _activation("mish"),
    "Mul": _mul,
    "Relu": _activation("relu"),
    "Reshape": _reshape,
    "Selu": _activation("selu", alpha=(SELU_ALPHA, SELU_ALPHA), gamma=(SELU_GAMMA, SELU_GAMMA)),
    "Shape": _shape_of,
    "Sigmoid": _activation("sigmoid"),
    "Softmax": _softmax,
    "Softplus": _activation("softplus"),
    "Softsign": _activation("softsign"),
    "Tanh": _tanh,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
