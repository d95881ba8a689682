"""Read the manifest of an embedding folder, which may be damaged or hostile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gluon_lifted.card import ModelCard
from gluon_lifted.errors import RunError
from serve_cli.embeddings.part_columns import MANIFEST, MANIFEST_VERSION
from serve_cli.embeddings.part_formats import DEFAULT_FORMAT, FORMATS, part_files
from serve_cli.embeddings.vectors import DTYPES
from serve_cli.path_kinds import wrong_kind

if TYPE_CHECKING:
    from pathlib import Path

MAX_MANIFEST_BYTES = 64 << 20  # half a million parts


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a finished embedding folder and check its fields. Raises `RunError`."""
    path = folder / MANIFEST
    if not path.is_file():
        if part_files(folder):
            raise RunError(
                f"{folder}: is unfinished (no {MANIFEST}); repeat the command of `lifted embed`, which resumes."
            )
        raise RunError(wrong_kind(folder, "embeddings"))
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise ValueError(f"more than {MAX_MANIFEST_BYTES} bytes")
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _check(manifest)
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror}); check the folder and its permissions.") from None
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: is damaged ({error!r:.200}); embed again with --overwrite.") from None
    return {"format": DEFAULT_FORMAT, **manifest}


def manifest_card(folder: Path, manifest: dict[str, Any]) -> ModelCard:
    """Parse the model card inside a manifest. Raises `RunError`."""
    where = str(folder / MANIFEST)
    try:
        text = json.dumps(manifest["card"])
    except RecursionError:
        raise RunError(f"{where}: the model card is nested too deeply; embed again with --overwrite.") from None
    return ModelCard.from_json(text, where)


def _check(manifest: dict[str, Any]) -> None:
    """Raise `KeyError`, `TypeError` or `ValueError` if a field is missing or not what `lifted embed` writes."""
    version = _whole_number(manifest, "manifest_version")
    if version != MANIFEST_VERSION:
        raise ValueError(f"its version is {version}, expected {MANIFEST_VERSION}")
    if manifest["dtype"] not in DTYPES:
        raise ValueError(f"its dtype is {manifest['dtype']!r:.40}, expected {', '.join(DTYPES)}")
    part_name = FORMATS[manifest.get("format", DEFAULT_FORMAT)].part_name
    if not isinstance(manifest["card"], dict):
        raise TypeError("its card is not an object")
    total = 0
    for number, part in enumerate(manifest["parts"]):
        if part["file"] != part_name(number):
            raise ValueError(f"part {number} is {part['file']!r:.80}, expected {part_name(number)!r}")
        total += _whole_number(part, "rows")
    rows, failed = _whole_number(manifest, "rows"), _whole_number(manifest, "failed")
    if rows != total:
        raise ValueError(f"its parts have {total} rows in total, but it says {rows}")
    if failed > rows:
        raise ValueError(f"it says that {failed} of {rows} rows failed")


def _whole_number(fields: dict[str, Any], name: str) -> int:
    value = fields[name]
    if type(value) is not int or value < 0:  # true and false are ints, too
        raise TypeError(f"{name} is {value!r:.40}, expected a whole number, 0 or more")
    return value
