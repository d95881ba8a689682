"""Fetch GluonCV's weights from its model store: downloaded once, verified, cached where GluonCV caches them."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.files import replaced_file
from gluon_lifted.mx import gluoncv_zoo
from gluon_lifted.networks.backbones import gluoncv_name

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT = 20.0  # seconds without data from the server
MAX_FILE_BYTES = 2 << 30  # the largest file in the store is below 1 GiB
CHUNK = 1 << 20
FAILURES = (
    OSError, http.client.HTTPException, zipfile.BadZipFile, zlib.error, KeyError, ValueError, RuntimeError,
)  # fmt: skip


class Stored(NamedTuple):
    """A file of the store: name without suffix, SHA-1 of the ``.params``, URL of a ZIP archive that holds it."""

    name: str
    sha1: str
    url: str


def fetch_imagenet(backbone: str, on_note: Callable[[str], None]) -> Path:
    """Return the file of GluonCV's ImageNet weights of a backbone, downloaded if necessary.

    As in GluonCV, it is cached in ``$MXNET_HOME/models`` (``~/.mxnet/models``) and downloaded from
    ``$MXNET_GLUON_REPO`` if that is set.

    Raises
    ------
    ConfigError
        If the store has no weights of this backbone.
    DataError
        If the file cannot be downloaded, or does not match the store's checksum.
    """
    stored = _stored(backbone)
    folder = Path(os.environ.get("MXNET_HOME", Path.home() / ".mxnet")) / "models"
    path = folder / f"{stored.name}.params"
    try:
        if not path.is_file() or _sha1(path) != stored.sha1:
            on_note(f"fetching {stored.url}")
            folder.mkdir(parents=True, exist_ok=True)
            with replaced_file(path) as temporary:
                _download(stored, temporary)
    except FAILURES as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(error, urllib.error.HTTPError):  # the error is also the open response
            error.close()
        raise DataError(
            f"ImageNet weights of {backbone} cannot be fetched ({reason!s:.200}). "
            f"Download {stored.url} elsewhere and give its .params file with --weights."
        ) from None
    return path


def _stored(backbone: str) -> Stored:
    store, name = gluoncv_zoo().model_store, gluoncv_name(backbone)
    if name is None:
        raise ConfigError(
            f"there are no ImageNet weights of {backbone} in GluonCV's store; "
            "give bvlc_googlenet.caffemodel with --weights, or use --backbone googlenet_bn."
        )
    # Pruned networks have another name in the store; both lists have the same order
    keys = dict(zip(store.pretrained_model_list(), store._model_sha1, strict=True))
    if name not in keys or name.startswith("cifar"):
        raise ConfigError(
            f"there are no ImageNet weights of {backbone} in GluonCV's store; give a file with --weights."
        )
    key = keys[name]
    file = f"{key}-{store.short_hash(key)}"
    base = os.environ.get("MXNET_GLUON_REPO", store.apache_repo_url).rstrip("/") + "/"
    return Stored(file, store._model_sha1[key], store._url_format.format(repo_url=base, file_name=file))


def _download(stored: Stored, target: Path) -> None:
    """Write the ``.params`` of the store's archive to ``target``. Raises one of `FAILURES`."""
    with tempfile.TemporaryFile(dir=target.parent) as archive:
        with urllib.request.urlopen(stored.url, timeout=TIMEOUT) as response:
            while chunk := response.read(CHUNK):
                archive.write(chunk)
                if archive.tell() > MAX_FILE_BYTES:
                    raise ValueError(f"the server sent more than {MAX_FILE_BYTES:,} bytes")
        with zipfile.ZipFile(archive) as members:
            member = members.getinfo(f"{stored.name}.params")
            if member.file_size > MAX_FILE_BYTES:
                raise ValueError(f"the file has {member.file_size:,} bytes, more than {MAX_FILE_BYTES:,}")
            with members.open(member) as content, target.open("wb") as file:
                shutil.copyfileobj(content, file, CHUNK)
    if _sha1(target) != stored.sha1:
        raise ValueError("its SHA-1 is not the store's")


def _sha1(path: Path) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
