"""Reading of tables: pyarrow's blocks against the csv module, gzip, stdin, Parquet, progress."""

import datetime
import decimal
import gzip
import io
import os
import re
import subprocess
import sys

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pandas
import pytest
from table_facts import facts

from cnn._base import extras
from cnn._tables import arrow, buffers, content, csv_file, pieces, table
from cnn._tables.content import read
from cnn._tables.dialect import DEFAULT, Dialect
from cnn._tables.table import Category, Number

needs_pyarrow = pytest.mark.skipif(not arrow.is_installed(), reason="pyarrow is not installed")


@pytest.fixture
def file(tmp_path):
    def write(data, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return str(path)

    return write


@pytest.fixture
def blockwise(monkeypatch):
    """Return a function that makes pyarrow read small blocks, and the list of their rows."""

    def use(block, first=1):
        monkeypatch.setattr(arrow, "WORTHWHILE", 1)
        monkeypatch.setattr(arrow, "_BLOCK", block)
        monkeypatch.setattr(arrow, "_SHARE", max(64, block // 3))
        monkeypatch.setattr(pieces, "FIRST_ROWS", first)
        monkeypatch.setattr(csv_file, "_SNIFFED_LINES", 2)
        counts = []
        part = arrow.Blocks.part

        def counted(*arguments):
            found = part(*arguments)
            if found[0] is not None:
                counts.append(found[0].count)
            return found

        monkeypatch.setattr(arrow.Blocks, "part", counted)
        return counts

    return use


def both(path, monkeypatch, **options):
    """Return what is found with pyarrow's blocks, and without them."""
    fast = facts(path, **options)
    with monkeypatch.context() as patch:
        patch.setattr(arrow, "is_installed", lambda: False)
        slow = facts(path, **options)
    return fast, slow


# ---- pyarrow and the csv module -----------------------------------------------------------------

NUMBERS = ["1", "2.5", "-3e-7", "007", "1e3", "0.1", "123456.789", "5.", ".5", "-0.0"]
HARD_NUMBERS = [
    "+5",
    " 5",
    "5\t",
    '"1"',
    '" 5 "',
    "1e-400",
    "12345678901234567890",
    "4e18",
    "\u0661",
]
BAD_NUMBERS = [
    "1_0",
    "0x10",
    "inf",
    "1e400",
    "5%",
    "1,5",
    "1.234,5",
    "nan(1)",
    "infinity",
    "1e",
    "-",
    "\ufeff5",
]
TEXTS = ["a", "b", "c d", "\u00e9", '"a"', '"a, b"', "True"]
HARD_TEXTS = [
    " a",
    "a ",
    '" a "',
    '"a ""b"""',
    '"two\nlines"',
    '"x\r\ny"',
    'mid"quote',
    "a\0b",
    "\xa0a",
    "\ufeffa",
]
BAD_TEXTS = ['"bad"x', '"open', "2020-01-02", "5 kg", '"', "\r"]
MISSING = ["", "NA", " NA ", '""', '"NA"', '" "', "?", "nan"]


@st.composite
def tables(draw):
    """Texts of files: most columns of one kind, now and then with something odd."""
    pools = [
        (NUMBERS, HARD_NUMBERS, BAD_NUMBERS + TEXTS),
        (TEXTS, HARD_TEXTS, BAD_TEXTS + NUMBERS),
    ]
    kinds = draw(st.lists(st.sampled_from(pools), min_size=2, max_size=3))
    odds = draw(st.sampled_from([(97, 2, 1, 0), (80, 10, 0, 10), (100, 0, 0, 0), (60, 20, 2, 18)]))
    random = draw(st.randoms(use_true_random=False))
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    delimiter = draw(st.sampled_from([",", ";", "\t", ", "]))
    lines = [delimiter.join(["x", "y", "t"][3 - len(kinds) :])]
    for _ in range(draw(st.integers(1, 25))):
        cells = [random.choice(random.choices((*kind, MISSING), odds)[0]) for kind in kinds]
        if random.random() < 0.01:
            cells.pop()
        lines += [delimiter.join(cells), *[""] * (random.random() < 0.03)]
    text = end.join(lines) + end * draw(st.booleans())
    return draw(st.sampled_from(["", "\ufeff"])) + text, delimiter[0]


@needs_pyarrow
@hypothesis.settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(
    tables(), st.integers(8, 120), st.booleans(), st.sampled_from([2, 1000]), st.booleans()
)
def test_blocks_and_rows_have_the_same_results(
    file, blockwise, monkeypatch, given, size, keep, most, by_comma
):
    text, delimiter = given
    with monkeypatch.context() as patch:
        patch.setattr(table, "MOST_CATEGORIES", most)
        dialect = Dialect(delimiter, "," if by_comma and delimiter != "," else ".")
        path = file(text)
        with monkeypatch.context() as small:
            for name, value in (("WORTHWHILE", 1), ("_BLOCK", size), ("_SHARE", size // 2)):
                small.setattr(arrow, name, value)
            small.setattr(pieces, "FIRST_ROWS", 1)
            fast, slow = both(path, monkeypatch, keep_missing=keep, dialect=dialect)
    assert fast == slow


def matrix(found):
    return np.column_stack([c.values.astype(np.float64) for c in found.columns.values()])


def plain(rows, quote=False):
    """Return the text of a table of plain fields, and its numbers as float reads them."""
    rng = np.random.default_rng(0)
    numbers = [[repr(v) for v in row] for row in (rng.standard_normal((rows, 2)) * 1e-3).tolist()]
    words = [f"w{i % 5}" for i in range(rows)]
    mark = '"' if quote else ""
    lines = [f"{a},{b},{mark}{w}{mark}" for (a, b), w in zip(numbers, words, strict=True)]
    return "a,b,t\n" + "\n".join(lines) + "\n", np.array(numbers, object).astype(float)


@needs_pyarrow
@pytest.mark.parametrize("quote", [False, True])
def test_plain_blocks_are_read_by_pyarrow(file, blockwise, quote):
    counts = blockwise(1 << 14, first=1500)
    text, numbers = plain(4000, quote)
    found = read(file(text), target="t")
    assert sum(counts) == 2500
    assert len(counts) > 4
    np.testing.assert_array_equal(matrix(found)[:, :2], numbers)
    np.testing.assert_array_equal(found.columns["t"].values, np.arange(4000) % 5)
    assert found.columns["t"].column == Category("t", tuple(f"w{i}" for i in range(5)))


@needs_pyarrow
def test_an_odd_block_does_not_stop_pyarrow(file, blockwise):
    counts = blockwise(1 << 14, first=1500)
    text, _ = plain(8000)
    lines = text.splitlines(keepends=True)
    lines[4000] = "\u0661,20,w1\n"
    lines[4001] = '3,4,"w\n1"\n'
    found = read(file("".join(lines)), target="t")
    assert 4000 < sum(counts) < 6500
    assert found.rows == 8000
    np.testing.assert_array_equal(matrix(found)[3999:4001, :2], [[1, 20], [3, 4]])
    lines[7000] = "1,x,w1\n"
    with pytest.raises(ValueError, match=r"'x' in row 7000 \(line 7002\)"):
        read(file("".join(lines)), target="t")


@needs_pyarrow
def test_a_byte_order_mark_is_text_but_at_the_beginning_of_the_file(file, blockwise):
    counts = blockwise(16)  # a row is 8 bytes, so that blocks begin at even rows
    rows = [f"{i:02},w,{i % 2}\n\n" for i in range(40)]
    text = "\ufeffa,b,t\n" + "".join(rows)
    np.testing.assert_array_equal(matrix(read(file(text), target="t"))[:, 0], np.arange(40))
    assert sum(counts) > 30
    for row in (20, 21):
        bad = text.replace(rows[row], f"\ufeff{row},w,0\n\n")
        with pytest.raises(ValueError, match=rf"but '\\ufeff{row}' in row {row + 1} "):
            read(file(bad), target="t")


@needs_pyarrow
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,2", r"row 3000 \(line 3001\) has 2 fields"),
        ("1,NA,w1", r"row 3000 \(line 3001\), column 'b' is 'NA'"),
        ("1,inf,w1", r"row 3000 \(line 3001\), column 'b' is 'inf', should be a finite"),
        ('1,2,"w1" ', "line 3001: ',' expected after '\"'"),
        (b"1,2,w\xff", "byte 0xff in line 3001 is not UTF-8"),
    ],
)
def test_messages_of_blocks_have_rows_and_lines(file, blockwise, line, message):
    counts = blockwise(1 << 14, first=1500)
    lines = plain(4000)[0].encode().split(b"\n")
    lines[3000] = line if isinstance(line, bytes) else line.encode()
    with pytest.raises(ValueError, match=message):
        read(file(b"\n".join(lines)), target="t")
    assert sum(counts) > 500


@needs_pyarrow
def test_predictions_read_blocks(file, blockwise, monkeypatch):
    columns = [Number("a"), Category("t", tuple(f"w{i}" for i in range(5)))]
    path = file(plain(4000)[0])
    monkeypatch.setattr(arrow, "is_installed", lambda: False)
    slow_texts, fast_texts = {"b": []}, {"b": []}
    slow = np.concatenate(list(table.blocks(path, columns, texts=slow_texts)))
    monkeypatch.undo()
    counts = blockwise(1 << 14, first=1500)
    fast = np.concatenate(list(table.blocks(path, columns, texts=fast_texts)))
    assert sum(counts) == 2500
    np.testing.assert_array_equal(fast, slow)
    assert fast_texts == slow_texts
    assert len(fast_texts["b"]) == 4000


# ---- Missing values ----------------------------------------------------------------------------


def test_missing_values_are_kept_or_refused(file):
    path = file("a,b,t\n1,x,0\nNA,,1\n2,y,1\n,y,1\n")
    found = read(path, target="t", keep_missing=True)
    np.testing.assert_array_equal(found.columns["a"].values, [1, np.nan, 2, np.nan])
    np.testing.assert_array_equal(found.columns["b"].values, [0, -1, 1, 1])
    assert (found.columns["a"].missing, found.columns["a"].first_missing) == (2, "row 2 (line 3)")
    assert (found.columns["t"].missing, found.columns["t"].first_missing) == (0, "")
    columns = [c.column for c in found.columns.values()]
    (block,) = table.blocks(path, columns, DEFAULT, keep_missing=True)
    np.testing.assert_array_equal(block[:, :2], [[1, 0], [np.nan, -1], [2, 1], [np.nan, 1]])
    with pytest.raises(ValueError, match=r"row 2 \(line 3\), column 'a' is 'NA', should be a fin"):
        read(path, target="t")
    with pytest.raises(ValueError, match=r"row 2 .*column 'a' is 'NA'"):
        list(table.blocks(path, columns, DEFAULT))


def test_a_column_of_missing_values_is_refused(file):
    with pytest.raises(ValueError, match="column 'a' has missing values only; --drop a leaves"):
        read(file("a,b,t\n,1,0\nNA,2,1\n"), target="t", keep_missing=True)


# ---- Files ---------------------------------------------------------------------------------------


def test_gzip(file):
    text = plain(50)[0]
    expected = facts(file(text))
    # The content tells, whatever the name is.
    assert facts(file(gzip.compress(text.encode()))) == expected
    with pytest.raises(ValueError, match="the file is not whole, or is no gzip file"):
        read(file(gzip.compress(text.encode())[:-9]), target="t")


@pytest.mark.parametrize("packed", [False, True])
def test_stdin(monkeypatch, file, packed):
    data = plain(50)[0].encode()
    expected = facts(file(data))
    ends = os.pipe()
    with open(ends[1], "wb") as pipe:
        pipe.write(gzip.compress(data) if packed else data)
    with open(ends[0], encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert facts("-") == expected
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a,t\n1,x\nNA,y\n")))
    with pytest.raises(ValueError, match=r"^stdin: row 2 \(line 3\), column 'a' is 'NA'"):
        read("-", target="t")


@pytest.mark.parametrize("blocks_of", [None, 1 << 14])
def test_progress(file, blockwise, blocks_of):
    if blocks_of:
        pytest.importorskip("pyarrow")
        blockwise(blocks_of, first=1500)
    text = plain(9000)[0]
    calls = []
    read(file(text), target="t", progress=lambda *call: calls.append(call))
    done, totals, rows = zip(*calls, strict=True)
    assert set(totals) == {len(text)}
    assert list(done) == sorted(done)
    assert done[-1] == len(text)
    assert rows[-1] == 9000
    assert len(rows) >= 3


def test_a_large_file_without_pyarrow_gets_a_note(file, monkeypatch):
    path = file("a,t\n1,2\n" * 10)
    assert content.note_on_speed(path) == ""
    monkeypatch.setattr(content, "_SLOW_SIZE", 10)
    monkeypatch.setattr(content, "find_spec", lambda name: None)
    assert content.note_on_speed(path).endswith(extras.install("table"))
    monkeypatch.setattr(content, "find_spec", lambda name: name)
    assert content.note_on_speed(path) == ""
    assert content.note_on_speed("-") == ""


def test_nothing_heavy_is_imported_to_read_a_small_file(file):
    path = file(plain(100)[0])
    code = (
        "import sys; from cnn._tables.content import read; "
        f"read({path!r}, target='t'); print('pyarrow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


# ---- Parquet -----------------------------------------------------------------------------------


@pytest.fixture
def parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    module = pytest.importorskip("pyarrow.parquet")

    def write(columns, **options):
        path = str(tmp_path / "data.parquet")
        module.write_table(pa.table(columns), path, **options)
        return path

    return write


def test_parquet_is_read_as_the_same_csv_file(parquet, file):
    numbers = [0.1, None, -3.5, 7.0, float("nan"), 2.0**60]
    whole = [3, 1, 2, None, 5, 2**53 + 1]
    words = ["b", " a", "NA", None, "a,b", "b"]
    path = parquet({"f": numbers, "i": whole, "w": words, "flag": [True, False, None] * 2,
                    "t": [1, 0, 1, 0, 1, 1]})  # fmt: skip
    found = facts(path, keep_missing=True)
    same = file(
        'f,i,w,flag,t\n0.1,3,b,True,1\n,1," a",False,0\n-3.5,2,NA,,1\n7,,,True,0\n'
        ',5,"a,b",False,1\n'
        "1152921504606846976,9007199254740993,b,,1\n"
    )
    expected = facts(same, keep_missing=True)

    def without_lines(value):
        return value.split(" (line")[0] if isinstance(value, str) else value

    assert found[0] == expected[0]
    assert found[1] == expected[1]
    assert [list(map(without_lines, c)) for c in found[2]] == [
        list(map(without_lines, c)) for c in expected[2]
    ]
    with pytest.raises(ValueError, match=r"data.parquet: row 2, column 'f' is empty, should be"):
        read(path, target="t")


@needs_pyarrow
def test_types_of_parquet(parquet):
    import pyarrow as pa

    path = parquet(
        {
            "small": pa.array([0.5, 0.1], pa.float32()),
            "half": pa.array([0.5, 2], pa.float16()),
            "money": pa.array([decimal.Decimal("0.10"), decimal.Decimal("2.30")]),
            "unsigned": pa.array([2**64 - 1, 0], pa.uint64()),
            "kind": pa.array(["x", "y"]).dictionary_encode(),
            "large": pa.array(["x", "y"], pa.large_string()),
            "digits": ["007", "7"],
            "t": [1.5, 2.5],
        }
    )
    found = read(path, target="t", categories=["digits"])
    assert found.rows == 2
    numbers = {name: c.values.tolist() for name, c in found.columns.items()}
    assert numbers == {
        "small": [0.5, float(np.float32(0.1))],
        "half": [0.5, 2],
        "money": [0.1, 2.3],
        "unsigned": [2.0**64, 0],
        "kind": [0, 1],
        "large": [0, 1],
        "digits": [0, 1],
        "t": [1.5, 2.5],
    }
    assert found.columns["digits"].column == Category("digits", ("007", "7"))


@needs_pyarrow
def test_many_numbers_of_parquet(parquet):
    values = np.random.default_rng(0).standard_normal(3000)
    path = parquet({"a": values, "i": np.arange(3000), "t": ["x", "y"] * 1500}, row_group_size=700)
    found = read(path, target="t")
    np.testing.assert_array_equal(found.columns["a"].values, values)
    np.testing.assert_array_equal(found.columns["i"].values, np.arange(3000))
    columns = [c.column for c in found.columns.values()]
    np.testing.assert_array_equal(np.concatenate(list(table.blocks(path, columns))), matrix(found))


@needs_pyarrow
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([datetime.date(2020, 1, 2)] * 2, "column 'a' has dates or times .*days since a date"),
        ([datetime.datetime(2020, 1, 2)] * 2, "column 'a' has dates or times"),
        ([[1], [2]], "column 'a' has values of the type list<.*should be numbers, truth values"),
        ([b"x", b"y"], "column 'a' has values of the type binary"),
        ([1.0, float("inf")], "row 2, column 'a' is 'inf', should be a finite number"),
    ],
)
def test_values_of_parquet_that_are_refused(parquet, values, message):
    path = parquet({"a": values, "b": [1, 2], "t": ["x", "y"]})
    with pytest.raises(ValueError, match=message):
        read(path, target="t")
    assert read(path, target="t", drop=["a"]).rows == 2


@needs_pyarrow
def test_parquet_that_is_damaged_or_cannot_be_read(parquet, file, monkeypatch):
    path = parquet({"a": list(range(3000)), "t": ["x", "y"] * 1500})
    with open(path, "rb") as stream:
        data = stream.read()
    with pytest.raises(ValueError, match="is not a whole Parquet file"):
        read(file(data[:4] + data[400:]), target="t")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert read("-", target="t").rows == 3000
    with pytest.raises(ValueError, match="the file is an Excel workbook or another zip archive"):
        read(file(b"PK\x03\x04 and more"), target="t")
    # A table whose first name begins with the mark is a table.
    assert read(file("PAR1,t\n1,x\n2,y\n"), target="t").rows == 2
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=re.escape(extras.install("table"))):
        read(path, target="t")


@needs_pyarrow
def test_the_index_of_a_parquet_file_has_no_name(tmp_path):
    frame = pandas.DataFrame({"a": range(6), "t": list("xyxyxy")})
    path = str(tmp_path / "t.parquet")
    frame[frame.a % 4 < 2].to_parquet(path)
    with pytest.raises(ValueError, match="column 3 has no name, but '0' in row 1; --drop ''"):
        read(path, target="t")
    assert list(read(path, target="t", drop=[""]).columns) == ["a", "t"]


@needs_pyarrow
def test_values_of_arrow_arrays():
    import pyarrow as pa

    rng = np.random.default_rng(0)
    for kind, of, gone in (
        (pa.float64(), buffers.floats_of, np.nan),
        (pa.int32(), buffers.indices_of, -1),
    ):
        values = [None if rng.random() < 0.3 else int(v) for v in rng.integers(0, 99, 50)]
        array = pa.array(values, kind)
        expected = np.array([gone if v is None else v for v in values])
        for first, rows in ((0, 50), (3, 20), (9, 41), (8, 1), (7, 0)):
            np.testing.assert_array_equal(
                of(array.slice(first, rows)), expected[first : first + rows]
            )
        np.testing.assert_array_equal(of(pa.array([5, 7, 9], kind).slice(1)), [7, 9])


@needs_pyarrow
def test_pandas_is_not_imported(file, parquet):
    # It would take longer than the rest, and lose a Ctrl-C that comes meanwhile.
    rows = "".join(f"{i / 7},{i % 3}x,\n" for i in range(120_000))
    paths = [
        file("a,t,b\n" + rows),
        parquet({"a": [1.0, float("nan"), None], "n": [1, None, 3], "t": ["x", None, "y"]}),
    ]
    program = (
        "import sys\nfrom cnn._tables.content import read\n"
        f"read({paths[0]!r}, target='t', drop=['b'])\n"
        f"read({paths[1]!r}, target='t', keep_missing=True)\n"
        "assert 'pyarrow' in sys.modules and 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-P", "-c", program], check=True)
