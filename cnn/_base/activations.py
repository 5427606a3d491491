"""The table of activations, and the functions of arrays that are made from it.

To add an activation: its line in CNN_ACTIVATIONS of cnn.h, its arithmetic in
csrc/kernels/activation.c, its entry here, and its name in cnn/functional/_activations.py and
cnn/functional/__init__.py; with a number also a class in cnn/activations.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from cnn import _core

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, kw_only=True)
class Activation:
    """The documentation and the default initialiser of an activation h.

    Attributes
    ----------
    formula : str
        h(x) as a Python expression.
    derivative : str
        h'(x), as a function of the output y if it is computed from y.
    init : str
        The initialiser that a Dense layer with this activation has by default.
    about : str
        A sentence or two: what it is used for, and the source of the formula.
    example : str
        Lines of a doctest.
    number : str, optional
        The documentation of its parameter, if it has one.
    """

    formula: str
    derivative: str
    init: str
    about: str
    example: str
    number: str = ""


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
        formula="x for x > 0, else slope x",
        derivative="1 for y > 0, else the slope",
        init="he_uniform",
        about="ReLU with a small slope for x < 0 (Maas, Hannun and Ng, 2013).",
        example=(
            ">>> cnn.leaky_relu([-1.0, 0.0, 2.0])\narray([-0.01,  0.  ,  2.  ])\n"
            ">>> cnn.leaky_relu([-1.0, 0.0, 2.0], slope=0.2)\narray([-0.2,  0. ,  2. ])"
        ),
        number="slope : float, default 0.01\n    The slope for x < 0, from 1e-30 to 1e30.",
    ),
    "elu": Activation(
        formula="x for x > 0, else alpha (exp(x) - 1)",
        derivative="1 for y > 0, else y + alpha",
        init="he_uniform",
        about="The exponential linear unit (Clevert et al., 2016).",
        example=(
            ">>> cnn.elu([-1.0, 0.0, 2.0]).round(3)\narray([-0.632,  0.   ,  2.   ])\n"
            ">>> cnn.elu([-1.0, 0.0, 2.0], alpha=0.5).round(3)\narray([-0.316,  0.   ,  2.   ])"
        ),
        number="alpha : float, default 1.0\n    Minus the limit for x to -inf, from 1e-30 to 1e30.",
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
            "4 units in the last place and ``|x|`` times the smallest denormal number, which "
            "matters if the sigmoid itself is denormal: for x < -87 in float32 and x < -708 in "
            "float64. As in PyTorch, silu(-inf) is NaN, being x times 0, and the derivative is NaN "
            "at -inf and inf; `mish` and `hard_swish` have their limits there."
        ),
        example=">>> cnn.silu([-1.0, 0.0, 2.0]).round(3)\narray([-0.269,  0.   ,  1.762])",
    ),
    "gelu": Activation(
        formula="x (1 + erf(x / sqrt(2))) / 2",
        derivative="(1 + erf(x / sqrt(2))) / 2 + x exp(-x^2 / 2) / sqrt(2 pi)",
        init="he_uniform",
        about=(
            "The Gaussian error linear unit (Hendrycks and Gimpel, 2016), with erf; `gelu_tanh` is "
            "their formula with tanh. "
            "Results are within 4 units in the last place and ``|x|`` times the smallest denormal "
            "number, which matters if the normal distribution itself is denormal: for x < -12.9 "
            "in float32 and x < -37.5 in float64. gelu(-inf) is -0, and the derivative is NaN at "
            "-inf and inf; that of `gelu_tanh` has its limits there."
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
    "mish": Activation(
        formula="x tanh(log(1 + exp(x)))",
        derivative="t + x (1 - t^2) sigmoid(x) with t = tanh(log(1 + exp(x)))",
        init="he_uniform",
        about=(
            "A smooth relative of SiLU (Misra, 2020). Results are within 4 units in the last place "
            "and ``|x|`` times the smallest denormal number, which counts if exp(x) itself is "
            "denormal: for x < -87 in float32 and x < -708 in float64."
        ),
        example=">>> cnn.mish([-1.0, 0.0, 2.0]).round(3)\narray([-0.303,  0.   ,  1.944])",
    ),
    "selu": Activation(
        formula="1.0507 x for x > 0, else 1.7581 (exp(x) - 1)",
        derivative="1.0507 for x > 0, else y + 1.7581",
        init="lecun_uniform",
        about=(
            "The scaled exponential linear unit (Klambauer et al., 2017), whose two constants, "
            "here in 5 digits, keep mean 0 and variance 1 from layer to layer if the weights begin "
            "with the variance 1 / inputs, as those of lecun_uniform do."
        ),
        example=">>> cnn.selu([-1.0, 0.0, 2.0]).round(3)\narray([-1.111,  0.   ,  2.101])",
    ),
    "hard_sigmoid": Activation(
        formula="min(max(x + 3, 0), 6) / 6",
        derivative="1 / 6 for 0 < y < 1, else 0",
        init="glorot_uniform",
        about="A sigmoid of straight lines, as Keras and PyTorch have it (Howard et al., 2019).",
        example=">>> cnn.hard_sigmoid([-1.0, 0.0, 3.0]).round(3)\narray([0.333, 0.5  , 1.   ])",
    ),
    "hard_swish": Activation(
        formula="x min(max(x + 3, 0), 6) / 6",
        derivative="0 for x <= -3, 1 for x >= 3, else (2 x + 3) / 6",
        init="he_uniform",
        about="SiLU with hard_sigmoid in place of sigmoid (Howard et al., 2019).",
        example=">>> cnn.hard_swish([-1.0, 0.0, 2.0]).round(3)\narray([-0.333,  0.   ,  1.667])",
    ),
    "relu6": Activation(
        formula="min(max(x, 0), 6)",
        derivative="1 for 0 < y < 6, else 0",
        init="he_uniform",
        about="ReLU that is at most 6 (Krizhevsky, 2010), for networks that are quantised later.",
        example=">>> cnn.relu6([-1.0, 2.0, 8.0])\narray([0., 2., 6.])",
    ),
    "softsign": Activation(
        formula="x / (1 + |x|)",
        derivative="1 / (1 + |x|)^2",
        init="glorot_uniform",
        about="Like tanh, but it comes near its limits more slowly (Bergstra et al., 2009).",
        example=">>> cnn.softsign([-1.0, 0.0, 3.0])\narray([-0.5 ,  0.  ,  0.75])",
    ),
    "exponential": Activation(
        formula="exp(x)",
        derivative="y",
        init="glorot_uniform",
        about="The output activation of a rate that is modelled by its logarithm.",
        example=">>> cnn.exponential([-1.0, 0.0, 2.0]).round(3)\narray([0.368, 1.   , 7.389])",
    ),
    "gelu_tanh": Activation(
        formula="x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2",
        derivative=(
            "s + x s (1 - s) sqrt(8 / pi) (1 + 0.134145 x^2) with s = sigmoid(a), "
            "a = sqrt(8 / pi) (x + 0.044715 x^3)"
        ),
        init="he_uniform",
        about=(
            "The approximation of `gelu` by tanh (Hendrycks and Gimpel, 2016), at most 0.0005 off: "
            "PyTorch's ``GELU(approximate='tanh')``, Keras's ``gelu(approximate=True)``. It is "
            "computed as x sigmoid(a), which is the same without cancellation. For x >= 0 results "
            "are within 4 units in the last place; for x < 0 they are within ``4 + 4 |a|`` units, "
            "since a is rounded, and ``|x|`` times the smallest denormal number."
        ),
        example=">>> cnn.gelu_tanh([-1.0, 0.0, 2.0]).round(3)\narray([-0.159,  0.   ,  1.955])",
    ),
}


_Function = TypeVar("_Function", bound="Callable[..., Any]")


class Elementwise(Protocol):
    """The type of the activation functions without a number, except softmax."""

    __name__: str

    def __call__(self, x: ArrayLike, *, out: NDArray[Any] | None = None) -> Any:
        """Return h(x)."""


_DOCUMENTATION = """Compute ``{name}(x) = {formula}``, element by element.

{about}

Parameters
----------
x : array_like
    Numbers, in any shape.
{number}out : ndarray, optional
    Where to put the result; x itself is allowed.

Returns
-------
ndarray or scalar
    `out`, or a new array of the shape of x; a scalar if x is one.

Raises
------
TypeError
    If x does not hold numbers, or `out` is no array of the result's type.
ValueError
    If `out` has another shape, is read-only or overlaps x.

Notes
-----
The derivative, as `cnn.activation_backward` computes it with y = {name}(x), is
``{derivative}``.

Examples
--------
>>> import cnn
{example}
"""


def elementwise(name: str) -> Elementwise:
    """Return the array function of an activation in the table."""
    activation = _core.activation

    def function(x: ArrayLike, *, out: NDArray[Any] | None = None) -> Any:
        return activation(name, x, out)

    function.__name__ = function.__qualname__ = name
    function.__module__ = "cnn.functional"
    return documented(function)


def documented(function: _Function) -> _Function:
    """Set the docstring of an activation's function, found by the function's name."""
    name = function.__name__
    entry = TABLE[name]
    function.__doc__ = _DOCUMENTATION.format(
        name=name,
        formula=entry.formula,
        derivative=entry.derivative,
        about=entry.about,
        example=entry.example,
        number=f"{entry.number}\n" if entry.number else "",
    )
    return function
