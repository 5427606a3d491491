"""Single steps, gradients and evaluation, each of checked samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnn import _core, losses, optimizers
from cnn._base import checks
from cnn._training.samples import InputError, Samples, checked_samples, fault_of_input, loss_for

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cnn._training.samples import ClassWeight


def logs_of(result: _core.Result, prefix: str = "", *, has_accuracy: bool) -> dict[str, float]:
    """Return the mean loss of a pass so far and, for a classification, the accuracy."""
    found = {f"{prefix}loss": result.loss}
    if has_accuracy:
        found[f"{prefix}accuracy"] = result.accuracy
    return found


def evaluate(where: str, network: _core.Network, samples: Samples) -> _core.Result:
    """Return the result of a network on samples, slice by slice to handle Ctrl-C in between."""
    result = _core.Result()
    for x, t, sample_weight in samples.slices(network):
        result = network.evaluate(samples.loss, x, t, sample_weight, where, result)
    if result.nonfinite_rows:
        raise InputError(f"{where}: {fault_of_input(samples, network)}")
    return result


def check_optimizer(where: str, optimizer: object) -> None:
    """Refuse what is no optimizer that goes on from step to step."""
    if not isinstance(optimizer, optimizers.Optimizer):
        raise TypeError(
            f"{where}: optimizer is {optimizer!r}, should be an object like cnn.Adam() that is "
            f"kept from step to step"
        )


def train_step(
    network: _core.Network,
    x: ArrayLike,
    t: ArrayLike,
    *,
    optimizer: optimizers.Optimizer,
    loss: str | losses.Loss | None,
    sample_weight: ArrayLike | None,
    class_weight: ClassWeight | None,
) -> dict[str, float]:
    """Make one step, as `Sequential.train_step` documents."""
    where = "train_step"
    check_optimizer(where, optimizer)
    chosen = loss_for(where, loss, network)
    samples = checked_samples(where, network, chosen, x, t, sample_weight, class_weight)
    optimizers.check_plain(where, optimizer, "a single step")
    lr = float(optimizers.rates(where, optimizer, 1)[0])
    trainer = optimizers.bound(where, optimizer, network)
    result = trainer.step(samples.loss, *samples.slice(0, samples.rows), lr)
    if not result.finite:
        what = (
            f"{where}: {result.blame} became NaN or infinite in step {trainer.steps + 1}; the step "
            f"was not made"
        )
        fault = fault_of_input(samples, network)
        raise InputError(f"{what}. {fault}") if fault else FloatingPointError(what)
    return logs_of(result, has_accuracy=chosen.has_accuracy)


def apply_gradients(
    where: str,
    network: _core.Network,
    flat: NDArray[Any],
    optimizer: optimizers.Optimizer,
    *,
    l2: bool,
) -> None:
    """Make one step, as `Sequential.apply_gradients` documents."""
    optimizers.check_plain(where, optimizer, "a single step")
    lr = float(optimizers.rates(where, optimizer, 1)[0])
    trainer = optimizers.bound(where, optimizer, network)
    fault = trainer.apply(flat, l2, lr)
    if fault is not None:
        raise FloatingPointError(f"{where}: {fault}; the step was not made")


def gradients(
    network: _core.Network,
    x: ArrayLike,
    t: ArrayLike,
    *,
    loss: str | losses.Loss | None,
    sample_weight: ArrayLike | None,
    dropout_step: int | None,
) -> tuple[float, list[NDArray[Any]]]:
    """Return the loss and the gradients in one list, as `Sequential.gradients` documents."""
    where = "gradients"
    step = -1
    if dropout_step is not None:
        step = checks.integer(where, "dropout_step", dropout_step, 0, 2**63 - 1)
    chosen = loss_for(where, loss, network)
    samples = checked_samples(where, network, chosen, x, t, sample_weight)
    value, flat = network.gradients(samples.loss, *samples.slice(0, samples.rows), step)
    # The first weight's gradient has x as a factor, so it is not finite for a bad x even if an
    # activation has saturated.
    if not (np.isfinite(value) and np.isfinite(flat[0]).all()):
        fault = fault_of_input(samples, network)
        if fault:
            raise InputError(f"{where}: {fault}")
    return value, flat
