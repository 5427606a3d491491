"""threadpoolctl sees libcnn and limits its threads."""

from __future__ import annotations

import pytest

import cnn

threadpoolctl = pytest.importorskip("threadpoolctl")


def test_threadpoolctl_limits_the_threads():
    cnn.set_num_threads(3)
    try:
        (info,) = [i for i in threadpoolctl.threadpool_info() if i["user_api"] == "cnn"]
        assert info["num_threads"] == 3
        assert info["version"] == cnn.__version__
        with threadpoolctl.threadpool_limits(limits=1, user_api="cnn"):
            assert cnn.get_num_threads() == 1
        assert cnn.get_num_threads() == 3
        with threadpoolctl.threadpool_limits(limits=2):
            assert cnn.get_num_threads() == 2
    finally:
        cnn.set_num_threads(None)
