"""The drawings of docs/internals are those that their program draws."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "internals" / "drawings"


def test_the_drawings_are_those_of_the_program(tmp_path):
    # `python docs/internals/drawings/draw.py` draws them.
    for path in FOLDER.glob("*.py"):
        shutil.copy(path, tmp_path)
    subprocess.run([sys.executable, tmp_path / "draw.py"], check=True)
    drawn = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.svg")}
    assert drawn == {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.svg")}


def test_each_drawing_is_on_a_page():
    pages = "".join(path.read_text(encoding="utf-8") for path in FOLDER.parent.glob("*.md"))
    shown = set(re.findall(r"```\{drawing\} drawings/(\S+)", pages))
    assert shown == {path.name for path in FOLDER.glob("*.svg")}
