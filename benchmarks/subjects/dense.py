"""Dense layers alone: forward, and each of the two gradients."""

from __future__ import annotations

import targets
from cases import Product
from comparison import compare
from session import Goal, Section, Session

SHAPES = ((128, 1024, 1024), (1024, 1024, 1024), (4096, 1024, 1024), (2048, 2048, 2048))
PEERS = ("PyTorch", "JAX", "ONNX Runtime", "NumPy")


def run(session: Session) -> Section:
    """Time the three products of all shapes, and judge the large ones by the FMA peak."""
    cases = [Product(part, *shape) for shape in SHAPES for part in ("forward", "dX", "dW")]
    if session.options.quick:
        cases = [case for case in cases if case.rows in (1024, 2048)]
    note = "Seconds per call; shapes are rows x inputs x outputs."
    section = compare(session, "dense", note, cases, PEERS)
    share = section.columns.index("roofline")
    for line in section.lines:
        if line[1] != "1" or not line[0].endswith(targets.LARGE_LAYERS) or "FMA" not in line[share]:
            continue
        reached = float(line[share].partition("%")[0]) / 100
        wanted = targets.FMA_SHARE_OF_LARGE_LAYERS
        section.goals.append(
            Goal(f"dense {line[0]}", line[share], f"≥ {wanted:.0%} FMA", reached >= wanted)
        )
    return section
