"""`TableModel.fit` and `evaluate`: all kinds of tables, missing values, training, refusals."""

import html
import json
import re

import numpy as np
import pandas as pd
import pytest
from refused import refused
from tables import train

import cnn
from cnn import metrics
from cnn._tables import preprocessing
from cnn.tabular import TableModel

QUICK = {"epochs": 3, "rng": 0, "progress": False}


def rows_of(n=60, gaps=False):
    """Return columns of numbers, categories and truth values, and two targets."""
    rng = np.random.default_rng(0)
    size = rng.normal(size=n).round(3).tolist()
    skin = [str(s) for s in rng.choice(["rough", "smooth", "waxy"], n)]
    ripe = [bool(b) for b in rng.integers(0, 2, n)]
    goal = [2 * v + (s == "waxy") for v, s in zip(size, skin, strict=True)]
    if gaps:
        size[3] = size[40] = skin[5] = skin[6] = None
    fruit = ["apple" if v > 0 else "lychee" for v in goal]
    return {"size": size, "skin": skin, "ripe": ripe, "weight": goal, "fruit": fruit}


def weights_of(model):
    return [layer.weight for layer in model.net.layers]


def assert_same(model, other):
    assert model.net._network.get_metadata("preprocessing") == other.net._network.get_metadata(
        "preprocessing"
    )
    for a, b in zip(weights_of(model), weights_of(other), strict=True):
        np.testing.assert_array_equal(a, b)


def frames(data):
    """Yield a table in each supported form."""
    yield pd.DataFrame(data)
    yield pd.DataFrame(data).convert_dtypes()
    yield pd.DataFrame(data).astype({"skin": "category", "fruit": "category"})
    yield [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)]
    yield {name: np.array(column, object) for name, column in data.items()}


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("target", ["fruit", "weight"])
def test_tables_of_all_kinds_train_alike(gaps, target):
    data = rows_of(gaps=gaps)
    options = QUICK | {"target": target, "missing": "category" if gaps else "error"}
    expected = TableModel.fit(data, **options)
    assert expected.categories["ripe"] == ("False", "True")
    for frame in frames(data):
        assert_same(TableModel.fit(frame, **options), expected)
    dtype = [("size", "f8"), ("skin", "U9"), ("ripe", "?"), ("weight", "f8"), ("fruit", "U9")]
    if not gaps:
        rows = np.array(list(zip(*data.values(), strict=True)), dtype)
        assert_same(TableModel.fit(rows, **options), expected)


def test_polars_and_arrow_train_alike():
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    data = rows_of(gaps=True)
    options = QUICK | {"target": "fruit", "missing": "median"}
    expected = TableModel.fit(data, **options)
    polars = pl.DataFrame(data)
    enum = polars.with_columns(pl.col("skin").cast(pl.Categorical))
    for frame in (
        polars,
        enum,
        pa.table(data),
        pd.DataFrame(data).convert_dtypes(dtype_backend="pyarrow"),
    ):
        assert_same(TableModel.fit(frame, **options), expected)


@pytest.mark.parametrize("target", ["fruit", "weight"])
@pytest.mark.parametrize("policy", ["mean", "median", "category", "drop"])
def test_a_file_and_a_frame_of_its_texts_have_the_same_bits(tmp_path, target, policy):
    data = rows_of(gaps=True)
    texts = {n: ["NA" if v is None else str(v) for v in column] for n, column in data.items()}
    rows = [list(texts), *zip(*texts.values(), strict=True)]
    code, path = train(tmp_path, rows, "--missing", policy, target=target)
    assert code == 0
    options = {"target": target, "missing": policy, "epochs": 2, "rng": 0}
    assert_same(TableModel.fit(texts, **options), cnn.load(path))
    # Numbers that are no texts are the same numbers.
    assert_same(TableModel.fit(data, **options), cnn.load(path))


# ---- Missing values ----------------------------------------------------------------------------


def plan_of(model):
    return preprocessing.of_network(model.net._network, "m")


@pytest.mark.parametrize("policy", ["mean", "median"])
def test_missing_values_are_replaced(policy):
    data = rows_of(gaps=True)
    model = TableModel.fit(data, target="fruit", missing=policy, hold_out=0, drop="weight", **QUICK)
    sizes = [v for v in data["size"] if v is not None]
    fill = np.mean(sizes) if policy == "mean" else np.median(sizes)
    skins = [s for s in data["skin"] if s is not None]
    most = max(sorted(set(skins)), key=skins.count)
    # numpy adds in another order than fsum.
    np.testing.assert_allclose(plan_of(model).fillings[0].value, fill, rtol=1e-12)
    filled = model.transform([[plan_of(model).fillings[0].value, most, True]])
    np.testing.assert_array_equal(model.transform([[None, None, True]]), filled)
    np.testing.assert_array_equal(model.transform([["NA", "", "True"]]), filled)
    np.testing.assert_array_equal(model.transform([[np.nan, pd.NA, None]])[:, :4], filled[:, :4])


def test_missing_values_have_an_input_of_their_own():
    model = TableModel.fit(
        rows_of(gaps=True), target="fruit", missing="category", drop="weight", **QUICK
    )
    assert model.net.layers[0].inputs == 2 + 4 + 2
    x = model.transform([[None, None, False], [0.0, "waxy", False]])
    mean, scale = plan_of(model).columns[0].mean, plan_of(model).columns[0].scale
    expected = [[0, 1, 0, 0, 0, 1, 1, 0], [-mean / scale, 0, 0, 0, 1, 0, 1, 0]]
    np.testing.assert_array_equal(x, np.array(expected, np.float32))
    assert "  0-1  size   (size - " in model.summary()
    assert "if missing, 1 in input 5" in model.summary()


def test_what_is_missing_in_no_training_row_is_replaced():
    model = TableModel.fit(rows_of(), target="fruit", missing="category", drop="weight", **QUICK)
    assert model.net.layers[0].inputs == 1 + 3 + 2
    assert len(model.predict([[None, None, None]])) == 1


def test_rows_with_missing_values_are_left_out():
    data = rows_of(gaps=True)
    data["fruit"][0] = None
    data["skin"][1] = "hairy"
    data["size"][1] = None
    model = TableModel.fit(data, target="fruit", drop="weight", missing="drop", **QUICK)
    gone = [i for i, row in enumerate(zip(*data.values(), strict=True)) if None in row]
    assert len(gone) == 6
    rest = {n: [v for i, v in enumerate(c) if i not in gone] for n, c in data.items()}
    assert_same(model, TableModel.fit(rest, target="fruit", drop="weight", **QUICK))
    assert model.categories["skin"] == ("rough", "smooth", "waxy")
    with refused(ValueError, "predict: row 0, column 'size' is missing"):
        model.predict([[None, "waxy", True]])


def test_files_keep_what_missing_values_become(tmp_path):
    data = rows_of(gaps=True)
    for policy, version in (("category", 3), ("median", 3), ("drop", 2)):
        model = TableModel.fit(data, target="weight", missing=policy, **QUICK)
        model.save(tmp_path / "m.safetensors")
        again = cnn.load(tmp_path / "m.safetensors")
        assert again.summary() == model.summary()
        text = again.net._network.get_metadata("preprocessing")
        assert json.loads(text)["format"] == version
        assert ("indicator" in text) == (version == 3)
        if version == 3:
            np.testing.assert_array_equal(again.predict(data), model.predict(data))


def test_missing_values_are_refused():
    data = rows_of(gaps=True)
    with refused(
        ValueError, "fit: row 3, column 'size' is missing, should be a finite number or a"
    ):
        TableModel.fit(data, target="fruit", **QUICK)
    data["fruit"][7] = ""
    for policy in ("mean", "category"):
        with refused(
            ValueError, "fit: row 7, column 'fruit' is missing, should be known, since it"
        ):
            TableModel.fit(data, target="fruit", missing=policy, **QUICK)
    with refused(ValueError, "fit: column 'size' has no values in the rows to learn from"):
        TableModel.fit(data | {"size": [None] * 60}, target="weight", missing="mean", **QUICK)
    with refused(ValueError, "each row has a missing value, so that none is left"):
        TableModel.fit(data | {"size": [None] * 60}, target="weight", missing="drop", **QUICK)


# ---- Training ----------------------------------------------------------------------------------


def test_the_best_epoch_is_kept():
    model = TableModel.fit(rows_of(200), target="weight", rng=0, lr=0.03, patience=3, l2=0.0)
    losses = model.history_.val_loss
    assert model.best_epoch_ == 1 + int(np.argmin(losses))
    assert len(losses) == model.best_epoch_ + 3
    assert model.net.epochs == len(losses)
    assert model.scores_["r2"] > 0.9
    assert model.scores_["rows"] == 40


def test_noise_is_not_learnt():
    # A small network without a penalty fits the noise of 100 rows.
    rng = np.random.default_rng(1)
    x, noise = rng.normal(size=(2000, 8)), rng.normal(size=2000)
    columns = {f"x{i}": x[:, i] for i in range(8)} | {"t": x[:, 0] + x[:, 1] + 2 * noise}
    some = {name: column[:100] for name, column in columns.items()}
    others = {name: column[100:] for name, column in columns.items()}
    model = TableModel.fit(some, target="t", rng=0)
    fitted = TableModel.fit(some, target="t", rng=0, l2=0.0, hold_out=0, epochs=200)
    assert model.evaluate(others)["r2"] > 0.15
    assert fitted.evaluate(others)["r2"] < 0


def test_tiny_weights_do_not_become_denormal():
    model = TableModel.fit(rows_of(), target="weight", rng=0, patience=1000, epochs=400, l2=0.5)
    sizes = np.abs(np.concatenate([weight.ravel() for weight in weights_of(model)]))
    assert sizes.min() >= np.float32(1e-8)
    assert (sizes < 1e-7).any()


def test_classes_that_are_balanced():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, 190), rng.normal(1.0, 1, 10)])
    table = {"x": x, "t": ["no"] * 190 + ["yes"] * 10}
    options = {"target": "t", "rng": 0, "epochs": 60}
    plain = TableModel.fit(table, **options).evaluate(table)["classes"]["yes"]["recall"]
    for weight in ("balanced", {"yes": 19.0}):
        model = TableModel.fit(table, class_weight=weight, **options)
        assert model.evaluate(table)["classes"]["yes"]["recall"] >= max(0.5, plain + 0.3)


def test_callbacks_and_dropout():
    seen = []
    callback = cnn.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    data = rows_of()
    model = TableModel.fit(data, target="fruit", callbacks=[callback], dropout=0.5, **QUICK)
    assert seen == [1, 2, 3]
    assert "Dropout" in model.net.summary()


def test_an_interrupt_keeps_the_best_epoch():
    def interrupt(epoch, *logs):
        if epoch == 3:
            raise KeyboardInterrupt

    callback = cnn.LambdaCallback(on_epoch_end=interrupt)
    options = {"target": "fruit", "rng": 0, "lr": 0.03}
    with pytest.warns(UserWarning, match="fit: interrupted; the model is that of the best epoch"):
        model = TableModel.fit(rows_of(), callbacks=[callback], epochs=9, **options)
    assert_same(model, TableModel.fit(rows_of(), epochs=3, **options))
    assert model.scores_["rows"] == 12
    callback = cnn.LambdaCallback(on_epoch_begin=lambda epoch: interrupt(epoch + 2))
    with pytest.raises(KeyboardInterrupt):
        TableModel.fit(rows_of(), callbacks=[callback], **options)


# ---- Evaluation --------------------------------------------------------------------------------


def test_evaluate_classes():
    data = rows_of(100)
    model = TableModel.fit(data, target="fruit", rng=0, epochs=20)
    p = model.predict_proba(data)
    t = [model.classes.index(name) for name in data["fruit"]]
    found = model.evaluate(pd.DataFrame(data))
    assert found["rows"] == 100
    assert found["accuracy"] == np.mean(model.predict(data) == np.array(data["fruit"]))
    assert found["log_loss"] == metrics.log_loss(t, p)
    assert found["auc"] == metrics.auc(t, p)
    each = metrics.class_scores(t, p)
    assert found["classes"]["lychee"] == {
        "precision": each.precision[1],
        "recall": each.recall[1],
        "f1": each.f1[1],
        "support": t.count(1),
    }
    one = {name: column[:1] for name, column in data.items()}
    assert model.evaluate(one)["auc"] is None


def test_evaluate_numbers():
    data = rows_of(100)
    model = TableModel.fit(data, target="weight", rng=0, epochs=20)
    y, t = model.predict(data), np.array(data["weight"])
    found = model.evaluate(data)
    np.testing.assert_allclose(found["rmse"], np.sqrt(np.mean((y - t) ** 2)), rtol=1e-12)
    np.testing.assert_allclose(found["mae"], np.mean(np.abs(y - t)), rtol=1e-12)
    np.testing.assert_allclose(found["r2"], metrics.r2(t, y), rtol=1e-9)
    assert model.evaluate({name: column[:1] for name, column in data.items()})["r2"] is None


def test_evaluate_refuses():
    model = TableModel.fit(rows_of(), target="fruit", missing="mean", **QUICK)
    data = rows_of()
    with refused(ValueError, "evaluate: column 'fruit' is missing, the table has size"):
        model.evaluate({name: data[name] for name in model.columns})
    with refused(ValueError, "evaluate: row 2, column 'fruit' is missing, should be one of apple"):
        model.evaluate(data | {"fruit": ["apple", "apple", None, *data["fruit"][3:]]})
    with refused(ValueError, "evaluate: row 0, column 'fruit' is 'kiwi', should be one of apple"):
        model.evaluate(data | {"fruit": ["kiwi"] * 60})
    with refused(ValueError, "evaluate: rows has no rows, should have at least 1"):
        model.evaluate({name: [] for name in data})


def test_notebooks_show_a_summary():
    data = {"<b>": [1.0, 2.0, 3.0] * 4, "t": ["x", "y", "z"] * 4}
    model = TableModel.fit(data, target="t", **QUICK)
    assert repr(model.summary()) == str(model.summary())
    shown = model._repr_html_()
    assert "<b>" not in shown
    cells = [cell.partition(">")[2] for cell in re.split("<(?=t[hd] )", shown)]
    texts = [html.unescape(cell.partition("</")[0]) for cell in cells]
    for text in ("Inputs", "<b>", "Target", "probabilities of x, y, z", "Dense", "softmax"):
        assert text in texts


# ---- Refusals ----------------------------------------------------------------------------------

DAYS = pd.date_range("2024-01-01", periods=60)
BAD = {
    "no table": ("x", {}, TypeError, "fit: table is of type str, should be a data frame, an Arrow"),
    "lazy": (
        type("LazyFrame", (), {"columns": ["a"], "collect": None})(),
        {},
        TypeError,
        "fit: table is of type LazyFrame, should be a data frame",
    ),
    "no names": ([[1, 2]], {}, TypeError, "fit: table is of type list, should be a data frame"),
    "target": (
        None,
        {"target": "Fruit"},
        ValueError,
        "'Fruit', which is missing; the table has si",
    ),
    "target type": (None, {"target": 3}, TypeError, "fit: target is of type int, should be a str"),
    "drop": (None, {"drop": ["x"]}, ValueError, "fit: drop has column 'x', which is missing"),
    "drop type": (None, {"drop": 3}, TypeError, "fit: drop is of type int, should be a list"),
    "drop target": (None, {"drop": "fruit"}, ValueError, "is the target, and cannot be left out"),
    "task": (
        None,
        {"task": "cluster"},
        ValueError,
        "fit: task is 'cluster', should be one of auto",
    ),
    "missing": (
        None,
        {"missing": "mode"},
        ValueError,
        "fit: missing is 'mode', should be one of err",
    ),
    "hidden": (
        None,
        {"hidden": 5},
        TypeError,
        "fit: hidden is of type int, should be a list of nu",
    ),
    "size": (None, {"hidden": [0]}, ValueError, "fit: hidden[0] is 0, should be at least 1"),
    "epochs": (None, {"epochs": 0}, ValueError, "fit: epochs is 0, should be at least 1"),
    "batch": (None, {"batch_size": 0}, ValueError, "fit: batch_size is 0, should be at least 1"),
    "lr": (None, {"lr": 0}, ValueError, "fit: lr is 0, should be finite and more than 0"),
    "l2": (None, {"l2": -1.0}, ValueError, "fit: l2 is -1"),
    "dropout": (None, {"dropout": 1.0}, ValueError, "fit: dropout is 1"),
    "share": (None, {"hold_out": 1.0}, ValueError, "fit: hold_out is 1"),
    "patience": (None, {"patience": 0}, ValueError, "fit: patience is 0, should be at least 1"),
    "rng": (None, {"rng": "x"}, TypeError, "fit: rng is of type str, should be an int, a numpy"),
    "weights": (
        None,
        {"class_weight": "even"},
        ValueError,
        "fit: class_weight is 'even', should be",
    ),
    "class": (
        None,
        {"class_weight": {"kiwi": 1}},
        ValueError,
        "class_weight has 'kiwi', should be",
    ),
    "number": (
        None,
        {"class_weight": "balanced", "target": "weight"},
        ValueError,
        "fit: class weights are given, but the target 'weight' is a number",
    ),
    "dates": (
        rows_of() | {"day": DAYS},
        {},
        TypeError,
        "fit: column 'day' holds dates or times, which should become numbers, such as days since",
    ),
    "days": (
        rows_of() | {"day": [day.date() for day in DAYS]},
        {},
        TypeError,
        "fit: column 'day' holds dates or times, which should become numbers",
    ),
    "complex": (rows_of() | {"z": np.ones(60) * 1j}, {}, TypeError, "'z' holds complex numbers"),
    "object": (rows_of() | {"z": [{}] * 60}, {}, TypeError, "row 0, column 'z' is {} of type dict"),
    "infinite": (
        rows_of() | {"z": [np.inf] * 60},
        {},
        ValueError,
        "row 0, column 'z' is inf, should",
    ),
    "length": (
        rows_of() | {"z": [1.0]},
        {},
        ValueError,
        "column 'z' has 1 values, but column 'size'",
    ),
    "empty": ({"a": [], "fruit": []}, {}, ValueError, "fit: the table has no rows"),
    "only target": (
        {"fruit": ["x", "y"]},
        {},
        ValueError,
        "there is no column to learn from, only",
    ),
    "one class": (
        {"a": [1, 2], "fruit": ["x", "x"]},
        {},
        ValueError,
        "always 'x', should have at l",
    ),
    "mixture": (
        rows_of() | {"z": ["1", "two"] * 30},
        {},
        ValueError,
        "fit: column 'z' has '1' in row 0, but 'two' in row 1; should be numbers throughout, or "
        "categories by categories=['z']",
    ),
    "name": (
        pd.DataFrame([[1, 2]]),
        {},
        ValueError,
        "fit: a column has the name 0, should be a text",
    ),
    "rows": (
        [{"a": 1, "fruit": "x"}, {"a": 1}],
        {},
        ValueError,
        "rows 0 and 1 have different columns",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(case):
    table, options, kind, message = BAD[case]
    with refused(kind, message):
        TableModel.fit(
            rows_of() if table is None else table, **{"target": "fruit"} | QUICK | options
        )
