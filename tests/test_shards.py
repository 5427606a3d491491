"""Sums over shards in the fixed tree, and steps on them, whole and in slices."""

import copy
import itertools
import math

import numpy as np
import pytest

import cnn
from cnn import _core
from cnn.losses import resolve
from cnn.sequential import network_of

DTYPES = ["float32", "float64"]


def tree_sum(parts):
    """Add arrays level by level: neighbours in pairs, an odd one carried."""
    parts = list(parts)
    while len(parts) > 1:
        pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
        parts = [pair[0] + pair[1] if len(pair) == 2 else pair[0] for pair in pairs]
    return parts[0]


def complete_nodes(first, last, shards):
    """The nodes of a range of shards: from the left, the largest that begins there and fits."""
    while first < last:
        size = 1
        while first % (2 * size) == 0 and min(first + 2 * size, shards) <= last and size < shards:
            size *= 2
        yield first, min(first + size, shards)
        first = min(first + size, shards)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shards", [1, 2, 3, 5, 6, 7, 8, 11, 12, 16, 21])
def test_tree_adds_in_the_fixed_order(dtype, shards):
    rng = np.random.default_rng(shards)
    vectors = (
        rng.standard_normal((shards, 40_003)) * 10.0 ** rng.integers(-3, 4, (shards, 1))
    ).astype(dtype)
    sums = rng.standard_normal((shards, _core.SHARD_SUMS))
    expected, expected_sums = tree_sum(vectors), tree_sum(sums)
    for ranks in range(1, shards + 2):
        bounds = [shards * rank // ranks for rank in range(ranks + 1)]
        whole = _core.ShardTree(dtype, vectors.shape[1], shards)
        for first, last in itertools.pairwise(bounds):
            own = _core.ShardTree(dtype, vectors.shape[1], shards)
            for shard in range(first, last):
                own.add(shard, shard + 1, vectors[shard], sums[shard])
            nodes = own.nodes()
            assert [node[:2] for node in nodes] == list(complete_nodes(first, last, shards))
            for node in nodes:
                whole.add(*node)
        ((first, last, vector, found),) = whole.nodes()
        assert (first, last) == (0, shards)
        assert vector.tobytes() == expected.tobytes()
        assert found.tobytes() == expected_sums.tobytes()


def test_tree_of_sums_alone_and_reset():
    tree = _core.ShardTree("float32", 0, 3)
    none = np.empty(0, np.float32)
    for _ in range(2):
        for shard in range(3):
            tree.add(shard, shard + 1, none, np.full(5, shard + 0.5))
        assert tree.nodes()[0][3].tolist() == [4.5] * 5
        tree.reset()
        assert tree.nodes() == []


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (1, 3, "shards 1 to 2 of 6 are no node of the tree"),
        (0, 3, "shards 0 to 2 of 6 are no node of the tree"),
        (5, 5, "a node has shards 5 to 5 - 1, should have at least one of 6"),
        (4, 7, "a node has shards 4 to 7 - 1, should have at least one of 6"),
        (4, 6, "the node begins with shard 4, should with 2"),
    ],
)
def test_tree_refuses_what_is_no_next_node(first, last, message):
    tree = _core.ShardTree("float64", 2, 6)
    tree.add(0, 2, np.ones(2), np.ones(5))
    with pytest.raises(ValueError, match=message):
        tree.add(first, last, np.ones(2), np.ones(5))
    assert [node[:2] for node in tree.nodes()] == [(0, 2)]


def test_tree_refuses_other_vectors():
    tree = _core.ShardTree("float32", 4, 2)
    for vector in (np.ones(4), np.ones((2, 2), np.float32), np.ones(8, np.float32)[::2]):
        with pytest.raises(ValueError, match="should be a contiguous, writable vector"):
            tree.add(0, 1, vector, np.ones(5))
    with pytest.raises(ValueError, match="vector has 3 numbers, should have 4"):
        tree.add(0, 1, np.ones(3, np.float32), np.ones(5))
    with pytest.raises(ValueError, match="sums has 4 numbers, should have 5"):
        tree.add(0, 1, np.ones(4, np.float32), np.ones(4))
    with pytest.raises(TypeError, match="should be float32 or float64"):
        _core.ShardTree("int32", 4, 2)
    with pytest.raises(ValueError, match="shards is 0, should be 1 to"):
        _core.ShardTree("float32", 4, 0)


# ---- Steps -------------------------------------------------------------------------------------

SIZES = [37, 150, 90, 4]  # more than one block of squares in a tensor


def a_net(dtype, l2=0.0, rate=0.0, seed=3):
    layers = [cnn.Dense(SIZES[0], SIZES[1], "relu", l2=l2), cnn.Dense(SIZES[1], SIZES[2], "tanh")]
    if rate:
        layers.append(cnn.Dropout(rate))
    return cnn.Sequential(
        [*layers, cnn.Dense(SIZES[2], SIZES[3], "softmax", l2=l2)], rng=seed, dtype=dtype
    )


def some_rows(count):
    rng = np.random.default_rng(8)
    x = rng.standard_normal((count, SIZES[0]))
    return x, rng.integers(0, SIZES[3], count), rng.uniform(0.2, 3.0, count)


def a_trainer(net, optimizer):
    return cnn.optimizers.bound("fit", optimizer, network_of(net))


def compiled(net, class_weight=None):
    loss = resolve("fit", None, network_of(net).activation, net.outputs)
    return loss.compiled(labels=True, class_weight=class_weight)


def summed(net, trainer, rows, ranges, loss=None):
    """The one node of all shards, whose rows are the ranges."""
    x, t, weight = rows
    tree = _core.ShardTree(net.dtype, network_of(net).parameter_count, len(ranges))
    for shard, index in enumerate(ranges):
        _core.shard_gradient(
            trainer, loss or compiled(net), x, t, weight, np.asarray(index, np.uintp), shard, tree
        )
    return tree.nodes()[0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_mean_of_the_sums_is_the_gradient(dtype):
    net = a_net(dtype, l2=0.01)
    network, rows = network_of(net), some_rows(120)
    ranges = [range(0, 50), range(50, 50), range(50, 63), range(63, 120)]
    _, _, gradient, sums = summed(net, a_trainer(net, cnn.SGD()), rows, ranges)
    _core.shard_mean(network, gradient, 0, sums)
    exact = a_net("float64", l2=0.01)
    exact.set_weights([w.astype("float64") for w in net.get_weights()])
    value, layers = exact.gradients(rows[0], rows[1], sample_weight=rows[2])
    expected = np.concatenate([np.ravel(part) for g in layers for part in (g.weight, g.bias)])
    # 120 products a sum, of numbers of at most 30, each rounded once or twice on its way.
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=120 * 30 * eps)
    assert math.isclose(_core.shard_loss(network, sums), value, rel_tol=300 * eps)
    assert sums[1] == pytest.approx(rows[2].sum(), rel=1e-14)
    assert sums[2] == sums[4] == 120
    assert sums[3] == round(net.evaluate(rows[0], rows[1])["accuracy"] * 120)


def test_sums_do_not_depend_on_what_else_a_shard_holds():
    net = a_net("float32", rate=0.3)
    x, t, weight = some_rows(64)
    index = np.array([5, 60, 7, 7, 33], np.uintp)
    found = []
    for part in ((x, t, weight, index), (x[index], t[index], weight[index], None)):
        tree = _core.ShardTree("float32", network_of(net).parameter_count, 9)
        _core.shard_gradient(a_trainer(net, cnn.SGD()), compiled(net), *part, 4, tree)
        ((_, _, gradient, sums),) = tree.nodes()
        found.append(gradient.tobytes() + sums.tobytes())
    assert found[0] == found[1]


def test_dropout_is_of_the_shard():
    net = a_net("float64", rate=0.5)
    trainer, found = a_trainer(net, cnn.SGD()), set()
    x, t, weight = some_rows(20)
    for shard in (0, 1, 2, 2):
        tree = _core.ShardTree("float64", network_of(net).parameter_count, 3)
        _core.shard_gradient(trainer, compiled(net), x, t, weight, None, shard, tree)
        found.add(tree.nodes()[0][2].tobytes())
    assert len(found) == 3
    # A shard alone is a network of its own seed.
    other = a_net("float64", rate=0.5, seed=_core.shard_seed(net.seed, 2))
    other.set_weights(net.get_weights())
    _, layers = other.gradients(x, t, sample_weight=weight, dropout_step=0)
    ((_, _, gradient, sums),) = tree.nodes()
    expected = np.concatenate(
        [np.ravel(p) for g in layers if g is not None for p in (g.weight, g.bias)]
    )
    np.testing.assert_allclose(gradient / sums[1], expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "optimizer",
    [
        "SGD(lr=0.1)",
        "SGD(lr=0.1, momentum=0.9, clip_norm=0.05)",
        "SGD(lr=0.1, momentum=0.9, nesterov=True)",
        "Adam(lr=0.01)",
        "AdamW(lr=0.01, clip_norm=0.02)",
        "RMSprop(lr=0.01)",
        "Adagrad(lr=0.01)",
    ],
)
def test_slices_make_the_step_of_the_whole(dtype, optimizer):
    rows = some_rows(90)
    ranges = [range(0, 40), range(40, 90)]
    weights = []
    for parts in (0, 1, 2, 3, 7, 40):
        net = a_net(dtype, l2=0.02)
        network = network_of(net)
        made = eval(f"cnn.{optimizer}")
        trainer = a_trainer(net, made)
        values = np.empty(network.parameter_count, dtype)
        for _ in range(3):
            _, _, gradient, sums = summed(net, trainer, rows, ranges)
            if parts == 0:  # a step on the mean without penalties
                trainer.apply((gradient.astype(float) / sums[1]).astype(dtype), True, made.lr)
                continue
            bounds = _core.shard_slices(network, parts)
            assert bounds[0] == 0
            assert bounds[-1] == network.parameter_count
            slices = [
                (first, gradient[first:last].copy(), values[first:last])
                for first, last in itertools.pairwise(bounds)
            ]
            for first, part, _ in slices:
                _core.shard_mean(network, part, first, sums)
            squares = [_core.shard_squares(network, part, first) for first, part, _ in slices]
            blocks = [_core.shard_blocks(network, first, part.size) for first, part, _ in slices]
            assert [each.size for each in squares] == blocks
            clip = _core.shard_clip(trainer, np.concatenate(squares))
            assert clip is not None
            assert (clip < 1) == ("clip_norm" in optimizer)
            for first, part, to in slices:
                _core.shard_step(trainer, part, first, clip, made.lr, to)
            _core.shard_finish(trainer, values)
        assert trainer.steps == 3
        state = b"".join(slot.tobytes() for slot in trainer.get_state())
        weights.append(b"".join(w.tobytes() for w in net.get_weights()) + state)
        assert net.predict(rows[0]).tobytes() == copy.deepcopy(net).predict(rows[0]).tobytes()
    assert len(set(weights)) == 1


def test_evaluated_sums():
    net = a_net("float32", l2=0.1)
    x, t, weight = some_rows(50)
    result = network_of(net).evaluate(compiled(net), x, t, weight, "evaluate")
    sums = _core.shard_sums(result)
    assert _core.shard_loss(network_of(net), sums) == pytest.approx(result.loss, rel=1e-14)
    assert sums[1:].tolist() == [result.weight_sum, 50, result.correct, 50]


def test_bad_shards():
    net = a_net("float32")
    trainer, network = a_trainer(net, cnn.SGD()), network_of(net)
    x, t, weight = some_rows(6)
    tree = _core.ShardTree("float32", network.parameter_count, 2)
    bad = x.copy()
    bad[4, 2] = np.nan
    for args, error, message in [
        ((bad, t, weight, None, 0, tree), FloatingPointError, "x has nan in row 4, column 2"),
        ((x, t + 9, weight, None, 0, tree), ValueError, "label"),
        ((x, t, weight, np.array([6], np.uintp), 0, tree), ValueError, "index has row 6"),
        ((x, t, weight, None, 2, tree), ValueError, "shard is 2, should be less than 2"),
        ((x[:, 1:], t, weight, None, 0, tree), ValueError, "x has 36 columns"),
        ((x, t, weight, None, 0, _core.ShardTree("float64", 4, 2)), ValueError, "tree has vectors"),
    ]:
        with pytest.raises(error, match=message):
            _core.shard_gradient(trainer, compiled(net), *args)
    assert tree.nodes() == []
    gradient = np.zeros(network.parameter_count, "float32")
    with pytest.raises(ValueError, match="the weights add up to 0, should be at least 1e-270"):
        _core.shard_mean(network, gradient, 0, np.zeros(5))
    with pytest.raises(ValueError, match="first is 1 and count is"):
        _core.shard_mean(network, gradient, 1, np.ones(5))
    with pytest.raises(ValueError, match="should be of a slice of cnn_shard_slice"):
        _core.shard_squares(network, gradient[5:9].copy(), 5)
    with pytest.raises(ValueError, match="clip is 2, should be in"):
        _core.shard_step(trainer, gradient, 0, 2.0, 0.1, gradient.copy())
    with pytest.raises(ValueError, match="lr is nan"):
        _core.shard_step(trainer, gradient, 0, 1.0, math.nan, gradient.copy())
    with pytest.raises(ValueError, match="count is 3, should be"):
        _core.shard_finish(trainer, np.zeros(3, "float32"))
    assert _core.shard_slices(network, 1) == [0, network.parameter_count]
    assert trainer.steps == 0
