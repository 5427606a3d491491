"""The documents' C, CMake, Cython, Numba, SciPy and cffi, built and run as they stand."""

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


@pytest.fixture(scope="module")
def interfaces(tmp_path_factory):
    """Return a folder in which the Python of docs/guide/interfaces.md has run, with its files."""
    folder = tmp_path_factory.mktemp("interfaces")
    told = run_python("docs/guide/interfaces.md", folder)
    for block in blocks_of("docs/guide/interfaces.md"):
        if name := named(block):
            (folder / name).write_text(block.text)
    return folder, told


def test_python(interfaces):
    _, told = interfaces
    assert len(told) > 5
    for line, wrong in told:
        assert wrong is None, f"docs/guide/interfaces.md:{line}: {wrong[1]}"


def test_commands(interfaces, run):
    """Each compiles the program of the page, which then answers."""
    folder, _ = interfaces
    lines = [
        line
        for block in blocks_of("docs/guide/interfaces.md")
        if block.language == "shell"
        for line in commands(block)
    ]
    assert len(lines) == 3
    libraries = {"LD_LIBRARY_PATH": str(Path(cnn.get_library()).parent)}
    for line in lines:
        if "pkg-config" in line and shutil.which("pkg-config") is None:
            continue
        run("bash", "-ec", f"cd {folder}; rm -f app; {line}", **ENVIRONMENT)
        check_answer(run("bash", "-ec", f"cd {folder}; ./app", **libraries), folder)


def check_answer(said, folder):
    net = cnn.load(folder / "digits.safetensors")
    expected = net.predict(np.zeros(64, np.float32))
    assert [float(line) for line in said.split()] == pytest.approx(expected.tolist(), rel=1e-5)


def test_cmake(interfaces, run, tmp_path):
    folder, _ = interfaces
    run("cmake", "-S", folder, "-B", tmp_path, f"-Dcnn_DIR={cnn.get_cmake_dir()}", **ENVIRONMENT)
    run("cmake", "--build", tmp_path)
    check_answer(run("bash", "-ec", f"cd {folder}; {tmp_path}/app"), folder)


def test_header(interfaces, run):
    folder, _ = interfaces
    run(
        "bash",
        "-ec",
        f"cd {folder}; cc -std=c99 -Wall -Wextra -Werror device.c -o device; ./device",
    )


def test_cython(interfaces, run, tmp_path):
    """The function of the page checks what C cannot see."""
    folder, _ = interfaces
    (tmp_path / "predicts.pyx").write_text((folder / "predicts.pyx").read_text())
    run("bash", "-ec", f"cd {tmp_path}; cythonize -i predicts.pyx", **ENVIRONMENT)
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
