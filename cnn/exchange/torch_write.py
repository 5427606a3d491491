"""Networks as PyTorch modules: `Sequential.to_torch`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from cnn._base import extras
from cnn.exchange.kinds import refuse_kinds

if TYPE_CHECKING:
    from cnn import _core

# The modules of activations, with the arguments that give cnn's formulas.
_MODULES: dict[str, tuple[str, dict[str, Any]]] = {
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "relu": ("ReLU", {}),
    "leaky_relu": ("LeakyReLU", {}),
    "elu": ("ELU", {}),
    "softplus": ("Softplus", {}),
    "silu": ("SiLU", {}),
    "gelu": ("GELU", {"approximate": "none"}),
    "gelu_tanh": ("GELU", {"approximate": "tanh"}),
    "softmax": ("Softmax", {"dim": -1}),
    "mish": ("Mish", {}),
    "selu": ("SELU", {}),
    "hard_sigmoid": ("Hardsigmoid", {}),
    "hard_swish": ("Hardswish", {}),
    "relu6": ("ReLU6", {}),
    "softsign": ("Softsign", {}),
}
# The modules' names for the parameter of an activation.
_NUMBERS = {"leaky_relu": "negative_slope", "elu": "alpha"}


def module_of(network: _core.Network) -> Any:
    """Return a torch.nn.Sequential with a network's parameters."""
    described = network.layers
    refuse_kinds("to_torch", network, ("dense", "standardize"), "modules of PyTorch")
    for i, layer in enumerate(described):
        if layer.activation not in _MODULES and layer.activation != "identity":
            raise ValueError(
                f"to_torch: layer {i} has activation {layer.activation}, for which PyTorch has no "
                f"module"
            )
    torch = extras.require("to_torch", "torch", "torch")
    modules = []
    for i, layer in enumerate(described):
        if layer.kind == "dropout":
            modules.append(torch.nn.Dropout(layer.rate))
            continue
        if layer.kind == "standardize":
            fixed = (torch.from_numpy(network.get(i, name)) for name in ("mean", "scale"))
            modules.append(_standardize_class(torch)(*fixed))
            continue
        # Without initial weights, which would draw numbers from PyTorch's global generator.
        linear = torch.nn.utils.skip_init(
            torch.nn.Linear,
            layer.inputs,
            layer.outputs,
            dtype=getattr(torch, network.dtype.name),
        )
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(network.get(i, "weight")).T)
            linear.bias.copy_(torch.from_numpy(network.get(i, "bias")))
        modules.append(linear)
        if layer.activation != "identity":
            name, arguments = _MODULES[layer.activation]
            if layer.activation in _NUMBERS:
                arguments = {_NUMBERS[layer.activation]: layer.alpha}
            modules.append(getattr(torch.nn, name)(**arguments))
    return torch.nn.Sequential(*modules)


@functools.cache
def _standardize_class(torch: Any) -> Any:
    """Return the class of modules for Standardize layers, for which PyTorch has none."""

    class Standardize(torch.nn.Module):  # type: ignore[misc]  # torch is Any
        """(x - mean) / scale; the two are buffers, which optimizers leave as they are."""

        def __init__(self, mean: Any, scale: Any) -> None:
            super().__init__()
            self.register_buffer("mean", mean)
            self.register_buffer("scale", scale)

        def forward(self, x: Any) -> Any:
            return (x - self.mean) / self.scale

        def extra_repr(self) -> str:
            return f"{self.mean.numel()}"

    # Pickles find a class by these two names, here by __getattr__.
    Standardize.__module__, Standardize.__qualname__ = __name__, "Standardize"
    return Standardize


def __getattr__(name: str) -> Any:
    if name == "Standardize":
        return _standardize_class(extras.require("to_torch", "torch", "torch"))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
