"""A disk that is full or read-only: errors name the file, and files stay as they were.

The disk is a tmpfs in a mount namespace of the process, which Linux lets every user make; some
containers forbid it.
"""

import errno
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

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
for name in sys.argv[1:]:
    call = train if name == "checkpoint" else getattr(large, name)
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


# What the calls do on the disk, the error, and what the folder of the second file then has.
DISKS = {
    "full": (FULL, errno.ENOSPC, "new/file", []),
    "read-only": (READ_ONLY, errno.EROFS, "file", ["old"]),
}


@pytest.mark.skipif(sys.platform != "linux", reason="the others have no mount namespaces")
@pytest.mark.parametrize("disk", DISKS)
def test_a_disk_that_cannot_be_written(disk, tmp_path):
    if not can_mount(tmp_path):
        pytest.skip("no mount namespace can be made")
    body, number, new, beside = DISKS[disk]
    names = ["save", "to_c", "checkpoint", *(["to_onnx"] if find_spec("onnx") else [])]
    done = subprocess.run(
        [*PRIVATE, "sh", "-c", f'{MOUNT} && cd "$PWD" && exec "$@"', "sh",
         sys.executable, "-P", "-c", BEGIN + body, *names],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(
        f"{name} {number} old ['old'] True\n{name} {number} {new} {beside}\n" for name in names
    )
    assert os.listdir(tmp_path) == []  # all was in the namespace
