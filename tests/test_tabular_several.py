"""Files of several networks: what they hold, and damaged ones."""

import errno
import json
import os
import struct
import warnings

import numpy as np
import pytest
from refused import refused

import cnn
from cnn import _core
from cnn._model import several
from cnn.tabular import TabularClassifier, TabularRegressor

TABLE = {"size": [1.0, 2.0, 9.0, None] * 9, "colour": ["red", "blue", None, "green"] * 9}
KIND = ["berry", "berry", "melon", "melon"] * 9
SMALL = {"hidden_layer_sizes": (8,), "epochs": 5, "random_state": 0, "n_ens": 3}


def header_and_data(content):
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def joined(header, data):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.fixture(scope="module")
def model():
    return TabularClassifier(**SMALL).fit(TABLE, KIND)


@pytest.fixture(scope="module")
def content(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("several") / "model.safetensors"
    model.save(path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def test_what_a_file_holds(model, content, path):
    header, data = header_and_data(content)
    assert list(header) == ["__metadata__", "network.0", "network.1", "network.2"]
    assert list(header["__metadata__"]) == ["format", "format_version", "user.tabular"]
    for i, net in enumerate(model.nets_):
        tensor = header[f"network.{i}"]
        first, last = tensor["data_offsets"]
        assert tensor == {"dtype": "U8", "shape": [last - first], "data_offsets": [first, last]}
        path.write_bytes(data[first:last])  # a file of its own
        own = cnn.load(path)
        assert [a.tolist() for a in own.get_weights()] == [a.tolist() for a in net.get_weights()]
    assert (len(content) - len(data)) % 64 == 0


def test_other_programs_read_it(content, path):
    safetensors = pytest.importorskip("safetensors.numpy")
    found = safetensors.load(content)
    assert {name: (a.dtype, a.ndim) for name, a in found.items()} == {
        f"network.{i}": (np.dtype(np.uint8), 1) for i in range(3)
    }


def test_what_is_kept(model, content, path, bits):
    path.write_bytes(content)
    loaded = cnn.load(path)
    assert loaded.best_epochs_ == model.best_epochs_
    assert len(loaded.nets_) == 3
    assert bits(loaded.predict_proba(TABLE)) == bits(model.predict_proba(TABLE))
    loaded.save(path)
    assert path.read_bytes() == content


def no_room(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_that_exists_is_replaced_or_kept(model, path, monkeypatch):
    path.write_bytes(b"as before")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", no_room)
        with refused(OSError, "No space left on device"):
            model.save(path)
    assert path.read_bytes() == b"as before"
    model.save(path)
    assert len(cnn.load(path).nets_) == 3


DAMAGES = {
    "version": (lambda h: h["__metadata__"].update(format_version="2"), "is '2', not '1'"),
    "no version": (lambda h: h["__metadata__"].pop("format_version"), "is None, not '1'"),
    "texts": (lambda h: h["__metadata__"].update(n=3), "has values that are no texts"),
    "no estimator": (
        lambda h: h["__metadata__"].pop("user.tabular"),
        "the file has several networks, but no tabular",
    ),
    "fewer": (lambda h: h.pop("network.2"), "bytes at the end belong to no tensor"),
    "another": (lambda h: h.update({"network.4": {}}), '"network.3" is missing'),
    "one": (lambda h: (h.pop("network.1"), h.pop("network.2")), "the file has 1 networks"),
    "none": (lambda h: [h.pop(f"network.{i}") for i in range(3)], "the file has 0 networks"),
    "no tensor": (lambda h: h.update({"network.1": 3}), '"network.1" is missing'),
    "dtype": (lambda h: h["network.1"].update(dtype="I8"), "should have dtype U8 and shape ["),
    "shape": (lambda h: h["network.1"].update(shape=[3]), "should have dtype U8 and shape ["),
    "more": (lambda h: h["network.1"].update(note=3), "should have dtype U8 and shape ["),
    "no offsets": (lambda h: h["network.1"].pop("data_offsets"), "data_offsets None, should"),
    "offsets": (lambda h: h["network.1"].update(data_offsets=[0, 8]), "should begin at"),
    "backwards": (lambda h: h["network.0"].update(data_offsets=[0, -8]), "should begin at 0 and"),
    "far": (lambda h: h["network.0"].update(data_offsets=[0, 10**30]), "should begin at 0 and end"),
    "truth": (lambda h: h["network.0"].update(data_offsets=[False, 8]), "should begin at 0 and"),
    "long": (lambda h: h["network.0"].update(data_offsets=[0] * 10**5), "has data_offsets [0, 0"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_headers(content, path, name):
    damage, message = DAMAGES[name]
    header, data = header_and_data(content)
    damage(header)
    path.write_bytes(joined(header, data))
    with refused(cnn.ModelFileError, message) as caught:
        cnn.load(path)
    assert str(caught.value).startswith("load: ")
    assert len(str(caught.value)) < 400


def test_other_damage(content, path):
    header, data = header_and_data(content)
    text = json.dumps(header).encode()
    again = text.replace(b'"format":', b'"format": "cnn_networks", "format":', 1)
    deep = text.replace(b'"format":', b'"a": ' + b"[" * 10**5 + b', "format":', 1)
    for bad, message in (
        (content[:-1], "should begin at"),
        (content + b"x", "1 bytes at the end belong to no tensor"),
        (struct.pack("<Q", len(again)) + again + data, "header: a key is there twice"),
        (struct.pack("<Q", len(deep)) + deep + data, "header: "),
        (struct.pack("<Q", len(text)) + text[:-1] + b"x" + data, "header: "),
        (struct.pack("<Q", 2**63) + text + data, "100000000 are allowed"),
        (struct.pack("<Q", len(content)) + text + data, "header"),
        (joined(header, data[:8] + b"?" + data[9:]), "network.0: "),
        (joined(header, b"\0" * len(data)), "network.0: "),
    ):
        path.write_bytes(bad)
        with refused(cnn.ModelFileError, message):
            cnn.load(path)


def test_random_damage(content, path):
    """Each file is refused, or is that of an estimator that predicts."""
    rng = np.random.default_rng(0)
    size = int.from_bytes(content[:8], "little")
    read = 0
    for i in range(100):
        damaged = bytearray(content)
        for _ in range(1 + i % 3):  # in the header, or anywhere
            damaged[rng.integers(8 + size if i % 2 else len(content))] = rng.integers(256)
        path.write_bytes(damaged[: rng.integers(len(content))] if i % 10 == 0 else damaged)
        try:
            loaded = cnn.load(path)
        except cnn.ModelFileError:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                loaded._outputs(loaded._encoder.transform("test", TABLE, "ignore"))
            except (ValueError, TypeError):  # the name of a column, or its kind, may be another
                continue
        read += 1
    assert 5 < read < 95


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"best_epochs": [', '"best_epochs": [3, ', "it should have 3 best_epochs"),
        ('"best_epochs": [', '"best_epochs": {"a": [', ""),
        ('"best_epochs"', '"best_epoch"', "'best_epochs'"),
        ('"best_epochs": [', '"best_epochs": [-', "best_epochs[0] is -"),
        ('"green", ', "", "column 'colour' has 2 categories, but the network has 3"),
        ('"berry", ', "", "it has 1 classes, but the network has 2 outputs"),
    ],
)
def test_texts_that_do_not_belong_to_the_networks(content, path, old, new, message):
    header, data = header_and_data(content)
    text = header["__metadata__"]["user.tabular"]
    assert old in text
    header["__metadata__"]["user.tabular"] = text.replace(old, new)
    path.write_bytes(joined(header, data))
    with refused(cnn.ModelFileError, "the file's tabular is not one: ") as caught:
        cnn.load(path)
    assert message in str(caught.value)


def other(change):
    """Return networks of which the last one is another."""
    table = {**TABLE, "more": TABLE["size"]} if change == "inputs" else TABLE
    kind = [f"{k}{i % 3}" for i, k in enumerate(KIND)] if change == "outputs" else KIND
    if change == "activation":
        made = TabularRegressor(**SMALL).fit(TABLE, np.arange(72.0).reshape(36, 2))
    elif change == "categories":
        made = TabularClassifier(**SMALL).fit({**TABLE, "colour": ["red", "blue"] * 18}, KIND)
    else:
        made = TabularClassifier(**SMALL).fit(table, kind)
    return made.nets_[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("change", ["inputs", "outputs", "activation", "categories"])
def test_networks_that_differ(model, content, path, change):
    header, _ = header_and_data(content)
    nets = [*model.nets_[:2], other(change)]
    text = header["__metadata__"]["user.tabular"]
    networks = [_core.Network.from_bytes(net._network.to_bytes()) for net in nets]
    path.write_bytes(several.to_bytes("save", networks, {"tabular": text}))
    message = {
        "inputs": "network 0 has inputs 2, but network 2 has 3",
        "outputs": "network 0 has outputs 2, but network 2 has 6",
        "activation": "network 0 has activation softmax, but network 2 has identity",
        "categories": "column 'colour' has 3 categories, but the network has 2",
    }[change]
    with refused(cnn.ModelFileError, message):
        cnn.load(path)


def test_other_readers(content, path):
    path.write_bytes(content)
    message = "the file has several networks, which cnn.load of Python reads; libcnn reads files of"
    with refused(cnn.ModelFileError, message):
        _core.Network.load(str(path))
    with refused(cnn.ModelFileError, message):
        cnn.load_checkpoint(path)
    with refused(ValueError, "model is the file of an estimator of cnn.tabular, should be one of"):
        cnn.predictor.Predictor(path)


def test_a_network_with_the_name_of_the_format(path):
    """The format is what the metadata have as such."""
    net = cnn.mlp([2, 1], "tanh", "identity", rng=0)
    net.metadata["note"] = '"cnn_networks"'
    net.save(path)
    assert cnn.load(path).metadata["note"] == '"cnn_networks"'
    path.write_bytes(path.read_bytes()[:-1])
    with refused(cnn.ModelFileError, "layers.0.bias"):
        cnn.load(path)
