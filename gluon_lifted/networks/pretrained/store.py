"""Fetch GluonCV's weights from its model store, which has not answered since February 2024 (gluon-cv#1778)."""

from __future__ import annotations

import lzma
import os
import shutil
import tempfile
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, NamedTuple

from gluon_lifted.files import replaced_file
from gluon_lifted.mx import gluoncv_zoo
from gluon_lifted.networks.backbones import gluoncv_name
from gluon_lifted.networks.pretrained.download import CHUNK, MAX_FILE_BYTES, copy_url, matches
from gluon_lifted.published.caches import gluoncv_models

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Stored(NamedTuple):
    """A file of the store: name without suffix, SHA-1 of the ``.params``, URL of a ZIP archive that holds it."""

    name: str
    sha1: str
    url: str


def stored_weights(backbone: str) -> Stored | None:
    """Return the store's ImageNet weights of a backbone; None if it has none.

    As in GluonCV, the store is ``$MXNET_GLUON_REPO`` if that is set.
    """
    store, name = gluoncv_zoo().model_store, gluoncv_name(backbone)
    # Pruned networks have another name in the store. Both lists have the same order
    keys = dict(zip(store.pretrained_model_list(), store._model_sha1, strict=True))
    if name is None or name not in keys or name.startswith("cifar"):
        return None
    key = keys[name]
    file = f"{key}-{store.short_hash(key)}"
    base = os.environ.get("MXNET_GLUON_REPO", store.apache_repo_url).rstrip("/") + "/"
    return Stored(file, store._model_sha1[key], store._url_format.format(repo_url=base, file_name=file))


def fetch_stored(stored: Stored, on_note: Callable[[str], None]) -> Path:
    """Return the ``.params`` file in GluonCV's cache, downloaded if necessary.

    Raises
    ------
    OSError, http.client.HTTPException, ValueError
        One of `download.FAILURES`.
    """
    path = gluoncv_models() / f"{stored.name}.params"
    if not matches(path, stored.sha1, "sha1"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced_file(path) as temporary:
            _download(stored, temporary, on_note)
    return path


def _download(stored: Stored, target: Path, on_note: Callable[[str], None]) -> None:
    """Write the ``.params`` of the store's archive to ``target``."""
    with tempfile.TemporaryFile(dir=target.parent) as archive:
        copy_url(stored.url, archive, on_note)
        try:
            _extract(stored, archive, target)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, KeyError, RuntimeError) as error:
            raise ValueError(error.args[0] if error.args else type(error).__name__) from None
    if not matches(target, stored.sha1, "sha1"):
        raise ValueError("its SHA-1 differs from the store's")


def _extract(stored: Stored, archive: IO[bytes], target: Path) -> None:
    with zipfile.ZipFile(archive) as members:
        member = members.getinfo(f"{stored.name}.params")
        if member.file_size > MAX_FILE_BYTES:
            raise ValueError(f"the file has {member.file_size:,} bytes, more than {MAX_FILE_BYTES:,}")
        with members.open(member) as content, target.open("wb") as file:
            shutil.copyfileobj(content, file, CHUNK)
