"""cnn: dense neural networks on the CPU, fast, small, and with the same bits everywhere.

>>> import cnn
>>> x, t, x_test, t_test = cnn.datasets.load_digits(split=True)
>>> net = cnn.mlp([64, 50, 10], "relu", "softmax", rng=0)
>>> history = net.fit(x, t, epochs=10, batch_size=100, optimizer=cnn.Adam(lr=1e-2))
>>> net.evaluate(x_test, t_test)["accuracy"] > 0.9
True
"""

import sys as _sys
from importlib import import_module as _import_module

try:
    from cnn._core import ModelFileError
    from cnn._core import version as _version
except ImportError as _error:
    from cnn._base.sources import explained as _explained

    raise _explained(_error) from _error
from cnn._base import threadpool as _threadpool
from cnn.runtime import get_num_threads, numerics_version, set_num_threads
from cnn.runtime import warn_of_variables as _warn_of_variables

__version__ = _version()
_threadpool.register()
_warn_of_variables()

# The names below are imported when they are first used (PEP 562; SPEC 1 of Scientific Python), so
# that a program waits for what it uses only. To add one, add it here and in __init__.pyi, which
# tells type checkers and editors the same: tests/test_names.py compares the two.
#
# By hand rather than by lazy_loader, which would be one more dependency and parses the stub in each
# process.
_MODULES = (
    "activations",
    "callbacks",
    "columns",
    "datasets",
    "distributed",
    "functional",
    "history",
    "installed",
    "interop",
    "layers",
    "losses",
    "metrics",
    "models",
    "onnx",
    "optimizers",
    "plot",
    "predictor",
    "runtime",
    "schedules",
    "sequential",
    "sklearn",
    "streams",
    "tabular",
    "versions",
)
_NAMES = {
    "callbacks": (
        "Callback",
        "EarlyStopping",
        "LambdaCallback",
        "ModelCheckpoint",
    ),
    "functional": (
        "absolute_error",
        "activation_backward",
        "binary_cross_entropy",
        "cross_entropy",
        "dense",
        "dense_backward",
        "elu",
        "exponential",
        "gelu",
        "gelu_tanh",
        "hard_sigmoid",
        "hard_swish",
        "huber",
        "identity",
        "leaky_relu",
        "log_softmax",
        "mish",
        "poisson",
        "quantile_loss",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "softmax",
        "softplus",
        "softsign",
        "squared_error",
        "step",
        "tanh",
    ),
    "history": ("History",),
    "installed": (
        "get_cmake_dir",
        "get_include",
        "get_library",
        "get_pkgconfig_dir",
    ),
    "interop": (
        "from_sklearn",
        "from_torch",
    ),
    "layers": (
        "Columns",
        "Dense",
        "Dropout",
        "Layer",
        "ParametricActivation",
        "Scale",
        "Standardize",
        "normal",
        "uniform",
    ),
    "losses": (
        "AbsoluteError",
        "BinaryCrossEntropy",
        "CrossEntropy",
        "Huber",
        "Loss",
        "Poisson",
        "Quantile",
        "SquaredError",
    ),
    "models": (
        "load",
        "load_checkpoint",
        "mlp",
    ),
    "onnx": ("from_onnx",),
    "optimizers": (
        "SGD",
        "Adagrad",
        "Adam",
        "AdamW",
        "Optimizer",
        "RMSprop",
    ),
    "predictor": ("Predictor",),
    "schedules": (
        "Constant",
        "CosineDecay",
        "CosineLog",
        "ExponentialDecay",
        "FlatCosine",
        "Schedule",
        "StepDecay",
        "Warmup",
    ),
    "sequential": (
        "Backward",
        "Gradient",
        "Sequential",
    ),
    "streams": ("Rows",),
    "versions": ("show_versions",),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "ModelFileError",
    "__version__",
    "activations",
    "datasets",
    "get_num_threads",
    "numerics_version",
    "set_num_threads",
]
__all__ += list(_MODULE_OF)


def __getattr__(name: str) -> object:
    """Import a public name or module."""
    if name in _MODULE_OF:
        found = getattr(_import_module(f"cnn.{_MODULE_OF[name]}"), name)
    elif name in _MODULES:
        found = _import_module(f"cnn.{name}")
    else:
        from cnn._base import hints  # noqa: PLC0415  # for errors alone

        raise hints.missing_attribute("cnn", name, _sys.modules["cnn"])
    globals()[name] = found  # so that this function is not called again
    return found


def __dir__() -> list[str]:
    """Return the public names that can be imported here."""
    # Python's own completion and help() get each of them, and an ImportError would end them.
    from importlib.util import find_spec  # noqa: PLC0415

    lacks_sklearn = find_spec("sklearn") is None
    return sorted({*__all__, *_MODULES} - ({"sklearn"} if lacks_sklearn else set()))
