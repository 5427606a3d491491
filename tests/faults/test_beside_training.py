"""A network that several threads use while one of them trains it or sets its weights.

Each answer must be that of the weights after a whole step or a whole set_weights, to the last bit.
"""

import copy
import pickle
import threading
import time
import warnings
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from marks import slow

import cnn
import cnn.tabular._model
from cnn import _core
from cnn._training import sparse

OUTPUTS, STEPS = 5, 8
BUSY = "the network is being trained by another thread"


class Case:
    """Samples and networks of a size."""

    def __init__(self, width, batch_size):
        self.width, self.batch_size = width, batch_size
        rng = np.random.default_rng(0)
        rows = STEPS * batch_size
        self.x = rng.standard_normal((rows, 20)).astype(np.float32)
        self.t = rng.integers(0, OUTPUTS, rows)
        self.few = self.x[:3].copy()

    def net(self):
        return cnn.mlp([20, self.width, self.width, OUTPUTS], "tanh", "softmax", rng=0)

    def after_each_step(self, epochs, ask):
        """Return all answers that are right beside a fit of some epochs."""
        net, loss = self.net(), _core.Loss("cross_entropy", labels=True)
        trainer = _core.Trainer(net._network, "adam", beta1=0.9, beta2=0.999, eps=1e-8)
        found = [ask(net)]
        for epoch in range(epochs):
            order = _core.permutation(net.seed, epoch, len(self.x), 0, len(self.x))
            for part in np.split(order, STEPS):
                trainer.epoch(loss, self.x, self.t, None, part, self.batch_size, np.full(1, 1e-3))
                found.append(ask(net))
        return found


CASES = {"one slice": (30, 16), "long steps": (300, 256)}


def bits(arrays):
    return b"".join(array.tobytes() for array in arrays)


def weights(net):
    return bits(net.get_weights())


def saved(net, folder):
    """The weights of a file that one thread saves beside the others."""
    path = Path(folder, f"{threading.get_ident()}.safetensors")
    net.save(path)
    return weights(cnn.load(path))


def gone_back(case, net):
    """Forward and backward, between which a step may be made: then backward must say so."""
    y = net.forward(case.few)
    try:
        return y.tobytes() + net.backward(y).dx.tobytes()
    except ValueError as error:
        if "the weights have changed since the forward" not in str(error):
            raise
        return y.tobytes()


READERS = {
    "predict": lambda case, net, _: net.predict(case.few).tobytes(),
    "predict many": lambda case, net, _: net.predict(case.x).tobytes(),
    "predict a stream": lambda case, net, _: net.predict(iter(np.split(case.x, 4))).tobytes(),
    "evaluate": lambda case, net, _: repr(net.evaluate(case.x, case.t)).encode(),
    "evaluate with metrics": lambda case, net, _: repr(
        net.evaluate(case.x, case.t, metrics=["log_loss"])
    ).encode(),
    "evaluate a stream": lambda case, net, _: repr(
        net.evaluate(zip(np.split(case.x, 4), np.split(case.t, 4), strict=True))
    ).encode(),
    "gradients": lambda case, net, _: net.gradients(case.few, case.t[:3])[1][0].weight.tobytes(),
    "vjp": lambda case, net, _: net.vjp(case.few, np.ones((3, OUTPUTS)))[1].tobytes(),
    "activations": lambda case, net, _: bits(net.activations(case.few)),
    "jacobian": lambda case, net, _: net.jacobian(case.few).tobytes(),
    "get_weights": lambda case, net, _: weights(net),
    "copy": lambda case, net, _: weights(copy.deepcopy(net)),
    "pickle": lambda case, net, _: weights(pickle.loads(pickle.dumps(net))),
    "save": lambda case, net, folder: saved(net, folder),
    "a header in C": lambda case, net, folder: Path(
        net.to_c(Path(folder, f"{threading.get_ident()}.h"), name="net") or folder,
        f"{threading.get_ident()}.h",
    ).read_bytes(),
}


def sizes():
    """Yield the cases, names of readers, epochs and numbers of readers."""
    for name in READERS:
        # Headers in C take the longest, and are written from a copy as all exports are.
        quick = [] if name != "a header in C" else [pytest.mark.slow]
        yield pytest.param("long steps", name, 2, 1, marks=quick)
        many = ("one slice", 2) if quick else ("long steps", 25)
        yield pytest.param("one slice", name, 25, 3, marks=pytest.mark.slow)
        yield pytest.param(many[0], name, many[1], 2, marks=pytest.mark.slow)


@pytest.mark.parametrize(("case", "name", "epochs", "readers"), [*sizes()])
def test_no_answer_beside_fit_is_torn(name, epochs, readers, case, tmp_path):
    case = Case(*CASES[case])

    def ask(net):
        return READERS[name](case, net, tmp_path)

    right = {*case.after_each_step(epochs, ask)}
    assert len(right) > epochs
    net, done = case.net(), threading.Event()
    seen = [[] for _ in range(readers)]

    def read(answers):
        while not done.is_set():
            answers.append(ask(net))

    threads = [threading.Thread(target=read, args=(answers,)) for answers in seen]
    for thread in threads:
        thread.start()
    try:
        net.fit(
            case.x,
            case.t,
            epochs=epochs,
            batch_size=case.batch_size,
            optimizer=cnn.Adam(),
            progress=False,
        )
    finally:
        done.set()
        for thread in threads:
            thread.join()
    for answers in seen:
        answers.append(ask(net))
        assert answers
        assert {*answers} <= right


def table_model(case):
    """A model of a table that is predicted in blocks: the model, its network, questions."""
    table = {f"c{i}": column for i, column in enumerate(case.x.T)}
    few = {name: column[:100] for name, column in table.items()}
    labels = case.t.astype(str)
    model = cnn.tabular.TableModel.fit(
        table | {"t": labels}, target="t", hidden=[case.width], epochs=1, hold_out=0, rng=0
    )
    return (
        model,
        lambda model: model.net,
        {
            "predict": lambda model: model.predict(few).tolist(),
            "predict_proba": lambda model: model.predict_proba(few).tobytes(),
            "evaluate": lambda model: model.evaluate(few | {"t": labels[:100]}),
        },
    )


def estimator(case):
    """An estimator that is asked for sparse rows, which it predicts in blocks."""
    scipy_sparse = pytest.importorskip("scipy.sparse")
    model = pytest.importorskip("cnn.sklearn").MLPClassifier(
        [case.width], max_iter=1, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch is too few
        model.fit(case.x, case.t)
    few = scipy_sparse.csr_array(case.x[:100])
    return (
        model,
        lambda model: model.net_,
        {
            "predict": lambda model: model.predict(few).tobytes(),
            "predict_proba": lambda model: model.predict_proba(few).tobytes(),
            "score": lambda model: model.score(few, case.t[:100]),
            "coefs_": lambda model: bits(model.coefs_),
        },
    )


@pytest.mark.parametrize("make", [table_model, estimator])
def test_answers_of_several_calls_are_of_one_time(make, monkeypatch):
    """Models that predict block by block, while their network is trained."""
    monkeypatch.setattr(cnn.tabular._model, "_BLOCK", 8)
    monkeypatch.setattr(sparse, "BLOCK_NUMBERS", 160)
    case = Case(300, 64)
    model, net_of, questions = make(case)

    def ask(model, name):
        return name, repr(questions[name](model))

    def steps(model):
        net, optimizer = net_of(model), cnn.Adam()
        for rows in np.split(np.arange(len(case.x)), 64):
            net.train_step(case.x[rows], case.t[rows], optimizer=optimizer)
            yield

    twin = copy.deepcopy(model)
    right = {ask(twin, name) for name in questions}
    for _ in steps(twin):
        right |= {ask(twin, name) for name in questions}
    done, seen = threading.Event(), []

    def read():
        while not done.is_set():
            seen.extend(ask(model, name) for name in questions)

    thread = threading.Thread(target=read)
    thread.start()
    for _ in steps(model):
        time.sleep(0.002)  # about the time of an answer, so that steps are made within them
    done.set()
    thread.join()
    assert len({*seen}) > len(questions)
    assert {*seen} <= right


def test_forward_and_backward_beside_fit_belong_together():
    """A step between the two is an error of backward, not gradients of two networks."""
    case = Case(300, 64)
    right = {*case.after_each_step(3, lambda net: gone_back(case, net))}
    forward = {*case.after_each_step(3, lambda net: net.predict(case.few).tobytes())}
    net, done, seen = case.net(), threading.Event(), []

    def read():
        while not done.is_set():
            seen.append(gone_back(case, net))

    thread = threading.Thread(target=read)
    thread.start()
    net.fit(case.x, case.t, epochs=3, batch_size=64, optimizer=cnn.Adam(), progress=False)
    done.set()
    thread.join()
    assert {*seen} <= right | forward


def test_a_checkpoint_beside_fit_is_of_one_time(tmp_path):
    """Weights, state and number of steps in a file, and in a copy of the optimizer."""
    case = Case(300, 64)
    net, optimizer = case.net(), cnn.Adam()
    by_steps, made = {}, case.net()

    def state(optimizer):
        return b"".join(slot.tobytes() for slot in optimizer.__getstate__()["_waiting"].slots)

    # One step before, so that the optimizer belongs to the network.
    for one, adam in ((net, optimizer), (made, cnn.Adam())):
        one.train_step(case.x[:64], case.t[:64], optimizer=adam)
        if one is made:
            twin = adam
    order = [
        _core.permutation(0, epoch, len(case.x), 0, len(case.x)).reshape(STEPS, -1)
        for epoch in range(4)
    ]
    by_steps[1] = weights(made), state(twin)
    for rows in np.concatenate(order):
        made.train_step(case.x[rows], case.t[rows], optimizer=twin)
        by_steps[twin.steps] = weights(made), state(twin)
    done, path = threading.Event(), tmp_path / "model.safetensors"

    def read():
        while not done.is_set():
            net.save(path, optimizer=optimizer)
            loaded, adam = cnn.load_checkpoint(path)
            assert (weights(loaded), state(adam)) == by_steps[adam.steps]
            found = copy.deepcopy(optimizer)
            assert state(found) == by_steps[found.steps][1]

    failed = []

    def guarded():
        try:
            read()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    net.fit(case.x, case.t, epochs=4, batch_size=64, optimizer=optimizer, progress=False)
    done.set()
    thread.join()
    assert failed == []
    assert (weights(net), state(optimizer)) == by_steps[1 + 4 * STEPS]


@pytest.mark.parametrize("seconds", [0.3, *slow(10)])
@pytest.mark.parametrize("name", ["predict", "predict many", "get_weights", "copy", "evaluate"])
def test_set_weights_is_seen_whole(name, seconds, tmp_path):
    case = Case(300, 64)
    nets = [case.net(), cnn.mlp([20, 300, 300, OUTPUTS], "tanh", "softmax", rng=1)]
    given = [net.get_weights() for net in nets]
    right = {READERS[name](case, net, tmp_path) for net in nets}
    assert len(right) == 2
    net, done, failed = case.net(), threading.Event(), []

    def read():
        while not done.is_set():
            if READERS[name](case, net, tmp_path) not in right:
                failed.append(name)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    for i in count():
        net.set_weights(given[i % 2])
        if time.monotonic() > end:
            break
    done.set()
    for thread in threads:
        thread.join()
    assert i > 0
    assert failed == []


def test_mean_and_scale_are_set_together():
    x = np.random.default_rng(0).standard_normal((5, 3))
    layers = [cnn.Standardize(3), cnn.Dense(3, 2)]
    net = cnn.Sequential(layers, rng=0)
    right = set()
    for scale in (1.0, 8.0):
        net.layers[0].adapt(scale * x)
        right.add(net.predict(x).tobytes())
    assert len(right) == 2
    done, failed = threading.Event(), []

    def read():
        while not done.is_set():
            if net.predict(x).tobytes() not in right:
                failed.append(1)

    thread = threading.Thread(target=read)
    thread.start()
    for i in range(300):
        net.layers[0].adapt((1.0, 8.0)[i % 2] * x)
    done.set()
    thread.join()
    assert failed == []


@pytest.mark.parametrize("seconds", [0.5, *slow(10)])
def test_changes_beside_fit_are_refused_or_whole(seconds):
    """set_weights, train_step and fit of another thread: an error, or between two slices of fit."""
    case = Case(300, 256)
    net, done = case.net(), threading.Event()
    refused, made, failed = [0], [0], []
    own = case.net().get_weights()

    class Stop(cnn.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.stop_training = done.is_set()

    def change():
        other = cnn.SGD(0.0)
        calls = [
            lambda: net.set_weights(own),
            lambda: net.train_step(case.few, case.t[:3], optimizer=other),
            lambda: setattr(net.layers[0], "bias", own[1]),
        ]
        try:
            for i in count():
                try:
                    calls[i % 3]()
                    made[0] += 1
                except RuntimeError as error:
                    if BUSY not in str(error):
                        raise
                    refused[0] += 1
                if done.is_set():
                    return
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=change)
    thread.start()
    end = time.monotonic() + seconds
    fits = 0
    while time.monotonic() < end:
        try:
            net.fit(case.x, case.t, epochs=2, batch_size=256, callbacks=[Stop()], progress=False)
        except RuntimeError as error:
            if BUSY not in str(error):
                raise
        fits += 1
    done.set()
    thread.join()
    assert failed == []
    assert fits > 0
    assert refused[0] > 0
    assert all(np.isfinite(array).all() for array in net.get_weights())


def test_a_reader_gets_its_turn_and_so_does_training():
    """Neither waits for ever: readers that never pause, and a fit without an end."""
    case = Case(300, 256)
    net, done = case.net(), threading.Event()
    answers = [0] * 4

    def read(i):
        while not done.is_set():
            net.predict(case.x)
            answers[i] += 1

    threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    optimizer = cnn.Adam()
    net.fit(case.x, case.t, epochs=4, batch_size=256, optimizer=optimizer, progress=False)
    done.set()
    for thread in threads:
        thread.join()
    assert optimizer.steps == 4 * STEPS
    assert min(answers) > 0


def test_errors_beside_readers_leave_the_network_free():
    """A call that fails does not keep the network from being changed."""
    case = Case(30, 16)
    net = case.net()
    core = net._network
    for call in (
        lambda: core.get_all([(0, "weight"), (0, "mean")]),
        lambda: core.get(9, "weight"),
        lambda: core.set_all([(0, "weight", np.zeros((20, 30))), (1, "mean", np.zeros(3))]),
        lambda: net.save("/nowhere/model.safetensors"),
        lambda: net.predict(np.zeros((2, 3))),
        lambda: net.gradients(case.x, case.t, loss="huber"),
    ):
        with pytest.raises((ValueError, OSError)):
            call()
    before = weights(net)
    net.fit(case.x, case.t, progress=False)
    assert weights(net) != before


def test_all_or_none_are_set():
    net = cnn.Sequential([cnn.Standardize(3), cnn.Dense(3, 2)], rng=0)
    core = net._network
    net.layers[0].adapt(np.random.default_rng(0).standard_normal((9, 3)))
    before = core.get_all([(0, "mean"), (0, "scale"), (1, "weight")])
    with pytest.raises(ValueError, match="scale"):
        core.set_all(
            [
                (1, "weight", np.ones((3, 2))),
                (0, "mean", np.ones(3)),
                (0, "scale", np.array([1.0, 0.0, 1.0])),
            ]
        )
    after = core.get_all([(0, "mean"), (0, "scale"), (1, "weight")])
    assert [a.tobytes() for a in after] == [b.tobytes() for b in before]
