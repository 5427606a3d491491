"""How much faster a second process trains a network, beside a second thread.

    make bench-distributed ARGS="--repeat 20"

A job of two MPI processes trains the same shards in turn: one process on one thread, one process on
two threads, two processes on one thread each, and two that train alone at the same time. What waits
meanwhile sleeps. It prints the time of a step and how many times faster two are: the median over
the repeats of the ratio within each, since a machine's speed changes with what else it does. Two
that train alone need nothing of one another: their ratio is the most that the machine can give. All
end in the same bits, which it checks. Run it on a machine with at least two free cores: more
processes than cores say nothing.
"""

import argparse
import os
import subprocess
import sys
import time
from statistics import median
from typing import Any

import numpy as np

SHARDS = 4
STEPS = 10  # of an epoch
NETWORKS = {
    "784-128-10": (2048, [784, 128, 10]),
    "784-512-512-10": (1024, [784, 512, 512, 10]),
    "784-1024-1024-10": (512, [784, 1024, 1024, 10]),
    "784-512-512-10, large batch": (4096, [784, 512, 512, 10]),
}
WAYS = ("alone", "threads", "processes", "two alone")


def shards(batch_size: int, columns: int) -> list[Any]:
    """Return rows and labels for STEPS batches."""
    rng = np.random.default_rng(0)
    rows = STEPS * batch_size // SHARDS
    return [
        (rng.standard_normal((rows, columns), dtype=np.float32), rng.integers(0, 10, rows))
        for _ in range(SHARDS)
    ]


def meet(world: Any) -> None:
    """Wait for the other process, asleep."""
    request = world.Ibarrier()
    while not request.Test():
        time.sleep(0.001)


def seconds(world: Any, way: str, data: Any, name: str) -> tuple[float, bytes]:
    """Return the time of a step, and the weights."""
    from mpi4py import MPI

    import cnn

    batch_size, sizes = NETWORKS[name]
    cnn.set_num_threads(2 if way == "threads" else 1)
    found = float("inf"), b""
    meet(world)
    if world.rank == 0 or way in ("processes", "two alone"):
        net = cnn.mlp(sizes, "relu", "softmax", rng=0)
        history = cnn.distributed.fit(
            net,
            data,
            comm=world if way == "processes" else MPI.COMM_SELF,
            epochs=3,
            batch_size=batch_size,
            optimizer=cnn.SGD(0.01),
            progress=False,
        )
        weights = b"".join(array.tobytes() for array in net.get_weights())
        found = min(history.seconds) / STEPS, weights
    meet(world)
    return found


def worker(repeat: int, names: list[str]) -> None:
    """Measure, as one of two processes."""
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    for name in names:
        batch_size, sizes = NETWORKS[name]
        data = shards(batch_size, sizes[0])
        turns = [[seconds(world, way, data, name) for way in WAYS] for _ in range(repeat)]
        if world.rank > 0:
            continue
        if len({weights for turn in turns for _, weights in turn}) != 1:
            raise RuntimeError(f"{name}: the ways end in different bits")
        times = np.array([[1e3 * time for time, _ in turn] for turn in turns])
        ratios = [median(times[:, 0] / times[:, way]) for way in (1, 2, 3)]
        print(
            f"{name}, batches of {batch_size}: a step takes {median(times[:, 0]):.2f} ms, "
            f"on 2 threads {median(times[:, 1]):.2f} ms ({ratios[0]:.2f} x), "
            f"on 2 processes {median(times[:, 2]):.2f} ms ({ratios[1]:.2f} x); "
            f"the machine gives {2 * ratios[2]:.2f} x to two that train alone",
            flush=True,
        )


def main() -> None:
    """Start the job."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.repeat, options.networks)
        return
    if (os.cpu_count() or 1) < 2:
        parser.error("a second process needs a second core")
    subprocess.run(
        ["mpiexec", "-n", "2", sys.executable, "-P", "-m", "mpi4py", *sys.argv, "--worker"],
        check=True,
    )


if __name__ == "__main__":
    main()
