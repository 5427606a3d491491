"""Pipelines with the estimators of cnn.sklearn as ONNX models, converted by skl2onnx."""

import sys
import warnings

import numpy as np
import pytest
from refused import refused

import cnn
from cnn._base import extras

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn import neural_network
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import cnn.sklearn

RNG = np.random.default_rng(0)
X = (RNG.standard_normal((40, 4)) * [1, 10, 0.1, 1] + [0, 5, 0, -1]).astype("f4")
TARGETS = {
    "two": np.arange(40) % 2,
    "three": np.arange(40) % 3 + 5,
    "words": np.array(list("abcä") * 10),
    "bools": np.arange(40) % 2 == 0,
    "floats": np.arange(40) % 3 * 2.0,
    "many": (X[:, :3] > [0, 5, 0]).astype(int),
    "two of many": (X[:, :2] > [0, 5]).astype(int),
}


def fitted(estimator, y, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged
        return make_pipeline(StandardScaler(), estimator).fit(X.astype(dtype), y)


@pytest.fixture
def converted(tmp_path):
    """Return a function that converts a pipeline, runs the model, and returns its outputs."""
    skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    cnn.sklearn.register_skl2onnx()

    def convert(pipeline, dtype, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # skl2onnx warns of its own future
            x = X.astype(dtype)
            options = {id(pipeline[-1]): options} if options else None
            model = skl2onnx.to_onnx(pipeline, x[:1], options=options, target_opset=18)
        (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
        session = runtime.InferenceSession(tmp_path / "m.onnx")
        names = [output.name for output in session.get_outputs()]
        types = [(output.type, output.shape) for output in session.get_outputs()]
        return dict(zip(names, session.run(None, {"X": x}), strict=True)), types

    return convert


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("kind", TARGETS)
def test_classifier(tmp_path, converted, kind, dtype):
    estimator = cnn.sklearn.MLPClassifier((6,), "tanh", max_iter=20, random_state=0)
    pipeline = fitted(estimator, TARGETS[kind], dtype)
    x = X.astype(dtype)
    found, types = converted(pipeline, dtype, zipmap=False)
    expected = pipeline.predict(x)
    assert found["label"].tolist() == expected.tolist()
    tolerance = 1e-12 if dtype == "f8" else 1e-5
    probabilities = pipeline.predict_proba(x)
    np.testing.assert_allclose(found["probabilities"], probabilities, rtol=0, atol=tolerance)
    assert types[1] == (
        f"tensor({'double' if dtype == 'f8' else 'float'})",
        [None, probabilities.shape[1]],
    )
    if kind not in ("many", "two of many"):
        # As the model that skl2onnx makes of scikit-learn's own.
        other = neural_network.MLPClassifier((6,), "tanh", max_iter=20, random_state=0)
        _, others = converted(fitted(other, TARGETS[kind], dtype), dtype, zipmap=False)
        assert types == others
    net = cnn.from_onnx(tmp_path / "m.onnx")
    assert isinstance(net.layers[0], cnn.Standardize)


def test_options(converted):
    pipeline = fitted(cnn.sklearn.MLPClassifier((6,), max_iter=5), TARGETS["words"], "f4")
    found, _ = converted(pipeline, "f4")
    maps = found["output_probability"]
    assert list(maps[0]) == list("abcä")
    np.testing.assert_allclose(
        [list(row.values()) for row in maps], pipeline.predict_proba(X), rtol=0, atol=1e-5
    )
    found, _ = converted(pipeline, "f4", zipmap=False, nocl=True)
    labels = pipeline.classes_[found["label"]]
    assert labels.tolist() == pipeline.predict(X).tolist()


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "mish", "hard_swish", "elu"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_regressor(converted, activation, outputs):
    y = X[:, 0] if outputs == 1 else X[:, :3] / [1, 10, 0.1]
    pipeline = fitted(
        cnn.sklearn.MLPRegressor("squared_error", (6,), activation, max_iter=5), y, "f4"
    )
    found, _ = converted(pipeline, "f4")
    expected = pipeline.predict(X).reshape(40, -1)
    np.testing.assert_allclose(found["variable"], expected, rtol=0, atol=1e-5)


def test_poisson(converted):
    estimator = cnn.sklearn.MLPRegressor("poisson", (6,), max_iter=5)
    pipeline = fitted(estimator, np.abs(X[:, 0]), "f4")
    found, _ = converted(pipeline, "f4")
    np.testing.assert_allclose(found["variable"][:, 0], pipeline.predict(X), rtol=1e-5)


def test_refused(converted):
    pipeline = fitted(cnn.sklearn.MLPClassifier((6,), max_iter=2), np.zeros(40), "f4")
    message = "to_onnx: MLPClassifier has the single class 0.0, should have at least 2"
    with refused(ValueError, message):
        converted(pipeline, "f4")


def test_without_skl2onnx(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with refused(ImportError, "skl2onnx is not installed; " + extras.install("skl2onnx")):
        cnn.sklearn.register_skl2onnx()
