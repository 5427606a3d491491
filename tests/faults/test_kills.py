"""SIGKILL at random moments: files are whole, and what is trained goes on to the same bits.

Few kills by default; `make faults` has all.
"""

import hashlib
import os
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import killed
import numpy as np
import pytest
from marks import slow, slow_sets

import cnn

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no signals to kill by")


def sha(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


# ---- While a file is saved -----------------------------------------------------------------------


@pytest.mark.parametrize("kills", [3, *slow(60)])
@pytest.mark.parametrize("what", ["network", "optimizer"])
def test_a_file_is_the_old_or_the_new_one(what, kills, tmp_path):
    made = killed.models(what == "optimizer")
    whole, path, left = set(), tmp_path / killed.FILE, 0
    for i, (net, options) in enumerate(made):
        net.save(tmp_path / f"{i}.safetensors", **options)
        whole.add(sha(tmp_path / f"{i}.safetensors"))
    assert len(whole) == 2
    found = set()
    rng = np.random.default_rng(kills)
    for _ in range(kills):
        process = killed.started(what, tmp_path)
        time.sleep(rng.uniform(0, 0.05))
        assert killed.kill(process)
        names = killed.temporary(tmp_path)
        assert len(names) <= 1
        left += len(names)
        assert {*os.listdir(tmp_path)} == {
            *("0.safetensors", "1.safetensors", killed.FILE),
            *names,
        }
        found.add(sha(path))
        (cnn.load_checkpoint if what == "optimizer" else cnn.load)(path)
    # The next save works, and removes what the last killed process has left.
    made[0][0].save(path)
    assert killed.temporary(tmp_path) == []
    assert found <= whole
    if kills > 20:
        assert found == whole
        assert left > kills / 10, "hardly a kill came while a file was written"


# ---- While a network is trained ------------------------------------------------------------------


def killed_run(start, finished, folder, rng, kills):
    """Kill a run some times, each time anew from its checkpoint; return how often it was killed.

    A run that has ended before is begun anew.
    """
    done = 0
    while done < kills:
        process = start()
        time.sleep(rng.uniform(0, 0.15))
        if killed.kill(process):
            done += 1
            names = killed.temporary(folder)
            assert len(names) <= 1
            yield
        else:
            finished()


@pytest.mark.parametrize(
    ("dtype", "runs", "kills"),
    [
        ("float32", 1, 1),
        *slow_sets(("float32", 10, 3), ("float64", 10, 3)),
    ],
)
def test_fit_goes_on_to_the_same_bits(runs, kills, dtype, tmp_path):
    """Each run is killed some times, and ends with the hash of a run that was not interrupted.

    The checkpoint after each kill is that of one of the epochs, byte for byte.
    """
    epochs = tmp_path / "epochs"
    epochs.mkdir()
    expected = killed.digest(*killed.fit(epochs, dtype, epochs / "{epoch}"))
    whole = {sha(path) for path in epochs.iterdir()}
    assert len(whole) == killed.EPOCHS
    rng, equal = np.random.default_rng(runs), 0
    for run in range(runs):
        folder = tmp_path / str(run)
        folder.mkdir()
        path = folder / killed.FILE
        for _ in killed_run(
            lambda folder=folder: killed.started("fit", folder, dtype),
            path.unlink,
            folder,
            rng,
            kills,
        ):
            assert not path.exists() or sha(path) in whole
        equal += killed.run("fit", folder, dtype) == expected
        assert os.listdir(folder) == [killed.FILE]
        assert sha(path) == sha(epochs / str(killed.EPOCHS))
    assert equal == runs


@pytest.mark.slow  # test_distributed_resume.py ends runs by exceptions, each time
@pytest.mark.parametrize("kills", [40])
def test_sharded_training_goes_on_to_the_same_bits(kills, tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    folder.mkdir()
    expected = killed.run("shards", whole)
    path = folder / killed.FILE

    def again():
        for file in folder.iterdir():
            file.unlink()

    rng = np.random.default_rng(kills)
    for _ in killed_run(lambda: killed.started("shards", folder), again, folder, rng, kills):
        if path.exists():
            net, optimizer = cnn.load_checkpoint(path)
            assert (net.epochs, optimizer.steps) <= (killed.EPOCHS, killed.EPOCHS * 19)
    assert killed.run("shards", folder) == expected
    names = sorted(os.listdir(folder))
    assert [name.removeprefix(killed.FILE)[-4:] for name in names] == ["", ".npz"]


@pytest.mark.slow
@pytest.mark.parametrize("kills", [20])
def test_the_command_line_goes_on_to_the_same_file(kills, tmp_path):
    """`cnn train --checkpoint`, which prints nothing: it is killed some time after a checkpoint."""
    rng = np.random.default_rng(kills)
    for part in range(2):
        rows = rng.standard_normal((300, 4))
        table = np.c_[rows, rows[:, 0] > rows[:, 1]]
        np.savetxt(tmp_path / f"{part}.csv", table, "%.4f", ",", header="a,b,c,d,t", comments="")
    data = [str(tmp_path / f"{part}.csv") for part in range(2)]
    command = [sys.executable, "-P", "-m", "cnn", "train", *data, "--target", "t", "--shards", "2"]
    command += ["--epochs", "40", "--patience", "40", "-q"]

    def run(folder):
        folder.mkdir(exist_ok=True)
        checkpoint = ["--checkpoint", str(folder / "run"), "--every", "3"]
        return [*command, "-o", str(folder / killed.FILE), *checkpoint]

    subprocess.run(run(tmp_path / "whole"), check=True)
    folder = tmp_path / "killed"
    checkpoint, model = folder / "run", folder / killed.FILE

    def begun():
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        process = subprocess.Popen(run(folder), stdout=subprocess.PIPE, text=True)
        for _ in count():
            now = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
            if now != before or process.poll() is not None:
                return process
            time.sleep(0.002)
        raise AssertionError

    def again():
        for file in folder.iterdir():
            file.unlink()

    for _ in killed_run(begun, again, folder, rng, kills):
        assert not model.exists()
        cnn.load_checkpoint(checkpoint)
    subprocess.run(run(folder), check=True)
    assert model.read_bytes() == (tmp_path / "whole" / killed.FILE).read_bytes()
    assert killed.temporary(folder) == []
