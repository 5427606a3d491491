"""Functions: activations and likelihoods."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core, functional
from cnn import activations as activations_
from cnn._base import checks
from cnn._base.activations import TABLE
from cnn._base.numbers import rounded
from cnn.plot import _arguments, _axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from cnn.activations import Activation

# With more lines, there is no room for a legend among them.
_MOST_NAMES = 4


def activations(
    names: Activation | Sequence[Activation] = ("step", "sigmoid", "relu"),
    *,
    limits: tuple[float, float] = (-4.0, 4.0),
    ax: Sequence[Axes] | NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Draw activation functions, and beside them their derivatives.

    Parameters
    ----------
    names : str, activation or a sequence, default ("step", "sigmoid", "relu")
        The activations, or one, as names or as objects of `cnn.activations`; all but softmax, which
        is no function of one number.
    limits : tuple of float, default (-4, 4)
        The smallest and the largest x.
    ax : sequence of two matplotlib.axes.Axes, optional
        Where to draw functions and derivatives; a new figure by default.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (2,)
        `ax`, or the new ones.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import cnn.plot
    >>> axes = cnn.plot.activations(["tanh", "relu", "gelu"])
    """
    where = "activations"
    given: Any = [names] if isinstance(names, (str, *activations_.CLASSES)) else names
    if not hasattr(given, "__iter__"):
        raise TypeError(
            f"{where}: names is of type {type(names).__name__}, should be an activation or a list "
            f"of them"
        )
    options = [name for name in TABLE if name != "softmax"]
    found = [
        activations_.checked(where, f"names[{i}]", name, options) for i, name in enumerate(given)
    ]
    if not found:
        raise ValueError(f"{where}: names is empty, should have at least one activation")
    low, high = _arguments.limits(where, limits, -1e6, None)
    width = 9.0 if len(found) <= _MOST_NAMES else 10.5
    axes = _axes.several(where, ax, 2, (width, 3.8), columns=2)
    if axes.size < 2:
        raise ValueError(f"{where}: ax has {axes.size} Axes, should have 2")
    x = np.linspace(low, high, 1001)
    for i, (name, alpha) in enumerate(found):
        activation = activations_.spelled(name, alpha)
        slope = functional.activation_backward(activation, np.ones_like(x), x=x)
        colour, dashes = _axes.style(axes[0], i)
        y = _core.activation(name, x, None, alpha)
        for axis, values in zip(axes, (y, slope), strict=False):
            axis.plot(x, values, color=colour, linestyle=dashes, linewidth=2, label=str(activation))
    # A function that leaves all others far behind, such as the exponential one, is cut off.
    largest = 2 * max(abs(low), abs(high))
    for axis, title in zip(axes, ("activation h(x)", "derivative h'(x)"), strict=False):
        _cut(axis, largest)
        axis.set_title(title)
        axis.set_xlabel("x")
        axis.axhline(0, color=_axes.theme(axis).grey, linewidth=0.8, zorder=1)
        axis.axvline(0, color=_axes.theme(axis).grey, linewidth=0.8, zorder=1)
        _axes.tidy(axis)
    if ax is None and len(found) > _MOST_NAMES:
        _axes.legend(axes[1], None)
    else:
        _axes.legend(axes[0], "upper left")
    return axes


def likelihood_curve(
    k: int | Sequence[int],
    n: int,
    *,
    log: bool = False,
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the likelihood of a probability p, given k successes among n independent trials.

    It is the binomial probability of the observation as a function of p,
    ``C(n, k) p^k (1 - p)^(n - k)``, and largest at p = k / n: the maximum likelihood estimate
    (C. M. Bishop, Pattern Recognition and Machine Learning, 2006, section 2.1). The maximum is
    marked.

    Parameters
    ----------
    k : int or sequence of int
        The number of successes, from 0 to n; several are drawn as several curves.
    n : int
        The number of trials, from 1 to 1e9.
    log : bool, default False
        Whether to draw the logarithm of the likelihood, whose negative a loss such as cross_entropy
        is.
    limits : tuple of float, optional
        The smallest and the largest p. By default 0 and 1, or a range around the maxima if they
        would be narrow peaks.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`, or the new one.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import cnn.plot
    >>> ax = cnn.plot.likelihood_curve(3, 10)
    >>> ax.get_legend().get_texts()[0].get_text()
    '3 of 10: ~0.267 at p = 0.3'
    """
    where = "likelihood_curve"
    n = checks.integer(where, "n", n, 1, 10**9)
    if isinstance(k, (str, bytes)):
        raise TypeError(f"{where}: k is of type {type(k).__name__}, should be a whole number")
    given = list(k) if hasattr(k, "__iter__") else [k]
    counts = [checks.integer(where, "k", count, 0, n) for count in given]
    if not counts:
        raise ValueError(f"{where}: k is empty, should have at least one number of successes")
    log = checks.flag(where, "log", log)
    low, high = _likely(counts, n) if limits is None else _arguments.limits(where, limits, 0.0, 1.0)
    beside = ax is None and len(counts) > _MOST_NAMES
    ax = _axes.one(where, ax, (8.4 if beside else 6.4, 4.0))
    for i, count in enumerate(counts):
        best = count / n
        # The maximum is one of the points, and so is each end.
        p = np.unique(np.append(np.linspace(low, high, 1001), np.clip(best, low, high)))
        logs = _log_likelihood(p, count, n)
        top = float(_log_likelihood(np.array([best]), count, n)[0])
        colour, dashes = _axes.style(ax, i)
        value = top if log else math.exp(top)
        text = f"{count:,} of {n:,}: {rounded(value, 3)} at p = {rounded(best, 3)}"
        y = np.where(np.isfinite(logs), logs, np.nan) if log else np.exp(logs)
        ax.plot(p, y, color=colour, linestyle=dashes, linewidth=2, label=text)
        if low <= best <= high:
            ax.axvline(best, color=_axes.theme(ax).grey, linewidth=0.8, linestyle=":", zorder=1)
            ax.plot(best, value, "o", color=colour, clip_on=False, zorder=3)
    ax.set_xlim(low, high)
    ax.set_xlabel("probability p of a success")
    ax.set_ylabel("log-likelihood of p" if log else "likelihood of p")
    tops = [float(_log_likelihood(np.array([count / n]), count, n)[0]) for count in counts]
    if log:
        # Towards 0 and 1 it falls without end.
        ax.set_ylim(min(tops) - 20, max(tops) + 10)
    else:
        # Above the curves there is room for the legend.
        ax.set_ylim(0, math.exp(max(tops)) * (1.12 + 0.08 * min(len(counts), _MOST_NAMES)))
    _axes.tidy(ax)
    _axes.legend(ax, None if beside else _axes.corner(ax, "upper right"))
    return ax


def _cut(ax: Axes, largest: float) -> None:
    """Limit the y axis to the lines that stay below a number, if only some do."""
    ends = [
        (float(y.min()), float(y.max()))
        for y in (np.asarray(line.get_ydata(), np.float64) for line in ax.get_lines())
    ]
    kept = [end for end in ends if max(map(abs, end)) <= largest]
    if 0 < len(kept) < len(ends):
        low, high = min(low for low, _ in kept), max(high for _, high in kept)
        margin = 0.05 * (high - low) or 0.5
        ax.set_ylim(low - margin, high + margin)


def _likely(counts: list[int], n: int) -> tuple[float, float]:
    """Return a range of probabilities in which the peaks of likelihoods are no mere lines."""
    spread = [max(math.sqrt(k / n * (1 - k / n) / n), 1 / n) for k in counts]
    low = max(0.0, min(k / n - 8 * width for k, width in zip(counts, spread, strict=True)))
    high = min(1.0, max(k / n + 8 * width for k, width in zip(counts, spread, strict=True)))
    return (0.0, 1.0) if high - low > 0.3 else (low, high)


def _log_likelihood(p: NDArray[np.float64], k: int, n: int) -> NDArray[np.float64]:
    """Return log(C(n, k) p^k (1 - p)^(n - k)), in which 0^0 is 1."""
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    with np.errstate(divide="ignore"):
        successes = k * np.log(p) if k else 0.0
        failures = (n - k) * np.log1p(-p) if k < n else 0.0
    found: NDArray[np.float64] = ways + successes + failures + np.zeros_like(p)
    return found
