"""Categories and classes in tables come back as the texts that were written."""

import csv
import io
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import content, plan_of, predicted, run, trained

import cnn
from cnn._base import metadata
from cnn._tables import csv_file, numerals, preprocessing, table
from cnn._tables.dialect import MISSING
from cnn._tables.table import Category, Number

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
).filter(lambda text: text.strip() and text.strip() not in MISSING)


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
