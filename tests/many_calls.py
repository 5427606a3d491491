"""Calls by many threads and of many kinds, whose bits and memory are watched.

``python many_calls.py threads SECONDS`` prints the number of predictions, of fits, and the growth
of memory in bytes; ``python many_calls.py calls SECONDS`` the number of calls, and the growth.
"""

import contextlib
import copy
import gc
import pickle
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import cnn


def anonymous():
    """Return the anonymous memory of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


# ---- Threads -----------------------------------------------------------------------------------


def threads(seconds):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((600, 60)).astype(np.float32)
    t = rng.integers(0, 7, 600)
    net = cnn.mlp([60, 200, 100, 7], "tanh", "softmax", rng=0)
    expected = net.predict(x)
    cnn.set_num_threads(2)

    def trained(seed):
        other = cnn.mlp([60, 100, 7], "relu", "softmax", rng=seed, dropout=0.1)
        other.fit(x, t, epochs=3, optimizer="adam", progress=False)
        return b"".join(array.tobytes() for array in other.get_weights())

    right = {seed: trained(seed) for seed in (1, 2)}
    together, warm, failed = threading.Barrier(19), threading.Barrier(19), []
    predictions, fits, ends = [0] * 16, [0] * 2, [0.0]

    def predict(i):
        size = 1 + 37 * i
        for first in range(0, 600 - size, size):
            if net.predict(x[first : first + size]).tobytes() != (
                expected[first : first + size].tobytes()
            ):
                failed.append(("predict", i, first))
            predictions[i] += 1

    def train(i):
        if trained(i + 1) != right[i + 1]:
            failed.append(("fit", i))
        fits[i] += 1

    def repeat(call, i):
        together.wait()
        call(i)
        warm.wait()
        warm.wait()  # until memory is read
        while time.monotonic() < ends[0]:
            call(i)
        together.wait()

    workers = [threading.Thread(target=repeat, args=(predict, i)) for i in range(16)]
    workers += [threading.Thread(target=repeat, args=(train, i)) for i in range(2)]
    for worker in workers:
        worker.start()
    together.wait()
    warm.wait()
    before = anonymous()
    ends[0] = time.monotonic() + seconds
    warm.wait()
    together.wait()
    grown = anonymous() - before
    for worker in workers:
        worker.join()
    assert failed == [], failed[:9]
    print(sum(predictions), sum(fits), grown)


# ---- Calls of many kinds -----------------------------------------------------------------------


def kinds(folder):
    """Return calls of the public API, good ones and ones that are refused."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 6))
    single, t = x.astype(np.float32), rng.integers(0, 3, 40)
    net = cnn.mlp([6, 16, 3], "gelu", "softmax", rng=0, dropout=0.1)
    wide = cnn.mlp([6, 8, 2], "tanh", "identity", rng=0, dtype="float64")
    optimizer, adam = cnn.SGD(0.01, momentum=0.9), cnn.Adam(cnn.CosineDecay(0.01, 10**9))
    path, header = folder / "net.safetensors", folder / "net.h"
    bad = folder / "bad.safetensors"
    net.fit(single, t, optimizer=adam, progress=False)
    net.save(path, optimizer=adam)
    bad.write_bytes(path.read_bytes()[:-9])
    data, given = pickle.dumps(net), net.get_weights()
    out = np.empty((40, 3), np.float32)
    predictor = cnn.Predictor(path)

    def refused(call):
        def run():
            with contextlib.suppress(ValueError, TypeError, OSError):
                call()
                raise AssertionError

        return run

    def derivatives():
        y = net.forward(single)
        net.apply_gradients(net.backward(y).gradients, adam)

    return [
        lambda: net.predict(single),
        lambda: net.predict(x.tolist()),
        lambda: net.predict(single[0]),
        lambda: net.predict(x[::2, ::-1], out=out[::2]),
        lambda: net.evaluate(single, t),
        lambda: wide.evaluate(x, x[:, :2], metrics=["mae"]),
        lambda: net.gradients(single, t),
        lambda: net.vjp(single, out),
        lambda: net.jacobian(single[:5]),
        derivatives,
        lambda: net.train_step(single, t, optimizer=adam),
        lambda: wide.fit(x, x[:, :2], batch_size=7, optimizer=optimizer, progress=False),
        lambda: net.fit(iter([(single, t)]), optimizer=adam, progress=False),
        lambda: cnn.mlp([6, 5, 3], "relu", "softmax", rng=1),
        lambda: net.set_weights(given),
        net.get_weights,
        lambda: copy.deepcopy(net),
        lambda: copy.deepcopy(adam),
        lambda: pickle.loads(data),
        lambda: pickle.dumps(net),
        lambda: net.save(path, optimizer=adam),
        lambda: cnn.load(path),
        lambda: cnn.load_checkpoint(path),
        lambda: net.to_c(header),
        lambda: predictor(single),
        lambda: cnn.functional.softmax(x),
        lambda: cnn.functional.dense(x, given[0], given[1], "relu"),
        lambda: net.handle.address,
        lambda: setattr(net, "metadata", {"text": "x" * 200}),
        lambda: [repr(net), net.summary(), net.layers[0].weight],
        refused(lambda: cnn.load(bad)),
        refused(lambda: cnn.load(folder / "none")),
        refused(lambda: net.predict(x[:, :3])),
        refused(lambda: net.fit(single, t + 9, progress=False)),
        refused(lambda: net.set_weights(given[:2])),
        refused(lambda: net.save(folder / "none" / "a.safetensors")),
        refused(lambda: cnn.Dense(0, 3)),
    ]


def calls(seconds):
    with tempfile.TemporaryDirectory() as folder:
        every = kinds(Path(folder))
        for _ in range(30):
            for call in every:
                call()
        gc.collect()
        before, count = anonymous(), 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for call in every:
                call()
            # Files take longest, so that most calls are those without.
            for call in every[:10]:
                for _ in range(200):
                    call()
            count += len(every) + 2000
        gc.collect()
        print(count, anonymous() - before)


if __name__ == "__main__":
    {"threads": threads, "calls": calls}[sys.argv[1]](float(sys.argv[2]))
