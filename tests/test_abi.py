"""The functions that libcnn exports; tests/c/test_abi.c has its constants and structs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cnn

LISTED = (Path(__file__).parents[1] / "csrc" / "symbols.txt").read_text().split()


def test_header_declares_them():
    header = Path(cnn.get_include(), "cnn", "cnn.h").read_text()
    assert sorted(re.findall(r"^CNN_API [^;(]*?(cnn_\w+)\(", header, re.MULTILINE)) == LISTED


@pytest.mark.skipif(sys.platform == "win32", reason="a DLL exports what the header declares")
@pytest.mark.skipif(shutil.which("nm") is None, reason="nm is not installed")
def test_library_exports_them():
    options = ["-gU"] if sys.platform == "darwin" else ["-D", "--defined-only"]
    done = subprocess.run(
        ["nm", *options, cnn.get_library()], capture_output=True, text=True, check=True
    )
    names = [line.split()[-1].removeprefix("_") for line in done.stdout.splitlines()]
    assert sorted(names) == LISTED
