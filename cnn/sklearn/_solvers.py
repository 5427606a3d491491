"""The solvers: training by epochs, ended as scikit-learn ends it, and L-BFGS through SciPy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning

from cnn import _core, losses, optimizers
from cnn._training import loop, progress
from cnn._training.samples import checked_samples
from cnn.callbacks import Callback
from cnn.optimizers import SGD, Adam, Optimizer
from cnn.sklearn._data import warn
from cnn.sklearn._parameters import dense_layers, packed, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from cnn._training.hooks import Hooks, Logs
    from cnn.sequential import Sequential
    from cnn.sklearn._base import BaseMLP
    from cnn.sklearn._data import Data


# To what "invscaling" may shrink the learning rate: what is smaller makes no difference to weights,
# but would make the velocity, which grows as the rate shrinks, overflow in float32.
SMALLEST_SCALE = 1e-30


def set_l2(net: Sequential, l2: float) -> None:
    """Set the L2 penalty of all layers."""
    for layer in dense_layers(net):
        layer.l2 = l2


# ---- Epochs ------------------------------------------------------------------------------------


def optimizer_of(estimator: BaseMLP) -> Optimizer:
    """Return a new optimizer with an estimator's settings."""
    lr = float(estimator.learning_rate_init)
    if estimator.solver == "adam":
        betas = (float(estimator.beta_1), float(estimator.beta_2))
        return Adam(lr, betas=betas, eps=estimator.epsilon)
    nesterov = bool(estimator.nesterovs_momentum) and estimator.momentum > 0
    return SGD(lr, momentum=estimator.momentum, nesterov=nesterov)


class Convergence(Callback):
    """Keep an estimator's record of training, and end it where scikit-learn would.

    `cnn.EarlyStopping` does not do: there, what improves by less than `min_delta` does not move the
    best value; here it does. And here the learning rate may fall instead of training's end.

    Parameters
    ----------
    estimator : BaseMLP
        Has the settings, and gets the record.
    rows : int
        The number of samples of an epoch.
    reported : callable
        Makes scikit-learn's loss of the network's.
    score : callable, optional
        Returns the score on the validation set, where there is one.
    """

    def __init__(
        self,
        estimator: BaseMLP,
        rows: int,
        reported: Callable[[float], float],
        score: Callable[[], float] | None,
    ) -> None:
        self.estimator = estimator
        self.rows = rows
        self.reported = reported
        self.score = score
        self.best: list[NDArray[Any]] | None = None

    def on_train_begin(self) -> None:
        """Take the weights for the best ones until a score is better."""
        if self.estimator.early_stopping:
            self.best = self.model.get_weights()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Write down the epoch, and see whether it was one too many."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.t_ += self.rows
        estimator.loss_ = self.reported(logs["loss"])
        estimator.loss_curve_.append(estimator.loss_)
        self._say(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")
        improved = not estimator.early_stopping and self._loss_improved()
        if self.score is not None:
            score_improved = self._score_improved(self.score())
            improved = score_improved if estimator.early_stopping else improved
        estimator._no_improvement_count = 0 if improved else estimator._no_improvement_count + 1
        if estimator.solver == "sgd" and estimator.learning_rate == "invscaling":
            scale = (estimator.t_ + 1.0) ** -float(estimator.power_t)
            self._set_rate(float(estimator.learning_rate_init) * max(scale, SMALLEST_SCALE))
        if estimator._no_improvement_count > estimator.n_iter_no_change:
            self._stop()

    def restore_best(self) -> None:
        """Go back to the weights with the best score, where scores decide."""
        if self.best is not None:
            self.model.set_weights(self.best)

    def _say(self, text: str) -> None:
        if self.estimator.verbose:
            progress.say(text)

    def _loss_improved(self) -> bool:
        estimator = self.estimator
        best = estimator.best_loss_
        # None, where early_stopping was set for the fit before, of which this goes on.
        best = math.inf if best is None else best
        estimator.best_loss_ = min(best, estimator.loss_)
        return bool(estimator.loss_ <= best - estimator.tol)

    def _score_improved(self, score: float) -> bool:
        estimator = self.estimator
        self._say(f"Validation score: {score:f}")
        if estimator.validation_scores_ is None:
            estimator.validation_scores_ = []
        estimator.validation_scores_.append(score)
        best = estimator.best_validation_score_
        best = -math.inf if best is None else best
        estimator.best_validation_score_ = max(best, score)
        if score > best and self.best is not None:
            self.best = self.model.get_weights()
        return bool(score >= best + estimator.tol)

    def _stop(self) -> None:
        """End training, or go on with a fifth of the learning rate where it is adaptive."""
        estimator = self.estimator
        what = "Validation score" if estimator.early_stopping else "Training loss"
        why = (
            f"{what} did not improve more than tol={estimator.tol:f} for "
            f"{estimator.n_iter_no_change} consecutive epochs."
        )
        if estimator.solver == "sgd" and estimator.learning_rate == "adaptive":
            rate = float(self.optimizer.lr)  # type: ignore[arg-type]  # never a schedule here
            if rate > 1e-6:
                estimator._no_improvement_count = 0
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


def _batch_size(estimator: BaseMLP, rows: int) -> int:
    """Return how many of the rows a step uses."""
    if estimator.batch_size == "auto":
        return min(200, rows)
    if estimator.batch_size > rows:
        warn(
            f"Got `batch_size` less than 1 or larger than sample size. It is going to be clipped: "
            f"batch_size is {estimator.batch_size}, but X has {rows} rows for training"
        )
    return min(int(estimator.batch_size), rows)


def train_epochs(
    estimator: BaseMLP,
    net: Sequential,
    data: Data,
    validation: Data | None,
    called: Sequence[Hooks],
    reported: Callable[[float], float],
    *,
    incremental: bool,
) -> None:
    """Train with the solvers "adam" and "sgd", for one epoch only if incremental."""
    batch_size = _batch_size(estimator, data.rows)
    # scikit-learn divides the penalty by the weight of each batch, here it is their mean weight:
    # this differs where sample weights do, and in the last batch where it is smaller.
    set_l2(net, float(estimator.alpha) / (batch_size * data.mean_weight))
    score = None
    if validation is not None:

        def score() -> float:
            return estimator._score_of(net, validation)

    watch = Convergence(estimator, data.rows, reported, score)
    try:
        loop.fit(
            net,
            net._network,
            data.x,
            data.t,
            epochs=1 if incremental else estimator.max_iter,
            batch_size=batch_size,
            optimizer=estimator._optimizer,
            loss=estimator._loss_name(),
            # Its loss is for callbacks; the score that `watch` asks for is for everyone.
            validation_data=validation.for_fit() if validation is not None and called else None,
            sample_weight=data.sample_weight,
            class_weight=None,
            shuffle=estimator.shuffle,
            callbacks=[watch, *called],
            progress=False,
            where="partial_fit" if incremental else "fit",
            advice="A smaller learning_rate_init may help, and so may X, and y of a regression, "
            "that are scaled",
        )
    except KeyboardInterrupt:
        # What has been learned so far is kept, as scikit-learn does.
        warn("Training interrupted by user.")
    else:
        finished = incremental or net.stop_training or estimator.n_iter_ < estimator.max_iter
        if not finished:
            warn(
                f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the "
                f"optimization hasn't converged yet.",
                ConvergenceWarning,
            )
    watch.restore_best()


# ---- L-BFGS ------------------------------------------------------------------------------------


def _objective(
    net: Sequential, loss_name: str | None, data: Data
) -> Callable[[NDArray[Any]], tuple[float, NDArray[Any]]]:
    """Return what computes the loss and its gradient for packed parameters, which net then has."""
    loss = losses.resolve("fit", loss_name, net.activation, net.outputs)
    samples = checked_samples("fit", net._network, loss, data.x, data.t, data.sample_weight)

    def loss_and_gradient(parameters: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        unpack(net, parameters)
        value, total = 0.0, 0.0
        gradient = np.zeros_like(parameters)
        for x, t, weights in samples.slices(net._network):
            share = float(len(x) if weights is None else np.sum(weights, dtype=np.float64))
            if share < _core.LEAST_WEIGHT_SUM:
                continue  # they have no mean, and make no difference to that of all rows
            part, parts = net._network.gradients(samples.loss, x, t, weights)
            value += share * part
            total += share
            gradient += share * np.concatenate([g.ravel() for g in parts])
        return value / total, gradient / total

    return loss_and_gradient


def minimize(
    estimator: BaseMLP, net: Sequential, data: Data, reported: Callable[[float], float]
) -> None:
    """Train with the solver "lbfgs"; net is of float64, as the line search wants it."""
    set_l2(net, float(estimator.alpha) / (data.rows * data.mean_weight))
    start = reached = packed(net)

    def end_iteration(intermediate_result: Any) -> None:
        nonlocal reached
        reached = np.array(intermediate_result.x)
        estimator.n_iter_ += 1
        if estimator.verbose:
            found = reported(float(intermediate_result.fun))
            progress.say(f"Iteration {estimator.n_iter_}, loss = {found:.8f}")

    estimator.n_iter_ = 0
    try:
        result = scipy.optimize.minimize(
            _objective(net, estimator._loss_name(), data),
            start,
            method="L-BFGS-B",
            jac=True,
            callback=end_iteration,
            options={
                "maxfun": estimator.max_fun,
                "maxiter": estimator.max_iter,
                "gtol": estimator.tol,
            },
        )
    except BaseException:
        # On Ctrl-C, say: the weights that the line search was trying need not be good ones.
        unpack(net, reached)
        raise
    if not np.isfinite(result.x).all() or not math.isfinite(result.fun):
        unpack(net, start)
        raise FloatingPointError(
            "fit: the loss became NaN or infinite with solver 'lbfgs'; the weights are as they "
            "were before. To scale X, and y of a regression, may help"
        )
    unpack(net, result.x)
    estimator.n_iter_ = min(int(result.nit), estimator.max_iter)
    estimator.loss_ = reported(float(result.fun))
    if result.status != 0:
        warn(
            f"lbfgs failed to converge after {estimator.n_iter_} iteration(s): {result.message}. "
            f"Increase max_iter or max_fun, or scale the data.",
            ConvergenceWarning,
        )
