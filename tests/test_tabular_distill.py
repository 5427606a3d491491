"""Small networks that learn what other estimators predict."""

import numpy as np
import pytest
from refused import refused
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from tabular_models import classifier, regressor

from cnn.tabular import TabularClassifier, TabularRegressor, distill


@pytest.fixture(scope="module")
def breast_cancer():
    return load_breast_cancer(return_X_y=True, as_frame=True)


def test_a_student_of_classes(breast_cancer):
    x, y = breast_cancer
    forest = RandomForestClassifier(n_estimators=50, random_state=0)
    student = TabularClassifier(hidden_layer_sizes=(32,), epochs=60, label_smoothing=0.0)
    student.set_params(random_state=0)
    found = distill(forest, x, y, student=student)
    assert not hasattr(forest, "classes_")  # copies are fitted
    assert not hasattr(student, "classes_")
    assert found.rows == 114
    assert found.teacher_score > 0.93
    assert found.student_score > found.teacher_score - 0.03
    assert found.agreement > 0.94
    assert found.student.feature_names_in_.tolist() == list(x.columns)
    assert len(found.student.net_.layers[2].bias) == 32
    # One row takes a forest milliseconds.
    assert found.student_microseconds[0] < found.teacher_microseconds[0]
    text = str(found)
    assert "agreement" in text
    assert f"{found.student_score:.4f}" in text


def test_a_student_learns_probabilities():
    """Of a teacher that is unsure, and not of the classes."""
    x, y = np.random.default_rng(0).normal(size=(200, 2)), np.arange(200) % 10 < 3
    settings = {"label_smoothing": 0.0, "validation_fraction": 0.0}
    student = TabularClassifier(epochs=60, random_state=0, **settings)
    found = distill(DummyClassifier(), x, y, student=student, cv=2)
    off = [
        np.abs(m.predict_proba(x) - [0.7, 0.3]).mean() for m in (found.student, student.fit(x, y))
    ]
    assert 1.5 * off[0] < off[1]


@pytest.mark.slow
def test_a_student_of_numbers():
    x, t = load_diabetes(return_X_y=True)
    teacher = RandomForestRegressor(n_estimators=50, random_state=0).fit(x, t)
    found = distill(teacher, x, student=TabularRegressor(random_state=0, epochs=100))
    assert found.teacher is teacher
    assert found.teacher_score is None
    assert found.agreement > 0.5
    assert isinstance(distill(teacher, x[:60]).student, TabularRegressor)


def test_refused_students(breast_cancer):
    x, y = breast_cancer
    forest = RandomForestClassifier(n_estimators=5, random_state=0)
    for teacher, options, error, message in (
        (None, {}, TypeError, "distill: teacher is of type NoneType, should be an estimator with"),
        (RandomForestClassifier, {}, TypeError, "distill: teacher is of type ABCMeta"),
        (forest, {"student": forest}, TypeError, "student is of type RandomForestClassifier"),
        (forest, {"student": regressor()}, ValueError, "the teacher has predict_proba"),
        (forest, {"test_fraction": 0.0}, ValueError, "test_fraction is 0"),
        (forest, {"test_fraction": 1.0}, ValueError, "test_fraction is 1"),
        (forest, {"student": classifier(class_weight="balanced")}, ValueError, "class_weight is"),
    ):
        with refused(error, message):
            distill(teacher, x, y, **options)
