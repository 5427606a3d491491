"""Sharded training: the same bits for any number of processes, the numbers, and the traffic."""

from itertools import pairwise

import numpy as np
import pytest
from refused import refused
from shard_threads import good, hashed, run_ranks

import cnn
from cnn import _core
from cnn.distributed import _exchange, _ranges, _traffic

ROWS, INPUTS, CLASSES = 331, 6, 4


def data(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, INPUTS))
    t = (x @ rng.standard_normal((INPUTS, CLASSES))).argmax(axis=1)
    return x, t, rng.uniform(0.0, 2.0, rows)


def shards_of(count, seed=0):
    """Return shards of different sizes, with weights."""
    x, t, weight = data(seed=seed)
    ends = np.sort(np.random.default_rng(count).choice(np.arange(1, ROWS), count - 1, False))
    return list(zip(*(np.split(part, ends) for part in (x, t, weight)), strict=True))


def network(dtype="float32", dropout=0.3, l2=1e-3):
    return cnn.mlp(
        [INPUTS, 40, CLASSES], "relu", "softmax", rng=3, dtype=dtype, dropout=dropout, l2=l2
    )


def optimizers():
    return {
        "adam": cnn.Adam(cnn.ExponentialDecay(0.02, gamma=0.999), clip_norm=0.5),
        "adamw": cnn.AdamW(0.01),
        "sgd": cnn.SGD(0.1),
        "nesterov": cnn.SGD(0.05, momentum=0.9, nesterov=True),
        "rmsprop": cnn.RMSprop(0.01, clip_norm=0.1),
        "adagrad": cnn.Adagrad(0.05),
    }


def trained(comm, dtype="float32", kind="adam", shards=5, **options):
    net, optimizer = network(dtype), optimizers()[kind]
    settings = {
        "epochs": 2,
        "batch_size": 64,
        "validation_data": shards_of(3, seed=1),
        "class_weight": "balanced",
    }
    history = cnn.distributed.fit(
        net, shards_of(shards), comm=comm, optimizer=optimizer, **settings | options
    )
    logs = {name: values for name, values in history.history.items() if name != "seconds"}
    return hashed(net, optimizer), logs, net.epochs


@pytest.mark.parametrize("kind", list(optimizers()))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_processes(dtype, kind):
    alone = trained(None, dtype, kind)
    for size in (1, 2, 3, 4, 8):
        for found in good(run_ranks(size, lambda comm: trained(comm, dtype, kind))):
            assert found == alone


@pytest.mark.parametrize("shards", [1, 2, 7, 8, 16])
def test_bits_do_not_depend_on_processes_for_any_shards(shards):
    alone = trained(None, shards=shards)
    assert trained(None, shards=shards + 1)[0] != alone[0]
    for size in (2, 3, 5):
        for found in good(run_ranks(size, lambda comm: trained(comm, shards=shards))):
            assert found == alone


def test_bits_do_not_depend_on_threads_and_isas(isa, threads):
    found = trained(None)
    _core.select_isa("scalar")
    _core.set_num_threads(1)
    assert found == trained(None)


def test_history_has_what_fit_has():
    net = network()
    history = cnn.distributed.fit(net, shards_of(3), epochs=2, validation_data=shards_of(2))
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds"]
    assert history.epoch == [1, 2]
    assert net.epochs == 2
    x, t, weight = data()
    found = net.evaluate(x, t, sample_weight=weight)
    assert history.val_loss[-1] == pytest.approx(found["loss"], rel=1e-6)
    assert history.val_accuracy[-1] == found["accuracy"]


# ---- Numbers -------------------------------------------------------------------------------------


def reference_step(net, parts, lr):
    """Make a step of SGD in float64 on the rows of a step, by rule 9; return new weights, loss."""
    w1, b1, w2, b2 = (array.astype(np.float64) for array in net.get_weights())
    total = [np.zeros_like(array) for array in (w1, b1, w2, b2)]
    losses, weights = 0.0, 0.0
    for x, t, weight in parts:
        a = x @ w1 + b1
        h = np.maximum(a, 0)
        z = h @ w2 + b2
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        losses += float(weight @ -np.log(p[np.arange(len(t)), t]))
        weights += float(weight.sum())
        dz = (p - np.eye(CLASSES)[t]) * weight[:, None]
        da = dz @ w2.T * (a > 0)
        for i, part in enumerate((x.T @ da, da.sum(0), h.T @ dz, dz.sum(0))):
            total[i] += part
    l2 = 1e-3
    penalties = l2 / 2 * ((w1**2).sum() + (w2**2).sum())
    gradients = [g / weights for g in total]
    gradients[0] += l2 * w1
    gradients[2] += l2 * w2
    new = [w - lr * g for w, g in zip((w1, b1, w2, b2), gradients, strict=True)]
    return new, losses / weights + penalties


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_is_that_of_the_rule(dtype):
    """All rows in one step; the bound is that of sums of n products, each rounded once."""
    net = network(dtype, dropout=0.0)
    shards = shards_of(5)
    # The data are what the network sees of them.
    parts = [(x.astype(dtype).astype(np.float64), t, weight) for x, t, weight in shards]
    expected, loss = reference_step(net, parts, 0.1)
    history = cnn.distributed.fit(net, shards, batch_size=ROWS, optimizer=cnn.SGD(0.1))
    bound = 4 * (ROWS + 50) * float(np.finfo(dtype).eps) / 2
    assert history.loss[0] == pytest.approx(loss, rel=bound)
    for found, exact in zip(net.get_weights(), expected, strict=True):
        assert np.abs(found - exact).max() <= bound * max(1.0, np.abs(exact).max())


def test_rows_of_steps_are_those_of_the_rule():
    """Each epoch uses each row once, in the order of the shard's own permutation."""
    seen = []

    class Recorded:
        def __init__(self, number, rows):
            self.number, self.rows = number, rows

        def __len__(self):
            return self.rows

        def __getitem__(self, index):
            numbers = np.arange(self.rows)[index]
            return np.repeat(numbers[:, None] / 100.0, INPUTS, axis=1), numbers % CLASSES

    sizes = [10, 3, 17]
    net = network(dropout=0.0)
    steps = -(-sum(sizes) // 8)
    for shard, rows in enumerate(sizes):
        taken = [_ranges.rows_of_step(rows, step, steps) for step in range(steps)]
        assert taken[0][0] == 0
        assert taken[-1][1] == rows
        assert all(a[1] == b[0] for a, b in pairwise(taken))
        seed = _core.shard_seed(net.seed, shard)
        seen.append(_core.permutation(seed, 0, rows, 0, rows))
    source = [Recorded(shard, rows) for shard, rows in enumerate(sizes)]
    arrays = [item[0 : len(item)] for item in source]
    with_rows = network(dropout=0.0)
    cnn.distributed.fit(with_rows, source, batch_size=8)
    # The same by hand: rows in that order, not shuffled.
    cnn.distributed.fit(
        net,
        [(x[o.astype(int)], t[o.astype(int)]) for (x, t), o in zip(arrays, seen, strict=True)],
        batch_size=8,
        shuffle=False,
    )
    assert hashed(net) == hashed(with_rows)


def test_sources_of_all_kinds_give_the_same_bits(tmp_path):
    shards = [(x.astype(np.float32), t) for x, t, _ in shards_of(4)]
    kinds = {"arrays": shards, "function": lambda shard: shards[shard], "rows": []}
    x, t = zip(*shards, strict=True)
    kinds["beside"] = list(x)
    files = []
    for i, (rows, targets) in enumerate(shards):
        np.save(tmp_path / f"{i}.npy", rows)
        files.append((str(tmp_path / f"{i}.npy"), targets))
    kinds["files"] = files
    kinds["maps"] = [(np.load(path, mmap_mode="r"), targets) for path, targets in files]
    del kinds["rows"]
    found = {}
    for kind, given in kinds.items():
        net = network()
        cnn.distributed.fit(
            net,
            given,
            list(t) if kind == "beside" else None,
            n_shards=4 if kind == "function" else None,
            epochs=2,
        )
        found[kind] = hashed(net)
    assert len(set(found.values())) == 1, found


def test_each_process_opens_its_own_shards_only():
    shards, opened = shards_of(5), []

    def open_one(comm):
        def of(shard):
            opened.append((comm.rank, shard))
            return shards[shard]

        return cnn.distributed.fit(network(), of, comm=comm, n_shards=5)

    good(run_ranks(2, open_one))
    assert sorted(opened) == [(0, 0), (0, 1), (1, 2), (1, 3), (1, 4)]


def test_a_sum_of_weights_of_0_makes_no_step():
    x, t, weight = data()
    net, optimizer = network(), cnn.SGD(0.1)
    first = np.where(np.arange(ROWS) < 64, 0.0, weight)
    cnn.distributed.fit(
        net, [(x, t, first)], batch_size=64, shuffle=False, optimizer=optimizer, epochs=1
    )
    # 331 rows in 6 steps; the first 55 have no weight.
    assert optimizer.steps == 5
    with refused(ValueError, "no step of epoch 2 add up to"):
        cnn.distributed.fit(net, [(x, t, first * 0)], optimizer=optimizer)


# ---- Callbacks -----------------------------------------------------------------------------------


def test_what_callbacks_do_holds_in_all_processes():
    class Changes(cnn.Callback):
        def on_epoch_begin(self, epoch):
            self.optimizer.lr = 0.01 * epoch

        def on_epoch_end(self, epoch, logs):
            if epoch == 2:
                self.model.set_weights([w * 0.5 for w in self.model.get_weights()])
            if epoch == 3:
                self.model.stop_training = True

    def run(comm):
        net, optimizer = network(), cnn.SGD(0.5)
        stop = cnn.EarlyStopping("loss", patience=9, restore_best_weights=True)
        called = [Changes(), stop] if comm is None or comm.rank == 0 else []
        history = cnn.distributed.fit(
            net, shards_of(4), comm=comm, epochs=9, optimizer=optimizer, callbacks=called
        )
        return hashed(net), history.epoch, history.lr, optimizer.lr, net.stop_training

    alone = run(None)
    assert alone[1:] == ([1, 2, 3], [0.01, 0.02, 0.03], 0.03, True)
    for size in (2, 3):
        assert set(map(str, good(run_ranks(size, run)))) == {str(alone)}


def test_early_stopping_is_decided_once():
    def run(comm):
        net = network()
        stop = cnn.EarlyStopping(patience=1, restore_best_weights=True)
        history = cnn.distributed.fit(
            net,
            shards_of(4),
            comm=comm,
            epochs=200,
            optimizer=cnn.Adam(0.1),
            validation_data=shards_of(2, seed=5),
            callbacks=[stop],
        )
        x, t, weight = data(seed=5)
        return hashed(net), len(history), net.evaluate(x, t, sample_weight=weight)["loss"]

    found = good(run_ranks(3, run))
    assert found == [run(None)] * 3
    assert found[0][1] < 200


def test_progress_is_shown_by_the_first_process(capsys):
    good(
        run_ranks(
            2, lambda comm: cnn.distributed.fit(network(), shards_of(2), comm=comm, progress=True)
        )
    )
    assert capsys.readouterr().err.count("epoch 1/1: loss") == 1


def test_ranks_tell_who_they_are(caplog):
    good(run_ranks(2, lambda comm: cnn.distributed.fit(network(), shards_of(3), comm=comm)))
    lines = [r.getMessage() for r in caplog.records if " is process " in r.getMessage()]
    assert len(lines) == 2
    assert any("rank 1 of 2 is process" in line and "1 shards from 2 on" in line for line in lines)


# ---- Traffic -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "shards", "clip"), [(2, 4, None), (3, 7, 1.0), (4, 5, None), (8, 3, 1.0)]
)
def test_messages_and_bytes_of_a_step(size, shards, clip, monkeypatch):
    """What a communicator counts in a step is the formula, for each process."""
    found = []
    total = _exchange.Exchange.total
    update = _exchange.Exchange.update

    def counted(self, *arguments, function):
        comm = self._team._comm
        before = comm.messages, comm.sent
        result = function(self, *arguments)
        found.append((comm.rank, comm.messages - before[0], comm.sent - before[1], self.traffic))
        return result

    monkeypatch.setattr(_exchange.Exchange, "total", lambda self: counted(self, function=total))
    monkeypatch.setattr(
        _exchange.Exchange, "update", lambda self, *a: counted(self, *a, function=update)
    )
    good(
        run_ranks(
            size,
            lambda comm: cnn.distributed.fit(
                cnn.mlp([INPUTS, 700, CLASSES], "relu", "softmax", rng=0),
                shards_of(shards),
                comm=comm,
                batch_size=100,
                optimizer=cnn.SGD(0.1, clip_norm=clip),
            ),
        )
    )
    steps = -(-ROWS // 100)
    for rank in range(size):
        own = [one for one in found if one[0] == rank]
        traffic = own[0][3][rank]
        assert len(own) == 2 * steps
        assert sum(one[1] for one in own) == steps * traffic.messages
        assert sum(one[2] for one in own) == steps * traffic.bytes
        assert traffic.messages == (2 if clip is None else 3) * (size - 1)


def test_bytes_are_those_of_an_allreduce_for_whole_subtrees():
    """One subtree each, and equal slices: 2 (r - 1) p b bytes of all processes, and the heads."""
    size, each, itemsize = 4, 1000, 4
    found = [_traffic.of_step(rank, [1] * size, [each] * size, itemsize) for rank in range(size)]
    parameters = size * each
    heads = size * (size - 1) * (2 * _traffic.HEADER + _traffic.SUMS)
    assert sum(one.bytes for one in found) == 2 * (size - 1) * parameters * itemsize + heads


@pytest.mark.parametrize("shards", [1, 2, 3, 5, 8, 12, 13, 64, 100])
def test_ranges_are_balanced_and_their_nodes_cover_them(shards):
    for size in (1, 2, 3, 4, 5, 7, 8, 16):
        bounds = _ranges.ranges(shards, size)
        counts = np.diff(bounds)
        assert (bounds[0], bounds[-1], len(counts)) == (0, shards, size)
        assert counts.max() - counts.min() <= 1
        for first, last in pairwise(bounds):
            nodes = _ranges.nodes_of(first, last, shards)
            tree = _core.ShardTree("float32", 0, shards)
            for shard in range(first, last):
                tree.add(shard, shard + 1, np.empty(0, np.float32), np.zeros(_core.SHARD_SUMS))
            assert nodes == [node[:2] for node in tree.nodes()]


def test_ranges_favour_whole_subtrees():
    assert _ranges.ranges(8, 4) == [0, 2, 4, 6, 8]
    assert _ranges.ranges(11, 4) == [0, 2, 5, 8, 11]
    assert _ranges.ranges(3, 8) == [0, 1, 2, 3, 3, 3, 3, 3, 3]
