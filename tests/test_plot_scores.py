"""Plots of scores and errors: the curves are those of cnn.metrics, the legends have their areas."""

import numpy as np
import pytest
from refused import refused

import cnn
from cnn import metrics, plot

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
pyplot = pytest.importorskip("matplotlib.pyplot")

pytestmark = pytest.mark.usefixtures("figures")

RNG = np.random.default_rng(0)
T2 = np.arange(60) % 2
P2 = np.clip(0.3 * T2 + RNG.random(60) * 0.7, 0, 1)
T3 = np.arange(90) % 3
P3 = RNG.dirichlet(np.ones(3), 90)
P3[np.arange(90), T3] += 0.5
P3 /= P3.sum(axis=1, keepdims=True)


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def curves(ax):
    return [line for line in ax.lines if line.get_gid() == "curve"]


# ---- ROC, precision and recall -----------------------------------------------------------------


@pytest.mark.parametrize("p", [P2, P2[:, None], np.stack([1 - P2, P2], axis=1)])
def test_roc_of_two_classes(p, ax):
    assert plot.roc_curve(T2, p, ax=ax) is ax
    (line,) = curves(ax)
    false, true, _ = metrics.roc_curve(T2, P2)
    np.testing.assert_array_equal(line.get_xdata(), false)
    np.testing.assert_array_equal(line.get_ydata(), true)
    assert legend(ax) == [f"AUC {metrics.auc(T2, P2):.3f}"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("false positive rate", "true positive rate")
    diagonal = next(line for line in ax.lines if line.get_gid() is None)
    np.testing.assert_array_equal(diagonal.get_xydata(), [[0, 0], [1, 1]])


def test_roc_of_each_class():
    ax = plot.roc_curve(T3, P3, class_names=["a", "$b", "c"], label="net")
    for c, line in enumerate(curves(ax)):
        np.testing.assert_array_equal(line.get_xdata(), metrics.roc_curve(c == T3, P3[:, c])[0])
    areas = [metrics.auc(c == T3, P3[:, c]) for c in range(3)]
    names = ("net, a", "net, $b", "net, c")
    assert legend(ax) == [f"{n}: AUC {area:.3f}" for n, area in zip(names, areas, strict=True)]


def test_roc_of_several_networks(ax):
    for label in ("one", "two"):
        plot.roc_curve(T2, P2, label=label, ax=ax)
    assert [text.split(":")[0] for text in legend(ax)] == ["one", "two"]
    one, two = curves(ax)
    assert one.get_color() != two.get_color()


def test_roc_of_many_classes():
    t = np.arange(400) % 40
    p = RNG.random((400, 40))
    ax = plot.roc_curve(t, p)
    assert len(curves(ax)) == 40
    assert ax.get_legend() is None
    areas = [metrics.auc(t == c, p[:, c]) for c in range(40)]
    assert ax.get_title() == (
        f"40 classes: AUC {min(areas):.3f} to {max(areas):.3f}, mean {np.mean(areas):.3f}"
    )


def test_a_class_without_samples_has_no_curve():
    ax = plot.precision_recall_curve([0, 0, 2, 2], np.eye(3)[[0, 2, 2, 2]])
    assert [text.split(":")[0] for text in legend(ax)] == ["0", "2"]


def test_precision_and_recall(ax):
    assert plot.precision_recall_curve(T2, P2, ax=ax) is ax
    precision, recall, _ = metrics.precision_recall_curve(T2, P2)
    (line,) = curves(ax)
    np.testing.assert_array_equal(line.get_xdata(), recall)
    np.testing.assert_array_equal(line.get_ydata(), precision)
    # The area under the steps.
    area = sum(
        (r0 - r1) * p for r0, r1, p in zip(recall[:-1], recall[1:], precision[:-1], strict=True)
    )
    assert legend(ax) == [f"AP {area:.3f}"]
    share = next(line for line in ax.lines if line.get_gid() is None)
    assert list(share.get_ydata()) == [0.5, 0.5]


@pytest.mark.parametrize("name", ["roc_curve", "precision_recall_curve", "calibration_curve"])
def test_bad_scores(name):
    function = getattr(plot, name)
    for t, p, message in (
        ([0, 1], np.ones((2, 2, 2)), "p has shape (2, 2, 2), should be (n,) or (n, classes)"),
        ([], [], "p has shape (0,), should be (n,) or (n, classes) with n at least 1"),
        ([0, 1, 1], [0.5, 0.5], "t has shape (3,), should be (2,), a class for each sample"),
        ([0, 2], [0.5, 0.5], "t has label 2, but p has 2 classes (labels 0 to 1)"),
        ([0, 1], [0.5, np.nan], "p has nan in row 1"),
        ([0, -1], [0.5, 0.5], "t has -1 in row 1, should have class numbers"),
    ):
        with refused(ValueError, f"{name}: {message}"):
            function(t, p)
    assert pyplot.get_fignums() == []


def test_curves_of_one_class_alone():
    for function in (plot.roc_curve, plot.precision_recall_curve):
        message = f"{function.__name__}: t has class 1 alone, should have at least two classes"
        with refused(ValueError, message):
            function([1, 1], [0.5, 0.7])


# ---- Calibration -------------------------------------------------------------------------------


def test_calibration(ax):
    assert plot.calibration_curve(T2, P2, bins=5, label="net", ax=ax) is ax
    share, mean = metrics.calibration_curve(T2, P2, bins=5)
    (line,) = curves(ax)
    np.testing.assert_array_equal(line.get_xdata(), mean)
    np.testing.assert_array_equal(line.get_ydata(), share)
    heights = [bar.get_height() for bar in ax.patches]
    counts = np.histogram(P2, 20, (0, 1))[0]
    np.testing.assert_allclose(heights, 0.15 * counts / counts.max())
    assert f"the highest {counts.max() / 60:.0%}" in ax.get_xlabel()
    assert legend(ax) == ["net"]
    plot.calibration_curve(T2, P2, strategy="quantile", label="other", ax=ax)
    assert legend(ax) == ["net", "other"]
    assert len(ax.patches) == 20
    np.testing.assert_array_equal(
        curves(ax)[1].get_xdata(), metrics.calibration_curve(T2, P2, strategy="quantile")[1]
    )


def test_calibration_of_several_classes():
    ax = plot.calibration_curve(T3, P3)
    share, mean = metrics.calibration_curve(P3.argmax(axis=1) == T3, P3.max(axis=1))
    (line,) = curves(ax)
    np.testing.assert_array_equal(line.get_xydata(), np.stack([mean, share], axis=1))
    assert ax.get_legend() is None
    assert ax.get_xlabel().startswith("probability of the predicted class")


def test_bad_calibration():
    with refused(
        ValueError, "calibration_curve: p has 1.5 in row 0, but its numbers should be from 0 to 1"
    ):
        plot.calibration_curve([0], [1.5])
    with refused(ValueError, "calibration_curve: bins is 0, should be"):
        plot.calibration_curve(T2, P2, bins=0)
    with refused(ValueError, "calibration_curve: strategy is 'x', should be one of uniform, quan"):
        plot.calibration_curve(T2, P2, strategy="x")


# ---- Regression --------------------------------------------------------------------------------


def test_predicted_vs_true():
    t = RNG.normal(size=50)
    y = t + RNG.normal(size=50) * 0.1
    given = pyplot.figure().subplots(1, 2)
    axes = plot.predicted_vs_true(t, y[:, None], ax=given)
    assert list(axes) == list(given)
    left, right = axes
    np.testing.assert_allclose(left.collections[0].get_offsets(), np.stack([t, y], axis=1))
    np.testing.assert_allclose(right.collections[0].get_offsets(), np.stack([y, y - t], axis=1))
    assert left.get_title() == f"R² {metrics.r2(t, y):.3f}"
    rmse, mae = metrics.rmse(t, y), metrics.mae(t, y)
    assert right.get_title() == f"RMSE {rmse:.3g}, MAE {mae:.3g}\nmean {(y - t).mean():.3g}"
    assert sorted(line.get_ydata()[0] for line in right.lines) == pytest.approx([-rmse, 0, rmse])
    assert left.get_xlim() == left.get_ylim()
    assert left.get_legend() is None


def test_several_outputs():
    t = RNG.normal(size=(30, 2))
    left, right = plot.predicted_vs_true(t, t + 1, names=["a", "b"])
    assert legend(left) == ["a", "b"]
    assert len(right.collections) == 2
    left, _ = plot.predicted_vs_true(np.zeros((3, 9)), np.ones((3, 9)))
    assert left.get_legend() is None


@pytest.mark.parametrize("value", [0.0, 3.0, -1e300])
def test_one_sample(value):
    left, right = plot.predicted_vs_true([value], [value])
    left.figure.canvas.draw()
    assert left.get_xlim()[0] < value < left.get_xlim()[1]
    assert right.get_ylim()[0] < 0 < right.get_ylim()[1]


def test_bad_regressions(ax):
    for t, y, message in (
        ([], [], "t has shape (0,), should be (n,) or (n, outputs) with n at least 1"),
        ([1.0, 2.0], [1.0], "y has shape (1,), should be (2,), as t has"),
        (np.ones((2, 2)), np.ones(4), "y has shape (4,), should be (2, 2), as t has"),
        ([1.0, np.inf], [1.0, 2.0], "t has inf in row 1, but its numbers should be finite"),
    ):
        with refused(ValueError, f"predicted_vs_true: {message}"):
            plot.predicted_vs_true(t, y)
    with refused(ValueError, "predicted_vs_true: names has 1 names, but there are 2 outputs"):
        plot.predicted_vs_true(np.ones((2, 2)), np.ones((2, 2)), names=["a"])
    with refused(ValueError, "predicted_vs_true: ax has 1 Axes, should have 2"):
        plot.predicted_vs_true([1.0], [1.0], ax=ax)


def test_a_network_fits_them():
    """What predict returns is what they take."""
    net = cnn.mlp([2, 3, 1], "tanh", "sigmoid", rng=0)
    x = RNG.normal(size=(60, 2))
    assert len(curves(plot.roc_curve(T2, net.predict(x)))) == 1
    assert plot.predicted_vs_true(P2, net.predict(x)).shape == (2,)
