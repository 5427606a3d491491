"""What is done after each epoch of the training on a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnn.callbacks import Callback
from cnn.history import History
from cnn.layers import Dense

if TYPE_CHECKING:
    from cnn._training.hooks import Logs


class Recorder(Callback):
    """Records the metrics of each epoch, also of a training that is interrupted."""

    def __init__(self) -> None:
        self.history = History()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Record the metrics."""
        self.history.append(epoch, logs)

    def get_state(self) -> dict[str, Any]:
        """Return the metrics."""
        return {"epoch": self.history.epoch, "history": self.history.history}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take the metrics of a run that goes on."""
        self.history.epoch, self.history.history = state["epoch"], state["history"]


class Floor(Callback):
    """Keeps weights that the L2 penalty has driven to almost 0 from becoming denormal numbers.

    Units that no row activates only have the penalty. Their weights, and the optimizer's moments,
    shrink to denormal numbers, with which a step takes 15 to 40 times as long. Weights of 0 would
    not help: the moments of a gradient of 0 become denormal, too, and stay so by rounding. 1e-8 is
    less than the rounding of a weight of 1 in float32, and each machine computes the same.
    """

    _LEAST = np.float32(1e-8)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Raise the magnitude of tiny weights to 1e-8."""
        for layer in self.model.layers:
            if isinstance(layer, Dense):
                weight = layer.weight
                size = np.abs(weight)
                tiny = (size < self._LEAST) & (size > 0)
                if tiny.any():
                    layer.weight = np.where(tiny, np.copysign(self._LEAST, weight), weight)
