"""The metrics of cnn.metrics against scikit-learn's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import cnn
from cnn import metrics

sk = pytest.importorskip("sklearn.metrics")
calibration = pytest.importorskip("sklearn.calibration")

N = 97
# Sums of n terms: each addition and each term has an error of half an eps of the sum of magnitudes.
# Both sides may be off by that, and a quotient doubles it.
EPS = np.finfo(np.float64).eps
TOLERANCE = 8 * N * EPS


def close(ours, theirs, scale: float = 1.0) -> None:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE * scale)


@pytest.fixture(params=["all 1", "whole", "any"])
def weight(request):
    random = np.random.default_rng(5)
    if request.param == "all 1":
        return None
    if request.param == "whole":
        return random.integers(0, 4, N).astype(np.float64)
    return random.uniform(0.0, 3.0, N) * (random.uniform(size=N) > 0.1)


def binary(levels: int = 7):
    """Return labels and scores with many ties."""
    random = np.random.default_rng(1)
    return random.integers(0, 2, N), random.integers(0, levels, N) / (levels - 1)


def several(classes: int = 6):
    """Return labels and probabilities of several classes."""
    random = np.random.default_rng(2)
    p = random.integers(1, 9, (N, classes)).astype(np.float64)
    return np.arange(N) % classes, p / p.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("layout", ["(n,)", "(n, 1)", "(n, 2)"])
def test_two_classes(weight, layout):
    t, y = binary()
    given = {"(n,)": y, "(n, 1)": y[:, None], "(n, 2)": np.stack([1 - y, y], axis=1)}[layout]
    guesses = (y > 0.5).astype(int)
    options = {"sample_weight": weight}
    close(metrics.accuracy(t, given, **options), sk.accuracy_score(t, guesses, **options))
    close(metrics.auc(t, given, **options), sk.roc_auc_score(t, y, **options))
    close(metrics.log_loss(t, given, **options), sk.log_loss(t, y, **options), 40.0)
    close(metrics.precision(t, given, **options), sk.precision_score(t, guesses, **options))
    close(metrics.recall(t, given, **options), sk.recall_score(t, guesses, **options))
    close(metrics.f1(t, given, **options), sk.f1_score(t, guesses, **options))
    for ours, theirs in zip(
        metrics.roc_curve(t, given, **options),
        sk.roc_curve(t, y, drop_intermediate=False, **options),
        strict=True,
    ):
        close(ours, theirs)
    if weight is not None:
        # scikit-learn keeps the thresholds of rows without weight here.
        t, given, y = t[weight > 0], given[weight > 0], y[weight > 0]
        options = {"sample_weight": weight[weight > 0]}
    for ours, theirs in zip(
        metrics.precision_recall_curve(t, given, **options),
        sk.precision_recall_curve(t, y, **options),
        strict=True,
    ):
        close(ours, theirs)


def test_several_classes(weight):
    t, y = several()
    options = {"sample_weight": weight}
    guesses = y.argmax(axis=1)
    one_hot = np.eye(6)[t]
    for targets in (t, t[:, None], one_hot):
        close(metrics.accuracy(targets, y, **options), sk.accuracy_score(t, guesses, **options))
        close(metrics.log_loss(targets, y, **options), sk.log_loss(t, y, **options), 40.0)
        theirs = sk.confusion_matrix(t, guesses, **options)
        close(metrics.confusion_matrix(targets, y, **options), theirs, 100.0)
    for targets in (t, one_hot):
        theirs = sk.roc_auc_score(t, y, multi_class="ovr", **options)
        close(metrics.auc(targets, y, **options), theirs)
    theirs = sk.precision_recall_fscore_support(t, guesses, **options)
    for ours, their in zip(metrics.class_scores(t, y, **options), theirs, strict=True):
        close(ours, their, 100.0)
    close(metrics.f1(t, y, **options), sk.f1_score(t, guesses, average="macro", **options))
    close(metrics.precision(t, y, **options), np.mean(theirs[0]))
    close(metrics.recall(t, y, **options), np.mean(theirs[1]))


def test_top_k_with_equal_outputs(weight):
    t, y = several()
    w = np.ones(N) if weight is None else weight
    order = np.argsort(-y, axis=1, kind="stable")
    for k in (1, 2, 5):
        inside = (order[:, :k] == t[:, None]).any(axis=1)
        close(metrics.top_k(t, y, k=k, sample_weight=weight), (w * inside).sum() / w.sum())
    assert metrics.top5(t, y, sample_weight=weight) == metrics.top_k(t, y, sample_weight=weight)
    top1 = metrics.top_k(t, y, k=1, sample_weight=weight)
    assert top1 == metrics.accuracy(t, y, sample_weight=weight)
    distinct = np.random.default_rng(3).permuted(np.tile(np.arange(6.0), (N, 1)), axis=1)
    theirs = sk.top_k_accuracy_score(t, distinct, k=3, sample_weight=weight)
    close(metrics.top_k(t, distinct, k=3, sample_weight=weight), theirs)


def test_memberships_of_several_classes():
    random = np.random.default_rng(4)
    t, y = random.integers(0, 2, (N, 3)), random.uniform(size=(N, 3))
    close(metrics.auc(t, y), sk.roc_auc_score(t, y))


def test_a_class_without_rows_is_left_out_of_the_area():
    t, y = several(4)
    rest = t != 2
    areas = [sk.roc_auc_score(t[rest] == c, y[rest, c]) for c in (0, 1, 3)]
    close(metrics.auc(t[rest], y[rest]), np.mean(areas))


@pytest.mark.parametrize("outputs", [1, 3])
def test_regression(weight, outputs):
    random = np.random.default_rng(6)
    t, y = random.normal(50.0, 3.0, (2, N, outputs))
    if outputs > 1:
        t[:, 1] = 7.0  # a constant target
    options = {"sample_weight": weight}
    close(metrics.mse(t, y, **options), sk.mean_squared_error(t, y, **options))
    close(metrics.mae(t, y, **options), sk.mean_absolute_error(t, y, **options))
    close(metrics.rmse(t, y, **options), np.sqrt(sk.mean_squared_error(t, y, **options)))
    close(metrics.r2(t, y, **options), sk.r2_score(t, y, **options), 50.0)
    if outputs == 1:
        assert metrics.mse(t[:, 0], y, **options) == metrics.mse(t, y[:, 0], **options)


def test_r2_of_equal_targets():
    assert metrics.r2([2.0, 2.0], [2.0, 2.0]) == sk.r2_score([2.0, 2.0], [2.0, 2.0]) == 1.0
    assert metrics.r2([2.0, 2.0], [2.0, 3.0]) == sk.r2_score([2.0, 2.0], [2.0, 3.0]) == 0.0


def test_many_rows_are_summed_block_by_block():
    random = np.random.default_rng(7)
    t, y = random.normal(size=(2, 150_001))
    assert metrics.mse(t, y) == pytest.approx(np.mean((t - y) ** 2), rel=1e-12)
    assert metrics.r2(t, y) == pytest.approx(sk.r2_score(t, y), rel=1e-12)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_calibration(strategy):
    t, _ = binary()
    y = np.random.default_rng(8).uniform(size=N)
    theirs = calibration.calibration_curve(t, y, n_bins=6, strategy=strategy)
    for ours, their in zip(
        metrics.calibration_curve(t, y, bins=6, strategy=strategy), theirs, strict=True
    ):
        close(ours, their)
    twice = metrics.calibration_curve(t, y, bins=6, strategy=strategy, sample_weight=np.full(N, 2))
    for ours, their in zip(twice, theirs, strict=True):
        close(ours, their)


def test_log_loss_of_impossible_outputs_is_that_of_scikit_learn():
    t, y = [0, 1], np.array([[0.0, 1.0], [0.5, 0.5]], np.float32)
    # scikit-learn's logarithms are those of float32.
    assert metrics.log_loss(t, y) == pytest.approx(sk.log_loss(t, y), rel=2.0**-23)
    assert metrics.log_loss(t, y) == pytest.approx((np.log(2) - np.log(2.0**-23)) / 2)


def test_outputs_of_a_network():
    net = cnn.mlp([4, 5, 3], "relu", "softmax", rng=0)
    x = np.random.default_rng(9).normal(size=(N, 4))
    t = np.arange(N) % 3
    measured = net.evaluate(x, t)
    y = net.predict(x)
    assert metrics.accuracy(t, y) == measured["accuracy"]
    # The loss is of logits in float32.
    assert metrics.log_loss(t, y) == pytest.approx(measured["loss"], rel=1e-5)


NAMES = [name for name in metrics.__all__ if name != "ClassScores"]
VALUES = {"mae", "mse", "r2", "rmse"}
CURVES = {"calibration_curve", "precision_recall_curve", "roc_curve"}


@pytest.mark.parametrize("name", NAMES)
def test_bad_arguments_are_refused(name):
    function = getattr(metrics, name)
    classes = np.eye(6)
    t, y = (np.zeros(6, int), classes) if name not in CURVES else ([0, 1] * 3, np.ones(6))
    if name in VALUES:
        t, y = np.ones(6), np.ones(6)
    with pytest.raises(ValueError, match=rf"{name}: t has 5 rows, but y has 6"):
        function(t[:5], y)
    with pytest.raises(
        ValueError, match=rf"{name}: t has shape \(0,\), should have at least 1 row"
    ):
        function([], [])
    bad = np.array(y, np.float64)
    bad[2] = np.nan
    with pytest.raises(ValueError, match=rf"{name}: y has nan in row 2"):
        function(t, bad)
    with pytest.raises(TypeError, match=rf"{name}: y "):
        function(t, ["a"] * 6)
    with pytest.raises(ValueError, match=rf"{name}: y has shape \(1, 6, 6\)"):
        function(t, np.ones((1, 6, 6)))
    with pytest.raises(ValueError, match=rf"{name}: sample_weight has shape \(2,\), should be"):
        function(t, y, sample_weight=[1, 2])
    with pytest.raises(ValueError, match=rf"{name}: sample_weight has -1 in row 0"):
        function(t, y, sample_weight=[-1, 1, 1, 1, 1, 1])
    with pytest.raises(ValueError, match=rf"{name}: sample_weight is 0 in all rows"):
        function(t, y, sample_weight=np.zeros(6))
    if name in VALUES:
        with pytest.raises(ValueError, match=rf"{name}: t has shape \(6, 2\), but y has \(6,\)"):
            function(np.ones((6, 2)), y)
        return
    with pytest.raises(ValueError, match=rf"{name}: t has label 9, but y has . classes"):
        function([9, *t[1:]], y)
    with pytest.raises(ValueError, match=rf"{name}: t has label 0.5"):
        function([0.5, *t[1:]], y)
    if name in CURVES:
        with pytest.raises(ValueError, match=rf"{name}: y has 6 columns, should have the scores"):
            function(t, classes)


def test_what_is_not_defined_is_refused():
    with pytest.raises(ValueError, match="auc: t has rows of one class alone"):
        metrics.auc([1, 1], [0.5, 0.6])
    with pytest.raises(ValueError, match="roc_curve: t has no row of class 0"):
        metrics.roc_curve([1, 1], [0.5, 0.6])
    with pytest.raises(ValueError, match="precision_recall_curve: t has no row of class 1"):
        metrics.precision_recall_curve([0, 0], [0.5, 0.6])
    with pytest.raises(ValueError, match="top_k: y has 3 classes, should have more than 3"):
        metrics.top_k([0], [[1, 2, 3]], k=3)
    with pytest.raises(ValueError, match="top_k: k is 0, should be at least 1"):
        metrics.top_k([0], [[1, 2, 3]], k=0)
    with pytest.raises(ValueError, match="top5: y has 2 classes, should have more than 5"):
        metrics.top5([0], [0.5])
    with pytest.raises(ValueError, match=r"log_loss: y has 1\.5 in row 0"):
        metrics.log_loss([0], [1.5])
    with pytest.raises(ValueError, match="log_loss: t has -1 in row 0"):
        metrics.log_loss([[-1, 1]], [[0.5, 0.5]])
    with pytest.raises(ValueError, match="calibration_curve: y has -1 in row 0"):
        metrics.calibration_curve([0], [-1])
    with pytest.raises(ValueError, match="calibration_curve: strategy is 'equal'"):
        metrics.calibration_curve([0], [0.5], strategy="equal")
    with pytest.raises(ValueError, match="calibration_curve: bins is 0"):
        metrics.calibration_curve([0], [0.5], bins=0)
    with pytest.raises(ValueError, match=r"accuracy: t has shape \(2, 3\), should be \(2,\) class"):
        metrics.accuracy(np.ones((2, 3)), np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"auc: t has 2 in row 0, column 1, should be 0 or 1"):
        metrics.auc([[0, 2], [1, 1]], np.ones((2, 2)))


def test_scores_that_would_divide_by_zero_are_0_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = metrics.class_scores([0, 0], [0.1, 0.2])
    assert [list(column) for column in scores] == [[1, 0], [1, 0], [1, 0], [2, 0]]


def test_targets_that_are_texts():
    with pytest.raises(TypeError, match=r"^accuracy: t holds texts, such as 'no', should hold num"):
        cnn.metrics.accuracy(["no", "yes"], [0.1, 0.9])
