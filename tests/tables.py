"""Tables in CSV files, and `cnn train` on them, for the tests of the command line."""

import csv

from cnn.cli import main as command_line


def write(path, rows):
    """Write rows as CSV, and return the path."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return str(path)


def train(tmp_path, rows, *options, target="t"):
    """Train on rows, and return the exit code and the model's path."""
    data, model = write(tmp_path / "data.csv", rows), tmp_path / "model.safetensors"
    options = ["--epochs", "2", "-q", *options]
    code = command_line.main(["train", data, "--target", target, "-o", str(model), *options])
    return code, model


QUALITY = [["a", "id", "t"], *([i * 0.5, f"n{i}", i % 6] for i in range(60))]
