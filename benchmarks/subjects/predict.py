"""Predicting: NumPy array in, NumPy array out."""

from __future__ import annotations

import data
import targets
from cases import LECTURE_ON_NOISE, MEDIUM_ON_NOISE, NETS, Predict
from comparison import compare
from session import Section, Session

ROWS = (1, 8, 100, 1000, 10_000)
PEERS = ("PyTorch", "torch.compile", "JAX", "ONNX Runtime", "scikit-learn", "NumPy")


def run(session: Session) -> Section:
    """Time all nets for all numbers of rows."""
    cases = [Predict(net, rows) for net in NETS for rows in ROWS]
    cases += [Predict(LECTURE_ON_NOISE, 100), Predict(MEDIUM_ON_NOISE, 10_000)]
    if session.options.quick:
        cases = [case for case in cases if ("predict", case.name) in targets.RATIOS]
    note = f"Seconds per call. Inputs of 784 numbers are {data.mnist_name()}."
    return compare(session, "predict", note, cases, PEERS)
