"""Good arguments for all calls of `_core`, and a look at whether calls that fail change them."""

import numpy as np

from cnn import _core

LABELS = _core.Loss("cross_entropy", labels=True)
ROWS = _core.Loss("cross_entropy")


class World:
    """A network, a trainer and good arguments for all calls."""

    def __init__(self, network_of):
        self.network = network_of([3, 4, 2], "tanh")
        self.trainer = _core.Trainer(self.network, "momentum", momentum=0.9)
        self.x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
        self.t = np.array([0, 1, 1, 0, 1])
        self.w = np.ones((3, 2), np.float32)
        self.dy = np.ones((5, 2), np.float32)
        self.index = np.arange(5, dtype=np.uintp)
        self.lr = np.full(5, 0.1)
        self.trainer.step(LABELS, self.x, self.t, None, 0.1)

    def state(self):
        found = [self.network.get(i, name) for i in (0, 1) for name in ("weight", "bias")]
        found += self.trainer.get_state()
        return b"".join(a.tobytes() for a in found), self.trainer.steps, self.network.layers


def zeros(*shape):
    return np.zeros(shape, np.float32)


def watched(network_of):
    """Yield good arguments, and see that nothing has changed at the end."""
    made = World(network_of)
    before = made.state()
    yield made
    assert made.state() == before
