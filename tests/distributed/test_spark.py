"""Predictions on Spark: mapInPandas, mapInArrow and predict_batch_udf."""

import numpy as np
import pytest

import cnn

pytestmark = [pytest.mark.distributed, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def spark(engines):
    with engines["spark"]() as found:
        yield found


@pytest.fixture(scope="module")
def table(spark, frame):
    return spark.createDataFrame(frame).repartition(3)


@pytest.mark.parametrize("method", ["mapInPandas", "mapInArrow"])
def test_iterators_of_batches(method, table, net, frame, tmp_path, bits):
    net.save(tmp_path / "net.safetensors")
    expected = net.predict(frame[list("abcd")])
    for model in (net, tmp_path / "net.safetensors"):
        predictor = cnn.Predictor(model, keep=["id"])
        found = getattr(table, method)(predictor, f"id long, {predictor.schema}")
        made = found.toPandas().sort_values("id")
        assert list(made) == ["id", "x", "y", "z"]
        assert bits(made[["x", "y", "z"]].to_numpy()) == bits(expected)


@pytest.mark.parametrize("method", ["mapInPandas", "mapInArrow"])
def test_columns_of_arrays(method, table, net, frame, bits):
    from pyspark.sql.functions import array

    plain = cnn.mlp([4, 32, 3], "tanh", "softmax", rng=0)
    rows = table.select("id", array("a", "b", "c", "d").alias("features"))
    predictor = cnn.Predictor(plain, columns="features", names="p", keep=["id"])
    found = getattr(rows, method)(predictor, f"id long, {predictor.schema}")
    made = np.stack(found.toPandas().sort_values("id").p.tolist()).astype(np.float32)
    assert bits(made) == bits(net.predict(frame[list("abcd")]))


def test_predict_batch_udf(table, net, frame, bits):
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql.functions import array
    from pyspark.sql.types import ArrayType, FloatType

    predictor = cnn.Predictor(net)
    udf = predict_batch_udf(
        lambda: predictor,
        return_type=ArrayType(FloatType()),
        batch_size=130,
        input_tensor_shapes=[[4]],
    )
    found = table.withColumn("p", udf(array(*net.feature_names)))
    assert found.columns == ["a", "b", "c", "d", "id", "s", "p"]
    made = np.stack(found.toPandas().sort_values("id").p.tolist()).astype(np.float32)
    assert bits(made) == bits(net.predict(frame[list("abcd")]))


def test_models_of_tables(spark, fruits, bits):
    model, table = fruits
    rows = spark.createDataFrame(table)
    predictor = cnn.Predictor(model, keep=["id"])
    made = rows.mapInPandas(predictor, f"id long, {predictor.schema}").toPandas().sort_values("id")
    assert made.fruit.tolist() == model.predict(table).tolist()
    predictor = cnn.Predictor(model, keep=["id"], method="predict_proba")
    made = rows.mapInArrow(predictor, f"id long, {predictor.schema}").toPandas().sort_values("id")
    assert bits(made[["apple", "lychee"]].to_numpy()) == bits(model.predict_proba(table))


def test_workers_have_one_thread(spark):
    """Spark sets OMP_NUM_THREADS to spark.task.cpus."""
    tasks = spark.sparkContext.parallelize(range(2), 2)
    assert tasks.map(lambda _: cnn.get_num_threads()).collect() == [1, 1]


def test_errors_come_back(table, net):
    predictor = cnn.Predictor(net)
    with pytest.raises(Exception, match="Predictor: column 'b' is missing"):
        table.drop("b").mapInPandas(predictor, predictor.schema).collect()
