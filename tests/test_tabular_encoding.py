"""Tables of all kinds as rows of numbers for TabularClassifier and TabularRegressor."""

import datetime
import math
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from refused import refused
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import OneHotEncoder
from tabular_models import LABELS, TABLE, N, T, classifier, regressor

from cnn.columns import Embedding, Ignored, OneHot, Periodic
from cnn.tabular import TabularRegressor
from cnn.tabular._encoder import Encoder


def tables():
    """Return the same table in all kinds that are read."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(TABLE)
    found = {"dict": {name: list(column) for name, column in TABLE.items()}, "pandas": frame}
    typed = frame.copy()
    typed["word"], typed["town"] = typed["word"].astype("category"), typed["town"].astype("string")
    typed["count"], typed["yes"] = typed["count"].astype("Int64"), typed["yes"].astype("boolean")
    found["pandas of other types"] = typed
    found["pandas in another order"] = frame[frame.columns[::-1]]
    zoned = frame.copy()
    zoned["day"] = zoned["day"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")
    found["pandas with a time zone"] = zoned
    try:
        import polars

        found["polars"] = polars.DataFrame(TABLE)
        found["polars categories"] = found["polars"].with_columns(
            polars.col("town").cast(polars.Categorical),
            polars.col("word").cast(polars.Enum(["blue", "green", "red"])),
            polars.col("number").cast(polars.Float64),
        )
        found["arrow"] = found["polars"].to_arrow()
        found["arrow dictionaries"] = found["polars categories"].to_arrow()
    except ImportError:
        pass
    return found


def test_all_kinds_of_tables_are_the_same(bits):
    found = tables()
    model = classifier().fit(found["dict"], LABELS)
    expected = model.predict_proba(found["dict"])
    for name, table in found.items():
        with warnings.catch_warnings():
            # Fitted without names as scikit-learn knows them, which a frame has.
            warnings.filterwarnings("ignore", "X has feature names")
            assert bits(model.predict_proba(table)) == bits(expected), name
        if name != "pandas in another order":
            assert bits(classifier().fit(table, LABELS).predict_proba(table)) == bits(expected)


def test_columns_of_a_network():
    model = regressor().fit(TABLE, T)
    kinds = [type(column) for column in model.net_.layers[0].columns]
    # A date has four numbers; the hour is the same in all rows.
    dates = [Periodic, Periodic, Periodic, Ignored]
    assert kinds == [Periodic, Periodic, Periodic, OneHot, Embedding, OneHot, *dates, Ignored]
    assert [column.missing for column in model.net_.layers[0].columns[:3]] == [False, False, True]
    assert model.n_features_in_ == len(TABLE)
    assert model.net_.layers[0].columns[4].categories == 12


def test_dates():
    encoder = Encoder("f", {"day": np.array(["1970-01-01T18:00", "NaT", "2024-02-29"], "M8[s]")})
    x = encoder.transform("f", {"day": np.array(["2024-02-29T06:00", "NaT"], "M8[ms]")})
    feature = encoder.features[0]
    found = x[0] * feature.scales + feature.centers
    assert found.tolist() == [19782.25, 2.0, 3.0, 6.0]  # a Thursday; Monday is 0
    assert np.isnan(x[1]).all()


@pytest.mark.parametrize("kind", [float, int, bool, "M8[s]"])
def test_masked_values_are_missing(kind):
    values = np.array([0, 1, 0, 1], dtype="i8").astype(kind)
    masked = np.ma.masked_array(values, mask=[0, 1, 0, 0])
    encoder = Encoder("f", {"a": masked})
    assert encoder.features[0].missing
    x = encoder.transform("f", {"a": masked})
    assert np.isnan(x[1]).all()
    assert np.isfinite(x[[0, 2, 3]]).all()


def test_what_is_a_number():
    """Decimals, fractions, and numbers among texts in a list of rows; durations are seconds."""
    table = {
        "decimal": [Decimal("1.5"), None, Decimal(2), Decimal(7)],
        "fraction": [Fraction(1, 2), 1, 2.5, 3],
        "duration": [datetime.timedelta(seconds=s) for s in (1, 2, 3, 4)],
        "hours": np.array([1, 2, 3, 4], "m8[h]"),
    }
    encoder = Encoder("f", table)
    assert [f.kind for f in encoder.features] == ["number"] * 4
    x = encoder.transform("f", table)
    assert encoder.features[3].centers == [9000.0]
    assert x[:, 2].tolist() == x[:, 3].tolist()
    rows = Encoder("f", [[1.5, "red"], [2.5, "blue"]])
    assert [f.kind for f in rows.features] == ["number", "category"]
    assert rows.transform("f", [[1.5, "blue"]]).tolist() == [[-1.0, 0.0]]


def test_a_table_is_read_once_for_fit(bits):
    """The rows of a new encoder are those that it makes of the table later."""
    reads = []

    class Column:
        def __array__(self, dtype=None, copy=None):
            reads.append(1)
            return np.array(TABLE["number"])

    for table in (TABLE, *tables().values(), np.array(TABLE["number"]).reshape(-1, 4)):
        encoder, rows = Encoder.fitted("f", table, "auto", 3)
        again = encoder.transform("f", table)
        assert bits(rows, Encoder("f", table, "auto", 3).transform("f", table)) == bits(
            again, again
        )
    Encoder.fitted("f", {"a": Column()}, "auto", None)
    assert len(reads) == 1
    with refused(ValueError, "f: column 'b' has 2 values, but column 'a' has 3"):
        Encoder.fitted("f", {"a": [1.0, 2.0, 3.0], "b": ["x", "y"]}, "auto", None)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4", "u8"])
def test_arrays_of_numbers_at_once(dtype):
    """The short way for arrays gives what the way of columns gives, and the same errors."""
    x = (np.random.default_rng(0).normal(size=(50, 3)) * 100).astype("i4").astype(dtype)
    if dtype[0] == "f":
        x[::7, 1] = np.nan
    encoder = Encoder("f", x)
    columns = {f"x{j}": x[:, j] for j in range(3)}
    assert encoder.transform("f", x).tobytes() == encoder.transform("f", columns).tobytes()
    if dtype[0] == "f":
        x[3, 2] = np.inf
        for table in (x, {f"x{j}": x[:, j] for j in range(3)}):
            with refused(ValueError, "f: row 3, column 'x2' is inf, should be finite or missing"):
                encoder.transform("f", table)


def test_a_categorical_of_numbers_is_a_category():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": pandas.Categorical([10, 20, 10, None])})
    feature = Encoder("f", frame).features[0]
    assert (feature.kind, feature.categories, feature.missing) == ("category", [10, 20], True)


def test_large_numbers_keep_their_digits():
    """Seconds since 1970, of which float32 has a multiple of 128."""
    v = np.arange(100.0)
    scores = [
        TabularRegressor(epochs=40, random_state=0)
        .fit((v + off)[:, None], v**2)
        .score((v + off)[:, None], v**2)
        for off in (0.0, 1.7e9, 2.0**50)
    ]
    assert scores[0] == scores[1] == scores[2] > 0.5
    for scale in (1e300, 1e-300):
        model = regressor().fit(v[:, None] * scale, v)
        assert np.isfinite(model.predict(v[:, None] * scale)).all()
        assert np.isfinite(model.predict([[1e308], [-1e308]])).all()


def test_missing_dates_alone(bits):
    model = regressor().fit({"day": TABLE["day"]}, T)
    missing = model.predict({"day": np.array(["NaT"], "M8[s]")})
    assert bits(model.predict({"day": [None]})) == bits(missing)


def test_categories_of_numbers():
    """Numbers are categories if they are named as such."""
    x = np.column_stack(
        [np.random.default_rng(0).integers(0, 4, N) * 10.0, np.random.default_rng(0).normal(size=N)]
    )
    model = regressor(categorical_features=[0]).fit(x, T)
    assert model.net_.layers[0].columns == (OneHot(4), Periodic())
    model = regressor(categorical_features=["count"]).fit({"count": TABLE["count"]}, T)
    assert isinstance(model.net_.layers[0].columns[0], Embedding)


def test_an_array_of_objects():
    x = np.array([["a", 1.5], ["b", 2.5], [None, math.nan], ["a", 4]] * 10, dtype=object)
    model = classifier().fit(x, [0, 1, 0, 1] * 10)
    assert model.net_.layers[0].columns == (OneHot(2), Periodic(missing=True))
    assert model.predict(x[:3]).shape == (3,)


def test_a_missing_value_where_training_had_none(bits):
    """A missing number counts as the median, a missing category as no category."""
    model = regressor().fit({"a": [1.0, 2.0, 6.0] * 8, "b": ["x", "y", "z"] * 8}, T[:24])
    median = model.predict({"a": [2.0], "b": ["x"]})
    assert bits(model.predict({"a": [None], "b": ["x"]})) == bits(median)
    assert model.predict({"a": [2.0], "b": [None]}).shape == (1,)


def test_unseen_categories(bits):
    for settings, message in (({}, None), ({"unseen": "ignore"}, None), ({"unseen": "error"}, 1)):
        model = regressor(**settings).fit({"b": ["x", "y", "z", "w"] * 6}, T[:24])
        missing = model.predict({"b": [None, "x"]})
        text = "row 0, column 'b' is 'q', which fit did not see: w, x, y and 1 more"
        if message:
            with refused(ValueError, f"TabularRegressor.predict: {text}"):
                model.predict({"b": ["q", "x"]})
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = model.predict({"b": ["q", "x"]})
        assert bits(found) == bits(missing)
        assert [text in str(w.message) for w in caught] == ([True] if not settings else [])


def test_many_categories():
    """100,000 categories, of which a network has a row each, and a number for all but these."""
    names = [f"n{i}" for i in range(100_000)]
    x = {"name": names * 2, "number": np.linspace(0, 1, 200_000)}
    model = regressor(epochs=1, batch_size=20_000).fit(x, np.arange(200_000) % 100_000 / 1e5)
    assert model.net_.layers[0].columns[0] == Embedding(100_000)
    assert model.net_.layers[0].embedding.shape == (100_000, 8)
    assert np.isfinite(model.predict({"name": names[:5], "number": [0.0] * 5})).all()


# ---- Infrequent categories -----------------------------------------------------------------------


@pytest.mark.parametrize("min_frequency", [1, 4, np.int64(7), 0.05, 0.2, 1000])
@pytest.mark.parametrize("kind", [str, int])
def test_infrequent_categories_are_those_of_scikit_learn(min_frequency, kind):
    codes = np.floor(np.random.default_rng(5).exponential(3.0, 150)).astype(int)
    x = codes.astype(kind)[:, np.newaxis]
    theirs = OneHotEncoder(min_frequency=min_frequency, sparse_output=False)
    hot = theirs.fit_transform(x)
    encoder = Encoder("f", {"c": x[:, 0]}, ["c"], min_frequency)
    (feature,) = encoder.features
    infrequent = theirs.infrequent_categories_[0]
    assert feature.infrequent == ([] if infrequent is None else infrequent.tolist())
    assert feature.codes == hot.shape[1]
    # There too, the infrequent ones come last.
    assert encoder.transform("f", {"c": x[:, 0]})[:, 0].tolist() == hot.argmax(axis=1).tolist()


def test_a_share_is_one_of_all_rows():
    """Three of ten rows that have a value, and of twelve with those that have none."""
    column = ["a"] * 7 + ["b"] * 3 + [None] * 2
    for share, infrequent in ((0.25, []), (0.26, ["b"]), (0.6, ["a", "b"])):
        assert Encoder("f", {"c": column}, "auto", share).features[0].infrequent == infrequent


def test_columns_with_infrequent_categories():
    """Truth values, and numbers that are no categories, are left as they are."""
    table = {
        "two": ["a"] * 8 + ["b", "c"],
        "none": list("abcdefghij"),
        "hole": [*"abcdefghi", None],
        "yes": [True] * 9 + [False],
        "number": range(10),
    }
    model = regressor(min_frequency=3, validation_fraction=0).fit(table, T[:10])
    assert model.net_.layers[0].columns == (
        *(OneHot(2), Ignored(), OneHot(1), OneHot(2)),
        Periodic(),
    )
    assert model.infrequent_categories_ == {
        "two": ["b", "c"],
        "none": list("abcdefghij"),
        "hole": list("abcdefghi"),
    }
    with pytest.raises(NotFittedError):
        _ = regressor().infrequent_categories_


def test_infrequent_categories_are_one_category(bits):
    """As if they had one name; the name sorts behind those of the others."""
    town = [["x", "y", "z", f"rare {i}"][i % 4 if i % 16 else 3] for i in range(N)]
    named = ["~" if name.startswith("rare") else name for name in town]
    number = TABLE["number"]
    grouped = regressor(min_frequency=3).fit({"town": town, "number": number}, T)
    by_hand = regressor().fit({"town": named, "number": number}, T)
    assert bits(*grouped.net_.get_weights()) == bits(*by_hand.net_.get_weights())
    assert grouped.infrequent_categories_.keys() == {"town"}
    assert by_hand.infrequent_categories_ == {}
    known, rare = {"town": ["x", "rare 7"], "number": [1.0, 2.0]}, {"town": ["x", "~"]}
    rare["number"] = known["number"]
    assert bits(grouped.predict(known)) == bits(by_hand.predict(rare))
    every = regressor(min_frequency=1).fit({"town": town, "number": number}, T)
    plain = regressor().fit({"town": town, "number": number}, T)
    assert bits(*every.net_.get_weights()) == bits(*plain.net_.get_weights())


def test_unseen_categories_are_infrequent(bits):
    """Of a column with infrequent ones; of others they are missing, and a warning tells which."""
    table = {"a": ["x", "x", "x", "r", "s", "x"] * 4, "b": ["y", "z"] * 12}
    model = regressor(min_frequency=5).fit(table, T[:24])
    text = "row 0, column 'a' is 'q', which fit did not see: x, r, s; it counts as infrequent"
    with pytest.warns(UserWarning, match=text):
        found = model.predict({"a": ["q", "x"], "b": ["y", "y"]})
    assert bits(found) == bits(model.predict({"a": ["s", "x"], "b": ["y", "y"]}))
    with pytest.warns(UserWarning, match="column 'b' is 'q', .*; it counts as missing"):
        found = model.predict({"a": ["x", "x"], "b": ["q", "y"]})
    assert bits(found) == bits(model.predict({"a": ["x", "x"], "b": [None, "y"]}))
    model.set_params(unseen="error")
    with refused(ValueError, "column 'a' is 'q', which fit did not see: x, r, s"):
        model.predict({"a": ["q"], "b": ["y"]})
