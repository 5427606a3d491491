"""How fast a network trains on files beside the same rows in memory, and in how much memory.

    make bench-streaming ARGS="--folder FOLDER --gigabytes 8"

It makes a data set of float32 numbers, as .npy files and as Parquet files. Then it trains on each
and on the same rows in memory in turn, each in a process of its own. It prints the rows per second,
the ratios, and the largest resident set of the process that reads files. The files stay; delete the
folder afterwards.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = 784
CLASSES = 10
GROUP = 5000  # rows that are made at a time, and of a row group
FILE = 20 * GROUP  # rows of a Parquet file
NETWORKS = {
    "784-50-100-10": [COLUMNS, 50, 100, CLASSES],
    "784-256-128-10": [COLUMNS, 256, 128, CLASSES],
}
PARQUET = {"parquet": "columns", "parquet-lists": "lists"}  # their folders
FORMATS = ("npy", *PARQUET)


def blocks(rows: int) -> Any:
    """Yield x and t in blocks."""
    rng = np.random.default_rng(0)
    for first in range(0, rows, GROUP):
        x = rng.random((min(GROUP, rows - first), COLUMNS), dtype=np.float32)
        yield first, x, x[:, :CLASSES].argmax(axis=1)


def make_npy(folder: Path, rows: int) -> None:
    """Write x.npy and t.npy."""
    if (folder / "t.npy").exists():
        return
    targets = np.empty(rows, np.int64)
    with open(folder / "x.npy", "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (rows, COLUMNS)}
        np.lib.format.write_array_header_1_0(file, header)
        for first, x, t in blocks(rows):
            file.write(x.data)
            targets[first : first + len(t)] = t
    np.save(folder / "t.npy", targets)


def make_parquet(folder: Path, rows: int, name: str) -> None:
    """Write Parquet files with a column for each number, or with one of lists."""
    import pyarrow as pa
    from pyarrow import parquet

    whole = folder / PARQUET[name]
    part = whole.with_suffix(".part")
    if whole.exists():
        return
    part.mkdir(exist_ok=True)
    writer: Any = None
    for first, x, t in blocks(rows):
        if name == "parquet":
            arrays = [pa.array(np.ascontiguousarray(column)) for column in x.T]
            names = [f"p{i}" for i in range(COLUMNS)]
        else:
            arrays, names = [pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), COLUMNS)], ["x"]
        table = pa.table([*arrays, pa.array(t)], [*names, "t"])
        if first % FILE == 0:
            if writer is not None:
                writer.close()
            # Random numbers do not become smaller.
            writer = parquet.ParquetWriter(
                part / f"{first // FILE:04d}.parquet",
                table.schema,
                compression="none",
                use_dictionary=False,
            )
        if writer is not None:
            writer.write_table(table, row_group_size=GROUP)
    if writer is not None:
        writer.close()
    part.rename(whole)


def resident() -> int:
    """Return the largest resident set of this process so far, in MB."""
    with open("/proc/self/status", encoding="ascii") as file:
        lines = dict(line.split(":", 1) for line in file)
    return int(lines["VmHWM"].split()[0]) // 1024


def worker(form: str, folder: Path, network: str, threads: int, batch_size: int) -> None:
    """Train for an epoch for each line of stdin; print the seconds and the resident set."""
    import cnn

    cnn.set_num_threads(threads)
    net = cnn.mlp(NETWORKS[network], "relu", "softmax", rng=0)
    optimizer = cnn.Adam()
    x: Any
    t: Any
    if form == "memory":
        x, t = np.load(folder / "x.npy"), np.load(folder / "t.npy")
    elif form == "npy":
        x, t = folder / "x.npy", folder / "t.npy"
    else:
        x, t = folder / PARQUET[form], "t"
    print("ready", flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter(), time.thread_time(), time.process_time()
        history = net.fit(x, t, batch_size=batch_size, optimizer=optimizer, progress=False)
        end = time.perf_counter(), time.thread_time(), time.process_time()
        seconds, main, every = (b - a for a, b in zip(begin, end, strict=True))
        found = {"seconds": seconds, "main": main, "reader": every - main}
        found |= {"resident": resident(), "loss": history["loss"][-1]}
        print(json.dumps(found), flush=True)


class Worker:
    """A process that trains when it is asked."""

    def __init__(self, form: str, options: argparse.Namespace, network: str) -> None:
        words = ["--worker", form, "--folder", str(options.folder), "--networks", network]
        words += ["--threads", str(options.threads), "--batch-size", str(options.batch_size)]
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).parent), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._line()

    def _line(self) -> str:
        if self.process.stdout is None:
            raise RuntimeError("the worker has no output")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the worker has ended")
        return line

    def epoch(self) -> dict[str, float]:
        """Train for an epoch."""
        if self.process.stdin is None:
            raise RuntimeError("the worker has no input")
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        found: dict[str, float] = json.loads(self._line())
        return found

    def end(self) -> None:
        """End the process."""
        self.process.communicate()


def compare(form: str, options: argparse.Namespace, network: str, rows: int) -> None:
    """Print how fast files of a format are beside memory."""
    stream = Worker(form, options, network)
    memory = Worker("memory", options, network)
    pairs = [(memory.epoch(), stream.epoch()) for _ in range(options.repeat)]
    stream.end()
    memory.end()
    ratios = [inside["seconds"] / outside["seconds"] for inside, outside in pairs]
    inside, outside = pairs[int(np.argmax(ratios))]
    last = pairs[-1]
    same = ", the same loss" if last[0]["loss"] == last[1]["loss"] else ""
    print(
        f"{form}, {network}, {options.threads} threads, batches of {options.batch_size}: "
        f"{rows / outside['seconds']:,.0f} rows/s, in memory {rows / inside['seconds']:,.0f}; best "
        f"ratio {max(ratios):.3f}, all {' '.join(f'{ratio:.3f}' for ratio in ratios)}; at most "
        f"{last[1]['resident']} MB resident{same}"
    )
    # What a CPU does for a row, whatever else the machine does.
    times = [
        1e6 * min(pair[i][name] for pair in pairs) / rows
        for i, name in ((0, "main"), (1, "main"), (1, "reader"))
    ]
    print(
        f"    CPU per row: in memory {times[0]:.2f} us; from files {times[1]:.2f} us of the main "
        f"thread and {times[2]:.2f} us of others",
        flush=True,
    )


def decode(folder: Path, name: str, rows: int) -> None:
    """Print how fast pyarrow alone decodes a file, on one thread."""
    from pyarrow import parquet

    best = float("inf")
    for _ in range(2):
        begin = time.thread_time()
        for path in sorted((folder / PARQUET[name]).iterdir()):
            file = parquet.ParquetFile(path, pre_buffer=False)
            for _ in file.iter_batches(2674, use_threads=False):
                pass
        best = min(best, time.thread_time() - begin)
    print(f"{name}: pyarrow alone decodes a row in {1e6 * best / rows:.2f} us of CPU", flush=True)


def main() -> None:
    """Make the files, and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--gigabytes", type=float, default=8.0)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=["npy", "parquet"])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(
            options.worker,
            options.folder,
            options.networks[0],
            options.threads,
            options.batch_size,
        )
        return
    rows = int(options.gigabytes * 1e9 / (4 * COLUMNS))
    options.folder.mkdir(parents=True, exist_ok=True)
    make_npy(options.folder, rows)
    for form in options.formats:
        if form in PARQUET:
            make_parquet(options.folder, rows, form)
            decode(options.folder, form, rows)
        for network in options.networks:
            compare(form, options, network, rows)
    files = [path for path in options.folder.rglob("*") if path.is_file()]
    sizes: dict[str, float] = {}
    for path in files:
        name = path.relative_to(options.folder).parts[0]
        sizes[name] = sizes.get(name, 0.0) + path.stat().st_size / 1e9
    print(
        ", ".join(f"{name} {size:.1f} GB" for name, size in sizes.items()), os.cpu_count(), "CPUs"
    )


if __name__ == "__main__":
    main()
