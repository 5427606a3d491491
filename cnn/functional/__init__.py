"""Functions of arrays: activations, dense layers and losses, forward and backward.

They are the operations of networks, with the same bits. The results are float32 for float32 and
float16 input, and float64 for all other types of numbers. `out` is an array for the result, of the
right shape and type; it may have any strides and must not overlap an input, unless it is that
input.
"""

from cnn._base.modules import set_module
from cnn.functional._activations import (
    activation_backward,
    elu,
    exponential,
    gelu,
    gelu_tanh,
    hard_sigmoid,
    hard_swish,
    identity,
    leaky_relu,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    step,
    tanh,
)
from cnn.functional._dense import (
    dense,
    dense_backward,
)
from cnn.functional._losses import (
    absolute_error,
    binary_cross_entropy,
    cross_entropy,
    huber,
    poisson,
    quantile_loss,
    squared_error,
)

__all__ = [
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
]

set_module(__name__, *(globals()[_name] for _name in __all__))
