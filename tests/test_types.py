"""Types: names among which arguments choose, and attributes of layers whose kind is not known.

`make lint` checks with pyright and mypy what users see: tools/check_types.py.
"""

from typing import get_args

import pytest
from refused import refused

import cnn
from cnn import _core, losses, metrics, optimizers
from cnn._base import choices, hints

NETWORK_DTYPES = get_args(get_args(choices.NetworkDType)[0])


@pytest.mark.parametrize(
    ("literal", "names"),
    [
        (choices.ActivationName, {*_core.ACTIVATIONS, *hints.SAME["activation"]} - {None}),
        (choices.LossName, {*_core.LOSSES, *hints.SAME["loss"]}),
        (choices.LossName, {*losses.LOSSES, *hints.SAME["loss"]}),
        (choices.OptimizerName, optimizers.OPTIMIZERS),
        (choices.MetricName, metrics.BY_NAME),
        (choices.InitializerName, {*_core.INITIALIZERS} - {"normal", "uniform"}),
    ],
    ids=["activations", "losses", "loss classes", "optimizers", "metrics", "initializers"],
)
def test_each_type_has_the_names_of_its_list(literal, names):
    assert set(get_args(literal)) == set(names)


@pytest.mark.parametrize("dtype", NETWORK_DTYPES)
def test_each_dtype_is_one_of_networks(dtype):
    assert cnn.Sequential([cnn.Dense(1, 1)], dtype=dtype).dtype == dtype


def test_no_other_dtype_is():
    assert NETWORK_DTYPES == ("float32", "float64")
    with refused(ValueError, f"should be {' or '.join(map(repr, NETWORK_DTYPES))}"):
        cnn.Sequential([cnn.Dense(1, 1)], dtype="float16")


def test_each_mode_is_taken():
    for mode in get_args(choices.Mode):
        assert cnn.EarlyStopping("loss", mode=mode).mode == mode
    with refused(ValueError, f"should be one of {', '.join(get_args(choices.Mode))}"):
        cnn.EarlyStopping("loss", mode="smallest")


def test_the_estimators_take_their_names():
    estimators = pytest.importorskip("cnn.sklearn", exc_type=ImportError)
    taken = estimators.MLPRegressor._parameter_constraints
    for name, literal in {
        "solver": choices.Solver,
        "learning_rate": choices.LearningRateSchedule,
        "loss": choices.RegressorLoss,
    }.items():
        assert taken[name][0].options == set(get_args(literal))


ATTRIBUTES = ["inputs", "outputs", "activation", "l2", "weight", "bias", "rate"]


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_layer_says_which_attributes_it_does_not_have(name):
    dense, dropout, _ = cnn.mlp([2, 3, 1], "relu", "identity", dropout=0.5, rng=0).layers
    assert hasattr(dense, name) == (name != "rate")
    assert hasattr(dropout, name) == (name == "rate")
    lacking = dense if name == "rate" else dropout
    kind = type(lacking).__name__
    with refused(AttributeError, f"{kind}: a {kind} layer has no {name}"):
        getattr(lacking, name)


@pytest.mark.parametrize("name", ["l2", "weight", "bias"])
def test_an_attribute_that_a_layer_does_not_have_is_not_set(name):
    layer = cnn.Dropout(0.5)
    with refused(AttributeError, f"Dropout: a Dropout layer has no {name}"):
        setattr(layer, name, 0.5)
    assert vars(layer) == {"_rate": 0.5}
