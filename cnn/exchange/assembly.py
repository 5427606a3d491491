"""Networks assembled from the layers and parameters of other libraries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from cnn import _core, layers
from cnn.layers import Dense, Dropout, Layer, Standardize

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from cnn.activations import Activation, Unchecked


@dataclass
class Part:
    """A dense layer: its name in the other library, parameters, activation and dropout.

    The activation is None until one is found; `dropout` is the rate of a Dropout after it, or None.
    """

    name: str
    weight: NDArray[Any]
    bias: NDArray[Any] | None = None
    activation: Unchecked | None = None
    dropout: float | None = None


def network(
    where: str, parts: Iterable[Part], standardize: Standardize | None = None
) -> _core.Network:
    """Return a network of the parts, in the common type of all their parameters, with seed 0.

    `standardize` is a first layer before them.
    """
    found = list(parts)
    if not found:
        raise ValueError(f"{where}: there is no dense layer, should be at least one")
    dtype = found[0].weight.dtype
    made: list[Layer] = [] if standardize is None else [standardize]
    for before, part in zip([None, *found], found, strict=False):
        _check_parameters(where, part, dtype)
        if before is not None:
            _check_fit(where, before, part)
        inputs, outputs = part.weight.shape
        activation = cast("Activation", part.activation or "identity")  # which Dense checks
        made.append(Dense(inputs, outputs, activation))
        if part.dropout is not None:
            made.append(Dropout(part.dropout))
    if found[-1].dropout is not None:
        raise ValueError(
            f"{where}: a Dropout comes after {found[-1].name}, should be between two dense layers"
        )
    assembled = layers.compiled(layers.checked(where, made), dtype.name)
    dense = (i for i, layer in enumerate(made) if isinstance(layer, Dense))
    for i, part in zip(dense, found, strict=True):
        assembled.set(i, "weight", part.weight)
        bias = np.zeros(part.weight.shape[1], dtype) if part.bias is None else part.bias
        assembled.set(i, "bias", bias)
    return assembled


def _check_parameters(where: str, part: Part, dtype: np.dtype[Any]) -> None:
    for name, values in (("weight", part.weight), ("bias", part.bias)):
        if values is None:
            continue
        if values.dtype.name not in ("float32", "float64"):
            raise ValueError(
                f"{where}: the {name} of {part.name} has dtype {values.dtype}, should be float32 "
                f"or float64"
            )
        if values.dtype != dtype:
            raise ValueError(
                f"{where}: the {name} of {part.name} has dtype {values.dtype}, but the first layer "
                f"has {dtype}; they should be the same"
            )
    if part.weight.ndim != 2 or 0 in part.weight.shape:
        raise ValueError(
            f"{where}: the weight of {part.name} has shape {part.weight.shape}, should have 2 "
            f"dimensions, none of them 0"
        )
    if part.bias is not None and part.bias.shape != part.weight.shape[1:]:
        raise ValueError(
            f"{where}: the bias of {part.name} has shape {part.bias.shape}, should be "
            f"{part.weight.shape[1:]}"
        )


def _check_fit(where: str, before: Part, part: Part) -> None:
    """Refuse a part that does not fit the one before it; the error has their names."""
    if part.weight.shape[0] != before.weight.shape[1]:
        raise ValueError(
            f"{where}: {part.name} has {part.weight.shape[0]} inputs, but {before.name} has "
            f"{before.weight.shape[1]} outputs"
        )
    if before.activation == "softmax":
        raise ValueError(
            f"{where}: {part.name} comes after Softmax, which only the last layer can have"
        )
