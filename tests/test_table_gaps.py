"""Missing values in models of tables: metadata of format 3, headers in C, ONNX files."""

import json

import numpy as np
import pytest
from refused import refused
from table_models import OPTIONS, header, needs_compiler, results

import cnn
from cnn._base import metadata
from cnn._tables import preprocessing
from cnn._tables.preprocessing import Filling, Preprocessing
from cnn._tables.table import Category, Number
from cnn.tabular import TableModel

COLUMNS = (
    Number("a", 40.0, 10.0),
    Category("b", ("x", "y", "z")),
    Number("c", -1 / 3, 1e-3),
    Category("d", ("NA", "u")),
)
PLAIN = (Filling(41.5), Filling(2.0), Filling(0.25), Filling(0.0))
WITH_INPUTS = (Filling(40.0, True), Filling(None, True), Filling(0.25), Filling(None, True))
CLASSES, NUMBER = Category("t", ("p", "q")), Number("t", 1e6, 3.0)
GAP = frozenset({"", "?"})


def plan_of(fillings, target):
    return Preprocessing(COLUMNS, target, ".", fillings, GAP)


def model_of(fillings, target, dtype="float32"):
    plan = plan_of(fillings, target)
    output = "softmax" if target is CLASSES else "identity"
    net = cnn.mlp([plan.inputs, 9, target.width], "tanh", output, rng=0, dtype=dtype)
    net._network.set_metadata(metadata.COLUMNS, plan.to_json())
    return TableModel(net)


def rows(n=60):
    """Return rows, each value of which is missing in a fifth of them."""
    rng = np.random.default_rng(0)
    found = [
        [rng.normal(40, 10), "xyz"[rng.integers(3)], rng.normal() * 1e-3, ("NA", "u")[i % 2]]
        for i in range(n)
    ]
    gone = rng.random((n, 4)) < 0.2
    return [
        [None if lost else v for v, lost in zip(row, mask, strict=True)]
        for row, mask in zip(found, gone, strict=True)
    ]


@pytest.mark.parametrize("target", [CLASSES, NUMBER], ids=["classes", "number"])
@pytest.mark.parametrize("fillings", [PLAIN, WITH_INPUTS], ids=["plain", "inputs"])
def test_inputs_and_metadata(fillings, target):
    model = model_of(fillings, target)
    plan = preprocessing.of_network(model.net._network, "m")
    assert plan == plan_of(fillings, target)
    x = model.transform([[None] * 4, [50, "y", 0.25, "u"]])
    c = (0.25 + 1 / 3) / 1e-3
    expected = (
        [[0.15, 0, 0, 1, c, 1, 0], [1, 0, 1, 0, c, 0, 1]]
        if fillings is PLAIN
        else [[0, 1, 0, 0, 0, 1, c, 0, 0, 1], [1, 0, 0, 1, 0, 0, c, 0, 1, 0]]
    )
    np.testing.assert_allclose(x, expected, rtol=1e-6)


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", [CLASSES, NUMBER], ids=["classes", "number"])
@pytest.mark.parametrize("fillings", [PLAIN, WITH_INPUTS], ids=["plain", "inputs"])
def test_headers_take_nan(tmp_path, fillings, target, dtype):
    model = model_of(fillings, target, dtype)
    library, result = header(tmp_path, model, OPTIONS["portable"])
    assert library.test() == 0
    table = rows()
    places = [
        [
            np.nan if v is None else v if isinstance(v, float) else COLUMNS[i].codes[v]
            for i, v in enumerate(row)
        ]
        for row in table
    ]
    y = results(library, result, np.array(places, float), model.net.outputs)
    expected = model.predict_proba(table) if target is CLASSES else model.predict(table)
    assert y.tobytes() == expected.tobytes()
    for i, bad in ((0, np.inf), (1, 3.0), (1, 0.5), (3, -1.0)):
        row = np.array([40.0, 0, 0, 0])
        row[i] = bad
        out = np.empty(2)
        assert library.status(row.ctypes.data, out.ctypes.data) == i + 1


@pytest.mark.parametrize("target", [CLASSES, NUMBER], ids=["classes", "number"])
@pytest.mark.parametrize("fillings", [PLAIN, WITH_INPUTS], ids=["plain", "inputs"])
def test_onnx_takes_nan_and_the_texts_of_missing_values(tmp_path, fillings, target):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    model, path = model_of(fillings, target), tmp_path / "m.onnx"
    model.to_onnx(path)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    table = rows()
    for text in sorted(GAP):
        fed = {
            column.name: np.array(
                [[np.nan if row[i] is None else row[i]] for row in table]
                if isinstance(column, Number)
                else [[text if row[i] is None else row[i]] for row in table],
                float if isinstance(column, Number) else object,
            )
            for i, column in enumerate(COLUMNS)
        }
        found = session.run(None, fed)
        if target is CLASSES:
            np.testing.assert_allclose(found[1], model.predict_proba(table), rtol=1e-5)
        else:
            np.testing.assert_allclose(found[0], model.predict(table), rtol=1e-9)


def changed(place, **changes):
    content = json.loads(plan_of(PLAIN, CLASSES).to_json())
    content["columns"][place] |= changes
    return content


WHOLE = json.loads(plan_of(PLAIN, CLASSES).to_json())
BAD = {
    "no fill": changed(0, fill=None),
    "nan": changed(0, fill=float("nan")),
    "a text": changed(0, fill="x"),
    "indicator": changed(0, indicator=1),
    "unknown": changed(1, fill="w"),
    "both": changed(1, indicator=True),
    "neither": changed(1, fill=None),
    "no missing": {key: value for key, value in WHOLE.items() if key != "missing"},
    "numbers": WHOLE | {"missing": [1]},
    "format": WHOLE | {"format": 2},
    "columns": WHOLE | {"columns": [3]},
    "inputs": changed(0, indicator=True),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_metadata(case):
    net = model_of(PLAIN, CLASSES).net
    net._network.set_metadata(metadata.COLUMNS, json.dumps(BAD[case]))
    with refused(cnn.ModelFileError, "m: the file's preprocessing is not one: "):
        preprocessing.of_network(net._network, "m")
