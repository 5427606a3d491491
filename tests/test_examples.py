"""Each program in examples/ runs, and what it asserts of itself holds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
# The others take seconds each; `make docs` runs all of them, too.
QUICK = {"backpropagation_by_hand", "maximum_likelihood", "network_in_a_header"}


def test_examples_are_there():
    assert {"physics_loss", *QUICK} <= {path.stem for path in EXAMPLES}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[] if path.stem in QUICK else [pytest.mark.slow])
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
