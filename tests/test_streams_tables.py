"""Samples in pieces from tables: Parquet files, datasets and readers of pyarrow, polars."""

import numpy as np
import pytest
from refused import refused

import cnn
from cnn import _sources

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
dataset = pytest.importorskip("pyarrow.dataset")

ROWS, INPUTS, CLASSES = 3000, 6, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, INPUTS)).astype(np.float32)
T = RNG.integers(0, CLASSES, ROWS)
WEIGHT = RNG.random(ROWS)
NAMES = [f"c{i}" for i in range(INPUTS)]
TABLE = pa.table([*X.T, T, WEIGHT], [*NAMES, "label", "weight"])
PLAIN = TABLE.drop_columns(["weight"])


def network():
    return cnn.mlp([INPUTS, 20, CLASSES], "relu", "softmax", rng=3)


def trained(*samples, epochs=2, batch_size=100, **options):
    net = network()
    net.fit(*samples, epochs=epochs, batch_size=batch_size, **options)
    return b"".join(array.tobytes() for array in net.get_weights())


@pytest.fixture
def files(tmp_path):
    """Write the table as a file, as a folder of two, and with a column of lists."""
    parquet.write_table(TABLE, tmp_path / "one.parquet", row_group_size=400)
    parquet.write_table(PLAIN, tmp_path / "plain.parquet", row_group_size=400)
    (tmp_path / "two").mkdir()
    parquet.write_table(TABLE.slice(0, 1100), tmp_path / "two" / "a.parquet", row_group_size=400)
    parquet.write_table(TABLE.slice(1100), tmp_path / "two" / "b.parquet", row_group_size=300)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), INPUTS)
    table = pa.table([lists, pa.array(T), pa.array(WEIGHT)], ["x", "label", "weight"])
    parquet.write_table(table, tmp_path / "lists.parquet", row_group_size=400)
    return tmp_path


SOURCES = {
    "file": lambda files: files / "one.parquet",
    "folder": lambda files: str(files / "two"),
    "files": lambda files: [files / "two" / "a.parquet", files / "two" / "b.parquet"],
    "lists": lambda files: files / "lists.parquet",
    "dataset": lambda files: dataset.dataset(files / "two"),
    "list of batches": lambda files: TABLE.to_batches(max_chunksize=333),
    "lazy frame": lambda files: pytest.importorskip("polars").scan_parquet(files / "one.parquet"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_bits_of_arrays_in_order(files, name):
    x = SOURCES[name](files)
    bits = trained(X, T, sample_weight=WEIGHT, shuffle=False)
    assert trained(x, "label", sample_weight="weight", shuffle=False) == bits
    net = network()
    wanted = net.evaluate(X, T, sample_weight=WEIGHT)
    assert net.evaluate(x, "label", sample_weight="weight") == wanted


def test_frames_in_memory(files):
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    bits = trained(X, T)
    for x in (PLAIN, PLAIN.to_pandas(), pl.from_arrow(PLAIN), PLAIN.to_batches()[0]):
        assert trained(x, "label") == bits
    assert isinstance(PLAIN.to_pandas(), pd.DataFrame)
    net = network()
    net.fit(PLAIN, "label", validation_data=(PLAIN, "label"))
    assert net.feature_names == tuple(NAMES)
    with refused(ValueError, "fit: t is 'class', but x has no column of this name; its columns"):
        net.fit(PLAIN, "class")


def order_of(x, order, buffer=500):
    source = _sources.opened("f", x, "label", sample_weight="weight", buffer=buffer)
    with _sources.Reader(source, order) as reader:
        found = []
        while (chunk := reader.batches(64)) is not None:
            found += [chunk.number(int(row)) for row in chunk.index]
            assert (chunk.x[chunk.index] == X[found[-chunk.rows :]]).all()
            assert (chunk.t[chunk.index] == T[found[-chunk.rows :]]).all()
            assert (chunk.sample_weight[chunk.index] == WEIGHT[found[-chunk.rows :]]).all()
    return found


@pytest.mark.parametrize("name", ["file", "folder", "lists", "dataset"])
def test_order_of_groups(files, name, monkeypatch):
    x = SOURCES[name](files)
    order = order_of(x, (5, 2))
    assert sorted(order) == list(range(ROWS))
    assert min(order[:500]) > 0 or max(order[:500]) >= 500  # another group is the first
    others = [order_of(x, (5, 3)), order_of(x, (6, 2)), order_of(x, (5, 2), 501)]
    assert all(other != order for other in others)
    monkeypatch.setattr("cnn._sources.chunks.CHUNK_ROWS", 37)
    assert order_of(x, (5, 2)) == order
    assert order_of(x, None) == list(range(ROWS))


def test_a_shuffled_epoch_has_all_rows(files):
    assert trained(files / "one.parquet", "label", sample_weight="weight") == trained(
        files / "one.parquet", "label", sample_weight="weight"
    )
    net = network()
    history = net.fit(files / "plain.parquet", "label", validation_data=(X, T), metrics=["f1"])
    assert {"f1", "val_f1"} <= set(history)
    assert net.feature_names == tuple(NAMES)


def test_a_reader_is_read_once(files):
    net = network()
    net.fit(PLAIN.to_reader(max_chunksize=100), "label")
    with refused(ValueError, "fit: epochs is 2, but x can be read only once"):
        net.fit(PLAIN.to_reader(), "label", epochs=2)
    assert network().evaluate(PLAIN.to_reader(), "label") == network().evaluate(X, T)


def test_predict(files):
    net = network()
    y = net.predict(X)
    inputs = PLAIN.select(NAMES)
    parquet.write_table(inputs, files / "inputs.parquet", row_group_size=700)
    path = files / "inputs.parquet"
    for x in (path, dataset.dataset(path), inputs.to_reader(), iter(inputs.to_batches(100))):
        assert (net.predict(x) == y).all()
    with refused(ValueError, "has 7 columns, but the first layer has 6 inputs"):
        net.predict(files / "plain.parquet")


def test_types_and_missing_values(tmp_path):
    mixed = pa.table(
        {
            "a": pa.array([1, 2, 3], pa.int8()),
            "b": pa.array([True, False, True]),
            "c": pa.array([0.5, None, 1.5], pa.float32()),
            "t": pa.array([0, 1, 1]),
        }
    )
    path = tmp_path / "mixed.parquet"
    parquet.write_table(mixed, path)
    net = cnn.mlp([3, 2], "relu", "softmax", rng=0)
    with refused(ValueError, "x has nan in row 1, column 2 ('c')"):
        net.fit(path, "t", shuffle=False)
    whole = mixed.set_column(2, "c", pa.array([0.5, 1.0, 1.5], pa.float32()))
    parquet.write_table(whole, path)
    other = cnn.mlp([3, 2], "relu", "softmax", rng=0)
    net.fit(path, "t", shuffle=False)
    other.fit([[1, 1, 0.5], [2, 0, 1.0], [3, 1, 1.5]], [0, 1, 1], shuffle=False)
    assert (net.get_weights()[0] == other.get_weights()[0]).all()
    for column in (pa.array(["a", "b", "c"]), pa.array([None, "b", "c"]).dictionary_encode()):
        parquet.write_table(whole.set_column(2, "c", column), path)
        with refused(TypeError, "x has column 'c' of type"):
            net.fit(path, "t")


@pytest.mark.parametrize("changed", [INPUTS, 1])
def test_files_of_other_types(changed, tmp_path):
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    parquet.write_table(PLAIN.slice(0, 1000), paths[0])
    second = PLAIN.slice(1000)
    for name in NAMES[:changed]:
        column = second[name].cast(pa.float64())
        second = second.drop_columns([name]).append_column(name, column)
    parquet.write_table(second, paths[1])
    assert trained(paths, "label", shuffle=False) == trained(X, T, shuffle=False)
    whole = network().fit(paths, "label", shuffle_buffer=ROWS, progress=False)
    assert whole.epoch == [1]


def test_several_targets(tmp_path):
    t = RNG.normal(size=(ROWS, 2)).astype(np.float32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(t.ravel()), 2)
    parquet.write_table(pa.table([*X.T, lists], [*NAMES, "t"]), tmp_path / "t.parquet")
    net = cnn.mlp([INPUTS, 5, 2], "relu", "identity", rng=0)
    assert net.evaluate(tmp_path / "t.parquet", "t")["loss"] == net.evaluate(X, t)["loss"]


def test_refused(files):
    net = network()
    one = files / "one.parquet"
    with refused(TypeError, "fit: t is of type ndarray, should be the name of a column, since x"):
        net.fit(one, T)
    with refused(TypeError, "fit: t is None, should be the name of a column"):
        net.fit(one)
    with refused(ValueError, "fit: t is 'class', but x has no such column"):
        net.fit(one, "class")
    with refused(ValueError, "fit: x has 7 columns, but the first layer has 6 inputs"):
        net.fit(one, "label")
    with refused(ValueError, "lists.parquet' has no column 'c0', as others have"):
        net.fit([one, files / "lists.parquet"], "label")
    with pytest.raises(FileNotFoundError):
        net.fit(files / "none.parquet", "label")
    (files / "empty").mkdir()
    with refused(ValueError, "which has no files *.parquet"):
        net.fit(files / "empty", "label")
    data = one.read_bytes()
    (files / "short.parquet").write_bytes(data[: len(data) // 2])
    with refused(ValueError, "short.parquet' is not a whole Parquet file"):
        net.fit(files / "short.parquet", "label")
    label = TABLE.schema.get_field_index("label")
    bad = PLAIN.set_column(label, "label", pa.array(np.where(np.arange(ROWS) == 2345, 9, T)))
    parquet.write_table(bad, files / "bad.parquet", row_group_size=400)
    with refused(ValueError, "bad.parquet': t has label 9, but the output layer has 4 classes"):
        net.fit(files / "bad.parquet", "label")


def test_a_file_that_is_damaged_in_the_middle(files):
    data = bytearray((files / "plain.parquet").read_bytes())
    data[2000:40000] = bytes(38000)
    (files / "plain.parquet").write_bytes(data)
    net = network()
    before = net.get_weights()
    with pytest.raises((ValueError, OSError), match=r"plain.parquet|Couldn't|page"):
        net.fit(files / "plain.parquet", "label")
    for a, b in zip(net.get_weights(), before, strict=True):
        assert a.tobytes() == b.tobytes()
