"""The errors of a regression, summed block by block in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


# Rows whose squares are added up at a time, so that the memory is bounded.
BLOCK = 65536


class Regression:
    """The sums of errors of a regression, to which blocks of rows are added.

    Their bits depend on how the rows are cut into blocks, and on nothing else.

    Parameters
    ----------
    t : ndarray of shape (n, outputs)
        The targets of all rows, whose means R² compares with.
    weights : ndarray of shape (n,) or None
        The weights of all rows.
    """

    def __init__(self, t: NDArray[Any], weights: NDArray[Any] | None) -> None:
        columns = t.shape[1]
        total, sums = 0.0, np.zeros(columns)
        for first in range(0, len(t), BLOCK):
            block, w = self._block(t, weights, first, first + BLOCK)
            total += float(w.sum())
            with np.errstate(over="ignore"):
                sums += (w * block).sum(axis=0)
        self._t, self._weights = t, weights
        self._begin(total, sums / total)

    def _begin(self, total: float, mean: NDArray[np.float64]) -> None:
        """Begin with no rows, given the sum of their weights and their mean targets."""
        columns = len(mean)
        self._total, self._mean = total, mean
        self._squares = np.zeros(columns)
        self._absolutes = np.zeros(columns)
        self._spread = np.zeros(columns)

    @staticmethod
    def _block(
        t: NDArray[Any], weights: NDArray[Any] | None, first: int, last: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return targets and weights, a column, of some rows; 0 for rows without weight."""
        block = np.asarray(t[first:last], np.float64)
        if weights is None:
            return block, np.ones((len(block), 1))
        w = np.asarray(weights[first:last], np.float64)[:, None]
        return np.where(w > 0, block, 0.0), w

    def add(self, first: int, y: NDArray[Any]) -> None:
        """Add the outputs (m, outputs) of rows from `first` on."""
        self._add(*self._block(self._t, self._weights, first, first + len(y)), y)

    def _add(self, t: NDArray[np.float64], w: NDArray[np.float64], y: NDArray[Any]) -> None:
        """Add the errors of some rows."""
        # A row without weight counts for nothing, even if its outputs are not finite.
        # Errors of 1e200 have infinite squares.
        with np.errstate(over="ignore", invalid="ignore"):
            error = np.where(w > 0, y - t, 0.0)
            self._squares += (w * error * error).sum(axis=0)
            self._absolutes += (w * abs(error)).sum(axis=0)
            deviation = t - self._mean
            self._spread += (w * deviation * deviation).sum(axis=0)

    @property
    def mse(self) -> float:
        """The mean squared error."""
        return float((self._squares / self._total).mean())

    @property
    def mae(self) -> float:
        """The mean absolute error."""
        return float((self._absolutes / self._total).mean())

    @property
    def r2(self) -> float:
        """The mean R² of the outputs."""
        spread = self._spread
        with np.errstate(invalid="ignore"):
            share = np.divide(self._squares, spread, out=np.zeros_like(spread), where=spread > 0)
        flat = (self._spread == 0) & (self._squares > 0)
        return float(np.where(flat, 0.0, 1.0 - share).mean())


class RunningRegression(Regression):
    """The same for targets that come block by block, whose means are known only at the end.

    Parameters
    ----------
    outputs : int
        The number of outputs.
    """

    def __init__(self, outputs: int) -> None:
        self._begin(0.0, np.zeros(outputs))

    def add_rows(self, t: NDArray[Any], weights: NDArray[Any] | None, y: NDArray[Any]) -> None:
        """Add targets (m, outputs), weights (m,) and outputs (m, outputs) of some rows."""
        for first in range(0, len(y), BLOCK):
            block, w = self._block(t, weights, first, first + BLOCK)
            total, before = float(w.sum()), self._total
            if total == 0:
                continue
            with np.errstate(over="ignore", invalid="ignore"):
                mean, old = (w * block).sum(axis=0) / total, self._mean
                self._mean = mean
                self._add(block, w, y[first : first + BLOCK])
                # The spread about the mean of all, from those about two means.
                self._total = before + total
                self._spread += before * (total / self._total) * (mean - old) ** 2
                self._mean = old + (mean - old) * (total / self._total)
