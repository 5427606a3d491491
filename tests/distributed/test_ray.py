"""Predictions on Ray: batches of all formats, columns of arrays, threads."""

import numpy as np
import pytest

import cnn

pytestmark = [pytest.mark.distributed, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def ray(engines):
    with engines["ray"]() as found:
        yield found


@pytest.mark.parametrize("batch_format", ["numpy", "pandas", "pyarrow"])
def test_map_batches(batch_format, ray, net, frame, tmp_path, bits):
    net.save(tmp_path / "net.safetensors")
    data = ray.data.from_pandas(frame)
    for model in (net, tmp_path / "net.safetensors"):
        predictor = cnn.Predictor(model, keep=["id"])
        found = data.map_batches(predictor, batch_size=130, batch_format=batch_format)
        made = found.to_pandas().sort_values("id")
        assert list(made) == ["id", "x", "y", "z"]
        expected = net.predict(frame[list("abcd")])
        assert bits(made[["x", "y", "z"]].to_numpy(np.float32)) == bits(expected)


def test_columns_of_arrays(ray, frame, bits):
    """As from_numpy and images have them."""
    net = cnn.mlp([4, 32, 3], "tanh", "softmax", rng=0)
    x = frame[list("abcd")].to_numpy()
    found = ray.data.from_numpy(x).map_batches(cnn.Predictor(net, names="p"), batch_size=130)
    made = np.stack([row["p"] for row in found.take_all()])
    assert made.dtype == np.float32
    assert sorted(map(bytes, made)) == sorted(map(bytes, net.predict(x)))


def test_models_of_tables(ray, fruits):
    model, table = fruits
    predictor = cnn.Predictor(model, keep=["id"])
    found = ray.data.from_pandas(table).map_batches(predictor, batch_size=7)
    made = found.to_pandas().sort_values("id")
    assert made.fruit.tolist() == model.predict(table).tolist()


def test_workers_have_one_thread_for_a_cpu(ray, net):
    """Ray sets OMP_NUM_THREADS to the CPUs of an actor before it begins, or of a task to 1."""

    class Actor:
        def threads(self, predictor):
            predictor(np.zeros((1, 4)))
            return cnn.get_num_threads()

    predictor = cnn.Predictor(net)
    for cpus in (1, 2):
        # An environment of its own makes a new process: cnn counts threads once in each.
        new = {"env_vars": {"CPUS_OF_ACTOR": str(cpus)}}
        actor = ray.remote(num_cpus=cpus, runtime_env=new)(Actor).remote()
        assert ray.get(actor.threads.remote(predictor)) == cpus
        ray.kill(actor)
    assert ray.get(ray.remote(cnn.get_num_threads).remote()) == 1


def test_errors_come_back(ray, net, frame):
    data = ray.data.from_pandas(frame.drop(columns="b"))
    with pytest.raises(Exception, match="Predictor: column 'b' is missing"):
        data.map_batches(cnn.Predictor(net)).take_all()
