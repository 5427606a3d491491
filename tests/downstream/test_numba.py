"""Jitted loops, and SciPy's integrators, that call a network with no Python in between."""

import ctypes

import numpy as np
import pytest

import cnn
from cnn import _core


def test_c_function_in_a_jitted_loop():
    numba = pytest.importorskip("numba")
    net = cnn.mlp([784, 50, 100, 10], "sigmoid", "softmax", rng=0)
    predict, handle = net.c_function, net.handle

    @numba.njit
    def loop(network, x, y):
        wrong = 0
        for i in range(len(x)):
            row, out = x[i], y[i]
            wrong += predict(network, 1, row.ctypes, row.size, out.ctypes, out.size, 0, 0) != 0
        return wrong

    x = np.random.default_rng(0).random((200, 784), np.float32)
    y = np.empty((200, 10), np.float32)
    assert loop(handle.address, x, y) == 0
    assert (y == net.predict(x)).all()
    assert loop(0, x, y) == 200


@pytest.mark.parametrize("wrong", ["x", "y"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_c_function_refuses_arrays_of_another_dtype(dtype, wrong):
    """Numba compiles no such call, which would read or write beyond the ends of arrays."""
    numba = pytest.importorskip("numba")
    net = cnn.mlp([5, 3], "tanh", "softmax", rng=0, dtype=dtype)
    predict, handle = net.c_function, net.handle

    @numba.njit
    def one(network, x, y):
        return predict(network, 1, x.ctypes, x.size, y.ctypes, y.size, 0, 0)

    other = {"float32": "float64", "float64": "float32"}[dtype]
    x, y = (
        np.ones(5, other if wrong == "x" else dtype),
        np.zeros(3, other if wrong == "y" else dtype),
    )
    with pytest.raises(numba.TypingError):
        one(handle.address, x, y)
    x, y = np.ones(5, dtype), np.zeros(3, dtype)
    assert one(handle.address, x, y) == 0
    assert (y == net.predict(x)).all()
    # Rows of another width are refused by their size.
    assert one(handle.address, x[:4], y) == 1
    assert one(handle.address, x, y[:2]) == 1


def test_cython_function_in_a_jitted_loop():
    numba = pytest.importorskip("numba")
    from numba.extending import get_cython_function_address

    address = get_cython_function_address("cnn._core", "activation_forward_f64")
    # Pointers with a type, so that arrays of another dtype are refused.
    size, numbers = ctypes.c_size_t, ctypes.POINTER(ctypes.c_double)
    types = [ctypes.c_int, size, size, numbers, size, numbers, size]
    forward = ctypes.CFUNCTYPE(ctypes.c_int, *types)(address)
    tanh = _core.ACTIVATIONS.index("tanh")

    @numba.njit
    def apply(x, y):
        rows, cols = x.shape
        return forward(tanh, rows, cols, x.ctypes, cols, y.ctypes, cols)

    x = np.random.default_rng(0).standard_normal((30, 11))
    y = np.empty_like(x)
    assert apply(x, y) == 0
    assert (y == cnn.tanh(x)).all()
    with pytest.raises(numba.TypingError):
        apply(x.astype(np.float32), y)


def test_integrand():
    scipy = pytest.importorskip("scipy")
    from scipy.integrate import nquad, quad

    net = cnn.mlp([2, 16, 1], "tanh", "identity", rng=0, dtype="float64")
    handle = net.handle
    function = scipy.LowLevelCallable.from_cython(
        _core,
        "network_value_f64",
        user_data=handle.capsule,
        signature="double (int, double *, void *)",
    )
    expected = nquad(lambda a, b: net.predict([a, b]).item(), [[0, 1], [-1, 1]])[0]
    assert nquad(function, [[0, 1], [-1, 1]])[0] == pytest.approx(expected, abs=1e-12)
    # A network that is no integrand of two numbers gives NaN.
    other = cnn.mlp([3, 1], "tanh", "identity", rng=0, dtype="float64")
    bad = scipy.LowLevelCallable.from_cython(
        _core,
        "network_value_f64",
        user_data=other.handle.capsule,
        signature="double (int, double *, void *)",
    )
    with pytest.warns(scipy.integrate.IntegrationWarning):
        assert np.isnan(quad(bad, 0, 1, args=(0.5,))[0])
