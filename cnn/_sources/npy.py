"""Files of NumPy as sources: .npy, and .npz without compression."""

from __future__ import annotations

import contextlib
import os
import threading
import tokenize
import zipfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from cnn import _core
from cnn._sources.indexed import Indexed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cnn._sources.chunks import Check, Chunk, Order

# The length of a local header in a ZIP file before its two texts, and the place of their lengths.
_LOCAL = 30
_LENGTHS = slice(26, 30)
# NumPy reads the header of a file with Python's own parser, whose errors are of many kinds.
_BAD_HEADER = (
    ValueError,
    TypeError,
    SyntaxError,
    LookupError,
    OverflowError,
    RecursionError,
    tokenize.TokenError,
)


class NpyRows:
    """The rows of an array in a file, of which those that are asked for are read.

    Parameters
    ----------
    where, name : str
        What begins messages: the function that the user called, and the argument.
    path : str
        The file.
    member : str, optional
        The array's name in a .npz file.
    """

    def __init__(self, where: str, name: str, path: str, member: str | None = None) -> None:
        self._what = f"{where}: {name}, {path!r}"
        if member is not None:
            self._what += f", {member}.npy"
        self.path = path
        with open(path, "rb") as file:
            start = 0 if member is None else self._start(file, member)
            file.seek(start)
            self.shape, self.dtype = self._header(file)
            self.offset = file.tell()
            end = file.seek(0, os.SEEK_END)
        size = int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize
        if end - self.offset < size:
            raise ValueError(
                f"{self._what} has {end - self.offset} bytes of numbers, should have {size}: it is "
                f"not a whole file"
            )
        self._local = threading.local()

    def _start(self, file: IO[bytes], member: str) -> int:
        """Return where a file begins in a .npz file."""
        try:
            with zipfile.ZipFile(file) as archive:
                found = archive.getinfo(f"{member}.npy")
        except KeyError:
            raise ValueError(f"{self._what} is not in the file") from None
        except (zipfile.BadZipFile, NotImplementedError, OverflowError) as error:
            raise ValueError(f"{self._what} cannot be read: {error}") from error
        if found.compress_type != zipfile.ZIP_STORED:
            raise ValueError(
                f"{self._what} is compressed, so that its rows cannot be read one by one; should "
                f"be written by numpy.savez, or be read by numpy.load beforehand"
            )
        if found.header_offset > os.fstat(file.fileno()).st_size:
            raise ValueError(f"{self._what} cannot be read: it begins behind the end of the file")
        file.seek(found.header_offset)
        local = file.read(_LOCAL)
        lengths = local[_LENGTHS]
        return (
            found.header_offset
            + _LOCAL
            + int.from_bytes(lengths[:2], "little")
            + (int.from_bytes(lengths[2:], "little"))
        )

    def _header(self, file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Read the header of a .npy file, and refuse what has no rows of numbers."""
        form = np.lib.format
        try:
            version = form.read_magic(file)
            if version == (1, 0):
                shape, is_fortran, dtype = form.read_array_header_1_0(file)
            else:
                shape, is_fortran, dtype = form.read_array_header_2_0(file)
        except _BAD_HEADER as error:
            raise ValueError(f"{self._what} is not a file of NumPy: {error}") from error
        if min(shape, default=0) < 0:
            raise ValueError(f"{self._what} is not a file of NumPy: its shape is {shape}")
        if dtype.hasobject or not shape:
            raise TypeError(
                f"{self._what} has dtype {dtype} and shape {shape}, should be rows of numbers"
            )
        _core.numeric(self._what, "the file", np.empty(0, dtype))
        if is_fortran and len(shape) > 1 and shape[0] > 1:
            raise ValueError(
                f"{self._what} is in Fortran order, so that its rows are not together; should be "
                f"in C order, as numpy.save writes numpy.ascontiguousarray(array)"
            )
        return shape, dtype

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def row_bytes(self) -> int:
        """The bytes of a row."""
        return int(np.prod(self.shape[1:], dtype=object)) * self.dtype.itemsize

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Keep the file open, for one thread."""
        with open(self.path, "rb", buffering=0) as file:
            self._local.file = file
            try:
                yield
            finally:
                self._local.file = None

    def __getitem__(self, index: NDArray[np.intp] | slice) -> NDArray[Any]:
        """Return rows as a new array."""
        rows = np.arange(index.start, index.stop) if isinstance(index, slice) else index
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        file = getattr(self._local, "file", None)
        if file is None:
            with open(self.path, "rb", buffering=0) as file:
                self._read(file, rows, out)
        else:
            self._read(file, rows, out)
        return out

    def _read(self, file: IO[bytes], rows: NDArray[np.intp], out: NDArray[Any]) -> None:
        try:
            _core.read_rows(file.fileno(), self.offset, rows.astype(np.uintp), out)
        except EOFError as error:
            raise ValueError(f"{self._what} has become shorter: {error}") from None


class Npy(Indexed):
    """Rows of .npy files, or of arrays in a .npz file, in which the targets may be arrays too.

    Parameters
    ----------
    where : str
        What begins messages.
    path : str
        The file of x.
    t : str, array_like or None
        The targets: an array, the path of a .npy file, or the name of an array in the .npz file, by
        default "t".
    sample_weight : str, array_like or None
        The weights, in the same ways; a .npz file need not have "sample_weight".
    inputs_only : bool
        Whether t is not read.
    """

    def __init__(
        self, where: str, path: str, t: Any, sample_weight: Any, *, inputs_only: bool
    ) -> None:
        self.where = where
        packed = path.endswith(".npz")
        self._x = NpyRows(where, "x", path, "x" if packed else None)
        if len(self._x.shape) != 2:
            raise ValueError(
                f"{where}: x has {len(self._x.shape)} dimensions {self._x.shape}, should have 2: "
                f"(n, inputs)"
            )
        self.rows, self.inputs = self._x.shape
        self._t = self._weight = None
        if not inputs_only:
            self._t = self._other("t", "t" if packed and t is None else t, packed)
            if packed and sample_weight is None and _has(path, "sample_weight"):
                sample_weight = "sample_weight"
            self._weight = self._other("sample_weight", sample_weight, packed)
            if self._t is None:
                raise TypeError(
                    f"{where}: t is None, should be an array or the path of a .npy file, since x "
                    f"is the path of one"
                )
        self.row_bytes = self._x.row_bytes

    def _other(self, name: str, value: Any, packed: bool) -> Any:
        """Return targets or weights, of which rows can be taken; None if there are none."""
        if value is None:
            return None
        found: Any
        if packed and isinstance(value, str):
            found = NpyRows(self.where, name, self._x.path, value)
        elif isinstance(value, (str, os.PathLike)):
            found = NpyRows(self.where, name, os.fspath(value))
        else:
            found = _core.numeric(self.where, name, value)
        if not found.shape or found.shape[0] != self.rows:
            raise ValueError(
                f"{self.where}: {name} has shape {found.shape}, but x has {self.rows} rows"
            )
        # Those of a number each are small beside x, and are read at once.
        if isinstance(found, NpyRows) and len(found.shape) == 1:
            return found[0 : len(found)]
        return found

    def read(self, order: Order = None, check: Check | None = None) -> Iterator[Chunk]:
        """Yield all rows in chunks, as `Source.read` says."""
        files = [part for part in (self._x, self._t) if isinstance(part, NpyRows)]
        with contextlib.ExitStack() as stack:
            for file in files:
                stack.enter_context(file.opened())
            yield from super().read(order, check)

    def fetch(self, index: NDArray[np.intp] | slice) -> tuple[Any, Any, Any]:
        """Return x, t and weights of some rows."""
        parts = (self._x, self._t, self._weight)
        x, t, weight = (None if part is None else part[index] for part in parts)
        return x, t, weight


def _has(path: str, name: str) -> bool:
    """Whether a .npz file has an array of a name."""
    with zipfile.ZipFile(path) as archive:
        return f"{name}.npy" in archive.namelist()
