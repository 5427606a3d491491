"""Networks whose first layer is a Columns with columns of all kinds, and rows for them."""

import numpy as np

import cnn
from cnn.columns import Embedding, Ignored, Number, OneHot, Periodic

_RNG = np.random.default_rng(0)
ROWS = 300
COLUMNS = [
    Number(missing=True),
    Periodic(),
    OneHot(3),
    OneHot(2),
    Embedding(7),
    Ignored(),
    Periodic(missing=True),
    Number(),
    Embedding(400),
    # More periodic columns than a task of the training has.
    *[Periodic()] * 9,
]
NUMBERS = [0, 1, 6, 7, *range(9, 18)]
SIZES = {"frequencies": 21, "periodic_size": 4, "embedding_size": 3, "sigma": 0.5}
MEAN = _RNG.normal(size=len(COLUMNS))
SCALE = np.exp(_RNG.normal(size=len(COLUMNS)))


def rows_of(n, dtype=np.float64):
    """Return raw rows with missing numbers, and codes that are missing, unknown or no codes."""
    x = _RNG.normal(size=(n, len(COLUMNS))) * 3
    for j, column in enumerate(COLUMNS):
        if isinstance(column, (OneHot, Embedding)):
            x[:, j] = _RNG.integers(0, column.categories, n)
            x[::11, j] = [np.nan, -1, column.categories, 0.5][j % 4]
    x[::7, 0] = np.nan
    x[::5, 6] = np.nan
    x[::3, 5] = np.nan
    x[1, 1] = 1e30
    return x.astype(dtype)


X = rows_of(ROWS)
T = _RNG.normal(size=(ROWS, 2))


def columns(**options):
    layer = cnn.Columns(COLUMNS, **(SIZES | options))
    layer.mean, layer.scale = MEAN, SCALE
    return layer


def network(dtype="float32", seed=3, **options):
    """Return a network of all kinds of layers, with a dropout."""
    first = columns(**options)
    net = cnn.Sequential(
        [
            first,
            cnn.Scale(first.outputs),
            cnn.Dense(first.outputs, 20, parametrization="ntk"),
            cnn.ParametricActivation(20, "mish"),
            cnn.Dropout(0.25),
            cnn.Dense(20, 9),
            cnn.ParametricActivation(9, "selu"),
            cnn.Dense(9, 2),
        ],
        rng=seed,
        dtype=dtype,
    )
    rng = np.random.default_rng(seed)
    net.layers[1].factor = rng.normal(size=first.outputs)
    net.layers[3].mix = rng.normal(size=20)
    net.layers[6].mix = rng.normal(size=9)
    return net
