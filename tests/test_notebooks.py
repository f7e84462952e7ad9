"""The examples are notebooks too: cells run in a real kernel, which can be interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

import nonredundant as nr

jupytext = pytest.importorskip("jupytext")
nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

ROOT = Path(nr.__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
#: What the kernel gets where a user presses the button: an interrupt of the running cell.
INTERRUPT = """
import os, signal, threading
threading.Timer(2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
cvae.fit(table)
"""
CELLS = (
    """
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
import nonredundant as nr
from nonredundant.datasets import make_lesions
cases, y, _ = make_lesions(6, spacing=4.0, radius=(12, 20), random_state=0)
extractor = nr.RadiomicsExtractor(
    "PET", feature_classes=["shape"], patch_shape=(8, 8, 8), verbose=1
)
""",
    "table = extractor.fit_transform(cases)",
    "make_pipeline(extractor, StandardScaler())",
    "table",
    """
nr.NonRedundantCVAE(2, max_epochs=1).fit(table)
cvae = nr.NonRedundantCVAE(2, max_epochs=100_000, random_state=0)
before = dict(vars(cvae))
""",
    INTERRUPT,
    "print('left as it was:', vars(cvae) == before)",
    "cvae.set_params(max_epochs=1).fit_transform(table).shape",
)

pytestmark = [
    pytest.mark.skipif(not EXAMPLES, reason="the package is installed without its examples"),
    # Of the clients and their event loops, not of the package.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def run(notebook, folder):
    """Run the cells of a notebook in a kernel of its own."""
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=500, resources=resources).execute()


def shown(cell, kind):
    """Return what a cell shows of one MIME type."""
    return "".join(out["data"].get(kind, "") for out in cell.outputs if "data" in out)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_a_notebook_of_text_and_code(path):
    notebook = jupytext.read(path)
    first, second, *others = notebook.cells
    kinds = [cell.cell_type for cell in notebook.cells]
    assert first.source.splitlines()[1].startswith("====")
    assert kinds[:2] == ["markdown", "code"]
    assert second.source.startswith("import ")
    assert sum(kind == "markdown" for kind in kinds) >= 3
    # Text stands in cells of text: a cell of code does not begin with a comment.
    assert not any(cell.source.startswith("#") for cell in others if cell.cell_type == "code")


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_runs_as_a_notebook(path, tmp_path):
    notebook = jupytext.read(path)
    run(notebook, tmp_path)
    assert any(shown(cell, "image/png") for cell in notebook.cells if cell.cell_type == "code")


def test_a_kernel_shows_progress_and_diagrams_and_survives_an_interrupt(tmp_path):
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    cells[5].metadata["tags"] = ["raises-exception"]
    run(nbformat.v4.new_notebook(cells=cells), tmp_path)
    progress = "".join(out.get("text", "") for out in cells[1].outputs)
    assert "6/6" in progress
    # A diagram of the pipeline, as of any estimator of scikit-learn.
    assert "<style" in shown(cells[2], "text/html")
    assert shown(cells[3], "text/plain").startswith("LesionTable(6 samples")
    error = next(out for out in cells[5].outputs if out.output_type == "error")
    assert error.ename == "KeyboardInterrupt"
    assert cells[6].outputs[0].text == "left as it was: True\n"
    assert shown(cells[7], "text/plain") == "(6, 16)"
