"""Programs of several processes and threads, which tests run as scripts.

``python worker_programs.py WHAT [ARGUMENT ...]``. One that finds a wrong bit ends with an error.
"""

import multiprocessing
import os
import sys
import threading
import time
import warnings

import numpy as np

import cnn

ROWS = 2000


def samples():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, 60)).astype(np.float32)
    return x, rng.integers(0, 7, ROWS)


def fresh(seed=0):
    return cnn.mlp([60, 200, 100, 7], "tanh", "softmax", rng=seed, dropout=0.1)


def trained(seed):
    """Return the outputs of a network that was trained here, as bytes."""
    net = fresh(seed)
    net.fit(*samples(), epochs=2, optimizer="adam", progress=False)
    return net.predict(samples()[0]).tobytes()


def predicted(net):
    return net.predict(samples()[0]).tobytes()


def task(job):
    """What a worker does: (net, seed) to outputs of it and of one that is trained."""
    net, seed = job
    return predicted(net), trained(seed)


class Busy:
    """Threads that keep the pool busy: one predicts, one trains a network of its own."""

    def __enter__(self):
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.predict), threading.Thread(target=self.train)]
        for thread in self.threads:
            thread.start()

    def predict(self):
        net = fresh(8)
        while not self.stop.is_set():
            predicted(net)

    def train(self):
        while not self.stop.is_set():
            trained(9)

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


# ---- Forks and pools ---------------------------------------------------------------------------


def forks(number):
    """Fork while the pool is busy; children, and children of theirs, predict and train."""
    net = fresh()
    expected = task((net, 1))
    wrong = 0
    with Busy():
        for i in range(int(number)):
            time.sleep(0.001 * (i % 7))
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    good = task((net, 1)) == expected
                    grandchild = os.fork() if i % 4 == 0 else None
                    if grandchild:
                        good = good and os.waitpid(grandchild, 0)[1] == 0
                    code = 0 if good else 2
                finally:
                    os._exit(code)
            wrong += predicted(net) != expected[0]
            _, status = os.waitpid(child, 0)
            wrong += status != 0
    assert wrong == 0, wrong


def pools(method):
    """A pool of processes beside threads of the parent that do the same."""
    net = fresh()
    jobs = [(net, seed) for seed in range(3)]
    expected = [task(job) for job in jobs]
    context = multiprocessing.get_context(method)
    with Busy(), context.Pool(2) as pool:
        waiting = pool.map_async(task, 2 * jobs)
        assert task(jobs[0]) == expected[0]
        assert waiting.get(240) == 2 * expected
        pool.close()
        pool.join()
    assert task(jobs[1]) == expected[1]


def joblib_backends():
    """Each backend of joblib, with calls of two threads in each worker."""
    import joblib

    net = fresh()
    expected = [task((net, seed)) for seed in range(3)]
    for backend in ("loky", "multiprocessing", "threading"):
        options = {"inner_max_num_threads": 2} if backend == "loky" else {}
        with joblib.parallel_config(backend=backend, n_jobs=2, **options):
            assert joblib.Parallel()(joblib.delayed(task)((net, seed)) for seed in range(3)) == (
                expected
            ), backend
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown()


# ---- The end of a process ------------------------------------------------------------------------


def daemons(how, seconds, path):
    """End while daemon threads predict, train, evaluate, save and read streams."""
    net = fresh()
    x, t = samples()
    batches = list(zip(np.array_split(x, 5), np.array_split(t, 5), strict=True))
    begun = threading.Barrier(7)

    def forever(call):
        begun.wait()
        while True:
            call()

    calls = [
        lambda: net.predict(x),
        lambda: net.predict(x[0]),
        lambda: trained(3),
        lambda: fresh(5).fit(batches, progress=False),
        lambda: net.evaluate(x, t),
        lambda: net.save(path),
    ]
    for call in calls:
        threading.Thread(target=forever, args=(call,), daemon=True).start()
    begun.wait()
    time.sleep(float(seconds))
    leave(how)


ENDS = ("end", "sys.exit", "os._exit", "error")


def leave(how):
    if how == "os._exit":
        os._exit(0)
    if how == "sys.exit":
        sys.exit(0)
    if how == "error":
        raise ZeroDivisionError


def callbacks(hook, how, path):
    """End in a callback of fit, beside a thread that predicts."""
    net, ends = fresh(), {"sys.exit": lambda: sys.exit(3), "os._exit": lambda: os._exit(4)}
    x, t = samples()
    threading.Thread(target=lambda: [net.predict(x) for _ in iter(int, 1)], daemon=True).start()

    def end(*_):
        ends[how]()

    net.fit(
        x,
        t,
        epochs=2,
        callbacks=[cnn.ModelCheckpoint(path), cnn.LambdaCallback(**{hook: end})],
        progress=False,
    )


PROGRAMS = {
    "forks": forks,
    "pools": pools,
    "joblib": joblib_backends,
    "daemons": daemons,
    "callbacks": callbacks,
}

if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of a fork beside threads
    cnn.set_num_threads(2)
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
