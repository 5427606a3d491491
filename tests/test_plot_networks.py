"""Plots of networks: decision boundary, diagram, histograms of outputs, loss surface."""

import itertools

import numpy as np
import pytest
from refused import refused

import cnn
from cnn import plot

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
pyplot = pytest.importorskip("matplotlib.pyplot")

pytestmark = pytest.mark.usefixtures("figures")

X = np.random.default_rng(0).normal(size=(40, 2))
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


@pytest.fixture(scope="module")
def net():
    return cnn.mlp([2, 5, 3], "relu", "softmax", rng=0)


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def texts(ax):
    return [text.get_text() for text in ax.texts]


# ---- Decision boundary -------------------------------------------------------------------------


def test_boundary_of_classes(net, ax):
    assert plot.decision_boundary(net, X, LABELS, resolution=20, ax=ax) is ax
    picture = ax.images[0].get_array()
    assert picture.shape == (20, 20, 3)
    # The colour of a place is the classes' mean, mixed with the background.
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    p = net.predict([[left, low], [right, high]])
    rgb = np.array([matplotlib.colors.to_rgb(name) for name in ("#0072B2", "#D55E00", "#009E73")])
    for place, row in zip((picture[0, 0], picture[-1, -1]), p, strict=True):
        np.testing.assert_allclose(place, 0.4 * row @ rgb + 0.6, atol=1e-6)
    assert legend(ax) == ["0", "1", "2"]
    points = [c for c in ax.collections if hasattr(c, "get_sizes") and len(c.get_offsets()) > 1]
    assert sum(len(c.get_offsets()) for c in points) == 40
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("input 0", "input 1", "")


def test_boundary_of_one_output():
    net = cnn.Sequential([cnn.Dense(2, 1, "sigmoid")], rng=0)
    net.set_weights([[[1.0], [0.0]], [0.0]])
    ax = plot.decision_boundary(net, X, class_names=["no", "yes"], resolution=50)
    (line,) = [c for c in ax.collections if hasattr(c, "levels")]
    ((path,),) = line.allsegs
    np.testing.assert_allclose(path[:, 0], 0, atol=0.01)
    assert ax.get_legend() is None


def test_boundary_of_a_perceptron():
    net = cnn.Sequential([cnn.Dense(2, 1, "step")])
    net.set_weights([[[1.0], [0.0]], [0.0]])
    figure, ax = pyplot.subplots()
    plot.decision_boundary(net, X, LABELS == 1, resolution=50, ax=ax)
    (line,) = [c for c in ax.collections if hasattr(c, "levels")]
    ((path,),) = line.allsegs
    np.testing.assert_allclose(path[:, 0], 0, atol=0.1)
    assert figure.axes == [ax]  # classes have a legend, and no colour bar
    assert legend(ax) == ["0", "1"]


def test_boundary_in_two_of_three_columns():
    pandas = pytest.importorskip("pandas")
    x = np.column_stack([X, np.full(40, 7.0)])
    net = cnn.mlp([3, 4, 1], "tanh", "identity", rng=0)
    frame = pandas.DataFrame(x, columns=["a", "b", "$c"])
    ax = plot.decision_boundary(net, frame, X[:, 0], columns=("$c", "a"), resolution=11)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$c", "a")
    assert ax.get_title() == "other inputs at their medians"
    (left, right), (low, _) = ax.get_xlim(), ax.get_ylim()
    assert left < 7 < right
    expected = net.predict([low, np.median(X[:, 1]), left])
    np.testing.assert_allclose(ax.images[0].get_array()[0, 0], expected[0], rtol=1e-6)
    assert ax.figure.axes[1].get_ylabel() == "predicted value"


def test_boundary_of_an_arrow_table(net):
    table = pytest.importorskip("pyarrow").table({"a": X[:, 0], "b": X[:, 1]})
    ax = plot.decision_boundary(net, table, LABELS, columns=("b", "a"), resolution=5)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("b", "a")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_boundary_of_estimators():
    sklearn = pytest.importorskip("sklearn")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from cnn.sklearn import MLPClassifier, MLPRegressor

    assert sklearn
    names = np.array(["x", "y", "z"])[LABELS]
    classifier = make_pipeline(
        StandardScaler(), MLPClassifier(solver="lbfgs", max_iter=9, random_state=0)
    )
    ax = plot.decision_boundary(classifier.fit(X, names), X, names, resolution=10)
    assert legend(ax) == ["x", "y", "z"]
    with refused(ValueError, "decision_boundary: t has 'w' in row 0, should have one of the"):
        plot.decision_boundary(classifier, X, ["w"] * 40, resolution=10)
    regressor = MLPRegressor(solver="lbfgs", max_iter=9, random_state=0).fit(X, X[:, 0])
    ax = plot.decision_boundary(regressor, X, resolution=10)
    assert ax.images[0].get_array().shape == (10, 10)


def test_boundary_of_many_classes_and_of_one_sample():
    net = cnn.mlp([2, 8, 40], "relu", "softmax", rng=0)
    ax = plot.decision_boundary(net, [[3.0, 0.0]], [39], resolution=10)
    assert ax.get_legend() is None
    assert ax.get_xlim()[0] < 3 < ax.get_xlim()[1]
    ax.figure.canvas.draw()


def test_bad_boundaries(net):
    three = cnn.mlp([3, 2], "relu", "softmax", rng=0)
    x = np.ones((4, 3))
    for arguments, options, message in (
        ((net, x), {}, "x has shape (4, 3), should be (n, 2) with n at least 1"),
        ((three, x), {}, "columns is None, should be two of the 3 inputs of the network"),
        ((three, x), {"columns": (0, 0)}, "columns is (0, 0), should be two different ones"),
        ((three, x), {"columns": (0, 3)}, "columns[1] is 3, should be"),
        ((three, x), {"columns": ("a", 1)}, "columns[0] is 'a', should be one of numbers, as x"),
        ((net, X, LABELS + 1), {}, "t has class 3, but net has 3 classes (0 to 2)"),
        ((net, X, LABELS[:3]), {}, "t has shape (3,), should be (40,), a class for each sample"),
        ((net, X), {"resolution": 1}, "resolution is 1, should be"),
    ):
        with refused(ValueError, f"decision_boundary: {message}"):
            plot.decision_boundary(*arguments, **options)
    with refused(TypeError, "decision_boundary: net is of type int, should be a cnn.Sequential or"):
        plot.decision_boundary(3, X)
    with refused(TypeError, "decision_boundary: columns is 3, should be a tuple of two columns"):
        plot.decision_boundary(three, x, columns=3)
    several = cnn.mlp([2, 2], "relu", "identity", rng=0)
    with refused(ValueError, "the output layer has activation identity and 2 outputs, should have"):
        plot.decision_boundary(several, X)


# ---- Diagram -----------------------------------------------------------------------------------


def test_a_small_diagram(net, ax):
    assert plot.network_diagram(net, ax=ax) is ax
    lines, neurons = ax.collections[:2], ax.collections[2:]
    assert [len(group.get_segments()) for group in lines] == [10, 15]
    assert [len(group.get_offsets()) for group in neurons] == [2, 5, 3]
    assert texts(ax) == ["2", "inputs", "5", "relu", "3", "softmax"]
    # Colours are signs, widths are sizes.
    weight = net.layers[0].weight.ravel()
    colours = lines[0].get_colors()[:, 0]  # red is more red than blue is
    np.testing.assert_array_equal(colours > 0.5, weight > 0)
    order = np.argsort(np.abs(weight))
    assert (np.diff(np.array(lines[0].get_linewidths())[order]) >= 0).all()


def test_a_diagram_with_names_and_dropout():
    net = cnn.mlp([2, 3, 3, 2], "relu", "softmax", rng=0, dropout=0.25)
    net.feature_names = ["$width", "height"]
    net.class_names = ["no", "yes"]
    ax = plot.network_diagram(net)
    assert {"$width", "height", "no", "yes", "dropout 0.25\nrelu"} <= set(texts(ax))


@pytest.mark.parametrize("most", [0, 4])
def test_a_large_diagram(net, most):
    ax = plot.network_diagram(net, most=most)
    assert texts(ax) == [
        *("2", "inputs", "5", "relu", "", "15"),
        *("3", "softmax", "", "18"),
    ]
    heights = [bar.get_height() for bar in ax.patches if hasattr(bar, "get_height")]
    assert heights[0] < heights[2] < heights[1]
    assert ax.get_title() == "33 parameters"


@pytest.mark.parametrize("most", [0, 16])
def test_standardize_in_a_diagram(most):
    layers = [cnn.Standardize().adapt(X), cnn.Dense(2, 3, "tanh"), cnn.Dense(3, 1)]
    shown = texts(plot.network_diagram(cnn.Sequential(layers, rng=0), most=most))
    assert ("standardize\ntanh" if most else "standardize") in shown


@pytest.fixture(scope="module")
def table_model():
    table = {"a": X[:, 0], "b": X[:, 1], "kind": [f"k{label}" for label in LABELS]}
    options = {"hidden": [4], "epochs": 1, "rng": 0, "progress": False}
    return cnn.tabular.TableModel.fit(table, target="kind", **options)


def test_a_diagram_of_a_table_model(table_model):
    assert {"k0", "k1", "k2", "4"} <= set(texts(plot.network_diagram(table_model)))


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("activation_histograms", (X,)),
        ("decision_boundary", (X,)),
        ("first_layer_weights", ()),
        ("gradient_norms", (X, LABELS)),
        ("loss_surface", (X, LABELS)),
        ("predictions", (X, LABELS)),
    ],
)
def test_table_models_are_refused(table_model, function, arguments):
    with refused(
        TypeError,
        f"{function}: net is of type TableModel, should be its network, model.net, whose inputs "
        f"are model.transform(table)",
    ):
        getattr(plot, function)(table_model, *arguments)


def test_titles_of_a_deep_diagram_do_not_overlap():
    net = cnn.mlp([64, *[50] * 12, 10], "hard_sigmoid", "softmax", rng=0)
    ax = plot.network_diagram(net)
    ax.figure.canvas.draw()
    boxes = sorted(
        (box.x0, box.x1)
        for box in (text.get_window_extent() for text in ax.texts if "sig" in text.get_text())
    )
    assert len(boxes) == 12
    assert all(one[1] < two[0] for one, two in itertools.pairwise(boxes))


def test_bad_diagrams():
    with refused(TypeError, "network_diagram: net is of type list, should be a cnn.Sequential"):
        plot.network_diagram([])
    with refused(ValueError, "network_diagram: most is -1, should be"):
        plot.network_diagram(cnn.mlp([2, 2], "relu", "softmax", rng=0), most=-1)


# ---- Histograms --------------------------------------------------------------------------------


def test_histograms():
    net = cnn.mlp([2, 6, 4, 3], "relu", "softmax", rng=0, dropout=0.5)
    outputs = net.activations(X)
    axes = plot.activation_histograms(net, X, bins=7)
    assert axes.shape == (3,)
    for axis, place in zip(axes, (0, 2, 4), strict=True):
        y = outputs[place].astype(float)
        counts, edges = np.histogram(y[y != 0], 7)
        drawn = axis.patches[0].get_data()
        np.testing.assert_allclose(drawn.values, counts / y.size)
        np.testing.assert_allclose(drawn.edges, edges)
    zero = outputs[0] == 0
    dead = zero.all(axis=0).sum()
    always = f", {dead} of 6 neurons always" if dead else ""
    assert axes[0].get_title() == f"layer 0: relu\n{zero.mean():.0%} are 0{always}"


def test_what_titles_of_histograms_say():
    net = cnn.Sequential([cnn.Dense(2, 2, "relu"), cnn.Dense(2, 1, "tanh")], rng=0)
    net.set_weights([[[1.0, 0.0], [0.0, 0.0]], [0.0, -1.0], [[9.0], [9.0]], [0.0]])
    first, second = plot.activation_histograms(net, [[1.0, 1.0], [-1.0, 1.0]])
    assert first.get_title() == "layer 0: relu\n75% are 0, 1 of 2 neurons always"
    assert second.get_title() == "layer 1: tanh\n50% are 0, 50% are saturated"
    net.set_weights([np.zeros((2, 2)), np.zeros(2), np.zeros((2, 1)), [0.0]])
    first, _ = plot.activation_histograms(net, X)
    assert first.get_title() == "layer 0: relu\n100% are 0, 2 of 2 neurons always"
    assert first.patches[0].get_data().values.sum() == 0


def test_bad_histograms(net, ax):
    with refused(ValueError, "activation_histograms: x has shape (2,), should be (n, 2) with n at"):
        plot.activation_histograms(net, [1.0, 2.0])
    with refused(ValueError, "activation_histograms: ax has 1 Axes, should have 2, one for each"):
        plot.activation_histograms(net, X, ax=ax)
    with refused(ValueError, "activation_histograms: x has nan in row 0"):
        plot.activation_histograms(net, [[np.nan, 1.0]])


# ---- Loss surface ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    net, path = cnn.mlp([2, 4, 3], "tanh", "softmax", rng=0), plot.WeightPath()
    net.fit(X, LABELS, epochs=6, optimizer=cnn.Adam(0.1), callbacks=[path])
    return net, path


def test_a_path(trained):
    net, path = trained
    assert len(path.weights) == 7
    for one, two in zip(path.weights[-1], net.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    every = plot.WeightPath(every=4)
    other = cnn.mlp([2, 4, 3], "tanh", "softmax", rng=0)
    for _ in range(2):
        other.fit(X, LABELS, epochs=6, optimizer=cnn.Adam(0.1), callbacks=[every])
    assert len(every.weights) == 1 + 2 + 2
    assert repr(every) == "WeightPath(every=4)"


def surface(ax):
    """Return the filled contours of a surface."""
    return next(c for c in ax.collections if getattr(c, "filled", False))


def test_a_surface_along_given_directions(ax):
    """A bowl: the loss of x = 1, t = 0 is half the square of the output."""
    net = cnn.Sequential([cnn.Dense(1, 1)], rng=0)
    net.set_weights([[[0.0]], [0.0]])
    directions = ([[[1.0]], [0.0]], [[[0.0]], [1.0]])
    drawn = plot.loss_surface(net, [[1.0]], [0.0], directions=directions, resolution=5, ax=ax)
    assert drawn is ax
    contours = surface(ax)
    assert (contours.zmin, contours.zmax) == (0.0, 2.0)
    star = next(line for line in ax.lines if line.get_label() == "present weights")
    np.testing.assert_array_equal(star.get_xydata(), [[0, 0]])
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1, 1), (-1, 1))
    np.testing.assert_array_equal(net.layers[0].weight, [[0.0]])


def test_principal_directions(trained):
    net, path = trained
    before = net.get_weights()
    ax = plot.loss_surface(net, X, LABELS, path=path, resolution=5)
    for one, two in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    flat = np.array([np.concatenate([a.ravel() for a in step]) for step in path.weights], float)
    moved = flat - flat[-1]
    sizes = np.linalg.svd(moved, compute_uv=False)
    share = (sizes**2 / (sizes**2).sum())[:2]
    assert ax.get_xlabel() == f"first principal direction ({share[0]:.0%} of the path)"
    assert ax.get_ylabel() == f"second principal direction ({share[1]:.0%} of the path)"
    line = ax.lines[0].get_xydata()
    assert len(line) == 7
    # Lengths in the plane are those of the weights, as far as the plane has them.
    np.testing.assert_allclose((line**2).sum(), (sizes[:2] ** 2).sum())
    np.testing.assert_allclose(line[-1], 0, atol=1e-12)
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    assert (line >= [left, low]).all()
    assert (line <= [right, high]).all()
    assert legend(ax) == ["start", "present weights"]


def test_random_directions_have_the_norms_of_neurons(trained):
    net, path = trained
    with pytest.MonkeyPatch.context() as patch:
        planes = []
        original = plot._surface._losses

        def spy(net, plane, *rest):
            planes.append(plane)
            return original(net, plane, *rest)

        patch.setattr(plot._surface, "_losses", spy)
        for seed in (0, 0, 1):
            plot.loss_surface(
                net, X, LABELS, path=path, directions="random", resolution=3, rng=seed
            )
    first, again, other = (plane.first for plane in planes)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    weight = net.layers[0].weight.astype(float)
    np.testing.assert_allclose(
        np.linalg.norm(first[: weight.size].reshape(weight.shape), axis=0),
        np.linalg.norm(weight, axis=0),
    )
    np.testing.assert_array_equal(first[weight.size : weight.size + 4], 0)


@pytest.mark.parametrize("log", [True, False, None])
def test_a_flat_surface(log):
    net = cnn.Sequential([cnn.Dense(1, 1)], rng=0)
    ax = plot.loss_surface(net, [[0.0]], [0.0], resolution=3, log=log)
    ax.figure.canvas.draw()


def test_losses_that_overflow_leave_a_gap():
    net = cnn.Sequential([cnn.Dense(1, 1)], rng=0)
    directions = ([[[3e38]], [0.0]], [[[0.0]], [1.0]])
    ax = plot.loss_surface(
        net, [[1.0]], [0.0], directions=directions, span=2.0, resolution=5, log=True
    )
    ax.figure.canvas.draw()
    assert np.isfinite([surface(ax).zmin, surface(ax).zmax]).all()


def test_bad_surfaces(trained):
    net, path = trained
    good = net.get_weights()
    for error, options, message in (
        (ValueError, {"path": plot.WeightPath()}, "path is empty; give it to fit as a callback"),
        (TypeError, {"path": 3}, "path is of type int, should be a cnn.plot.WeightPath or a list"),
        (ValueError, {"path": [good[:2]]}, "path[0] has arrays of shapes [(2, 4), (4,)], should"),
        (ValueError, {"directions": "up"}, "directions is 'up', should be one of random, pca"),
        (ValueError, {"directions": "pca"}, "directions is 'pca', but path has 0 points, should"),
        (TypeError, {"directions": 3}, "directions is of type int, should be 'random', 'pca' or"),
        (ValueError, {"directions": (good, good)}, "directions are parallel or 0, should span"),
        (ValueError, {"directions": (good, 3)}, "directions[1] has arrays of shapes [], should"),
        (ValueError, {"span": 0}, "span is 0, should be"),
        (ValueError, {"resolution": 1}, "resolution is 1, should be"),
        (TypeError, {"log": "x"}, "log is"),
    ):
        with refused(error, f"loss_surface: {message}"):
            plot.loss_surface(net, X, LABELS, **options)
    with refused(ValueError, "evaluate: x has"):
        plot.loss_surface(net, X[:, :1], LABELS, path=path)
    with refused(ValueError, "WeightPath: every is 0, should be"):
        plot.WeightPath(every=0)
    assert pyplot.get_fignums() == []
