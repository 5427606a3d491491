"""Each program in examples/ runs, and what it asserts of itself holds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
# Each takes seconds; `make docs` runs all of them, too.
LONG = {
    *("control_policy", "drop_in_for_sklearn", "forest_in_a_network", "initial_weights"),
    *("every_plot", "gates_and_xor", "overfitting", "same_bits", "text_and_missing_values"),
    "why_relu",
}


def test_examples_are_there():
    assert {"physics_loss", *LONG} <= {path.stem for path in EXAMPLES}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in LONG else [])
        for path in EXAMPLES
    ],
)
def test_example(path, tmp_path):
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", str(path)],
        cwd=tmp_path,
        env={**os.environ, "CNN_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
