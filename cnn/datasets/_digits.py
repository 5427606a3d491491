"""The handwritten digits that come with the package."""

from __future__ import annotations

import bz2
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from cnn._base import checks

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

_FILE = Path(__file__).with_name("digits.csv.bz2")
_PIXELS = 64
_WHITE = 16  # pixels are counts from 0 to 16
_TEST_EVERY = 5


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
        of each digit's samples, in the order of the file, every fifth is for the test. Both parts
        have samples of all writers. To test on new writers, split by the order of the file, in
        which neighbours are often by the same writer (accuracy on the last fifth is about 5 %
        lower).
    dtype : {"float32", "float64"}, default "float32"
        The type of the images.

    Returns
    -------
    x : ndarray of shape (1797, 64) or (1442, 64)
        One image per row, pixel by pixel from the top left. 0 is background, 1 is full ink; all
        values are multiples of 1/16.
    t : ndarray of int64, shape (1797,) or (1442,)
        The digit of each image, 0 to 9.
    x_test, t_test : ndarray of shape (355, 64) and (355,)
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
    ((1442, 64), (1442,), (355, 64), (355,))
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
    real = np.dtype(checks.network_dtype("load_digits", dtype))
    split = checks.flag("load_digits", "split", split)
    text = bz2.decompress(_FILE.read_bytes()).decode("ascii")
    table = np.fromstring(text.strip().replace("\n", ","), dtype=np.uint8, sep=",")
    table = table.reshape(-1, _PIXELS + 1)
    x = np.divide(table[:, :_PIXELS], _WHITE, dtype=real)
    t = table[:, _PIXELS].astype(np.int64)
    if not split:
        return x, t
    # The index of each sample among those of its digit.
    order = np.empty(len(t), dtype=np.int64)
    for digit in range(10):
        (places,) = np.nonzero(t == digit)
        order[places] = np.arange(len(places))
    test = order % _TEST_EVERY == _TEST_EVERY - 1
    return x[~test], t[~test], x[test], t[test]
