r"""
A network in a header
=====================

A trained network is numbers and a few formulas. :meth:`cnn.Sequential.to_c` writes both into one C
header, which needs no library and no other file: not libcnn, not even the library of C. So a network
runs inside a firmware, a game or a database.

This page trains a network, exports it, compiles it, compares the bits with those of Python, and tells
how much memory a microcontroller needs for it.
"""

# %%
# Train
# -----

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import cnn

x, t, x_test, t_test = cnn.datasets.load_digits(split=True)
net = cnn.mlp([64, 32, 10], "relu", "softmax", rng=0)
net.fit(x, t, epochs=30, batch_size=50, optimizer=cnn.Adam(lr=3e-3))

accuracy = net.evaluate(x_test, t_test)["accuracy"]
print(f"{net.parameter_count} parameters, {accuracy:.1%} of the test images right")
assert net.parameter_count == 64 * 32 + 32 + 32 * 10 + 10
assert accuracy > 0.95

# %%
# Export
# ------
# The header begins with what a C programmer has to know. The formulas follow, then the parameters as
# constants, and one function for one row.

folder = Path(tempfile.mkdtemp())
net.to_c(folder / "digits.h")
header = (folder / "digits.h").read_text()
print(header[: header.index("*/") + 2])
print(f"\n{len(header.splitlines())} lines of C")
assert "static inline void digits_predict(const float *x, float *y)" in header

# %%
# Compile and run
# ---------------
# This program reads images from its standard input and writes the probabilities to its standard
# output. `digits_self_test` runs a sample that the header brings along, and returns 0 if each bit of
# its result is right. A device can call it when it starts.

PROGRAM = """
#define DIGITS_SELF_TEST
#include "digits.h"
#include <stdio.h>

int main(void)
{
    float x[DIGITS_INPUTS], y[DIGITS_OUTPUTS];
    while (fread(x, sizeof x, 1, stdin) == 1) {
        digits_predict(x, y);
        fwrite(y, sizeof y, 1, stdout);
    }
    return digits_self_test();
}
"""

(folder / "main.c").write_text(PROGRAM)
compiler = shlex.split(os.environ.get("CC", ""))
for name in ("cc", "gcc", "clang"):
    if not compiler and shutil.which(name):
        compiler = [name]

if compiler:
    command = [*compiler, "-std=c99", "-O2", "main.c", "-o", "digits"]
    print("$", *command)
    subprocess.run(command, cwd=folder, check=True)
    done = subprocess.run(
        [folder / "digits"], input=x_test.tobytes(), capture_output=True, check=False
    )
    print("the self-test returns", done.returncode)
    assert done.returncode == 0
else:
    print("There is no C compiler on this machine, so nothing was compiled and compared.")

# %%
# Compare the bits
# ----------------
# Here is one of the images, and its probabilities from both sides. All bits of all images are equal:
# the header has the same numerics contract as the library.

if compiler:
    y = np.frombuffer(done.stdout, np.float32).reshape(-1, 10)
    p = net.predict(x_test)
    for digit in range(10):
        print(f"{digit}  C {float(y[0, digit]).hex():22}  Python {float(p[0, digit]).hex()}")
    same = int((y.view(np.uint32) == p.view(np.uint32)).sum())
    print(f"{same} of {p.size} numbers have the same bits")
    assert same == p.size == 3550

# %%
# Flash and RAM
# -------------
# On a microcontroller the constants stay in the flash memory, and the flash also holds the code. RAM
# is needed for the values between the layers alone, for as long as the function runs.
#
# How much is it? The parameters can be counted: 4 bytes each. For the code and the stack, a compiler
# for the device has to say it. If `arm-none-eabi-gcc` is there, the function below compiles networks
# of several sizes for a Cortex-M4 with its unit for float32, optimized for size, and adds up the
# sections of the object file: `.text` is code, `.rodata` constants, `.data` and `.bss` are RAM.

ARM = "arm-none-eabi-gcc"
M4 = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
DEVICE = """
#include "device.h"

void device(const float *x, float *y)
{
    device_predict(x, y);
}
"""


def sections(network):
    """Return the bytes of code, constants, and RAM besides the stack; and those of the stack."""
    network.to_c(folder / "device.h", name="device")
    (folder / "device.c").write_text(DEVICE)
    options = ["-std=c99", "-Os", "-ffreestanding", "-fstack-usage", "-c"]
    subprocess.run([ARM, *M4, *options, "device.c"], cwd=folder, check=True)
    listed = subprocess.run(
        [ARM.replace("gcc", "size"), "-A", "device.o"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = {"text": 0, "rodata": 0, "data": 0, "bss": 0}
    for kind, size in re.findall(r"^\.(text|rodata|data|bss)\S*\s+(\d+)", listed, re.M):
        found[kind] += int(size)
    # A line for each function: the most is that of all, one inside the other.
    stack = sum(int(line.split("\t")[1]) for line in (folder / "device.su").open())
    return found["text"], found["rodata"], found["data"] + found["bss"], stack
