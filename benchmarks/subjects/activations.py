"""Softmax and the other activations, forward and backward, into memory that is there already."""

from __future__ import annotations

import targets
from cases import Activation
from comparison import compare
from session import Section, Session

FUNCTIONS = (
    "softmax",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "softplus",
    "silu",
    "gelu",
    "step",
)
SHAPES = ((100, 10), (1024, 1000), (4096, 4096))
PEERS = ("PyTorch", "JAX", "ONNX Runtime", "SciPy", "NumPy")


def run(session: Session) -> Section:
    """Time all functions on all shapes; the derivative of step is 0 and not worth a row."""
    cases = [
        Activation(function, direction, *shape)
        for function in FUNCTIONS
        for direction in ("forward", "backward")
        if (function, direction) != ("step", "backward")
        for shape in SHAPES
    ]
    if session.options.quick:
        cases = [case for case in cases if ("activations", case.name) in targets.RATIOS]
    note = (
        "Seconds per call. cnn, PyTorch, NumPy and SciPy (but for softmax) write into `out`; JAX "
        "and ONNX Runtime make new arrays, as they know nothing else."
    )
    return compare(session, "activations", note, cases, PEERS)
