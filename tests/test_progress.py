"""The progress bar of fit, and that nothing is loaded or shown without need."""

import io
import subprocess
import sys
import types

import numpy as np
import pytest

import cnn
from cnn import _progress

X = np.random.default_rng(0).normal(size=(20, 3))
LABELS = np.random.default_rng(1).integers(0, 4, size=20)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def classifier():
    return cnn.mlp([3, 4], "tanh", "softmax", rng=0)


def shown(monkeypatch, stream, **options):
    monkeypatch.setattr(sys, "stderr", stream)
    classifier().fit(X, LABELS, epochs=3, **options)
    return stream.getvalue()


def test_a_terminal_has_a_bar(monkeypatch):
    text = shown(monkeypatch, Terminal(), validation_data=(X, LABELS))
    assert "epoch 1/3" in text
    last = text.rstrip().splitlines()[-1].split("\r")[-1]
    assert last.startswith("epoch 3/3 100%|")
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert f"{name} " in last


def test_a_file_has_none(monkeypatch):
    assert shown(monkeypatch, io.StringIO()) == ""


def test_it_can_be_forced(monkeypatch):
    assert "epoch 3/3" in shown(monkeypatch, io.StringIO(), progress=True)
    assert shown(monkeypatch, Terminal(), progress=False) == ""


def test_no_stderr_at_all(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    classifier().fit(X, LABELS)


def test_a_notebook_has_a_bar(monkeypatch):
    shell = type("ZMQInteractiveShell", (), {})()
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert _progress.wanted("fit", "auto")
    ipython.get_ipython = lambda: None
    assert not _progress.wanted("fit", "auto")


def test_epochs_go_on_from_where_they_were(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    net = classifier()
    net.fit(X, LABELS, epochs=2, progress=False)
    net.fit(X, LABELS, epochs=3)
    assert "epoch 5/5 100%" in stream.getvalue()


def test_the_bar_is_closed_after_an_error(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)

    def fail(epoch, logs):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        classifier().fit(X, LABELS, epochs=9, callbacks=[cnn.LambdaCallback(on_epoch_end=fail)])
    assert stream.getvalue().endswith("\n")


def test_the_bar_does_not_change_the_weights(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    one, two = classifier(), classifier()
    one.fit(X, LABELS, epochs=3)
    two.fit(X, LABELS, epochs=3, progress=False)
    np.testing.assert_array_equal(one.layers[0].weight, two.layers[0].weight)


def test_import_loads_little():
    code = (
        "import sys, numpy; before = set(sys.modules); import cnn; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new & {'tqdm', 'asyncio', 'multiprocessing', 'IPython', 'sklearn'}))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
