"""Training: epochs of shuffled batches."""

from __future__ import annotations

import targets
from cases import LECTURE_ON_NOISE, MEDIUM_ON_NOISE, NETS, WIDE_ON_NOISE, train
from comparison import compare
from session import Section, Session

BATCHES = (1, 32, 100, 128, 1024)
OPTIMIZERS = ("SGD", "Adam")
PEERS = ("PyTorch", "torch.compile", "JAX", "JAX scan", "scikit-learn")


def run(session: Session) -> Section:
    """Time all nets with both optimizers and all sizes of batches."""
    cases = [
        train(net, optimizer, batch)
        for net in NETS
        for optimizer in OPTIMIZERS
        for batch in BATCHES
    ]
    cases += [
        train(LECTURE_ON_NOISE, "SGD", 100),
        train(LECTURE_ON_NOISE, "Adam", 100),
        train(MEDIUM_ON_NOISE, "SGD", 128),
        train(WIDE_ON_NOISE, "Adam", 128),
    ]
    if session.options.quick:
        cases = [case for case in cases if ("training", case.name) in targets.RATIOS]
    note = (
        "Seconds per sample, of whole epochs with their shuffling and the gathering of batches. "
        "Loss: cross-entropy on class numbers after softmax, else squared error. PyTorch is the "
        "faster of its default and its fused optimizers; a step of JAX is one compiled call, and "
        "in JAX scan a whole epoch is."
    )
    return compare(session, "training", note, cases, PEERS)
