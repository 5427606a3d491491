"""Files that are small, sparse or hostile: reading them costs no more than their size calls for.

Times are of the process, and the limits many times what is measured, so that a busy machine passes.
"""

import copy
import json
import math
import struct
import subprocess
import sys
import time

import numpy as np
import pytest

import cnn

LAYER = {"kind": "dense", "inputs": 1, "outputs": 1, "activation": "identity", "l2": 0}
ADAM = {
    "kind": "adam",
    "steps": "0",
    "momentum": 0,
    "beta1": 0.9,
    "beta2": 0.999,
    "alpha": 0,
    "eps": 1e-8,
    "weight_decay": 0,
    "clip_norm": 0,
}
MOST = 2**63 - 1


def write_model(path, metadata=None, optimizer=None, layers=1):
    """Write a model of layers of one weight and one bias, all 0; return the bytes of its header."""
    architecture = {"dtype": "float32", "seed": "7", "layers": [LAYER] * layers}
    found = {
        "format": "cnn",
        "format_version": "1",
        "architecture": json.dumps(architecture),
        **(metadata or {}),
    }
    prefixes = [""]
    if optimizer is not None:
        found["optimizer"] = json.dumps(optimizer)
        prefixes += ["optimizer.0.", "optimizer.1."]
    header = {"__metadata__": found}
    at = 0
    for prefix in prefixes:
        for i in range(layers):
            for name, shape in (("weight", [1, 1]), ("bias", [1])):
                header[f"{prefix}layers.{i}.{name}"] = {
                    "dtype": "F32",
                    "shape": shape,
                    "data_offsets": [at, at + 4],
                }
                at += 4
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(at))
    return len(text)


def seconds(call, *arguments):
    """Return how long a call takes the processor, and what it returns."""
    start = time.process_time()
    found = call(*arguments)
    return time.process_time() - start, found


def test_keys_of_metadata_are_not_searched_one_by_one(tmp_path):
    """20 MB whose 10 000 keys have a long beginning in common took half a minute."""
    path = tmp_path / "net"
    keys = [f"{'k' * 2000}{i}" for i in range(9999)]
    write_model(path, {f"user.{key}": str(i) for i, key in enumerate(keys)} | {"user.epochs": "7"})
    taken, net = seconds(cnn.load, path)
    assert taken < 5
    assert seconds(lambda: net.epochs) < (0.1, 8)
    assert net.epochs == 7
    taken, twin = seconds(copy.deepcopy, net)
    assert taken < 3
    assert list(twin._network.metadata) == [*keys, "epochs"]
    assert twin._network.metadata[keys[4711]] == "4711"


def test_metadata_of_all_kinds():
    """Entries are found, replaced and removed as in a dict, which keeps the order too."""
    network = cnn.Sequential([cnn.Dense(1, 1)])._network
    expected = {}
    random = np.random.default_rng(0)
    for i in range(2000):
        key = f"key {random.integers(60)}" if i % 7 else ""
        if random.random() < 0.35:
            expected.pop(key, None)
            network.set_metadata(key, None)
        else:
            expected[key] = str(i)
            network.set_metadata(key, str(i))
        assert network.get_metadata(key) == expected.get(key)
    assert list(network.metadata.items()) == list(expected.items())
    assert network.get_metadata("a\0b") is None


@pytest.mark.parametrize("beta2", [0.999, 1 - 2**-53, 1 - 1e-8])
@pytest.mark.parametrize("steps", [MOST, MOST - 1, 10**10])
def test_powers_of_many_steps_are_not_multiplied_out(tmp_path, steps, beta2):
    path = tmp_path / "net"
    write_model(path, optimizer={**ADAM, "steps": str(steps), "beta2": beta2})
    start = time.process_time()
    if beta2 == 0.999:
        net, optimizer = cnn.load_checkpoint(path)
        assert optimizer.steps == steps
        optimizer.lr = 0.1
        if steps < MOST - 1:
            net.fit([[1.0]], [1.0], optimizer=optimizer)
            assert optimizer.steps == steps + 1
    else:
        with pytest.raises(cnn.ModelFileError, match=f"steps is {steps}, should come with beta1_p"):
            cnn.load_checkpoint(path)
    # The network alone needs no powers.
    assert cnn.load(path).inputs == 1
    assert time.process_time() - start < 3


def test_powers_are_in_the_file_where_they_cannot_be_brought_back(tmp_path):
    """A checkpoint of 10^8 steps whose powers still count is saved with them, and goes on."""
    path, again = tmp_path / "net", tmp_path / "again"
    steps, beta2 = 10**8, 1 - 2e-8
    power = math.exp(math.log(beta2) * steps)
    powers = {"beta1_power": 0.0, "beta2_power": power}
    write_model(path, optimizer={**ADAM, "steps": str(steps), "beta2": beta2, **powers})
    net, optimizer = cnn.load_checkpoint(path)
    net.save(again, optimizer=optimizer)
    assert f'beta2_power\\":{power!r}'.encode() in again.read_bytes()
    twin, other = cnn.load_checkpoint(again)
    for n, o in ((net, optimizer), (twin, other)):
        o.lr = 0.1
        n.fit([[1.0]], [1.0], optimizer=o, epochs=3)
    assert net.layers[0].weight == twin.layers[0].weight != 0
    # Fewer steps, or a beta that has no power left, need none.
    write_model(path, optimizer={**ADAM, "steps": str(steps)})
    net, optimizer = cnn.load_checkpoint(path)
    net.save(again, optimizer=optimizer)
    assert b"_power" not in again.read_bytes()


@pytest.mark.parametrize(
    ("powers", "message"),
    [
        ({"beta1_power": 0.5}, '"beta2_power" is missing'),
        ({"beta1_power": 0.5, "beta2_power": 1}, r"beta2_power is 1, should be in \[0, 1\)"),
        ({"beta1_power": -0.5, "beta2_power": 0}, r"beta1_power is -0.5, should be in \[0, 1\)"),
        ({"beta1_power": "0", "beta2_power": 0}, "expected a number"),
    ],
)
def test_bad_powers(tmp_path, powers, message):
    write_model(tmp_path / "net", optimizer={**ADAM, "steps": "9", **powers})
    with pytest.raises(cnn.ModelFileError, match=message):
        cnn.load_checkpoint(tmp_path / "net")


def test_the_powers_of_a_resumed_run_are_those_of_the_whole(tmp_path):
    """To the bit, before and after the power of beta is gone: 1 - power is all that counts."""
    for beta2, steps in ((0.5, 52), (0.5, 53), (0.5, 54), (0.5, 55), (0.5, 60), (0.9, 400)):
        nets = []
        for stops in (False, True):
            net = cnn.Sequential([cnn.Dense(1, 1)], rng=1, dtype="float64")
            optimizer = cnn.Adam(lr=0.01, betas=(0.25, beta2))
            net.fit([[1.0]], [1.0], optimizer=optimizer, epochs=steps)
            if stops:
                net.save(tmp_path / "net", optimizer=optimizer)
                net, optimizer = cnn.load_checkpoint(tmp_path / "net")
            net.fit([[1.0]], [1.0], optimizer=optimizer, epochs=7)
            nets.append(net)
        assert nets[0].layers[0].weight == nets[1].layers[0].weight


SCHEDULES = [
    {"kind": "StepDecay", "lr": 0.1, "step_size": 1, "gamma": 0.5},
    {"kind": "ExponentialDecay", "lr": 0.1, "gamma": 0.999},
    {"kind": "CosineDecay", "lr": 0.1, "steps": 10, "final": 0.01},
    {"kind": "Warmup", "schedule": 0.1, "steps": 10},
    {"kind": "Constant", "lr": 0.1},
    0.1,
]


@pytest.mark.parametrize("lr", SCHEDULES, ids=str)
@pytest.mark.parametrize("left", [0, 1, 2, 1000])
def test_schedules_at_the_last_steps(tmp_path, lr, left):
    """`fit` never ended where steps wrapped round; the last steps are made, and no more."""
    path = tmp_path / "net"
    steps = MOST - left
    write_model(path, {"user.lr": json.dumps(lr)}, {**ADAM, "steps": str(steps)})
    net, optimizer = cnn.load_checkpoint(path)
    start = time.process_time()
    for _ in range(min(left, 3)):
        net.train_step([[1.0]], [1.0], optimizer=optimizer)
    assert optimizer.steps == steps + min(left, 3)
    if left < 3:
        for call in (net.fit, net.train_step):
            with pytest.raises(ValueError, match=f"optimizer has made {MOST} steps, should make"):
                call([[1.0]], [1.0], optimizer=optimizer)
    assert time.process_time() - start < 2


def test_schedules_refuse_steps_that_no_optimizer_makes():
    schedule = cnn.StepDecay(0.1, 10, 0.5)
    assert schedule(MOST - 1) == 0
    with pytest.raises(ValueError, match="step is 9223372036854775807, should be at most"):
        schedule(MOST)
    with pytest.raises(ValueError, match="count is 3, should be at most 2"):
        schedule.values(MOST - 2, 3)


# The most memory so far, in bytes; that of getrusage begins with the parent's.
PEAK = """
import sys, time
import cnn

def peak():
    with open("/proc/self/status") as file:
        return 1024 * int(next(line for line in file if line.startswith("VmHWM")).split()[1])

before = peak()
"""
SPARSE = f"""
{PEAK}
start = time.process_time()
try:
    getattr(cnn, sys.argv[1])(sys.argv[2])
except ValueError as error:
    print(error)
else:
    raise SystemExit("was read")
assert time.process_time() - start < 2, time.process_time() - start
assert peak() - before < 100e6
"""


@pytest.mark.parametrize(
    ("reader", "start", "message"),
    [
        ("load", b"", "does not begin with '{'; the file looks like zeros alone"),
        ("load_checkpoint", b"", "does not begin with '{'"),
        ("load", struct.pack("<Q", 100_000_001) + b"{", "at most 100000000 are allowed"),
        ("load", struct.pack("<Q", 1000) + b"{", "header: byte 1: expected"),
        ("load", None, "bytes at the end belong to no tensor"),
        ("load_checkpoint", None, "bytes at the end belong to no tensor"),
        ("from_onnx", b"", "is not an ONNX model"),
        ("from_onnx", b"\x08\x08\x12\x03cnn", "has 8,589,934,592 bytes"),
    ],
)
def test_sparse_files_are_judged_by_their_first_bytes(tmp_path, reader, start, message):
    """8 GiB of zeros, which take no room on the disk, were read before the first was looked at."""
    if reader == "from_onnx":
        pytest.importorskip("onnx")
    path = tmp_path / "net"
    if start is None:
        write_model(path)
    else:
        path.write_bytes(start)
    with path.open("r+b") as file:
        file.truncate(8 << 30)
    done = subprocess.run(
        [sys.executable, "-P", "-c", SPARSE, reader, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert message in done.stdout


MEMORY = f"""
{PEAK}
net = getattr(cnn, sys.argv[1])(sys.argv[2])
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the memory is that of /proc")
@pytest.mark.parametrize(
    ("case", "factor"),
    [("wide", 3), ("narrow", 3), ("layers", 8), ("checkpoint", 3), ("metadata", 4)],
)
def test_memory_of_loading_is_what_security_says(tmp_path, case, factor):
    path = tmp_path / "net"
    reader = "load"
    if case == "wide":
        cnn.Sequential([cnn.Dense(2000, 2000, init="zeros")], rng=0).save(path)
    elif case == "narrow":
        cnn.Sequential([cnn.Dense(2_000_000, 1, init="zeros")], rng=0).save(path)
    elif case == "layers":
        write_model(path, layers=20_000)
    elif case == "metadata":
        write_model(path, {f"user.{'k' * 2000}{i}": "" for i in range(5000)})
    else:
        reader = "load_checkpoint"
        net, optimizer = cnn.Sequential([cnn.Dense(1500, 1500)], rng=0), cnn.Adam()
        net.train_step(np.ones((1, 1500)), np.ones((1, 1500)), optimizer=optimizer)
        net.save(path, optimizer=optimizer)
    done = subprocess.run(
        [sys.executable, "-P", "-c", MEMORY, reader, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    size = path.stat().st_size
    taken = int(done.stdout)
    assert size / 2 < taken < factor * size + 8e6, taken / size
