"""Each block of code in the documents works as it stands.

Blocks of C, C++, CMake, Cython and Fortran, and those of Python that need Numba or cffi, are built
and run by tests/downstream/test_docs.py, those that need PyTorch or Keras by `make test-peers`, and
those that need Dask, Ray or Spark by `make test-distributed`.
"""

import csv
import doctest
import inspect
import operator
import os
import re
import shlex
import subprocess
import sys
import tomllib

import pytest
from doc_blocks import DOCUMENTS, ROOT, Block, blocks_of, commands, named, run_python

import cnn

# What blocks may need that is not here; other environments have it.
ELSEWHERE = {
    *("cffi", "dask", "distributed", "joblibspark", "keras", "numba", "pyspark", "ray", "skl2onnx"),
    "torch",
}
# Languages whose blocks are files, which their first lines name.
FILES = {"c", "cmake", "cpp", "cython", "fortran"}
# Documents whose commands compile programs and run them.
COMPILED = {f"docs/guide/{name}.md" for name in ("c", "cpp", "cython", "devices", "fortran")} | {
    "examples/README.md"
}
# Pages that take longer than a few seconds; `make test-distributed` runs those on engines, too.
LONG = {
    *(f"docs/guide/{name}.md" for name in ("command_line", "exchange", "raw_tables", "tables")),
    *("docs/start/choices.md", "docs/guide/engines/joblib.md", "docs/ja/index.md"),
    "docs/migrating/scikit-learn.md",
}


def with_blocks(*languages):
    """Return the documents with blocks of these languages, the long ones marked."""
    return [
        pytest.param(name, marks=[pytest.mark.slow] if name in LONG else [])
        for name in DOCUMENTS
        if any(b.language in languages for b in blocks_of(name))
    ]


def test_documents_are_read():
    expected = {
        "README.md",
        "docs/guide/c.md",
        "docs/performance/index.md",
        "csrc/README.md",
    }
    assert {*expected, "examples/README.md"} <= set(DOCUMENTS)
    assert [block.language for block in blocks_of("docs/guide/c.md")][:3] == [
        "python",
        "c",
        "cmake",
    ]
    assert "cnn train iris.csv" in next(
        block.text for block in blocks_of("README.md") if "cnn train" in block.text
    )


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_language_is_one_that_is_run(document):
    """A text that is no code says so; files of other languages have their names in a comment."""
    blocks = blocks_of(document)
    for before, block in zip([Block("", "", 0), *blocks], blocks, strict=False):
        assert block.language in FILES | {"output", "python", "shell", "text"}, block
        if block.language == "output":
            assert before.language == "python", block
        if block.language in FILES:
            assert named(block), block


def test_files_of_readme_are_those_of_the_guide():
    """The guide's are built and run by tests/downstream/test_docs.py."""
    (program,) = [block.text for block in blocks_of("README.md") if block.language in FILES]
    assert program in [block.text for block in blocks_of("docs/guide/c.md")]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^\s()#]+)[^\s()]*\)", re.sub(r"`[^`]*`", "", text)):
        if target.startswith(("https:", "http:", "mailto:")):
            continue
        path = ((ROOT / document).parent / target).resolve()
        if path.parent == ROOT / "docs" / "gallery":  # pages that are made of programs
            path = ROOT / "examples" / f"{path.stem}.py"
        # Pages may be named without their ending.
        assert path.exists() or path.with_suffix(".md").exists(), target


def test_outputs_are_compared(tmp_path, monkeypatch):
    """With what the block before them prints, in which `...` stands for any text."""
    text = "```python\nprint('a', 1, 2)\n```\n\n```output\n{}\n```\n"
    monkeypatch.setattr("doc_blocks.ROOT", tmp_path)
    for output, is_right in (("a 1 2", True), ("a ...", True), ("a 1 3", False), ("", False)):
        (tmp_path / "page.md").write_text(text.format(output))
        [(line, wrong)] = run_python("page.md", tmp_path)
        assert line == 2
        assert (wrong is None) is is_right, wrong


def test_the_map_of_tests_is_complete():
    text = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
    folder = ROOT / "tests"
    there = {
        path.name
        for path in (
            *folder.glob("*.py"),
            *folder.glob("distributed/*.py"),
            *folder.glob("faults/*.py"),
        )
    }
    assert set(re.findall(r"`(\w+\.py)`", text)) == there


# ---- Examples of docstrings ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("from_torch", "torch"),
        ("Sequential.to_torch", "torch"),
        ("sklearn.register_skl2onnx", "skl2onnx"),
    ],
)
def test_examples_that_need_other_libraries(name, library):
    """`pytest --doctest-modules` skips them, as their libraries may be missing."""
    pytest.importorskip(library)
    text = inspect.getdoc(operator.attrgetter(name)(cnn))
    assert "SKIP" in text
    example = doctest.DocTestParser().get_doctest(
        text.replace("# doctest: +SKIP", ""), {}, name, None, 0
    )
    assert doctest.DocTestRunner().run(example).failed == 0


# ---- Commands ------------------------------------------------------------------------------------

CNN = r"(python -m )?cnn "


@pytest.fixture
def tables(tmp_path):
    """Return a folder with the tables that the commands read."""
    datasets = pytest.importorskip("sklearn.datasets")
    iris = datasets.load_iris()
    names = [name.removesuffix(" (cm)").replace(" ", "_") for name in iris.feature_names]
    rows = [[*row, iris.target_names[t]] for row, t in zip(iris.data, iris.target, strict=True)]
    (tmp_path / "flowers").mkdir()
    parts = [(f"flowers/part-{i}.csv", rows[i::8]) for i in range(8)]
    for name, some in (("iris.csv", rows), ("test.csv", rows[::7]), *parts):
        with (tmp_path / name).open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*names, "species"])
            writer.writerows(some)
    with (tmp_path / "new.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", *names])
        writer.writerows([f"flower {i}", *row] for i, row in enumerate(iris.data[::10].tolist()))
    return tmp_path


def make_targets():
    """Return the targets that the Makefile lists for users."""
    text = (ROOT / "Makefile").read_text()
    return set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())


def check_line(line, folder):
    """Run a command of cnn; of make, pip and tests look whether there is what they name."""
    words = shlex.split(line)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    if words[0] == "cnn" or words[:3] == ["python", "-m", "cnn"]:
        rest = line[line.index("cnn") + 3 :]
        done = subprocess.run(
            f"{shlex.quote(sys.executable)} -P -m cnn{rest}",
            cwd=folder,
            shell=True,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
    elif words[0] == "make":
        assert next(word for word in words[1:] if "=" not in word) in make_targets(), line
    elif words[:2] == ["pip", "install"]:
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        for named_extras in re.findall(r"\[([\w,-]+)\]", line):
            assert set(named_extras.split(",")) <= set(extras["optional-dependencies"]), line
    elif words[0] == "python" and words[1].startswith("examples/"):
        assert (ROOT / words[1]).exists(), line  # other tests run them
    elif words[0] == ".venv/bin/python":
        for word in words:
            if word.startswith("tests"):
                assert (ROOT / word).exists(), line
    else:
        return False
    return True


@pytest.mark.skipif(os.name == "nt", reason="the shell is another one")
def test_faults_are_found(tmp_path):
    """What is not there, or fails, is told."""
    for line in ("make absent", "pip install cnn[absent]", "cnn train absent.csv -o a --target b"):
        with pytest.raises(AssertionError):
            check_line(line, tmp_path)
    assert not check_line("cc absent.c", tmp_path)


# ---- Documents -----------------------------------------------------------------------------------


@pytest.mark.parametrize("document", with_blocks("python", "shell"))
def test_document(document, request):
    """First the commands of a page, then its Python, in one folder with the tables that they read.

    Compilers and what they make are tested downstream.
    """
    lines = [line for b in blocks_of(document) if b.language == "shell" for line in commands(b)]
    needs_tables = any(re.match(CNN, line) for line in lines)
    folder = request.getfixturevalue("tables" if needs_tables else "tmp_path")
    others = [line for line in lines if not check_line(line, folder)]
    if document not in COMPILED:
        assert others == []
    lacks_names = False
    for line, wrong in run_python(document, folder):
        if wrong is None:
            continue
        kind, text = wrong
        needed = kind == "missing" and any(re.search(rf"\b{name}\b", text) for name in ELSEWHERE)
        # What such a block would have defined.
        follows = lacks_names and "\nNameError: " in text
        assert needed or follows, f"{document}:{line}: {text}"
        lacks_names |= needed
