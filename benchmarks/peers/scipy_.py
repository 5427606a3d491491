"""SciPy's special functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy
import scipy.special
from numpy.typing import NDArray

import data
from cases import Activation
from peers.base import Job, Peer, same


def _gelu(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    np.multiply(x, np.float32(0.5**0.5), out=y)
    scipy.special.erf(y, out=y)
    np.add(y, np.float32(1), out=y)
    np.multiply(y, x, out=y)
    return np.multiply(y, np.float32(0.5), out=y)


FORWARD: dict[str, Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]] = {
    "sigmoid": lambda x, y: scipy.special.expit(x, out=y),
    "softmax": lambda x, y: scipy.special.softmax(x, axis=1),
    "gelu": _gelu,
}


class Scipy(Peer):
    """It has some activations, and no nets."""

    @property
    def version(self) -> str:
        return str(scipy.__version__)

    def activation(self, case: Activation) -> list[Job]:
        if case.direction != "forward" or case.function not in FORWARD:
            return []
        a = data.activation(case)
        function = FORWARD[case.function]
        return [same(lambda: function(a.x, a.out))]
