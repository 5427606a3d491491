"""The handwritten digits that come with the package."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from cnn.datasets._dtype import real_dtype

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

_FILE = Path(__file__).with_name("digits.csv.gz")
_PIXELS = 64
_WHITE = 16  # pixels are counts from 0 to 16
_TEST_SAMPLES = 360


@overload
def load_digits(
    *, split: Literal[False] = False, dtype: DTypeLike = "float32"
) -> tuple[NDArray[Any], NDArray[np.int64]]: ...
@overload
def load_digits(
    *, split: Literal[True], dtype: DTypeLike = "float32"
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[Any], NDArray[np.int64]]: ...
@overload
def load_digits(*, split: bool, dtype: DTypeLike = "float32") -> tuple[NDArray[Any], ...]: ...
def load_digits(*, split: bool = False, dtype: DTypeLike = "float32") -> tuple[NDArray[Any], ...]:
    """Load 1797 handwritten digits of 8 x 8 pixels.

    The images come with the package, so this needs neither files nor a network.

    Parameters
    ----------
    split : bool, default False
        Return the samples in two parts, one to train on and one to test with. The split is fixed:
        the first 1437 samples of the file and the last 360, a fifth. Both parts have each digit
        in nearly equal numbers (141 to 146 and 33 to 37). The order of the file is kept because
        neighbours in it look alike: a shuffled split would put near copies of the training images
        into the test part.
    dtype : {"float32", "float64"}, default "float32"
        The type of the images.

    Returns
    -------
    x : ndarray of shape (1797, 64) or (1437, 64)
        One image per row, pixel by pixel from the top left. 0 is background, 1 is full ink; all
        values are multiples of 1/16.
    t : ndarray of int64, shape (1797,) or (1437,)
        The digit of each image, 0 to 9.
    x_test, t_test : ndarray of shape (360, 64) and (360,)
        The test part; with ``split=True`` only.

    Notes
    -----
    This is the test set of "Optical Recognition of Handwritten Digits" by E. Alpaydin and
    C. Kaynak (1998), UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, licensed
    under CC BY 4.0. Pixels are divided by 16, and nothing else is changed.

    Examples
    --------
    >>> import cnn
    >>> x, t, x_test, t_test = cnn.datasets.load_digits(split=True)
    >>> x.shape, t.shape, x_test.shape, t_test.shape
    ((1437, 64), (1437,), (360, 64), (360,))
    >>> for row in x[0].reshape(8, 8):
    ...     print("".join(".-oO@"[int(4 * pixel)] for pixel in row))
    ..-Oo...
    ..OOoO-.
    ..O..oo.
    .-O..oo.
    .-o..oo.
    .-o..O-.
    ..O-oO..
    ..-Oo...
    >>> int(t[0])
    0
    """
    real = real_dtype("load_digits", dtype)
    if not isinstance(split, (bool, np.bool_)):
        raise TypeError(f"load_digits: split is {split!r}, but should be True or False")
    text = gzip.decompress(_FILE.read_bytes()).decode("ascii")
    table = np.fromstring(text.strip().replace("\n", ","), dtype=np.uint8, sep=",")
    table = table.reshape(-1, _PIXELS + 1)
    x = np.divide(table[:, :_PIXELS], _WHITE, dtype=real)
    t = table[:, _PIXELS].astype(np.int64)
    if not split:
        return x, t
    last = len(t) - _TEST_SAMPLES
    return x[:last], t[:last], x[last:], t[last:]
