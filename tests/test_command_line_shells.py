"""What is made of the parser: completion for shells, and the man page."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import write_man_page
from tables import run

from cnn.cli import completion
from cnn.cli.parser import parser

ROOT = Path(__file__).parents[1]
COMMANDS = completion.commands(parser())


def script(capsys, shell):
    code, out, err = run(capsys, "completion", shell)
    assert (code, err) == (0, "")
    return out


def test_commands_of_the_parser():
    names = [command.name for command in COMMANDS]
    assert names == [
        "",
        *["train", "evaluate", "predict", "show", "export", "info", "demo", "completion"],
    ]
    train = COMMANDS[1]
    flags = [flag for option in train.options for flag in option.flags]
    assert {"--target", "-o", "--missing", "--folds", "--class-weight", "--patience"} <= set(flags)


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_scripts_have_each_option(capsys, shell):
    text = script(capsys, shell)
    for command in COMMANDS:
        for option in command.options:
            for flag in option.flags:
                # fish has names without hyphens.
                name = f"-l {flag[2:]} " if shell == "fish" and flag[:2] == "--" else flag
                assert shell == "fish" or name in text
                assert shell != "fish" or flag[:2] != "--" or name in f"{text} "
            assert all(choice in text for choice in option.choices)


def completed(capsys, tmp_path, *words):
    """Return what bash completes after some words, the last of which may be a part."""
    path = tmp_path / "cnn.bash"
    path.write_text(script(capsys, "bash"), encoding="utf-8")
    quoted = " ".join(f"'{word}'" for word in words)
    done = subprocess.run(
        [
            "bash",
            "--norc",
            "-c",
            f'source "$0"; COMP_WORDS=({quoted}); '
            f'COMP_CWORD={len(words) - 1}; _cnn; printf "%s\\n" "${{COMPREPLY[@]}}"',
            str(path),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes(capsys, tmp_path):
    assert completed(capsys, tmp_path, "cnn", "ev") == ["evaluate"]
    assert completed(capsys, tmp_path, "cnn", "--ver") == ["--version"]
    assert completed(capsys, tmp_path, "cnn", "train", "data.csv", "--hi") == ["--hidden"]
    assert completed(capsys, tmp_path, "cnn", "train", "--task", "reg") == ["regression"]
    assert completed(capsys, tmp_path, "cnn", "export", "m", "--to", "") == ["c", "onnx"]
    assert set(completed(capsys, tmp_path, "cnn", "completion", "")) >= {"bash", "zsh", "fish"}
    assert completed(capsys, tmp_path, "cnn", "show", "mod") == []  # files, by -o default


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_read_their_script(capsys, tmp_path, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / "script"
    path.write_text(script(capsys, shell), encoding="utf-8")
    subprocess.run([shell, "-n", str(path)], check=True)


def test_the_man_page_is_that_of_the_parser():
    # `python tools/write_man_page.py` writes it.
    assert write_man_page.PAGE.read_text(encoding="utf-8") == write_man_page.page()


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_reads_the_man_page_without_warnings():
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tascii", str(write_man_page.PAGE)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    # Bold letters are written twice, with a backspace between.
    assert "--class-weight" in re.sub(".\x08", "", done.stdout)
