"""Describe a model, a run, embeddings or an index by its card and files, and an MXNet network by its nodes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from gluon_lifted.card import ModelCard, read_card
from gluon_lifted.contract import CARD_FILE, RUN_FILES
from gluon_lifted.errors import ConfigError, RunError
from gluon_lifted.images.fits import FITS
from serve_cli.embeddings.embedding_manifest import manifest_card, read_manifest
from serve_cli.embeddings.part_columns import MANIFEST
from serve_cli.embeddings.part_formats import part_files
from serve_cli.model.embedder import Embedder
from serve_cli.model.interface import read_card as read_model_card
from serve_cli.model.model_hash import model_bytes
from serve_cli.model.model_options import ModelOptions
from serve_cli.model.providers import open_session
from serve_cli.path_kinds import NAMES, did_you_mean, kind_of, wrong_kind
from serve_cli.retrieval.index.layout import INDEX_FILE, read_index_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from serve_cli.network_inspection import NetworkInspection

SYMBOL_SUFFIX = ".json"
HELD = {"model": "an ONNX model", "run": "a trained run", "embeddings": "embeddings", "index": "an index"}


@dataclass(frozen=True)
class Inspection:
    """The kind of a path (a key of ``HELD``), its card, and facts about its files."""

    kind: str
    path: Path
    card: ModelCard
    about: dict[str, str | int]

    def facts(self) -> dict[str, str]:
        """Return the card and the facts in words, one line each."""
        return {
            "file" if self.kind == "model" else "folder": str(self.path),
            "holds": HELD[self.kind],
            **card_facts(self.card),
            **{name: f"{value:,}" if isinstance(value, int) else value for name, value in self.about.items()},
            **self.card.provenance,
        }

    def as_dict(self) -> dict[str, object]:
        """Return the same for JSON: not rounded, not in words."""
        return {"kind": self.kind, "path": str(self.path), "card": asdict(self.card), "about": self.about}


def card_facts(card: ModelCard) -> dict[str, str]:
    """Return a card in words, without its provenance."""
    pixels = card.preprocessing
    return {
        "name": card.name,
        "backbone": card.backbone,
        "embedding": f"{card.dim} numbers, {'unit norm' if card.normalized else 'not normalized'}",
        "images": f"{'margins trimmed, ' if pixels.trim else ''}"
        f"{FITS[pixels.fit]} to {pixels.resize} x {pixels.resize} px ({pixels.interpolation}), "
        f"center {pixels.crop} x {pixels.crop}, {pixels.channels}",
        "mean, std": f"{_numbers(pixels.mean)}, {_numbers(pixels.std)}",
        "data set": card.dataset,
        "loss": card.loss,
        "distance": card.distance,
    }


def model_card(path: Path) -> ModelCard:
    """Read the card of an ONNX file. Raises `RunError` if the file is missing or damaged, or has no card."""
    if not path.is_file():
        raise RunError(wrong_kind(path, "model"))
    return read_model_card(open_session(path, ModelOptions(threads=1, sessions=1, cache=False)), path)


def inspect_path(path: Path, params: Path | None = None) -> Inspection | NetworkInspection:
    """Inspect ``path``.

    Parameters
    ----------
    path : Path
        An ONNX model, a run, a folder of embeddings, an index, or the symbol of an MXNet network.
    params : Path, optional
        The network's parameters.

    Raises
    ------
    RunError
        If it is none of these, or damaged.
    ConfigError
        If parameters are given for something other than a symbol.
    MalformedModelError
        If the network's files are damaged.
    """
    if path.is_file() and path.suffix == SYMBOL_SUFFIX:
        from serve_cli.network_inspection import inspect_network_files

        return inspect_network_files(path, params)
    if params is not None and path.exists():
        raise ConfigError(f"{path} is not an MXNet network; give --params only with a -symbol.json.")
    if path.is_file():
        return _model(path)
    if (path / MANIFEST).is_file() or (path.is_dir() and part_files(path)):
        return _embeddings(path)
    if (path / INDEX_FILE).is_file():
        return _index(path)
    if (path / CARD_FILE).is_file():
        return _run(path)
    problem = f"is {NAMES[kind_of(path)]}" if path.is_dir() else f"no such file or folder{did_you_mean(path)}"
    raise RunError(
        f"{path}: {problem}; expected an ONNX model, an MXNet network's -symbol.json, a run folder of "
        "`lifted train`, a folder of `lifted embed`, or an index of `lifted index`."
    )


def _model(path: Path) -> Inspection:
    embedder = Embedder(path, ModelOptions(threads=1, cache=False))
    interface = {
        f"{role} {value.name!r}": f"{value.type}, {' x '.join(map(str, value.shape))}"
        for role, values in (("input", embedder.session.get_inputs()), ("output", embedder.session.get_outputs()))
        for value in values
    }
    about: dict[str, str | int] = {**interface, "bytes": model_bytes(path), "sha256": embedder.model_sha256}
    return Inspection("model", path, embedder.card, about)


def _run(path: Path) -> Inspection:
    card = read_card(path / CARD_FILE)
    files = {name: path / name for name in RUN_FILES}
    about: dict[str, str | int] = {
        name: file.stat().st_size if file.is_file() else "missing" for name, file in files.items()
    }
    return Inspection("run", path, card, about)


def _embeddings(path: Path) -> Inspection:
    manifest = read_manifest(path)
    about: dict[str, str | int] = {
        "rows": manifest["rows"],
        "failed": manifest["failed"],
        "parts": len(manifest["parts"]),
    }
    for name in ("source", "provider", "created"):
        about[name] = _text(manifest.get(name))
    model = manifest.get("model")
    file, digest = (_text(model.get(name)) if isinstance(model, dict) else "unknown" for name in ("file", "sha256"))
    about["model"] = f"{file}, sha256 {digest}"
    return Inspection("embeddings", path, manifest_card(path, manifest), about)


def _index(path: Path) -> Inspection:
    manifest = read_index_manifest(path)
    about: dict[str, str | int] = {"rows": manifest.total - manifest.deleted, "kind": manifest.kind}
    if manifest.recall is not None:
        about["recall@10"] = f"{manifest.recall:.3f} when it was built"
    about |= {"added since it was built": manifest.added, "deleted, still on disk": manifest.deleted}
    about["embeddings"] = ", ".join(dict.fromkeys(segment.embeddings for segment in manifest.segments))
    about["model"] = f"{manifest.model or 'unknown'}, sha256 {manifest.model_sha256 or 'unknown'}"
    return Inspection("index", path, manifest.card, about)


def _text(value: object) -> str:
    """Return an unchecked field of a manifest as text, at most 1,000 characters."""
    return f"{value:.1000}" if isinstance(value, str) else "unknown"


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
