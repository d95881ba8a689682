"""What a path is, so that an error about a wrong one can say what was found and which command comes first."""

from __future__ import annotations

import shlex
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Literal

from gluon_lifted.contract import RUN_FILES
from gluon_lifted.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal[
    "model",
    "run",
    "runs",
    "embeddings",
    "index",
    "reference",
    "symbol",
    "params",
    "images",
    "image",
    "table",
    "list",
    "folder",
    "empty",
    "file",
    "none",
]
Expected = Literal["model", "run", "embeddings", "index", "index or model", "reference", "images"]
MOST_ENTRIES = 200  # of a folder that are looked at
NAMES: dict[Kind, str] = {
    "model": "an ONNX model",
    "run": "a run folder of `lifted train`",
    "runs": "a folder with run folders in it",
    "embeddings": "a folder of embeddings",
    "index": "an index of `lifted index`",
    "reference": "a file of arrays",
    "symbol": "a .json file, perhaps an MXNet network",
    "params": "a .params file of MXNet",
    "images": "a folder of images",
    "image": "an image",
    "table": "a table",
    "list": "a text file",
    "folder": "a folder of other files",
    "empty": "an empty folder",
    "file": "another kind of file",
}
MAKERS: dict[Expected, str] = {
    "model": "an ONNX model, which `lifted export` writes",
    "run": "a run folder, which `lifted train` writes",
    "embeddings": "a folder of embeddings, which `lifted embed` writes",
    "index": "an index, which `lifted index` writes",
    "index or model": "an index of `lifted index` or an ONNX model of `lifted export`",
    "reference": "a run folder or a file of `lifted reference`",
    "images": "a folder of images",
}
SUFFIXES: dict[str, Kind] = {
    **{".onnx": "model", ".npz": "reference", ".json": "symbol", ".params": "params", ".txt": "list"},
    **dict.fromkeys((".csv", ".jsonl", ".parquet"), "table"),
}
EXPORT, EMBED = "`lifted export {} --onnx model.onnx`", "`lifted embed MODEL.onnx {} --out embeddings`"
EXPORT_FILES = "`lifted export --symbol {} --params FILE --onnx model.onnx`"
CURES: dict[tuple[Expected, Kind], str] = {  # (expected, found) -> what to do; {} is the path. A command ends the text
    ("model", "run"): f"Export it first: {EXPORT}",
    ("model", "symbol"): f"Export it first: {EXPORT_FILES}",
    ("model", "params"): "Export it first: `lifted export --symbol FILE --params {} --onnx model.onnx`",
    ("run", "runs"): "Give one of the folders in it.",
    ("run", "images"): "Train on it first: `lifted train folder --data {} --out runs/mine`",
    ("run", "model"): "It is exported already.",
    ("run", "symbol"): f"Export it with both of its files: {EXPORT_FILES}",
    ("run", "params"): "Export it with both of its files: `lifted export --symbol FILE --params {} --onnx model.onnx`",
    ("embeddings", "images"): f"Embed them first: {EMBED}",
    ("embeddings", "model"): "Embed images with it first: `lifted embed {} PHOTOS --out embeddings`",
    ("embeddings", "run"): f"Export it, then embed images with the model. First: {EXPORT}",
    ("embeddings", "index"): "Give the embeddings that it was built from.",
    ("embeddings", "table"): "Give the folder that `lifted embed` wrote.",
    ("index", "embeddings"): "Index them first: `lifted index {} --out catalog.index`",
    ("index", "images"): f"Embed them, then index the embeddings. First: {EMBED}",
    ("index", "model"): "Embed images with it, then index them. First: `lifted embed {} PHOTOS --out embeddings`",
    ("index", "run"): f"Export it, embed images with the model, then index them. First: {EXPORT}",
    ("index or model", "embeddings"): "Index them first: `lifted index {} --out catalog.index`",
    ("index or model", "images"): f"Embed them, then index the embeddings. First: {EMBED}",
    ("index or model", "run"): f"Export it first: {EXPORT}",
}


def kind_of(path: Path) -> Kind:
    """Return what a path is, from the names of files alone, without reading any."""
    from gluon_lifted.images import IMAGE_SUFFIXES

    if path.is_dir():
        return _kind_of_folder(path)
    suffix = path.suffix.lower()
    if not path.exists():
        return "none"
    if suffix in IMAGE_SUFFIXES:
        return "image"
    return SUFFIXES.get(suffix, "file")


def may_be_model(path: Path) -> bool:
    """Return whether a path is a file that can be an ONNX model: no name says that it is anything else."""
    return kind_of(path) in ("model", "file")


def wrong_kind(path: Path, expected: Expected, other: Path | None = None) -> str:
    """Return an error: what the path is, what was expected, and what to do.

    Parameters
    ----------
    path : Path
        The path that is not what was expected.
    expected : str
        A key of `MAKERS`.
    other : Path, optional
        The next argument. If that is what was expected here, the message asks whether the two are swapped.
    """
    found = kind_of(path)
    if found == "none":
        return f"{path}: no such file or folder.{did_you_mean(path)} Expected {MAKERS[expected]}."
    problem = f"{path} is {NAMES[found]}; expected {MAKERS[expected]}."
    if other is not None and (kind := kind_of(other)) == expected:
        return f"{problem} {other} is {NAMES[kind]}: are the two arguments swapped?"
    cure = CURES.get((expected, found), "").format(shlex.quote(str(path)))
    return f"{problem} {cure}" if cure else problem


def refuse_other_folder(out: Path, written: Kind) -> None:
    """Raise `RunError` if files of another kind would be written into a folder of images or of another command."""
    if not out.is_dir() or (found := kind_of(out)) in (written, "folder", "empty"):
        return
    raise RunError(f"{out} is {NAMES[found]}. Expected a new folder: give another --out.")


def did_you_mean(path: Path) -> str:
    """Return `` Did you mean photos?`` if a name like that of a missing path exists beside it, else an empty string."""
    close = get_close_matches(path.name, [entry.name for entry in _entries(path.parent)], 1)
    return f" Did you mean {path.with_name(close[0])}?" if close else ""


def _kind_of_folder(folder: Path) -> Kind:
    from gluon_lifted.images import IMAGE_SUFFIXES
    from serve_cli.embeddings.part_columns import MANIFEST
    from serve_cli.embeddings.part_formats import part_files
    from serve_cli.retrieval.index.layout import INDEX_FILE

    if (folder / INDEX_FILE).is_file():
        return "index"
    if (folder / MANIFEST).is_file() or part_files(folder):
        return "embeddings"
    if _is_run(folder):
        return "run"
    entries = list(islice(folder.iterdir(), MOST_ENTRIES))
    if any(_is_run(entry) for entry in entries):
        return "runs"
    below = (inner for entry in entries if entry.is_dir() for inner in _entries(entry))
    if any(entry.suffix.lower() in IMAGE_SUFFIXES for source in (entries, below) for entry in source):
        return "images"
    return "folder" if entries else "empty"


def _is_run(folder: Path) -> bool:
    """Return whether a folder holds the files of a run, finished or not."""
    try:
        return any((folder / name).is_file() for name in RUN_FILES) or (folder / "checkpoints").is_dir()
    except PermissionError:
        return False


def _entries(folder: Path) -> list[Path]:
    """Return the first entries of a folder; none if it cannot be listed."""
    try:
        return list(islice(folder.iterdir(), MOST_ENTRIES))
    except OSError:
        return []
