"""The base of TabularClassifier and TabularRegressor: parameters, fit, members."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import _check_feature_names, _check_sample_weight, check_is_fitted

from cnn import _core, activations, runtime
from cnn._base import checks, files, formats
from cnn._base.log import LOGGER
from cnn._base.metadata import TABULAR
from cnn._model import several
from cnn.sequential import network_of, of_network
from cnn.tabular import _recipe
from cnn.tabular._encoder import Encoder
from cnn.tabular._estimator_exports import EstimatorExports
from cnn.tabular._estimator_files import TableFacts, text_of
from cnn.tabular._recipe import PRESETS, Recipe, Trained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Self

    from numpy.typing import DTypeLike, NDArray

    from cnn.history import History
    from cnn.losses import Loss
    from cnn.sequential import Sequential

# What libcnn says of a number of threads that `set_num_threads` has set.
_SET = "cnn_threads_set"
ACTIVATIONS = tuple(sorted(name for name in _core.ACTIVATIONS if name != "softmax"))


@dataclass(frozen=True)
class Rows:
    """Rows as numbers, the network's targets for them, and their weights."""

    x: NDArray[np.float64]
    t: NDArray[Any]
    weight: NDArray[Any] | None

    def only(self, rows: NDArray[np.intp]) -> Rows:
        """Return some of the rows."""
        weight = None if self.weight is None else self.weight[rows]
        return Rows(self.x[rows], self.t[rows], weight)


class BaseTabular(EstimatorExports, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A network for tables with the interface of scikit-learn."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "preset": [StrOptions(set(PRESETS))],
        "n_ens": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left"), None],
        "activation": [StrOptions(set(ACTIVATIONS)), *activations.CLASSES, None],
        "epochs": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "lr": [Interval(Real, 0, None, closed="neither"), None],
        "dropout": [Interval(Real, 0, 1, closed="left"), None],
        "weight_decay": [Interval(Real, 0, None, closed="left"), None],
        "sigma": [Interval(Real, 0, None, closed="left"), None],
        "calibrate": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left"), None],
        "early_stopping": ["boolean", Interval(Integral, 1, None, closed="left")],
        "categorical_features": [StrOptions({"auto"}), "array-like"],
        "min_frequency": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            None,
        ],
        "unseen": [StrOptions({"warn", "error", "ignore"})],
        "n_jobs": [Interval(Integral, 1, 1024, closed="both"), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # The attributes that fit sets.
    nets_: list[Sequential]
    n_features_in_: int
    best_epochs_: list[int]
    histories_: list[History]
    n_iter_: int
    feature_names_in_: NDArray[Any]
    _encoder: Encoder
    _table: TableFacts | None = None
    """What is known of the table file that it was trained on, if it was."""
    _interrupted: bool
    """Whether Ctrl-C ended the training."""

    # ---- Methods of the subclasses --------------------------------------------------------------

    def _recipe(self) -> Recipe:
        """Return the recipe before presets and parameters."""
        raise NotImplementedError

    def _fit_target(self, where: str, y: Any) -> NDArray[Any]:
        """Check y, set what belongs to the target, and return it for the network."""
        raise NotImplementedError

    def _target(self, where: str, y: Any) -> NDArray[Any]:
        """Return other targets for the network."""
        raise NotImplementedError

    def _strata(self, t: NDArray[Any]) -> NDArray[Any] | None:
        """Return the classes by which rows are held out, if any."""
        return None

    def _loss(self) -> Loss:
        """Return the loss of training."""
        raise NotImplementedError

    def _output(self, t: NDArray[Any]) -> tuple[int, str]:
        """Return the number of outputs and their activation."""
        raise NotImplementedError

    def _outputs(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities (n, classes), or numbers (n, outputs), for rows as numbers."""
        return self._results(self._mean_output(x))

    def _error(self, outputs: NDArray[Any], t: NDArray[Any], weight: Any) -> float:
        """Return what is least for the best epoch."""
        raise NotImplementedError

    def _class_weight(self) -> Any:
        """Return the class weights of training, or None."""
        return None

    def _check_class_weight(self, where: str, part: Rows, what: str) -> None:
        """Refuse class weights that leave no row of a part with a weight."""

    # ---- Training -------------------------------------------------------------------------------

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        eval_set: Any,
        callbacks: Sequence[Any],
        *,
        keep_interrupted: bool = False,
    ) -> Self:
        """Train; if that fails, the estimator is as before.

        With `keep_interrupted`, Ctrl-C ends the training and keeps what it has found, as soon as an
        epoch was finished.
        """
        before = dict(self.__dict__)
        try:
            return self._fitted(X, y, sample_weight, eval_set, callbacks, keep_interrupted)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _fitted(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        eval_set: Any,
        callbacks: Sequence[Any],
        keep_interrupted: bool,
    ) -> Self:
        where = f"{type(self).__name__}.fit"
        recipe = self._settings(where)
        encoder, x = Encoder.fitted(where, X, self.categorical_features, self.min_frequency)
        _check_rows(where, x)
        _check_feature_names(self, X, reset=True)
        self.n_features_in_ = len(encoder.features)
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                f"is None."
            )
        t = self._fit_target(where, y)
        _check_lengths(where, x, t)
        if len(x) < 2:
            raise ValueError(f"{where}: X has 1 sample, should have at least 2")
        weight = None if sample_weight is None else _weights(where, sample_weight, x)
        self._encoder, self._table = encoder, None
        samples = Rows(x, t, weight)
        recipe = recipe.for_rows(len(x))
        held_out = None if eval_set is None else self._eval_set(where, eval_set)
        random = check_random_state(self.random_state)
        share = recipe.validation_fraction
        if self.early_stopping and held_out is None and share == 0:
            raise _none_held_out(where, f"early_stopping is {self.early_stopping}")
        calibrating, samples, held_out = self._split(where, samples, held_out, share, random)
        _check_weight(where, calibrating, "calibrate")
        with _threads(self.n_jobs):
            found: list[Trained] = []
            self._interrupted = False
            while len(found) < self.n_ens and not self._interrupted:
                try:
                    found.append(
                        self._fit_member(
                            recipe, samples, held_out, random, callbacks, keep_interrupted
                        )
                    )
                    self._interrupted = found[-1].interrupted
                except KeyboardInterrupt:
                    if not keep_interrupted or not found:
                        raise
                    self._interrupted = True
            if len(found) > 1 and not self._interrupted:
                _recipe.agree(found)
            self.nets_ = [trained.net for trained in found]
            self.histories_ = [trained.history for trained in found]
            self.best_epochs_ = [trained.best_epoch for trained in found]
            self.n_iter_ = max(len(trained.history) for trained in found)
            if calibrating is not None:
                self._calibrate(calibrating)
        return self

    def _calibrate(self, rows: Rows) -> None:
        """Set what follows from rows that no network was trained or chosen with."""
        raise NotImplementedError

    def _split(
        self,
        where: str,
        samples: Rows,
        held_out: Rows | None,
        share: float,
        random: np.random.RandomState,
    ) -> tuple[Rows | None, Rows, Rows | None]:
        """Return rows to calibrate with, if asked for, and the other samples and held-out rows."""
        if not self.calibrate:
            return None, samples, held_out
        seed = _seed(random)
        if held_out is not None:
            if len(held_out.x) < 2:
                raise ValueError(f"{where}: eval_set has 1 row, calibrate needs at least 2")
            half, rest = _two_parts(held_out, self._strata(held_out.t), 0.5, seed)
            return half, samples, rest
        if share == 0:
            raise _none_held_out(where, "calibrate is True")
        half, rest = _two_parts(samples, self._strata(samples.t), share / 2, seed)
        return half, rest, None

    def _fit_member(
        self,
        recipe: Recipe,
        samples: Rows,
        held_out: Rows | None,
        random: np.random.RandomState,
        callbacks: Sequence[Any],
        keep_interrupted: bool,
    ) -> Trained:
        """Train one network, on all rows but those that it is validated with."""
        seed = _seed(random)
        share = recipe.validation_fraction
        if held_out is None and share > 0:
            share = share / 2 / (1 - share / 2) if self.calibrate else share
            held_out, samples = _two_parts(samples, self._strata(samples.t), share, seed)
        where = f"{type(self).__name__}.fit"
        for part, what in ((samples, "train"), (held_out, "validate")):
            _check_weight(where, part, what)
            if part is not None:
                self._check_class_weight(where, part, what)
        x, t, weight = samples.x, samples.t, samples.weight
        columns = self._encoder.columns(x, recipe.one_hot)
        outputs, activation = self._output(t)
        net = _recipe.network(recipe, columns, x, outputs, activation, seed)
        error = None if held_out is None else _error_of(self, net.dtype, held_out)
        patience = None
        if self.early_stopping:
            is_default = isinstance(self.early_stopping, (bool, np.bool_))
            patience = 20 if is_default else int(self.early_stopping)
        return _recipe.train(
            recipe,
            net,
            (x, t, weight),
            self._loss(),
            error,
            patience=patience,
            callbacks=callbacks,
            progress=bool(self.verbose),
            class_weight=self._class_weight(),
            keep_interrupted=keep_interrupted,
            is_member=self.n_ens > 1,
        )

    def _settings(self, where: str) -> Recipe:
        """Return the recipe with the preset and the parameters that are given."""
        recipe = replace(self._recipe(), **PRESETS[self.preset])
        names = ("activation", "epochs", "batch_size", "lr", "dropout", "weight_decay", "sigma")
        given = {
            name: getattr(self, name)
            for name in (*names, "validation_fraction")
            if getattr(self, name) is not None
        }
        if "validation_fraction" in given:
            given["most_validation_rows"] = None
        elif self.calibrate:  # half of these rows is for it
            given["validation_fraction"] = Recipe.validation_fraction
            if recipe.most_validation_rows is not None:
                given["most_validation_rows"] = 2 * recipe.most_validation_rows
        sizes = self.hidden_layer_sizes
        if sizes is not None:
            listed = [sizes] if isinstance(sizes, Integral) else list(sizes)
            given["hidden"] = tuple(
                checks.integer(where, f"hidden_layer_sizes[{i}]", size, 1, 2**31 - 1)
                for i, size in enumerate(listed)
            )
        return replace(recipe, **given)

    def _eval_set(self, where: str, eval_set: Any) -> Rows:
        if not isinstance(eval_set, (tuple, list)) or len(eval_set) not in (2, 3):
            raise TypeError(
                f"{where}: eval_set is of type {type(eval_set).__name__}, should be a tuple (X, y) "
                f"or (X, y, sample_weight)"
            )
        where = f"{where}: eval_set"
        x = self._encoder.transform(where, eval_set[0], self.unseen)
        _check_rows(where, x)
        t = self._target(where, eval_set[1])
        _check_lengths(where, x, t)
        weight = None if len(eval_set) == 2 else _weights(where, eval_set[2], x)
        return Rows(x, t, weight)

    # ---- Use ------------------------------------------------------------------------------------

    def _rows(self, X: Any, method: str) -> NDArray[np.float64]:
        """Return rows as numbers."""
        check_is_fitted(self)
        where = f"{type(self).__name__}.{method}"
        if not isinstance(X, Mapping):  # whose names the encoder checks, but not scikit-learn
            _check_feature_names(self, X, reset=False)
        x = self._encoder.transform(where, X, self.unseen)
        _check_rows(where, x)
        return x

    def _mean_output(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of the members' outputs."""
        with _threads(self.n_jobs):
            return _recipe.mean_of([net.predict(x) for net in self.nets_])

    @property
    def net_(self) -> Sequential:
        """The network; the first one of several."""
        check_is_fitted(self)
        return self.nets_[0]

    @property
    def infrequent_categories_(self) -> dict[str, list[Any]]:
        """The categories of each column that count as one, of columns that have such ones."""
        check_is_fitted(self)
        return {
            feature.name: list(feature.infrequent)
            for feature in self._encoder.features
            if feature.infrequent
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the networks and the preprocessing to a safetensors file, for `cnn.load`.

        If saving fails, a file that existed is unchanged.

        Parameters
        ----------
        path : str or os.PathLike
            The file; one that exists is replaced.

        Raises
        ------
        ValueError
            If a category or class is neither a text, a number nor a truth value.
        TypeError, OSError
            As for `cnn.Sequential.save`.

        Notes
        -----
        The file has what predictions need, and those parameters that JSON has a value for; a
        `random_state` that is an object becomes None. It does not have `histories_`. libcnn reads
        the file of one network, but not that of several.

        Examples
        --------
        >>> import cnn, os, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = os.path.join(folder.name, "fruit.safetensors")
        >>> table = {"weight": [150.0, 10.0] * 20, "skin": ["smooth", "rough"] * 20}
        >>> model = cnn.tabular.TabularClassifier(epochs=20, random_state=0)
        >>> model.fit(table, ["apple", "lychee"] * 20).save(path)
        >>> cnn.load(path).predict({"weight": [140.0], "skin": ["smooth"]})
        array(['apple'], dtype='<U6')
        >>> folder.cleanup()
        """
        check_is_fitted(self)
        where = f"{type(self).__name__}.save"
        text = text_of(where, self)
        if len(self.nets_) > 1:
            formats.destination("save", checks.path("save", path), "a safetensors file")
            networks = [network_of(net) for net in self.nets_]
            files.replace(path, several.to_bytes(where, networks, {TABULAR: text}))
            LOGGER.info("save: wrote %r", os.fspath(path))
            return
        network = _core.Network.from_bytes(network_of(self.net_).to_bytes())
        network.set_metadata(TABULAR, text)
        of_network(network).save(path)

    def _target_content(self, where: str) -> dict[str, Any]:
        """Return what belongs to the target, as an object for JSON."""
        raise NotImplementedError

    def _take_target(self, content: Any) -> None:
        """Set what `_target_content` described, which is not trusted."""
        raise NotImplementedError

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "nets_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.target_tags.required = True
        return tags


def _error_of(
    estimator: BaseTabular, dtype: DTypeLike, held_out: Rows
) -> Callable[[Sequential], float]:
    raw = held_out.x.astype(dtype)
    return lambda net: estimator._error(net.predict(raw), held_out.t, held_out.weight)


class _Threads:
    """The number of threads while calls with `n_jobs` run: the last one of several restores it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._before: int | None = None

    @contextlib.contextmanager
    def __call__(self, n_jobs: int | None) -> Iterator[None]:
        """Use so many threads, or as many as are set for None."""
        if n_jobs is None:
            yield
            return
        with self._lock:
            if self._calls == 0:
                is_set = _core.threads_origin() == _SET
                self._before = runtime.get_num_threads() if is_set else None
            runtime.set_num_threads(n_jobs)
            self._calls += 1
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1
                if self._calls == 0:
                    runtime.set_num_threads(self._before)


_threads = _Threads()


def _held_out(
    rows: int, strata: NDArray[Any] | None, fraction: float, seed: int
) -> NDArray[np.intp]:
    """Return the rows to validate with, at least one, and not all.

    With classes, each has its share of them, but for one with a single row, which is trained with.
    """
    random = np.random.Generator(np.random.Philox(seed))
    order = random.permutation(rows)
    if strata is None:
        count = min(max(1, round(fraction * rows)), rows - 1)
        return np.sort(order[:count])
    # Row by row of each class in a random order: the first ones are held out.
    rank, sizes = np.empty(rows, dtype=np.intp), np.empty(rows, dtype=np.intp)
    for value in np.unique(strata):
        own = order[strata[order] == value]
        rank[own] = np.arange(own.size)
        sizes[own] = own.size
    aside = np.flatnonzero((rank + 0.5 < fraction * sizes) & (rank < sizes - 1))
    if aside.size == 0:
        large = np.flatnonzero(sizes > 1)
        aside = large[:1] if large.size else order[:1]
    return aside


def _two_parts(
    rows: Rows, strata: NDArray[Any] | None, fraction: float, seed: int
) -> tuple[Rows, Rows]:
    """Return a share of the rows that is held out, none of weight 0, and the others."""
    counted = np.arange(len(rows.x)) if rows.weight is None else np.flatnonzero(rows.weight)
    if counted.size < 2:
        counted = np.arange(len(rows.x))
    own = None if strata is None else strata[counted]
    aside = counted[_held_out(counted.size, own, fraction, seed)]
    return rows.only(aside), rows.only(np.setdiff1d(np.arange(len(rows.x)), aside))


def _seed(random: np.random.RandomState) -> int:
    return int(random.randint(0, 2**31 - 1))


def _check_rows(where: str, x: NDArray[Any]) -> None:
    if len(x) == 0:
        raise ValueError(
            f"{where}: Found array with 0 sample(s) (shape={x.shape}) while a minimum of 1 is "
            f"required."
        )


def _check_lengths(where: str, x: NDArray[Any], t: NDArray[Any]) -> None:
    if len(x) != len(t):
        raise ValueError(
            f"{where}: X has {len(x)} rows, but y has {len(t)}. Found input variables with "
            f"inconsistent numbers of samples"
        )


def _none_held_out(where: str, given: str) -> ValueError:
    """Return the error for a parameter that needs rows that are held out."""
    return ValueError(
        f"{where}: {given}, but no rows are held out; should have a validation_fraction of more "
        f"than 0, or an eval_set"
    )


def _check_weight(where: str, part: Rows | None, what: str) -> None:
    """Refuse a part of the rows of which none has a weight."""
    if part is not None and part.weight is not None and not part.weight.any():
        raise ValueError(
            f"{where}: sample_weight is 0 in all rows to {what} with, should be more in some"
        )


def _weights(where: str, sample_weight: Any, x: NDArray[Any]) -> NDArray[Any]:
    if not np.asarray(sample_weight).any():
        raise ValueError(
            f"{where}: sample_weight is 0 in all rows, should be more in one at least: Sample "
            f"weights must contain at least one non-zero number."
        )
    weights: NDArray[Any] = _check_sample_weight(sample_weight, x, dtype=np.float64)
    checks.within(where, "sample_weight", weights, 0.0, most=_core.LARGEST_WEIGHT)
    return weights
