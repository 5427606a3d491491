"""What a table has comes back as it was written, or is refused with the cause and the cure."""

import time
from pathlib import Path

import numpy as np
import pytest
from refused import refused
from tables import content, plan_of, predicted, trained

from cnn import _core
from cnn._tables import dialect, table
from cnn._tables.table import Category, Number
from cnn.cli import common
from cnn.cli import main as command_line
from cnn.tabular import _split

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
    "policies": ["--missing", "drop,mean"],
    "unknown policy": ["--missing", "mode"],
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
    assert [common.percent(*share) for share in shares] == texts


def test_held_out_rows_of_each_class():
    def held(counts, most):
        return _split._held_of_each(np.array(counts), most).tolist()

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
    goal = np.array([0, 1, 2, 1, 1, 0, 2, 1] * 10, float)
    order = _split.shuffled(3, 80)
    test, kept = _split.split(order, goal, 0.25, stratified=True, source="f")
    assert sorted([*test, *kept]) == list(range(80))
    assert np.bincount(goal[test].astype(int)).tolist() == [5, 10, 5]
    order = _core.permutation(3, 0, 80, 0, 80).tolist()
    for rows in (test, kept):
        assert sorted(rows, key=order.index) == rows.tolist()


# ---- Wide tables -------------------------------------------------------------------------------


@pytest.mark.slow
def test_time_is_linear_in_the_number_of_columns(file):
    def seconds(columns):
        text = ",".join(f"column {i}" for i in range(columns)) + "\n"
        text += (",".join(["1.5"] * columns) + "\n") * 3
        path = file(text)
        begin = time.process_time()
        _, found = table.survey(path, drop=[f"column {i}" for i in range(0, columns, 2)])
        columns = [Number(name) for name in found]
        (block,) = table.blocks(path, columns)
        assert block.shape == (3, len(columns))
        return time.process_time() - begin

    seconds(100)
    # Quadratic work takes 100 s for these.
    assert seconds(50_000) < 10


def test_blocks_of_wide_tables_have_few_rows(file):
    columns = 5000
    text = (
        ",".join(f"c{i}" for i in range(columns)) + "\n" + ("1" + ",2" * (columns - 1) + "\n") * 900
    )
    sizes = [len(b) for b in table.blocks(file(text), [Number("c0"), Number("c4999")])]
    assert max(sizes) == 209
    assert sum(sizes) == 900
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
    path = Path(__file__).parent.parent / "docs" / "guide" / "tables.md"
    text = path.read_text(encoding="utf-8")
    for missing in dialect.MISSING - {""}:
        assert f"`{missing}`" in text
