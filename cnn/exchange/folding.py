"""Dense networks from the steps of other libraries: what lies between dense layers is folded.

Other libraries have steps that `cnn` does not: constants that are added and multiplied, batch
normalization, a choice of columns. A step that changes nothing (adding 0, multiplying by 1) is
dropped. Constants before the first layer become a `Standardize`: a subtraction and then a division
exactly. Others are folded into the weight and bias beside them: computed in float64, and rounded
once to the network's type. So a folded parameter is off by half a unit in its last place, and for a
float64 network, or if a shift is summed over the inputs of a layer, by the rounding of that
computation too. Steps that have no layer to be folded into become a dense layer with a diagonal
weight, which computes them as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from cnn.exchange import assembly
from cnn.exchange.assembly import Part
from cnn.layers import Standardize

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from cnn import _core
    from cnn.activations import Unchecked

    Numbers: TypeAlias = float | NDArray[np.float64]

# The most bytes of weights that are added where a step has no layer to be folded into.
_MOST_ADDED = 2**26


@dataclass(frozen=True, eq=False)
class Product:
    """A product with a weight of (inputs, outputs), and a bias of (outputs,) or None."""

    name: str
    weight: NDArray[Any]
    bias: NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class Affine:
    """y = scale x + shift, which is (x - mean) / divisor, for numbers or a number a column.

    Both forms are kept, since neither is made of the other without rounding.
    """

    name: str
    scale: Numbers
    shift: Numbers
    mean: Numbers
    divisor: Numbers
    dtype: str | None = None

    @property
    def is_identity(self) -> bool:
        """Whether it changes nothing."""
        return _all(self.scale, 1) and _all(self.shift, 0)

    @property
    def numbers(self) -> tuple[float, float] | None:
        """The scale and shift if each is one number for all columns, otherwise None."""
        scale, shift = self.scale, self.shift
        return (scale, shift) if isinstance(scale, float) and isinstance(shift, float) else None

    @property
    def width(self) -> int | None:
        """The number of columns, None if it takes any."""
        for values in (self.scale, self.shift):
            if isinstance(values, np.ndarray):
                return values.size
        return None

    def then(self, after: Affine) -> Affine:
        """Return this step and one after it as one."""
        return Affine(
            after.name,
            after.scale * self.scale,
            after.scale * self.shift + after.shift,
            # A mean of 0 adds nothing, also if the divisor is infinite.
            self.mean if _all(after.mean, 0) else self.mean + self.divisor * after.mean,
            self.divisor * after.divisor,
            after.dtype or self.dtype,
        )

    def columns(self, index: NDArray[np.intp]) -> Affine:
        """Return the step for a choice of columns."""
        fields = ("scale", "shift", "mean", "divisor")
        given = {field: getattr(self, field) for field in fields}
        chosen: dict[str, Any] = {
            field: values[index]
            for field, values in given.items()
            if isinstance(values, np.ndarray)
        }
        return replace(self, **chosen)


@dataclass(frozen=True, eq=False)
class Activated:
    """An activation of cnn."""

    name: str
    activation: Unchecked


@dataclass(frozen=True, eq=False)
class Chosen:
    """A choice of columns, in any order, out of `width`."""

    name: str
    index: NDArray[np.intp]
    width: int


@dataclass(frozen=True, eq=False)
class Dropped:
    """A Dropout."""

    name: str
    rate: float


Step: TypeAlias = Product | Affine | Activated | Chosen | Dropped


def shifted(name: str, shift: Numbers, dtype: str | None = None) -> Affine:
    """Return x + shift."""
    return Affine(name, 1.0, shift, 0.0 - shift, 1.0, dtype)


def scaled(name: str, scale: Numbers, dtype: str | None = None) -> Affine:
    """Return scale x."""
    with np.errstate(divide="ignore"):
        return Affine(name, scale, 0.0, 0.0, _float(np.divide(1.0, scale)), dtype)


def standardized(name: str, mean: Numbers, divisor: Numbers, dtype: str | None = None) -> Affine:
    """Return (x - mean) / divisor; no divisor is 0."""
    scale = 1.0 / divisor
    return Affine(name, scale, _float((0.0 - mean) / divisor), mean, divisor, dtype)


def linear(name: str, scale: float, shift: float) -> Affine:
    """Return scale x + shift, for all columns."""
    return scaled(name, float(scale)).then(shifted(name, float(shift)))


def normalized(
    name: str, mean: Numbers, deviation: Numbers, scale: Numbers, shift: Numbers, dtype: str | None
) -> Affine:
    """Return (x - mean) / deviation scale + shift, as batch normalization has it."""
    centred = standardized(name, mean, 1.0, dtype)
    return centred.then(scaled(name, scale / deviation, dtype)).then(shifted(name, shift, dtype))


def clipped(name: str, low: float | None, high: float | None) -> list[Affine | Activated]:
    """Return the steps of x between bounds, of which None is none; `low` is less than `high`."""
    if low is None and high is None:
        return []
    if (low, high) in ((0, None), (0, 6)):
        return [Activated(name, "relu" if high is None else "relu6")]
    if low is None or high is None:
        # low + relu(x - low), and high - relu(high - x).
        bound, sign = (high or 0.0, -1.0) if low is None else (low, 1.0)
        relu = Activated(name, "relu")
        return [linear(name, sign, -sign * bound), relu, linear(name, sign, bound)]
    # low + (high - low) hard_sigmoid(6 (x - low) / (high - low) - 3)
    width = high - low
    hard = Activated(name, "hard_sigmoid")
    return [linear(name, 6 / width, -6 * low / width - 3), hard, linear(name, width, low)]


def network(where: str, steps: Iterable[Step], *, most: int | None = None) -> _core.Network:
    """Return the network of steps, whose added weights take at most `most` bytes."""
    folder = _Folder(where, list(steps), _MOST_ADDED if most is None else most)
    # Parameters may be infinite, so NumPy's warnings are suppressed.
    with np.errstate(all="ignore"):
        parts = folder.parts()
        return assembly.network(where, parts, folder.standardize)


def _all(values: Numbers, value: float) -> bool:
    return bool(np.all(np.equal(values, value)))


def _float(values: Any) -> Numbers:
    return values if isinstance(values, np.ndarray) else float(values)


class _Folder:
    """The parts that steps become, one step after the other."""

    def __init__(self, where: str, steps: list[Step], most: int) -> None:
        self._where = where
        self._steps = steps
        self._most = most
        self._added = 0
        self._parts: list[Part] = []
        self.standardize: Standardize | None = None
        # What is not yet folded: constants, and before the first layer a choice of inputs.
        self._pending: Affine | None = None
        self._inputs: Chosen | None = None
        self._products = [step for step in steps if isinstance(step, Product)]

    def parts(self) -> list[Part]:
        if self._products:
            for step in self._steps:
                self._take(step)
            if self._pending is not None:
                self._unit(self._pending.name)
        return self._parts

    def _refuse(self, step: Step, why: str) -> NoReturn:
        raise ValueError(f"{self._where}: {step.name} {why}")

    def _take(self, step: Step) -> None:
        last = self._parts[-1] if self._parts else None
        if last is not None and last.activation == "softmax" and not isinstance(step, Dropped):
            self._refuse(step, "comes after Softmax, which only the last layer can have")
        if isinstance(step, Product):
            self._product(step)
        elif isinstance(step, Affine):
            self._affine(step, last)
        elif isinstance(step, Activated):
            self._activation(step, last)
        elif isinstance(step, Chosen):
            self._choice(step, last)
        elif last is not None:
            last.dropout = step.rate

    def _product(self, step: Product) -> None:
        pending, self._pending = self._pending, None
        part = Part(step.name, step.weight, step.bias)
        if pending is not None:
            self._check_affine(pending, part.weight.shape[0], part.weight.dtype)
            if self._parts or not self._standardized(pending, part):
                part = _rows_folded(part, pending)
        if self._inputs is not None:
            part = self._of_all_inputs(part, self._inputs)
            self._inputs = None
        self._parts.append(part)

    def _standardized(self, step: Affine, part: Part) -> bool:
        """Make a step before the first part a Standardize, if its numbers are such as that has."""
        inputs, dtype = part.weight.shape[0], part.weight.dtype
        width = inputs if self._inputs is None else self._inputs.width
        index = slice(None) if self._inputs is None else self._inputs.index
        mean, scale = np.zeros(width, dtype), np.ones(width, dtype)
        mean[index] = np.broadcast_to(step.mean, inputs)
        scale[index] = np.broadcast_to(step.divisor, inputs)
        if not (np.isfinite(mean).all() and np.isfinite(scale).all() and (scale > 0).all()):
            return False
        self.standardize = Standardize(width, mean=mean, scale=scale)
        return True

    def _of_all_inputs(self, part: Part, choice: Chosen) -> Part:
        """Return a part of all inputs, with zeros for those that are not chosen."""
        inputs, outputs = part.weight.shape
        if inputs != choice.index.size:
            self._refuse(
                choice, f"chooses {choice.index.size} columns, but {part.name} takes {inputs}"
            )
        if len(np.unique(choice.index)) < choice.index.size:
            self._refuse(choice, "chooses a column twice before the first dense layer")
        self._count(choice, choice.width * outputs * part.weight.itemsize)
        weight = np.zeros((choice.width, outputs), part.weight.dtype)
        weight[choice.index] = part.weight
        return replace(part, weight=weight)

    def _affine(self, step: Affine, last: Part | None) -> None:
        if step.is_identity:
            return
        if self._pending is None and last is not None and _is_open(last):
            self._check_affine(step, last.weight.shape[1], last.weight.dtype)
            self._parts[-1] = _columns_folded(last, step)
            return
        before = self._pending
        if before is not None and before.width and step.width and before.width != step.width:
            self._refuse(step, f"has {step.width} numbers, but {before.name} has {before.width}")
        step = step if before is None else before.then(step)
        self._pending = None if step.is_identity else step

    def _check_affine(self, step: Affine, width: int, dtype: np.dtype[Any]) -> None:
        if step.width not in (None, width):
            self._refuse(step, f"has {step.width} numbers, should have one for {width} columns")
        if step.dtype not in (None, dtype.name):
            self._refuse(
                step, f"has constants of dtype {step.dtype}, but the weights beside it have {dtype}"
            )

    def _activation(self, step: Activated, last: Part | None) -> None:
        if step.activation == "identity":
            return
        if last is None or self._pending is not None or not _is_open(last):
            self._unit(step.name)
        self._parts[-1].activation = step.activation

    def _unit(self, name: str) -> None:
        """Add a dense layer of the pending constants alone: a diagonal weight, and a bias."""
        if self._parts:
            width = self._parts[-1].weight.shape[1]
        elif self._inputs is not None:
            width = self._inputs.index.size
        else:
            width = self._products[0].weight.shape[0]
        dtype = self._products[0].weight.dtype
        step = Activated(name, "identity")
        self._count(step, width * width * dtype.itemsize)
        self._product(Product(name, np.eye(width, dtype=dtype)))

    def _count(self, step: Step, size: int) -> None:
        self._added += size
        if self._added > self._most:
            self._refuse(
                step,
                f"needs a layer of its own, which makes the layers that are added "
                f"{self._added:,} bytes, should be at most {self._most:,}",
            )

    def _choice(self, step: Chosen, last: Part | None) -> None:
        pending = self._pending
        if pending is not None:
            if pending.width not in (None, step.width):
                self._refuse(step, f"chooses of {step.width} columns, but gets {pending.width}")
            self._pending = pending.columns(step.index)
        if last is None:
            before = self._inputs
            if before is None:
                self._inputs = step
            else:
                self._inputs = Chosen(step.name, before.index[step.index], before.width)
            return
        if step.width != last.weight.shape[1]:
            self._refuse(step, f"chooses of {step.width} columns, but gets {last.weight.shape[1]}")
        last.weight = last.weight[:, step.index]
        if last.bias is not None:
            last.bias = last.bias[step.index]


def _is_open(part: Part) -> bool:
    """Whether a part can take more: it has neither an activation nor a Dropout yet."""
    return part.activation is None and part.dropout is None


def _rows_folded(part: Part, before: Affine) -> Part:
    """Return a part that takes x instead of scale x + shift."""
    weight, bias, dtype = part.weight, part.bias, part.weight.dtype
    if not _all(before.shift, 0):
        total = np.zeros(weight.shape[1]) if bias is None else bias.astype(np.float64)
        # One row after the other: a product by BLAS would depend on the machine.
        for row, shift in zip(weight, np.broadcast_to(before.shift, len(weight)), strict=True):
            if shift != 0:
                total = total + shift * row.astype(np.float64)
        bias = total.astype(dtype)
    if not _all(before.scale, 1):
        scale = np.broadcast_to(before.scale, len(weight))[:, None]
        weight = (weight.astype(np.float64) * scale).astype(dtype)
    return replace(part, weight=weight, bias=bias)


def _columns_folded(part: Part, after: Affine) -> Part:
    """Return a part that makes scale y + shift instead of y."""
    weight, bias, dtype = part.weight, part.bias, part.weight.dtype
    if not _all(after.scale, 1):
        weight = (weight.astype(np.float64) * after.scale).astype(dtype)
        if bias is not None:
            bias = (bias.astype(np.float64) * after.scale + after.shift).astype(dtype)
    elif bias is not None and not _all(after.shift, 0):
        bias = (bias.astype(np.float64) + after.shift).astype(dtype)
    if part.bias is None and not _all(after.shift, 0):
        bias = np.broadcast_to(np.asarray(after.shift, dtype), weight.shape[1:])
    return replace(part, weight=weight, bias=bias)
