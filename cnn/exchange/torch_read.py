"""Dense networks in PyTorch modules: `cnn.from_torch`. PyTorch itself is not imported."""

from __future__ import annotations

import copy
import math
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from cnn import _core
from cnn.activations import ELU, LeakyReLU
from cnn.exchange import folding
from cnn.exchange.folding import Activated, Dropped, Product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from cnn.exchange.folding import Step

# Activation modules by the name of their class, with the attributes that make them those of cnn.
ACTIVATIONS: dict[str, tuple[str, dict[str, Callable[[Any], bool]]]] = {
    "Sigmoid": ("sigmoid", {}),
    "Tanh": ("tanh", {}),
    "ReLU": ("relu", {}),
    "SiLU": ("silu", {}),
    "Softmax": ("softmax", {"dim": lambda dim: dim in (-1, 1)}),
    "Mish": ("mish", {}),
    "SELU": ("selu", {}),
    "Hardsigmoid": ("hard_sigmoid", {}),
    "Hardswish": ("hard_swish", {}),
    "ReLU6": ("relu6", {}),
    "Softsign": ("softsign", {}),
}
_BY_ONNX = "or export the module by torch.onnx.export, for cnn.from_onnx"
# Remedies for frequent modules that cnn does not have.
_TORCH_HINTS = {
    "LogSoftmax": "; use Softmax, or leave it out and set the last layer's activation",
    "LazyLinear": "; it has no weights yet: call the module on some rows first",
}


def network(module: Any) -> _core.Network:
    """Return the network of a module; `cnn.from_torch` documents it."""
    if not isinstance(getattr(module, "_modules", None), dict) or isinstance(module, type):
        raise TypeError(
            f"from_torch: module is of type {type(module).__name__}, should be a torch.nn.Module"
        )
    module = module._modules.get("_orig_mod", module)  # that of torch.compile
    steps: list[Step] = []
    plain = True
    for name, child in _leaves("", module):
        if child is None:
            plain = False
        else:
            _take(steps, name, child)
    try:
        net = folding.network("from_torch", steps)
    except ValueError as error:
        if plain:
            raise
        raise ValueError(
            f"{error}; the children of module {type(module).__name__} are taken one after the "
            f"other, as in a torch.nn.Sequential: if it has several heads or another order, make "
            f"a torch.nn.Sequential of the children on the way to one output, {_BY_ONNX}"
        ) from error
    if not plain:
        _compare(module, net)
    return net


def _leaves(name: str, module: Any) -> Iterator[tuple[str, Any]]:
    """Yield the modules without children, and None for each whose forward may be the user's."""
    children = module._modules
    _refuse_computed(name, module)
    if not _is_torchs_own(module) or (children and type(module).__name__ != "Sequential"):
        yield name, None
    if not children:
        yield name, module
    for key, child in children.items():
        if child is not None:
            yield from _leaves(f"{name}.{key}" if name else key, child)


def _is_torchs_own(module: Any) -> bool:
    """Whether a module is an unmodified one of PyTorch: its own class and forward, no hooks."""
    hooks = ("_forward_hooks", "_forward_pre_hooks")
    return (
        type(module).__module__.startswith("torch.nn.modules.")
        and "forward" not in vars(module)
        and not any(getattr(module, name, None) for name in hooks)
    )


def _described(name: str, module: Any) -> str:
    kind = type(module).__name__
    return f"module {name!r} ({kind})" if name else f"module {kind}"


def _refuse_computed(name: str, module: Any) -> None:
    """Refuse a module that computes a parameter from others in each call."""
    parametrized = module._modules.get("parametrizations")
    for parameter in getattr(parametrized, "_modules", ()):
        raise ValueError(
            f"from_torch: {_described(name, module)} computes its {parameter} by a "
            f"parametrization, should have it as it is: call "
            f"torch.nn.utils.parametrize.remove_parametrizations(module, {parameter!r}), {_BY_ONNX}"
        )
    own, buffers = getattr(module, "_parameters", {}), getattr(module, "_buffers", {})
    for parameter in ("weight", "bias"):
        if f"{parameter}_mask" in buffers:
            how, cure = "pruning", f"torch.nn.utils.prune.remove(module, {parameter!r})"
        elif f"{parameter}_g" in own:
            how, cure = "weight norm", f"torch.nn.utils.remove_weight_norm(module, {parameter!r})"
        elif f"{parameter}_orig" in own:
            how, cure = (
                "spectral norm",
                f"torch.nn.utils.remove_spectral_norm(module, {parameter!r})",
            )
        else:
            continue
        raise ValueError(
            f"from_torch: {_described(name, module)} computes its {parameter} by {how} from "
            f"other parameters, should have it as it is: call {cure}, {_BY_ONNX}"
        )


class _Module:
    """A module and its name; `refuse` raises an error that names it."""

    def __init__(self, name: str, module: Any) -> None:
        self.module = module
        self.what = _described(name, module)

    def refuse(self, why: str) -> NoReturn:
        raise ValueError(f"from_torch: {self.what} {why}")

    def number(self, attribute: str) -> float:
        """Return an attribute, checked to be a finite number."""
        value = getattr(self.module, attribute, None)
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            self.refuse(f"has {attribute} {value!r}, should be a finite number")
        return float(value)

    def with_number(self, attribute: str, value: float, made: Callable[[float], Any]) -> Step:
        """Return an activation with a number, ReLU if the number is 0."""
        try:
            return Activated(self.what, "relu" if value == 0 else made(value))
        except (TypeError, ValueError) as error:
            self.refuse(f"has {attribute} {value!r}, which cnn does not have: {error}")


def _linear(of: _Module) -> list[Step]:
    weight = _torch_array(of.what, "weight", of.module.weight).T.copy()
    bias = of.module.bias
    return [Product(of.what, weight, None if bias is None else _torch_array(of.what, "bias", bias))]


def _batch_norm(of: _Module) -> list[Step]:
    """Return what it does after module.eval()."""
    module = of.module
    if module.running_mean is None or module.running_var is None:
        of.refuse("has no running mean and variance, should have them (track_running_stats)")
    mean, var = (
        _torch_array(of.what, name, getattr(module, name))
        for name in ("running_mean", "running_var")
    )
    scale, shift = np.ones(mean.shape), np.zeros(mean.shape)
    if module.weight is not None:
        scale = _torch_array(of.what, "weight", module.weight).astype(np.float64)
        shift = _torch_array(of.what, "bias", module.bias).astype(np.float64)
    deviation = np.sqrt(var.astype(np.float64) + of.number("eps"))
    mean64 = mean.astype(np.float64)
    return [folding.normalized(of.what, mean64, deviation, scale, shift, mean.dtype.name)]


def _hardtanh(of: _Module) -> list[Step]:
    low, high = of.number("min_val"), of.number("max_val")
    return list(folding.clipped(of.what, low, high))


def _prelu(of: _Module) -> list[Step]:
    slope = _torch_array(of.what, "weight", of.module.weight)
    if slope.size != 1:
        of.refuse(f"has {slope.size} slopes, should have one for all columns")
    return [of.with_number("a slope of", float(slope.item()), LeakyReLU)]


def _celu(of: _Module) -> list[Step]:
    """Return alpha ELU(x / alpha)."""
    alpha = of.number("alpha")
    if alpha <= 0:
        of.refuse(f"has alpha {alpha!r}, should be positive")
    return _scaled_by(of, "elu", 1 / alpha)


def _gelu(of: _Module) -> list[Step]:
    form = getattr(of.module, "approximate", None)
    if form not in ("none", "tanh"):
        of.refuse(f"has approximate {form!r}, should be 'none' or 'tanh'")
    return [Activated(of.what, "gelu" if form == "none" else "gelu_tanh")]


def _softplus(of: _Module) -> list[Step]:
    """Return softplus(beta x) / beta."""
    beta, threshold = of.number("beta"), of.number("threshold")
    if threshold < 20:
        of.refuse(f"has threshold {threshold!r}, which cnn does not have")
    if beta == 0:
        of.refuse("has beta 0, should be another number")
    return _scaled_by(of, "softplus", beta)


def _scaled_by(of: _Module, activation: str, factor: float) -> list[Step]:
    inner, outer = folding.scaled(of.what, factor), folding.scaled(of.what, 1 / factor)
    return [inner, Activated(of.what, activation), outer]


def _dropout(of: _Module) -> list[Step]:
    rate = of.module.p
    if not 0 <= rate < 1:
        of.refuse(f"has p {rate!r}, should be at least 0 and less than 1")
    return [Dropped(of.what, float(rate))]


def _flatten(of: _Module) -> list[Step]:
    if (of.module.start_dim, of.module.end_dim) != (1, -1):
        of.refuse("should have start_dim 1 and end_dim -1")
    return []


def _standardize(of: _Module) -> list[Step]:
    """Return what the module that to_torch makes of a Standardize does."""
    module = of.module
    if not hasattr(module, "mean") or not hasattr(module, "scale"):
        of.refuse("has no mean and scale, should be a module that to_torch made")
    mean, scale = (_torch_array(of.what, name, getattr(module, name)) for name in ("mean", "scale"))
    if not (scale > 0).all():
        of.refuse("has a scale that is not positive")
    values = (mean.astype(np.float64), scale.astype(np.float64))
    return [folding.standardized(of.what, *values, mean.dtype.name)]


LAYERS: dict[str, Callable[[_Module], list[Step]]] = {
    "BatchNorm1d": _batch_norm,
    "CELU": _celu,
    "Dropout": _dropout,
    "ELU": lambda of: [of.with_number("alpha", of.number("alpha"), ELU)],
    "Flatten": _flatten,
    "GELU": _gelu,
    "Hardtanh": _hardtanh,
    "Identity": lambda of: [],
    "LeakyReLU": lambda of: [
        of.with_number("negative_slope", of.number("negative_slope"), LeakyReLU)
    ],
    "Linear": _linear,
    "PReLU": _prelu,
    "Softplus": _softplus,
    "Standardize": _standardize,
}


def _take(steps: list[Step], name: str, module: Any) -> None:
    """Add the steps of a module without children."""
    kind, of = type(module).__name__, _Module(name, module)
    if kind in ACTIVATIONS:
        activation, expected = ACTIVATIONS[kind]
        for attribute, good in expected.items():
            value = getattr(module, attribute, None)
            if value is None or not good(value):
                of.refuse(f"has {attribute} {value!r}, which cnn does not have")
        steps.append(Activated(of.what, activation))
        return
    if kind not in LAYERS:
        hint = _TORCH_HINTS.get(kind, "")
        if not type(module).__module__.startswith("torch."):
            hint = f"; write what it does with modules such as these, {_BY_ONNX}"
        of.refuse(
            f"is not a part that cnn has; those are "
            f"{', '.join(sorted((*LAYERS, *ACTIVATIONS)))}{hint}"
        )
    if kind == "Dropout":
        before = [step for step in steps if isinstance(step, (Product, Dropped))]
        if not before or isinstance(before[-1], Dropped):
            of.refuse("should come after a Linear or its activation")
    steps += LAYERS[kind](of)


def _torch_array(what: str, name: str, parameter: Any) -> np.ndarray[Any, Any]:
    dtype = str(getattr(parameter, "dtype", "")).removeprefix("torch.")
    if dtype and dtype not in ("float32", "float64"):
        raise ValueError(
            f"from_torch: the {name} of {what} has dtype {dtype}, should be float32 or float64, "
            f"as module.float() makes it"
        )
    try:
        return np.array(parameter.detach().cpu().numpy())
    except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"from_torch: the {name} of {what} cannot be read: {error}") from error


def _compare(module: Any, net: _core.Network) -> None:
    """Refuse a module whose outputs for some samples differ from the network's."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        raise TypeError(
            f"from_torch: module is of type {type(module).__name__}, should be a torch.nn.Module"
        )
    # Large samples are included to detect a module that clips values, or one whose weights are so
    # small that a difference is visible only there.
    scales = np.logspace(0, 12, 7)
    x = np.random.default_rng(0).standard_normal((len(scales), 4, net.inputs))
    x = (x * scales[:, None, None]).astype(net.dtype)
    rows = x.reshape(-1, net.inputs)
    try:
        tested = copy.deepcopy(module).eval()
        device = next(tested.parameters()).device
        with torch.no_grad():
            found = tested(torch.from_numpy(rows).to(device))
            if isinstance(found, torch.Tensor):
                found = found.cpu().numpy()
    except Exception as error:  # a user's module may raise anything
        raise ValueError(
            f"from_torch: module {type(module).__name__} cannot be tried on rows of {net.inputs} "
            f"numbers: {error}; make a torch.nn.Sequential of what it does, {_BY_ONNX}"
        ) from error
    if not isinstance(found, np.ndarray):
        many = f" of {len(found)}" if isinstance(found, (tuple, list, dict)) else ""
        raise ValueError(
            f"from_torch: module {type(module).__name__} gives a {type(found).__name__}{many}, "
            f"should give one tensor: make a torch.nn.Sequential of what leads to one output, "
            f"{_BY_ONNX}"
        )
    expected = net.predict(rows)
    if found.shape != expected.shape or not _close(found, expected, len(scales)):
        raise ValueError(
            f"from_torch: module {type(module).__name__} computes something else than its children "
            f"one after the other, should be a torch.nn.Sequential of all that it does: what its "
            f"forward calls, such as torch.nn.functional.tanh, is not seen, so write it as modules "
            f"(torch.nn.Tanh), {_BY_ONNX}"
        )


def _close(found: NDArray[Any], expected: NDArray[Any], groups: int) -> bool:
    """Whether outputs agree up to float32's rounding in each layer.

    Rows are in groups of one scale. The tolerance is relative to the largest output of a group,
    which bounds the size of sums. Outputs that are infinite or NaN are not compared.
    """
    good = np.isfinite(expected)
    size = np.where(good, np.abs(expected), 0).reshape(groups, -1).max(axis=1)
    tolerance = np.repeat(1e-4 * np.maximum(0.01, size), len(expected) // groups)[:, None]
    with np.errstate(invalid="ignore"):
        return bool((~good | (np.abs(found - expected) <= tolerance)).all())
