"""Results do not depend on a host that flushes denormals or rounds another way (contract, 4.1).

Such a host is made by setting MXCSR through the C library's fesetenv, on x86-64 with glibc. Every
call must leave the mode as it found it.
"""

import ctypes
import platform
from contextlib import contextmanager

import bounded
import numpy as np
import pytest
import reference as ref

from cnn import _core

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc",
    reason="sets MXCSR through glibc's fenv_t on x86-64",
)

FLUSH = 1 << 15 | 1 << 6  # flush to zero, denormals are zeros
UPWARD = 2 << 13
TOWARD_ZERO = 3 << 13
MODES = {"flush": FLUSH, "upward": UPWARD, "both": FLUSH | TOWARD_ZERO}
CONTROL = FLUSH | 3 << 13
AT = 28  # of MXCSR in fenv_t, behind the x87 state


def environment():
    libm = ctypes.CDLL("libm.so.6")
    buffer = ctypes.create_string_buffer(64)
    assert libm.fegetenv(buffer) == 0
    return libm, buffer


def mxcsr():
    _, buffer = environment()
    return int.from_bytes(buffer.raw[AT : AT + 4], "little")


def set_mxcsr(value):
    libm, buffer = environment()
    buffer[AT : AT + 4] = value.to_bytes(4, "little")
    assert libm.fesetenv(buffer) == 0


@contextmanager
def host_in(mode):
    """Run the body in a mode of the host's, and see that it is the same at the end."""
    before = mxcsr()
    set_mxcsr(before & ~CONTROL | mode)
    try:
        yield
        assert mxcsr() & CONTROL == mode, "the library changed the host's mode"
    finally:
        set_mxcsr(before)


def test_the_host_does_flush():
    tiny = np.array([5e-324, 1e-310])
    with host_in(FLUSH):
        assert not (tiny * 1.0).any()
    assert (tiny * 1.0).all()


# ---- What is called in the host's mode ---------------------------------------------------------


def operands(dtype):
    """Return numbers whose products and results are denormal."""
    rng = np.random.default_rng(0)
    root = np.sqrt(np.finfo(dtype).tiny)
    x = (rng.standard_normal((40, 30)) * root).astype(dtype)
    w = (rng.standard_normal((30, 20)) * root / 100).astype(dtype)
    return x, w, np.zeros(20, dtype)


def dense(dtype, network_of):
    x, w, b = operands(dtype)
    dy = x[:, :20].copy()
    return lambda: [_core.dense(x, w, b, "identity"), *_core.dense_backward(dy, x, w)]


def activations(dtype, network_of):
    smallest = np.finfo(dtype).smallest_subnormal
    x = np.concatenate([np.arange(-50, 50) * smallest, np.linspace(-120, 120, 99)]).astype(dtype)
    x = np.concatenate([x, 6.2 * x])

    def run():
        found = []
        for name in _core.ACTIVATIONS:
            y = _core.activation(name, x)
            source = x if name in _core.NEEDS_INPUT else y
            found += [y, _core.activation_backward(name, x, source)]
        return [*found, _core.log_softmax(x)]

    return run


def losses(dtype, network_of):
    smallest = np.finfo(dtype).smallest_subnormal
    z = (np.arange(-20, 20) * smallest).reshape(8, 5).astype(dtype)
    z[2:4] = [-1000, 0, -700, -90, 3]
    wide = np.abs(np.arange(-10, 30) * 1.3e-320 if dtype == "float64" else z.astype(np.float64))
    t = np.abs(wide).reshape(8, 5)
    weights = np.array([1e-310, 1, 0, 1e-300, 1, 1, 2, 3])

    def run():
        found = []
        for kind in _core.LOSSES:
            found += _core.loss_gradient(_core.Loss(kind), z, t, weights)
        return found

    return run


def predict(dtype, network_of):
    network = network_of([30, 40, 20, 5], ["identity", "relu"], dtype=dtype)
    x = operands(dtype)[0].astype(np.float64) * (1e-20 if dtype == "float32" else 1e-150)
    half = np.array(np.arange(30) * 6e-8, np.float16)
    loss = _core.Loss("cross_entropy", labels=True)
    t = np.arange(40) % 5
    return lambda: [
        network.predict(x),
        network.predict(half),
        network.evaluate(loss, x, t).loss_sum,
        *network.gradients(loss, x, t)[1],
    ]


def training(dtype, network_of):
    x = np.random.default_rng(1).standard_normal((300, 30)) * 1e-30
    t = np.arange(300) % 5
    loss = _core.Loss("cross_entropy", labels=True)
    original = network_of([30, 70, 60, 5], "tanh", dtype=dtype, dropout=0.2, l2=1e-30)

    def run():
        found = []
        for kind in _core.OPTIMIZERS:
            network = original.copy()
            trainer = _core.Trainer(network, kind, **ref.OPTIMIZERS[kind], clip_norm=1e-20)
            index = np.arange(300, dtype=np.uintp)
            trainer.epoch(loss, x, t, None, index, 100, np.full(3, 1e-20))
            trainer.step(loss, x, t, None, 1e-3)
            found += [network.get(i, "weight") for i in (0, 2, 4)] + trainer.get_state()
        return found

    return run


def resuming(dtype, network_of):
    x = np.random.default_rng(1).standard_normal((9, 30))
    loss = _core.Loss("cross_entropy", labels=True)
    original = network_of([30, 7, 5], "tanh", dtype=dtype)

    def run():
        trainer = _core.Trainer(original.copy(), "adam", **ref.OPTIMIZERS["adam"])
        trainer.steps = 1000  # multiplies the powers of beta again
        trainer.step(loss, x, np.arange(9) % 5, None, 0.1)
        return [trainer.network.get(0, "weight")]

    return run


def building(dtype, network_of):
    def run():
        network = _core.Network([_core.LayerSpec("dense", 200, 30, "relu")], dtype=dtype, seed=3)
        network.initialize(0, "uniform", 1e-40)
        tiny = network.get(0, "weight")
        network.initialize(0, "torch")
        return [tiny, network.get(0, "weight"), network.get(0, "bias")]

    return run


def files(dtype, network_of):
    network = network_of([3, 2], output="identity", dtype=dtype, l2=0.1)
    network.set(0, "weight", np.full((3, 2), np.finfo(dtype).smallest_subnormal, dtype))

    def run():
        loaded = _core.Network.from_bytes(network.to_bytes())
        return [loaded.get(0, "weight"), np.array(loaded.layers[0].l2)]

    return run


CALLS = [dense, activations, losses, predict, training, resuming, building, files]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("call", CALLS)
def test_the_host_does_not_matter(call, mode, dtype, network_of, bits):
    for name in _core.isas():
        _core.select_isa(name)
        _core.set_num_threads(1)
        run = call(dtype.name, network_of)
        expected = bits(*run())
        with host_in(MODES[mode]):
            found = run()
        assert bits(*found) == expected, name


@pytest.mark.parametrize("call", [dense, predict, training])
def test_workers_do_not_matter(call, dtype, network_of, bits):
    """Workers are started by the first call that needs them, and inherit the host's mode."""
    run = call(dtype.name, network_of)
    _core.set_num_threads(1)
    expected = bits(*run())
    _core.set_num_threads(4)
    with host_in(FLUSH | UPWARD):
        found = run()
    assert bits(*found) == expected


def test_denormals_are_kept(dtype, isa):
    """The operands above do have denormal results."""
    x, w, b = operands(dtype)
    y = _core.dense(x, w, b, "identity")
    denormal = (y != 0) & (np.abs(y) < np.finfo(dtype).tiny)
    assert denormal.mean() > 0.9
    bounded.assert_within(y, ref.dense(*(bounded.exact(v, dtype) for v in (x, w, b))))
