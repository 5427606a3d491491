"""The compiled floor: libcnn through Cython. Private; the public API is in the modules beside."""

import os
from collections.abc import Sequence
from typing import Any, Final, TypeAlias, final

import numpy as np
import numpy.typing as npt

_Array: TypeAlias = npt.NDArray[Any]

ACTIVATIONS: Final[tuple[str, ...]]
LOSSES: Final[tuple[str, ...]]
OPTIMIZERS: Final[tuple[str, ...]]
INITIALIZERS: Final[tuple[str, ...]]
NEEDS_INPUT: Final[frozenset[str]]
OPTIMIZER_SLOTS: Final[dict[str, int]]

class ModelFileError(ValueError): ...

def version() -> str: ...
def abi_version() -> int: ...
def numerics_version() -> int: ...
def isa() -> str: ...
def isas() -> tuple[str, ...]: ...
def select_isa(name: str) -> None: ...
def get_num_threads() -> int: ...
def set_num_threads(n: int | None) -> None: ...
def threads_origin() -> str: ...
def numeric(where: str, name: str, value: npt.ArrayLike | None) -> _Array: ...
def first_outside(x: _Array, low: float, high: float, *, whole: bool = False) -> int: ...
def philox(counter: Sequence[int], key: Sequence[int]) -> tuple[int, int, int, int]: ...
def permutation(seed: int, epoch: int, n: int, first: int, count: int) -> npt.NDArray[np.uintp]: ...
def activation(name: str, x: npt.ArrayLike, out: _Array | None = None) -> _Array: ...
def activation_backward(
    name: str, dy: npt.ArrayLike, source: npt.ArrayLike, out: _Array | None = None
) -> _Array: ...
def log_softmax(x: npt.ArrayLike, out: _Array | None = None) -> _Array: ...
def dense(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None,
    activation: str,
    out: _Array | None = None,
) -> _Array: ...
def dense_backward(
    dy: npt.ArrayLike, x: npt.ArrayLike, weight: npt.ArrayLike
) -> tuple[_Array, _Array, _Array]: ...
def loss_gradient(
    loss: Loss, z: npt.ArrayLike, t: npt.ArrayLike, sample_weight: npt.ArrayLike | None
) -> tuple[float, _Array]: ...

@final
class Loss:
    """A loss and its settings: class numbers as targets where `labels`, else rows."""

    @property
    def kind(self) -> str: ...
    def __init__(
        self,
        kind: str,
        *,
        labels: bool = False,
        delta: float = 1.0,
        label_smoothing: float = 0.0,
        class_weight: npt.NDArray[np.float64] | None = None,
    ) -> None: ...

@final
class Samples:
    """Inputs, targets and weights as C sees them; keeps the arrays alive."""

    def __init__(
        self,
        x: npt.ArrayLike,
        t: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None,
        inputs: int,
        where: str,
    ) -> None: ...

@final
class Result:
    """What a pass over samples measured."""

    loss_sum: float
    weight_sum: float
    rows: int
    correct: int
    steps: int
    finite: bool
    @property
    def loss(self) -> float: ...
    @property
    def accuracy(self) -> float: ...

@final
class Network:
    """A network; layers as (kind, inputs, outputs, activation, l2, rate) tuples."""

    def __init__(
        self,
        layers: Sequence[tuple[str, int, int, str, float, float]],
        *,
        dtype: str = "float32",
        seed: int = 0,
    ) -> None: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def seed(self) -> int: ...
    @property
    def inputs(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    @property
    def parameter_count(self) -> int: ...
    @property
    def layers(self) -> list[tuple[str, int, int, str, float, float]]: ...
    def copy(self) -> Network: ...
    def initialize(self, layer: int, initializer: str, a: float = 0.0) -> None: ...
    def get(self, layer: int, parameter: str) -> _Array: ...
    def set(self, layer: int, parameter: str, values: npt.ArrayLike) -> None: ...
    def set_l2(self, layer: int, l2: float) -> None: ...
    def predict(self, x: npt.ArrayLike, out: _Array | None = None) -> _Array: ...
    def evaluate(
        self,
        loss: Loss,
        x: npt.ArrayLike,
        t: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        where: str = "evaluate",
    ) -> Result: ...
    def gradients(
        self,
        loss: Loss,
        x: npt.ArrayLike,
        t: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        step: int = -1,
    ) -> tuple[float, list[_Array]]: ...
    def save(self, path: str | os.PathLike[str], trainer: Trainer | None = None) -> None: ...
    @staticmethod
    def load(path: str | os.PathLike[str]) -> Network: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> Network: ...
    @property
    def metadata(self) -> dict[str, str]: ...
    def set_metadata(self, key: str, value: str | None) -> None: ...

@final
class Trainer:
    """An optimizer with its state for one network. Options are named as in cnn_optimizer."""

    def __init__(
        self,
        network: Network,
        kind: str,
        *,
        momentum: float = 0.0,
        beta1: float = 0.0,
        beta2: float = 0.0,
        alpha: float = 0.0,
        eps: float = 0.0,
        weight_decay: float = 0.0,
        clip_norm: float = 0.0,
    ) -> None: ...
    @staticmethod
    def load(path: str | os.PathLike[str]) -> Trainer: ...
    @property
    def network(self) -> Network: ...
    @property
    def kind(self) -> str: ...
    @property
    def options(self) -> dict[str, float]: ...
    @property
    def steps(self) -> int: ...
    @steps.setter
    def steps(self, steps: int) -> None: ...
    def get_state(self) -> list[_Array]: ...
    def set_state(self, state: Sequence[npt.ArrayLike]) -> None: ...
    def snapshot(self) -> None: ...
    def restore(self) -> None: ...
    def step(
        self,
        loss: Loss,
        x: npt.ArrayLike,
        t: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None,
        lr: float,
    ) -> Result: ...
    def epoch(
        self,
        loss: Loss,
        x: npt.ArrayLike,
        t: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None,
        index: npt.NDArray[np.uintp],
        batch_size: int,
        lr: npt.NDArray[np.float64],
        seconds: float = 0.0,
    ) -> Result: ...
