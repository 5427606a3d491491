"""The hashes of tests/c/reproduce, computed again through the Python API."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

import cnn

REPRODUCE = Path(__file__).parent / "c" / "reproduce"
SEED = 20260101
OPTIMIZERS = {
    "sgd": lambda **kw: cnn.SGD(0.01, **kw),
    "momentum": lambda **kw: cnn.SGD(0.01, momentum=0.9, **kw),
    "nesterov": lambda **kw: cnn.SGD(0.01, momentum=0.9, nesterov=True, **kw),
    "adam": lambda **kw: cnn.Adam(0.01, eps=1e-8, **kw),
    "adamw": lambda **kw: cnn.AdamW(0.01, eps=1e-8, weight_decay=0.01, **kw),
    "rmsprop": lambda **kw: cnn.RMSprop(0.01, alpha=0.99, eps=1e-8, **kw),
    "adagrad": lambda **kw: cnn.Adagrad(0.01, eps=1e-8, **kw),
}
LOSSES = {
    "squared_error": cnn.SquaredError,
    "cross_entropy": cnn.CrossEntropy,
    "binary_cross_entropy": cnn.BinaryCrossEntropy,
    "huber": cnn.Huber,
    "poisson": cnn.Poisson,
}
DEFAULTS = {"inputs": "31", "rows": "60", "batch": "25", "epochs": "2"}


def read_list(name):
    """Return the arguments of each line of a list of macros."""
    text = (REPRODUCE / name).read_text()
    return [re.findall(r'"([^"]*)"', line) for line in re.findall(r"^[A-Z]+\(.*\)$", text, re.M)]


RUNS = dict(read_list("runs.inc"))
EXPECTED = {(name, dtype): weights for name, dtype, weights, _ in read_list("expected.inc")}
# cnn.distributed trains in shards, with communicators: test_distributed.py.
WITHOUT_SHARDS = [name for name, text in RUNS.items() if "shards=" not in text]


def mixed(h):
    """Return MurmurHash3's last step of whole numbers below 2**32."""
    h = np.asarray(h, np.uint64)
    h = ((h ^ h >> 16) * 0x85EBCA6B) & 0xFFFFFFFF
    h = ((h ^ h >> 13) * 0xC2B2AE35) & 0xFFFFFFFF
    return h ^ h >> 16


def sample_numbers(stream, count):
    """Return multiples of 2**-23 from 0 to 1."""
    places = (np.arange(count, dtype=np.uint64) + stream * 0x9E3779B9) & 0xFFFFFFFF
    return ((mixed(places) >> 9) / 2**23).astype(np.float32)


def split(text):
    """Return the first word of a value with parts, and the others by their names."""
    first, *parts = text.split(":")
    return first, dict(part.split("=") if "=" in part else (part, True) for part in parts)


def made(settings, dtype):
    """Return the network of a run."""
    layers, width = [], int(settings["inputs"])
    init = settings.get("init", "torch")
    for text in settings["layers"].split(","):
        kind, *parts = text.split(":")
        if kind == "dropout":
            layers.append(cnn.Dropout(float(parts[0])))
        elif kind == "standardize":
            mean = sample_numbers(6, width) - np.float32(0.5)
            scale = sample_numbers(7, width) + np.float32(0.25)
            layers.append(cnn.Standardize(mean=mean, scale=scale))
        else:
            outputs, activation, *rest = parts
            rest = dict(part.split("=") for part in rest)
            if "alpha" in rest:
                number = float(rest["alpha"])
                activation = {"leaky_relu": cnn.activations.LeakyReLU, "elu": cnn.activations.ELU}[
                    activation
                ](number)
            initializer = cnn.uniform(0.1) if init == "uniform" else init
            options = {"init": initializer, "l2": float(rest.get("l2", 0))}
            layers.append(cnn.Dense(width, int(outputs), activation, **options))
            width = int(outputs)
    return cnn.Sequential(layers, rng=SEED, dtype=dtype)


def trained(settings, dtype):
    """Return the network of a run after it was trained, and its samples."""
    rows, inputs = int(settings["rows"]), int(settings["inputs"])
    net = made(settings, dtype)
    x = sample_numbers(1, rows * inputs) - np.float32(0.5)
    if "zeros" in settings:
        x[mixed(np.arange(rows * inputs)) % 6 > 0] = 0
    x = x.reshape(rows, inputs)
    kind, loss = split(settings["loss"])
    labels = loss.pop("labels", False)
    classes = loss.pop("classes", False)
    options = {"delta": "delta", "smoothing": "label_smoothing"}
    made_loss = LOSSES[kind](**{options[name]: float(value) for name, value in loss.items()})
    t = (
        (mixed(np.arange(rows)) % net.outputs).astype(np.int64)
        if labels
        else sample_numbers(2, rows * net.outputs).reshape(rows, net.outputs)
    )
    kind, optimizer = split(settings.get("optimizer", "adam"))
    clip = {"clip_norm": float(optimizer["clip"])} if optimizer else {}
    weight = 2 * sample_numbers(3, rows)
    weight[np.arange(rows) % 7 == 3] = 0
    net.fit(
        x,
        t,
        epochs=int(settings["epochs"]),
        batch_size=int(settings["batch"]),
        optimizer=OPTIMIZERS[kind](**clip),
        loss=made_loss,
        sample_weight=weight if "weights" in settings else None,
        class_weight=dict(enumerate([1, 0.5, 2, 0, 1.5][: net.outputs])) if classes else None,
        progress=False,
    )
    return net, x


@pytest.mark.filterwarnings("ignore:fit. the derivative of step:UserWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", WITHOUT_SHARDS)
def test_hash(name, dtype):
    settings = DEFAULTS | dict(word.split("=", 1) for word in RUNS[name].split())
    net, x = trained(settings, dtype)
    found = hashlib.sha256()
    for layer in net.layers:
        if isinstance(layer, cnn.Dense):
            found.update(layer.weight.astype(net.dtype.newbyteorder("<")).tobytes())
            found.update(layer.bias.astype(net.dtype.newbyteorder("<")).tobytes())
    found.update(net.predict(x).astype(net.dtype.newbyteorder("<")).tobytes())
    assert found.hexdigest() == EXPECTED[name, dtype]


def test_all_runs_are_expected():
    assert list(EXPECTED) == [(name, dtype) for name in RUNS for dtype in ("float32", "float64")]
