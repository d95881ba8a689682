"""The notebooks of the documents: committed with small results, and executed on fewer images and batches."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from gluon_lifted.datasets.glyphs import GlyphOptions, generate_glyphs

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
ITERATIONS = re.compile(r"^ITERATIONS = \d+$", re.MULTILINE)
FEWER = {ITERATIONS: "ITERATIONS = 20", re.compile(r"\btrain_classes=\d+"): "train_classes=24"}
STEPS = ("train", "export_run", "embed_images", "evaluate_embeddings", "write_report", "build_index", "search")
LINES = 10  # of a cell that runs a step
BARS = 4  # shown by a cell: pieces of work that take a second or more
MAX_BYTES = 300_000  # of a notebook with its results
PRIVATE = re.compile(r"/(?:home|root|tmp|usr|work|Users)/|<progress|/s\b")  # paths and rates of a host


def read(path):
    return nbformat.read(path, as_version=4)


def cells(path, kind):
    return [cell for cell in read(path).cells if cell.cell_type == kind]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_valid_and_hold_the_results_of_one_run(path):
    notebook = read(path)
    nbformat.validate(notebook)
    code = cells(path, "code")
    assert [cell.execution_count for cell in code] in ([None] * len(code), [*range(1, len(code) + 1)])
    outputs = [output for cell in code for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"display_data", "execute_result", "stream"}
    shown = [str(output.get("text", output.get("data", {}).get("text/markdown"))) for output in outputs]
    assert PRIVATE.findall("\n".join(shown)) == []
    assert path.stat().st_size < MAX_BYTES
    text = "\n".join(cell.source for cell in cells(path, "markdown"))
    links = re.findall(r"\]\(([\w./-]+)\)", text)
    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []
    assert sum(len(ITERATIONS.findall(cell.source)) for cell in cells(path, "code")) == 1


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_import_public_names(path):
    """Those of the packages themselves, except for the data set that is drawn."""
    tree = ast.parse("\n".join(cell.source for cell in cells(path, "code")))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in imports if node.module.split(".")[0] in ("gluon_lifted", "export", "serve_cli")]
    assert {node.module for node in ours} >= {"gluon_lifted", "export", "serve_cli"}
    assert {node.module for node in ours if "." in node.module} <= {"gluon_lifted.datasets.glyphs"}
    for node in ours:
        assert {name.name for name in node.names} <= set(dir(import_module(node.module)))


def test_each_step_takes_a_few_lines():
    sources = [cell.source for path in NOTEBOOKS for cell in cells(path, "code")]
    for step in STEPS:
        steps = [source for source in sources if re.search(rf"(?<![\w]){step}\(", source)]
        assert steps
        assert min(len(source.splitlines()) for source in steps) < LINES


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Jupyter's own
def test_they_run(path, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = read(path)
    for cell in notebook.cells:
        for pattern, few in FEWER.items():
            cell.source = pattern.sub(few, cell.source)
    # This notebook draws the usual set unless there is one
    generate_glyphs(tmp_path / "paper_in_small/glyphs", GlyphOptions(60, 16, images_per_class=8))
    client = nbclient.NotebookClient(notebook, timeout=250, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    outputs = {cell.source: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    check_outputs(outputs)


def check_outputs(outputs):
    """Nothing but results and a few bars: no warnings, and pictures where the notebook draws them."""
    streams = [output.text for shown in outputs.values() for output in shown if output.output_type == "stream"]
    assert [text for text in streams if re.search("warn|error", text, re.IGNORECASE)] == []
    for source, shown in outputs.items():
        data = [output.data for output in shown if "data" in output]
        bars = [html for entry in data if "<progress" in (html := entry.get("text/html", ""))]
        assert len(bars) <= BARS, source
        if "show_images(" in source or "plt.subplots(" in source:
            assert any("image/png" in entry for entry in data), source
        if "evaluate_embeddings(\n" in source:
            assert any("raw pixels" in entry.get("text/markdown", "") for entry in data)
