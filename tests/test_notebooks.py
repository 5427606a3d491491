"""The notebooks of the gallery, as `make docs` makes them for readers, run from first to last cell.

`make test-gallery` runs these. What the pages claim is asserted in their cells.
"""

import re

import pytest
from doc_blocks import ROOT

nbformat = pytest.importorskip("nbformat")
preprocessors = pytest.importorskip("nbconvert.preprocessors")

pytestmark = pytest.mark.gallery
NOTEBOOKS = ROOT / "docs" / "gallery"
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Give kernels what conf.py gives the pages; figures go into the notebook."""
    monkeypatch.setenv("CNN_NUM_THREADS", "1")
    monkeypatch.delenv("MPLBACKEND", raising=False)


def test_each_example_has_a_notebook():
    assert len(EXAMPLES) > 17
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == {path.stem for path in EXAMPLES}


@pytest.mark.parametrize("name", [path.stem for path in EXAMPLES])
def test_notebook(name, tmp_path):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    run = preprocessors.ExecutePreprocessor(timeout=120)
    run.preprocess(notebook, {"metadata": {"path": str(tmp_path)}})
    prose = [cell["source"] for cell in notebook.cells if cell["cell_type"] == "markdown"]
    assert not any(re.search(r":\w+:`", text) for text in prose)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    texts = "".join(output["text"] for output in outputs if output.get("name") == "stdout")
    warned = "".join(output["text"] for output in outputs if output.get("name") == "stderr")
    assert any(character.isdigit() for character in texts)
    assert any("image/png" in output.get("data", ()) for output in outputs)
    assert warned == ""
    assert list(tmp_path.iterdir()) == []


def test_a_failing_cell_fails(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("assert 1 == 2")])
    with pytest.raises(Exception, match="AssertionError"):
        preprocessors.ExecutePreprocessor(timeout=60).preprocess(notebook)
