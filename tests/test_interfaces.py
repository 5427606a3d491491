"""Handles, C functions, and where the parts for compilers lie."""

import ctypes
import gc
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from refused import refused

import cnn
from cnn import installed
from cnn.cli import main as command_line

get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
get_pointer.argtypes, get_pointer.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_void_p


def network(dtype="float32"):
    return cnn.mlp([5, 7, 3], "tanh", "softmax", rng=0, dtype=dtype)


def predict(net, function, address, x):
    y = np.empty((len(x), net.outputs), net.dtype)
    status = function(address, len(x), x.ctypes.data, net.inputs, y.ctypes.data, net.outputs, 0, 0)
    return status, y


def test_c_function(dtype, bits):
    net = network(dtype)
    x = np.random.default_rng(0).standard_normal((40, 5)).astype(dtype)
    status, y = predict(net, net.c_function, net.handle.address, x)
    assert status == 0
    assert bits(y) == bits(net.predict(x))


def test_c_function_of_the_other_dtype():
    net, other = network("float32"), network("float64")
    status, _ = predict(other, other.c_function, net.handle.address, np.ones((2, 5)))
    assert status == 2  # CNN_ERROR_TYPE
    library = ctypes.CDLL(cnn.get_library())
    library.cnn_last_error.restype = ctypes.c_char_p
    assert library.cnn_last_error() == b"x is float64, the network is float32"


def test_null_network():
    net = network()
    status, _ = predict(net, net.c_function, 0, np.ones((2, 5), np.float32))
    assert status == 1  # CNN_ERROR_ARGUMENT


def test_capsule_holds_the_address():
    net = network()
    handle = net.handle
    assert get_pointer(handle.capsule, b"cnn_network") == handle.address
    assert net.handle.address == handle.address
    assert repr(handle) == f"<cnn handle of a float32 network at {handle.address:#x}>"


@pytest.mark.parametrize("kept", ["handle", "capsule"])
def test_either_keeps_the_network(kept):
    net = network()
    function, x = net.c_function, np.ones((1, 5), np.float32)
    expected = net.predict(x)
    handle = net.handle
    address = handle.address
    held = handle if kept == "handle" else handle.capsule
    twin = network()
    del net, handle
    gc.collect()
    others = [network() for _ in range(50)]  # would get the memory, had it been freed
    status, y = predict(twin, function, address, x)
    assert status == 0
    assert (y == expected).all()
    assert held is not None
    assert others


def test_network_is_freed_with_its_last_holder():
    # Each network has 20 MB; were they kept, 40 of them would need 800 MB.
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(20):
        with cnn.mlp([1000, 2500, 1], "relu", "identity", rng=0).handle as handle:
            assert handle.capsule
        assert cnn.mlp([1000, 2500, 1], "relu", "identity", rng=0).handle.capsule
    scale = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * scale < 4e8


def test_closed_handle():
    net = network()
    with net.handle as handle:
        capsule = handle.capsule
    assert handle.closed
    handle.close()
    for name in ("address", "capsule"):
        with refused(ValueError, "handle: it is closed, get another from the network"):
            getattr(handle, name)
    with refused(ValueError, "handle: it is closed"), handle:
        pass
    with pytest.raises(ValueError, match="PyCapsule_GetPointer called with incorrect name"):
        get_pointer(capsule, b"cnn_network")
    assert repr(handle) == "<cnn handle, closed>"
    assert net.predict(np.ones(5)).shape == (3,)


def test_where_parts_lie():
    assert Path(cnn.get_include(), "cnn", "cnn.h").is_file()
    assert Path(cnn.get_library()).is_file()
    assert Path(cnn.get_cmake_dir(), "cnnConfig.cmake").is_file()
    assert Path(cnn.get_pkgconfig_dir(), "cnn.pc").is_file()


def test_part_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(cnn, "__path__", [str(tmp_path)])
    with refused(FileNotFoundError, "include is not beside cnn in"):
        installed.get_include()


def test_flags(capsys):
    assert command_line.main(["--cflags", "--libs"]) == 0
    words = shlex.split(capsys.readouterr().out)
    folder = Path(cnn.get_library()).parent
    assert words == [f"-I{cnn.get_include()}", f"-L{folder}", f"-Wl,-rpath,{folder}", "-lcnn"]
    assert command_line.main(["--cmakedir"]) == 0
    assert capsys.readouterr().out == cnn.get_cmake_dir() + "\n"
    assert command_line.main(["--pkgconfigdir"]) == 0
    assert capsys.readouterr().out == cnn.get_pkgconfig_dir() + "\n"


@pytest.mark.parametrize("arguments", [["completion"], ["--libs", "info"], ["--absent"]])
def test_bad_command_lines(arguments):
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cnn", *arguments], capture_output=True, check=False, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "usage: python -m cnn" in done.stderr


def no_pointer(value):
    """Return what ctypes says of a value that is no pointer; the text depends on the Python."""
    with pytest.raises(TypeError) as caught:
        ctypes.c_void_p.from_param(value)
    return str(caught.value)


def test_c_function_checks_what_has_a_dtype(dtype, bits):
    """Arrays and pointers of another dtype, by which memory would be read beyond their ends."""
    net = network(dtype)
    c_type = {"float32": ctypes.c_float, "float64": ctypes.c_double}[dtype.name]
    other_dtype = np.dtype({"float32": "float64", "float64": "float32"}[dtype.name])
    other_type = {ctypes.c_float: ctypes.c_double, ctypes.c_double: ctypes.c_float}[c_type]
    x = np.random.default_rng(0).standard_normal((4, 5)).astype(dtype)
    y, handle, function = np.empty((4, 3), dtype), net.handle, net.c_function

    def call(x, y):
        return function(handle.address, 4, x, 5, y, 3, 0, 0)

    pointer = ctypes.POINTER(c_type)
    for good in (
        x,
        x.ctypes,
        x.ctypes.data,
        x.ctypes.data_as(pointer),
        x.ctypes.data_as(ctypes.c_void_p),
        ((c_type * 5) * 4)(*map(tuple, x.tolist())),
        (c_type * 20)(*x.ravel().tolist()),
    ):
        y[...] = 0
        assert call(good, y) == call(good, y.ctypes) == 0
        assert bits(y) == bits(net.predict(x))
    for bad, message in (
        (x.astype(other_dtype), f"an array of dtype {other_dtype}, should be {dtype}"),
        (x.astype(other_dtype).ctypes, f"an array of dtype {other_dtype}, should be {dtype}"),
        (x.astype(int), f"an array of dtype int64, should be {dtype}"),
        (x.astype(dtype.newbyteorder()), "an array of dtype >"),
        (np.asfortranarray(x), "an array with gaps in its rows, should have none"),
        (x[:, ::2], "an array with gaps in its rows, should have none"),
        (
            (other_type * 20)(),
            f"a pointer to {other_type.__name__}, should be to {c_type.__name__}",
        ),
        (ctypes.pointer(other_type()), f"a pointer to {other_type.__name__}, should be"),
        ([1.0], no_pointer([1.0])),
        (1.5, no_pointer(1.5)),
    ):
        with refused(ctypes.ArgumentError, message):
            call(bad, y)
        with refused(ctypes.ArgumentError, message):
            call(x, bad)


def test_c_function_refuses_rows_that_are_too_short(dtype):
    """One row too, where no distance is gone: a row of the wrong width is one of a wrong size."""
    net = network(dtype)
    x, y = np.ones(4, dtype), np.full(3, 7, dtype)
    for x_stride, y_stride in ((4, 3), (5, 2), (0, 3), (5, 0)):
        status = net.c_function(net.handle.address, 1, x, x_stride, y, y_stride, 0, 0)
        assert status == 1  # CNN_ERROR_ARGUMENT
    assert (y == 7).all()
