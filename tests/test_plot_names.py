"""Names in plots are text, no markup; the confusion matrix can be read for 2 to 100 classes."""

import io
import itertools
import warnings

import numpy as np
import pytest
from marks import slow

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

from matplotlib import pyplot  # noqa: E402

import cnn  # noqa: E402
from cnn import plot  # noqa: E402

NAMES = [
    "$x^2$",
    "_hidden",
    "a$b",
    r"\alpha",
    "$",
    "^",
    r"$\frac{",
    "%s {}",
    "\u00fcn\u00ef",
    r"\$5",
]
# A line break or a tab is shown as a space, a name that is too long for its place is cut.
BROKEN = [("two\nlines", "two lines"), ("a\tb", "a b"), ("x" * 300, "x" * 29 + "\u2026")]
T = np.arange(200) % len(NAMES)
P = np.where(np.arange(200) % 7 == 0, (T + 1) % len(NAMES), T)


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def net():
    return cnn.mlp([12, 8, len(NAMES)], "tanh", "softmax", rng=0)


def picture(figure, dpi=50):
    """Draw a figure as a user does, and return its pixels."""
    with io.BytesIO() as buffer, warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(buffer, dpi=dpi, format="rgba")
        size = (figure.get_size_inches() * dpi).astype(int)
        return np.frombuffer(buffer.getvalue(), np.uint8).reshape(size[1], size[0], 4)


def are_text(texts):
    return all(not text.get_parse_math() and not text.get_usetex() for text in texts)


def test_names_of_a_confusion_matrix():
    ax = plot.confusion_matrix(T, P, class_names=NAMES)
    picture(ax.figure)
    for ticks in (ax.get_xticklabels(), ax.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == NAMES
        assert are_text(ticks)


@pytest.mark.parametrize(("name", "expected"), BROKEN)
def test_names_that_have_no_place_as_they_are(name, expected):
    ax = plot.confusion_matrix([0, 1], [0, 1], class_names=[name, "b"])
    picture(ax.figure)
    assert ax.get_xticklabels()[0].get_text() == expected


def test_names_of_predictions(net):
    x = np.random.default_rng(0).random((20, 12))
    axes = plot.predictions(net, x, np.arange(20) % 10, (3, 4), count=20, class_names=NAMES)
    picture(axes[0, 0].figure)
    for image in axes[0]:
        assert are_text([image.title])
    for bars in axes[1]:
        labels = [tick.label1 for tick in bars.yaxis.get_major_ticks()]
        assert [label.get_text() for label in labels] == NAMES
        assert are_text(labels)
    assert any("$" in image.get_title() or "\\" in image.get_title() for image in axes[0])


def test_names_in_a_legend(net):
    x, t = np.random.default_rng(0).random((20, 12)), np.arange(20) % 10
    names = [*NAMES, "_child", "__", "two\nlines"]
    ax = None
    for name in names:
        ax = plot.gradient_norms(net, x, t, label=name, ax=ax)
    picture(ax.figure)
    texts = ax.get_legend().get_texts()
    assert [text.get_text() for text in texts] == [*names[:-1], "two lines"]
    assert are_text(texts)
    # Each name is beside its own line.
    handles = ax.get_legend().legend_handles
    colours = [line.get_color() for line in ax.lines]
    assert [handle.get_color() for handle in handles] == colours


def test_a_metric_with_markup():
    history = cnn.History()
    for epoch in (1, 2):
        history.append(epoch, {"$m": 1.0 / epoch, "val_$m": 2.0 / epoch})
    ax = plot.learning_curves(history, metric="$m")
    picture(ax.figure)
    assert ax.get_ylabel() == "$m"
    assert are_text([ax.yaxis.label])


def test_latex_is_not_asked_for_names():
    """Where a style has all text set by LaTeX, names are not; what they say would be an error."""
    with matplotlib.rc_context({"text.usetex": True}):
        ax = plot.confusion_matrix(T, P, class_names=NAMES)
        assert are_text(ax.get_xticklabels())


# ---- The scale of the confusion matrix ---------------------------------------------------------


def colour_of(ax, row, column):
    image = ax.images[0]
    return image.to_rgba(image.get_array())[row, column, :3]


@pytest.mark.parametrize("classes", [2, 10, *slow(30, 31, 40, 100)])
@pytest.mark.parametrize("right", [0.0, 0.9])
def test_a_share_of_one_guess_is_seen(classes, right):
    """Even of 100 classes whose guesses are at random, whose shares are about a hundredth."""
    rng = np.random.default_rng(0)
    t = np.arange(100 * classes) % classes
    p = np.where(rng.random(t.size) < right, t, rng.integers(0, classes, t.size))
    ax = plot.confusion_matrix(t, p)
    shares = ax.images[0].get_array()
    colours = ax.images[0].to_rgba(shares)[..., :3]
    blank = ax.images[0].to_rgba(np.zeros((1, 1)))[0, 0, :3]
    distance = np.abs(colours - blank).max(axis=-1)
    assert (distance[shares >= 0.01] > 0.1).all()
    assert (distance[shares == 0] == 0).all()
    assert distance.max() > 0.9  # the largest share has the darkest colour
    pixels = picture(ax.figure)[..., :3]
    assert (np.abs(pixels / 255 - blank).max(axis=-1) > 0.1).mean() > 0.01


def test_numbers_can_be_told_from_their_cells():
    rng = np.random.default_rng(0)
    ax = plot.confusion_matrix(np.sort(rng.integers(0, 10, 500)), rng.integers(0, 10, 500))
    assert len(ax.texts) > 90
    for text in ax.texts:
        column, row = text.get_position()
        cell = colour_of(ax, int(row), int(column)) @ [0.2126, 0.7152, 0.0722]
        letters = {"white": 1.0, "black": 0.0}[text.get_color()]
        assert abs(cell - letters) >= 0.5


def test_classes_of_unequal_numbers():
    """A row of 3 samples is as clear as one of 100 000."""
    t = np.repeat([0, 1, 2], [100_000, 50, 3])
    p = t.copy()
    p[:2000], p[-1] = 1, 0
    ax = plot.confusion_matrix(t, p)
    np.testing.assert_allclose(ax.images[0].get_array()[2], [1 / 3, 0, 2 / 3])
    blank = colour_of(ax, 1, 0)
    assert np.abs(colour_of(ax, 0, 1) - blank).max() > 0.05
    assert np.abs(colour_of(ax, 2, 0) - blank).max() > 0.3


@pytest.mark.parametrize("classes", [2, 20, *slow(40, 100)])
def test_names_of_many_classes_do_not_overlap(classes):
    t = np.arange(classes)
    ax = plot.confusion_matrix(t, t, class_names=[f"class {i}" for i in t])
    ax.figure.canvas.draw()
    for ticks, low, high in (
        (ax.get_yticklabels(), "y0", "y1"),
        (ax.get_xticklabels(), "x0", "x1"),
    ):
        assert len(ticks) == classes
        if ticks[0].get_rotation() in (0.0, 90.0):
            boxes = sorted(
                (getattr(box, low), getattr(box, high))
                for box in (tick.get_window_extent() for tick in ticks)
            )
            assert all(one[1] <= two[0] + 1 for one, two in itertools.pairwise(boxes))
        assert ticks[0].get_fontsize() >= 4
