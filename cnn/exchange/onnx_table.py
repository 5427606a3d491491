"""Table models as ONNX files: `cnn.tabular.TableModel.to_onnx`."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn._tables.table import Category, Number
from cnn.exchange._onnx_tables import ColumnModel, check_texts
from cnn.exchange.onnx_write import checked

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from cnn import _core
    from cnn._tables.preprocessing import Filling, Preprocessing
    from cnn._tables.table import Column


def write(network: _core.Network, plan: Preprocessing, path: str | os.PathLike[str]) -> None:
    """Write a table's model; `TableModel.to_onnx` documents it."""
    onnx = checked([network], path)
    check_texts(_texts(plan), "model.net")
    _TableModel(onnx, network, plan).save(path)


def _texts(plan: Preprocessing) -> Iterator[tuple[str, str]]:
    for column in (*plan.columns, plan.target):
        yield "the name of a column", column.name
        if isinstance(column, Category):
            for text in column.categories:
                yield f"a category of column {column.name!r}", text


def _runs(
    parts: list[tuple[Column, Filling | None, int]],
) -> Iterator[list[tuple[Number, Filling | None]]]:
    """Yield the numbers among columns in runs, each of which ends after one with an indicator."""
    run: list[tuple[Number, Filling | None]] = []
    for column, filling, _ in parts:
        if isinstance(column, Number):
            run.append((column, filling))
            if filling is not None and filling.indicator:
                yield run
                run = []
    if run:
        yield run


class _TableModel(ColumnModel):
    """A model with an input for each column."""

    def __init__(self, onnx: Any, network: _core.Network, plan: Preprocessing) -> None:
        super().__init__(onnx, network, [column.name for column in plan.columns])
        self._plan = plan
        self.properties = {"cnn_preprocessing": plan.to_json()}

    def body(self) -> tuple[list[Any], list[Any]]:
        """Add all nodes, and return the graph's inputs and outputs."""
        info = self._onnx.helper.make_tensor_value_info
        kinds = {Number: self._onnx.TensorProto.DOUBLE, Category: self._onnx.TensorProto.STRING}
        inputs = [info(c.name, kinds[type(c)], ["batch", 1]) for c in self._plan.columns]
        x = self._standardised()
        y = self._layers(x, self._value("network.output"))
        # 0, or NaN if an input is not finite: then Python refuses the row.
        lost = self._node("Sub", "check.lost", [x, x])
        check = self._total("check", lost, keepdims=1)
        y = self._node("Add", "checked", [y, check])
        target = self._plan.target
        if isinstance(target, Number):
            return inputs, self._scaled(y, target)
        return inputs, self._classes(y, target.categories, self._type)

    def _standardised(self) -> str:
        """Return the network's inputs: runs of numbers and one-hot categories, concatenated."""
        parts: list[str] = []
        for _, group in groupby(self._plan.parts(), lambda part: type(part[0])):
            columns = list(group)
            for numbers in _runs(columns):
                parts.append(self._numbers(f"columns.{len(parts)}", numbers))
                filling = numbers[-1][1]
                if filling is not None and filling.indicator:
                    parts.append(self._indicator(f"columns.{len(parts)}", numbers[-1][0].name))
            for column, filling, _ in columns:
                if isinstance(column, Category):
                    parts.append(self._places(f"columns.{len(parts)}", column, filling))
        return self._joined("columns", parts)

    def _numbers(self, name: str, parts: list[tuple[Number, Filling | None]]) -> str:
        columns = [column for column, _ in parts]
        mean = self._constant(f"{name}.mean", np.array([column.mean for column in columns]))
        scale = self._constant(f"{name}.scale", np.array([column.scale for column in columns]))
        values = self._joined(f"{name}.values", [column.name for column in columns])
        fills = [filling.value for _, filling in parts if filling is not None]
        if fills:
            fill = self._constant(f"{name}.fill", np.array(fills, np.float64))
            missing = self._node("IsNaN", f"{name}.missing", [values])
            values = self._node("Where", f"{name}.filled", [missing, fill, values])
        centred = self._node("Sub", f"{name}.centred", [values, mean])
        found = self._node("Div", f"{name}.standardised", [centred, scale])
        return self._node("Cast", f"{name}.rounded", [found], to=self._type)

    def _indicator(self, name: str, column: str) -> str:
        missing = self._node("IsNaN", f"{name}.missing", [column])
        return self._node("Cast", f"{name}.indicator", [missing], to=self._type)

    def _places(self, name: str, column: Category, filling: Filling | None) -> str:
        gaps = [] if filling is None else sorted(self._plan.missing.difference(column.categories))
        # zeros=0: a category that is none of these is an error.
        found = self._node(
            "OneHotEncoder",
            f"{name}.encoded",
            [column.name],
            domain="ai.onnx.ml",
            cats_strings=[*column.categories, *gaps],
            zeros=0,
        )
        flat = self._node("Flatten", f"{name}.flat", [found], axis=1)
        places = self._node("Cast", f"{name}.rounded", [flat], to=self._type)
        if filling is None or not gaps:
            return places
        # Texts of missing values get the input of the category that replaces them, or the last.
        width = column.width + filling.indicator
        to = width - 1 if filling.value is None else int(filling.value)
        rows = np.eye(width, dtype=self._network.dtype)[[*range(column.width), *[to] * len(gaps)]]
        return self._node("MatMul", f"{name}.filled", [places, self._constant(f"{name}.map", rows)])

    def _scaled(self, y: str, target: Number) -> list[Any]:
        double = self._onnx.TensorProto.DOUBLE
        name = self._value("number")
        wide = self._node("Cast", "number.wide", [y], to=double)
        scale = self._constant("number.scale", np.array(target.scale))
        mean = self._constant("number.mean", np.array(target.mean))
        scaled = self._node("Mul", "number.scaled", [wide, scale])
        shifted = self._node("Add", "number.shifted", [scaled, mean])
        shape = self._constant("number.shape", np.array([-1]))
        self._node("Reshape", "number", [shifted, shape], name)
        return [self._onnx.helper.make_tensor_value_info(name, double, ["batch"])]
