"""How much memory an epoch of training needs beside its data."""

from __future__ import annotations

import sys
from dataclasses import replace

from cases import LECTURE, train
from processes import PeerError, Worker
from session import Section, Session

PEERS = ("cnn", "PyTorch", "JAX", "JAX scan", "scikit-learn")
SAMPLES = 200_000  # 627 MB


def run(session: Session) -> Section:
    """Train for an epoch on a big array, each library in a process of its own."""
    note = (
        f"Most memory of the process during an epoch on {SAMPLES} rows, less what it had after an "
        f"epoch on a few rows, and less the {SAMPLES * 784 * 4 / 1e6:.0f} MB of the inputs. "
        f"{LECTURE.name}, SGD, batch 100. Copies of the data count."
    )
    section = Section("memory", note, ["library", "MB beside the data"])
    if not sys.platform.startswith("linux"):
        section.failures.append("reads /proc, which only Linux has")
        return section
    small = replace(train(LECTURE, "SGD", 100), samples=1000)
    for peer in PEERS:
        if peer not in ("cnn", *session.options.peers):
            continue
        try:
            with Worker(session.setting(peer, 1)) as worker:
                needed = worker.ask("memory", small, replace(small, samples=SAMPLES))
        except PeerError as error:
            section.failures.append(f"{peer}: {error}")
            continue
        section.lines.append([peer, f"{needed / 1e6:.1f}"])
        session.log(f"memory: {peer} {needed / 1e6:.1f} MB")
    return section
