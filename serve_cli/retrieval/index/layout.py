"""The layout of an index folder, and its ``index.json``, which may be damaged or hostile.

A folder holds immutable segments and at most one file of deleted rows. ``index.json`` names the current files. It is
replaced last, so readers see the old version or the new one.

    index.json
    segment-000001/vectors.npy     (rows, D) float32 or float16
    segment-000001/rows.arrow      ids, paths, labels and carried columns
    segment-000001/vectors.faiss   absent in exact indexes
    deletions-000002.npy           sorted int64 row numbers of the whole index
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from gluon_lifted.card import MAX_CARD_BYTES, ModelCard
from gluon_lifted.errors import RunError
from gluon_lifted.files import replaced_file
from serve_cli.path_kinds import wrong_kind

if TYPE_CHECKING:
    from pathlib import Path

INDEX_FILE = "index.json"
VECTORS, ROWS, FAISS = "vectors.npy", "rows.arrow", "vectors.faiss"
INDEX_VERSION = 1
EXACT = "exact"
MAX_INDEX_BYTES = 16 << 20
MAX_ROWS = 1 << 40
MAX_PARAMETER = 1 << 24
MAX_RERANK = 1 << 10
MAX_TEXT = 1 << 12
SEGMENT_NAME = re.compile(r"segment-(\d{6,12})")
DELETIONS_NAME = re.compile(r"deletions-(\d{6,12})\.npy")


@dataclass(frozen=True)
class SegmentRecord:
    """What ``index.json`` says of a segment.

    Parameters
    ----------
    name : str
        Its folder, ``segment-000001``.
    rows : int
        Rows in it, including deleted ones.
    embeddings : str
        Embedding folder that they came from, or the last one if several were merged.
    faiss_bytes : int or None
        Size of its FAISS file; None without one.
    added : bool
        Whether its rows were added after the index was built.
    """

    name: str
    rows: int
    embeddings: str
    faiss_bytes: int | None = None
    added: bool = False


@dataclass(frozen=True)
class SearchParameters:
    """How much work a search does.

    Parameters
    ----------
    effort : int
        Inverted lists that are scanned, or the width of a graph's beam, which grows with k above 10.
    rerank : int
        Candidates per wanted neighbor whose exact distances are computed. Graphs propose the whole beam instead.
    filtered_effort : int
        The effort if only some rows may be returned. A graph's beam also widens with their share.
    """

    effort: int = 1
    rerank: int = 1
    filtered_effort: int = 1


@dataclass(frozen=True)
class IndexManifest:
    """The content of ``index.json``.

    Parameters
    ----------
    card : ModelCard
        Card of the model that computed the embeddings, with dimension and distance.
    model, model_sha256 : str or None
        Path and hash of the ONNX file.
    kind : str
        ``"exact"``, or FAISS's factory string.
    target_recall, recall : float or None
        The requested recall@10, and the recall@10 measured when the index was built.
    search : SearchParameters
        Tuned to the target.
    segments : tuple of SegmentRecord
        In the order of their rows.
    deletions : str or None
        File with the numbers of deleted rows.
    deleted : int
        How many there are.
    """

    card: ModelCard
    model: str | None
    model_sha256: str | None
    kind: str = EXACT
    target_recall: float | None = None
    recall: float | None = None
    search: SearchParameters = field(default_factory=SearchParameters)
    segments: tuple[SegmentRecord, ...] = ()
    deletions: str | None = None
    deleted: int = 0

    @property
    def exact(self) -> bool:
        """Whether all rows are compared."""
        return self.kind == EXACT

    @property
    def total(self) -> int:
        """Rows of all segments, including deleted ones."""
        return sum(segment.rows for segment in self.segments)

    @property
    def added(self) -> int:
        """Rows that were added after the index was built, including deleted ones."""
        return sum(segment.rows for segment in self.segments if segment.added)


def segment_name(number: int) -> str:
    """Return the folder name of a segment."""
    return f"segment-{number:06d}"


def deletions_name(number: int) -> str:
    """Return the file name of a set of deletions."""
    return f"deletions-{number:06d}.npy"


def write_manifest(folder: Path, manifest: IndexManifest) -> None:
    """Switch a folder to a manifest whose files have been written and synced."""
    fields = {"index_version": INDEX_VERSION, **asdict(manifest), "card": json.loads(manifest.card.to_json())}
    with replaced_file(folder / INDEX_FILE) as temporary:
        temporary.write_text(json.dumps(fields, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_index_manifest(folder: Path) -> IndexManifest:
    """Read and check ``index.json``. Raises `RunError`."""
    path = folder / INDEX_FILE
    if not path.is_file():
        raise RunError(wrong_kind(folder, "index"))
    try:
        with path.open("rb") as file:
            content = file.read(MAX_INDEX_BYTES + 1)
        if len(content) > MAX_INDEX_BYTES:
            raise ValueError(f"more than {MAX_INDEX_BYTES} bytes")
        fields: dict[str, Any] = json.loads(content)
        return _parsed(fields, path)
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror}); check the folder and its permissions.") from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise RunError(f"{path}: is damaged ({error!r:.200}); build the index again.") from None


def _parsed(fields: dict[str, Any], path: Path) -> IndexManifest:
    version = fields["index_version"]
    if version != INDEX_VERSION:
        raise RunError(f"{path}: version {version!r:.40} is not {INDEX_VERSION}; build the index again.")
    card_text = json.dumps(fields["card"])
    if len(card_text) > MAX_CARD_BYTES:
        raise ValueError("its card is too large")
    segments = tuple(_segment(segment) for segment in fields["segments"])
    if len({segment.name for segment in segments}) != len(segments):
        raise ValueError("it names a segment twice")
    manifest = IndexManifest(
        card=ModelCard.from_json(card_text, str(path)),
        model=_text(fields, "model"),
        model_sha256=_text(fields, "model_sha256"),
        kind=_text(fields, "kind") or EXACT,
        target_recall=_share(fields, "target_recall"),
        recall=_share(fields, "recall"),
        search=SearchParameters(
            effort=_whole(fields["search"], "effort", MAX_PARAMETER, least=1),
            rerank=_whole(fields["search"], "rerank", MAX_RERANK, least=1),
            filtered_effort=_whole(fields["search"], "filtered_effort", MAX_PARAMETER, least=1),
        ),
        segments=segments,
        deletions=_text(fields, "deletions"),
        deleted=_whole(fields, "deleted", MAX_ROWS),
    )
    _check_together(manifest)
    return manifest


def _check_together(manifest: IndexManifest) -> None:
    if manifest.deletions is not None and not DELETIONS_NAME.fullmatch(manifest.deletions):
        raise ValueError(f"deletions are {manifest.deletions!r:.80}")
    if manifest.deleted > manifest.total or (manifest.deletions is None and manifest.deleted):
        raise ValueError(f"{manifest.deleted} of {manifest.total} rows are deleted, by {manifest.deletions}")
    for segment in manifest.segments:
        if (segment.faiss_bytes is None) != manifest.exact:
            raise ValueError(f"{segment.name} does not fit an index of kind {manifest.kind!r:.80}")


def _segment(fields: dict[str, Any]) -> SegmentRecord:
    name, embeddings = fields["name"], fields["embeddings"]
    if not isinstance(name, str) or not SEGMENT_NAME.fullmatch(name):
        raise ValueError(f"a segment is {name!r:.80}")
    if not isinstance(embeddings, str):
        raise TypeError(f"embeddings are {embeddings!r:.80}")
    size, added = fields["faiss_bytes"], fields["added"]
    if type(added) is not bool:
        raise TypeError(f"added is {added!r:.80}")
    return SegmentRecord(
        name=name,
        rows=_whole(fields, "rows", MAX_ROWS),
        embeddings=embeddings,
        faiss_bytes=None if size is None else _whole(fields, "faiss_bytes", 1 << 50),
        added=added,
    )


def _text(fields: dict[str, Any], name: str) -> str | None:
    value = fields[name]
    if value is not None and (not isinstance(value, str) or len(value) > MAX_TEXT):
        raise TypeError(f"{name} is {value!r:.40}, expected a string or null")
    return value


def _whole(fields: dict[str, Any], name: str, most: int, least: int = 0) -> int:
    value = fields[name]
    if type(value) is not int or not least <= value <= most:  # true and false are ints, too
        raise TypeError(f"{name} is {value!r:.40}, expected a whole number from {least} to {most:,}")
    return value


def _share(fields: dict[str, Any], name: str) -> float | None:
    value: float | None = fields[name]
    if value is not None and (type(value) not in (int, float) or not 0 <= value <= 1):
        raise TypeError(f"{name} is {value!r:.40}, expected a number from 0 to 1")
    return value
