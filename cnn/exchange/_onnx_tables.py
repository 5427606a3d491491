"""What models of tables as ONNX files share: an input for each column, classes as labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnn.exchange.onnx_write import Model

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cnn import _core

# Of the domain with OneHotEncoder and LabelEncoder; the one of opset 17's time.
_ML_OPSET = 3


def check_texts(texts: Iterable[tuple[str, str]], net: str) -> None:
    """Refuse a text that UTF-8 cannot encode, such as an unpaired surrogate in a file's JSON.

    `texts` has what each text is, and the text; `net` is how users name the network.
    """
    for what, text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"to_onnx: {what} is {text!r}, which ONNX's strings cannot hold; "
                f"{net}.to_onnx writes the network alone"
            ) from error


class ColumnModel(Model):
    """A model with an input for each column.

    Parameters
    ----------
    onnx : module
        The package.
    network : _core.Network
        The network; of several, the first.
    names : iterable of str
        The names of the columns, from which those of other values differ.
    """

    domains = ("ai.onnx.ml", _ML_OPSET)

    def __init__(self, onnx: Any, network: _core.Network, names: Iterable[str]) -> None:
        super().__init__(onnx, network)
        self._names = set(names)
        if "" in self._names:
            raise ValueError("to_onnx: a column's name is empty, but an input of ONNX needs a name")

    def _value(self, name: str) -> str:
        """Return a name for a value of a node that differs from all names of columns."""
        while name in self._names:
            name += "_"
        return name

    def _joined(self, name: str, parts: list[str]) -> str:
        return parts[0] if len(parts) == 1 else self._node("Concat", name, parts, axis=1)

    def _total(self, name: str, value: str, *, keepdims: int) -> str:
        """Add the sums of rows."""
        axis = self._constant("check.axis", np.array([1]))
        return self._node("ReduceSum", name, [value, axis], keepdims=keepdims)

    def _classes(self, y: str, classes: Sequence[str], kind: int) -> list[Any]:
        """Add the label of the greatest of probabilities y of a type; return the outputs."""
        info = self._onnx.helper.make_tensor_value_info
        names = [self._value(name) for name in ("label", "probabilities")]
        best = self._node("ArgMax", "label.place", [y], axis=1, keepdims=0)
        # The label of a row without a valid prediction: a text that is no class.
        unknown = ""
        while unknown in classes:
            unknown = f"{unknown}_" if unknown else "NaN"
        total = self._total("label.total", y, keepdims=0)
        is_nan = self._node("IsNaN", "label.is_nan", [total])
        none = self._constant("label.none", np.array(-1, np.int64))
        place = self._node("Where", "label.place_or_none", [is_nan, none, best])
        self._node(
            "LabelEncoder",
            "label",
            [place],
            names[0],
            domain="ai.onnx.ml",
            keys_int64s=list(range(len(classes))),
            values_strings=list(classes),
            default_string=unknown,
        )
        self._node("Identity", "probabilities", [y], names[1])
        return [
            info(names[0], self._onnx.TensorProto.STRING, ["batch"]),
            info(names[1], kind, ["batch", len(classes)]),
        ]
