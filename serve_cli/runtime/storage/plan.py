"""What a run of `lifted embed` is to compute: kept in its folder from the first part on, so that another can go on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from gluon_lifted.errors import RunError
from gluon_lifted.images import MAX_PIXELS
from serve_cli.console import Progress
from serve_cli.runtime.storage.layout import PLAN

if TYPE_CHECKING:
    from pathlib import Path

    from serve_cli.runtime.sources import Source

MAX_BYTES = 1 << 16
ROWS_TOLD = 1000  # between two words about progress


@dataclass(frozen=True)
class Survey:
    """A source gone through once: its rows, and the SHA-256 of all their ids and labels in order."""

    rows: int
    sha256: str


@dataclass(frozen=True)
class Plan:
    """All that decides which rows lie in which part, and what their embeddings are.

    Parameters
    ----------
    source : str
    rows : int
    ids_sha256 : str
        See `Survey`.
    model_sha256 : str
        Of the model file, with its preprocessing inside.
    provider : str
        What the network runs on.
    batch_size : int
        Each part begins with a new batch, so that an image has the same neighbours in it whoever computes the part.
    part_rows : int
    pixel_limit : int
        Images with more are not decoded.
    format : str
        ``"parquet"`` or ``"npy"``.
    dtype : str
        Of the stored numbers; one of `serve_cli.runtime.storage.vectors.DTYPES`.
    checksums : bool
        Whether there are columns for hash and size of the images' files.
    """

    source: str
    rows: int
    ids_sha256: str
    model_sha256: str
    provider: str
    batch_size: int
    part_rows: int
    pixel_limit: int = MAX_PIXELS
    format: str = "parquet"
    dtype: str = "float32"
    checksums: bool = False

    @property
    def parts(self) -> int:
        return -(-self.rows // self.part_rows)

    def rows_of(self, part: int) -> range:
        """The numbers of a part's rows."""
        return range(part * self.part_rows, min((part + 1) * self.part_rows, self.rows))

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


WORDS = {
    "source": "the source is another one",
    "rows": "the source has another number of images",
    "ids_sha256": "the source has other images or labels",
    "model_sha256": "the model is another one",
    "provider": "the network ran on another device",
    "batch_size": "the batch size was another one",
    "part_rows": "the part files had another size",
    "pixel_limit": "the pixel limit was another one",
    "format": "the part files had another format",
    "dtype": "the numbers were stored in another type",
    "checksums": "checksums were or were not stored",
}


def survey(source: Source) -> Survey:
    """Go through a source; keeps nothing. Progress goes to stderr if it takes long."""
    digest, count = hashlib.sha256(), 0
    with Progress("list", total=None) as progress:
        for row in source.names():
            digest.update(f"{row.id}\0{row.label}\n".encode())
            count += 1
            if count % ROWS_TOLD == 0:
                progress.update(count)
    return Survey(count, digest.hexdigest())


def read_plan(folder: Path) -> Plan | None:
    """The plan of a folder; None if it has none. Raises `RunError` if it is damaged."""
    path = folder / PLAN
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        found = json.loads(path.read_text(encoding="utf-8"))
        kinds = {field.name: {"str": str, "int": int, "bool": bool}[str(field.type)] for field in fields(Plan)}
        if found.keys() != kinds.keys() or any(type(found[name]) is not kind for name, kind in kinds.items()):
            raise ValueError("its fields are not those of a plan")
        return Plan(**found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise RunError(f"{path}: is damaged ({error}); embed again with --overwrite.") from None


def difference(old: Plan, new: Plan) -> str:
    """The first thing that is not as it was, in words; empty if all is."""
    changed = (field.name for field in fields(Plan) if getattr(old, field.name) != getattr(new, field.name))
    return next((f"{WORDS[name]} ({getattr(old, name)}, now {getattr(new, name)})" for name in changed), "")
