"""What is said where an extra is missing."""

import sys

import pytest
from doc_blocks import DOCUMENTS, ROOT
from refused import refused

import cnn
from cnn import plot
from cnn._base import extras


def test_plot_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = 'activations: matplotlib is not installed; pip install ".[plot]"'
    with refused(ImportError, message):
        plot.activations()


def test_download_without_pooch(monkeypatch):
    monkeypatch.delenv("CNN_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "pooch", None)
    message = 'load_mnist: pooch is not installed; pip install ".[data]"'
    with refused(ImportError, message) as caught:
        cnn.datasets.load_mnist(download=True)
    assert caught.value.name == "pooch"


def test_a_package_that_is_broken_is_not_called_missing(monkeypatch, tmp_path):
    (tmp_path / "cnn_test_broken.py").write_text("import cnn_test_absent")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="No module named 'cnn_test_absent'"):
        extras.require("f", "cnn_test_broken", "plot")


def test_each_place_says_the_same_command():
    """Until a package index has cnn, what is installed is the folder of the sources."""
    command = 'pip install ".[plot]" in the folder of cnn\'s sources'
    assert extras.install("plot") == command
    files = [*(ROOT / "cnn").rglob("*.py"), *map(ROOT.joinpath, DOCUMENTS)]
    assert [path.name for path in files if "cnn[" in path.read_text(encoding="utf-8")] == [
        "extras.py"  # the comment on what to write there then
    ]
