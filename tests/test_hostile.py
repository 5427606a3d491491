"""No argument crashes or hangs the process: each raises an exception, or the call returns.

`hostile_objects.py` has the arguments, and `hostile_calls.py` the calls, which are made in
processes of their own.
"""

import copy
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import hostile_calls
import numpy as np
import pytest
from hostile_objects import OBJECTS, dlpack
from hostile_world import World
from marks import slow
from refused import refused

import cnn
from cnn import _core

CORES = 2
RUNNER = Path(hostile_calls.__file__)


class Ending(NamedTuple):
    """A process that ended at a call, and what it said."""

    call: list
    code: int
    said: str


def run(folder, groups, starts, step):
    """Make calls in a process for each of `starts`; return where one ended that should not."""
    # Where cnn is, and where the runner's own modules are.
    paths = [str(RUNNER.parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    found = []

    def begin(i, first):
        command = [sys.executable, "-P", RUNNER, folder / f"at{i}", folder / f"files{i}"]
        with (folder / f"said{i}").open("wb") as said:
            return subprocess.Popen(
                [*command, str(first), str(step), *groups],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )

    running = {i: begin(i, first) for i, first in enumerate(starts)}
    while running:
        i, process = running.popitem()
        process.wait()
        text = (folder / f"at{i}").read_text() if (folder / f"at{i}").exists() else "[]"
        at = json.loads(text)
        if process.returncode == 0 and at is None:
            continue
        said = (folder / f"said{i}").read_text(errors="replace")[-3000:]
        found.append(Ending(at, process.returncode, said))
        if at and len(found) < 10:
            running[i] = begin(i, at[0] + step)
    return found


@pytest.mark.parametrize(
    "groups", [["core"], *slow(["functions", "networks", "settings"], ["extras"])]
)
def test_no_argument_ends_the_process(tmp_path, groups):
    """A share of all calls; the step has no factor in common with the number of objects."""
    step = 23
    assert len(OBJECTS) % step != 0
    assert run(tmp_path, groups, range(CORES), step) == []


@pytest.mark.slow
@pytest.mark.parametrize("group", [name for name in hostile_calls.GROUPS if name != "itself"])
def test_no_argument_ends_the_process_of_all(tmp_path, group):
    assert run(tmp_path, [group], range(CORES), CORES) == []


def test_faults_are_found(tmp_path):
    """Crashes, and errors that C makes by mistake."""
    found = run(tmp_path, ["itself"], [0], len(OBJECTS))  # one of each call
    assert [ending.call[2] for ending in found] == ["crash", "error by C"]
    assert found[0].code < 0 or os.name == "nt"


# ---- All of cnn takes part -----------------------------------------------------------------------


def all_cases():
    return {name: case for make in hostile_calls.GROUPS.values() for name, case in make().items()}


def test_each_function_takes_part():
    """A new function or method must come into hostile_calls.py."""
    names = {name.split(".")[-1].split(" ")[0] for name in all_cases()}
    assert {name for name in cnn.__all__ if name not in TAKE_NOTHING} <= names
    assert set(cnn.metrics.__all__) - {"ClassScores"} <= names
    public = {
        name
        for part in cnn.Sequential.__mro__[:-1]
        for name, value in vars(part).items()
        if callable(value) and not name.startswith("_")
    }
    assert public - {"summary", "to_torch"} <= names
    functions = {name for name, value in vars(_core).items() if type(value) is type(_core.numeric)}
    assert functions - TAKE_NOTHING <= names


TAKE_NOTHING = {
    *("_count_fork", "Backward", "Callback", "Gradient", "Layer", "ModelFileError", "Optimizer"),
    *("Rows", "Schedule", "__version__", "abi_version", "datasets", "get_cmake_dir", "get_include"),
    *("get_library", "get_num_threads", "get_pkgconfig_dir", "isa", "isas", "numerics_version"),
    *("metrics", "show_versions", "threads_origin", "version"),
}


def test_good_arguments_are_good(tmp_path):
    """The calls work with the arguments that the objects take the places of."""
    failed = {}
    for name, case in (
        hostile_calls.CORE | hostile_calls.FUNCTIONS | hostile_calls.NETWORKS
    ).items():
        try:
            case.function(**case.arguments(World(str(tmp_path))))
        except Exception as error:
            failed[name] = error
    assert failed.keys() <= {
        *("Network.__init__", "Sequential.__setstate__", "Trainer.load", "from_onnx"),
        *("from_sklearn", "from_torch", "load_checkpoint", "to_onnx"),
    }, failed


# ---- What used to crash --------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path):
    return World(str(tmp_path))


@pytest.mark.parametrize("device", [(), [], "", {}, None, [None], (float("nan"), 0)])
def test_dlpack_device(device, world):
    """Each entry point that reads arrays goes through the same function."""
    with refused(TypeError, "predict: x of type Hook cannot be read as an array"):
        world.net.predict(dlpack(device))
    with refused(TypeError, "dense: bias of type Hook cannot be read as an array"):
        cnn.dense(world.x, world.w, dlpack(device))


class Acts:
    """An array-like object that does something while it is read."""

    def __init__(self, act, result):
        self.act, self.result = act, result

    def __array__(self, dtype=None, copy=None):
        self.act()
        return self.result


def reshaping(array):
    def act():
        array.shape = (2, 3)

    return act


def test_a_bias_that_reshapes_the_weight(world):
    w = np.arange(6, dtype=np.float32).reshape(3, 2)
    with refused(ValueError, "dense: x has 3 columns, but weight has 2 rows"):
        cnn.dense(world.x, w, Acts(reshaping(w), np.zeros(2, np.float32)))


@pytest.mark.parametrize("size", [0, 2**20])
def test_memory_stays_while_a_call_reads_arguments(size):
    """Arrays cannot be resized by what the call reads, nor those that they are parts of."""
    base = np.ones(1000, np.float32)
    x = base[:6].reshape(2, 3)
    w, refusals = np.ones((3, 2), np.float32), []

    def act():
        for array in (base, w):
            try:
                array.resize(size, refcheck=False)
            except ValueError as error:
                refusals.append(str(error))  # the error itself would hold the call's frames

    y = cnn.dense(x, w, Acts(act, np.ones(2, np.float32)))
    assert len(refusals) == 2
    assert y.tolist() == [[4, 4], [4, 4]]
    base.resize(size, refcheck=False)  # the call is over
    assert base.size == size


def test_memory_stays_during_fit():
    """So does that of samples, whatever callbacks do."""
    base, refusals = np.ones(1000, np.float32), []

    class Resizes(cnn.Callback):
        def on_epoch_begin(self, epoch):
            try:
                base.resize(0, refcheck=False)
            except ValueError as error:
                refusals.append(str(error))  # the error itself would hold the call's frames

    net = cnn.mlp([3, 2], "relu", "softmax", rng=0)
    net.fit(base[:30].reshape(10, 3), np.zeros(10, int), epochs=3, callbacks=[Resizes()])
    assert len(refusals) == 3
    base.resize(0, refcheck=False)


class Hooked(np.ndarray):
    """Counts the calls of its hooks."""

    calls = 0

    def __array_function__(self, *args):
        type(self).calls += 1
        return super().__array_function__(*args)

    def __setitem__(self, key, value):
        type(self).calls += 1
        super().__setitem__(key, value)


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_out_whose_hooks_do_something(order, world):
    """A subclass is written as the array that it is, and none of its methods is called."""
    base = np.zeros(20, np.float32)
    out = base[:10].reshape((5, 2), order=order).view(Hooked)
    for call, given in (
        (world.net.predict, world.x),
        (cnn.tanh, world.dy),
        (cnn.softmax, world.dy),
        (lambda x, out: cnn.softmax(x, axis=0, out=out), world.dy),
        (lambda x, out: cnn.dense(x, world.w, out=out), world.x),
        (lambda x, out: cnn.activation_backward("tanh", x, world.rows, out=out), world.dy),
    ):
        out.view(np.ndarray)[...] = 7
        assert call(given, out=out) is out
        assert np.array_equal(np.asarray(out), call(given, out=None))
    with refused(ValueError, "tanh: out overlaps x"):
        cnn.tanh(base[1:11].reshape((5, 2), order=order), out=out)
    assert Hooked.calls == 0


@pytest.mark.parametrize("shape", [(), (2, 2, 2)])
def test_first_outside_of_other_dimensions(shape):
    with refused(
        ValueError, f"first_outside: x has {len(shape)} dimensions {shape}, should have 1"
    ):
        _core.first_outside(np.full(shape, 2.0), 0, 1)


CLASSES = [_core.Network, _core.Trainer, _core.Loss, _core.Samples, _core.Handle]


@pytest.mark.parametrize("cls", CLASSES)
def test_no_private_object_is_half_made(cls):
    """What __new__ returns is whole; there is no state to set."""
    with pytest.raises(TypeError):
        cls.__new__(cls)
    with pytest.raises(TypeError):
        object.__new__(cls)
    assert not hasattr(cls, "__setstate__")
    assert not hasattr(_core, f"__pyx_unpickle_{cls.__name__}")
    with pytest.raises(TypeError, match="acceptable base type"):
        type("Sub", (cls,), {})


def test_what_new_makes_is_whole(world):
    layers = [_core.LayerSpec("dense", 3, 2, "softmax")]
    network = _core.Network.__new__(_core.Network, layers)
    trainer = _core.Trainer.__new__(_core.Trainer, network, "sgd")
    loss = _core.Loss.__new__(_core.Loss, "cross_entropy", labels=True)
    assert trainer.step(loss, world.x, world.t, None, 0.1).steps == 1
    network.__init__(layers)
    with refused(RuntimeError, "Network: __init__ is called twice"):
        network.__init__(layers)


def test_private_objects_are_not_copied(world):
    for value in (world.net._network, world.trainer, world.loss, world.net.handle, _core.Result()):
        for make in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot pickle"):
                make(value)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError):
                value.__reduce_ex__(protocol)


@pytest.mark.parametrize("cls", [*CLASSES, _core.Result])
def test_methods_refuse_another_self(cls):
    for name, method in vars(cls).items():
        if callable(method) and name != "__new__" and not isinstance(method, staticmethod):
            with pytest.raises(TypeError):
                method("text")


def test_a_trainer_outlives_its_garbage():
    """The garbage collector may not take a trainer's network first."""
    import gc

    for _ in range(2):
        holder = []
        net = cnn.mlp([3, 2], "relu", "softmax", rng=0)
        holder += [holder, _core.Trainer(net._network, "adam")]
        del net, holder
        gc.collect()


def test_lying_bytes(world):
    """Their own length counts."""

    class Bytes(bytes):
        def __len__(self):
            return 2**40

    data = world.net._network.to_bytes()
    assert _core.Network.from_bytes(Bytes(data)).inputs == 3
