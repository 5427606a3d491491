"""Dense networks in ONNX graphs: each value on the way from input to output, node by node.

A value is a constant, or what rows of the input have become. Activations of several nodes, as GELU
and SiLU before ONNX had them, are found as the values that such nodes make of one another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from cnn._assembly import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# What makes labels of probabilities at the end of a classifier.
_TAIL = frozenset(
    ("ArgMax", "ArrayFeatureExtractor", "Binarizer", "Cast", "Identity", "Reshape", "ZipMap")
)
# Beyond this, PyTorch's softplus is x, which is the same but for rounding.
_SOFTPLUS_THRESHOLD = 20.0
_HINT_LOG = "end the model in Softmax, whose logarithm it is, or in the layer before it"


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of numbers: what the input has become.

    `form` says what it is of `base`: "x" for itself, "erf", "1+erf" or "x(1+erf)" for a part of
    GELU, "above" for x > threshold; all times `factor`.
    """

    parts: tuple[Part, ...]
    shape: tuple[int | None, ...] | None
    base: _Rows | None = None
    form: str = "x"
    factor: float = 1.0

    @property
    def plain(self) -> bool:
        return self.base is None

    @property
    def width(self) -> int | None:
        if self.parts:
            return int(self.parts[-1].weight.shape[1])
        return self.shape[1] if self.shape is not None and len(self.shape) == 2 else None


_Value: TypeAlias = "_Rows | NDArray[Any] | None"


class _Node:
    """A node with its values, which can say what is wrong with it."""

    def __init__(self, onnx: Any, node: Any, opset: int) -> None:
        self.op = node.op_type
        self.domain = "" if node.domain == "ai.onnx" else node.domain
        self.name = node.name or node.output[0]
        self.opset = opset
        self._attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}

    def get(self, name: str, default: Any) -> Any:
        return self._attributes.get(name, default)

    def refuse(self, why: str) -> NoReturn:
        raise ValueError(f"from_onnx: node {self.name!r} ({self.op}) {why}")

    def expect(self, name: str, default: Any, should: Any) -> None:
        """Refuse an attribute that is not as it should be, but for float32's rounding."""
        value = self.get(name, default)
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        if isinstance(should, float):
            good = math.isclose(value, should, rel_tol=1e-7)
        else:
            good = value == should
        if not good:
            self.refuse(f"has {name} {value:g}, should be {should:g}" if isinstance(value, float)
                        else f"has {name} {value!r}, should be {should!r}")  # fmt: skip


class Graph:
    """A checked ONNX model, of which `parts` finds the dense layers."""

    def __init__(self, onnx: Any, model: Any) -> None:
        self._onnx = onnx
        self._graph = model.graph
        self._opset = next(
            (o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1
        )
        self._own = {(f.domain, f.name) for f in model.functions}
        self._initializers = {tensor.name: tensor for tensor in self._graph.initializer}
        self._values: dict[str, _Value] = {}
        self._aside: set[str] = set()
        self._maker = {name: node for node in self._graph.node for name in node.output if name}

    def parts(self) -> list[Part]:
        """Return the dense layers on the way to the output."""
        output = self._without_complement(self._chosen_output())
        needed = self._needed(output)
        self._take_input(needed)
        for node in self._graph.node:
            if any(name in needed for name in node.output):
                self._values[node.output[0]] = self._evaluated(node)
            elif node.op_type not in (*_TAIL, "Constant") and node.output[0] not in self._aside:
                _Node(self._onnx, node, self._opset).refuse(
                    f"is not on the way to the output {output!r}, and makes no labels either"
                )
        found = self._values[output]
        if not isinstance(found, _Rows) or not found.parts or not found.plain:
            maker = self._maker.get(output)
            if maker is None:
                raise ValueError(f"from_onnx: output {output!r} is not made by a dense layer")
            _Node(self._onnx, maker, self._opset).refuse(
                "is not the end of a dense network, should be a dense layer or its activation"
            )
        return list(found.parts)

    # ---- Which values ------------------------------------------------------------------------

    def _chosen_output(self) -> str:
        """Return the output with the probabilities, where others have labels."""
        types = self._onnx.TensorProto
        numbers = []
        for output in self._graph.output:
            name = output.name
            maker = self._maker.get(name)
            # Maps of probabilities are made of a tensor of them.
            if maker is not None and maker.op_type == "ZipMap":
                numbers.append(maker.input[0])
            elif output.type.tensor_type.elem_type in (types.FLOAT, types.DOUBLE):
                numbers.append(name)
        if len(numbers) != 1:
            names = ", ".join(repr(output.name) for output in self._graph.output)
            raise ValueError(
                f"from_onnx: {len(numbers)} of the outputs {names} are float32 or float64, should "
                f"be 1, beside which there may be labels"
            )
        return str(numbers[0])

    def _without_complement(self, output: str) -> str:
        """Return p where an output is Concat(1 - p, p), as of two classes by one sigmoid."""
        concat = self._maker.get(output)
        if concat is not None and concat.op_type == "Concat" and len(concat.input) == 2:
            complement = self._maker.get(concat.input[0])
            if complement is not None and complement.op_type == "Sub":
                one = self._value(complement.input[0])
                if (
                    isinstance(one, np.ndarray)
                    and one.size == 1
                    and one.item() == 1
                    and complement.input[1] == concat.input[1]
                ):
                    self._aside = {concat.output[0], complement.output[0]}
                    return str(concat.input[1])
        return output

    def _needed(self, output: str) -> set[str]:
        needed: set[str] = set()
        waiting = [output]
        while waiting:
            name = waiting.pop()
            if name and name not in needed:
                needed.add(name)
                if name in self._maker:
                    waiting.extend(self._maker[name].input)
        return needed

    def _take_input(self, needed: set[str]) -> None:
        inputs = [i for i in self._graph.input if i.name not in self._initializers]
        if len(inputs) != 1 or inputs[0].name not in needed:
            names = ", ".join(repr(i.name) for i in inputs) or "none"
            raise ValueError(
                f"from_onnx: the inputs are {names}, should be one, with a sample in each row"
            )
        shape = None
        tensor = inputs[0].type.tensor_type
        if tensor.HasField("shape"):
            shape = tuple(
                d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None
                for d in tensor.shape.dim
            )
        self._values[inputs[0].name] = _Rows((), shape)

    def _value(self, name: str) -> _Value:
        if not name:
            return None
        if name not in self._values and name in self._initializers:
            self._values[name] = self._array(name, self._initializers[name])
        return self._values.get(name)

    def _array(self, name: str, tensor: Any) -> NDArray[Any]:
        array: NDArray[Any] = self._onnx.numpy_helper.to_array(tensor)
        return array

    # ---- Nodes ---------------------------------------------------------------------------------

    def _evaluated(self, proto: Any) -> _Value:
        node = _Node(self._onnx, proto, self._opset)
        handler = _HANDLERS.get(node.op) if node.domain == "" else None
        if handler is None or (proto.domain, proto.op_type) in self._own:
            where = f" of domain {node.domain}" if node.domain else ""
            hint = f": {_HINT_LOG}" if node.op == "LogSoftmax" else ""
            node.refuse(
                f"is an operation{where} that dense networks do not have{hint}; supported are "
                f"{', '.join(sorted(_HANDLERS))}"
            )
        if node.op == "Constant":
            return self._constant(node)
        return handler(node, [self._value(name) for name in proto.input])

    def _constant(self, node: _Node) -> NDArray[Any]:
        for name, dtype in (
            ("value_float", np.float32),
            ("value_floats", np.float32),
            ("value_int", np.int64),
            ("value_ints", np.int64),
        ):
            if node.get(name, None) is not None:
                return np.asarray(node.get(name, None), dtype)
        if node.get("value", None) is None:
            node.refuse("has no tensor of numbers")
        return self._array(node.name, node.get("value", None))


_Handler: TypeAlias = "Callable[[_Node, list[_Value]], _Value]"


def _rows(node: _Node, value: _Value) -> _Rows:
    if not isinstance(value, _Rows):
        node.refuse("has a first input that does not come from the model's, but it should")
    return value


def _layer_input(node: _Node, value: _Value, weight: _Value) -> tuple[_Rows, NDArray[Any]]:
    x = _rows(node, value)
    if not isinstance(weight, np.ndarray) or weight.ndim != 2:
        node.refuse("has weights that are not a constant of 2 dimensions")
    _check_plain(node, x)
    if not x.parts and x.shape is not None and len(x.shape) != 2:
        node.refuse(f"multiplies an input of {len(x.shape)} dimensions, should be 2; Flatten it")
    return x, weight


def _check_plain(node: _Node, x: _Rows) -> None:
    if not x.plain:
        node.refuse("takes part of an activation that is not one of cnn's")
    if x.parts and x.parts[-1].activation == "softmax":
        node.refuse("comes after Softmax, which only the last layer can have")


def _with_layer(node: _Node, x: _Rows, weight: NDArray[Any], bias: Any = None) -> _Rows:
    if x.width is not None and weight.shape[0] != x.width:
        node.refuse(f"has weights for {weight.shape[0]} inputs, but it gets {x.width}")
    return _Rows((*x.parts, Part(f"node {node.name!r}", weight, bias)), None)


def _bias(node: _Node, values: NDArray[Any], outputs: int) -> NDArray[Any]:
    if values.size not in (1, outputs) or values.shape not in (
        (), (1,), (1, 1), (outputs,), (1, outputs),
    ):  # fmt: skip
        node.refuse(f"adds a constant of shape {values.shape}, should be a bias of ({outputs},)")
    return np.broadcast_to(values.ravel(), (outputs,))


def _scaled(values: NDArray[Any], factor: float) -> NDArray[Any]:
    return values if factor == 1 else values * values.dtype.type(factor)


def _gemm(node: _Node, inputs: list[_Value]) -> _Value:
    node.expect("transA", 0, 0)
    x, weight = _layer_input(node, inputs[0], inputs[1])
    weight = _scaled(weight.T if node.get("transB", 0) else weight, node.get("alpha", 1.0))
    bias = None
    if len(inputs) > 2 and inputs[2] is not None:
        if not isinstance(inputs[2], np.ndarray):
            node.refuse("has a bias that is not a constant")
        bias = _bias(node, _scaled(inputs[2], node.get("beta", 1.0)), weight.shape[1])
    return _with_layer(node, x, weight, bias)


def _matmul(node: _Node, inputs: list[_Value]) -> _Value:
    x, weight = _layer_input(node, inputs[0], inputs[1])
    return _with_layer(node, x, weight)


def _constant_last(inputs: list[_Value]) -> tuple[_Value, _Value]:
    first, second = inputs
    return (second, first) if isinstance(first, np.ndarray) else (first, second)


def _add(node: _Node, inputs: list[_Value]) -> _Value:
    value, constant = _constant_last(inputs)
    if not isinstance(value, _Rows) or not isinstance(constant, np.ndarray):
        node.refuse("adds two values of the network, should add a constant bias")
    if value.form == "erf" and value.factor == 1 and constant.size == 1 and constant.item() == 1:
        return replace(value, form="1+erf")
    if not value.plain or not value.parts:
        node.refuse("does not follow a product with weights, should be the bias of one")
    last = value.parts[-1]
    if last.bias is not None or last.activation is not None:
        node.refuse("comes after a layer that has its bias or activation already")
    bias = _bias(node, constant, last.weight.shape[1])
    return _Rows((*value.parts[:-1], replace(last, bias=bias)), None)


def _mul(node: _Node, inputs: list[_Value]) -> _Value:
    value, other = _constant_last(inputs)
    if isinstance(value, _Rows) and isinstance(other, np.ndarray):
        if other.size != 1 or value.form == "above":
            node.refuse("multiplies by a constant that is not a part of GELU")
        return _times(value, float(other.item()))
    if isinstance(value, _Rows) and isinstance(other, _Rows):
        for x, gate in ((value, other), (other, value)):
            # SiLU, where the gate is the sigmoid of the same values.
            if x.plain and gate.plain and _activation_of(gate, x) == "sigmoid":
                return _activated(node, x, "silu")
            base = x if x.plain else x.base
            if gate.form == "1+erf" and x.form == "x" and gate.base is base:
                return _finished(_Rows((), None, base, "x(1+erf)", x.factor * gate.factor))
    node.refuse("multiplies two values of the network that are not GELU or SiLU together")


def _div(node: _Node, inputs: list[_Value]) -> _Value:
    value, other = inputs
    if not isinstance(value, _Rows) or not isinstance(other, np.ndarray) or other.size != 1:
        node.refuse("divides by something that is not a constant of GELU")
    if value.form == "above" or other.item() == 0:
        node.refuse("divides what is not a part of GELU")
    return _times(value, 1 / float(other.item()))


def _times(value: _Rows, factor: float) -> _Rows:
    base = value if value.plain else value.base
    return _finished(_Rows((), None, base, value.form, value.factor * factor))


def _finished(value: _Rows) -> _Rows:
    """Return GELU where a value is all of it."""
    base = value.base
    complete = value.form == "x(1+erf)" and math.isclose(value.factor, 0.5, rel_tol=1e-6)
    if not complete or base is None or not base.parts or base.parts[-1].activation is not None:
        return value
    return _Rows((*base.parts[:-1], replace(base.parts[-1], activation="gelu")), None)


def _erf(node: _Node, inputs: list[_Value]) -> _Value:
    x = _rows(node, inputs[0])
    if x.form != "x" or x.plain or not math.isclose(x.factor, math.sqrt(0.5), rel_tol=1e-6):
        node.refuse("is not of x / sqrt(2), should be a part of GELU")
    return _Rows((), None, x.base, "erf")


def _activation_of(value: _Rows, base: _Rows) -> str | None:
    """Return the activation by which a value was made of `base`."""
    if len(value.parts) != len(base.parts) or not base.parts or base.parts[-1].activation:
        return None
    last, below = value.parts[-1], base.parts[-1]
    same = last.weight is below.weight and last.bias is below.bias and last.name == below.name
    return last.activation if same else None


def _activated(node: _Node, value: _Value, activation: str) -> _Rows:
    x = _rows(node, value)
    _check_plain(node, x)
    if not x.parts:
        node.refuse("comes before the first dense layer, should come after one")
    last = x.parts[-1]
    if last.activation is not None:
        node.refuse(f"comes after the activation {last.activation}, should come after a layer")
    return _Rows((*x.parts[:-1], replace(last, activation=activation)), None)


def _activation(name: str, **expected: tuple[Any, Any]) -> _Handler:
    """Make the handler of an activation; `expected` are attributes: their default, and cnn's."""

    def handler(node: _Node, inputs: list[_Value]) -> _Value:
        for attribute, (default, should) in expected.items():
            node.expect(attribute, default, should)
        return _activated(node, inputs[0], name)

    return handler


def _softmax(node: _Node, inputs: list[_Value]) -> _Value:
    axis = node.get("axis", -1 if node.opset >= 13 else 1)
    if axis not in (-1, 1):
        node.refuse(f"has axis {axis}, should be -1 or 1")
    return _activated(node, inputs[0], "softmax")


def _greater(node: _Node, inputs: list[_Value]) -> _Value:
    x, threshold = inputs
    if not isinstance(x, _Rows) or not isinstance(threshold, np.ndarray) or threshold.size != 1:
        node.refuse("does not compare with a constant, should be x > 0 for step")
    return _Rows((), None, x, "above", float(threshold.item()))


def _where(node: _Node, inputs: list[_Value]) -> _Value:
    above, then, other = inputs
    if isinstance(above, _Rows) and above.form == "above" and above.base is not None:
        x = above.base
        if (
            then is x
            and isinstance(other, _Rows)
            and above.factor >= _SOFTPLUS_THRESHOLD
            and _activation_of(other, x) == "softplus"
        ):
            return other
    node.refuse("chooses between values, should be a part of Softplus")


def _cast(node: _Node, inputs: list[_Value]) -> _Value:
    (value,) = inputs
    to = node.get("to", 0)
    if isinstance(value, np.ndarray):
        # FLOAT, DOUBLE, INT32, INT64.
        names = {1: "float32", 11: "float64", 6: "int32", 7: "int64"}
        if to not in names or value.dtype.kind not in "biuf":
            node.refuse("makes a constant of a type that cnn does not have")
        return value.astype(names[to])
    x = _rows(node, value)
    if to not in (1, 11):
        node.refuse(f"makes values of ONNX type {to}, should be 1 (float32) or 11 (float64)")
    if x.form == "above":
        if x.factor != 0:
            node.refuse(f"makes numbers of x > {x.factor:g}, should be x > 0 for step")
        return _activated(node, x.base, "step")
    return x


def _identity(node: _Node, inputs: list[_Value]) -> _Value:
    return inputs[0]


def _dropout(node: _Node, inputs: list[_Value]) -> _Value:
    x = _rows(node, inputs[0])
    if len(inputs) > 2 and inputs[2] is not None:
        training = inputs[2]
        if not isinstance(training, np.ndarray) or bool(training.any()):
            node.refuse("is in training mode; export the model in inference mode")
    return x


def _transpose(node: _Node, inputs: list[_Value]) -> _Value:
    if not isinstance(inputs[0], np.ndarray):
        node.refuse("transposes what is not a constant")
    axes = node.get("perm", None)
    return np.transpose(inputs[0], None if axes is None else list(axes))


def _flatten(node: _Node, inputs: list[_Value]) -> _Value:
    x = _rows(node, inputs[0])
    axis = node.get("axis", 1)
    rank = 2 if x.shape is None else len(x.shape)
    if axis not in (1, 1 - rank):
        node.refuse(f"has axis {axis}, should be 1: all of a sample in a row")
    return _flat(x)


def _flat(x: _Rows) -> _Rows:
    if x.parts or x.shape is None or not x.plain:
        return x
    sizes = x.shape[1:]
    known = [size for size in sizes if size is not None]
    return replace(x, shape=(x.shape[0], math.prod(known) if len(known) == len(sizes) else None))


def _reshape(node: _Node, inputs: list[_Value]) -> _Value:
    value, shape = inputs
    if not isinstance(shape, np.ndarray):
        node.refuse("has a shape that is not a constant")
    sizes = shape.ravel().tolist()
    if isinstance(value, np.ndarray):
        try:
            return value.reshape([value.shape[i] if n == 0 else n for i, n in enumerate(sizes)])
        except (ValueError, IndexError) as error:
            node.refuse(f"does not fit its constant: {error}")
    x = _rows(node, value)
    flat = _flat(x)
    batch = x.shape[0] if x.shape is not None else None
    rows_stay = len(sizes) == 2 and (
        sizes[0] in (-1, 0) or (batch is not None and sizes[0] == batch)
    )
    is_row = len(sizes) == 2 and (
        (sizes[1] == -1 and sizes[0] != -1) or (sizes[1] > 0 and flat.width in (None, sizes[1]))
    )
    if not rows_stay or not is_row:
        node.refuse(f"has shape {sizes}, should be of 2 dimensions and keep each sample in its row")
    if flat.parts or not flat.plain or sizes[1] == -1:
        return flat
    return replace(flat, shape=(batch, sizes[1]))


_HANDLERS: dict[str, _Handler] = {
    "Add": _add,
    "Cast": _cast,
    "Constant": _identity,  # by itself, since it has no inputs
    "Div": _div,
    "Dropout": _dropout,
    "Elu": _activation("elu", alpha=(1.0, 1.0)),
    "Erf": _erf,
    "Flatten": _flatten,
    "Gelu": _activation("gelu", approximate=("none", "none")),
    "Gemm": _gemm,
    "Greater": _greater,
    "Identity": _identity,
    "LeakyRelu": _activation("leaky_relu", alpha=(0.01, 0.01)),
    "MatMul": _matmul,
    "Mul": _mul,
    "Relu": _activation("relu"),
    "Reshape": _reshape,
    "Sigmoid": _activation("sigmoid"),
    "Softmax": _softmax,
    "Softplus": _activation("softplus"),
    "Tanh": _activation("tanh"),
    "Transpose": _transpose,
    "Where": _where,
}
