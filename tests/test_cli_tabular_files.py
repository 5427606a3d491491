"""The commands on files of estimators that Python saved, and damaged files; texts as values."""

import json

import numpy as np
import pytest
from refused import refused
from tables import FAST, NUMBERS, TEXTS, assert_fails, predicted, run, write

import cnn
from cnn import _core
from cnn.tabular import TabularClassifier, TabularRegressor
from cnn.tabular._estimator_tables import plain

# ---- Estimators from Python ----------------------------------------------------------------------

TABLE = {
    "number": [0.5 * i for i in range(30)],
    "count": [None if i % 4 == 0 else i % 3 for i in range(30)],
    "yes": [i % 2 == 0 for i in range(30)],
}


def test_estimators_from_python(tmp_path, capsys):
    path = tmp_path / "model.safetensors"
    settings = {"epochs": 5, "hidden_layer_sizes": (8,), "random_state": 0}
    model = TabularClassifier(**settings, categorical_features=["count", "yes"])
    counts = [None if v is None else float(v) for v in TABLE["count"]]
    labels = [bool(i % 3) for i in range(30)]
    model.fit(TABLE | {"count": counts}, labels).save(path)
    rows = [["number", "count", "yes", "t"]]
    for i, columns in enumerate(zip(*TABLE.values(), strict=True)):
        number, count, yes = columns
        texts = [
            "" if count is None else count,
            ("true", "TRUE", "True")[i % 3] if yes else "false",
        ]
        rows.append([number, *texts, str(labels[i]).upper()])
    data = write(tmp_path / "data.csv", rows)
    head, *found = predicted(capsys, path, data)
    assert head == ["prediction", "P(False)", "P(True)"]
    p = model.predict_proba(TABLE)
    assert [row[1:] for row in found] == [list(map(str, row)) for row in p]
    message = "the file does not say which column the target is, since it was saved in Python"
    assert_fails(capsys, ["evaluate", path, data], message)
    _, out, _ = run(capsys, "evaluate", path, data, "--target", "t", "--json")
    assert json.loads(out)["accuracy"] == model.score(TABLE, labels)
    assert "  prediction  probabilities of False, True\n" in run(capsys, "show", path)[1]


def test_infrequent_categories(tmp_path, capsys):
    """Those of an estimator from Python, and categories that are not known, are one category."""
    path, rows = tmp_path / "model", {"c": ["x", "y"] * 14 + ["rare", "seldom"]}
    settings = {"epochs": 5, "hidden_layer_sizes": (8,), "random_state": 0, "n_ens": 2}
    model = TabularClassifier(**settings, min_frequency=3).fit(rows, list("uv" * 14 + "uu"))
    model.save(path)
    assert (
        "\n  c           a category: x, y; infrequent: rare, seldom\n"
        in run(capsys, "show", path)[1]
    )
    data = write(tmp_path / "data.csv", [["c"], ["x"], ["rare"], ["seldom"], ["new"], ["y"]])
    code, out, err = run(capsys, "predict", path, data)
    note = "row 4, column 'c' is 'new', which fit did not see: x, y, rare and 1 more; it counts as"
    assert (code, err) == (0, f"{data}: {note} infrequent, and so do others of its kind\n")
    known = model.predict_proba({"c": ["x", "rare", "seldom", "rare", "y"]})
    found = [line.split(",")[1:] for line in out.splitlines()[1:]]
    assert found == [list(map(str, row)) for row in known]
    TabularClassifier(**settings, min_frequency=99).fit(rows, [0, 1] * 15).save(path)
    assert "  a category: none; infrequent: rare, seldom, x, y\n" in run(capsys, "show", path)[1]


def test_estimators_that_are_refused(tmp_path, capsys):
    path, data = tmp_path / "model", write(tmp_path / "data.csv", NUMBERS)
    settings = {"epochs": 2, "hidden_layer_sizes": (8,), "random_state": 0}
    t = np.arange(30.0)
    days = np.datetime64("2020-01-01") + np.arange(30)
    TabularRegressor(**settings).fit({"day": days}, t).save(path)
    for command in ("predict", "evaluate"):
        message = "column 'day' has dates, which the command line does not read; in Python, predict"
        assert_fails(capsys, [command, path, data], message)
    assert "  day         a date\n" in run(capsys, "show", path)[1]
    TabularRegressor(**settings).fit({"a": t}, np.stack([t, -t], axis=1)).save(path)
    assert_fails(
        capsys, ["predict", path, data], "the model predicts 2 numbers for a row, of which"
    )
    assert "  prediction  2 numbers\n" in run(capsys, "show", path)[1]


# ---- Files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"target": "t"', '"target": ""'),
        ('"target": "t"', '"target": 3'),
        ('"target": "t"', '"target": "a"'),
        ('"target": "t"', '"target": "\\ud800"'),
        ('"decimal": "."', '"decimal": "e"'),
        ('"missing": ["", ', '"missing": [3, '),
        ('"missing": ["", ', '"gone": ["", '),
        ('"table": {', '"table": 3, "more": {'),
    ],
)
def test_damaged_files(tmp_path, capsys, old, new):
    data, path = write(tmp_path / "data.csv", TEXTS), tmp_path / "model"
    assert run(capsys, "train", data, "--target", "t", "-o", path, "-q", *FAST)[0] == 0
    network = _core.Network.load(str(path))
    text = network.get_metadata("tabular")
    assert old in text
    network.set_metadata("tabular", text.replace(old, new))
    network.save(str(path))
    with refused(cnn.ModelFileError, "the file's tabular is not one: "):
        cnn.load(path)
    assert_fails(capsys, ["predict", path, data], "should be a file that 'train' or net.save wrote")


def test_fit_again_forgets_the_table(tmp_path, capsys):
    data, path = write(tmp_path / "data.csv", TEXTS), tmp_path / "model"
    assert run(capsys, "train", data, "--target", "t", "-o", path, "-q", *FAST)[0] == 0
    before = path.read_bytes()
    model = cnn.load(path)
    model.save(path)
    assert path.read_bytes() == before
    model.fit({"a": np.arange(30.0), "b": ["x", "y"] * 15}, ["p", "q"] * 15).save(path)
    assert_fails(capsys, ["evaluate", path, data], "the file does not say which column the target")


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["7", "8", "-1"], [7, 8, -1]),
        (["1.5", "2"], [1.5, 2]),
        (["07", "8"], ["07", "8"]),
        (["1", "1.0"], ["1", "1.0"]),
        (["True", "False"], [True, False]),
        (["True"], [True]),
        (["true", "false"], ["true", "false"]),
        (["True", "1"], ["True", "1"]),
        (["inf", "1"], ["inf", "1"]),
        (["9007199254740993"], ["9007199254740993"]),
        (["x", "1"], ["x", "1"]),
    ],
)
def test_what_texts_stand_for(texts, values):
    found = plain(texts)
    assert found == values
    assert list(map(type, found)) == list(map(type, values))
    assert list(map(str, found)) == texts
