"""What the estimators of cnn.sklearn refuse, and that nothing is half-done then."""

import numpy as np
import pytest
from estimators import BINARY, COUNTS, INDICATOR, LABELS, T2, T, X, small
from refused import refused
from sklearn.exceptions import NotFittedError

import cnn
from cnn.sklearn import MLPClassifier, MLPRegressor

# What stops before it has converged is what most of these tests want, for it takes less time.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -1}, "The 'alpha' parameter of MLPClassifier must be a float in the range"),
        ({"solver": "newton"}, "The 'solver' parameter of MLPClassifier must be a str among"),
        ({"activation": "softmax"}, "The 'activation' parameter of MLPClassifier must be a str"),
        ({"activation": ["relu", "tanh"]}, "fit: activation has 2 names, but hidden_layer_sizes"),
        ({"activation": ["softmax"]}, "fit: activation[0] is 'softmax', should be one of elu"),
        ({"hidden_layer_sizes": (8, 0)}, "fit: hidden_layer_sizes[1] is 0, should be at least 1"),
        ({"dropout": 1.0}, "The 'dropout' parameter of MLPClassifier must be a float in the range"),
        ({"momentum": 1.0}, "The 'momentum' parameter of MLPClassifier must be a float in"),
        ({"class_weight": "even"}, "The 'class_weight' parameter of MLPClassifier must be"),
        ({"class_weight": {7: 1.0}}, "The classes, [0, 1, 2], are not in class_weight"),
        ({"class_weight": [{0: 1.0}]}, "fit: class_weight is a list, should be a dict"),
        ({"class_weight": {0: -1.0}}, "fit: class_weight[0] is -1, should be finite and at least"),
        ({"class_weight": {1: np.nan}}, "fit: class_weight[1] is nan, should be finite and"),
        (
            {"class_weight": dict.fromkeys(range(3), 0.0)},
            "fit: the weight of all samples to train with is 0, should be more in one at least",
        ),
        (
            {"solver": "lbfgs", "dropout": 0.5},
            "fit: dropout is 0.5, but solver is 'lbfgs', whose steps need a loss without chance",
        ),
        (
            {"early_stopping": True, "validation_fraction": 0.01},
            "fit: validation_fraction is 0.01, which makes a validation set of 1 of 60 rows",
        ),
    ],
)
def test_refuses_parameters(options, message):
    with refused(ValueError, message):
        small(**options).fit(X, LABELS)


def test_refuses_class_weights_of_several_labels():
    with refused(TypeError, "fit: class_weight[1][0] is of type str, should be a number"):
        small(class_weight=[{}, {0: "much"}, {}]).fit(X, INDICATOR)


def test_refuses_sample_weights_that_leave_nothing_to_validate_with():
    model = small(early_stopping=True).fit(X, LABELS)
    before = dict(model.__dict__)
    weights = np.eye(60)[0]
    message = "fit: X has 1 sample, too few for early_stopping, which sets some of them aside"
    with refused(ValueError, message):
        model.fit(X, LABELS, weights)
    assert model.__dict__ == before


def test_names_a_class_that_is_too_small_to_split():
    y = np.array(["many"] * 59 + ["one"])
    with refused(ValueError, "fit: y has the label 'one' in 1 row only, but early_stopping sets"):
        small(early_stopping=True).fit(X, y)


def with_value(array, value):
    array = array.astype(type(value))
    array[3] = value
    return array


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((with_value(X, np.nan), LABELS), ValueError, "Input X contains NaN"),
        ((X, LABELS[:5]), ValueError, "inconsistent numbers of samples: [60, 5]"),
        ((X[0], LABELS[:1]), ValueError, "Expected 2D array, got 1D array instead"),
        ((X, X[:, 0]), ValueError, "Unknown label type: continuous"),
        ((X, X[:, :2]), ValueError, "fit: y has 2 dimensions and is of type continuous-multi"),
        ((X, LABELS, np.ones(5)), ValueError, "sample_weight.shape == (5,), expected (60,)"),
        (
            (X, LABELS, with_value(np.ones(60), -1.0)),
            ValueError,
            "fit: sample_weight has -1 in row 3, but its numbers should be finite and at least 0",
        ),
        ((X, LABELS, np.zeros(60)), ValueError, "ample"),
    ],
)
def test_refuses_data(arguments, error, message):
    with refused(error, message):
        small().fit(*arguments)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"validation_data": X},
            TypeError,
            "fit: validation_data is of type ndarray, should be a tuple (X, y)",
        ),
        (
            {"validation_data": (X[:, :2], LABELS)},
            ValueError,
            "X has 2 features, but MLPClassifier is expecting 4 features",
        ),
        (
            {"validation_data": (X[:1], LABELS[:1])},
            ValueError,
            "fit: validation_data has 1 row, should have at least 2",
        ),
        (
            {"validation_data": (X, LABELS + 1)},
            ValueError,
            "fit: validation_data: y has the label",
        ),
        (
            {"validation_data": (X, INDICATOR)},
            ValueError,
            "fit: validation_data: y has shape (60, 3), but there are 3 classes",
        ),
        (
            {"callbacks": [print]},
            TypeError,
            "fit: callbacks[0] is of type builtin_function_or_method, should be a cnn.Callback",
        ),
    ],
)
def test_refuses_options_of_fit(options, error, message):
    with refused(error, message):
        small().fit(X, LABELS, **options)


@pytest.mark.parametrize("name", ["validation_data", "callbacks"])
def test_refuses_epochs_with_lbfgs(name):
    value = (X, LABELS) if name == "validation_data" else [cnn.Callback()]
    with refused(ValueError, f"fit: {name} is given, but solver is 'lbfgs', which has no epochs"):
        small(solver="lbfgs").fit(X, LABELS, **{name: value})


def test_refuses_negative_counts():
    with refused(ValueError, "fit: y has -1 in row 3, but its numbers should be finite and at"):
        small(MLPRegressor, loss="poisson").fit(X, with_value(COUNTS, -1))


def test_refuses_to_go_on_with_something_else():
    model = small(warm_start=True).fit(X, LABELS)
    with refused(ValueError, "y has the label 3, should have those in classes_ only: [0 1 2]"):
        model.fit(X, LABELS + 1)
    with refused(ValueError, "fit: y has the labels [0 2] only, but warm_start goes on from a fit"):
        model.fit(X[LABELS != 1], LABELS[LABELS != 1])
    with refused(ValueError, "X has 3 features, but MLPClassifier is expecting 4 features"):
        model.fit(X[:, :3], LABELS)
    with refused(ValueError, "fit: y has shape (60, 3), but there are 3 classes"):
        model.fit(X, INDICATOR)
    with refused(ValueError, "fit: the network to go on with has layers ([4, 8, 3],"):
        model.set_params(hidden_layer_sizes=(9,)).fit(X, LABELS)
    regressor = small(MLPRegressor, warm_start=True).fit(X, T)
    with refused(ValueError, "fit: y has 2 columns, should have 1 as at first"):
        regressor.fit(X, T2)
    with refused(ValueError, "fit: validation_data: y has 1 columns, should have 2 as at first"):
        small(MLPRegressor).fit(X, T2, validation_data=(X, T))
    with refused(ValueError, "(sizes, activations, dropout, output); should be the same"):
        regressor.set_params(loss="poisson").fit(X, COUNTS)


@pytest.mark.parametrize("model", [MLPClassifier, MLPRegressor])
def test_a_fit_that_is_refused_changes_nothing(model):
    y = BINARY if model is MLPClassifier else T
    fitted = small(model).fit(X, y)
    before, expected = dict(fitted.__dict__), fitted.predict(X)
    other = (np.ones((60, 7)), INDICATOR)
    with refused(ValueError, "sample_weight.shape == (5,)"):
        fitted.fit(*other, np.ones(5))
    with refused(ValueError, "X has 7 features"):
        fitted.partial_fit(*other)
    assert fitted.__dict__ == before
    np.testing.assert_array_equal(fitted.predict(X), expected)
    fresh = small()
    with refused(ValueError, "y has the label 2"):
        fresh.partial_fit(X, LABELS, classes=[0, 1])
    assert fresh.partial_fit(X, LABELS, classes=[0, 1, 2]).classes_.tolist() == [0, 1, 2]


def test_refuses_partial_fits():
    with refused(ValueError, "classes must be passed on the first call to partial_fit"):
        small().partial_fit(X, LABELS)
    with refused(ValueError, "partial_fit: early_stopping is True, should be False"):
        small(early_stopping=True).partial_fit(X, LABELS, classes=[0, 1, 2])
    with refused(ValueError, "partial_fit: class_weight is 'balanced', should be a dict or None"):
        small(class_weight="balanced").partial_fit(X, LABELS, classes=[0, 1, 2])
    with refused(ValueError, "partial_fit: y has the label 2, should have those in classes_ only"):
        small().partial_fit(X, LABELS, classes=[0, 1])


def test_warns_of_a_batch_that_is_too_large():
    with pytest.warns(UserWarning, match="batch_size is 61, but X has 60 rows") as caught:
        small(batch_size=61).fit(X, LABELS)
    assert caught[0].filename == __file__


def test_refuses_to_predict_before_fit():
    with refused(NotFittedError, "This MLPClassifier instance is not fitted yet"):
        small().predict(X)
    with refused(AttributeError, "MLPClassifier is not fitted yet; call fit first"):
        _ = small().coefs_


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_refuses_rows_that_are_not_finite(bad):
    model = small().fit(X, LABELS)
    with refused(ValueError, "Input X contains"):
        model.predict_proba(np.full((1, 4), bad))
    with refused(ValueError, "X has 3 features, but MLPClassifier is expecting 4 features"):
        model.predict_proba(X[:, :3])
    with refused(ValueError, "Found array with 0 sample(s)"):
        model.predict_proba(X[:0])
