"""The demonstration that `python -m cnn demo` runs: handwritten digits, from training to file."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnn import _core
from cnn.callbacks import Callback
from cnn.datasets import load_digits
from cnn.layers import Dense
from cnn.models import load
from cnn.optimizers import Adam
from cnn.sequential import Sequential

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_EPOCHS = 30
_SHOWN = 7  # samples in the table of predictions
_TITLE = "cnn {version}: a 64-50-100-10 network learns handwritten digits"
# A bar's character, and those for two pixels above each other: none, the upper, the lower, both.
_BLOCKS = ("\u2588", " \u2580\u2584\u2588")
_ASCII = ("#", ' ".:')


def _characters() -> tuple[str, str]:
    """Return the characters to draw with: blocks if the encoding of stdout has them."""
    try:
        "".join(_BLOCKS).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _ASCII
    return _BLOCKS


class _Lines(Callback):
    """Print a line for each epoch, above the progress bar if there is one."""

    def __init__(self, bar: str) -> None:
        self._bar = bar

    def on_train_begin(self) -> None:
        """Print the head of the table."""
        _write(f"{'':5} {'training':^20} {'held out':^19}")
        _write(f"{'epoch':>5} {'loss':>9} {'accuracy':>10} {'loss':>8} {'accuracy':>10}")

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Print a line of the table."""
        bar = self._bar * round(20 * logs["val_accuracy"])
        _write(
            f"{epoch:5} {logs['loss']:9.4f} {logs['accuracy']:10.1%} "
            f"{logs['val_loss']:8.4f} {logs['val_accuracy']:10.1%}  {bar}"
        )


def _write(line: str) -> None:
    """Print a line without breaking the progress bar."""
    bar = sys.modules.get("tqdm.std")
    if bar is None:
        print(line, flush=True)
    else:
        bar.tqdm.write(line, file=sys.stdout)


def _picture(image: NDArray[np.float32], pixels: str) -> list[str]:
    """Return an image of 8 x 8 pixels as 4 lines of 8 characters."""
    ink = (image.reshape(4, 2, 8) > 0.4).astype(int)
    return ["".join(pixels[upper + 2 * lower] for upper, lower in pair.T) for pair in ink]


def _print_predictions(
    x: NDArray[np.float32], t: NDArray[np.int64], p: NDArray[np.float32], pixels: str
) -> None:
    """Print a table of samples with their classes and the network's probabilities."""
    # Some samples that are classified correctly, then some that are not.
    guesses = p.argmax(axis=1)
    wrong = np.flatnonzero(guesses != t)[:2]
    shown = [*np.flatnonzero(guesses == t)[: _SHOWN - wrong.size], *wrong]
    columns = [_picture(x[i], pixels) for i in shown]
    for i, column in zip(shown, columns, strict=True):
        column += [f"{t[i]}   ", f"{guesses[i]}   ", ""]
        column += [f"{value:.1%}" if value >= 0.0005 else "-" for value in p[i]]
    heads = ["", "", "", "", "digit", "prediction", "probability"]
    heads += [f"of {label}" for label in range(10)]
    for head, *cells in zip(heads, *columns, strict=True):
        print(f"{head:>11}  {''.join(f'{cell:>8} ' for cell in cells)}".rstrip())
    print()


def main() -> int:
    """Train on digits, show predictions, save and load the network; return the exit code."""
    bar, pixels = _characters()
    x, t, x_test, t_test = load_digits(split=True)
    print(_TITLE.format(version=_core.version()))
    print(f"{len(t)} digits to learn from, {len(t_test)} held out\n")
    net = Sequential(
        [
            Dense(64, 50, "sigmoid"),
            Dense(50, 100, "sigmoid"),
            Dense(100, 10, "softmax"),
        ],
        rng=0,
    )
    print(net.summary())
    print()
    begin = time.perf_counter()
    net.fit(
        x,
        t,
        epochs=_EPOCHS,
        batch_size=32,
        optimizer=Adam(lr=1e-2),
        validation_data=(x_test, t_test),
        callbacks=[_Lines(bar)],
    )
    seconds = time.perf_counter() - begin
    measured = net.evaluate(x_test, t_test)
    print(f"\n{measured['accuracy']:.1%} of the held-out digits are right after {seconds:.2f} s\n")
    p = net.predict(x_test)
    _print_predictions(x_test, t_test, p, pixels)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digits.safetensors"
        net.save(path)
        same = bool(np.array_equal(load(path).predict(x_test), p))
        size = path.stat().st_size
    print(f"Saved to {path.name} ({size:,} bytes)\nLoaded back: ", end="")
    print("the same predictions, bit for bit" if same else "other predictions!")
    return 0 if same else 1
