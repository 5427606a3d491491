"""Plots of functions: activations and likelihoods."""

import numpy as np
import pytest
from refused import refused

import cnn
from cnn import _core, plot

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
pyplot = pytest.importorskip("matplotlib.pyplot")

pytestmark = pytest.mark.usefixtures("figures")


def lines(ax):
    return {line.get_label(): line for line in ax.lines}


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_activations():
    every = [name for name in _core.ACTIVATIONS if name != "softmax"]
    axes = plot.activations(every, limits=(-2, 3))
    assert axes.shape == (2,)
    # There are too many for the names to be among the lines.
    assert legend(axes[1]) == every
    assert axes[0].get_legend() is None
    for name in every:
        x, y = lines(axes[0])[name].get_data()
        assert (x.min(), x.max()) == (-2, 3)
        np.testing.assert_array_equal(y, getattr(cnn, name)(x))
        x, slope = lines(axes[1])[name].get_data()
        # Kinks aside, the derivative is what the function's values say.
        near = np.isclose(slope, np.gradient(y, x), atol=1e-2)
        assert near.sum() >= len(x) - 3
    styles = {(line.get_color(), line.get_linestyle()) for line in lines(axes[0]).values()}
    assert len(styles) >= len(every)
    assert [ax.get_title() for ax in axes] == ["activation h(x)", "derivative h'(x)"]


def test_one_activation_needs_no_list():
    for one in ("gelu", cnn.activations.ELU(2)):
        axes = plot.activations(one)
        assert legend(axes[0]) == [str(one)]


def test_a_function_that_leaves_all_others_behind_is_cut_off():
    tanh, both = (plot.activations(names)[0] for names in (["tanh"], ["tanh", "exponential"]))
    assert both.get_ylim() == pytest.approx(tanh.get_ylim(), abs=0.02)
    assert plot.activations("exponential")[0].get_ylim()[1] > 50


# The lecture: C(10, 3) 0.3^3 0.7^7 is 0.267, and no other probability is likelier.
def test_the_likelihood_of_the_lecture(ax):
    assert plot.likelihood_curve(3, 10, ax=ax) is ax
    p, likelihood = ax.lines[0].get_data()
    np.testing.assert_allclose(likelihood, 120 * p**3 * (1 - p) ** 7, rtol=1e-12, atol=1e-300)
    assert p[likelihood.argmax()] == 0.3
    assert round(likelihood.max(), 3) == 0.267
    assert legend(ax) == ["3 of 10: ~0.267 at p = 0.3"]
    point = next(line for line in ax.lines if line.get_marker() == "o")
    assert point.get_xydata().tolist() == [[0.3, pytest.approx(0.2668, abs=1e-4)]]
    assert ax.get_xlim() == (0, 1)


def test_likelihoods_of_several_counts():
    ax = plot.likelihood_curve([0, 2, 10], 10)
    assert legend(ax) == [
        "0 of 10: 1 at p = 0",
        "2 of 10: ~0.302 at p = 0.2",
        "10 of 10: 1 at p = 1",
    ]
    ax = plot.likelihood_curve([0, 2, 10], 10, log=True)
    p, logs = ax.lines[0].get_data()
    np.testing.assert_allclose(logs[:-1], 10 * np.log(1 - p[:-1]))
    assert np.isnan(logs[-1])


def test_a_narrow_likelihood_is_a_peak():
    ax = plot.likelihood_curve(300_000, 10**6)
    low, high = ax.get_xlim()
    assert 0.29 < low < 0.3 < high < 0.31
    # The normal distribution that it nears: 1 / sqrt(2 pi n p (1 - p)).
    expected = 1 / np.sqrt(2 * np.pi * 10**6 * 0.3 * 0.7)
    assert ax.lines[0].get_ydata().max() == pytest.approx(expected, rel=1e-5)
    assert plot.likelihood_curve(300_000, 10**6, limits=(0, 1)).get_xlim() == (0, 1)


def test_bad_likelihoods():
    for arguments, error, message in (
        ((11, 10), ValueError, "k is 11, should be"),
        (([], 10), ValueError, "k is empty, should have at least one number of successes"),
        ((0, 0), ValueError, "n is 0, should be"),
        (("3", 10), TypeError, "k is of type str, should be a whole number"),
        ((1.5, 10), TypeError, "k is"),
    ):
        with refused(error, f"likelihood_curve: {message}"):
            plot.likelihood_curve(*arguments)
    with refused(ValueError, "likelihood_curve: limits[1] is 2, should be"):
        plot.likelihood_curve(1, 2, limits=(0, 2))
    assert pyplot.get_fignums() == []


def test_activations_with_numbers():
    axes = plot.activations([cnn.activations.LeakyReLU(0.2), "leaky_relu", cnn.activations.ELU(2)])
    assert list(lines(axes[0]))[:3] == ["leaky_relu(0.2)", "leaky_relu", "elu(2)"]
    for label, y, slope in (("leaky_relu(0.2)", -0.8, 0.2), ("elu(2)", 2 * np.expm1(-4), None)):
        assert lines(axes[0])[label].get_ydata()[0] == pytest.approx(y)
        if slope is not None:
            assert lines(axes[1])[label].get_ydata()[0] == slope


def test_activations_into_axes():
    given = pyplot.figure().subplots(1, 2)
    axes = plot.activations(ax=given)
    assert list(axes) == list(given)
    assert legend(axes[0]) == ["step", "sigmoid", "relu"]


def test_bad_activations(ax):
    with refused(ValueError, "activations: names[1] is 'softmax', should be one of identity, step"):
        plot.activations(["relu", "softmax"])
    with refused(ValueError, "activations: names is empty, should have at least one activation"):
        plot.activations([])
    with refused(TypeError, "activations: names is of type int, should be an activation or a list"):
        plot.activations(3)
    with refused(ValueError, "activations: limits is (1, 0), should be a smaller and a larger"):
        plot.activations(limits=(1, 0))
    with refused(ValueError, "activations: ax has 1 Axes, should have 2"):
        plot.activations(ax=ax)
    with refused(TypeError, "activations: limits is 5, should be a tuple of two numbers"):
        plot.activations(limits=5)
    with refused(TypeError, "activations: ax is of type list, should be an array of matplotlib"):
        plot.activations(ax=[1, 2])
