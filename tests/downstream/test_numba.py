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


def test_cython_function_in_a_jitted_loop():
    numba = pytest.importorskip("numba")
    from numba.extending import get_cython_function_address

    address = get_cython_function_address("cnn._core", "activation_forward_f64")
    types = [ctypes.c_int, *[ctypes.c_size_t] * 2, ctypes.c_void_p, ctypes.c_size_t]
    forward = ctypes.CFUNCTYPE(ctypes.c_int, *types, ctypes.c_void_p, ctypes.c_size_t)(address)
    tanh = _core.ACTIVATIONS.index("tanh")

    @numba.njit
    def apply(x, y):
        rows, cols = x.shape
        return forward(tanh, rows, cols, x.ctypes, cols, y.ctypes, cols)

    x = np.random.default_rng(0).standard_normal((30, 11))
    y = np.empty_like(x)
    assert apply(x, y) == 0
    assert (y == cnn.tanh(x)).all()


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
