"""Stacks of layers: made, checked, bound to a network, shown as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnn import _core, activations
from cnn._base.numbers import exact
from cnn.layers._columns import Columns, of_layer
from cnn.layers._dense import Dense
from cnn.layers._dropout import Dropout
from cnn.layers._layer import Layer
from cnn.layers._parameters import ParameterLayer
from cnn.layers._parametric_activation import ParametricActivation
from cnn.layers._scale import Scale
from cnn.layers._standardize import Standardize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnn._base.choices import Parametrization


def compiled(layers: Sequence[Layer], dtype: str, seed: int = 0) -> _core.Network:
    """Return a network of libcnn with these layers; all weights and biases are 0."""
    made = _core.Network([layer._describe() for layer in layers], dtype=dtype, seed=seed)
    for i, layer in enumerate(layers):
        if isinstance(layer, Standardize):
            layer._fill(made)
        elif isinstance(layer, ParameterLayer):
            layer._fill(made, i)
    return made


def initialize(layers: Sequence[Layer], network: _core.Network) -> None:
    """Draw the initial weights of a network, by the initialisers of its layers."""
    for i, layer in enumerate(layers):
        if isinstance(layer, (Columns, Dense)):
            layer._initialize(network, i)


def attach(layers: Sequence[Layer], network: _core.Network) -> None:
    """Bind layers to the layers of a network, so that they get and set its parameters."""
    for i, layer in enumerate(layers):
        layer._attach(network, i)


def of_description(spec: _core.LayerSpec) -> Layer:
    """Return a new layer like that of a `_core.Network`."""
    if spec.kind == "dropout":
        return Dropout(spec.rate)
    if spec.kind == "standardize":
        return Standardize(spec.inputs)
    if spec.kind == "columns":
        return of_layer(spec)
    if spec.kind == "scale":
        return Scale(spec.inputs)
    activation = activations.spelled(spec.activation, spec.alpha)
    if spec.kind == "parametric_activation":
        return ParametricActivation(spec.inputs, activation)
    parametrization: Parametrization = "ntk" if spec.parametrization == "ntk" else "standard"
    return Dense(spec.inputs, spec.outputs, activation, l2=spec.l2, parametrization=parametrization)


def stacked(
    widths: Sequence[int],
    hidden_activation: activations.Activation,
    output_activation: activations.Activation,
    dropout: float,
    l2: float,
) -> list[Layer]:
    """Return the layers of a multilayer perceptron, with a Dropout after each hidden one if any."""
    found: list[Layer] = []
    for i in range(len(widths) - 1):
        if i > 0 and dropout > 0:
            found.append(Dropout(dropout))
        activation = hidden_activation if i < len(widths) - 2 else output_activation
        found.append(Dense(widths[i], widths[i + 1], activation, l2=l2))
    return found


def checked(where: str, layers: object) -> list[Layer]:
    """Return layers as a list, after a check that they fit one another."""
    if isinstance(layers, (str, bytes, Layer)) or not hasattr(layers, "__iter__"):
        raise TypeError(
            f"{where}: layers is of type {type(layers).__name__}, should be a list of layers"
        )
    found = list(layers)
    if not found:
        raise ValueError(f"{where}: layers is empty, should have at least one Dense layer")
    seen: set[int] = set()
    for i, layer in enumerate(found):
        if not isinstance(layer, Layer):
            what = layer.__name__ if isinstance(layer, type) else f"of type {type(layer).__name__}"
            raise TypeError(f"{where}: layer {i} is {what}, should be a layer such as cnn.Dense")
        if layer._network is not None:
            raise ValueError(
                f"{where}: layer {i}, {layer!r}, belongs to another network; should be a new one"
            )
        if id(layer) in seen:
            raise ValueError(f"{where}: layer {i}, {layer!r}, is in the list twice")
        seen.add(id(layer))
    _check_neighbours(where, found)
    return found


def _check_neighbours(where: str, layers: list[Layer]) -> None:
    """Refuse layers if one does not fit the one before it."""
    last = len(layers) - 1
    for i, layer in enumerate(layers):
        before = layers[i - 1] if i > 0 else None
        if isinstance(layer, Standardize):
            _check_standardize(where, layers, i)
        elif isinstance(layer, (Columns, Scale)):
            _check_next(where, layers, i)
        elif isinstance(layer, ParametricActivation):
            if i == last or not isinstance(before, Dense) or before.activation != "identity":
                raise ValueError(
                    f"{where}: layer {i}, {layer!r}, should be behind a Dense layer without an "
                    f"activation, and not the last one"
                )
        elif not isinstance(layer, Dense):
            if i in (0, last) or not isinstance(before, (Dense, ParametricActivation)):
                raise ValueError(
                    f"{where}: layer {i}, {layer!r}, should be between two Dense layers"
                )
            continue
        elif layer.activation == "softmax" and i != last:
            raise ValueError(
                f"{where}: layer {i}, {layer!r}, has activation softmax, which only the last layer "
                f"can have"
            )
        _check_width(where, layers, i)
    if not isinstance(layers[last], Dense):
        raise ValueError(
            f"{where}: layer {last}, {layers[last]!r}, is the last one, should be a Dense layer"
        )


def _check_width(where: str, layers: list[Layer], i: int) -> None:
    """Refuse a layer that has other inputs than the layers before it have outputs."""
    at = i - 1
    while at >= 0 and isinstance(layers[at], Dropout):
        at -= 1
    if at >= 0 and layers[i].inputs != layers[at].outputs:
        raise ValueError(
            f"{where}: layer {i}, {layers[i]!r}, has {layers[i].inputs} inputs, but layer {at}, "
            f"{layers[at]!r}, has {layers[at].outputs} outputs"
        )


def _check_next(where: str, layers: list[Layer], i: int) -> None:
    """Refuse a Columns that is not the first layer, and what follows if it is not a Dense."""
    layer = layers[i]
    if isinstance(layer, Columns) and i > 0:
        raise ValueError(f"{where}: layer {i}, {layer!r}, should be the first layer")
    after = layers[i + 1] if i + 1 < len(layers) else None
    if not isinstance(after, Dense) and (isinstance(layer, Scale) or not isinstance(after, Scale)):
        raise ValueError(f"{where}: layer {i}, {layer!r}, should be before a Dense layer")


def _check_standardize(where: str, layers: list[Layer], i: int) -> None:
    """Refuse a Standardize that is not the first of layers, or does not know its inputs."""
    layer = layers[i]
    if i > 0 or len(layers) == 1 or not isinstance(layers[1], (Dense, Scale)):
        raise ValueError(
            f"{where}: layer {i}, {layer!r}, should be the first layer, before a Dense layer"
        )
    if not hasattr(layer, "inputs"):
        raise ValueError(
            f"{where}: layer {i}, {layer!r}, does not know its number of columns; call adapt(x), "
            f"or give Standardize(inputs)"
        )


# The columns of `rows` that have numbers.
NUMBERS = (0, 4)


def rows(layers: Sequence[Layer]) -> list[tuple[str, ...]]:
    """Return the header and the rows of a table of layers."""
    found: list[tuple[str, ...]] = [("Layer", "Kind", "Shape", "Activation", "Parameters")]
    for i, layer in enumerate(layers):
        if isinstance(layer, Dense):
            shape = f"{layer.inputs} x {layer.outputs}"
            count = f"{layer.parameter_count:,}"
            found.append((str(i), "Dense", shape, str(layer.activation), count))
        elif isinstance(layer, Dropout):
            found.append((str(i), "Dropout", f"rate {exact(layer.rate)}", "", ""))
        elif isinstance(layer, Standardize):
            found.append((str(i), "Standardize", f"{layer.inputs}", "", ""))
        elif isinstance(layer, Columns):
            shape, count = f"{layer.inputs} -> {layer.outputs}", f"{layer.parameter_count:,}"
            found.append((str(i), "Columns", shape, "", count))
        elif isinstance(layer, ParametricActivation):
            count = f"{layer.parameter_count:,}"
            activation = str(layer.activation)
            found.append((str(i), "ParametricActivation", f"{layer.inputs}", activation, count))
        elif isinstance(layer, Scale):
            found.append((str(i), "Scale", f"{layer.inputs}", "", f"{layer.parameter_count:,}"))
    return found


def table(layers: Sequence[Layer]) -> list[str]:
    """Return the lines of a table of layers, as `cnn.Sequential.summary` shows it."""
    found = rows(layers)
    widths = [max(len(row[column]) for row in found) for column in range(len(found[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if column in NUMBERS else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in found
    ]
    rule = "  ".join("-" * width for width in widths)
    return [lines[0], rule, *lines[1:], rule]
