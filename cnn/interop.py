"""Networks from the models of PyTorch and scikit-learn, without an import of either."""

from __future__ import annotations

import copy
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from cnn import _assembly, _core
from cnn._assembly import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cnn.sequential import Sequential

__all__ = ["from_sklearn", "from_torch"]

# Activation modules by the name of their class, with the attributes that make them those of cnn.
_TORCH_ACTIVATIONS: dict[str, tuple[str, dict[str, Callable[[Any], bool]]]] = {
    "Sigmoid": ("sigmoid", {}),
    "Tanh": ("tanh", {}),
    "ReLU": ("relu", {}),
    "LeakyReLU": ("leaky_relu", {"negative_slope": lambda slope: slope == 0.01}),
    "ELU": ("elu", {"alpha": lambda alpha: alpha == 1}),
    "Softplus": ("softplus", {"beta": lambda b: b == 1, "threshold": lambda t: t >= 20}),
    "SiLU": ("silu", {}),
    "GELU": ("gelu", {"approximate": lambda form: form == "none"}),
    "Softmax": ("softmax", {"dim": lambda dim: dim in (-1, 1)}),
}
_TORCH_LAYERS = ("Dropout", "Flatten", "Identity", "Linear")

# scikit-learn's names of activations, and those that cnn.sklearn has beside them.
_SKLEARN_ACTIVATIONS = {
    "identity": "identity",
    "logistic": "sigmoid",
    **{name: name for name in _core.ACTIVATIONS},
}


def from_torch(module: Any) -> Sequential:
    """Make a network of a PyTorch module, with copies of its parameters.

    Parameters
    ----------
    module : torch.nn.Module
        A `torch.nn.Sequential`, nested ones included, of Linear, Dropout, Flatten, Identity and the
        modules of cnn's activations. Or a module of your own whose children are such, used in the
        order in which they were made: since its ``forward`` may do anything, what it makes of a few
        samples is compared with what the network predicts.

    Returns
    -------
    Sequential
        The network, in the dtype of the parameters, with seed 0.

    Raises
    ------
    TypeError
        Where it is no module.
    ValueError
        Where the module has a part that cnn does not, or computes something else.

    See Also
    --------
    cnn.Sequential.to_torch : Make a PyTorch module of a network.

    Examples
    --------
    >>> import cnn, torch  # doctest: +SKIP
    >>> cnn.from_torch(torch.nn.Sequential(  # doctest: +SKIP
    ...     torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3), torch.nn.Softmax(dim=1)
    ... ))
    Sequential([
        Dense(4, 8, 'relu'),
        Dense(8, 3, 'softmax'),
    ], rng=0, dtype='float32')
    """
    if not isinstance(getattr(module, "_modules", None), dict) or isinstance(module, type):
        raise TypeError(
            f"from_torch: module is of type {type(module).__name__}, should be a torch.nn.Module"
        )
    parts: list[Part] = []
    plain = True
    for name, child in _leaves("", module):
        if child is None:
            plain = False
        else:
            _take_torch(parts, name, child)
    net = _assembly.sequential("from_torch", parts)
    if not plain:
        _compare(module, net)
    return net


def _leaves(name: str, module: Any) -> Iterator[tuple[str, Any]]:
    """Yield the modules that have no children, and None for each one with a forward of its own."""
    children = module._modules
    kind = type(module).__name__
    if not children:
        yield name, module
        return
    if kind != "Sequential":
        yield name, None
    for key, child in children.items():
        if child is not None:
            yield from _leaves(f"{name}.{key}" if name else key, child)


def _take_torch(parts: list[Part], name: str, module: Any) -> None:
    kind = type(module).__name__
    what = f"module {name!r} ({kind})" if name else f"module {kind}"

    def refuse(why: str) -> NoReturn:
        raise ValueError(f"from_torch: {what} {why}")

    last = parts[-1] if parts else None
    if kind == "Linear":
        parts.append(Part(what, _torch_array(what, "weight", module.weight).T.copy()))
        if module.bias is not None:
            parts[-1].bias = _torch_array(what, "bias", module.bias)
    elif kind in _TORCH_ACTIVATIONS:
        activation, expected = _TORCH_ACTIVATIONS[kind]
        for attribute, good in expected.items():
            value = getattr(module, attribute, None)
            if value is None or not good(value):
                refuse(f"has {attribute} {value!r}, which cnn does not have")
        if last is None:
            refuse("comes before the first Linear, should come after one")
        if last.activation is not None or last.dropout is not None:
            before = f"activation {last.activation}" if last.activation else "Dropout"
            refuse(f"comes after {before}, should come right after a Linear")
        last.activation = activation
    elif kind == "Dropout":
        if last is None or last.dropout is not None:
            refuse("should come after a Linear or its activation")
        last.dropout = float(module.p)
    elif kind == "Flatten":
        if parts or (module.start_dim, module.end_dim) != (1, -1):
            refuse("should be before the first Linear, with start_dim 1 and end_dim -1")
    elif kind != "Identity":
        hint = ""
        if kind == "LogSoftmax":
            hint = "; use Softmax, or leave it out and set the last layer's activation"
        refuse(
            f"is not a part that cnn has; those are "
            f"{', '.join(sorted((*_TORCH_LAYERS, *_TORCH_ACTIVATIONS)))}{hint}"
        )


def _torch_array(what: str, name: str, parameter: Any) -> np.ndarray[Any, Any]:
    try:
        return np.array(parameter.detach().cpu().numpy())
    except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"from_torch: the {name} of {what} cannot be read: {error}") from error


def _compare(module: Any, net: Sequential) -> None:
    """Refuse a module that makes something else of samples than the network does."""
    torch: Any = sys.modules["torch"]
    x = np.random.default_rng(0).standard_normal((8, net.inputs)).astype(net.dtype)
    tested = copy.deepcopy(module).eval()
    try:
        device = next(tested.parameters()).device
        with torch.no_grad():
            y = tested(torch.from_numpy(x).to(device)).cpu().numpy()
    except Exception as error:  # whatever a module of the user's may raise
        raise ValueError(
            f"from_torch: module {type(module).__name__} does not take rows of {net.inputs} "
            f"numbers: {error}"
        ) from error
    expected = net.predict(x)
    scale = max(1.0, float(np.abs(expected).max()))
    if y.shape != expected.shape or not np.allclose(y, expected, rtol=0, atol=1e-4 * scale):
        raise ValueError(
            f"from_torch: module {type(module).__name__} computes something else than its children "
            f"one after the other, should be a torch.nn.Sequential of all that it does"
        )


def from_sklearn(estimator: Any) -> Sequential:
    """Make a network of a fitted MLPClassifier or MLPRegressor of scikit-learn.

    Parameters
    ----------
    estimator : sklearn.neural_network.MLPClassifier or MLPRegressor
        The estimator, or any object with its attributes ``coefs_``, ``intercepts_``, ``activation``
        and ``out_activation_``, such as those of `cnn.sklearn`.

    Returns
    -------
    Sequential
        The network, in the dtype of ``coefs_``, with seed 0. It predicts what ``predict_proba`` or
        ``predict`` do; of two classes it has one output, the probability of the second.

    Raises
    ------
    TypeError
        Where the estimator is no such one, or not fitted.
    ValueError
        Where it has an activation that cnn does not have.

    Examples
    --------
    >>> import cnn, numpy as np, types
    >>> fitted = types.SimpleNamespace(
    ...     coefs_=[np.ones((2, 3)), np.ones((3, 1))],
    ...     intercepts_=[np.zeros(3), np.zeros(1)],
    ...     activation="relu",
    ...     out_activation_="logistic",
    ... )
    >>> cnn.from_sklearn(fitted)
    Sequential([
        Dense(2, 3, 'relu'),
        Dense(3, 1, 'sigmoid'),
    ], rng=0, dtype='float64')
    """
    where = "from_sklearn"
    for attribute in ("coefs_", "intercepts_", "activation", "out_activation_"):
        if isinstance(estimator, type) or not hasattr(estimator, attribute):
            raise TypeError(
                f"{where}: estimator is of type {type(estimator).__name__} without {attribute}, "
                f"should be a fitted MLPClassifier or MLPRegressor"
            )
    parts = [
        Part(f"layer {i}", np.asarray(weight), np.asarray(bias))
        for i, (weight, bias) in enumerate(
            zip(estimator.coefs_, estimator.intercepts_, strict=True)
        )
    ]
    hidden = estimator.activation
    several = isinstance(hidden, (list, tuple, np.ndarray))
    hidden = list(hidden) if several else [hidden] * (len(parts) - 1)
    if len(hidden) != len(parts) - 1:
        raise ValueError(
            f"{where}: activation has {len(hidden)} names, should have {len(parts) - 1}, one for "
            f"each hidden layer"
        )
    for part, given in zip(parts, [*hidden, estimator.out_activation_], strict=True):
        name = "out_activation_" if part is parts[-1] else "activation"
        if given not in _SKLEARN_ACTIVATIONS:
            raise ValueError(
                f"{where}: {name} is {given!r}, should be one of {', '.join(_SKLEARN_ACTIVATIONS)}"
            )
        part.activation = _SKLEARN_ACTIVATIONS[given]
    return _assembly.sequential(where, parts)
