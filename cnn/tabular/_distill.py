"""Distilling: a small network that is trained with the predictions of another estimator."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.utils import _safe_indexing

from cnn._base import checks
from cnn.tabular._classifier import SoftTargets, TabularClassifier
from cnn.tabular._regressor import TabularRegressor

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cnn.tabular._estimators import BaseTabular

# Rows of the larger of the two calls that are timed, and for how many seconds each is repeated.
_MANY = 1000
_SECONDS = 0.2


@dataclass(frozen=True)
class Distillation:
    """A student, and what it has lost and won against its teacher.

    The scores are on rows that neither was trained with, if `distill` had y; else on rows that the
    student was not trained with.

    Parameters
    ----------
    student : TabularClassifier or TabularRegressor
        The network that was trained.
    teacher : estimator
        The teacher: the fitted copy, if `distill` had y.
    rows : int
        The number of rows for the scores.
    agreement : float
        The share of rows with the same class, or R² of the student's numbers, the teacher's being
        taken as right.
    teacher_score, student_score : float or None
        The accuracy, or R²; None without y.
    teacher_microseconds, student_microseconds : tuple of (float, float)
        The time for a row in a call with one row, and in a call with up to 1000; the least of
        several calls.

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> from cnn.tabular import TabularRegressor, distill
    >>> table = [[i / 50, i % 3] for i in range(200)]
    >>> student = TabularRegressor(hidden_layer_sizes=(32,), epochs=100, random_state=0)
    >>> forest = RandomForestRegressor(n_estimators=20, random_state=0)
    >>> found = distill(forest, table, [row[0] + row[1] for row in table], student=student)
    >>> found.agreement > 0.9
    True
    """

    student: Any
    teacher: Any
    rows: int
    agreement: float
    teacher_score: float | None
    student_score: float | None
    teacher_microseconds: tuple[float, float]
    student_microseconds: tuple[float, float]

    def __str__(self) -> str:
        kind = "accuracy" if isinstance(self.student, TabularClassifier) else "R2"
        lines = [f"{'':20} {'teacher':>12} {'student':>12}"]

        def line(what: str, teacher: str, student: str) -> None:
            lines.append(f"{what:20} {teacher:>12} {student:>12}")

        if self.teacher_score is not None and self.student_score is not None:
            line(kind, f"{self.teacher_score:.4f}", f"{self.student_score:.4f}")
        line("agreement", "", f"{self.agreement:.4f}")
        for i, rows in enumerate(("one row", "many rows")):
            pair = self.teacher_microseconds[i], self.student_microseconds[i]
            line(f"us per row, {rows}", *(f"{value:.3g}" for value in pair))
        return "\n".join([*lines, f"on {self.rows} rows that the student has not seen"])


def distill(
    teacher: Any,
    X: Any,
    y: Any = None,
    *,
    student: BaseTabular | None = None,
    cv: Any = 5,
    test_fraction: float = 0.2,
    random_state: int | None = 0,
) -> Distillation:
    """Train a small network with the predictions of another estimator.

    The student learns the teacher's probabilities, or its numbers: they tell more than a class, and
    have less noise than measured numbers (G. Hinton, O. Vinyals and J. Dean, "Distilling the
    knowledge in a neural network", 2015). With y, those of a row are from a copy of the teacher
    that was fitted without that row, since a teacher is too sure of the rows that it has learned.

    Parameters
    ----------
    teacher : estimator
        An estimator with ``predict_proba``, or with ``predict`` for numbers. Without y it must be
        fitted; with y, copies of it are fitted.
    X : data frame or array of shape (n, columns)
        Rows that both take.
    y : array_like of shape (n,), optional
        The classes or numbers of the rows.
    student : TabularClassifier or TabularRegressor, optional
        The network to train, of which a copy is fitted. By default it has two hidden layers of 64.
    cv : int or splitter, default 5
        How the rows are split for the copies of the teacher, if there is y.
    test_fraction : float, default 0.2
        The share of the rows that neither is trained with, for the scores; more than 0.
    random_state : int, optional
        Determines which rows these are, and the default student.

    Returns
    -------
    Distillation
        The fitted student and how it compares with the teacher; ``print`` shows it as a table.

    Raises
    ------
    TypeError
        If the teacher is no such estimator, or the student is none of these classes.
    ValueError
        If an argument is out of range, or the student predicts classes and the teacher numbers, or
        the other way round.

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from cnn.tabular import TabularClassifier, distill
    >>> table = [[i / 50, i % 3] for i in range(200)]
    >>> kind = ["high" if row[0] + row[1] > 3 else "low" for row in table]
    >>> student = TabularClassifier(hidden_layer_sizes=(32,), epochs=100, random_state=0)
    >>> forest = RandomForestClassifier(n_estimators=20, random_state=0)
    >>> found = distill(forest, table, kind, student=student)
    >>> found.student.classes_, found.agreement > 0.9
    (array(['high', 'low'], dtype='<U4'), True)
    """
    where = "distill"
    method = next((m for m in ("predict_proba", "predict") if hasattr(teacher, m)), None)
    if method is None or isinstance(teacher, type):
        raise TypeError(
            f"{where}: teacher is of type {type(teacher).__name__}, should be an estimator with "
            f"predict_proba or predict"
        )
    student = _student(where, student, random_state, classifies=method == "predict_proba")
    checks.positive(where, "test_fraction", test_fraction)
    share = checks.real(where, "test_fraction", test_fraction, below=1.0)
    rows = np.arange(len(X) if y is None else len(y))
    train, test = train_test_split(rows, test_size=share, random_state=random_state)
    x_train, x_test = _safe_indexing(X, train), _safe_indexing(X, test)
    if y is None:
        targets = getattr(teacher, method)(x_train)
    else:
        y_train = _safe_indexing(y, train)
        targets = cross_val_predict(clone(teacher), x_train, y_train, cv=cv, method=method)
        teacher = clone(teacher).fit(x_train, y_train)
    soft = SoftTargets(teacher.classes_, targets) if method == "predict_proba" else targets
    student.fit(x_train, soft)
    scores: tuple[float | None, float | None] = (None, None)
    if y is not None:
        y_test = _safe_indexing(y, test)
        scores = float(teacher.score(x_test, y_test)), float(student.score(x_test, y_test))
    return Distillation(
        student,
        teacher,
        len(test),
        float(student.score(x_test, teacher.predict(x_test))),
        *scores,
        _microseconds(getattr(teacher, method), x_test),
        _microseconds(getattr(student, method), x_test),
    )


def _student(
    where: str, student: BaseTabular | None, random_state: int | None, *, classifies: bool
) -> Any:
    """Return a student to fit."""
    if student is None:
        size: dict[str, Any] = {"hidden_layer_sizes": (64, 64), "random_state": random_state}
        # The teacher's probabilities are not sure already.
        smooth = TabularClassifier(label_smoothing=0.0, **size)
        return smooth if classifies else TabularRegressor(**size)
    if not isinstance(student, (TabularClassifier, TabularRegressor)):
        raise TypeError(
            f"{where}: student is of type {type(student).__name__}, should be a TabularClassifier "
            f"or a TabularRegressor"
        )
    if isinstance(student, TabularClassifier) is not classifies:
        has = "predict_proba" if classifies else "predict alone"
        raise ValueError(f"{where}: student is a {type(student).__name__}, the teacher has {has}")
    return clone(student)


def _microseconds(predict: Callable[[Any], NDArray[Any]], x: Any) -> tuple[float, float]:
    """Return the least time for a row in calls with one row and with many."""
    found = []
    rows = np.arange(len(x) if hasattr(x, "__len__") else x.shape[0])
    for count in (1, min(_MANY, rows.size)):
        some = _safe_indexing(x, rows[:count])
        predict(some)
        least, end = np.inf, time.perf_counter() + _SECONDS
        while time.perf_counter() < end:
            begin = time.perf_counter()
            predict(some)
            least = min(least, time.perf_counter() - begin)
        found.append(1e6 * least / count)
    return found[0], found[1]
