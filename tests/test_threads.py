"""Many callers at once, forks, and where threads and the instruction set come from."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from marks import slow_sets
from refused import refused

import cnn
from cnn import _core

LABELS = _core.Loss("cross_entropy", labels=True)


@pytest.fixture(scope="module")
def work(network_of):
    """Return a network, samples so many that a call uses the pool, and all results alone."""
    network = network_of([60, 200, 100, 7], "tanh", dropout=0.2)
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((1000, 60)).astype(np.float32), rng.integers(0, 7, 1000)
    _core.set_num_threads(1)
    expected = everything(network, x, t)
    _core.set_num_threads(None)
    return network, x, t, expected


def everything(network, x, t):
    result = network.evaluate(LABELS, x, t)
    loss, gradients = network.gradients(LABELS, x[:300], t[:300], None, 4)
    return [network.predict(x), result.loss, result.correct, loss, *gradients]


# ---- Many callers ------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_eight_callers_of_one_network(threads, work, bits):
    network, x, t, expected = work
    _core.set_num_threads(threads)
    together = threading.Barrier(8)

    def call(i):
        together.wait()
        size = 50 + 37 * i
        for _ in range(3):
            parts = [network.predict(x[k : k + size]) for k in range(0, 1000, size)]
            assert bits(*parts) == bits(expected[0])
            assert network.predict(x[i]).tobytes() == expected[0][i].tobytes()
            assert bits(*everything(network, x, t)) == bits(*expected)

    with ThreadPoolExecutor(8) as callers:
        list(callers.map(call, range(8)))


def test_predictions_beside_training(work, parameters, bits):
    """Another network is trained meanwhile; neither result changes."""
    network, x, t, expected = work

    def train():
        other = network.copy()
        trainer = _core.Trainer(other, "adam", beta1=0.9, beta2=0.999, eps=1e-8)
        index = np.arange(1000, dtype=np.uintp)
        trainer.epoch(LABELS, x, t, None, index, 300, np.full(4, 0.01))
        return bits(*parameters(other))

    _core.set_num_threads(1)
    alone = train()
    _core.set_num_threads(3)
    with ThreadPoolExecutor(4) as callers:
        trained = [callers.submit(train) for _ in range(4)]
        predicted = [callers.submit(network.predict, x) for _ in range(20)]
    assert {future.result() for future in trained} == {alone}
    assert {bits(future.result()) for future in predicted} == {bits(expected[0])}


def test_training_of_one_network_by_two_callers_is_refused(network_of):
    """A change while another thread trains is an error, not a race."""
    network = network_of([50, 400, 5])
    trainer = _core.Trainer(network, "sgd")
    x, t = np.zeros((20000, 50), np.float32), np.zeros(20000, np.int64)
    index, rates = np.arange(20000, dtype=np.uintp), np.full(200, 0.1)
    done = threading.Event()

    def train():
        while not done.is_set():
            with contextlib.suppress(RuntimeError):  # if a call had its turn
                trainer.epoch(LABELS, x, t, None, index, 100, rates)

    calls = [
        lambda: trainer.step(LABELS, x[:5], t[:5], None, 0.1),
        lambda: trainer.epoch(LABELS, x, t, None, index[:100], 100, rates),
        lambda: network.set(0, "bias", np.zeros(400, np.float32)),
        lambda: network.initialize(0, "zeros"),
        lambda: network.set_l2(0, 0.1),
        lambda: trainer.set_state([]),
        lambda: setattr(trainer, "steps", 0),
    ]
    caller = threading.Thread(target=train)
    caller.start()
    try:
        for call in calls:
            assert "the network is being trained by another thread" in refusal(call)
    finally:
        done.set()
        caller.join()


def refusal(call, seconds=60):
    """Return the error of a call, sooner or later: between two epochs it may get its turn."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            call()
        except RuntimeError as error:
            return str(error)
    return "none"


# ---- Forks -------------------------------------------------------------------------------------

FORK = """
import os, sys, threading, time, warnings
import numpy as np
from cnn import _core

warnings.simplefilter("ignore")  # Python warns of a fork beside threads
_core.set_num_threads(3)
hidden, output = (100, 300, "tanh"), (300, 10, "softmax")
network = _core.Network([_core.LayerSpec("dense", *layer) for layer in (hidden, output)])
network.initialize(0, "torch")
network.initialize(1, "torch")
x = np.random.default_rng(0).standard_normal((3000, 100)).astype(np.float32)
expected = network.predict(x).tobytes()

busy = sys.argv[1] == "busy"
stop = threading.Event()

def keep_the_pool_busy():
    while not stop.is_set():
        network.predict(x)

if busy:
    threading.Thread(target=keep_the_pool_busy).start()
for i in range(5):
    time.sleep(0.003 * i)
    child = os.fork()
    if child == 0:
        ok = all(network.predict(x).tobytes() == expected for _ in range(3))
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0 if network.predict(x).tobytes() == expected else 1)
        _, status = os.waitpid(grandchild, 0)
        os._exit(0 if ok and status == 0 else 1)
    assert network.predict(x).tobytes() == expected
    _, status = os.waitpid(child, 0)
    assert status == 0, status
stop.set()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("pool", ["idle", "busy"])
def test_forks(pool):
    """A child, and its child, have a fresh pool, even if another thread was using the old one."""
    command = [sys.executable, "-P", "-c", FORK, pool]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


FORK_BESIDE_TRAINING = """
import copy, multiprocessing, os, pickle, signal, sys, threading, time, warnings
import numpy as np
import cnn
from cnn import _core

warnings.simplefilter("ignore")  # Python warns of a fork beside threads
cnn.set_num_threads(2)
wide, l2 = int(sys.argv[1]), float(sys.argv[2])
net = cnn.Sequential([cnn.Dense(20, wide, "tanh", l2=l2), cnn.Dense(wide, 3, "softmax")], rng=0)
before = copy.deepcopy(net)
rng = np.random.default_rng(0)
x, t = rng.standard_normal((2000, 20)).astype(np.float32), rng.integers(0, 3, 2000)
stop = threading.Event()

class Stop(cnn.Callback):
    def on_epoch_end(self, epoch, logs):
        self.model.stop_training = stop.is_set()

def train():
    net.fit(x, t, epochs=10**6, callbacks=[Stop()], progress=False)

calls = [
    lambda: net.predict(x),
    lambda: net.predict(x[0]),
    lambda: net.predict(iter([x])),
    lambda: net.activations(x),
    lambda: net.layers[0].weight,
    lambda: net.get_weights(),
    lambda: net.evaluate(x, t),
    lambda: net.gradients(x[:50], t[:50]),
    lambda: net.forward(x[:50]),
    lambda: net.jacobian(x[:2]),
    lambda: copy.deepcopy(net),
    lambda: pickle.dumps(net),
    lambda: net._network.to_bytes(),
    lambda: net.set_weights(before.get_weights()),
    lambda: net.fit(x[:200], t[:200], progress=False),
]

def is_refused(call):
    try:
        call()
    except RuntimeError as error:
        text = "another thread was training the network when this process was forked"
        assert text in str(error), error
        assert "loaded from a file" in str(error)
        return True
    return False

def use():
    # A hang ends by the signal, which is not 0.
    signal.alarm(20)
    refused = [is_refused(call) for call in calls]
    assert len({*refused}) == 1, refused  # never some of them: its weights are torn or are not
    own = before if refused[0] else copy.deepcopy(net)
    history = own.fit(x, t, epochs=2, progress=False)
    assert np.isfinite(history.loss).all()
    data = own._network.to_bytes()
    assert (_core.Network.from_bytes(data).predict(x) == own.predict(x)).all()
    return 7 if refused[0] else 0

def use_in_a_process():
    sys.exit(use())

caller = threading.Thread(target=train)
caller.start()
found = set()
for i in range(12):
    time.sleep(0.002 * i)
    child = os.fork()
    if child == 0:
        code = 9
        try:
            code = use()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFEXITED(status), f"signal {os.WTERMSIG(status)}"
    found.add(os.WEXITSTATUS(status))
    process = multiprocessing.get_context("fork").Process(target=use_in_a_process)
    process.start()
    process.join(30)
    found.add(process.exitcode)
assert found <= {0, 7}, found
assert 7 in found
stop.set()
caller.join()
net.fit(x, t, progress=False)  # the parent goes on as if nothing had been
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize(("wide", "l2"), [(8, 0), *slow_sets((300, 0), (300, 0.1))])
def test_forks_beside_training(wide, l2):
    """The child refuses all calls on a network that another thread was training, or none."""
    command = [sys.executable, "-P", "-c", FORK_BESIDE_TRAINING, str(wide), str(l2)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


# ---- The number of threads ---------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 7, 1024, np.int64(3)])
def test_set_num_threads(n):
    cnn.set_num_threads(n)
    assert cnn.get_num_threads() == n
    assert _core.threads_origin() == "cnn_threads_set"
    cnn.set_num_threads(None)
    assert _core.threads_origin() != "cnn_threads_set"


@pytest.mark.parametrize(
    ("n", "error", "message"),
    [
        (0, ValueError, "n is 0, should be from 1 to 1024, or None"),
        (-3, ValueError, "n is -3, should be from 1 to 1024, or None"),
        (1025, ValueError, "n is 1025, should be from 1 to 1024, or None"),
        (2**70, ValueError, "n is 1180591620717411303424, should be from 1 to 1024, or None"),
        (1.0, TypeError, "n is of type float, should be an int or None"),
        ("2", TypeError, "n is of type str, should be an int or None"),
        (True, TypeError, "n is of type bool, should be an int or None"),
    ],
)
def test_set_num_threads_refuses(n, error, message):
    _core.set_num_threads(2)
    with pytest.raises(error, match=f"^set_num_threads: {message}"):
        cnn.set_num_threads(n)
    assert cnn.get_num_threads() == 2


def test_more_threads_than_cores(work, bits):
    network, x, t, expected = work
    _core.set_num_threads(16)
    assert bits(*everything(network, x, t)) == bits(*expected)


# ---- The environment ---------------------------------------------------------------------------

ASK = """
import numpy as np
from cnn import _core
hidden, output = (200, 300, "gelu"), (300, 10, "softmax")
network = _core.Network([_core.LayerSpec("dense", *layer) for layer in (hidden, output)])
network.initialize(0, "torch")
network.initialize(1, "torch")
x = np.arange(400 * 200).reshape(400, 200) % 61 / 61
print(_core.get_num_threads(), _core.isa(), hash(network.predict(x).tobytes()))
print(_core.threads_origin())
"""
VARIABLES = ("CNN_NUM_THREADS", "OMP_NUM_THREADS", "CNN_ISA")


def ask(**variables):
    """Return threads, instruction set, a hash of results and the origin of the threads."""
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    environment |= {"PYTHONHASHSEED": "0", **variables}
    done = subprocess.run(
        [sys.executable, "-P", "-c", ASK],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    threads, isa, result, *origin = done.stdout.split()
    return int(threads), isa, result, " ".join(origin)


@pytest.fixture(scope="module")
def plain():
    """Return what a process without these variables says."""
    return ask()


@pytest.mark.parametrize(
    ("variables", "threads", "origin"),
    [
        ({"CNN_NUM_THREADS": "3"}, 3, "CNN_NUM_THREADS"),
        ({"OMP_NUM_THREADS": "5"}, 5, "OMP_NUM_THREADS"),
        ({"OMP_NUM_THREADS": "4,2,1"}, 4, "OMP_NUM_THREADS"),
        ({"CNN_NUM_THREADS": "2", "OMP_NUM_THREADS": "7"}, 2, "CNN_NUM_THREADS"),
        ({"CNN_NUM_THREADS": "0", "OMP_NUM_THREADS": "7"}, 7, "OMP_NUM_THREADS"),
        ({"CNN_NUM_THREADS": "two", "OMP_NUM_THREADS": "-1"}, None, None),
        ({"CNN_NUM_THREADS": "", "OMP_NUM_THREADS": "99999999999999999999"}, None, None),
        ({"CNN_NUM_THREADS": "1.5"}, None, None),
    ],
)
def test_threads_from_the_environment(variables, threads, origin, plain):
    """What is not a number from 1 on counts as not set."""
    found = ask(**variables)
    assert found[0] == (plain[0] if threads is None else threads)
    assert found[3] == (plain[3] if origin is None else origin)
    assert found[2] == plain[2]


def test_threads_by_default(plain):
    assert 1 <= plain[0] <= (os.cpu_count() or 1)
    assert plain[3] in ("CPU affinity", "cgroup quota")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_threads_by_affinity():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" + ASK
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], check=True, capture_output=True, env=environment
    )
    assert done.stdout.split()[0] == b"1"


def test_isa_by_default(plain):
    assert plain[1] == _core.isas()[-1]


@pytest.mark.parametrize("name", [*_core.isas(), "", "sse9"])
def test_isa_from_the_environment(name, plain):
    """A known name caps the choice; results are the same with any, so another is no error."""
    found = ask(CNN_ISA=name)
    assert found[1] == (name if name in _core.isas() else plain[1])
    assert found[2] == plain[2]


def test_select_isa():
    for name in _core.isas():
        _core.select_isa(name)
        assert _core.isa() == name
    with pytest.raises(ValueError, match="name is 'mmx'; this build and machine have scalar"):
        _core.select_isa("mmx")
    with pytest.raises(TypeError, match="name is of type NoneType, should be a string"):
        _core.select_isa(None)
    assert _core.isa() == _core.isas()[-1]


def test_networks_keep_their_isa(network_of, bits):
    """Panels are packed for the instruction set that a network was made with."""
    x = np.random.default_rng(0).standard_normal((50, 37)).astype(np.float32)
    found = set()
    for made in _core.isas():
        _core.select_isa(made)
        network = network_of([37, 50, 5])
        for used in _core.isas():
            _core.select_isa(used)
            found.add(bits(network.predict(x), network.copy().predict(x)))
    assert len(found) == 1


def test_threads():
    cnn.set_num_threads(3)
    assert cnn.get_num_threads() == 3
    cnn.set_num_threads(None)
    with refused(ValueError, "set_num_threads: n is 0, should be from 1 to 1024, or None"):
        cnn.set_num_threads(0)
    with refused(TypeError, "set_num_threads: n is of type float, should be an int or None"):
        cnn.set_num_threads(2.0)
    assert cnn.numerics_version() == 1
