"""Data in pieces: what fit, evaluate and predict read beside arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Rows"]


class Rows(Protocol):
    """Samples that are read by their numbers: a protocol for classes of your own.

    An object with these two methods can be given to `cnn.Sequential.fit`, ``evaluate`` and
    ``predict`` in the place of arrays. Its rows are shuffled as a whole, and training ends in the
    same bits as with the same rows in memory. A class need not inherit from this one.

    Notes
    -----
    The methods are called by a thread that reads ahead, one call after the other.

    Examples
    --------
    >>> import cnn
    >>> import numpy as np
    >>> class Squares:
    ...     def __len__(self):
    ...         return 1000
    ...
    ...     def __getitem__(self, index):
    ...         numbers = np.arange(1000)[index]
    ...         x = (numbers / 1000).reshape(-1, 1)
    ...         return x, x**2
    >>> net = cnn.mlp([1, 20, 1], "tanh", "identity", rng=0)
    >>> history = net.fit(Squares(), epochs=50, optimizer=cnn.Adam(lr=1e-2))
    >>> net.evaluate(Squares())["r2"] > 0.99
    True
    """

    def __len__(self) -> int:
        """Return the number of rows."""

    def __getitem__(self, index: slice | NDArray[Any], /) -> tuple[Any, ...]:
        """Return some rows.

        Parameters
        ----------
        index : slice or ndarray of int
            Rows that follow one another, as a slice with start and stop; or the numbers of rows,
            from the smallest to the largest, none twice.

        Returns
        -------
        tuple (x, t) or (x, t, weight)
            Inputs (m, inputs), targets (m,) or (m, outputs), and weights (m,) of the m rows, as
            arrays or anything that is read as an array.
        """


class Table(Protocol):
    """A lazy frame of polars."""

    def collect_schema(self) -> Any:
        """Return the names and the types of the columns."""


Data: TypeAlias = "ArrayLike | Rows | Iterable[Any] | str | os.PathLike[str] | Table"
"""What fit takes as x: arrays, `Rows`, batches, paths of files, tables."""
