"""`python -m cnn`, and the names of the package."""

import csv
import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from tables import QUALITY, assert_fails, train, write

import cnn
from cnn import _core
from cnn._base.numbers import exact
from cnn._tables import preprocessing
from cnn._training import loop
from cnn.cli import main as command_line
from cnn.cli import report


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-P", "-m", "cnn", *arguments],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"} | environment,
    )


@pytest.fixture(scope="module")
def demo():
    done = run("demo")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_demo_learns(demo):
    lines = demo.splitlines()
    epochs = [line.split() for line in lines if line.strip()[:1].isdigit() and "█" in line]
    assert [int(words[0]) for words in epochs] == list(range(1, 31))
    assert float(epochs[-1][1]) < 0.05
    (result,) = [line for line in lines if "of the held-out digits are right" in line]
    assert float(result.split("%")[0]) >= 96
    assert float(result.split()[-2]) < 10


def test_demo_shows_probabilities_and_saves(demo):
    lines = demo.splitlines()
    table = {line.split()[1]: line.split()[2:] for line in lines if line.startswith("       of ")}
    assert list(table) == [str(label) for label in range(10)]
    assert {len(cells) for cells in table.values()} == {7}
    for column in zip(*table.values(), strict=True):
        total = sum(float(cell.rstrip("%")) for cell in column if cell != "-")
        assert abs(total - 100) < 0.6
    assert lines[-1] == "Loaded back: the same predictions, bit for bit"
    assert max(map(len, lines)) <= 80


def test_demo_in_ascii():
    done = run("demo", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()


def test_info(capsys):
    assert command_line.main(["info"]) == 0
    printed = capsys.readouterr().out
    assert cnn.__version__ in printed
    assert _core.isa() in printed
    assert _core.threads_origin() in printed
    assert f"version {_core.numerics_version()}" in printed


def test_info_tells_why():
    there = ", ".join(_core.isas())
    done = run("info", CNN_ISA="scalar", CNN_NUM_THREADS="3")
    assert f"scalar (CNN_ISA=scalar allows none above it of {there})\n" in done.stdout
    assert "3 (from CNN_NUM_THREADS)\n" in done.stdout
    best = f"{_core.isas()[-1]} (the best that this machine has of {there}"
    assert f"{best})\n" in run("info", CNN_ISA="").stdout
    assert f"{best}; CNN_ISA=mmx is none of them)\n" in run("info", CNN_ISA="mmx").stdout


def test_without_a_command_it_helps(capsys):
    assert command_line.main([]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("usage: python -m cnn")
    assert "    evaluate " in printed.out
    assert printed.err == ""


def test_bad_commands(capsys):
    with pytest.raises(SystemExit) as stop:
        command_line.main(["fly"])
    assert stop.value.code == 2
    assert "usage: python -m cnn" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        command_line.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"cnn {cnn.__version__}\n"


def test_it_is_called_by_its_name(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/cnn"])
    with pytest.raises(SystemExit):
        command_line.main(["train"])
    assert capsys.readouterr().err.startswith("usage: cnn train ")


# ---- Tables ------------------------------------------------------------------------------------


def rows_of(kind, n=300):
    """Return made-up rows of fruit, or of prices, with the names of their columns."""
    rng = np.random.default_rng(0)
    age, city = rng.integers(18, 80, n), rng.choice(["Rome", "Paris", "Zürich, CH"], n)
    # What is learnt depends on both.
    value = 2.0 * age + 40.0 * (city == "Rome") + rng.normal(size=n)
    if kind == "regression":
        last, goal = "price", [f"{v:.2f}" for v in value]
    else:
        last, goal = "class", [("low", "middle", "high")[int(v > 90) + int(v > 140)] for v in value]
    return [["age", "city", last], *zip(age.tolist(), city.tolist(), goal, strict=True)]


@pytest.fixture(scope="module", params=["classification", "regression"])
def trained(request, tmp_path_factory):
    """Return a file of data, a dense model of it, its task and what was printed."""
    folder = tmp_path_factory.mktemp(request.param)
    rows = rows_of(request.param)
    data, model = write(folder / "data.csv", rows), str(folder / "model.safetensors")
    options = ["--target", rows[0][-1], "--epochs", "60", "--model", "dense"]
    done = run("train", data, *options, "-o", model)
    assert done.returncode == 0, done.stderr
    return data, model, request.param, done


def test_train(trained):
    data, _, task, done = trained
    lines = done.stdout.splitlines()
    assert lines.pop(0) == f"reading {data}"
    assert lines.pop(0) == f"{data}: 300 rows, 2 columns to learn from"
    assert lines[0] == "categories: city (3)"
    if task == "classification":
        assert lines[1] == "target class: 3 classes (classification)"
        assert lines[2] == "network 4-64-64-3: learns from 240 rows, 60 held out"
        assert float(lines[3].removeprefix("held out: accuracy ").split("%")[0]) > 90
        assert "(always " in lines[3]
    else:
        assert lines[1] == "target price: a number (regression)"
        assert lines[2] == "network 4-64-64-1: learns from 240 rows, 60 held out"
        assert float(lines[3].split("R2 ")[1].split()[0]) > 0.97
        assert "(always the mean: RMSE " in lines[3]
    assert lines[4].startswith("saved to ")
    # Since stderr is a pipe, progress is a log.
    assert done.stderr.splitlines()[-1].startswith("epoch 60/60: loss ")
    assert len(done.stderr.splitlines()) == 11


def test_training_again_gives_the_same_bytes(trained, tmp_path, capsys):
    data, model, task, _ = trained
    again = str(tmp_path / "again.safetensors")
    target = "class" if task == "classification" else "price"
    command = ["train", data, "--target", target, "--epochs", "60", "--model", "dense"]
    command += ["-o", again, "--quiet"]
    assert command_line.main(command) == 0
    assert capsys.readouterr().err == ""
    assert Path(again).read_bytes() == Path(model).read_bytes()


def test_training_elsewhere_gives_the_same_bytes(trained, tmp_path):
    data, model, task, _ = trained
    again = str(tmp_path / "again.safetensors")
    target = "class" if task == "classification" else "price"
    command = ["train", data, "--target", target, "--epochs", "60", "--model", "dense"]
    command += ["-o", again]
    assert run(*command, CNN_ISA="scalar", CNN_NUM_THREADS="3").returncode == 0
    assert Path(again).read_bytes() == Path(model).read_bytes()


def predicted(*arguments, capsys):
    assert command_line.main(["predict", *map(str, arguments)]) == 0
    return list(csv.reader(io.StringIO(capsys.readouterr().out)))


def test_predict(trained, capsys, tmp_path):
    data, model, task, _ = trained
    head, *rows = predicted(model, data, capsys=capsys)
    assert len(rows) == 300
    if task == "classification":
        assert head == ["class", "P(high)", "P(low)", "P(middle)"]
        p = np.array([row[1:] for row in rows], float)
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
        names = np.array(["high", "low", "middle"])
        assert [row[0] for row in rows] == names[p.argmax(axis=1)].tolist()
        assert (
            np.mean([row[0] == r[-1] for row, r in zip(rows, rows_of(task)[1:], strict=True)]) > 0.9
        )
    else:
        assert head == ["price"]
        y = np.array(rows, float)[:, 0]
        t = np.array([row[-1] for row in rows_of(task)[1:]], float)
        assert np.sqrt(np.mean((y - t) ** 2)) < 5
    out = tmp_path / "out.csv"
    assert command_line.main(["predict", model, data, "-o", str(out)]) == 0
    assert capsys.readouterr().out == ""
    with out.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [head, *rows]


def test_columns_are_found_by_name(trained, capsys, tmp_path):
    data, model, *_ = trained
    expected = predicted(model, data, capsys=capsys)
    rows = rows_of("regression")
    turned = write(tmp_path / "turned.csv", [["note", *row[1::-1]] for row in rows])
    assert predicted(model, turned, capsys=capsys) == expected


def test_predict_does_as_python_does(trained, capsys):
    data, model, task, _ = trained
    net = cnn.load(model).net
    rows = rows_of(task)[1:]
    plan = preprocessing.of_network(net._network, model)
    age, city = plan.columns
    x = [
        [(row[0] - age.mean) / age.scale, *(row[1] == name for name in city.categories)]
        for row in rows
    ]
    y = net.predict(np.array(x, np.float32))
    _, *printed = predicted(model, data, capsys=capsys)
    if task == "classification":
        np.testing.assert_allclose(np.array([row[1:] for row in printed], float), y, rtol=1e-5)
    else:
        y = y * plan.target.scale + plan.target.mean
        np.testing.assert_allclose(np.array(printed, float), y, rtol=1e-6)


def test_show(trained, capsys):
    _, model, task, _ = trained
    net = cnn.load(model).net
    assert command_line.main(["show", model]) == 0
    text = capsys.readouterr().out
    assert net.summary() in text
    outputs = "3 outputs" if task == "classification" else "1 output"
    assert text.startswith(f"{model}: 4 inputs, {outputs}, trained for 60 epochs\n")
    age, _ = preprocessing.of_network(net._network, model).columns
    assert f"\nInputs\n    0  age    (age - {exact(age.mean)}) / {exact(age.scale)}\n" in text
    assert "  1-3  city   1 for its category, 0 for others: Paris, Rome, Zürich, CH\n" in text
    assert f"\nOutputs ({task})\n" in text
    if task == "classification":
        assert "  0-2  class  probabilities of high, low, middle\n" in text
    else:
        assert "    0  price  standardised: price = output * " in text
    assert text.endswith("\nSeed: 0\n")


def test_show_a_network_from_python(capsys, tmp_path):
    net = cnn.mlp([3, 2], "tanh", "identity", rng=7)
    net._network.set_metadata("author", "me")
    path = str(tmp_path / "net.safetensors")
    net.save(path)
    assert command_line.main(["show", path]) == 0
    text = capsys.readouterr().out
    assert "Inputs" not in text
    assert text.endswith("\nauthor: me\n\nSeed: 7\n")
    message = f"{path}: the file does not say how inputs are made of columns"
    assert_fails(capsys, ["predict", path, write(tmp_path / "data.csv", [["a"], [1]])], message)


def test_export_to_c(trained, capsys, tmp_path):
    _, model, *_ = trained
    table = cnn.load(model)
    header = tmp_path / "my-model.h"
    assert command_line.main(["export", model, "--to", "c", "-o", str(header)]) == 0
    text = capsys.readouterr().out
    assert text.startswith(
        f"saved to {header}\nmy_model_predict takes the raw values of a row, and"
    )
    plan = preprocessing.of_network(table.net._network, model)
    assert text.endswith("\n".join(["", *preprocessing.described(plan), ""]))
    table.to_c(tmp_path / "expected.h", name="my_model")
    assert header.read_bytes() == (tmp_path / "expected.h").read_bytes()
    command = ["export", model, "--to", "c", "-o", str(header), "--name", "other"]
    assert command_line.main(command) == 0
    assert "other_predict" in header.read_text(encoding="utf-8")


def test_exports_lie_beside_the_model(capsys, tmp_path):
    model = str(tmp_path / "gate.safetensors")
    cnn.mlp([3, 2], "tanh", "identity", rng=0).save(model)
    assert command_line.main(["export", model, "--to", "c"]) == 0
    assert capsys.readouterr().out == f"saved to {tmp_path / 'gate.h'}\n"
    assert (tmp_path / "gate.h").is_file()
    other = str(tmp_path / "gate-1.5")
    cnn.load(model).save(other)
    assert command_line.main(["export", other, "--to", "c"]) == 0
    assert (tmp_path / "gate-1.5.h").is_file()


def test_export_to_onnx(capsys, tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    model = str(tmp_path / "gate.safetensors")
    net = cnn.mlp([3, 2], "tanh", "identity", rng=0)
    net.save(model)
    assert command_line.main(["export", model, "--to", "onnx"]) == 0
    again = cnn.from_onnx(tmp_path / "gate.onnx")
    np.testing.assert_array_equal(again.layers[0].weight, net.layers[0].weight)
    capsys.readouterr()
    message = "export: --name is 'gate', should be left out, since only --to c has names"
    assert_fails(capsys, ["export", model, "--to", "onnx", "--name", "gate"], message)
    monkeypatch.setitem(sys.modules, "onnx", None)
    message = 'to_onnx: onnx is not installed; pip install ".[onnx]"'
    assert_fails(capsys, ["export", model, "--to", "onnx"], message)


# ---- Failures ----------------------------------------------------------------------------------


BAD_TRAINING = {
    "no target": (QUALITY, ["--target", "x"], "data.csv: column 'x' is missing, the file has a, i"),
    "no column": (QUALITY, ["--drop", "x"], "data.csv: column 'x' is missing, the file has a, id"),
    "nothing": (QUALITY, ["--drop", "a,id"], "there is no column to learn from, only the target"),
    "missing": (
        [["a", "t"], [1, 2], ["", 3]],
        ["--model", "dense"],
        "data.csv: row 2 (line 3), column 'a' is empty",
    ),
    "one class": ([["a", "t"], [1, "x"], [2, "x"]], [], "column 't' is always 'x', should have at"),
    "texts": (
        [["a", "t"], [1, "x"]],
        ["--task", "regression"],
        "column 't' has 'x' in row 1 (line 2), but regression needs numbers",
    ),
    "categories": (
        QUALITY,
        ["--task", "regression", "--categories", "t"],
        "column 't' is the target of regression, which has no categories",
    ),
    "close": (
        QUALITY,
        ["--target", "ID"],
        "data.csv: column 'ID' is missing, the file has a, id, t; did you mean 'id'?",
    ),
    "no category": (QUALITY, ["--categories", "aa"], "column 'aa' is missing, the file has a, id"),
    "a word": (
        [["a", "t"], [1, 2], [2, 3], ["oops", 4], [3, 5]],
        [],
        "data.csv: column 'a' has '1' in row 1 (line 2), but 'oops' in row 3 (line 4); should be "
        "numbers throughout, or categories by --categories a",
    ),
    "comma": (
        [["a", "t"], ["x", 2], ["1,5", 3]],
        [],
        "row 2 (line 3), column 'a' is '1,5', should be a number with a point and without commas",
    ),
    "one row": ([["a", "t"], [1, 0.5]], [], "of 1 row, 1 would be held out and none be left to"),
    "names": (
        [["a", "t"], *([f"n{i}", i % 2] for i in range(1001))],
        [],
        "column 'a' has more than 1000 different texts, which are too many for categories",
    ),
    "diverges": (
        QUALITY,
        ["--task", "regression", "--lr", "1e30", "--epochs", "50", "--drop", "id"],
        "became NaN or infinite in epoch",
    ),
}


@pytest.mark.parametrize("case", BAD_TRAINING)
def test_bad_training(tmp_path, capsys, case):
    rows, options, message = BAD_TRAINING[case]
    data, model = write(tmp_path / "data.csv", rows), tmp_path / "model.safetensors"
    model.write_bytes(b"as before")
    assert_fails(capsys, ["train", data, "--target", "t", "-q", *options, "-o", model], message)
    assert model.read_bytes() == b"as before"
    assert {path.name for path in tmp_path.iterdir()} == {"data.csv", "model.safetensors"}


def test_the_output_is_looked_at_before_training(tmp_path, capsys):
    data = write(tmp_path / "data.csv", QUALITY)
    command = ["train", data, "--target", "t", "-o"]
    nowhere = tmp_path / "nowhere" / "m"
    assert_fails(capsys, [*command, nowhere], f"the folder of {nowhere} does not exist")
    assert_fails(capsys, [*command, tmp_path], f"{tmp_path} is a folder, should be the file to")


def test_a_folder_that_cannot_be_written_to(tmp_path, capsys, monkeypatch):
    # The superuser may write anywhere, so that no folder will do.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    data, out = write(tmp_path / "data.csv", QUALITY), tmp_path / "m"
    command = ["train", data, "--target", "t", "-o", out]
    assert_fails(capsys, command, f"the folder of {out} cannot be written to")


def test_no_input_is_replaced(trained, tmp_path, capsys):
    data, model, *_ = trained
    before = Path(data).read_bytes(), Path(model).read_bytes()
    link = tmp_path / "link"
    link.symlink_to(data)
    for command, name in (
        (["train", data, "--target", "city", "-o", data], data),
        (["train", data, "--target", "city", "-o", link], data),
        (["predict", model, data, "-o", data], data),
        (["predict", model, data, "-o", model], model),
        (["export", model, "--to", "c", "-o", model], model),
    ):
        message = f"{command[-1]} would replace {name}, should be another file"
        assert_fails(capsys, command, message)
    assert (Path(data).read_bytes(), Path(model).read_bytes()) == before


def test_bad_predictions(trained, tmp_path, capsys):
    data, model, *_ = trained
    rows = rows_of("regression")
    out = tmp_path / "out.csv"
    out.write_text("as before", encoding="utf-8")
    for changed, message in (
        ([row[1:] for row in rows], "column 'age' is missing, the file has city, price"),
        (
            [*rows, [3, "Oslo", 0]],
            "row 301 (line 302), column 'city' is 'Oslo', should be one of P",
        ),
        ([*rows, ["x", "Rome", 0]], "row 301 (line 302), column 'age' is 'x', should be a finite"),
    ):
        bad = write(tmp_path / "bad.csv", changed)
        assert_fails(capsys, ["predict", model, bad, "-o", out], message)
        assert_fails(capsys, ["predict", model, bad], message)
        assert out.read_text(encoding="utf-8") == "as before"
    far = write(tmp_path / "far.csv", [rows[0], *([rows[1]] * 5000), [1e300, "Rome", 0]])
    assert_fails(capsys, ["predict", model, far], "far.csv: row 5001, column 'age' is 1e+300")
    absent = tmp_path / "absent"
    assert_fails(capsys, ["predict", absent, data], f"{absent}: No such file or directory")
    assert_fails(capsys, ["predict", model, absent], f"{absent}: No such file or directory")
    for command in (["predict", data, data], ["show", data], ["export", data, "--to", "c"]):
        assert_fails(capsys, command, f"{data}: load: the header should have")
    message = "; should be a file that 'train' or net.save wrote"
    assert_fails(capsys, ["show", data], message)
    bad = tmp_path / "no folder" / "out.csv"
    command = ["predict", model, data, "-o", bad]
    assert_fails(capsys, command, f"the folder of {bad} does not exist")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_predictions_alone_go_to_pipes(trained, tmp_path, capsys):
    data, model, *_ = trained
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    message = f"{pipe} is not a regular file, should be the file to write"
    assert_fails(capsys, ["train", data, "--target", "city", "-o", pipe], message)
    assert_fails(capsys, ["export", model, "--to", "c", "-o", pipe], message)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    assert command_line.main(["predict", model, data, "-o", str(pipe)]) == 0
    reader.join(timeout=10)
    command_line.main(["predict", model, data])
    assert read == [capsys.readouterr().out.encode()]
    assert pipe.is_fifo()


def test_bad_exports(trained, tmp_path, capsys):
    _, model, *_ = trained
    command = ["export", model, "--to", "c"]
    assert_fails(capsys, [*command, "--name", "if"], "to_c: name is 'if', which is not a name")
    nowhere = tmp_path / "nowhere" / "m.h"
    assert_fails(capsys, [*command, "-o", nowhere], f"the folder of {nowhere} does not exist")


BAD_USAGE = {
    "no target": ["-o", "m"],
    "no output": ["--target", "t"],
    "hidden": ["--hidden", "5,x", "--target", "t", "-o", "m"],
    "activation": ["--activation", "softmax", "--target", "t", "-o", "m"],
    "number": ["--activation", "relu:0.2", "--target", "t", "-o", "m"],
    "bad number": ["--activation", "elu:0", "--target", "t", "-o", "m"],
    "no number": ["--activation", "elu:", "--target", "t", "-o", "m"],
    "no hidden": ["--hidden", "", "--target", "t", "-o", "m"],
    "epochs": ["--epochs", "0", "--target", "t", "-o", "m"],
    "digits": ["--epochs", "9" * 5000, "--target", "t", "-o", "m"],
    "batch": ["--batch-size", "-3", "--target", "t", "-o", "m"],
    "lr": ["--lr", "nan", "--target", "t", "-o", "m"],
    "seed": ["--seed", str(2**64), "--target", "t", "-o", "m"],
    "share": ["--hold-out", "1", "--target", "t", "-o", "m"],
    "task": ["--task", "cluster", "--target", "t", "-o", "m"],
}


@pytest.mark.parametrize("case", BAD_USAGE)
def test_bad_usage(case, capsys):
    with pytest.raises(SystemExit) as stop:
        command_line.main(["train", "data.csv", *BAD_USAGE[case]])
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("usage: python -m cnn train ")
    assert "invalid" not in printed.err or "choice" in printed.err


@pytest.mark.parametrize("arguments", [["--libs", "info"], ["export", "m", "--to", "tf"], ["show"]])
def test_more_bad_usage(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        command_line.main(arguments)
    assert stop.value.code == 2
    assert "usage: python -m cnn" in capsys.readouterr().err


def test_interrupt(monkeypatch, tmp_path, capsys):
    def interrupt(*_arguments, **_keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "fit", interrupt)
    code, model = train(tmp_path, QUALITY)
    assert code == 130
    assert capsys.readouterr().err == "cnn: interrupted\n"
    assert not model.exists()


def run_unread(*arguments):
    """Run a command whose output nobody reads."""
    read, write_end = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cnn", *arguments],
        stdout=write_end,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write_end)
    return done.returncode, done.stderr


def test_a_reader_that_wants_no_more(trained):
    data, model, *_ = trained
    for command in (["predict", model, data], ["info"], ["--cflags"]):
        assert run_unread(*command) == (1, b"")
    assert run_unread("--help")[1] == b""


def test_the_model_is_saved_before_the_score_is_told(tmp_path, monkeypatch):
    def fail(*_arguments):
        raise BrokenPipeError

    monkeypatch.setattr(report, "score", fail)
    # The output that nobody reads is put where nothing is, so it had better not be pytest's own.
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    with (tmp_path / "out").open("w", encoding="utf-8") as out:
        monkeypatch.setattr(sys, "stdout", out)
        code, model = train(tmp_path, QUALITY)
    assert code == 1
    assert cnn.load(model).net.epochs == 2


def test_names_that_a_terminal_cannot_show(tmp_path):
    rows = [["größe", "t"], *([i, "é" if i % 2 else "x"] for i in range(20))]
    data, model = write(tmp_path / "data.csv", rows), str(tmp_path / "model")
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    command = ["train", data, "--target", "t", "--epochs", "1", "-o", model]
    assert run(*command, **ascii_only).returncode == 0
    done = run("show", model, **ascii_only)
    assert done.returncode == 0
    assert "gr\\xf6\\xdfe" in done.stdout
    # A table is UTF-8, as one that -o writes.
    done = run("predict", model, data, **ascii_only)
    assert done.returncode == 0
    assert done.stdout.startswith("t,P(x),P(é)\n")


# ---- The package -------------------------------------------------------------------------------


def test_names():
    assert len(set(cnn.__all__)) == len(cnn.__all__)
    for name in cnn.__all__:
        assert getattr(cnn, name) is not None
        if name != "__version__":
            assert getattr(cnn, name).__doc__, name
    assert cnn.__version__ == _core.version()
