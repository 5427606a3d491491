"""What a table has comes back as it was written, or is refused with the cause and the cure."""

import csv
import io
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refused import refused

import cnn
from cnn import _core
from cnn._base import metadata
from cnn._tables import csv_file, numerals, preprocessing, table
from cnn._tables.preprocessing import Preprocessing
from cnn._tables.table import Category, Number
from cnn.cli import commands
from cnn.cli import main as command_line


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a file and returns its path."""

    def write_text(content, name="data.csv"):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8", newline="")
        return str(path)

    return write_text


def run(capsys, *command):
    """Run a command, and return its exit code, stdout and stderr."""
    code = command_line.main(list(map(str, command)))
    return code, *capsys.readouterr()


def trained(file, tmp_path, capsys, content, *options, target="t"):
    """Train on the text of a file, and return the model's path, or the error."""
    model = tmp_path / "model.safetensors"
    data = file(content)
    code, out, err = run(
        capsys, "train", data, "--target", target, "-o", model, "--epochs", 2, "-q", *options
    )
    return (str(model), out) if code == 0 else (None, err)


def predicted(capsys, model, data, *options):
    """Return the rows that predict prints, names of columns first."""
    code, out, err = run(capsys, "predict", model, data, *options)
    assert code == 0, err
    return list(csv.reader(io.StringIO(out)))


def content(rows):
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


# ---- Categories and classes are texts ----------------------------------------------------------

SPELLINGS = {
    "versions": ["3.1", "3.10", "3.9"],
    "zeros": ["007", "07", "7"],
    "exponents": ["1e2", "100", "1E2"],
    "points": ["0.1", ".1", "1e-1"],
    "signs": ["+1", "1", "-1", "-0", "0"],
    "ids": ["12345678901234567", "12345678901234568", "12345678901234569"],
    "zip": ["00501", "10001", "1.0", "1e5"],
    "letters": ["a", "A", "É", "E\u0301"],
    "digits": ["5", "\uff15"],
    "large": ["1e400", "1e401", "inf", "Infinity"],
    "words": ["NAs", "True", "true", "TRUE"],
}


@pytest.mark.parametrize("case", SPELLINGS)
@pytest.mark.parametrize("option", ["--task", "--categories"])
def test_classes_come_back_as_written(file, tmp_path, capsys, case, option):
    texts = SPELLINGS[case]
    rows = [["a", "t"], *([i, texts[i % len(texts)]] for i in range(20 * len(texts)))]
    options = ["--task", "classification"] if option == "--task" else ["--categories", "t"]
    model, out = trained(file, tmp_path, capsys, content(rows), *options)
    assert f"target t: {len(texts)} classes" in out
    head, *found = predicted(capsys, model, file(content(rows)))
    assert head[0] == "t"
    assert sorted(head[1:]) == sorted(f"P({text})" for text in texts)
    assert {row[0] for row in found} <= set(texts)


@pytest.mark.parametrize("case", SPELLINGS)
def test_categories_are_texts(file, tmp_path, capsys, case):
    texts = SPELLINGS[case]
    rows = [["c", "t"], *([texts[i % len(texts)], i / 7] for i in range(60))]
    model, out = trained(file, tmp_path, capsys, content(rows), "--categories", "c")
    assert f"categories: c ({len(texts)})" in out
    assert set(plan_of(model).columns[0].categories) == set(texts)
    # Each has an input of its own, so each has a prediction of its own.
    _, *found = predicted(capsys, model, file(content([["c"], *([text] for text in texts)])))
    assert len({row[0] for row in found}) == len(texts)


def plan_of(model):
    return preprocessing.of_network(cnn.load(model).net._network, model)


def test_a_network_learns_spellings_apart(file, tmp_path, capsys):
    texts = ["007", "07", "7"]
    rows = [["c", "t"], *([texts[i % 3], f"class {i % 3}.0"] for i in range(90))]
    options = ["--categories", "c", "--epochs", "60"]
    model, out = trained(file, tmp_path, capsys, content(rows), *options)
    assert "accuracy 100.0%, 18 of 18 rows (always class " in out
    _, *found = predicted(capsys, model, file(content([["c"], ["07"], ["7"], ["007"]])))
    assert [row[0] for row in found] == ["class 1.0", "class 2.0", "class 0.0"]


def test_whole_numbers_are_classes_by_their_texts(file, tmp_path, capsys):
    rows = [["a", "t"], *([i, ["007", "07", "7", "1.0"][i % 4]] for i in range(80))]
    _, out = trained(file, tmp_path, capsys, content(rows))
    assert "target t: 4 classes (classification; --task regression would take" in out
    same = "column t has 007 and 07, which are different texts, and so different categories, for"
    assert same in out
    # More texts than 20 are numbers, though they are few values.
    rows = [["a", "t"], *([i, "0" * (i % 21) + "7"] for i in range(80))]
    assert "target t: a number (regression; " in trained(file, tmp_path, capsys, content(rows))[1]


def test_unseen_spellings_are_unseen(file, tmp_path, capsys):
    rows = [["c", "t"], *([f"{i % 4 + 5}", i / 3] for i in range(40))]
    model, _ = trained(file, tmp_path, capsys, content(rows), "--categories", "c")
    for text, near in (("07", "7"), ("7.0", "7"), ("+5", "5"), ("6e0", "6")):
        data = file(f"c\n5\n{text}\n", "new.csv")
        code, out, err = run(capsys, "predict", model, data)
        assert (code, out) == (1, "")
        assert err == (
            f"cnn: error: {data}: row 2 (line 3), column 'c' is {text!r}, should be one of 5, 6, "
            f"7, 8; the model knows {near!r}, which is another text\n"
        )
    code, _, err = run(capsys, "predict", model, file("c\nRome\n", "new.csv"))
    assert code == 1
    assert err.endswith("should be one of 5, 6, 7, 8\n")


def test_the_nearest_category():
    column = Category("c", ("Rome", "Zürich, CH", "1.50", "New York"))
    assert column.nearest("rome") == "Rome"
    assert column.nearest("New\xa0York") == "New York"
    assert column.nearest("1.5") == "1.50"
    assert column.nearest("Oslo") is None
    # What anybody may have written costs no more than a moment.
    begin = time.perf_counter()
    long = Category("c", tuple(f"{i}" + "x" * 90 for i in range(100_000)))
    long.nearest("y" * 100_000)
    assert time.perf_counter() - begin < 5


def test_files_of_before_have_the_texts_they_hold():
    text = (
        '{"format": 1, "columns": [{"name": "a", "kind": "category", "categories": ["1", "2.5"]}],'
        '"target": {"name": "t", "kind": "category", "categories": ["0", "1"]}}'
    )
    net = cnn.mlp([2, 2], "tanh", "softmax", rng=0)
    net._network.set_metadata(metadata.COLUMNS, text)
    plan = preprocessing.of_network(net._network, "m")
    assert plan.columns[0].encode("2.5") == 1
    # They have one spelling of each number, which stands for all of them, as it did.
    assert plan.columns[0].encode("2.50") == 1
    assert plan.columns[0].encode("2.51") is None
    assert plan.to_json().replace(" ", "") == text.replace(" ", "")


def test_the_order_of_categories(file):
    texts = ["b", "10", "9", "a", "1e1", "-3", "10.0", "09", "B", "x1"]
    path = file("a\n" + "\n".join(texts) + "\n")
    found = table.survey(path, categories=["a"])[1]["a"].category(path)
    assert found.categories == ("-3", "09", "9", "10", "10.0", "1e1", "B", "a", "b", "x1")


def test_blanks(file, tmp_path, capsys):
    text = 'c, t ,d\nx,1," x"\n x ,2," x "\n" x",3,x\n"x ",4, "x"\t\n'.replace("\t", "")
    path = file(text)
    found = table.survey(path)[1]
    assert found["c"].texts == {"x", " x", "x "}
    assert found["d"].texts == {" x", " x ", "x"}
    assert list(found) == ["c", "t", "d"]
    # Tabs are blanks, no-break spaces are characters.
    path = file("c\n\tx\nx\t\nx\xa0\n")
    assert table.survey(path)[1]["c"].texts == {"x", "x\xa0"}
    # Quotes inside of quotes, delimiters, ends of lines.
    path = file('c,d\n"a ""b"" ",1\n" a, b ",2\n" two\nlines ", 3\nsay "x" ,4\n')
    assert table.survey(path)[1]["c"].texts == {
        'a "b" ',
        " a, b ",
        " two\nlines ",
        'say "x"',
    }
    path = file("c\td\n' x '\t1\n\" x \"\t2\n")
    assert table.survey(path)[1]["c"].texts == {"' x '", " x "}


def test_classes_with_blanks_and_quotes_come_back(file, tmp_path, capsys):
    classes = [' "a", b ', "a", "a ", "two\nlines", "a;b", "x\xa0"]
    rows = [["x", "t"], *([i, classes[i % 6]] for i in range(60))]
    # The writer of the csv module does not quote blanks.
    text = "x,t\n" + "".join(f"{a},{csv_file.quoted(b)}\n" for a, b in rows[1:])
    model, _ = trained(file, tmp_path, capsys, text)
    code, out, _ = run(capsys, "predict", model, file(text))
    assert code == 0
    again = file(out, "predictions.csv")
    found = table.survey(again, categories=["t"])[1]
    assert found["t"].texts <= set(classes)
    assert list(found) == ["t", *(f"P({c})" for c in sorted(classes))]


def test_numbers_that_float64_does_not_hold_are_told(file, tmp_path, capsys):
    ids = [f"{12345678901234567 + i}" for i in range(3)]
    rows = [["id", "t"], *([ids[i % 3], i / 2] for i in range(30))]
    _, out = trained(file, tmp_path, capsys, content(rows))
    told = "column id has '12345678901234567' in row 1 (line 2), of which a number keeps the first"
    assert f"{told} digits alone; --categories id keeps texts\n" in out
    _, out = trained(file, tmp_path, capsys, content(rows), "--categories", "id")
    assert "keeps" not in out
    # These are held.
    for texts in (["9007199254740992", "-1e300"], ["1.5", "0.12345678901234567890123"]):
        rows = [["id", "t"], *([texts[i % 2], i / 2] for i in range(30))]
        if texts[0] == "1.5":
            assert "keeps" not in trained(file, tmp_path, capsys, content(rows))[1]
        assert not table.survey(file(content(rows)))[1]["id"].inexact


def test_few_numbers_may_be_classes(file, tmp_path, capsys):
    rows = [["a", "t"], *([i, ["3.1", "3.10", "3.9"][i % 3]] for i in range(30))]
    _, out = trained(file, tmp_path, capsys, content(rows))
    hint = "--task classification would take its texts for classes"
    assert f"target t: a number (regression; {hint})\n" in out


# Texts of all kinds, blanks, quotes, delimiters and digits first of all.
TEXTS = st.text(
    st.one_of(
        st.sampled_from(" \t\"',;|\r\n07.+-eE%$\xa0"),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    ),
    max_size=6,
).filter(lambda text: text.strip() and text.strip() not in csv_file.MISSING)


@given(st.lists(TEXTS, min_size=1, max_size=20), st.sampled_from(",;\t|"), st.booleans())
def test_texts_come_back(texts, delimiter, in_quotes):
    quoting = csv.QUOTE_ALL if in_quotes else csv.QUOTE_MINIMAL
    rows = io.StringIO(newline="")
    writer = csv.writer(rows, delimiter=delimiter, quoting=quoting)
    writer.writerow(["c", "d"])
    writer.writerows([text, i] for i, text in enumerate(texts))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        path.write_bytes(rows.getvalue().encode())
        found = table.survey(str(path), categories=["c"])[1]["c"]
        column = found.category(str(path))
        (block, *_) = table.blocks(str(path), [column, Number("d")])
    if in_quotes:
        assert [column.categories[int(code)] for code in block[:, 0]] == texts
    expected = {
        text if in_quotes or is_quoted(text, delimiter) else text.strip(" \t") for text in texts
    }
    assert set(column.categories) == expected


def is_quoted(text, delimiter):
    """Whether csv.writer puts a text in quotes though it need not."""
    return any(mark in text for mark in f'{delimiter}"\r\n')


@given(TEXTS)
def test_quoted_texts_are_read_as_they_are(text):
    ((found, _),) = csv.reader(io.StringIO(f"{csv_file.quoted(text)},1\n", newline=""), strict=True)
    assert found == text


@given(TEXTS)
def test_a_number_is_not_disguised(text):
    for decimal in (".", ","):
        if numerals.number(text, decimal) is not None:
            assert numerals.disguise(text, decimal) is None
            assert not numerals.is_infinite(text, decimal)
            np.testing.assert_array_equal(
                numerals.numbers([text], decimal), [numerals.number(text, decimal)]
            )
        else:
            assert numerals.numbers([text], decimal) is None


# ---- Numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 1.7e9, 1.7e12, -4e14])
def test_predictions_are_told_to_the_last_digit(file, tmp_path, capsys, offset):
    rows = [["a", "t"], *([i, repr(offset + i + 0.5)] for i in range(200))]
    model, out = trained(file, tmp_path, capsys, content(rows), "--task", "regression")
    net, plan = cnn.load(model).net, plan_of(model)
    x = plan.x(np.arange(200.0)[:, None], "f")
    expected = net.predict(x)[:, 0].astype(np.float64) * plan.target.scale + plan.target.mean
    _, *found = predicted(capsys, model, file(content(rows)))
    assert [float(row[0]) for row in found] == expected.tolist()
    assert len({row[0] for row in found}) > 150
    # The score is that of these numbers.
    order = _core.permutation(0, 0, 200, 0, 200)[:40].astype(int)
    errors = expected[order] - (offset + order + 0.5)
    rmse = float(out.split("RMSE ")[1].split(",")[0])
    np.testing.assert_allclose(rmse, np.sqrt(np.mean(errors**2)), rtol=1e-5)
    assert "the baseline of the same rows; rounded)" in out


def test_probabilities_are_told_to_the_last_digit(file, tmp_path, capsys):
    rows = [["a", "t"], *([i * 0.37, f"c{i % 3}"] for i in range(90))]
    model, _ = trained(file, tmp_path, capsys, content(rows))
    net, plan = cnn.load(model).net, plan_of(model)
    x = plan.x(np.array([float(i * 0.37) for i in range(90)])[:, None], "f")
    _, *found = predicted(capsys, model, file(content(rows)))
    y = np.array([row[1:] for row in found], np.float32)
    np.testing.assert_array_equal(y, net.predict(x))
    # In the fewest digits that do it.
    assert max(len(cell) for row in found for cell in row[1:]) <= 13


@pytest.mark.parametrize("scale", [1.0, 10.0, 1e-3])
def test_small_steps_of_large_numbers_are_no_constants(scale):
    values = 1.7e12 + np.arange(10) * scale
    column = preprocessing.standardised("a", values, "f")
    np.testing.assert_allclose(column.scale, values.std(), rtol=1e-6)
    x = Preprocessing((column,), Number("t")).x(values[:, None], "f")
    reference = (values - values.mean()) / values.std()
    np.testing.assert_allclose(x[:, 0], reference, atol=1e-3)
    assert preprocessing.standardised("a", np.full(10, 1.7e12 + 0.1), "f").scale == 1.0


def test_squares_of_errors_do_not_overflow():
    plan = Preprocessing((Number("a"),), Number("t", 0.0, 1e200))
    net = cnn.mlp([1, 1], "tanh", "identity", rng=0)
    net.layers[0].weight = [[0.0]]
    goal = np.array([3e200, -4e200])
    line = commands._score(plan, net, np.ones((2, 1), np.float32), goal, goal)
    assert line.startswith("held out: RMSE 3.53553e+200, R2 -0.0204 (always the mean: RMSE 3.5")


@pytest.mark.parametrize("kind", ["classes", "numbers", "scale"])
def test_predictions_that_are_no_numbers(file, tmp_path, capsys, kind):
    classes = kind == "classes"
    net = cnn.mlp([1, 2 if classes else 1], "tanh", "softmax" if classes else "identity", rng=0)
    target = Category("t", ("x", "y")) if classes else Number("t", 0.0, 1e308)
    plan = Preprocessing((Number("a"),), target)
    net._network.set_metadata(metadata.COLUMNS, plan.to_json())
    if kind == "scale":
        net.layers[0].weight = [[9.0]]
    else:
        net.layers[0].weight = [[np.nan] * net.outputs]
    model = tmp_path / "model.safetensors"
    net.save(model)
    code, out, err = run(
        capsys, "predict", model, file("a\n0\n1\n" if kind == "scale" else "a\n1\n")
    )
    row = 2 if kind == "scale" else 1
    assert (code, out) == (1, "")
    assert f"row {row}: the prediction is NaN or infinite; " in err


# ---- What looks like numbers -------------------------------------------------------------------

DISGUISED = {
    "percent": (["5%", "7.5%", "12 %"], "a percent sign"),
    "permille": (["5\u2030", "7\u2030"], "a percent sign"),
    "dollars": (["$5.50", "-$7.00", "$1,000"], "a currency"),
    "euros": (["5.50 \u20ac", "7.00\u20ac", "\u20ac 3"], "a currency"),
    "reals": (["R$ 5", "R$ 6"], "a currency"),
    "codes": (["USD 5", "USD 6", "7 EUR"], "a currency"),
    "apostrophes": (["1'000", "2'500", "12'000.50"], "separators of thousands"),
    "curly apostrophes": (["1\u2019000", "2\u2019500"], "separators of thousands"),
    "no-break spaces": (["1\xa0000", "2\xa0500"], "a no-break space and separators of"),
    "narrow spaces": (["1\u202f000", "2\u202f500"], "a no-break space and separators of"),
    "thin spaces": (["1\u2009000", "2\u2009500"], "a thin space and separators of"),
    "spaces": (["1 000", "2 500"], "separators of thousands"),
    "underscores": (["1_000", "2_500"], "separators of thousands"),
    "points": (["1.234.567", "2.345.678"], "separators of thousands"),
    "minus": (["\u22125", "\u22126.5"], "a minus sign that is not '-'"),
    "dash": (["\u20135", "\u20136.5"], "a minus sign that is not '-'"),
    "wide minus": (["\uff0d5", "\uff0d6.5"], "a minus sign that is not '-'"),
    "parentheses": (["(5.00)", "(6)"], "parentheses"),
    "units": ([f"{i} kg" for i in range(21)], "the unit 'kg'"),
    "units without blanks": ([f"{i}.5ms" for i in range(21)], "the unit 'ms'"),
}


@pytest.mark.parametrize("case", DISGUISED)
@pytest.mark.parametrize("place", ["column", "target"])
def test_numbers_in_disguise_are_refused(file, tmp_path, capsys, case, place):
    texts, cause = DISGUISED[case]
    texts = texts * 20
    pairs = [(f'"{text}"', i) for i, text in enumerate(texts)]
    rows = [["a", "t"], *(pair if place == "column" else pair[::-1] for pair in pairs)]
    name = "a" if place == "column" else "t"
    model, err = trained(file, tmp_path, capsys, content(rows))
    assert model is None
    assert f"column {name!r} has {texts[0]!r} in row 1 (line 2), which has " in err
    assert cause in err
    assert f"or categories by --categories {name}" in err
    # The cure cures.
    model, out = trained(file, tmp_path, capsys, content(rows), "--categories", name)
    assert model is not None, out
    # So does the rest of the table look right to predict.
    assert predicted(capsys, model, file(content(rows)))


@pytest.mark.parametrize("case", DISGUISED)
def test_numbers_in_disguise_among_numbers(file, tmp_path, capsys, case):
    texts, cause = DISGUISED[case]
    rows = [["a", "t"], *((f'"{text}"', i) for i, text in enumerate(["5", "6", *texts]))]
    model, err = trained(file, tmp_path, capsys, content(rows))
    assert model is None
    assert "column 'a' has '5' in row 1 (line 2), but" in err
    if "unit" not in cause:
        assert f"which has {cause}" in err
    code, _, err = run(
        capsys,
        "predict",
        number_model(tmp_path),
        file(content([["a"], *([r[0]] for r in rows[1:])])),
    )
    assert code == 1
    assert f"row 3 (line 4), column 'a' is {texts[0]!r}, should be a finite number" in err
    if "unit" not in cause:
        assert f", but has {cause}" in err


def number_model(tmp_path):
    """Return a model of a column of numbers."""
    net = cnn.mlp([1, 1], "tanh", "identity", rng=0)
    plan = Preprocessing((Number("a"),), Number("t"))
    net._network.set_metadata(metadata.COLUMNS, plan.to_json())
    path = tmp_path / "number.safetensors"
    net.save(path)
    return path


@pytest.mark.parametrize(
    "texts",
    [
        ["<=50K", ">50K"],
        ["1st", "2nd", "3rd"],
        ["18-25", "26-35", "36+"],
        ["18\u201325", "26\u201335"],
        ["5%", "10%", "none"],
        ["2020-01-01", "2020-01-02"],
        ["1.2.3", "1.2.4"],
        ["12:30", "13:45"],
        ["A1", "B2"],
        ["5 kg", "10 kg", "20 kg"],
        ["10W-40", "5W-30"],
        ["New\xa0York", "Rome"],
        ["1/2", "1/4"],
        ["#1", "#2"],
        ["yes", "no", "5'000"],
        [f"id {i}" for i in range(30)],
        [f"{i}th of {i}" for i in range(30)],
    ],
    ids=lambda texts: texts[0],
)
def test_real_categories_are_not_refused(file, texts):
    path = file("a\n" + "".join(f'"{text}"\n' for text in texts * 5))
    found = table.survey(path)[1]["a"]
    assert not found.is_number
    assert set(found.category(path).categories) == set(texts)


def test_numbers_stay_numbers():
    for text, value in (
        ("5", 5),
        (" 5\xa0", 5),
        ("+5", 5),
        ("\uff15", 5),
        ("1e3", 1000),
        (".5", 0.5),
    ):
        assert numerals.number(text) == value
        assert numerals.disguise(text) is None
        np.testing.assert_array_equal(numerals.numbers([text, "1"]), [value, 1])
    for text in ("1_0", "inf", "nan", "1e999", "", "x", "0x10", "1,5"):
        assert numerals.number(text) is None
        assert numerals.numbers(["1", text]) is None
    assert numerals.is_infinite("-inf")
    assert numerals.is_infinite("1e999")
    assert not numerals.is_infinite("x")


def test_a_decimal_comma(file, tmp_path, capsys):
    rows = "".join(f"{i},5;{i * 2},25\n" for i in range(30))
    model, err = trained(file, tmp_path, capsys, "a;t\n" + rows)
    assert model is None
    assert "row 1 (line 2), column 'a' is '0,5', should be a number with a point and without" in err
    assert "; --decimal , reads commas as decimal marks\n" in err
    model, out = trained(file, tmp_path, capsys, "a;t\n" + rows, "--decimal", ",")
    plan = plan_of(model)
    assert plan.decimal == ","
    np.testing.assert_allclose([plan.columns[0].mean, plan.target.mean], [15, 29.25], atol=6)
    expected = [row[0] for row in predicted(capsys, model, file("a;t\n" + rows))]
    # The model knows; a file with points is read with points.
    with_points = file("a\n" + "".join(f"{i}.5\n" for i in range(30)))
    code, _, err = run(capsys, "predict", model, with_points)
    assert code == 1
    assert "column 'a' is '0.5', should be a finite number, but has a decimal point" in err
    assert [r[0] for r in predicted(capsys, model, with_points, "--decimal", ".")] == expected
    code, out, _ = run(capsys, "show", model)
    assert "Numbers of tables have a , before their decimals\n" in out
    # A point would be of thousands.
    model, err = trained(file, tmp_path, capsys, "a;t\n1.500;1\n2.500;2\n", "--decimal", ",")
    assert model is None
    assert "column 'a' has '1.500' in row 1 (line 2), which has separators of thousands" in err


def test_bad_decimals_in_a_file():
    plan = Preprocessing((Number("a"),), Number("t"), ",")
    net = cnn.mlp([1, 1], "tanh", "identity", rng=0)
    net._network.set_metadata(metadata.COLUMNS, plan.to_json())
    assert preprocessing.of_network(net._network, "m") == plan
    for bad in ('";"', "1", "null", "[]"):
        text = plan.to_json().replace('","', bad)
        net._network.set_metadata(metadata.COLUMNS, text)
        with refused(cnn.ModelFileError, ", should be a point or a comma"):
            preprocessing.of_network(net._network, "m")


# ---- Missing values ----------------------------------------------------------------------------


def countries(*texts):
    return content([["c", "t"], *([texts[i % len(texts)], i % 2] for i in range(40))])


@pytest.mark.parametrize("text", ["NA", "None", "null", "NaN", "?", "N/A"])
def test_missing_values_may_be_categories(file, tmp_path, capsys, text):
    table = countries("DE", "FR", text)
    model, err = trained(file, tmp_path, capsys, table)
    assert model is None
    assert f"row 3 (line 4), column 'c' is {text!r}, should be a finite number or a category" in err
    assert "or their rows left out, or the column by --drop c; --missing '' takes" in err
    model, out = trained(file, tmp_path, capsys, table, "--missing", "", "--categories", "c")
    assert "categories: c (3)" in out
    assert len(predicted(capsys, model, file(table))) == 41
    # predict can be told that here it is a missing value.
    code, _, err = run(capsys, "predict", model, file(table), f"--missing=-,{text}")
    assert code == 1
    assert f"row 3 (line 4), column 'c' is {text!r}" in err
    assert "missing values should be filled in, or their rows left out" in err


def test_missing_replaces_what_is_missing(file, tmp_path, capsys):
    table = countries("DE", "NA", "-")
    model, err = trained(file, tmp_path, capsys, table, "--missing=-,unknown")
    assert model is None
    assert "row 3 (line 4), column 'c' is '-'" in err
    for table in (countries("1", "2", "-999"), countries("DE", "", "FR"), countries('" "', "x")):
        model, err = trained(file, tmp_path, capsys, table, "--missing", "-999")
        assert model is None
        assert "missing values should be filled in" in err
    model, err = trained(file, tmp_path, capsys, countries("1", "", "2"), "--missing", "")
    assert "row 2 (line 3), column 'c' is empty" in err
    assert "--missing" not in err


@pytest.mark.parametrize("text", ["Inf", "-inf", "Infinity", "1e999"])
def test_infinity_may_be_a_category(file, tmp_path, capsys, text):
    table = countries("low", "high", text)
    model, err = trained(file, tmp_path, capsys, table)
    assert model is None
    cure = "should be a finite number, or categories by --categories c, which are texts"
    assert f"row 3 (line 4), column 'c' is {text!r}, {cure}" in err
    model, out = trained(file, tmp_path, capsys, table, "--categories", "c")
    assert "categories: c (3)" in out


# ---- Delimiters and names ----------------------------------------------------------------------

HEADERS = ["size, in cm", "weight, in kg, dry", "t"]


@pytest.mark.parametrize("delimiter", [";", "|", "\t", ","])
def test_names_with_other_delimiters(file, tmp_path, capsys, delimiter):
    names = [f'"{name}"' if delimiter == "," else name for name in HEADERS]
    rows = [names, *([i, i + 0.5, i % 2] for i in range(30))]
    text = "".join(delimiter.join(map(str, row)) + "\n" for row in rows)
    path = file(text)
    assert list(table.survey(path)[1]) == HEADERS
    options = ["--drop", '"size, in cm"']
    model, out = trained(file, tmp_path, capsys, text, *options)
    assert [column.name for column in plan_of(model).columns] == HEADERS[1:2]
    assert len(predicted(capsys, model, path)) == 31
    named = {"\t": "tab"}.get(delimiter, delimiter)
    assert trained(file, tmp_path, capsys, text, *options, "--delimiter", named)[1] == out


def test_the_delimiter_is_found_by_rows(file):
    for text, names in (
        ("a, b;c\n1;2\n3;4\n", ["a, b", "c"]),
        ("a, b, c;d\nx,5;2\n", ["a, b, c", "d"]),
        ("a;b,c;d,e\n1,2;x,3\n", ["a;b", "c;d", "e"]),
        ("id,name,a|b\n1,x,2|3\n", ["id", "name", "a|b"]),
        ('a|"b|c"|d\n1|"x|y"|2\n', ["a", "b|c", "d"]),
        ("name,text\nx,a;b\ny,c;d;e\n", ["name", "text"]),
        ("size, cm;weight\nx,5;2\n", ["size, cm", "weight"]),
        ("a;b,\n", None),
        ("a,b\n\n1,2\n", ["a", "b"]),
    ):
        if names is None:
            with refused(ValueError, "the file has no rows but the first"):
                table.survey(file(text))
        else:
            assert list(table.survey(file(text))[1]) == names
    # Further rows have no say, and are refused one by one.
    rows = "1,2\n" * 100
    with refused(ValueError, "row 101 (line 102) has 1 fields, should have 2, as the first line"):
        table.survey(file("a,b\n" + rows + "1;2\n"))


def test_a_line_that_tells_the_delimiter(file):
    for text in ("sep=;\na,b;t\nx;1\n", '"sep=;"\r\na,b;t\r\nx;1\r\n'):
        assert list(table.survey(file(text))[1]) == ["a,b", "t"]
    with refused(ValueError, "row 1 (line 3), column 't' is empty"):
        table.survey(file("sep=|\na|t\nx|\n"))
    assert list(table.survey(file("sep=,t\n1,2\n"))[1]) == ["sep=", "t"]


def test_a_delimiter_that_is_not_clear(file, tmp_path, capsys):
    table = "a,b;c\nx,y;z\nz,x;y\n"
    model, err = trained(file, tmp_path, capsys, table, target="c")
    assert model is None
    assert "the first lines have 2 fields both with ',' and ';' between them; --delimiter" in err
    model, _ = trained(file, tmp_path, capsys, table, "--delimiter", ";", target="c")
    assert plan_of(model).columns[0].name == "a,b"
    # Numbers make it clear.
    table = "a,b;c\n1,5;2\n3,5;4\n"
    options = ["--decimal", ",", "--task", "regression"]
    model, _ = trained(file, tmp_path, capsys, table, *options, target="c")
    assert plan_of(model).columns[0].name == "a,b"
    # Nothing is guessed for other characters.
    model, err = trained(file, tmp_path, capsys, "a:t\n1:2\n2:3\n")
    assert "column 't' is missing, the file has a:t; --delimiter names what is between" in err
    model, _ = trained(file, tmp_path, capsys, "a:t\n1:2\n2:3\n", "--delimiter", ":")
    assert model is not None
    model, _ = trained(file, tmp_path, capsys, "a t\n1 2\n2 3\n", "--delimiter", "space")
    assert model is not None


def test_an_index_without_a_name(file, tmp_path, capsys):
    table = content([["", "a", "t"], *([i, i / 2, i % 2] for i in range(30))])
    model, err = trained(file, tmp_path, capsys, table)
    assert model is None
    assert "column 1 has no name in the first line, but '0' in row 1 (line 2); --drop ''" in err
    model, _ = trained(file, tmp_path, capsys, table, "--drop", "")
    assert [column.name for column in plan_of(model).columns] == ["a"]
    # predict takes columns by their names, and others do not matter.
    assert len(predicted(capsys, model, file(table))) == 31
    model, err = trained(file, tmp_path, capsys, "a,t\n0,1,2\n1,2,3\n")
    assert "row 1 (line 2) has 3 fields, should have 2, as the first line does; an index" in err
    model, err = trained(file, tmp_path, capsys, "a,t\n1,2\n2,3\n", "--drop", "")
    assert "column '' is missing, the file has a, t" in err


def test_delimiters_at_the_ends_of_lines(file, tmp_path, capsys):
    table = content([["a", "t", "", ""], *([i, i % 2, "", ""] for i in range(30))])
    model, _ = trained(file, tmp_path, capsys, table)
    assert [column.name for column in plan_of(model).columns] == ["a"]
    assert len(predicted(capsys, model, file(table))) == 31
    model, err = trained(file, tmp_path, capsys, "a,t\n1,2,\n2,3,\n")
    assert "row 1 (line 2) has 3 fields, should have 2, as the first line does; a delimiter" in err
    model, err = trained(file, tmp_path, capsys, "a,t,\n1,2\n2,3\n")
    assert "has 2 fields, should have 3, as the first line does; the first line should not" in err
    # The first row of a file that is refused is told, and of it the first column.
    model, err = trained(file, tmp_path, capsys, "a,,t\nx,,1\n1,,\ny,z,2\n")
    assert "column 'a' has '1' in row 2 (line 3), but 'x' in row 1 (line 2)" in err


BAD_OPTIONS = {
    "two characters": ["--delimiter", ";;"],
    "letter": ["--delimiter", "x"],
    "quote": ["--delimiter", '"'],
    "point": ["--delimiter", "."],
    "end of line": ["--delimiter", "\n"],
    "nothing": ["--delimiter", ""],
    "decimal": ["--decimal", ";"],
    "policy": ["--missing", "drop"],
    "open quote": ["--drop", '"a'],
    "escape": ["--drop", '"\x1b[31m'],
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options(case, capsys):
    with pytest.raises(SystemExit) as stop:
        command_line.main(["train", "data.csv", "--target", "t", "-o", "m", *BAD_OPTIONS[case]])
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert "should be" in err or "choice" in err
    assert "\x1b" not in err


def test_help_tells_the_options(capsys):
    for command in ("train", "predict"):
        with pytest.raises(SystemExit):
            command_line.main([command, "--help"])
        out = capsys.readouterr().out
        for option in ("--delimiter", "--decimal", "--missing"):
            assert option in out


# ---- Held-out rows -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_classes_have_their_shares_of_held_out_rows(file, tmp_path, capsys, seed):
    classes = ["Adelie"] * 44 + ["Chinstrap"] * 20 + ["Gentoo"] * 35 + ["rare"]
    table = content([["a", "t"], *([i, c] for i, c in enumerate(classes))])
    _, out = trained(file, tmp_path, capsys, table, "--seed", seed)
    assert "learns from 80 rows, 20 held out" in out
    # 8.8, 4, 7 and 0.2 rows.
    assert "(always Adelie: 45.0%, 9, the baseline of the same rows)" in out


def test_a_share_is_not_rounded_to_all():
    shares = [(1, 2), (0, 9), (9, 9), (5999, 6000), (1, 3000), (99999, 100000), (1, 3)]
    texts = ["50.0%", "0.0%", "100.0%", "99.98%", "0.03%", "99.999%", "33.3%"]
    assert [commands._percent(*share) for share in shares] == texts


def test_held_out_rows_of_each_class():
    def held(counts, most):
        return commands._held_of_each(np.array(counts), most).tolist()

    assert held([44, 20, 35, 1], 20) == [9, 4, 7, 0]
    assert held([50, 50], 20) == [10, 10]
    assert held([3, 3, 3], 2) == [1, 1, 0]
    # A row of each class is left.
    assert held([1, 1, 1], 2) == [0, 0, 0]
    assert held([1, 5, 1], 6) == [0, 4, 0]
    assert held([2, 2, 2], 3) == [1, 1, 1]
    rng = np.random.default_rng(0)
    for _ in range(100):
        counts = rng.integers(1, 40, rng.integers(2, 9))
        most = int(rng.integers(1, counts.sum()))
        found = np.array(held(counts, most))
        assert found.sum() == min(most, counts.sum() - len(counts))
        assert (found < counts).all()
        if most <= counts.sum() // 2 and counts.min() > 2:
            assert (np.abs(found - counts * most / counts.sum()) < 1).all()


def test_the_split_is_of_all_rows():
    class Arguments:
        data, seed, hold_out = "f", 3, 0.25

    goal = np.array([0, 1, 2, 1, 1, 0, 2, 1] * 10, float)
    found = commands._Found(80, [], Category("t", ("a", "b", "c")), "", [])
    test, kept = commands._split(Arguments, found, goal)
    assert sorted([*test, *kept]) == list(range(80))
    assert np.bincount(goal[test].astype(int)).tolist() == [5, 10, 5]
    order = _core.permutation(3, 0, 80, 0, 80).tolist()
    for rows in (test, kept):
        assert sorted(rows, key=order.index) == rows.tolist()


# ---- Wide tables -------------------------------------------------------------------------------


def test_time_is_linear_in_the_number_of_columns(file):
    def seconds(columns):
        text = ",".join(f"column {i}" for i in range(columns)) + "\n"
        text += (",".join(["1.5"] * columns) + "\n") * 3
        path = file(text)
        begin = time.perf_counter()
        _, found = table.survey(path, drop=[f"column {i}" for i in range(0, columns, 2)])
        columns = [Number(name) for name in found]
        (block,) = table.blocks(path, columns)
        assert block.shape == (3, len(columns))
        return time.perf_counter() - begin

    seconds(100)
    # Quadratic work takes 100 s for these.
    assert seconds(50_000) < 10


def test_blocks_of_wide_tables_have_few_rows(file):
    columns = 5000
    text = (
        ",".join(f"c{i}" for i in range(columns)) + "\n" + ("1" + ",2" * (columns - 1) + "\n") * 900
    )
    sizes = [len(b) for b in table.blocks(file(text), [Number("c0"), Number("c4999")])]
    assert sizes == [209, 209, 209, 209, 64]
    # So do those of columns with many categories.
    many = Category("c", tuple(map(str, range(100_000))))
    sizes = [len(b) for b in table.blocks(file("c\n" + "7\n" * 100), [many])]
    assert sizes == [16] * 6 + [4]


def test_the_first_bad_row_is_told(file):
    columns = [Number("a"), Category("b", ("x", "y"))]
    path = file("b,a\nx,1\nz,2\nx,bad\n")
    with refused(ValueError, "row 2 (line 3), column 'b' is 'z'"):
        list(table.blocks(path, columns))
    path = file("b,a\nx,1\nz,bad\n")
    with refused(ValueError, "row 2 (line 3), column 'a' is 'bad'"):
        list(table.blocks(path, columns))
    path = file("b,a\n" + "x,1\n" * 5000 + "\nx,bad\n")
    with refused(ValueError, "row 5001 (line 5003), column 'a' is 'bad'"):
        list(table.blocks(path, columns))
    with refused(ValueError, "'1' in row 1 (line 2), but 'bad' in row 5001 (line 5003); should be"):
        table.survey(path)


def test_the_docs_tell_what_is_missing():
    path = Path(__file__).parent.parent / "docs" / "tables.md"
    text = path.read_text(encoding="utf-8")
    for missing in csv_file.MISSING - {""}:
        assert f"`{missing}`" in text


# ---- Numbers of any size, and more disguises ---------------------------------------------------


@pytest.mark.parametrize("unit", [1e-300, 1e-170, 1.0, 1e150])
def test_columns_of_any_scale_are_standardised(unit):
    values = unit * np.random.default_rng(0).normal(3, 2, 100)
    column = preprocessing.standardised("a", values, "f")
    np.testing.assert_allclose(column.scale / unit, (values / unit).std(), rtol=1e-12)


@pytest.mark.parametrize(
    ("form", "cause"),
    [
        ("<{}", "the mark '<'"),
        ("~{}", "the mark '~'"),
        ("{}-", "the mark '-'"),
        ("2024-01-{}", "dates or times"),
        ("{}:30", "dates or times"),
    ],
)
def test_many_numbers_with_a_mark_are_refused(file, tmp_path, capsys, form, cause):
    path = file("a,t\n" + "".join(f"{form.format(10 + i % 30)},{'xy'[i % 2]}\n" for i in range(90)))
    code, _, err = run(capsys, "train", path, "--target", "t", "-o", tmp_path / "m.safetensors")
    assert (code, cause in err, "--categories a" in err) == (1, True, True)
