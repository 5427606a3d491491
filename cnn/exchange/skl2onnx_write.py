"""Converters of `cnn.sklearn`'s estimators for skl2onnx: `cnn.sklearn.register_skl2onnx`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnn._base import extras
from cnn.exchange.onnx_write import Model

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cnn import _core

_ML = "ai.onnx.ml"
_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
}


def register(classifier: type, regressor: type, network_of: Callable[[Any], _core.Network]) -> None:
    """Register converters of two classes, of whose estimators `network_of` returns the network."""
    skl2onnx = extras.require("register_skl2onnx", "skl2onnx", "skl2onnx")

    def converted(
        write: Callable[[_Nodes, Any, Any], None],
    ) -> Callable[[Any, Any, Any], None]:
        def convert(scope: Any, operator: Any, container: Any) -> None:
            nodes = _Nodes(network_of(operator.raw_operator), scope, operator, container)
            write(nodes, operator, container)

        return convert

    for kind, shapes, write, options in (
        (classifier, _classifier_shapes, _write_classifier, _OPTIONS),
        (regressor, _regressor_shapes, _write_regressor, None),
    ):
        skl2onnx.update_registered_converter(
            kind, f"Cnn{kind.__name__}", shapes, converted(write), options=options
        )


class _Nodes(Model):
    """A network's nodes in a container of skl2onnx, in the type of the model's input."""

    def __init__(self, network: _core.Network, scope: Any, operator: Any, container: Any) -> None:
        import onnx  # noqa: PLC0415  # skl2onnx depends on it

        super().__init__(onnx, network)
        self._scope = scope
        self._container = container
        types = skl2onnx_types()
        is_double = isinstance(operator.inputs[0].type, types.DoubleTensorType)
        self._dtype = np.dtype(np.float64 if is_double else np.float32)
        self._type = onnx.helper.np_dtype_to_tensor_dtype(self._dtype)
        self._names: dict[str, str] = {}

    def outputs(self, source: str) -> str:
        """Add the network, and return the name of its outputs."""
        x = self.node("Cast", [source], to=self._type)
        return self._layers(x, self._value("outputs"))

    def node(
        self,
        op: str,
        inputs: list[str],
        output: str | None = None,
        domain: str = "",
        **options: Any,
    ) -> str:
        """Add a node, and return the name of its output."""
        output = output or self._value(op.lower())
        name = self._scope.get_unique_operator_name(op)
        self._container.add_node(op, inputs, output, op_domain=domain, name=name, **options)
        return output

    def integers(self, name: str, values: Any) -> str:
        """Add a constant of int64, and return its name."""
        return self._added(name, np.asarray(values, np.int64), self._onnx.TensorProto.INT64)

    def texts(self, name: str, values: Any) -> str:
        """Add a constant of texts, and return its name."""
        encoded = np.array([str(text).encode() for text in values], object)
        return self._added(name, encoded, self._onnx.TensorProto.STRING)

    @property
    def single(self) -> int:
        """ONNX's number of the type float32."""
        return int(self._onnx.TensorProto.FLOAT)

    @property
    def integer(self) -> int:
        """ONNX's number of the type int64."""
        return int(self._onnx.TensorProto.INT64)

    def one(self) -> str:
        """Add the number 1, and return its name."""
        return self._number("one", 1.0)

    def _value(self, name: str) -> str:
        return str(self._scope.get_unique_variable_name(name))

    def _node(
        self, op: str, name: str, inputs: list[str], output: str | None = None, **attributes: Any
    ) -> str:
        return self.node(op, inputs, output or self._value(name), **attributes)

    def _constant(self, name: str, values: Any) -> str:
        if name not in self._names:
            self._names[name] = self._added(name, np.asarray(values, self._dtype), self._type)
        return self._names[name]

    def _added(self, name: str, values: Any, kind: int) -> str:
        name = self._value(name)
        self._container.add_initializer(name, kind, list(values.shape), values.ravel())
        return name


def skl2onnx_types() -> Any:
    """Return skl2onnx's module of types."""
    return extras.require("register_skl2onnx", "skl2onnx.common.data_types", "skl2onnx")


def _classifier_shapes(operator: Any) -> None:
    """Set the types of labels and probabilities."""
    types, estimator = skl2onnx_types(), operator.raw_operator
    rows, classes = operator.inputs[0].get_first_dimension(), np.asarray(estimator.classes_)
    if len(classes) < 2:
        raise ValueError(
            f"to_onnx: {type(estimator).__name__} has the single class {classes.tolist()[0]!r}, "
            f"should have at least 2"
        )
    is_text = _labels(operator.scope_inst, estimator).dtype.kind not in "biuf"
    label = types.StringTensorType if is_text else types.Int64TensorType
    shape = [rows, len(classes)] if _is_multilabel(estimator) else [rows]
    operator.outputs[0].set_type(label(shape))
    operator.outputs[1].set_type(_number_type(operator)([rows, len(classes)]))


def _regressor_shapes(operator: Any) -> None:
    """Set the type of predictions."""
    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].set_type(_number_type(operator)([rows, operator.raw_operator.n_outputs_]))


def _number_type(operator: Any) -> Any:
    types, given = skl2onnx_types(), operator.inputs[0].type
    return (
        types.DoubleTensorType
        if isinstance(given, types.DoubleTensorType)
        else types.FloatTensorType
    )


def _is_multilabel(estimator: Any) -> bool:
    return bool(estimator.out_activation_ == "logistic" and estimator.n_outputs_ > 1)


def _labels(source: Any, estimator: Any) -> NDArray[Any]:
    """Return the labels, which are the numbers of the classes if the option nocl is set."""
    classes = np.asarray(estimator.classes_)
    options = source.get_options(estimator, {"nocl": False})
    return np.arange(len(classes)) if options["nocl"] else classes


def _write_regressor(nodes: _Nodes, operator: Any, container: Any) -> None:
    y = nodes.outputs(operator.inputs[0].full_name)
    op = "Exp" if operator.raw_operator.out_activation_ == "exp" else "Identity"
    nodes.node(op, [y], operator.outputs[0].full_name)


def _write_classifier(nodes: _Nodes, operator: Any, container: Any) -> None:
    """Add labels and probabilities, as skl2onnx has them for scikit-learn's classifier."""
    estimator = operator.raw_operator
    labels, probabilities = (output.full_name for output in operator.outputs[:2])
    found = nodes.outputs(operator.inputs[0].full_name)
    if _is_multilabel(estimator):
        nodes.node("Identity", [found], probabilities)
        # Binarizer takes float32 alone.
        single = nodes.node("Cast", [found], to=nodes.single)
        marks = nodes.node("Binarizer", [single], domain=_ML, threshold=0.5)
        nodes.node("Cast", [marks], labels, to=nodes.integer)
        return
    if estimator.n_outputs_ == 1:
        other = nodes.node("Sub", [nodes.one(), found])
        nodes.node("Concat", [other, found], probabilities, axis=1)
    else:
        nodes.node("Identity", [found], probabilities)
    classes = _labels(container, estimator)
    is_text = classes.dtype.kind not in "biuf"
    names = nodes.texts("classes", classes) if is_text else nodes.integers("classes", classes)
    index = nodes.node("ArgMax", [probabilities], axis=1)
    taken = nodes.node("ArrayFeatureExtractor", [names, index], domain=_ML)
    nodes.node("Reshape", [taken, nodes.integers("rows", [-1])], labels)
