"""The names of the package: which there are, that they are imported on first use, and how fast."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from doc_blocks import ROOT
from refused import refused

import cnn


def run(program, **options):
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_type_checkers_see_the_same_names():
    tree = ast.parse((ROOT / "cnn" / "__init__.pyi").read_text(encoding="utf-8"))
    stub, declared = {}, set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module != "typing":
            stub |= {alias.name: node.module for alias in node.names}
            assert all(alias.asname == alias.name for alias in node.names)  # so it is a re-export
        elif isinstance(node, ast.AnnAssign):
            declared.add(node.target.id)
    assert declared | set(stub) - {"_core"} == {*cnn.__all__, *cnn._MODULES}
    for name, module in stub.items():
        if name != "_core" and module == "cnn":
            assert name in cnn._MODULES
        elif name in cnn._MODULE_OF:
            assert module == f"cnn.{cnn._MODULE_OF[name]}"


def test_all_public_modules_are_found():
    files = {path.stem for path in (ROOT / "cnn").glob("[a-z]*.py")}
    folders = {path.parent.name for path in (ROOT / "cnn").glob("[a-z]*/__init__.py")}
    assert (files | folders) - {"cli", "demo", "exchange"} == set(cnn._MODULES)


def test_dir_has_public_names_only():
    names = dir(cnn)
    assert {*names, "sklearn"} == {*cnn.__all__, *cnn._MODULES}
    assert names == sorted(names)
    assert [name for name in names if name.startswith("_")] == ["__version__"]


def test_help_and_completion_do_without_scikit_learn(tmp_path):
    program = """
import inspect, sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path] + [sys.argv[1]]
import cnn, rlcompleter
print("sklearn" in dir(cnn), len(inspect.getmembers(cnn)) >= len(cnn.__all__))
print(rlcompleter.Completer({"cnn": cnn}).complete("cnn.tab", 0))
"""
    site = Path(cnn.__file__).parents[1]
    for path in site.iterdir():
        if path.name.startswith(("cnn", "numpy", "tqdm")):
            (tmp_path / path.name).symlink_to(path)
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "False True\ncnn.tabular\n", done.stderr


def test_a_name_is_looked_up_once():
    program = "import cnn; print('Dense' in vars(cnn)); cnn.Dense; print('Dense' in vars(cnn))"
    assert run(program) == "False\nTrue\n"


@pytest.mark.parametrize("name", cnn._MODULES)
def test_a_module_is_imported_on_first_use(name):
    if name in ("plot", "sklearn"):
        pytest.importorskip({"plot": "matplotlib", "sklearn": "sklearn"}[name])
    assert getattr(cnn, name).__name__ == f"cnn.{name}"


def test_a_name_that_is_missing():
    with refused(AttributeError, "module 'cnn' has no attribute 'Denze'") as caught:
        cnn.Denze  # noqa: B018
    assert caught.value.name == "Denze"
    assert caught.value.obj is cnn
    assert not hasattr(cnn, "__wrapped__")
    with pytest.raises(ImportError, match="cannot import name 'Denze'"):
        from cnn import Denze  # noqa: F401


def test_star():
    program = "from cnn import *; import cnn; print(set(cnn.__all__) - set(globals()))"
    assert run(program) == "set()\n"


def test_import_brings_little():
    """Neither modules of the standard library that take long, nor most of cnn."""
    program = """
import sys
sys.modules["threadpoolctl"] = None  # which has its own needs
import numpy
before = set(sys.modules)
import cnn
print(*sorted(set(sys.modules) - before))
"""
    assert set(run(program).split()) <= {
        *("__future__", "cnn", "cnn._base", "cnn._base.threadpool", "cnn._base.warning"),
        *("cnn._core", "cnn.runtime", "cython_runtime", "_cython_3_3_1"),
    }


def test_the_sources_say_what_they_are(tmp_path):
    (tmp_path / "cnn" / "_core").mkdir(parents=True)
    (tmp_path / "cnn" / "_base").mkdir()
    for name in ("__init__.py", "_core/_core.pyx", "_base/__init__.py", "_base/sources.py"):
        (tmp_path / "cnn" / name).write_bytes((ROOT / "cnn" / name).read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", "import cnn"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: cnn: {tmp_path / 'cnn'} holds cnn's sources, which have no compiled part. "
        "Python finds them before an installed cnn, because their folder is the current one or is "
        "in PYTHONPATH. Install cnn with 'pip install .', then start Python in another folder or "
        "as 'python -P'"
    )


@pytest.mark.parametrize("name", ["cnn.py", "cnn/__init__.py"])
def test_a_file_that_takes_the_place_of_cnn_is_told(name, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    show = "import cnn; cnn.show_versions()"
    assert "note" not in run(show, cwd=tmp_path)
    path.write_text("")
    assert run(show, cwd=tmp_path).splitlines()[-1] == (
        f"note             programs in this folder import {str(path)!r} as cnn; it should be "
        f"renamed"
    )
