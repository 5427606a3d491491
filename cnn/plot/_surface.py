"""The loss in a plane of weights, and the path of training in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from cnn._base import checks, extras
from cnn.callbacks import Callback
from cnn.plot import _arguments, _axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from cnn._base.choices import LossName
    from cnn._training.hooks import Logs
    from cnn.losses import Loss
    from cnn.plot._arguments import Network
    from cnn.sequential import Sequential

    Numbers: TypeAlias = NDArray[np.float64]
    Weights: TypeAlias = Sequence[ArrayLike]
    Directions: TypeAlias = Literal["random", "pca"] | tuple[Weights, Weights]


class WeightPath(Callback):
    """A callback that keeps the weights before training and after epochs, for `loss_surface`.

    Parameters
    ----------
    every : int, default 1
        After how many epochs weights are kept; those of the last epoch are kept in any case.

    Attributes
    ----------
    weights : list of list of ndarray
        What `cnn.Sequential.get_weights` returned each time. A later fit appends to it.

    Raises
    ------
    TypeError, ValueError
        If `every` is no whole number of at least 1.

    Examples
    --------
    >>> import cnn, cnn.plot
    >>> net = cnn.mlp([1, 4, 1], "tanh", "identity", rng=0)
    >>> path = cnn.plot.WeightPath()
    >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=20, callbacks=[path])
    >>> len(path.weights)
    21
    """

    def __init__(self, *, every: int = 1) -> None:
        self.every: int = checks.integer("WeightPath", "every", every, 1)
        self.weights: list[list[NDArray[Any]]] = []
        self._epochs = 0

    def on_train_begin(self) -> None:
        """Keep the weights before training."""
        self._epochs = 0
        self._keep()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Keep the weights after an epoch."""
        self._epochs += 1
        if self._epochs % self.every == 0:
            self._keep()

    def on_train_end(self, logs: Logs) -> None:
        """Keep the last weights, which another callback may have restored."""
        self._keep()

    def _keep(self) -> None:
        """Append the weights, unless they are those that were appended last."""
        weights = self.model.get_weights()
        if not self.weights or not all(map(np.array_equal, weights, self.weights[-1])):
            self.weights.append(weights)


class _Plane(NamedTuple):
    """A plane of weights: centre + a first + b second."""

    centre: Numbers
    first: Numbers
    second: Numbers
    names: tuple[str, str]

    def places(self, weights: Numbers) -> Numbers:
        """Return a and b of weights (n, parameters), as near as the plane has them."""
        # Of length 1, so that directions of different lengths are told from parallel ones.
        sizes = [np.linalg.norm(self.first), np.linalg.norm(self.second)]
        directions = np.stack([self.first / sizes[0], self.second / sizes[1]], axis=1)
        found = np.linalg.lstsq(directions, (weights - self.centre).T, rcond=None)[0]
        return np.asarray(found.T / sizes, np.float64)


def loss_surface(
    net: Network,
    x: ArrayLike,
    t: ArrayLike,
    *,
    path: WeightPath | Sequence[Weights] | None = None,
    directions: Directions | None = None,
    span: float = 1.0,
    resolution: int = 25,
    loss: LossName | Loss | None = None,
    log: bool | None = None,
    rng: int | np.random.Generator | None = 0,
    ax: Axes | None = None,
) -> Axes:
    """Draw the loss in a plane of weights, and in it the path that an optimizer has taken.

    The present weights of the network are in the plane, and are not changed. The loss is computed
    ``resolution ** 2`` times.

    Parameters
    ----------
    net : Sequential or estimator
        The network, or an estimator of `cnn.sklearn` that has one; then t is as the network takes
        it: class numbers.
    x, t
        As for `cnn.Sequential.evaluate`. Some hundred samples are enough for a picture.
    path : WeightPath or sequence, optional
        The weights on the way, each as `cnn.Sequential.get_weights` returns them; a `WeightPath`,
        which is a callback, keeps them. What is drawn is their projection onto the plane.
    directions : {"random", "pca"} or tuple of two lists of arrays, optional
        The directions of the plane. "pca": the two principal components of the path, in which it
        moves most (E. Lorch, Visualizing Deep Network Training Trajectories with PCA, 2016); the
        default if there is a path with at least three points. "random": normal random numbers,
        scaled such that the weights of each neuron have the norm of those of the network; biases
        stay as they are (H. Li et al., Visualizing the Loss Landscape of Neural Nets, 2018).
    span : float, default 1.0
        How far the plane goes to each side along random or given directions, in units of these. In
        any case it has the whole path.
    resolution : int, default 25
        The number of points along each axis.
    loss
        As for `cnn.Sequential.evaluate`.
    log : bool, optional
        Whether colours are by the logarithm of the loss; by default if losses differ by more than
        30 times.
    rng : int or numpy.random.Generator, default 0
        The seed of random directions.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        `ax`, or the new one, with a colour bar. Losses that are not finite leave a gap.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or shape, or out of range.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import cnn, cnn.plot
    >>> x, t = cnn.datasets.load_digits()
    >>> net = cnn.mlp([64, 20, 10], "relu", "softmax", rng=0)
    >>> path = cnn.plot.WeightPath()
    >>> history = net.fit(x, t, epochs=10, callbacks=[path])
    >>> ax = cnn.plot.loss_surface(net, x[:500], t[:500], path=path)
    """
    where = "loss_surface"
    # A copy, since other threads may train the network meanwhile.
    net = _arguments.network(where, net).__copy__()
    resolution = checks.integer(where, "resolution", resolution, 2, 1000)
    span = checks.positive(where, "span", span)
    if log is not None:
        log = checks.flag(where, "log", log)
    net.evaluate(x, t, loss=loss)  # so that bad arguments are refused before all else
    way = _path(where, net, path)
    plane = _plane(where, net, way, directions, rng)
    places = plane.places(way) if len(way) else np.zeros((0, 2))
    is_pca = plane.names != _NAMES
    limits = [_limits(places[:, i], 0.0 if is_pca else span) for i in range(2)]
    xs, ys = (np.linspace(low, high, resolution) for low, high in limits)
    losses = _losses(net, plane, xs, ys, x, t, loss)
    ax = _axes.one(where, ax, (6.4, 5.0))
    _draw_losses(where, ax, xs, ys, losses, log)
    _draw_path(ax, places)
    ax.set_xlabel(plane.names[0])
    ax.set_ylabel(plane.names[1])
    ax.set_xlim(limits[0])
    ax.set_ylim(limits[1])
    return ax


_NAMES = ("first direction", "second direction")


def _flat(weights: Any) -> Numbers:
    return np.concatenate([np.asarray(array, np.float64).ravel() for array in weights])


def _shaped(flat: Numbers, like: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return a vector as arrays."""
    ends = np.cumsum([array.size for array in like])
    parts = np.split(flat, ends[:-1])
    return [part.reshape(array.shape) for part, array in zip(parts, like, strict=True)]


def _checked(where: str, what: str, net: Sequential, weights: Any) -> Numbers:
    """Return weights such as get_weights returns as one vector."""
    shapes = [array.shape for array in net.get_weights()]
    try:
        found = [np.shape(array) for array in weights]
    except TypeError:
        found = []
    if found != shapes:
        raise ValueError(
            f"{where}: {what} has arrays of shapes {found}, should have those of "
            f"net.get_weights(), {shapes}"
        )
    flat = _flat(weights)
    checks.within(where, what, flat)
    return flat


def _path(where: str, net: Sequential, path: Any) -> Numbers:
    """Return the weights of a path, a vector in each row."""
    if path is None:
        return np.zeros((0, net.parameter_count))
    steps = getattr(path, "weights", path)
    if isinstance(steps, (str, bytes)) or not hasattr(steps, "__iter__"):
        raise TypeError(
            f"{where}: path is of type {type(path).__name__}, should be a cnn.plot.WeightPath or a "
            f"list of weights"
        )
    found = [_checked(where, f"path[{i}]", net, step) for i, step in enumerate(list(steps))]
    if not found:
        raise ValueError(f"{where}: path is empty; give it to fit as a callback first")
    return np.stack(found)


def _plane(where: str, net: Sequential, way: Numbers, directions: Any, rng: object) -> _Plane:
    """Return the plane that is drawn."""
    centre = _flat(net.get_weights())
    if directions is None:
        directions = "pca" if len(way) > 2 else "random"
    if isinstance(directions, str):
        if checks.choice(where, "directions", directions, ("random", "pca")) == "random":
            random = np.random.default_rng(checks.seed(where, rng))
            return _Plane(centre, _random(net, random), _random(net, random), _NAMES)
        if len(way) < 3:
            raise ValueError(
                f"{where}: directions is 'pca', but path has {len(way)} points, should have at "
                f"least 3"
            )
        return _principal(centre, way)
    if not isinstance(directions, (tuple, list)) or len(directions) != 2:
        raise TypeError(
            f"{where}: directions is of type {type(directions).__name__}, should be 'random', "
            f"'pca' or a tuple of two lists of arrays"
        )
    first, second = (
        _checked(where, f"directions[{i}]", net, part) for i, part in enumerate(directions)
    )
    sizes = [np.linalg.norm(first), np.linalg.norm(second)]
    if min(sizes) == 0 or np.linalg.matrix_rank([first / sizes[0], second / sizes[1]]) < 2:
        raise ValueError(f"{where}: directions are parallel or 0, should span a plane")
    return _Plane(centre, first, second, _NAMES)


def _random(net: Sequential, random: np.random.Generator) -> Numbers:
    """Return a random direction in which each neuron's weights have their own norm."""
    parts = []
    for array in net.get_weights():
        if array.ndim == 1:
            parts.append(np.zeros(array.shape))
            continue
        part = random.standard_normal(array.shape)
        norms = np.linalg.norm(array.astype(np.float64), axis=0)
        # Weights that are all 0 have no norm to take.
        parts.append(part * np.where(norms > 0, norms, 1.0) / np.linalg.norm(part, axis=0))
    return _flat(parts)


def _principal(centre: Numbers, way: Numbers) -> _Plane:
    """Return the plane through the present weights in which a path moves most."""
    moved = way - centre
    _, sizes, axes = np.linalg.svd(moved, full_matrices=False)
    shares = sizes**2 / (sizes**2).sum() if sizes[0] > 0 else np.zeros_like(sizes)
    names = tuple(
        f"{place} principal direction ({share:.0%} of the path)"
        for place, share in zip(("first", "second"), shares, strict=False)
    )
    return _Plane(centre, axes[0], axes[1], (names[0], names[1]))


def _limits(places: Numbers, span: float) -> tuple[float, float]:
    """Return the ends of an axis: the span to each side, the present weights and all of a path."""
    low = min(-span, 0.0, *places.tolist())
    high = max(span, 0.0, *places.tolist())
    if low == high:
        return -1.0, 1.0
    margin = 0.0 if (low, high) == (-span, span) else 0.15 * (high - low)
    return low - margin, high + margin


def _losses(
    net: Sequential, plane: _Plane, xs: Numbers, ys: Numbers, x: Any, t: Any, loss: Any
) -> Numbers:
    """Return the loss at each point of the plane; NaN if it is not finite. Changes the weights."""
    shapes = net.get_weights()
    found = np.empty((len(ys), len(xs)))
    largest = float(np.finfo(net.dtype).max)
    for row, b in enumerate(ys):
        for column, a in enumerate(xs):
            flat = plane.centre + a * plane.first + b * plane.second
            if np.abs(flat).max() > largest:
                found[row, column] = np.nan
                continue
            net.set_weights(_shaped(flat, shapes))
            value = net.evaluate(x, t, loss=loss)["loss"]
            found[row, column] = value if np.isfinite(value) else np.nan
    return found


def _draw_losses(
    where: str, ax: Axes, xs: Numbers, ys: Numbers, losses: Numbers, log: bool | None
) -> None:
    """Draw filled contours, and the colour bar."""
    low, high = float(np.nanmin(losses)), float(np.nanmax(losses))
    least = float(losses[losses > 0].min()) if (losses > 0).any() else low
    log = high > 30 * least > 0 if log is None else log and least > 0
    if low == high:
        low, high = low - 0.5, high + 0.5
        log = False
    if log:
        # A loss of 0 has the colour of the smallest above it.
        least = max(least, high * 1e-12)
        losses = np.maximum(losses, least)
        levels = np.geomspace(least, high, 25)
        colours = extras.require(where, "matplotlib.colors", "plot")
        norm = colours.LogNorm(least, high)
    else:
        levels, norm = np.linspace(low, high, 25), None
    drawn = ax.contourf(xs, ys, losses, levels, norm=norm, cmap="viridis")
    ax.contour(xs, ys, losses, levels[::2], colors="white", linewidths=0.4, alpha=0.5)
    bar = ax.figure.colorbar(drawn, ax=ax, label="loss")
    ticker = extras.require(where, "matplotlib.ticker", "plot")
    if log:
        bar.ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        bar.ax.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:.3g}"))
        bar.ax.yaxis.set_minor_locator(ticker.NullLocator())
    else:
        bar.ax.yaxis.set_major_locator(ticker.MaxNLocator(8))
        bar.ax.ticklabel_format(useOffset=False)


def _draw_path(ax: Axes, places: Numbers) -> None:
    """Draw the path, its ends, and the present weights, which are at 0."""
    look: dict[str, Any] = {"markeredgecolor": "black", "linestyle": "", "zorder": 4}
    if len(places):
        # On each colour of the map, one of black and white can be seen.
        ax.plot(*places.T, color="black", linewidth=2.6, zorder=2)
        few = len(places) <= 50
        ax.plot(*places.T, ".-" if few else "-", color="white", linewidth=1.2, zorder=3)
        ax.plot(*places[0], "o", color="white", markersize=8, label="start", **look)
    ax.plot(0, 0, "*", color="#E69F00", markersize=14, label="present weights", **look)
    _axes.legend(ax, _axes.corner(ax, "upper right"))
