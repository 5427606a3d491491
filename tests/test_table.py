"""CSV files as tables of numbers, and the preprocessing that a model file keeps."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refused import refused

import cnn
from cnn._base import metadata
from cnn._tables import preprocessing, table
from cnn._tables.preprocessing import Preprocessing
from cnn._tables.table import Category, Number

COLUMNS = (Number("age", 40.0, 10.0), Category("city", ("Paris", "Rome")))


def values(path, columns):
    return np.concatenate(list(table.blocks(path, columns)))


# ---- Reading -----------------------------------------------------------------------------------


def test_survey(file):
    path = file("age,city,size\n40,Rome,1.5\n 50 ,Paris,2\n40,Rome,-3e2\n")
    rows, found = table.survey(path)
    assert rows == 3
    assert list(found) == ["age", "city", "size"]
    assert [column.is_number for column in found.values()] == [True, False, True]
    assert [column.is_whole for column in found.values()] == [True, False, False]
    assert found["city"].category(path) == Category("city", ("Paris", "Rome"))
    assert found["age"].category(path) == Category("age", ("40", "50"))


def test_blocks(file):
    path = file("other,city,age\nx,Rome,40\ny,Paris,50.5\n")
    np.testing.assert_array_equal(values(path, COLUMNS), [[40, 1], [50.5, 0]])


def test_many_rows_come_in_blocks(file):
    path = file("a\n" + "\n".join(map(str, range(10000))) + "\n")
    blocks = list(table.blocks(path, [Number("a")]))
    assert max(map(len, blocks)) == 4096
    np.testing.assert_array_equal(np.concatenate(blocks)[:, 0], np.arange(10000))


@pytest.mark.parametrize(
    "content",
    [
        'a,"b, c"\n1,x\n2,"y ""z"", w"\n',
        'a;"b, c"\n1;x\n2;"y ""z"", w"\n',
        'a\t"b, c"\n1\tx\n2\t"y ""z"", w"\n',
        '\ufeffa,"b, c"\r\n1,x\r\n\r\n2,"y ""z"", w"\r\n',
        'a,"b, c"\n1,x\n2,"y ""z"", w"',
        'a, "b, c"\n1, x\n2, "y ""z"", w"\n',
    ],
    ids=["quotes", "semicolons", "tabs", "spreadsheet", "no end of line", "spaces"],
)
def test_dialects(file, content):
    path = file(content)
    rows, found = table.survey(path)
    assert rows == 2
    assert list(found) == ["a", "b, c"]
    assert found["a"].is_number
    assert found["b, c"].texts == {"x", 'y "z", w'}


def test_numbers_that_are_categories_are_texts(file):
    path = file("a\n1\n1.0\n10\n2.50\n-0\n")
    category = table.survey(path)[1]["a"].category(path)
    assert category.categories == ("-0", "1", "1.0", "2.50", "10")
    np.testing.assert_array_equal(values(path, [category])[:, 0], [1, 2, 4, 3, 0])


def test_a_line_may_go_on_in_quotes(file):
    path = file('a,b\n1,"two\nlines"\n,3\n')
    with refused(ValueError, "row 2 (line 4), column 'a' is empty"):
        table.survey(path)


def test_what_is_dropped_is_not_looked_at(file):
    path = file("a,b\n1,\n2,1\n3,x\n")
    rows, found = table.survey(path, drop=["b"])
    assert (rows, list(found)) == (3, ["a"])


def test_categories_may_have_numbers(file):
    path = file("doors,size\n2,1\nmore,2\n4,1\n2.0,1\n")
    found = table.survey(path, categories=["doors", "size"])[1]
    category = found["doors"].category(path)
    assert category.categories == ("2", "2.0", "4", "more")
    np.testing.assert_array_equal(values(path, [category])[:, 0], [0, 3, 2, 1])
    assert not found["size"].is_number
    assert found["size"].category(path).categories == ("1", "2")


def test_columns_that_are_missing(file):
    path = file("sepal_length,Species\n1,x\n")
    message = "'species' is missing, the file has sepal_length, Species; did you mean 'Species'?"
    with refused(ValueError, f"data.csv: column {message}"):
        table.survey(path, needed=["species"])
    with refused(ValueError, "column 'x' is missing, the file has sepal_length, Species") as caught:
        table.survey(path, drop=["x"])
    assert "mean" not in str(caught.value)
    path = file(",".join(f"pixel{i}" for i in range(785)) + "\n")
    message = "column 'label' is missing, the file has pixel0, pixel1, "
    with refused(ValueError, message) as caught:
        table.survey(path, needed=["label"])
    assert str(caught.value).endswith("pixel9, ...")


BAD = {
    "empty file": ("", "the first line is empty, should have the columns' names"),
    "word": ("a\n1\nx\n", "column 'a' has '1' in row 1 (line 2), but 'x' in row 2 (line 3); sho"),
    "number": ("a\nx\n\n1\n", "column 'a' has '1' in row 2 (line 4), but 'x' in row 1 (line 2);"),
    "comma": ("a;b\n1,5;2\n", "row 1 (line 2), column 'a' is '1,5', should be a number with a po"),
    "thousands": ('a,b\n2,"1,234.5"\n', "column 'b' is '1,234.5', should be a number with a poin"),
    "NAN": ("a,b\n1,NAN\n", "row 1 (line 2), column 'b' is 'NAN', should be a finite number or a"),
    "no rows": ("a,b\n", "the file has no rows but the first, which has names"),
    "no names": ("1,2\n3,4\n", "the first line has numbers (1, 2 ...), should have the columns'"),
    "no name": ("a,,c\n1,2,3\n", "column 2 has no name in the first line"),
    "same name": ("a,b,a\n1,2,3\n", "column 'a' is there twice, names should differ"),
    "few fields": ("a,b\n1,2\n3\n", "row 2 (line 3) has 1 fields, should have 2, as the first"),
    "many fields": ("a,b\n1,2,3\n", "row 1 (line 2) has 3 fields, should have 2"),
    "empty field": ("a,b\n1,2\n\n3,\n", "row 2 (line 4), column 'b' is empty, should be a finite"),
    "NA": ("a,b\n1,2\nNA,3\n", "row 2 (line 3), column 'a' is 'NA', should be a finite number or"),
    "nan": ("a,b\nnan,2\n", "median, mean or category fills in missing values, --missing drop"),
    "inf": ("a,b\n1,-inf\n", "row 1 (line 2), column 'b' is '-inf', should be a finite number"),
    "open quote": ('a,b\n1,"2\n', "line 2: unexpected end of data"),
    "after quote": ('a,b\n1,"2"3\n', "line 2: ',' expected after '\"'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files(file, case):
    content, message = BAD[case]
    path = file(content)
    with refused(ValueError, message) as caught:
        table.survey(path)
    assert str(caught.value).startswith(path + ": ")


def test_not_text(file):
    # Far behind the first block, from which the error of Python would count.
    rows = "1,x\n" * 50000
    with refused(
        ValueError, "data.csv: byte 0xfc in line 50002 is not UTF-8, should be text saved"
    ):
        table.survey(file(f"a,b\n{rows}1,Zürich\n", encoding="latin-1"))
    with refused(ValueError, "data.csv: byte 0xff in line 1 is not UTF-8, should be text saved as"):
        table.survey(file("a,b\n1,2\n", encoding="utf-16"))


def test_too_many_categories(file):
    path = file("a\n" + "\n".join(f"n{i}" for i in range(1001)) + "\n")
    column = table.survey(path)[1]["a"]
    assert column.texts is None
    with refused(ValueError, "column 'a' has more than 1000 different texts, which are too many"):
        column.category(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("age,town\n1,Rome\n", "column 'city' is missing, the file has age, town"),
        ("age,city\n40,Rome\nold,Rome\n", "row 2 (line 3), column 'age' is 'old', should be a fin"),
        ("age,city\n1_0,Rome\n", "row 1 (line 2), column 'age' is '1_0', should be a finite numb"),
        ("age,city\n40,Oslo\n", "row 1 (line 2), column 'city' is 'Oslo', should be one of Paris,"),
        ("age,city\n,Rome\n", "row 1 (line 2), column 'age' is empty, should be a finite number"),
        ("age,city\n1e999,Rome\n", "column 'age' is '1e999', should be a finite number"),
    ],
)
def test_bad_values(file, content, message):
    with refused(ValueError, message):
        values(file(content), COLUMNS)


def test_few_of_many_categories_are_told():
    assert Category("c", tuple(map(str, range(30)))).expected.endswith("8, 9, ...")


@given(st.text(max_size=8))
def test_texts_are_finite_numbers_or_none(text):
    value = Number("a").encode(text)
    assert value is None or np.isfinite(value)


# ---- Preprocessing -----------------------------------------------------------------------------


def test_inputs_and_targets():
    plan = Preprocessing(COLUMNS, Number("price", 100.0, 50.0))
    assert (plan.inputs, plan.task) == (3, "regression")
    x = plan.x(np.array([[50.0, 1.0], [35.0, 0.0]]), "f")
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, [[1, 0, 1], [-0.5, 1, 0]])
    np.testing.assert_array_equal(plan.t(np.array([150.0, 75.0]), "f"), [1, -0.5])
    plan = Preprocessing(COLUMNS[:1], COLUMNS[1])
    assert plan.task == "classification"
    assert plan.t(np.array([1.0, 0.0]), "f").tolist() == [1, 0]


def test_standardised():
    numbers = np.random.default_rng(0).normal(3, 2, 100)
    column = preprocessing.standardised("a", numbers, "f")
    np.testing.assert_allclose(column.mean, numbers.mean())
    np.testing.assert_allclose(column.scale, numbers.std())
    assert preprocessing.standardised("a", np.full(7, 0.1), "f").scale == 1
    # The sums are exact before they are rounded, so that no order is better than another.
    wide = np.random.default_rng(1).lognormal(0, 9, 1001)
    assert len({preprocessing.standardised("a", np.roll(wide, i), "f") for i in range(20)}) == 1
    for large in ([1e308, -1e308, 1e308], [1e308, 1e308, 1e308], [1e200, 0, 0]):
        with refused(ValueError, "f: column 'a' has numbers that are too large to standardise"):
            preprocessing.standardised("a", np.array(large), "f")


def test_too_far_from_training():
    plan = Preprocessing((Number("a", 0.0, 1e-3),), Number("b"))
    with refused(ValueError, "f: row 2, column 'a' is 1e+40, which is too far from the numbers"):
        plan.x(np.array([[1.0], [1e40]]), "f")
    with refused(ValueError, "f: row 4097, column 'a' is 1e+40, which is too far from the numbers"):
        plan.x(np.array([[1e40]]), "f", 4096)
    with refused(ValueError, "f: row 1, column 'b' is 1e+40, which is too far from the numbers"):
        plan.t(np.array([1e40]), "f")


def network(text):
    net = cnn.mlp([3, 2], "tanh", "softmax", rng=0)
    net._network.set_metadata(metadata.COLUMNS, text)
    return net._network


PLAN = Preprocessing(COLUMNS, Category("größe", ("L", "S")))


def test_metadata_round_trip():
    assert preprocessing.of_network(network(PLAN.to_json()), "m") == PLAN
    assert preprocessing.of_network(network(None), "m") is None


def changed(**changes):
    return json.loads(PLAN.to_json()) | changes


NUMBER = {"name": "a", "kind": "number", "mean": 0, "scale": 1}
CATEGORY = {"name": "a", "kind": "category", "categories": ["x", "y"]}
BAD_METADATA = {
    "text": ("{", "Expecting property name"),
    "list": ([], "it should be an object with columns, format, target"),
    "keys": ({"format": 1}, "it should be an object with columns, format, target"),
    "format": (changed(format=4), "its format is 4, should be 1, 2 or 3"),
    "no columns": (changed(columns=[]), "its columns should be a list"),
    "kind": (changed(columns=[{"kind": "date"}]), "column 1 has kind 'date', should be number or"),
    "no object": (changed(target=3), "target has kind None, should be number or category"),
    "keys of a column": (changed(target={"kind": "number"}), "target should be an object with kin"),
    "scale": (changed(target=NUMBER | {"scale": 0}), "target has mean 0 and scale 0"),
    "mean": (changed(target=NUMBER | {"mean": float("nan")}), "target has mean nan and scale 1"),
    "huge": (changed(target=NUMBER | {"mean": 10**400}), "target has mean 1000000"),
    "bool": (changed(target=NUMBER | {"mean": True}), "target has mean True and scale 1"),
    "name": (changed(target=NUMBER | {"name": ""}), "target should have a name"),
    "same names": (changed(target=CATEGORY | {"name": "age"}), "two of its columns have the same"),
    "categories": (changed(target=CATEGORY | {"categories": [1]}), "target should have categories"),
    "same categories": (changed(target=CATEGORY | {"categories": ["x", "x"]}), "different texts"),
    "inputs": (changed(columns=[NUMBER]), "it is for 1 inputs, but the network has 3"),
    "outputs": (changed(target=NUMBER), "it is for 1 outputs, but the network has 2"),
    "deep": ("[" * 100000, "is not one: "),
}


@pytest.mark.parametrize("case", BAD_METADATA)
def test_bad_metadata(case):
    content, message = BAD_METADATA[case]
    text = content if isinstance(content, str) else json.dumps(content)
    with refused(cnn.ModelFileError, message) as caught:
        preprocessing.of_network(network(text), "m")
    assert str(caught.value).startswith("m: the file's preprocessing is not one: ")


def test_lines_for_people():
    assert preprocessing.described(Preprocessing(COLUMNS, Number("price", 1 / 3, 2.0))) == [
        "Inputs",
        "    0  age    (age - 40) / 10",
        "  1-2  city   1 for its category, 0 for others: Paris, Rome",
        "Outputs (regression)",
        "    0  price  standardised: price = output * 2 + 0.3333333333333333",
    ]
    assert preprocessing.described(PLAN)[3:] == [
        "Outputs (classification)",
        "  0-1  größe  probabilities of L, S",
    ]
