"""TabularRegressor."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import d2_pinball_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_array, check_is_fitted

from cnn import _core
from cnn._base import checks, warning
from cnn.exchange.raw import RawNumbers
from cnn.losses import (
    AbsoluteError,
    Huber,
    Loss,
    Poisson,
    Quantile,
    SquaredError,
    checked_quantiles,
)
from cnn.tabular._calibration import mean, row_sums
from cnn.tabular._estimator_files import array_content, array_of
from cnn.tabular._estimators import BaseTabular, Rows
from cnn.tabular._recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from numpy.typing import NDArray

_LOSSES: dict[str, type[Loss]] = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "poisson": Poisson,
    "quantile": Quantile,
}


# What a file has of the target.
_ARRAYS = ("mean", "scale", "low", "high", "residuals")


class TabularRegressor(RegressorMixin, BaseTabular):  # type: ignore[misc]
    """A network that predicts numbers from the rows of a table as it is.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber", "poisson", "quantile"}, \
        default "squared_error"
        What training minimizes, and by which the best epoch is found. All but "poisson" are of the
        target divided by its deviation. With "poisson", y is 0 or more, and the network has the
        logarithm of its mean. Predictions are clipped to the range of y.
    quantiles : tuple of float, default (0.1, 0.5, 0.9)
        The levels that are predicted with "quantile", each more than the one before it. Predictions
        of a row are sorted, so that they never cross.
    preset : {"default", "fast", "realmlp"}, default "default"
        "realmlp" is the recipe as it was published, with three hidden layers of 256 units and 256
        epochs. "default" averages the weights of epochs, of which it has 64, and begins with higher
        frequencies. "fast" does so with two layers of 128 units, no dropout and 19 epochs.
    n_ens : int, default 1
        How many networks are trained, each with another seed and other held-out rows; predictions
        are means of theirs. Each keeps its best epoch between the same two peaks of the learning
        rate: those for which the mean of their held-out errors is least.
    hidden_layer_sizes : int or sequence of int, optional
        The units of each hidden layer, instead of the preset's.
    activation : str, optional
        The activation, of which each unit learns how much it takes; by default "gelu", and
        "mish" with "realmlp".
    epochs, batch_size, lr, dropout, weight_decay : int or float, optional
        Numbers of the training, instead of the preset's. Rates follow the recipe's schedules.
    sigma : float, optional
        The standard deviation of the initial frequencies of numbers' periodic features, which are
        numbers of turns for each unit of a scaled number. Larger ones, to 10, let the network learn
        finer structure, such as that of coordinates. By default 1, and 0.1 with "realmlp".
    calibrate : bool, default False
        Whether rows are held out for `predict_interval`: half of those that are held out, of which
        each counts the same unless its weight is 0. The others choose the best epoch.
    validation_fraction : float, optional
        The share of the rows that are held out, by which the best epoch is found; 0 for none. By
        default 0.1, but at most 1,000 rows, twice as many with `calibrate`, and always 0.2 with
        "realmlp".
    early_stopping : bool or int, default False
        Whether training ends if no epoch of the last 20, or of so many, was the best. The recipe's
        learning rate is smallest at the end, so that this costs accuracy.
    categorical_features : "auto" or sequence of str or int, default "auto"
        The columns of categories; with "auto" those of texts, of a categorical type and of truth
        values.
    min_frequency : int or float, optional
        A column's categories in fewer rows than this, or in a smaller share of the rows if it is a
        float, count as one infrequent category, as in scikit-learn's `OneHotEncoder`. Truth values
        are left as they are.
    unseen : {"warn", "error", "ignore"}, default "warn"
        What happens if a category is met that training did not have. It counts as infrequent if the
        column has infrequent categories, otherwise as missing.
    n_jobs : int, optional
        The number of threads; by default that of `cnn.get_num_threads`. Results do not depend on
        it.
    random_state : int, RandomState or None, default None
        Determines the initial weights, the rows that are held out, their order, and dropout.
    verbose : bool or int, default False
        Whether to show the progress of training.

    Attributes
    ----------
    net_ : cnn.Sequential
        The network, of several the first. Its inputs are the rows as numbers: codes of categories,
        and numbers of which the median is subtracted and which are divided by the distance of the
        quartiles.
    nets_ : list of cnn.Sequential
        The networks.
    best_epochs_ : list of int
        The epoch whose weights, or averages of weights, each network has.
    histories_ : list of cnn.History
        The metrics of each network's epochs.
    n_iter_ : int
        The number of epochs of the longest training.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of str
        Their names, if all are strings.
    infrequent_categories_ : dict of str to list
        The infrequent categories of each column that has any.

    See Also
    --------
    TabularClassifier : Predicts classes.
    cnn.sklearn.MLPRegressor : A multilayer perceptron with scikit-learn's parameters.

    Notes
    -----
    Columns may be numbers, texts, of pandas' categorical type, truth values, or dates without a
    time zone or with one. Numbers are scaled by their median and quartiles and clipped smoothly at
    3; a missing one counts as the median, and one more feature tells so if training had missing
    ones. Up to 8 categories are one-hot, more are embedded. A missing category has features 0. A
    column with one value alone is left out. A date becomes the days since 1970, in UTC, the month,
    the weekday and the hour.

    Durations count in seconds. Rows of other tables need the same columns; those of a dict may have
    any order. A text in a column of numbers, and an infinite number, are refused with their row and
    column. If fit fails, the estimator is as before.

    The recipe is RealMLP-TD: D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by Default:
    Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data", NeurIPS 2024. Results have the same
    bits on every machine. A sample weight of 2 is not the same as a row given twice, since rows
    are held out and batches are made row by row.

    Examples
    --------
    >>> from cnn.tabular import TabularRegressor
    >>> table = {"size": [1.0, 2.0, 3.0, None] * 9, "colour": ["red", "blue", "red", "blue"] * 9}
    >>> model = TabularRegressor(epochs=64, random_state=0).fit(table, [2.0, 3.0, 6.0, 7.0] * 9)
    >>> model.predict({"size": [1.0, 3.0], "colour": ["red", "red"]}).round()
    array([2., 6.])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseTabular._parameter_constraints,
        "loss": [StrOptions(set(_LOSSES))],
        "quantiles": ["array-like", Real],
    }

    # What fit used; set_params may change the parameters afterwards.
    _fitted_loss: str
    _levels: tuple[float, ...]
    _mean: NDArray[np.float64]
    _scale: NDArray[np.float64]
    _low: NDArray[np.float64]
    _high: NDArray[np.float64]
    _one_column: bool
    _residuals: NDArray[np.float64] | None

    def __init__(
        self,
        *,
        loss: str = "squared_error",
        quantiles: Any = (0.1, 0.5, 0.9),
        preset: str = "default",
        n_ens: int = 1,
        hidden_layer_sizes: Any = None,
        activation: Any = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        dropout: float | None = None,
        weight_decay: float | None = None,
        sigma: float | None = None,
        calibrate: bool = False,
        validation_fraction: float | None = None,
        early_stopping: bool | int = False,
        categorical_features: Any = "auto",
        min_frequency: float | None = None,
        unseen: str = "warn",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: bool | int = False,
    ) -> None:
        self.loss = loss
        self.quantiles = quantiles
        self.preset = preset
        self.n_ens = n_ens
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.sigma = sigma
        self.calibrate = calibrate
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.categorical_features = categorical_features
        self.min_frequency = min_frequency
        self.unseen = unseen
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        eval_set: Any = None,
        callbacks: Sequence[Any] = (),
    ) -> Self:
        """Train on the rows of a table.

        Parameters
        ----------
        X : data frame of pandas or polars, Arrow table, dict of columns, or array (n, columns)
            The table, as it is.
        y : array_like of shape (n,) or (n, targets)
            The numbers of each row, which must be finite.
        sample_weight : array_like of shape (n,), optional
            The weight of each row, 0 or more.
        eval_set : tuple (X, y) or (X, y, sample_weight), optional
            Rows by which the best epoch is found, in place of a share of X.
        callbacks : sequence of cnn.Callback, default ()
            Called as by `cnn.Sequential.fit`, for each network.

        Returns
        -------
        TabularRegressor
            The estimator itself.

        Raises
        ------
        TypeError, ValueError
            If an argument is of a wrong type, shape or range, or the table has a column that is
            there twice, an infinite number, or values that are neither numbers nor texts. The
            message names the row and the column.

        Examples
        --------
        >>> from cnn.tabular import TabularRegressor
        >>> table = {"size": [1.0, 2.0, 3.0, 4.0] * 9}
        >>> model = TabularRegressor(epochs=200, random_state=0)
        >>> model = model.fit(table, [1.0, 4.0, 9.0, 16.0] * 9)
        >>> model.score(table, [1.0, 4.0, 9.0, 16.0] * 9) > 0.99
        True
        """
        return self._fit(X, y, sample_weight, eval_set, callbacks)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the number, or the numbers, of each row.

        With the loss "quantile" and several levels, a row has a number for each of them.

        Parameters
        ----------
        X : table
            Rows with the columns of `fit`.

        Returns
        -------
        ndarray of float64, shape (n,), (n, targets) or (n, quantiles)
            The predictions.

        Examples
        --------
        >>> from cnn.tabular import TabularRegressor
        >>> model = TabularRegressor(epochs=64, random_state=0)
        >>> model.fit([[0.0], [1.0]] * 20, [5.0, 7.0] * 20).predict([[0.0], [1.0]]).round(1)
        array([5., 7.])
        """
        found = self._outputs(self._rows(X, "predict"))
        return found[:, 0] if self._one_column and found.shape[1] == 1 else found

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R², or with the loss "quantile" the mean D² of its levels.

        D² is the share of the quantile loss of a constant that the predictions do not have
        (scikit-learn's `d2_pinball_score`). 1 is the best value of both.

        Parameters
        ----------
        X : table
            Rows with the columns of `fit`.
        y : array_like of shape (n,) or (n, targets)
            Their numbers.
        sample_weight : array_like of shape (n,), optional
            The weights of the rows.

        Returns
        -------
        float
            The score.

        Examples
        --------
        >>> from cnn.tabular import TabularRegressor
        >>> model = TabularRegressor(epochs=64, random_state=0)
        >>> model.fit([[0.0], [1.0]] * 20, [5.0, 7.0] * 20).score([[0.0], [1.0]], [5.0, 7.0]) > 0.99
        True
        """
        check_is_fitted(self)
        if self._fitted_loss != "quantile":
            return float(super().score(X, y, sample_weight))
        found = self.predict(X).reshape(-1, len(self._levels))
        scores = [
            d2_pinball_score(y, column, sample_weight=sample_weight, alpha=level)
            for column, level in zip(found.T, self._levels, strict=True)
        ]
        return float(np.mean(scores))

    def predict_interval(self, X: Any, alpha: float = 0.1) -> NDArray[np.float64]:
        """Return intervals that have the number of a new row with probability 1 - alpha.

        Half the width is that error which so large a share of the rows that `calibrate` held out
        does not exceed (split conformal prediction: Lei et al., "Distribution-free predictive
        inference for regression", 2018). The probability is that over new rows and rows to
        calibrate with, all from the same source.

        With the loss "quantile", an interval reaches from the first level to the last one, and both
        ends move by such an error (Romano et al., "Conformalized quantile regression", 2019). It is
        then wider in rows for which the network is less sure.

        Parameters
        ----------
        X : table
            Rows with the columns of `fit`.
        alpha : float, default 0.1
            The probability that a number is outside of its interval; less than 1.

        Returns
        -------
        ndarray of float64, shape (n, 2)
            The lower and the upper end for each row.

        Raises
        ------
        ValueError
            If fit was without `calibrate`, or had too few rows for such an alpha, or y had several
            columns.

        Examples
        --------
        >>> from cnn.tabular import TabularRegressor
        >>> model = TabularRegressor(epochs=64, calibrate=True, random_state=0)
        >>> model.fit([[0.0], [1.0]] * 20, [5.0, 7.0] * 20).predict_interval([[0.0]], 0.5).shape
        (1, 2)
        """
        where = "TabularRegressor.predict_interval"
        alpha = checks.real(where, "alpha", alpha, below=1.0)
        check_is_fitted(self)
        if not self._one_column:
            raise ValueError(f"{where}: y had several columns, should have had one")
        if self._residuals is None:
            raise ValueError(
                f"{where}: calibrate was False in fit, should be True, so that rows are held out"
            )
        count = len(self._residuals)
        # The rank of Lei et al. (2018), 2.1: of n + 1 equally likely places of a new residual.
        rank = math.ceil((count + 1) * (1 - alpha))
        if rank > count:
            least = _rounded_up(1 / (count + 1))
            raise ValueError(
                f"{where}: alpha is {alpha:g}, should be at least {least}, as "
                f"{count} rows were held out to calibrate with"
            )
        found = self._outputs(self._rows(X, "predict_interval"))
        far = self._residuals[rank - 1]
        low, high = found[:, 0] - far, found[:, -1] + far
        # Where quantiles were too far apart, the ends may have passed each other.
        middle = (low + high) / 2
        return np.stack((np.minimum(low, middle), np.maximum(high, middle)), axis=1)

    def _calibrate(self, rows: Rows) -> None:
        if rows.weight is not None:
            rows = rows.only(np.flatnonzero(rows.weight))
        found, t = self._outputs(rows.x), self._unscaled(rows.t)[:, 0]
        # By how much a number is outside of the ends, which are the same but for quantiles.
        self._residuals = np.sort(np.maximum(found[:, 0] - t, t - found[:, -1]))

    def _unscaled(self, t: NDArray[Any]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = t * self._scale + self._mean
        return found

    def _results(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """Return outputs of the network as numbers of the target's scale."""
        if self._fitted_loss == "poisson":
            outputs = _exp(outputs)
        found: NDArray[np.float64] = np.clip(self._unscaled(outputs), self._low, self._high)
        return np.sort(found, axis=1) if self._fitted_loss == "quantile" else found

    def _raw_target(self) -> RawNumbers:
        return RawNumbers(
            means=tuple(self._mean.tolist()),
            scales=tuple(self._scale.tolist()),
            lows=tuple(self._low.tolist()),
            highs=tuple(self._high.tolist()),
            is_exponential=self._fitted_loss == "poisson",
            quantiles=self._levels,
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = self.loss != "quantile"
        tags.target_tags.positive_only = self.loss == "poisson"
        return tags

    def _set_loss(self, loss: str, quantiles: Any) -> None:
        """Keep the loss of fit, and the levels of quantiles, which are checked."""
        self._fitted_loss = loss
        self._levels = (
            checked_quantiles("TabularRegressor", quantiles) if loss == "quantile" else ()
        )

    def _recipe(self) -> Recipe:
        return Recipe(
            # The exponential of large steps is too large.
            lr=0.04 if self.loss == "poisson" else Recipe.lr,
            # How well an epoch is chosen depends on how many rows it is chosen by, not on their
            # share. For classes this brought nothing (docs/performance/tables.md).
            most_validation_rows=None if self.preset == "realmlp" else 1000,
        )

    def _fit_target(self, where: str, y: Any) -> NDArray[Any]:
        numbers, dimensions = _checked(where, y)
        self._set_loss(self.loss, self.quantiles)
        self._one_column = numbers.shape[1] == 1
        if self._one_column and dimensions > 1:
            warning.warn(
                "A column-vector y was passed when a 1d array was expected. Please change the "
                "shape of y to (n_samples,), for example using ravel().",
                DataConversionWarning,
            )
        if self._levels and not self._one_column:
            raise ValueError(f"{where}: y has several columns, should have one for quantiles")
        self._check_sign(where, numbers)
        self._low, self._high = numbers.min(axis=0), numbers.max(axis=0)
        # Sums of `fsum` are exact, so that they have the same bits on every machine.
        with np.errstate(over="ignore"):  # what is too large is refused
            try:
                self._mean = np.array([math.fsum(column) / len(numbers) for column in numbers.T])
                squares = (numbers - self._mean) ** 2
                deviation = np.sqrt([math.fsum(column) / len(numbers) for column in squares.T])
            except OverflowError:
                deviation = np.array([np.inf])
        if not np.isfinite(deviation).all():
            raise ValueError(f"{where}: y has numbers that are too large to be standardised")
        if self._fitted_loss == "poisson":
            self._scale, self._mean = self._mean, np.zeros_like(self._mean)
        else:
            self._scale = deviation
        self._scale = np.where(self._scale > 0, self._scale, 1.0)
        self._residuals = None
        return self._scaled(numbers)

    def _target(self, where: str, y: Any) -> NDArray[Any]:
        numbers = _checked(where, y)[0]
        if numbers.shape[1] != len(self._mean):
            raise ValueError(
                f"{where}: y has {numbers.shape[1]} columns, should have {len(self._mean)}"
            )
        self._check_sign(where, numbers)
        return self._scaled(numbers)

    def _check_sign(self, where: str, numbers: NDArray[np.float64]) -> None:
        if self._fitted_loss == "poisson" and (numbers < 0).any():
            row = int((numbers < 0).any(axis=1).argmax())
            raise ValueError(
                f"{where}: y has {numbers[row].min():g} in row {row}, should be 0 or more for "
                f"poisson"
            )

    def _scaled(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        return (numbers - self._mean) / self._scale

    def _loss(self) -> Loss:
        if self._fitted_loss == "quantile":
            return Quantile(self._levels)
        made: Loss = _LOSSES[self._fitted_loss]()
        return made

    def _output(self, t: NDArray[Any]) -> tuple[int, str]:
        return len(self._levels) or t.shape[1], "identity"

    def _target_content(self, where: str) -> dict[str, Any]:
        found: dict[str, Any] = {
            "loss": self._fitted_loss,
            "quantiles": list(self._levels),
            "one_column": self._one_column,
        }
        for name in _ARRAYS:
            values = getattr(self, f"_{name}")
            found[name] = None if values is None else array_content(where, "y has", values)
        return found

    def _take_target(self, content: Any) -> None:
        loss, quantiles = self.loss, self.quantiles  # older files have them there alone
        if "loss" in content:
            loss, quantiles = content["loss"], content["quantiles"]
        if loss not in _LOSSES:
            raise ValueError(f"its loss is {loss!r}")
        self._set_loss(loss, quantiles)
        self._one_column = content["one_column"] is True
        for name in _ARRAYS:
            values = content[name]
            setattr(self, f"_{name}", None if values is None else array_of(values))
        outputs = self.nets_[0].outputs
        if self._levels:
            outputs -= len(self._levels) - 1
            if outputs != 1:
                raise ValueError("its quantiles are not those of the network")
        found = [self._mean, self._scale, self._low, self._high]
        good = all(a is not None and a.shape == (outputs,) and np.isfinite(a).all() for a in found)
        if not good or not (self._scale > 0).all() or (self._one_column and outputs > 1):
            raise ValueError(f"its target is not one of {outputs} outputs")
        residuals = self._residuals
        if residuals is not None and not (
            residuals.dtype == np.float64
            and np.isfinite(residuals).all()
            and (np.diff(residuals) >= 0).all()
        ):
            raise ValueError("its residuals should be finite and sorted")

    def _error(self, outputs: NDArray[Any], t: NDArray[Any], weight: Any) -> float:
        z = outputs.astype(np.float64)
        if self._fitted_loss == "poisson":
            terms = _exp(z) - t * z
        else:  # as predictions are clipped
            low, high = (self._scaled(bound) for bound in (self._low, self._high))
            terms = self._terms(t - np.clip(z, low, high))
        return mean(row_sums(terms), weight)

    def _terms(self, r: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the loss is of differences between targets and outputs."""
        if self._levels:
            levels = np.array(self._levels)
            found: NDArray[np.float64] = np.maximum(levels * r, (levels - 1) * r)
            return found
        distance = np.abs(r)
        if self._fitted_loss == "absolute_error":
            return distance
        if self._fitted_loss == "huber":
            return np.where(distance <= 1, r * r / 2, distance - 0.5)
        return r * r


def _rounded_up(number: float) -> str:
    """Return a number above 0 with three digits, not smaller."""
    digits = 2 - math.floor(math.log10(number))
    return f"{math.ceil(number * 10**digits) / 10**digits:.3g}"


def _exp(z: NDArray[Any]) -> NDArray[np.float64]:
    """Return e^z with the same bits on every machine."""
    found: NDArray[np.float64] = _core.activation("exponential", z.astype(np.float64))
    return found


def _checked(where: str, y: Any) -> tuple[NDArray[np.float64], int]:
    """Return targets as float64 of shape (n, targets), and how many dimensions they had."""
    numbers = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    if numbers.ndim > 2:
        raise ValueError(f"{where}: y has {numbers.ndim} dimensions, should have 1 or 2")
    found: NDArray[np.float64] = numbers.reshape(len(numbers), -1)
    return found, numbers.ndim
