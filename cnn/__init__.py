"""cnn: dense neural networks on the CPU, fast, small, and with the same bits everywhere.

>>> import cnn
>>> x, t, x_test, t_test = cnn.datasets.load_digits(split=True)
>>> net = cnn.mlp([64, 50, 10], "relu", "softmax", rng=0)
>>> history = net.fit(x, t, epochs=10, batch_size=100, optimizer=cnn.Adam(lr=1e-2))
>>> net.evaluate(x_test, t_test)["accuracy"] > 0.9
True
"""

import sys
from typing import TYPE_CHECKING, NoReturn

from cnn import activations, datasets, metrics, runtime
from cnn._base import threadpool
from cnn._core import ModelFileError, version
from cnn.callbacks import Callback, EarlyStopping, LambdaCallback, ModelCheckpoint
from cnn.functional import (
    activation_backward,
    binary_cross_entropy,
    cross_entropy,
    dense,
    dense_backward,
    elu,
    exponential,
    gelu,
    hard_sigmoid,
    hard_swish,
    huber,
    identity,
    leaky_relu,
    log_softmax,
    mish,
    poisson,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    squared_error,
    step,
    tanh,
)
from cnn.history import History
from cnn.installed import get_cmake_dir, get_include, get_library, get_pkgconfig_dir
from cnn.interop import from_sklearn, from_torch
from cnn.layers import Dense, Dropout, Layer, uniform
from cnn.losses import BinaryCrossEntropy, CrossEntropy, Huber, Loss, Poisson, SquaredError
from cnn.models import load, load_checkpoint, mlp
from cnn.onnx import from_onnx
from cnn.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from cnn.runtime import get_num_threads, numerics_version, set_num_threads
from cnn.schedules import Constant, CosineDecay, ExponentialDecay, Schedule, StepDecay, Warmup
from cnn.sequential import Gradient, Sequential

__version__ = version()
threadpool.register()
runtime.warn_of_variables()


if not TYPE_CHECKING:  # type checkers would take any name for one that exists

    def __getattr__(name: str) -> NoReturn:
        """Raise the error for a name that does not exist, with a hint."""
        from cnn._base import hints  # noqa: PLC0415  # for errors alone

        raise hints.missing_attribute("cnn", name, sys.modules[__name__])


__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "BinaryCrossEntropy",
    "Callback",
    "Constant",
    "CosineDecay",
    "CrossEntropy",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "ExponentialDecay",
    "Gradient",
    "History",
    "Huber",
    "LambdaCallback",
    "Layer",
    "Loss",
    "ModelCheckpoint",
    "ModelFileError",
    "Optimizer",
    "Poisson",
    "RMSprop",
    "Schedule",
    "Sequential",
    "SquaredError",
    "StepDecay",
    "Warmup",
    "__version__",
    "activation_backward",
    "activations",
    "binary_cross_entropy",
    "cross_entropy",
    "datasets",
    "dense",
    "dense_backward",
    "elu",
    "exponential",
    "from_onnx",
    "from_sklearn",
    "from_torch",
    "gelu",
    "get_cmake_dir",
    "get_include",
    "get_library",
    "get_num_threads",
    "get_pkgconfig_dir",
    "hard_sigmoid",
    "hard_swish",
    "huber",
    "identity",
    "leaky_relu",
    "load",
    "load_checkpoint",
    "log_softmax",
    "metrics",
    "mish",
    "mlp",
    "numerics_version",
    "poisson",
    "relu",
    "relu6",
    "selu",
    "set_num_threads",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "squared_error",
    "step",
    "tanh",
    "uniform",
]
