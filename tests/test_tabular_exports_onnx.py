"""Networks with columns, and estimators of tables, as ONNX files."""

import json
import warnings

import numpy as np
import pytest
from raw_tables import (
    MODELS,
    RENT,
    SETTINGS,
    UNSEEN,
    fitted,
    inputs,
    network,
    numbers_of,
    other_rows,
    predicted,
    table,
)
from refused import refused

import cnn
from cnn.tabular import TabularRegressor


@pytest.fixture
def onnx():
    return pytest.importorskip("onnx", reason="onnx is not installed")


def session(onnx, path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    onnx.checker.check_model(onnx.load(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


# ONNX Runtime has mish and selu in float32 alone.
@pytest.mark.parametrize(
    ("dtype", "activation", "clip"),
    [
        *(("float32", "mish", 3.0), ("float32", "selu", 0.0), ("float32", "identity", 3.0)),
        *(("float64", "tanh", 3.0), ("float64", "relu", 0.0)),
    ],
)
def test_networks_as_onnx(tmp_path, onnx, dtype, activation, clip):
    net, x = network(dtype, activation, clip=clip), inputs(dtype)
    if clip == 0:
        x[:3] = 1.0
    net.to_onnx(tmp_path / "net.onnx")
    running = session(onnx, tmp_path / "net.onnx")
    y = running.run(None, {"input": x})[0]
    # Sums of 90 products in four layers, and turns of up to 3 sigma, times 2 pi.
    most = 8 * 90 * np.finfo(dtype).eps
    np.testing.assert_allclose(y, net.predict(x), rtol=0, atol=most)
    assert running.run(None, {"input": x[:1]})[0].shape == (1, 4)
    assert running.run(None, {"input": x[:0]})[0].shape == (0, 4)


def fed(rows):
    """Return rows as ONNX Runtime takes them."""
    found = {}
    for name, values in rows.items():
        numbers = numbers_of(values)
        if numbers is None:
            numbers = np.array(["" if v is None else str(v) for v in values], object)
        found[name] = numbers[:, np.newaxis]
    return found


@pytest.mark.parametrize("name", MODELS)
def test_estimators_as_onnx(tmp_path, onnx, name):
    model, path = fitted(name), tmp_path / "m.onnx"
    model.to_onnx(path)
    loaded = onnx.load(path)
    rows = other_rows()
    assert [entry.name for entry in loaded.graph.input] == list(rows)
    columns = json.loads({p.key: p.value for p in loaded.metadata_props}["cnn_columns"])
    assert [column["name"] for column in columns] == list(rows)
    assert columns[1]["categories"] == ["centre", "nörth", "so?uth"]
    with refused(ValueError, "from_onnx: the model takes the columns of a table, should be a net"):
        cnn.from_onnx(path)
    found = session(onnx, path).run(None, fed(rows))
    y = predicted(model, rows)
    outputs = [entry.name for entry in loaded.graph.output]
    most = 4 * 60 * np.finfo(np.float32).eps
    if hasattr(model, "classes_"):
        assert outputs == ["label", "probabilities"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert found[0].tolist() == model.predict(rows).tolist()
    else:
        assert outputs == (["number"] if y.shape[1] == 1 else ["numbers"])
        assert found[0].ndim == (1 if y.shape[1] == 1 else 2)
        most *= RENT.max()
    assert found[-1].dtype == np.float64
    np.testing.assert_allclose(found[-1].reshape(y.shape), y, rtol=0, atol=most)


def test_inputs_of_onnx_have_the_bits_of_python(tmp_path, onnx):
    model, path = fitted("number"), tmp_path / "m.onnx"
    model.to_onnx(path)
    loaded = onnx.load(path)
    kind = onnx.TensorProto.FLOAT
    shape = ["batch", model.net_.inputs]
    loaded.graph.output.append(onnx.helper.make_tensor_value_info("columns.output", kind, shape))
    onnx.save(loaded, path)
    rows = other_rows()
    found = session(onnx, path).run(["columns.output"], fed(rows))[0]
    x = model._encoder.transform("f", rows, "ignore").astype(np.float32)
    # A category that is missing is -1, and one that is not known -2, in place of NaN.
    codes = [
        feature.kind in ("category", "boolean")
        for feature in model._encoder.features
        for _ in feature.names
    ]
    found[:, codes] = np.where(found[:, codes] < 0, np.nan, found[:, codes])
    np.testing.assert_array_equal(found, x)


def test_rows_that_python_refuses(tmp_path, onnx):
    for name in ("classifier", "number"):
        model = fitted(name)
        model.unseen = "error"
        model.to_onnx(tmp_path / "m.onnx")
        model.unseen = "warn"
        rows = {name: values[:6].copy() for name, values in fed(table()).items()}
        rows["size"][0], rows["took"][1], rows["since"][2] = np.inf, -np.inf, 1e13
        rows["district"][3], rows["district"][4] = UNSEEN, ""
        found = session(onnx, tmp_path / "m.onnx").run(None, rows)
        lost = np.isnan(found[-1].reshape(6, -1)).all(axis=1)
        assert lost.tolist() == [True, True, True, True, False, False]
        if name == "classifier":
            assert (found[0] == "").tolist() == lost.tolist()


def test_names_of_outputs_and_columns(tmp_path, onnx):
    """Columns may have the names of outputs and of values within; a column needs a name."""
    rows = {name: [1.0, 2.0] * 9 for name in ("number", "columns", "constants.nan", "means.output")}
    model = TabularRegressor(**SETTINGS).fit(rows, np.arange(18.0))
    model.to_onnx(tmp_path / "m.onnx")
    running = session(onnx, tmp_path / "m.onnx")
    assert [entry.name for entry in running.get_outputs()] == ["number_"]
    found = running.run(None, {name: np.array(values)[:, None] for name, values in rows.items()})
    np.testing.assert_allclose(found[0], model.predict(rows), rtol=0, atol=1e-3)
    model = TabularRegressor(**SETTINGS).fit({"": [1.0, 2.0] * 9, "b": range(18)}, range(18))
    with refused(
        ValueError, "to_onnx: a column's name is empty, but an input of ONNX needs a name"
    ):
        model.to_onnx(tmp_path / "other.onnx")


def test_texts_that_onnx_does_not_have(tmp_path, onnx):
    model = TabularRegressor(**SETTINGS).fit({"a": ["\ud800", "b"] * 9, "n": range(18)}, range(18))
    message = (
        "to_onnx: a category of column 'a' is '\\ud800', which ONNX's strings cannot hold; model.n"
    )
    with refused(ValueError, message):
        model.to_onnx(tmp_path / "m.onnx")
