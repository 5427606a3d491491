"""The controller for threadpoolctl, which limits the threads of native libraries."""

from __future__ import annotations

import ctypes
from importlib import import_module
from typing import Any


def register() -> None:
    """Register libcnn with threadpoolctl, if that is installed."""
    try:
        threadpoolctl: Any = import_module("threadpoolctl")
    except ImportError:
        return

    class Controller(threadpoolctl.LibController):  # type: ignore[misc]
        """Gets and sets the number of libcnn's threads for threadpoolctl."""

        user_api = "cnn"
        internal_api = "cnn"
        filename_prefixes = ("libcnn",)
        check_symbols = ("cnn_threads_get", "cnn_threads_set", "cnn_version")

        def get_num_threads(self) -> int:
            count = self.dynlib.cnn_threads_get
            count.restype = ctypes.c_size_t
            return int(count())

        def set_num_threads(self, num_threads: int) -> None:
            self.dynlib.cnn_threads_set(ctypes.c_size_t(num_threads))

        def get_version(self) -> str:
            version = self.dynlib.cnn_version
            version.restype = ctypes.c_char_p
            return str(version().decode())

    threadpoolctl.register(Controller)
