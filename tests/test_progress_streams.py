"""Streams that progress cannot be shown on: training goes on without a word."""

import io
import os
import subprocess
import sys

import pytest
from estimators import LABELS, X, small

import cnn
from cnn._training import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Closing(Terminal):
    """A terminal that goes away in the middle of training."""

    def write(self, text):
        if self.tell() > 0:
            self.close()
        return super().write(text)


class Full(Terminal):
    def write(self, text):
        raise OSError(28, "No space left on device")


class Angry(Terminal):
    def write(self, text):
        raise RuntimeError("no")


class Unsure(io.StringIO):
    def isatty(self):
        raise OSError("is it?")


class Writes:
    """All that print wants of a file."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text
        return len(text)


class BytesTerminal(io.BytesIO):
    def isatty(self):
        return True


class EncodedTerminal(io.TextIOWrapper):
    def isatty(self):
        return True


def closed():
    stream = Terminal()
    stream.close()
    return stream


def broken_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w", buffering=1)


STREAMS = {
    "None": lambda: None,
    "closed": closed,
    "closing": Closing,
    "broken pipe": broken_pipe,
    "full": Full,
    "angry": Angry,
    "unsure": Unsure,
    "object": object,
    "number": lambda: 5,
    "writes": Writes,
    "bytes": io.BytesIO,
    "terminal of bytes": BytesTerminal,
    "ascii": lambda: EncodedTerminal(io.BytesIO(), "ascii"),
    "cp1252": lambda: EncodedTerminal(io.BytesIO(), "cp1252"),
    "utf-16": lambda: EncodedTerminal(io.BytesIO(), "utf-16"),
}
each_stream = pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS)


def trained(**options):
    net = cnn.mlp([4, 3], "tanh", "softmax", rng=0)
    history = net.fit(X, LABELS, epochs=30, **options)
    assert len(history) == 30
    return net.layers[0].weight.tobytes()


def end(stream):
    """Close a stream, whose buffer may not be written any more."""
    try:
        if hasattr(stream, "close"):
            stream.close()
    except (OSError, RuntimeError):
        pass


@each_stream
@pytest.mark.parametrize("progress", ["auto", True])
def test_fit(make, progress, monkeypatch):
    expected = trained(progress=False)
    stream = make()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream)
        found = trained(progress=progress)
    end(stream)
    assert found == expected


@each_stream
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_verbose_of_estimators(make, solver, monkeypatch):
    stream = make()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stream)
        model = small(verbose=True, solver=solver).fit(X, LABELS)
    end(stream)
    assert model.n_iter_ == 5


def test_what_can_be_written_is_written(monkeypatch):
    stream = Writes()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream)
        trained(progress=True)
    assert stream.text.startswith("epoch 1/30: loss ")
    stream = EncodedTerminal(io.BytesIO(), "ascii")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream)
        trained()
    text = stream.buffer.getvalue().decode("ascii")
    assert "epoch 30/30|" in text
    assert "#" in text  # tqdm's bars for streams that have no blocks


def test_no_attribute_at_all(monkeypatch):
    with monkeypatch.context() as patched:
        patched.delattr(sys, "stderr")
        patched.delattr(sys, "stdout")
        found = trained(progress=True)
        progress.say("unheard")
    assert found == trained(progress=False)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_is_no_error_of_a_stream_gets_through(error, monkeypatch):
    class Stops(Terminal):
        def write(self, text):
            raise error

    monkeypatch.setattr(sys, "stderr", Stops())
    with pytest.raises(error):
        trained()


CODE = """
import sys, numpy as np, cnn
net = cnn.mlp([3, 4], "tanh", "softmax", rng=0)
x, t = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 4
history = net.fit(x, t, epochs=3, progress=True)
print(net.summary())
open(sys.argv[1], "w").write(str(len(history)))
"""


@pytest.mark.skipif(os.name != "posix", reason="a shell's way to close files")
@pytest.mark.parametrize("streams", ["2>&-", ">&-", ">&- 2>&-", "2>/dev/full"])
def test_streams_of_a_shell(streams, tmp_path):
    if "full" in streams and not os.path.exists("/dev/full"):
        pytest.skip("the system has no /dev/full")
    done = tmp_path / "done"
    command = f'"{sys.executable}" -P -c "$CODE" "{done}" {streams}'
    subprocess.run(
        ["sh", "-c", command],
        env=os.environ | {"CODE": CODE},
        capture_output=True,
        check=False,
    )
    assert done.read_text() == "3"
