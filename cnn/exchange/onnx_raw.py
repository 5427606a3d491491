"""TabularClassifier and TabularRegressor as ONNX files: raw columns in, classes or numbers out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn.exchange._onnx_tables import ColumnModel, check_texts
from cnn.exchange.onnx_write import checked
from cnn.exchange.raw import RAW_COLUMNS, RawClasses

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from cnn.exchange.raw import RawColumn, RawModel, RawNumbers

# The bound of scaled numbers, and of dates in seconds.
_LARGE, _LATEST = 1e30, 9.2e12
_MICROSECONDS, _DAY = 10**6, 86400
# The days of 400 years; dates are counted from so many of these cycles before March of the year 0.
_CYCLE, _CYCLES = 146097, 1000
# Codes of categories that are missing and of those that are not known.
_MISSING, _UNSEEN = -1, -2


def write(model: RawModel, path: str | os.PathLike[str]) -> None:
    """Write the model of a table as it is; `TabularClassifier.to_onnx` documents it."""
    onnx = checked(model.networks, path)
    check_texts(_texts(model), "model.net_")
    _RawModel(onnx, model).save(path)


def _texts(model: RawModel) -> Iterator[tuple[str, str]]:
    for column in model.columns:
        yield "the name of a column", column.name
        for text in column.texts("to_onnx"):
            yield f"a category of column {column.name!r}", text
    if isinstance(model.target, RawClasses):
        for name in model.target.classes:
            yield "a class", str(name)


class _RawModel(ColumnModel):
    """A model with an input for each column as it is."""

    def __init__(self, onnx: Any, model: RawModel) -> None:
        super().__init__(onnx, model.networks[0], [column.name for column in model.columns])
        self._model = model
        self._double = onnx.TensorProto.DOUBLE
        columns = [
            {"name": column.name, "kind": column.kind, "categories": column.texts("to_onnx")}
            for column in model.columns
        ]
        self.properties = {RAW_COLUMNS: json.dumps(columns, ensure_ascii=False)}
        # Values of bool columns, each row of which is refused if one of them is true.
        self._bad: list[str] = []

    def body(self) -> tuple[list[Any], list[Any]]:
        """Add all nodes, and return the graph's inputs and outputs."""
        info = self._onnx.helper.make_tensor_value_info
        text = self._onnx.TensorProto.STRING
        inputs = [
            info(column.name, text if column.kind == "category" else self._double, ["batch", 1])
            for column in self._model.columns
        ]
        means = self._means(self._encoded())
        target = self._model.target
        if isinstance(target, RawClasses):
            total = self._total("sums", means, keepdims=1)
            y = self._checked(self._node("Div", "normalised", [means, total]))
            return inputs, self._classes(y, [str(c) for c in target.classes], self._double)
        return inputs, self._numbers(means, target)

    # ---- Columns --------------------------------------------------------------------------------

    def _encoded(self) -> str:
        """Return the network's inputs."""
        places: dict[str, list[int]] = {"number": [], "date": [], "category": []}
        found: dict[str, list[RawColumn]] = {kind: [] for kind in places}
        at = 0
        for column in self._model.columns:
            width = max(len(column.centers), 1)
            places[column.kind] += range(at, at + width)
            found[column.kind].append(column)
            at += width
        parts: list[str] = []
        if found["number"]:
            values = self._joined("numbers", [column.name for column in found["number"]])
            self._bad.append(self._node("IsInf", "numbers.infinite", [values]))
            parts.append(self._scaled("scaled.numbers", values, found["number"]))
        if found["date"]:
            parts.append(self._scaled("scaled.dates", self._dates(found["date"]), found["date"]))
        if found["category"]:
            codes = [self._codes(i, column) for i, column in enumerate(found["category"])]
            parts.append(self._joined("categories", codes))
        order = [place for kind in ("number", "date", "category") for place in places[kind]]
        return self._ordered("columns", parts, order)

    def _scaled(self, name: str, values: str, columns: list[RawColumn]) -> str:
        """Add numbers about 0, in float64, bounded, and then rounded to the network's type."""
        centers = np.array([center for column in columns for center in column.centers])
        scales = np.array([scale for column in columns for scale in column.scales])
        found = self._node(
            "Sub", f"{name}.centered", [values, self._of(f"{name}.centers", centers)]
        )
        found = self._node("Div", f"{name}.scaled", [found, self._of(f"{name}.scales", scales)])
        least, most = self._of("least", np.array(-_LARGE)), self._of("most", np.array(_LARGE))
        found = self._node("Clip", f"{name}.bounded", [found, least, most])
        # Clip need not keep NaN.
        missing = self._node("IsNaN", f"{name}.missing", [values])
        nan = self._of("nan", np.array(np.nan))
        found = self._node("Where", f"{name}.filled", [missing, nan, found])
        return self._node("Cast", f"{name}.rounded", [found], to=self._type)

    def _of(self, name: str, values: Any) -> str:
        """Return a constant of another type than the network's."""
        return self._constant(f"constants.{name}", values)

    def _whole(self, name: str, value: int) -> str:
        return self._of(name, np.array(value, np.int64))

    def _codes(self, i: int, column: RawColumn) -> str:
        """Add the codes of a column of categories."""
        name = f"categories.{i}"
        texts = list(column.texts("to_onnx"))
        rest = len(column.categories)
        codes = [min(place, rest) for place in range(len(texts))]
        counts_as_rest = bool(column.infrequent) and not self._model.refuses_unseen
        if "" not in texts:
            texts.append("")
            codes.append(_MISSING)
        code = self._node(
            "LabelEncoder",
            f"{name}.code",
            [column.name],
            domain="ai.onnx.ml",
            keys_strings=texts,
            values_int64s=codes,
            default_int64=rest if counts_as_rest else _UNSEEN,
        )
        if self._model.refuses_unseen:
            unseen = self._whole("unseen", _UNSEEN)
            self._bad.append(self._node("Equal", f"{name}.unseen", [code, unseen]))
        return self._node("Cast", f"{name}.number", [code], to=self._type)

    def _dates(self, columns: list[RawColumn]) -> str:
        """Add the days since 1970, the months, the weekdays and the hours of dates in seconds.

        All but the last steps are in whole numbers, as in Python. The four parts of a date are side
        by side.
        """
        seconds = self._joined("dates", [column.name for column in columns])
        size = self._node("Abs", "dates.size", [seconds])
        latest = self._of("latest", np.array(_LATEST))
        far = self._node("GreaterOrEqual", "dates.far", [size, latest])
        self._bad.append(far)
        missing = self._node("IsNaN", "dates.missing", [seconds])
        gone = self._node("Or", "dates.gone", [missing, far])
        zero = self._of("zero", np.array(0.0))
        known = self._node("Where", "dates.known", [gone, zero, seconds])
        day, rest = self._days(known)
        parts = self._parts(day, rest)
        nan = self._of("nan", np.array(np.nan))
        filled = [
            self._node("Where", f"dates.part.{k}", [missing, nan, part])
            for k, part in enumerate(parts)
        ]
        count = len(columns)
        places = [4 * j + k for k in range(4) for j in range(count)]
        return self._ordered("dates.parts", filled, places)

    def _days(self, seconds: str) -> tuple[str, str]:
        """Add the days of dates, and what is left in microseconds, both as whole numbers."""
        int64 = self._int64
        million = self._of("million", np.array(float(_MICROSECONDS)))
        floor = self._node("Floor", "dates.floor", [seconds])
        part = self._node("Sub", "dates.fraction", [seconds, floor])
        part = self._node("Mul", "dates.in_microseconds", [part, million])
        part = self._node(
            "Floor",
            "dates.microseconds",
            [self._node("Add", "dates.above", [part, self._of("half", np.array(0.5))])],
        )
        whole = self._node("Cast", "dates.whole", [floor], to=int64)
        part = self._node("Cast", "dates.part_of_second", [part], to=int64)
        time = self._node("Mul", "dates.whole_in_us", [whole, self._whole("us", _MICROSECONDS)])
        time = self._node("Add", "dates.time", [time, part])
        in_day = self._whole("in_day", _DAY * _MICROSECONDS)
        rest = self._node("Mod", "dates.rest", [time, in_day])  # has the sign of the divisor
        day = self._node("Sub", "dates.begin", [time, rest])
        return self._node("Div", "dates.day", [day, in_day]), rest

    def _parts(self, day: str, rest: str) -> list[str]:
        """Add the four numbers of dates, from days and microseconds."""
        million = self._of("million", np.array(float(_MICROSECONDS)))
        days = self._node("Cast", "dates.days_as_number", [day], to=self._double)
        time = self._node("Cast", "dates.rest_as_number", [rest], to=self._double)
        time = self._node("Div", "dates.seconds", [time, million])
        in_day = self._of("seconds_in_day", np.array(float(_DAY)))
        share = self._node("Div", "dates.share", [time, in_day])
        days = self._node("Add", "dates.days", [days, share])
        hour = self._of("seconds_in_hour", np.array(3600.0))
        hours = self._node("Div", "dates.hours", [time, hour])
        weekday = self._calculated("dates.weekday", day, ("Add", 3), ("Mod", 7))
        return [
            days,
            self._node("Cast", "dates.months", [self._month(day)], to=self._double),
            self._node("Cast", "dates.weekdays", [weekday], to=self._double),
            hours,
        ]

    def _calculated(self, name: str, value: str, *steps: tuple[str, int]) -> str:
        """Add operations with whole numbers, one after the other."""
        for k, (op, number) in enumerate(steps):
            value = self._node(op, f"{name}.{k}", [value, self._whole(f"whole.{number}", number)])
        return value

    def _month(self, day: str) -> str:
        """Add the months of days, by years that begin in March, in cycles of 400 years."""
        shift = 719468 + _CYCLES * _CYCLE
        days = self._calculated("dates.in_cycle", day, ("Add", shift), ("Mod", _CYCLE))
        leap = [self._calculated(f"dates.in_{n}", days, ("Div", n)) for n in (1460, 36524, 146096)]
        year = self._node("Sub", "dates.less_4", [days, leap[0]])
        year = self._node("Add", "dates.more_100", [year, leap[1]])
        year = self._node("Sub", "dates.less_400", [year, leap[2]])
        year = self._calculated("dates.year", year, ("Div", 365))
        before = self._calculated("dates.days_of_years", year, ("Mul", 365))
        fourth = self._calculated("dates.leap_years", year, ("Div", 4))
        hundredth = self._calculated("dates.centuries", year, ("Div", 100))
        before = self._node("Add", "dates.with_leap_days", [before, fourth])
        before = self._node("Sub", "dates.days_before", [before, hundredth])
        in_year = self._node("Sub", "dates.in_year", [days, before])
        steps = ("Mul", 5), ("Add", 2), ("Div", 153), ("Add", 2), ("Mod", 12), ("Add", 1)
        return self._calculated("dates.month", in_year, *steps)

    # ---- Outputs --------------------------------------------------------------------------------

    def _means(self, x: str) -> str:
        """Add the networks, and the mean of their outputs in float64."""
        total = ""
        for m, network in enumerate(self._model.networks):
            self._network, self._prefix = network, f"networks.{m}."
            y = self._layers(x, self._value(f"networks.{m}.output"))
            wide = self._node("Cast", f"networks.{m}.wide", [y], to=self._double)
            total = wide if m == 0 else self._node("Add", f"networks.{m}.sum", [total, wide])
        count = len(self._model.networks)
        return self._node("Div", "means", [total, self._of("count", np.array(float(count)))])

    def _checked(self, y: str) -> str:
        """Add NaN to rows that Python refuses, and 0 to others."""
        if not self._bad:
            return y
        flags = self._joined("bad", self._bad)
        numbers = self._node("Cast", "bad.numbers", [flags], to=self._double)
        zero = self._of("zero", np.array(0.0))
        total = self._total("bad.total", numbers, keepdims=1)
        bad = self._node("Greater", "bad.any", [total, zero])
        nan = self._of("nan", np.array(np.nan))
        lost = self._node("Where", "bad.lost", [bad, nan, zero])
        return self._node("Add", "checked", [y, lost])

    def _numbers(self, outputs: str, target: RawNumbers) -> list[Any]:
        count = self._model.outputs
        if target.is_exponential:
            outputs = self._node("Exp", "number.exponential", [outputs])
        for op, name, values in (
            ("Mul", "scale", target.scales),
            ("Add", "mean", target.means),
            ("Max", "low", target.lows),
            ("Min", "high", target.highs),
        ):
            constant = self._of(f"number.{name}", np.array(values))
            outputs = self._node(op, f"number.{op.lower()}", [outputs, constant])
        if target.quantiles:
            width = self._of("number.levels", np.array([count], np.int64))
            names = [self._value("number.sorted"), self._value("number.places")]
            node = self._onnx.helper.make_node(
                "TopK", [outputs, width], names, name="number.sort", axis=1, largest=0, sorted=1
            )
            self._nodes.append(node)
            outputs = names[0]
        y = self._checked(outputs)
        info = self._onnx.helper.make_tensor_value_info
        if count > 1:
            name = self._value("numbers")
            self._node("Identity", "numbers.output", [y], name)
            return [info(name, self._double, ["batch", count])]
        name = self._value("number")
        shape = self._of("number.shape", np.array([-1]))
        self._node("Reshape", "number", [y, shape], name)
        return [info(name, self._double, ["batch"])]
