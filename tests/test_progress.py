"""The progress bar and the log of fit, and that nothing is loaded or shown without need."""

import io
import itertools
import re
import subprocess
import sys
import types

import numpy as np
import pytest

import cnn
from cnn._training import progress

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
    number = r"[0-9.e-]+"
    metrics = rf"loss {number} \(val {number}\), accuracy {number} \(val {number}\)"
    assert re.fullmatch(rf"epoch 3/3\|[^|]+\| 00:00, {metrics}", last)
    # The first thing that is seen has the epoch as well.
    assert text.split("\r")[1].startswith("epoch 1/3|")


def test_a_bar_fits_in_80_columns(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    bar = progress.Bar(1000, 1, 1000)
    # Which a terminal of 80 columns would tell.
    bar._bar.dynamic_ncols, bar._bar.ncols = None, 80
    logs = {"loss": 0.012345, "accuracy": 0.98765, "val_loss": 0.012345, "val_accuracy": 0.98765}
    for epoch in range(1, 1001):
        bar.begin(epoch)
        bar.advance(1000, {"loss": 0.012345, "accuracy": 0.98765})
        bar.finish(epoch, logs)
    bar.close()
    last = stream.getvalue().rstrip().split("\r")[-1]
    assert last.endswith("loss 0.0123 (val 0.0123), accuracy 0.988 (val 0.988)")
    assert len(last) == 80


def test_a_file_has_none(monkeypatch):
    assert shown(monkeypatch, io.StringIO()) == ""


def test_a_bar_tells_in_the_end_how_long_it_took(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    bar = progress.Bar(10, 1, 1)
    bar._bar.start_t -= 75
    bar.close()
    assert "| 01:15" in stream.getvalue().split("\r")[-1]


def test_it_can_be_forced(monkeypatch):
    assert "epoch 3/3" in shown(monkeypatch, io.StringIO(), progress=True)
    assert shown(monkeypatch, Terminal(), progress=False) == ""


def log_of(monkeypatch, epochs, net=None, **options):
    """Return the lines of a log, and their epochs."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    (net or classifier()).fit(X, LABELS, epochs=epochs, progress=True, **options)
    lines = stream.getvalue().splitlines()
    return lines, [int(line.split()[1].split("/")[0]) for line in lines]


def test_a_log_has_plain_lines(monkeypatch):
    lines, epochs = log_of(monkeypatch, 3, validation_data=(X, LABELS))
    assert epochs == [1, 2, 3]
    number = r"~?[0-9.e-]+"
    pattern = (
        rf"epoch 3/3: loss {number}, accuracy {number}, val_loss {number}, "
        rf"val_accuracy {number}, after {number} s"
    )
    assert re.fullmatch(pattern, lines[-1])


def test_a_log_has_about_ten_lines(monkeypatch):
    assert log_of(monkeypatch, 10)[1] == list(range(1, 11))
    assert log_of(monkeypatch, 200)[1] == [1, *range(20, 201, 20)]
    assert log_of(monkeypatch, 25)[1] == [1, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25]


def test_a_log_goes_on_from_the_last_epoch(monkeypatch):
    net = classifier()
    net.fit(X, LABELS, epochs=7, progress=False)
    lines, epochs = log_of(monkeypatch, 100, net)
    assert epochs == [8, *range(17, 108, 10)]
    assert lines[-1].startswith("epoch 107/107: loss ")


def test_a_log_has_the_last_epoch_of_a_fit_that_ended_early(monkeypatch):
    def stop(epoch, logs):
        net.stop_training = epoch == 15

    net = classifier()
    callback = cnn.LambdaCallback(on_epoch_end=stop)
    assert log_of(monkeypatch, 100, net, callbacks=[callback])[1] == [1, 10, 15]


def test_a_log_of_long_epochs_has_more_lines(monkeypatch):
    clock = itertools.count(0.0, 8.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    log = progress.Log(1, 1000)
    for epoch in range(1, 12):
        log.finish(epoch, {"loss": 1.0, "lr": 0.1, "seconds": 2.0})
    lines = stream.getvalue().splitlines()
    assert [line.split("/")[0] for line in lines] == ["epoch 1", "epoch 5", "epoch 9"]
    assert lines[0] == "epoch 1/1000: loss 1, after 8.0 s"


@pytest.mark.parametrize("progress", ["auto", True])
def test_no_stderr_at_all(monkeypatch, capsys, progress):
    monkeypatch.setattr(sys, "stderr", None)
    classifier().fit(X, LABELS, progress=progress)
    assert capsys.readouterr().out == ""


class Cell:
    """The output of a notebook's cell, which keeps each state of what it shows."""

    def __init__(self, monkeypatch):
        # As in Jupyter and in Colab, whose shells are of different types.
        self.shell = types.SimpleNamespace(config={"IPKernelApp": {}})
        self.module = types.SimpleNamespace(get_ipython=lambda: self.shell)
        display = types.SimpleNamespace(display=self.display)
        monkeypatch.setitem(sys.modules, "IPython", self.module)
        monkeypatch.setitem(sys.modules, "IPython.display", display)
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        self.html, self.texts = [], []

    def display(self, shown, *, display_id):
        assert display_id is True
        self.update(shown)
        return self

    def update(self, shown):
        self.html.append(shown._repr_html_())
        self.texts.append(repr(shown))


def test_the_bar_of_a_notebook(monkeypatch):
    cell = Cell(monkeypatch)
    monkeypatch.setattr(progress, "_UPDATE", 0.0)
    classifier().fit(X, LABELS, epochs=3, batch_size=5, validation_data=(X, LABELS))
    assert cell.texts[0] == "epoch 1/3"
    assert 'value="0" max="60"' in cell.html[0]
    number = r"[0-9.e-]+"
    second = [text for text in cell.texts if text.startswith("epoch 2/3")]
    assert re.fullmatch(rf"epoch 2/3: 00:00 left, loss {number} \(val .*", second[0])
    assert 'value="60" max="60"' in cell.html[-2]
    # What a saved notebook has: no bar, but the metrics.
    metrics = rf"loss {number} \(val {number}\), accuracy {number} \(val {number}\)"
    assert re.fullmatch(rf"epoch 3/3: 00:00, {metrics}", cell.texts[-1])
    assert cell.html[-1] == f"<div>{cell.texts[-1]}</div>"
    assert sys.stderr.getvalue() == ""


def test_a_notebook_gets_few_updates(monkeypatch):
    cell = Cell(monkeypatch)
    clock = itertools.count(0.0, 0.01)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    bar = progress.NotebookBar(1, 1, 1000)
    for _ in range(1000):
        bar.advance(1, {"loss": 1.0})
    bar.close()
    assert 50 <= len(cell.texts) <= 130


def test_training_goes_on_without_its_notebook(monkeypatch):
    cell = Cell(monkeypatch)
    monkeypatch.setattr(progress, "_UPDATE", 0.0)

    def fail(shown):
        raise ConnectionError

    cell.update = fail
    assert len(classifier().fit(X, LABELS, epochs=3)) == 3
    cell.update = lambda shown: None
    bar = progress.NotebookBar(1, 1, 2)
    cell.update = fail
    for _ in range(2):
        bar.advance(1, {"loss": 1.0})
    bar.close()


def test_a_notebook_has_a_bar(monkeypatch):
    cell = Cell(monkeypatch)
    shell, ipython = cell.shell, cell.module
    assert progress.wanted("fit", "auto")
    shell.config = {"TerminalIPythonApp": {}}
    assert not progress.wanted("fit", "auto")
    ipython.get_ipython = lambda: None
    assert not progress.wanted("fit", "auto")


def test_epochs_go_on_from_where_they_were(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    net = classifier()
    net.fit(X, LABELS, epochs=2, progress=False)
    net.fit(X, LABELS, epochs=3)
    assert "epoch 5/5|" in stream.getvalue()


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
        "heavy = 'tqdm asyncio multiprocessing IPython sklearn scipy pandas polars '"
        "'matplotlib onnx '"
        "'torch pooch requests'; "
        "print(sorted(new & set(heavy.split())))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
