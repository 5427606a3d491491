"""A disk that is full or read-only: errors name the file, and files stay as they were.

The disk is a tmpfs in a mount namespace of the process, which Linux lets every user make; some
containers forbid it.
"""

import errno
import os
import shutil
import subprocess
import sys

import pytest

PRIVATE = ["unshare", "--user", "--map-root-user", "--mount"]
MOUNT = "mount -t tmpfs -o size=64k none ."


def can_mount(folder):
    """Return whether a process may mount a disk of its own."""
    if not shutil.which("unshare"):
        return False
    done = subprocess.run(
        [*PRIVATE, "sh", "-c", MOUNT], cwd=folder, capture_output=True, check=False
    )
    return done.returncode == 0


# In float32 the small network takes 1 KB, the large one 80 KB.
BEGIN = """
import os, subprocess, sys
import numpy as np
import cnn
small, large = (cnn.Sequential([cnn.Dense(n, 100)], rng=0) for n in (1, 200))
X, y = np.zeros((8, 200)), np.zeros((8, 100))
def train(path):
    large.fit(X, y, epochs=1, callbacks=[cnn.ModelCheckpoint(path)])
calls = {"save": large.save, "to_c": large.to_c, "checkpoint": train}
if "onnx" in sys.argv:
    calls["to_onnx"] = large.to_onnx
def refused(call, path):
    try:
        call(path)
    except OSError as error:
        return error.errno, error.filename
def bytes_of(path):
    with open(path, "rb") as file:
        return file.read()
small.save("old")
old = bytes_of("old")
for name, call in calls.items():
"""

FULL = """
    print(name, *refused(call, "old"), os.listdir(), bytes_of("old") == old)
    os.mkdir("new")
    print(name, *refused(call, "new/file"), os.listdir("new"))
    os.rmdir("new")
    small.save("old")
    assert bytes_of("old") == old
"""

READ_ONLY = """
    subprocess.run(["mount", "-o", "remount,ro", "."], check=True)
    print(name, *refused(call, "old"), os.listdir(), bytes_of("old") == old)
    print(name, *refused(call, "file"), os.listdir())
    subprocess.run(["mount", "-o", "remount,rw", "."], check=True)
    small.save("old")
    assert bytes_of("old") == old
"""


def run(body, folder):
    """Run the calls on a disk of their own: what they print, and the names of the calls."""
    if not can_mount(folder):
        pytest.skip("no mount namespace can be made")
    names = ["save", "to_c", "checkpoint"]
    try:
        import onnx  # noqa: F401
    except ImportError:
        pass
    else:
        names.append("to_onnx")
    python = [sys.executable, "-P", "-c", BEGIN + body, *(["onnx"] if "to_onnx" in names else [])]
    done = subprocess.run(
        [*PRIVATE, "sh", "-c", f'{MOUNT} && cd "$PWD" && exec "$@"', "sh", *python],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert os.listdir(folder) == []  # all was in the namespace
    return done.stdout, names


@pytest.mark.skipif(sys.platform != "linux", reason="the others have no mount namespaces")
def test_a_full_disk(tmp_path):
    printed, names = run(FULL, tmp_path)
    assert printed == "".join(
        f"{name} {errno.ENOSPC} old ['old'] True\n{name} {errno.ENOSPC} new/file []\n"
        for name in names
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the others have no mount namespaces")
def test_a_read_only_disk(tmp_path):
    printed, names = run(READ_ONLY, tmp_path)
    assert printed == "".join(
        f"{name} {errno.EROFS} old ['old'] True\n{name} {errno.EROFS} file ['old']\n"
        for name in names
    )
