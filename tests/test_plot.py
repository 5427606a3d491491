"""Plots: what is drawn, where, and with which words; how they look is for eyes."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from marks import slow
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


# ---- Classification ----------------------------------------------------------------------------


def numbers(ax):
    """Return the texts in the cells by (row, column)."""
    return {text.get_position()[::-1]: text.get_text() for text in ax.texts}


def test_confusion_matrix(ax):
    t, guesses = [0, 0, 1, 2, 2, 2], [0, 1, 1, 2, 2, 0]
    assert plot.confusion_matrix(t, np.eye(4)[guesses], ax=ax) is ax
    assert numbers(ax) == {(0, 0): "1", (0, 1): "1", (1, 1): "1", (2, 0): "1", (2, 2): "2"}
    expected = [[0.5, 0.5, 0, 0], [0, 1, 0, 0], [1 / 3, 0, 2 / 3, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(ax.images[0].get_array(), expected)
    assert ax.get_title() == "66.7% of 6 samples are right"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")


def test_confusion_matrix_of_class_numbers_and_names():
    names = ["setosa", "versicolor", "virginica"]
    ax = plot.confusion_matrix([0, 1, 2], [0, 1, 1], class_names=names)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == names
    assert [tick.get_text() for tick in ax.get_yticklabels()] == names
    assert numbers(ax) == {(0, 0): "1", (1, 1): "1", (2, 1): "1"}


@pytest.mark.parametrize(
    ("normalize", "expected", "shares", "of"),
    [
        ("true", {(0, 0): "33", (0, 1): "67", (1, 1): "100"}, [[1 / 3, 2 / 3], [0, 1]], "the true"),
        ("pred", {(0, 0): "100", (0, 1): "67", (1, 1): "33"}, [[1, 2 / 3], [0, 1 / 3]], "the pre"),
        ("all", {(0, 0): "25", (0, 1): "50", (1, 1): "25"}, [[1 / 4, 1 / 2], [0, 1 / 4]], "all"),
    ],
)
def test_a_normalized_confusion_matrix(normalize, expected, shares, of):
    ax = plot.confusion_matrix([0, 0, 0, 1], [0, 1, 1, 1], normalize=normalize)
    assert numbers(ax) == expected
    np.testing.assert_allclose(ax.images[0].get_array(), shares)
    assert ax.get_title().startswith(f"50.0% of 4\nsamples are right\n% of {of}")


def test_percentages_are_never_0():
    t = np.repeat([0, 1], [100_000, 1])
    p = np.where(np.arange(100_001) == 5, 1, t)
    ax = plot.confusion_matrix(t, p, normalize="true")
    assert numbers(ax) == {(0, 0): "100", (0, 1): "<.1", (1, 1): "100"}


def test_confusion_matrix_of_labels():
    t, p = ["cat", "dog", "cat"], np.array(["cat", "cat", "cow"], object)
    ax = plot.confusion_matrix(t, p)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["cat", "cow", "dog"]
    assert numbers(ax) == {(0, 0): "1", (0, 1): "1", (2, 0): "1"}
    ax = plot.confusion_matrix(t, p, class_names=["dog", "cow", "cat"])
    assert numbers(ax) == {(2, 2): "1", (2, 1): "1", (0, 2): "1"}
    with refused(
        ValueError, "confusion_matrix: p has 'cow' in row 2, which is none of class_names"
    ):
        plot.confusion_matrix(t, p, class_names=["dog", "cat"])
    with refused(
        ValueError, "confusion_matrix: t has shape (2,), should be (3,), a class for each"
    ):
        plot.confusion_matrix(t[:2], p)


def test_confusion_matrix_of_one_sample():
    assert plot.confusion_matrix([0], [0]).get_title() == "100.0% of 1\nsample is right"


@pytest.mark.parametrize("longest", [1, 8, 30])
def test_names_of_classes_do_not_overlap(longest):
    ax = plot.confusion_matrix([0, 1, 2], [0, 1, 1], class_names=["a", "b" * longest, "c"])
    ax.figure.canvas.draw()
    ticks = ax.get_xticklabels()
    assert {tick.get_rotation() for tick in ticks} == {45.0 if longest == 30 else 0.0}
    if longest < 30:
        boxes = [tick.get_window_extent() for tick in ticks]
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_confusion_matrix_of_many_classes_has_no_numbers():
    t = np.arange(50)
    ax = plot.confusion_matrix(t, t)
    assert len(ax.texts) == 0
    _, bar = ax.figure.axes
    assert bar.get_ylabel() == "share of the true class"


def test_numbers_of_a_confusion_matrix_fit_into_its_cells():
    t = np.repeat(np.arange(10), 1111)
    figure = pyplot.figure(figsize=(10, 5), layout="constrained")
    wide, narrow = figure.subplots(1, 2)
    plot.confusion_matrix(t, t, ax=wide)
    sizes = {text.get_fontsize() for text in wide.texts}
    figure.canvas.draw()
    cell = wide.get_window_extent().width / 10
    assert all(text.get_window_extent().width < cell for text in wide.texts)
    assert sizes.pop() < 9
    narrow.set_position((0.9, 0.4, 0.1, 0.1))
    plot.confusion_matrix(t, t, ax=narrow)
    assert len(narrow.texts) == 0
    assert len(figure.axes) == 2


def test_confusion_matrix_of_one_output():
    ax = plot.confusion_matrix([0, 1, 1, 1], [[0.2], [0.9], [0.5], [0.6]])
    assert numbers(ax) == {(0, 0): "1", (1, 0): "1", (1, 1): "2"}


def test_bad_confusion_matrix():
    for t, p, message in (
        ([0, 1], np.ones((2, 2, 2)), "p has shape (2, 2, 2), should be (n, classes) or (n,)"),
        ([0, 1, 1], np.ones((2, 2)), "t has shape (3,), should be (2,), a class for each"),
        ([0, 2], np.ones((2, 2)), "t has label 2, but p has 2 classes (labels 0 to 1)"),
        ([0, -1], [0, 1], "t has -1 in row 1, should have class numbers from 0 to 999"),
        ([0, 1], [0, 0.5], "p has 0.5 in row 1, should have class numbers"),
        ([0, 10**6], [0, 1], "t has 1000000 in row 1, should have class numbers"),
        ([], [], "t has shape (0,), should be (1,), a class for each sample"),
        ([0, 1], [[0.5, np.nan], [0, 1]], "p has nan in row 0"),
        ([0, 1], [[0.5], [-2]], "p has -2 in row 1"),
        ([0, 2], [[0.5], [0.5]], "t has label 2, but p has 2 classes (labels 0 to 1)"),
    ):
        with refused(ValueError, f"confusion_matrix: {message}"):
            plot.confusion_matrix(t, p)
    with refused(ValueError, "confusion_matrix: normalize is 'row', should be one of true, pred"):
        plot.confusion_matrix([0, 1], [1, 0], normalize="row")
    with refused(
        TypeError, "confusion_matrix: class_names is of type str, should be a list of names"
    ):
        plot.confusion_matrix([0, 1], [1, 0], class_names="ab")
    with refused(ValueError, "confusion_matrix: class_names has 1 names, but there are 2 classes"):
        plot.confusion_matrix([0, 1], [0, 1], class_names=["a"])


def test_predictions(net):
    axes = plot.predictions(net, X, LABELS, (3, 4), count=5)
    assert axes.shape == (2, 5)
    p = net.predict(X[:5])
    for i, (image, bars) in enumerate(axes.T):
        np.testing.assert_allclose(image.images[0].get_array(), X[i].reshape(3, 4))
        np.testing.assert_allclose([bar.get_width() for bar in bars.patches], p[i])
        guess = p[i].argmax()
        title = f"{guess} ({p[i, guess]:.0%})"
        wrong = guess != LABELS[i]
        assert image.get_title() == title + (f"\ntruth: {LABELS[i]}" if wrong else "")
        assert len(bars.lines) == wrong
    assert {tuple(bar.get_facecolor()) for bar in axes[1, 0].patches} != set()


def test_predictions_into_axes_that_are_fewer_or_more(net):
    given = pyplot.figure().subplots(2, 3)
    axes = plot.predictions(net, X, LABELS, (3, 4), class_names=["a", "b", "c"], ax=given)
    assert (axes == given).all()
    assert [text.get_text() for text in axes[1, 0].get_yticklabels()] == ["a", "b", "c"]
    given = pyplot.figure().subplots(2, 3)
    plot.predictions(net, X[:2], LABELS[:2], (3, 4), ax=given)
    assert [ax.axison for ax in given[0]] == [True, True, False]


def test_many_predictions_have_several_rows(net):
    axes = plot.predictions(net, X, LABELS, (3, 4), count=23)
    assert axes.shape == (2, 30)
    assert [ax.axison for ax in axes[1, 20:]] == [True] * 3 + [False] * 7
    axes[0, 0].figure.canvas.draw()
    for i in (0, 9, 10, 22):
        image, bars = (ax.get_position() for ax in axes[:, i])
        assert image.y0 > bars.y1
        assert abs((image.x0 + image.x1) - (bars.x0 + bars.x1)) < 0.01
    assert axes[0, 10].get_position().y1 < axes[1, 9].get_position().y0
    assert [bars.get_ylabel() for bars in axes[1, [0, 1, 10, 20]]] == [
        "class",
        "",
        "class",
        "class",
    ]


def test_predictions_of_one_output():
    net = cnn.mlp([12, 1], "tanh", "sigmoid", rng=0)
    axes = plot.predictions(net, X[:3], [0, 1, 1], (3, 4), class_names=["no", "yes"])
    for row, bars in zip(net.predict(X[:3]), axes[1], strict=True):
        np.testing.assert_allclose([bar.get_width() for bar in bars.patches], [1 - row[0], row[0]])
    assert [text.get_text() for text in axes[1, 0].get_yticklabels()] == ["no", "yes"]
    with refused(ValueError, "predictions: t has label 2, but the output layer has 2 classes"):
        plot.predictions(net, X, LABELS, (3, 4))


def test_predictions_in_colour(net):
    for x in (X, 255 * X - 10):
        image = plot.predictions(net, x[:2], LABELS[:2], (2, 2, 3))[0, 0].images[0].get_array()
        assert image.shape == (2, 2, 3)
        assert (image.min() >= 0) & (image.max() <= 1)
    np.testing.assert_allclose(
        plot.predictions(net, X[:1], LABELS[:1], (2, 2, 3))[0, 0].images[0].get_array(),
        X[0].reshape(2, 2, 3),
    )


def test_long_names_leave_room_for_their_neighbours(net):
    names = ["a name that is much too long", "b", "another name that is too long"]
    axes = plot.predictions(net, X, LABELS, (3, 4), class_names=names)
    figure = axes[0, 0].figure
    figure.canvas.draw()
    titles = [image.title.get_window_extent() for image in axes[0]]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(titles))


def test_names_of_many_classes_do_not_overlap():
    net = cnn.mlp([12, 28], "tanh", "softmax", rng=0)
    axes = plot.predictions(net, X, LABELS, (3, 4), count=2)
    axes[0, 0].figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes[1, 0].get_yticklabels()]
    assert len(boxes) == 28
    assert all(upper.y0 >= lower.y1 for upper, lower in itertools.pairwise(boxes))


def test_bad_predictions(net):
    for arguments, message in (
        ((X, LABELS), "shape is (28, 28), which makes 784 numbers, but the first layer has 12"),
        ((X, LABELS, (2, 3, 2)), "shape is (2, 3, 2), should end with 3, as there are 3 colours"),
        ((X[0], LABELS, (3, 4)), "x has shape (12,), should be (n, 12) with n at least 1"),
        ((X, LABELS + 1, (3, 4)), "t has label 3, but the output layer has 3 classes (labels 0"),
        ((X, LABELS[:3], (3, 4)), "t has shape (3,), should be (40,), a class for each"),
    ):
        with refused(ValueError, f"predictions: {message}"):
            plot.predictions(net, *arguments)
    with refused(TypeError, "predictions: shape is 12, should be a tuple (height, width)"):
        plot.predictions(net, X, LABELS, 12)
    other = cnn.mlp([12, 3], "tanh", "identity", rng=0)
    message = (
        "predictions: the output layer has activation identity and 3 outputs, should have softmax, "
        "or sigmoid and one output"
    )
    with refused(ValueError, message):
        plot.predictions(other, X, LABELS, (3, 4))
    odd = pyplot.figure().subplots(1, 3)
    with refused(ValueError, "predictions: ax has 3 Axes, should have two for each sample"):
        plot.predictions(net, X, LABELS, (3, 4), ax=odd)


# ---- Weights -----------------------------------------------------------------------------------


def test_first_layer_weights(net):
    axes = plot.first_layer_weights(net, (3, 4))
    weight = net.layers[0].weight
    assert axes.shape == (5,)
    for column, axis in zip(weight.T, axes, strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), column.reshape(3, 4))
    scales = {axis.images[0].get_clim() for axis in axes}
    ((low, high),) = scales
    assert low == -high
    assert len(axes[0].figure.axes) == 6  # and the colours' bar


def test_first_layer_weights_in_colour(net):
    axes = plot.first_layer_weights(net, [2, 2, 3])
    weight = net.layers[0].weight
    image = axes[1].images[0].get_array()
    assert image.shape == (2, 2, 3)
    np.testing.assert_array_equal(image > 0.5, weight[:, 1].reshape(2, 2, 3) > 0)
    assert len(axes[0].figure.axes) == 5


@pytest.mark.parametrize("shape", [(2, 6), *slow((3, 4), (12, 1))])
def test_a_figure_of_weights_has_the_shape_of_its_images(shape):
    axes = plot.first_layer_weights(cnn.mlp([12, 40, 2], "tanh", "softmax", rng=0), shape)
    figure = axes[0].figure
    figure.canvas.draw()
    boxes = [axes[i].get_tightbbox() for i in (0, 10, 20, 30)]
    # Most of the figure's height is for images and their numbers.
    assert sum(box.height for box in boxes) > 0.6 * figure.bbox.height


def test_first_layer_weights_into_axes(net):
    given = pyplot.figure().subplots(2, 2)
    axes = plot.first_layer_weights(net, (3, 4), count=3, ax=given)
    assert list(axes) == list(given.flat)
    assert [ax.axison for ax in axes] == [True, True, True, False]
    assert len(axes[0].figure.axes) == 4


def test_bad_first_layer_weights(net):
    with refused(ValueError, "first_layer_weights: shape is (5, 5), which makes 25 numbers, but"):
        plot.first_layer_weights(net, (5, 5))
    with refused(ValueError, "first_layer_weights: count is 0, should be at least 1"):
        plot.first_layer_weights(net, (3, 4), count=0)


# ---- Estimators and styles ---------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_in_place_of_networks():
    pytest.importorskip("sklearn")
    from cnn.sklearn import MLPClassifier

    names = np.array(["a", "b", "c"])[LABELS]
    model = MLPClassifier(hidden_layer_sizes=(5,), solver="lbfgs", max_iter=9, random_state=0).fit(
        X, names
    )
    axes = plot.predictions(model, X, names, (3, 4), count=2)
    assert [text.get_text() for text in axes[1, 0].get_yticklabels()] == ["a", "b", "c"]
    with refused(ValueError, "predictions: t has 'z' in row 0, should have one of the estimator's"):
        plot.predictions(model, X, ["z"] * 40, (3, 4))
    axes = plot.first_layer_weights(model, (3, 4))
    np.testing.assert_array_equal(
        axes[0].images[0].get_array(), model.coefs_[0][:, 0].reshape(3, 4)
    )
    assert len(plot.gradient_norms(model, X, LABELS).lines[0].get_xdata()) == 2


def test_names_of_a_network(net):
    named = cnn.mlp([12, 3], "tanh", "softmax", rng=0)
    named.class_names = ["x", "y", "z"]
    axes = plot.predictions(named, X, LABELS, (3, 4), count=1)
    assert [text.get_text() for text in axes[1, 0].get_yticklabels()] == ["x", "y", "z"]


def contrast(colour, paper):
    """Return the contrast of WCAG 2.1, from 1 to 21."""

    def luminance(which):
        parts = np.array(matplotlib.colors.to_rgb(which))
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted((luminance(colour), luminance(paper)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    "style", ["dark_background", *slow("default", "grayscale", "Solarize_Light2")]
)
def test_lines_can_be_seen_in_every_style(style, net, history):
    with pyplot.style.context(style):
        curves = plot.learning_curves([history] * 6)
        norms = plot.gradient_norms(net, X, LABELS)
        roc = plot.roc_curve(LABELS, net.predict(X))
        likelihood = plot.likelihood_curve([1, 5], 10)
        axes = [curves, norms, roc, likelihood, *plot.activations()]
        for ax in axes:
            for line in ax.lines:
                assert contrast(line.get_color(), ax.get_facecolor()) > 1.8
            ax.figure.canvas.draw()
        image = plot.predictions(net, X, LABELS, (3, 4), count=1)[0, 0]
        # Ink is dark on light paper, and light on dark paper.
        empty = image.images[0].to_rgba(X[0].min())
        assert contrast(empty, image.get_facecolor()) < 1.5
        ax = plot.confusion_matrix(LABELS, net.predict(X))
        zero = ax.images[0].to_rgba(0.0)
        assert contrast(zero, ax.get_facecolor()) < 1.5


# ---- matplotlib --------------------------------------------------------------------------------


def test_files_can_be_written(net, history, tmp_path):
    plot.learning_curves(history).figure.savefig(tmp_path / "curves.png")
    plot.predictions(net, X, LABELS, (3, 4))[0, 0].figure.savefig(tmp_path / "predictions.svg")
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert (tmp_path / "predictions.svg").stat().st_size > 1000


def test_matplotlib_is_not_loaded_before_it_is_used():
    code = "import sys, cnn.plot; print('matplotlib' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_pyplot_is_not_needed_where_axes_are_given():
    code = """
import sys, cnn, cnn.plot
from matplotlib.figure import Figure
net = cnn.mlp([4, 3, 2], "tanh", "softmax", rng=0)
x, t = [[0.0, 1.0, 2.0, 3.0]], [1]
history = net.fit(x, t)
axes = Figure().subplots(7, 3)
cnn.plot.learning_curves(history, ax=axes[0, 0])
cnn.plot.gradient_norms(net, x, t, ax=axes[0, 1])
cnn.plot.confusion_matrix(t, net.predict(x), ax=axes[0, 2])
cnn.plot.activations(ax=axes[1, :2])
cnn.plot.predictions(net, x, t, (2, 2), ax=axes[2:4, 0])
cnn.plot.first_layer_weights(net, (2, 2), ax=axes[3])
cnn.plot.roc_curve([0, 1], [0.2, 0.7], ax=axes[4, 0])
cnn.plot.precision_recall_curve([0, 1], [0.2, 0.7], ax=axes[4, 1])
cnn.plot.calibration_curve([0, 1], [0.2, 0.7], ax=axes[4, 2])
cnn.plot.predicted_vs_true([0, 1], [0.2, 0.7], ax=axes[5, :2])
cnn.plot.likelihood_curve(3, 10, ax=axes[5, 2])
cnn.plot.network_diagram(net, ax=axes[6, 0])
cnn.plot.activation_histograms(net, x, ax=axes[6, 1:])
axes = Figure().subplots(1, 2)
cnn.plot.loss_surface(net, x, t, resolution=2, ax=axes[0])
cnn.plot.decision_boundary(net, x, t, columns=(0, 1), resolution=5, ax=axes[1])
axes[0].figure.canvas.draw()
print("matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("False\n", "")
