"""A Columns layer as ONNX nodes: features of numbers, categories and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from cnn import _core

_TURN = 2 * np.pi


def _kinds(layer: _core.LayerSpec) -> dict[str, list[tuple[int, int]]]:
    """Return the columns of each kind, each with its first feature.

    The number of a periodic column and a feature for missing numbers are kinds of their own, and so
    are two categories, a "pair".
    """
    found: dict[str, list[tuple[int, int]]] = {}
    feature = 0

    def add(kind: str, j: int, width: int) -> None:
        nonlocal feature
        found.setdefault(kind, []).append((j, feature))
        feature += width

    for j, column in enumerate(layer.columns):
        if column.kind in ("number", "periodic"):
            add("number", j, 1)
        if column.kind == "periodic":
            add("periodic", j, layer.periodic_size - 1)
        if column.missing:
            add("missing", j, 1)
        if column.kind == "one_hot":
            is_pair = column.categories == 2
            add("pair" if is_pair else "one_hot", j, 1 if is_pair else column.categories)
        if column.kind == "embedding":
            add("embedding", j, layer.embedding_size)
    return found


class FeatureNodes:
    """The part of a model that makes features of columns.

    Columns of a kind are computed together. A last Gather brings the features into their order.
    """

    _network: _core.Network
    _dtype: np.dtype[Any]
    _type: int

    def _node(
        self, op: str, name: str, inputs: list[str], output: str | None = None, **attributes: Any
    ) -> str:
        raise NotImplementedError

    def _constant(self, name: str, values: Any) -> str:
        raise NotImplementedError

    def _number(self, name: str, value: float) -> str:
        raise NotImplementedError

    def _chosen(self, name: str, value: str, columns: list[int]) -> str:
        """Add the choice of some columns of a value."""
        indices = self._constant(f"{name}.columns", np.array(columns, np.int64))
        return self._node("Gather", f"{name}.chosen", [value, indices], axis=1)

    def _ordered(
        self, name: str, parts: list[str], places: list[int], output: str | None = None
    ) -> str:
        """Add the values of parts side by side, each column of which goes to a place of its own."""
        in_order = places == sorted(places)
        if len(parts) == 1 and in_order:
            return self._node("Identity", name, parts, output)
        if in_order:
            return self._node("Concat", name, parts, output, axis=1)
        joined = self._node("Concat", f"{name}.joined", parts, axis=1)
        order = self._constant(f"{name}.order", np.argsort(np.array(places)).astype(np.int64))
        return self._node("Gather", name, [joined, order], output, axis=1)

    def _columns(self, name: str, i: int, layer: _core.LayerSpec, value: str) -> str:
        """Add the features of a Columns layer."""
        parts: list[str] = []
        places: list[int] = []
        found = _kinds(layer)
        numbers = self._numbers_of(name, i, layer, value) if "number" in found else ""
        for kind, columns in found.items():
            chosen = [j for j, _ in columns]
            counts = [layer.columns[j].categories for j in chosen]
            own = f"{name}.{kind}"
            width = 1
            if kind == "number":
                part = self._chosen(own, numbers, chosen)
            elif kind == "periodic":
                part = self._periodic(own, i, layer, self._chosen(own, numbers, chosen))
                width = layer.periodic_size - 1
            elif kind == "missing":
                part = self._missing(own, self._chosen(own, value, chosen))
            elif kind == "pair":
                part = self._pairs(own, self._chosen(own, value, chosen))
            elif kind == "embedding":
                part = self._embedded(own, i, counts, self._chosen(own, value, chosen))
                width = layer.embedding_size
            else:
                part = self._one_hot(own, chosen, counts, value)
            widths = counts if kind == "one_hot" else [width] * len(columns)
            parts.append(part)
            for (_, at), wide in zip(columns, widths, strict=True):
                places += range(at, at + wide)
        return self._ordered(f"{name}.features", parts, places)

    def _numbers_of(self, name: str, i: int, layer: _core.LayerSpec, value: str) -> str:
        """Add u = clip((x - mean) / scale) of all columns, 0 for what is missing."""
        u = value
        for op, parameter in (("Sub", "mean"), ("Div", "scale")):
            constant = self._constant(f"{name}.{parameter}", self._network.get(i, parameter))
            u = self._node(op, f"{name}.{op.lower()}", [u, constant])
        if layer.clip > 0:
            # m / sqrt(q^2 + 1), m being the smaller of |v| and the bound: no square overflows.
            bound = self._number(f"{name}.bound", layer.clip)
            size = self._node("Abs", f"{name}.abs", [u])
            least = self._node("Min", f"{name}.least", [size, bound])
            most = self._node("Max", f"{name}.most", [size, bound])
            q = self._node("Div", f"{name}.quotient", [least, most])
            square = self._node("Mul", f"{name}.square", [q, q])
            sum_ = self._node("Add", f"{name}.sum", [square, self._number("one", 1.0)])
            root = self._node("Sqrt", f"{name}.root", [sum_])
            clipped = self._node("Div", f"{name}.clipped", [least, root])
            sign = self._node("Sign", f"{name}.sign", [u])
            u = self._node("Mul", f"{name}.signed", [clipped, sign])
        missing = self._node("IsNaN", f"{name}.is_missing", [value])
        return self._node("Where", f"{name}.numbers", [missing, self._number("zero", 0.0), u])

    def _periodic(self, name: str, i: int, layer: _core.LayerSpec, u: str) -> str:
        """Add the periodic features of numbers u (n, columns).

        cos(2 pi t) is sin(2 pi (1/4 - |r|)), r being t without its whole turns, as cnn has it; and
        ONNX Runtime has no Cos in float64.
        """
        n, size = layer.frequencies, layer.periodic_size - 1
        rows = self._network.get(i, "periodic").reshape(-1, 1, (size + 2) * n + size)
        count = len(rows)
        factors = rows[:, 0, 2 * n : (size + 2) * n].reshape(count, size, n)
        turned = self._node("Transpose", f"{name}.turned", [u], perm=[1, 0])
        last = self._constant(f"{name}.axis", np.array([2]))
        t = self._node("Unsqueeze", f"{name}.wide", [turned, last])
        frequency = self._constant(f"{name}.frequency", np.ascontiguousarray(rows[:, :, :n]))
        phases = (rows[:, :, n : 2 * n] / _TURN).astype(self._dtype)
        phase = self._constant(f"{name}.phase", phases)
        t = self._node("Mul", f"{name}.product", [t, frequency])
        t = self._node("Add", f"{name}.turns", [t, phase])
        whole = self._node("Round", f"{name}.whole", [t])
        part = self._node("Sub", f"{name}.part", [t, whole])
        part = self._node("Abs", f"{name}.distance", [part])
        part = self._node("Sub", f"{name}.from_quarter", [self._number("quarter", 0.25), part])
        angle = self._node("Mul", f"{name}.angle", [part, self._number("turn", _TURN)])
        cosine = self._node("Sin", f"{name}.cosine", [angle])
        factor = np.ascontiguousarray(factors.transpose(0, 2, 1))
        sums = self._node(
            "MatMul", f"{name}.sums", [cosine, self._constant(f"{name}.factor", factor)]
        )
        offset = np.ascontiguousarray(rows[:, :, (size + 2) * n :])
        sums = self._node(
            "Add", f"{name}.shifted", [sums, self._constant(f"{name}.offset", offset)]
        )
        sums = self._node("Transpose", f"{name}.by_row", [sums], perm=[1, 0, 2])
        return self._flat(name, sums, count * size)

    def _flat(self, name: str, value: str, width: int) -> str:
        """Add the rows of a value of three dimensions as rows of numbers."""
        shape = self._constant(
            f"{name}.shape", np.array([0, width])
        )  # 0: as many rows as there are
        return self._node("Reshape", f"{name}.flat", [value, shape])

    def _missing(self, name: str, value: str) -> str:
        missing = self._node("IsNaN", f"{name}.is_nan", [value])
        return self._node("Cast", name, [missing], to=self._type)

    def _equal(self, name: str, value: str, codes: Any) -> str:
        """Add 1 if codes are those, and 0 otherwise."""
        wanted = self._constant(f"{name}.codes", np.array(codes, self._dtype))
        same = self._node("Equal", f"{name}.same", [value, wanted])
        return self._node("Cast", f"{name}.as_number", [same], to=self._type)

    def _pairs(self, name: str, value: str) -> str:
        """Add 1 for the first of two categories, -1 for the second."""
        first, second = self._equal(f"{name}.0", value, 0), self._equal(f"{name}.1", value, 1)
        return self._node("Sub", name, [first, second])

    def _one_hot(self, name: str, columns: list[int], counts: list[int], value: str) -> str:
        pairs = zip(columns, counts, strict=True)
        wide = self._chosen(name, value, [j for j, count in pairs for _ in range(count)])
        return self._equal(name, wide, [c for count in counts for c in range(count)])

    def _embedded(self, name: str, i: int, counts: list[int], value: str) -> str:
        """Add the embeddings of codes (n, columns), zeros for what is no code."""
        table = self._network.get(i, "embedding")
        zeros = np.zeros((1, table.shape[1]), self._dtype)
        rows = self._constant(f"{name}.table", np.concatenate((table, zeros)))
        zero = self._number("zero", 0.0)
        most = self._constant(f"{name}.counts", np.array(counts, self._dtype))
        floor = self._node("Floor", f"{name}.floor", [value])
        good = self._node("Equal", f"{name}.is_whole", [floor, value])
        for op, inputs in (("LessOrEqual", [zero, value]), ("Less", [value, most])):
            test = self._node(op, f"{name}.{op.lower()}", inputs)
            good = self._node("And", f"{name}.and_{op.lower()}", [good, test])
        code = self._node("Where", f"{name}.code", [good, value, zero])
        place = self._node("Cast", f"{name}.place", [code], to=self._int64)
        begins = self._constant(f"{name}.begins", np.cumsum([0, *counts[:-1]], dtype=np.int64))
        row = self._node("Add", f"{name}.row", [place, begins])
        none = self._constant(f"{name}.none", np.array(len(table), np.int64))
        row = self._node("Where", f"{name}.row_or_none", [good, row, none])
        found = self._node("Gather", f"{name}.rows", [rows, row], axis=0)
        return self._flat(name, found, len(counts) * table.shape[1])

    @property
    def _int64(self) -> int:
        raise NotImplementedError
