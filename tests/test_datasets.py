"""The data sets: the digits in the package, and MNIST from files and from the network."""

import bz2
import gzip
import hashlib
import http.server
import io
import os
import struct
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import cnn
from cnn.datasets import _download, load_digits, load_mnist

# ---- Digits -----------------------------------------------------------------------------------


def test_digits_are_all_there():
    x, t = load_digits()
    assert x.shape == (1797, 64)
    assert x.dtype == np.float32
    assert t.shape == (1797,)
    assert t.dtype == np.int64
    assert x.flags.c_contiguous
    assert (x.min(), x.max()) == (0, 1)
    assert np.array_equal(x * 16, np.round(x * 16))
    assert np.bincount(t).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    # The sum of all pixels, as in scikit-learn's copy.
    assert (x * 16).sum(dtype=np.float64) == 561718


def test_digits_file_is_the_one_in_the_readme():
    folder = Path(cnn.datasets.__file__).parent
    unpacked = bz2.decompress((folder / "digits.csv.bz2").read_bytes())
    digest = hashlib.sha256(unpacked).hexdigest()
    assert digest in (folder / "README.md").read_text(encoding="utf-8")


def test_digits_split_is_fixed_and_even():
    x, t = load_digits()
    x_train, t_train, x_test, t_test = load_digits(split=True)
    assert (len(t_train), len(t_test)) == (1442, 355)
    for digit in range(10):
        samples = x[t == digit]
        held_out = np.arange(len(samples)) % 5 == 4
        assert np.array_equal(x_train[t_train == digit], samples[~held_out])
        assert np.array_equal(x_test[t_test == digit], samples[held_out])
    # The samples of a part are in the order of the file.
    assert np.array_equal(t_train[:12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])
    assert np.bincount(t_test).min() == 34
    assert np.bincount(t_test).max() == 36


@pytest.mark.parametrize("dtype", ["float64", np.float64, np.dtype("float64")])
def test_digits_dtype(dtype):
    x, t = load_digits(dtype=dtype)
    assert x.dtype == np.float64
    assert t.dtype == np.int64
    assert np.array_equal(x, load_digits()[0])


def test_digits_are_new_arrays_each_time():
    x, t = load_digits()
    x[:] = -1
    t[:] = -1
    assert load_digits()[0].min() == 0
    assert load_digits()[1].min() == 0


@pytest.mark.parametrize("load", [load_digits, load_mnist])
@pytest.mark.parametrize("dtype", ["int64", "float16", ">f4", None])
def test_dtype_must_be_real(load, dtype):
    with pytest.raises(ValueError, match=f"{load.__name__}: dtype is .* 'float32' or 'float64'"):
        load(dtype=dtype)


@pytest.mark.parametrize("load", [load_digits, load_mnist])
def test_dtype_must_be_a_dtype(load):
    with pytest.raises(TypeError, match=f"{load.__name__}: dtype is 'real'.* 'float32' or"):
        load(dtype="real")


def test_digits_split_must_be_a_bool():
    with pytest.raises(
        TypeError, match="load_digits: split is of type float, should be True or False"
    ):
        load_digits(split=0.2)


# ---- MNIST: good files ------------------------------------------------------------------------

SIZES = {"train": 5, "t10k": 3}
NAMES = {
    (part, kind): f"{part}-{kind}-idx{dimensions}-ubyte"
    for part in SIZES
    for kind, dimensions in (("images", 3), ("labels", 1))
}
IMAGES, LABELS = NAMES["train", "images"], NAMES["train", "labels"]


def idx(array):
    """Return an array of bytes as an IDX file."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def arrays():
    """Return the content of a small MNIST: by part and kind, arrays of bytes."""
    rng = np.random.default_rng(0)
    return {
        (part, kind): rng.integers(0, 256, (SIZES[part], 28, 28), np.uint8)
        if kind == "images"
        else rng.integers(0, 10, SIZES[part], np.uint8)
        for part, kind in NAMES
    }


@pytest.fixture
def folder(tmp_path, arrays):
    """Return a folder with the files of a small MNIST, not gzipped."""
    for key, array in arrays.items():
        (tmp_path / NAMES[key]).write_bytes(idx(array))
    return tmp_path


def check(loaded, arrays, dtype=np.float32):
    x, t, x_test, t_test = loaded
    for images, labels, part in (x, t, "train"), (x_test, t_test, "t10k"):
        content = arrays[part, "images"].reshape(-1, 784)
        assert images.dtype == dtype
        assert images.flags.c_contiguous
        assert images.flags.writeable
        assert np.array_equal(images, content / np.array(255, dtype))
        assert labels.dtype == np.int64
        assert np.array_equal(labels, arrays[part, "labels"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_mnist(folder, arrays, dtype):
    check(load_mnist(folder, dtype=dtype), arrays, np.dtype(dtype))


@pytest.mark.parametrize("as_path", [str, Path])
def test_mnist_path(folder, arrays, as_path):
    check(load_mnist(as_path(folder)), arrays)
    check(load_mnist(path=as_path(folder)), arrays)


def test_mnist_from_environment(folder, arrays, monkeypatch):
    monkeypatch.setenv("CNN_DATA", str(folder))
    check(load_mnist(), arrays)


def test_mnist_path_comes_before_environment(folder, arrays, monkeypatch):
    monkeypatch.setenv("CNN_DATA", str(folder / "nowhere"))
    check(load_mnist(folder), arrays)


@pytest.mark.parametrize("dot", [False, True])
@pytest.mark.parametrize("gz", [False, True])
def test_mnist_names(folder, arrays, dot, gz):
    for name in NAMES.values():
        file = folder / name
        content = gzip.compress(file.read_bytes()) if gz else file.read_bytes()
        file.unlink()
        new = (name.replace("-idx", ".idx") if dot else name) + (".gz" if gz else "")
        (folder / new).write_bytes(content)
    check(load_mnist(folder), arrays)


def test_mnist_names_may_belie_the_content(folder, arrays):
    """Some programs unpack a download and keep its name, or the other way round."""
    (folder / IMAGES).rename(folder / f"{IMAGES}.gz")
    (folder / LABELS).write_bytes(gzip.compress((folder / LABELS).read_bytes()))
    check(load_mnist(folder), arrays)


def test_mnist_of_several_gzip_members_and_blocks(folder, arrays):
    rng = np.random.default_rng(1)
    count = (1 << 20) // 784 + 2  # more than is read at a time
    arrays["train", "images"] = rng.integers(0, 256, (count, 28, 28), np.uint8)
    arrays["train", "labels"] = rng.integers(0, 10, count, np.uint8)
    content = idx(arrays["train", "images"])
    (folder / IMAGES).write_bytes(
        gzip.compress(content[:1000], 1) + gzip.compress(content[1000:], 1)
    )
    (folder / LABELS).write_bytes(idx(arrays["train", "labels"]))
    check(load_mnist(folder), arrays)


def test_real_mnist():
    if not os.environ.get("CNN_DATA"):
        pytest.skip("CNN_DATA does not name the folder with the MNIST files")
    x, t, x_test, t_test = load_mnist()
    assert x.shape == (60000, 784)
    assert x_test.shape == (10000, 784)
    assert x.dtype == x_test.dtype == np.float32
    assert (x.min(), x.max()) == (x_test.min(), x_test.max()) == (0, 1)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(t).tolist() == counts
    assert t[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert t_test[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    # The mean that everybody normalises MNIST with.
    assert x.mean(dtype=np.float64) == pytest.approx(0.1307, abs=5e-5)


# ---- MNIST: files that are not there ----------------------------------------------------------


@pytest.mark.parametrize("value", [None, ""])
def test_mnist_without_a_folder(monkeypatch, value):
    if value is None:
        monkeypatch.delenv("CNN_DATA", raising=False)
    else:
        monkeypatch.setenv("CNN_DATA", value)
    with pytest.raises(FileNotFoundError, match=r"load_mnist: .*path=.*CNN_DATA.*load_digits"):
        load_mnist()


def test_mnist_folder_does_not_exist(tmp_path, monkeypatch):
    nowhere = tmp_path / "nowhere"
    with pytest.raises(FileNotFoundError, match=r"path is '.*nowhere', which does not exist"):
        load_mnist(nowhere)
    monkeypatch.setenv("CNN_DATA", str(nowhere))
    with pytest.raises(
        FileNotFoundError, match=r"CNN_DATA is '.*nowhere', which does not exist.*load_digits"
    ):
        load_mnist()


def test_mnist_folder_is_a_file(folder):
    with pytest.raises(FileNotFoundError, match=f"{IMAGES}', which is not a folder"):
        load_mnist(folder / IMAGES)


@pytest.mark.parametrize("name", NAMES.values())
def test_mnist_file_missing(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"has no file {name}\.gz or {name} .*load_digits"):
        load_mnist(folder)


def test_mnist_path_must_be_a_path():
    with pytest.raises(
        TypeError, match="load_mnist: path is of type int, should be a string or a path"
    ):
        load_mnist(3)


# ---- MNIST: files that are not good -----------------------------------------------------------


def header(*numbers, magic=None):
    magic = magic or bytes((0, 0, 8, len(numbers)))
    return magic + struct.pack(f">{len(numbers)}I", *numbers)


PIXELS = bytes(5 * 784)
BAD_FILES = {
    "empty": (IMAGES, b"", "the first bytes are missing, but should be 00 00 08 03"),
    "cut in magic": (IMAGES, b"\0\0", "first bytes are 00 00, but should be 00 00 08 03"),
    "cut in header": (IMAGES, header(5, 28), "bytes are 00 00 08 02"),
    "short header": (IMAGES, header(5, 28, 28)[:12], "header has 12 bytes, but should have 16"),
    "text": (IMAGES, b"<html>", "first bytes are 3c 68 74 6d"),
    "magic": (IMAGES, header(5, 28, 28, magic=b"\1\0\x08\3") + PIXELS, "bytes are 01 00 08 03"),
    "type": (IMAGES, header(5, 28, 28, magic=b"\0\0\x0d\3") + PIXELS, "IDX, unsigned bytes"),
    "dimensions": (IMAGES, header(5, magic=b"\0\0\x08\1") + bytes(5), "number of dimensions 3"),
    "labels for images": (LABELS, header(5, 28, 28) + PIXELS, "should be 00 00 08 01"),
    "pixels": (IMAGES, header(5, 32, 32) + bytes(5 * 1024), "have 32 x 32 .* should have 28 x 28"),
    "no images": (IMAGES, header(0, 28, 28), "header says 0 elements"),
    "no labels": (LABELS, header(0), "header says 0 elements"),
    "count": (IMAGES, header(4, 28, 28) + PIXELS[:-784], "4 images, but .* has 5 labels"),
    "truncated": (IMAGES, header(5, 28, 28) + PIXELS[:-1], "has 3935 bytes, .* should have 3936"),
    "trailing": (IMAGES, header(5, 28, 28) + PIXELS + b"\0", "has 3937 bytes, .* have 3936"),
    "labels truncated": (LABELS, header(5) + bytes(4), "has 12 bytes, .* should have 13"),
    "label": (LABELS, header(5) + bytes((1, 9, 10, 0, 0)), "label number 2 is 10, .* be 0 to 9"),
    "absurd": (
        IMAGES,
        header(2**32 - 1, 28, 28) + PIXELS,
        r"should have 3367254359296$",
    ),
}


def assert_refused(folder, name, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_mnist(folder)
    assert str(caught.value).startswith(f"load_mnist: {str(folder / name)!r}: ")


@pytest.mark.parametrize("case", BAD_FILES)
def test_mnist_bad_file(folder, case):
    name, content, message = BAD_FILES[case]
    (folder / name).write_bytes(content)
    assert_refused(folder, name, message)


BAD_GZIPPED = {
    "truncated": (header(5, 28, 28) + PIXELS[:-1], "content ends after 3919 bytes, .* have 3920"),
    "trailing": (header(5, 28, 28) + PIXELS + b"\0", "more bytes follow the 3920"),
    "absurd": (header(2**32 - 1, 28, 28) + PIXELS, "more than gzip can have packed here"),
}


@pytest.mark.parametrize("case", BAD_GZIPPED)
def test_mnist_bad_content_gzipped(folder, case):
    content, message = BAD_GZIPPED[case]
    (folder / IMAGES).write_bytes(gzip.compress(content))
    assert_refused(folder, IMAGES, message)


def test_mnist_gzip_cut_off_anywhere(folder):
    content = gzip.compress((folder / LABELS).read_bytes(), mtime=0)
    for length in range(2, len(content)):
        (folder / LABELS).write_bytes(content[:length])
        assert_refused(folder, LABELS, "the gzipped data ends too early")


def test_mnist_gzip_damaged_anywhere(folder, arrays):
    """A changed bit is noticed, or is in a field that does not matter, such as the time."""
    content = gzip.compress((folder / LABELS).read_bytes(), mtime=0)
    for place in range(2, len(content)):
        (folder / LABELS).write_bytes(
            content[:place] + bytes((content[place] ^ 0x10,)) + content[place + 1 :]
        )
        try:
            loaded = load_mnist(folder)
        except ValueError as error:
            assert LABELS in str(error)  # noqa: PT017 - either outcome is right
        else:
            check(loaded, arrays)


def test_mnist_gzip_with_garbage_after_it(folder):
    (folder / IMAGES).write_bytes(gzip.compress((folder / IMAGES).read_bytes()) + b"garbage")
    assert_refused(folder, IMAGES, "the gzipped data is damaged: Not a gzipped file")


def test_mnist_reads_no_more_of_a_bomb_than_it_needs(folder):
    bomb = gzip.compress((folder / IMAGES).read_bytes() + bytes(100_000_000), 9)
    (folder / IMAGES).write_bytes(bomb)
    tracemalloc.start()
    try:
        assert_refused(folder, IMAGES, "more bytes follow the 3920")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_mnist_system_errors_stay_what_they_are(folder, monkeypatch):
    def refuse(*_arguments, **_keywords):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionError):
        load_mnist(folder)


# ---- MNIST: files from the network ------------------------------------------------------------


class Mirror(http.server.BaseHTTPRequestHandler):
    """Serve the files of a mirror; /broken/ has none of them, /wrong/ others."""

    def do_GET(self):
        _, folder, name = self.path.split("/")
        self.server.asked.append((folder, name))
        content = None if folder == "broken" else self.server.files.get(name)
        if folder == "wrong":
            content = b"something else"
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture
def server(arrays, monkeypatch, tmp_path):
    """Return a server with a small MNIST, which is what the mirrors are said to have."""
    pooch = pytest.importorskip("pooch")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    server.asked = []
    server.files = {f"{NAMES[key]}.gz": gzip.compress(idx(a)) for key, a in arrays.items()}
    assert list(server.files) == list(_download.SHA256)
    digests = {name: hashlib.sha256(a).hexdigest() for name, a in server.files.items()}
    monkeypatch.setattr(_download, "SHA256", digests)
    server.mirrors = lambda *folders: monkeypatch.setattr(
        _download,
        "MIRRORS",
        tuple(f"http://127.0.0.1:{server.server_port}/{folder}/" for folder in folders),
    )
    server.mirrors("one", "two")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.delenv("CNN_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_download_is_kept(server, arrays, tmp_path):
    check(load_mnist(download=True), arrays)
    assert server.asked == [("one", name) for name in server.files]
    folder = tmp_path / "cache" / "cnn" / "mnist"
    assert {path.name for path in folder.iterdir()} == set(server.files)
    check(load_mnist(download=True, dtype="float64"), arrays, np.float64)
    check(load_mnist(folder), arrays)
    assert len(server.asked) == 4


def test_a_damaged_file_is_fetched_again(server, arrays, tmp_path):
    load_mnist(download=True)
    name = f"{LABELS}.gz"
    (tmp_path / "cache" / "cnn" / "mnist" / name).write_bytes(b"half a fi")
    check(load_mnist(download=True), arrays)
    assert server.asked[4:] == [("one", name)]


@pytest.mark.parametrize("bad", ["broken", "wrong"])
def test_the_second_mirror_is_tried(server, arrays, bad):
    server.mirrors(bad, "two")
    check(load_mnist(download=True), arrays)
    # The mirror that failed is not asked again.
    assert server.asked == [(bad, f"{IMAGES}.gz")] + [("two", name) for name in server.files]


def test_no_mirror_has_the_file(server, tmp_path):
    server.mirrors("broken", "wrong")
    with pytest.raises(OSError, match="could not be fetched from any mirror") as caught:
        load_mnist(download=True)
    text = str(caught.value)
    assert text.startswith(f"load_mnist: {IMAGES}.gz could not")
    for part in ("404", "another SHA-256", "CNN_DATA", "load_digits"):
        assert part in text
    assert list((tmp_path / "cache" / "cnn" / "mnist").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_no_fault_of_mirrors(server, monkeypatch, tmp_path):
    pooch = pytest.importorskip("pooch")
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "file" / project)
    with pytest.raises(OSError, match="file/cnn") as caught:
        load_mnist(download=True)
    assert "mirror" not in str(caught.value)
    assert server.asked == []


def test_no_network(server, monkeypatch):
    server.mirrors("one")
    server.shutdown()
    server.server_close()
    with pytest.raises(OSError, match=r"/one/: ConnectionError\).*CNN_DATA.*load_digits"):
        load_mnist(download=True)


def test_environment_comes_before_download(server, folder, arrays, monkeypatch):
    monkeypatch.setenv("CNN_DATA", str(folder))
    check(load_mnist(download=True), arrays)
    assert server.asked == []


def test_download_shows_a_bar_on_a_terminal_alone(server, monkeypatch, capsys, tmp_path):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        load_mnist(download=True)
    assert "100%" in terminal.getvalue()
    for name in _download.SHA256:
        (tmp_path / "cache" / "cnn" / "mnist" / name).unlink()
    load_mnist(download=True)
    assert "%" not in capsys.readouterr().err


def test_download_has_the_digests_of_the_published_files():
    assert _download.SHA256 == {
        "train-images-idx3-ubyte.gz": (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        ),
        "train-labels-idx1-ubyte.gz": (
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
        ),
    }
    assert all(mirror.startswith("https://") for mirror in _download.MIRRORS)
    assert len(_download.MIRRORS) == 2


def test_bad_download(folder):
    with pytest.raises(ValueError, match="path and download=True are both given, should be one"):
        load_mnist(folder, download=True)
    with pytest.raises(TypeError, match="load_mnist: download is of type str, should be True or"):
        load_mnist(download="yes")
