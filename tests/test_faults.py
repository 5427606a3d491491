"""Allocations and calls on files that fail, each in turn: clear errors, and nothing is changed.

`fault_runs.py` makes the calls, in a process into which `c/faults/faults.c` is loaded. The same for
the functions of C is in `c/test_memory_faults_*.c` and `c/test_file_faults.c`.
"""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fault_runs import FILES, MEMORY
from marks import quick

HERE = Path(__file__).parent
COMPILER = shlex.split(os.environ.get("CC", "cc"))

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only on Linux a library comes before libc"),
    pytest.mark.skipif(shutil.which(COMPILER[0]) is None, reason="there is no C compiler"),
    pytest.mark.skipif(
        "LD_PRELOAD" in os.environ, reason="a sanitizer has the place of the library already"
    ),
]


@pytest.fixture(scope="session")
def faults(tmp_path_factory):
    """Return the library that lets calls fail."""
    library = tmp_path_factory.mktemp("faults") / "libfaults.so"
    source = HERE / "c" / "faults" / "faults.c"
    subprocess.run(
        [*COMPILER, "-std=c11", "-O2", "-fPIC", "-shared", "-D_GNU_SOURCE", "-DFAULTS_PRELOAD",
         "-o", str(library), str(source), "-ldl", "-pthread"],
        check=True,
    )  # fmt: skip
    return library


def run(faults, *arguments):
    done = subprocess.run(
        [sys.executable, "-P", str(HERE / "fault_runs.py"), *map(str, arguments)],
        env={**os.environ, "LD_PRELOAD": str(faults)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return [int(number) for number in done.stdout.split()]


# Without an allocation in libcnn: they read and write arrays of Python's.
FREE = {"get_weights", "set_weights"}
# Each takes a process of its own.
QUICK = {"Sequential", "fit with all", "train_step", "predict", "vjp", "save, load", *FREE}


@pytest.mark.parametrize("name", quick(QUICK, MEMORY))
def test_an_allocation_fails(faults, tmp_path, name):
    """MemoryError, the network as before; called again, the bits of an undisturbed call."""
    trials, refused = run(faults, "memory", name, tmp_path)
    assert trials > 4 * (name not in FREE)
    assert (refused > 0) == (name not in FREE)


@pytest.mark.parametrize("name", quick(FILES.keys() - {"to_c"}, FILES))
def test_a_call_on_files_fails(faults, tmp_path, name):
    """OSError that names the file, which is as before, and no temporary file is left."""
    trials, refused = run(faults, "files", name, tmp_path)
    assert trials > 50
    assert refused > 15
