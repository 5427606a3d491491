"""`mpiexec -n 4 python -m cnn train`: the same file for any number of processes, killed or not."""

import csv
import gzip
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from marks import slow

pytestmark = pytest.mark.distributed

FILES, SHARDS = 8, 6
TARGETS = {"adult": "class", "california": "median_house_value"}


def command(size, *arguments):
    """Return the command of a training by some processes."""
    mpiexec = Path(sys.executable).parent / "mpiexec"
    if not mpiexec.exists():
        raise FileNotFoundError(f"{mpiexec}: pip install mpi4py mpich makes it")
    program = [sys.executable, "-P", "-m", "cnn", "train", *map(str, arguments)]
    return [str(mpiexec), "-n", str(size), *program] if size else program


def started(size, *arguments, **options):
    """Start a training."""
    return subprocess.Popen(
        command(size, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=os.environ | {"CNN_NUM_THREADS": "1", "PYTHONPATH": ""},
        start_new_session=True,
        **options,
    )


def run(size, *arguments):
    """Return the exit code, and what was printed on stdout and stderr."""
    process = started(size, *arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def rows_of(name):
    """Return the rows of a real table, names first."""
    folder = os.environ.get("CNN_DATA")
    path = Path(folder or "").parent / "tabular" / f"{name}.csv.gz"
    if not folder or not path.exists():
        pytest.skip(f"CNN_DATA does not name a folder beside which there is {path}")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module", params=["adult", *slow("california")])
def table(request, tmp_path_factory):
    """Return the options of a training, its CSV files, and the model of one process."""
    import pyarrow.csv
    import pyarrow.parquet

    folder = tmp_path_factory.mktemp(request.param)
    head, *rows = rows_of(request.param)
    ends = [len(rows) * i // FILES for i in range(FILES + 1)]
    for i, (first, last) in enumerate(itertools.pairwise(ends)):
        path = folder / f"part-{i}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([head, *rows[first:last]])
        options = pyarrow.csv.ConvertOptions(strings_can_be_null=True, null_values=["", "?"])
        found = pyarrow.csv.read_csv(path, convert_options=options)
        pyarrow.parquet.write_table(found, path.with_suffix(".parquet"))
    arguments = ["--target", TARGETS[request.param], "--missing", "median", "--shards", SHARDS]
    arguments += ["--epochs", 3, "--seed", 1, "-o"]
    files = sorted(folder.glob("*.csv"))
    code, out, err = run(0, *files, *arguments, folder / "one.st")
    assert code == 0, err
    assert out.count("saved to") == 1
    return arguments, files, (folder / "one.st").read_bytes()


@pytest.mark.parametrize("size", [3, *slow(1, 2, 4, 8)])
def test_bytes_do_not_depend_on_processes(table, size, tmp_path):
    arguments, files, expected = table
    code, out, err = run(size, *files, *arguments, tmp_path / "model.st")
    assert code == 0, err
    assert (tmp_path / "model.st").read_bytes() == expected
    by = f"process{'es' * (size > 1)}"
    assert out.startswith(f"reading {FILES} files as {SHARDS} shards, by {size} {by}\n")
    assert out.count("\nsaved to ") == 1
    assert err.count("epoch 3/3") == 1


@pytest.mark.parametrize("size", [0, 3])
def test_parquet_gives_the_same_bytes(table, size, tmp_path):
    arguments, files, expected = table
    files = [path.with_suffix(".parquet") for path in files]
    code, _, err = run(size, *files, *arguments, tmp_path / "model.st")
    assert code == 0, err
    assert (tmp_path / "model.st").read_bytes() == expected


def children(pid):
    """Return the processes below one, in the order of their numbers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        if int(words[1]) == pid:
            found += [int(path.parent.name), *children(int(path.parent.name))]
    return found


def ranks(pid):
    """Return the processes that train."""
    found = []
    for child in children(pid):
        try:
            line = Path(f"/proc/{child}/cmdline").read_bytes()
        except OSError:
            continue
        if line.startswith(sys.executable.encode()):
            found.append(child)
    return found


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_with_other_processes(table, tmp_path):
    arguments, files, _ = table
    longer = [*arguments[:-5], "--epochs", 12, "--seed", 1, "-o"]
    assert run(2, *files, *longer, tmp_path / "expected.st")[0] == 0
    checkpoint = ["--checkpoint", tmp_path / "run.st", "--every", 20]
    model, chance, killed = tmp_path / "model.st", random.Random(3), 0
    for size in (3, 2, 4, 1, 2):
        process = started(size, *files, *longer, model, *checkpoint)
        until = time.monotonic() + 60
        before = (tmp_path / "run.st").stat().st_mtime_ns if (tmp_path / "run.st").exists() else 0
        while time.monotonic() < until and process.poll() is None:
            path = tmp_path / "run.st"
            if path.exists() and path.stat().st_mtime_ns > before:
                break
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.3))
        if found := ranks(process.pid):
            os.kill(chance.choice(found), signal.SIGKILL)
            killed += 1
        process.communicate(timeout=30)
    assert killed >= 2
    code, out, err = run(3, *files, *longer, model, *checkpoint)
    assert code == 0, err
    assert " of 12, the one with the least held-out loss)" in out
    assert model.read_bytes() == (tmp_path / "expected.st").read_bytes()


def with_a_bad_row(files, tmp_path, at, text):
    paths = []
    for i, path in enumerate(files):
        paths.append(tmp_path / path.name)
        lines = path.read_text(encoding="utf-8").splitlines()
        if i == at:
            lines[100] = text
        paths[-1].write_text("\n".join(lines) + "\n", encoding="utf-8")
    return paths


def test_an_error_of_one_process_is_told_once(table, tmp_path):
    arguments, files, _ = table
    paths = with_a_bad_row(files, tmp_path, 5, "1,2")
    begin = time.monotonic()
    code, out, err = run(4, *paths, *arguments, tmp_path / "model.st")
    assert time.monotonic() - begin < 20
    assert code != 0
    assert out.count("\n") == 1
    assert err.count("cnn: error: ") == 1
    assert f"rank 2: {paths[5]}: row 100 (line 101) has 2 fields, should have " in err
    assert not (tmp_path / "model.st").exists()


def test_without_shards_no_copies_train(table, tmp_path):
    arguments, files, _ = table
    words = [word for word in arguments if word not in ("--shards", SHARDS)]
    code, out, err = run(3, files[0], *words, tmp_path / "model.st")
    assert code != 0
    assert out == ""
    assert err.count("cnn: error: train: 3 processes should train together by MPI") == 1
