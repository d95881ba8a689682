"""Run the notebooks, and keep their results in them for readers who do not run them.

    python docs/run_notebooks.py [--work FOLDER] [NAME ...]

Without names, both run.
"""

from __future__ import annotations

import argparse
import base64
import io
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from PIL import Image

NOTEBOOKS = Path(__file__).parent / "notebooks"
COLORS = 64  # of a picture's palette, which makes it a third as large
RESULTS = ("image/png", "text/markdown", "text/plain")  # the best first; one of them is kept


def main() -> None:
    """Run the named notebooks and write them with their results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")))
    parser.add_argument("--work", type=Path, default=Path("runs"), help="folder for what the notebooks write")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        path = NOTEBOOKS / f"{name}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        nbclient.NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(options.work)}}).execute()
        keep_results(notebook)
        nbformat.write(notebook, path)
        print(f"{path}: {path.stat().st_size:,} bytes")


def keep_results(notebook: Any) -> None:
    """Remove progress, embedded pages and times from an executed notebook, and make its pictures small."""
    notebook.metadata = {
        "kernelspec": notebook.metadata.kernelspec,
        "language_info": {"name": notebook.metadata.language_info.name},
    }
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.output_type == "stream" or is_result(output)]
            for output in cell.outputs:
                if "data" in output:
                    kind = next(kind for kind in RESULTS if kind in output.data)
                    output.data = {kind: smaller(output.data[kind]) if kind == "image/png" else output.data[kind]}


def is_result(output: Any) -> bool:
    """Return whether an output is neither progress nor an embedded page, which are HTML."""
    return "data" in output and "text/html" not in output.data


def smaller(png: str) -> str:
    """Give a picture a palette."""
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    file = io.BytesIO()
    image.quantize(COLORS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    main()
