"""Saving by several threads and processes at once, and processes that are killed as they save."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

import cnn
from cnn._base import files

TEMPORARY = re.compile(r"\.cnn-[0-9a-f]{16}-[0-9a-f]{16}\.tmp")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no signals to kill by")


def test_threads_that_save_at_once_keep_the_learning_rate(tmp_path):
    """It went through the network's metadata: 23 of 2944 files were without."""
    net = cnn.Sequential([cnn.Dense(2, 1)], rng=0)
    optimizer = cnn.SGD(lr=cnn.StepDecay(0.25, 3))
    net.fit([[1, 2]], [1], optimizer=optimizer)
    lost = []

    def run(number):
        path = tmp_path / str(number)
        for _ in range(150):
            net.save(path, optimizer=optimizer)
            # Nobody sees the rate in the network meanwhile.
            if cnn.load_checkpoint(path)[1].lr != optimizer.lr or "lr" in net._network.metadata:
                lost.append(number)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(3)]
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert lost == []
    assert list(net._network.metadata) == ["epochs"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0", "1", "2"]


SAVER = """
import sys
import cnn
from cnn._base import files
net = cnn.Sequential([cnn.Dense(1000, 1000)], rng=0)
print("ready", flush=True)
while True:
    if sys.argv[1] == "c":
        net.save(sys.argv[2])
    else:
        files.replace(sys.argv[2], bytes(4_000_000))
"""


def start(how, path):
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", SAVER, how, str(path)], stdout=subprocess.PIPE
    )
    process.stdout.readline()
    process.stdout.close()
    return process


def temporary(folder):
    return [name for name in os.listdir(folder) if TEMPORARY.fullmatch(name)]


def save(how, path):
    if how == "c":
        cnn.Sequential([cnn.Dense(2, 1)], rng=0).save(path)
    else:
        files.replace(path, b"x")


@pytest.mark.parametrize("how", ["c", "python"])
def test_what_killed_processes_leave_is_removed(tmp_path, how):
    """By the next that saves the same file, however it does; what was saved is whole."""
    path = tmp_path / "größe"
    left = 0
    for _ in range(12):
        process = start(how, path)
        deadline = time.monotonic() + 5
        while not temporary(tmp_path) and time.monotonic() < deadline:
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        left += len(temporary(tmp_path)) > 0
        if left > 2:
            break
    assert left > 0
    if path.exists():
        assert path.stat().st_size > 4_000_000 - 1
    save("python" if how == "c" else "c", path)
    assert temporary(tmp_path) == []


@pytest.mark.parametrize("how", ["c", "python"])
@pytest.mark.parametrize("other", ["c", "python"])
def test_what_is_being_written_is_left_alone(tmp_path, how, other):
    """A process that is stopped in the middle of a file goes on with it after others' saves."""
    path = tmp_path / "net"
    process = start(how, path)
    try:
        names = []
        for _ in range(200):
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            names = temporary(tmp_path)
            if names:
                break
            process.send_signal(signal.SIGCONT)
            time.sleep(0.001)
        assert names
        for _ in range(3):
            save(other, path)
        assert set(names) <= set(temporary(tmp_path)) or not os.path.exists(tmp_path / names[0])
        process.send_signal(signal.SIGCONT)
        time.sleep(0.3)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_files_of_others_are_left_alone(tmp_path):
    """Those of other targets, of older versions, and whatever only looks like one."""
    names = [
        ".cnn-0123456789abcdef.tmp",
        ".cnn-0123456789abcdef-0123456789abcdef.tmp",
        files._temporary_prefix("net") + "0123456789abcdeg.tmp",
        files._temporary_prefix("net") + "0123456789abcdef.tmp2",
    ]
    for name in names:
        (tmp_path / name).write_text("x")
    folder = tmp_path / (files._temporary_prefix("net") + "fedcba9876543210.tmp")
    folder.mkdir()
    link = tmp_path / (files._temporary_prefix("net") + "0000000000000000.tmp")
    link.symlink_to(tmp_path / "elsewhere")
    stale = tmp_path / (files._temporary_prefix("net") + "0123456789abcdef.tmp")
    for how in ("c", "python"):
        stale.write_text("x")
        save(how, tmp_path / "net")
        assert not stale.exists()
        assert sorted(os.listdir(tmp_path)) == sorted([*names, folder.name, link.name, "net"])


def test_names_of_any_length(tmp_path):
    for name in ("n" * 255, "ö" * 127):
        for how in ("c", "python"):
            save(how, tmp_path / name)
        assert os.listdir(tmp_path) == [name]
        (tmp_path / name).unlink()
