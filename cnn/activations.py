"""Activations with a parameter, as objects; others are given by their names.

Every argument that takes the name of an activation takes one of these objects too: ``"leaky_relu"``
is ``LeakyReLU()``. Attributes such as `cnn.Dense.activation` return the name if the parameter has
its default value, and the object otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

from cnn import _core
from cnn._base import checks
from cnn._base.choices import ActivationName
from cnn._base.numbers import exact

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["ELU", "Activation", "LeakyReLU"]


class _Numbered:
    """The base of activations with a parameter, the only field of the dataclass."""

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
    """The leaky rectified linear unit: x if x > 0, slope x otherwise (Maas, Hannun and Ng, 2013).

    Its derivative is 1 if x > 0, and the slope otherwise. With the default slope its name is
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
    """The exponential linear unit: x if x > 0, otherwise alpha (exp(x) - 1) (Clevert et al., 2016).

    Its derivative is 1 if x > 0, and y + alpha otherwise. With the default alpha its name is "elu".
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


Activation: TypeAlias = ActivationName | LeakyReLU | ELU
"""The type of arguments for an activation: a name, or an object with its parameter."""
Unchecked: TypeAlias = str | LeakyReLU | ELU
"""An activation whose name is that of another library's file or of a network of libcnn."""

_NAMES: dict[type, str] = {LeakyReLU: "leaky_relu", ELU: "elu"}
_CLASSES = {name: made for made, name in _NAMES.items()}
CLASSES: tuple[type[LeakyReLU | ELU], ...] = (LeakyReLU, ELU)


def number(name: str, value: object, *, where: str | None = None) -> float:
    """Return the checked parameter of an activation; `where` is for messages."""
    if type(value) is float and _core.LEAST_ALPHA <= value <= _core.LARGEST:
        return value
    return checks.real(
        where or name, _core.ALPHA_NAMES[name], value, low=_core.LEAST_ALPHA, most=_core.LARGEST
    )


def resolved(activation: Unchecked) -> tuple[str, float]:
    """Return the name and the parameter, 0 for the default; other objects are returned as given."""
    if type(activation) is str:
        return activation, 0.0
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
    """Return an activation's name, checked to be in `options`, and parameter, 0 for the default."""
    if type(activation) in _NAMES:
        return resolved(activation)  # type: ignore[arg-type]
    if activation is None or (isinstance(activation, str) and activation not in options):
        from cnn._base.hints import SAME  # noqa: PLC0415  # for other names alone

        activation = SAME["activation"].get(activation, activation)
    if not isinstance(activation, str):
        what = activation.__name__ if isinstance(activation, type) else None
        name = getattr(activation, "__name__", None)
        hint = f"; write {name!r}" if isinstance(name, str) and name in options else ""
        raise TypeError(
            f"{where}: {argument} is {f'the class {what}' if what else _of_type(activation)}, "
            f"should be a string or an object such as cnn.activations.LeakyReLU(0.2){hint}"
        )
    return checks.choice(where, argument, activation, options), 0.0


def _of_type(value: object) -> str:
    return f"of type {type(value).__name__}"


def spelled(name: str, value: float) -> Activation:
    """Return the name if the parameter is the default, otherwise the object."""
    if value in (0, _core.ALPHAS.get(name, 0)):
        return cast(ActivationName, name)
    made: Activation = _CLASSES[name](value)
    return made
