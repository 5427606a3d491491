"""The documents' C, C++, CMake, Cython, Fortran, Numba, SciPy and cffi, run as they stand."""

import itertools
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from doc_blocks import ROOT, blocks_of, commands, named, run_python

import cnn

ENVIRONMENT = {
    # `python` is the one that runs the tests.
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    # Where a plain installation would be; the wheel has the same folders.
    "PREFIX": str(Path(cnn.__file__).parent),
}


GUIDE = ("c", "cpp", "cython", "devices", "fortran", "numba", "other_languages")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return a page of the guide by its name: a folder with its files, and what its Python told."""
    made = {}

    def page(name):
        if name not in made:
            document, folder = f"docs/guide/{name}.md", tmp_path_factory.mktemp(name)
            told = run_python(document, folder)
            for block in blocks_of(document):
                if file := named(block):
                    (folder / file).write_text(block.text)
            made[name] = folder, told
        return made[name]

    return page


@pytest.mark.parametrize("name", GUIDE)
def test_python(page, name):
    _, told = page(name)
    assert told
    for line, wrong in told:
        assert wrong is None, f"docs/guide/{name}.md:{line}: {wrong[1]}"


def commands_of(name):
    blocks = blocks_of(f"docs/guide/{name}.md")
    return [line for b in blocks if b.language == "shell" for line in commands(b)]


def is_there(command):
    return shutil.which(command.split()[0]) is not None


def check_answer(said, folder):
    net = cnn.load(folder / "digits.safetensors")
    expected = net.predict(np.zeros(64, np.float32))
    assert [float(line) for line in said.split()] == pytest.approx(expected.tolist(), rel=1e-5)


def test_c(page, run):
    """Each command compiles the program of the page, which then answers."""
    folder, _ = page("c")
    lines = commands_of("c")
    assert len(lines) == 3
    libraries = {"LD_LIBRARY_PATH": str(Path(cnn.get_library()).parent)}
    for line in lines:
        if "pkg-config" in line and shutil.which("pkg-config") is None:
            continue
        run("bash", "-ec", f"cd {folder}; rm -f app; {line}", **ENVIRONMENT)
        check_answer(run("bash", "-ec", f"cd {folder}; ./app", **libraries), folder)


def test_cmake(page, run, tmp_path):
    folder, _ = page("c")
    run("cmake", "-S", folder, "-B", tmp_path, f"-Dcnn_DIR={cnn.get_cmake_dir()}", **ENVIRONMENT)
    run("cmake", "--build", tmp_path)
    check_answer(run("bash", "-ec", f"cd {folder}; {tmp_path}/app"), folder)


def test_cpp(page, run):
    folder, _ = page("cpp")
    for line in commands_of("cpp"):
        strict = line.replace("c++ ", "c++ -Wall -Wextra -Wpedantic -Wconversion -Werror ", 1)
        run("bash", "-ec", f"cd {folder}; {strict}", **ENVIRONMENT)
    check_answer(run("bash", "-ec", f"cd {folder}; ./app"), folder)
    (folder / "digits.safetensors").rename(folder / "moved")
    try:
        said = run("bash", "-c", f"cd {folder}; ./app 2>&1; echo $?")
    finally:
        (folder / "moved").rename(folder / "digits.safetensors")
    assert "cannot read the model file: 'digits.safetensors'" in said
    assert said.endswith("\n1\n")


@pytest.mark.skipif(shutil.which("gfortran") is None, reason="gfortran is not installed")
def test_fortran(page, run):
    """The programs of the page with the module of the examples, without a warning."""
    folder, _ = page("fortran")
    shutil.copy(ROOT / "examples" / "fortran" / "cnn.f90", folder)
    said = {}
    for line in commands_of("fortran"):
        strict = line.replace("gfortran ", "gfortran -Wall -Wextra -Werror ")
        said[line] = run("bash", "-ec", f"cd {folder}; {strict}", **ENVIRONMENT)
    check_answer(said["./app"], folder)
    assert "cannot read the model file: 'absent.safetensors'" in said["./errors"]
    assert said["./threads"].split() == ["1"]


@pytest.mark.skipif(shutil.which("gfortran") is None, reason="gfortran is not installed")
def test_fortran_module(run, tmp_path):
    """Bits of both types, rows and sections of arrays; what does not fit is an error."""
    shutil.copy(ROOT / "examples" / "fortran" / "cnn.f90", tmp_path)
    x = np.random.default_rng(0).normal(size=(5, 3))
    nets = [cnn.mlp([3, 4, 2], "tanh", "softmax", rng=0, dtype=f"float{bits}") for bits in (32, 64)]
    for net in nets:
        net.save(tmp_path / f"{net.dtype}.safetensors")
        x.astype(net.dtype).tofile(tmp_path / f"{net.dtype}.x")
    (tmp_path / "check.f90").write_text(
        "program check\n"
        "use cnn, only: cnn_network\n"
        "use, intrinsic :: iso_c_binding, only: c_float, c_double\n"
        "implicit none\n"
        "type(cnn_network) :: network\n"
        "character(100) :: errmsg\n"
        "integer :: stat, i\n"
        "real(c_float) :: x4(3, 5), y4(2, 5), wide(6, 5)\n"
        "real(c_double) :: x8(3, 5), y8(2, 5)\n"
        'open (1, file="float32.x", access="stream", status="old"); read (1) x4; close (1)\n'
        'open (1, file="float64.x", access="stream", status="old"); read (1) x8; close (1)\n'
        "call network%predict(x4, y4, stat, errmsg)\n"
        "print '(i0,1x,a)', stat, trim(errmsg)\n"
        'call network%load("float32.safetensors")\n'
        "call network%predict(x8, y8, stat, errmsg)\n"
        "print '(i0,1x,a)', stat, trim(errmsg)\n"
        "call network%predict(x4(:2, :), y4, stat, errmsg)\n"
        "print '(i0,1x,a)', stat, trim(errmsg)\n"
        "call network%predict(x4, y4(:, :4), stat)\n"
        "print '(i0)', stat\n"
        "wide = 0; wide(2::2, :) = x4\n"
        "call network%predict(wide(2::2, :), y4, stat)\n"
        "do i = 1, 5; call network%predict(x4(:, i), y4(:, i)); end do\n"
        'open (1, file="float32.y", access="stream"); write (1) y4; close (1)\n'
        'call network%load("float64.safetensors")\n'
        "call network%predict(x8, y8)\n"
        "call network%predict(x8(:, 2), y8(:, 2))\n"
        'open (1, file="float64.y", access="stream"); write (1) y8; close (1)\n'
        "call network%destroy()\n"
        "call network%destroy()\n"
        "print '(i0)', network%inputs()\n"
        "end program\n"
    )
    command = "gfortran -fcheck=all cnn.f90 check.f90 $(python -m cnn --libs) -o check; ./check"
    said = run("bash", "-ec", f"cd {tmp_path}; {command}", **ENVIRONMENT).splitlines()
    assert said[0] == "1 predict: no network was loaded"
    assert said[1].startswith("2 ")  # CNN_ERROR_TYPE
    assert said[2:] == [
        "1 predict: x is (2, 5) and y is (2, 5), should be (3, n) and (2, n)",
        "1",
        "0",
    ]
    for net in nets:
        y = np.fromfile(tmp_path / f"{net.dtype}.y", net.dtype).reshape(5, 2)
        assert y.tobytes() == net.predict(x.astype(net.dtype)).tobytes()


def test_devices(page, run):
    """For this machine, and for a Cortex-M4 if its compiler is there."""
    folder, _ = page("devices")
    blocks = [commands(b) for b in blocks_of("docs/guide/devices.md") if b.language == "shell"]
    strict = "cc -std=c99 -Wall -Wextra -Werror"
    # Later lines of a block need what its first ones make.
    for line in itertools.chain(*(b for b in blocks if all(map(is_there, b)))):
        run("bash", "-ec", f"cd {folder}; {line.replace('cc -std=c99', strict)}")
    assert run("bash", "-ec", f"cd {folder}; ./device; ./fruit").split() == ["orange"]


def test_cython(page, run, tmp_path):
    """The function of the page checks what C cannot see."""
    folder, _ = page("cython")
    (tmp_path / "predicts.pyx").write_text((folder / "predicts.pyx").read_text())
    (command,) = commands_of("cython")
    run("bash", "-ec", f"cd {tmp_path}; {command}", **ENVIRONMENT)
    sys.path.insert(0, str(tmp_path))
    try:
        from predicts import predict
    finally:
        sys.path.remove(str(tmp_path))
    net = cnn.mlp([6, 5, 3], "tanh", "softmax", rng=0)
    x, y = np.random.default_rng(0).random((7, 6), np.float32), np.zeros((7, 3), np.float32)
    predict(net, x, y)
    assert (y == net.predict(x)).all()
    y[...] = 0
    predict(net, x[:0], y[:0])
    for bad_x, bad_y in (
        (x[:, :5].copy(), y),
        (np.ones((7, 7), np.float32), y),
        (x, y[:, :2].copy()),
        (x, y[:6]),
        (x[:6], y),
    ):
        with pytest.raises(ValueError, match=r"x should be \(n, 6\) and y \(n, 3\)"):
            predict(net, bad_x, bad_y)
    with pytest.raises(ValueError, match="mismatch"):
        predict(net, x.astype(float), y)
    assert (y == 0).all()


def test_examples(run, tmp_path):
    """All commands of examples/README.md, in a copy of what they need."""
    folder = tmp_path / "examples" / "c"
    shutil.copytree(ROOT / "examples" / "c", folder)
    data = tmp_path / "cnn" / "datasets"
    data.mkdir(parents=True)
    shutil.copy(ROOT / "cnn" / "datasets" / "digits.csv.bz2", data)
    if shutil.which("pkg-config") is None:
        pytest.skip("pkg-config is not installed")
    document = "examples/README.md"
    lines = [line for b in blocks_of(document) if b.language == "shell" for line in commands(b)]
    assert len(lines) > 8
    said = run("bash", "-ec", "\n".join([f"cd {folder}", *lines]), **ENVIRONMENT)
    assert "accuracy" in said
