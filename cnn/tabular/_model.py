"""TableModel: a network with the preprocessing of a table's rows."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from cnn._base import checks, html, warning
from cnn._base.html import Markup
from cnn._base.metadata import COLUMNS
from cnn._base.texts import Lines, listed, shown
from cnn._tables import preprocessing
from cnn._tables.dialect import MISSING
from cnn._tables.numerals import POINT
from cnn._tables.table import Category
from cnn._training.unchanged import steady
from cnn.sequential import Sequential, network_of
from cnn.tabular import _fit
from cnn.tabular._columns import Reader
from cnn.tabular._exports import Exports
from cnn.tabular._frames import of_frame
from cnn.tabular._scores import scores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Literal, TypeAlias

    from numpy.typing import NDArray

    from cnn import _core
    from cnn._base.choices import Task
    from cnn._tables.preprocessing import Preprocessing
    from cnn._training.hooks import Hooks
    from cnn.activations import Activation
    from cnn.history import History

    Rows: TypeAlias = (
        Mapping[str, Any]
        | Sequence[Sequence[Any]]
        | Sequence[Mapping[str, Any]]
        | NDArray[Any]
        | Any
    )

# Rows that are standardised at a time.
_BLOCK = 4096


class TableModel(Exports):
    """A network that takes the rows of a table and predicts classes or numbers.

    `fit` trains one, and `cnn.load` returns one for a file that ``cnn train`` or `save` wrote. It
    has the network and, from the same file, the preprocessing of columns and the meaning of
    outputs:

    - a number v becomes ``(v - mean) / scale``, in float64, rounded once to the network's type;
    - a category becomes one input for each category, 1 for its own and 0 for the others;
    - a missing value becomes what `fit` has learnt for it, or is refused;
    - if the network has the output z for a number, the prediction is ``z * scale + mean`` in
      float64.

    Parameters
    ----------
    net : Sequential
        A network with columns: that of another TableModel, or a copy or pickle of it.

    Attributes
    ----------
    net : Sequential
        The network alone. Its inputs are those that `transform` returns, and its files keep the
        columns.
    task : str
        "classification" or "regression".
    columns : tuple of str
        The names of the columns that are taken, in the order of rows without names.
    categories : dict of str to tuple of str
        The categories of those columns that have them.
    target : str
        The name of the column that is predicted.
    classes : tuple of str or None
        The classes, in the order of `predict_proba`; None in regression.
    history_ : cnn.History or None
        The metrics of each epoch, if `fit` returned the model; files do not keep it.
    scores_ : dict or None
        The scores on the held-out rows, as `evaluate` returns them, if `fit` returned the model and
        rows were held out.
    best_epoch_ : int or None
        The epoch whose weights the model has, if `fit` returned it.

    Raises
    ------
    TypeError
        If `net` is no Sequential.
    ValueError
        If `net` has no columns.

    Notes
    -----
    Tables are data frames of pandas or polars, Arrow tables, dicts of columns, structured arrays,
    lists of dicts, and rows of values in the order of `columns`: a list of lists, or an array of 2
    dimensions. With names, columns may have any order, and others may be among them.

    Numbers are real numbers or texts of such, as a file has them. A category is its text, character
    by character. A value of another type stands for the text that a file would have: 7 for "7", and
    True for the one of "True", "true" and "TRUE" that is a category. A float such as 7.0 is the
    category "7.0" or "7", since whole numbers become floats in a column that had missing values. A
    number is refused if several categories are spellings of it, such as "7" and "07". Values that
    are missing or masked, unless the model has learnt what they become, not finite, or none of the
    categories are refused, with their row, counted from 0, and column.

    Examples
    --------
    >>> from cnn.tabular import TableModel
    >>> table = {"weight": [150, 10] * 20, "skin": ["smooth", "rough"] * 20,
    ...          "fruit": ["apple", "lychee"] * 20}
    >>> model = TableModel.fit(table, target="fruit", epochs=50, rng=0)
    >>> model
    TableModel(weight, skin -> fruit: apple, lychee)
    >>> model.predict([[140, "smooth"], [12, "rough"]])
    array(['apple', 'lychee'], dtype=object)
    >>> model.predict({"skin": ["rough"], "weight": [9.5]})
    array(['lychee'], dtype=object)
    >>> model.predict([[140, "hairy"]])
    Traceback (most recent call last):
    ValueError: predict: row 0, column 'skin' is 'hairy', should be one of rough, smooth
    >>> model.evaluate(table)["accuracy"]
    1.0
    """

    # Any stands for None, so that type checkers allow model.scores_["accuracy"] without a check.
    history_: History | Any = None
    scores_: dict[str, Any] | Any = None
    best_epoch_: int | Any = None

    def __init__(self, net: Sequential) -> None:
        if not isinstance(net, Sequential):
            raise TypeError(
                f"TableModel: net is of type {type(net).__name__}, should be a Sequential"
            )
        self._adopt("TableModel", net)

    def _adopt(self, where: str, net: Sequential) -> None:
        network = network_of(net)
        plan = preprocessing.of_network(network, where)
        if plan is None:
            raise ValueError(
                f"{where}: net does not say how inputs are made of columns, should be the network "
                f"of a file that 'cnn train' wrote"
            )
        self._net, self._network = net, network
        self._plan = plan
        missing = None if plan.fillings is None else plan.missing
        self._reader = Reader(plan.columns, plan.decimal, missing)

    @classmethod
    def fit(
        cls,
        table: Rows,
        *,
        target: str,
        task: Literal["auto", "classification", "regression"] = "auto",
        drop: Iterable[str] = (),
        categories: Iterable[str] = (),
        missing: Literal["error", "drop", "mean", "median", "category"] = "error",
        missing_texts: Iterable[str] = MISSING,
        hidden: Iterable[int] = (64, 64),
        activation: Activation = "relu",
        epochs: int = 1000,
        batch_size: int | None = None,
        lr: float = 1e-3,
        l2: float | None = None,
        dropout: float = 0.0,
        class_weight: Mapping[str, float] | Literal["balanced"] | None = None,
        hold_out: float = 0.2,
        patience: int = 20,
        rng: int | np.random.Generator | None = None,
        callbacks: Iterable[Hooks] = (),
        progress: bool | Literal["auto"] = "auto",
    ) -> TableModel:
        """Train a model on a table; ``cnn train`` does the same with a file.

        The held-out rows tell when to stop: the network gets the weights of the epoch with the
        least loss on them. Their scores are `scores_`; as the rows have chosen the epoch, scores on
        rows that are quite new may be a little worse.

        Parameters
        ----------
        table : data frame, dict of columns, list of dicts, or structured array
            A table with names of columns: of pandas, polars, Arrow or NumPy. Numbers are taken as
            numbers. Texts are read as in a file: as numbers if all are, otherwise as categories.
            Columns of a categorical type hold categories. So do truth values. Dates and times are
            refused: make numbers of them, such as days since the first one.
        target : str
            The column to predict.
        task : {"auto", "classification", "regression"}, default "auto"
            What the target calls for. "auto" takes texts, truth values, and up to 20 different
            whole numbers, for classes.
        drop : iterable of str, optional
            Columns to leave out.
        categories : iterable of str, optional
            Columns of categories, though they have numbers.
        missing : {"error", "drop", "mean", "median", "category"}, default "error"
            What is done about missing values, which are None, NaN and the like, and
            `missing_texts`. "error" refuses them, and "drop" leaves their rows out; the model then
            refuses them, too. "mean" and "median" replace numbers by that of the training rows, and
            categories by the most frequent one. "category" gives each column that has missing
            values an input of its own, which is 1 for them; numbers are replaced by the mean,
            too. The model keeps what it has learnt. The target may be missing with "drop" alone.
        missing_texts : iterable of str, optional
            Texts that stand for missing values. By default those that programs write, such as "",
            "NA" and "NULL".
        hidden : iterable of int, default (64, 64)
            The numbers of neurons of the hidden layers; () for none, a linear model.
        activation : str or cnn.activations.LeakyReLU or ELU, default "relu"
            The activation of the hidden layers.
        epochs : int, default 1000
            How many times each row is used at most.
        batch_size : int, optional
            How many rows a step uses. By default 32, and more for tables of 6400 rows or more,
            up to 512.
        lr : float, default 0.001
            The learning rate of Adam.
        l2 : float, optional
            The strength of the L2 penalty of each layer. By default 15 in regression, and 10 in
            classification, divided by the number of training rows: without it a network fits few
            rows too closely.
        dropout : float, default 0.0
            The rate of dropout after each hidden layer.
        class_weight : dict or "balanced", optional
            The weight of the rows of each class; with "balanced" the weights of each class add up
            to the same sum.
        hold_out : float, default 0.2
            The share of the rows that are held out. With 0 all rows are learnt from, for `epochs`.
        patience : int, default 20
            After how many epochs without improvement training ends.
        rng : int or numpy.random.Generator, optional
            The seed of initial weights, held-out rows, and the order of rows.
        callbacks, progress
            As for `Sequential.fit`.

        Returns
        -------
        TableModel
            The trained model.

        Raises
        ------
        TypeError, ValueError
            If an argument is of a wrong type or out of range, or the table is not a good one.
        FloatingPointError
            If the loss becomes NaN or infinite.
        KeyboardInterrupt
            On Ctrl-C during the first epoch.

        Warns
        -----
        UserWarning
            On Ctrl-C later, which ends training; the model is that of the best epoch so far.

        Examples
        --------
        >>> from cnn.tabular import TableModel
        >>> table = {"x": [0.0, 1.0, 2.0, None, 4.0] * 20, "y": [1.5, 3.0, 4.5, 4.5, 7.5] * 20}
        >>> model = TableModel.fit(table, target="y", missing="median", rng=0)
        >>> sorted(model.scores_)
        ['mae', 'r2', 'rmse', 'rows']
        >>> model.predict({"x": [3.0, None]}).round(0)
        array([6., 4.])
        """
        where = "fit"
        settings = _fit.Settings(
            hidden=hidden,  # type: ignore[arg-type]  # as are others, it is checked next
            activation=activation,
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            l2=l2,
            dropout=dropout,
            class_weight=class_weight,
            seed=rng,  # type: ignore[arg-type]
            hold_out=hold_out,
            patience=patience,
            missing=missing,
        ).checked(where)
        if not isinstance(target, str):
            raise TypeError(f"{where}: target is of type {type(target).__name__}, should be a str")
        texts = frozenset(_names(where, "missing_texts", missing_texts))
        content = of_frame(
            where,
            table,
            target=target,
            task=checks.choice(where, "task", task, ("auto", "classification", "regression")),
            drop=_names(where, "drop", drop),
            categories=_names(where, "categories", categories),
            missing=texts,
            keep_missing=missing != "error",
        )
        fitted = _fit.fit(
            content,
            target,
            settings,
            decimal=POINT,
            missing=texts,
            callbacks=callbacks,
            progress=progress,
        )
        if fitted.interrupted:
            # As in scikit-learn; the model would be lost with a KeyboardInterrupt.
            warning.warn(f"{where}: interrupted; the model is that of the best epoch so far")
        return of_fitted(fitted)

    # ---- Structure -----------------------------------------------------------------------------

    @property
    def net(self) -> Sequential:
        """The network alone."""
        return self._net

    @property
    def task(self) -> Task:
        """The task: "classification" or "regression"."""
        return self._plan.task

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that are taken."""
        return tuple(column.name for column in self._plan.columns)

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """The categories of those columns that have them."""
        return {c.name: c.categories for c in self._plan.columns if isinstance(c, Category)}

    @property
    def target(self) -> str:
        """The name of the column that is predicted."""
        return self._plan.target.name

    # Any stands for None, as above.
    @property
    def classes(self) -> tuple[str, ...] | Any:
        """The classes; None in regression."""
        target = self._plan.target
        return target.categories if isinstance(target, Category) else None

    def __repr__(self) -> str:
        made = "a number" if self.classes is None else listed(self.classes)
        text = f"TableModel({listed(self.columns)} -> {self.target}: {made})"
        return shown(text)

    def summary(self) -> str:
        """Return a table of the layers and of the preprocessing of columns as text.

        Returns
        -------
        str
            The lines of the table. Numbers have all of their digits.

        Examples
        --------
        >>> from cnn.tabular import TableModel
        >>> table = {"weight": [150, 10] * 20, "fruit": ["apple", "lychee"] * 20}
        >>> model = TableModel.fit(table, target="fruit", epochs=50, rng=0)
        >>> for line in model.summary().splitlines()[-4:]:
        ...     print(line)
        Inputs
            0  weight  (weight - 80) / 70
        Outputs (classification)
          0-1  fruit   probabilities of apple, lychee
        """
        lines = [self._net.summary(), "", *preprocessing.described(self._plan)]
        return Lines("\n".join(lines))

    def _repr_html_(self) -> str:
        plan = self._plan
        inputs = html.table(
            ("Inputs", "Column", "Made by"), preprocessing.input_rows(plan), right=(0,)
        )
        outputs = html.table(
            ("Outputs", "Target", "Meaning"), [preprocessing.output_row(plan)], right=(0,)
        )
        return html.block(
            f"TableModel for {plan.task}", inputs, outputs, Markup(self._net._repr_html_())
        )

    def __getattr__(self, name: str) -> NoReturn:
        # Only called if there is no such attribute. Copying calls it before __init__ has run.
        text = f"TableModel has no {name!r}"
        if name == "to_torch":
            text += ", since a PyTorch module has no columns; model.net.to_torch() makes one of "
            text += "the network alone, which takes what model.transform returns"
        elif not name.startswith("_") and hasattr(Sequential, name):
            text += f"; its network has model.net.{name}, and takes what model.transform returns"
        raise AttributeError(text, name=name, obj=self)

    def __copy__(self) -> TableModel:
        # Two objects with the same weights would train each other.
        return TableModel(copy.copy(self._net))

    def __setstate__(self, state: dict[str, Any]) -> None:
        net = state.get("net") if isinstance(state, dict) else None
        if not isinstance(net, Sequential):
            raise TypeError("TableModel: the state of a pickle should hold a network as net")
        self._adopt("TableModel", net)

    def __getstate__(self) -> dict[str, Any]:
        # Everything else is computed from it.
        return {"net": self._net}

    # ---- Prediction ----------------------------------------------------------------------------

    def predict(self, rows: Rows) -> NDArray[Any]:
        """Predict the target of each row.

        Parameters
        ----------
        rows : data frame, dict of columns, or list of rows
            A table with the model's columns, of a type that the class describes.

        Returns
        -------
        ndarray of shape (n,)
            In classification the texts of the classes, of dtype object; in regression numbers, of
            dtype float64. They do not depend on the other rows.

        Raises
        ------
        TypeError, ValueError
            If `rows` is no table, a column is missing, or a value is no finite number, is none of
            the categories, or is so far from those of training that the prediction is not finite.

        Examples
        --------
        >>> from cnn.tabular import TableModel
        >>> table = {"weight": [150, 10] * 20, "fruit": ["apple", "lychee"] * 20}
        >>> model = TableModel.fit(table, target="fruit", epochs=50, rng=0)
        >>> model.predict({"weight": [140, 12]})
        array(['apple', 'lychee'], dtype=object)
        """
        values = self._reader.read("predict", rows)
        if self.classes is None:
            return self._predicted("predict", values, lambda y: y[:, 0])
        best = self._predicted("predict", values, lambda y: y.argmax(axis=1))
        return np.array(self.classes, object).take(best)

    def predict_proba(self, rows: Rows) -> NDArray[Any]:
        """Return the probability of each class for each row.

        Parameters
        ----------
        rows : data frame, dict of columns, or list of rows
            A table with the model's columns, of a type that the class describes.

        Returns
        -------
        ndarray of shape (n, classes)
            The probabilities in the order of `classes`, of the network's dtype.

        Raises
        ------
        TypeError, ValueError
            As for `predict`, and if the model predicts a number.

        Examples
        --------
        >>> from cnn.tabular import TableModel
        >>> table = {"weight": [150, 10] * 20, "fruit": ["apple", "lychee"] * 20}
        >>> model = TableModel.fit(table, target="fruit", epochs=50, rng=0)
        >>> model.classes
        ('apple', 'lychee')
        >>> model.predict_proba([[140]]).round(2)
        array([[0.93, 0.07]], dtype=float32)
        """
        if self.classes is None:
            raise ValueError(
                f"predict_proba: the model predicts the number {self.target!r}, which has no "
                f"classes; predict returns it"
            )
        return self._predicted("predict_proba", self._reader.read("predict_proba", rows))

    def transform(self, rows: Rows) -> NDArray[Any]:
        """Return the network's inputs for rows: standardised numbers, and one-hot categories.

        Parameters
        ----------
        rows : data frame, dict of columns, or list of rows
            A table with the model's columns, of a type that the class describes.

        Returns
        -------
        ndarray of shape (n, net.inputs)
            The inputs of ``model.net``, of its dtype.

        Raises
        ------
        TypeError, ValueError
            As for `predict`.

        Examples
        --------
        >>> from cnn.tabular import TableModel
        >>> table = {"weight": [150, 10] * 20, "fruit": ["apple", "lychee"] * 20}
        >>> model = TableModel.fit(table, target="fruit", epochs=50, rng=0)
        >>> model.transform([[150], [80]])
        array([[1.],
               [0.]], dtype=float32)
        """
        values = self._reader.read("transform", rows)
        return self._plan.x(values, "transform", -1, dtype=self._net.dtype)

    def evaluate(self, rows: Rows) -> dict[str, Any]:
        """Return the scores of the predictions for rows with a known target.

        Parameters
        ----------
        rows : data frame, dict of columns, or list of rows
            A table with the model's columns and the target; rows without names have the target
            last.

        Returns
        -------
        dict
            In classification "rows", "accuracy", "log_loss", "auc" and "classes": the area under
            the ROC curve is the mean over the classes, each against the others, if there are more
            than two, and None if all rows are of one class; "classes" has "precision", "recall",
            "f1" and "support", the number of rows, of each class. In regression "rows", "rmse",
            "mae" and "r2", which is None if all targets are equal. `cnn.metrics` has the formulas.

        Raises
        ------
        TypeError, ValueError
            As for `predict`, if the target of a row is missing or none of the classes, and if there
            are no rows.

        Examples
        --------
        >>> from cnn.tabular import TableModel
        >>> table = {"weight": [150, 10] * 20, "fruit": ["apple", "lychee"] * 20}
        >>> model = TableModel.fit(table, target="fruit", epochs=50, rng=0)
        >>> scores = model.evaluate({"weight": [140, 12], "fruit": ["apple", "lychee"]})
        >>> scores["rows"], scores["accuracy"]
        (2, 1.0)
        """
        where = "evaluate"
        values, goal = self._reader.read_with_target(where, rows, self._plan.target)
        if not len(goal):
            raise ValueError(f"{where}: rows has no rows, should have at least 1")
        return scores(self._plan, self._predicted(where, values), goal)

    def _predicted(
        self,
        where: str,
        values: NDArray[np.float64],
        result: Callable[[NDArray[Any]], NDArray[Any]] = lambda y: y,
    ) -> NDArray[Any]:
        """Return the results of all outputs, which are those of one time."""

        def found_of(network: _core.Network) -> NDArray[Any]:
            found = []
            # At least once, for a table without rows.
            for first in range(0, max(1, len(values)), _BLOCK):
                part = values[first : first + _BLOCK]
                found.append(result(self._plan.predicted(network, part, where, first - 1)))
            return np.concatenate(found)

        return steady(self._network, found_of)


def of_file(where: str, net: Sequential) -> TableModel:
    """Return the model around a file's network, whose columns are not trusted."""
    made = TableModel.__new__(TableModel)
    made._adopt(where, net)
    return made


def of_fitted(fitted: _fit.Fitted) -> TableModel:
    """Return the model of a training."""
    network_of(fitted.net).set_metadata(COLUMNS, fitted.plan.to_json())
    made = TableModel(fitted.net)
    made.history_ = fitted.history
    made.scores_ = fitted.held_out
    made.best_epoch_ = fitted.best_epoch
    return made


def _names(where: str, what: str, given: Iterable[str]) -> list[str]:
    """Return an argument that is a list of texts, or one text."""
    if isinstance(given, str):
        return [given]
    if not hasattr(given, "__iter__"):
        raise TypeError(f"{where}: {what} is of type {type(given).__name__}, should be a list")
    found = list(given)
    for name in found:
        if not isinstance(name, str):
            raise TypeError(f"{where}: {what} has {name!r}, should be texts")
    return found


def plan_of(model: TableModel) -> Preprocessing:
    """Return the preprocessing of a model, for the command line."""
    return model._plan
