"""Weights of samples and classes: a mean over nothing, batches without weight, and their limits."""

import math

import numpy as np
import pytest
from refused import refused

import cnn
from cnn import _core

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
LABELS = RNG.integers(0, 4, size=20)
T = RNG.normal(size=20)
ZEROS = np.zeros(20)


def classifier(**options):
    return cnn.mlp([3, 5, 4], "tanh", "softmax", rng=0, dtype="float64", **options)


def regressor(**options):
    return cnn.mlp([3, 5, 1], "tanh", "identity", rng=0, dtype="float64", **options)


def parameters(net):
    return np.concatenate([p.ravel() for layer in net for p in (layer.weight, layer.bias)])


CALLS = {
    "fit": lambda net, x, t, **o: net.fit(x, t, **o),
    "train_step": lambda net, x, t, **o: net.train_step(x, t, optimizer=cnn.Adam(), **o),
    "evaluate": lambda net, x, t, **o: net.evaluate(x, t, **o),
    "gradients": lambda net, x, t, **o: net.gradients(x, t, **o),
}

# ---- A mean over nothing -----------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("weight", [ZEROS, ZEROS.astype(int), ZEROS.astype(bool), -ZEROS, [0] * 20])
def test_no_weight_at_all(call, weight):
    for net, t in ((classifier(), LABELS), (regressor(), T)):
        before = parameters(net)
        with refused(ValueError, f"{call}: sample_weight is 0 in all rows, should be more in one"):
            CALLS[call](net, X, t, sample_weight=weight)
        assert (parameters(net) == before).all()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("weight", [5e-324, 1e-310, 1e-300])
def test_next_to_no_weight(call, weight):
    """Products with losses would be denormal, or 0."""
    message = f"{call}: sample_weight adds up to .+ over all rows, should be at least 1e-270"
    with pytest.raises(ValueError, match=message):
        CALLS[call](regressor(), X, T, sample_weight=np.full(20, weight))


@pytest.mark.parametrize("weight", [1e-250, 1e-38, 1.1e30, 3e38, 4e38, 1e99, 1e100])
def test_the_size_of_weights_does_not_matter(weight):
    plain, weighted = regressor(), regressor()
    of_plain = plain.fit(X, T, batch_size=8, epochs=2, validation_data=(X, T))
    weights = np.full(20, weight)
    of_weighted = weighted.fit(
        X, T, batch_size=8, epochs=2, sample_weight=weights, validation_data=(X, T, weights)
    )
    np.testing.assert_allclose(of_weighted.loss, of_plain.loss, rtol=1e-12)
    np.testing.assert_allclose(of_weighted.val_loss, of_plain.val_loss, rtol=1e-12)
    np.testing.assert_allclose(parameters(weighted), parameters(plain), rtol=1e-9)
    loss = plain.evaluate(X, T)["loss"]
    assert math.isclose(plain.evaluate(X, T, sample_weight=weights)["loss"], loss, rel_tol=1e-14)
    assert math.isclose(plain.gradients(X, T, sample_weight=weights)[0], loss, rel_tol=1e-14)


def test_no_weight_of_classes():
    message = "class_weight is 0 in all rows, should be more in one at least"
    only_three = np.full(20, 3)
    for given in ([0, 0, 0, 0], dict.fromkeys(range(4), 0.0)):
        for name in ("fit", "train_step"):
            with refused(ValueError, f"{name}: {message}"):
                CALLS[name](classifier(), X, LABELS, class_weight=given)
    # Class 0 alone counts, but has no rows; in float labels too.
    for t in (only_three, only_three.astype(float)):
        with refused(ValueError, f"fit: {message}"):
            classifier().fit(X, t, class_weight=[1, 0, 0, 0])


def test_no_weight_of_samples_and_classes():
    weight = np.where(LABELS == 1, 1.0, 0.0)
    with refused(ValueError, "fit: sample_weight times class_weight is 0 in all rows"):
        classifier().fit(X, LABELS, sample_weight=weight, class_weight={1: 0})
    with refused(ValueError, "train_step: sample_weight times class_weight is 0 in all rows"):
        CALLS["train_step"](
            classifier(), X, LABELS, sample_weight=np.full(20, 1e-200), class_weight=[1e-200] * 4
        )


def test_no_weight_to_validate_with():
    """Refused before the first step."""
    net, optimizer = regressor(), cnn.Adam()
    before = parameters(net)
    with refused(ValueError, "fit: validation_data: sample_weight is 0 in all rows"):
        net.fit(X, T, validation_data=(X, T, ZEROS), optimizer=optimizer)
    assert (parameters(net) == before).all()
    assert (net.epochs, optimizer.steps) == (0, 0)


FUNCTIONS = {
    "squared_error": lambda w: cnn.squared_error(T, T, sample_weight=w),
    "cross_entropy": lambda w: cnn.cross_entropy(np.ones((20, 4)), LABELS, sample_weight=w),
    "binary_cross_entropy": lambda w: cnn.binary_cross_entropy(T, LABELS > 1, sample_weight=w),
    "huber": lambda w: cnn.huber(T, T, sample_weight=w),
    "poisson": lambda w: cnn.poisson(T, LABELS, sample_weight=w),
    "absolute_error": lambda w: cnn.absolute_error(T, LABELS, sample_weight=w),
    "quantile_loss": lambda w: cnn.quantile_loss(T, LABELS, 0.3, sample_weight=w),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_loss_functions(name):
    with refused(ValueError, f"{name}: sample_weight is 0 in all rows, should be more in one"):
        FUNCTIONS[name](ZEROS)
    value, gradient = FUNCTIONS[name](np.ones(20))
    for weight in (1.1e30, 1e100, 1e-200):
        weighted = FUNCTIONS[name](np.full(20, weight))
        assert math.isclose(weighted[0], value, rel_tol=1e-14)
        np.testing.assert_allclose(weighted[1], gradient, rtol=1e-13)


# Newer versions of scikit-learn say it themselves.
NOTHING = "sample_weight is 0 in all rows|Sample weights must contain at least one non-zero number"


def test_estimators():
    cnn_sklearn = pytest.importorskip("cnn.sklearn")
    for model, y in ((cnn_sklearn.MLPClassifier(), LABELS), (cnn_sklearn.MLPRegressor(), T)):
        for solver in ("adam", "sgd", "lbfgs"):
            model.set_params(solver=solver)
            with pytest.raises(ValueError, match=NOTHING):
                model.fit(X, y, sample_weight=ZEROS)
            with refused(ValueError, "fit: sample_weight adds up to 2e-299 over all rows"):
                model.fit(X, y, sample_weight=np.full(20, 1e-300))
            with refused(ValueError, "fit: sample_weight has 1e+101 in row 0, but its numbers sho"):
                model.fit(X, y, sample_weight=np.full(20, 1e101))
            assert not hasattr(model, "net_")
        model.set_params(solver="adam")
        options = {"classes": range(4)} if y is LABELS else {}
        with pytest.raises(ValueError, match=NOTHING):
            model.partial_fit(X, y, sample_weight=ZEROS, **options)


def test_lbfgs_goes_through_slices_without_weight(monkeypatch):
    """Slices of rows that all have the weight 0 have no gradient, and make no difference."""
    cnn_sklearn = pytest.importorskip("cnn.sklearn")
    weight = np.where(np.arange(20) < 12, 0.0, 1.0)
    coefs = []
    for rows in (65536, 4):
        monkeypatch.setattr("cnn._training.samples.SLICE_ROWS", rows)
        model = cnn_sklearn.MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", random_state=0)
        model.set_params(max_iter=5, tol=0)
        with pytest.warns(UserWarning, match="lbfgs failed to converge"):
            model.fit(X, T, sample_weight=weight)
        coefs.append(model.coefs_[0])
    np.testing.assert_allclose(*coefs, rtol=1e-6)


# ---- A batch without weight inside an epoch ----------------------------------------------------


@pytest.mark.parametrize("zeros", [slice(0, 8), slice(4, 12), slice(12, 20), slice(0, 16)])
@pytest.mark.parametrize("kind", ["sgd", "momentum", "adam", "adamw", "clipped"])
def test_a_batch_without_weight_makes_no_step(zeros, kind):
    """It is as if its rows were not there: for weights, state, step number, rate and dropout."""
    make = {
        "sgd": cnn.SGD,
        "momentum": lambda lr: cnn.SGD(lr, momentum=0.9),
        "adam": cnn.Adam,
        "adamw": lambda lr: cnn.AdamW(lr, weight_decay=0.1),
        "clipped": lambda lr: cnn.Adam(lr, clip_norm=0.1),
    }[kind]
    rate = cnn.ExponentialDecay(0.1, gamma=0.5)
    weight = np.linspace(1, 2, 20)
    weight[zeros] = 0
    net, other = (regressor(dropout=0.3, l2=0.1) for _ in range(2))
    optimizer, by_hand = make(rate), make(rate)
    history = net.fit(
        X, T, batch_size=4, shuffle=False, sample_weight=weight, optimizer=optimizer, epochs=2
    )
    total = 0.0
    for epoch in range(2):
        total = 0.0
        for first in range(0, 20, 4):
            rows = slice(first, first + 4)
            if weight[rows].any():
                options = {"optimizer": by_hand, "sample_weight": weight[rows]}
                total += other.train_step(X[rows], T[rows], **options)["loss"] * weight[rows].sum()
        assert math.isclose(history.loss[epoch], total / weight.sum(), rel_tol=1e-13)
    with_weight = sum(bool(weight[first : first + 4].any()) for first in range(0, 20, 4))
    assert optimizer.steps == by_hand.steps == 2 * with_weight
    weights = [[layer.weight for layer in model.layers[::2]] for model in (net, other)]
    for one, two in zip(*weights, strict=True):
        assert np.array_equal(one, two)
    assert history.lr[-1] == rate(2 * with_weight - 1)


def test_a_batch_without_weight_may_have_an_infinite_loss():
    """It is not looked at."""
    t = T.copy()
    t[:4] = 1e200
    weight = np.where(np.arange(20) < 4, 0.0, 1.0)
    net = regressor()
    history = net.fit(X, t, batch_size=4, shuffle=False, sample_weight=weight)
    assert np.isfinite(history.loss[0])
    assert np.isfinite(parameters(net)).all()


def test_resuming_behind_batches_without_weight(tmp_path):
    weight = np.where(np.arange(20) % 7 < 5, 0.0, 1.0)
    options = {"batch_size": 2, "sample_weight": weight}
    whole, optimizer = regressor(dropout=0.2), cnn.Adam(cnn.CosineDecay(0.1, steps=20))
    whole.fit(X, T, epochs=4, optimizer=optimizer, **options)
    parts, half = regressor(dropout=0.2), cnn.Adam(cnn.CosineDecay(0.1, steps=20))
    parts.fit(X, T, epochs=2, optimizer=half, **options)
    parts.save(tmp_path / "half.safetensors", optimizer=half)
    parts, half = cnn.load_checkpoint(tmp_path / "half.safetensors")
    parts.fit(X, T, epochs=2, optimizer=half, **options)
    assert half.steps == optimizer.steps
    for one, two in zip(whole.layers[::2], parts.layers[::2], strict=True):
        assert np.array_equal(one.weight, two.weight)


def test_single_calls_and_parts_of_a_pass(network_of):
    """In the C interface: a whole pass must have weight, a part of one need not."""
    network = network_of([3, 5, 4], dtype="float64")
    trainer = _core.Trainer(network, "adam", beta1=0.9, beta2=0.99, eps=1e-8)
    loss = _core.Loss("cross_entropy", labels=True)
    index, lr = np.arange(20, dtype=np.uintp), np.full(5, 0.1)
    before = network.get(0, "weight")
    for where, call in {
        "evaluate": lambda: network.evaluate(loss, X, LABELS, ZEROS),
        "gradients": lambda: network.gradients(loss, X, LABELS, ZEROS),
        "train_step": lambda: trainer.step(loss, X, LABELS, ZEROS, 0.1),
        "fit": lambda: trainer.epoch(loss, X, LABELS, ZEROS, index, 4, lr),
    }.items():
        with refused(ValueError, f"{where}: sample_weight is 0 in all rows, should be more in one"):
            call()
    result = trainer.epoch(loss, X, LABELS, ZEROS, index, 4, lr, 0.0, _core.Result())
    assert (result.rows, result.steps, result.weight_sum, trainer.steps) == (20, 5, 0.0, 0)
    assert np.array_equal(network.get(0, "weight"), before)
    result = network.evaluate(loss, X, LABELS, ZEROS, so_far=_core.Result())
    assert (result.rows, result.weight_sum) == (20, 0.0)
    assert math.isnan(result.loss)


# ---- Limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("weight", [1.1e100, 1e200, math.inf])
def test_the_limit_of_sample_weights(call, weight):
    weights = np.ones(20)
    weights[7] = weight
    message = f"{call}: sample_weight has {weight:g} in row 7, but its numbers should be finite an"
    with refused(ValueError, message) as error:
        CALLS[call](classifier(), X, LABELS, sample_weight=weights)
    assert error is None or "at most 1e+100" in str(error.value)


@pytest.mark.parametrize("given", [[1, 1.1e100, 1, 1], {1: 1.1e100}])
def test_the_limit_of_class_weights(given):
    for name in ("fit", "train_step"):
        with pytest.raises(ValueError, match=rf"^{name}: class_weight.+at most 1e\+100"):
            CALLS[name](classifier(), X, LABELS, class_weight=given)


def test_the_limits_of_the_c_interface(network_of):
    network = network_of([3, 5, 4])
    loss = _core.Loss("cross_entropy", labels=True, class_weight=np.array([1, 1.1e100, 1, 1]))
    with pytest.raises(ValueError, match=r"class_weight of class 1 is 1.1e\+100.+at most 1e\+100"):
        network.evaluate(loss, X, LABELS)
    loss = _core.Loss("cross_entropy", labels=True)
    with pytest.raises(ValueError, match=r"sample_weight of row 0 is 1e\+101.+at most 1e\+100"):
        network.evaluate(loss, X, LABELS, np.full(20, 1e101))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_largest_weights_do_not_overflow(dtype):
    """Products of the largest ones, added up."""
    plain, large = (cnn.mlp([3, 5, 4], "tanh", "softmax", rng=0, dtype=dtype) for _ in range(2))
    options = {"batch_size": 7, "epochs": 2}
    expected = plain.fit(X, LABELS, **options)
    history = large.fit(
        X, LABELS, **options, sample_weight=np.full(20, 1e100), class_weight=[1e100] * 4
    )
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-6)


def test_largest_settings():
    """One limit in Python and C, which the message has, before anything is trained."""
    for make in (
        lambda value: cnn.Adam(eps=value),
        lambda value: cnn.AdamW(eps=value),
        lambda value: cnn.AdamW(weight_decay=value),
        lambda value: cnn.RMSprop(eps=value),
        lambda value: cnn.Adagrad(eps=value),
        lambda value: cnn.Huber(delta=value),
        lambda value: cnn.Dense(2, 1, l2=value),
    ):
        made = make(1e30)
        options = {"optimizer" if isinstance(made, cnn.Optimizer) else "loss": made}
        if isinstance(made, (cnn.Optimizer, cnn.Huber)):
            regressor().fit(X, T, **options)
        with pytest.raises(ValueError, match=r" is 1.1e\+30, should be finite and .+at most 1e\+3"):
            make(1.1e30)
    with pytest.raises(ValueError, match=r"l2 is 1e\+31, should be .+ at most 1e\+30"):
        cnn.mlp([2, 1], "relu", "identity", l2=1e31)
    net = regressor()
    with pytest.raises(ValueError, match=r"l2 is 1e\+31, should be .+ at most 1e\+30"):
        net.layers[0].l2 = 1e31
