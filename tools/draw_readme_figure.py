"""Draw the figure of README.md: what its first program learns and predicts.

Run it with the installed package: `python tools/draw_readme_figure.py` runs the program and writes
docs/_static/digits.png.
"""

import sys
import tempfile
from contextlib import chdir
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

import cnn.plot

ROOT = Path(__file__).parents[1]
FIGURE = ROOT / "docs" / "_static" / "digits.png"
sys.path.insert(0, str(ROOT / "tests"))

from doc_blocks import blocks_of  # noqa: E402


def main() -> None:
    """Run the program and draw."""
    program = next(b.text for b in blocks_of("README.md") if b.language == "python")
    names: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        exec(compile(program, "README.md", "exec"), names)
    figure = plt.figure(figsize=(11, 3.6), dpi=150, layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[3, 4])
    cnn.plot.learning_curves(names["history"], metric="accuracy", ax=left.subplots())
    cnn.plot.predictions(
        names["net"], names["x_test"][:5], names["t_test"][:5], (8, 8), ax=right.subplots(2, 5)
    )
    figure.savefig(FIGURE)


if __name__ == "__main__":
    main()
