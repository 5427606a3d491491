"""What a user gave as samples: arrays or a stream.

The modules of streams are imported when there is one, so that `import cnn` need not wait for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnn._base import checks, streams
from cnn._training.samples import InputError, Samples, checked_samples, fault_of_input

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnn import _core, losses
    from cnn._sources import Source
    from cnn._training.samples import ClassWeight
    from cnn._training.streams import Stream


def stream_of(
    where: str,
    network: _core.Network,
    loss: losses.Loss,
    source: Source,
    class_weight: ClassWeight | None = None,
) -> Stream:
    """Return the samples of a source."""
    from cnn._training.streams import Stream  # noqa: PLC0415  # as said above

    return Stream(where, network, loss, source, class_weight)


def validation_samples(
    where: str,
    network: _core.Network,
    loss: losses.Loss,
    validation_data: object,
    names: list[str] | None,
    *,
    is_split: bool,
    epochs: int,
) -> Samples | Stream | None:
    """Return the samples of fit's validation_data, or of its validation_split; `names` as above."""
    if validation_data is None:
        return None
    whole = f"{where}: validation_data"
    source = None
    if isinstance(validation_data, (tuple, list)) and len(validation_data) in (2, 3):
        x, t, *rest = validation_data
        x, t = streams.with_targets(whole, x, t)
        weight = rest[0] if rest else None
        source = source_of(whole, x, t, weight)
    else:
        if not isinstance(validation_data, (tuple, list)):
            source = source_of(whole, validation_data, None, None)
        if source is None:
            raise TypeError(
                f"{where}: validation_data is of type {type(validation_data).__name__}, should be "
                f"a tuple (x, t) or (x, t, sample_weight)"
            )
    if source is not None:
        if source.once and epochs > 1:
            raise ValueError(
                f"{whole} can be read only once, as it is an iterator, but epochs is {epochs}; "
                f"should be an object that iter() begins again, such as a list of batches"
            )
        return stream_of(whole, network, loss, source)
    # Messages count the rows from the first of these.
    what = f"the last {len(t)} rows (validation_split)" if is_split else "validation_data"
    where = f"{where}: {what}"
    samples = checked_samples(where, network, loss, x, t, weight, None, names)
    # Now, since an error after the first epoch would lose that epoch.
    fault = fault_of_input(samples, network)
    if fault:
        raise InputError(f"{where}: {fault}")
    return samples


def source_of(
    where: str,
    x: Any,
    t: Any,
    sample_weight: Any,
    shuffle_buffer: object = None,
    *,
    inputs_only: bool = False,
) -> Source | None:
    """Return the source of samples that are a stream; None for arrays and what is read as such."""
    buffer = None
    if shuffle_buffer is not None:
        buffer = checks.integer(where, "shuffle_buffer", shuffle_buffer, 1)
    if type(x) is np.ndarray or not streams.is_stream(
        x, with_targets=not inputs_only and (t is None or isinstance(t, str))
    ):
        return None
    from cnn._sources import opened  # noqa: PLC0415  # as said above

    return opened(where, x, t, sample_weight=sample_weight, buffer=buffer, inputs_only=inputs_only)


def stream_outputs(
    where: str, network: _core.Network, x: Any, out: NDArray[Any] | None
) -> NDArray[Any]:
    """Return the outputs of a network for a stream."""
    from cnn._sources import opened  # noqa: PLC0415  # as said above
    from cnn._training.streams import predict  # noqa: PLC0415

    # A copy, so that all rows see the same weights, even if another thread trains the network.
    return predict(where, network.copy(), opened(where, x, inputs_only=True), out)
