"""The base class of the classifier and the regressor: parameters, fit, attributes, outputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from cnn import _core, activations
from cnn._base import checks
from cnn._base.choices import LearningRateSchedule, Solver
from cnn._training.hooks import Hooks, checked_callbacks
from cnn.layers import Dense, Dropout, Layer
from cnn.sequential import Sequential
from cnn.sklearn import _solvers
from cnn.sklearn._data import (
    Data,
    Rows,
    checked_weights,
    is_plain,
    outputs,
    readable,
    refuse_no_weight,
    refuse_unsafe,
)
from cnn.sklearn._parameters import Parameters, dense_layers, draw, packed, unpack
from cnn.sklearn._solvers import Problem, Record, Settings
from cnn.sklearn._split import hold_out

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from cnn._base.choices import ActivationName, LossName, NetworkDType
    from cnn.activations import Activation
    from cnn.history import History
    from cnn.optimizers import Optimizer

# scikit-learn's name of the sigmoid; all other names are cnn's.
_NAMES: dict[str, Activation] = {"logistic": "sigmoid"}
ACTIVATIONS = tuple(
    sorted({"logistic", *(name for name in _core.ACTIVATIONS if name != "softmax")})
)


class BaseMLP(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A multilayer perceptron with the interface of scikit-learn's."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS)), *activations.CLASSES, "array-like"],
        "solver": [StrOptions(set(get_args(Solver)))],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions(set(get_args(LearningRateSchedule)))],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    # The attributes that fit sets; others are properties below.
    net_: Sequential
    n_features_in_: int
    out_activation_: str
    n_iter_: int
    t_: int
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    history_: History
    _optimizer: Optimizer
    _architecture: tuple[list[int], list[Activation], float]
    _no_improvement_count: int

    def __init__(
        self,
        *,
        hidden_layer_sizes: Any,
        activation: Any,
        solver: Any,
        alpha: Any,
        batch_size: Any,
        learning_rate: Any,
        learning_rate_init: Any,
        power_t: Any,
        max_iter: Any,
        shuffle: Any,
        random_state: Any,
        tol: Any,
        verbose: Any,
        warm_start: Any,
        momentum: Any,
        nesterovs_momentum: Any,
        early_stopping: Any,
        validation_fraction: Any,
        beta_1: Any,
        beta_2: Any,
        epsilon: Any,
        n_iter_no_change: Any,
        max_fun: Any,
        dropout: Any,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout

    # ---- Methods of the subclasses --------------------------------------------------------------

    def _checked_target(
        self, where: str, x: Rows, y: Any, *, reset: bool, known: bool
    ) -> tuple[Any, NDArray[Any]]:
        """Return x and the targets as cnn takes them; if not `known`, set classes_ from labels."""
        raise NotImplementedError

    def _check_classes(self, classes: Any) -> None:
        """Set classes_ from partial_fit's classes."""

    def _check_all_classes(self, where: str, t: NDArray[Any]) -> None:
        """Refuse to continue training with samples that lack a class of the last fit."""

    def _class_weights(self, where: str, data: Data) -> NDArray[Any] | None:
        """Return the weight of each sample's class."""
        return None

    def _output(self, t: NDArray[Any]) -> tuple[int, ActivationName, str]:
        """Return the number of outputs, their activation as cnn calls it, and out_activation_."""
        raise NotImplementedError

    def _loss_name(self) -> LossName | None:
        """Return cnn's name of the loss; None for the one that belongs to the output layer."""
        return None

    def _reporter(self, data: Data) -> Callable[[float], float]:
        """Return a function that returns scikit-learn's loss for cnn's."""
        return float

    def _score_of(self, net: Sequential, data: Data) -> float:
        """Return the score of a network."""
        raise NotImplementedError

    def _strata(self, t: NDArray[Any]) -> NDArray[Any] | None:
        """Return the classes by which a validation set is stratified, if any."""
        return None

    # ---- Training -------------------------------------------------------------------------------

    def _fit(
        self,
        X: Rows,
        y: Any,
        sample_weight: Any,
        *,
        incremental: bool = False,
        classes: Any = None,
        validation_data: Any = None,
        callbacks: Any = (),
    ) -> None:
        """Do the work of fit, or of partial_fit if incremental."""
        before = dict(self.__dict__)
        try:
            prepared = self._prepared(
                X, y, sample_weight, incremental, classes, validation_data, callbacks
            )
        except BaseException:
            # The checks set attributes, such as classes_, which must fit the network as it was.
            self.__dict__ = before
            raise
        self._train(*prepared, incremental=incremental)

    def _prepared(
        self,
        X: Rows,
        y: Any,
        sample_weight: Any,
        incremental: bool,
        classes: Any,
        validation_data: Any,
        callbacks: Any,
    ) -> tuple[Data, Data | None, list[Hooks]]:
        """Check all arguments, make the network if it is new, and return what to train with."""
        where = "partial_fit" if incremental else "fit"
        fresh = not hasattr(self, "net_") or not (self.warm_start or incremental)
        if incremental:
            self._check_classes(classes)
        sizes, hidden = self._hidden_layers(where)
        called = checked_callbacks(where, callbacks)
        self._check_solver_suits(where, validation_data, called, incremental=incremental)
        x, t = self._checked_target(where, X, y, reset=fresh, known=not fresh or incremental)
        if not fresh and not incremental:
            self._check_all_classes(where, t)
        data = Data(x, t, checked_weights(where, sample_weight, x))
        validation = self._validation(where, validation_data)
        count, output, out_activation = self._output(t)
        units = [x.shape[1], *sizes, count]
        architecture = (units, [*hidden, output], float(self.dropout))
        wanted = (*architecture, out_activation)
        if not fresh and wanted != (*self._architecture, self.out_activation_):
            raise ValueError(
                f"{where}: the network to go on with has layers "
                f"{(*self._architecture, self.out_activation_)}, but the parameters are those of "
                f"{wanted} (sizes, activations, dropout, output); should be the same"
            )

        limit = float(np.finfo(_dtype_for(x)).max)
        for name in ("alpha", "learning_rate_init"):
            if getattr(self, name) > limit:
                raise ValueError(
                    f"{where}: {name} is {getattr(self, name)}, should be at most {limit:.3g}, as "
                    f"the network is of {_dtype_for(x)}"
                )
        random = check_random_state(self.random_state)
        # Before the split, as in scikit-learn, so that the split has the same rows.
        start = draw(random, units, self._init_names(hidden)) if fresh else None
        if self.early_stopping and self.solver != "lbfgs" and validation is None:
            data, validation = hold_out(
                where, data, self._strata(data.t), float(self.validation_fraction), random
            )
        data = data.weighted(self._class_weights(where, data))
        refuse_no_weight(where, "the weight of all samples to train with is 0", data.sample_weight)
        if data.sample_weight is not None:
            name = "sample_weight times class_weight"
            checks.within(where, name, data.sample_weight, 0.0, most=_core.LARGEST_WEIGHT)
        if start is not None:
            seed = int(random.randint(0, 2**63 - 1, dtype=np.int64))
            self._begin(x, architecture, seed, start, out_activation)
        return data, validation, called

    def _hidden_layers(self, where: str) -> tuple[list[int], list[Activation]]:
        """Return sizes and activations of the hidden layers."""
        given = self.hidden_layer_sizes
        given = list(given) if isinstance(given, Iterable) else [given]
        sizes = [
            checks.integer(where, f"hidden_layer_sizes[{i}]", size, 1, 2**31 - 1)
            for i, size in enumerate(given)
        ]
        wanted: Any = self.activation
        if isinstance(wanted, (str, *activations.CLASSES)):
            found: list[Any] = [wanted] * len(sizes)
        else:
            found = list(wanted)
            for i, activation in enumerate(found):
                activations.checked(where, f"activation[{i}]", activation, ACTIVATIONS)
        if len(found) != len(sizes):
            raise ValueError(
                f"{where}: activation has {len(found)} names, but hidden_layer_sizes has "
                f"{len(sizes)} layers; should be a name for each, or one name for all"
            )
        hidden: list[Activation] = [_NAMES.get(activation, activation) for activation in found]
        return sizes, hidden

    def _init_names(self, hidden: list[Activation]) -> list[Activation]:
        """Return the activation that decides how large each layer's initial weights are.

        As in scikit-learn, that of the output layer is the activation of the last hidden layer; if
        there is no hidden layer, the activation that hidden layers would have.
        """
        if hidden:
            return [*hidden, hidden[-1]]
        given: Any = self.activation
        is_name = isinstance(given, str)
        return [_NAMES.get(given, given) if is_name else "identity"]

    def _check_solver_suits(
        self, where: str, validation_data: Any, callbacks: list[Hooks], *, incremental: bool
    ) -> None:
        """Refuse arguments that the solver, or partial_fit, would have to ignore."""
        if incremental and self.early_stopping:
            raise ValueError(
                f"{where}: early_stopping is True, should be False: partial_fit does not support "
                f"it, as a call is one epoch"
            )
        if self.solver != "lbfgs":
            return
        for name, given in (
            ("validation_data", validation_data is not None),
            ("callbacks", bool(callbacks)),
        ):
            if given:
                raise ValueError(
                    f"{where}: {name} is given, but solver is 'lbfgs', which has no epochs; should "
                    f"be left out, or solver be 'adam' or 'sgd'"
                )
        if self.dropout > 0:
            raise ValueError(
                f"{where}: dropout is {self.dropout}, but solver is 'lbfgs', whose steps need a "
                f"loss without chance; should be 0, or solver be 'adam' or 'sgd'"
            )

    def _validation(self, where: str, validation_data: Any) -> Data | None:
        """Return the samples of fit's validation_data."""
        if validation_data is None:
            return None
        if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
            raise TypeError(
                f"{where}: validation_data is of type {type(validation_data).__name__}, should be "
                f"a tuple (X, y) or (X, y, sample_weight)"
            )
        where = f"{where}: validation_data"
        x, t = self._checked_target(where, *validation_data[:2], reset=False, known=True)
        weights = validation_data[2] if len(validation_data) == 3 else None
        if x.shape[0] < 2:
            # R^2 of one row is not defined. The validation set of early_stopping has two as well.
            raise ValueError(f"{where} has 1 row, should have at least 2")
        return Data(x, t, checked_weights(where, weights, x))

    def _begin(
        self,
        x: Any,
        architecture: tuple[list[int], list[Activation], float],
        seed: int,
        start: NDArray[Any],
        out_activation: str,
    ) -> None:
        """Make the network, and remove the record of earlier trainings."""
        self.net_ = make_network(*architecture, seed, _dtype_for(x))
        unpack(self.net_, start)
        self._architecture = architecture
        self.out_activation_ = out_activation
        for name in ("loss_", "loss_curve_", "best_loss_", "history_", "_optimizer"):
            self.__dict__.pop(name, None)
        self._set_record(Record())

    def _train(
        self,
        data: Data,
        validation: Data | None,
        callbacks: list[Hooks],
        *,
        incremental: bool,
    ) -> None:
        """Improve the network."""
        settings = Settings.of(self)
        problem = Problem(
            self.net_, data, validation, self._loss_name(), self._reporter(data), self._score_of
        )
        record = self._record()
        if settings.solver == "lbfgs":
            self._minimize(settings, problem, record)
            return
        if not (incremental and hasattr(self, "_optimizer")):
            self._optimizer = _solvers.optimizer_of(settings)
        _solvers.train_epochs(
            settings,
            problem,
            record,
            self._set_record,
            self._optimizer,
            callbacks,
            incremental=incremental,
        )

    def _minimize(self, settings: Settings, problem: Problem, record: Record) -> None:
        """Train by L-BFGS in float64: rounding in float32 would end the line search too early."""
        net = problem.net
        if net.dtype == np.float64:
            _solvers.minimize(settings, problem, record, self._set_record)
            return
        wide = make_network(*self._architecture, net.seed, "float64")
        unpack(wide, packed(net))
        try:
            _solvers.minimize(settings, replace(problem, net=wide), record, self._set_record)
        finally:
            unpack(net, packed(wide))

    def _record(self) -> Record:
        """Return the record of the trainings so far, for a new training."""
        found = self.__dict__
        return Record(
            t=self.t_,
            no_improvement_count=self._no_improvement_count,
            loss=found.get("loss_"),
            loss_curve=found.get("loss_curve_"),
            best_loss=found.get("best_loss_"),
            validation_scores=self.validation_scores_,
            best_validation_score=self.best_validation_score_,
            history=found.get("history_"),
        )

    def _set_record(self, record: Record) -> None:
        """Set the attributes that a solver's record has."""
        self.n_iter_ = record.n_iter
        self.t_ = record.t
        self._no_improvement_count = record.no_improvement_count
        if record.loss is not None:
            self.loss_ = record.loss
        if record.loss_curve is not None:
            self.loss_curve_ = record.loss_curve
            self.best_loss_ = record.best_loss
        self.validation_scores_ = record.validation_scores
        self.best_validation_score_ = record.best_validation_score
        if record.history is not None:
            self.history_ = record.history

    # ---- Use ------------------------------------------------------------------------------------

    def _outputs(self, X: Rows) -> NDArray[Any]:
        """Return the outputs of the network for samples that are not checked yet."""
        fitted = self.__dict__
        net = fitted.get("net_")
        # scikit-learn's checks compare names of features, and raise the errors for all other x.
        if net is not None and "feature_names_in_" not in fitted and is_plain(X, net.inputs):
            return net.predict(X)  # type: ignore[no-any-return]
        check_is_fitted(self)
        refuse_unsafe(type(self).__name__, "X", X)
        X = validate_data(self, X, reset=False, accept_sparse="csr", dtype="numeric")
        return outputs(self.net_, readable(X))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _has_epochs(self) -> bool:
        """Return whether there is a partial_fit: True, or an AttributeError that says why not."""
        if self.solver == "lbfgs":
            raise AttributeError(
                "partial_fit is only available for solver 'adam' and 'sgd', but solver is 'lbfgs'"
            )
        return True

    # ---- Attributes -----------------------------------------------------------------------------

    def _fitted(self) -> Sequential:
        """Return the network."""
        if not hasattr(self, "net_"):
            raise AttributeError(f"{type(self).__name__} is not fitted yet; call fit first")
        return self.net_

    def _dense(self) -> list[Dense]:
        """Return the dense layers."""
        return dense_layers(self._fitted())

    @property
    def coefs_(self) -> Parameters:
        """The weights of each layer, shape (inputs, outputs), as read-only copies; may be set."""
        return Parameters(type(self).__name__, "coefs_", self._fitted(), "weight")

    @coefs_.setter
    def coefs_(self, values: Iterable[NDArray[Any]]) -> None:
        self.coefs_.set_all(values)

    @property
    def intercepts_(self) -> Parameters:
        """The biases of each layer, shape (outputs,), as read-only copies; may be set."""
        return Parameters(type(self).__name__, "intercepts_", self._fitted(), "bias")

    @intercepts_.setter
    def intercepts_(self, values: Iterable[NDArray[Any]]) -> None:
        self.intercepts_.set_all(values)

    @property
    def n_layers_(self) -> int:
        """The number of layers, the inputs being one."""
        return len(self._dense()) + 1

    @property
    def n_outputs_(self) -> int:
        """The number of outputs."""
        return self._dense()[-1].outputs


def _dtype_for(x: Any) -> NetworkDType:
    """Return the type of a network for these rows."""
    return "float32" if x.dtype == np.float32 else "float64"


def make_network(
    units: Sequence[int],
    hidden: Sequence[Activation],
    dropout: float,
    seed: int,
    dtype: NetworkDType,
) -> Sequential:
    """Return a network whose weights are 0."""
    layers: list[Layer] = []
    for i, activation in enumerate(hidden):
        if i > 0 and dropout > 0:
            layers.append(Dropout(dropout))
        layers.append(Dense(units[i], units[i + 1], activation, init="zeros"))
    return Sequential(layers, rng=seed, dtype=dtype)
