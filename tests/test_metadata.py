"""Texts that networks keep: metadata, names of inputs and outputs."""

import copy
import json
import pickle

import numpy as np
import pytest
import safetensors
import safetensors.numpy

import cnn
from cnn._base.metadata import OWN

pd = pytest.importorskip("pandas")

CLASSES = ("setosa", "versicolor", "virginica")


def network():
    return cnn.mlp([2, 4, 3], "relu", "softmax", rng=0)


def saved(net, tmp_path):
    net.save(tmp_path / "net.safetensors")
    return cnn.load(tmp_path / "net.safetensors")


COPIES = {
    "copy": lambda net, _: copy.copy(net),
    "deepcopy": lambda net, _: copy.deepcopy(net),
    "pickle": lambda net, _: pickle.loads(pickle.dumps(net)),
    "file": saved,
}


def test_metadata_are_a_mapping():
    net = network()
    net.metadata["author"] = "Fisher"
    net.metadata.update({"year": "1936"}, licence="CC0")
    net.metadata.setdefault("author", "nobody")
    assert net.metadata == {"author": "Fisher", "year": "1936", "licence": "CC0"}
    assert list(net.metadata) == ["author", "year", "licence"]
    assert len(net.metadata) == 3
    assert "year" in net.metadata
    assert "month" not in net.metadata
    assert 7 not in net.metadata
    assert net.metadata.get("month") is None
    del net.metadata["year"]
    assert net.metadata.pop("licence") == "CC0"
    assert repr(net.metadata) == "{'author': 'Fisher'}"
    with pytest.raises(KeyError):
        net.metadata["year"]
    with pytest.raises(KeyError):
        del net.metadata["year"]
    net.metadata = {"a": "1", "b": "é\n€"}
    assert net.metadata == {"a": "1", "b": "é\n€"}
    net.metadata.clear()
    assert net.metadata == {}


def test_cnns_own_keys_are_hidden_and_kept():
    net = network()
    net.fit(np.ones((2, 2)), [0, 1], epochs=3)
    net.class_names = CLASSES
    net.metadata = {"a": "1"}
    assert dict(net.metadata) == {"a": "1"}
    net.metadata.clear()
    assert (net.epochs, net.class_names) == (3, CLASSES)
    for key in OWN:
        assert key not in net.metadata
        with pytest.raises(ValueError, match=f"metadata: key '{key}' is one of cnn's own"):
            net.metadata[key] = "7"
        with pytest.raises(KeyError):
            del net.metadata[key]


@pytest.mark.parametrize("how", COPIES)
def test_copies_and_files_have_the_texts(how, tmp_path):
    net = network()
    net.metadata["note"] = "by hand"
    net.class_names, net.feature_names = CLASSES, ["length", "größe"]
    other = COPIES[how](net, tmp_path)
    assert other.metadata == {"note": "by hand"}
    assert other.class_names == CLASSES
    assert other.feature_names == ("length", "größe")
    other.metadata["note"] = "changed"
    assert net.metadata["note"] == "by hand"


def test_the_file_has_the_texts_for_other_programs(tmp_path):
    net = network()
    net.metadata["note"] = "by hand"
    net.class_names = CLASSES
    saved(net, tmp_path)
    with safetensors.safe_open(tmp_path / "net.safetensors", "numpy") as file:
        found = file.metadata()
    assert found["user.note"] == "by hand"
    assert json.loads(found["user.class_names"]) == list(CLASSES)


def with_metadata(path, **texts):
    """Add entries to a file as another program would."""
    with safetensors.safe_open(path, "numpy") as file:
        metadata = file.metadata()
    tensors = safetensors.numpy.load_file(path)
    safetensors.numpy.save_file(tensors, path, metadata | texts)


@pytest.mark.parametrize("how", COPIES)
def test_keys_of_other_programs_are_kept_as_they_were(how, tmp_path):
    path = tmp_path / "net.safetensors"
    net = network()
    net.metadata["note"] = "ours"
    net.save(path)
    with_metadata(path, author="theirs", **{"modelspec.title": "Irises"})
    net = cnn.load(path)
    assert dict(net.metadata) == {"author": "theirs", "modelspec.title": "Irises", "note": "ours"}
    net = COPIES[how](net, tmp_path)
    net.metadata["modelspec.title"] = "Iris"  # still theirs
    net.save(path, optimizer=None)
    with safetensors.safe_open(path, "numpy") as file:
        found = file.metadata()
    assert found.keys() == {
        *("format", "format_version", "architecture", "user.note", "author", "modelspec.title")
    }
    assert (found["author"], found["modelspec.title"]) == ("theirs", "Iris")
    assert (cnn.load(path)(np.ones(2)) == net(np.ones(2))).all()


def test_a_key_with_two_values_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    net = network()
    net.metadata["note"] = "ours"
    net.save(path)
    with_metadata(path, note="theirs")
    with pytest.raises(
        cnn.ModelFileError, match=r'"note" is there twice, with and without "user."'
    ):
        cnn.load(path)


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ({"a": 7}, TypeError, "metadata: the value of 'a' is of type int, should be a string"),
        ({7: "a"}, TypeError, "metadata: key 7 is of type int, should be a string"),
        ({"a": "x\0"}, ValueError, "metadata: the value of 'a' has a NUL character"),
        ({"\0": "x"}, ValueError, r"metadata: key '\\x00' has a NUL character"),
        ({"a": "\ud800"}, ValueError, "metadata: the value of 'a' cannot be encoded in UTF-8"),
        ({"\ud800": "a"}, ValueError, r"metadata: key '\\ud800' cannot be encoded in UTF-8"),
        ({str(i): "" for i in range(10_001)}, ValueError, "would be 10,00[13] keys, should be at"),
        ("text", TypeError, "metadata is of type str, should be a mapping of str to str"),
    ],
)
def test_bad_metadata_change_nothing(texts, error, message):
    net = network()
    net.metadata["first"] = "1"
    if isinstance(texts, dict):
        with pytest.raises(error, match=message):
            net.metadata.update({"good": "x"} | texts)
    with pytest.raises(error, match=message):
        net.metadata = texts
    assert net.metadata == {"first": "1"}


def test_as_many_keys_as_a_file_has_room_for(tmp_path):
    net = network()
    net.metadata["before"] = "1"
    net.metadata = {str(i): "" for i in range(10_000)}
    assert len(saved(net, tmp_path).metadata) == 10_000


# ---- Names ---------------------------------------------------------------------------------------


def test_names_are_set_and_removed():
    net = network()
    assert net.class_names is None
    assert net.feature_names is None
    net.class_names = np.array(CLASSES)
    net.feature_names = iter(["a", "b"])
    assert net.class_names == CLASSES
    assert {type(name) for name in net.class_names} == {str}
    assert net.feature_names == ("a", "b")
    net.class_names = net.feature_names = None
    assert (net.class_names, net.feature_names) == (None, None)
    assert net.metadata == {}


def test_one_output_has_one_name_or_those_of_two_classes():
    net = cnn.mlp([2, 1], "relu", "sigmoid")
    net.class_names = ["no", "yes"]
    assert net.class_names == ("no", "yes")
    net.class_names = ["price"]
    assert net.class_names == ("price",)
    with pytest.raises(
        ValueError, match="class_names has 3 names, should have 1 or 2: the network"
    ):
        net.class_names = CLASSES


@pytest.mark.parametrize("name", ["class_names", "feature_names"])
@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ("abc", TypeError, "is of type str, should be a list of strings"),
        (7, TypeError, "is of type int, should be a list of strings"),
        (["a", 7], TypeError, r"\[1\] is of type int, should be a string"),
        (["a", "\0"], ValueError, r"\[1\] has a NUL character"),
        (["\ud800"], ValueError, r"\[0\] cannot be encoded in UTF-8"),
        (["a"] * 7, ValueError, r" has 7 names, should have \d: the network has \d (in|out)puts"),
    ],
)
def test_bad_names(name, names, error, message):
    net = network()
    net.class_names, net.feature_names = CLASSES, ["a", "b"]
    with pytest.raises(error, match=name + ".*" + message):
        setattr(net, name, names)
    assert (net.class_names, net.feature_names) == (CLASSES, ("a", "b"))


@pytest.mark.parametrize(
    "text", ["[", "{}", '["a"]', '["a", 7, "b"]', "[" * 100_000, '["a","","\\u0000"]']
)
def test_names_of_files_are_not_trusted(text, tmp_path):
    net = network()
    net._network.set_metadata("class_names", text)
    with pytest.raises(
        cnn.ModelFileError, match=r"the metadata 'class_names' are '.*', should be a"
    ):
        saved(net, tmp_path)


def test_fit_takes_the_names_of_columns():
    frame = pd.DataFrame({"length": [1.0, 2.0], "width": [3.0, 4.0]})
    net = network()
    net.fit(frame, [0, 1])
    assert net.feature_names == ("length", "width")
    net.fit(frame.rename(columns={"length": "other"}), [0, 1])
    assert net.feature_names == ("length", "width")
    unnamed = network()
    unnamed.fit(frame.to_numpy(), [0, 1])
    unnamed.fit(pd.DataFrame(np.ones((2, 2))), [0, 1])  # whose columns are 0 and 1
    assert unnamed.feature_names is None


def test_the_summary_has_names_and_metadata():
    net = network()
    plain = net.summary()
    net.class_names, net.feature_names = CLASSES, ["a", "b\x1b[2J"]
    net.metadata = {"note": "by\nhand", "long": "x" * 1000}
    assert net.summary() == "\n".join(
        [
            plain,
            "Features: a, b?[2J",
            "Classes: setosa, versicolor, virginica",
            "note: by?hand",
            f"long: {'x' * 200}...",
        ]
    )


def test_a_view_is_copied_as_a_dict():
    net = network()
    net.metadata |= {"a": "b"}
    assert net.metadata == {"a": "b"}
    view = net.metadata
    for other in (
        view.copy(),
        copy.copy(view),
        copy.deepcopy(view),
        pickle.loads(pickle.dumps(view)),
    ):
        assert type(other) is dict
        assert other == {"a": "b"}
