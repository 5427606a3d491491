"""The pages of the API have each public name, and each class tells its attributes and methods."""

import inspect
import tomllib

import public_names
import pytest
import trim_inventories

import cnn

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")


CLASSES = sorted(public_names.classes().values())


def test_each_name_is_in_one_table():
    assert sorted(public_names.listed()) == sorted(public_names.names())


def test_names_are_those_of_the_package():
    names = public_names.names()
    assert {"cnn.softmax", "cnn.Sequential", "cnn.__version__", "cnn.ModelFileError"} <= names
    assert {"cnn.plot.roc_curve", "cnn.metrics.roc_curve", "cnn.activations.ELU"} <= names
    assert not {"cnn.layers.Dense", "cnn.losses.Huber", "cnn.metrics"} & names
    for name in cnn.__all__:
        assert f"cnn.{name}" in names or inspect.ismodule(getattr(cnn, name))


def test_each_page_is_in_the_index():
    index = (public_names.PAGES / "index.md").read_text(encoding="utf-8")
    pages = {path.stem for path in public_names.PAGES.iterdir() if path.is_file()} - {"index"}
    for page in pages:
        assert f"\n{page}\n" in index  # the table of contents
        assert f":link: {page}\n" in index


@pytest.mark.parametrize("name", CLASSES)
def test_members_of_classes_are_told(name):
    """A public member is a method or an attribute with a text, a parameter, or its base's."""
    cls = public_names.lookup(name)
    base = public_names.documented_base(cls)
    attributes = public_names.attributes(cls)
    told = {attribute.name for attribute in attributes if attribute.text}
    told |= {entry.name for entry in public_names.section(cls.__doc__, "Parameters")}
    told |= set(public_names.methods(cls))
    told |= public_names.HANDLES | {
        member for owner in public_names.BUILTINS for member in dir(owner)
    }
    untold = [
        member
        for member in dir(cls)
        if not member.startswith("_")
        and hasattr(cls, member)  # or there is only a hint
        and member not in told
        and not hasattr(base, member)
        and (base is None or member not in {entry.name for entry in public_names.attributes(base)})
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
        cls = public_names.lookup(name)
        told = {attribute.name for attribute in public_names.attributes(cls)}
        told |= {entry.name for entry in public_names.section(cls.__doc__, "Parameters")}
        if base := public_names.documented_base(cls):
            told |= {attribute.name for attribute in public_names.attributes(base)}
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
    assert public_names.section(text, "Attributes") == [
        ("a", "int", "Two numbers."),
        ("b", "int", "Two numbers."),
        ("c", "", "Another one,\n\nwith more."),
    ]
    assert public_names.section(text, "Parameters") == []


def test_inventories_have_the_names_of_the_list():
    # `python tools/trim_inventories.py` writes them.
    projects = tomllib.loads((trim_inventories.FOLDER / "names.toml").read_text(encoding="utf-8"))
    assert {path.stem for path in trim_inventories.FOLDER.glob("*.inv")} == set(projects)
    for name, project in projects.items():
        entries = trim_inventories.read(str(trim_inventories.FOLDER / f"{name}.inv"))
        assert trim_inventories.trimmed(entries, project["names"]) == entries


def test_a_name_that_an_inventory_lacks_is_told():
    with pytest.raises(SystemExit, match=r"not in the inventory: py:class a\.C"):
        trim_inventories.trimmed(["a.B py:class 1 a.html#$ -"], ["py:class a.B", "py:class a.C"])
