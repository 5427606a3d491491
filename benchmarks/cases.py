"""What is timed: the nets, the cases, and how much work each case is.

A case is a value: it can be compared, hashed and sent to another process, and its arrays follow
from it alone (see data.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

FLOAT = 4  # bytes
INPUT_DERIVATIVES = ("silu", "gelu")  # their derivative is taken from the input


@dataclass(frozen=True)
class Net:
    """A dense net: its widths, the activation of hidden layers, and that of the last one.

    Four of five of MNIST's pixels are 0, of which cnn makes use; with `noise` the inputs are random
    numbers in its place.
    """

    widths: tuple[int, ...]
    hidden: str
    output: str
    noise: bool = False

    @property
    def name(self) -> str:
        where = " on noise" if self.noise else ""
        return f"{'-'.join(map(str, self.widths))} {self.hidden}{where}"

    @property
    def parameters(self) -> int:
        return sum((inputs + 1) * outputs for inputs, outputs in pairwise(self.widths))

    @property
    def products(self) -> list[int]:
        """The multiply-adds of each layer for one row."""
        return [inputs * outputs for inputs, outputs in pairwise(self.widths)]

    @property
    def is_classifier(self) -> bool:
        return self.output == "softmax"


@dataclass(frozen=True)
class Work:
    """How much a case asks for at least: what the roofline is computed from."""

    flops: float
    bytes_moved: float
    working_set: float
    only_reads: bool = False


@dataclass(frozen=True)
class Predict:
    """Outputs of a net for some rows, from a NumPy array to a NumPy array."""

    net: Net
    rows: int

    @property
    def name(self) -> str:
        return f"{self.net.name}, {rows_text(self.rows)}"

    @property
    def work(self) -> Work:
        numbers = self.net.parameters + self.rows * (self.net.widths[0] + self.net.widths[-1])
        return Work(
            flops=2.0 * self.rows * sum(self.net.products),
            bytes_moved=FLOAT * numbers,
            working_set=FLOAT * numbers,
            only_reads=True,
        )


@dataclass(frozen=True)
class Train:
    """An epoch of shuffled batches; times are per sample."""

    net: Net
    optimizer: str
    batch: int
    samples: int
    chosen_lr: float | None = None
    seed: int = 0  # of the order of the samples

    @property
    def name(self) -> str:
        return f"{self.net.name}, {self.optimizer}, batch {self.batch}"

    @property
    def lr(self) -> float:
        if self.chosen_lr is not None:
            return self.chosen_lr
        # Small enough that thousands of epochs on the same data stay finite.
        return 1e-3 if self.optimizer == "Adam" or not self.net.is_classifier else 0.1

    @property
    def checked_samples(self) -> int:
        """How many samples are trained on, in their order, before outputs are compared."""
        return min(self.samples, 4 * self.batch)

    @property
    def work(self) -> Work:
        """The work per sample: forward, dW of all layers, dX of all but the first."""
        products = self.net.products
        moved = (6 if self.optimizer == "Adam" else 2) * self.net.parameters / self.batch
        inputs = self.net.widths[0]
        states = 3 if self.optimizer == "Adam" else 1
        return Work(
            flops=2.0 * (3 * sum(products) - products[0]),
            bytes_moved=FLOAT * (moved + inputs),
            working_set=FLOAT * (states * self.net.parameters + self.batch * inputs),
        )


@dataclass(frozen=True)
class Activation:
    """An activation or its derivative over an array, into an array that is there already."""

    function: str
    direction: str  # "forward" or "backward"
    rows: int
    cols: int

    @property
    def name(self) -> str:
        return f"{self.function} {self.direction}, {self.rows}x{self.cols}"

    @property
    def needs_input(self) -> bool:
        return self.function in INPUT_DERIVATIVES

    @property
    def work(self) -> Work:
        arrays = 2 if self.direction == "forward" else 3
        moved = float(FLOAT * arrays * self.rows * self.cols)
        return Work(flops=0.0, bytes_moved=moved, working_set=moved)


@dataclass(frozen=True)
class Product:
    """One dense layer alone: "forward", or the gradient of its input or of its weight."""

    part: str  # "forward", "dX" or "dW"
    rows: int
    inputs: int
    outputs: int

    @property
    def name(self) -> str:
        return f"{self.part}, {self.rows}x{self.inputs}x{self.outputs}"

    @property
    def work(self) -> Work:
        rows, inputs, outputs = self.rows, self.inputs, self.outputs
        moved = float(FLOAT * (rows * inputs + inputs * outputs + rows * outputs))
        return Work(flops=2.0 * rows * inputs * outputs, bytes_moved=moved, working_set=moved)


Case = Predict | Train | Activation | Product

CONTROL = Net((8, 64, 64, 4), "tanh", "identity")
DIGITS = Net((64, 50, 100, 10), "sigmoid", "softmax")
LECTURE = Net((784, 50, 100, 10), "sigmoid", "softmax")
MEDIUM = Net((784, 256, 128, 10), "relu", "softmax")
WIDE = Net((784, 1024, 1024, 10), "relu", "softmax")
HUGE = Net((512, 4096, 4096, 512), "relu", "identity")
NETS = (CONTROL, DIGITS, LECTURE, MEDIUM, WIDE, HUGE)
LECTURE_ON_NOISE, MEDIUM_ON_NOISE, WIDE_ON_NOISE = (
    replace(net, noise=True) for net in (LECTURE, MEDIUM, WIDE)
)


def rows_text(rows: int) -> str:
    """Return "1 row" or "10 000 rows"."""
    return f"{rows:,} row{'s' if rows > 1 else ''}".replace(",", " ")


def train(net: Net, optimizer: str, batch: int) -> Train:
    """Return a training case with as many samples as make a timing worth its noise."""
    wanted = int(1e10 / (6 * net.parameters))
    # Small batches cost every peer its overhead per step, so that fewer samples do.
    steps = max(1, min(wanted // batch, 512 if batch == 1 else 100))
    return Train(net, optimizer, batch, batch * steps)
