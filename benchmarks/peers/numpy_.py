"""NumPy, with as few passes over memory as it allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import data
from cases import Activation, Predict, Product
from peers.base import Job, Peer, same

F = np.float32
Array = NDArray[Any]


def _sigmoid(x: Array, y: Array) -> Array:
    np.negative(x, out=y)
    np.exp(y, out=y)
    np.add(y, F(1), out=y)
    return np.reciprocal(y, out=y)


def _softmax(x: Array, y: Array) -> Array:
    np.subtract(x, x.max(axis=-1, keepdims=True), out=y)
    np.exp(y, out=y)
    return np.divide(y, y.sum(axis=-1, keepdims=True), out=y)


def _leaky_relu(x: Array, y: Array) -> Array:
    np.multiply(x, F(0.01), out=y)
    return np.maximum(x, y, out=y)


FORWARD: dict[str, Callable[[Array, Array], Array]] = {
    "identity": lambda x, y: x,
    "step": lambda x, y: np.heaviside(x, F(0), out=y),
    "sigmoid": _sigmoid,
    "tanh": lambda x, y: np.tanh(x, out=y),
    "relu": lambda x, y: np.maximum(x, F(0), out=y),
    "leaky_relu": _leaky_relu,
    "softplus": lambda x, y: np.logaddexp(x, F(0), out=y),
    "softmax": _softmax,
}


def _sigmoid_backward(dy: Array, y: Array, dx: Array) -> Array:
    np.subtract(F(1), y, out=dx)
    np.multiply(dx, y, out=dx)
    return np.multiply(dx, dy, out=dx)


def _tanh_backward(dy: Array, y: Array, dx: Array) -> Array:
    np.multiply(y, y, out=dx)
    np.subtract(F(1), dx, out=dx)
    return np.multiply(dx, dy, out=dx)


def _softmax_backward(dy: Array, y: Array, dx: Array) -> Array:
    np.multiply(dy, y, out=dx)
    np.subtract(dy, dx.sum(axis=-1, keepdims=True), out=dx)
    return np.multiply(dx, y, out=dx)


BACKWARD: dict[str, Callable[[Array, Array, Array], Array]] = {
    "sigmoid": _sigmoid_backward,
    "tanh": _tanh_backward,
    "relu": lambda dy, y, dx: np.multiply(dy, y > 0, out=dx),
    "softmax": _softmax_backward,
}


class Numpy(Peer):
    """NumPy and the BLAS it comes with; the environment sets the threads of that."""

    @property
    def version(self) -> str:
        return np.__version__

    def predict(self, case: Predict) -> list[Job]:
        parameters, x = data.parameters(case.net), data.inputs(case.net, case.rows)
        hidden, output = FORWARD[case.net.hidden], FORWARD[case.net.output]
        functions = [hidden] * (len(parameters) - 1) + [output]
        layers = [(*pair, h) for pair, h in zip(parameters, functions, strict=True)]

        def run() -> Array:
            y = x
            for weight, bias, h in layers:
                z = y @ weight
                z += bias
                y = h(z, z)
            return y

        return [same(run)]

    def activation(self, case: Activation) -> list[Job]:
        a = data.activation(case)
        if case.direction == "forward" and case.function in FORWARD:
            forward = FORWARD[case.function]
            return [same(lambda: forward(a.x, a.out))]
        if case.direction == "backward" and case.function in BACKWARD:
            backward = BACKWARD[case.function]
            return [same(lambda: backward(a.dy, a.y, a.out))]
        return []

    def product(self, case: Product) -> list[Job]:
        a = data.product(case)

        def forward() -> Array:
            np.matmul(a.x, a.weight, out=a.out)
            return np.add(a.out, a.bias, out=a.out)

        runs = {
            "forward": forward,
            "dX": lambda: np.matmul(a.dy, a.weight.T, out=a.out),
            "dW": lambda: np.matmul(a.x.T, a.dy, out=a.out),
        }
        return [same(runs[case.part])]
