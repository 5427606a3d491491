"""The libraries that are compared, one module each; see base.py for their interface."""

from __future__ import annotations

import importlib

from peers.base import Peer

# The order of the report's columns. A module has one class Peer per name that it is known by.
PEERS = {
    "cnn": ("peers.cnn_", "Cnn"),
    "PyTorch": ("peers.torch_", "Torch"),
    "torch.compile": ("peers.torch_", "TorchCompile"),
    "JAX": ("peers.jax_", "Jax"),
    "JAX scan": ("peers.jax_", "JaxScan"),
    "ONNX Runtime": ("peers.onnxruntime_", "OnnxRuntime"),
    "Keras": ("peers.keras_", "Keras"),
    "scikit-learn": ("peers.sklearn_", "Sklearn"),
    "SciPy": ("peers.scipy_", "Scipy"),
    "NumPy": ("peers.numpy_", "Numpy"),
}


def create(name: str, threads: int) -> Peer:
    """Import a library and return its peer."""
    module, class_name = PEERS[name]
    made = getattr(importlib.import_module(module), class_name)(threads)
    assert isinstance(made, Peer)
    return made
