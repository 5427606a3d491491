"""Sharded training under mpiexec: the same bits for any number of processes, killed or not."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from marks import slow

from cnn import _core
from cnn.distributed import _checkpoint

sys.path.insert(0, str(Path(__file__).parent))
import mpi_runs

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """Return the result of one process, without MPI, by dtype."""
    return {dtype: mpi_runs.train(None, {"dtype": dtype}) for dtype in ("float32", "float64")}


@pytest.mark.parametrize("size", [1, 3, *slow(2, 4, 8)])
@pytest.mark.parametrize("dtype", ["float32", *slow("float64")])
def test_bits_do_not_depend_on_processes(size, dtype, expected, tmp_path):
    code, found, text = mpi_runs.run(size, {"dtype": dtype}, tmp_path)
    assert (code, found) == (0, [expected[dtype]] * size), text


@pytest.mark.parametrize("threads", [*slow(1), 2])
@pytest.mark.parametrize("isa", [isa for isa in _core.isas() if isa in ("scalar", "avx2")])
def test_bits_do_not_depend_on_threads_and_isas(threads, isa, expected, tmp_path):
    code, found, text = mpi_runs.run(2, {"threads": threads, "isa": isa}, tmp_path)
    assert (code, found) == (0, [expected["float32"]] * 2), text


def test_bits_do_not_depend_on_files(expected, tmp_path):
    mpi_runs.write_files(tmp_path)
    _, found, text = mpi_runs.run(3, {"files": str(tmp_path)}, tmp_path / "out")
    assert found == [expected["float32"]] * 3, text


@pytest.mark.parametrize("size", [2, *slow(1, 3, 4, 8)])
@pytest.mark.parametrize("dtype", [*slow("float32"), "float64"])
def test_bits_do_not_depend_on_processes_that_read_parquet(size, dtype, tmp_path):
    mpi_runs.write_files(tmp_path)
    settings = {"files": str(tmp_path), "parquet": True, "dtype": dtype}
    code, found, text = mpi_runs.run(size, settings, tmp_path / "out")
    assert (code, found) == (0, [mpi_runs.train(None, settings)] * size), text


def test_rows_of_parquet_in_their_order_give_the_bits_of_arrays(tmp_path):
    mpi_runs.write_files(tmp_path)
    settings = {"files": str(tmp_path), "parquet": True, "shuffle": False}
    _, found, text = mpi_runs.run(2, settings, tmp_path / "out")
    assert found == [mpi_runs.train(None, {"shuffle": False})] * 2, text


@pytest.mark.parametrize(
    ("bad", "kind", "text"),
    [
        ("label", "ValueError", "t has label 5"),
        ("nan", "InputError", "x has nan in row 9, column 2"),
        ("width", "ValueError", "x has 11 columns"),
        ("rows", "ValueError", "x has 0 rows"),
    ],
)
def test_bad_data_of_one_rank_end_all(bad, kind, text, tmp_path):
    begin = time.monotonic()
    code, found, _ = mpi_runs.run(3, {"bad": bad}, tmp_path)
    assert time.monotonic() - begin < 20
    assert code != 0
    for one in found:
        assert one["error"] == kind
        assert f"rank 2: shard 4: {text}" in one["text"]
    assert len({one["text"] for one in found}) == 1


def test_a_rank_that_is_killed_ends_all(tmp_path):
    """The launcher ends the others within seconds; the log tells which process was which rank."""
    checkpoint = tmp_path / "run.safetensors"
    settings = {"epochs": 10_000, "log": True, "checkpoint": str(checkpoint)}
    process = mpi_runs.start(3, settings, tmp_path)
    killed = mpi_runs.pids(tmp_path, 3)[1]
    while not checkpoint.exists():
        time.sleep(0.01)
    os.kill(killed, signal.SIGKILL)
    begin = time.monotonic()
    stdout, stderr = process.communicate(timeout=30)
    seconds = time.monotonic() - begin
    assert seconds < 5
    assert process.returncode != 0
    assert f"rank 1 of 3 is process {killed}" in stdout + stderr
    assert f"PID {killed}" in stdout + stderr or "KILLED" in (stdout + stderr).upper()
    print(f"{seconds:.2f} s; {stdout[-600:]}")


@pytest.mark.parametrize("trial", [0, *slow(*range(1, 20))])
def test_a_killed_run_goes_on_to_the_same_bits(trial, whole, tmp_path):
    """Ranks are killed at a random moment, one or all, and the run goes on with other ranks."""
    result, seconds = whole
    rng = np.random.default_rng(trial)
    before, after = rng.choice([1, 2, 3, 4], 2, replace=False).tolist()
    settings = {"checkpoint": str(tmp_path / "run.safetensors"), "epochs": 12}
    process = mpi_runs.start(before, settings, tmp_path / "killed")
    found = mpi_runs.pids(tmp_path / "killed", before)
    time.sleep(rng.uniform(0.0, seconds))
    if trial % 2:
        found = [found[int(rng.integers(before))]]
    for pid in found:
        with contextlib.suppress(ProcessLookupError):  # it may have ended before
            os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    left = "no checkpoint"
    if Path(settings["checkpoint"]).exists():
        state = _checkpoint.read("test", settings["checkpoint"])[1]
        left = "epoch {epoch}, step {step}".format(**_checkpoint.loaded(state))
    print(f"killed {'one' if trial % 2 else 'all'} of {before} at {left}; goes on with {after}")
    code, found, text = mpi_runs.run(after, settings, tmp_path / "resumed")
    assert (code, found) == (0, [result] * after), text


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the result of a run that is not killed, and how long it takes after its begin."""
    out = tmp_path_factory.mktemp("whole")
    settings = {"checkpoint": str(out / "run.safetensors"), "epochs": 12}
    process = mpi_runs.start(2, settings, out)
    mpi_runs.pids(out, 2)
    begin = time.monotonic()
    process.communicate(timeout=120)
    seconds = time.monotonic() - begin
    found = json.loads((out / "0.json").read_text())
    return found, seconds


def test_a_full_disk_ends_all_and_leaves_the_checkpoint_before(whole, tmp_path):
    """A file system with room for one checkpoint, but not for two; it needs the right to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a small file system")
    if subprocess.call(["mount", "-t", "tmpfs", "-o", "size=44k", "tmpfs", disk]) != 0:
        pytest.skip("no small file system can be mounted here")
    try:
        settings = {"checkpoint": str(disk / "run.safetensors"), "epochs": 12}
        code, found, text = mpi_runs.run(2, settings, tmp_path / "full")
        assert code != 0
        for one in found:
            assert one["error"] == "OSError", text
            assert "rank 0: No space left on device" in one["text"]
        assert not [name for name in os.listdir(disk) if name.endswith(".tmp")]
        kept = tmp_path / "kept"
        shutil.copytree(disk, kept)
    finally:
        subprocess.run(["umount", disk], check=True)
    settings["checkpoint"] = str(kept / "run.safetensors")
    code, found, text = mpi_runs.run(3, settings, tmp_path / "resumed")
    assert (code, found) == (0, [whole[0]] * 3), text


@pytest.mark.parametrize("who", [*slow("rank 0"), "rank 1", "the launcher"])
def test_an_interrupt_ends_all(who, tmp_path):
    """Also if the process waits for others at that moment, which then wait for it in turn."""
    checkpoint = tmp_path / "run.safetensors"
    process = mpi_runs.start(3, {"epochs": 10_000, "checkpoint": str(checkpoint)}, tmp_path)
    found = mpi_runs.pids(tmp_path, 3)
    while not checkpoint.exists():
        time.sleep(0.01)
    os.kill({"rank 0": found[0], "rank 1": found[1]}.get(who, process.pid), signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode != 0
    if who != "the launcher":
        other = json.loads((tmp_path / "2.json").read_text())
        assert other["error"] == "RuntimeError"
        assert f"{who}: " in other["text"]
        assert "KeyboardInterrupt" in other["text"]
