"""Files of other formats: what they look like, which names are theirs; errors name their file."""

import errno
import gzip
import io
import json
import pickle
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from refused import refused

import cnn


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return file.getvalue()


def safetensors(header):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(16)


def npy():
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


TENSOR = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
FILES = {
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file, as Keras writes it: export the mo"),
    "keras": (zipped("metadata.json", "config.json", "model.weights.h5"), "a Keras file: export"),
    "torch": (zipped("archive/data.pkl", "archive/version"), "a PyTorch file: load it with PyTor"),
    "script": (zipped("m/data.pkl", "m/code/m.py", "m/constants.pkl"), "a TorchScript file: load"),
    "old torch": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + b"x" * 50, "a PyTorch file: load"),
    "npz": (zipped("arr_0.npy"), "a NumPy file of arrays: read it with numpy.load"),
    "npy": (npy(), "a NumPy file of arrays: read it with numpy.load"),
    "skops": (zipped("schema.json"), "a skops file: load it with skops.io.load"),
    "zip": (zipped("a.txt"), "a zip archive: unpack it first"),
    "empty zip": (zipped(), "a zip archive: unpack it first"),
    **{
        f"pickle {n}": (pickle.dumps({"weight": np.zeros(3)}, n), "a pickle: if you trust it, load")
        for n in range(6)
    },
    "gzip": (gzip.compress(b"x" * 100), "a compressed file: unpack it first"),
    "zlib": (zlib.compress(b"x" * 100), "a compressed file: unpack it first"),
    "tflite": (b"\x1c\x00\x00\x00TFL3" + bytes(99), "a TensorFlow Lite model: export the model"),
    "gguf": (b"GGUF\x03\x00\x00\x00" + bytes(99), "a GGUF file: it holds a language model"),
    "json": (b'  {"layers": [1, 2]}', "JSON: a model of cnn is a safetensors file"),
    "json list": (b"[1, 2, 3, 4, 5, 6]", "JSON: a model of cnn is a safetensors file"),
    "csv": (b"a,b,c\n1,2,3\n4,5,6\n", "text, such as CSV: a model of cnn is a safetensors file"),
    "utf-16": ("a,b,c\n1,2,3\n".encode("utf-16"), "text, such as CSV: a model of cnn is"),
    "html": (b"<!DOCTYPE html><html>404</html>", "a web page: the download has failed"),
    "xml": (b"<?xml version='1.0'?><PMML/>", "XML: a model of cnn is a safetensors file"),
    "lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid 1",
        "a pointer of Git LFS: fetch the",
    ),
    "empty": (b"", "an empty file: what wrote it may have been stopped"),
    "zeros": (bytes(1000), "zeros alone: a copy or a download may not have been finished"),
    "foreign": (safetensors({"fc.weight": TENSOR}), "a safetensors file of another library, wit"),
    "pt format": (
        safetensors({"__metadata__": {"format": "pt"}, "fc.weight": TENSOR}),
        "a safetensors file of another library, without an architecture: make the network with",
    ),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("reader", [cnn.load, cnn.load_checkpoint], ids=["load", "checkpoint"])
def test_what_a_file_looks_like(tmp_path, name, reader):
    content, message = FILES[name]
    (tmp_path / "m").write_bytes(content)
    with refused(cnn.ModelFileError, f"; the file looks like {message}"):
        reader(tmp_path / "m")


def test_nothing_is_guessed(tmp_path):
    """Of other bytes, and of damaged models of cnn, nothing is said."""
    net = cnn.mlp([3, 4, 2], "relu", "softmax", rng=0)
    net.save(tmp_path / "m")
    content = (tmp_path / "m").read_bytes()
    damaged = [content[:-1], content + b"x", content.replace(b"relu", b"rule"), content[:100]]
    for bad in (*damaged, b"\xff\xfe\x00\x01\x02" * 9, bytes(range(1, 200))):
        (tmp_path / "m").write_bytes(bad)
        with pytest.raises(cnn.ModelFileError) as caught:
            cnn.load(tmp_path / "m")
        assert "looks like" not in str(caught.value)


def test_onnx_and_safetensors_are_told_apart(tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    net = cnn.mlp([3, 4, 2], "relu", "softmax", rng=0)
    net.to_onnx(tmp_path / "m.onnx")
    with refused(cnn.ModelFileError, "the file looks like an ONNX model: cnn.from_onnx reads it"):
        cnn.load(tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    model.producer_name = "pytorch"
    model.ClearField("producer_version")
    (tmp_path / "other").write_bytes(model.SerializeToString())
    with refused(cnn.ModelFileError, "the file looks like an ONNX model: cnn.from_onnx reads it"):
        cnn.load(tmp_path / "other")
    net.save(tmp_path / "m")
    with refused(cnn.ModelFileError, "the file looks like a model of cnn: cnn.load reads it"):
        cnn.from_onnx(tmp_path / "m")
    for name in ("hdf5", "keras", "torch", "npz", "pickle 4", "gzip", "json", "csv", "foreign"):
        (tmp_path / "m").write_bytes(FILES[name][0])
        with refused(cnn.ModelFileError, f"; the file looks like {FILES[name][1]}") as caught:
            cnn.from_onnx(tmp_path / "m")
        assert str(caught.value).startswith("from_onnx: the file is not")


def test_folders(tmp_path):
    for reader in (cnn.load, cnn.load_checkpoint):
        with refused(IsADirectoryError, "Is a directory") as caught:
            reader(tmp_path)
        assert caught.value.filename == tmp_path
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with refused(IsADirectoryError, "looks like a TensorFlow SavedModel: export the model as ON"):
        cnn.load(tmp_path)


# ---- Names of files to write ---------------------------------------------------------------------

OTHERS = [".h5", ".hdf5", ".keras", ".pt", ".pth", ".pkl", ".pickle", ".joblib", ".skops", ".npz"]
OTHERS += [".npy", ".tflite", ".json", ".csv", ".zip", ".gz"]


@pytest.mark.parametrize("ending", [*OTHERS, ".onnx", ".pb", ".h", ".ONNX", ".Pt"])
def test_endings_of_other_formats_are_refused(tmp_path, ending):
    """A file of another suffix than its format's can be opened by neither program."""
    net = cnn.Sequential([cnn.Dense(2, 1)])
    path = tmp_path / f"m{ending}"
    for call, where in (
        (net.save, "save"),
        (lambda p: net.save(p, optimizer=cnn.SGD()), "save"),
        (cnn.ModelCheckpoint, "ModelCheckpoint"),
    ):
        with refused(ValueError, f"{where}: path is {str(path)!r}, whose ending is that of") as c:
            call(path)
        assert f"{where} writes a safetensors file, whose name should end in .saf" in str(c.value)
    assert list(tmp_path.iterdir()) == []
    with refused(ValueError, "pickle.dump(net, file) writes .pkl files"):
        net.save("m.pkl")
    with refused(ValueError, "net.to_onnx writes .onnx files"):
        net.save("m.onnx")


def test_endings_of_exports():
    net = cnn.Sequential([cnn.Dense(2, 1)])
    for ending in (*OTHERS, ".safetensors", ".h"):
        with refused(ValueError, f"to_onnx: path is 'm{ending}', whose ending is that of another"):
            net.to_onnx(f"m{ending}")
    for ending in (*OTHERS, ".safetensors", ".onnx"):
        with refused(ValueError, f"to_c: path is 'm{ending}', whose ending is that of another"):
            net.to_c(f"m{ending}")


@pytest.mark.parametrize(
    "name",
    ["m", "m.safetensors", "m.cnn", "m.bin", "m.model", "m.ckpt", "m.v1.2", "m.", ".h5", "h5"],
)
def test_all_other_names_are_the_users(tmp_path, name):
    net = cnn.Sequential([cnn.Dense(2, 1)], rng=0)
    net.save(tmp_path / name)
    assert cnn.load(tmp_path / name).seed == 0
    history = net.fit([[1, 2]], [1], callbacks=[cnn.ModelCheckpoint(tmp_path / name)])
    assert len(history) == 1
    # A file is read whatever its name says.
    (tmp_path / name).rename(tmp_path / "net.h5")
    assert cnn.load(tmp_path / "net.h5").epochs == 1


def test_train_refuses_names_before_it_trains(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n2,3\n3,4\n")
    for name in ("m.onnx", "m.h5"):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "cnn", "train", "t.csv", "--target", "b", "-o", name],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode != 0
        assert f"cnn: error: train: path is '{name}', whose ending is that of anot" in done.stderr
        assert not (tmp_path / name).exists()


# ---- Errors of the system ------------------------------------------------------------------------


def calls(folder):
    """Return what writes and reads files, each as a function of a path."""
    net = cnn.Sequential([cnn.Dense(2, 1)], rng=0)
    return {
        "save": net.save,
        "checkpoint": lambda path: net.save(path, optimizer=cnn.SGD()),
        "to_c": lambda path: net.to_c(path, name="net"),
        "to_onnx": net.to_onnx,
        "load": cnn.load,
        "load_checkpoint": cnn.load_checkpoint,
        "from_onnx": cnn.from_onnx,
    }


@pytest.mark.parametrize("name", calls(None))
@pytest.mark.parametrize("kind", [str, Path])
def test_errors_name_their_file(tmp_path, name, kind):
    if "onnx" in name:
        pytest.importorskip("onnx", reason="onnx is not installed")
    call = calls(tmp_path)[name]
    (tmp_path / "file").write_text("x")
    for path, number in (
        (tmp_path / "none" / "m", errno.ENOENT),
        (tmp_path / "file" / "m", errno.ENOTDIR),
        (tmp_path, errno.EISDIR),
    ):
        with pytest.raises(OSError, match=re.escape(str(path))) as caught:
            call(kind(path))
        assert caught.value.errno == number
        assert str(caught.value.filename) == str(path)
        assert caught.value.filename2 is None


FULL = """
import resource, sys
import cnn
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
net = cnn.Sequential([cnn.Dense(200, 100)], rng=0)
try:
    getattr(net, sys.argv[1])(sys.argv[2])
except OSError as error:
    print(error.errno, error.filename)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits of files")
@pytest.mark.parametrize("name", ["save", "to_c", "to_onnx"])
def test_a_file_that_cannot_be_filled(tmp_path, name):
    """As with a full disk: the error names the file, which is as before, and nothing is left."""
    if name == "to_onnx":
        pytest.importorskip("onnx", reason="onnx is not installed")
    path = tmp_path / "m"
    path.write_text("as before")
    done = subprocess.run(
        [sys.executable, "-P", "-c", FULL, name, str(path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"{errno.EFBIG} {path}\n"
    assert path.read_text() == "as before"
    assert list(tmp_path.iterdir()) == [path]


def test_mnist_names_its_files(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(FileNotFoundError) as caught:
            cnn.datasets.load_mnist(path)
        assert caught.value.errno == errno.ENOENT
        assert str(caught.value.filename) == str(path)
        assert "load_mnist: " in str(caught.value)
