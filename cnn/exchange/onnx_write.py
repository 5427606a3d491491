"""Networks as ONNX files: `Sequential.to_onnx`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn._base import checks, extras, files, formats
from cnn.exchange._onnx_activations import SELU_ALPHA, SELU_GAMMA
from cnn.exchange._onnx_features import FeatureNodes
from cnn.exchange._onnx_formulas import GELU_CUBIC, GELU_ROOT
from cnn.exchange.kinds import refuse_kinds

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

_OPSET = 17
_IR_VERSION = 8
# The limit of a protobuf message, less some room for everything but the parameters.
_MOST_BYTES = 2**31 - 2**20

_KINDS = ("dense", "standardize", "columns", "scale", "parametric_activation")

# Activations that need a later opset.
_OPSETS = {"mish": 18}
# Activations that are one node, with its attributes; their parameter is the attribute alpha.
_NODES: dict[str, tuple[str, dict[str, Any]]] = {
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "relu": ("Relu", {}),
    "leaky_relu": ("LeakyRelu", {}),
    "elu": ("Elu", {}),
    "softplus": ("Softplus", {}),
    "softmax": ("Softmax", {"axis": -1}),
    "mish": ("Mish", {}),
    "selu": ("Selu", {"alpha": SELU_ALPHA, "gamma": SELU_GAMMA}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "hard_swish": ("HardSwish", {}),
    "softsign": ("Softsign", {}),
    "exponential": ("Exp", {}),
}


def write(network: _core.Network, path: str | os.PathLike[str]) -> None:
    """Write a network as an ONNX model; `Sequential.to_onnx` documents it."""
    Model(checked([network], path), network).save(path)


def checked(networks: Sequence[_core.Network], path: str | os.PathLike[str]) -> Any:
    """Return the package onnx; refuse networks that are too large or a path of another format."""
    formats.destination("to_onnx", checks.path("to_onnx", path), "an ONNX model")
    onnx = extras.require("to_onnx", "onnx", "onnx")
    size = sum(network.parameter_count * network.dtype.itemsize for network in networks)
    if size > _MOST_BYTES:
        raise ValueError(
            f"to_onnx: the parameters take {size:,} bytes, but an ONNX file holds less than 2 GiB"
        )
    return onnx


class Model(FeatureNodes):
    """The nodes and constants of a model, to which layers are added."""

    domains: tuple[str, int] | None = None
    """A domain of nodes besides ONNX's own, and its opset."""

    def __init__(self, onnx: Any, network: _core.Network) -> None:
        refuse_kinds("to_onnx", network, _KINDS, "ONNX files")
        self._onnx = onnx
        self._prefix = ""
        self._network = network
        self._dtype = network.dtype
        self._type = onnx.helper.np_dtype_to_tensor_dtype(network.dtype)
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self.properties: dict[str, str] = {}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a file."""
        files.replace(path, self.made().SerializeToString())

    def body(self) -> tuple[list[Any], list[Any]]:
        """Add all nodes, and return the graph's inputs and outputs."""
        info = self._onnx.helper.make_tensor_value_info
        self._layers("input", "output")
        return (
            [info("input", self._type, ["batch", self._network.inputs])],
            [info("output", self._type, ["batch", self._network.outputs])],
        )

    def made(self) -> Any:
        """Return the model."""
        helper = self._onnx.helper
        inputs, outputs = self.body()
        constants = list(self._constants.values())
        opset = max(_OPSETS.get(layer.activation, _OPSET) for layer in self._network.layers)
        opsets = [helper.make_opsetid("", opset)]
        if self.domains is not None:
            opsets.append(helper.make_opsetid(*self.domains))
        model = helper.make_model(
            helper.make_graph(self._nodes, "cnn", inputs, outputs, constants),
            ir_version=_IR_VERSION,
            opset_imports=opsets,
            producer_name="cnn",
            producer_version=_core.version(),
        )
        helper.set_model_props(
            model,
            {
                "cnn_version": _core.version(),
                "cnn_numerics_version": str(_core.numerics_version()),
                **self.properties,
            },
        )
        return model

    def _value(self, name: str) -> str:
        """Return the name of a node's value in the graph."""
        return name

    def _layers(self, value: str, output: str) -> str:
        """Add the layers between the values with the inputs and the outputs."""
        last = len(self._network.layers) - 1
        for i, layer in enumerate(self._network.layers):
            name = f"{self._prefix}layers.{i}"
            # Dropout does not change a prediction.
            if layer.kind == "standardize":
                value = self._standardize(name, i, value)
            elif layer.kind == "columns":
                value = self._columns(name, i, layer, value)
            elif layer.kind == "scale":
                factor = self._constant(f"{name}.factor", self._network.get(i, "factor"))
                value = self._node("Mul", f"{name}.scaled", [value, factor])
            elif layer.kind == "parametric_activation":
                value = self._blended(name, i, layer, value)
            elif layer.kind == "dense":
                made = output if i == last else self._value(name)
                value = self._dense(name, i, layer, value, made)
        return value

    def _standardize(self, name: str, i: int, value: str) -> str:
        """Add (x - mean) / scale: a subtraction and a division, each rounded once."""
        for op, parameter in (("Sub", "mean"), ("Div", "scale")):
            constant = self._constant(f"{name}.{parameter}", self._network.get(i, parameter))
            value = self._node(op, f"{name}.{op.lower()}", [value, constant])
        return value

    def _blended(self, name: str, i: int, layer: _core.LayerSpec, x: str) -> str:
        """Add x + mix (h(x) - x)."""
        h = x
        if layer.activation != "identity":
            output = self._value(f"{name}.activated")
            h = self._activation(f"{name}.{layer.activation}", layer, x, output)
        change = self._node("Sub", f"{name}.change", [h, x])
        mix = self._constant(f"{name}.mix", self._network.get(i, "mix"))
        share = self._node("Mul", f"{name}.share", [change, mix])
        return self._node("Add", f"{name}.blended", [x, share])

    def _dense(self, name: str, i: int, layer: _core.LayerSpec, value: str, output: str) -> str:
        parameters = [
            self._constant(f"{name}.{parameter}", self._network.get(i, parameter))
            for parameter in ("weight", "bias")
        ]
        if layer.activation == "identity":
            return self._node("Gemm", f"{name}.gemm", [value, *parameters], output)
        x = self._node("Gemm", f"{name}.gemm", [value, *parameters])
        return self._activation(f"{name}.{layer.activation}", layer, x, output)

    def _activation(self, name: str, layer: _core.LayerSpec, x: str, output: str) -> str:
        activation = layer.activation
        if activation in _NODES:
            op, attributes = _NODES[activation]
            if activation in _core.ALPHAS:
                attributes = {"alpha": layer.alpha}
            return self._node(op, name, [x], output, **attributes)
        if activation == "step":
            above = self._node("Greater", f"{name}.above", [x, self._number("zero", 0.0)])
            return self._node("Cast", name, [above], output, to=self._type)
        if activation == "relu6":
            bounds = [self._number("zero", 0.0), self._number("six", 6.0)]
            return self._node("Clip", name, [x, *bounds], output)
        if activation == "silu":
            gate = self._node("Sigmoid", f"{name}.sigmoid", [x])
            return self._node("Mul", name, [x, gate], output)
        if activation in ("gelu", "gelu_tanh"):
            gate = self._erf(name, x) if activation == "gelu" else self._tanh(name, x)
            sum_ = self._node("Add", f"{name}.sum", [gate, self._number("one", 1.0)])
            product = self._node("Mul", f"{name}.product", [x, sum_])
            return self._node("Mul", name, [product, self._number("half", 0.5)], output)
        raise ValueError(f"to_onnx: {name} has an activation that ONNX files do not have")

    # Opset 17 does not have Gelu: x (1 + erf(x / sqrt(2))) / 2, or with the tanh below for erf.

    def _erf(self, name: str, x: str) -> str:
        """Add erf(x / sqrt(2))."""
        root = self._number("square_root_of_2", math.sqrt(2.0))
        scaled = self._node("Div", f"{name}.scaled", [x, root])
        return self._node("Erf", f"{name}.erf", [scaled])

    def _tanh(self, name: str, x: str) -> str:
        """Add tanh(sqrt(2 / pi) (x + 0.044715 x^3)), in the order of PyTorch's exporter."""
        square = self._node("Mul", f"{name}.square", [x, x])
        cube = self._node("Mul", f"{name}.cube", [x, square])
        cubic = self._node("Mul", f"{name}.cubic", [self._number("gelu_cubic", GELU_CUBIC), cube])
        inner = self._node("Add", f"{name}.inner", [x, cubic])
        root = self._number("square_root_of_2_by_pi", GELU_ROOT)
        scaled = self._node("Mul", f"{name}.scaled", [root, inner])
        return self._node("Tanh", f"{name}.tanh", [scaled])

    def _node(
        self, op: str, name: str, inputs: list[str], output: str | None = None, **attributes: Any
    ) -> str:
        output = output or self._value(f"{name}.output")
        made = self._onnx.helper.make_node(op, inputs, [output], name=name, **attributes)
        self._nodes.append(made)
        return output

    def _constant(self, name: str, values: Any) -> str:
        name = self._value(name)
        self._constants.setdefault(name, self._onnx.numpy_helper.from_array(values, name))
        return name

    def _number(self, name: str, value: float) -> str:
        return self._constant(name, np.array(value, self._dtype))

    @property
    def _int64(self) -> int:
        found: int = self._onnx.TensorProto.INT64
        return found
