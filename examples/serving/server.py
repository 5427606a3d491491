"""A prediction server of the standard library: ``python server.py net.safetensors --port 8000``.

It loads the model before it starts its processes, so that they share its memory, uses one thread of
libcnn for each request, and loads the file again when it has been replaced.

    curl -d '[[0.0, 0.5, 1.0]]' http://localhost:8000/
"""

import argparse
import json
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

import cnn

LOG = logging.getLogger("server")
SECONDS_BETWEEN_LOOKS = 0.5


class Model:
    """The network of a file, which is loaded again when the file has been replaced.

    Any number of threads may call it at once. A request that has begun keeps the network that it
    began with.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._version = self._look()
        self._net = cnn.load(path)

    def _look(self) -> tuple[int, int, int]:
        found = os.stat(self._path)
        return found.st_ino, found.st_size, found.st_mtime_ns

    def __call__(self, rows: Any) -> np.ndarray[Any, Any]:
        # An attribute is replaced in one step, so no lock is needed.
        return self._net.predict(rows)

    def watch(self) -> None:
        """Load the file again whenever it changes; a bad file leaves the network as it is."""
        while True:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            try:
                version = self._look()
                if version == self._version:
                    continue
                self._version = version
                self._net = cnn.load(self._path)
            except (OSError, cnn.ModelFileError) as error:
                LOG.error("not loaded again: %s", error)


Predict = Callable[[Any], Any]


class Handler(BaseHTTPRequestHandler):
    """POST takes rows as JSON and returns their predictions as JSON; GET tells that it is alive."""

    predict: Predict
    protocol_version = "HTTP/1.1"  # connections stay open
    disable_nagle_algorithm = True  # otherwise the second packet of an answer may wait for 40 ms
    wbufsize = -1

    def do_GET(self) -> None:
        self._answer(200, {"cnn": cnn.__version__, "process": os.getpid()})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            outputs = type(self).predict(np.asarray(json.loads(body), np.float32))
        except (ValueError, TypeError) as error:  # the message says what is wrong with the rows
            self._answer(400, {"error": str(error)})
        else:
            self._answer(200, outputs.tolist())

    def _answer(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        LOG.debug(format, *args)


def serve(listener: socket.socket, predict: Predict) -> None:
    """Answer requests until the process is ended."""
    server = ThreadingHTTPServer(listener.getsockname(), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    Handler.predict = staticmethod(predict)
    server.serve_forever()


def serve_model(listener: socket.socket, model: Model) -> None:
    """Answer requests with a model that is loaded again when its file has been replaced."""
    cnn.set_num_threads(1)  # requests are parallel already
    threading.Thread(target=model.watch, daemon=True).start()
    serve(listener, model)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(process)d %(name)s: %(message)s")
    listener = socket.create_server(("127.0.0.1", arguments.port), backlog=1024)
    model = Model(arguments.model)  # before the fork
    LOG.info("port %d", listener.getsockname()[1])
    children: list[int] = []

    def stop(*_: object) -> None:
        """End all processes at once: an exception is lost if it is raised in a destructor."""
        for child in children:
            os.kill(child, signal.SIGTERM)
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    for _ in range(arguments.processes - 1):
        child = os.fork()  # libcnn's pool starts anew in the child
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            try:
                serve_model(listener, model)
            finally:
                os._exit(0)
        children.append(child)
    try:
        serve_model(listener, model)
    finally:
        for child in children:
            os.kill(child, signal.SIGTERM)


if __name__ == "__main__":
    main()
