"""The pages of the API have each public name, and each class tells its attributes and methods."""

import importlib.util
import inspect
import sys
import tomllib

import pytest
from doc_blocks import ROOT

import cnn

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")


def tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


PUBLIC = tool("public_names")
CLASSES = sorted(PUBLIC.classes().values())


def test_each_name_is_in_one_table():
    assert sorted(PUBLIC.listed()) == sorted(PUBLIC.names())


def test_names_are_those_of_the_package():
    names = PUBLIC.names()
    assert {"cnn.softmax", "cnn.Sequential", "cnn.__version__", "cnn.ModelFileError"} <= names
    assert {"cnn.plot.roc_curve", "cnn.metrics.roc_curve", "cnn.activations.ELU"} <= names
    assert not {"cnn.layers.Dense", "cnn.losses.Huber", "cnn.metrics"} & names
    for name in cnn.__all__:
        assert f"cnn.{name}" in names or inspect.ismodule(getattr(cnn, name))


def test_each_page_is_in_the_index():
    index = (PUBLIC.PAGES / "index.md").read_text(encoding="utf-8")
    pages = {path.stem for path in PUBLIC.PAGES.iterdir() if path.is_file()} - {"index"}
    for page in pages:
        assert f"\n{page}\n" in index  # the table of contents
        assert f":link: {page}\n" in index


@pytest.mark.parametrize("name", CLASSES)
def test_members_of_classes_are_told(name):
    """A public member is a method or an attribute with a text, a parameter, or its base's."""
    cls = PUBLIC.found(name)
    base = PUBLIC.documented_base(cls)
    attributes = PUBLIC.attributes(cls)
    told = {attribute.name for attribute in attributes if attribute.text}
    told |= {entry.name for entry in PUBLIC.section(cls.__doc__, "Parameters")}
    told |= set(PUBLIC.methods(cls))
    told |= PUBLIC.HANDLES | {member for owner in PUBLIC.BUILTINS for member in dir(owner)}
    untold = [
        member
        for member in dir(cls)
        if not member.startswith("_")
        and member not in told
        and not hasattr(base, member)
        and (base is None or member not in {entry.name for entry in PUBLIC.attributes(base)})
    ]
    assert untold == []


def test_attributes_of_objects_are_told():
    net = cnn.mlp([2, 3, 1], "relu", "sigmoid", rng=0)
    stopping = cnn.EarlyStopping("loss")
    history = net.fit([[0.0, 1.0]], [1.0], callbacks=[stopping])
    model = cnn.sklearn.MLPClassifier(max_iter=1, random_state=0, tol=1e9)
    with pytest.warns(Warning, match="converged|max_iter"):
        model.fit([[0.0], [1.0]], [0, 1])
    for thing, name in (
        (net, "cnn.Sequential"),
        (stopping, "cnn.EarlyStopping"),
        (history, "cnn.History"),
        (net.layers[0], "cnn.Dense"),
        (model, "cnn.sklearn.MLPClassifier"),
    ):
        cls = PUBLIC.found(name)
        told = {attribute.name for attribute in PUBLIC.attributes(cls)}
        told |= {entry.name for entry in PUBLIC.section(cls.__doc__, "Parameters")}
        if base := PUBLIC.documented_base(cls):
            told |= {attribute.name for attribute in PUBLIC.attributes(base)}
        assert {member for member in vars(thing) if not member.startswith("_")} <= told, name


def test_sections_of_docstrings_are_read():
    text = """Do.

    Attributes
    ----------
    a, b : int
        Two numbers.
    c
        Another one,

        with more.

    Notes
    -----
    None.
    """
    assert PUBLIC.section(text, "Attributes") == [
        ("a", "int", "Two numbers."),
        ("b", "int", "Two numbers."),
        ("c", "", "Another one,\n\nwith more."),
    ]
    assert PUBLIC.section(text, "Parameters") == []


def test_inventories_have_the_names_of_the_list():
    # `python tools/trim_inventories.py` writes them.
    made = tool("trim_inventories")
    projects = tomllib.loads((made.FOLDER / "names.toml").read_text(encoding="utf-8"))
    assert {path.stem for path in made.FOLDER.glob("*.inv")} == set(projects)
    for name, project in projects.items():
        entries = made.read(str(made.FOLDER / f"{name}.inv"))
        assert made.trimmed(entries, project["names"]) == entries


def test_a_name_that_an_inventory_lacks_is_told():
    made = tool("trim_inventories")
    with pytest.raises(SystemExit, match=r"not in the inventory: py:class a\.C"):
        made.trimmed(["a.B py:class 1 a.html#$ -"], ["py:class a.B", "py:class a.C"])
