r"""
A network in a header
=====================

A trained network is numbers and a few formulas. :meth:`cnn.Sequential.to_c` writes both into one C
header, which needs no library and no other file: not libcnn, not even the library of C. So a
network can become a part of a firmware, a game or a database.

This page trains a network, exports it, compiles it, compares its bits with those of Python, and
measures how much memory a microcontroller needs for it.
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
# The header begins with what a C programmer has to know. Then come the formulas, the parameters as
# constants, and one function, which takes one row.

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
net.to_c(folder / "digits.h")

header = (folder / "digits.h").read_text()
print(header[: header.index("*/") + 2])
print(len(header.splitlines()), "lines of C")
assert "static inline void digits_predict(const float *x, float *y)" in header

# %%
# Compile and run
# ---------------
# This program reads images from a file and writes their probabilities to another.
# `digits_self_test` runs a sample that the header brings along, and returns 0 if each bit of the
# result is right. A device can call it when it starts.

PROGRAM = """
#define DIGITS_SELF_TEST
#include "digits.h"
#include <stdio.h>

int main(void)
{
    float x[DIGITS_INPUTS], y[DIGITS_OUTPUTS];
    FILE *in = fopen("images.bin", "rb"), *out = fopen("probabilities.bin", "wb");
    if (!in || !out)
        return 1;
    while (fread(x, sizeof x, 1, in) == 1) {
        digits_predict(x, y);
        fwrite(y, sizeof y, 1, out);
    }
    return fclose(in) || fclose(out) || digits_self_test();
}
"""

# The compiler that the variable CC names, or else the first one that is there.
compiler = shlex.split(os.environ.get("CC", ""))
if not compiler:
    compiler = [name for name in ("cc", "gcc", "clang") if shutil.which(name)][:1]

if compiler:
    (folder / "main.c").write_text(PROGRAM)
    x_test.tofile(folder / "images.bin")
    command = [*compiler, "-std=c99", "-O2", "main.c", "-o", "digits.exe"]
    print("$", *command)
    subprocess.run(command, cwd=folder, check=True)
    done = subprocess.run([folder / "digits.exe"], cwd=folder, check=False)
    print("the program returns", done.returncode)
    assert done.returncode == 0
else:
    print("There is no C compiler on this machine, so nothing was compiled or run.")

# %%
# Compare the bits
# ----------------
# The probabilities of one image from both sides, each as an exact hexadecimal number. All bits of
# all images are equal, because the header follows the same numerics contract as the library.

if compiler:
    y = np.fromfile(folder / "probabilities.bin", np.float32).reshape(-1, 10)
    p = net.predict(x_test)
    for digit in range(10):
        in_c, in_python = float(y[0, digit]).hex(), float(p[0, digit]).hex()
        print(f"{digit}:  C {in_c:22}  Python {in_python}")
    same = int((y.view(np.uint32) == p.view(np.uint32)).sum())
    print(f"{same} of {p.size} numbers have the same bits")
    assert same == p.size == 10 * len(x_test)

# %%
# Flash and RAM
# -------------
# On a microcontroller the constants stay in the flash memory, beside the code. RAM is needed while
# the function runs, for its stack.
#
# The parameters can be counted: 4 bytes each in float32. The rest is the compiler's. If
# `arm-none-eabi-gcc` is there, the function below compiles a network for a Cortex-M4 and optimizes
# for size. It adds up the sections of the object file: `.text` is code, `.rodata` constants,
# `.data` and `.bss` are RAM that is always taken. The stack of each function is in a file of its
# own. All added up is the most that a call can take.
#
# Without that compiler, the code is not counted, and the stack is what the header says.

ARM = "arm-none-eabi-gcc"
M4 = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
DEVICE = """
#include "device.h"

void device(const float *x, float *y)
{
    device_predict(x, y);
}
"""


def output_of(*command):
    """Run a command in the folder and return what it prints."""
    return subprocess.check_output(command, cwd=folder, text=True)


def memory(network):
    """Return the bytes of parameters, code, permanent RAM, numbers on the stack, and stack."""
    network.to_c(folder / "device.h", name="device")
    header = (folder / "device.h").read_text()
    (numbers,) = map(int, re.findall(r"about (\d+) bytes of stack", header))
    if not shutil.which(ARM):
        return 4 * network.parameter_count, 0, 0, numbers, numbers
    (folder / "device.c").write_text(DEVICE)
    options = ["-std=c99", "-Os", "-ffreestanding", "-fstack-usage"]
    output_of(ARM, *M4, *options, "-c", "device.c")
    found = {"text": 0, "rodata": 0, "data": 0, "bss": 0}
    for line in output_of(ARM.replace("gcc", "size"), "-A", "device.o").splitlines():
        section = re.match(r"\.(text|rodata|data|bss)\S*\s+(\d+)", line)
        if section:
            found[section[1]] += int(section[2])
    usage = (folder / "device.su").read_text().splitlines()
    stack = sum(int(line.split("\t")[1]) for line in usage)
    return found["rodata"], found["text"], found["data"] + found["bss"], numbers, stack


if shutil.which(ARM):
    print("measured with", output_of(ARM, "--version").splitlines()[0])
else:
    print(f"There is no {ARM} on this machine. The code is not counted.")

# %%
# How large should the network be? Here are several sizes with what they cost and how well they do.

sizes = [[4], [8], [16], [32], [64], [50, 100]]
labels, rows = [], []
for hidden in sizes:
    small = cnn.mlp([64, *hidden, 10], "relu", "softmax", rng=0)
    small.fit(x, t, epochs=30, batch_size=50, optimizer=cnn.Adam(lr=3e-3))
    right = small.evaluate(x_test, t_test)["accuracy"]
    parameters, code, ram, numbers, stack = memory(small)
    labels.append("-".join(map(str, [64, *hidden, 10])))
    rows.append((parameters, code, stack, right))
    print(
        f"{labels[-1]:12}  parameters {parameters:5}  code {code:3}  RAM {ram}"
        f"  stack {stack:4} ({numbers:4} numbers)  right {right:.1%}"
    )
    assert 0 <= parameters - 4 * small.parameter_count < 200
    assert code < 1000
    assert ram == 0
    assert 0 <= stack - numbers < 300

# %%
# The code is the same few formulas for every size, so in all but the smallest networks most of the
# flash holds parameters. Of the stack, the compiler adds less than 300 bytes to what the header
# says. Whether a device computes the same bits is told by `digits_self_test` on the device itself.

assert all(parameters > 2 * code for parameters, code, *_ in rows[1:])
flash = np.array([row[0] for row in rows]) / 1024
codes = np.array([row[1] for row in rows]) / 1024
figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True)
figure.set_layout_engine("constrained")
axes[0].barh(labels, flash, color="#0072B2")
bars = axes[0].barh(labels, codes, left=flash, color="#E69F00")
names = ["parameters", "code" if codes.any() else "code (not counted)"]
axes[0].legend(names, loc="upper right")
axes[0].bar_label(bars, [f"{right:.0%} right" for *_, right in rows], padding=4)
axes[0].set_xlim(0, 1.25 * (flash + codes).max())
axes[0].set_title("flash for a Cortex-M4, and accuracy")
axes[0].set_xlabel("KiB of flash")
axes[0].invert_yaxis()

bars = axes[1].barh(labels, [row[2] / 1024 for row in rows], color="#009E73")
axes[1].bar_label(bars, fmt="%.2f", padding=4)
axes[1].set_xlim(0, 1.2 * max(row[2] for row in rows) / 1024)
axes[1].set_title("RAM for a Cortex-M4: the stack of a call")
axes[1].set_xlabel("KiB of stack")
plt.show()

temporary.cleanup()
