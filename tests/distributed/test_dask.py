"""Predictions on Dask: arrays, frames, threads and files."""

import pickle

import numpy as np
import pytest

import cnn
from cnn.tabular import TableModel

pytestmark = [pytest.mark.distributed, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def client(engines):
    with engines["dask"]() as found:
        yield found


def test_map_blocks(client, net, frame, bits):
    import dask.array

    x = frame[list("abcd")].to_numpy()
    predictor = cnn.Predictor(net)
    array = dask.array.from_array(x, chunks=(130, 4))
    options = {"dtype": predictor.dtype, "chunks": (array.chunks[0], predictor.outputs)}
    y = array.map_blocks(predictor, **options)
    assert y.shape == (1000, 3)
    assert bits(y.compute()) == bits(net.predict(x))
    # The same task has the same name, so that Dask can keep its result.
    assert y.name.startswith("Predictor-")
    assert array.map_blocks(pickle.loads(pickle.dumps(predictor)), **options).name == y.name
    other = cnn.Predictor(cnn.mlp([4, 3], "tanh", "softmax", rng=1))
    assert array.map_blocks(other, **options).name != y.name


def test_map_partitions(client, net, frame, bits):
    import dask.dataframe

    parts = dask.dataframe.from_pandas(frame, npartitions=7)
    predictor = cnn.Predictor(net, keep=["id"])
    for found in (
        parts.map_partitions(predictor),
        parts.map_partitions(predictor, meta={"id": "int64"} | predictor.dtypes),
        parts[parts.id >= 200].map_partitions(predictor),  # some parts have no rows
    ):
        assert found.dtypes["x"] == np.float32
        made = found.compute()
        assert list(made) == ["id", "x", "y", "z"]
        assert (made.index == made.id).all()
        expected = net.predict(frame[list("abcd")])[made.id]
        assert bits(made[["x", "y", "z"]].to_numpy()) == bits(expected)


def test_models_of_tables(client, fruits, bits):
    import dask.dataframe

    model, table = fruits
    parts = dask.dataframe.from_pandas(table, npartitions=3)
    predictor = cnn.Predictor(model)
    made = parts.map_partitions(predictor, meta=predictor.dtypes).compute()
    assert made.fruit.tolist() == model.predict(table).tolist()
    predictor = cnn.Predictor(model, method="predict_proba")
    made = parts.map_partitions(predictor, meta=predictor.dtypes).compute()
    assert bits(made.to_numpy()) == bits(model.predict_proba(table))


def test_workers_have_one_thread(client, net, frame):
    """Dask's nanny sets OMP_NUM_THREADS, so also what is no Predictor has one."""
    assert set(client.run(cnn.get_num_threads).values()) == {1}


def test_a_process_opens_a_file_once(client, net, frame, tmp_path, bits):
    """A worker has two threads and gets many tasks."""
    net.save(tmp_path / "net.safetensors")

    def count():
        def content(self, before=cnn.Predictor._content):
            cnn.Predictor.reads += 1
            return before(self)

        cnn.Predictor.reads, cnn.Predictor._content = 0, content

    def forget():
        from cnn.predictor import _opened

        _opened._MODELS.clear()

    client.run(count)
    client.run(forget)
    predictor = cnn.Predictor(tmp_path / "net.safetensors")
    x = frame[list("abcd")].to_numpy()
    found = client.gather(client.map(predictor, np.split(x, 50)))
    assert bits(np.concatenate(found)) == bits(net.predict(x))
    assert set(client.run(lambda: cnn.Predictor.reads).values()) == {1}


def test_errors_come_back(client, net, frame, tmp_path):
    import dask.dataframe

    parts = dask.dataframe.from_pandas(frame.drop(columns="b"), npartitions=2)
    predictor = cnn.Predictor(net)
    with pytest.raises(ValueError, match="Predictor: column 'b' is missing"):
        parts.map_partitions(predictor, meta=predictor.dtypes).compute()
    net.save(tmp_path / "other.safetensors")
    predictor = cnn.Predictor(tmp_path / "other.safetensors")
    cnn.mlp([4, 3], "tanh", "softmax", rng=1).save(tmp_path / "other.safetensors")

    def forget():
        from cnn.predictor import _opened

        _opened._MODELS.clear()

    client.run(forget)
    with pytest.raises(cnn.ModelFileError, match="has changed since the Predictor was made"):
        client.submit(predictor, np.zeros((1, 4))).result()


def test_models_travel(client, net, fruits):
    """Networks and models of tables are pickles, too."""
    model, _ = fruits
    assert isinstance(client.submit(lambda m: m, model).result(), TableModel)
    assert client.submit(lambda n, x: n.predict(x).shape, net, np.zeros((5, 4))).result() == (5, 3)
