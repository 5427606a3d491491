"""Networks of columns, tables of all kinds, and estimators of them, for tests of exports."""

import warnings

import numpy as np

import cnn
from cnn.columns import Embedding, Ignored, Number, OneHot, Periodic
from cnn.tabular import TabularClassifier, TabularRegressor

COLUMNS = (
    *(Number(), Number(missing=True), Periodic(), Periodic(missing=True)),
    *(OneHot(2), OneHot(1), Embedding(30), Ignored(), OneHot(5), Embedding(1000), Periodic()),
)
CATEGORIES = {4: 2, 5: 1, 6: 30, 8: 5, 9: 1000}


def network(dtype, activation="mish", *, columns=COLUMNS, clip=3.0, frequencies=16):
    """Return a network whose parameters are all random."""
    first = cnn.Columns(columns, clip=clip, frequencies=frequencies, embedding_size=3)
    layers = [
        *(first, cnn.Scale(first.outputs), cnn.Dense(first.outputs, 37)),
        *(cnn.ParametricActivation(37, activation), cnn.Dropout(0.2), cnn.Dense(37, 20, "tanh")),
        *(cnn.Scale(20), cnn.Dense(20, 11), cnn.ParametricActivation(11, "relu")),
        cnn.Dense(11, 4, "softmax"),
    ]
    net = cnn.Sequential(layers, rng=0, dtype=dtype)
    random = np.random.default_rng(0)
    first.mean = random.normal(size=first.inputs)
    first.scale = random.uniform(0.5, 2.0, first.inputs)
    if any(isinstance(column, Periodic) for column in columns):
        first.periodic = random.normal(size=first.periodic.shape)
    for layer in net.layers:
        if isinstance(layer, cnn.Scale):
            layer.factor = random.normal(size=layer.factor.shape)
        if isinstance(layer, cnn.ParametricActivation):
            layer.mix = random.uniform(-0.5, 1.5, layer.mix.shape)
    return net


def inputs(dtype, n=200):
    """Return rows with missing values, codes that are none, and numbers of all sizes."""
    random = np.random.default_rng(1)
    x = 3 * random.normal(size=(n, len(COLUMNS)))
    for j, count in CATEGORIES.items():
        x[:, j] = random.integers(-1, count + 1, n)
    x[: n // 10, 4:10] += 0.5
    x[random.random(x.shape) < 0.1] = np.nan
    x[0, :4], x[1, :4], x[2, :4] = (np.inf, -np.inf, 1e30, -1e30), 0.0, -0.0
    return x.astype(dtype)


ROWS = 160
UNSEEN = "nowhere"


def table():
    """Return columns of each kind, with missing values, and some that hold nothing."""
    random = np.random.default_rng(0)
    since = np.datetime64("1955-01-01T00:00:00.123457", "us")
    found = {
        "size": random.uniform(20, 140, ROWS),
        "district": random.choice(["centre", "nörth", "so?uth"], ROWS).astype(object),
        "since": since + random.integers(0, 36500 * 86400 * 10**6, ROWS),
        "balcony": random.random(ROWS) < 0.4,
        "code": random.integers(0, 20, ROWS).astype(str).astype(object),
        "one": np.full(ROWS, "x", dtype=object),
        "rooms": random.integers(1, 9, ROWS),
        "nothing": np.full(ROWS, np.nan),
        "none": np.full(ROWS, None, dtype=object),
        "took": random.integers(0, 10**6, ROWS).astype("timedelta64[ms]"),
        "huge": 1e300 * random.normal(size=ROWS),
    }
    found["size"][::10] = np.nan
    found["district"][5::20] = None
    found["since"][7::30] = "NaT"
    # Leap days, and the microsecond before 1970.
    days = [
        "1969-12-31T23:59:59.999999",
        "1970-01-01",
        "2000-02-29T12:00",
        "1900-03-01",
        "1583-12-31",
    ]
    found["since"][: len(days)] = np.array(days, "datetime64[us]")
    return found


def other_rows():
    """Return the table with a category that it did not have."""
    found = table()
    found["district"][3] = found["code"][9] = UNSEEN
    found["size"][4] = 1e308
    return found


RENT = 200 + 9 * np.nan_to_num(table()["size"], nan=80.0) + 300 * (table()["district"] == "centre")
SETTINGS = {"preset": "fast", "epochs": 2, "hidden_layer_sizes": (24, 10), "random_state": 0}
MODELS = {
    "classifier": lambda: TabularClassifier(**SETTINGS, calibrate=True).fit(table(), KINDS),
    "ensemble": lambda: TabularClassifier(**SETTINGS, n_ens=3).fit(table(), KINDS),
    "number": lambda: TabularRegressor(**SETTINGS).fit(table(), RENT),
    "numbers": lambda: TabularRegressor(**SETTINGS, n_ens=2).fit(
        table(), np.stack([RENT, -RENT], axis=1)
    ),
    "infrequent": lambda: TabularClassifier(**SETTINGS, min_frequency=9).fit(table(), KINDS),
    "quantiles": lambda: TabularRegressor(**SETTINGS, loss="quantile").fit(table(), RENT),
    "poisson": lambda: TabularRegressor(**SETTINGS, loss="poisson").fit(table(), RENT),
}
KINDS = np.where(RENT > 900, "dear", np.where(RENT > 500, "fair", "cheap"))


def predicted(model, rows):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        get = model.predict_proba if hasattr(model, "predict_proba") else model.predict
        return get(rows).reshape(ROWS, -1)


def seconds(dates):
    """Return dates as seconds since 1970, and NaN for NaT."""
    numbers = dates.astype("datetime64[us]").astype(np.int64) / 1e6
    return np.where(np.isnat(dates), np.nan, numbers)


def numbers_of(values):
    """Return a column of numbers, durations or dates as exports take it, None for categories."""
    if values.dtype.kind == "M":
        return seconds(values)
    if values.dtype.kind == "m":
        return values / np.timedelta64(1, "s")
    is_number = values.dtype.kind in "if" or all(value is None for value in values)
    return values.astype(float) if is_number else None


_FITTED = {}


def fitted(name):
    """Return a model that is fitted once in a process."""
    if name not in _FITTED:
        _FITTED[name] = MODELS[name]()
    return _FITTED[name]
