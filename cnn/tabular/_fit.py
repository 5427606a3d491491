"""Training on a table: the preprocessing, the network, early stopping, and k-fold validation.

`TableModel.fit` and ``cnn train`` both call `fit`, so that they train alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import activations, optimizers
from cnn._base import checks
from cnn._base.texts import did_you_mean, listed
from cnn._tables import preprocessing
from cnn._tables.content import ColumnContent, Content, check_classes, missing_target
from cnn._tables.preprocessing import POLICIES, Preprocessing
from cnn._tables.table import Category, Number
from cnn._training import loop
from cnn.callbacks import EarlyStopping
from cnn.layers import stacked
from cnn.sequential import built, network_of
from cnn.tabular import _split
from cnn.tabular._epochs import Floor, Recorder
from cnn.tabular._scores import scores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from cnn._base.choices import Progress
    from cnn._tables.table import Column
    from cnn._training.hooks import Hooks
    from cnn.history import History
    from cnn.sequential import Sequential

# The default L2 penalty, times the number of training rows: in classification and in regression.
# docs/guide/tables.md has the scores of small tables with it, beside those of linear models.
_L2_OF_CLASSES, _L2_OF_NUMBERS = 10.0, 15.0
_SMALL_BATCH, _LARGE_BATCH = 32, 512
_ROWS_OF_BATCH = 200


@dataclass(frozen=True)
class Settings:
    """How a network for a table is trained; None stands for a default that depends on the rows."""

    hidden: tuple[int, ...] = (64, 64)
    activation: activations.Activation = "relu"
    epochs: int = 1000
    batch_size: int | None = None
    lr: float = 1e-3
    l2: float | None = None
    dropout: float = 0.0
    class_weight: str | Mapping[str, float] | None = None
    seed: int = 0
    hold_out: float = 0.2
    patience: int = 20
    missing: str = "error"

    def checked(self, where: str) -> Settings:
        """Return the settings, after a check of each."""
        if isinstance(self.hidden, (str, bytes)) or not hasattr(self.hidden, "__iter__"):
            raise TypeError(
                f"{where}: hidden is of type {type(self.hidden).__name__}, should be a list of "
                f"numbers of neurons"
            )
        activations.checked(where, "activation", self.activation)
        weights = self.class_weight
        if not (weights is None or weights == "balanced" or isinstance(weights, Mapping)):
            raise ValueError(
                f"{where}: class_weight is {weights!r}, should be 'balanced', None, or a dict of "
                f"classes and weights"
            )
        return replace(
            self,
            hidden=tuple(
                checks.integer(where, f"hidden[{i}]", size, 1, 2**31 - 1)
                for i, size in enumerate(self.hidden)
            ),
            epochs=checks.integer(where, "epochs", self.epochs, 1),
            batch_size=None
            if self.batch_size is None
            else checks.integer(where, "batch_size", self.batch_size, 1),
            lr=checks.positive(where, "lr", self.lr),
            l2=None if self.l2 is None else checks.real(where, "l2", self.l2),
            dropout=checks.real(where, "dropout", self.dropout, below=1.0),
            seed=checks.seed(where, self.seed),
            hold_out=checks.real(where, "hold_out", self.hold_out, below=1.0),
            patience=checks.integer(where, "patience", self.patience, 1),
            missing=checks.choice(where, "missing", self.missing, POLICIES),
        )

    def of_rows(self, rows: int, *, is_class: bool) -> tuple[int, float]:
        """Return the batch size and the L2 penalty for a number of training rows."""
        batch_size, l2 = self.batch_size, self.l2
        if batch_size is None:
            size = 1 << max(0, (rows // _ROWS_OF_BATCH).bit_length())
            batch_size = max(_SMALL_BATCH, min(_LARGE_BATCH, size))
        if l2 is None:
            l2 = (_L2_OF_CLASSES if is_class else _L2_OF_NUMBERS) / rows
        return batch_size, l2


@dataclass
class Start:
    """What is known before the first step."""

    plan: Preprocessing
    hidden: tuple[int, ...]
    rows: int
    held: int
    left_out: int
    """How many rows were left out since values are missing."""


@dataclass
class Fitted:
    """A trained network."""

    net: Sequential
    plan: Preprocessing
    history: History
    best_epoch: int
    """The epoch whose weights are kept."""
    early: bool
    """Whether the epoch was chosen by held-out rows."""
    interrupted: bool
    held_out: dict[str, Any] | None = None
    """The scores on the held-out rows, or None if there are none."""
    baseline: dict[str, Any] = field(default_factory=dict)
    """The scores on the same rows of the best guess without a network."""


def fit(
    content: Content,
    target: str,
    settings: Settings,
    *,
    decimal: str,
    missing: frozenset[str],
    folds: int = 0,
    callbacks: Iterable[Hooks] = (),
    progress: Progress = "auto",
    started: Callable[[Start], None] = lambda _: None,
    scored: Callable[[int, dict[str, Any]], None] = lambda *_: None,
) -> Fitted:
    """Train a network on a table.

    Parameters
    ----------
    content : Content
        The table; the target is one of its columns.
    target : str
        The name of the target.
    settings : Settings
        How to train, checked.
    decimal, missing : str, frozenset of str
        The decimal mark, and the texts of missing values, that the model is to keep.
    folds : int
        The number of folds of a k-fold validation, or 0. The final network is then trained on all
        rows, for the median of the best epochs of the folds.
    callbacks, progress
        As for `Sequential.fit`, for the final network.
    started, scored : callable
        Called before the final training; and after each fold, with its number and scores.

    Raises
    ------
    ValueError
        If the table does not suit the settings.
    KeyboardInterrupt
        On Ctrl-C before an epoch of the final training was finished.
    """
    table = Table(content, target, settings, decimal, missing)
    order = _split.shuffled(settings.seed, table.rows)
    if not folds:
        held, kept = table.split(order)
        return table.train(held, kept, settings, callbacks, progress, started)
    if not 2 <= folds <= table.rows:
        raise ValueError(
            f"{content.source}: folds is {folds}, should be from 2 to the number of rows, "
            f"{table.rows}"
        )
    epochs = []
    for number, (test, rest) in enumerate(table.folds(order, folds), start=1):
        fitted = table.train(*table.split(rest), settings, (), False)
        if fitted.interrupted:
            raise KeyboardInterrupt
        epochs.append(fitted.best_epoch)
        scored(number, table.score(fitted, test))
    final = replace(settings, epochs=round(float(np.median(epochs))))
    return table.train(order[:0], order, final, callbacks, progress, started)


def net_for(plan: Preprocessing, settings: Settings, l2: float, source: str) -> Sequential:
    """Return the network for a preprocessing, with new weights; `source` begins messages."""
    is_class = plan.task == "classification"
    output: activations.Activation = "softmax" if is_class else "identity"
    widths = [plan.inputs, *settings.hidden, plan.target.width]
    layers = stacked(widths, settings.activation, output, settings.dropout, l2)
    return built(source, layers, settings.seed, "float32")


class Table:
    """A table without rows that training cannot use."""

    def __init__(
        self,
        content: Content,
        target: str,
        settings: Settings,
        decimal: str,
        missing: frozenset[str],
    ) -> None:
        self._settings = settings
        self._decimal = decimal
        self._missing = missing
        self.source = content.source
        columns = dict(content.columns)
        self.left_out = 0
        if settings.missing == "drop":
            columns, self.left_out = _complete(content)
            if self.left_out:
                self.source += ": of the rows without missing values"
        self.goal = columns.pop(target)
        if isinstance(self.goal.column, Category):
            check_classes(self.source, self.goal.column)
        self.columns = list(columns.values())
        self.rows = len(self.goal.values)
        if self.goal.missing:
            raise missing_target(content.source, target, self.goal.first_missing)
        goal = self.goal
        self._weights = class_weights(
            settings.class_weight,
            goal.column,
            self.source,
            lambda: np.bincount(goal.values, minlength=goal.column.width),
        )

    @property
    def is_class(self) -> bool:
        """Whether the target has classes."""
        return isinstance(self.goal.column, Category)

    def split(self, order: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the held-out rows and the training rows."""
        return _split.split(
            order,
            self.goal.values,
            self._settings.hold_out,
            stratified=self.is_class,
            source=self.source,
        )

    def folds(
        self, order: NDArray[np.intp], count: int
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield the test rows and the other rows of each of `count` folds."""
        return _split.folds(order, self.goal.values, count, stratified=self.is_class)

    def _plan(self, kept: NDArray[np.intp]) -> Preprocessing:
        """Return the preprocessing that the training rows give."""
        fillings = None
        if self._settings.missing not in ("error", "drop"):
            fillings = tuple(
                preprocessing.filling(
                    self._settings.missing, each.column, each.values[kept], self.source
                )
                for each in self.columns
            )
        columns = tuple(self._standardised(each, kept) for each in self.columns)
        goal = self._standardised(self.goal, kept)
        gone = frozenset() if fillings is None else self._missing
        return Preprocessing(columns, goal, self._decimal, fillings, gone)

    def _standardised(self, each: ColumnContent, kept: NDArray[np.intp]) -> Column:
        if isinstance(each.column, Category):
            return each.column
        values = each.values[kept]
        if each.missing:
            values = values[~np.isnan(values)]
        return preprocessing.standardised(each.column.name, values, self.source)

    def train(
        self,
        held: NDArray[np.intp],
        kept: NDArray[np.intp],
        settings: Settings,
        callbacks: Iterable[Hooks],
        progress: Progress,
        started: Callable[[Start], None] = lambda _: None,
    ) -> Fitted:
        """Train on the rows `kept`; `held` are the rows by which the best epoch is chosen."""
        plan = self._plan(kept)
        batch_size, l2 = settings.of_rows(len(kept), is_class=self.is_class)
        x = plan.x([each.values for each in self.columns], self.source)
        t = plan.t(self.goal.values, self.source)
        net = net_for(plan, settings, l2, self.source)
        started(Start(plan, settings.hidden, self.rows, len(held), self.left_out))
        recorder = Recorder()
        stop = EarlyStopping(patience=settings.patience, restore_best_weights=True)
        interrupted = False
        try:
            loop.fit(
                net,
                network_of(net),
                x[kept],
                t[kept],
                epochs=settings.epochs,
                batch_size=batch_size,
                optimizer=optimizers.Adam(lr=settings.lr),
                loss=None,
                validation_data=self._validation(x, t, held),
                sample_weight=None,
                class_weight=self._weights,
                shuffle=True,
                callbacks=[
                    *([Floor()] if l2 > 0 else []),
                    *([stop] if len(held) else []),
                    recorder,  # after `stop`, which so knows each epoch that is recorded
                    *callbacks,
                ],
                progress=progress,
                advice="A smaller lr may help",
                warn_of_scales=False,  # they are standardised
            )
        except KeyboardInterrupt:
            if not len(recorder.history):
                raise
            interrupted = True
            if len(held):
                stop.on_train_end({})  # restores the weights of the best epoch
        best = stop.best_epoch if len(held) else len(recorder.history)
        fitted = Fitted(net, plan, recorder.history, best, bool(len(held)), interrupted)
        if len(held):
            fitted.held_out = self.score(fitted, held, x)
            fitted.baseline = self.baseline(held, kept)
        return fitted

    def _validation(self, x: NDArray[Any], t: NDArray[Any], held: NDArray[np.intp]) -> object:
        """Return inputs, targets and weights of the held-out rows, or None if there are none."""
        if not len(held):
            return None
        if self._weights is None or not self._weights[t[held]].any():  # which have no mean
            return x[held], t[held]
        return x[held], t[held], self._weights[t[held]]

    def score(
        self, fitted: Fitted, rows: NDArray[np.intp], x: NDArray[Any] | None = None
    ) -> dict[str, Any]:
        """Return the scores of a network on some rows; `x` has the inputs of all rows."""
        if x is None:
            x = fitted.plan.x([each.values for each in self.columns], self.source)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused
            y = fitted.plan.outputs(fitted.net.predict(x[rows]))
        if not np.isfinite(y).all():
            raise ValueError(
                f"{self.source}: the predictions of held-out rows are NaN or infinite; a smaller "
                f"learning rate may help"
            )
        return scores(fitted.plan, y, self.goal.values[rows])

    def baseline(self, held: NDArray[np.intp], kept: NDArray[np.intp]) -> dict[str, Any]:
        """Return the best guess without a network, and its score on the held-out rows."""
        goal, target = self.goal.values, self.goal.column
        if isinstance(target, Category):
            most = int(np.bincount(goal[kept]).argmax())
            share = float(np.mean(goal[held] == most))
            return {"guess": target.categories[most], "accuracy": share}
        plan = self._plan_of_mean(kept)
        guess = np.full((len(held), 1), plan.target.mean)  # type: ignore[union-attr]
        return {"guess": "the mean", "rmse": scores(plan, guess, goal[held])["rmse"]}

    def _plan_of_mean(self, kept: NDArray[np.intp]) -> Preprocessing:
        return Preprocessing((), self._standardised(self.goal, kept))


def _complete(content: Content) -> tuple[dict[str, ColumnContent], int]:
    """Return the columns without the rows that have missing values, and how many these are.

    Categories that occur in no other row are left out, so that the result is that of a table
    without these rows.
    """
    gone = np.zeros(content.rows, bool)
    for each in content.columns.values():
        gone |= np.isnan(each.values) if isinstance(each.column, Number) else each.values < 0
    if gone.all():
        raise ValueError(f"{content.source}: each row has a missing value, so that none is left")
    return {name: _of_rows(each, ~gone) for name, each in content.columns.items()}, int(gone.sum())


def _of_rows(each: ColumnContent, rows: NDArray[np.bool_]) -> ColumnContent:
    """Return some rows of a column, none of which has a missing value."""
    values = each.values[rows]
    if isinstance(each.column, Number):
        return ColumnContent(each.column, values, inexact=each.inexact)
    used = np.unique(values)
    texts = tuple(each.column.categories[i] for i in used)
    return ColumnContent(Category(each.column.name, texts), np.searchsorted(used, values))


def class_weights(
    given: str | Mapping[str, float] | None,
    goal: Column,
    source: str,
    counts: Callable[[], NDArray[np.integer[Any]]],
) -> NDArray[np.float64] | None:
    """Return the weight of each class of a target, or None; `counts` returns the classes' rows."""
    if given is None:
        return None
    if not isinstance(goal, Category):
        raise ValueError(
            f"{source}: class weights are given, but the target {goal.name!r} is a number"
        )
    names = goal.categories
    if isinstance(given, Mapping):
        for name in given:
            if name not in names:
                raise ValueError(
                    f"{source}: class_weight has {name!r}, should be classes of "
                    f"{goal.name!r}: {listed(names)}{did_you_mean(str(name), names)}"
                )
        return np.array([given.get(name, 1.0) for name in names], np.float64)
    # As scikit-learn's "balanced": the weights of each class add up to the same sum.
    found = counts().astype(np.float64)
    weights: NDArray[np.float64] = found.sum() / (len(names) * found)
    return weights
