"""Numbers in tables: of any size, in disguise, missing, and told to the last digit."""

import numpy as np
import pytest
from refused import refused
from tables import content, plan_of, predicted, run, trained

import cnn
from cnn import _core, tabular
from cnn._base import metadata
from cnn._tables import numerals, preprocessing, table
from cnn._tables.preprocessing import Preprocessing
from cnn._tables.table import Category, Number
from cnn.cli import report

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
    goal = np.array([3e200, -4e200])
    y = np.zeros((2, 1))
    held_out = tabular.scores(plan, y, goal)
    baseline = tabular.scores(plan, y - 0.5e200, goal)
    net = cnn.mlp([1, 1], "tanh", "identity", rng=0)
    fitted = tabular.Fitted(net, plan, cnn.History(), 1, True, False, held_out, baseline)
    line = report.score(fitted)
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
    assert "drop leaves their rows out, --drop c the column; --missing '' takes" in err
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
        assert "--missing median, mean or category fills in missing values" in err
    model, err = trained(file, tmp_path, capsys, countries("1", "", "2"), "--missing", "")
    assert "row 2 (line 3), column 'c' is empty" in err
    assert "--missing ''" not in err


@pytest.mark.parametrize("text", ["Inf", "-inf", "Infinity", "1e999"])
def test_infinity_may_be_a_category(file, tmp_path, capsys, text):
    table = countries("low", "high", text)
    model, err = trained(file, tmp_path, capsys, table)
    assert model is None
    cure = "should be a finite number, or categories by --categories c, which are texts"
    assert f"row 3 (line 4), column 'c' is {text!r}, {cure}" in err
    model, out = trained(file, tmp_path, capsys, table, "--categories", "c")
    assert "categories: c (3)" in out


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
