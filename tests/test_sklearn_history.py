"""history_ of estimators: what it has with each solver, and when it goes on."""

import pickle

import numpy as np
import pytest
from estimators import LABELS, T, X
from sklearn.base import clone

import cnn
from cnn.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
FEW = {"hidden_layer_sizes": (5,), "max_iter": 4, "random_state": 0}


def test_epochs():
    model = MLPClassifier(**FEW).fit(X, LABELS)
    assert isinstance(model.history_, cnn.History)
    assert model.history_.epoch == [1, 2, 3, 4]
    assert model.history_.loss == model.loss_curve_
    assert list(model.history_) == ["loss", "accuracy", "lr", "seconds"]


def test_scores():
    model = MLPRegressor(**FEW, early_stopping=True).fit(X, T)
    assert model.history_["val_score"] == model.validation_scores_
    data = (X[:20], LABELS[:20])
    model = MLPClassifier(**FEW).fit(X, LABELS, validation_data=data, callbacks=[cnn.Callback()])
    assert model.history_["val_score"] == model.validation_scores_
    assert model.history_[-1]["val_loss"] == model.net_.evaluate(*data)["loss"]


def test_partial_fit_appends():
    model = MLPClassifier(**FEW)
    for count in (1, 2, 3):
        model.partial_fit(X, LABELS, classes=np.unique(LABELS))
        assert model.history_.epoch == list(range(1, count + 1))
    assert model.history_.loss == model.loss_curve_


def test_a_new_fit_begins_anew_and_a_warm_start_goes_on():
    model = MLPClassifier(**FEW).fit(X, LABELS)
    first = model.history_
    assert model.fit(X, LABELS).history_ is not first
    assert len(model.history_) == 4
    model.set_params(warm_start=True).fit(X, LABELS)
    assert model.history_.epoch == list(range(1, 9))


def test_lbfgs_has_the_loss_of_each_iteration():
    model = MLPRegressor(**FEW, solver="lbfgs").fit(X, T)
    assert list(model.history_) == ["loss"]
    assert model.history_.epoch == list(range(1, model.n_iter_ + 1))
    assert model.history_.loss[-1] == model.loss_
    assert (np.diff(model.history_.loss) < 0).all()


def test_copies():
    model = MLPClassifier(**FEW).fit(X, LABELS)
    other = pickle.loads(pickle.dumps(model))
    assert other.history_.to_dict() == model.history_.to_dict()
    other.partial_fit(X, LABELS)
    assert (len(other.history_), len(model.history_)) == (5, 4)
    assert not hasattr(clone(model), "history_")


def test_a_model_of_an_earlier_version_goes_on():
    model = MLPClassifier(**FEW).fit(X, LABELS)
    del model.history_  # which it did not have
    assert len(model.partial_fit(X, LABELS).history_) == 1
