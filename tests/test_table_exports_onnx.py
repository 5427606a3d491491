"""Models of tables as ONNX files, and real tables through all exports of the command line."""

import json

import numpy as np
import pytest
from refused import refused
from table_models import (
    COLUMNS,
    OPTIONS,
    PRICE,
    SPECIES,
    encoded,
    header,
    iris,
    made,
    needs_compiler,
    penguins,
    results,
    rows,
)

import cnn
from cnn import _core
from cnn._tables.preprocessing import Preprocessing
from cnn._tables.table import Category, Number
from cnn.cli import main as command_line

# ---- ONNX --------------------------------------------------------------------------------------


@pytest.fixture
def onnx():
    return pytest.importorskip("onnx", reason="onnx is not installed")


def session(path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def fed(model, table):
    """Return a table as ONNX Runtime takes it."""
    return {
        name: np.array([[row[i]] for row in table], object if name in model.categories else float)
        for i, name in enumerate(model.columns)
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", [SPECIES, PRICE], ids=["classes", "number"])
def test_onnx(tmp_path, onnx, target, dtype):
    model, path = made(target, dtype), tmp_path / "m.onnx"
    model.to_onnx(path)
    loaded = onnx.load(path)
    onnx.checker.check_model(loaded, full_check=True)
    assert [entry.name for entry in loaded.graph.input] == list(model.columns)
    properties = {entry.key: entry.value for entry in loaded.metadata_props}
    assert json.loads(properties["cnn_preprocessing"])["target"]["name"] == target.name
    table = rows()
    found = session(path).run(None, fed(model, table))
    atol = 1e-5 if dtype == "float32" else 1e-12
    if model.classes is None:
        assert [entry.name for entry in loaded.graph.output] == ["number"]
        assert (found[0].dtype, found[0].shape) == (np.float64, (200,))
        np.testing.assert_allclose(found[0], model.predict(table), rtol=0, atol=atol + 3e-4)
    else:
        assert [entry.name for entry in loaded.graph.output] == ["label", "probabilities"]
        assert found[0].tolist() == model.predict(table).tolist()
        np.testing.assert_allclose(found[1], model.predict_proba(table), rtol=0, atol=atol)


# exponential overflows on inputs such as these.
@pytest.mark.parametrize(
    "activation", [name for name in _core.ACTIVATIONS if name not in ("softmax", "exponential")]
)
def test_onnx_with_all_activations(tmp_path, onnx, activation):
    for target in (SPECIES, PRICE):
        model = made(target, hidden=activation)
        model.to_onnx(tmp_path / "m.onnx")
        table = rows(20)
        found = session(tmp_path / "m.onnx").run(None, fed(model, table))
        if model.classes is None:
            np.testing.assert_allclose(found[0], model.predict(table), rtol=0, atol=1e-3)
        else:
            np.testing.assert_allclose(found[1], model.predict_proba(table), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inputs_of_onnx_have_the_bits_of_python(tmp_path, onnx, dtype):
    model, path = made(SPECIES, dtype), tmp_path / "m.onnx"
    model.to_onnx(path)
    loaded = onnx.load(path)
    (gemm,) = [node for node in loaded.graph.node if node.name == "layers.0.gemm"]
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    shape = ["batch", model.net.inputs]
    loaded.graph.output.append(onnx.helper.make_tensor_value_info(gemm.input[0], kind, shape))
    onnx.save(loaded, path)
    table = rows()
    found = session(path).run([gemm.input[0]], fed(model, table))[0]
    assert found.tobytes() == model.transform(table).tobytes()


def test_rows_that_python_refuses(tmp_path, onnx):
    model = made(SPECIES, columns=(Number("n", 0.0, 1e-3), Category("c", ("a", "b"))))
    model.to_onnx(tmp_path / "m.onnx")
    running = session(tmp_path / "m.onnx")
    table = [[1.0, "a"], [np.nan, "a"], [np.inf, "b"], [-1e300, "a"], [2.0, "b"]]
    label, p = running.run(None, fed(model, table))
    good = [row for row in table if abs(row[0]) < 3]
    # An empty text is a class here.
    first, last = model.predict(good)
    assert label.tolist() == [first, "NaN", "NaN", "NaN", last]
    assert np.isnan(p[1:4]).all()
    np.testing.assert_allclose(p[[0, 4]], model.predict_proba(good), atol=1e-6)
    with pytest.raises(Exception, match="Unknown Category"):
        running.run(None, fed(model, [[1.0, "c"]]))
    usual = made(Category("c", ("x", "y")), columns=(Number("n", 0.0, 1e-3),))
    usual.to_onnx(tmp_path / "m.onnx")
    label, _ = session(tmp_path / "m.onnx").run(None, {"n": np.array([[1.0], [np.nan]])})
    assert label.tolist() == [usual.predict([[1.0]])[0], ""]
    number = made(PRICE, columns=(Number("n", 0.0, 1e-3),))
    number.to_onnx(tmp_path / "m.onnx")
    found = session(tmp_path / "m.onnx").run(None, {"n": np.array([[1.0], [np.nan], [1e300]])})[0]
    assert np.isnan(found).tolist() == [False, True, True]


def test_columns_with_the_names_of_nodes(tmp_path, onnx):
    names = ["label", "probabilities", "label_", "checked", "columns", "layers.0.weight", "check"]
    columns = tuple(Number(name, 1.0, 2.0) for name in names)
    for target, outputs in ((SPECIES, ["label__", "probabilities_"]), (PRICE, ["number"])):
        model = made(target, columns=columns)
        model.to_onnx(tmp_path / "m.onnx")
        running = session(tmp_path / "m.onnx")
        assert [entry.name for entry in running.get_outputs()] == outputs
        table = np.random.default_rng(0).normal(size=(5, 7)).tolist()
        assert (running.run(None, fed(model, table))[0] == model.predict(table)).mean() > 0.5 or (
            target is PRICE
        )


def test_texts_that_onnx_does_not_have(tmp_path, onnx):
    model = made(PRICE)
    model._plan = Preprocessing((Number("\ud800"),), PRICE)
    with refused(ValueError, "to_onnx: the name of a column is '\\ud800', which ONNX's strings"):
        model.to_onnx(tmp_path / "m.onnx")


def test_from_onnx_tells_what_to_do(tmp_path, onnx):
    made(PRICE, columns=COLUMNS[:1]).to_onnx(tmp_path / "m.onnx")
    message = "from_onnx: the model takes the columns of a table, should be a network alone; cnn.lo"
    with refused(ValueError, message):
        cnn.from_onnx(tmp_path / "m.onnx")


@needs_compiler
@pytest.mark.parametrize("table", [iris, penguins])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_exports_of_the_command_line(tmp_path, capsys, table, task):
    """From a CSV file to C and to ONNX: the classes and numbers of `predict`, on raw rows."""
    import csv

    pytest.importorskip("onnx")
    names, content = table()
    target = names[-1] if task == "classification" else names[0]
    with (tmp_path / "data.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, *([*map(str, row)] for row in content)])
    at = names.index(target)
    given = [row[:at] + row[at + 1 :] for row in content]
    path = str(tmp_path / "m.safetensors")
    options = ["--target", target, "--task", task, "--epochs", "40", "--model", "dense", "-q"]
    options += ["-o", path]
    assert command_line.main(["train", str(tmp_path / "data.csv"), *options]) == 0
    capsys.readouterr()
    assert command_line.main(["export", path, "--to", "onnx"]) == 0
    assert "It takes the raw values of columns by their names, and does" in capsys.readouterr().out
    assert command_line.main(["export", path, "--to", "c"]) == 0
    assert "\nm_predict takes the raw values of a row, and does" in capsys.readouterr().out
    model = cnn.load(path)
    expected = model.predict(given)
    if task == "classification":
        truth = np.array([row[at] for row in content], object)
        assert (expected == truth).mean() > 0.9
    found = session(tmp_path / "m.onnx").run(None, fed(model, given))
    library, result = header(tmp_path, model, OPTIONS["native"])
    if not any(column in model.categories for column in model.columns):
        values = np.array(given, np.float64)
    else:
        values = encoded(library, model, given)
    y = results(library, result, values, model.net.outputs)
    if task == "classification":
        assert found[0].tolist() == expected.tolist()
        np.testing.assert_allclose(found[1], model.predict_proba(given), rtol=0, atol=1e-5)
        assert y.tobytes() == model.predict_proba(given).tobytes()
    else:
        np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-4)
        assert y[:, 0].tobytes() == expected.tobytes()
