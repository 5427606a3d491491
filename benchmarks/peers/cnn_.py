"""cnn itself, called as a user calls it."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

import cnn
import data
from cases import Activation, Net, Predict, Product, Train
from peers.base import Job, Peer, same, training


def _name(activation: str) -> cnn.activations.Activation:
    return cast("cnn.activations.Activation", activation)


def network(net: Net, seed: int = 0) -> cnn.Sequential:
    """Return a network with the parameters that all peers start from."""
    made = cnn.mlp(list(net.widths), _name(net.hidden), _name(net.output), rng=seed)
    for layer, (weight, bias) in zip(made.layers, data.parameters(net), strict=True):
        assert isinstance(layer, cnn.Dense)
        layer.weight, layer.bias = weight, bias
    return made


class Cnn(Peer):
    """The instruction set is chosen by CNN_ISA, which the library reads when it is loaded."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        cnn.set_num_threads(threads)

    @property
    def version(self) -> str:
        return str(cnn.__version__)

    def predict(self, case: Predict) -> list[Job]:
        net, x = network(case.net), data.inputs(case.net, case.rows)
        return [same(lambda: net.predict(x))]

    def train(self, case: Train) -> list[Job]:
        net: cnn.Sequential | None = None
        optimizer: cnn.SGD | cnn.Adam | None = None
        x, t = data.inputs(case.net, case.samples), data.targets(case.net, case.samples)
        count = case.checked_samples

        def begin() -> None:
            nonlocal net, optimizer
            net = network(case.net, case.seed)
            optimizer = cnn.SGD(case.lr) if case.optimizer == "SGD" else cnn.Adam(case.lr)

        def fit(x: NDArray[Any], t: NDArray[Any], *, shuffle: bool = True) -> None:
            assert net is not None
            net.fit(
                x,
                t,
                batch_size=case.batch,
                optimizer=optimizer,
                shuffle=shuffle,
                progress=False,
            )

        def parameters() -> list[NDArray[Any]]:
            assert net is not None
            return net.get_weights()

        def run_checked() -> None:
            fit(x[:count], t[:count], shuffle=False)

        return [training(case, lambda: fit(x, t), run_checked, begin, parameters)]

    def activation(self, case: Activation) -> list[Job]:
        a = data.activation(case)
        if case.direction == "forward":
            function = getattr(cnn, case.function)
            return [same(lambda: function(a.x, out=a.out))]
        name = _name(case.function)
        backward = cnn.activation_backward
        if case.needs_input:
            return [same(lambda: backward(name, a.dy, x=a.x, out=a.out))]
        return [same(lambda: backward(name, a.dy, a.y, out=a.out))]

    def product(self, case: Product) -> list[Job]:
        a = data.product(case)
        if case.part == "forward":
            return [same(lambda: cnn.dense(a.x, a.weight, a.bias, out=a.out))]
        return [same(_backward(case, a))]


def _backward(case: Product, a: data.ProductData) -> Any:
    """Return a function that computes one gradient alone, which only C offers."""
    library = ctypes.CDLL(_library())
    function = library.cnn_dense_backward_f32
    function.argtypes = [ctypes.c_size_t] * 3 + [ctypes.c_void_p] * 6
    out = a.out.ctypes.data
    dx, dweight = (out, None) if case.part == "dX" else (None, out)
    sizes = (case.rows, case.inputs, case.outputs)
    pointers = (a.dy.ctypes.data, a.x.ctypes.data, a.weight.ctypes.data, dx, dweight, None)

    def run() -> NDArray[np.float32]:
        status = function(*sizes, *pointers)
        if status != 0:
            raise RuntimeError(f"cnn_dense_backward_f32 returned {status}")
        return a.out

    return run


def _library() -> str:
    """Return the path of the libcnn that the package has loaded."""
    folder = Path(cnn.__file__).parent / "lib"
    found = [path for path in folder.iterdir() if path.suffix in (".so", ".dylib", ".dll")]
    if not found:
        raise FileNotFoundError(f"there is no libcnn in {folder}")
    return str(found[0])
