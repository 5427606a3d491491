"""Workers: long-lived processes with one peer each, of which one runs at a time."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

TIMEOUT = 600.0  # seconds for an answer
THREAD_VARIABLES = (
    "CNN_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NPROC",
)


class PeerError(Exception):
    """A peer that could not do what it was asked for."""


@dataclass(frozen=True)
class Setting:
    """How a worker is to run: on as many cores as it has threads."""

    peer: str
    threads: int
    cores: tuple[int, ...]
    isa: str | None = None  # cnn's

    @property
    def label(self) -> str:
        return f"{self.peer} {self.isa}" if self.isa else self.peer


def environment(threads: int, isa: str | None) -> dict[str, str]:
    """Return the variables with which every library finds its number of threads."""
    found = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    found |= dict.fromkeys(THREAD_VARIABLES, str(threads))
    found["JAX_PLATFORMS"] = "cpu"
    found["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}"
    found.pop("CNN_ISA", None)
    if isa:
        found["CNN_ISA"] = isa
    return found


class Worker:
    """The parent's end of a worker. It is stopped whenever it is not asked for anything.

    A stopped process cannot disturb the one that runs, however its threads wait for work.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.version = ""
        self._log = tempfile.TemporaryFile(mode="w+", errors="replace")  # noqa: SIM115
        script = Path(__file__).with_name("worker.py")
        cores = [str(core) for core in setting.cores]
        self._process = subprocess.Popen(
            [sys.executable, str(script), setting.peer, str(setting.threads), *cores],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment(setting.threads, setting.isa),
        )
        try:
            self.version = str(self._answer())
        except PeerError:
            self.close()
            raise

    def ask(self, method: str, *arguments: object) -> Any:
        """Call a method of the worker and return what it returns."""
        self._signal("SIGCONT")
        assert self._process.stdin is not None
        try:
            pickle.dump((method, arguments), self._process.stdin)
            self._process.stdin.flush()
        except OSError:
            raise PeerError(self._death()) from None
        return self._answer()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """End the process."""
        self._signal("SIGCONT")
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        watchdog = threading.Timer(TIMEOUT, self._process.kill)
        watchdog.start()
        try:
            succeeded, value = pickle.load(self._process.stdout)
        except (EOFError, pickle.UnpicklingError):
            raise PeerError(self._death()) from None
        finally:
            watchdog.cancel()
        self._signal("SIGSTOP")
        if not succeeded:
            raise PeerError(value)
        return value

    def _death(self) -> str:
        """Return what is known of the end of the process."""
        code = self._process.wait()
        self._log.seek(0)
        lines = [line for line in self._log.read().splitlines() if line.strip()]
        return f"the process ended with {code}" + (f": {lines[-1]}" if lines else "")

    def _signal(self, name: str) -> None:
        # Windows has no such signals; its idle workers wait for their pipe.
        if hasattr(signal, name) and self._process.poll() is None:
            self._process.send_signal(getattr(signal, name))


class Workers:
    """The workers of some settings, started when they are first needed."""

    def __init__(self, settings: Sequence[Setting]) -> None:
        self.settings = settings
        self._workers: dict[Setting, Worker] = {}

    def get(self, setting: Setting) -> Worker:
        """Return a worker, a new one where the last one has died."""
        worker = self._workers.get(setting)
        if worker is None or not worker.is_alive:
            if worker is not None:
                worker.close()
            worker = self._workers[setting] = Worker(setting)
        return worker

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()
