"""An hour of a service in three minutes: latencies beside ONNX Runtime's, bits, and memory.

    make load ARGS="--seconds 180"

Eight clients send batches of mixed sizes to two networks. Each of 60 simulated minutes has another
number of clients at work, from one to all, as traffic rises and falls. Half of each minute goes to
cnn and half to ONNX Runtime with the same networks, in turns that change places. Each call runs on
the thread of its client. Every prediction of cnn is compared with its expected bits. Memory is read
at the end of each minute, and may not grow. The program prints a table for each network, and ends
with an error if a bit is wrong or memory grows.

Without onnxruntime there are the columns of cnn alone.
"""

import argparse
import importlib.util
import math
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import cnn

NETWORKS = {"8-64-64-4": [8, 64, 64, 4], "784-50-100-10": [784, 50, 100, 10]}
CLIENTS = 8
MINUTES = 60
# How many of 100 calls have so many rows.
SIZES = {1: 50, 7: 20, 32: 15, 100: 8, 256: 5, 1000: 2}
POOL = 2000  # rows that requests are cut from
# The number of clients at work: two waves in the hour, and a minute of all in each quarter.
WAVE = [
    CLIENTS if minute % 15 == 7 else 1 + round(3.5 * (1 - math.cos(2 * math.pi * minute / 30)))
    for minute in range(MINUTES)
]
# Latencies are counted in steps of 1 %, so that memory does not depend on the number of calls.
STEP = math.log(1.01)
BUCKETS = 2400
# The first minutes fill caches of the allocator and of engines.
WARM = MINUTES // 6
MOST_GROWTH = 8 * 2**20  # bytes an hour

Predict = Callable[[Any], Any]


class Counts:
    """How many calls took how long, by network and number of rows, of one client and engine."""

    def __init__(self) -> None:
        self.counts = {
            (name, rows): np.zeros(BUCKETS, np.int64) for name in NETWORKS for rows in SIZES
        }
        self.wrong = 0

    def add(self, name: str, rows: int, seconds: float) -> None:
        """Count a call."""
        bucket = int(math.log(max(seconds, 1e-7) / 1e-7) / STEP)
        self.counts[name, rows][min(bucket, BUCKETS - 1)] += 1


def percentile(counts: Any, share: float) -> float:
    """Return the time in microseconds that this share of the calls takes at most."""
    bucket = int(np.searchsorted(np.cumsum(counts), share * counts.sum()))
    return 0.1 * math.exp((bucket + 1) * STEP)


def engines(folder: Path) -> dict[str, dict[str, Predict]]:
    """Return what predicts with each network, by engine."""
    found: dict[str, dict[str, Predict]] = {"cnn": {}}
    cnn.set_num_threads(1)
    for name, sizes in NETWORKS.items():
        net = cnn.mlp(sizes, "relu", "softmax", rng=0)
        net.to_onnx(folder / f"{name}.onnx")
        found["cnn"][name] = net.predict
    if importlib.util.find_spec("onnxruntime") is None:
        return found
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1

    def session(name: str) -> Predict:
        made = onnxruntime.InferenceSession(folder / f"{name}.onnx", options)
        return lambda x: made.run(None, {"input": x})[0]

    found["ONNX Runtime"] = {name: session(name) for name in NETWORKS}
    return found


class Service:
    """Clients that call one engine at a time."""

    def __init__(self, predict: dict[str, dict[str, Predict]]) -> None:
        self.predict = predict
        self.counts = {engine: [Counts() for _ in range(CLIENTS)] for engine in predict}
        rng = np.random.default_rng(0)
        self.x = {
            name: rng.standard_normal((POOL, sizes[0]), np.float32)
            for name, sizes in NETWORKS.items()
        }
        self.y = {name: predict["cnn"][name](x) for name, x in self.x.items()}
        # Each client goes round in a list of requests of its own: a network, rows, the first row.
        share = np.array([*SIZES.values()]) / sum(SIZES.values())
        self.requests = [
            [
                (name, rows, int(rng.integers(0, POOL - rows)))
                for name in rng.choice([*NETWORKS], 1000).tolist()
                for rows in rng.choice([*SIZES], 1, p=share).tolist()
            ]
            for _ in range(CLIENTS)
        ]

    def client(self, engine: str, number: int, end: float) -> None:
        """Call until the end of the turn."""
        counts, predict = self.counts[engine][number], self.predict[engine]
        i = number
        while time.perf_counter() < end:
            name, rows, first = self.requests[number][i % 1000]
            i += 1
            x = self.x[name][first : first + rows]
            begin = time.perf_counter()
            y = predict[name](x)
            counts.add(name, rows, time.perf_counter() - begin)
            if engine == "cnn" and y.tobytes() != self.y[name][first : first + rows].tobytes():
                counts.wrong += 1

    def turn(self, engine: str, clients: int, seconds: float) -> None:
        """Let so many clients call an engine for some time."""
        end = time.perf_counter() + seconds
        threads = [
            threading.Thread(target=self.client, args=(engine, number, end))
            for number in range(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def run(self, seconds: float) -> list[int]:
        """Run all minutes; return the memory at the end of each, if the system tells it."""
        memory = []
        for minute, clients in enumerate(WAVE):
            order = [*self.predict][:: 1 if minute % 2 == 0 else -1]
            for engine in order:
                self.turn(engine, clients, seconds / MINUTES / len(order))
            memory.append(resident())
        return memory

    def wrong(self) -> tuple[int, int]:
        """Return how many predictions of cnn had other bits, and of how many."""
        counts = self.counts["cnn"]
        calls = sum(int(sum(n.sum() for n in one.counts.values())) for one in counts)
        return sum(one.wrong for one in counts), calls


def resident() -> int:
    """Return the anonymous memory of the process in bytes; 0 if the system does not tell it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def growth(memory: list[int]) -> float:
    """Return the bytes an hour by which memory grows, by least squares after the first minutes."""
    rest = np.array(memory[WARM:], np.float64)
    return float(np.polyfit(np.arange(len(rest)), rest, 1)[0] * MINUTES)


def line(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |")


def tables(service: Service) -> None:
    """Print p50 and p99 of each network and number of rows."""
    names = [*service.predict]
    for network in NETWORKS:
        print(f"\n{network}\n")
        line("rows", *(f"{engine}: {what}" for engine in names for what in COLUMNS))
        line(*["--:"] * (1 + len(COLUMNS) * len(names)))
        for rows in SIZES:
            cells: list[str] = []
            for engine in names:
                counts = np.sum([one.counts[network, rows] for one in service.counts[engine]], 0)
                p50, p99 = percentile(counts, 0.5), percentile(counts, 0.99)
                cells += [f"{counts.sum():,}", f"{p50:.1f}", f"{p99:.1f}"]
            line(rows, *cells)


COLUMNS = ("calls", "p50, µs", "p99, µs")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=180, help="how long it takes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = Service(engines(Path(folder)))
    versions = f"cnn {cnn.__version__}, Python {platform.python_version()}, {os.cpu_count()} CPUs"
    print(f"{versions}; {MINUTES} simulated minutes in {arguments.seconds:g} s")
    if len(service.predict) == 1:
        print("onnxruntime is not installed")
    memory = service.run(arguments.seconds)
    tables(service)
    grown, (wrong, calls) = growth(memory), service.wrong()
    print(f"\n{wrong} of {calls:,} predictions of cnn had other bits")
    first, last, slope, most = (n / 2**20 for n in (memory[WARM], memory[-1], grown, MOST_GROWTH))
    print(
        f"memory: {first:.1f} MiB after {WARM} minutes, {last:.1f} MiB at the end, slope "
        f"{slope:+.2f} MiB an hour (at most {most:g})"
    )
    return 1 if wrong or grown > MOST_GROWTH else 0


if __name__ == "__main__":
    sys.exit(main())
