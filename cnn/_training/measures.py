"""What `evaluate` measures, and the metrics that users ask of fit and evaluate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from cnn import _core, losses
from cnn._base import checks
from cnn._base.regression import Regression
from cnn._training.given import stream_of
from cnn._training.samples import Samples, checked_samples, loss_for
from cnn._training.steps import evaluate, logs_of
from cnn._training.unchanged import steady, unchanged

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cnn._base.choices import MetricName
    from cnn._sources import Source
    from cnn._training.streams import Stream

Metric: TypeAlias = "MetricName | Callable[[NDArray[Any], NDArray[Any]], float]"

# Their outputs are no estimates of the targets, or not all of them.
_NO_ERRORS = frozenset({"poisson", "quantile"})
_TAKEN = ("loss", "lr", "seconds", "epoch")


@dataclass(frozen=True)
class Measure:
    """A metric with the name that it has in results."""

    name: str
    function: Callable[..., Any]
    weighted: bool
    """Whether the function takes sample weights."""

    def value(self, where: str, samples: Samples, y: NDArray[Any]) -> float:
        """Return the metric of the outputs of samples."""
        if self.weighted:
            try:
                return float(self.function(samples.t, y, sample_weight=samples.sample_weight))
            except ValueError as error:
                raise ValueError(f"{where}: metrics: {error}") from None
        t = samples.t.view()
        t.flags.writeable = False  # the next epoch needs the targets
        found = self.function(t, y)
        if (
            isinstance(found, (bool, str, bytes))
            or np.ndim(found)
            or not hasattr(found, "__float__")
        ):
            raise TypeError(
                f"{where}: metric {self.name!r} returned an object of type "
                f"{type(found).__name__}, should return a number"
            )
        return float(found)


def checked_metrics(where: str, given: object, loss: losses.Loss) -> list[Measure]:
    """Return the metrics of fit's and evaluate's argument, but for those that they have anyway."""
    if given is None:
        return []
    if isinstance(given, str) or callable(given):
        given = [given]
    if not isinstance(given, Iterable):
        raise TypeError(
            f"{where}: metrics is of type {type(given).__name__}, should be a list of names and "
            f"functions"
        )
    from cnn.metrics import BY_NAME  # noqa: PLC0415  # `import cnn` need not wait for it

    found: list[Measure] = []
    for i, metric in enumerate(given):
        made = _measure(where, f"metrics[{i}]", metric)
        if made.name == "accuracy" and made.weighted:
            if not loss.has_accuracy:
                raise ValueError(
                    f"{where}: metrics[{i}] is 'accuracy', but with loss {loss.name} there are no "
                    f"classes; should be 'r2' or the like"
                )
            continue
        taken = made.name in _TAKEN or (made.name in BY_NAME and not made.weighted)
        if taken or made.name.startswith("val_"):
            raise ValueError(f"{where}: metrics[{i}] has the name {made.name!r}, which is taken")
        if made.name in [other.name for other in found]:
            raise ValueError(f"{where}: metrics has {made.name!r} twice")
        found.append(made)
    return found


def _measure(where: str, name: str, metric: object) -> Measure:
    from cnn.metrics import BY_NAME  # noqa: PLC0415  # as above

    if isinstance(metric, str):
        chosen = checks.choice(where, name, metric, BY_NAME)
        return Measure(chosen, BY_NAME[chosen], weighted=True)
    if not callable(metric) or isinstance(metric, type):
        what = metric.__name__ if isinstance(metric, type) else f"of type {type(metric).__name__}"
        raise TypeError(f"{where}: {name} is {what}, should be a name or a function f(t, y)")
    own = getattr(metric, "__name__", None)
    if not isinstance(own, str):
        raise ValueError(
            f"{where}: {name} is {metric!r}, which has no __name__ for the results; should be a "
            f"function made by def"
        )
    # One of cnn.metrics is the same as its name.
    return Measure(own, metric, weighted=BY_NAME.get(own) is metric)


def check_targets(where: str, measures: list[Measure], samples: Samples, outputs: int) -> None:
    """Refuse targets that a metric is not defined for, before an epoch is spent on them."""
    y = np.broadcast_to(1.0 / max(outputs, 2), (samples.rows, outputs))
    for measure in measures:
        if measure.weighted:
            measure.value(where, samples, y)


def measured(
    where: str, network: _core.Network, samples: Samples | Stream, measures: list[Measure]
) -> dict[str, float]:
    """Return metrics of samples by their names."""
    if not measures:
        return {}
    with unchanged(where, network):
        if not isinstance(samples, Samples):
            return samples.evaluate(where, measures, loss=False)[1]
        return _values(where, network, samples, measures)


def _values(
    where: str, network: _core.Network, samples: Samples, measures: list[Measure]
) -> dict[str, float]:
    """Return metrics of arrays by their names."""
    if not measures:
        return {}
    y = np.concatenate([y for _, y in _predicted(network, samples)])
    return {measure.name: measure.value(where, samples, y) for measure in measures}


def evaluated(
    where: str, network: _core.Network, samples: Samples | Stream, measures: list[Measure]
) -> tuple[_core.Result, dict[str, float]]:
    """Return the sums of the loss and metrics by their names."""
    with unchanged(where, network):
        if not isinstance(samples, Samples):
            return samples.evaluate(where, measures)
        return evaluate(where, network, samples), measured(where, network, samples, measures)


def _predicted(network: _core.Network, samples: Samples) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield the outputs of a network slice by slice, each after its first row."""
    first = 0
    for x, _, _ in samples.slices(network):
        yield first, network.predict(x)
        first += len(x)


def _errors(network: _core.Network, samples: Samples) -> dict[str, float]:
    """Return the mean squared error, the mean absolute error and R² of a network on samples."""
    sums = Regression(samples.t.reshape(samples.rows, -1), samples.sample_weight)
    for first, y in _predicted(network, samples):
        sums.add(first, y)
    return {"mse": sums.mse, "mae": sums.mae, "r2": sums.r2}


def evaluation(
    network: _core.Network,
    x: Any,
    t: Any,
    *,
    loss: str | losses.Loss | None,
    sample_weight: ArrayLike | None,
    metrics: object,
    source: Source | None = None,
) -> dict[str, float]:
    """Return what `Sequential.evaluate` documents; with a `source`, it has the samples."""
    where = "evaluate"
    chosen = loss_for(where, loss, network)
    measures = checked_metrics(where, metrics, chosen)
    has_errors = not chosen.has_accuracy and chosen.name not in _NO_ERRORS
    if source is not None:
        # Of a copy, so that all rows see the same weights, even if another thread trains it.
        stream = stream_of(where, network.copy(), chosen, source)
        result, others = stream.evaluate(where, measures, errors=has_errors)
        return logs_of(result, has_accuracy=chosen.has_accuracy) | others
    samples = checked_samples(where, network, chosen, x, t, sample_weight)

    def found_of(network: _core.Network) -> dict[str, float]:
        found = logs_of(evaluate(where, network, samples), has_accuracy=chosen.has_accuracy)
        if has_errors:
            found |= _errors(network, samples)
        rest = [measure for measure in measures if measure.name not in found]
        return found | _values(where, network, samples, rest)

    return steady(network, found_of)
