"""`python -m cnn`, and the names of the package."""

import os
import subprocess
import sys

import pytest
from refused import refused

import cnn
from cnn import __main__ as command_line
from cnn import _core


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
    assert lines[-1].endswith("loaded back: the same predictions, bit for bit")


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


@pytest.mark.parametrize("arguments", [[], ["fly"]])
def test_bad_commands(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        command_line.main(arguments)
    assert stop.value.code == 2
    assert "usage: python -m cnn" in capsys.readouterr().err


def test_names():
    assert len(set(cnn.__all__)) == len(cnn.__all__)
    for name in cnn.__all__:
        assert getattr(cnn, name) is not None
        if name != "__version__":
            assert getattr(cnn, name).__doc__, name
    assert cnn.__version__ == _core.version()


def test_threads():
    cnn.set_num_threads(3)
    assert cnn.get_num_threads() == 3
    cnn.set_num_threads(None)
    with refused(ValueError, "set_num_threads: n is 0, should be from 1 to 1024, or None"):
        cnn.set_num_threads(0)
    with refused(TypeError, "set_num_threads: n is of type float, should be an int or None"):
        cnn.set_num_threads(2.0)
    assert cnn.numerics_version() == 1
