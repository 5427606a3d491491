"""cffi's ABI mode, as Rust, Julia and others would: only cnn.h and the library."""

import os
import shlex
from pathlib import Path

import numpy as np
import pytest

import cnn


@pytest.fixture(scope="module")
def c(run):
    """Return cffi's view of libcnn, from the header that the preprocessor leaves."""
    cffi = pytest.importorskip("cffi")
    header = Path(cnn.get_include(), "cnn", "cnn.h")
    compiler = shlex.split(os.environ.get("CC", "cc"))
    text = run(*compiler, "-E", "-P", "-D__attribute__(x)=", header)
    # cffi knows the types of stddef.h and stdint.h, whose text comes first.
    declarations = text[text.index("typedef enum cnn_status") :]
    ffi = cffi.FFI()
    ffi.cdef(declarations)
    return ffi, ffi.dlopen(cnn.get_library())


def matrix(ffi, lib, array):
    types = {"float32": lib.CNN_FLOAT32, "int64": lib.CNN_INT64}
    return {
        "struct_size": ffi.sizeof("cnn_matrix"),
        "data": ffi.cast("void *", array.ctypes.data),
        "dtype": types[array.dtype.name],
        "rows": array.shape[0],
        "cols": array.shape[1],
        "row_stride": array.strides[0],
        "col_stride": array.strides[1],
    }


def make(ffi, lib):
    layers = ffi.new("cnn_layer[2]")
    for layer, inputs, outputs, activation in (
        (layers[0], 64, 50, lib.CNN_RELU),
        (layers[1], 50, 10, lib.CNN_SOFTMAX),
    ):
        layer.struct_size = ffi.sizeof("cnn_layer")
        layer.inputs, layer.outputs, layer.activation = inputs, outputs, activation
    network = ffi.new("cnn_network **")
    assert lib.cnn_network_create(lib.CNN_FLOAT32, 2, layers, 3, network) == lib.CNN_OK
    assert lib.cnn_network_initialize(network[0], 0, lib.CNN_INIT_HE_UNIFORM, 0) == lib.CNN_OK
    assert lib.cnn_network_initialize(network[0], 1, lib.CNN_INIT_GLOROT_UNIFORM, 0) == lib.CNN_OK
    return network[0]


def test_train_and_predict(c, tmp_path):
    ffi, lib = c
    x, t, x_test, t_test = cnn.datasets.load_digits(split=True)
    x, x_test = (np.ascontiguousarray(part, np.float32) for part in (x, x_test))
    labels = np.ascontiguousarray(t, np.int64)[:, None]
    network = make(ffi, lib)
    optimizer = ffi.new("cnn_optimizer *")
    optimizer.struct_size = ffi.sizeof("cnn_optimizer")
    optimizer.kind, optimizer.beta1, optimizer.beta2, optimizer.eps = lib.CNN_ADAM, 0.9, 0.999, 1e-8
    trainer = ffi.new("cnn_trainer **")
    assert lib.cnn_trainer_create(network, optimizer, trainer) == lib.CNN_OK
    loss = ffi.new("cnn_loss *")
    loss.struct_size = ffi.sizeof("cnn_loss")
    loss.kind, loss.target = lib.CNN_CROSS_ENTROPY, lib.CNN_TARGET_LABELS
    data = ffi.new("cnn_data *")
    data.struct_size = ffi.sizeof("cnn_data")
    data.x, data.t = matrix(ffi, lib, x), matrix(ffi, lib, labels)
    data.sample_weight.struct_size = ffi.sizeof("cnn_matrix")
    index = ffi.new("size_t[]", len(x))
    lr = ffi.new("double[]", [3e-3] * (len(x) // 100 + 1))
    result = ffi.new("cnn_result *")
    result.struct_size = ffi.sizeof("cnn_result")
    for epoch in range(15):
        assert lib.cnn_random_permutation(3, epoch, len(x), 0, len(x), index) == lib.CNN_OK
        assert (
            lib.cnn_trainer_epoch(trainer[0], loss, data, index, len(x), 100, lr, 0, result)
            == lib.CNN_OK
        )
    y = np.empty((len(x_test), 10), np.float32)
    arrays = [ffi.cast("float *", array.ctypes.data) for array in (x_test, y)]
    assert (
        lib.cnn_network_predict_f32(network, len(y), arrays[0], 64, arrays[1], 10, ffi.NULL, 0)
        == lib.CNN_OK
    )
    assert (y.argmax(axis=1) == t_test).mean() > 0.93
    path = tmp_path / "digits.safetensors"
    assert lib.cnn_network_save(network, str(path).encode()) == lib.CNN_OK
    assert (cnn.load(path).predict(x_test) == y).all()
    # The same in Python gives the same bits.
    layers = [cnn.Dense(64, 50, "relu"), cnn.Dense(50, 10, "softmax")]
    net = cnn.Sequential(layers, rng=3)
    net.fit(x, t, epochs=15, batch_size=100, optimizer=cnn.Adam(lr=3e-3))
    assert (net.predict(x_test) == y).all()
    lib.cnn_trainer_destroy(trainer[0])
    lib.cnn_network_destroy(network)


def test_bad_input(c):
    ffi, lib = c

    def refused(status, code, message):
        assert status == code
        assert message in ffi.string(lib.cnn_last_error()).decode()

    network = make(ffi, lib)
    x, y = ffi.new("float[64]"), ffi.new("float[10]")
    call = lib.cnn_network_predict_f32
    refused(call(ffi.NULL, 1, x, 64, y, 10, ffi.NULL, 0), lib.CNN_ERROR_ARGUMENT, "network is NULL")
    refused(call(network, 1, ffi.NULL, 64, y, 10, ffi.NULL, 0), lib.CNN_ERROR_ARGUMENT, "x is NULL")
    refused(call(network, 2, x, 63, y, 10, ffi.NULL, 0), lib.CNN_ERROR_ARGUMENT, "x")
    huge = 2**63
    refused(call(network, huge, x, huge, y, 10, ffi.NULL, 0), lib.CNN_ERROR_MEMORY, "x")
    twice = ffi.new("double[64]"), ffi.new("double[10]")
    status = lib.cnn_network_predict_f64(network, 1, twice[0], 64, twice[1], 10, ffi.NULL, 0)
    refused(status, lib.CNN_ERROR_TYPE, "x is float64, the network is float32")
    layer = ffi.new("cnn_layer *")
    layer.struct_size = 8
    made = ffi.new("cnn_network **")
    status = lib.cnn_network_create(lib.CNN_FLOAT32, 1, layer, 0, made)
    refused(status, lib.CNN_ERROR_ARGUMENT, "struct_size")
    layer.struct_size = ffi.sizeof("cnn_layer")
    layer.inputs, layer.outputs = 2**62, 2**62
    status = lib.cnn_network_create(lib.CNN_FLOAT32, 1, layer, 0, made)
    refused(status, lib.CNN_ERROR_MEMORY, "too large")
    lib.cnn_network_destroy(network)
    lib.cnn_network_destroy(ffi.NULL)
