"""What the values of an ONNX graph stand for: rows of numbers, sizes and constants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from cnn._base.numbers import exact
from cnn.exchange.folding import Activated, Affine, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

# ONNX's numbers of the types that a Cast may make.
FLOATS = {1: "float32", 11: "float64"}
# The most dimensions of a NumPy array, and so the most sizes of a shape. The length of a shape is
# checked before the shape is made, since each Concat could double the one before.
MOST_SIZES = 64
# The most steps that the formula of an activation takes.
_MOST_STEPS = 12
# The most columns for which an order of columns, or a constant of their shape, is made.
MOST_COLUMNS = 2**22


@dataclass(frozen=True, eq=False)
class Partial:
    """A function that cnn has only as a part of activations, such as |x| in Softsign."""

    name: str
    function: str
    number: float = 0.0
    coefficients: tuple[float, ...] = ()
    """Those of c[0] + c[1] x + ..., if the function is "polynomial"."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of numbers: the input, or what a step makes of the rows before it.

    The shape is ONNX's, with the number of rows first, or that of one sample if it has a single
    size. What is not known of it is None.
    """

    shape: tuple[int | None, ...] | None
    before: Rows | None = None
    step: Step | Partial | None = None

    @property
    def width(self) -> int | None:
        """The number of columns, if it is known."""
        if self.shape is None:
            return None
        sizes = self.shape[1:] if len(self.shape) > 1 else self.shape
        known = [size for size in sizes if size is not None]
        return math.prod(known) if len(known) == len(sizes) else None

    @property
    def is_flat(self) -> bool:
        """Whether each sample has its numbers along one dimension; others have size 1."""
        return self.shape is None or len(self.shape) <= 2 or set(self.shape[1:-1]) == {1}

    def then(self, step: Step | Partial, shape: tuple[int | None, ...] | None = None) -> Rows:
        """Return what a step makes of these rows, in the same shape unless another is given."""
        if isinstance(step, Affine) and step.is_identity and shape is None:
            return self
        return Rows(self.shape if shape is None else shape, self, step)

    def steps(self) -> list[Step | Partial]:
        """Return the steps from the input to these rows."""
        found: list[Step | Partial] = []
        rows: Rows | None = self
        while rows is not None:
            if rows.step is not None:
                found.append(rows.step)
            rows = rows.before
        return found[::-1]

    def described(self) -> str:
        """Return the shape for messages."""
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape or ())
        return f"({sizes},)" if self.shape is not None and len(self.shape) == 1 else f"({sizes})"


@dataclass(frozen=True, eq=False)
class Sizes:
    """Sizes from which exporters compute shapes; None stands for the number of rows."""

    sizes: tuple[int | None, ...]
    scalar: bool = False


Value: TypeAlias = "Rows | Sizes | NDArray[Any] | None"
Handler: TypeAlias = "Callable[[Node, list[Value]], Value | tuple[Value, ...]]"


def number(value: Value) -> float | None:
    """Return the number of a constant of one element, or None."""
    if isinstance(value, np.ndarray) and value.size == 1:
        return float(value.item()) if value.dtype.kind in "biuf" else None
    return None


def is_number(values: NDArray[Any]) -> bool:
    """Whether a constant holds numbers, including ONNX's own types (float8, float4)."""
    return values.dtype.kind in "biuf" or values.dtype.name.startswith(("float8_", "float4_"))


class Node:
    """A node with its attributes; `refuse` raises an error that names it."""

    def __init__(
        self,
        onnx: Any,
        proto: Any,
        domain: str,
        opset: int,
        array: Callable[[str, Any], NDArray[Any]],
    ) -> None:
        self.op = proto.op_type
        self.domain = domain
        self.name = proto.name or next(iter(proto.output), "")
        self.opset = opset
        self.outputs = len(proto.output)
        self._array = array
        self._attributes = {}
        for attribute in proto.attribute:
            try:
                value = onnx.helper.get_attribute_value(attribute)
            except ValueError:
                self.refuse(f"has an attribute {attribute.name!r} that has no value of its own")
            self._attributes[attribute.name] = value

    @property
    def what(self) -> str:
        return f"node {self.name!r} ({self.op})"

    def get(self, name: str, default: Any) -> Any:
        return self._attributes.get(name, default)

    def array(self, name: str) -> NDArray[Any] | None:
        """Return the constant of an attribute that is a tensor, or None."""
        tensor = self.get(name, None)
        return None if tensor is None else self._array(f"the tensor of {self.what}", tensor)

    def number(self, name: str, default: float) -> float:
        """Return a float attribute, checked to be finite.

        Attributes are float32; the shortest decimal that rounds to this one is the intended number.
        """
        value = self.get(name, default)
        if not isinstance(value, float) or not math.isfinite(value):
            self.refuse(f"has {name} {value!r}, should be finite")
        return float(exact(np.float32(value)))

    def refuse(self, why: str) -> NoReturn:
        raise ValueError(f"from_onnx: {self.what} {why}")

    def text(self, name: str, default: str) -> Any:
        """Return an attribute, as a str if it is a text."""
        value = self.get(name, default)
        return value.decode(errors="replace") if isinstance(value, bytes) else value

    def expect(self, name: str, default: Any, should: Any) -> None:
        """Refuse an attribute that has another value."""
        value = self.text(name, default)
        if value != should:
            self.refuse(f"has {name} {value!r}, should be {should!r}")

    def rows(self, value: Value) -> Rows:
        """Return the rows of a value that should be some."""
        if not isinstance(value, Rows):
            self.refuse("has a first input that does not come from the model's, but it should")
        return value

    def check_type(self, what: str, values: NDArray[Any]) -> None:
        """Refuse constants that are neither float32 nor float64."""
        if values.dtype.name not in FLOATS.values():
            self.refuse(
                f"has {what} of dtype {values.dtype.name}, should be float32 or float64; save the "
                f"model in float32, as it was before it was quantised"
            )


# ---- Formulas ------------------------------------------------------------------------------------


class Formula:
    """What single numbers and functions make of x: a function of a function … of scale x + shift.

    `functions` are the names, and `numbers` the scales and shifts before, between and after them.
    """

    _coefficients: tuple[float, ...] = ()

    def __init__(self, steps: Sequence[Step | Partial]) -> None:
        self.functions: list[str] = []
        self.numbers: list[tuple[float, float]] = [(1.0, 0.0)]
        for step in steps:
            if isinstance(step, Affine):
                scale, shift = step.numbers or (math.nan, math.nan)
                before, added = self.numbers[-1]
                self.numbers[-1] = (scale * before, scale * added + shift)
            else:
                name = step.activation if isinstance(step, Activated) else step.function  # type: ignore[union-attr]
                if isinstance(step, Partial) and step.coefficients:
                    self._coefficients = step.coefficients
                self.functions.append(str(name))
                self.numbers.append((1.0, 0.0))

    def factor(self) -> float | None:
        """Return the factor if the formula is factor x, otherwise None."""
        scale, shift = self.numbers[0]
        return scale if not self.functions and shift == 0 and scale != 0 else None

    def polynomial(self, *functions: str) -> tuple[float, ...] | None:
        """Return the coefficients of the polynomial of x of which the formula is `functions`.

        They begin with that of 1. None if the formula has other functions.
        """
        scale, shift = self.numbers[0]
        if self.functions == [*functions]:
            return shift, scale
        if self.functions != ["polynomial", *functions] or shift != 0:
            return None
        factor, added = self.numbers[1]
        found = [c * factor * scale**k for k, c in enumerate(self._coefficients)]
        return found[0] + added, *found[1:]


def near(first: float, second: float) -> bool:
    """Whether a number is another up to the rounding of float32 constants."""
    return math.isclose(first, second, rel_tol=1e-6)


def formula(rows: Rows, base: Rows) -> Formula | None:
    """Return rows as a formula of a base, or None if they are none."""
    steps: list[Step | Partial] = []
    at: Rows | None = rows
    while at is not base:
        if at is None or at.before is None or not _is_of_numbers(at) or len(steps) == _MOST_STEPS:
            return None
        if at.step is not None:
            steps.append(at.step)
        at = at.before
    return Formula(steps[::-1])


def _is_of_numbers(rows: Rows) -> bool:
    step = rows.step
    if isinstance(step, Affine):
        return step.numbers is not None
    return step is None or isinstance(step, (Activated, Partial))


def common(first: Rows, second: Rows) -> Rows | None:
    """Return the last rows that both values are formulas of, or None."""
    seen = set()
    at: Rows | None = first
    for _ in range(_MOST_STEPS):
        if at is None:
            break
        seen.add(id(at))
        at = at.before if _is_of_numbers(at) else None
    at = second
    for _ in range(_MOST_STEPS):
        if at is None or id(at) in seen:
            return at
        at = at.before if _is_of_numbers(at) else None
    return None
