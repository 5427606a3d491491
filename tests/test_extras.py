"""What is said where an extra is missing."""

import sys

import pytest
from refused import refused

import cnn
from cnn import plot
from cnn._base import extras


def test_plot_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = 'activations: matplotlib is not installed; pip install "cnn[plot]" installs it'
    with refused(ImportError, message):
        plot.activations()


def test_download_without_pooch(monkeypatch):
    monkeypatch.delenv("CNN_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "pooch", None)
    message = 'load_mnist: pooch is not installed; pip install "cnn[data]" installs it'
    with refused(ImportError, message) as caught:
        cnn.datasets.load_mnist(download=True)
    assert caught.value.name == "pooch"


def test_a_package_that_is_broken_is_not_called_missing(monkeypatch, tmp_path):
    (tmp_path / "cnn_test_broken.py").write_text("import cnn_test_absent")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="No module named 'cnn_test_absent'"):
        extras.require("f", "cnn_test_broken", "plot")
