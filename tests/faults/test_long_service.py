"""Many threads that predict beside trainings of other networks, many calls, and `make load`.

Bits are the expected ones, and memory does not grow. Short by default; `make faults` has the long
runs.
"""

import re
import subprocess
import sys
from pathlib import Path

import many_calls
import pytest
from marks import slow

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="reads RssAnon from /proc"
)
ROOT = Path(__file__).parents[2]


def run(*command):
    done = subprocess.run(
        [sys.executable, "-P", *map(str, command)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("seconds", [2, *slow(60)])
def test_sixteen_threads_predict_and_two_train(seconds):
    predictions, fits, grown = map(int, run(many_calls.__file__, "threads", seconds).split())
    assert predictions > 16 * seconds
    assert fits >= 2
    # Arenas of 18 threads may still grow. A prediction that lost 100 bytes would take more in a
    # minute.
    assert grown < 16 * 2**20


@pytest.mark.slow
def test_many_calls_take_no_memory():
    """Of all kinds, for a minute: an object of 100 bytes that is not freed would show."""
    calls, grown = map(int, run(many_calls.__file__, "calls", 60).split())
    assert calls > 30_000
    assert grown < 2 * 2**20


@pytest.mark.slow
def test_load():
    printed = run(ROOT / "benchmarks" / "load", "--seconds", "10")
    assert re.search(r"^0 of [1-9][\d,]* predictions of cnn had other bits", printed, re.MULTILINE)
    lines = [line for line in printed.splitlines() if line.startswith("| 1 | ")]
    assert len(lines) == 2
    assert all(int(line.split(" | ")[1].replace(",", "")) > 0 for line in lines)
