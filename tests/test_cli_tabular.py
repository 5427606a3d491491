"""`cnn train --model tabular`, and the other commands on the files of estimators of cnn.tabular."""

import contextlib
import csv
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from tables import FAST, NUMBERS, TEXTS, assert_fails, predicted, run, write

import cnn
from cnn.cli import main as command_line
from cnn.tabular import TableModel, TabularClassifier, TabularRegressor, _recipe

TRAIN = ["train", *FAST, "--epochs", "40"]


def flowers():
    """Return iris with a text, a missing number, and categories that are numbers."""
    x, labels = load_iris(return_X_y=True)
    yield ["sepal length", "width", "petal", "plot", "wet", "species"]
    for i, (row, label) in enumerate(zip(x.tolist(), labels.tolist(), strict=True)):
        width = ("narrow", "wide", "NA")[int(row[1] > 3) if i % 9 else 2]
        petal = "" if i % 7 == 0 else row[2]
        name = ("setosa", "versicolor", "virginica")[label]
        yield [row[0], width, petal, 10 * (i % 3), str(row[3] > 1.5), name]


def patients():
    """Return the diabetes data with the sex as a text, and the blood pressure missing in places."""
    x, t = load_diabetes(return_X_y=True, scaled=False)
    yield ["age", "sex", "bmi", "pressure", "progression"]
    for i, (row, goal) in enumerate(zip(x.tolist(), t.tolist(), strict=True)):
        pressure = "?" if i % 11 == 0 else row[3]
        yield [int(row[0]), "mf"[int(row[1]) - 1], row[2], pressure, goal]


TABLES = {"classification": (flowers, "species"), "regression": (patients, "progression")}


def train(capsys, *arguments):
    code, out, err = run(capsys, "train", *arguments)
    assert code == 0, err
    return out


@pytest.fixture(scope="module", params=[*TABLES, "several"])
def trained(request, tmp_path_factory):
    """Return the file of a table, the model that was trained on it, and what was printed."""
    folder = tmp_path_factory.mktemp(request.param)
    task = "classification" if request.param == "several" else request.param
    table, target = TABLES[task]
    data, model = write(folder / "data.csv", list(table())), str(folder / "model.safetensors")
    options = ["--n-ens", "3"] if request.param == "several" else []
    options += ["--categories", "plot"] if task == "classification" else []
    command = [*TRAIN, data, "--target", target, "-o", model, "--model", "tabular", *options]
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        assert command_line.main(command) == 0, errors.getvalue()
    return data, model, target, (out.getvalue(), errors.getvalue()), options


# ---- Which model ---------------------------------------------------------------------------------

HOLES = [["a", "b", "t"], *([i, i if i % 5 else "", i % 2] for i in range(30))]


@pytest.mark.parametrize(
    ("rows", "options", "line"),
    [
        (NUMBERS, [], "dense, since all columns are numbers and none is missing; --model tabular"),
        (TEXTS, [], "tabular, since there are categories in b; --model dense is the other one"),
        (TEXTS, ["--drop", "b"], "dense, since all columns are numbers"),
        (NUMBERS, ["--categories", "a"], "tabular, since there are categories in a; --model"),
        (HOLES, [], "tabular, since there are missing values in b; --model dense is the other"),
        (HOLES, ["--missing", "drop"], "tabular, since there are missing values in b; --model"),
        (TEXTS, ["--l2", "0.1"], "dense, the one that has --l2"),
        (TEXTS, ["--folds", "3"], "dense, the one that has --folds"),
        (TEXTS, ["--shards", "1"], "dense, the one that has --shards"),
        (HOLES, ["--missing", "median"], "dense, the one that has --missing median"),
        (NUMBERS, ["--n-ens", "2"], "tabular, the one that has --n-ens"),
        (NUMBERS, ["--preset", "fast"], "tabular, the one that has --preset"),
        (NUMBERS, ["--preset", "realmlp"], "tabular, the one that has --preset"),
        (NUMBERS, ["--model", "tabular"], None),
        (TEXTS, ["--model", "dense"], None),
    ],
)
def test_the_choice_is_told(tmp_path, capsys, rows, options, line):
    data, model = write(tmp_path / "data.csv", rows), tmp_path / "model"
    options = ["--target", "t", "-o", model, "--epochs", "1", "--hidden", "4", *options]
    out = train(capsys, data, *options)
    found = [text for text in out.splitlines() if text.startswith("model ")]
    if line is None:
        assert found == []
        is_dense = "dense" in options
    else:
        assert len(found) == 1
        assert found[0].startswith(f"model {line}")
        is_dense = line.startswith("dense")
    assert isinstance(cnn.load(model), TableModel if is_dense else TabularClassifier)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "tabular", "--l2", "0"], "--l2 is given, which --model tabular does not have"),
        (["--model", "tabular", "--folds", "3"], "--folds is given, which --model tabular does"),
        (["--model", "tabular", "--shards", "1"], "--shards is given, which --model tabular does"),
        (["--model", "tabular", "--missing", "mean"], "--missing mean is given, which --model tab"),
        (["--model", "dense", "--preset", "fast"], "--preset is given, which --model dense does"),
        (["--model", "dense", "--n-ens", "1"], "--n-ens is given, which --model dense does not"),
        (
            ["--l2", "0", "--n-ens", "2"],
            "--l2 is given, which only --model dense has, and --n-ens,",
        ),
        (["--shards", "1", "--n-ens", "2"], "--shards is given, which only --model dense has, and"),
        (
            ["--n-ens", "2", "--seed", str(2**32)],
            "--seed is 4294967296, should be at most 42949672",
        ),
        (["--model", "tabular", "--missing", "error"], "row 1 (line 2), column 'b' is empty"),
        (["--missing", "error"], "row 1 (line 2), column 'b' is empty, should be a finite number"),
        (
            ["--task", "regression", "--class-weight", "balanced"],
            "class weights are given, but the",
        ),
        (
            ["--target", "b"],
            "row 1 (line 2), column 'b' is missing, should be known, since",
        ),
        (
            ["--model", "tabular", "--hold-out", "0", "--patience", "3"],
            "train: --patience is 3, but --hold-out 0 leaves no rows by which an epoch is better",
        ),
        (
            ["--model", "dense", "--hold-out", "0", "--patience", "3", "--missing", "drop"],
            "train: --patience is 3, but --hold-out 0 leaves no rows by which an epoch is better",
        ),
        (["--hold-out", "0.99"], "of 30 rows, 30 would be held out and none be left to learn from"),
        (["--lr", "1e30"], "became NaN or infinite in epoch"),
        (["--checkpoint", "c"], "--checkpoint is given, which only --shards N has"),
    ],
)
def test_refused_options(tmp_path, capsys, options, message):
    data, model = write(tmp_path / "data.csv", HOLES), tmp_path / "model"
    command = ["train", data, "--target", "t", "-o", model, "-q", "--hidden", "8", *options]
    assert_fails(capsys, command, message)
    assert not model.exists()


@pytest.mark.parametrize("options", [[], ["--model", "tabular"]])
def test_without_scikit_learn(tmp_path, capsys, monkeypatch, options):
    monkeypatch.setitem(sys.modules, "sklearn.utils.validation", None)
    data, model = write(tmp_path / "data.csv", TEXTS), tmp_path / "model"
    command = ["train", data, "--target", "t", "-o", model, "-q", *options]
    message = 'train: sklearn is not installed; pip install ".[sklearn]"'
    assert_fails(capsys, command, message)
    assert_fails(capsys, command, ", for --model tabular; --model dense does without")
    assert not model.exists()
    assert run(capsys, *command[: -len(options) or None], "--model", "dense", "--epochs", 1)[0] == 0


# ---- Training ------------------------------------------------------------------------------------


def test_what_is_printed(trained):
    data, model, target, (out, err), _ = trained
    lines = out.splitlines()
    assert lines.pop(0) == f"reading {data}"
    several = "several" in model
    if target == "species":
        assert lines[:4] == [
            f"{data}: 150 rows, 5 columns to learn from",
            "missing values, as features: width (17), petal (22)",
            "categories: width (2), plot (3), wet (2)",
            "target species: 3 classes (classification)",
        ]
        accuracy = re.match(r"held out: accuracy (\S+)%, \d+ of 30 rows \(always \w+: 3", lines[5])
        assert float(accuracy[1]) > 85
    else:
        assert lines[1:3] == ["missing values, as features: pressure (41)", "categories: sex (2)"]
        r2 = float(re.search(r"R2 (\S+) \(always the mean: RMSE ", lines[5])[1])
        assert r2 > 0.2
    start = "3 networks with hidden layers" if several else "network with hidden layers"
    learns = "120 rows, 30" if target == "species" else "354 rows, 88"
    assert lines[4] == f"{start} 32, for 40 epochs: learns from {learns} held out"
    end = r"epochs \d+, \d+, \d+ of 40, chosen by" if several else r"epoch \d+ of 40, the best on"
    assert re.fullmatch(f"saved to {re.escape(model)} \\({end} the held-out rows\\)", lines[6])
    errors = err.splitlines()
    assert sum(line.startswith("epoch 40/40: loss ") for line in errors) == (3 if several else 1)
    names = [line for line in errors if line.startswith("network ")]
    assert names == [f"network {i} of 3" for i in (1, 2, 3)] * several


def test_the_same_bytes(trained, tmp_path, capsys):
    data, model, target, _, options = trained
    again = tmp_path / "again.safetensors"
    command = [*TRAIN, data, "--target", target, "-o", str(again), "-q", *options]
    if "several" in model:  # the import of scikit-learn in another process takes seconds
        elsewhere = os.environ | {"CNN_ISA": "scalar", "CNN_NUM_THREADS": "3"}
        program = [sys.executable, "-P", "-m", "cnn"]
        assert subprocess.run([*program, *command], env=elsewhere, check=False).returncode == 0
    else:
        assert run(capsys, *command)[0] == 0
    assert again.read_bytes() == Path(model).read_bytes()


def test_options_are_parameters(tmp_path, capsys):
    data, model = write(tmp_path / "data.csv", TEXTS), tmp_path / "model"
    options = ["--hidden", "7,5", "--activation", "tanh", "--seed", "3", "--batch-size", "10"]
    options += ["--lr", "0.1", "--hold-out", "0.3", "--dropout", "0.4", "--patience", "2"]
    options += ["--n-ens", "2", "--class-weight", "balanced", "--epochs", "6", "-q"]
    out = train(capsys, data, "--target", "t", "-o", model, *options)
    assert "2 networks with hidden layers 7-5, for 6 epochs: learns from 21 rows, 9 held out" in out
    found = cnn.load(model)
    expected = TabularClassifier(
        hidden_layer_sizes=(7, 5), activation="tanh", random_state=3, batch_size=10, lr=0.1,
        validation_fraction=0.3, dropout=0.4, early_stopping=2, n_ens=2, class_weight="balanced",
        epochs=6, categorical_features=["b"],
    )  # fmt: skip
    assert found.get_params() == expected.get_params()
    kinds = [layer for layer in found.net_.layers if isinstance(layer, cnn.ParametricActivation)]
    assert [(kind.inputs, kind.activation) for kind in kinds] == [(7, "tanh"), (5, "tanh")]
    assert len(found.nets_) == 2


def test_it_trains_as_python_does(tmp_path, capsys, bits):
    """The rows that are held out aside, which are those of the dense model."""
    data, model = write(tmp_path / "data.csv", TEXTS), tmp_path / "model"
    train(capsys, data, "--target", "t", "-o", model, "-q", *FAST, "--hold-out", "0")
    table = {"a": np.arange(30.0), "b": ["xy"[i % 2] for i in range(30)]}
    settings = {"preset": "fast", "epochs": 8, "hidden_layer_sizes": (32,), "random_state": 0}
    expected = TabularClassifier(**settings, validation_fraction=0.0)
    expected.fit(table, np.arange(30) % 2)
    assert bits(cnn.load(model).predict_proba(table)) == bits(expected.predict_proba(table))


def test_a_row_is_too_few(tmp_path, capsys):
    data, model = write(tmp_path / "data.csv", [["b", "t"], ["x", 1.5], ["y", 2]]), tmp_path / "m"
    command = ["train", data, "--target", "t", "-o", model, "--model", "tabular"]
    assert_fails(capsys, command, f"{data}: 1 row is left to learn from, should be at least 2")


def test_categories_of_held_out_rows_alone(tmp_path, capsys):
    rows = [["a", "t"], *([f"n{i}", i % 2] for i in range(20))]
    data, model = write(tmp_path / "data.csv", rows), tmp_path / "model"
    out = train(capsys, data, "--target", "t", "-o", model, *FAST, "-q")
    assert "column a: only held-out rows have 4 of its categories, as missing values" in out
    assert len(cnn.load(model)._encoder.features[0].categories) == 16


def test_rows_with_missing_values_are_left_out(trained, tmp_path, capsys):
    data, _, target, *_ = trained
    out = train(
        capsys, data, "--target", target, "-o", tmp_path / "m", *FAST, "-q", "--missing", "drop"
    )
    left, rows = (36, 114) if target == "species" else (41, 401)
    assert f"missing values, {left} rows left out: " in out
    held = round(rows / 5)
    assert f"learns from {rows - held} rows, {held} held out" in out
    loaded = cnn.load(tmp_path / "m")
    assert not any(feature.missing for feature in loaded._encoder.features)


class Interrupting(_recipe.Best):
    """Ctrl-C comes after so many epochs, those of all networks together."""

    left = 0

    def on_epoch_end(self, epoch, logs):
        """Measure the error, or interrupt."""
        if Interrupting.left == 0:
            raise KeyboardInterrupt
        Interrupting.left -= 1
        super().on_epoch_end(epoch, logs)


@pytest.mark.parametrize(("epochs", "nets"), [(5, 1), (8, 1), (11, 2)])
def test_an_interrupt_keeps_the_best_epoch(tmp_path, capsys, monkeypatch, epochs, nets):
    monkeypatch.setattr(_recipe, "Best", Interrupting)
    monkeypatch.setattr(Interrupting, "left", epochs)
    data, model = write(tmp_path / "data.csv", TEXTS), tmp_path / "model"
    command = ["train", data, "--target", "t", "-o", model, *FAST, "-q", "--n-ens", "4"]
    code, out, err = run(capsys, *command)
    assert code == 130
    assert err == "cnn: interrupted; the model is that of the best epoch so far\n"
    assert "held out: accuracy " in out
    loaded = cnn.load(model)
    assert len(loaded.nets_) == len(loaded.best_epochs_) == nets
    assert loaded.best_epochs_[-1] <= epochs - 8 * (nets - 1)


@pytest.mark.parametrize("hold_out", ["0.2", "0"])
def test_an_interrupt_in_the_first_epoch(tmp_path, capsys, monkeypatch, hold_out):
    def interrupt(*_arguments, **_keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(cnn.Sequential, "fit", interrupt)
    data, model = write(tmp_path / "data.csv", TEXTS), tmp_path / "model"
    command = ["train", data, "--target", "t", "-o", model, *FAST, "-q", "--hold-out", hold_out]
    assert run(capsys, *command)[::2] == (130, "cnn: interrupted\n")
    assert not model.exists()
    with pytest.raises(KeyboardInterrupt):
        TabularClassifier(epochs=2).fit([[0.0], [1.0]], [0, 1])


# ---- Use -----------------------------------------------------------------------------------------


def columns_of(path):
    """Return the columns of a file's table as Python has them."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    table = {}
    for name, column in zip(names, zip(*rows, strict=True), strict=True):
        gone = [None if text in ("", "NA", "?") else text for text in column]
        try:
            table[name] = [None if text is None else float(text) for text in gone]
        except ValueError:
            truth = {"True": True, "False": False}
            table[name] = [truth.get(text, text) for text in gone]
    return table


def test_predictions_are_those_of_python(trained, capsys):
    data, path, target, *_ = trained
    head, *rows = predicted(capsys, path, data)
    model, table = cnn.load(path), columns_of(data)
    goal = table.pop(target)
    # As of a data frame: scikit-learn warns of a dict.
    x = model._encoder.transform("test", table, "error")
    if target == "species":
        names = ["setosa", "versicolor", "virginica"]
        assert head == ["species", *(f"P({name})" for name in names)]
        p = model._outputs(x)
        assert [row[1:] for row in rows] == [list(map(str, row)) for row in p]
        found = model.classes_[p.argmax(axis=1)].tolist()
        assert [row[0] for row in rows] == found
        assert np.mean([a == b for a, b in zip(found, goal, strict=True)]) > 0.9
    else:
        assert head == ["progression"]
        assert [row[0] for row in rows] == list(map(repr, model._outputs(x)[:, 0].tolist()))


def test_predictions_of_data_frames(trained, capsys):
    pandas = pytest.importorskip("pandas")
    data, path, target, *_ = trained
    frame = pandas.read_csv(data, na_values=["?"]).drop(columns=target)
    model = cnn.load(path)
    _, *rows = predicted(capsys, path, data)
    assert [row[0] for row in rows] == list(map(str, model.predict(frame).tolist()))
    if target == "species":
        assert frame["plot"].dtype == np.int64
        assert frame["wet"].dtype == bool
        p = model.predict_proba(frame)
        assert [row[1:] for row in rows] == [list(map(str, row)) for row in p]


def test_other_orders_and_columns(trained, capsys, tmp_path):
    data, path, target, *_ = trained
    expected = predicted(capsys, path, data)
    with Path(data).open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    turned = write(tmp_path / "t.csv", [[i, *row[-2::-1]] for i, row in enumerate(rows, start=7)])
    assert predicted(capsys, path, turned) == expected
    out = predicted(capsys, path, turned, "--id", "7", "--no-proba")
    assert out == [["7", target], *([str(i), row[0]] for i, row in enumerate(expected[1:], 8))]


def test_large_files_are_read_in_blocks(trained, capsys, tmp_path):
    data, path, *_ = trained
    expected = predicted(capsys, path, data)
    head, *rows = Path(data).read_text(encoding="utf-8").splitlines()
    large = tmp_path / "large.csv"
    large.write_text("\n".join([head, *(rows * 60)]) + "\n", encoding="utf-8")
    assert predicted(capsys, path, large) == [expected[0], *(expected[1:] * 60)]


def test_parquet(trained, capsys, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    data, path, target, _, options = trained
    frame = pandas.read_csv(data, na_values=["?"])
    frame.to_parquet(tmp_path / "data.parquet")
    assert predicted(capsys, path, tmp_path / "data.parquet") == predicted(capsys, path, data)
    again = tmp_path / "again"
    command = [tmp_path / "data.parquet", "--target", target, "-o", again, "-q", *FAST, *options]
    train(capsys, *command, "--epochs", "40")
    assert predicted(capsys, again, data) == predicted(capsys, path, data)


def test_evaluate(trained, capsys):
    data, path, target, *_ = trained
    code, out, err = run(capsys, "evaluate", path, data)
    assert (code, err) == (0, "")
    _, as_json, _ = run(capsys, "evaluate", path, data, "--json", "--target", target)
    scores = json.loads(as_json)
    model, table = cnn.load(path), columns_of(data)
    goal = table.pop(target)
    y = model._outputs(model._encoder.transform("test", table, "error"))
    if target == "species":
        codes = np.searchsorted(model.classes_.astype(str), goal)
        assert scores["accuracy"] == np.mean(y.argmax(axis=1) == codes)
        assert list(scores["classes"]) == ["setosa", "versicolor", "virginica"]
        assert f"accuracy  {scores['accuracy']:.1%}, " in out
    else:
        np.testing.assert_allclose(scores["rmse"], np.sqrt(np.mean((y[:, 0] - goal) ** 2)))
        assert f"RMSE      {scores['rmse']:.6g}\n" in out
    assert_fails(capsys, ["evaluate", path, data, "--target", "no"], "column 'no' is missing")
    name = next(iter(table))
    message = f"evaluate: --target is {name!r}, which the model learns from, should be another"
    assert_fails(capsys, ["evaluate", path, data, "--target", name], message)


def test_show(trained, capsys):
    _, path, target, *_ = trained
    _, out, _ = run(capsys, "show", path)
    net = cnn.load(path).net_
    assert out.startswith(f"{path}: {net.inputs} inputs, ")
    assert net.summary() in out
    assert ("\n3 networks like this one, whose outputs are averaged\n" in out) == (
        "several" in path
    )
    if target == "species":
        assert "\nColumns\n  sepal length  a number\n" in out
        width = "  width         a category: narrow, wide; was missing in some rows of training\n"
        assert width in out
        assert "  plot          a category: 0, 10, 20\n" in out
        assert "Outputs (classification)\n  species       probabilities of setosa, " in out
    else:
        assert "Outputs (regression)\n  progression  a number\n" in out
    assert out.endswith("\n\nSeed: 0\n")


def test_export(trained, capsys, tmp_path):
    """The files are those of the estimator's own methods."""
    _, path, target, *_ = trained
    estimator = cnn.load(path)
    formats = {"c": "NAME_predict takes the raw values of a row"}
    if importlib.util.find_spec("onnx"):
        formats["onnx"] = "It takes the raw values of columns by their names"
    for to, takes in formats.items():
        output, expected = tmp_path / f"model.{to}", tmp_path / f"expected.{to}"
        code, out, err = run(capsys, "export", path, "--to", to, "-o", output)
        assert (code, err) == (0, "")
        if to == "c":
            estimator.to_c(expected, name="model")
        else:
            estimator.to_onnx(expected)
        assert output.read_bytes() == expected.read_bytes()
        assert out.startswith(f"saved to {output}\n{takes.replace('NAME', 'model')}, and does")
        assert f"\n  {target} " in out


def test_categories_that_are_not_known(tmp_path, capsys):
    data, model = write(tmp_path / "data.csv", TEXTS), tmp_path / "model"
    train(capsys, data, "--target", "t", "-o", model, "-q", *FAST)
    rows = [["a", "b"], [1, "x"], [2, "z"], [3, "q"], [4, ""], [5, "z"]]
    other = write(tmp_path / "other.csv", rows)
    note = (
        f"{other}: row 2, column 'b' is 'z', which fit did not see: x, y; it counts as missing, "
        f"and so do others of its kind\n"
    )
    code, out, err = run(capsys, "predict", model, other)
    assert (code, err) == (0, note)
    gone = write(tmp_path / "gone.csv", [[a, "" if b in "zq" else b] for a, b in rows])
    assert run(capsys, "predict", model, gone) == (0, out, "")
    with_target = write(tmp_path / "t.csv", [["t", *rows[0]], *([0, *row] for row in rows[1:])])
    assert run(capsys, "evaluate", model, with_target)[2] == note.replace(other, with_target)
    loaded = cnn.load(model)
    for unseen, expected in (("ignore", (0, out, "")), ("error", (1, ""))):
        loaded.set_params(unseen=unseen).save(model)
        assert run(capsys, "predict", model, other)[: len(expected)] == expected
    assert_fails(capsys, ["predict", model, other], "row 2, column 'b' is 'z', which fit did not")


def test_bad_tables(trained, capsys, tmp_path):
    data, path, target, *_ = trained
    head, *rows = Path(data).read_text(encoding="utf-8").splitlines()
    number = 0 if target == "species" else 2
    fields = rows[3].split(",")
    fields[number] = "many"
    bad = tmp_path / "bad.csv"
    bad.write_text("\n".join([head, *rows[:3], ",".join(fields)]) + "\n", encoding="utf-8")
    message = f"row 4 (line 5), column {head.split(',')[number]!r} is 'many', should be a finite"
    assert_fails(capsys, ["predict", path, bad], message)
    fields[number], fields[-1] = "1", "unknown"
    bad.write_text("\n".join([head, *rows[:3], ",".join(fields)]) + "\n", encoding="utf-8")
    assert run(capsys, "predict", path, bad)[0] == 0
    assert_fails(capsys, ["evaluate", path, bad], f"column {target!r} is 'unknown', should be")
    bad.write_text(head.partition(",")[2] + "\n", encoding="utf-8")
    assert_fails(capsys, ["predict", path, bad], f"column {head.partition(',')[0]!r} is missing")
    if target == "progression":
        message = "--proba needs classes, but the model predicts the number 'progression'"
        assert_fails(capsys, ["predict", path, data, "--proba"], message)


def test_formats_are_kept(tmp_path, capsys):
    rows = ["a;b;t", *(f"{i},5;{'x' if i % 3 else '-'};{'uv'[i % 2]}" for i in range(30))]
    data, model = tmp_path / "data.csv", tmp_path / "model"
    data.write_text("\n".join(rows) + "\n", encoding="utf-8")
    options = ["--decimal", ",", "--missing=-", "-q"]
    train(capsys, data, "--target", "t", "-o", model, *FAST, *options)
    assert cnn.load(model)._encoder.features[1].categories == ["x"]
    _, *found = predicted(capsys, model, data)
    point = tmp_path / "point.csv"
    point.write_text(data.read_text().replace(",", ".").replace("-", "?"), encoding="utf-8")
    assert predicted(capsys, model, point, "--decimal", ".", "--missing", "?")[1:] == found
    assert "Numbers of tables have a , before their decimals" in run(capsys, "show", model)[1]


# ---- Help ----------------------------------------------------------------------------------------


def test_help_tells_the_defaults_of_both(capsys):
    with pytest.raises(SystemExit):
        command_line.main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "(default of dense 64,64; of tabular 256,256,256, 128,128 with --preset fast)" in text
    epochs = "of tabular 64, 19 with --preset fast, 256 with --preset realmlp)"
    assert f"(default of dense 1000; {epochs}" in text
    assert "--preset {default,fast,realmlp}" in text
    recipe = TabularClassifier(preset="fast")._settings("test")
    assert (recipe.hidden, recipe.epochs, recipe.lr) == ((128, 128), 19, 0.08)
    slow = TabularRegressor()._settings("test"), TabularClassifier()._settings("test")
    assert [(r.hidden, r.epochs, r.lr) for r in slow] == [
        ((256, 256, 256), 64, lr) for lr in (0.2, 0.08)
    ]
    assert "0.2 for numbers, 0.08 for classes, and 0.04 for these with --preset realmlp)" in text
    published = TabularClassifier(preset="realmlp")._settings("test")
    assert (published.hidden, published.epochs, published.lr) == ((256, 256, 256), 256, 0.04)
