"""Cython modules: by cimport alone, and linked to libcnn."""

import numpy as np
import pytest

import cnn


@pytest.fixture(scope="module")
def user(pip_install):
    pip_install("setuptools_cython")
    import cnn_user

    return cnn_user


@pytest.fixture(scope="module")
def skbuild(pip_install):
    pip_install("skbuild")
    import cnn_imported
    import cnn_linked

    return cnn_imported, cnn_linked


def test_predict(user):
    net = cnn.mlp([784, 50, 100, 10], "sigmoid", "softmax", rng=0)
    x = np.random.default_rng(0).random((100, 784), np.float32)
    y = np.empty((100, 10), np.float32)
    handle = net.handle
    assert user.shape(handle.address) == (784, 10)
    assert user.predict(handle.address, x, y) == 0
    assert (y == net.predict(x)).all()


def test_arrays(user):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((9, 7))
    for name in ("tanh", "softmax", "gelu"):
        y = np.empty_like(x)
        assert user.activation(name, x, y) == 0
        assert (y == getattr(cnn, name)(x)).all()
    with pytest.raises(ValueError, match="absent"):
        user.activation("absent", x, x)
    x, w, b = (rng.standard_normal(s).astype(np.float32) for s in ((9, 7), (7, 5), 5))
    y = np.empty((9, 5), np.float32)
    assert user.dense(x, w, b, y) == 0
    assert (y == cnn.dense(x, w, b, activation="relu")).all()
    x, w, dy = (rng.standard_normal(s) for s in ((9, 7), (7, 5), (9, 5)))
    found = np.empty((9, 7)), np.empty((7, 5)), np.empty(5)
    assert user.dense_backward(dy, x, w, *found) == 0
    for part, expected in zip(found, cnn.dense_backward(dy, x, w), strict=True):
        assert (part == expected).all()


def test_bad_input(user):
    x, y = np.zeros((1, 4), np.float32), np.zeros((1, 3), np.float32)
    assert user.predict(0, x, y) == 1
    assert user.last_error() == "network is NULL"
    net = cnn.mlp([4, 3], "relu", "softmax", dtype="float64")
    assert user.predict(net.handle.address, x, y) == 2
    assert user.last_error() == "x is float32, the network is float64"


def test_scikit_build_core(skbuild, tmp_path):
    imported, linked = skbuild
    net = cnn.mlp([6, 5, 2], "elu", "identity", rng=0, dtype="float64")
    x, y = np.arange(6.0), np.empty(2)
    assert imported.predict(net.handle.address, x, y) == 0
    assert (y == net.predict(x)).all()
    net.save(tmp_path / "net.safetensors")
    assert linked.inputs_of(str(tmp_path / "net.safetensors")) == 6
    assert linked.constants() == {
        "version": cnn.__version__,
        "abi_version": 1,
        "names": ["relu", "huber", "adam", "he_uniform"],
    }
    with pytest.raises(ValueError, match="No such file"):
        linked.inputs_of(str(tmp_path / "absent.safetensors"))
