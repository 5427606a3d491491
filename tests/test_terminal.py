"""What the commands print on streams that are closed or broken, and of names that are hostile."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from marks import quick
from tables import QUALITY, train, write

import cnn
from cnn._base import metadata, texts
from cnn._tables import preprocessing
from cnn._tables.preprocessing import Preprocessing
from cnn._tables.table import Category, Number
from cnn.cli import main as command_line

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell and terminals are wanted")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder with a table and a model of it."""
    folder = tmp_path_factory.mktemp("files")
    code, _ = train(folder, QUALITY, "--drop", "id")
    assert code == 0
    return folder


COMMANDS = {
    "info": ["info"],
    "cflags": ["--cflags"],
    "help": ["train", "--help"],
    "version": ["--version"],
    "no command": [],
    "show": ["show", "model.safetensors"],
    "predict": ["predict", "model.safetensors", "data.csv"],
}
WITH_FILES = {
    "train": ["train", "data.csv", "--target", "t", "--drop", "id", "--epochs", "1", "-o", "out"],
    "predict -o": ["predict", "model.safetensors", "data.csv", "-o", "out"],
    "export": ["export", "model.safetensors", "--to", "c", "-o", "out"],
}
WRONG = {
    "no file": (["show", "absent"], 1),
    "no table": (["predict", "model.safetensors", "absent"], 1),
    "usage": (["predict", "--fly"], 2),
    "no shell": (["completion"], 2),
}
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")


def shell(folder, command, redirection):
    """Run a command with redirected streams, and return its exit code, stdout and stderr."""
    (folder / "out").unlink(missing_ok=True)
    done = subprocess.run(
        ["sh", "-c", f'"$@" {redirection}', "sh", sys.executable, "-P", "-m", "cnn", *command],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("command", quick({"info", "predict"}, COMMANDS))
def test_a_result_that_cannot_be_printed(files, command):
    code, out, err = shell(files, COMMANDS[command], ">&-")
    assert (code, out) == (1, "")
    assert err == "cnn: error: stdout is closed, so that the result cannot be printed\n"
    assert shell(files, COMMANDS[command], ">&- 2>&-") == (1, "", "")
    code, out, err = shell(files, COMMANDS[command], "</dev/null 1<&0")
    assert (code, out) == (1, "")
    assert err == "cnn: error: stdout: Bad file descriptor\n"


@FULL
@pytest.mark.parametrize("command", quick({"help", "show"}, COMMANDS))
def test_a_result_that_finds_no_space(files, command):
    code, _, err = shell(files, COMMANDS[command], ">/dev/full")
    assert (code, err) == (1, "cnn: error: stdout: No space left on device\n")
    assert shell(files, COMMANDS[command], ">/dev/full 2>&1")[0] == 1


@pytest.mark.parametrize("command", quick({"predict -o"}, WITH_FILES))
def test_a_result_that_is_a_file(files, command):
    assert shell(files, WITH_FILES[command], "")[0] == 0
    expected = (files / "out").read_bytes()
    for redirection in (">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full"):
        if redirection == "2>/dev/full" and not Path("/dev/full").exists():
            continue
        code, out, err = shell(files, WITH_FILES[command], redirection)
        assert code == 0
        assert out == "" or redirection.startswith("2>")
        assert err == "" or (redirection == ">&-" and "epoch 1/1" in err)
        assert (files / "out").read_bytes() == expected


@pytest.mark.parametrize("case", quick({"no table", "usage"}, WRONG))
def test_errors_that_nobody_can_read(files, case):
    command, expected = WRONG[case]
    # Nothing of them goes to stdout.
    assert shell(files, command, "2>&-") == (expected, "", "")
    code, _, err = shell(files, command, ">&-")
    assert code == expected
    assert "error" in err
    if Path("/dev/full").exists():
        assert shell(files, command, "2>/dev/full") == (expected, "", "")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_streams_that_were_closed_within_python(files, monkeypatch, stream, capsys):
    closed = io.TextIOWrapper(io.BytesIO())
    closed.close()
    monkeypatch.setattr(sys, stream, closed)
    code = command_line.main(["show", str(files / "model.safetensors")])
    assert code == (1 if stream == "stdout" else 0)
    assert getattr(sys, stream) is closed
    assert command_line.main(["show", str(files / "absent")]) == 1


# ---- Hostile names -----------------------------------------------------------------------------

# A colour, a title, C1's CSI, backspaces, ends of lines, and what turns the direction of text.
HOSTILE = "\x1b[31mred\x1b]0;title\x07\x9b1mC1\x08\r\nline\u202eevil\u2066x\u2069\u2028\u200f\x7f"
CLEAN = "?[31mred?]0;title??1mC1???line?evil?x????"


def test_control_characters_are_not_shown():
    assert texts.shown(HOSTILE) == CLEAN
    for text in ("größe", "日本", "a\u200db", "x\xa0y", "e\u0301", "👩‍🔬", "שלום", "~ !"):
        assert texts.shown(text) == text
    controls = [chr(c) for c in (*range(32), *range(127, 160))]
    assert texts.shown("".join(controls)) == "?" * 65


def hostile_model(folder):
    net = cnn.mlp([3, 2], "tanh", "softmax", rng=0)
    columns = (Number(f"{HOSTILE}a"), Category(f"{HOSTILE}b", (f"{HOSTILE}1", "2")))
    plan = Preprocessing(columns, Category(f"{HOSTILE}t", (f"{HOSTILE}x", f"{HOSTILE}y")))
    net._network.set_metadata(metadata.COLUMNS, plan.to_json())
    net._network.set_metadata(f"{HOSTILE}key", f"{HOSTILE}value")
    path = folder / "model.safetensors"
    net.save(path)
    return str(path)


def test_names_in_models(tmp_path, capsys):
    model = hostile_model(tmp_path)
    assert command_line.main(["show", model]) == 0
    out = capsys.readouterr().out
    assert out.count(CLEAN) >= 9
    assert_harmless(out)
    header = str(tmp_path / "net.h")
    assert command_line.main(["export", model, "--to", "c", "-o", header]) == 0
    assert_harmless(capsys.readouterr().out)
    table = write(tmp_path / "data.csv", [["a", f"{HOSTILE}b"], [1, 2]])
    assert command_line.main(["predict", model, table]) == 1
    assert_harmless(capsys.readouterr().err)
    table = write(tmp_path / "data.csv", [[f"{HOSTILE}a", f"{HOSTILE}b"], [1, "\x1b[0m"]])
    assert command_line.main(["predict", model, table]) == 1
    assert_harmless(capsys.readouterr().err)


def assert_harmless(text):
    assert text
    for line in text.split("\n"):
        assert texts.shown(line) == line


def test_names_in_tables(tmp_path, capsys):
    name = HOSTILE.replace("\r\n", "")
    rows = [["a", f"{name}b", f"{name}t"]]
    rows += [[i, f"{name}{i}", f"{name}{i % 2}"] for i in range(30)]
    code, model = train(tmp_path, rows, target=f"{name}t")
    assert code == 0
    assert_harmless(capsys.readouterr().out)
    for target, bad in ((f"{name}u", rows), (f"{name}t", [*rows, ["\x1b[31m", "", ""]])):
        assert train(tmp_path, bad, target=target)[0] == 1
        assert_harmless(capsys.readouterr().err)
    absent = f"{tmp_path}/{name}"
    assert command_line.main(["show", absent]) == 1
    assert_harmless(capsys.readouterr().err)
    # A file of predictions has the names as they are; a terminal does not get them.
    data = write(tmp_path / "new.csv", rows)
    assert command_line.main(["predict", str(model), data]) == 0
    assert f"{name}t" in capsys.readouterr().out


def test_predictions_on_a_terminal(tmp_path):
    model = hostile_model(tmp_path)
    data = write(tmp_path / "data.csv", [[f"{HOSTILE}a", f"{HOSTILE}b"], [1, 2], [3, 2]])
    command = [sys.executable, "-P", "-m", "cnn", "predict", model, data]
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, check=False)
    os.close(theirs)
    printed = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "evil" in printed
    assert_harmless(printed.replace("\r\n", "\n"))
    # A pipe gets them byte for byte.
    done = subprocess.run(command, capture_output=True, check=True)
    assert f"{HOSTILE}t" in done.stdout.decode()


def test_names_that_are_no_text(tmp_path):
    net = cnn.mlp([1, 1], "tanh", "identity", rng=0)
    plan = Preprocessing((Number("a"),), Number("t"))
    net._network.set_metadata(metadata.COLUMNS, plan.to_json().replace('"a"', '"\\ud800"'))
    with pytest.raises(cnn.ModelFileError, match="column 1 should have a name"):
        preprocessing.of_network(net._network, "m")
