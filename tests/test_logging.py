"""The logger ``cnn``: what it is told, and that nothing is printed without a handler."""

import logging
import subprocess
import sys

import pytest

import cnn
from cnn._base.numbers import rounded

X, T = [[0.0], [1.0]], [0.0, 1.0]


class Records(logging.Handler):
    """A handler that keeps what it gets."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append((record.levelname, record.getMessage()))


@pytest.fixture
def logged():
    """Return a function that returns what the logger was told so far."""
    logger, handler = logging.getLogger("cnn"), Records()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield lambda: handler.records
    logger.setLevel(level)
    logger.removeHandler(handler)


def network():
    return cnn.Sequential([cnn.Dense(1, 1, init="zeros")], rng=0)


def test_fit(logged):
    history = network().fit(X, T, epochs=2, optimizer=cnn.SGD(0.5))
    begin, *epochs, end = logged()
    assert begin == (
        "INFO",
        "fit begins: 2 rows, epochs 1 to 2, batches of 2, "
        "SGD(lr=0.5, momentum=0.0, nesterov=False, clip_norm=None), SquaredError()",
    )
    assert [level for level, _ in epochs] == ["DEBUG", "DEBUG"]
    for number, (_, text) in enumerate(epochs, 1):
        loss = rounded(history.loss[number - 1], 4)
        assert text.startswith(f"fit: epoch {number}, loss {loss}, lr 0.5, seconds")
    assert end[0] == "INFO"
    assert end[1].startswith(f"fit ends after epoch 2: loss {loss}, lr 0.5, seconds")


def test_a_callback_that_stops_fit(logged):
    stop = cnn.EarlyStopping("loss", min_delta=9.0, patience=1)
    network().fit(X, T, epochs=9, callbacks=[stop])
    assert logged()[-1][1].startswith("fit ends after epoch 2, stopped by a callback: loss")


def test_epochs_only_if_asked_for(logged):
    logging.getLogger("cnn").setLevel(logging.INFO)
    network().fit(X, T, epochs=3)
    assert [level for level, _ in logged()] == ["INFO", "INFO"]


def test_files(logged, tmp_path):
    path, net, optimizer = str(tmp_path / "a.safetensors"), network(), cnn.Adam()
    net.train_step(X, T, optimizer=optimizer)
    net.save(path)
    cnn.load(path)
    net.save(path, optimizer=optimizer)
    cnn.load_checkpoint(path)
    assert logged() == [
        ("INFO", f"save: wrote {path!r}"),
        ("INFO", f"load: read {path!r}"),
        ("INFO", f"save: wrote {path!r} with the optimizer"),
        ("INFO", f"load_checkpoint: read {path!r}"),
    ]


def test_nothing_is_printed_by_itself():
    program = f"import cnn; cnn.Sequential([cnn.Dense(1, 1)]).fit({X}, {T}, progress=False)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert any(isinstance(h, logging.NullHandler) for h in logging.getLogger("cnn").handlers)
