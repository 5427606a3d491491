"""The regressor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import numpy as np
from scipy.special import xlogy
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from cnn._base import checks
from cnn._base.choices import RegressorLoss
from cnn.sklearn._base import BaseMLP
from cnn.sklearn._data import Data, Rows, checked_pair, one_column, outputs, readable
from cnn.sklearn._docs import documented

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from cnn._base.choices import ActivationName, BatchSize, LearningRateSchedule, Solver
    from cnn.callbacks import Callback
    from cnn.sequential import Sequential


@documented
class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]  # scikit-learn has no types
    """A multilayer perceptron that predicts numbers, with scikit-learn's parameters.

    Parameters
    ----------
    loss : {{"squared_error", "poisson"}}, default "squared_error"
        What training minimizes: half the squared error, or half the Poisson deviance. The latter
        is for counts: y is 0 or more, and the network predicts the logarithm of their mean.
    {parameters}

    Attributes
    ----------
    {attributes}

    Raises
    ------
    {raises}

    Warns
    -----
    {warns}

    Notes
    -----
    The notes of `MLPClassifier` hold here too. If y has several columns, training minimizes the sum
    of their losses, and `loss_` is the mean. scikit-learn's gradients are of the sum as well, but
    the L2 penalty in its `loss_` is not divided by the number of columns.

    Examples
    --------
    >>> from cnn.sklearn import MLPRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler, scale
    >>> x, y = load_diabetes(return_X_y=True)
    >>> y = scale(y)
    >>> network = MLPRegressor(activation="tanh", solver="lbfgs", alpha=10.0, random_state=0)
    >>> model = make_pipeline(StandardScaler(), network).fit(x[:400], y[:400])
    >>> model.score(x[400:], y[400:]) > 0.5
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(get_args(RegressorLoss)))],
    }

    _columns: int

    def __init__(
        self,
        loss: RegressorLoss = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Solver = "adam",
        alpha: float = 0.0001,
        batch_size: BatchSize = "auto",
        learning_rate: LearningRateSchedule = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            dropout=dropout,
        )
        self.loss = loss

    # ---- Training -------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(
        self,
        X: Rows,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        validation_data: tuple[Any, ...] | None = None,
        callbacks: Iterable[Callback] | Callback = (),
    ) -> Self:
        """Train the regressor.

        Parameters
        ----------
        X : array_like, sparse matrix or data frame of shape (n, n_features)
            One sample per row. A sparse matrix is never made dense as a whole.
        y : array_like of shape (n,) or (n, n_outputs)
            The numbers to predict.
        sample_weight : array_like of shape (n,), optional
            The weight of each sample, 0 or more.
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            The samples of which the score after each epoch is in `validation_scores_`. Early
            stopping uses them and sets none aside.
        callbacks : iterable of cnn.Callback, optional
            Objects whose methods are called in the course of training.

        Returns
        -------
        MLPRegressor
            The regressor.

        Examples
        --------
        >>> from cnn.sklearn import MLPRegressor
        >>> x, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 4.0, 6.0]
        >>> model = MLPRegressor(solver="lbfgs", random_state=0).fit(x, y)
        >>> model.score(x, y) > 0.99
        True
        """
        self._fit(X, y, sample_weight, validation_data=validation_data, callbacks=callbacks)
        return self

    @available_if(lambda estimator: estimator._has_epochs())  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Rows, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the regressor for one more epoch.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        MLPRegressor
            The regressor.

        Examples
        --------
        >>> from cnn.sklearn import MLPRegressor
        >>> x, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 4.0, 6.0]
        >>> model = MLPRegressor(random_state=0)
        >>> model.partial_fit(x, y).partial_fit(x, y).t_
        8
        """
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def _checked_target(
        self, where: str, x: Rows, y: Any, *, reset: bool, known: bool
    ) -> tuple[Any, NDArray[Any]]:
        x, y = checked_pair(self, x, y, reset=reset, numeric=True)
        if hasattr(y, "toarray"):
            y = y.toarray()
        if y.ndim == 2 and y.shape[1] == 1:
            y = one_column(y)
        if y.dtype.kind not in "biuf":
            y = _numbers(where, y)
        t = readable(y)
        if self.loss == "poisson":
            checks.within(where, "y", t, 0.0)
        columns = 1 if t.ndim == 1 else int(t.shape[1])
        if reset:
            self._columns = columns
        if columns != self._columns:
            raise ValueError(
                f"{where}: y has {columns} columns, should have {self._columns} as at first"
            )
        return x, t

    def _output(self, t: NDArray[Any]) -> tuple[int, ActivationName, str]:
        return self._columns, "identity", "exp" if self.loss == "poisson" else "identity"

    def _loss_name(self) -> RegressorLoss:
        loss: RegressorLoss = self.loss
        return loss

    def _reporter(self, data: Data) -> Callable[[float], float]:
        if self.loss == "squared_error":
            count = self.n_outputs_
            return lambda loss: loss / count
        # The deviance adds a constant, with which its smallest value is 0.
        t = data.t.reshape(data.rows, -1).astype(np.float64)
        rows = (xlogy(t, t) - t).sum(axis=1)
        constant = float(np.average(rows, weights=data.sample_weight))
        return lambda loss: loss + constant

    # ---- Use ------------------------------------------------------------------------------------

    def _mean(self, found: NDArray[Any]) -> NDArray[Any]:
        """Return the predictions for outputs of the network."""
        if self.out_activation_ == "exp":
            np.exp(found, out=found)
        return found[:, 0] if found.shape[1] == 1 else found

    def _score_of(self, net: Sequential, data: Data) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            found = self._mean(outputs(net, data.x))
            if not np.isfinite(found).all():
                return math.nan
            return float(r2_score(data.t, found, sample_weight=data.sample_weight))

    def predict(self, X: Rows) -> NDArray[Any]:
        """Return a prediction for each sample.

        Parameters
        ----------
        X : array_like, sparse matrix or data frame of shape (n, n_features)
            One sample per row.

        Returns
        -------
        ndarray of shape (n,) or (n, n_outputs)
            The predictions.

        Examples
        --------
        >>> from cnn.sklearn import MLPRegressor
        >>> x, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 4.0, 6.0]
        >>> model = MLPRegressor(solver="lbfgs", random_state=0).fit(x, y)
        >>> model.predict([[1.5]]).round(1)
        array([3.])
        """
        return self._mean(self._outputs(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self.loss == "poisson"
        return tags


def _numbers(where: str, y: NDArray[Any]) -> NDArray[np.float64]:
    """Return targets as numbers, if they are texts or objects that can be converted."""
    try:
        # NumPy would convert dates to their numbers of days or nanoseconds.
        if y.dtype.kind not in "USO":
            raise TypeError(f"{y.dtype} is no type of numbers")
        return y.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: y is of type {y.dtype}, should be numbers: {error}") from None
