"""Fits that signals end at random moments, which tests run as scripts.

``python interrupted.py HOW NUMBER``: a handler of SIGTERM raises, or Ctrl-C comes, so many times.
After each the network must be as documented. It prints how many came, and after how many steps the
last.
"""

import hashlib
import os
import signal
import sys
import threading
import time

import numpy as np

import cnn
from cnn import _core

STEPS = 24


class EnoughError(Exception):
    """What a handler raises."""


RAISED = {
    "KeyboardInterrupt": KeyboardInterrupt,
    "SystemExit": SystemExit,
    "Exception": EnoughError,
}


def samples():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((STEPS * 50, 100)).astype(np.float32)
    return x, rng.integers(0, 10, len(x))


def fresh():
    return cnn.mlp([100, 200, 10], "relu", "softmax", rng=3, dropout=0.2), cnn.Adam()


def bits(net):
    return hashlib.sha256(b"".join(array.tobytes() for array in net.get_weights())).digest()


def after_each_step(steps):
    """Return hashes of the weights after 0, 1, ..., steps steps, or some more."""
    x, t = samples()
    net, _ = fresh()
    trainer = _core.Trainer(net._network, "adam", beta1=0.9, beta2=0.999, eps=1e-8)
    loss = _core.Loss("cross_entropy", labels=True)
    found = [bits(net)]
    for epoch in range(-(-steps // STEPS)):
        order = _core.permutation(3, epoch, len(x), 0, len(x))
        for part in np.split(order, STEPS):
            trainer.epoch(loss, x, t, None, part, 50, np.full(1, 1e-3))
            found.append(bits(net))
    return found


def send(number, delay):
    """Send this process a signal after some time, from a thread."""

    def later():
        time.sleep(delay)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=later)
    thread.start()
    return thread


def once(how, x, t, delay):
    """Interrupt one fit; return after how many steps it ended, with which weights."""
    net, optimizer = fresh()
    ends = [0]
    callback = cnn.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(epoch * STEPS))
    number = signal.SIGINT if how == "KeyboardInterrupt" else signal.SIGTERM
    sender = None
    try:
        try:
            sender = send(number, delay)
            net.fit(
                x,
                t,
                epochs=10**6,
                batch_size=50,
                optimizer=optimizer,
                callbacks=[callback],
                progress=False,
            )
        finally:
            if sender is not None:
                sender.join()
    except RAISED[how] as error:
        notes = getattr(error, "__notes__", [])
    steps, found = optimizer.steps, bits(net)
    # Of the last step; after an Exception in an epoch, of the last finished epoch.
    if how == "Exception" and notes:
        assert steps == ends[-1]
        assert "the weights are " in notes[0]
    assert net.epochs == -(-steps // STEPS), (net.epochs, steps)
    # Usable: it predicts, is saved, and trains on.
    assert np.isfinite(net.predict(x)).all()
    net.fit(x, t, epochs=1, batch_size=50, optimizer=optimizer, progress=False)
    assert optimizer.steps == steps + STEPS
    return steps, found


def main(how, number):
    if how != "KeyboardInterrupt":

        def handler(*_):
            raise RAISED[how]

        signal.signal(signal.SIGTERM, handler)
    else:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    x, t = samples()
    rng = np.random.default_rng(len(how))
    found = []
    while len(found) < int(number):
        made = once(how, x, t, rng.uniform(0.001, 0.1))
        if made[0] > 0:
            found.append(made)
    right = after_each_step(max(found)[0])
    for steps, hashed in found:
        assert right[steps] == hashed, steps
    print(len(found), max(found)[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
