"""The names among which arguments choose, as types: editors offer them, type checkers check them.

Each is equal to the list that functions check, of libcnn or of the module that owns it, which
tests/test_types.py compares. A second name for one of them is added to its type here.
"""

from typing import Any, Literal, TypeAlias

import numpy as np

ActivationName: TypeAlias = Literal[
    "identity",
    "step",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "softplus",
    "silu",
    "gelu",
    "softmax",
    "mish",
    "selu",
    "hard_sigmoid",
    "hard_swish",
    "relu6",
    "softsign",
    "exponential",
    "gelu_tanh",
    "linear",
    "swish",
]
LossName: TypeAlias = Literal[
    "squared_error",
    "cross_entropy",
    "binary_cross_entropy",
    "huber",
    "poisson",
    "absolute_error",
    "quantile",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
]
OptimizerName: TypeAlias = Literal["sgd", "adam", "adamw", "rmsprop", "adagrad"]
InitializerName: TypeAlias = Literal[
    "glorot_uniform", "he_uniform", "lecun_uniform", "torch", "zeros"
]

Parametrization: TypeAlias = Literal["standard", "ntk"]
"""How an optimizer sees the weight of a Dense layer."""

MetricName: TypeAlias = Literal[
    "accuracy",
    "auc",
    "f1",
    "log_loss",
    "mae",
    "mse",
    "precision",
    "r2",
    "recall",
    "rmse",
    "top5",
]

NetworkDType: TypeAlias = (
    Literal["float32", "float64"] | type[np.floating[Any]] | type[float] | np.dtype[Any]
)
"""What the dtype of a network can be given as."""

Mode: TypeAlias = Literal["auto", "min", "max"]
"""Which metrics are better, for callbacks that watch one."""
Progress: TypeAlias = bool | Literal["auto"]
"""Whether progress is shown."""
Task: TypeAlias = Literal["classification", "regression"]
"""What a network for a table does."""

# Of the estimators in cnn.sklearn, with scikit-learn's names.
Solver: TypeAlias = Literal["lbfgs", "sgd", "adam"]
LearningRateSchedule: TypeAlias = Literal["constant", "invscaling", "adaptive"]
RegressorLoss: TypeAlias = Literal["squared_error", "poisson"]
BatchSize: TypeAlias = int | Literal["auto"]
