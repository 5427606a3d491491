"""The table of activations, and the functions of arrays that are made from it.

To add an activation: its line in CNN_ACTIVATIONS of cnn.h, its arithmetic in
csrc/kernels/activation.c, its entry here, and its name in cnn/functional.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from cnn import _core

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, kw_only=True)
class Activation:
    """What there is to say about an activation h, beside its arithmetic.

    Attributes
    ----------
    formula : str
        h(x) in words of Python.
    derivative : str
        h'(x), from the output y where that is how it is computed.
    init : str
        The initialiser that a Dense layer with this activation has by default.
    about : str
        A sentence or two: what it is used for, and the source of the formula.
    example : str
        Lines of a doctest.
    """

    formula: str
    derivative: str
    init: str
    about: str
    example: str


# The table from which the functions below, their docstrings and the layers' default initialisers
# are made; its keys are those of CNN_ACTIVATIONS in cnn.h.
TABLE: Mapping[str, Activation] = {
    "identity": Activation(
        formula="x",
        derivative="1",
        init="glorot_uniform",
        about="The output activation of regression.",
        example=">>> cnn.identity([-1.0, 0.0, 2.0])\narray([-1.,  0.,  2.])",
    ),
    "step": Activation(
        formula="1 for x > 0, else 0",
        derivative="0",
        init="glorot_uniform",
        about=(
            "The activation of Rosenblatt's perceptron (1958). Its derivative is 0 everywhere, so "
            "that nothing below it learns."
        ),
        example=">>> cnn.step([-1.0, 0.0, 2.0])\narray([0., 0., 1.])",
    ),
    "sigmoid": Activation(
        formula="1 / (1 + exp(-x))",
        derivative="y (1 - y)",
        init="glorot_uniform",
        about=(
            "The logistic function, also the output activation of classification into two classes "
            "or with several labels."
        ),
        example=">>> cnn.sigmoid([1.0, 2.0]).round(3)\narray([0.731, 0.881])",
    ),
    "tanh": Activation(
        formula="(exp(x) - exp(-x)) / (exp(x) + exp(-x))",
        derivative="1 - y^2",
        init="glorot_uniform",
        about="A sigmoid that is symmetric about 0.",
        example=">>> cnn.tanh([-1.0, 0.0, 1.0]).round(3)\narray([-0.762,  0.   ,  0.762])",
    ),
    "relu": Activation(
        formula="max(0, x)",
        derivative="1 for x > 0, else 0",
        init="he_uniform",
        about="The rectified linear unit (Nair and Hinton, 2010).",
        example=">>> cnn.relu([-1.0, 0.0, 2.0])\narray([0., 0., 2.])",
    ),
    "leaky_relu": Activation(
        formula="x for x > 0, else 0.01 x",
        derivative="1 for x > 0, else 0.01",
        init="he_uniform",
        about="ReLU with a small slope for x < 0 (Maas, Hannun and Ng, 2013).",
        example=">>> cnn.leaky_relu([-1.0, 0.0, 2.0])\narray([-0.01,  0.  ,  2.  ])",
    ),
    "elu": Activation(
        formula="x for x > 0, else exp(x) - 1",
        derivative="1 for x > 0, else y + 1",
        init="he_uniform",
        about="The exponential linear unit with alpha = 1 (Clevert et al., 2016).",
        example=">>> cnn.elu([-1.0, 0.0, 2.0]).round(3)\narray([-0.632,  0.   ,  2.   ])",
    ),
    "softplus": Activation(
        formula="log(1 + exp(x))",
        derivative="1 - exp(-y)",
        init="he_uniform",
        about="A smooth ReLU (Dugas et al., 2001). It is positive, and the derivative is sigmoid.",
        example=">>> cnn.softplus([-1.0, 0.0, 2.0]).round(3)\narray([0.313, 0.693, 2.127])",
    ),
    "silu": Activation(
        formula="x sigmoid(x)",
        derivative="s (1 + x (1 - s)) with s = sigmoid(x)",
        init="he_uniform",
        about=(
            "The sigmoid linear unit or swish (Elfwing, Uchibe and Doya, 2018). Results are within "
            "4 units in the last place and |x| times the smallest denormal number, which counts "
            "where the sigmoid itself is denormal: for x < -87 in float32 and x < -708 in float64."
        ),
        example=">>> cnn.silu([-1.0, 0.0, 2.0]).round(3)\narray([-0.269,  0.   ,  1.762])",
    ),
    "gelu": Activation(
        formula="x (1 + erf(x / sqrt(2))) / 2",
        derivative="(1 + erf(x / sqrt(2))) / 2 + x exp(-x^2 / 2) / sqrt(2 pi)",
        init="he_uniform",
        about=(
            "The Gaussian error linear unit (Hendrycks and Gimpel, 2016), with erf, not tanh. "
            "Results are within 4 units in the last place and |x| times the smallest denormal "
            "number, which counts where the normal distribution itself is denormal: for x < -12.9 "
            "in float32 and x < -37.5 in float64."
        ),
        example=">>> cnn.gelu([-1.0, 0.0, 2.0]).round(3)\narray([-0.159,  0.   ,  1.954])",
    ),
    "softmax": Activation(
        formula="exp(x_j) / sum_k exp(x_k)",
        derivative="dx_j = y_j (dy_j - sum_k dy_k y_k)",
        init="glorot_uniform",
        about=(
            "The output activation of classification: numbers from 0 to 1 with the sum 1, in the "
            "order of the inputs. The maximum is subtracted first, so that any finite numbers will "
            "do. A NaN or +inf, or nothing but -inf, makes the whole row NaN."
        ),
        example=(
            ">>> cnn.softmax([1010.0, 1000.0, 990.0]).round(6)\n"
            "array([9.99955e-01, 4.50000e-05, 0.00000e+00])"
        ),
    ),
}


class Elementwise(Protocol):
    """The type of the activation functions but for softmax."""

    __name__: str

    def __call__(self, x: ArrayLike, *, out: NDArray[Any] | None = None) -> Any:
        """Return h(x)."""


_DOCUMENTATION = """Compute {name}(x) = {formula}, element by element.

{about}

Parameters
----------
x : array_like
    Numbers, in any shape.
out : ndarray, optional
    Where to put the result; x itself is allowed.

Returns
-------
ndarray or scalar
    `out`, or a new array of the shape of x; a scalar where x is one.

Raises
------
TypeError
    Where x does not hold numbers, or `out` is no array of the result's type.
ValueError
    Where `out` has another shape, is read-only or overlaps x.

Notes
-----
The derivative, as `cnn.activation_backward` computes it with y = {name}(x): {derivative}.

Examples
--------
>>> import cnn
{example}
"""


def elementwise(name: str) -> Elementwise:
    """Make the function of an activation in the table."""
    activation = _core.activation

    def function(x: ArrayLike, *, out: NDArray[Any] | None = None) -> Any:
        return activation(name, x, out)

    function.__name__ = function.__qualname__ = name
    function.__module__ = "cnn.functional"
    entry = TABLE[name]
    function.__doc__ = _DOCUMENTATION.format(
        name=name,
        formula=entry.formula,
        derivative=entry.derivative,
        about=entry.about,
        example=entry.example,
    )
    return function
