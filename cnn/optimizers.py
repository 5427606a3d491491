"""Optimizers, with the formulas of PyTorch, and its defaults but for the learning rate of SGD.

An optimizer object owns its state (momentum, moments, the number of steps made) for one network:
the first one that it is used with. If it is used again, it continues from its state.

In the formulas, g is the gradient of the loss, L2 penalties included, w a weight or bias, and k the
number of the step, from 1 on.
"""

from __future__ import annotations

import copy
from dataclasses import KW_ONLY, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cnn import _core, schedules
from cnn._base import checks
from cnn._base.hinted import hinted_class
from cnn.schedules import LearningRate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Group", "Optimizer", "RMSprop"]


@dataclass(frozen=True)
class Group:
    """Parameters whose learning rate or weight decay differs from that of the others.

    Parameters
    ----------
    parameters : str or tuple of (str or tuple of (int, str))
        Which they are: the name of a parameter of any layer, such as "bias", "embedding",
        "periodic", "factor" or "mix"; or several, each a name, or the index of a layer and a name.
        If groups share a parameter, it belongs to the last one of them.
    lr : float or Schedule, default 1.0
        What the optimizer's learning rate is multiplied by.
    weight_decay : float or Schedule, optional
        The weight decay of `AdamW` for these parameters, instead of the optimizer's.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range.

    Examples
    --------
    >>> import cnn
    >>> slow = cnn.optimizers.Group("bias", lr=0.1, weight_decay=0.0)
    >>> net = cnn.Sequential([cnn.Dense(2, 1, init="zeros")], rng=0)
    >>> history = net.fit([[1.0, 2.0]], [1.0], optimizer=cnn.AdamW(0.1, groups=[slow]), epochs=1)
    >>> net.layers[0].weight.round(3).ravel(), net.layers[0].bias.round(3)
    (array([0.1, 0.1], dtype=float32), array([0.01], dtype=float32))
    """

    parameters: str | tuple[str | tuple[int, str], ...]
    lr: float | schedules.Schedule = 1.0
    weight_decay: float | schedules.Schedule | None = None

    def __post_init__(self) -> None:
        names = (self.parameters,) if isinstance(self.parameters, str) else self.parameters
        if not isinstance(names, tuple) or not names or not all(map(_is_parameter, names)):
            raise TypeError(
                f"Group: parameters is {self.parameters!r}, should be a name such as 'bias', or a "
                f"tuple of names, or of a layer's index and a name"
            )
        _check_rate("Group", "lr", self.lr)
        if self.weight_decay is not None:
            _check_rate("Group", "weight_decay", self.weight_decay)

    def has(self, layer: int, name: str) -> bool:
        """Whether a parameter of a layer belongs to the group.

        Parameters
        ----------
        layer : int
            The index of the layer.
        name : str
            The name of the parameter.

        Returns
        -------
        bool
            Whether it does.

        Examples
        --------
        >>> import cnn
        >>> cnn.optimizers.Group("bias").has(3, "bias")
        True
        """
        names = (self.parameters,) if isinstance(self.parameters, str) else self.parameters
        return name in names or (layer, name) in names


def _is_parameter(name: object) -> bool:
    if isinstance(name, tuple):
        return len(name) == 2 and isinstance(name[0], int) and isinstance(name[1], str)
    return isinstance(name, str)


def _check_rate(where: str, name: str, value: object) -> None:
    """Refuse what is neither a number of 0 or more nor a Schedule."""
    if not isinstance(value, schedules.Schedule):
        checks.real(where, name, value, most=_core.LARGEST)


def _checked_groups(where: str, groups: object) -> tuple[Group, ...]:
    if not isinstance(groups, (list, tuple)) or not all(isinstance(g, Group) for g in groups):
        raise TypeError(f"{where}: groups is {groups!r}, should be a list of cnn.optimizers.Group")
    if len(groups) >= _core.MOST_GROUPS:
        raise ValueError(
            f"{where}: groups has {len(groups)} groups, should have less than {_core.MOST_GROUPS}"
        )
    return tuple(groups)


@dataclass
class _State:
    """The state of a copied or unpickled optimizer until it is bound to a network."""

    steps: int
    slots: list[NDArray[Any]]
    dtype: np.dtype[Any]
    parameter_count: int


@dataclass(eq=False, repr=False)
class Optimizer:
    """The base of all optimizers; use one of the subclasses.

    Only `lr` can be changed. A copy or a pickle of an optimizer holds its state and belongs to the
    first network that it is then used with, which must have the dtype and the number of parameters
    of the old one.

    Parameters
    ----------
    lr : float, Schedule or callable
        The learning rate, or a function of the step.

    Examples
    --------
    >>> import cnn
    >>> optimizer = cnn.SGD(0.1)
    >>> optimizer.lr = 0.01
    >>> optimizer.name, optimizer.steps
    ('sgd', 0)
    """

    name: ClassVar[str]
    """The name of the optimizer as an argument of fit."""

    lr: LearningRate
    """The learning rate, or a function of the step, counted from 0. It may be set at any time."""

    def __post_init__(self) -> None:
        self._check()
        self._set_groups(self._groups)
        self._waiting: _State | None = None

    def _set_groups(self, groups: object) -> None:
        """Check groups, and keep them in a tuple, as they cannot change."""
        kind = type(self).__name__
        found = _checked_groups(kind, groups)
        if "weight_decay" not in {field.name for field in fields(self)}:
            for i, group in enumerate(found):
                if group.weight_decay is not None:
                    raise ValueError(
                        f"{kind}: groups[{i}] has a weight_decay, which AdamW alone has"
                    )
        object.__setattr__(self, "groups", found)

    @property
    def _groups(self) -> Sequence[Group]:
        """The groups of parameters beside the first one, which has all others."""
        found: Sequence[Group] = getattr(self, "groups", ())
        return found

    def __setattr__(self, name: str, value: object) -> None:
        if name == "lr":
            schedules.check(type(self).__name__, "lr", value)
        elif not name.startswith("_") and hasattr(self, "_waiting"):
            raise AttributeError(
                f"{type(self).__name__}: {name} cannot be changed; only lr can. Make a new "
                f"optimizer instead"
            )
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        shown = {f.name: getattr(self, f.name) for f in fields(self)}
        if not shown.get("groups"):
            shown.pop("groups", None)
        return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in shown.items())})"

    def _check(self) -> None:
        """Check the settings; subclasses add their own."""

    def _kind(self) -> str:
        """Return libcnn's name for the optimizer with these settings."""
        return self.name

    def _options(self) -> dict[str, float]:
        """Return the settings as libcnn names them."""
        raise NotImplementedError

    @property
    def steps(self) -> int:
        """The number of steps made so far."""
        # Read before the trainer: `bound` sets them in the other order.
        waiting = self._waiting
        if self._trainer is not None:
            return self._trainer.steps
        return waiting.steps if waiting is not None else 0

    @property
    def _trainer(self) -> _core.Trainer | None:
        """The owner of the state; None before the first use."""
        found: _core.Trainer | None = self.__dict__.get("_bound")
        return found

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        waiting = self._waiting
        if self._trainer is not None:
            network = self._trainer.network
            steps, slots = self._trainer.get_steps_and_state()
            waiting = _State(steps, slots, network.dtype, network.parameter_count)
        state["_waiting"] = waiting
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        kind = type(self).__name__
        wanted = {field.name for field in fields(self)} | {"_waiting"}
        if isinstance(state, dict):  # pickles of versions without groups have none
            state = {"groups": (), **state}
        if not isinstance(state, dict) or state.keys() != wanted:
            raise TypeError(
                f"{kind}: the state of a pickle should have {', '.join(sorted(wanted))}"
            )
        waiting = state["_waiting"]
        if waiting is not None:
            _checked_state(kind, waiting)
        for name, value in state.items():
            setattr(self, name, value)
        self._set_groups(state["groups"])
        self._check()

    def __deepcopy__(self, memo: dict[int, Any]) -> Optimizer:
        made = object.__new__(type(self))
        memo[id(self)] = made
        made.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return made


def _checked_state(where: str, waiting: object) -> None:
    """Check the state in a pickle, but for what the trainer checks when it gets the slots."""
    if not isinstance(waiting, _State):
        raise TypeError(f"{where}: _waiting is {waiting!r}, should be a state of an optimizer")
    checks.integer(where, "steps", waiting.steps, 0)
    checks.integer(where, "parameter_count", waiting.parameter_count, 1)
    if not isinstance(waiting.dtype, np.dtype):
        raise TypeError(f"{where}: dtype is {waiting.dtype!r}, should be a dtype of NumPy")
    slots = waiting.slots
    if not isinstance(slots, list) or not all(isinstance(slot, np.ndarray) for slot in slots):
        raise TypeError(f"{where}: slots is {slots!r}, should be a list of arrays")


def _checked_clip_norm(where: str, clip_norm: float | None) -> None:
    if clip_norm is not None:
        checks.positive(where, "clip_norm", clip_norm)


def _checked_betas(where: str, betas: object) -> None:
    if not isinstance(betas, tuple) or len(betas) != 2:
        raise TypeError(f"{where}: betas is {betas!r}, should be a tuple of two numbers")
    for i, beta in enumerate(betas):
        checks.real(where, f"betas[{i}]", beta, below=1.0)


@hinted_class
@dataclass(eq=False, repr=False)
class SGD(Optimizer):
    """Stochastic gradient descent, optionally with momentum.

    ``w -= lr g``; with momentum, ``b = momentum b + g`` and ``w -= lr b``, or with Nesterov's,
    ``w -= lr (g + momentum b)``. These are the formulas of PyTorch's SGD (Sutskever et al., 2013).

    Parameters
    ----------
    lr : float, Schedule or callable, default 0.01
        The learning rate, or a function of the step.
    momentum : float, default 0.0
        At least 0 and less than 1.
    nesterov : bool, default False
        Whether momentum is Nesterov's.
    clip_norm : float, optional
        Scale the gradient so that its norm over all parameters is at most this.
    groups : sequence of Group, optional
        Parameters with a learning rate or weight decay of their own.

    Raises
    ------
    TypeError, ValueError
        If a setting is of a wrong type or out of range.

    Examples
    --------
    >>> import cnn
    >>> cnn.SGD(0.1, momentum=0.9)
    SGD(lr=0.1, momentum=0.9, nesterov=False, clip_norm=None)
    """

    name: ClassVar[str] = "sgd"

    lr: LearningRate = 0.01
    _: KW_ONLY
    momentum: float = 0.0
    nesterov: bool = False
    clip_norm: float | None = None
    groups: Sequence[Group] = ()

    def _check(self) -> None:
        momentum = checks.real("SGD", "momentum", self.momentum, below=1.0)
        if checks.flag("SGD", "nesterov", self.nesterov) and momentum == 0:
            raise ValueError("SGD: nesterov is True, but momentum is 0, should be more than 0")
        _checked_clip_norm("SGD", self.clip_norm)

    def _kind(self) -> str:
        if self.momentum == 0:
            return "sgd"
        return "nesterov" if self.nesterov else "momentum"

    def _options(self) -> dict[str, float]:
        return {"momentum": self.momentum, "clip_norm": self.clip_norm or 0.0}


@hinted_class
@dataclass(eq=False, repr=False)
class Adam(Optimizer):
    """Adam: steps from running means of the gradient and of its square.

    ``m += (1 - b1) (g - m)``, ``v = b2 v + (1 - b2) g^2``,
    ``w -= lr / (1 - b1^k) m / (sqrt(v) / sqrt(1 - b2^k) + eps)`` (Kingma and Ba, 2015), in the
    order of PyTorch's Adam.

    Parameters
    ----------
    lr : float, Schedule or callable, default 0.001
        The learning rate, or a function of the step.
    betas : tuple of two floats, default (0.9, 0.999)
        b1 and b2, each at least 0 and less than 1.
    eps : float, default 1e-8
        Keeps the quotient finite; 0 or more.
    clip_norm : float, optional
        Scale the gradient so that its norm over all parameters is at most this.
    groups : sequence of Group, optional
        Parameters with a learning rate or weight decay of their own.

    Raises
    ------
    TypeError, ValueError
        If a setting is of a wrong type or out of range.

    Examples
    --------
    >>> import cnn
    >>> cnn.Adam()
    Adam(lr=0.001, betas=(0.9, 0.999), eps=1e-08, clip_norm=None)
    """

    name: ClassVar[str] = "adam"

    lr: LearningRate = 1e-3
    _: KW_ONLY
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    clip_norm: float | None = None
    groups: Sequence[Group] = ()

    def _check(self) -> None:
        _checked_betas("Adam", self.betas)
        checks.real("Adam", "eps", self.eps, most=_core.LARGEST)
        _checked_clip_norm("Adam", self.clip_norm)

    def _options(self) -> dict[str, float]:
        beta1, beta2 = self.betas
        return {
            "beta1": beta1,
            "beta2": beta2,
            "eps": self.eps,
            "clip_norm": self.clip_norm or 0.0,
        }


@hinted_class
@dataclass(eq=False, repr=False)
class AdamW(Optimizer):
    """Adam with weight decay that is not part of the gradient.

    ``w -= lr weight_decay w``, then a step of `Adam` (Loshchilov and Hutter, 2019). As in PyTorch,
    biases decay too.

    Parameters
    ----------
    lr : float, Schedule or callable, default 0.001
        The learning rate, or a function of the step.
    betas : tuple of two floats, default (0.9, 0.999)
        b1 and b2, each at least 0 and less than 1.
    eps : float, default 1e-8
        Keeps the quotient finite; 0 or more.
    weight_decay : float or Schedule, default 0.01
        How fast weights decay; 0 or more.
    clip_norm : float, optional
        Scale the gradient so that its norm over all parameters is at most this.
    groups : sequence of Group, optional
        Parameters with a learning rate or weight decay of their own.

    Raises
    ------
    TypeError, ValueError
        If a setting is of a wrong type or out of range.

    Examples
    --------
    >>> import cnn
    >>> cnn.AdamW(weight_decay=0.1)
    AdamW(lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.1, clip_norm=None)
    """

    name: ClassVar[str] = "adamw"

    lr: LearningRate = 1e-3
    _: KW_ONLY
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float | schedules.Schedule = 1e-2
    clip_norm: float | None = None
    groups: Sequence[Group] = ()

    def _check(self) -> None:
        _checked_betas("AdamW", self.betas)
        checks.real("AdamW", "eps", self.eps, most=_core.LARGEST)
        _check_rate("AdamW", "weight_decay", self.weight_decay)
        _checked_clip_norm("AdamW", self.clip_norm)

    def _options(self) -> dict[str, float]:
        beta1, beta2 = self.betas
        decay = self.weight_decay
        return {
            "beta1": beta1,
            "beta2": beta2,
            "eps": self.eps,
            "weight_decay": 0.0 if isinstance(decay, schedules.Schedule) else decay,
            "clip_norm": self.clip_norm or 0.0,
        }


@hinted_class
@dataclass(eq=False, repr=False)
class RMSprop(Optimizer):
    """RMSprop: the gradient divided by the root of a running mean of its square.

    ``v = alpha v + (1 - alpha) g^2``, ``w -= lr g / (sqrt(v) + eps)`` (Hinton, lecture 6 of "Neural
    Networks for Machine Learning", 2012), in the order of PyTorch's RMSprop.

    Parameters
    ----------
    lr : float, Schedule or callable, default 0.01
        The learning rate, or a function of the step.
    alpha : float, default 0.99
        At least 0 and less than 1.
    eps : float, default 1e-8
        Keeps the quotient finite; 0 or more.
    clip_norm : float, optional
        Scale the gradient so that its norm over all parameters is at most this.
    groups : sequence of Group, optional
        Parameters with a learning rate or weight decay of their own.

    Raises
    ------
    TypeError, ValueError
        If a setting is of a wrong type or out of range.

    Examples
    --------
    >>> import cnn
    >>> cnn.RMSprop(1e-3)
    RMSprop(lr=0.001, alpha=0.99, eps=1e-08, clip_norm=None)
    """

    name: ClassVar[str] = "rmsprop"

    lr: LearningRate = 1e-2
    _: KW_ONLY
    alpha: float = 0.99
    eps: float = 1e-8
    clip_norm: float | None = None
    groups: Sequence[Group] = ()

    def _check(self) -> None:
        checks.real("RMSprop", "alpha", self.alpha, below=1.0)
        checks.real("RMSprop", "eps", self.eps, most=_core.LARGEST)
        _checked_clip_norm("RMSprop", self.clip_norm)

    def _options(self) -> dict[str, float]:
        return {"alpha": self.alpha, "eps": self.eps, "clip_norm": self.clip_norm or 0.0}


@hinted_class
@dataclass(eq=False, repr=False)
class Adagrad(Optimizer):
    """Adagrad: the gradient divided by the root of the sum of its squares so far.

    ``v += g^2``, ``w -= lr g / (sqrt(v) + eps)`` (Duchi, Hazan and Singer, 2011), in the order of
    PyTorch's Adagrad.

    Parameters
    ----------
    lr : float, Schedule or callable, default 0.01
        The learning rate, or a function of the step.
    eps : float, default 1e-10
        Keeps the quotient finite; 0 or more.
    clip_norm : float, optional
        Scale the gradient so that its norm over all parameters is at most this.
    groups : sequence of Group, optional
        Parameters with a learning rate or weight decay of their own.

    Raises
    ------
    TypeError, ValueError
        If a setting is of a wrong type or out of range.

    Examples
    --------
    >>> import cnn
    >>> cnn.Adagrad()
    Adagrad(lr=0.01, eps=1e-10, clip_norm=None)
    """

    name: ClassVar[str] = "adagrad"

    lr: LearningRate = 1e-2
    _: KW_ONLY
    eps: float = 1e-10
    clip_norm: float | None = None
    groups: Sequence[Group] = ()

    def _check(self) -> None:
        checks.real("Adagrad", "eps", self.eps, most=_core.LARGEST)
        _checked_clip_norm("Adagrad", self.clip_norm)

    def _options(self) -> dict[str, float]:
        return {"eps": self.eps, "clip_norm": self.clip_norm or 0.0}


OPTIMIZERS: Mapping[str, type[Optimizer]] = {
    optimizer.name: optimizer for optimizer in (SGD, Adam, AdamW, RMSprop, Adagrad)
}


def resolve(where: str, optimizer: str | Optimizer | None) -> Optimizer:
    """Return the given optimizer, a new one for a name, or a new Adam for None."""
    if optimizer is None:
        return Adam()
    if isinstance(optimizer, str):
        # Optimizer itself has no default for lr.
        made: Any = OPTIMIZERS[checks.choice(where, "optimizer", optimizer, OPTIMIZERS)]
        return made()  # type: ignore[no-any-return]
    if not isinstance(optimizer, Optimizer):
        kind = type(optimizer).__name__
        what = optimizer.__name__ if isinstance(optimizer, type) else f"of type {kind}"
        raise TypeError(
            f"{where}: optimizer is {what}, should be a name or an object like cnn.Adam()"
        )
    return optimizer


def rates(where: str, optimizer: Optimizer, count: int, *, ahead: int = 0) -> NDArray[np.float64]:
    """Return the learning rates of `count` steps, after the next `ahead` steps."""
    return schedules.rates(where, optimizer.lr, optimizer.steps + ahead, count)


def tables(
    where: str, optimizer: Optimizer, lr: NDArray[np.float64], first: int
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the learning rates and the weight decays of each step and group, from step `first` on.

    `lr` has the optimizer's rates. Without groups and schedules of the decay it is returned alone.
    """
    if not has_tables(optimizer):
        return lr, None
    groups = optimizer._groups
    decay = getattr(optimizer, "weight_decay", 0.0)
    own = [decay if group.weight_decay is None else group.weight_decay for group in groups]

    def values(rate: float | schedules.Schedule) -> NDArray[np.float64]:
        return schedules.rates(where, rate, first, lr.size)

    factors = [lr, *(lr * values(group.lr) for group in groups)]
    decays = [values(rate) for rate in (decay, *own)]
    return np.stack(factors, axis=1), np.stack(decays, axis=1)


def check_plain(where: str, optimizer: Optimizer, what: str) -> None:
    """Refuse an optimizer with groups or a schedule of its weight decay, which `what` lacks."""
    if has_tables(optimizer):
        raise ValueError(
            f"{where}: optimizer has groups or a weight_decay that changes, which {what} does not "
            f"have; should have one lr and weight_decay for all parameters"
        )


def groups_of(optimizer: Optimizer) -> Sequence[Group]:
    """Return the groups of an optimizer, for other modules of cnn."""
    return optimizer._groups


def has_tables(optimizer: Optimizer) -> bool:
    """Whether an optimizer has groups or a weight decay that changes, so that rates are a table."""
    decay = getattr(optimizer, "weight_decay", 0.0)
    return bool(optimizer._groups) or isinstance(decay, schedules.Schedule)


def bound(where: str, optimizer: Optimizer, network: _core.Network) -> _core.Trainer:
    """Return the trainer of an optimizer for a network, made now if this is the first use."""
    trainer = optimizer._trainer
    if trainer is None:
        made = _trainer_of(where, optimizer, network)
        # Threads that use the optimizer at once all get what one of them has made.
        trainer = optimizer.__dict__.setdefault("_bound", made)
        optimizer._waiting = None
    if trainer.network is not network:
        raise ValueError(
            f"{where}: optimizer belongs to another network, whose state it holds; should be "
            f"a new one, or one that has not been used"
        )
    return trainer


def _trainer_of(where: str, optimizer: Optimizer, network: _core.Network) -> _core.Trainer:
    """Return a new trainer with the settings of an optimizer, and the state that waits in it."""
    waiting = optimizer._waiting
    if waiting is not None and (waiting.dtype, waiting.parameter_count) != (
        network.dtype,
        network.parameter_count,
    ):
        raise ValueError(
            f"{where}: optimizer holds the state of a {waiting.dtype} network with "
            f"{waiting.parameter_count} parameters, but this is a {network.dtype} network with "
            f"{network.parameter_count}"
        )
    trainer = _core.Trainer(network, optimizer._kind(), **optimizer._options())
    for number, group in enumerate(optimizer._groups, 1):
        chosen = [(layer, name) for layer, name, _ in network.trained if group.has(layer, name)]
        if not chosen:
            raise ValueError(
                f"{where}: optimizer has a group of {group.parameters!r}, of which the network has "
                f"none; it has {', '.join(sorted({name for _, name, _ in network.trained}))}"
            )
        for layer, name in chosen:
            trainer.set_group(layer, name, number)
    if waiting is not None:
        trainer.set_state(waiting.slots)
        trainer.steps = waiting.steps
    return trainer


def give(optimizer: Optimizer, trainer: _core.Trainer) -> None:
    """Let an optimizer own a trainer, which has its settings."""
    optimizer.__dict__["_bound"] = trainer
