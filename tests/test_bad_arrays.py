"""Arrays that no call of `_core` takes: of wrong types and shapes, labels, weights and losses.

After a call that fails, network and optimizer are as they were before.
"""

import re
from typing import NamedTuple

import numpy as np
import pytest
from core_world import LABELS, ROWS, watched, zeros

from cnn import _core


@pytest.fixture
def world(network_of):
    yield from watched(network_of)


class Bad(NamedTuple):
    """An argument that no call takes."""

    make: object
    error: type
    message: str


def good():
    return np.zeros((5, 3), np.float32)


BAD_ARRAYS = {
    "string": Bad(lambda: "abc", TypeError, "has dtype <U3"),
    "strings": Bad(lambda: np.array([["a"] * 3] * 5), TypeError, "has dtype <U1"),
    "bytes": Bad(lambda: b"abc", TypeError, r"has dtype \|S3"),
    "objects": Bad(lambda: good().astype(object), TypeError, "has dtype object"),
    "dict": Bad(lambda: {}, TypeError, "has dtype object"),
    "none": Bad(lambda: None, TypeError, "is None, should be an array of numbers"),
    "complex": Bad(lambda: good().astype(complex), TypeError, "has dtype complex128"),
    "swapped": Bad(lambda: good().astype(">f4"), TypeError, "has dtype >f4 in foreign byte order"),
    "swapped labels": Bad(lambda: np.zeros(5, ">i4"), TypeError, "has dtype >i4 in foreign"),
    "dates": Bad(lambda: np.zeros((5, 3), "M8[s]"), TypeError, r"has dtype datetime64\[s\]"),
    "records": Bad(lambda: np.zeros(5, [("a", "f4")]), TypeError, "has dtype"),
    "ragged": Bad(lambda: [[1.0, 2.0], [3.0]], ValueError, "is not a rectangular array of numbers"),
}
if np.dtype(np.longdouble).itemsize > 8:
    longdouble = np.dtype(np.longdouble).name
    BAD_ARRAYS[longdouble] = Bad(
        lambda: good().astype(np.longdouble), TypeError, f"has dtype {longdouble}"
    )


def epoch(w, x, t, weight):
    return w.trainer.epoch(LABELS, x, t, weight, w.index, 2, w.lr)


def backward(w, dy):
    tape = _core.Tape(w.network)
    tape.forward(w.x)
    return tape.backward(dy)


# Every argument that takes an array: "where: name" as messages begin, and a call with it.
ARRAY_ARGUMENTS = {
    "predict: x": lambda w, a: w.network.predict(a),
    "evaluate: x": lambda w, a: w.network.evaluate(LABELS, a, w.t),
    "evaluate: t": lambda w, a: w.network.evaluate(LABELS, w.x, a),
    "gradients: x": lambda w, a: w.network.gradients(LABELS, a, w.t),
    "gradients: t": lambda w, a: w.network.gradients(ROWS, w.x, a),
    "vjp: x": lambda w, a: w.network.vjp(a, w.dy),
    "vjp: dy": lambda w, a: w.network.vjp(w.x, a),
    "jacobian: x": lambda w, a: w.network.jacobian(a),
    "forward: x": lambda w, a: _core.Tape(w.network).forward(a),
    "backward: dy": backward,
    "apply_gradients: gradients": lambda w, a: w.trainer.apply(a, True, 0.1),
    "train_step: x": lambda w, a: w.trainer.step(LABELS, a, w.t, None, 0.1),
    "train_step: t": lambda w, a: w.trainer.step(LABELS, w.x, a, None, 0.1),
    "fit: x": lambda w, a: epoch(w, a, w.t, None),
    "fit: t": lambda w, a: epoch(w, w.x, a, None),
    "tanh: x": lambda w, a: _core.activation("tanh", a),
    "softmax: x": lambda w, a: _core.activation("softmax", a),
    "log_softmax: x": lambda w, a: _core.log_softmax(a),
    "activation_backward: dy": lambda w, a: _core.activation_backward("tanh", a, w.x),
    "activation_backward: y": lambda w, a: _core.activation_backward("tanh", w.x, a),
    "activation_backward: x": lambda w, a: _core.activation_backward("gelu", w.x, a),
    "dense: x": lambda w, a: _core.dense(a, w.w, None, "tanh"),
    "dense: weight": lambda w, a: _core.dense(w.x, a, None, "tanh"),
    "dense_backward: dy": lambda w, a: _core.dense_backward(a, w.x, w.w),
    "dense_backward: x": lambda w, a: _core.dense_backward(w.dy, a, w.w),
    "dense_backward: weight": lambda w, a: _core.dense_backward(w.dy, w.x, a),
    "cross_entropy: logits": lambda w, a: _core.loss_gradient(LABELS, a, w.t, None),
    "huber: y": lambda w, a: _core.loss_gradient(_core.Loss("huber"), a, w.x, None),
    "absolute_error: y": lambda w, a: _core.loss_gradient(
        _core.Loss("absolute_error"), a, w.x, None
    ),
    "quantile_loss: y": lambda w, a: _core.loss_gradient(_core.Loss("quantile"), a, w.x, None),
    "poisson: log_rate": lambda w, a: _core.loss_gradient(_core.Loss("poisson"), a, w.x, None),
    "cross_entropy: t": lambda w, a: _core.loss_gradient(ROWS, w.x, a, None),
    "set: weight": lambda w, a: w.network.set(0, "weight", a),
    "set_state: state": lambda w, a: w.trainer.set_state([a]),
}
OPTIONAL_ARGUMENTS = {
    "evaluate: sample_weight": lambda w, a: w.network.evaluate(LABELS, w.x, w.t, a),
    "gradients: sample_weight": lambda w, a: w.network.gradients(LABELS, w.x, w.t, a),
    "train_step: sample_weight": lambda w, a: w.trainer.step(LABELS, w.x, w.t, a, 0.1),
    "fit: sample_weight": lambda w, a: epoch(w, w.x, w.t, a),
    "cross_entropy: sample_weight": lambda w, a: _core.loss_gradient(LABELS, w.x, w.t, a),
    "dense: bias": lambda w, a: _core.dense(w.x, w.w, a, "tanh"),
}


@pytest.mark.parametrize("argument", [*ARRAY_ARGUMENTS, *OPTIONAL_ARGUMENTS])
def test_bad_arrays(argument, world):
    for name, bad in BAD_ARRAYS.items():
        if name == "none" and argument in OPTIONAL_ARGUMENTS:
            continue
        with pytest.raises(bad.error, match=f"^{argument} {bad.message}"):
            {**ARRAY_ARGUMENTS, **OPTIONAL_ARGUMENTS}[argument](world, bad.make())


# Wrong shapes: the argument, the array, and how the message goes on.
BAD_SHAPES = [
    ("predict: x", (5, 4), "has 4 columns, but the first layer has 3 inputs"),
    ("predict: x", (4,), "has 4 columns, but the first layer has 3 inputs"),
    ("predict: x", (5, 0), "has 0 columns, but the first layer has 3 inputs"),
    ("predict: x", (5, 3, 1), "has 3 dimensions (5, 3, 1), should have 1 or 2"),
    ("predict: x", (), "has 0 dimensions (), should have 1 or 2"),
    ("evaluate: x", (5, 4), "has 4 columns, but the first layer has 3 inputs"),
    ("evaluate: x", (3,), "has 1 dimensions (3,), should have 2"),
    ("evaluate: t", (4,), "has 4 rows, but x has 5"),
    ("evaluate: t", (), "has 0 dimensions (), should have 2"),
    ("gradients: x", (5, 3, 1), "has 3 dimensions (5, 3, 1), should have 2"),
    ("gradients: t", (5, 3), "has shape (5, 3), should be (5, 2)"),
    ("gradients: t", (5,), "has shape (5, 1), should be (5, 2)"),
    ("gradients: t", (5, 3, 1), "has 3 dimensions (5, 3, 1), should have 2"),
    ("train_step: x", (4, 3), "has 5 rows, but x has 4"),
    ("train_step: t", (5, 2), "has shape (5, 2), should be (5, 1)"),
    ("fit: x", (5, 2), "has 2 columns, but the first layer has 3 inputs"),
    ("fit: t", (6,), "has 6 rows, but x has 5"),
    ("evaluate: sample_weight", (4,), "has shape (4,), should be (5,), one number per row"),
    ("gradients: sample_weight", (5, 1), "has shape (5, 1), should be (5,), one number per row"),
    ("train_step: sample_weight", (), "has shape (), should be (5,), one number per row"),
    ("fit: sample_weight", (0,), "has shape (0,), should be (5,), one number per row"),
    ("cross_entropy: sample_weight", (5, 1), "has 2 dimensions (5, 1), should have 1"),
    ("cross_entropy: sample_weight", (4,), "has shape (4, 1), should be (5, 1)"),
    ("cross_entropy: t", (5, 2), "has shape (5, 2), should be (5, 3)"),
    ("cross_entropy: logits", (5, 2, 2), "has 3 dimensions (5, 2, 2), should have 2"),
    ("activation_backward: y", (3, 5), "has shape (3, 5), should be that of dy, (5, 3)"),
    ("activation_backward: x", (15,), "has shape (15,), should be that of dy, (5, 3)"),
    ("dense: x", (5, 4), "has 4 columns, but weight has 3 rows"),
    ("dense: x", (1, 5, 3), "has 3 dimensions (1, 5, 3), should have 2"),
    ("dense: weight", (3,), "has 1 dimensions (3,), should have 2"),
    ("dense: bias", (3,), "has shape (3,), should be (2,) as weight has so many columns"),
    ("dense: bias", (1, 2), "has shape (1, 2), should be (2,) as weight has so many columns"),
    ("dense_backward: dy", (5, 3), "has shape (5, 3), should be (5, 2) as weight has so many"),
    ("dense_backward: x", (4, 3), "has shape (4, 3), should be (5, 3) after dy and weight"),
    ("dense_backward: weight", (6,), "has 1 dimensions (6,), should have 2"),
    ("set: weight", (4, 3), "has shape (4, 3), should be (3, 4)"),
    ("set_state: state", (25,), "has shape (25,), should be (26,)"),
]


@pytest.mark.parametrize(("argument", "shape", "message"), BAD_SHAPES)
def test_bad_shapes(argument, shape, message, world):
    call = {**ARRAY_ARGUMENTS, **OPTIONAL_ARGUMENTS}[argument]
    where = argument.split(":")[0]
    with pytest.raises(ValueError, match=f"^{where}: .*{re.escape(message)}"):
        call(world, zeros(*shape))


@pytest.mark.parametrize("where", ["evaluate", "gradients", "train_step", "fit"])
def test_no_rows(where, world):
    calls = {
        "evaluate": lambda: world.network.evaluate(LABELS, zeros(0, 3), zeros(0)),
        "gradients": lambda: world.network.gradients(LABELS, zeros(0, 3), zeros(0)),
        "train_step": lambda: world.trainer.step(LABELS, zeros(0, 3), zeros(0), None, 0.1),
        "fit": lambda: world.trainer.epoch(
            LABELS, zeros(0, 3), zeros(0), None, world.index[:0], 2, world.lr
        ),
    }
    with pytest.raises(ValueError, match=f"^{where}: (x has 0 rows, needs|count is 0, should be) "):
        calls[where]()


def test_losses_of_nothing():
    with pytest.raises(ValueError, match=r"has shape \(0, 3\), needs at least one element"):
        _core.loss_gradient(LABELS, zeros(0, 3), zeros(0), None)


SAMPLE_CALLS = {
    "evaluate": lambda w, loss, t, weight: w.network.evaluate(loss, w.x, t, weight),
    "gradients": lambda w, loss, t, weight: w.network.gradients(loss, w.x, t, weight),
    "train_step": lambda w, loss, t, weight: w.trainer.step(loss, w.x, t, weight, 0.1),
    "fit": lambda w, loss, t, weight: w.trainer.epoch(loss, w.x, t, weight, w.index, 2, w.lr),
}


@pytest.mark.parametrize("where", SAMPLE_CALLS)
@pytest.mark.parametrize("label", [2, -1, 0.5, np.nan, np.inf, 1e300, 2**63])
def test_bad_labels(where, label, world):
    """Wherever the label is: no step is made before all of them have been looked at."""
    for row in (0, 4):
        t = np.array([0, 1, 1, 0, 1], np.uint64 if label == 2**63 else np.float64)
        t[row] = label
        message = rf"^{where}: t has label .+ in row {row}, but the output layer has 2 classes"
        with pytest.raises(ValueError, match=message):
            SAMPLE_CALLS[where](world, LABELS, t, None)


@pytest.mark.parametrize("where", SAMPLE_CALLS)
@pytest.mark.parametrize("weight", [-1, np.nan, np.inf, -1e-300])
def test_bad_sample_weights(where, weight, world):
    weights = np.ones(5)
    weights[4] = weight
    message = f"^{where}: sample_weight of row 4 is .+, should be finite and not negative"
    with pytest.raises(ValueError, match=message):
        SAMPLE_CALLS[where](world, LABELS, world.t, weights)


BAD_LOSSES = [
    ({"kind": "squared_error"}, "squared_error does not go with the output layer's softmax"),
    ({"kind": "poisson"}, "poisson does not go with the output layer's softmax; it needs identity"),
    ({"kind": "huber", "delta": -1.0}, "delta is -1, should be positive"),
    ({"kind": "huber", "delta": np.nan}, "delta is nan, should be positive"),
    ({"kind": "huber", "labels": True}, "huber takes rows of targets, not labels"),
    ({"kind": "huber", "label_smoothing": 0.1}, "label_smoothing belongs to cross_entropy"),
    ({"kind": "absolute_error"}, "absolute_error does not go with the output layer's softmax"),
    ({"kind": "absolute_error", "labels": True}, "absolute_error takes rows of targets, not"),
    ({"kind": "quantile"}, "quantile does not go with the output layer's softmax"),
    (
        {"kind": "huber", "quantiles": [0.1, 0.5]},
        "quantiles belong to quantile, not to huber",
    ),
    (
        {"kind": "quantile", "quantiles": [0.1, 0.5, 0.9]},
        "quantiles has shape (3,), should be (2,) for 2 outputs",
    ),
    (
        {"kind": "quantile", "quantiles": [0.1, 1.0]},
        "quantiles has 1 at index 1, should be more than 0 and less than 1",
    ),
    (
        {"kind": "quantile", "quantiles": [0.0, 0.5]},
        "quantiles has 0 at index 0, should be more than 0 and less than 1",
    ),
    (
        {"kind": "quantile", "quantiles": [0.1, np.nan]},
        "quantiles has nan at index 1, should be more than 0 and less than 1",
    ),
    (
        {"kind": "quantile", "quantiles": [0.5, 0.5]},
        "quantiles has 0.5 at index 1, should be more than 0.5, the one before",
    ),
    (
        {"kind": "cross_entropy", "label_smoothing": 1.0},
        "label_smoothing is 1, should be in [0, 1)",
    ),
    ({"kind": "cross_entropy", "class_weight": [1, 1]}, "class_weight needs labels as targets"),
    (
        {"kind": "cross_entropy", "labels": True, "class_weight": [1, -1]},
        "class_weight of class 1 is -1, should be finite and not negative",
    ),
    (
        {"kind": "cross_entropy", "labels": True, "class_weight": [1, 1, 1]},
        "class_weight has shape (3,), should be (2,) for 2 classes",
    ),
]


@pytest.mark.parametrize("where", SAMPLE_CALLS)
@pytest.mark.parametrize(("settings", "message"), BAD_LOSSES)
def test_bad_losses(where, settings, message, world):
    t = world.t if settings.get("labels") else world.dy
    with pytest.raises(ValueError, match=f"^{where}: {re.escape(message)}"):
        SAMPLE_CALLS[where](world, _core.Loss(**settings), t, None)


def test_losses_by_name():
    with pytest.raises(ValueError, match=r"^loss: kind is 'nll', should be one of squared_error, "):
        _core.Loss("nll")
    with pytest.raises(TypeError, match=r"^loss: kind is of type int, should be a string"):
        _core.Loss(3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e38])
def test_no_step_where_the_loss_is_not_finite(bad, world):
    """Nor any after it; those before it stay made."""
    network = _core.Network([_core.LayerSpec("dense", 3, 2)])
    network.initialize(0, "torch")
    trainer = _core.Trainer(network, "momentum", momentum=0.9)
    before = network.get(0, "weight"), trainer.get_state()[0]
    x = world.x.copy()
    x[2] = bad
    loss = _core.Loss("squared_error")
    assert not trainer.step(loss, x, world.dy, None, 0.1).finite
    assert np.array_equal(network.get(0, "weight"), before[0])
    assert np.array_equal(trainer.get_state()[0], before[1])
    result = trainer.epoch(loss, x, world.dy, None, world.index, 2, world.lr)
    assert (result.finite, result.steps, result.rows, trainer.steps) == (False, 1, 2, 1)
