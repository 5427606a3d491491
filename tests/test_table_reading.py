"""Reading of tables: pyarrow's blocks against the csv module, gzip, stdin, Parquet, progress."""

import csv
import datetime
import decimal
import gzip
import io
import os
import subprocess
import sys
import threading

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from cnn._tables import arrow, content, csv_file, table
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
        monkeypatch.setattr(csv_file, "_FIRST_ROWS", first)
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


def facts(path, **options):
    """Return all that `read` finds in a file, or its error."""
    try:
        found = read(path, target="t", **options)
    except ValueError as error:
        return str(error)
    columns = [
        (c.column, c.values.dtype, c.values.tobytes(), c.missing, c.first_missing, c.inexact)
        for c in found.columns.values()
    ]
    return found.rows, found.hint, columns


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
    max_examples=300,
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
            for name, value in (("WORTHWHILE", 1), ("_BLOCK", size)):
                small.setattr(arrow, name, value)
            small.setattr(csv_file, "_FIRST_ROWS", 1)
            fast, slow = both(path, monkeypatch, keep_missing=keep, dialect=dialect)
    assert fast == slow
