"""Fetch files from the Hugging Face hub with the `huggingface_hub` package, into its cache."""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gluon_lifted.errors import ConfigError, DataError, MissingPackageError
from gluon_lifted.extras import install_command
from gluon_lifted.networks.pretrained import download
from gluon_lifted.published.weights import HubFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WEIGHTS_FILE, CONFIG_FILE = "model.safetensors", "config.json"
MAX_CONFIG_BYTES = 1 << 20
NAME = r"\w[\w.-]{0,95}"
ADDRESS = re.compile(rf"hf://(?P<repository>{NAME}/{NAME})(@(?P<revision>\w[\w.-]*(/\w[\w.-]*){{0,9}}))?", re.ASCII)
SHA256 = re.compile(r"[0-9a-f]{64}")


class Cached(NamedTuple):
    """A file in the hub's cache, and the commit that it is from."""

    path: Path
    commit: str


def hub_address(source: str) -> HubFile:
    """Read ``hf://owner/name`` or ``hf://owner/name@revision``. Raises `ConfigError` for anything else.

    Names and revisions become paths in the cache, where ``--`` replaces the slash of a repository.
    """
    match = ADDRESS.fullmatch(source)
    if match is None or ".." in source or "--" in match["repository"]:
        raise ConfigError(
            f"{source}: not an address of the Hugging Face hub; expected hf://OWNER/NAME or hf://OWNER/NAME@REVISION."
        )
    return HubFile(match["repository"], match["revision"])


def cached_weights(file: HubFile) -> Cached | None:
    """Return the weights if they are cached and intact. Needs neither the network nor `huggingface_hub`."""
    try:
        cached = _cached(file, WEIGHTS_FILE)
    except MissingPackageError:
        return None
    return cached if cached is not None and _is_intact(cached.path, file.sha256) else None


def hub_weights(file: HubFile, on_note: Callable[[str], None]) -> Cached:
    """Download the weights of a repository, unless they are cached.

    Without a known hash, the content is compared with the SHA-256 that the hub names it by.

    Raises
    ------
    OSError, ValueError
        One of `download.FAILURES`.
    MissingPackageError
        If `huggingface_hub` is not installed.
    """
    if cached := cached_weights(file):
        return cached
    fetched = _fetch(file, WEIGHTS_FILE, download.MAX_FILE_BYTES, on_note)
    if not _is_intact(fetched.path, file.sha256):
        _remove(fetched.path)
        raise ValueError("its SHA-256 differs from the expected one")
    return fetched


def hub_config(file: HubFile, on_note: Callable[[str], None]) -> dict[str, Any]:
    """Return the repository's ``config.json``; empty if it has none.

    Raises
    ------
    DataError
        If the file is not JSON.
    OSError, ValueError
        One of `download.FAILURES`.
    """
    from huggingface_hub.errors import RemoteEntryNotFoundError

    try:
        cached = _cached(file, CONFIG_FILE) or _fetch(file, CONFIG_FILE, MAX_CONFIG_BYTES, on_note)
    except RemoteEntryNotFoundError:
        return {}
    try:
        if cached.path.stat().st_size > MAX_CONFIG_BYTES:
            raise ValueError(f"it has more than {MAX_CONFIG_BYTES:,} bytes")
        config = json.loads(cached.path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: {CONFIG_FILE} cannot be read as JSON ({error!s:.100}).") from None
    return config if isinstance(config, dict) else {}


def _cached(file: HubFile, name: str) -> Cached | None:
    path = _client().try_to_load_from_cache(file.repository, name, revision=file.revision)
    return Cached(Path(path), Path(path).parent.name) if isinstance(path, str) else None


def _fetch(file: HubFile, name: str, highest: int, on_note: Callable[[str], None]) -> Cached:
    """Ask for the size, then download, even if the cache has a file with that name."""
    download.check_online()
    hub, endpoint = _client(), os.environ.get("HF_ENDPOINT")
    asked = {"repo_id": file.repository, "filename": name, "revision": file.revision, "endpoint": endpoint}
    damaged = _cached(file, name) is not None  # the caller refused it, and the client would return it again
    with _as_failures(), _unshown_progress():
        size = hub.get_hf_file_metadata(hub.hf_hub_url(**asked), timeout=download.TIMEOUT).size
        if size is None:
            raise ValueError("the hub does not say how large the file is")
        if size > highest:
            raise ValueError(f"the file has {size:,} bytes, more than {highest:,}")
        if name == WEIGHTS_FILE:
            on_note(f"downloading {file} ({size / download.MB:,.0f} MB)")
        path = Path(hub.hf_hub_download(**asked, force_download=damaged))
    return Cached(path, path.parent.name)  # snapshots/COMMIT/model.safetensors


def _remove(path: Path) -> None:
    """Remove a file from the cache, and the blob that it links to: the client would link to it again."""
    if path.is_symlink():
        (path.parent / path.readlink()).unlink(missing_ok=True)
    path.unlink()


def _is_intact(path: Path, sha256: str | None) -> bool:
    """Compare with the known hash, or with the hash that names the cache's blob, the target of a large file's link."""
    expected = sha256 or path.resolve().name
    return not SHA256.fullmatch(expected) or download.matches(path, expected)


def _client() -> Any:
    try:
        import huggingface_hub
    except ModuleNotFoundError:
        raise MissingPackageError(
            f"huggingface_hub is not installed, and downloads from the hub need it. Install it: "
            f"`{install_command('train')}`"
        ) from None
    return huggingface_hub


@contextmanager
def _as_failures() -> Iterator[None]:
    """Turn all errors of the client into `download.FAILURES`.

    It raises `OSError` for answers of the hub. Errors of its HTTP library and of Xet pass through it, and their classes
    depend on its version.
    """
    try:
        yield
    except download.FAILURES:
        raise
    except Exception as error:  # the client's libraries have no common base class
        raise OSError(str(error) or type(error).__name__) from None


@contextmanager
def _unshown_progress() -> Iterator[None]:
    """Keep the client's progress bars off the console."""
    bars = _client().utils
    shown = not bars.are_progress_bars_disabled()
    bars.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bars()
