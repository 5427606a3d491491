"""Forks and pools of processes, and processes that end while threads or callbacks are at work."""

import os
import subprocess
import sys

import numpy as np
import pytest
import worker_programs

import cnn

slow = pytest.mark.slow
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


def run(*arguments, code=0):
    """Run a program of worker_programs.py, and return what it writes to stderr."""
    done = subprocess.run(
        [sys.executable, "-P", worker_programs.__file__, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=580,
    )
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stderr


@slow  # test_threads.py has some forks for each run of all tests
@posix
def test_forks_while_the_pool_is_busy():
    run("forks", 100)


@slow
@pytest.mark.parametrize(
    "method",
    [pytest.param("fork", marks=posix), pytest.param("forkserver", marks=posix), "spawn"],
)
def test_pools_of_processes(method):
    run("pools", method)


@slow
def test_backends_of_joblib():
    run("joblib")


@pytest.mark.parametrize(
    ("how", "runs"),
    [("end", 1), *(pytest.param(how, 20, marks=slow) for how in worker_programs.ENDS)],
)
def test_daemon_threads_at_the_end(how, runs, tmp_path):
    """The process ends as it should, in time, and what was saved is whole."""
    path = tmp_path / "model.safetensors"
    rng = np.random.default_rng(0)
    for _ in range(runs):
        error = run("daemons", how, rng.uniform(0, 0.2), path, code=1 if how == "error" else 0)
        lines = error.splitlines()
        assert not lines or (how == "error" and lines[-1] == "ZeroDivisionError"), error
        if path.exists():
            cnn.load(path)


HOOKS = ["on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end"]


@pytest.mark.parametrize(
    ("hook", "how"),
    [
        pytest.param(hook, how, marks=[] if (hook, how) in FAST else slow)
        for FAST in [{("on_epoch_begin", "os._exit"), ("on_epoch_end", "sys.exit")}]
        for hook in HOOKS
        for how in ("sys.exit", "os._exit")
    ],
)
def test_a_callback_that_ends_the_process(hook, how, tmp_path):
    path = tmp_path / "model.safetensors"
    assert run("callbacks", hook, how, path, code=3 if how == "sys.exit" else 4) == ""
    assert path.exists() == (hook in ("on_epoch_end", "on_train_end"))
    if path.exists():
        assert cnn.load_checkpoint(path)[0].epochs == (1 if hook == "on_epoch_end" else 2)
        assert os.listdir(tmp_path) == [path.name]
