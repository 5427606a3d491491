"""Engines on this machine, one at a time, and which of them a run wants.

`make test-distributed ENGINES="dask mpi"` sets CNN_ENGINES. A test belongs to the engine that its
mark names, such as `pytest.mark.distributed("ray")`, or else the name of its file.
"""

import contextlib
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import cnn

HERE = Path(__file__).parent
# The engines, and what has to be there for each.
ENGINES = {
    "dask": ("dask", "distributed"),
    "mpi": ("mpi4py",),
    "ray": ("ray",),
    "spark": ("pyspark", "joblibspark"),
}


def engine_of(item):
    """Return the engine of a test."""
    named = [mark.args[0] for mark in item.iter_markers("distributed") if mark.args]
    return named[0] if named else item.path.stem.split("_")[1]


def missing(engine):
    """Return what has to be installed for an engine, or ""."""
    absent = [name for name in ENGINES[engine] if find_spec(name) is None]
    if not absent and engine == "spark" and not has_java():
        return "Java 17 or newer, such as Debian's openjdk-17-jre-headless; JAVA_HOME names another"
    return ", ".join(absent)


def has_java():
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=f"{home}/bin" if home else None) is not None


@pytest.hookimpl(trylast=True)  # after -m
def pytest_collection_modifyitems(config, items):
    """Leave out the engines that are not wanted; refuse to go on without one that is."""
    ours = [item for item in items if HERE in item.path.parents]
    if not ours:
        return
    wanted = os.environ.get("CNN_ENGINES", " ".join(ENGINES)).split()
    for engine in wanted:
        if engine not in ENGINES:
            raise pytest.UsageError(f"CNN_ENGINES has {engine!r}, should have {list(ENGINES)}")
        if absent := missing(engine):
            raise pytest.UsageError(f"{engine} is wanted, but this is missing: {absent}")
    others = {item for item in ours if engine_of(item) not in wanted}
    config.hook.pytest_deselected(items=list(others))
    items[:] = [item for item in items if item not in others]


# ---- Engines -------------------------------------------------------------------------------------


@contextlib.contextmanager
def own_environment():
    """Put the environment variables back that an engine sets, as Dask does OMP_NUM_THREADS."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def dask_cluster():
    """Give a client of two workers with two threads each."""
    from distributed import Client, LocalCluster

    with (
        own_environment(),
        LocalCluster(
            n_workers=2, threads_per_worker=2, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextlib.contextmanager
def ray_cluster():
    """Give the module ray, with two CPUs."""
    with own_environment():
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # it listens to this machine only
        import ray

        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=100 * 2**20,
        )
        try:
            yield ray
        finally:
            ray.shutdown()


@contextlib.contextmanager
def spark_session():
    """Give a session with two tasks at a time."""
    from pyspark.sql import SparkSession

    with own_environment():
        os.environ["PYSPARK_PYTHON"] = sys.executable
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
        builder = SparkSession.builder.master("local[2]")
        for key, value in {
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.log.level": "ERROR",
            "spark.sql.shuffle.partitions": "2",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
        }.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        try:
            yield session
        finally:
            session.stop()


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory):
    """Leave the repository: workers find modules in the current folder, where cnn has no _core."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("work"))
    yield
    os.chdir(before)


@pytest.fixture(scope="session")
def engines(elsewhere):
    """Return functions that start an engine, for the time of a with statement."""
    return {"dask": dask_cluster, "ray": ray_cluster, "spark": spark_session}


# ---- Models --------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def net():
    """Return a network with names, and more work than one row is worth."""
    made = cnn.mlp([4, 32, 3], "tanh", "softmax", rng=0)
    made.feature_names, made.class_names = ["a", "b", "c", "d"], ["x", "y", "z"]
    return made


@pytest.fixture(scope="session")
def frame():
    """Return rows of numbers, their numbers, and a column of texts."""
    import numpy as np
    import pandas

    x = np.random.default_rng(0).normal(size=(1000, 4)).astype(np.float32)
    return pandas.DataFrame(x, columns=["a", "b", "c", "d"]).assign(id=range(1000), s="text")


@pytest.fixture(scope="session")
def fruits():
    """Return a model of tables and a table for it."""
    import pandas

    table = pandas.DataFrame({"skin": ["smooth", "rough"] * 20, "weight": [150.0, 10.0] * 20})
    model = cnn.tabular.TableModel.fit(
        table.assign(fruit=["apple", "lychee"] * 20),
        target="fruit",
        epochs=20,
        rng=0,
        progress=False,
    )
    return model, table.assign(id=range(40))


@pytest.fixture(scope="module")
def client(request):
    """Give a client of workers of Dask with one thread each: three, or as `every_size` says."""
    from dask_clusters import local_cluster
    from distributed import Client

    with local_cluster(getattr(request, "param", 3)) as cluster, Client(cluster) as made:
        yield made


@pytest.fixture
def mortal():
    """Give a client of three workers that a test may kill; Dask starts new ones for them."""
    from dask_clusters import local_cluster
    from distributed import Client

    with local_cluster(3) as cluster, Client(cluster) as made:
        yield made
