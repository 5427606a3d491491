r"""
The same bits everywhere
========================

A computer rounds its numbers, so :math:`(a + b) + c` and :math:`a + (b + c)` may differ in the last
bit. Many libraries sum in an order that depends on the number of threads, the size of the batch and
the CPU. The same program then gives other numbers on another machine, and in training a difference
of one bit grows.

In cnn the order of every sum is part of the definition; :doc:`/internals/numerics` has the rules.
This page shows three guarantees that follow from them. It ends with a fingerprint that your machine
should print, too.
"""

# %%
# The order matters
# -----------------
# The same three numbers, summed from the left and from the right:

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import cnn

print((0.1 + 0.2) + 0.3, "and", 0.1 + (0.2 + 0.3))
assert (0.1 + 0.2) + 0.3 != 0.1 + (0.2 + 0.3)

# %%
# Prediction: batches
# -------------------
# The first guarantee, G1: the result of a row does not depend on the rows beside it. Here 256 rows
# go through a layer all at once, and one by one. For comparison NumPy multiplies the same matrices.
# There a row may give other numbers alone than among others; how many depends on the machine.

random = np.random.default_rng(0)
rows = random.standard_normal((256, 784)).astype(np.float32)
weight = random.standard_normal((784, 50)).astype(np.float32)

for name, product in (("cnn", cnn.dense), ("NumPy", np.matmul)):
    together = product(rows, weight)
    alone = np.vstack([product(row[None], weight) for row in rows])
    different = int((together != alone).sum())
    print(f"{name:5}: {different} of {together.size} numbers differ")
    assert different == 0 or name == "NumPy"

# %%
# The fingerprint of a run
# ------------------------
# The second guarantee, G2, is about training. This run has everything that could make a difference:
# random initial weights, shuffled batches, dropout, Adam. Its fingerprint is the SHA-256 of the
# bytes of all weights and predictions. If one bit changes, the fingerprint is a different one.

x, t, x_test, t_test = cnn.datasets.load_digits(split=True)


def network(seed=0):
    """Return a network with random initial weights."""
    layers = [
        cnn.Dense(64, 96, "sigmoid"),
        cnn.Dropout(0.1),
        cnn.Dense(96, 64, "gelu"),
        cnn.Dense(64, 10, "softmax"),
    ]
    return cnn.Sequential(layers, rng=seed)


def fingerprint(net, predicted):
    """Return the SHA-256 of weights and predictions, each as little-endian bytes."""
    digest = hashlib.sha256()
    for array in (*net.get_weights(), predicted):
        digest.update(array.astype("<f4").tobytes())
    return digest.hexdigest()


net = network()
net.fit(x, t, epochs=8, batch_size=300, optimizer=cnn.Adam(lr=1e-2))
predicted = net.predict(x_test)
expected = fingerprint(net, predicted)
print(f"accuracy {net.evaluate(x_test, t_test)['accuracy']:.1%}")
print("fingerprint", expected)
runs = {"the run": expected}

# %%
# Training: threads
# -----------------
# The same data, seed and settings give the same weights with any number of threads, also with more
# than the machine has CPUs. The layers are so wide, and the batches so large, that the threads have
# enough to share.

for threads in (1, 2, 3, 8):
    name = "1 thread" if threads == 1 else f"{threads} threads"
    cnn.set_num_threads(threads)
    net = network()
    net.fit(x, t, epochs=8, batch_size=300, optimizer=cnn.Adam(lr=1e-2))
    runs[name] = fingerprint(net, net.predict(x_test))
    print(f"{name:9}", runs[name])
    assert runs[name] == expected
cnn.set_num_threads(None)

# %%
# Training: instruction sets
# --------------------------
# AVX-512 computes 16 numbers with one instruction, AVX2 computes 8, and the scalar code one. cnn
# takes the best set of the machine; the environment variable `CNN_ISA` chooses another one. It is
# read when cnn is imported, so each set needs a process of its own. That process loads the network
# with its initial weights, trains and saves it. A set that the machine does not have is passed
# over: :func:`cnn.show_versions` tells which one was used.

PROGRAM = """
import cnn, numpy

x, t, x_test, t_test = cnn.datasets.load_digits(split=True)
net, optimizer = cnn.load_checkpoint("start.safetensors")
net.fit(x, t, epochs=8, batch_size=300, optimizer=optimizer)
net.save("trained.safetensors")
numpy.save("predicted.npy", net.predict(x_test))
cnn.show_versions()
"""

with tempfile.TemporaryDirectory() as folder:
    start = network()
    start.save(Path(folder, "start.safetensors"), optimizer=cnn.Adam(lr=1e-2))
    for name in ("scalar", "avx2", "avx512", "neon"):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=folder,
            env={**os.environ, "CNN_ISA": name},
            capture_output=True,
            text=True,
            check=True,
        )
        used = done.stdout.split("\nISA")[1].split()[0]
        trained = cnn.load(Path(folder, "trained.safetensors"))
        runs[used] = fingerprint(trained, np.load(Path(folder, "predicted.npy")))
        print(f"{name}: {used} was used")
        print(runs[used])
        assert runs[used] == expected

# %%
# Training: resumed
# -----------------
# The third guarantee, G3: a run that was interrupted ends like one that was not. Here the network
# and its optimizer are saved after 3 epochs, loaded again, and trained for the other 5.

net, optimizer = network(), cnn.Adam(lr=1e-2)
net.fit(x, t, epochs=3, batch_size=300, optimizer=optimizer)
with tempfile.TemporaryDirectory() as folder:
    net.save(Path(folder, "half.safetensors"), optimizer=optimizer)
    resumed, saved = cnn.load_checkpoint(Path(folder, "half.safetensors"))
resumed.fit(x, t, epochs=5, batch_size=300, optimizer=saved)
runs["resumed"] = fingerprint(resumed, resumed.predict(x_test))
print("resumed", runs["resumed"])
assert runs["resumed"] == expected

# %%
# And a difference
# ----------------
# A test that cannot fail proves nothing. Before this run one weight, the largest of the output
# layer, is changed by the smallest possible amount: to the next number in float32. In the course of
# training the difference grows.

net = network()
changed = net.layers[-1].weight.copy()
largest = np.unravel_index(changed.argmax(), changed.shape)
change = np.spacing(changed[largest])
changed[largest] += change
net.layers[-1].weight = changed
net.fit(x, t, epochs=8, batch_size=300, optimizer=cnn.Adam(lr=1e-2))
runs["one bit changed"] = fingerprint(net, net.predict(x_test))
apart = np.abs(net.predict(x_test) - predicted).max()
print(f"changed by {change:.1e}, predictions differ by up to {apart:.1e}")
print(runs["one bit changed"])
assert runs["one bit changed"] != expected
assert apart > 5 * change

# %%
# Each line of the figure is a fingerprint, a colour for each of its 64 hexadecimal digits. All are
# equal but the last.

figure, ax = plt.subplots(figsize=(9, 0.42 * len(runs) + 0.8), layout="constrained")
cells = np.array([[int(digit, 16) for digit in digest] for digest in runs.values()])
ax.imshow(cells, cmap="viridis", aspect="auto", interpolation="nearest")
ax.set_yticks(range(len(runs)), list(runs))
ax.set_xticks([])
ax.set_yticks(np.arange(len(runs) - 1) + 0.5, minor=True)
ax.grid(axis="y", which="minor", color="white", lw=4)
ax.tick_params(length=0, which="both")
ax.spines[:].set_visible(False)
ax.set_title("SHA-256 of weights and predictions")
plt.show()
assert len(set(runs.values())) == 2

# %%
# Compare with your machine
# -------------------------
# The fingerprint of the page was computed on another machine than yours, and perhaps with other
# versions of NumPy, of the compiler and of the operating system. Download the page and run it: the
# assertion says whether your machine computes the same bits. They belong to version 1 of the
# numerics contract, which :func:`cnn.numerics_version` tells.

print("numerics version", cnn.numerics_version())
print(expected)
assert cnn.numerics_version() == 1
assert expected == "ee4b55d996b6c28156a7757aa7e294df2384d00bd100ee926da7865aec7f4438"
