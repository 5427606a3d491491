"""Networks whose first layer is a Columns, rows for them, and what the layer makes of rows."""

import math

import numpy as np
from bounded import Bounded, constant, exact, fma, row_sum, unit_wide

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


def new_layers(**options):
    """Return layers of all kinds, with a dropout."""
    first = columns(**options)
    return [
        first,
        cnn.Scale(first.outputs),
        cnn.Dense(first.outputs, 20, parametrization="ntk"),
        cnn.ParametricActivation(20, "mish"),
        cnn.Dropout(0.25),
        cnn.Dense(20, 9),
        cnn.ParametricActivation(9, "selu"),
        cnn.Dense(9, 2),
    ]


def network(dtype="float32", seed=3, **options):
    """Return a network of them, whose factors and mixes are random."""
    net = cnn.Sequential(new_layers(**options), rng=seed, dtype=dtype)
    first = net.layers[0]
    rng = np.random.default_rng(seed)
    net.layers[1].factor = rng.normal(size=first.outputs)
    net.layers[3].mix = rng.normal(size=20)
    net.layers[6].mix = rng.normal(size=9)
    return net


def _off(name, x):
    """Return cos or sin of 2 pi x: its slope is at most 2 pi, and it is 2 ULP off."""
    turns = 2 * np.longdouble(np.pi) if x.value.dtype == np.longdouble else 2 * np.pi
    # The reference rounds the argument, of less than 2^10 turns here, and its own function.
    own = (2**11 * math.pi + 2) * unit_wide(x.dtype)
    part = x.value - np.rint(x.value)
    return x.like(name(turns * part), 2 * math.pi * x.error + own).off(2)


def _number(x, mean, scale, bound):
    """Return u of numbers that are not missing: 0 if they are."""
    gone = np.isnan(x.value)
    u = (x.like(np.where(gone, 0, x.value), 0.0) - mean) / scale
    if bound:
        limit = constant(bound, x.dtype)
        q = u / limit  # the quotient of the library is this or its inverse
        clipped = u / fma(q, q, exact(1.0, x.dtype)).sqrt()
        # Two more roundings than here, for the larger of two forms.
        u = clipped.like(clipped.value, clipped.error * 2)
    return u.like(np.where(gone, 0, u.value), np.where(gone, 0, u.error))


def features(layer, x):
    """Return the features of rows of a Columns layer, with bounds."""
    dtype = layer.mean.dtype
    raw = exact(x.astype(dtype), dtype)
    spec = layer._spec
    found, table, periodic = [], 0, 0
    with np.errstate(invalid="ignore", over="ignore"):
        for j, column in enumerate(layer.columns):
            v = raw[:, j]
            if isinstance(column, Number):
                mean, scale = (exact(a[j], dtype) for a in (layer.mean, layer.scale))
                u = _number(v, mean, scale, layer.clip)
                found.append(u)
                if isinstance(column, Periodic):
                    found += _periodic(u, exact(layer.periodic[periodic], dtype), spec)
                    periodic += 1
                if column.missing:
                    found.append(exact(np.isnan(v.value), dtype))
            elif isinstance(column, (OneHot, Embedding)):
                code = np.where(np.isin(v.value, range(column.categories)), v.value, -1).astype(int)
                if isinstance(column, OneHot):
                    hot = code[:, None] == np.arange(column.categories)
                    hot = hot @ [[1], [-1]] if column.categories == 2 else hot
                    found += [exact(h, dtype) for h in hot.T.astype(float)]
                else:
                    values = np.where(code[:, None] < 0, 0, layer.embedding[table + code])
                    found += [exact(h, dtype) for h in values.T]
                    table += column.categories
    return Bounded(
        np.stack([f.value for f in found], 1), np.stack([f.error for f in found], 1), dtype=dtype
    )


def _periodic(u, row, spec):
    """Return the periodic features of numbers u from a column's row of numbers."""
    n, size = spec.frequencies, spec.periodic_size
    turn = constant(1 / (2 * math.pi), u.dtype)
    frequency, phase = row[:n], row[n : 2 * n]
    wide = u.like(u.value[:, None], u.error[:, None])
    cosines = _off(np.cos, fma(wide, frequency, phase * turn))
    offset = row[(size + 1) * n :]
    return [
        row_sum(cosines * row[(2 + h) * n : (3 + h) * n]) + offset[h : h + 1]
        for h in range(size - 1)
    ]
