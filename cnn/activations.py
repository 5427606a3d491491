"""Activations with a number, as objects; without one, an activation's name is enough.

Wherever cnn takes the name of an activation, it takes one of these objects too: ``"leaky_relu"``
is ``LeakyReLU()``. What reads an activation back, such as `cnn.Dense.activation`, gives the name if
the number is the default, and else the object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from cnn import _core
from cnn._base import checks
from cnn._base.numbers import exact

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["ELU", "Activation", "LeakyReLU"]


class _Numbered:
    """What activations with a number have in common: the one field of the dataclass."""

    def __post_init__(self) -> None:
        name = _NAMES[type(self)]
        field = _core.ALPHA_NAMES[name]
        object.__setattr__(
            self, field, number(name, getattr(self, field), where=type(self).__name__)
        )

    def __str__(self) -> str:
        name, value = resolved(self)  # type: ignore[arg-type]
        return f"{name}({exact(value)})"


@dataclass(frozen=True)
class LeakyReLU(_Numbered):
    """The leaky rectified linear unit: x for x > 0, else slope x (Maas, Hannun and Ng, 2013).

    Its derivative is 1 for x > 0, else the slope. The name of it with the default slope is
    "leaky_relu". In float32 networks the slope is rounded to float32.

    Parameters
    ----------
    slope : float, default 0.01
        The slope for x < 0, from 1e-30 to 1e30. Keras and PyTorch call it ``negative_slope``.

    Raises
    ------
    TypeError, ValueError
        If the slope is not a number or out of range.

    See Also
    --------
    cnn.leaky_relu : The function of arrays.

    Examples
    --------
    >>> import cnn
    >>> layer = cnn.Dense(4, 8, cnn.activations.LeakyReLU(0.2))
    >>> layer
    Dense(4, 8, LeakyReLU(slope=0.2))
    >>> layer.activation.slope
    0.2
    >>> cnn.Dense(4, 8, cnn.activations.LeakyReLU()).activation
    'leaky_relu'
    """

    slope: float = _core.ALPHAS["leaky_relu"]


@dataclass(frozen=True)
class ELU(_Numbered):
    """The exponential linear unit: x for x > 0, else alpha (exp(x) - 1) (Clevert et al., 2016).

    Its derivative is 1 for x > 0, else y + alpha. The name of it with the default alpha is "elu".
    In float32 networks alpha is rounded to float32.

    Parameters
    ----------
    alpha : float, default 1.0
        Minus the limit for x to -inf, from 1e-30 to 1e30.

    Raises
    ------
    TypeError, ValueError
        If alpha is not a number or out of range.

    See Also
    --------
    cnn.elu : The function of arrays.

    Examples
    --------
    >>> import cnn
    >>> cnn.mlp([4, 8, 1], cnn.activations.ELU(0.5), "identity", rng=0)
    Sequential([
        Dense(4, 8, ELU(alpha=0.5)),
        Dense(8, 1, 'identity'),
    ], rng=0, dtype='float32')
    """

    alpha: float = _core.ALPHAS["elu"]


Activation: TypeAlias = str | LeakyReLU | ELU
"""What cnn takes for an activation: a name, or an object with its number."""

_NAMES: dict[type, str] = {LeakyReLU: "leaky_relu", ELU: "elu"}
_CLASSES = {name: made for made, name in _NAMES.items()}
CLASSES: tuple[type[LeakyReLU | ELU], ...] = (LeakyReLU, ELU)


def number(name: str, value: object, *, where: str | None = None) -> float:
    """Return the number of an activation, which `where`, or its function, was called with."""
    return checks.real(
        where or name, _core.ALPHA_NAMES[name], value, low=_core.LEAST_ALPHA, most=_core.LARGEST
    )


def resolved(activation: Activation) -> tuple[str, float]:
    """Return the name and the number, 0 for the default; what is no activation, as it is."""
    name = _NAMES.get(type(activation))
    if name is None:
        return activation, 0.0  # type: ignore[return-value]
    return name, getattr(activation, _core.ALPHA_NAMES[name])


def checked(
    where: str,
    argument: str,
    activation: object,
    options: Collection[str] = _core.ACTIVATIONS,
) -> tuple[str, float]:
    """Return the name, one of the options, and the number, 0 for the default, of an activation."""
    if type(activation) in _NAMES:
        return resolved(activation)  # type: ignore[arg-type]
    if not isinstance(activation, str):
        what = activation.__name__ if isinstance(activation, type) else None
        raise TypeError(
            f"{where}: {argument} is {f'the class {what}' if what else _of_type(activation)}, "
            f"should be a string or an object such as cnn.activations.LeakyReLU(0.2)"
        )
    return checks.choice(where, argument, activation, options), 0.0


def _of_type(value: object) -> str:
    return f"of type {type(value).__name__}"


def spelled(name: str, value: float) -> Activation:
    """Return the name if the number is the default, else the object."""
    if value in (0, _core.ALPHAS.get(name, 0)):
        return name
    made: Activation = _CLASSES[name](value)
    return made
