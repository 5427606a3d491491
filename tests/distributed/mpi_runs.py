"""A run of sharded training under mpiexec, and the program that each rank runs."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import cnn
from cnn import _core

SHARDS, ROWS, INPUTS, CLASSES = 6, 1500, 12, 5


def data(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((ROWS, INPUTS)).astype(np.float32)
    t = (x @ rng.standard_normal((INPUTS, CLASSES))).argmax(axis=1)
    weight = rng.uniform(0.0, 2.0, ROWS)
    return x, t, weight


def shards_of(count, seed=0):
    return [tuple(part[shard::count] for part in data(seed)) for shard in range(count)]


def write_files(folder):
    """Write the shards as .npy files and as Parquet files."""
    import pyarrow
    from pyarrow import parquet

    for shard, parts in enumerate(shards_of(SHARDS)):
        for name, part in zip("xtw", parts, strict=True):
            np.save(Path(folder) / f"{name}{shard}.npy", part)
        x, t, weight = parts
        columns = {f"x{i}": column for i, column in enumerate(x.T.copy())} | {"t": t, "w": weight}
        parquet.write_table(
            pyarrow.table(columns), Path(folder) / f"{shard}.parquet", row_group_size=100
        )


def shards(settings):
    """Return the shards, or a function of their number, as settings say."""
    folder = settings.get("files")
    if folder is None:
        found = shards_of(SHARDS)
    elif settings.get("parquet"):
        found = [(f"{folder}/{shard}.parquet", "t", "w") for shard in range(SHARDS)]
    else:
        found = [tuple(f"{folder}/{n}{shard}.npy" for n in "xtw") for shard in range(SHARDS)]
    bad = settings.get("bad")
    if bad is not None:
        x, t, weight = (part.copy() for part in found[4])
        if bad == "label":
            t[7] = CLASSES
        elif bad == "nan":
            x[9, 2] = np.nan
        elif bad == "width":
            x = x[:, 1:]
        elif bad == "rows":
            x, t, weight = x[:0], t[:0], weight[:0]
        found[4] = x, t, weight
    return found


def train(comm, settings):
    """Train as settings say; return what is compared."""
    dtype = settings.get("dtype", "float32")
    net = cnn.mlp([INPUTS, 64, CLASSES], "relu", "softmax", rng=1, dtype=dtype, dropout=0.2)
    optimizer = cnn.Adam(cnn.StepDecay(0.02, step_size=20), clip_norm=0.5)
    stop = cnn.EarlyStopping(patience=20, restore_best_weights=True)
    history = cnn.distributed.fit(
        net,
        shards(settings),
        comm=comm,
        epochs=settings.get("epochs", 3),
        batch_size=128,
        optimizer=optimizer,
        validation_data=shards_of(3, seed=1),
        class_weight="balanced",
        shuffle=settings.get("shuffle", True),
        callbacks=[stop],
        checkpoint=settings.get("checkpoint"),
        every=2 if "checkpoint" in settings else None,
        progress=False,
    )
    # A file of its own imports this module, so not from shard_threads.
    import hashlib

    found = hashlib.sha256()
    for array in [*net.get_weights(), *optimizer.__getstate__()["_waiting"].slots]:
        found.update(array.tobytes())
    return {"hash": found.hexdigest(), "loss": history.loss, "val_loss": history.val_loss}


def mpiexec():
    """Return mpiexec of the environment that has mpi4py and mpich."""
    found = Path(sys.executable).parent / "mpiexec"
    if not found.exists():
        raise FileNotFoundError(f"{found}: pip install mpi4py mpich makes it")
    return str(found)


def start(size, settings, out):
    """Start a run of `size` ranks; rank r writes its result or its error to out/r.json."""
    out.mkdir(exist_ok=True)
    program = [sys.executable, "-P", __file__, json.dumps(settings), str(out)]
    environment = os.environ | {"PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [mpiexec(), "-n", str(size), *program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


def pids(out, size, seconds=30):
    """Return the processes of the ranks, when all have begun."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = [out / f"{rank}.pid" for rank in range(size)]
        if all(path.exists() and path.read_text() for path in found):
            return [int(path.read_text()) for path in found]
        time.sleep(0.01)
    raise TimeoutError("the ranks did not begin")


def run(size, settings, out):
    """Run to the end; return what each rank wrote."""
    process = start(size, settings, out)
    stdout, stderr = process.communicate(timeout=120)
    found = [json.loads((out / f"{rank}.json").read_text()) for rank in range(size)]
    return process.returncode, found, stdout + stderr


def main():
    """Be a rank."""
    from mpi4py import MPI

    settings, out = json.loads(sys.argv[1]), Path(sys.argv[2])
    comm = MPI.COMM_WORLD
    (out / f"{comm.rank}.pid").write_text(str(os.getpid()))
    if "isa" in settings:
        _core.select_isa(settings["isa"])
    cnn.set_num_threads(settings.get("threads", 1))
    if "log" in settings:
        import logging

        logging.basicConfig(level=logging.INFO, format="%(message)s")
    code = 0
    try:
        found = train(comm, settings)
    except Exception as error:
        notes = [str(note) for note in getattr(error, "__notes__", ())]
        found = {"error": type(error).__name__, "text": str(error), "notes": notes}
        code = 3
    (out / f"{comm.rank}.json").write_text(json.dumps(found))
    sys.exit(code)


if __name__ == "__main__":
    main()
