"""The classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    type_of_target,
)

from cnn._base import checks
from cnn.sklearn._base import BaseMLP
from cnn.sklearn._data import Data, Rows, checked_pair, one_column, outputs, warn
from cnn.sklearn._docs import documented

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from cnn._base.choices import ActivationName, BatchSize, LearningRateSchedule, Solver
    from cnn.callbacks import Callback
    from cnn.sequential import Sequential


@documented
class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]  # scikit-learn has no types
    """A multilayer perceptron that classifies, with scikit-learn's parameters.

    The loss is cross-entropy. For several labels at once, y is a matrix with a column for each
    label: 1 for the samples that have it, else 0.

    Parameters
    ----------
    {parameters}
    class_weight : dict, "balanced", list of dict or None, default None
        The weight of each class; "balanced" gives all classes the same total weight. For several
        labels at once, a dict for each label. Validation scores do not use it. scikit-learn does
        not have it.

    Attributes
    ----------
    {attributes}
    classes_ : ndarray
        The labels, in the order of `predict_proba`'s columns.

    Raises
    ------
    {raises}

    Warns
    -----
    {warns}

    Notes
    -----
    As in scikit-learn, the network is of float32 if X is, else of float64. From the same
    `random_state` both begin with the same weights. With ``shuffle=False`` they also train in the
    same way, except for rounding, the penalty in a last batch that is smaller than the others, and
    `epsilon`, which Adam adds after its bias correction, as PyTorch does. Shuffles differ. If
    training diverges, fit raises a FloatingPointError.

    Examples
    --------
    >>> from cnn.sklearn import MLPClassifier
    >>> from sklearn.datasets import load_digits
    >>> x, y = load_digits(return_X_y=True)
    >>> model = MLPClassifier((50,), batch_size=100, early_stopping=True, random_state=0)
    >>> model.fit(x[:1500], y[:1500]).score(x[1500:], y[1500:]) > 0.85
    True
    >>> model.predict_proba(x[:2]).shape
    (2, 10)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    classes_: NDArray[Any]
    _multilabel: bool
    _sparse_labels: bool

    def __init__(
        self,
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
        class_weight: Any = None,
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
        self.class_weight = class_weight

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
        """Train the classifier.

        Parameters
        ----------
        X : array_like, sparse matrix or data frame of shape (n, n_features)
            One sample per row. A sparse matrix is never made dense as a whole.
        y : array_like of shape (n,) or (n, n_labels)
            The labels, or a matrix of 0 and 1 with a column for each label.
        sample_weight : array_like of shape (n,), optional
            The weight of each sample, 0 or more.
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            The samples of which the score after each epoch is in `validation_scores_`. Early
            stopping uses them and sets none aside.
        callbacks : iterable of cnn.Callback, optional
            Objects whose methods are called in the course of training.

        Returns
        -------
        MLPClassifier
            The classifier.

        Examples
        --------
        >>> from cnn.sklearn import MLPClassifier
        >>> x, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
        >>> model = MLPClassifier(solver="lbfgs", random_state=0).fit(x, y)
        >>> model.score(x, y)
        1.0
        """
        self._fit(X, y, sample_weight, validation_data=validation_data, callbacks=callbacks)
        return self

    @available_if(lambda estimator: estimator._has_epochs())  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(
        self,
        X: Rows,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Train the classifier for one more epoch.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array_like of shape (n_classes,), optional
            The labels of all calls; required in the first call.

        Returns
        -------
        MLPClassifier
            The classifier.

        Examples
        --------
        >>> from cnn.sklearn import MLPClassifier
        >>> x, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
        >>> model = MLPClassifier(random_state=0)
        >>> for epoch in range(100):
        ...     model = model.partial_fit(x, y, classes=["low", "high"])
        >>> model.score(x, y)
        1.0
        """
        self._fit(X, y, sample_weight, incremental=True, classes=classes)
        return self

    def _check_classes(self, classes: Any) -> None:
        _check_partial_fit_first_call(self, classes)

    def _checked_target(
        self, where: str, x: Rows, y: Any, *, reset: bool, known: bool
    ) -> tuple[Any, NDArray[Any]]:
        x, y = checked_pair(self, x, y, reset=reset, numeric=False)
        sparse = hasattr(y, "toarray")
        if not sparse and y.ndim == 2 and y.shape[1] == 1:
            y = one_column(y)
        if reset:
            self._multilabel = y.ndim == 2
            self._sparse_labels = sparse
        if y.ndim == 2:
            return x, self._checked_indicator(where, y, known=known)
        if self._multilabel:
            raise ValueError(
                f"{where}: y has shape {y.shape}, should be ({y.shape[0]}, {len(self.classes_)}), "
                f"a column for each label"
            )
        if type_of_target(y, input_name="y") not in ("binary", "multiclass"):
            check_classification_targets(y)
        if not known:
            labels, t = np.unique(y, return_inverse=True)
            _warn_of_many(labels, y)
            # As in scikit-learn's unique_labels: a native type no wider than the labels need, so
            # that an array of objects that are strings becomes an array of strings.
            self.classes_ = np.asarray(sorted(set(labels)))
            return x, t
        labels = np.unique(y)
        _warn_of_many(labels, y)
        unknown = np.setdiff1d(labels, self.classes_)
        if unknown.size > 0:
            raise ValueError(
                f"{where}: y has the label {unknown.tolist()[0]!r}, should have those in classes_ "
                f"only: {self.classes_}"
            )
        return x, np.searchsorted(self.classes_, y)

    def _checked_indicator(self, where: str, y: Any, *, known: bool) -> NDArray[Any]:
        """Return a matrix of labels as booleans."""
        kind = type_of_target(y, input_name="y")
        if kind != "multilabel-indicator":
            raise ValueError(
                f"{where}: y has 2 dimensions and is of type {kind}, should have 1, or be a matrix "
                f"of 0 and 1 with a column for each label"
            )
        if not known:
            self.classes_ = np.arange(y.shape[1])
        if not self._multilabel or y.shape[1] != len(self.classes_):
            raise ValueError(
                f"{where}: y has shape {y.shape}, but there are {len(self.classes_)} "
                f"{'labels' if self._multilabel else 'classes'}"
            )
        marks: NDArray[Any] = (y.toarray() if hasattr(y, "toarray") else y) != 0
        return marks

    def _check_all_classes(self, where: str, t: NDArray[Any]) -> None:
        if self._multilabel:
            return
        seen = self.classes_[np.unique(t)]
        if len(seen) < len(self.classes_):
            raise ValueError(
                f"{where}: y has the labels {seen} only, but warm_start goes on from a fit with "
                f"{self.classes_}; should have all of them, or be given to partial_fit"
            )

    def _class_weights(self, where: str, data: Data) -> NDArray[Any] | None:
        t = data.t
        if self.class_weight is None:
            return None
        _check_numbers(where, "class_weight", self.class_weight)
        if where == "partial_fit" and isinstance(self.class_weight, str):
            raise ValueError(
                f"{where}: class_weight is {self.class_weight!r}, should be a dict or None: a part "
                f"of the samples does not tell how many there are of each class"
            )
        if self._multilabel:
            weights: NDArray[Any] = compute_sample_weight(self.class_weight, t.astype(int))
            return weights
        if isinstance(self.class_weight, list):
            raise ValueError(
                f"{where}: class_weight is a list, should be a dict, as y has one column"
            )
        if isinstance(self.class_weight, dict):
            by_class = compute_class_weight(
                self.class_weight, classes=self.classes_, y=self.classes_[t]
            )
        else:
            # As in scikit-learn, except that a sample of weight 2 counts as two of its class.
            counts = np.bincount(t, data.sample_weight, minlength=len(self.classes_))
            by_class = counts.sum() / (len(counts) * np.where(counts > 0, counts, 1.0))
        weights = by_class[t]
        return weights

    def _output(self, t: NDArray[Any]) -> tuple[int, ActivationName, str]:
        if self._multilabel:
            return len(self.classes_), "sigmoid", "logistic"
        if len(self.classes_) > 2:
            return len(self.classes_), "softmax", "softmax"
        return 1, "sigmoid", "logistic"

    def _strata(self, t: NDArray[Any]) -> NDArray[Any] | None:
        # As in scikit-learn, for two classes only, so that the split is the same.
        if self._multilabel or len(self.classes_) > 2:
            return None
        strata: NDArray[Any] = self.classes_[t]
        return strata

    # ---- Use ------------------------------------------------------------------------------------

    def _chosen(self, found: NDArray[Any]) -> NDArray[Any]:
        """Return the predicted class numbers, or booleans with a column for each label."""
        chosen: NDArray[Any]
        if self.out_activation_ == "softmax":
            chosen = found.argmax(axis=1)
        else:
            chosen = found > 0.5 if self._multilabel else found[:, 0] > 0.5
        return chosen

    def _score_of(self, net: Sequential, data: Data) -> float:
        correct = self._chosen(outputs(net, data.x)) == data.t
        if self._multilabel:
            correct = correct.all(axis=1)
        return float(np.average(correct, weights=data.sample_weight))

    def predict(self, X: Rows) -> NDArray[Any]:
        """Return the most probable label of each sample.

        Parameters
        ----------
        X : array_like, sparse matrix or data frame of shape (n, n_features)
            One sample per row.

        Returns
        -------
        ndarray of shape (n,) or (n, n_labels)
            The labels; for several at once, a matrix of 0 and 1, sparse if y was.

        Examples
        --------
        >>> from cnn.sklearn import MLPClassifier
        >>> x, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
        >>> model = MLPClassifier(solver="lbfgs", random_state=0).fit(x, y)
        >>> model.predict([[0.5], [2.5]])
        array(['low', 'high'], dtype='<U4')
        """
        chosen = self._chosen(self._outputs(X))
        if not self._multilabel:
            # If there is only one class, clipping turns the number 1 into 0. asarray, because
            # joblib may have mapped classes_ from a file, and the result should be in memory.
            return np.asarray(self.classes_).take(chosen, mode="clip")
        marks = chosen.astype(np.int64)
        if self._sparse_labels:
            from scipy.sparse import csr_matrix  # noqa: PLC0415  # slow, and rarely needed

            sparse: NDArray[Any] = csr_matrix(marks)
            return sparse
        return marks

    def predict_proba(self, X: Rows) -> NDArray[Any]:
        """Return the probability of each class for each sample.

        Parameters
        ----------
        X : array_like, sparse matrix or data frame of shape (n, n_features)
            One sample per row.

        Returns
        -------
        ndarray of shape (n, n_classes)
            The probabilities, in the order of `classes_`. Rows sum to 1, except for several labels
            at once.

        Examples
        --------
        >>> from cnn.sklearn import MLPClassifier
        >>> x, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
        >>> model = MLPClassifier(solver="lbfgs", random_state=0).fit(x, y)
        >>> model.classes_
        array(['high', 'low'], dtype='<U4')
        >>> model.predict_proba([[0.5]]).round(2)
        array([[0., 1.]])
        """
        found = self._outputs(X)
        if self._multilabel or self.out_activation_ == "softmax":
            return found
        if len(self.classes_) == 1:
            return np.ones_like(found)
        both = np.empty((found.shape[0], 2), found.dtype)
        both[:, 1] = found[:, 0]
        np.subtract(1, both[:, 1], out=both[:, 0])
        return both

    def predict_log_proba(self, X: Rows) -> NDArray[Any]:
        """Return the logarithms of the probabilities.

        Parameters
        ----------
        X : array_like, sparse matrix or data frame of shape (n, n_features)
            One sample per row.

        Returns
        -------
        ndarray of shape (n, n_classes)
            ``log(predict_proba(X))``; -inf for a probability of 0.

        Examples
        --------
        >>> from cnn.sklearn import MLPClassifier
        >>> x, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
        >>> model = MLPClassifier(solver="lbfgs", random_state=0).fit(x, y)
        >>> bool((model.predict_log_proba(x) <= 0).all())
        True
        """
        found = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            np.log(found, out=found)
        return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _warn_of_many(labels: NDArray[Any], y: NDArray[Any]) -> None:
    """Warn of labels that could be numbers to predict, with scikit-learn's message."""
    if len(y) > 20 and labels.size > round(0.5 * len(y)):
        warn(
            "The number of unique classes is greater than 50% of the number of samples. `y` could "
            "represent a regression problem, not a classification problem."
        )


def _check_numbers(where: str, name: str, class_weight: Any) -> None:
    """Refuse a dict, or a list of dicts, with class weights that are not numbers of 0 or more."""
    if isinstance(class_weight, list):
        for i, weights in enumerate(class_weight):
            _check_numbers(where, f"{name}[{i}]", weights)
    elif isinstance(class_weight, dict):
        for label, weight in class_weight.items():
            checks.real(where, f"{name}[{label!r}]", weight)
