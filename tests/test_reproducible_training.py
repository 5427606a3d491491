"""G2 and G3: the same weights whatever the threads and ISA, and after a run was resumed."""

import copy
import hashlib
import pickle

import numpy as np
import pytest
import reference as ref
from exact_runs import FAST_ISAS, HIDDEN, LABELS, numbers, on_scalar
from hypothesis import given, settings
from hypothesis import strategies as st

import cnn
from cnn import _core

# ---- G2: training ------------------------------------------------------------------------------

SETTINGS = {
    "plain": {},
    "dropout": {"dropout": 0.3},
    "l2": {"l2": [0.01, 0.1, 0]},
    "clip_norm": {"clip_norm": 0.1},
    "weights": {"weighted": True},
    "all": {"dropout": [0.2, 0.5], "l2": 0.01, "clip_norm": 0.5, "weighted": True},
}
# Each optimizer plain and with everything; each other setting with one of them.
RUNS = [
    *((kind, "plain", 7) for kind in _core.OPTIMIZERS),
    *((kind, "all", 100) for kind in _core.OPTIMIZERS),
    *(("adam", settings, 7) for settings in ("dropout", "l2", "clip_norm", "weights")),
    *(("adam", "all", size) for size in (1, 7, 300)),
    *(("momentum", "plain", size) for size in (1, 300)),
]
INPUTS, CLASSES = 40, 5
# The scalar set is the slowest; with one thread it is the reference.
MACHINES = [(isa, n) for isa in _core.isas() for n in (1, 2, 3) if isa != "scalar" or n == 3]


def training_data(rows, dtype):
    rng = np.random.default_rng(9)
    x = rng.standard_normal((rows, INPUTS)).astype(dtype)
    return x, rng.integers(0, CLASSES, rows), rng.uniform(0, 2, rows)


def loss_for(weighted):
    weights = np.array([1, 0.5, 2, 0, 1.5]) if weighted else None
    smoothing = 0.1 if weighted else 0.0
    return _core.Loss("cross_entropy", labels=True, class_weight=weights, label_smoothing=smoothing)


def trainer_for(network_of, kind, settings, dtype):
    chosen = SETTINGS[settings]
    built = {k: chosen[k] for k in ("dropout", "l2") if k in chosen}
    sizes = [INPUTS, 230, 70, CLASSES]  # so wide that threads share the updates too
    network = network_of(sizes, ["relu", "tanh"], dtype=dtype, **built)
    clip_norm = chosen.get("clip_norm", 0.0)
    return _core.Trainer(network, kind, **ref.OPTIMIZERS[kind], clip_norm=clip_norm)


def train(trainer, data, settings, batch_size, epochs):
    """Train for epochs (a range), in the order that fit would take."""
    x, t, weights = data
    weighted = SETTINGS[settings].get("weighted", False)
    steps = -(-len(x) // batch_size)
    for epoch in epochs:
        index = _core.permutation(trainer.network.seed, epoch, len(x), 0, len(x))
        rates = np.full(steps, 0.01)
        result = trainer.epoch(
            loss_for(weighted), x, t, weights if weighted else None, index, batch_size, rates
        )
        assert result.finite
        assert result.steps == steps


@pytest.fixture(scope="module")
def trained_weights(network_of, parameters):
    """Return a function that gives the bits of a run on the scalar set and one thread, once."""
    known = {}

    def run(kind, settings, batch_size, dtype):
        trainer = trainer_for(network_of, kind, settings, dtype)
        train(trainer, training_data(rows_for(batch_size), dtype), settings, batch_size, range(2))
        return parameters(trainer.network) + trainer.get_state()

    def find(*case):
        if case not in known:
            known[case] = on_scalar(lambda: run(*case))
        return known[case]

    find.run = run
    return find


def rows_for(batch_size):
    """Return how many rows: a few steps, the last of them smaller."""
    return {1: 5, 7: 24, 100: 220, 300: 310}[batch_size]


@pytest.mark.parametrize(("isa", "threads"), MACHINES)
@pytest.mark.parametrize(("kind", "settings", "batch_size"), RUNS)
def test_training(kind, settings, batch_size, threads, dtype, isa, trained_weights, bits):
    """The weights and the optimizer's state are the same on any instruction set and threads."""
    case = kind, settings, batch_size, dtype
    expected = trained_weights(*case)
    _core.select_isa(isa)
    _core.set_num_threads(threads)
    assert bits(*trained_weights.run(*case)) == bits(*expected)


@pytest.fixture(scope="module")
def wide_weights(network_of, parameters):
    """Return a function that trains a network with more rows and columns than a task has."""

    def run(kind, dtype):
        sizes = [300, 700, 530, CLASSES]
        network = network_of(sizes, ["relu", "tanh"], dtype=dtype, l2=0.01, dropout=0.1)
        clip_norm = 0.1 if kind == "adamw" else 0.0
        trainer = _core.Trainer(network, kind, **ref.OPTIMIZERS[kind], clip_norm=clip_norm)
        x = numbers(1, (20, 300), dtype)
        for _ in range(2):
            trainer.step(LABELS, x, np.arange(20) % CLASSES, None, 0.01)
        return parameters(network)

    return run


@pytest.fixture(scope="module")
def wide_weights_on_scalar(wide_weights):
    known = {
        (kind, name): on_scalar(lambda kind=kind, name=name: wide_weights(kind, np.dtype(name)))
        for kind in ("nesterov", "adamw")
        for name in ("float32", "float64")
    }
    _core.set_num_threads(None)
    return known


@pytest.mark.parametrize(("isa", "threads"), MACHINES)
@pytest.mark.parametrize("kind", ["nesterov", "adamw"])
def test_training_of_wide_layers(
    kind, dtype, wide_weights, wide_weights_on_scalar, isa, threads, bits
):
    expected = wide_weights_on_scalar[kind, dtype.name]
    _core.select_isa(isa)
    _core.set_num_threads(threads)
    assert bits(*wide_weights(kind, dtype)) == bits(*expected)


SWITCHES = {
    "batches": {},
    "trainers": {"trainers": [0, 1, 1, 0, 0, 1]},
    "weights": {"set": True},
    "all": {"trainers": [0, 0, 1, 1, 0, 0], "set": True, "machine": True},
}


@pytest.mark.parametrize("switches", SWITCHES)
def test_changes_between_steps(switches, dtype, network_of, parameters, bits):
    """Batches shrink and grow, weights are set, other trainers and instruction sets step in.

    A trainer keeps packed copies of the weights, which must not be out of date. SGD has no state,
    so that a new trainer can go on at each step.
    """

    def run(change):
        network = network_of([INPUTS, 230, 70, CLASSES], "tanh", dtype=dtype)
        trainers = [_core.Trainer(network, "sgd") for _ in range(2)]
        for i, rows in enumerate((300, 7, 1, 120, 301, 50)):
            if change and "machine" in chosen:
                _core.set_num_threads(3 - i % 3)
                _core.select_isa(_core.isas()[i % len(_core.isas())])
            if "set" in chosen:
                layer = i % 3
                network.set(layer, "weight", network.get(layer, "weight") * dtype.type(0.5))
                if i == 3:
                    network.initialize(2, "torch")
            which = chosen.get("trainers", [0] * 6)[i]
            trainer = trainers[which] if change else _core.Trainer(network, "sgd")
            trainer.step(LABELS, x[:rows], t[:rows], None, 0.1)
        return bits(*parameters(network))

    chosen = SWITCHES[switches]
    x, t, _ = training_data(301, dtype)
    _core.set_num_threads(1)
    assert run(False) == run(True)


def test_single_steps_are_those_of_an_epoch(dtype, network_of, parameters, bits):
    """train_step, one call a batch, and epoch, one call for all of them."""
    x, t, _ = training_data(50, dtype)
    runs = []
    for whole in (True, False):
        trainer = trainer_for(network_of, "adam", "dropout", dtype)
        if whole:
            index = np.arange(50, dtype=np.uintp)
            trainer.epoch(LABELS, x, t, None, index, 20, np.array([0.1, 0.2, 0.3]))
        else:
            for i, lr in ((0, 0.1), (20, 0.2), (40, 0.3)):
                trainer.step(LABELS, x[i : i + 20], t[i : i + 20], None, lr)
        runs.append(bits(*parameters(trainer.network), *trainer.get_state()))
    assert runs[0] == runs[1]


def test_epoch_may_stop_and_go_on(network_of, parameters, bits):
    """An epoch whose time is up ends with a whole step, and goes on from there."""
    x, t, _ = training_data(300, "float32")
    index = _core.permutation(1, 0, 300, 0, 300)
    trainers = [trainer_for(network_of, "adam", "dropout", "float32") for _ in range(2)]
    trainers[0].epoch(LABELS, x, t, None, index, 7, np.full(43, 0.01))
    done = calls = 0
    while done < 300:
        left = index[done:]
        rates = np.full(-(-left.size // 7), 0.01)
        done += trainers[1].epoch(LABELS, x, t, None, left, 7, rates, 1e-9).rows
        calls += 1
    assert calls == 43
    assert bits(*parameters(trainers[0].network)) == bits(*parameters(trainers[1].network))


def test_sequential_trains_to_the_same_bits(threads, isa, bits):
    """Through the public interface: slices of an epoch are cut by time, which must not matter."""

    def run():
        net = cnn.mlp([64, 30, 10], "silu", "softmax", rng=4, dropout=0.1, l2=1e-4)
        history = net.fit(x, t, epochs=2, batch_size=33, optimizer=cnn.Adam(), progress=False)
        weights = [p for layer in net.layers[::2] for p in (layer.weight, layer.bias)]
        return bits(*weights, history["loss"], history["accuracy"])

    x, t = (a[:500] for a in cnn.datasets.load_digits())
    expected = on_scalar(run)
    _core.set_num_threads(threads)
    assert run() == expected


OUTPUTS = {
    "softmax": ["cross_entropy"],
    "sigmoid": ["binary_cross_entropy", "squared_error", "huber"],
    "identity": ["squared_error", "huber", "poisson", "absolute_error", "quantile"],
    "gelu": ["squared_error"],
    "elu": ["huber", "quantile"],
}
any_network = st.fixed_dictionaries(
    {
        "sizes": st.lists(st.integers(1, 70), min_size=2, max_size=5),
        "hidden": st.lists(st.sampled_from(HIDDEN), min_size=4, max_size=4),
        "output": st.sampled_from(sorted(OUTPUTS)),
        "dropout": st.lists(st.sampled_from([0.0, 0.25, 0.9]), min_size=4, max_size=4),
        "l2": st.lists(st.sampled_from([0.0, 0.01]), min_size=4, max_size=4),
        "dtype": st.sampled_from(["float32", "float64"]),
        "seed": st.integers(0, 2**64 - 1),
    }
)


@given(
    any_network,
    st.sampled_from(_core.OPTIMIZERS),
    st.sampled_from([0.0, 0.1]),
    st.integers(1, 310),
    st.integers(1, 310),
    st.integers(1, 4),
    st.data(),
)
@settings(max_examples=30)
def test_any_network(
    network_of, parameters, bits, options, kind, clip_norm, rows, batch_size, threads, data
):
    """Whatever the network, its training, evaluation and outputs are those of the scalar set."""
    layers = len(options["sizes"]) - 1
    options = options | {
        "hidden": options["hidden"][: layers - 1],
        "dropout": options["dropout"][: layers - 1],
        "l2": options["l2"][:layers],
    }
    loss = _core.Loss(data.draw(st.sampled_from(OUTPUTS[options["output"]])))
    rng = np.random.default_rng(rows)
    x = rng.standard_normal((rows, options["sizes"][0]))
    t = rng.uniform(0, 1, (rows, options["sizes"][-1]))
    weights = rng.uniform(0, 1, rows) if rows % 2 else None

    def run():
        network = network_of(**options)
        trainer = _core.Trainer(network, kind, **ref.OPTIMIZERS[kind], clip_norm=clip_norm)
        index = _core.permutation(network.seed, 1, rows, 0, rows)
        rates = np.full(-(-rows // batch_size), 0.01)
        trainer.epoch(loss, x, t, weights, index, batch_size, rates)
        result = network.evaluate(loss, x, t, weights)
        found = [*parameters(network), *trainer.get_state(), network.predict(x)]
        return bits(*found, result.loss_sum, result.correct)

    expected = on_scalar(run)
    for name in FAST_ISAS:
        _core.select_isa(name)
        _core.set_num_threads(threads)
        assert run() == expected, name


# ---- G3: resuming ------------------------------------------------------------------------------


def resume_by_state(trainer, path):
    """Carry the optimizer over by hand."""
    trainer.network.save(path)
    network = _core.Network.load(path)
    made = _core.Trainer(network, trainer.kind, **trainer.options)
    made.set_state(trainer.get_state())
    made.steps = trainer.steps
    return made


def resume_by_file(trainer, path):
    """Have the file carry all of it."""
    trainer.save(path)
    return _core.Trainer.load(path)


def resume_by_snapshot(trainer, path):
    """Go astray and come back."""
    trainer.snapshot()
    train(trainer, training_data(30, trainer.network.dtype), "all", 10, range(50, 51))
    trainer.restore()
    return trainer


@pytest.mark.parametrize("resume", [resume_by_state, resume_by_file, resume_by_snapshot])
@pytest.mark.parametrize("kind", _core.OPTIMIZERS)
def test_resuming(kind, resume, dtype, tmp_path, network_of, parameters, bits):
    data = training_data(120, dtype)
    straight = trainer_for(network_of, kind, "all", dtype)
    train(straight, data, "all", 50, range(6))
    resumed = trainer_for(network_of, kind, "all", dtype)
    train(resumed, data, "all", 50, range(3))
    resumed = resume(resumed, tmp_path / "model.safetensors")
    train(resumed, data, "all", 50, range(3, 6))
    assert resumed.steps == straight.steps
    assert bits(*parameters(resumed.network)) == bits(*parameters(straight.network))
    assert bits(*resumed.get_state()) == bits(*straight.get_state())


PUBLIC_OPTIMIZERS = {
    "sgd": lambda: cnn.SGD(0.05),
    "momentum": lambda: cnn.SGD(0.05, momentum=0.9),
    "nesterov": lambda: cnn.SGD(cnn.StepDecay(0.05, 7), momentum=0.9, nesterov=True),
    "adam": lambda: cnn.Adam(cnn.Warmup(0.01, 12)),
    "adamw": lambda: cnn.AdamW(cnn.CosineDecay(0.01, 25), clip_norm=0.5),
    "rmsprop": lambda: cnn.RMSprop(0.003),
    "adagrad": lambda: cnn.Adagrad(cnn.ExponentialDecay(0.05, 0.99)),
}


def resume_checkpoint(net, optimizer, path):
    net.save(path, optimizer=optimizer)
    return cnn.load_checkpoint(path)


def resume_pickle(net, optimizer, path):
    path.write_bytes(pickle.dumps((net, optimizer)))
    return pickle.loads(path.read_bytes())


def resume_copy(net, optimizer, path):
    return copy.deepcopy((net, optimizer))


@pytest.mark.parametrize("resume", [resume_checkpoint, resume_pickle, resume_copy])
@pytest.mark.parametrize("kind", PUBLIC_OPTIMIZERS)
def test_resuming_fit(kind, resume, tmp_path, bits):
    x, t = (a[:200] for a in cnn.datasets.load_digits())

    def made():
        net = cnn.mlp([64, 20, 15, 10], "elu", "softmax", rng=5, dropout=0.2, l2=1e-3)
        return net, PUBLIC_OPTIMIZERS[kind]()

    def fit(net, optimizer, epochs):
        weight = {0: 2.0, 7: 0.5}
        options = {"batch_size": 64, "class_weight": weight, "progress": False}
        return net.fit(x, t, epochs=epochs, optimizer=optimizer, **options)

    net, optimizer = made()
    straight = fit(net, optimizer, 6)["loss"]
    other, other_optimizer = made()
    halves = list(fit(other, other_optimizer, 3)["loss"])
    other, other_optimizer = resume(other, other_optimizer, tmp_path / "model.safetensors")
    halves += fit(other, other_optimizer, 3)["loss"]
    assert bits(*weights_of(other)) == bits(*weights_of(net))
    assert bits(straight) == bits(halves)
    assert other_optimizer.steps == optimizer.steps == 24
    assert other.epochs == 6


def weights_of(net):
    dense = [layer for layer in net.layers if isinstance(layer, cnn.Dense)]
    return [p for layer in dense for p in (layer.weight, layer.bias)]


# ---- The same bits on other machines -----------------------------------------------------------

# Change these only with CNN_NUMERICS_VERSION, once there is a release. A test that fails shows what
# it found.
GOLDEN = {
    ("sgd", "float32"): "3d6f93449c3e8699",
    ("momentum", "float32"): "4b3cf47d4e27d91a",
    ("nesterov", "float32"): "10d9d14dfe7c7e9b",
    ("adam", "float32"): "aabc1eeef5280b45",
    ("adamw", "float32"): "69928d60b497b9d1",
    ("rmsprop", "float32"): "92a1bab73534975b",
    ("adagrad", "float32"): "38f8da29f53a808e",
    ("sgd", "float64"): "a71e61248bd9bb8a",
    ("momentum", "float64"): "866af4c049b4a9d3",
    ("nesterov", "float64"): "0854069a443f1edd",
    ("adam", "float64"): "31955551db0bc641",
    ("adamw", "float64"): "1328b6387ac84d4f",
    ("rmsprop", "float64"): "9048413b4747c127",
    ("adagrad", "float64"): "aead7917632358c5",
}


# The hidden layers of the network that these hashes are of.
GOLDEN_LAYERS = [
    *("identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "silu", "gelu"),
]


def golden_run(kind, dtype):
    """Train a network with many activations; data are exact in any type.

    One layer is wider than a chunk of k and has more weights than are squared at a time for the
    norm.
    """
    widths = [5, 17, 300, 16, 9, 33, 7, 10, 12, 19]
    layers = [
        _core.LayerSpec("dense", widths[i], widths[i + 1], name, 0.0078125 * (i % 2))
        for i, name in enumerate(GOLDEN_LAYERS)
    ]
    layers.insert(3, _core.LayerSpec("dropout", rate=0.25))
    layers.append(_core.LayerSpec("dense", widths[-1], 3, "softmax"))
    network = _core.Network(layers, dtype=dtype, seed=2024)
    for i, layer in enumerate(layers):
        if layer.kind == "dense":
            network.initialize(i, "he_uniform")
    i, j = np.arange(600)[:, None], np.arange(5)
    x, t = (i * 37 + j * 11 + i * i * (j + 1)) % 64 / 32 - 1, np.arange(600) * 7 % 13 % 3
    loss = _core.Loss("cross_entropy", labels=True, label_smoothing=0.125)
    trainer = _core.Trainer(network, kind, **ref.OPTIMIZERS[kind], clip_norm=0.125)
    index = _core.permutation(network.seed, 0, 600, 0, 600)
    for size in (300, 64):
        result = trainer.epoch(loss, x, t, None, index, size, np.full(10, 0.015625))
        assert result.finite
    return network


@pytest.mark.parametrize("kind", _core.OPTIMIZERS)
def test_golden(kind, dtype, isa, parameters, bits):
    found = hashlib.sha256(bits(*parameters(golden_run(kind, dtype)))).hexdigest()[:16]
    assert GOLDEN.get((kind, dtype.name)) == found


# Those activations that the layers above do not have.
GOLDEN_FUNCTIONS = [
    *((name, 0.0) for name in ("mish", "selu", "hard_sigmoid", "hard_swish", "relu6", "softsign")),
    *(("exponential", 0.0), ("leaky_relu", 0.3), ("elu", 2.5)),
]


def golden_activations(dtype, functions):
    """Return what activations and derivatives make of numbers that are exact in any type."""
    x = np.arange(-4000, 4000).astype(dtype) / 128
    parts = []
    for name, alpha in functions:
        y = _core.activation(name, x, None, alpha)
        source = x if name in _core.NEEDS_INPUT else y
        parts += [y, _core.activation_backward(name, np.ones_like(x), source, None, alpha)]
    return parts


GOLDEN_ACTIVATIONS = {"float32": "8488eb65fb89987b", "float64": "ca33ce890f1fec78"}


GOLDEN_GELU_TANH = {"float32": "56f0d3c9e8e78317", "float64": "f8ffde68c571e721"}


@pytest.mark.parametrize(
    ("functions", "expected"),
    [(GOLDEN_FUNCTIONS, GOLDEN_ACTIVATIONS), ([("gelu_tanh", 0.0)], GOLDEN_GELU_TANH)],
)
def test_golden_activations(functions, expected, dtype, isa, bits):
    found = hashlib.sha256(bits(*golden_activations(dtype, functions))).hexdigest()[:16]
    assert found == expected[dtype.name]
