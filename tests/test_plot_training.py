"""Plots of training: learning curves and norms of gradients."""

import numpy as np
import pytest
from refused import refused

import cnn
from cnn import plot

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
pyplot = pytest.importorskip("matplotlib.pyplot")

pytestmark = pytest.mark.usefixtures("figures")

X = np.random.default_rng(0).random((40, 12))
LABELS = np.arange(40) % 3


@pytest.fixture(scope="module")
def net():
    return cnn.mlp([12, 5, 4, 3], "tanh", "softmax", rng=0)


@pytest.fixture(scope="module")
def history():
    net = cnn.mlp([12, 5, 3], "tanh", "softmax", rng=0)
    return net.fit(X, LABELS, epochs=6, validation_data=(X[:10], LABELS[:10]))


def lines(ax):
    return {line.get_label(): line for line in ax.lines}


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_learning_curves(history, ax):
    assert plot.learning_curves(history, ax=ax) is ax
    found = lines(ax)
    np.testing.assert_array_equal(found["training"].get_ydata(), history.loss)
    np.testing.assert_array_equal(found["validation"].get_ydata(), history.val_loss)
    np.testing.assert_array_equal(found["training"].get_xdata(), history.epoch)
    best = int(np.argmin(history.val_loss))
    label = f"best validation: ~{history.val_loss[best]:.4g} in epoch {best + 1}"
    assert legend(ax) == ["training", "validation", label]
    assert found[label].get_xdata() == [best + 1]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss")


def test_learning_curves_of_accuracy(history):
    ax = plot.learning_curves(history, metric="accuracy")
    assert ax.get_ylabel() == "accuracy"
    (label,) = [label for label in lines(ax) if label.startswith("best")]
    assert f"{max(history.val_accuracy):.4g} in" in label


def made(**metrics):
    """Return a History of these metrics."""
    found = cnn.History()
    for epoch, values in enumerate(zip(*metrics.values(), strict=True), 1):
        found.append(epoch, dict(zip(metrics, values, strict=True)))
    return found


def test_learning_curves_of_several_runs(history):
    other = made(loss=[3.0, 1.0], val_loss=[4.0, 2.0])
    ax = plot.learning_curves({"$one": history, "two": other})
    assert legend(ax) == ["$one", "two", "training", "validation"]
    found = [line for line in ax.lines if len(line.get_xdata()) > 1]
    for line, values in zip(
        found, (history.loss, history.val_loss, other.loss, other.val_loss), strict=True
    ):
        np.testing.assert_array_equal(line.get_ydata(), values)
    assert [line.get_linestyle() for line in found] == ["-", "--"] * 2
    assert found[0].get_color() == found[1].get_color() != found[2].get_color()
    ax = plot.learning_curves([other, made(loss=[1.0])])
    assert legend(ax)[:2] == ["run 1", "run 2"]
    # Of runs without training, or too many of them.
    assert legend(plot.learning_curves([made(val_score=[1.0, 2.0])], metric="score")) == ["run 1"]
    assert plot.learning_curves([other] * 21).get_legend() is None


def test_a_legend_beside_many_runs_covers_none():
    runs = {f"a run with a name {i}": made(loss=[1.0, 0.5 / (i + 1)]) for i in range(9)}
    ax = plot.learning_curves(runs)
    ax.figure.canvas.draw()
    assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1
    assert len({line.get_color() for line in ax.lines}) == 9


def test_learning_curves_of_an_estimator():
    pytest.importorskip("sklearn")
    from cnn.sklearn import MLPClassifier

    model = MLPClassifier(max_iter=3, early_stopping=True, tol=0.0, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(X, LABELS)
    ax = plot.learning_curves(model)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), model.loss_curve_)
    ax = plot.learning_curves(model, metric="score")
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), model.validation_scores_)
    assert legend(ax)[0] == "validation"


def test_a_logarithmic_scale_marks_zeros():
    ax = plot.learning_curves(made(loss=[1.0, 0.1, 0.0], val_loss=[1.0, 0.5, 0.0]), log=True)
    assert ax.get_yscale() == "log"
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [1.0, 0.1, np.nan])
    marks = [line for line in ax.lines if line.get_marker() == "x"]
    assert [list(mark.get_xdata()) for mark in marks] == [[3], [3]]
    assert legend(ax) == ["training", "validation"]
    ax = plot.learning_curves(made(loss=[0.0, 0.0]), log=True)
    ax.figure.canvas.draw()


def test_a_narrow_range_has_whole_numbers_at_its_ticks():
    ax = plot.learning_curves(made(loss=[0.3 + 1e-9 * i for i in range(9)]))
    ax.figure.canvas.draw()
    assert ax.yaxis.get_offset_text().get_text() == ""
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert len(set(labels)) == len(labels)


def test_the_best_of_a_score_is_the_highest():
    ax = plot.learning_curves(made(r2=[0.1, 0.2], val_r2=[0.9, 0.3]), metric="r2")
    assert legend(ax)[2] == "best validation: 0.9 in epoch 1"


def test_a_legend_is_in_an_empty_corner():
    values = [i / 100 for i in range(101)]
    for metric, expected in (("loss", "upper left"), ("accuracy", "lower right")):
        ax = plot.learning_curves(made(**{metric: values}), metric=metric)
        ax.figure.canvas.draw()
        box = ax.get_legend().get_window_extent()
        x, y = ax.transAxes.inverted().transform(((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2))
        where = f"{'upper' if y > 0.5 else 'lower'} {'right' if x > 0.5 else 'left'}"
        assert where == expected


def test_learning_curves_without_validation():
    history = cnn.mlp([1, 1], "tanh", "identity", rng=0).fit([[1.0]], [1.0])
    ax = plot.learning_curves(history)
    assert legend(ax) == ["training"]
    assert ax.lines[0].get_marker() == "o"
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    assert [tick for tick in ax.get_xticks() if low <= tick <= high] == [1]


def test_learning_curves_of_what_has_no_validation(history):
    ax = plot.learning_curves(history, metric="lr")
    assert (ax.get_ylabel(), ax.get_legend()) == ("learning rate", None)
    ax = plot.learning_curves(history, metric="seconds")
    assert (ax.get_ylabel(), ax.get_legend()) == ("seconds of an epoch", None)


def test_legends_look_for_no_place(history, net, monkeypatch):
    # With thousands of epochs that takes seconds, and warns.
    def fail(*_arguments):
        raise AssertionError

    monkeypatch.setattr("matplotlib.legend.Legend._find_best_position", fail)
    axes = [plot.learning_curves(history), plot.learning_curves(history, metric="accuracy")]
    axes += [plot.gradient_norms(net, X, LABELS, label="net"), plot.activations()[0]]
    for ax in axes:
        assert ax.get_legend() is not None
        ax.figure.canvas.draw()


def test_bad_learning_curves(history):
    with refused(TypeError, "learning_curves: history is of type int, should be the cnn.History"):
        plot.learning_curves(3)
    with refused(ValueError, "learning_curves: history is empty, should have at least one History"):
        plot.learning_curves({})
    with refused(TypeError, "learning_curves: history 'run 2' is of type str, should be the cnn"):
        plot.learning_curves([history, "loss"])
    with refused(ValueError, "learning_curves: history 'a' has no epochs, should have at least 1"):
        plot.learning_curves({"a": cnn.History()})
    with refused(ValueError, "learning_curves: history has no epochs, should have at least 1"):
        plot.learning_curves(cnn.History())
    message = "learning_curves: metric is 'val_loss', should be one of loss, accuracy, lr, seconds"
    with refused(ValueError, message):
        plot.learning_curves(history, metric="val_loss")
    with refused(TypeError, "learning_curves: ax is of type int, should be a matplotlib.axes.Axes"):
        plot.learning_curves(history, ax=3)


def test_gradient_norms(net, ax):
    assert plot.gradient_norms(net, X, LABELS, ax=ax) is ax
    _, gradients = net.gradients(X, LABELS)
    norms = [np.linalg.norm(gradient.weight.astype(float)) for gradient in gradients]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), norms)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [0, 1, 2])
    assert ax.get_yscale() == "log"
    assert ax.get_legend() is None
    assert "layer" in ax.get_xlabel()
    assert "norm" in ax.get_ylabel()


def test_gradient_norms_of_several_networks(net, ax):
    for label in ("one", "two"):
        plot.gradient_norms(net, X, LABELS, label=label, ax=ax)
    assert legend(ax) == ["one", "two"]
    assert ax.lines[0].get_color() != ax.lines[1].get_color()


def test_gradient_norms_skip_dropout_and_mark_zeros(ax):
    net = cnn.mlp([12, 5, 4, 3], "step", "softmax", rng=0, dropout=0.1)
    plot.gradient_norms(net, X, LABELS, label="step", ax=ax)
    norms, zeros = ax.lines
    np.testing.assert_array_equal(norms.get_xdata(), [0, 2, 4])
    np.testing.assert_array_equal(np.isnan(norms.get_ydata()), [True, True, False])
    np.testing.assert_array_equal(zeros.get_xdata(), [0, 2])
    assert legend(ax) == ["step", "step: 0"]


def test_bad_gradient_norms(net):
    with refused(TypeError, "gradient_norms: net is of type int, should be a cnn.Sequential"):
        plot.gradient_norms(3, X, LABELS)
    with refused(ValueError, "gradients: x has 2 columns, but the first layer has 12 inputs"):
        plot.gradient_norms(net, X[:, :2], LABELS)
    assert pyplot.get_fignums() == []
