"""Sources with random access: files of NumPy, and objects of the user's."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from cnn import _core
from cnn._sources.chunks import Chunk, Source, plain, rows_of_chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cnn._sources.chunks import Check, Order, Part


class Indexed(Source):
    """Rows that can be read in any order, so that an order is one of all rows."""

    shuffles_all = True
    row_bytes: int

    @abstractmethod
    def fetch(self, index: NDArray[np.intp] | slice) -> tuple[Any, Any, Any]:
        """Return x, t and weights of some rows: a slice, or numbers that increase."""

    def read(self, order: Order = None, check: Check | None = None) -> Iterator[Chunk]:
        """Yield all rows in chunks, as `Source.read` says."""
        rows = self.count()
        size = rows_of_chunk(self.row_bytes, self.share)
        for first in range(0, rows, size):
            last = min(first + size, rows)
            if order is None:
                chosen = np.arange(first, last)
                index = np.arange(last - first, dtype=np.uintp)
                given = self.fetch(slice(first, last))
            else:
                # Rows are read from the first to the last of the file; the index has the order.
                found = _core.permutation(*order, rows, first, last - first)
                places = np.argsort(found)
                index = np.empty_like(found)
                index[places] = np.arange(found.size, dtype=np.uintp)
                chosen = found[places].astype(np.intp)
                given = self.fetch(chosen)
            x, t, weight = self._checked(given, chosen, check or plain)
            if len(x) != last - first:
                raise ValueError(
                    f"{self.where}: x has {len(x)} rows for an index of {last - first}, should "
                    f"have one for each"
                )
            yield Chunk(*self._kept((x, t, weight)), index, chosen)

    def _kept(self, part: Part) -> Part:
        """Return arrays that stay as they are while the next rows are read."""
        return part

    def _checked(
        self, given: tuple[Any, Any, Any], chosen: NDArray[np.intp], check: Check
    ) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any] | None]:
        """Return checked rows; an error names the first row that is bad, if it is a single one."""
        first, last = int(chosen[0]), int(chosen[-1]) + 1
        if last - first == len(chosen):
            return check(f"{self.where}: x[{first}:{last}]", *given)
        try:
            return check(f"{self.where}: {len(chosen)} rows of x", *given)
        except (TypeError, ValueError):
            for row in chosen.tolist():
                check(f"{self.where}: x[{row}:{row + 1}]", *self.fetch(slice(row, row + 1)))
            raise


class RowsSource(Indexed):
    """An object with the methods of `cnn.Rows`.

    Parameters
    ----------
    where : str
        What begins messages.
    rows : Rows
        The object.
    """

    def __init__(self, where: str, rows: Any) -> None:
        self.where = where
        self._rows = rows
        self.rows = len(rows)
        names = getattr(rows, "columns", None)
        self.columns = names if isinstance(names, list) else None
        self.row_bytes = 0
        if self.rows:
            x = _core.numeric(f"{where}: x[0:1]", "x", self.fetch(slice(0, 1))[0])
            self.row_bytes = x.nbytes
            self.inputs = x.shape[1] if x.ndim == 2 else None

    def _kept(self, part: Part) -> Part:
        """Return copies: the object may use its memory again, and pages are read by this thread."""
        x, t, weight = (None if array is None else np.array(array, order="C") for array in part)
        return cast("Part", (x, t, weight))

    def fetch(self, index: NDArray[np.intp] | slice) -> tuple[Any, Any, Any]:
        """Return x, t and weights of some rows, as the object has them."""
        try:
            found = self._rows[index]
        except Exception as error:
            text = f"{index.start}:{index.stop}" if isinstance(index, slice) else "index array"
            error.add_note(f"{self.where}: it was raised by x[{text}]")
            raise
        return unpacked(self.where, "x[index]", found)


def unpacked(where: str, name: str, found: Any) -> tuple[Any, Any, Any]:
    """Return x, t and weights of a pair or a triple; t and weights are None if it has none."""
    if not isinstance(found, (tuple, list)) or len(found) not in (2, 3):
        what = f"of type {type(found).__name__}"
        if isinstance(found, (tuple, list)):
            what = f"a {type(found).__name__} of length {len(found)}"
        raise TypeError(f"{where}: {name} is {what}, should be a tuple (x, t) or (x, t, weight)")
    x, t, *rest = found
    if t is None:
        raise TypeError(f"{where}: {name} has t None, should be a tuple (x, t) or (x, t, weight)")
    return x, t, rest[0] if rest else None
