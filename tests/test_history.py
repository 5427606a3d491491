"""History as a sequence of epochs, as a data frame, and in notebooks; tables of networks there."""

import copy
import math
import pickle
import sys

import numpy as np
import pytest
from refused import refused
from test_html import Tree

import cnn


@pytest.fixture
def history():
    made = cnn.History()
    for epoch, loss in ((4, 0.5), (5, 0.25), (6, 0.75)):
        made.append(epoch, {"loss": loss, "val_loss": 2 * loss})
    return made


def test_epochs_by_place(history):
    assert history[-1] == {"loss": 0.75, "val_loss": 1.5}
    assert history[0] == history[np.int64(0)] == history[-3] == {"loss": 0.5, "val_loss": 1.0}
    assert history["loss"] == [0.5, 0.25, 0.75]


def test_slices(history):
    last = history[-2:]
    assert isinstance(last, cnn.History)
    assert last.to_dict() == {"epoch": [5, 6], "loss": [0.25, 0.75], "val_loss": [0.5, 1.5]}
    last.append(7, {"loss": 0.0})
    assert len(history) == 3
    assert history[::-1].epoch == [6, 5, 4]
    assert len(history[5:]) == 0


def test_bad_keys(history):
    for place in (3, -4):
        with refused(IndexError, f"History: there is no place {place}, it has 3 epochs"):
            history[place]
    with refused(IndexError, "History: there is no place -1, it has 0 epochs"):
        cnn.History()[-1]
    with refused(TypeError, "History: the key is of type float, should be the name of a metric"):
        history[1.5]


def test_a_metric_of_some_epochs(history):
    history.append(7, {"loss": 1.0, "accuracy": 0.5})
    assert history[-1]["accuracy"] == 0.5
    assert math.isnan(history[-1]["val_loss"])
    assert all(math.isnan(value) for value in history.accuracy[:3])
    assert {len(history[name]) for name in history} == {4}


def test_frame(history):
    frame = history.to_frame()
    assert frame.index.name == "epoch"
    assert frame.to_dict("list") == history.history
    assert list(frame.index) == [4, 5, 6]
    assert cnn.History().to_frame().empty


def test_frame_without_pandas(history, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    message = "History.to_frame: pandas is not installed; pip install pandas installs it"
    with refused(ImportError, message):
        history.to_frame()


def test_copies(history):
    for other in (copy.copy(history), copy.deepcopy(history), pickle.loads(pickle.dumps(history))):
        assert other[-1] == history[-1]


# ---- Notebooks ---------------------------------------------------------------------------------


def test_a_history_in_a_notebook(history):
    tree = Tree(history._repr_html_())
    assert tree.texts[:2] == ["History: 3 epochs", "epochs 4 to 6"]
    assert tree.texts[2:] == [
        *("metric", "last", "lowest", "highest"),
        *("loss", "0.75", "0.25", "0.75"),
        *("val_loss", "1.5", "0.5", "1.5"),
    ]
    lines = [attrs for tag, attrs in tree.tags if tag == "polyline"]
    # The lowest value is at the bottom, the highest at the top.
    assert [line["points"] for line in lines] == ["2.0,12.0 60.0,22.0 118.0,2.0"] * 2
    assert lines[0]["stroke"] == "currentColor"


@pytest.mark.parametrize(
    "values",
    [
        *([1.0], [math.nan, 1.0], [1.0, 1.0], [1e308, -1e308], [math.inf, 1.0, 2.0], [0.0] * 9),
        *([math.nan], [math.nan, math.nan]),
    ],
)
def test_curves_of_extreme_values(values):
    made = cnn.History()
    for epoch, value in enumerate(values, 1):
        made.append(epoch, {"<loss>": value})
    tree = Tree(made._repr_html_())
    assert "<loss>" in tree.texts
    known = [value for value in values if math.isfinite(value)]
    lines = [attrs["points"] for tag, attrs in tree.tags if tag == "polyline"]
    assert len(lines) == (len(known) > 1)
    for line in lines:
        heights = [float(point.split(",")[1]) for point in line.split()]
        assert len(heights) == len(known)
        assert min(heights) >= 2
        assert max(heights) <= 22
        assert (heights[0] > heights[1]) == (known[0] < known[1])


def test_a_long_history_has_a_short_curve():
    made = cnn.History()
    for epoch in range(1, 10_001):
        made.append(epoch, {"loss": 1.0 / epoch})
    text = made._repr_html_()
    assert len(text) < 10_000
    assert "118.0,22.0" in text  # the last epoch is there


def test_an_empty_history_in_a_notebook():
    assert Tree(cnn.History()._repr_html_()).texts == ["History", "no epochs"]


def test_a_network_in_a_notebook():
    net = cnn.mlp([64, 50, 10], "relu", "softmax", rng=0, dropout=0.2)
    text = net._repr_html_()
    tree = Tree(text)
    words = " ".join(net.summary().replace("-", "").split()).split(" ")
    assert " ".join(tree.texts[1:]).split() == words
    assert tree.texts[0] == "Sequential"
    assert "color:" not in text.replace("currentColor", "")


def test_a_summary_is_shown_as_it_is():
    summary = cnn.mlp([4, 3, 2], "relu", "softmax", rng=0).summary()
    assert isinstance(summary, str)
    assert repr(summary) == str(summary)
    assert repr(summary).splitlines()[0].split() == [
        *("Layer", "Kind", "Shape", "Activation", "Parameters")
    ]
    assert pickle.loads(pickle.dumps(summary)) == summary
