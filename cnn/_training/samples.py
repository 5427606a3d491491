"""Samples for training and evaluation: inputs, targets and weights, checked but not copied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from cnn import _core, losses
from cnn._base import checks, streams
from cnn._base.numbers import exact
from cnn._training.sparse import SparseRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import ArrayLike, NDArray

    from cnn._sources import Source
    from cnn._training.streams import Stream

ClassWeight: TypeAlias = (
    "Mapping[int, float] | Sequence[float] | NDArray[Any] | Literal['balanced']"
)

# Columns that a message names.
_NAMED = 10
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


def stream_of(
    where: str,
    network: _core.Network,
    loss: losses.Loss,
    source: Source,
    class_weight: ClassWeight | None = None,
) -> Stream:
    """Return the samples of a source."""
    from cnn._training.streams import Stream  # noqa: PLC0415  # `import cnn` need not wait for it

    return Stream(where, network, loss, source, class_weight)


def validation_samples(
    where: str,
    network: _core.Network,
    loss: losses.Loss,
    validation_data: object,
    names: list[str] | None,
    *,
    is_split: bool,
    epochs: int,
) -> Samples | Stream | None:
    """Return the samples of fit's validation_data, or of its validation_split; `names` as above."""
    if validation_data is None:
        return None
    is_pair = isinstance(validation_data, (tuple, list))
    whole = f"{where}: validation_data"
    source = None
    if not is_pair:
        source = source_of(whole, validation_data, None, None)
    if source is None and (
        not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3)
    ):
        raise TypeError(
            f"{where}: validation_data is of type {type(validation_data).__name__}, should be a "
            f"tuple (x, t) or (x, t, sample_weight)"
        )
    if isinstance(validation_data, (tuple, list)):
        x, t, *rest = validation_data
        x, t = with_targets(whole, x, t)
        weight = rest[0] if rest else None
        source = source_of(whole, x, t, weight)
    if source is not None:
        if source.once and epochs > 1:
            raise ValueError(
                f"{whole} can be read only once, as it is an iterator, but epochs is {epochs}; "
                f"should be an object that iter() begins again, such as a list of batches"
            )
        return stream_of(whole, network, loss, source)
    # Messages count the rows from the first of these.
    what = f"the last {len(t)} rows (validation_split)" if is_split else "validation_data"
    where = f"{where}: {what}"
    samples = checked_samples(where, network, loss, x, t, weight, None, names)
    # Now, since an error after the first epoch would lose that epoch.
    fault = fault_of_input(samples, network)
    if fault:
        raise InputError(f"{where}: {fault}")
    return samples


# ---- Streams -----------------------------------------------------------------------------------


def source_of(
    where: str,
    x: Any,
    t: Any,
    sample_weight: Any,
    shuffle_buffer: object = None,
    *,
    inputs_only: bool = False,
) -> Source | None:
    """Return the source of samples that are a stream; None for arrays and what is read as such."""
    if type(x) is np.ndarray or not streams.is_stream(
        x, with_targets=not inputs_only and (t is None or isinstance(t, str))
    ):
        return None
    from cnn import _sources  # noqa: PLC0415  # `import cnn` need not wait for it

    buffer = _sources.BUFFER
    if shuffle_buffer is not None:
        buffer = checks.integer(where, "shuffle_buffer", shuffle_buffer, 1)
    return _sources.opened(
        where, x, t, sample_weight=sample_weight, buffer=buffer, inputs_only=inputs_only
    )


def stream_outputs(
    where: str, network: _core.Network, x: Any, out: NDArray[Any] | None
) -> NDArray[Any]:
    """Return the outputs of a network for a stream."""
    from cnn import _sources  # noqa: PLC0415  # as above
    from cnn._training import streams as stream_parts  # noqa: PLC0415

    return stream_parts.predict(where, network, _sources.opened(where, x, inputs_only=True), out)


def with_targets(where: str, x: Any, t: Any) -> tuple[Any, Any]:
    """Return x and t, if t is the name of a column of x: x without it, and the column."""
    names = _core.column_names(x) if isinstance(t, str) else None
    if names is None:
        return x, t
    if t not in names:
        raise ValueError(
            f"{where}: t is {t!r}, but x has no column of this name; its columns are "
            f"{', '.join(map(repr, names[:_NAMED]))}{' …' if len(names) > _NAMED else ''}"
        )
    if hasattr(type(x), "iloc"):  # pandas
        return x.drop(columns=[t]), x[t]
    if hasattr(type(x), "itercolumns"):  # an Arrow table or batch
        return x.select([name for name in names if name != t]), x.column(t)
    return x.drop(t), x[t]


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
    rows = x.block_rows if isinstance(x, SparseRows) else samples.rows
    for first in range(0, samples.rows, rows):
        block = x[first : first + rows]
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
