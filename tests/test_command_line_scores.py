"""`cnn evaluate`, and the options of `train` and `predict` on scores, missing values and folds."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from tables import QUALITY, content, predicted, run, train, trained, write

import cnn
from cnn.callbacks import EarlyStopping
from cnn.cli import main as command_line

# A table of two columns, of which the second one misses values.
GAPS = [
    ["size", "skin", "fruit"],
    *(
        [i % 7 if i % 5 else "NA", "?" if i % 6 == 0 else "xyz"[i % 3], "ab"[i % 2]]
        for i in range(60)
    ),
]


# ---- evaluate ----------------------------------------------------------------------------------


def test_evaluate_classes(tmp_path, capsys):
    code, model = train(tmp_path, QUALITY, "--drop", "id")
    data = tmp_path / "data.csv"
    capsys.readouterr()
    code, out, _ = run(capsys, "evaluate", model, data)
    assert code == 0
    expected = cnn.load(model).evaluate(pd.read_csv(data))
    lines = out.splitlines()
    assert lines[0] == f"{data}: 60 rows"
    right = round(60 * expected["accuracy"])
    assert lines[1].endswith(f"%, {right} of 60 rows")
    assert lines[2] == f"log loss  {expected['log_loss']:.4f}"
    assert lines[3].startswith(f"ROC AUC   {expected['auc']:.4f} (mean over the classes")
    assert lines[5].split() == ["class", "precision", "recall", "F1", "support"]
    assert [line.split()[0] for line in lines[6:]] == list("012345")
    assert [line.split()[-1] for line in lines[6:]] == ["10"] * 6
    code, out, _ = run(capsys, "evaluate", model, data, "--json")
    assert json.loads(out) == expected


def test_evaluate_numbers(tmp_path, capsys):
    code, model = train(tmp_path, QUALITY, "--drop", "id", "--task", "regression")
    data = tmp_path / "data.csv"
    capsys.readouterr()
    code, out, _ = run(capsys, "evaluate", model, data)
    assert code == 0
    expected = cnn.load(model).evaluate(pd.read_csv(data))
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["RMSE", "MAE", "R2"]
    assert f"R2        {expected['r2']:.4f}\n" in out
    assert json.loads(run(capsys, "evaluate", model, data, "--json")[1]) == expected
    one = write(tmp_path / "one.csv", QUALITY[:2])
    assert "not defined, since all targets are equal" in run(capsys, "evaluate", model, one)[1]


def test_evaluate_refuses(tmp_path, capsys):
    model = train(tmp_path, QUALITY, "--drop", "id", "--missing", "mean")[1]
    capsys.readouterr()
    for rows, message in (
        ([["a"], [1]], "column 't' is missing, the file has a"),
        ([["a", "t"], [1, 9]], "row 1 (line 2), column 't' is '9', should be one of 0, 1, 2"),
        ([["a", "t"], [1, 2], [1, ""]], "row 2, column 't' is missing, should be one of 0, 1"),
        ([["a", "t"]], "the file has no rows but the first, which has names"),
    ):
        bad = write(tmp_path / "bad.csv", rows)
        code, out, err = run(capsys, "evaluate", model, bad)
        assert (code, out) == (1, "")
        assert f"bad.csv: {message}" in err
    net = tmp_path / "net.safetensors"
    cnn.mlp([1, 1], "tanh", "identity", rng=0).save(net)
    code, _, err = run(capsys, "evaluate", net, tmp_path / "data.csv")
    assert code == 1
    assert "the file does not say how inputs are made of columns" in err
    one = write(tmp_path / "one.csv", QUALITY[:2])
    assert "since all rows are of one class" in run(capsys, "evaluate", model, one)[1]


# ---- predict -----------------------------------------------------------------------------------


def test_predict_copies_columns_as_they_are_written(file, tmp_path, capsys):
    names = ["007", '"a, b"', "", "NA", "1.50", " 7"] * 5
    table = content([["id", "a", "t"], *([n, i, "xy"[i % 2]] for i, n in enumerate(names))])
    model, _ = trained(file, tmp_path, capsys, table, "--drop", "id", "--missing", "mean")
    plain = predicted(capsys, model, file(table))
    for options in (["--id", "id"], ["--id", "id,a", "--proba"], ["--id", "a", "--no-proba"]):
        head, *rows = predicted(capsys, model, file(table), *options)
        copied = options[1].split(",")
        shown = 1 if "--no-proba" in options else 3
        assert head == [*copied, *plain[0][:shown]]
        expected = {
            "id": ["007", "a, b", "", "NA", "1.50", "7"] * 5,
            "a": list(map(str, range(30))),
        }
        for place, name in enumerate(copied):
            assert [row[place] for row in rows] == expected[name]
        assert [row[len(copied) :] for row in rows] == [row[:shown] for row in plain[1:]]
    code, _, err = run(capsys, "predict", model, file(table), "--id", "Id")
    assert code == 1
    assert "column 'Id' is missing, the file has id, a, t; did you mean 'id'?" in err


def test_columns_that_are_copied_may_have_names_of_predictions(file, tmp_path, capsys):
    rows = [["a", "t", "P(x)"], *([i % 10, "xy"[i % 10 > 4], f"n{i}"] for i in range(40))]
    model, _ = trained(file, tmp_path, capsys, content(rows), "--drop", "P(x)")
    head, *found = predicted(capsys, model, file(content(rows)), "--id", "t,P(x)", "-o", "-")
    assert head == ["t", "P(x)", "t_", "P(x)_", "P(y)"]
    assert [row[:2] for row in found] == [row[1:] for row in rows[1:]]


def test_a_table_from_stdin(file, tmp_path, capsys, monkeypatch):
    def give(text):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    text = content(QUALITY)
    model, expected = trained(file, tmp_path, capsys, text, "--drop", "id")
    options = ["--target", "t", "--drop", "id", "--epochs", 2, "--model", "dense", "-o", model]
    # A file of this name is another one.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-").write_text("x", encoding="utf-8")
    give(text)
    code, out, _ = run(capsys, "train", "-", *options)
    assert (code, out.splitlines()[0]) == (0, "reading stdin")
    assert out.endswith(expected.partition(": ")[2])
    give(text)
    assert run(capsys, "evaluate", model, "-")[1].startswith("stdin: 60 rows\n")
    give(text)
    out = tmp_path / "out.csv"
    assert run(capsys, "predict", model, "-", "-o", out) == (0, "", "")
    assert out.read_text(encoding="utf-8").count("\n") == 61
    for command in (["train", "-", *options], ["evaluate", model, "-"], ["predict", model, "-"]):
        for bad in ("a,id,t\n1,,2\nx,,2\n", "a,id,t\n1e300,,2\n", "id\n"):
            give(bad)
            code, _, err = run(capsys, *command)
            assert (code, err[:18]) == (1, "cnn: error: stdin:")
    monkeypatch.setattr(sys, "stdin", None)
    code, _, err = run(capsys, "evaluate", model, "-")
    assert (code, err) == (1, "cnn: error: stdin is closed, so that no table can be read from it\n")


@pytest.mark.parametrize("command", [["train", "a", "--target", "t"], ["export", "a", "--to", "c"]])
def test_stdout_is_no_model(capsys, command):
    with pytest.raises(SystemExit):
        command_line.main([*command, "-o", "-"])
    assert "'-' should be a file; ./- is one of this name" in capsys.readouterr().err


def test_probabilities_need_classes(tmp_path, capsys):
    model = train(tmp_path, QUALITY, "--drop", "id", "--task", "regression")[1]
    capsys.readouterr()
    code, _, err = run(capsys, "predict", model, tmp_path / "data.csv", "--proba")
    assert code == 1
    assert "--proba needs classes, but the model predicts the number 't'" in err
    assert len(predicted(capsys, model, tmp_path / "data.csv", "--no-proba")) == 61


# ---- Missing values ----------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["mean", "median", "category"])
def test_missing_values_are_learnt(file, tmp_path, capsys, policy):
    model, out = trained(file, tmp_path, capsys, content(GAPS), "--missing", policy, target="fruit")
    assert f"missing values, {policy}: size (12), skin (10)\n" in out
    rows = predicted(capsys, model, file(content(GAPS)))
    frame = pd.read_csv(io.StringIO(content(GAPS)), na_values=["?"])
    expected = cnn.load(model).predict_proba(frame)
    np.testing.assert_array_equal(np.array(rows[1:])[:, 1:].astype(np.float32), expected)
    code, out, _ = run(capsys, "show", model)
    assert out.count("; if missing, ") == 2
    # The texts of missing values are those of the training.
    code, _, err = run(capsys, "predict", model, file("size,skin\n-999,x\n-,x\n"))
    assert code == 1
    assert "row 2 (line 3), column 'size' is '-', should be a finite number" in err
    assert len(predicted(capsys, model, file("size,skin\n-,x\n"), "--missing=-")) == 2


def test_policies_and_texts_may_both_be_given(file, tmp_path, capsys):
    table = content([[v if v != "NA" else "-9" for v in row] for row in GAPS])
    options = ["--missing", "?,-9", "--missing", "drop"]
    model, out = trained(file, tmp_path, capsys, table, *options, target="fruit")
    assert "missing values, 20 rows left out: size (12), skin (10)\n" in out
    assert "learns from 32 rows, 8 held out" in out
    code, _, err = run(capsys, "predict", model, file(table), "--missing", "?,-9")
    assert code == 1
    assert "missing values should be filled in" in err
    with pytest.raises(SystemExit):
        command_line.main(["predict", model, "data.csv", "--missing", "mean"])
    assert "what is done about them is learnt by 'train'" in capsys.readouterr().err
    for wrong in ("mode", "mean,NA"):
        with pytest.raises(SystemExit):
            command_line.main(["train", "x", "--target", "t", "-o", "m", "--missing", wrong])
        err = capsys.readouterr().err
        assert f"'{wrong}' should be one of error, drop, mean, median, category, or the text" in err


def test_rows_that_are_left_leave_several_classes(file, tmp_path, capsys):
    table = "a,t\n1,x\n,y\n2,x\n3,x\n"
    _, err = trained(file, tmp_path, capsys, table, "--missing", "drop")
    assert "of the rows without missing values: column 't' is always 'x', should have at" in err


# ---- train -------------------------------------------------------------------------------------


def test_the_first_line_comes_before_reading(tmp_path, capsys):
    code = command_line.main(["train", "absent.csv", "--target", "t", "-o", str(tmp_path / "m")])
    printed = capsys.readouterr()
    assert (code, printed.out) == (1, "reading absent.csv\n")
    assert "absent.csv: No such file or directory" in printed.err


def test_what_would_read_a_large_file_faster(file, tmp_path, capsys, monkeypatch):
    from cnn._tables import content as contents

    monkeypatch.setattr(contents, "_SLOW_SIZE", 10)
    monkeypatch.setattr(contents, "find_spec", lambda _: None)
    path = file("a,t\n1,x\n2,\n")
    options = ["--target", "t", "-o", tmp_path / "m", "--model", "dense"]
    _, out, err = run(capsys, "train", path, *options)
    assert out.splitlines()[1].startswith(f"{path} is large; it is read faster after pip install")
    assert "column 't' is empty, should be a finite number or a category; --missing median" in err


def test_folds(file, tmp_path, capsys):
    table = content([["a", "t"], *([i % 10, "low" if i % 10 < 5 else "high"] for i in range(50))])
    options = ["--folds", "5", "--epochs", "30", "--lr", "0.03"]
    model, out = trained(file, tmp_path, capsys, table, *options)
    lines = out.splitlines()
    scores = [
        float(re.match(rf"fold {i + 1} of 5: accuracy ([\d.]+)", lines[i])[1]) for i in range(5)
    ]
    mean = re.match(
        r"5 folds, mean and standard deviation: accuracy ([\d.]+) \+- ([\d.]+)", lines[5]
    )
    np.testing.assert_allclose(float(mean[1]), np.mean(scores), atol=1e-4)
    np.testing.assert_allclose(float(mean[2]), np.std(scores), atol=1e-4)
    assert np.mean(scores) > 0.9
    assert "learns from 50 rows, none held out, for the median of the folds' best epochs" in out
    assert "held out: " not in out
    assert cnn.load(model).evaluate(pd.read_csv(io.StringIO(table)))["accuracy"] >= 0.9
    _, err = trained(file, tmp_path, capsys, table, "--folds", "51")
    assert "folds is 51, should be from 2 to the number of rows, 50" in err


def test_more_options_of_the_network(tmp_path):
    options = ["--l2", "0.25", "--dropout", "0.5", "--class-weight", "balanced", "--drop", "id"]
    code, model = train(tmp_path, QUALITY, *options)
    assert code == 0
    net = cnn.load(model).net
    assert [layer.l2 for layer in net.layers if isinstance(layer, cnn.Dense)] == [0.25] * 3
    assert net.summary().count("Dropout") == 2


@pytest.mark.parametrize("held", ["0.2", "0"])
def test_an_interrupt_keeps_the_best_epoch(tmp_path, capsys, monkeypatch, held):
    seen = []

    def interrupt(self, epoch, logs):
        seen.append(self.model.layers[0].weight)
        if epoch == 4:
            raise KeyboardInterrupt

    from cnn.tabular import _fit

    monkeypatch.setattr(_fit.Recorder, "on_train_end", lambda self, logs: None)
    recorded = _fit.Recorder.on_epoch_end

    def record(self, epoch, logs):
        recorded(self, epoch, logs)
        interrupt(self, epoch, logs)

    monkeypatch.setattr(_fit.Recorder, "on_epoch_end", record)
    options = ["--epochs", "9", "--drop", "id", "--hold-out", held, "--lr", "0.3"]
    code, model = train(tmp_path, QUALITY, *options)
    printed = capsys.readouterr()
    assert code == 130
    assert printed.err == "cnn: interrupted; the model is that of the best epoch so far\n"
    weight = cnn.load(model).net.layers[0].weight
    if held == "0":
        np.testing.assert_array_equal(weight, seen[3])
        assert printed.out.endswith(f"saved to {model}\n")
    else:
        best = int(re.search(r"\(epoch (\d) of 4, the one with the least", printed.out)[1])
        np.testing.assert_array_equal(weight, seen[best - 1])
        assert "held out: accuracy " in printed.out


@pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent otherwise there")
def test_ctrl_c(tmp_path):
    data, model = write(tmp_path / "data.csv", QUALITY), tmp_path / "model"
    command = ["train", data, "--target", "t", "--drop", "id", "-o", str(model)]
    command += ["--epochs", "100000", "--hold-out", "0", "--hidden", "256,256"]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "cnn", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr.readline().startswith("epoch 1/100000: ")
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out.splitlines()[-1] == f"saved to {model}"
    assert "cnn: interrupted; the model is that of the best epoch so far" in err
    assert cnn.load(model).net.epochs >= 1


def test_early_stopping_ends_training(file, tmp_path, capsys):
    table = content([["a", "t"], *([i % 10, i % 10 * 0.5] for i in range(50))])
    options = ["--epochs", "500", "--patience", "4", "--lr", "0.1"]
    _, out = trained(file, tmp_path, capsys, table, *options)
    best, epochs = map(int, re.search(r"\(epoch (\d+) of (\d+), the one with the", out).groups())
    assert epochs == best + 4
    assert epochs < 500
    assert EarlyStopping(patience=4).patience == 4
