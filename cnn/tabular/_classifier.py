"""TabularClassifier."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _assert_all_finite, column_or_1d

from cnn._base import checks
from cnn.exchange.raw import RawClasses
from cnn.losses import CrossEntropy
from cnn.sequential import network_of
from cnn.tabular._calibration import mean, row_sums, temperature_of
from cnn.tabular._estimator_files import array_content, array_of
from cnn.tabular._estimators import BaseTabular, Rows
from cnn.tabular._recipe import Recipe, cool, logits_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from numpy.typing import NDArray

    from cnn.losses import Loss


@dataclass(frozen=True)
class SoftTargets:
    """Probabilities in place of classes."""

    classes: NDArray[Any]
    probabilities: NDArray[Any]

    def __len__(self) -> int:
        return len(self.probabilities)


class TabularClassifier(ClassifierMixin, BaseTabular):  # type: ignore[misc]
    """A network that predicts classes from the rows of a table as it is.

    Parameters
    ----------
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
        "selu" with "realmlp".
    epochs, batch_size, lr, dropout, weight_decay : int or float, optional
        Numbers of the training, instead of the preset's. Rates follow the recipe's schedules.
    sigma : float, optional
        The standard deviation of the initial frequencies of numbers' periodic features, which are
        numbers of turns for each unit of a scaled number. Larger ones, to 10, let the network learn
        finer structure, such as that of coordinates. By default 1, and 0.1 with "realmlp".
    label_smoothing : float, default 0.1
        The share of each target that is spread over all classes.
    class_weight : dict or "balanced", optional
        The weight of each class in the loss, as in scikit-learn.
    calibrate : bool, default False
        Whether probabilities are calibrated by a temperature, which divides the weights and biases
        of the last layers (Guo et al., "On calibration of modern neural networks", 2017). It is
        found on half of the rows that are held out; the others choose the best epoch.
    validation_fraction : float, optional
        The share of the rows that are held out; 0 for none. By default 0.1, and 0.2 with
        `calibrate` or "realmlp". The best epoch is the one with the least Brier score on them,
        which is the mean squared distance of the probabilities from the classes; with "realmlp" the
        one with the fewest wrong classes.
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
    classes_ : ndarray
        The classes, in the order of `predict_proba`.
    temperature_ : float
        The temperature of the probabilities; 1 without `calibrate`.
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
    TabularRegressor : Predicts numbers.
    cnn.sklearn.MLPClassifier : A multilayer perceptron with scikit-learn's parameters.

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
    >>> from cnn.tabular import TabularClassifier
    >>> table = {"size": [1.0, 2.0, 9.0, None] * 9, "colour": ["red", "blue", None, "green"] * 9}
    >>> kind = ["berry", "berry", "melon", "melon"] * 9
    >>> model = TabularClassifier(epochs=20, random_state=0).fit(table, kind)
    >>> model.predict({"size": [1.5, 8.0], "colour": ["red", "green"]})
    array(['berry', 'melon'], dtype='<U5')
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseTabular._parameter_constraints,
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    classes_: NDArray[Any]
    temperature_: float
    _weights: dict[int, float] | None

    def __init__(
        self,
        *,
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
        label_smoothing: float = 0.1,
        class_weight: Any = None,
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
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
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
        y : array_like of shape (n,)
            The class of each row: any values that can be sorted.
        sample_weight : array_like of shape (n,), optional
            The weight of each row, 0 or more.
        eval_set : tuple (X, y) or (X, y, sample_weight), optional
            Rows by which the best epoch is found, in place of a share of X.
        callbacks : sequence of cnn.Callback, default ()
            Called as by `cnn.Sequential.fit`, for each network.

        Returns
        -------
        TabularClassifier
            The estimator itself.

        Raises
        ------
        TypeError, ValueError
            If an argument is of a wrong type, shape or range, or the table has a column that is
            there twice, an infinite number, or values that are neither numbers nor texts. The
            message names the row and the column.

        Examples
        --------
        >>> from cnn.tabular import TabularClassifier
        >>> table = {"size": [1.0, 2.0, 9.0, 8.0] * 9, "colour": ["red", "blue"] * 18}
        >>> kind = ["a", "a", "b", "b"] * 9
        >>> TabularClassifier(epochs=20, random_state=0).fit(table, kind).score(table, kind)
        1.0
        """
        return self._fit(X, y, sample_weight, eval_set, callbacks)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class of each row.

        Parameters
        ----------
        X : table
            Rows with the columns of `fit`.

        Returns
        -------
        ndarray of shape (n,)
            The classes.

        Examples
        --------
        >>> from cnn.tabular import TabularClassifier
        >>> model = TabularClassifier(epochs=20, random_state=0)
        >>> model.fit([[0.0], [1.0]] * 20, [0, 1] * 20).predict([[0.1], [0.9]])
        array([0, 1])
        """
        probabilities = self._outputs(self._rows(X, "predict"))
        found: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return found

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class for each row.

        Parameters
        ----------
        X : table
            Rows with the columns of `fit`.

        Returns
        -------
        ndarray of float64, shape (n, classes)
            The probabilities, in the order of `classes_`; those of a row add up to 1.

        Examples
        --------
        >>> from cnn.tabular import TabularClassifier
        >>> model = TabularClassifier(epochs=20, random_state=0)
        >>> model.fit([[0.0], [1.0]] * 20, [0, 1] * 20).predict_proba([[0.0]]).shape
        (1, 2)
        """
        return self._outputs(self._rows(X, "predict_proba"))

    def _results(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = means / row_sums(means)[:, np.newaxis]
        return found

    def _raw_target(self) -> RawClasses:
        return RawClasses(tuple(self.classes_.tolist()))

    def _calibrate(self, rows: Rows) -> None:
        logits = [logits_of(net, rows.x) for net in self.nets_]
        self.temperature_ = temperature_of(logits, self._strata(rows.t), rows.weight)
        for net in self.nets_:
            cool(net, self.temperature_)

    def _recipe(self) -> Recipe:
        # Averages of weights allow larger steps.
        return Recipe(activation="selu", lr=0.04 if self.preset == "realmlp" else 0.08)

    def _fit_target(self, where: str, y: Any) -> NDArray[Any]:
        self._weights = None
        if isinstance(y, SoftTargets):
            if self.class_weight is not None:
                raise ValueError(f"{where}: class_weight is given, but y has probabilities")
            self.temperature_, self.classes_ = 1.0, y.classes
            return np.asarray(y.probabilities, dtype=np.float64)
        y = column_or_1d(y, warn=True)
        _assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        self.temperature_ = 1.0
        self.classes_, t = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{where}: y has 1 class, {self.classes_[0]!r}, should have at least 2: one class"
            )
        if self.class_weight is not None:
            weights = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
            self._weights = dict(enumerate(weights.tolist()))
        return t

    def _target(self, where: str, y: Any) -> NDArray[Any]:
        y = column_or_1d(y, warn=True)
        known = {value: place for place, value in enumerate(self.classes_.tolist())}
        places = np.array([known.get(value, -1) for value in y.tolist()], dtype=np.intp)
        if (places < 0).any():
            row = int((places < 0).argmax())
            raise ValueError(
                f"{where}: y has {y[row]!r} in row {row}, should be one of the classes of y"
            )
        return places

    def _strata(self, t: NDArray[Any]) -> NDArray[Any]:
        found: NDArray[Any] = t.argmax(axis=1) if t.ndim == 2 else t
        return found

    def _loss(self) -> Loss:
        return CrossEntropy(label_smoothing=self.label_smoothing)

    def _output(self, t: NDArray[Any]) -> tuple[int, str]:
        return len(self.classes_), "softmax"

    def _row_weights(self, t: NDArray[Any], weight: NDArray[Any] | None) -> NDArray[np.float64]:
        """Return the weights of rows times those of their classes."""
        found = np.ones(len(t)) if weight is None else weight
        if self._weights is not None:
            found = found * np.array([self._weights[j] for j in range(len(self.classes_))])[t]
        return found

    def _check_class_weight(self, where: str, part: Rows, what: str) -> None:
        if not self._row_weights(part.t, part.weight).any():
            raise ValueError(
                f"{where}: class_weight is {self.class_weight!r}, which leaves no weight to the "
                f"rows to {what} with, should be more than 0 for a class of theirs"
            )

    def _error(self, outputs: NDArray[Any], t: NDArray[Any], weight: Any) -> float:
        weight = self._row_weights(t, weight)  # as in training
        if self.preset == "realmlp" and t.ndim == 1:
            return mean((outputs.argmax(1) != t).astype(np.float64), weight)
        # Brier's score, which few rows tell more surely than how many are wrong.
        targets = t if t.ndim == 2 else np.eye(len(self.classes_))[t]
        return mean(row_sums((outputs - targets) ** 2), weight)

    def _target_content(self, where: str) -> dict[str, Any]:
        return {
            "classes": array_content(where, "y has the class", self.classes_),
            "temperature": self.temperature_,
        }

    def _take_target(self, content: Any) -> None:
        self.classes_ = array_of(content["classes"])
        self.temperature_ = checks.positive("it", "temperature", content["temperature"])
        net = self.nets_[0]  # others are like it
        if len(self.classes_) != net.outputs or network_of(net).activation != "softmax":
            raise ValueError(
                f"it has {len(self.classes_)} classes, but the network has {net.outputs} outputs"
            )

    def _class_weight(self) -> Any:
        return self._weights
