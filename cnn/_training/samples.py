"""Samples for training and evaluation: inputs, targets and weights, checked but not copied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from cnn import _core, losses
from cnn._base import checks
from cnn._base.numbers import exact
from cnn._training.sparse import SparseRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import ArrayLike, NDArray

ClassWeight: TypeAlias = (
    "Mapping[int, float] | Sequence[float] | NDArray[Any] | Literal['balanced']"
)

# The most rows of a slice, which bounds the memory for its indices and the time to check it.
SLICE_ROWS = 65536
# Multiply-adds of a slice of an evaluation: some hundredths of a second on one slow core.
SLICE_WORK = 1_000_000_000


def loss_for(where: str, loss: str | losses.Loss | None, network: _core.Network) -> losses.Loss:
    """Return the given or the default loss, checked against the output layer of a network."""
    return losses.resolve(where, loss, network.activation, network.outputs)


@dataclass(frozen=True)
class Samples:
    """Checked inputs, targets and weights, with the loss that suits them."""

    x: NDArray[Any] | SparseRows
    t: NDArray[Any]
    sample_weight: NDArray[Any] | None
    loss: _core.Loss
    class_weight: NDArray[np.float64] | None
    pins: object
    """Buffers that keep the arrays' memory from being moved or freed by callbacks."""
    names: list[str] | None = None
    """The names of x's columns, if it was a data frame."""

    def column(self, number: int) -> str:
        """Return the number of a column of x, and its name if it has one."""
        return checks.column(number, self.names)

    @property
    def rows(self) -> int:
        """The number of samples."""
        return int(self.x.shape[0])

    @property
    def most_rows(self) -> int:
        """The most rows that a slice should have."""
        if isinstance(self.x, SparseRows):
            return min(self.x.block_rows, SLICE_ROWS)
        return SLICE_ROWS

    def slice(self, first: int, last: int) -> tuple[NDArray[Any], NDArray[Any], Any]:
        """Return x, t and the weights of some rows, as views unless x is sparse."""
        weight = self.sample_weight
        return (
            self.x[first:last],
            self.t[first:last],
            None if weight is None else weight[first:last],
        )

    def chosen(
        self, index: NDArray[np.uintp]
    ) -> tuple[NDArray[Any], NDArray[Any], Any, NDArray[np.uintp]]:
        """Return x, t and weights that hold the rows of an index, and the index into these."""
        weight = self.sample_weight
        if not isinstance(self.x, SparseRows):
            return self.x, self.t, weight, index
        return (
            self.x[index],
            self.t[index],
            None if weight is None else weight[index],
            np.arange(index.size, dtype=np.uintp),
        )

    def weights(self, rows: NDArray[Any]) -> NDArray[np.float64] | None:
        """Return the weights of some rows, sample weight times class weight; None if all are 1."""
        return losses.row_weights(rows, self.t, self.sample_weight, self.class_weight)

    def slices(self, network: _core.Network) -> Iterator[tuple[NDArray[Any], NDArray[Any], Any]]:
        """Yield all rows in slices, each of some hundredths of a second of the network's time."""
        rows = min(max(SLICE_WORK // network.parameter_count, 256), self.most_rows)
        for first in range(0, self.rows, rows):
            yield self.slice(first, first + rows)


def checked_samples(
    where: str,
    network: _core.Network,
    loss: losses.Loss,
    x: ArrayLike | SparseRows,
    t: ArrayLike,
    sample_weight: ArrayLike | None,
    class_weight: ClassWeight | None = None,
    names: list[str] | None = None,
) -> Samples:
    """Return checked samples for a network and a loss.

    Arrays are not copied, and their numbers are checked block by block. `names` are those of the
    columns, for messages, if x itself has none.
    """
    array = x if isinstance(x, SparseRows) else _core.numeric(where, "x", x)
    names = _core.column_names(x) or names
    # Reading t and the weights may run code of the caller, such as __array__.
    pins = _core.pinned(array)
    check_width(where, network, array)
    rows = array.shape[0]
    if rows == 0:
        raise ValueError(f"{where}: x has 0 rows, should have at least 1")
    targets, weights = checked_parts(where, network, loss, rows, t, sample_weight, pins)
    labels = loss.takes_labels and targets.ndim == 1
    per_class = losses.checked_class_weight(
        where, class_weight, network.outputs, targets if labels else None
    )
    losses.check_total_weight(where, targets, weights, per_class)
    compiled = loss.compiled(labels=labels, class_weight=per_class)
    return Samples(array, targets, weights, compiled, per_class, pins, names)


def check_width(where: str, network: _core.Network, array: NDArray[Any] | SparseRows) -> None:
    """Refuse inputs that are not rows of as many numbers as a network has inputs."""
    if array.ndim != 2:
        raise ValueError(
            f"{where}: x has {array.ndim} dimensions {array.shape}, should have 2: "
            f"(n, {network.inputs})"
        )
    columns = array.shape[1]
    if columns != network.inputs:
        raise ValueError(
            f"{where}: x has {columns} columns, but the first layer has {network.inputs} inputs"
        )


def checked_parts(
    where: str,
    network: _core.Network,
    loss: losses.Loss,
    rows: int,
    t: ArrayLike,
    sample_weight: ArrayLike | None,
    pins: list[object] | None = None,
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return checked targets and weights of some rows; their pins are appended."""
    targets = losses.checked_targets(where, t, loss, rows, network.outputs, network.dtype)
    if pins is not None:
        pins += _core.pinned(targets)
    weights = losses.checked_weights(where, sample_weight, rows)
    if pins is not None:
        pins += _core.pinned(weights)
    return targets, weights


def split_off(
    where: str,
    share: object,
    x: Any,
    t: ArrayLike,
    sample_weight: ArrayLike | None,
    validation_data: object,
) -> tuple[Any, Any, Any, object]:
    """Return x, t and weights without the share of last rows that fit's validation_split takes.

    Then validation_data with these rows. The arrays are views.
    """
    share = checks.real(where, "validation_split", share, below=1.0)
    if share == 0:
        return x, t, sample_weight, validation_data
    if validation_data is not None:
        raise ValueError(
            f"{where}: validation_split is {exact(share)} and validation_data is given too, should "
            f"be one of them"
        )
    arrays: list[Any] = [_core.numeric(where, "x", x), losses.numeric_targets(where, t)]
    if sample_weight is not None:
        arrays.append(_core.numeric(where, "sample_weight", sample_weight))
    rows = len(arrays[0]) if arrays[0].ndim else 0
    if any(array.ndim == 0 or len(array) != rows for array in arrays):
        return x, t, sample_weight, None  # checked_samples refuses them
    kept = int(rows * (1.0 - share))
    if kept in (0, rows):
        raise ValueError(
            f"{where}: validation_split is {exact(share)}, which leaves {kept} of {rows} rows for "
            f"training; should leave some for training and some for validation"
        )
    head, tail = [array[:kept] for array in arrays], [array[kept:] for array in arrays]
    return head[0], head[1], head[2] if len(head) == 3 else None, tuple(tail)


# ---- Inputs that are not finite ----------------------------------------------------------------


class InputError(FloatingPointError, ValueError):
    """x has a number that is not finite in the network's type."""


def fault_of_input(
    samples: Samples, network: _core.Network, number: Callable[[int], int] = int
) -> str:
    """Return a text on the first number of x that is not finite in the network's type, or "".

    Rows of weight 0 are skipped, as in training. Training does not check x before the first step,
    which would take a pass over all of it: such a number makes the loss or the weights infinite or
    NaN. `number` returns what messages call a row.
    """
    x, dtype = samples.x, network.dtype
    takes_nan = network.layers[0].kind == "columns"  # as a missing number
    rows = x.block_rows if isinstance(x, SparseRows) else samples.rows
    for first in range(0, samples.rows, rows):
        block = x[first : first + rows]
        if takes_nan:
            block = np.where(np.isnan(block), 0.0, block)
        at = 0
        while at < len(block):
            found = checks.first_bad(block[at:], dtype)
            if found is None:
                break
            at += found.row
            weight = samples.weights(np.array([first + at]))
            if weight is not None and weight[0] == 0:
                at += 1
                continue
            where = (
                f"x has {exact(found.value)} in row {number(first + at)}, "
                f"{samples.column(found.column)}"
            )
            if found.overflows(dtype):
                return f"{where}, which overflows {dtype}, the network's type"
            return f"{where}, but its numbers should be finite"
    return ""
