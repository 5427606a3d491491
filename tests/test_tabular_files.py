"""TabularClassifier and TabularRegressor in model files."""

import datetime

import numpy as np
import pytest
from refused import refused
from tabular_models import LABELS, TABLE, N, T, classifier, regressor

import cnn
from cnn import _core
from cnn.tabular import TabularClassifier


def _rewritten(path, *changes):
    """Change the text of an estimator's file; each part is in it."""
    network = _core.Network.load(str(path))
    text = network.get_metadata("tabular")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    network.set_metadata("tabular", text)
    network.save(str(path))


def models():
    """Return estimators with all that files keep, and tables for them."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(TABLE)
    counts = np.array(TABLE["count"])
    x = np.column_stack([TABLE["number"], counts])
    return {
        "texts": (classifier(calibrate=True, lr=0.01), frame, LABELS),
        "numbers": (classifier(class_weight="balanced"), TABLE, counts),
        "truth values": (classifier(), x, np.array(TABLE["yes"])),
        "objects": (classifier(), x, np.array(["a", "b"] * 30, dtype=object)),
        "infrequent": (classifier(min_frequency=0.09), frame, LABELS),
        "one target": (regressor(calibrate=True), frame, T),
        "two targets": (regressor(categorical_features=[1]), x, np.column_stack([T, -T])),
        "quantiles": (regressor(loss="quantile", calibrate=True), TABLE, T),
        "poisson": (regressor(loss="poisson", hidden_layer_sizes=8), TABLE, counts),
        "several of classes": (classifier(n_ens=3, calibrate=True), frame, LABELS),
        "several of numbers": (regressor(n_ens=2, calibrate=True), frame, T),
    }


@pytest.mark.parametrize("name", models())
def test_files(tmp_path, bits, name):
    model, table, y = models()[name]
    model.fit(table, y)
    path = tmp_path / "model.safetensors"
    model.save(path)
    loaded = cnn.load(path)
    assert type(loaded) is type(model)
    assert loaded.get_params() == model.get_params()
    assert loaded.predict(table).tolist() == model.predict(table).tolist()
    assert loaded.predict(table).dtype == model.predict(table).dtype
    for kept in ("n_features_in_", "best_epochs_", "n_iter_", "temperature_"):
        assert getattr(loaded, kept, None) == getattr(model, kept, None)
    names = [list(getattr(m, "feature_names_in_", ())) for m in (loaded, model)]
    assert names[0] == names[1]
    assert loaded.infrequent_categories_ == model.infrequent_categories_
    assert bool(model.infrequent_categories_) == (name == "infrequent")
    if isinstance(model, TabularClassifier):
        assert bits(loaded.predict_proba(table)) == bits(model.predict_proba(table))
        assert loaded.classes_.dtype == model.classes_.dtype
    elif model.calibrate:
        assert bits(loaded.predict_interval(table, 0.3)) == bits(model.predict_interval(table, 0.3))
    loaded.save(path)
    assert path.read_bytes() == (model.save(path) or path.read_bytes())


def test_files_that_cannot_be_written(tmp_path):
    path = tmp_path / "model.safetensors"
    table = {"a": [datetime.time(i % 3) for i in range(N)]}
    with refused(ValueError, "column 'a' has the category datetime.time(0, 0) of type time, which"):
        regressor().fit(table, T).save(path)
    with refused(ValueError, "column 'a' has the category datetime.time(0, 0) of type time, which"):
        regressor(n_ens=2).fit(table, T).save(path)
    with refused(ValueError, "save: path is 'model.onnx', whose ending is that of another format"):
        classifier(n_ens=2).fit(TABLE, LABELS).save("model.onnx")
    for networks in (1, 2):
        model = regressor(n_ens=networks).fit({"a": ["\ud800", "b"] * (N // 2)}, T[: N // 2 * 2])
        with refused(
            ValueError, "column 'a' has the category '\\ud800', which UTF-8 cannot encode"
        ):
            model.save(path)
    with refused(ValueError, "a column has the name '\\ud800', which UTF-8 cannot encode"):
        regressor().fit({"\ud800": range(N)}, T).save(path)
    assert not path.exists()
    model = classifier(random_state=np.random.RandomState(0)).fit(TABLE, LABELS)
    model.save(path)
    assert cnn.load(path).random_state is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"format": 1', '"format": 2'),
        ('"estimator": "TabularClassifier"', '"estimator": "eval"'),
        ('"epochs": 5', '"epochs": 0'),
        ('"n_ens"', '"n_end"'),
        ('"kind": "boolean"', '"kind": "function"'),
        ('"categories": [false, true]', '"categories": [false, 1.5]'),
        ('"red"', '"blue"'),
        ('"infrequent": []', '"infrequent": ["red"]'),
        ('"infrequent": []', '"infrequent": 3'),
        ('"green", ', ""),
        ('"name": "day"', '"name": "same"'),
        ('"kind": "date"', '"kind": "number"'),
        ('"class 0", ', ""),
        ('"temperature": 1.0', '"temperature": 0'),
        ('"target": {', '"goal": {'),
        ('"best_epoch": ', '"best_epoch": 1e999'),
        ('"dtype": "<U7"', '"dtype": "<U500000000"'),
        ('"scales": [', '"scales": [0.0, '),
        ('"centers": [', '"centers": [1, '),
        ('{"format"', '["format"'),
    ],
)
def test_files_that_are_not_estimators(tmp_path, old, new):
    model, path = classifier().fit(TABLE, LABELS), tmp_path / "model.safetensors"
    model.save(path)
    _rewritten(path, (old, new))
    with pytest.raises(cnn.ModelFileError, match="the file's tabular is not one"):
        cnn.load(path)


def test_files_of_versions_without_infrequent_categories(tmp_path, bits):
    path = tmp_path / "model.safetensors"
    model = classifier().fit(TABLE, LABELS)
    model.save(path)
    _rewritten(path, ('"infrequent": [], ', ""), ('"min_frequency": null, ', ""))
    assert bits(cnn.load(path).predict_proba(TABLE)) == bits(model.predict_proba(TABLE))


def test_files_of_versions_with_the_loss_among_parameters(tmp_path, bits):
    path = tmp_path / "model.safetensors"
    model = regressor(loss="quantile", quantiles=(0.25, 0.5)).fit(TABLE, T)
    model.save(path)
    _rewritten(path, ('"target": {"loss": "quantile", "quantiles": [0.25, 0.5], ', '"target": {'))
    assert bits(cnn.load(path).predict(TABLE)) == bits(model.predict(TABLE))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"target": {"loss": "quantile"', '"target": {"loss": "hinge"', "its loss is 'hinge'"),
        ('"target": {"loss": "quantile"', '"target": {"loss": ["quantile"]', "unhashable"),
        ('"loss": "quantile", "quantiles": [0.25, 0.5]', '"loss": "quantile"', "quantiles"),
        (
            '"loss": "quantile", "quantiles": [0.25, 0.5], "one',
            '"loss": "quantile", "quantiles": [0.5, 0.25], "one',
            "should be more",
        ),
        (
            '"target": {"loss": "quantile", "quantiles": [0.25, 0.5]',
            '"target": {"loss": "huber", "quantiles": []',
            "its target",
        ),
    ],
)
def test_files_whose_loss_is_not_one(tmp_path, old, new, message):
    path = tmp_path / "model.safetensors"
    regressor(loss="quantile", quantiles=(0.25, 0.5)).fit(TABLE, T).save(path)
    _rewritten(path, (old, new))
    with pytest.raises(cnn.ModelFileError, match=message):
        cnn.load(path)


def test_other_readers_of_the_file(tmp_path):
    path = tmp_path / "model.safetensors"
    regressor().fit(TABLE, T).save(path)
    with refused(ValueError, "model is the file of an estimator of cnn.tabular, should be one of"):
        cnn.predictor.Predictor(path)
