"""Calls of cnn while calls of the system fail; `python fault_runs.py memory|files NAME FOLDER`.

Runs in a process of its own, into which the dynamic linker has loaded c/faults/faults.c before the
C library. Prints how many trials there were and how many of them were refused.
"""

import contextlib
import copy
import ctypes
import errno
import itertools
import os
import pickle
import re
import sys
import threading

import numpy as np

import cnn
from cnn import _core
from cnn._base import files

SHORT = -1  # FAULT_SHORT of faults.h
FOREVER = ctypes.c_size_t(-1).value


def kinds():
    """Return the numbers of the calls in FAULT_CALLS by their names."""
    header = os.path.join(os.path.dirname(__file__), "c", "faults", "faults.h")
    with open(header, encoding="utf-8") as file:
        names = re.findall(r"^ +X\([A-Z]+, ([a-z]+)\)", file.read(), re.MULTILINE)
    return {name: number for number, name in enumerate(names)}


KINDS = kinds()
library = ctypes.CDLL(None)


def failing(call, kind, first, last, error):
    """Make a call while some calls of the system fail: its error, its result, how many failed."""
    result = raised = None
    library.faults_arm(KINDS[kind], first, last, error)
    try:
        result = call()
    except Exception as caught:
        raised = caught
    finally:
        failed = library.faults_disarm()
    return raised, result, failed


# ---- Memory --------------------------------------------------------------------------------------

ROWS = 300
X = np.random.default_rng(0).normal(size=(ROWS, 40)).astype("float32")
T = np.arange(ROWS) % 3
DY = np.linspace(-1, 1, ROWS * 3, dtype="float32").reshape(ROWS, 3)


def network():
    return cnn.Sequential(
        [
            cnn.Dense(40, 70, activation="gelu", l2=0.01),
            cnn.Dropout(0.25),
            cnn.Dense(70, 3, activation="softmax"),
        ],
        rng=3,
    )


def tape(net):
    net.forward(X, dropout_step=1)
    return net.backward(DY)


def bits(value):
    """Return bytes that are equal if the results are."""
    if isinstance(value, cnn.Sequential):
        return bits([value.predict(X), *value.get_weights()])
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, (list, tuple)):
        return b"".join(bits(v) for v in value)
    if isinstance(value, dict):
        return bits(list(value.values()))
    if hasattr(value, "gradients") and hasattr(value, "dx"):
        return bits([value.gradients, value.dx])
    return repr(value).encode()


def fit(net, **options):
    net.fit(X, T, batch_size=64, verbose=0, **options)
    return net


def fit_shards(net, epochs):
    cnn.distributed.fit(net, [(X[:90], T[:90]), (X[90:], T[90:])], batch_size=64, epochs=epochs)
    return net


# How epochs are trained by calls that train several. If such a call fails, the network is as after
# the last epoch that it finished, and the same call goes on from there.
SEVERAL = {
    "fit, epochs": lambda net, epochs: fit(net, epochs=epochs, validation_data=(X, T)),
    "distributed.fit, epochs": fit_shards,
}


MEMORY = {
    "Sequential": lambda net, folder: network(),
    "fit": lambda net, folder: fit(net, epochs=1),
    "fit with all": lambda net, folder: fit(
        net,
        epochs=1,
        optimizer=cnn.Adam(lr=0.01, clip_norm=0.5),
        validation_data=(X, T),
        sample_weight=np.arange(ROWS) + 1.0,
    ),
    **{
        name: lambda net, folder, train=train: train(net, 2 - net.epochs)
        for name, train in SEVERAL.items()
    },
    "train_step": lambda net, folder: net.train_step(X, T, optimizer=cnn.SGD(momentum=0.9)),
    "predict": lambda net, folder: net.predict(X.astype(float)),
    "predict one": lambda net, folder: net.predict(X[0]),
    "evaluate": lambda net, folder: net.evaluate(X, T),
    "gradients": lambda net, folder: net.gradients(X, T),
    "forward, backward": lambda net, folder: tape(net),
    "vjp": lambda net, folder: net.vjp(X, DY),
    "jacobian": lambda net, folder: net.jacobian(X),
    "get_weights": lambda net, folder: net.get_weights(),
    "set_weights": lambda net, folder: net.set_weights([w + 1 for w in net.get_weights()]) or net,
    "save, load": lambda net, folder: net.save(folder + "/m") or cnn.load(folder + "/m"),
    "copy": lambda net, folder: copy.deepcopy(net),
    "pickle": lambda net, folder: pickle.loads(pickle.dumps(net)),
    "dense": lambda net, folder: cnn.dense(X, X[:40], X[0], activation="softmax"),
    "dense_backward": lambda net, folder: cnn.dense_backward(X[:, :5].copy(), X, X[:40, :5].copy()),
    "cross_entropy": lambda net, folder: cnn.cross_entropy(DY, T),
}


def in_thread(call):
    """Make a call in a thread of its own, which has no scratch memory yet."""
    results = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join()
    return results[0]


def state(net):
    """Return the number of epochs and the weights."""
    return net.epochs, bits(net.get_weights())


def allowed(name, folder):
    """Return the states in which a call may leave a network, and what it then gives later."""
    nets = [network()]
    if name in SEVERAL:
        nets.append(SEVERAL[name](network(), 1))
    return {state(net): bits(MEMORY[name](net, folder)) for net in nets}


def memory_trial(name, folder, first, last, states):
    """Return whether the call was refused, and how many allocations failed."""
    net = network()
    expected, call = states[state(net)], MEMORY[name]
    raised, result, failed = in_thread(
        lambda: failing(lambda: call(net, folder), "memory", first, last, errno.ENOMEM)
    )
    where = f"{name}, allocations {first} to {last}: {raised!r}"
    if raised is not None:
        assert isinstance(raised, MemoryError), where
        assert failed > 0, where
        assert state(net) in states, f"{where}: the weights or epochs have changed"
        expected = states[state(net)]
        result = call(net, folder)
    assert bits(result) == expected, f"{where}: other bits"
    return raised is not None, failed


def memory(name, folder):
    """Let each allocation of libcnn fail in turn, then each with all after it."""
    assert library.faults_watch(b"/libcnn.so") == 1
    trials = refused = 0
    for threads in (1, 2):
        _core.set_num_threads(threads)
        states = allowed(name, folder)
        for alone in (True, False):
            for first in itertools.count():
                was_refused, failed = memory_trial(
                    name, folder, first, first if alone else FOREVER, states
                )
                trials += 1
                refused += was_refused
                if failed == 0:
                    break
                assert first < 1000
    live = library.faults_live()
    for _ in range(20):
        bits(in_thread(lambda: MEMORY[name](network(), folder)))
    # At most what a pool's worker takes that starts late.
    assert library.faults_live() <= live + 3, "memory grows from call to call"
    return trials, refused


# ---- Files ---------------------------------------------------------------------------------------


FILES = {
    "save": lambda net, path: net.save(path),
    "save with an optimizer": lambda net, path: net.save(path, optimizer=cnn.SGD()),
    "to_c": lambda net, path: net.to_c(path),
    "replace": lambda net, path: files.replace(path, b"x" * 100_000),
}

# The errors of a call, and what a save does: fail in one trial at least, or never.
ERRORS = [
    ("open", errno.EACCES, True),
    ("open", errno.ENOSPC, True),
    ("open", errno.EROFS, True),
    ("open", errno.EMFILE, True),
    ("write", errno.ENOSPC, True),
    ("write", errno.EDQUOT, True),
    ("write", errno.EIO, True),
    ("write", errno.EINTR, False),
    ("write", SHORT, False),
    ("sync", errno.EIO, True),
    ("sync", errno.ENOSPC, True),
    ("sync", errno.EINTR, False),
    ("sync", errno.EINVAL, False),
    ("close", errno.EIO, True),
    ("close", errno.ENOSPC, True),
    ("rename", errno.EACCES, True),
    ("rename", errno.EROFS, True),
    ("mode", errno.EPERM, True),
    ("access", errno.EACCES, True),
    ("lock", errno.ENOLCK, False),
    ("handle", errno.EMFILE, False),
    ("folder", errno.EACCES, False),
]


PACKAGE = os.path.dirname(cnn.__file__)


def content(path):
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        return file.read()


def file_trial(name, folder, over, kind, first, error, expected):
    """Return whether the save was refused, and how many calls failed."""
    path = folder + "/m"
    net = network()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    if over:
        with open(path, "wb") as file:
            file.write(b"as before")
        os.chmod(path, 0o666)  # which a new file does not have
    raised, _, failed = failing(lambda: FILES[name](net, path), kind, first, first, error)
    found = content(path)
    where = f"{name}, {kind} {first}, {errno.errorcode.get(error, 'short')}: {raised!r}"
    if raised is not None:
        assert isinstance(raised, OSError), where
        assert raised.errno == error, where
        # to_c also opens files of the package, which it copies from.
        of_package = name == "to_c" and (
            str(raised.filename).startswith(PACKAGE) or (kind == "close" and not raised.filename)
        )
        assert raised.filename == path or of_package, f"{where}: {raised.filename}"
        assert found == (b"as before" if over else None), f"{where}: not as before"
        FILES[name](net, path)
        found = content(path)
    assert found == expected, where
    assert sorted(os.listdir(folder)) == ["expected", "m"], f"{where}: {os.listdir(folder)}"
    return raised is not None, failed


def saves(name, folder):
    """Let each call of a kind fail in turn, with each error."""
    os.umask(0o022)
    # In a folder of its own, since the name is in some files.
    os.mkdir(folder + "/expected")
    FILES[name](network(), folder + "/expected/m")
    expected = content(folder + "/expected/m")
    trials = refused = 0
    for over in (False, True):
        for kind, error, fails in ERRORS:
            of_kind = 0
            for first in itertools.count():
                was_refused, failed = file_trial(name, folder, over, kind, first, error, expected)
                trials += 1
                of_kind += was_refused
                if failed == 0:
                    break
            if over or not fails or kind not in ("mode", "access"):
                assert (of_kind > 0) == fails, f"{name}, over: {over}, {kind}, {error}: {of_kind}"
            refused += of_kind
    return trials, refused


if __name__ == "__main__":
    library.faults_arm.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
    library.faults_disarm.restype = ctypes.c_size_t
    library.faults_live.restype = ctypes.c_long
    print(*{"memory": memory, "files": saves}[sys.argv[1]](*sys.argv[2:]))
