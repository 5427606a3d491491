"""The parts of a C header that a TableModel adds: columns, categories, names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn._tables.table import Category, Number
from cnn.exchange._c_formulas import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from cnn import _core
    from cnn._tables.preprocessing import Preprocessing

# Rows that a header's self-test runs.
_TESTED = 4
# The fields of a column in a header, and those if the model takes missing values.
_NUMBER = """    double mean, scale;            /* of a number */
"""
_FIELDS = """    double fill;                   /* in place of a missing value */
    int indicator;                 /* 1 if there is an input that is 1 for a missing value */
"""


def text_literal(what: str, text: str, net: str) -> str:
    """Return a text as C source: ASCII, the bytes of its UTF-8 as octal escapes.

    `net` is how users name the network, for the message.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError:
        data = b"\0"
    if 0 in data:
        raise ValueError(
            f"to_c: {what} is {text!r}, which C's strings cannot hold; {net}.to_c writes the "
            f"network alone"
        )
    # Three octal digits take no digit that follows; an escaped ? begins no trigraph.
    return '"' + "".join(_escaped(byte) for byte in data) + '"'


def _escaped(byte: int) -> str:
    if chr(byte) in '"\\?':
        return f"\\{chr(byte)}"
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"


class TableParts:
    """What headers that take rows of tables share.

    Parameters
    ----------
    name : str
        The prefix of names in the header.
    dtype : numpy dtype
        The type of the networks.
    fast : bool
        Whether outputs may differ in their last bits.
    """

    net = "model.net"
    """How users name the network."""

    @property
    def is_exponential(self) -> bool:
        """Whether an output is the logarithm of the number that is predicted."""
        return False

    def __init__(self, name: str, dtype: np.dtype[Any], *, fast: bool) -> None:
        self._name = name
        self._dtype = dtype
        self._fast = fast

    @property
    def _type(self) -> str:
        return "float" if self._dtype == np.float32 else "double"

    def _text(self, what: str, text: str) -> str:
        return text_literal(what, text, self.net)

    def _array(self, suffix: str, what: str, texts: Sequence[str]) -> str:
        """Return an array of strings."""
        lines = "".join(f"    {self._text(what, text)},\n" for text in texts)
        length = len(texts)
        return f"static const char *const {self._name}_{suffix}[{length}] = {{\n{lines[:-2]}}};"

    def _tested(
        self,
        filled: Callable[..., str],
        rows: NDArray[np.float64],
        y: NDArray[Any],
        most: NDArray[np.float64],
        *,
        missing: bool,
    ) -> str:
        """Return a C function that predicts rows and compares the outputs with y, those of cnn.

        With `missing`, y has one row more, that of a row in which all is missing. `most` has the
        tolerances of outputs whose last bits depend on the compiler.
        """
        bits = 8 * y.dtype.itemsize
        tolerances = ""
        if self._fast:
            kind, expected = "double", self._lines(y, lambda v: literal(v, 64))
            shape = f"[{len(y)}][{y.shape[1]}]"
            numbers = self._lines(most, lambda v: literal(v, 64))
            tolerances = f"    static const double most{shape} = {{\n{numbers}}};\n"
        else:
            kind = f"uint{bits}_t"
            expected = self._lines(y.view(kind[:-2]), lambda v: f"0x{v:0{bits // 4}x}")
        compare = filled(
            "table_compare_fast" if self._fast else "compare_strict",
            bits=bits,
            result="float" if bits == 32 else "double",
        ).rstrip()
        of_count = {"count": len(rows), "results": y.shape[1], "compare": compare}
        return filled(
            "table_test",
            **of_count,
            expected_count=len(y),
            refused="0" if missing else "(int)i + 1",
            compared="!=" if missing else "==",
            missing=filled("table_test_missing", **of_count) if missing else "",
            rows=self._lines(rows, lambda v: literal(v, 64)),
            expected_type=kind,
            expected=expected,
            most=tolerances,
        )

    @staticmethod
    def _lines(values: NDArray[Any], text: Callable[[Any], str]) -> str:
        rows = (", ".join(map(text, row)) for row in values.tolist())
        lines = (re.sub(r"((?:\S+ ){6})", r"\1\n     ", f"    {{{row}}}") for row in rows)
        return re.sub(r" +\n", "\n", ",\n".join(lines))


class Table(TableParts):
    """The parts of a header that its columns need.

    Parameters
    ----------
    plan : Preprocessing
        The columns and the target.
    network : _core.Network
        The network, in the header's type.
    name : str
        The prefix of names in the header.
    fast : bool
        Whether outputs may differ in their last bits.
    """

    def __init__(self, plan: Preprocessing, network: _core.Network, name: str, *, fast: bool):
        super().__init__(name, network.dtype, fast=fast)
        self._plan = plan
        self._network = network

    usage = "usage_table"
    """The template of the comment on use."""

    @property
    def stack(self) -> int:
        """The numbers on the stack of the table's predict, besides those of the network."""
        return self._plan.inputs + (self._plan.target.width if self._is_number else 0)

    @property
    def values(self) -> dict[str, object]:
        """The substitutions that the templates need besides the header's own."""
        return {
            "columns": len(self._plan.columns),
            "result": "double" if self._is_number else self._type,
            "of_missing": self._of_missing,
            "unusable": " NaN,\n * " if self._plan.fillings is None else "\n * ",
        }

    @property
    def meaning(self) -> str:
        """The lines of the comment that describe y."""
        if self._is_number:
            lines = [f"y (1) gets the number that {self._name}_target_name names."]
        else:
            lines = [
                f"y ({self._plan.target.width}) gets the probabilities of {self._name}_class_names,"
                f" the greatest of which int",
                f"{self._name}_class(const {self._type} *y) finds.",
            ]
        return "".join(f" * {line}\n" for line in lines)

    @property
    def _of_missing(self) -> str:
        """The lines of the comment on missing values."""
        if self._plan.fillings is None:
            return ""
        return (
            " * A missing value is NaN, of a category too; it becomes what training has chosen.\n"
        )

    def text(self, filled: Callable[..., str]) -> str:
        """Return the columns, and the function that takes a row."""
        target = self._plan.target
        if isinstance(target, Number):
            scale, mean = literal(target.scale, 64), literal(target.mean, 64)
            # A negative literal after + is right, but looks like a mistake.
            predict = filled("table_number", scale=scale, mean=f"({mean})" if "-" in mean else mean)
        else:
            predict = filled("class") + filled("table_classes")
        names = "\n\n".join(self._names())
        described = "".join(f"    {line},\n" for line in self._described())
        fields = "" if self._plan.fillings is None else _FIELDS
        found = filled(
            "table",
            names=names,
            described=described.rstrip(",\n"),
            numbers=_NUMBER,
            fields=fields,
        )
        found += filled("table_standardise", column=filled("table_column" + self._suffix))
        return found + predict

    @property
    def _suffix(self) -> str:
        return "" if self._plan.fillings is None else "_missing"

    def _names(self) -> Iterator[str]:
        """Yield the arrays of names, and the target's name."""
        name, plan = self._name, self._plan
        yield self._array("column_names", "a column's name", [c.name for c in plan.columns])
        target = self._text("the target's name", plan.target.name)
        yield f"static const char {name}_target_name[] = {target};"
        if isinstance(plan.target, Category):
            yield self._array("class_names", "a class", plan.target.categories)
        for i, column in enumerate(plan.columns):
            if isinstance(column, Category):
                what = f"a category of column {column.name!r}"
                yield self._array(f"category_names_{i}", what, column.categories)

    def _described(self) -> Iterator[str]:
        for i, (column, filling, _) in enumerate(self._plan.parts()):
            more = ""
            if filling is not None:
                # A category that only has an indicator is the place after the others.
                fill = column.width if filling.value is None else filling.value
                more = f", {literal(fill, 64)}, {int(filling.indicator)}"
            if isinstance(column, Number):
                yield f"{{{literal(column.mean, 64)}, {literal(column.scale, 64)}, NULL, 0{more}}}"
            else:
                yield f"{{0, 1, {self._name}_category_names_{i}, {column.width}{more}}}"

    def test(self, filled: Callable[..., str]) -> str:
        """Return a C function that predicts rows and compares the outputs with those of cnn."""
        rows = self._rows()
        tested = rows
        if self._plan.fillings is not None:
            gaps = [np.nan if isinstance(column, Number) else -1 for column in self._plan.columns]
            tested = np.vstack([rows, gaps])
        found = self._plan.x(tested, "to_c", dtype=self._network.dtype)
        y = self._plan.outputs(self._network.predict(found))
        missing = self._plan.fillings is not None
        return self._tested(filled, rows, y, self._tolerance(y), missing=missing)

    def _rows(self) -> NDArray[np.float64]:
        """Return rows on both sides of the means, with different categories."""
        rows = np.empty((_TESTED, len(self._plan.columns)))
        for i, column in enumerate(self._plan.columns):
            if isinstance(column, Number):
                steps = (37 * (i + np.arange(_TESTED)) % 101 - 50) / 32
                with np.errstate(over="ignore"):
                    rows[:, i] = column.mean + column.scale * steps
                rows[:, i] = np.where(np.isfinite(rows[:, i]), rows[:, i], column.mean)
            else:
                rows[:, i] = (i + np.arange(_TESTED)) % column.width
        return rows

    def _tolerance(self, y: NDArray[Any]) -> NDArray[np.float64]:
        """Return the tolerance of outputs whose last bits depend on the compiler."""
        most = 1e-4 if self._network.dtype == np.float32 else 1e-12
        if isinstance(self._plan.target, Category):
            return most * (1 + y.astype(np.float64) ** 2)
        scale, mean = self._plan.target.scale, self._plan.target.mean
        rounding = 4 * np.finfo(np.float64).eps * np.abs(y)
        found: NDArray[np.float64] = most * scale * (1 + ((y - mean) / scale) ** 2) + rounding
        return found

    @property
    def _is_number(self) -> bool:
        return isinstance(self._plan.target, Number)
