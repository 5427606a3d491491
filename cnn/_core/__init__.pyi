"""The Cython bindings of libcnn. Private; the public API is in the modules beside."""

import os
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, Self, TypeAlias, final

import numpy as np
import numpy.typing as npt

_Array: TypeAlias = npt.NDArray[Any]

ACTIVATIONS: Final[tuple[str, ...]]
LOSSES: Final[tuple[str, ...]]
OPTIMIZERS: Final[tuple[str, ...]]
INITIALIZERS: Final[tuple[str, ...]]
NEEDS_INPUT: Final[frozenset[str]]
ALPHAS: Final[dict[str, float]]
ALPHA_NAMES: Final[dict[str, str]]
LEAST_ALPHA: Final[float]
LOSS_OUTPUTS: Final[dict[str, str | None]]
TAKES_LOGITS: Final[frozenset[str]]
HAS_ACCURACY: Final[frozenset[str]]
LARGEST: Final[float]
LARGEST_WEIGHT: Final[float]
LEAST_WEIGHT_SUM: Final[float]
OPTIMIZER_SLOTS: Final[dict[str, int]]
SHARD_SUMS: Final[int]
PARAMETRIZATIONS: Final[tuple[str, ...]]
MOST_CATEGORIES: Final[int]
MOST_GROUPS: Final[int]
FIXED: Final[frozenset[str]]

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
def no_mask(where: str, name: str, value: Any) -> Any: ...
def column_names(value: object) -> list[str] | None: ...
def pinned(*arrays: object) -> list[object]: ...
def first_outside(x: _Array, low: float, high: float, *, whole: bool = False) -> int: ...
def philox(counter: Sequence[int], key: Sequence[int]) -> tuple[int, int, int, int]: ...
def permutation(seed: int, epoch: int, n: int, first: int, count: int) -> npt.NDArray[np.uintp]: ...
def read_rows(fd: int, offset: int, index: npt.NDArray[np.uintp], out: _Array) -> None: ...
def rows_of_columns(columns: list[_Array], out: _Array) -> None: ...
def activation(
    name: str, x: npt.ArrayLike, out: _Array | None = None, alpha: float = 0.0
) -> _Array: ...
def activation_backward(
    name: str,
    dy: npt.ArrayLike,
    source: npt.ArrayLike,
    out: _Array | None = None,
    alpha: float = 0.0,
) -> _Array: ...
def softmax(x: npt.ArrayLike, out: _Array | None = None, axis: int = -1) -> _Array: ...
def log_softmax(x: npt.ArrayLike, out: _Array | None = None, axis: int = -1) -> _Array: ...
def dense(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None,
    activation: str,
    out: _Array | None = None,
    alpha: float = 0.0,
) -> _Array: ...
def dense_backward(
    dy: npt.ArrayLike, x: npt.ArrayLike, weight: npt.ArrayLike
) -> tuple[_Array, _Array, _Array]: ...
def loss_gradient(
    loss: Loss, z: npt.ArrayLike, t: npt.ArrayLike, sample_weight: npt.ArrayLike | None
) -> tuple[float, _Array]: ...

@final
class Loss:
    """A loss and its settings; targets are class numbers if `labels`, else rows."""

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
        quantiles: npt.NDArray[np.float64] | None = None,
    ) -> None: ...

@final
class Samples:
    """Inputs, targets and weights as C sees them, whose arrays it keeps alive and in place."""

    def __new__(
        cls,
        x: npt.ArrayLike,
        t: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None,
        inputs: int,
        where: str,
    ) -> Self: ...

@final
class Result:
    """The sums of a pass over samples. A new object is the result of no samples."""

    @property
    def loss_sum(self) -> float: ...
    @property
    def weight_sum(self) -> float: ...
    @property
    def rows(self) -> int: ...
    @property
    def correct(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def nonfinite_rows(self) -> int: ...
    @property
    def counted(self) -> int: ...
    finite: bool
    blame: str
    updates: int
    @property
    def loss(self) -> float: ...
    @property
    def accuracy(self) -> float: ...

class ColumnSpec(NamedTuple):
    """A column of a columns layer.

    Parameters
    ----------
    kind : str
        "number", "periodic", "one_hot", "embedding" or "ignored".
    missing : bool
        Whether a feature tells that a number is missing.
    categories : int
        How many categories there are; 0 for columns without.
    """

    kind: str
    missing: bool = False
    categories: int = 0

class LayerSpec(NamedTuple):
    """A layer as `Network` takes and returns it.

    Parameters
    ----------
    kind : str
        "dense", "dropout", "standardize", "columns", "scale" or "parametric_activation".
    inputs, outputs : int
        The widths; 0 for a layer that has the width of the layer before it, and for outputs that
        follow from the inputs.
    activation : str
        One of `ACTIVATIONS`.
    l2 : float
        The strength of the L2 penalty.
    rate : float
        The share of values that dropout sets to 0.
    alpha : float
        The number of an activation that has one; 0 for its default.
    parametrization : str
        One of `PARAMETRIZATIONS`, of a dense layer.
    columns : tuple of ColumnSpec
        The columns of a columns layer.
    clip, frequencies, periodic_size, embedding_size : float or int
        As in cnn_layer of cnn.h, of a columns layer.
    """

    kind: str
    inputs: int = 0
    outputs: int = 0
    activation: str = "identity"
    l2: float = 0.0
    rate: float = 0.0
    alpha: float = 0.0
    parametrization: str = "standard"
    columns: tuple[ColumnSpec, ...] = ()
    clip: float = 0.0
    frequencies: int = 0
    periodic_size: int = 0
    embedding_size: int = 0

def shapes_of(spec: LayerSpec) -> dict[str, tuple[int, ...]]: ...
def outputs_of(spec: LayerSpec) -> int: ...

@final
class ParameterArray:
    """A parameter, with its numbers; for `Network` alone."""

@final
class Network:
    """A network; its layers are LayerSpecs."""

    def __init__(
        self,
        layers: Sequence[LayerSpec],
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
    def activation(self) -> str: ...
    @property
    def layers(self) -> list[LayerSpec]: ...
    @property
    def trained(self) -> list[tuple[int, str, tuple[int, ...]]]: ...
    @property
    def changes(self) -> int: ...
    def copy(self) -> Network: ...
    def initialize(self, layer: int, initializer: str, a: float = 0.0) -> None: ...
    def get(self, layer: int, parameter: str) -> _Array: ...
    def get_all(self, parameters: Iterable[tuple[int, str]]) -> list[_Array]: ...
    def set(self, layer: int, parameter: str, values: npt.ArrayLike) -> None: ...
    def set_all(
        self, parameters: Iterable[tuple[int, str, npt.ArrayLike]], where: str = "set"
    ) -> None: ...
    def set_l2(self, layer: int, l2: float) -> None: ...
    def predict(self, x: npt.ArrayLike, out: _Array | None = None) -> _Array: ...
    def vjp(self, x: npt.ArrayLike, dy: npt.ArrayLike) -> tuple[_Array, _Array]: ...
    def jacobian(self, x: npt.ArrayLike) -> _Array: ...
    def evaluate(
        self,
        loss: Loss,
        x: npt.ArrayLike,
        t: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        where: str = "evaluate",
        so_far: Result | None = None,
    ) -> Result: ...
    def gradients(
        self,
        loss: Loss,
        x: npt.ArrayLike,
        t: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        step: int = -1,
    ) -> tuple[float, list[_Array]]: ...
    def save(self, path: str | os.PathLike[str]) -> None: ...
    @staticmethod
    def load(path: str | os.PathLike[str]) -> Network: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> Network: ...
    @property
    def metadata(self) -> dict[str, str]: ...
    def get_metadata(self, key: str) -> str | None: ...
    def set_metadata(self, key: str, value: str | None) -> None: ...

@final
class Handle:
    """A network for other compiled code, which it keeps alive until it is closed."""

    def __new__(cls, network: Network) -> Self: ...
    @property
    def address(self) -> int: ...
    @property
    def capsule(self) -> Any: ...
    @property
    def closed(self) -> bool: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

def predict_address(dtype: npt.DTypeLike) -> int: ...

@final
class Tape:
    """What rows left in a network on their way forward."""

    def __init__(self, network: Network) -> None: ...
    @property
    def network(self) -> Network: ...
    def forward(self, x: npt.ArrayLike, step: int = -1) -> _Array | None: ...
    def backward(self, dy: npt.ArrayLike) -> tuple[list[_Array], _Array]: ...

@final
class Trainer:
    """An optimizer and its state for one network; options have the names of cnn_optimizer."""

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
    def save(
        self, path: str | os.PathLike[str], key: str | None = None, value: str | None = None
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
    def get_steps_and_state(self) -> tuple[int, list[_Array]]: ...
    def set_state(self, state: Sequence[npt.ArrayLike]) -> None: ...
    def finite(self) -> tuple[bool, bool]: ...
    def snapshot(self) -> None: ...
    def restore(self, key: str | None = None, value: str | None = None) -> None: ...
    def step(
        self,
        loss: Loss,
        x: npt.ArrayLike,
        t: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None,
        lr: float,
    ) -> Result: ...
    def apply(self, gradients: npt.ArrayLike, penalties: bool, lr: float) -> str | None: ...
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
        so_far: Result | None = None,
        key: str | None = None,
        value: str | None = None,
        weight_decay: npt.NDArray[np.float64] | None = None,
        dropout: npt.NDArray[np.float64] | None = None,
    ) -> Result: ...
    def set_group(self, layer: int, parameter: str, group: int) -> None: ...
    def group(self, layer: int, parameter: str) -> int: ...

def shard_seed(seed: int, shard: int) -> int: ...
def shard_sums(result: Result) -> npt.NDArray[np.float64]: ...

@final
class ShardTree:
    """Vectors of `count` numbers of float32 or float64, and sums, added over shards in order."""

    def __init__(self, dtype: npt.DTypeLike, count: int, shards: int) -> None: ...
    @property
    def count(self) -> int: ...
    def reset(self) -> None: ...
    def add(self, first: int, last: int, vector: _Array, sums: npt.NDArray[np.float64]) -> None: ...
    def nodes(self) -> list[tuple[int, int, _Array, npt.NDArray[np.float64]]]: ...

def shard_gradient(
    trainer: Trainer,
    loss: Loss,
    x: npt.ArrayLike,
    t: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None,
    index: npt.NDArray[np.uintp] | None,
    shard: int,
    tree: ShardTree,
) -> None: ...
def shard_loss(network: Network, sums: npt.NDArray[np.float64]) -> float: ...
def shard_slices(network: Network, parts: int) -> list[int]: ...
def shard_mean(
    network: Network, gradient: _Array, first: int, sums: npt.NDArray[np.float64]
) -> None: ...
def shard_blocks(network: Network, first: int, count: int) -> int: ...
def shard_squares(network: Network, gradient: _Array, first: int) -> npt.NDArray[np.float64]: ...
def shard_clip(trainer: Trainer, squares: npt.NDArray[np.float64]) -> float | None: ...
def shard_step(
    trainer: Trainer, gradient: _Array, first: int, clip: float, lr: float, values: _Array
) -> None: ...
def shard_finish(
    trainer: Trainer, values: _Array, key: str | None = None, value: str | None = None
) -> None: ...
