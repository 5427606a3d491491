"""Latency of predictions, beside ONNX Runtime: ``python latency.py``.

For some networks and numbers of client threads it prints the time that half of the calls take at
most (p50), that 99 of 100 take at most (p99), and calls per second: of calls in the process, and of
requests to a server like that of server.py in another process.
"""

import argparse
import http.client
import json
import multiprocessing
import platform
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import server

import cnn

NETWORKS: dict[str, list[int]] = {
    "8-64-64-4": [8, 64, 64, 4],
    "784-50-100-10": [784, 50, 100, 10],
    "256-1024-1024-10": [256, 1024, 1024, 10],
}
Predict = Callable[[Any], Any]


def cnns(path: Path) -> Predict:
    net = cnn.load(path.with_suffix(".safetensors"))
    cnn.set_num_threads(1)
    return net.predict


def onnx_runtimes(path: Path) -> Predict:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path.with_suffix(".onnx"), options)
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]


ENGINES = {"cnn": cnns, "ONNX Runtime": onnx_runtimes}


def write(name: str, folder: Path) -> tuple[Path, int]:
    """Write a network in both formats; return the path without ending and the inputs."""
    net = cnn.mlp(NETWORKS[name], "relu", "softmax", rng=0)
    path = folder / name
    net.save(path.with_suffix(".safetensors"))
    net.to_onnx(path.with_suffix(".onnx"))
    return path, net.inputs


def percentiles(call: Callable[[], Callable[[], object]], clients: int, count: int) -> list[float]:
    """Return p50 and p99 in microseconds and calls per second, of `count` calls by each client.

    Each client thread gets the function that it calls from `call`.
    """
    times = np.zeros((clients, count))
    barrier = threading.Barrier(clients + 1)

    def client(row: int) -> None:
        function = call()
        for _ in range(max(1, count // 10)):
            function()
        barrier.wait()
        for i in range(count):
            begin = time.perf_counter()
            function()
            times[row, i] = time.perf_counter() - begin

    threads = [threading.Thread(target=client, args=(row,)) for row in range(clients)]
    for thread in threads:
        thread.start()
    barrier.wait()
    begin = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begin
    p50, p99 = np.percentile(times, [50, 99]) * 1e6
    return [float(p50), float(p99), times.size / seconds]


def serve(listener: socket.socket, engine: str, path: Path) -> None:
    server.serve(listener, ENGINES[engine](path))


def requests(port: int, x: Any) -> Callable[[], Callable[[], object]]:
    """Return what makes a client: a function that sends rows over a connection that stays open."""
    body = json.dumps(x.tolist()).encode()

    def client() -> Callable[[], object]:
        connection = http.client.HTTPConnection("127.0.0.1", port)

        def request() -> object:
            connection.request("POST", "/", body)
            return json.loads(connection.getresponse().read())

        return request

    return client


def line(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def measure(name: str, clients: int, arguments: argparse.Namespace, folder: Path) -> None:
    """Print the lines of a network and a number of clients."""
    path, inputs = write(name, folder)
    x = np.random.default_rng(0).random((1, inputs), np.float32)
    context = multiprocessing.get_context("spawn")
    for how in ("call", "HTTP"):
        for engine, load in ENGINES.items():
            # The best of some runs: other programs only make one slower.
            runs: list[list[float]] = []
            if how == "call":
                call = partial(load(path), x)
                for _ in range(arguments.repeats):
                    runs.append(percentiles(partial(partial, call), clients, arguments.calls))
            else:
                with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
                    process = context.Process(target=serve, args=(listener, engine, path))
                    process.start()
                    port = listener.getsockname()[1]
                    for _ in range(arguments.repeats):
                        count = max(1, arguments.calls // 10)
                        runs.append(percentiles(requests(port, x), clients, count))
                    process.kill()
                    process.join()
            p50, p99, rate = min(runs)
            line(name, how, clients, engine, f"{p50:.1f}", f"{p99:.1f}", f"{rate:,.0f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=20000, help="calls by each client")
    parser.add_argument("--repeats", type=int, default=3, help="runs, of which the best counts")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    arguments = parser.parse_args()
    print(f"cnn {cnn.__version__}, ONNX Runtime {onnxruntime.__version__}, ", end="")
    print(f"Python {platform.python_version()}; one row a call\n")
    line("network", "how", "clients", "engine", "p50, µs", "p99, µs", "calls a second")
    line(*["---"] * 2, *["--:"], "---", *["--:"] * 3)
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.networks:
            for clients in arguments.clients:
                measure(name, clients, arguments, Path(folder))


if __name__ == "__main__":
    main()
