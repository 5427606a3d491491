"""The arrays of a case, the same in every process.

Inputs of 784 numbers are MNIST's where the environment variable CNN_DATA names a folder with its
files, and random numbers of the same shape and range otherwise.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cases import Activation, Net, Product

Array: TypeAlias = NDArray[np.float32]
Parameters: TypeAlias = list[tuple[Array, Array]]
SEED = 20240229
ALIGNMENT = 64  # bytes; JAX takes arrays that begin at such an address without a copy


def aligned(values: NDArray[Any]) -> Array:
    """Return a C-contiguous copy that begins at a whole cache line."""
    size = 4 * values.size
    memory = np.empty(size + ALIGNMENT, dtype=np.uint8)
    first = -memory.ctypes.data % ALIGNMENT
    array: Array = memory[first : first + size].view(np.float32).reshape(values.shape)
    array[...] = values
    return array


def empty(*shape: int) -> Array:
    """Return an aligned array whose memory has been touched."""
    return aligned(np.zeros(shape, dtype=np.float32))


def parameters(net: Net) -> Parameters:
    """Return weights (inputs, outputs) and biases from which all peers start."""
    rng = np.random.default_rng(SEED)
    found = []
    for inputs, outputs in pairwise(net.widths):
        bound = np.sqrt(6 / (inputs + outputs))
        weight = rng.uniform(-bound, bound, (inputs, outputs))
        bias = rng.uniform(-0.1, 0.1, outputs)
        found.append((aligned(weight), aligned(bias)))
    return found


def mnist_name() -> str:
    """Say where inputs of 784 numbers come from."""
    return "MNIST" if os.environ.get("CNN_DATA") else "random numbers in MNIST's shape"


@lru_cache(maxsize=2)
def _mnist(part: str = "train") -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read MNIST's "train" or "t10k". Peers' processes do without cnn, so it does not read it."""
    folder = Path(os.environ["CNN_DATA"])

    def read(name: str, header: int) -> NDArray[np.uint8]:
        packed = folder / f"{name}.gz"
        raw = gzip.decompress(packed.read_bytes()) if packed.exists() else None
        raw = (folder / name).read_bytes() if raw is None else raw
        return np.frombuffer(raw, dtype=np.uint8, offset=header)

    images = read(f"{part}-images-idx3-ubyte", 16).reshape(-1, 784)
    return images, read(f"{part}-labels-idx1-ubyte", 8)


def accuracy(net: Net, parameters: list[NDArray[Any]]) -> float:
    """Return the accuracy on MNIST's test set of a net with these parameters."""
    images, labels = _mnist("t10k")
    z = images / np.float32(255)
    for i in range(0, len(parameters), 2):
        z = z @ parameters[i] + parameters[i + 1]
        if i + 2 < len(parameters):
            z = output_of(net.hidden, z).astype(np.float32)
    return float(np.mean(z.argmax(axis=1) == labels))


def _is_mnist(net: Net) -> bool:
    return net.widths[0] == 784 and not net.noise and bool(os.environ.get("CNN_DATA"))


def inputs(net: Net, rows: int) -> Array:
    """Return rows of inputs, in [0, 1) as pixels are."""
    if _is_mnist(net):
        images, _ = _mnist()
        return aligned(np.resize(images, (rows, 784)) / np.float32(255))
    rng = np.random.default_rng(SEED + 1)
    return aligned(rng.random((rows, net.widths[0]), dtype=np.float32))


def targets(net: Net, rows: int) -> NDArray[Any]:
    """Return class numbers as int64, or rows of numbers for nets without softmax."""
    rng = np.random.default_rng(SEED + 2)
    if not net.is_classifier:
        return aligned(rng.random((rows, net.widths[-1]), dtype=np.float32))
    if _is_mnist(net):
        _, labels = _mnist()
        return np.resize(labels, rows).astype(np.int64)
    return rng.integers(0, net.widths[-1], rows)


@dataclass(frozen=True)
class ActivationData:
    """Input x, output y, the gradient dy of y, and where results go."""

    x: Array
    y: Array
    dy: Array
    out: Array


def activation(case: Activation) -> ActivationData:
    """Return the arrays of an activation case; those it does not need are empty."""
    rng = np.random.default_rng(SEED)
    shape = (case.rows, case.cols)
    x = aligned(rng.standard_normal(shape, dtype=np.float32))
    if case.direction == "forward":
        return ActivationData(x, empty(0), empty(0), empty(*shape))
    y = aligned(output_of(case.function, x))
    return ActivationData(x, y, aligned(rng.random(shape, dtype=np.float32)), empty(*shape))


def output_of(function: str, x: Array) -> NDArray[Any]:
    """Compute an activation, in float64 and without a care for speed."""
    z = x.astype(np.float64)
    if function == "softmax":
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return np.asarray(e / e.sum(axis=1, keepdims=True))
    formulas: dict[str, Callable[[], NDArray[Any]]] = {
        "step": lambda: (z > 0) * 1.0,
        "sigmoid": lambda: 1 / (1 + np.exp(-z)),
        "tanh": lambda: np.tanh(z),
        "relu": lambda: np.maximum(z, 0),
        "leaky_relu": lambda: np.where(z > 0, z, 0.01 * z),
        "elu": lambda: np.where(z > 0, z, np.expm1(z)),
        "softplus": lambda: np.logaddexp(0, z),
        # Their derivatives are taken from x, and nobody asks for y.
        "silu": lambda: z,
        "gelu": lambda: z,
    }
    return np.asarray(formulas[function]())


@dataclass(frozen=True)
class ProductData:
    """x, weight and bias of a dense layer, the gradient dy, and where the result goes."""

    x: Array
    weight: Array
    bias: Array
    dy: Array
    out: Array


def product(case: Product) -> ProductData:
    """Return the arrays of a dense layer."""
    rng = np.random.default_rng(SEED)

    def random(*shape: int) -> Array:
        return aligned(rng.random(shape, dtype=np.float32) - np.float32(0.5))

    rows, inputs_, outputs = case.rows, case.inputs, case.outputs
    shapes = {"forward": (rows, outputs), "dX": (rows, inputs_), "dW": (inputs_, outputs)}
    return ProductData(
        x=random(rows, inputs_),
        weight=random(inputs_, outputs),
        bias=random(outputs),
        dy=random(rows, outputs),
        out=empty(*shapes[case.part]),
    )
