"""Sparse matrices as samples, made dense block by block when they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The numbers of a dense block: 8 MB in float64.
BLOCK_NUMBERS = 2**20


def is_sound(matrix: Any) -> bool:
    """Whether the indices of a COO, CSC or CSR matrix lie in its shape.

    SciPy checks them only when a matrix is made. Later, bad indices would make it write out of
    bounds.
    """
    rows, columns = matrix.shape
    pairs: tuple[tuple[Any, int], ...]
    if matrix.format == "coo":
        pairs = ((matrix.row, rows), (matrix.col, columns))
        stored = len(matrix.data)
    else:
        major, minor = (rows, columns) if matrix.format == "csr" else (columns, rows)
        starts = matrix.indptr
        if starts.shape != (major + 1,) or starts[0] != 0 or bool((starts[1:] < starts[:-1]).any()):
            return False
        stored = int(starts[-1])
        pairs = ((matrix.indices, minor),)
        if stored > len(matrix.data):
            return False
    return all(
        len(index) >= stored
        and (stored == 0 or (index[:stored].min() >= 0 and index[:stored].max() < size))
        for index, size in pairs
    )


class SparseRows:
    """The rows of a SciPy CSR matrix, which indexing returns as dense arrays.

    Parameters
    ----------
    matrix : csr_matrix or csr_array
        The matrix, of a type of numbers that libcnn reads.
    """

    ndim = 2

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns."""
        rows, columns = self._matrix.shape
        return int(rows), int(columns)

    @property
    def block_rows(self) -> int:
        """How many rows to make dense at a time."""
        return max(1, BLOCK_NUMBERS // self.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the numbers."""
        found: np.dtype[Any] = self._matrix.dtype
        return found

    def only(self, rows: NDArray[Any]) -> SparseRows:
        """Return the rows with these numbers, still sparse."""
        return SparseRows(self._matrix[rows])

    def largest(self, rows: int) -> NDArray[np.float64]:
        """Return the largest magnitude of each column in the first rows."""
        found: NDArray[np.float64] = abs(self._matrix[:rows].astype(np.float64)).max(axis=0)
        return np.ravel(found.toarray())  # type: ignore[attr-defined]  # it is a sparse row

    def __getitem__(self, rows: slice | NDArray[Any]) -> NDArray[Any]:
        """Return rows, given as a slice or by their numbers, as a dense array."""
        which = rows if isinstance(rows, slice) else rows.astype(np.intp)
        dense: NDArray[Any] = self._matrix[which].toarray()
        return dense
