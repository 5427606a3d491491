"""The solvers: training by epochs, ended as scikit-learn ends it, and L-BFGS through SciPy.

A solver takes a `Problem` and frozen `Settings`, and has no reference to the estimator. Its result
is a `Record`. It publishes each new record at once, so that the estimator's attributes are up to
date in callbacks and after Ctrl-C.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning

from cnn import _core, losses, optimizers
from cnn._training import loop, progress
from cnn._training.samples import checked_samples
from cnn.callbacks import Callback
from cnn.history import History
from cnn.optimizers import SGD, Adam, Optimizer
from cnn.sklearn._data import warn
from cnn.sklearn._parameters import dense_layers, packed, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from cnn._base.choices import BatchSize, LearningRateSchedule, LossName, Solver
    from cnn._training.hooks import Hooks, Logs
    from cnn.sequential import Sequential
    from cnn.sklearn._data import Data


# The smallest factor of "invscaling". Weights would not change with smaller ones, but the velocity,
# which grows as the rate shrinks, would overflow in float32.
SMALLEST_SCALE = 1e-30


@dataclass(frozen=True)
class Settings:
    """The parameters of an estimator that solvers use, by their names."""

    solver: Solver
    alpha: float
    batch_size: BatchSize
    learning_rate: LearningRateSchedule
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    tol: float
    verbose: bool | int
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int

    @classmethod
    def of(cls, estimator: object) -> Settings:
        """Return an estimator's settings."""
        return cls(**{field.name: getattr(estimator, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class Problem:
    """What is to be trained, with which samples, and how its loss and score are computed.

    Parameters
    ----------
    net : Sequential
        The network.
    data : Data
        The samples to train with.
    validation : Data, optional
        The samples of which the score is recorded after each epoch.
    loss : str, optional
        cnn's name of the loss; by default the one that belongs to the output layer.
    reported : callable
        Returns scikit-learn's loss for the network's.
    score : callable
        Returns the score of a network on samples.
    """

    net: Sequential
    data: Data
    validation: Data | None
    loss: LossName | None
    reported: Callable[[float], float]
    score: Callable[[Sequential, Data], float]


class Record(NamedTuple):
    """What a solver has found so far.

    Parameters
    ----------
    n_iter : int
        The number of epochs or iterations of this training.
    t : int
        The number of samples that the network has been trained with, in all trainings.
    no_improvement_count : int
        The number of epochs in a row, up to the last, without improvement.
    loss : float, optional
        The last loss; None before the first.
    loss_curve : list of float, optional
        The loss of each epoch, appended to in place; None if no solver with epochs has run.
    best_loss : float, optional
        The smallest loss; None with early stopping.
    validation_scores : list of float, optional
        The score after each epoch, appended to in place; None if there is no validation set.
    best_validation_score : float, optional
        The largest score.
    history : History, optional
        The metrics of each epoch or iteration, appended to in place; None before training.
    """

    n_iter: int = 0
    t: int = 0
    no_improvement_count: int = 0
    loss: float | None = None
    loss_curve: list[float] | None = None
    best_loss: float | None = None
    validation_scores: list[float] | None = None
    best_validation_score: float | None = None
    history: History | None = None


def set_l2(net: Sequential, l2: float) -> None:
    """Set the L2 penalty of all layers."""
    for layer in dense_layers(net):
        layer.l2 = l2


# ---- Epochs ------------------------------------------------------------------------------------


def optimizer_of(settings: Settings) -> Optimizer:
    """Return a new optimizer."""
    lr = float(settings.learning_rate_init)
    if settings.solver == "adam":
        betas = (float(settings.beta_1), float(settings.beta_2))
        return Adam(lr, betas=betas, eps=settings.epsilon)
    nesterov = bool(settings.nesterovs_momentum) and settings.momentum > 0
    return SGD(lr, momentum=settings.momentum, nesterov=nesterov)


class Convergence(Callback):
    """Record each epoch, and end training when scikit-learn would.

    `cnn.EarlyStopping` has another rule: an improvement by less than `min_delta` does not change
    its best value; here it does. And here a smaller learning rate may take the place of the end.

    Parameters
    ----------
    settings : Settings
        The settings.
    problem : Problem
        The problem.
    record : Record
        The record before the first epoch.
    publish : callable
        Called with each new record.
    """

    def __init__(
        self,
        settings: Settings,
        problem: Problem,
        record: Record,
        publish: Callable[[Record], None],
    ) -> None:
        self.settings = settings
        self.problem = problem
        self.record = record
        self.publish = publish
        self.history = _history_of(record)
        self.best: list[NDArray[Any]] | None = None

    def on_train_begin(self) -> None:
        """Keep the first weights as the best ones until a score is better."""
        if self.settings.early_stopping:
            self.best = self.model.get_weights()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Record the epoch, and end training if nothing has improved for too long."""
        settings, problem = self.settings, self.problem
        loss = problem.reported(logs["loss"])
        curve = _appended(self.record.loss_curve, loss)
        n_iter, t = self.record.n_iter + 1, self.record.t + problem.data.rows
        self._change(n_iter=n_iter, t=t, loss=loss, loss_curve=curve)
        self._say(f"Iteration {n_iter}, loss = {loss:.8f}")
        improved = not settings.early_stopping and self._loss_improved(loss)
        metrics = dict(logs)
        if problem.validation is not None:
            score = problem.score(problem.net, problem.validation)
            metrics["val_score"] = score
            score_improved = self._score_improved(score)
            improved = score_improved if settings.early_stopping else improved
        self.history.append(epoch, metrics)
        count = 0 if improved else self.record.no_improvement_count + 1
        self._change(no_improvement_count=count)
        if settings.solver == "sgd" and settings.learning_rate == "invscaling":
            scale = (t + 1.0) ** -float(settings.power_t)
            self._set_rate(float(settings.learning_rate_init) * max(scale, SMALLEST_SCALE))
        if count > settings.n_iter_no_change:
            self._stop()

    def restore_best(self) -> None:
        """Set the weights with the best score, if scores decide when training ends."""
        if self.best is not None:
            self.model.set_weights(self.best)

    def _change(self, **fields: Any) -> None:
        """Publish a record with other values of some fields."""
        self.record = self.record._replace(**fields)
        self.publish(self.record)

    def _say(self, text: str) -> None:
        if self.settings.verbose:
            progress.say(text)

    def _loss_improved(self, loss: float) -> bool:
        best = self.record.best_loss
        # None if this goes on from a fit with early_stopping.
        best = math.inf if best is None else best
        self._change(best_loss=min(best, loss))
        return bool(loss <= best - self.settings.tol)

    def _score_improved(self, score: float) -> bool:
        self._say(f"Validation score: {score:f}")
        scores = _appended(self.record.validation_scores, score)
        best = self.record.best_validation_score
        best = -math.inf if best is None else best
        self._change(validation_scores=scores, best_validation_score=max(best, score))
        if score > best and self.best is not None:
            self.best = self.model.get_weights()
        return bool(score >= best + self.settings.tol)

    def _stop(self) -> None:
        """End training, or divide the learning rate by 5 if it is adaptive."""
        settings = self.settings
        what = "Validation score" if settings.early_stopping else "Training loss"
        why = (
            f"{what} did not improve more than tol={settings.tol:f} for "
            f"{settings.n_iter_no_change} consecutive epochs."
        )
        if settings.solver == "sgd" and settings.learning_rate == "adaptive":
            rate = float(self.optimizer.lr)  # type: ignore[arg-type]  # never a schedule here
            if rate > 1e-6:
                self._change(no_improvement_count=0)
                self._set_rate(rate / 5.0)
                self._say(f"{why} Setting learning rate to {rate / 5.0:f}")
                return
            why += " Learning rate too small."
        self._say(f"{why} Stopping.")
        self.model.stop_training = True

    def _set_rate(self, rate: float) -> None:
        """Change the learning rate, but not the velocity.

        scikit-learn's velocity holds the learning rates of the past steps; cnn's, like PyTorch's,
        is multiplied by that of the present step.
        """
        before = float(self.optimizer.lr)  # type: ignore[arg-type]  # never a schedule here
        self.optimizer.lr = rate
        trainer = optimizers.bound("fit", self.optimizer, self.model._network)
        if rate != before:
            trainer.set_state([slot * (before / rate) for slot in trainer.get_state()])


def _history_of(record: Record) -> History:
    """Return the history to append to."""
    return History() if record.history is None else record.history


def _appended(values: list[float] | None, value: float) -> list[float]:
    """Append a value in place, so that a long training copies no lists; None is an empty list."""
    if values is None:
        return [value]
    values.append(value)
    return values


def _batch_size(settings: Settings, rows: int) -> int:
    """Return the number of rows of a step."""
    if settings.batch_size == "auto":
        return min(200, rows)
    size = int(settings.batch_size)
    if size > rows:
        warn(
            f"Got `batch_size` less than 1 or larger than sample size. It is going to be clipped: "
            f"batch_size is {settings.batch_size}, but X has {rows} rows for training"
        )
    return min(size, rows)


def train_epochs(
    settings: Settings,
    problem: Problem,
    record: Record,
    publish: Callable[[Record], None],
    optimizer: Optimizer,
    called: Sequence[Hooks],
    *,
    incremental: bool,
) -> None:
    """Train with the solvers "adam" and "sgd", for one epoch only if incremental."""
    net, data, validation = problem.net, problem.data, problem.validation
    batch_size = _batch_size(settings, data.rows)
    # scikit-learn divides the penalty by the weight of each batch, here it is their mean weight.
    # This differs if sample weights do, and in the last batch if it is smaller.
    set_l2(net, float(settings.alpha) / (batch_size * data.mean_weight))
    if record.loss_curve is None:
        record = record._replace(
            loss_curve=[], best_loss=None if settings.early_stopping else math.inf
        )
    record = record._replace(history=_history_of(record))
    publish(record)
    watch = Convergence(settings, problem, record, publish)
    try:
        loop.fit(
            net,
            net._network,
            data.x,
            data.t,
            epochs=1 if incremental else settings.max_iter,
            batch_size=batch_size,
            optimizer=optimizer,
            loss=problem.loss,
            # loop.fit computes the loss of the validation set, which is for callbacks only;
            # `watch` computes its score.
            validation_data=validation.for_fit() if validation is not None and called else None,
            sample_weight=data.sample_weight,
            class_weight=None,
            shuffle=settings.shuffle,
            callbacks=[watch, *called],
            progress=False,
            where="partial_fit" if incremental else "fit",
            advice="A smaller learning_rate_init may help, and so may X, and y of a regression, "
            "that are scaled",
            warn_of_scales=False,  # scikit-learn has no such warning
        )
    except KeyboardInterrupt:
        # As in scikit-learn, the weights stay those of the last step.
        warn("Training interrupted by user.")
    else:
        finished = incremental or net.stop_training or watch.record.n_iter < settings.max_iter
        if not finished:
            warn(
                f"Stochastic Optimizer: Maximum iterations ({settings.max_iter}) reached and the "
                f"optimization hasn't converged yet.",
                ConvergenceWarning,
            )
    watch.restore_best()


# ---- L-BFGS ------------------------------------------------------------------------------------


def _objective(problem: Problem) -> Callable[[NDArray[Any]], tuple[float, NDArray[Any]]]:
    """Return a function that sets packed parameters, and returns the loss and its gradient."""
    net, data = problem.net, problem.data
    loss = losses.resolve("fit", problem.loss, net.activation, net.outputs)
    samples = checked_samples("fit", net._network, loss, data.x, data.t, data.sample_weight)

    def loss_and_gradient(parameters: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        unpack(net, parameters)
        value, total = 0.0, 0.0
        gradient = np.zeros_like(parameters)
        for x, t, weights in samples.slices(net._network):
            share = float(len(x) if weights is None else np.sum(weights, dtype=np.float64))
            if share < _core.LEAST_WEIGHT_SUM:
                continue  # such rows have no mean, and change that of all rows by nothing
            part, parts = net._network.gradients(samples.loss, x, t, weights)
            value += share * part
            total += share
            gradient += share * np.concatenate([g.ravel() for g in parts])
        return value / total, gradient / total

    return loss_and_gradient


def minimize(
    settings: Settings, problem: Problem, record: Record, publish: Callable[[Record], None]
) -> None:
    """Train with the solver "lbfgs"; the line search needs a network of float64."""
    net, data = problem.net, problem.data
    set_l2(net, float(settings.alpha) / (data.rows * data.mean_weight))
    start = reached = packed(net)
    history = _history_of(record)
    record = record._replace(history=history)
    publish(record)

    def end_iteration(intermediate_result: Any) -> None:
        nonlocal reached, record
        reached = np.array(intermediate_result.x)
        record = record._replace(n_iter=record.n_iter + 1)
        loss = float(intermediate_result.fun)
        history.append(history.epoch[-1] + 1 if history.epoch else 1, {"loss": loss})
        publish(record)
        if settings.verbose:
            loss = problem.reported(loss)
            progress.say(f"Iteration {record.n_iter}, loss = {loss:.8f}")

    try:
        result = scipy.optimize.minimize(
            _objective(problem),
            start,
            method="L-BFGS-B",
            jac=True,
            callback=end_iteration,
            options={
                "maxfun": settings.max_fun,
                "maxiter": settings.max_iter,
                "gtol": settings.tol,
            },
        )
    except BaseException:
        # After Ctrl-C, for example: the weights are those that the line search was trying.
        unpack(net, reached)
        raise
    if not np.isfinite(result.x).all() or not math.isfinite(result.fun):
        unpack(net, start)
        raise FloatingPointError(
            "fit: the loss became NaN or infinite with solver 'lbfgs'; the weights are as they "
            "were before. To scale X, and y of a regression, may help"
        )
    unpack(net, result.x)
    n_iter = min(int(result.nit), settings.max_iter)
    publish(record._replace(n_iter=n_iter, loss=problem.reported(float(result.fun))))
    if result.status != 0:
        warn(
            f"lbfgs failed to converge after {n_iter} iteration(s): {result.message}. "
            f"Increase max_iter or max_fun, or scale the data.",
            ConvergenceWarning,
        )
