"""`cnn.tabular.TableModel`: what `cnn.load` makes of a file that has the columns of a table."""

import copy
import csv
import io
import json
import math
import pickle
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest
from refused import refused
from tables import train

import cnn
from cnn._base import metadata
from cnn._tables.preprocessing import Preprocessing
from cnn._tables.table import Category, Number
from cnn.cli import main as command_line
from cnn.tabular import TableModel

COLUMNS = (
    Number("mass", 1.7e12, 10.0),
    Category("island", ("Biscoe", "Dream", "Torgersen")),
    Number("bill", 40.0, 5.0),
    Category("code", ("007", "07", "7", "1.5", "True")),
)
CLASSES = Category("species", ("Adelie", "Chinstrap", "Gentoo"))
NAMES = [column.name for column in COLUMNS]
ROWS = [
    [1.7e12 + 7, "Dream", 38.25, "7"],
    [1.7e12 - 10, "Torgersen", 45, "007"],
    [1.7e12, "Biscoe", 40.5, "True"],
]


def made(target=CLASSES, columns=COLUMNS, dtype="float32"):
    """Return a model with random weights."""
    plan = Preprocessing(columns, target)
    output = "softmax" if isinstance(target, Category) else "identity"
    net = cnn.mlp([plan.inputs, 16, target.width], "tanh", output, rng=0, dtype=dtype)
    # With escapes, as a file may have half of a surrogate pair.
    net._network.set_metadata(metadata.COLUMNS, json.dumps(json.loads(plan.to_json())))
    return TableModel(net)


def by_hand(dtype=np.float32):
    """Return the network's inputs for ROWS, a value at a time."""
    x = []
    for row in ROWS:
        cells = []
        for column, value in zip(COLUMNS, row, strict=True):
            if isinstance(column, Number):
                cells.append((float(value) - column.mean) / column.scale)
            else:
                cells += [float(value == text) for text in column.categories]
        x.append(cells)
    return np.array(x, np.float64).astype(dtype)


def columns(rows=ROWS):
    return {name: [row[i] for row in rows] for i, name in enumerate(NAMES)}


# ---- Loading -----------------------------------------------------------------------------------


def test_load_returns_one(tmp_path):
    """Raw rows to `cnn.load` were taken for inputs: 0.357 right, at a confidence of 1."""
    rng = np.random.default_rng(0)
    width, site = rng.normal(1.7e12, 10, 300), rng.choice(["x", "y"], 300)
    kind = np.where((width > 1.7e12) ^ (site == "x"), "big", "small")
    table = [list(row) for row in zip(width.tolist(), site.tolist(), kind.tolist(), strict=True)]
    data = [["width", "site", "kind"], *([repr(w), s, k] for w, s, k in table)]
    code, path = train(tmp_path, data, "--epochs", "60", target="kind")
    assert code == 0
    model = cnn.load(path)
    assert isinstance(model, TableModel)
    assert (model.columns, model.target, model.task) == (
        ("width", "site"),
        "kind",
        "classification",
    )
    assert (model.classes, model.categories) == (("big", "small"), {"site": ("x", "y")})
    predicted = model.predict([row[:2] for row in table])
    assert np.mean(predicted == kind) > 0.95
    assert isinstance(model.net, cnn.Sequential)
    assert model.net.inputs == 3


def test_plain_files_load_as_before(tmp_path):
    cnn.mlp([3, 2], "tanh", "softmax", rng=0).save(tmp_path / "net")
    assert type(cnn.load(tmp_path / "net")) is cnn.Sequential


def test_files_of_before(tmp_path):
    """What the first version of `cnn train` wrote, letter by letter."""
    net = cnn.mlp([3, 1], "tanh", "identity", rng=0)
    net._network.set_metadata(
        "preprocessing",
        '{"format": 1, "columns": ['
        '{"name": "age", "kind": "number", "mean": 49.5, "scale": 17.25}, '
        '{"name": "city", "kind": "category", "categories": ["Paris", "Z\u00fcrich, CH"]}], '
        '"target": {"name": "price", "kind": "number", "mean": 100, "scale": 0.5}}',
    )
    net.save(tmp_path / "net")
    model = cnn.load(tmp_path / "net")
    assert (model.columns, model.target, model.task) == (("age", "city"), "price", "regression")
    assert model.transform([[49.5, "Paris"], [32.25, "Z\u00fcrich, CH"]]).tolist() == [
        [0, 1, 0],
        [-1, 0, 1],
    ]
    assert model.predict([[49.5, "Paris"]])[0] == float(net.predict([0, 1, 0])[0]) * 0.5 + 100


def test_a_file_whose_columns_are_bad(tmp_path):
    net = cnn.mlp([3, 2], "tanh", "softmax", rng=0)
    net._network.set_metadata(metadata.COLUMNS, "{}")
    net.save(tmp_path / "net")
    with refused(cnn.ModelFileError, "load: the file's preprocessing is not one: it should be"):
        cnn.load(tmp_path / "net")


def test_checkpoints(tmp_path):
    model, optimizer = made(), cnn.Adam()
    model.net.fit(model.transform(ROWS), [0, 1, 2], optimizer=optimizer)
    model.save(tmp_path / "checkpoint", optimizer=optimizer)
    again, found = cnn.load_checkpoint(tmp_path / "checkpoint")
    assert isinstance(again, TableModel)
    assert found.steps == 1
    again.net.fit(again.transform(ROWS), [0, 1, 2], optimizer=found)
    model.net.fit(model.transform(ROWS), [0, 1, 2], optimizer=optimizer)
    np.testing.assert_array_equal(again.predict_proba(ROWS), model.predict_proba(ROWS))


def saved_net(model, path):
    model.net.save(path)
    return cnn.load(path)


def saved_by_a_callback(model, path):
    copied = copy.deepcopy(model)
    checkpoint = cnn.ModelCheckpoint(str(path), monitor="loss")
    copied.net.fit(
        model.transform(ROWS), [0, 1, 2], optimizer=cnn.SGD(1e-30), callbacks=[checkpoint]
    )
    return cnn.load(path)


WAYS = {
    "save": lambda model, path: (model.save(path), cnn.load(path))[1],
    "save of the network": saved_net,
    "callback": saved_by_a_callback,
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "oldest pickle": lambda model, _: pickle.loads(pickle.dumps(model, 2)),
    "copy": lambda model, _: copy.copy(model),
    "deepcopy": lambda model, _: copy.deepcopy(model),
    "copied network": lambda model, _: TableModel(copy.deepcopy(model.net)),
    "pickled network": lambda model, _: TableModel(pickle.loads(pickle.dumps(model.net))),
}


@pytest.mark.parametrize("way", WAYS)
def test_columns_are_kept(tmp_path, way):
    model = made()
    again = WAYS[way](model, tmp_path / "file.safetensors")
    assert isinstance(again, TableModel)
    assert again.columns == model.columns
    np.testing.assert_array_equal(again.predict_proba(ROWS), model.predict_proba(ROWS))


def test_what_a_model_is_made_of():
    with refused(TypeError, "TableModel: net is of type str, should be a Sequential"):
        TableModel("net")
    with refused(ValueError, "TableModel: net does not say how inputs are made of columns"):
        TableModel(cnn.mlp([1, 1], "tanh", "identity"))


def test_what_only_networks_have():
    model = made()
    with refused(AttributeError, "no 'train_step'; its network has model.net.train_step, and ta"):
        model.train_step(ROWS, [0, 1, 2])
    with refused(AttributeError, "TableModel has no 'layers'; its network has model.net.layers"):
        _ = model.layers
    with refused(AttributeError, "to_torch', since a PyTorch module has no columns; model.net.to_"):
        model.to_torch()
    with refused(AttributeError, "TableModel has no 'spam'"):
        _ = model.spam


def test_repr_and_summary():
    model = made()
    assert repr(model) == (
        "TableModel(mass, island, bill, code -> species: Adelie, Chinstrap, Gentoo)"
    )
    assert repr(made(Number("size", 0.1, 1.0))).endswith("-> size: a number)")
    assert model.net.summary() in model.summary()
    assert "(mass - 1700000000000) / 10\n" in model.summary()


def test_names_do_not_control_terminals():
    model = made(columns=(Number("\x1b[31mred"), Category("c", ("a\nb", "\u202ex", "\x9by"))))
    for text in (repr(model), model.summary()):
        assert "\x1b" not in text
        assert "?[31mred" in text
    assert "a?b, ?x, ?y\n" in model.summary()


def test_it_needs_numpy_alone():
    code = (
        "import sys; from cnn.tabular import TableModel; "
        "print(*sorted({'pandas', 'polars', 'pyarrow', 'sklearn', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, check=True)
    assert done.stdout.split() == []


# ---- Tables ------------------------------------------------------------------------------------


def structured():
    types = [("code", "U9"), ("bill", "f8"), ("more", "i4"), ("mass", "f8"), ("island", "O")]
    rows = [(row[3], row[2], 1, row[0], row[1]) for row in ROWS]
    return np.array(rows, np.dtype(types))


def frame(library):
    module = pytest.importorskip(library)
    # In another order, and with a column that the model does not have.
    return module.DataFrame({"more": [1, 2, 3]} | dict(reversed(columns().items())))


def arrow():
    return pytest.importorskip("pyarrow").table(columns() | {"more": [1, 2, 3]})


TABLES = {
    "rows": lambda: ROWS,
    "tuples": lambda: tuple(map(tuple, ROWS)),
    "object array": lambda: np.array(ROWS, object),
    "dict": lambda: dict(reversed(columns().items())) | {"more": [None] * 3},
    "dict of arrays": lambda: {name: np.array(v) for name, v in columns().items()},
    "dicts": lambda: [dict(zip(NAMES, row, strict=True)) | {"more": 1} for row in ROWS],
    "structured": structured,
    "pandas": lambda: frame("pandas"),
    "polars": lambda: frame("polars"),
    "arrow": arrow,
    "text of a file": lambda: list(
        csv.reader(io.StringIO("\n".join(",".join(map(str, row)) for row in ROWS)))
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("table", TABLES)
def test_tables(table, dtype):
    model = made(dtype=dtype)
    given = TABLES[table]()
    x = model.transform(given)
    assert x.dtype == dtype
    assert x.tobytes() == by_hand(dtype).tobytes()
    p = model.predict_proba(given)
    assert p.dtype == dtype
    np.testing.assert_array_equal(p, model.net.predict(by_hand(dtype)))
    y = model.predict(given)
    assert y.dtype == object
    assert y.tolist() == [CLASSES.categories[i] for i in p.argmax(axis=1)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_regression(dtype):
    """Outputs are scaled back in float64, beside a mean that float32 cannot hold."""
    model = made(Number("price", 1.7e12 + 0.123, 10.0), dtype=dtype)
    y = model.predict(ROWS)
    assert y.dtype == np.float64
    outputs = model.net.predict(by_hand(dtype))[:, 0]
    assert y.tolist() == [float(z) * 10.0 + (1.7e12 + 0.123) for z in outputs]
    with refused(ValueError, "predict_proba: the model predicts the number 'price', which has no"):
        model.predict_proba(ROWS)
    assert model.classes is None
    assert model.task == "regression"


def test_rows_do_not_depend_on_others():
    rng = np.random.default_rng(0)
    rows = [ROWS[i] for i in rng.integers(0, 3, 9000)]
    model = made()
    p = model.predict_proba(rows)
    one = {i: model.predict_proba([row])[0] for i, row in enumerate(rows[:20])}
    assert all((p[i] == row).all() for i, row in one.items())
    assert (p[-1] == model.predict_proba([rows[-1]])[0]).all()


@pytest.mark.parametrize("target", [CLASSES, Number("n")])
def test_no_rows(target):
    pandas = pytest.importorskip("pandas")
    model = made(target)
    for table in ([], {name: [] for name in NAMES}, pandas.DataFrame(columns=NAMES)):
        assert model.predict(table).shape == (0,)
        assert model.transform(table).shape == (0, model.net.inputs)


def test_far_from_a_large_mean():
    """1.7e12 and 1.7e12 + 10 are the same float32; subtracted in float64 they are not."""
    model = made(columns=(Number("t", 1.7e12, 10.0),))
    assert model.transform([[1.7e12 + 10], [1.7e12 - 10]]).tolist() == [[1.0], [-1.0]]
    assert model.transform(np.array([[1.7e12 + 5]])).tolist() == [[0.5]]


# ---- Values ------------------------------------------------------------------------------------


def place(model, value):
    """Return the category that a value of the column stands for."""
    x = model.transform({"c": [value]})[0]
    return model.categories["c"][int(x.argmax())]


def of_categories(*texts):
    return made(columns=(Category("c", texts),))


@pytest.mark.parametrize(
    ("value", "texts", "expected"),
    [
        ("7", ("7", "07", "7.0"), "7"),
        ("07", ("7", "07", "7.0"), "07"),
        (np.str_("7.0"), ("7", "07", "7.0"), "7.0"),
        (7, ("7", "8.0"), "7"),
        (np.int8(7), ("7", "x"), "7"),
        (2**70, (str(2**70), "x"), str(2**70)),
        (7.0, ("7", "x"), "7"),
        (7.0, ("7.0", "x"), "7.0"),
        (np.float32(0.1), ("0.1", "x"), "0.1"),
        (0.1, ("0.1", ".2"), "0.1"),
        (-3.0, ("-3", "3"), "-3"),
        (1e15, ("1000000000000000", "1"), "1000000000000000"),
        (1e20, ("1e+20", "1"), "1e+20"),
        (Decimal("2.50"), ("2.51", "2.50"), "2.50"),
        (True, ("True", "False"), "True"),
        (np.False_, ("false", "true"), "false"),
        (False, ("TRUE", "FALSE"), "FALSE"),
        ("", ("", "x"), ""),
        ("NA", ("NA", "x"), "NA"),
    ],
)
def test_categories(value, texts, expected):
    assert place(of_categories(*texts), value) == expected
    # A typed array of the value says the same.
    x = of_categories(*texts).transform({"c": np.array([value, value])})
    assert (x.argmax(axis=1) == texts.index(expected)).all()


@pytest.mark.parametrize(
    ("value", "texts", "message"),
    [
        ("7.0", ("7", "8"), "row 0, column 'c' is '7.0', should be one of 7, 8"),
        ("Rome ", ("Rome", "Oslo"), "is 'Rome ', should be one of Rome, Oslo"),
        (7, ("7.0", "07"), "is 7 of type int, should be one of 7.0, 07"),
        (7.0, ("7", "7.0"), "is 7.0 of type float, which may be '7.0' or '7'; should be a text"),
        (0.1, (".1", "1e-1"), "is 0.1 of type float, should be one of .1, 1e-1"),
        (True, ("True", "true"), "which may be 'True' or 'true'; should be a text"),
        (True, ("1", "0"), "is True of type bool, should be one of 1, 0"),
        (1, ("True", "False"), "is 1 of type int, should be one of True, False"),
        (b"7", ("7", "8"), "is b'7' of type bytes, should be one of 7, 8"),
        (None, ("None", "x"), "is missing (None), should be one of None, x; missing values should"),
        (math.nan, ("nan", "x"), "is missing (nan), should be one of nan, x; missing values"),
        (math.inf, ("inf", "x"), "is inf of type float, should be one of inf, x"),
        (np.timedelta64(7), ("7", "x"), "of type timedelta64, should be one of 7, x"),
    ],
)
def test_bad_categories(value, texts, message):
    model = of_categories(*texts)
    for table in ([[value]], {"c": [value]}):
        with refused(ValueError, message):
            model.predict(table)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, "row 1, column 'n' is missing (nan), should be a finite number; missing values"),
        (None, "row 1, column 'n' is missing (None), should be a finite number; missing values"),
        (math.inf, "row 1, column 'n' is inf of type float, should be a finite number"),
        (10**400, "should be a finite number"),
        ("x", "row 1, column 'n' is 'x', should be a finite number"),
        (True, "row 1, column 'n' is True of type bool, should be a finite number"),
        (1j, "is 1j of type complex, should be a finite number"),
        (np.datetime64("2020-01-01"), "of type datetime64, should be a finite number"),
        (np.timedelta64(7), "of type timedelta64, should be a finite number"),
        ([1], "is [1] of type list, should be a finite number"),
        (1e300, "predict: row 1, column 'n' is 1e+300, which is too far from the numbers that"),
    ],
)
def test_bad_numbers(value, message):
    model = made(columns=(Number("n", 0.0, 1e-3),))
    for table in ([[1.0], [value]], {"n": [1.0, value]}):
        with refused(ValueError, message):
            model.predict(table)


@pytest.mark.parametrize("value", [3, 3.0, "3", " 3e0 ", Decimal(3), np.float16(3), np.uint8(3)])
def test_numbers(value):
    model = made(columns=(Number("n", 1.0, 4.0),))
    assert model.transform([[value]]).tolist() == [[0.5]]
    assert model.transform({"n": np.array([value])}).tolist() == [[0.5]]


def test_missing_values_in_frames():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    model = made(columns=(Number("n"), Category("c", ("1", "2"))))
    good = {"n": [1, 2], "c": [1, 2]}
    for table, column in (
        (pandas.DataFrame(good | {"n": [1, None]}), "n"),
        (pandas.DataFrame(good | {"c": [1, None]}), "c"),
        (pandas.DataFrame(good | {"n": pandas.array([1, None], "Int64")}), "n"),
        (pandas.DataFrame(good | {"c": pandas.array([1, None], "Int64")}), "c"),
        (pandas.DataFrame(good | {"c": pandas.Categorical(["1", None])}), "c"),
        (pandas.DataFrame(good | {"c": pandas.array(["1", None], "string")}), "c"),
        (pandas.DataFrame(good | {"n": pandas.to_datetime(["2020-01-01", None])}), "n"),
        (polars.DataFrame(good | {"n": [1, None]}), "n"),
        (polars.DataFrame(good | {"c": [1, None]}), "c"),
        (polars.DataFrame(good | {"c": ["1", None]}), "c"),
    ):
        place = 0 if "datetime" in str(table.dtypes) else 1
        with refused(ValueError, f"predict: row {place}, column {column!r} is "):
            model.predict(table)
    for numbers in (np.int64, "Int64", "float64", "category", "object"):
        table = pandas.DataFrame(good)
        table["c"] = table["c"].astype(numbers)
        assert model.transform(table)[:, 1:].tolist() == [[1, 0], [0, 1]]
    table = polars.DataFrame(good | {"c": polars.Series(["1", "2"], dtype=polars.Categorical)})
    assert model.transform(table)[:, 1:].tolist() == [[1, 0], [0, 1]]


def test_masks_are_not_lost():
    model = made(columns=(Number("n"), Category("c", ("1", "2"))))
    whole = np.ma.array([[1, 2], [2, 1]])
    assert model.transform(whole).tolist() == [[1, 0, 1], [2, 1, 0]]
    for at, name in ((0, "n"), (1, "c")):
        masked = whole.copy()
        masked[1, at] = np.ma.masked
        for table in (masked, {"n": masked[:, 0], "c": masked[:, 1]}):
            with refused(ValueError, f"predict: row 1, column {name!r} is missing (masked)"):
                model.predict(table)


def test_the_first_bad_row_is_named():
    model = of_categories("1", "2")
    with refused(ValueError, "row 1, column 'c' is 9 of type int64, should be one of 1, 2"):
        model.predict({"c": np.array([1, 9, 3, 2])})


BAD_TABLES = {
    "no column": (
        {"mass": [1], "Island": ["Dream"], "bill": [1], "code": ["7"]},
        "column 'island' is missing, the table has mass, Island, bill, code; did you mean 'Island'",
    ),
    "no column of a dict": ([{"mass": 1}], "row 0: column 'island' is missing, the table has mass"),
    "lengths": (columns() | {"bill": [1]}, "column 'bill' has 1 values, but column 'mass' has 3"),
    "width": ([ROWS[0][:3]], "row 0 has 3 values, should have 4: mass, island, bill, code"),
    "width of an array": (np.ones((2, 3)), "row 0 has 3 values, should have 4: mass, island, bill"),
    "one row": (np.ones(4), "rows has 1 dimensions, should be a data frame, a dict of columns"),
    "one dict": (dict(zip(NAMES, ROWS[0], strict=True)), "column 'mass' is of type float, should"),
    "a row of scalars": (ROWS[0], "row 0 is of type float, rows should be a data frame, a dict of"),
    "texts": (["abcd"], "row 0 is of type str, rows should be a data frame"),
    "a text": ("abcd", "rows is of type str, should be a data frame"),
    "nothing": (None, "rows is of type NoneType, should be a data frame"),
    "a text for a column": (columns() | {"island": "abc"}, "column 'island' is of type str"),
    "a matrix for a column": (columns() | {"mass": np.ones((3, 1))}, "column 'mass' has 2 dimens"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables(case):
    table, message = BAD_TABLES[case]
    for method in ("predict", "predict_proba", "transform"):
        with pytest.raises((TypeError, ValueError)) as caught:
            getattr(made(), method)(table)
        assert str(caught.value).startswith(f"{method}: {message}")


def test_a_column_that_is_there_twice():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame([[1, 2], [3, 4]], columns=["n", "n"])
    with refused(ValueError, "column 'n' is there 2 times, names should differ"):
        made(columns=(Number("n"),)).predict(table)


def test_outputs_that_are_not_finite():
    model = made(columns=(Number("n"),))
    model.net.layers[1].weight = np.full((16, 3), 3e38, np.float32)
    with refused(ValueError, "predict: row 1: the prediction is NaN or infinite"):
        model.predict([[0.0], [1e5]])


# ---- The command line --------------------------------------------------------------------------


def test_predict_of_the_command_line_is_the_same(tmp_path, capsys):
    rng = np.random.default_rng(1)
    rows = [
        [repr(v), "ab"[int(c)], "pq"[int(v > 1.7e12)]]
        for v, c in zip(rng.normal(1.7e12, 10, 50), rng.integers(0, 2, 50), strict=True)
    ]
    code, path = train(tmp_path, [["v", "c", "t"], *rows])
    assert code == 0
    capsys.readouterr()
    assert command_line.main(["predict", str(path), str(tmp_path / "data.csv")]) == 0
    _, *printed = csv.reader(io.StringIO(capsys.readouterr().out))
    model = cnn.load(path)
    assert [row[0] for row in printed] == model.predict([row[:2] for row in rows]).tolist()
    p = model.predict_proba([row[:2] for row in rows])
    np.testing.assert_allclose(np.array([row[1:] for row in printed], float), p, rtol=1e-5)


def test_what_is_shown_has_all_digits(tmp_path, capsys):
    """A mean of 1.7e12 was shown with 9 digits, 1.7 deviations off."""
    plan = Preprocessing((Number("t", 1700000000004.75, 1 / 3),), Number("y", -0.1, 1e-7))
    net = cnn.mlp([1, 1], "tanh", "identity", rng=0)
    net._network.set_metadata(metadata.COLUMNS, plan.to_json())
    net.save(tmp_path / "net")
    for command in (["show", "net"], ["export", "net", "--to", "c", "-o", "net.h"]):
        paths = [str(tmp_path / word) if word.startswith("net") else word for word in command]
        assert command_line.main(paths) == 0
        printed = capsys.readouterr().out
        assert "(t - 1700000000004.75) / 0.3333333333333333\n" in printed
        assert "y = output * 1e-07 + -0.1\n" in printed
    text = json.loads(cnn.load(tmp_path / "net").net._network.metadata[metadata.COLUMNS])
    assert text["columns"][0]["mean"] == 1700000000004.75
    assert "1700000000004.75" in (tmp_path / "net.h").read_text()


# ---- Numbers that stand for several texts ------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (7, ("7", "07")),
        (np.int64(7), ("7", "007", "x")),
        (3.1, ("3.1", "3.10")),
        (np.float32(0.1), ("0.1", ".1")),
        (Decimal("2.5"), ("2.5", "2.50")),
        (12345678901234568.0, ("12345678901234567", "12345678901234568")),
        (np.float32(16777217), ("16777216", "16777217")),
    ],
)
def test_numbers_do_not_choose_among_spellings(value, texts):
    with pytest.raises(ValueError, match="predict: row 0, column 'c' is "):
        of_categories(*texts).predict([[value]])


def test_endings_of_other_formats_are_refused(tmp_path):
    model = made(columns=(Number("n"),))
    for write, ending in (
        (model.to_c, "onnx"),
        (model.to_c, "safetensors"),
        (model.to_onnx, "h"),
        (model.save, "onnx"),
    ):
        with refused(ValueError, "whose ending is that of another format"):
            write(tmp_path / f"model.{ending}")
    assert list(tmp_path.iterdir()) == []


def test_a_copy_has_a_network_of_its_own():
    model = made(columns=(Number("n"),))
    assert copy.copy(model).net is not model.net
