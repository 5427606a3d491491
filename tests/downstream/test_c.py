"""C and C++ programs, against the wheel and against a plain installation."""

import os
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

import cnn

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
CC = shlex.split(os.environ.get("CC", "cc"))
CXX = shlex.split(os.environ.get("CXX", "c++"))


def check_example(run, folder, digits_csv, **environment):
    """Train and predict with the two programs in a folder; cnn in Python agrees with them."""
    model = folder / "digits.safetensors"
    trained = run(folder / "train", digits_csv, model, **environment)
    assert float(re.findall(r"epoch 30 .* accuracy ([\d.]+)", trained)[0]) > 0.96
    answers = {
        threads: run(folder / "predict", model, digits_csv, threads, **environment)
        for threads in (1, 8)
    }
    right = {threads: int(answer.split()[0]) for threads, answer in answers.items()}
    table = np.loadtxt(digits_csv, delimiter=",", dtype=np.float32)
    p = cnn.load(model).predict(table[:, :64] / 16)
    assert len(table) == 1797
    assert right[1] == right[8] == int((p.argmax(axis=1) == table[:, 64]).sum())


def test_cmake_finds_the_wheel(run, root, tmp_path, digits_csv):
    build = tmp_path / "build"
    run(
        *("cmake", "-S", root / "examples" / "c", "-B", build, f"-Dcnn_DIR={cnn.get_cmake_dir()}"),
        f"-DCMAKE_C_FLAGS={shlex.join(WARNINGS)}",
    )
    run("cmake", "--build", build)
    check_example(run, build, digits_csv)


def test_pkgconf_finds_the_wheel(run, root, tmp_path, digits_csv):
    """`cc $(python -m pkgconf --cflags --libs cnn)`."""
    flags = shlex.split(run(sys.executable, "-P", "-m", "pkgconf", "--cflags", "--libs", "cnn"))
    assert (
        run(sys.executable, "-P", "-m", "pkgconf", "--modversion", "cnn") == f"{cnn.__version__}\n"
    )
    source = root / "examples" / "c"
    for program in ("train", "predict"):
        files = [source / f"{program}.c", source / "digits.c"]
        run(*CC, "-std=c11", *WARNINGS, *files, *flags, "-pthread", "-o", tmp_path / program)
    folder = str(Path(cnn.get_library()).parent)
    check_example(run, tmp_path, digits_csv, LD_LIBRARY_PATH=folder, DYLD_LIBRARY_PATH=folder)


def test_flags_of_the_command_line(run, root, tmp_path, digits_csv):
    """`cc $(python -m cnn --cflags --libs)`, which runs without more."""
    flags = shlex.split(run(sys.executable, "-P", "-m", "cnn", "--cflags", "--libs"))
    source = root / "examples" / "c"
    for program in ("train", "predict"):
        files = [source / f"{program}.c", source / "digits.c"]
        run(*CC, "-std=c11", *WARNINGS, *files, *flags, "-pthread", "-o", tmp_path / program)
    check_example(run, tmp_path, digits_csv)


@pytest.mark.parametrize(
    ("compiler", "standard"), [(CC, "c11"), (CXX, "c++11"), (CXX, "c++17"), (CXX, "c++20")]
)
def test_header_is_clean(run, tmp_path, compiler, standard):
    """The header alone, with all warnings as errors."""
    language = "c++" if "++" in standard else "c"
    source = tmp_path / "header.c"
    source.write_text(
        "#include <cnn/cnn.h>\n"
        "int main(void) { return cnn_abi_version() == CNN_ABI_VERSION ? 0 : 1; }\n"
    )
    flags = shlex.split(run(sys.executable, "-P", "-m", "cnn", "--cflags", "--libs"))
    options = ["-x", language, f"-std={standard}", *WARNINGS]
    run(*compiler, *options, source, "-x", "none", *flags, "-o", tmp_path / "header")
    run(tmp_path / "header")


def test_cxx_program(run, tmp_path):
    source = tmp_path / "net.cpp"
    source.write_text(r"""
#include <cnn/cnn.h>

#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

static void check(cnn_status status)
{
    if (status != CNN_OK)
        throw std::runtime_error(cnn_last_error());
}

int main()
{
    cnn_layer layer = {};
    layer.struct_size = sizeof layer;
    layer.kind = CNN_LAYER_DENSE;
    layer.inputs = 3;
    layer.outputs = 2;
    layer.activation = CNN_RELU;
    cnn_network *made = nullptr;
    check(cnn_network_create(CNN_FLOAT64, 1, &layer, 1, &made));
    std::unique_ptr<cnn_network, void (*)(cnn_network *)> network(made, cnn_network_destroy);
    check(cnn_network_initialize(network.get(), 0, CNN_INIT_HE_UNIFORM, 0));
    const std::vector<double> x = {1, 2, 3};
    std::vector<std::vector<double>> y(8, std::vector<double>(2));
    std::vector<std::thread> threads;
    for (auto &row : y)
        threads.emplace_back([&] {
            cnn_network_predict_f64(network.get(), 1, x.data(), 3, row.data(), 2, nullptr, 0);
        });
    for (auto &thread : threads)
        thread.join();
    for (const auto &row : y)
        if (row != y[0])
            return 1;
    try {
        check(cnn_network_predict_f32(network.get(), 1, nullptr, 3, nullptr, 2, nullptr, 0));
    } catch (const std::runtime_error &) {
        return 0;
    }
    return 1;
}
""")
    flags = shlex.split(run(sys.executable, "-P", "-m", "cnn", "--cflags", "--libs"))
    options = ["-std=c++17", *WARNINGS, "-pthread"]
    run(*CXX, *options, source, *flags, "-o", tmp_path / "net")
    run(tmp_path / "net")


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform == "win32", reason="names of libraries are those of ELF and Mach-O"
)
def test_plain_installation(run, root, tmp_path, digits_csv):
    """Without Python: shared and static library with a version, CMake config, pkg-config."""
    build, prefix = tmp_path / "build", tmp_path / "prefix"
    run("cmake", "-S", root, "-B", build, "-G", "Ninja", "-DCMAKE_INSTALL_LIBDIR=lib")
    run("cmake", "--build", build)
    run("cmake", "--install", build, "--prefix", prefix)
    names = {path.name for path in (prefix / "lib").iterdir()}
    if sys.platform == "linux":
        version = cnn.__version__
        assert {"libcnn.so", "libcnn.so.1", f"libcnn.so.{version}", "libcnn.a"} <= names
    moved = tmp_path / "elsewhere"
    prefix.rename(moved)
    for target in ("cnn::cnn", "cnn::static"):
        users = tmp_path / target.replace("::", "_")
        source = tmp_path / "source"
        run("rm", "-rf", source)
        run("cp", "-r", root / "examples" / "c", source)
        lists = source / "CMakeLists.txt"
        lists.write_text(lists.read_text().replace("cnn::cnn", target))
        run("cmake", "-S", source, "-B", users, f"-DCMAKE_PREFIX_PATH={moved}")
        run("cmake", "--build", users)
        check_example(run, users, digits_csv)
    path = str(moved / "lib" / "pkgconfig")
    for static in ([], ["--static"]):
        flags = run(
            *(sys.executable, "-P", "-m", "pkgconf", *static, "--cflags", "--libs", "cnn"),
            PKG_CONFIG_PATH=path,
        )
        assert f"-I{moved}/" in os.path.normpath(flags) or str(moved) in flags


def test_static_and_shared_agree():
    """What Python loads is the library of the wheel, and the only one."""
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    maps = Path("/proc/self/maps").read_text()
    loaded = {line.split()[-1] for line in maps.splitlines() if "libcnn" in line}
    assert loaded == {str(Path(cnn.get_library()).resolve())}


def test_wheel_is_small(root):
    wheels = list((root / "dist").glob("cnn-*.whl"))
    assert len(wheels) == 1
    assert wheels[0].stat().st_size < 1_480_000


def test_installed_as_a_wheel(run):
    found = run(sys.executable, "-P", "-m", "pip", "show", "--files", "cnn")
    for name in (
        "cnn/__init__.pxd",
        "cnn/_core/__init__.pxd",
        "cnn/include/cnn/cnn.h",
        "cnn/lib/cmake/cnn/cnnConfig.cmake",
        "cnn/lib/pkgconfig/cnn.pc",
        "cnn/libcnn.pxd",
    ):
        assert f"  {name}\n" in found
    assert "site-packages" in cnn.__file__
