"""What sharded training refuses: each process raises an error that names rank, shard and cause."""

import copy
import re

import numpy as np
import pytest
from refused import refused
from shard_threads import good, hashed, run_ranks

import cnn
from cnn.distributed import _exchange, _fit
from cnn.optimizers import bound


def shards_of(count=4, rows=20):
    rng = np.random.default_rng(0)
    return [(rng.standard_normal((rows, 3)), rng.integers(0, 2, rows)) for shard in range(count)]


def network(**options):
    return cnn.mlp([3, 5, 2], "tanh", "softmax", rng=0, **options)


def refused_by_all(kind, text, function, size=3):
    """Expect of each rank an error of a type with a text, which are the same on all."""
    found = run_ranks(size, function)
    for error in found:
        assert isinstance(error, kind), repr(error)
        assert re.search(text, str(error)), str(error)
    assert len({str(error) for error in found}) == 1
    return found


# ---- Arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "given"),
    [
        (ValueError, "batch_size is 0", {"batch_size": 0}),
        (ValueError, "epochs is 0", {"epochs": 0}),
        (TypeError, "comm is of type str, should be a communicator of mpi4py", {"comm": "world"}),
        (TypeError, "shards is of type ndarray, should be a sequence", {"shards": np.ones((4, 3))}),
        (TypeError, "shards is of type str", {"shards": "rows.npy"}),
        (ValueError, "shards has no shards", {"shards": []}),
        (TypeError, "shards is a function, so n_shards", {"shards": lambda shard: None}),
        (ValueError, "n_shards is 3, but shards has 4", {"n_shards": 3}),
        (ValueError, "t has 1 shards, but shards has 4", {"t": [[1]]}),
        (
            ValueError,
            "t has 1 shards, but shards has 2",
            {"shards": lambda shard: np.ones((1, 3)), "n_shards": 2, "t": [[1]]},
        ),
        (
            TypeError,
            "t is of type int, should be a sequence with the targets",
            {"shards": [np.ones((1, 3))], "t": 1},
        ),
        (TypeError, "shard 0 of shards is an array without targets", {"shards": [np.ones((4, 3))]}),
        (
            TypeError,
            "shard 0 of validation_data is an array without targets",
            {"validation_data": shards_of()[0]},
        ),
        (ValueError, "every is 3, but there is no checkpoint", {"every": 3}),
        (
            FileNotFoundError,
            "checkpoint is 'no/a', whose folder does not exist",
            {"checkpoint": "no/a"},
        ),
        (ValueError, "checkpoint", {"checkpoint": "a.onnx"}),
        (ValueError, "shard 0: x has 2 columns", {"shards": [(np.ones((3, 2)), [0, 1, 0])]}),
        (ValueError, "shard 1: x has 0 rows", {"shards": [*shards_of(1), (np.ones((0, 3)), [])]}),
        (ValueError, "shard 0: t has label 2", {"shards": [(np.ones((2, 3)), [0, 2])]}),
        (TypeError, "can be read only once", {"shards": [iter(shards_of(1))]}),
        (
            ValueError,
            "class_weight is given, but t does not hold class numbers",
            {"shards": [(np.ones((2, 3)), np.eye(2))], "class_weight": "balanced"},
        ),
        (ValueError, "class_weight is 'even'", {"class_weight": "even"}),
    ],
)
def test_arguments(kind, text, given):
    net = network()
    before = hashed(net)
    given = {"shards": shards_of()} | given
    with refused(kind, text):
        cnn.distributed.fit(net, **given)
    assert hashed(net) == before


def test_net_should_be_a_network():
    with refused(TypeError, "distributed.fit: net is of type int, should be a Sequential"):
        cnn.distributed.fit(3, shards_of())


@pytest.mark.parametrize("numbers", [("1", 2), (2, 2), (-1, 2)])
def test_communicators_have_a_rank(numbers):
    class Bad:
        rank, size = numbers

        def alltoallv(self, *arguments):
            """Send nothing."""

        allgatherv = alltoallv

    with refused((TypeError, ValueError), "distributed.fit: comm"):
        cnn.distributed.fit(network(), shards_of(), comm=Bad())


# ---- Processes that disagree ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("batch_size is 8 on ranks 0, 2 and 9 on rank 1", lambda r: {"batch_size": 8 + (r == 1)}),
        ("epochs is 1 on ranks 0, 1 and 2 on rank 2", lambda r: {"epochs": 1 + (r == 2)}),
        ("optimizer is Adam", lambda r: {"optimizer": "sgd" if r else "adam"}),
        ('lr is "?0.1', lambda r: {"optimizer": cnn.SGD(0.1 + 0.1 * r)}),
        ("loss is CrossEntropy", lambda r: {"loss": cnn.CrossEntropy(label_smoothing=0.1 * r)}),
        ("the number of shards is 4 on ranks 0, 2 and 3", lambda r: {"n": 3 if r == 1 else 4}),
        ("the network's dtype is float64 on rank 0", lambda r: {"dtype": f"float{32 << (r == 0)}"}),
        ("class_weight is", lambda r: {"class_weight": [1.0, 1.0 + r]}),
        ("shuffle is True", lambda r: {"shuffle": r < 2}),
    ],
)
def test_settings_that_differ(text, given):
    def run(comm):
        options = given(comm.rank)
        net = network(dtype=options.pop("dtype", "float32"))
        cnn.distributed.fit(net, shards_of(options.pop("n", 4)), comm=comm, **options)

    refused_by_all(ValueError, f"{text}.*should be the same on all ranks", run)


def test_an_optimizer_without_a_step_has_no_state():
    def run(comm):
        net, optimizer = network(), cnn.Adam(0.1)
        if comm.rank:
            bound("test", optimizer, net._network)
        cnn.distributed.fit(net, shards_of(), comm=comm, optimizer=optimizer)
        return hashed(net, optimizer)

    assert len(set(good(run_ranks(2, run)))) == 1


def test_networks_that_differ():
    def run(comm, change):
        net = network()
        if comm.rank == 1:
            net = change(net)
        cnn.distributed.fit(net, shards_of(), comm=comm)

    def other_weights(net):
        net.set_weights([array + 1 for array in net.get_weights()])
        return net

    def other_layers(net):
        return cnn.mlp([3, 6, 2], "tanh", "softmax", rng=0)

    refused_by_all(
        ValueError, "digest of the network's weights is", lambda comm: run(comm, other_weights)
    )
    refused_by_all(ValueError, "the network's layers is", lambda comm: run(comm, other_layers))


def test_a_bad_argument_of_one_process():
    def run(comm):
        cnn.distributed.fit(network(), shards_of(), comm=comm, epochs=1 if comm.rank else "two")

    refused_by_all(TypeError, "rank 0: epochs is of type str", run)


# ---- Data of one process -------------------------------------------------------------------------


class Failing:
    """Rows whose reading raises after some calls."""

    def __init__(self, error, after):
        self.error, self.left = error, after

    def __len__(self):
        return 20

    def __getitem__(self, index):
        if self.left == 0:
            raise self.error
        self.left -= 1
        return shards_of(1)[0][0][index], shards_of(1)[0][1][index]


class OwnError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ValueError("bad bytes"), ValueError, "rank 1: shard 2: bad bytes"),
        (OSError(5, "Input/output error", "x.bin"), OSError, "rank 1: shard 2: Input/output error"),
        (OwnError("unknown"), RuntimeError, "rank 1: shard 2: OwnError: unknown"),
        (MemoryError(), MemoryError, "rank 1: shard 2"),
        (KeyError("x"), RuntimeError, "rank 1: shard 2: KeyError: 'x'"),
    ],
)
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_source_that_raises(error, kind, text, after):
    nets = {}

    def run(comm):
        shards = shards_of(6)
        nets[comm.rank] = net = network()
        shards[2] = Failing(error, after)
        cnn.distributed.fit(net, shards, comm=comm, epochs=3, batch_size=40)

    for found in refused_by_all(kind, text, run):
        assert any("rank 1 is process" in note for note in found.__notes__)
        if after == 2:
            assert any("the weights are those after epoch 1" in note for note in found.__notes__)
    # Those of the last finished epoch, in all processes.
    expected = network()
    if after == 2:
        shards = shards_of(6)
        shards[2] = shards_of(1)[0]
        cnn.distributed.fit(expected, shards, batch_size=40)
    assert {hashed(net) for net in nets.values()} == {hashed(expected)}


def bad(shard, **change):
    shards = shards_of(6)
    x, t = shards[shard]
    shards[shard] = change.get("x", x), change.get("t", t)
    return shards


@pytest.mark.parametrize(
    ("kind", "text", "change"),
    [
        (ValueError, "rank 1: shard 3: t has label 7.*in row 4", {"t": [0] * 4 + [7] + [0] * 15}),
        (ValueError, "rank 1: shard 3: x has 2 columns", {"x": np.ones((20, 2))}),
        (ValueError, "rank 1: shard 3: t has shape .3,., but x has 20 rows", {"t": [0, 1, 0]}),
        (ValueError, "rank 1: shard 3: x has 0 rows", {"x": np.ones((0, 3)), "t": []}),
        (TypeError, "rank 1: shard 3: x", {"x": [["a"] * 3] * 20}),
        (
            FloatingPointError,
            "rank 1: shard 3: x has nan in row 5, column 1.*epoch 1, step",
            {"x": np.where(np.arange(60).reshape(20, 3) == 16, np.nan, 0.5)},
        ),
    ],
)
def test_bad_data_of_one_process(kind, text, change):
    nets = {}

    def run(comm):
        nets[comm.rank] = net = network()
        cnn.distributed.fit(net, bad(3, **change), comm=comm, epochs=2, batch_size=16)

    refused_by_all(kind, text, run)
    assert {hashed(net) for net in nets.values()} == {hashed(network())}


def test_a_lack_of_memory_before_the_first_step(monkeypatch):
    class Lacks(_exchange.Exchange):
        def __init__(self, team, *arguments, **options):
            if team.rank == 1:
                raise MemoryError
            super().__init__(team, *arguments, **options)

    monkeypatch.setattr(_fit, "Exchange", Lacks)
    refused_by_all(
        MemoryError,
        "rank 1",
        lambda comm: cnn.distributed.fit(network(), shards_of(), comm=comm),
    )


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(
    "optimizer", [cnn.SGD(), cnn.Adam(clip_norm=1), cnn.AdamW(), cnn.SGD(momentum=0.9)]
)
def test_no_buffer_grows_after_the_start(monkeypatch, optimizer, size):
    # A process that lacks memory within a step could tell nobody.
    grown = []

    class Watched(_exchange.Exchange):
        def __init__(self, team, *arguments, **options):
            super().__init__(team, *arguments, **options)
            buffer = team._buffer

            def watched(which, length):
                if team._buffers[which].size < length:
                    grown.append((team.rank, which, length))
                return buffer(which, length)

            monkeypatch.setattr(team, "_buffer", watched)

    class Changes(cnn.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.set_weights([array / 2 for array in self.model.get_weights()])

    monkeypatch.setattr(_fit, "Exchange", Watched)

    def run(comm):
        net = cnn.mlp([3, 50, 2], "tanh", "softmax", rng=0)
        cnn.distributed.fit(
            net,
            shards_of(),
            comm=comm,
            epochs=2,
            batch_size=16,
            optimizer=copy.copy(optimizer),
            callbacks=[Changes()],
        )

    good(run_ranks(size, run))
    assert not grown


def test_bad_validation_data_of_one_process():
    x = np.full((20, 3), np.inf)

    def run(comm):
        cnn.distributed.fit(network(), shards_of(), comm=comm, validation_data=bad(5, x=x))

    refused_by_all(FloatingPointError, "rank 2: validation_data: shard 5: x has inf in row 0", run)


@pytest.mark.parametrize("weight", [1e-50, 1e-31, 1e29, 1e50])
def test_weights_that_float32_cannot_hold(weight):
    def run(comm, dtype="float32", scale=weight):
        net = network(dtype=dtype)
        shards = [(x, t, np.full(len(x), scale)) for x, t in shards_of()]
        before = hashed(net)
        try:
            cnn.distributed.fit(net, shards, comm=comm, optimizer=cnn.SGD(0.1))
        finally:
            assert (hashed(net) == before) == (dtype == "float32")
        return net.get_weights()

    refused_by_all(ValueError, "rows of epoch 1, step 1, add up to .* mean at least 1e-30", run)
    for found, expected in zip(run(None, "float64"), run(None, "float64", 1.0), strict=True):
        assert np.allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_rows_that_become_fewer():
    class Shorter:
        """Batches, of which there are fewer when they are read again."""

        def __init__(self):
            self.left = 5

        def __iter__(self):
            self.left -= 1
            return iter(shards_of(1, 4) * self.left)

    def run(comm):
        cnn.distributed.fit(
            network(), [*shards_of(2), Shorter()], comm=comm, epochs=3, batch_size=8
        )

    refused_by_all(ValueError, "rank 1: shard 2: x has 12 rows in epoch 1, but had 16", run, size=2)


def test_a_loss_that_becomes_infinite():
    nets = {}

    def run(comm):
        nets[comm.rank] = net = cnn.mlp([3, 1], "identity", "identity", rng=0)
        shards = [(x, x[:, 0]) for x, _ in shards_of()]
        optimizer = cnn.SGD(lambda step: 0.1 if step < 2 else 1e30)
        cnn.distributed.fit(net, shards, comm=comm, epochs=3, batch_size=40, optimizer=optimizer)

    text = (
        r"the loss became NaN or infinite in epoch 2, step 2; the weights are those after epoch 1"
    )
    refused_by_all(FloatingPointError, text, run)
    expected = cnn.mlp([3, 1], "identity", "identity", rng=0)
    cnn.distributed.fit(
        expected, [(x, x[:, 0]) for x, _ in shards_of()], batch_size=40, optimizer=cnn.SGD(0.1)
    )
    assert {hashed(net) for net in nets.values()} == {hashed(expected)}


# ---- Callbacks, rates, interrupts ----------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end"]
)
def test_a_callback_that_raises(name):
    def fail(*arguments):
        raise LookupError("no such thing")

    def run(comm):
        called = cnn.LambdaCallback(**{name: fail})
        cnn.distributed.fit(network(), shards_of(), comm=comm, callbacks=called, epochs=2)

    refused_by_all(RuntimeError, "rank 0: LookupError: no such thing", run)


def test_a_learning_rate_that_raises():
    def run(comm):
        cnn.distributed.fit(network(), shards_of(), comm=comm, optimizer=cnn.SGD(lambda step: -1))

    refused_by_all(ValueError, "rank 0: ", run)


def test_an_interrupt_of_one_process_ends_all():
    def run(comm):
        shards = shards_of(6)
        shards[2] = Failing(KeyboardInterrupt(), 1)
        cnn.distributed.fit(network(), shards, comm=comm, epochs=3, batch_size=40)

    found = run_ranks(3, run)
    assert isinstance(found[1], KeyboardInterrupt)
    for rank in (0, 2):
        assert isinstance(found[rank], RuntimeError)
        assert "rank 1: shard 2: KeyboardInterrupt" in str(found[rank])
