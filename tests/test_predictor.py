"""cnn.Predictor: batches of all kinds, pickles, and the processes that open the model.

tests/distributed runs it on Dask, Ray and Spark.
"""

import copy
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from refused import refused

import cnn
from cnn.predictor import _opened
from cnn.tabular import TableModel

X = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def net():
    made = cnn.mlp([3, 5, 2], "tanh", "softmax", rng=0)
    made.feature_names, made.class_names = NAMES, ["no", "yes"]
    return made


@pytest.fixture(scope="module")
def plain():
    """Return a network without names."""
    return cnn.mlp([3, 5, 2], "tanh", "softmax", rng=0)


@pytest.fixture(scope="module")
def fruits():
    table = {"weight": [150, 10] * 20, "skin": ["smooth", "rough"] * 20}
    table["fruit"] = ["apple", "lychee"] * 20
    return TableModel.fit(table, target="fruit", epochs=50, rng=0, progress=False)


@pytest.fixture(scope="module")
def prices():
    table = {"weight": [150.0, 10.0] * 20, "price": [3.0, 1.0] * 20}
    return TableModel.fit(
        table, target="price", task="regression", epochs=50, rng=0, progress=False
    )


@pytest.fixture
def file(net, tmp_path):
    net.save(tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


@pytest.fixture
def forgotten():
    """Forget all models that are open, as in a new process."""
    _opened._MODELS.clear()


def of_columns(kind, columns):
    """Return a table."""
    if kind == "dict":
        return columns
    if kind == "pandas":
        rows = next(iter(columns.values()))
        index = [f"row {i}" for i in range(len(rows))]
        lists = {n: list(c) if np.ndim(c) > 1 else c for n, c in columns.items()}
        return pytest.importorskip("pandas").DataFrame(lists, index=index)
    if kind == "polars":
        return pytest.importorskip("polars").DataFrame(columns)
    arrow = pytest.importorskip("pyarrow")
    lists = {n: c.tolist() if np.ndim(c) > 1 else c for n, c in columns.items()}
    of = {"arrow": arrow.Table, "record batch": arrow.RecordBatch}[kind]
    return of.from_pydict(lists)


def names_of(table):
    return list(getattr(table, "column_names", getattr(table, "columns", table)))


def column(table, name):
    """Return a column of a table as an array."""
    found = table.column(name) if hasattr(table, "column_names") else table[name]
    found = found.to_pylist() if hasattr(found, "to_pylist") else found
    return np.array([np.asarray(value) for value in found])


KINDS = ["dict", "pandas", "polars", "arrow", "record batch"]


# ---- Batches -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_give_what_predict_gives(dtype, bits):
    net = cnn.mlp([3, 5, 2], "tanh", "softmax", rng=0, dtype=dtype)
    predictor = cnn.Predictor(net)
    for x in (X, X.astype(np.float64), X.T.copy().T, X[:0], X[0], X.tolist()):
        y = predictor(x)
        assert y.dtype == predictor.dtype == net.dtype
        assert y.shape == net.predict(x).shape
        assert bits(y) == bits(net.predict(x))


@pytest.mark.parametrize("kind", KINDS)
def test_tables_give_tables_of_their_kind(kind, net, bits):
    """Columns are found by their names, in any order and among others."""
    columns = {
        "c": X[:, 2],
        "id": np.arange(7),
        "a": X[:, 0],
        "text": list("abcdefg"),
        "b": X[:, 1],
    }
    table = of_columns(kind, columns)
    y = cnn.Predictor(net)(table)
    assert type(y) is type(table)
    assert names_of(y) == ["no", "yes"]
    found = np.stack([column(y, "no"), column(y, "yes")], axis=1).astype(np.float32)
    assert bits(found) == bits(net.predict(X))
    y = cnn.Predictor(net, keep=["id", "text"])(table)
    assert names_of(y) == ["id", "text", "no", "yes"]
    assert column(y, "id").tolist() == list(range(7))
    if kind == "pandas":
        assert y.index.tolist() == table.index.tolist()
        assert y.dtypes["no"] == np.float32


@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_arrays(kind, plain, bits):
    """One column for the inputs, beside a single one; one for the outputs."""
    table = of_columns(kind, {"id": np.arange(7), "pair": X[:, 1:], "one": X[:, 0]})
    predictor = cnn.Predictor(plain, columns=["one", "pair"], names="p", keep=["id"])
    y = predictor(table)
    assert names_of(y) == ["id", "p"]
    assert bits(column(y, "p").astype(np.float32)) == bits(plain.predict(X))
    table = of_columns(kind, {"x": X})
    assert bits(column(cnn.Predictor(plain)(table), "output_1").astype(np.float32)) == bits(
        np.ascontiguousarray(plain.predict(X)[:, 1])
    )


@pytest.mark.parametrize("kind", KINDS)
def test_tables_without_rows(kind, net, plain):
    """As a partition may be, and as engines give them to find out the types."""
    empty = {name: np.zeros(0, np.float32) for name in NAMES}
    y = cnn.Predictor(net)(of_columns(kind, empty))
    assert names_of(y) == ["no", "yes"]
    assert len(column(y, "no")) == 0
    y = cnn.Predictor(plain, columns="x", names="p")(of_columns(kind, {"x": np.zeros((0, 3))}))
    assert len(column(y, "p")) == 0
    with refused(ValueError, "Predictor: column 'a' is missing, the table has b"):
        cnn.Predictor(net)(of_columns(kind, {"b": np.zeros(0)}))


def test_columns_without_names_are_taken_in_their_order(plain, bits):
    table = {"id": np.arange(7), "z": X[:, 0], "y": X[:, 1], "x": X[:, 2]}
    y = cnn.Predictor(plain, keep=["id"])(table)
    assert list(y) == ["id", "output_0", "output_1"]
    assert bits(np.stack([y["output_0"], y["output_1"]], axis=1)) == bits(plain.predict(X))


def test_numbers_of_several_types_are_read_as_in_frames(plain, bits):
    columns = {"a": np.arange(7), "b": X[:, 1], "c": np.arange(7) % 2 == 0}
    frame = of_columns("pandas", columns)
    expected = plain.predict(frame)
    for kind in KINDS:
        y = cnn.Predictor(plain, names="p")(of_columns(kind, columns))
        assert bits(column(y, "p").astype(np.float32)) == bits(expected), kind


def test_iterators_give_iterators(net):
    batches = ({name: X[i : i + 2, j] for j, name in enumerate(NAMES)} for i in (0, 2, 4))
    found = cnn.Predictor(net)(batches)
    assert next(found)["no"].shape == (2,)
    assert len(list(found)) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_models_of_tables(kind, fruits, prices, bits):
    table = of_columns(kind, {"skin": ["rough", "smooth"], "id": [1, 2], "weight": [12.0, 140.0]})
    y = cnn.Predictor(fruits, keep=["id"])(table)
    assert column(y, "fruit").tolist() == ["lychee", "apple"]
    assert column(y, "id").tolist() == [1, 2]
    p = cnn.Predictor(fruits, method="predict_proba")(table)
    expected = fruits.predict_proba({"skin": ["rough", "smooth"], "weight": [12, 140]})
    found = np.stack([column(p, "apple"), column(p, "lychee")], axis=1).astype(np.float32)
    assert bits(found) == bits(expected)
    p = cnn.Predictor(fruits, method="predict_proba", names="p")(table)
    assert bits(column(p, "p").astype(np.float32)) == bits(expected)
    y = cnn.Predictor(prices, names=["guess"])(table)
    assert bits(column(y, "guess")) == bits(prices.predict({"weight": [12, 140]}))
    none = of_columns(kind, {"skin": np.array([], str), "weight": np.zeros(0)})
    assert len(column(cnn.Predictor(fruits)(none), "fruit")) == 0


def test_what_results_are_like(net, plain, fruits, prices):
    single = np.dtype(np.float32)
    for predictor, outputs, dtype, dtypes, schema in [
        (cnn.Predictor(net), 2, single, {"no": single, "yes": single}, "`no` float, `yes` float"),
        (cnn.Predictor(plain, names="p"), 2, single, {"p": np.dtype(object)}, "`p` array<float>"),
        (
            cnn.Predictor(cnn.mlp([3, 1], "relu", "identity", dtype="float64"), names=["a`b"]),
            *(1, np.dtype(float), {"a`b": np.dtype(float)}, "`a``b` double"),
        ),
        (cnn.Predictor(fruits), 1, np.dtype(object), {"fruit": object}, "`fruit` string"),
        (cnn.Predictor(prices), 1, np.dtype(float), {"price": float}, "`price` double"),
        (cnn.Predictor(prices, names="y"), 1, np.dtype(float), {"y": float}, "`y` double"),
        (
            cnn.Predictor(fruits, method="predict_proba", names="p"),
            *(2, single, {"p": object}, "`p` array<float>"),
        ),
    ]:
        found = predictor.outputs, predictor.dtype, predictor.dtypes, predictor.schema
        assert found == (outputs, dtype, dtypes, schema)


def test_repr(net, file, fruits):
    assert repr(cnn.Predictor(net)) == "Predictor(Sequential -> no, yes)"
    assert repr(cnn.Predictor(fruits, names=["x"])) == "Predictor(TableModel -> x)"
    assert repr(cnn.Predictor(file)) == f"Predictor({str(file)!r} -> no, yes)"


# ---- Models and processes ------------------------------------------------------------------------


def test_files_and_objects_give_the_same(net, file, fruits, tmp_path, bits):
    assert bits(cnn.Predictor(file)(X)) == bits(cnn.Predictor(str(file))(X)) == bits(net.predict(X))
    assert isinstance(cnn.Predictor(file).model, cnn.Sequential)
    fruits.save(tmp_path / "fruits.safetensors")
    predictor = cnn.Predictor(tmp_path / "fruits.safetensors")
    assert isinstance(predictor.model, TableModel)
    assert predictor([[140, "smooth"]]).tolist() == ["apple"]
    rows = fruits.transform([[140, "smooth"]])
    alone = cnn.Predictor(fruits.net)  # the network of a TableModel is a network
    assert bits(alone(rows)) == bits(fruits.net.predict(rows))


def test_a_checkpoint_with_an_optimizer(tmp_path, bits):
    net, optimizer = cnn.mlp([3, 2], "relu", "softmax", rng=0), cnn.Adam()
    net.fit(X, [0, 1, 0, 1, 0, 1, 0], optimizer=optimizer, progress=False)
    net.save(tmp_path / "net.safetensors", optimizer=optimizer)
    assert bits(cnn.Predictor(tmp_path / "net.safetensors")(X)) == bits(net.predict(X))


def test_a_network_is_copied_as_it_is(bits):
    net = cnn.mlp([3, 2], "relu", "softmax", rng=0)
    predictor = cnn.Predictor(net)
    before = net.predict(X)
    net.fit(X, [0, 1, 0, 1, 0, 1, 0], progress=False)
    assert bits(predictor(X)) == bits(before) != bits(net.predict(X))


def test_pickles_are_small_and_give_the_same(net, file, forgotten, bits):
    for predictor, most in ((cnn.Predictor(file), 500), (cnn.Predictor(net), 1300)):
        data = pickle.dumps(predictor)
        assert len(data) < most + len(str(file))
        _opened._MODELS.clear()
        for twin in (pickle.loads(data), copy.copy(predictor), copy.deepcopy(predictor)):
            assert bits(twin(X)) == bits(net.predict(X))
            assert twin.dtypes == predictor.dtypes
            assert repr(twin) == repr(predictor)


def test_paths_are_absolute(file, monkeypatch, tmp_path):
    monkeypatch.chdir(file.parent)
    data = pickle.dumps(cnn.Predictor(file.name))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    _opened._MODELS.clear()
    assert pickle.loads(data)(X).shape == (7, 2)


def test_a_process_opens_a_model_once(file, forgotten, monkeypatch):
    """Whatever the number of copies and threads."""
    reads, content = [], cnn.Predictor._content

    def counted(self):
        reads.append(threading.get_ident())
        return content(self)

    data = pickle.dumps(cnn.Predictor(file))
    _opened._MODELS.clear()
    monkeypatch.setattr(cnn.Predictor, "_content", counted)
    start = threading.Barrier(8)

    def task(_):
        start.wait()
        return pickle.loads(data)(X).tobytes()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(task, range(32)))) == 1
    assert len(reads) == 1


def test_few_models_stay_open(forgotten):
    predictors = [cnn.Predictor(cnn.mlp([3, 2], "relu", "softmax", rng=i)) for i in range(20)]
    assert len(_opened._MODELS) == _opened._MOST
    assert len({predictor(X).tobytes() for predictor in predictors}) == 20
    assert len(_opened._MODELS) == _opened._MOST


def test_a_file_that_has_changed_or_gone(file, plain, forgotten, bits):
    predictor = cnn.Predictor(file)
    expected = predictor(X)
    cnn.mlp([3, 2], "relu", "softmax", rng=5).save(file)
    assert bits(predictor(X)) == bits(expected)  # which is open
    _opened._MODELS.clear()
    with refused(
        cnn.ModelFileError,
        f"Predictor: {str(file)!r} has changed since the Predictor was made: its SHA-256 is",
    ):
        predictor(X)
    file.unlink()
    with refused(FileNotFoundError, "where a worker should find it too; Predictor(cnn.load(path))"):
        predictor(X)


def in_a_worker(predictor, program, **environment):
    """Run a program in another process, where `predictor` is a copy; return what it prints."""
    cleared = {
        name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")
    }
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-c"),
            "import pickle, sys\npredictor = pickle.load(sys.stdin.buffer)\nimport cnn\n" + program,
        ],
        input=pickle.dumps(predictor),
        env=cleared | environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().split()


@pytest.mark.parametrize(
    ("threads", "environment", "expected"),
    [
        (None, {}, "1"),
        (None, {"OMP_NUM_THREADS": "3"}, "3"),
        (None, {"CNN_NUM_THREADS": "4", "OMP_NUM_THREADS": "3"}, "4"),
        (None, {"OMP_NUM_THREADS": "many"}, "1"),
        (2, {"OMP_NUM_THREADS": "3"}, "2"),
    ],
)
def test_threads_of_a_worker(threads, environment, expected, net):
    """They are set once; what the worker sets afterwards stays."""
    program = """
predictor([[1, 2, 3]]); print(cnn.get_num_threads())
cnn.set_num_threads(5); predictor([[1, 2, 3]]); print(cnn.get_num_threads())
"""
    predictor = cnn.Predictor(net, threads=threads)
    assert in_a_worker(predictor, program, **environment) == [expected, "5"]


def test_the_process_that_made_it_keeps_its_threads(net):
    cnn.set_num_threads(3)
    pickle.loads(pickle.dumps(cnn.Predictor(net, threads=1)))(X)
    assert cnn.get_num_threads() == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_forks(net):
    """The child of a fork is a worker, also if a thread of its parent was opening a model."""
    program = """
import os, threading
from cnn.predictor import _opened
net = cnn.mlp([3, 2], "relu", "softmax", rng=0)
predictor = cnn.Predictor(net)
cnn.set_num_threads(3)
held, go = threading.Event(), threading.Event()
def opening():
    with _opened._PROCESS.lock:
        held.set(); go.wait()
thread = threading.Thread(target=opening); thread.start(); held.wait()
child = os.fork()
if child == 0:
    predictor([[1, 2, 3]])
    os._exit(cnn.get_num_threads())
go.set(); thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), cnn.get_num_threads())
"""
    assert in_a_worker(cnn.Predictor(net), program) == ["1", "3"]


def test_a_worker_imports_little(net):
    program = """
predictor([[1, 2, 3]])
print(*{name.partition(".")[0] for name in sys.modules})
"""
    heavy = {"pandas", "polars", "pyarrow", "sklearn", "scipy", "matplotlib", "dask", "ray"}
    assert not heavy & set(in_a_worker(cnn.Predictor(net), program))


# ---- Refusals ------------------------------------------------------------------------------------


def test_arguments_that_are_refused(net, plain, fruits, prices, tmp_path):
    for model, options, kind, text in [
        (5, {}, TypeError, "model is of type int, should be a path, a Sequential or a TableModel"),
        (net, {"threads": 0}, ValueError, "threads is 0, should be at least 1"),
        (net, {"threads": "2"}, TypeError, "threads is of type str, should be an int"),
        (net, {"method": "fit"}, ValueError, "method is 'fit', should be one of predict, "),
        (
            net,
            {"method": "predict_proba"},
            ValueError,
            "method is 'predict_proba', should be 'predict': a net",
        ),
        (
            prices,
            {"method": "predict_proba"},
            ValueError,
            "method is 'predict_proba', should be 'predict': the ",
        ),
        (net, {"keep": "id"}, TypeError, "keep is of type str, should be a list of names"),
        (net, {"keep": [1]}, TypeError, "keep has 1, should be strings"),
        (net, {"keep": ["no"]}, ValueError, "keep has 'no', which is the name of a prediction too"),
        (net, {"keep": ["p"], "names": "p"}, ValueError, "keep has 'p', which is the name of a pr"),
        (net, {"keep": ["i", "i"]}, ValueError, "keep has 'i' twice, names should differ"),
        (net, {"names": ["a"]}, ValueError, "names has 1 names, should have 2, one for each predi"),
        (net, {"names": 5}, TypeError, "names is of type int, should be a list of names"),
        (net, {"columns": []}, ValueError, "columns has no names, should have at least 1"),
        (net, {"columns": 5}, TypeError, "columns is of type int, should be a list of names"),
        (fruits, {"columns": ["a"]}, ValueError, "columns is given, but the model is a TableModel"),
    ]:
        with refused(kind, f"Predictor: {text}"):
            cnn.Predictor(model, **options)
    with pytest.raises(FileNotFoundError):
        cnn.Predictor(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        cnn.Predictor(tmp_path)
    (tmp_path / "text").write_text("a,b\n1,2\n" * 9)
    with refused(cnn.ModelFileError, "Predictor: the header should have"):
        cnn.Predictor(tmp_path / "text")
    with refused(cnn.ModelFileError, "looks like text, such as CSV: a model of cnn is"):
        cnn.Predictor(tmp_path / "text")
    sklearn = pytest.importorskip("cnn.sklearn")
    model = sklearn.MLPClassifier(solver="lbfgs", alpha=1, max_iter=1000, random_state=0)
    with refused(TypeError, "or a TableModel; of an estimator of cnn.sklearn, its net_"):
        cnn.Predictor(model.fit(X, [0, 1, 0, 1, 0, 1, 0]))


def test_batches_that_are_refused(net, plain):
    good = {name: X[:, i] for i, name in enumerate(NAMES)}
    named, free = cnn.Predictor(net), cnn.Predictor(plain, columns=["a", "b", "c"])
    for batch, kind, text in [
        ({"a": X[:, 0], "bb": X[:, 1]}, ValueError, "column 'b' is missing, the table has a, bb; "),
        (good | {"b": X[:3, 1]}, ValueError, "column 'b' has 3 rows, but column 'a' has 7"),
        (good | {"b": list("abcdefg")}, TypeError, "column 'b' is of type <U1, should be numbers"),
        (good | {"b": [None] * 7}, TypeError, "column 'b' is of type object, should be numbers"),
        (good | {"b": 5.0}, ValueError, "column 'b' has 0 dimensions, should have 1 or 2"),
        (good | {"b": X.reshape(7, 3, 1)}, ValueError, "column 'b' has 3 dimensions, should have"),
    ]:
        with refused(kind, f"Predictor: {text}"):
            named(batch)
    ragged = np.array([np.zeros(1), np.zeros(2)] * 4, object)[:7]
    with refused(ValueError, "column 'b' has rows of different lengths, should have arrays of one"):
        free(good | {"b": ragged})
    with refused(ValueError, "predict: x has 5 columns, but the first layer has 3 inputs"):
        free(good | {"b": X})
    with refused(TypeError, "mask"):
        free(good | {"b": np.ma.masked_array(X[:, 1], X[:, 1] > 0)})
    pandas = pytest.importorskip("pandas")
    with refused(ValueError, "column 'a' is there 2 times, names should differ"):
        named(pandas.DataFrame(np.c_[X, X[:, 0]], columns=[*NAMES, "a"]))
    with refused(TypeError, "column 'b' of type"):
        named(pandas.DataFrame(good | {"b": list("abcdefg")}))
    kept = cnn.Predictor(net, keep=["id"])
    with refused(ValueError, "keep has 'id', but x of type ndarray has no columns; should be a t"):
        kept(X)
    with refused(ValueError, "column 'id' is missing"):
        kept(good)
