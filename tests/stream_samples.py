"""Samples that tests of streams share: arrays, and the same rows in other forms."""

import threading
import time

import numpy as np

import cnn

ROWS, INPUTS, CLASSES = 3000, 12, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, INPUTS)).astype(np.float32)
T = RNG.integers(0, CLASSES, ROWS)
WEIGHT = RNG.random(ROWS)


class Rows:
    """The rows in memory, as an object with rows."""

    def __init__(self, *arrays):
        self.arrays = arrays or (X, T)
        self.calls = []

    def __len__(self):
        return len(self.arrays[0])

    def __getitem__(self, index):
        self.calls.append(index)
        return tuple(array[index] for array in self.arrays)


def batches(size=70, *arrays):
    arrays = arrays or (X, T)
    return [tuple(array[i : i + size] for array in arrays) for i in range(0, len(arrays[0]), size)]


class Endless:
    """An iterable that can be begun again, of a generator."""

    def __init__(self, make):
        self.make = make

    def __iter__(self):
        return self.make()


def network(outputs=CLASSES, **options):
    hidden = cnn.Dense(INPUTS, 20, "relu")
    last = cnn.Dense(20, outputs, "softmax" if outputs == CLASSES else "identity")
    return cnn.Sequential([hidden, cnn.Dropout(0.2), last], rng=3, **options)


def trained(*samples, epochs=2, batch_size=100, **options):
    net = network()
    net.fit(*samples, epochs=epochs, batch_size=batch_size, **options)
    return b"".join(array.tobytes() for array in net.get_weights())


def threads_end():
    """Whether the threads that read ahead end."""
    limit = time.monotonic() + 5
    while time.monotonic() < limit:
        if not any(thread.name == "cnn reads ahead" for thread in threading.enumerate()):
            return True
        time.sleep(0.01)
    return False
