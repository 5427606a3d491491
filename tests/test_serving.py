"""The programs in examples/serving work as docs/guide/serving.md says."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from doc_blocks import ROOT

import cnn

SERVING = ROOT / "examples" / "serving"
X = np.random.default_rng(0).random((3, 4), np.float32)


def network(seed):
    return cnn.mlp([4, 3, 2], "relu", "softmax", rng=seed)


@contextlib.contextmanager
def running(path, *options):
    """Run the server, and yield a function that asks it."""
    process = subprocess.Popen(
        [sys.executable, str(SERVING / "server.py"), str(path), "--port", "0", *options],
        stderr=subprocess.PIPE,
        text=True,
        cwd=path.parent,
    )
    try:
        line = next(line for line in process.stderr if "server: port" in line)
        port = int(line.rpartition(" ")[2])

        def ask(rows=None):
            data = None if rows is None else json.dumps(rows).encode()
            address = f"http://127.0.0.1:{port}/"
            with urllib.request.urlopen(address, data, timeout=30) as answer:
                return json.load(answer)

        yield ask
    finally:
        process.terminate()
        process.communicate(timeout=30)


def same(answer, net):
    return np.array_equal(np.float32(answer), net.predict(X))


@pytest.fixture
def path(tmp_path):
    network(0).save(tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


def test_it_predicts_and_loads_again(path):
    with running(path) as ask:
        assert ask()["cnn"] == cnn.__version__
        assert same(ask(X.tolist()), network(0))
        with pytest.raises(urllib.error.HTTPError) as caught:
            ask([[1.0]])
        assert json.load(caught.value) == {
            "error": "predict: x has 1 columns, but the first layer has 4 inputs"
        }
        caught.value.close()
        path.with_suffix(".new").write_text("no model")
        os.replace(path.with_suffix(".new"), path)
        time.sleep(1.0)  # for two looks at the file
        assert same(ask(X.tolist()), network(0))
        network(1).save(path)
        until = time.monotonic() + 30
        while not same(ask(X.tolist()), network(1)):
            assert time.monotonic() < until
            time.sleep(0.05)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_processes_share_the_port(path):
    with running(path, "--processes", "2") as ask:
        assert same(ask(X.tolist()), network(0))
        # Which process accepts a connection is the system's choice.
        until, seen = time.monotonic() + 30, set()
        while len(seen) < 2:
            assert time.monotonic() < until
            seen.add(ask()["process"])


def test_latencies_are_measured(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    done = subprocess.run(
        [
            *(sys.executable, str(SERVING / "latency.py"), "--calls", "20", "--repeats", "1"),
            *("--clients", "2", "--networks", "8-64-64-4"),
        ],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONUTF8": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()[4:]]
    assert [row[:4] for row in rows] == [
        ["8-64-64-4", how, "2", engine]
        for how in ("call", "HTTP")
        for engine in ("cnn", "ONNX Runtime")
    ]
    for row in rows:
        p50, p99, rate = (float(cell.replace(",", "")) for cell in row[4:])
        assert 0 < p50 <= p99
        assert rate > 0
