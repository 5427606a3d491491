"""Tables in CSV files, and `cnn train` on them, for the tests of the command line."""

import csv
import io

import cnn
from cnn._tables import preprocessing
from cnn.cli import main as command_line


def write(path, rows):
    """Write rows as CSV, and return the path."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return str(path)


def train(tmp_path, rows, *options, target="t"):
    """Train a dense network on rows, and return the exit code and the model's path."""
    data, model = write(tmp_path / "data.csv", rows), tmp_path / "model.safetensors"
    options = ["--epochs", "2", "-q", "--model", "dense", *options]
    code = command_line.main(["train", data, "--target", target, "-o", str(model), *options])
    return code, model


NUMBERS = [["a", "t"], *([i, i % 2] for i in range(30))]
TEXTS = [["a", "b", "t"], *([i, "xy"[i % 2], i % 2] for i in range(30))]
# Options of a quick training with --model tabular.
FAST = ["--preset", "fast", "--epochs", "8", "--hidden", "32"]
QUALITY = [["a", "id", "t"], *([i * 0.5, f"n{i}", i % 6] for i in range(60))]


def run(capsys, *command):
    """Run a command, and return its exit code, stdout and stderr."""
    code = command_line.main(list(map(str, command)))
    return code, *capsys.readouterr()


def assert_fails(capsys, command, message):
    """Expect exit code 1 and one line on stderr."""
    code, _, err = run(capsys, *command)
    assert code == 1
    assert err.startswith("cnn: error: ")
    assert message in err
    assert err.count("\n") == 1


def trained(file, tmp_path, capsys, content, *options, target="t"):
    """Train a dense network on the text of a file; return the model's path, or the error."""
    model = tmp_path / "model.safetensors"
    command = ["--target", target, "-o", model, "--epochs", 2, "-q", "--model", "dense", *options]
    code, out, err = run(capsys, "train", file(content), *command)
    return (str(model), out) if code == 0 else (None, err)


def predicted(capsys, model, data, *options):
    """Return the rows that predict prints, names of columns first."""
    code, out, err = run(capsys, "predict", model, data, *options)
    assert code == 0, err
    return list(csv.reader(io.StringIO(out)))


def content(rows):
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


def plan_of(model):
    return preprocessing.of_network(cnn.load(model).net._network, model)
