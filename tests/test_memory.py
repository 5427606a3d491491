"""Beside the data, training, evaluating and predicting take memory for a batch and the parameters.

Measured in a process of its own as the growth of anonymous memory (RssAnon), which mapped files and
their pages do not count to: a copy of the data of any type would show.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from marks import slow_sets

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="reads RssAnon from /proc"
)

INPUTS, HIDDEN, OUTPUTS, BATCH = 784, [50, 100], 10, 100

PROGRAM = """
import sys, threading, time
import numpy as np
import cnn

path, dtype, rows, seen = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
if path:
    x = np.memmap(path, dtype, "r+", shape=(rows, 784))
else:
    x = np.full((rows, 784), 7, dtype)
t = np.arange(rows) % 10

def anonymous():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024

class Watch(threading.Thread):
    peak, stop = 0, False

    def run(self):
        while not self.stop:
            self.peak = max(self.peak, anonymous())
            time.sleep(0.001)

watch = Watch()
before = anonymous()
watch.start()
net = cnn.mlp([784, 50, 100, 10], "sigmoid", "softmax", rng=0, dropout=0.1)
if seen == "fit":
    net.fit(x, t, batch_size=100, optimizer="adam", progress=False)
elif seen == "evaluate":
    net.evaluate(x, t)
else:
    net.predict(x)
watch.stop = True
watch.join()
print(max(watch.peak, anonymous()) - before)
"""

PARAMETERS = sum((a + 1) * b for a, b in zip([INPUTS, *HIDDEN], [*HIDDEN, OUTPUTS], strict=True))


def bound(rows, seen):
    """Return how much memory a call may take, in bytes.

    The float32 parameters are held at most 10 times: as they are, in panels, transposed, as a whole
    gradient, 2 slots of Adam, and all 3 of the state once more for the snapshot; panels round
    widths of 10 up to 32. The network's batch has its inputs, and of each layer (rounded up to 32)
    the output, the one after dropout, the delta, its panels and the sums; an evaluation has
    segments of 4096 rows with their targets. A slice has 65536 indices of 8 bytes, and the checks
    of t look at as many labels at a time, each with a few temporary arrays. 4 MiB are for what is
    not ours: arenas of Python and of the allocator, thread stacks, code imported on the way.
    """
    widths = sum(-(-width // 32) * 32 for width in [*HIDDEN, OUTPUTS])
    parameters = 10 * 4 * PARAMETERS * 1.1
    batch = 4 * max(BATCH, 96 * 8) * (INPUTS + 5 * widths)
    segment = 4096 * (4 * OUTPUTS + 24)
    slices = 65536 * 8 * 6
    outputs = 4 * rows * OUTPUTS if seen == "predict" else 0
    return int(parameters + batch + segment + slices + outputs) + 4 * 2**20


def growth(path, dtype, rows, seen):
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, str(path), dtype, str(rows), seen],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout)


@pytest.mark.parametrize(
    ("dtype", "rows"), [("float32", 65536), *slow_sets(("float64", 32768), ("uint8", 131072))]
)
@pytest.mark.parametrize("seen", ["fit", "evaluate", "predict"])
def test_mapped_files(seen, dtype, rows, tmp_path):
    """200 MB of floats, or 100 MB of bytes, that a float32 copy would make 400."""
    path = tmp_path / "x"
    with path.open("wb") as file:
        file.truncate(rows * INPUTS * int(dtype.lstrip("uintfloa")) // 8)
    used = growth(path, dtype, rows, seen)
    assert used <= bound(rows, seen)


def test_the_bound_means_something():
    assert bound(65536, "fit") < 16 * 2**20 < 65536 * INPUTS


@pytest.mark.parametrize("dtype", ["float64", "uint8", "int64", "float16"])
def test_arrays_of_another_type(dtype):
    """Converted a block at a time: a float32 copy would be 62 MB."""
    rows = 20000
    assert growth("", dtype, rows, "fit") <= bound(rows, "fit")
