"""A trained network as one header: all 1797 digits, bit for bit, by each compiler that is here."""

import hashlib
import shutil

import numpy as np
import pytest

import cnn

WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
FREESTANDING = ["-ffreestanding", "-fno-builtin"]

# Compilers, their options, and what runs their programs.
MACHINES = {
    "gcc": (["gcc", "-std=c99", "-O2"], []),
    "gcc, native": (["gcc", "-std=c99", "-O3", "-march=native"], []),
    "gcc, contracting": (["gcc", "-std=gnu17", "-O3", "-march=native", "-ffp-contract=fast"], []),
    "clang": (["clang", "-std=c99", "-O2"], []),
    "clang, native": (["clang", "-std=c99", "-O3", "-march=native", "-ffp-contract=fast"], []),
    "g++": (["g++", "-x", "c++", "-std=c++17", "-O2"], []),
    "clang++": (["clang++", "-x", "c++", "-std=c++17", "-O2"], []),
    "aarch64": (["aarch64-linux-gnu-gcc", "-std=c99", "-O2", "-static"], ["qemu-aarch64"]),
    "armv7": (
        ["arm-linux-gnueabihf-gcc", "-std=c99", "-O2", "-static", "-march=armv7-a", "-mfpu=vfpv3"],
        ["qemu-arm"],
    ),
    "armv7 with fma": (
        ["arm-linux-gnueabihf-gcc", "-std=c99", "-O2", "-static", "-march=armv7ve+simd"],
        ["qemu-arm"],
    ),
}

# Reads rows from standard input and writes outputs to standard output.
PROGRAM = """
#define DIGITS_SELF_TEST
#include "digits.h"
#include <stdio.h>

int main(void)
{
    static TYPE x[DIGITS_INPUTS], y[DIGITS_OUTPUTS];
    while (fread(x, sizeof x, 1, stdin) == 1) {
        digits_predict(x, y);
        if (fwrite(y, sizeof y, 1, stdout) != 1)
            return 2;
    }
    return digits_self_test();
}
"""


def train(dtype):
    x, t = cnn.datasets.load_digits(dtype=dtype)
    net = cnn.mlp([64, 50, 100, 10], "sigmoid", "softmax", rng=0, dtype=dtype)
    net.fit(x, t, epochs=5, batch_size=100, optimizer=cnn.Adam(lr=3e-3))
    return net, np.ascontiguousarray(x, dtype)


@pytest.fixture(scope="module", params=["float32", "float64"])
def trained(request, tmp_path_factory):
    """Return a folder with the header, the digits, and the bytes of their predictions."""
    net, x = train(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    net.to_c(folder / "digits.h")
    c_type = "float" if request.param == "float32" else "double"
    (folder / "main.c").write_text(PROGRAM.replace("TYPE", c_type))
    assert len(x) == 1797
    return folder, x.tobytes(), net.predict(x).tobytes()


@pytest.mark.parametrize("machine", MACHINES)
def test_digits(trained, machine):
    import subprocess

    command, runner = MACHINES[machine]
    for program in (command[0], *runner):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    folder, x, expected = trained
    program = folder / hashlib.sha1(machine.encode()).hexdigest()
    subprocess.run([*command, *WARNINGS, folder / "main.c", "-o", program], check=True)
    done = subprocess.run([*runner, program], input=x, capture_output=True, check=False)
    assert done.returncode == 0, "the self-test failed"
    assert done.stdout == expected


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("gcc", []),
        ("clang", []),
        (
            "arm-none-eabi-gcc",
            ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
        ),
        ("arm-none-eabi-gcc", ["-mcpu=cortex-m0", "-mthumb"]),
        ("arm-none-eabi-g++", ["-mcpu=cortex-m7", "-mthumb"]),
    ],
)
def test_freestanding(tmp_path, run, command, options, dtype, fast):
    """No C library: the object asks for nothing but what compilers bring for arithmetic."""
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed")
    net = cnn.mlp([20, 40, 30, 5], "gelu", "softmax", rng=0, dtype=dtype)
    net.to_c(tmp_path / "digits.h", fast=fast)
    c_type = "float" if dtype == "float32" else "double"
    (tmp_path / "device.c").write_text(
        '#define DIGITS_SELF_TEST\n#include "digits.h"\n'
        f"int device(const {c_type} *x, {c_type} *y);\n"
        f"int device(const {c_type} *x, {c_type} *y)\n"
        "{\n    digits_predict(x, y);\n    return digits_self_test();\n}\n"
    )
    language = ["-x", "c++", "-fno-exceptions"] if command.endswith("++") else ["-std=c99"]
    source, target = tmp_path / "device.c", tmp_path / "device.o"
    run(command, *language, *options, *WARNINGS, *FREESTANDING, "-O2", "-c", source, "-o", target)
    names = run(
        f"{command.removesuffix('gcc').removesuffix('g++')}nm".replace("clang", ""),
        "--undefined-only",
        target,
    )
    undefined = {line.split()[-1] for line in names.splitlines()}
    # The compiler's own arithmetic, and the two that it may call for copies even so.
    allowed = {name for name in undefined if name.startswith("__aeabi_")} | {"memcpy", "memset"}
    assert undefined <= allowed
