"""Good arguments for hostile calls, made anew for each."""

import contextlib
import os

import numpy as np

import cnn
from cnn import _core


class World:
    """Good arguments, made anew for each call."""

    def __init__(self, folder):
        self.folder = folder
        rng = np.random.default_rng(0)
        # Each array is a part of a larger one, so that hooks can change either.
        self.bases = {}
        self.x = self.part("x", rng.random((5, 3)).astype(np.float32))
        self.w = self.part("w", rng.random((3, 2)).astype(np.float32))
        self.b = self.part("b", rng.random(2).astype(np.float32))
        self.dy = self.part("dy", rng.random((5, 2)).astype(np.float32))
        self.dx = self.part("dx", np.empty((5, 2), np.float32))
        self.out = self.part("out", np.empty((5, 2), np.float32))
        self.t = self.part("t", np.array([0, 1, 1, 0, 1]))
        self.rows = self.part("rows", rng.random((5, 2)).astype(np.float32))
        self.sample_weight = self.part("sample_weight", np.ones(5, np.float32))
        self.index = self.part("index", np.arange(5, dtype=np.uintp))
        self.lr = self.part("lr", np.full(5, 0.1))
        self.net = cnn.mlp([3, 4, 2], "tanh", "softmax", rng=0)
        self.optimizer = cnn.Adam()
        self._more = {}

    def part(self, name, values):
        """Return an array of these values that is a part of another, or owns its memory."""
        if name in {"w", "t", "lr", "out"}:
            self.bases[name] = values.copy()
            return self.bases[name]
        base = np.zeros(values.size + 7, values.dtype)
        base[: values.size] = values.ravel()
        self.bases[name] = base
        return base[: values.size].reshape(values.shape)

    @property
    def arrays(self):
        return [value for value in vars(self).values() if isinstance(value, np.ndarray)]

    def made(self, name, make):
        """Return what is made once, as it takes long."""
        if name not in self._more:
            self._more[name] = make()
        return self._more[name]

    @property
    def standardized(self):
        def make():
            return cnn.Sequential([cnn.Standardize(3), cnn.Dense(3, 2, "softmax")], rng=0)

        return self.made("standardized", make)

    @property
    def table(self):
        """Return a network for tables, which reads x."""

        def make():
            kinds = cnn.columns
            first = cnn.Columns(
                [kinds.Periodic(missing=True), kinds.OneHot(2), kinds.Embedding(3)], frequencies=2
            )
            layers = [first, cnn.Scale(first.outputs), cnn.Dense(first.outputs, 4)]
            layers += [cnn.ParametricActivation(4, "mish"), cnn.Dropout(0.5)]
            return cnn.Sequential([*layers, cnn.Dense(4, 2, "softmax")], rng=0)

        return self.made("table", make)

    @property
    def table_trainer(self):
        return self.made(
            "table_trainer", lambda: _core.Trainer(self.table._network, "adamw", weight_decay=0.1)
        )

    @property
    def trainer(self):
        return self.made(
            "trainer", lambda: _core.Trainer(self.net._network, "momentum", momentum=0.5)
        )

    @property
    def loss(self):
        return _core.Loss("cross_entropy", labels=True)

    @property
    def path(self):
        return os.path.join(self.folder, "net.safetensors")

    # ---- What hooks do ---------------------------------------------------------------------

    def empty(self):
        """Give back the memory of each array that can be resized."""
        for base in (*self.bases.values(), *self.arrays):
            with contextlib.suppress(ValueError):
                base.resize(0, refcheck=False)

    def grow(self):
        """Move the memory of each array."""
        for base in (*self.bases.values(), *self.arrays):
            with contextlib.suppress(ValueError):
                base.resize(2**20, refcheck=False)

    def reshape(self):
        for each in self.arrays:
            each.shape = (each.size, 1, 1)

    def swap(self):
        """Exchange rows and columns, which makes each dimension too large."""
        for each in self.arrays:
            each.shape = each.shape[::-1] if each.ndim == 2 else (1, each.size)

    def retype(self):
        """Let each array have more elements, of fewer bytes."""
        for each in self.arrays:
            with contextlib.suppress(ValueError, TypeError):
                each.dtype = np.int8

    def lock(self):
        for each in self.arrays:
            each.flags.writeable = False
