"""The optimizers, and their names."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cnn import _core, schedules
from cnn._base import checks
from cnn._base.hinted import hinted_class
from cnn.optimizers._groups import check_rate
from cnn.optimizers._optimizer import Optimizer
from cnn.schedules import LearningRate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnn.optimizers._groups import Group


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
        check_rate("AdamW", "weight_decay", self.weight_decay)
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
