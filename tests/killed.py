"""Programs that tests kill: they save or train without an end, or until they are done.

As a script: ``python killed.py WHAT FOLDER [DTYPE]``. It prints "ready" when a kill makes sense; a
program that ends prints the hash of what it has trained. `started` and `kill` are for the tests.
"""

import hashlib
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

import cnn

FILE = "model.safetensors"
EPOCHS = 40


# ---- What the processes do ---------------------------------------------------------------------


def models(with_optimizer):
    """Return two networks with what `save` takes besides: the old and the new file of each save."""
    found = []
    for seed in (0, 1):
        net = cnn.mlp([200, 300, 10], "relu", "softmax", rng=seed)
        options = {}
        if with_optimizer:
            options["optimizer"] = cnn.Adam(cnn.CosineDecay(0.01, 100))
            x = np.random.default_rng(seed).standard_normal((20, 200))
            net.fit(x, np.arange(20) % 10, optimizer=options["optimizer"], progress=False)
        found.append((net, options))
    return found


def save_for_ever(folder, with_optimizer):
    path = Path(folder, FILE)
    made = models(with_optimizer)
    made[0][0].save(path, **made[0][1])
    print("ready", flush=True)
    while True:
        for net, options in reversed(made):
            net.save(path, **options)


def samples():
    x = np.random.default_rng(0).standard_normal((600, 20))
    return x, (x[:, 0] > 0.3 * x[:, 1]).astype(int)


def fresh(dtype):
    net = cnn.mlp([20, 64, 2], "tanh", "softmax", rng=3, dropout=0.2, dtype=dtype)
    return net, cnn.Adam(cnn.CosineDecay(0.02, 1000), clip_norm=1.0)


def fit(folder, dtype, path=None):
    """Train with a checkpoint every epoch, as docs/guide/saving.md says; go on from one that is."""
    path = Path(folder, FILE) if path is None else path
    net, optimizer = cnn.load_checkpoint(path) if Path(path).exists() else fresh(dtype)
    print("ready", flush=True)
    if net.epochs < EPOCHS:
        net.fit(
            *samples(),
            epochs=EPOCHS - net.epochs,
            optimizer=optimizer,
            callbacks=[cnn.ModelCheckpoint(path)],
            progress=False,
        )
    return net, optimizer


def fit_shards(folder, dtype):
    """The same in shards, with the best weights beside the checkpoint."""
    net, optimizer = fresh(dtype)
    x, t = samples()
    print("ready", flush=True)
    cnn.distributed.fit(
        net,
        [(x[i::4], t[i::4]) for i in range(4)],
        epochs=EPOCHS,
        optimizer=optimizer,
        validation_data=[(x[::5] + 0.1, t[::5])],
        callbacks=[cnn.EarlyStopping(patience=EPOCHS, restore_best_weights=True)],
        checkpoint=str(Path(folder, FILE)),
        every=5,
        progress=False,
    )
    return net, optimizer


def digest(net, optimizer):
    """Return a hash of the weights and of the optimizer's state."""
    made = hashlib.sha256(f"{net.epochs} {optimizer.steps}".encode())
    state = optimizer.__getstate__()["_waiting"].slots
    for array in (*net.get_weights(), *state):
        made.update(array.tobytes())
    return made.hexdigest()


def main(what, folder, dtype="float32"):
    if what in ("network", "optimizer"):
        save_for_ever(folder, what == "optimizer")
    print(digest(*{"fit": fit, "shards": fit_shards}[what](folder, dtype)), flush=True)


# ---- For the tests -----------------------------------------------------------------------------

# Names of temporary files, whose form csrc/base/platform.c documents.
TEMPORARY = re.compile(r"\.cnn-[0-9a-f]{16}-[0-9a-f]{16}\.tmp")


def temporary(folder):
    """Return the names of temporary files in a folder."""
    return sorted(path.name for path in Path(folder).iterdir() if TEMPORARY.fullmatch(path.name))


def command(*arguments):
    return [sys.executable, "-P", __file__, *map(str, arguments)]


def started(*arguments):
    """Start the script, and return its process when it is ready."""
    process = subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process):
    """Kill a process, and return whether it was still running."""
    process.send_signal(signal.SIGKILL)
    with process:
        process.stdout.read()
    return process.returncode == -signal.SIGKILL


def run(*arguments):
    """Run the script to its end, and return the hash that it prints."""
    done = subprocess.run(command(*arguments), check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.split()[-1]


if __name__ == "__main__":
    main(*sys.argv[1:])
