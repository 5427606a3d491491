"""What one row costs through each interface: `make bench-interfaces`.

Each interface asks the same network about the same row, again and again. The interfaces take turns,
and of each the shortest time counts. C, Cython, Numba and the generated header loop in compiled
code.
"""

import argparse
import ctypes
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from ctypes import CDLL
from pathlib import Path

import numpy as np

import cnn

HERE = Path(__file__).parent
CC = shlex.split(os.environ.get("CC", "cc"))
REPEATS = 2000
ROUNDS = 30

# A interface runs a number of predictions, and leaves the outputs in y.
Interface = Callable[[int], object]


def compiled_interfaces(folder: Path, net: cnn.Sequential) -> tuple[CDLL, CDLL]:
    """Compile interfaces.c for any CPU of this kind, and for this one."""
    net.to_c(folder / "strict.h")
    net.to_c(folder / "fast.h", fast=True)
    flags = subprocess.run(
        [sys.executable, "-P", "-m", "cnn", "--cflags", "--libs"],
        capture_output=True,
        text=True,
        check=True,
    )
    libraries = []
    for name, options in (("any", ["-O2"]), ("native", ["-O3", "-march=native"])):
        target = folder / f"{name}.so"
        command = [
            *CC,
            "-std=c99",
            *options,
            "-shared",
            "-fPIC",
            f"-I{folder}",
            str(HERE / "interfaces.c"),
        ]
        subprocess.run([*command, *shlex.split(flags.stdout), "-o", str(target)], check=True)
        libraries.append(CDLL(str(target)))
    return libraries[0], libraries[1]


def cython_interface(folder: Path, net: cnn.Sequential, x: np.ndarray, y: np.ndarray) -> Interface:
    (folder / "interfaces_cython.pyx").write_text((HERE / "interfaces_cython.pyx").read_text())
    (folder / "setup.py").write_text(
        "from setuptools import setup\nfrom Cython.Build import cythonize\n"
        "setup(name='interfaces', ext_modules=cythonize('interfaces_cython.pyx'))\n"
    )
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    sys.path.insert(0, str(folder))
    import interfaces_cython  # type: ignore[import-not-found]  # built just now

    handle = net.handle
    return lambda count: interfaces_cython.run(handle.address, count, x, y)


def numba_interface(net: cnn.Sequential, x: np.ndarray, y: np.ndarray) -> Interface | None:
    try:
        import numba
    except ImportError:
        return None
    predict, handle = net.c_function, net.handle

    @numba.njit  # type: ignore[untyped-decorator]
    def loop(network: int, count: int, x: np.ndarray, y: np.ndarray) -> int:
        wrong = 0
        for _ in range(count):
            wrong += predict(network, 1, x.ctypes, x.size, y.ctypes, y.size, 0, 0)
        return wrong

    return lambda count: loop(handle.address, count, x, y)


def python_interface(net: cnn.Sequential, x: np.ndarray, y: np.ndarray) -> Interface:
    def run(count: int) -> None:
        for _ in range(count):
            net.predict(x, out=y)

    return run


def all_interfaces(
    folder: Path, net: cnn.Sequential, x: np.ndarray, y: np.ndarray
) -> dict[str, Interface | None]:
    handle = net.handle
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (x, y)]
    portable, native = compiled_interfaces(folder, net)

    def c_interface(library: CDLL, name: str) -> Interface:
        function = library[name]
        address = ctypes.c_void_p(handle.address)
        return lambda count: function(address, ctypes.c_size_t(count), *pointers)

    return {
        "C, cnn_network_predict_f32": c_interface(native, "through_libcnn"),
        "Cython, cimport cnn": cython_interface(folder, net, x, y),
        "Numba, c_function": numba_interface(net, x, y),
        "Python, predict(x, out=y)": python_interface(net, x, y),
        "header, this CPU": c_interface(native, "through_header"),
        "header, fast=True, this CPU": c_interface(native, "through_fast_header"),
        "header, any x86-64 or AArch64": c_interface(portable, "through_header"),
        "header, fast=True, any": c_interface(portable, "through_fast_header"),
    }


def main() -> None:
    argparse.ArgumentParser(prog="benchmarks/interfaces", description=__doc__).parse_args()
    cnn.set_num_threads(1)
    net = cnn.mlp([784, 50, 100, 10], "sigmoid", "softmax", rng=0)
    x = np.random.default_rng(0).random(784, np.float32)
    y = np.empty(10, np.float32)
    expected = net.predict(x)
    with tempfile.TemporaryDirectory() as name:
        interfaces = all_interfaces(Path(name), net, x, y)
        best = dict.fromkeys(interfaces, float("inf"))
        for _ in range(ROUNDS):
            for title, interface in interfaces.items():
                if interface is None:
                    continue
                y[:] = 0
                start = time.perf_counter()
                interface(REPEATS)
                best[title] = min(best[title], (time.perf_counter() - start) / REPEATS)
                if "fast" in title:
                    np.testing.assert_allclose(y, expected, rtol=1e-5)
                elif not (y == expected).all():
                    raise SystemExit(f"{title}: other bits than predict")
    print("784-50-100-10 sigmoid, float32, one row, one thread")
    first = best["C, cnn_network_predict_f32"]
    for title, seconds in best.items():
        if seconds < float("inf"):
            print(f"{title:34}{seconds * 1e6:9.2f} us{seconds / first:8.2f}")
        else:
            print(f"{title:34}not installed")


main()
