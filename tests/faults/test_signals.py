"""SIGTERM and Ctrl-C at random moments of fit: the network is as documented, and usable."""

import os
import signal
import subprocess
import sys
import time

import interrupted
import killed
import pytest
from marks import slow

import cnn

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals as a terminal does")


@pytest.mark.parametrize("number", [5, *slow(100)])
@pytest.mark.parametrize("how", interrupted.RAISED)
def test_a_signal_at_a_random_moment(how, number):
    """Ctrl-C, and a handler of SIGTERM that raises SystemExit or an exception."""
    done = subprocess.run(
        [sys.executable, "-P", interrupted.__file__, how, str(number)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    count, last = map(int, done.stdout.split())
    assert count == number
    assert last > 0


@pytest.mark.parametrize("number", [1, *slow(20)])
def test_sigterm_without_a_handler(number, tmp_path):
    """The process ends by the signal; its checkpoint is whole."""
    path = tmp_path / killed.FILE
    for i in range(number):
        process = killed.started("fit", tmp_path)
        time.sleep(0.02 + 0.005 * i)
        process.send_signal(signal.SIGTERM)
        with process:
            process.stdout.read()
        if process.returncode == 0:
            path.unlink()
            continue
        assert process.returncode == -signal.SIGTERM
        if path.exists():
            cnn.load_checkpoint(path)
