"""Tables in shards: what is learnt of columns is what one table of the same rows gives."""

import itertools
import math
from dataclasses import asdict

import numpy as np
import pytest

from cnn._base.exact_sums import added, exact_sum, rounded
from cnn._tables import merging, preprocessing, shards, statistics, table
from cnn._tables.dialect import Dialect
from cnn._tables.table import Category, Number

ROWS = 401
CUTS = [[0, ROWS], [0, 1, ROWS], [0, 100, 101, 230, ROWS], [0, 0, 7, 7, ROWS]]


def numbers_of(kind):
    rng = np.random.default_rng(7)
    found = rng.standard_normal(ROWS)
    return {
        "plain": found,
        "far": 1.7e12 + found.round(1),
        "tiny": found * 1e-170,
        "denormal": (found * 40).round() * 5e-324,
        "wide": found * 10.0 ** rng.integers(-300, 150, ROWS),
        "equal": np.full(ROWS, 0.1),
        "two": (found > 0).astype(float) - 0.0,
        "zeros": np.where(found > 0, 0.0, -0.0),
    }[kind]


KINDS = ["plain", "far", "tiny", "denormal", "wide", "equal", "two", "zeros"]


@pytest.mark.parametrize("kind", KINDS)
def test_exact_sums_are_rounded_once(kind):
    values = numbers_of(kind)
    assert rounded(exact_sum(values)) == math.fsum(values)
    for cut in CUTS:
        parts = [exact_sum(values[a:b]) for a, b in itertools.pairwise(cut)]
        assert added(parts) == exact_sum(values)


def test_sums_that_overflow_are_infinite():
    assert rounded(exact_sum(np.array([1.7e308, 1.7e308]))) == math.inf
    assert rounded(exact_sum(np.array([1.7e308, 1.7e308, -1.7e308]))) == 1.7e308
    assert exact_sum(np.array([1.0, np.inf])) is None
    assert added([1, None]) is None
    assert rounded(None) == math.inf


def learnt(columns, values, cut, policy):
    """Return the columns and fillings that shards of rows give."""
    parts = [values[a:b] for a, b in itertools.pairwise(cut)]
    facts = [statistics.Facts()] * len(columns)
    for part in parts:
        more = statistics.facts(columns, [part])
        facts = [a + b for a, b in zip(facts, more, strict=True)]
    means = statistics.means(facts)
    sums = [statistics.squares(columns, means, [part]) for part in parts]
    made = statistics.standardised(
        columns, facts, means, [added(each) for each in zip(*sums, strict=True)], "data"
    )
    search = statistics.Medians(columns, facts)
    while not search.done:
        search.narrow(sum(search.digits([part]) for part in parts))
    medians = search.values(len(columns))
    return made, statistics.fillings(policy, made, facts, medians, "data")


@pytest.mark.parametrize("policy", ["mean", "median", "category"])
@pytest.mark.parametrize("cut", CUTS)
def test_shards_give_what_one_table_gives(cut, policy):
    rng = np.random.default_rng(3)
    columns = [*(Number(kind) for kind in KINDS), Category("c", ("x", "y", "z")), Number("whole")]
    values = np.stack([*map(numbers_of, KINDS), rng.integers(0, 3, ROWS), np.arange(ROWS)], 1)
    gone = rng.random(values.shape) < 0.2
    gone[:, -1] = False
    values[gone] = np.nan
    values[gone[:, 8], 8] = -1
    made, fillings = learnt(columns, values, cut, policy)
    for i, column in enumerate(columns):
        one = values[:, i]
        assert fillings[i] == preprocessing.filling(policy, column, one, "data")
        if isinstance(column, Number):
            there = one[~np.isnan(one)]
            assert made[i] == preprocessing.standardised(column.name, there, "data")
        else:
            assert made[i] is column


def test_a_number_that_is_too_large_is_refused():
    values = np.array([[1e308], [-1e308], [1e308]])
    with pytest.raises(ValueError, match=r"^data: column 'a' has numbers that are too large"):
        learnt([Number("a")], values, [0, 1, 3], "mean")


def test_a_column_without_values_is_refused():
    with pytest.raises(ValueError, match=r"^data: column 'a' has no values in the rows to learn"):
        learnt([Number("a")], np.full((3, 1), np.nan), [0, 3], "mean")


# ---- Files -------------------------------------------------------------------------------------


def files_of(tmp_path, *contents):
    paths = []
    for i, content in enumerate(contents):
        paths.append(str(tmp_path / f"part-{i}.csv"))
        (tmp_path / f"part-{i}.csv").write_text(content, encoding="utf-8")
    return paths


def surveyed(paths, forced=(), dialect=Dialect(), *, keep_missing=True):  # noqa: B008
    """Return the merged surveys of files, each of which another process has read."""
    each = []
    for path in paths:
        _, found = table.survey(
            path, categories=forced, dialect=dialect, keep_missing=keep_missing, whole=False
        )
        texts = {name: merging.text_of(survey) for name, survey in found.items()}
        each.append(
            {
                name: merging.of_text(text, dialect, forced=name in forced)
                for name, text in texts.items()
            }
        )
    return {name: merging.merged("all", [one[name] for one in each]) for name in each[0]}


HEAD = "n,few,text,mixed,many,gaps\n"
BLOCKS = [
    "".join(f"{i / 7},{i % 3},t{i % 5},{'' if i % 4 else i},k{i},{'NA'}\n" for i in rows)
    for rows in (range(600), range(600, 1300), range(1300, 1310))
]


def test_merged_surveys_are_those_of_one_file(tmp_path):
    parts = files_of(tmp_path, *(HEAD + block for block in BLOCKS))
    (whole,) = files_of(tmp_path / "..", HEAD + "".join(BLOCKS))
    found = surveyed(parts)
    _, one = table.survey(whole, keep_missing=True)
    for name, survey in one.items():
        other = found[name]
        assert other.is_number == survey.is_number
        assert other.is_whole == survey.is_whole
        assert other.missing == survey.missing
        assert (other.texts is None) == (survey.texts is None)
        if survey.texts is not None:
            assert list(other.texts) == list(survey.texts)
            assert other.category("a") == survey.category("a")
    assert found["few"].texts == {"0", "1", "2"}
    assert found["n"].texts is None
    assert found["many"].texts is None


def test_places_name_their_file(tmp_path):
    paths = files_of(tmp_path, "a,b\n1,x\n", "a,b\n2,y\n3,\n")
    found = surveyed(paths)
    assert found["b"].word == f"'x' in row 1 (line 2) of {paths[0]}"
    assert found["b"].first_missing == f"row 2 (line 3) of {paths[1]}"


def test_numbers_in_one_file_and_texts_in_another_are_refused(tmp_path):
    paths = files_of(tmp_path, "a,b\n1,2\n3,4\n", "a,b\n1,\n3,x\n")
    with pytest.raises(ValueError, match="numbers throughout") as error:
        surveyed(paths)
    assert str(error.value) == (
        f"all: column 'b' has '2' in row 1 (line 2) of {paths[0]}, but 'x' in row 2 (line 3) of "
        f"{paths[1]}; should be numbers throughout, or categories by --categories b"
    )
    assert list(surveyed(paths, ["b"])["b"].texts) == ["2", "4", "x"]


def test_disguised_numbers_are_those_of_all_files(tmp_path):
    # In the second file nearly all texts look like numbers; of all files, few do.
    words = "a\n" + "".join(f"w{i}\n" for i in range(40))
    paths = files_of(tmp_path, words, "a\n5%\n6%\n")
    found = surveyed(paths)["a"]
    assert (found.disguised, found.looked_at) == (2, 42)
    found.check("all")
    with pytest.raises(ValueError, match=r"^all: column 'a' has '5%' in row 1 .* percent sign"):
        surveyed(paths[1:])["a"].check("all")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("a,c\n1,2\n", "column 'b', which {0} has, is missing"),
        ("a,b,c\n1,2,3\n", "column 'c' is not in {0}"),
        ("b,a\n1,2\n", "column 1 is 'b', but 'a' in {0}"),
    ],
)
def test_files_should_have_the_same_columns(tmp_path, other, message):
    paths = files_of(tmp_path, "a,b\n1,2\n", other)
    with pytest.raises(ValueError, match="same columns") as error:
        merging.headers(paths, Dialect())
    rule = "the files of a table should have the same columns in the same order"
    assert str(error.value) == f"{paths[1]}: {message.format(paths[0])}; {rule}"
    assert merging.headers(paths[:1], Dialect()) == ["a", "b"]


def test_cut():
    paths = [f"p{i}" for i in range(10)]
    for count in range(1, 11):
        found = shards.cut(paths[::-1], count)
        assert len(found) == count
        assert [path for each in found for path in each] == paths
        assert max(map(len, found)) - min(map(len, found)) <= 1
    with pytest.raises(ValueError, match=r"^the number of shards is 11, should be at most that of"):
        shards.cut(paths, 11)
    with pytest.raises(ValueError, match=r"^p3 is given twice"):
        shards.cut([*paths, "p3"], 2)
    with pytest.raises(ValueError, match=r"^- is stdin"):
        shards.cut(["-"], 1)
    assert shards.named(paths) == "p0 and 9 other files"
    assert shards.named(paths[:2]) == "p0 and 1 other file"
    assert shards.named(paths[:1]) == "p0"


def read(paths, columns, rows, *, drop=False):
    progress = shards.FilesProgress(None, paths, 1)
    return shards.read(
        paths, columns, Dialect(), rows, keep_missing=True, drop=drop, progress=progress
    )


def test_rows_of_a_shard(tmp_path):
    paths = files_of(tmp_path, "a,b\n1,x\n,y\n", "a,b\n3,z\n")
    columns = [Number("a"), Category("b", ("x", "y", "z"))]
    found = read(paths, columns, 3)
    assert found.values.tolist()[0::2] == [[1, 0], [3, 2]]
    assert np.isnan(found.values[1, 0])
    assert list(found.file_blocks()) == [(paths[0], 0, slice(0, 2)), (paths[1], 0, slice(2, 3))]
    found = read(paths, columns, 3, drop=True)
    assert found.values.tolist() == [[1, 0], [3, 2]]
    assert found.left_out == 1
    assert found.firsts == [0, 1, 2]
    after = [columns[0], shards.restricted(columns[1], (1, 0, 1))]
    assert after[1].categories == ("x", "z")
    assert shards.recoded(columns, after, found.values).tolist() == [[1, 0], [3, 1]]
    with pytest.raises(ValueError, match=r"4 rows were read at first and then 3; a file must not"):
        read(paths, columns, 4)


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    scratch = shards.Scratch(np.float64, 2)
    scratch._file.close()
    scratch._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    with pytest.raises(OSError, match="No space left"):
        scratch.append(np.ones((10, 2)))
    scratch._file.close()


def test_facts_are_json():
    found = statistics.facts_of(Category("c", ("x", "y")), np.array([0.0, -1.0, 1.0, 1.0]))
    assert asdict(found)["counts"] == (1, 2)
    assert (found.there, found.gone) == (3, 1)
