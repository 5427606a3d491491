"""MNIST, read from its four IDX files."""

from __future__ import annotations

import contextlib
import errno
import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

import numpy as np

from cnn._base import checks, files
from cnn._base.hinted import hinted
from cnn.datasets import _download

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike, NDArray

_SIDE = 28
_PIXELS = _SIDE * _SIDE
_WHITE = 255
_CLASSES = 10
_UNSIGNED_BYTE = 8  # the type code of an IDX file
_BLOCK = 1 << 20  # bytes decoded at a time
# Deflate compresses by at most 1032, so a header that claims more is wrong.
_DEFLATE_LIMIT = 1032


@hinted("load_mnist")
def load_mnist(
    path: str | os.PathLike[str] | None = None,
    *,
    download: bool = False,
    dtype: DTypeLike = "float32",
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[Any], NDArray[np.int64]]:
    """Load MNIST, 70 000 handwritten digits of 28 x 28 pixels, from its four files.

    The files are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
    ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, each as it is or gzipped (``.gz``);
    names with a dot, such as ``train-images.idx3-ubyte``, are found too. Other data sets in the
    same format, such as Fashion-MNIST, can also be read.

    Parameters
    ----------
    path : str or os.PathLike, optional
        The folder with the four files; by default the one that the environment variable
        ``CNN_DATA`` names.
    download : bool, default False
        If neither names a folder, download the files once: 12 MB, which are checked by SHA-256 and
        kept in the user's cache (``pooch.os_cache("cnn")``). This needs the package pooch, which
        ``pip install ".[data]"`` installs. On a terminal and in a notebook a bar shows progress.
    dtype : {"float32", "float64"}, default "float32"
        The type of the images.

    Returns
    -------
    x : ndarray of shape (60000, 784)
        The training images, one per row, pixel by pixel from the top left. Values are divided by
        255: 0 is background, 1 is full ink.
    t : ndarray of int64, shape (60000,)
        The digit of each training image, 0 to 9.
    x_test, t_test : ndarray of shape (10000, 784) and (10000,)
        The same for the test images.

    Raises
    ------
    FileNotFoundError
        If there is no such folder or one of the files is not in it.
    ValueError
        If the format, the size or a label of a file is wrong: all images and labels are read and
        checked. Also if both a path and ``download=True`` are given.
    OSError
        If a file cannot be read, or cannot be downloaded from either mirror.
    ImportError
        If files must be downloaded and pooch is not installed.

    Notes
    -----
    The images take 220 MB as float32. They are decoded straight into the arrays returned, about
    1 MB at a time.

    Examples
    --------
    >>> import cnn
    >>> x, t, x_test, t_test = cnn.datasets.load_mnist(download=True)  # doctest: +SKIP
    >>> x.shape, x_test.shape  # doctest: +SKIP
    ((60000, 784), (10000, 784))
    """
    real = np.dtype(checks.network_dtype("load_mnist", dtype))
    download = checks.flag("load_mnist", "download", download)
    if path is not None and download:
        raise ValueError(
            "load_mnist: path and download=True are both given, should be one of them: files of "
            "your own are read as they are"
        )
    if download and not os.environ.get("CNN_DATA"):
        folder = _download.fetch_mnist("load_mnist")
    else:
        folder = _folder(path)
    # All files are found before the first is read, which takes some time.
    train, test = (
        (_find(folder, part, "images-idx3-ubyte"), _find(folder, part, "labels-idx1-ubyte"))
        for part in ("train", "t10k")
    )
    return *_read_part(*train, real), *_read_part(*test, real)


def _folder(path: str | os.PathLike[str] | None) -> Path:
    """Return the folder with the files, from the argument or from CNN_DATA."""
    if path is None:
        origin = "CNN_DATA"
        name = os.environ.get("CNN_DATA", "")
        if not name:
            raise FileNotFoundError(
                "load_mnist: no folder is given: pass path=, or set the environment variable "
                "CNN_DATA, to the folder with the MNIST files (train-images-idx3-ubyte.gz and "
                "three more), or pass download=True. cnn.datasets.load_digits() needs no files."
            )
    else:
        origin = "path"
        name = os.fsdecode(checks.path("load_mnist", path))
    folder = Path(name)
    if not folder.is_dir():
        found = "is not a folder" if folder.exists() else "does not exist"
        raise FileNotFoundError(
            errno.ENOENT,
            f"load_mnist: {origin} is {name!r}, which {found}; it should be the folder with the "
            "MNIST files, which path= or the environment variable CNN_DATA names. "
            "cnn.datasets.load_digits() needs no files.",
            name,
        )
    return folder


def _find(folder: Path, part: str, kind: str) -> Path:
    """Return the path of the file of this part and kind, under any of its names."""
    spellings = kind, kind.replace("-idx", ".idx")
    names = [f"{part}-{spelling}{gz}" for spelling in spellings for gz in (".gz", "")]
    for name in names:
        file = folder / name
        if file.is_file():
            return file
    raise FileNotFoundError(
        errno.ENOENT,
        f"load_mnist: {str(folder)!r} has no file {' or '.join(names)}; path= or the environment "
        "variable CNN_DATA should name the folder with the four MNIST files. "
        "cnn.datasets.load_digits() needs no files.",
        str(folder),
    )


def _read_part(
    images: Path, labels: Path, dtype: np.dtype[Any]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the images and the labels of one part, train or test."""
    with _open(labels) as data:
        count = _read_header(data, ())
        t = np.empty(count, np.uint8)
        for first, block in _blocks(data, count, 1):
            t[first : first + len(block)] = block[:, 0]
    bad = np.flatnonzero(t >= _CLASSES)
    if bad.size:
        raise data.error(f"label number {bad[0]} is {t[bad[0]]}, but labels should be 0 to 9")
    with _open(images) as data:
        image_count = _read_header(data, (_SIDE, _SIDE))
        if image_count != count:
            raise data.error(f"{image_count} images, but {str(labels)!r} has {count} labels")
        x = np.empty((count, _PIXELS), dtype)
        for first, block in _blocks(data, count, _PIXELS):
            np.divide(block, _WHITE, out=x[first : first + len(block)], dtype=dtype)
    return x, t.astype(np.int64)


class _Data(NamedTuple):
    """An open IDX file: its path, its decoded bytes, and the most that there can be."""

    file: Path
    stream: BinaryIO
    size: int
    packed: bool

    def error(self, message: str) -> ValueError:
        return ValueError(f"load_mnist: {str(self.file)!r}: {message}")


@contextlib.contextmanager
def _open(file: Path) -> Iterator[_Data]:
    """Open a file, gzipped or not; an error of gzip becomes a ValueError."""
    with files.named(file), file.open("rb") as raw:
        size = os.fstat(raw.fileno()).st_size
        # The content decides, not the name: an IDX file starts with two zero bytes.
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not packed:
            yield _Data(file, raw, size, packed)
            return
        with gzip.GzipFile(fileobj=raw) as stream:
            data = _Data(file, cast("BinaryIO", stream), size * _DEFLATE_LIMIT, packed)
            try:
                yield data
            except EOFError as error:
                raise data.error("the gzipped data ends too early: the file is cut off") from error
            except (gzip.BadGzipFile, zlib.error) as error:
                raise data.error(f"the gzipped data is damaged: {error}") from error


def _read_header(data: _Data, element: tuple[int, ...]) -> int:
    """Return the number of elements of the file, each of which should have this shape."""
    dimensions = 1 + len(element)
    length = 4 + 4 * dimensions
    header = _read(data.stream, length)
    magic = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    if header[:4] != magic:
        raise data.error(
            f"the first bytes are {header[:4].hex(' ') or 'missing'}, but should be "
            f"{magic.hex(' ')}: IDX, unsigned bytes, number of dimensions {dimensions}"
        )
    if len(header) < length:
        raise data.error(f"the header has {len(header)} bytes, but should have {length}")
    numbers: tuple[int, ...] = struct.unpack(f">{dimensions}I", header[4:])
    count, found = numbers[0], numbers[1:]
    if found != element:
        raise data.error(
            f"the images have {' x '.join(map(str, found))} pixels, but should have "
            f"{' x '.join(map(str, element))}"
        )
    if count == 0:
        raise data.error("the header says 0 elements, but there should be at least 1")
    # Check that the file can hold the content before memory is allocated for it.
    total = length + count * math.prod(element)
    if data.packed and data.size < total:
        raise data.error(f"the header calls for {total} bytes, more than gzip can have packed here")
    if not data.packed and data.size != total:
        raise data.error(f"the file has {data.size} bytes, but by its header should have {total}")
    return count


def _blocks(data: _Data, rows: int, columns: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield the content in blocks of rows, each with its first row's number."""
    step = max(1, _BLOCK // columns)
    for first in range(0, rows, step):
        size = min(step, rows - first) * columns
        content = _read(data.stream, size)
        if len(content) < size:
            raise data.error(
                f"the content ends after {first * columns + len(content)} bytes, but should have "
                f"{rows * columns}"
            )
        yield first, np.frombuffer(content, np.uint8).reshape(-1, columns)
    if data.stream.read(1):
        raise data.error(f"more bytes follow the {rows * columns} that the header calls for")


def _read(stream: BinaryIO, size: int) -> bytes:
    """Return `size` bytes, fewer only at the end: one read of a gzip stream may return fewer."""
    content = stream.read(size)
    while len(content) < size and (more := stream.read(size - len(content))):
        content += more
    return content
