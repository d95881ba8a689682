"""Fetch the weights that --weights names: from a cache, the first location that answers, or a file."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gluon_lifted.errors import ConfigError, DataError, MissingPackageError
from gluon_lifted.networks.pretrained.download import FAILURES, download, failure_reason, matches
from gluon_lifted.networks.pretrained.hub import cached_weights, hub_address, hub_config, hub_weights
from gluon_lifted.networks.pretrained.store import Stored, fetch_stored, stored_weights
from gluon_lifted.published.caches import cached_path
from gluon_lifted.published.hub_config import preprocessing_of_hub
from gluon_lifted.published.registry import (
    HUB,
    IMAGENET,
    NAMED,
    first_weights,
    is_published,
    named_weights,
    published_weights,
)
from gluon_lifted.published.weights import HubFile, PublishedWeights, WebFile
from gluon_lifted.redaction import url_without_credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gluon_lifted.images import Preprocessing

    OnNote = Callable[[str], None]

STORE = "GluonCV's store"


class Fetched(NamedTuple):
    """A weights file.

    Parameters
    ----------
    path : Path
        The file's path, in a cache or as given.
    origin : str
        Where it comes from: a URL, an address on the hub with its commit, or the path.
    preprocessing : Preprocessing or None
        What its publisher evaluates it with, if known.
    """

    path: Path
    origin: str
    preprocessing: Preprocessing | None


def require_source(source: str) -> None:
    """Raise `ConfigError` unless weights are a file, or have the form of a name that `fetch` knows."""
    if is_published(source) or os.path.isfile(source):  # Path's own fails on long names
        return
    hint = f" Did you mean {IMAGENET}?" if get_close_matches(source, [IMAGENET]) else ""
    raise ConfigError(
        f"--weights {source:.200}: neither a file nor a name of published weights.{hint} Expected {IMAGENET}, a name "
        "that `lifted weights` lists, hf://OWNER/NAME, or a file of Caffe, ONNX, PyTorch, safetensors or MXNet."
    )


def fetch(source: str, backbone: str, on_note: OnNote) -> Fetched:
    """Return the file of weights, downloaded if necessary.

    Parameters
    ----------
    source : str
        ``"imagenet"``, a name such as ``"torchvision:resnet50.IMAGENET1K_V2"``, ``"hf://owner/name"``, or a file.
    on_note : callable
        Called with a sentence before a download, and when a location fails.

    Raises
    ------
    ConfigError
        If no such weights are known, or they belong to another backbone.
    DataError
        If the file cannot be downloaded. The message says which file to download, and where to put it.
    """
    if source == IMAGENET:
        return _first_that_answers(backbone, on_note)
    if source.startswith(HUB):
        return _from_hub(hub_address(source), on_note)
    if source.startswith(NAMED):
        weights = named_weights(source, backbone)
        try:
            return _published(weights, on_note)
        except FAILURES as error:
            raise _unreachable(source, {source: failure_reason(error)}, _to_download(weights)) from None
    return Fetched(Path(source), source, _known_preprocessing(Path(source).name, backbone))


def _first_that_answers(backbone: str, on_note: OnNote) -> Fetched:
    reasons: dict[str, str] = {}
    known, stored = first_weights(backbone), stored_weights(backbone)
    for weights in known:
        if (fetched := _attempt(weights, reasons, on_note)) is not None:
            return fetched
    if stored is not None:
        try:
            return Fetched(fetch_stored(stored, on_note), url_without_credentials(stored.url), None)
        except FAILURES as error:
            reasons[STORE] = failure_reason(error, stored.url)
    location = _to_download(known[0]) if known else stored
    if location is None:
        raise ConfigError(
            f"no ImageNet weights are known for {backbone}. Give a file or hf://OWNER/NAME with --weights, or choose "
            "another backbone: `lifted weights` lists the ones with weights."
        )
    raise _unreachable(f"ImageNet weights of {backbone}", reasons, location)


def _attempt(weights: PublishedWeights, reasons: dict[str, str], on_note: OnNote) -> Fetched | None:
    """Fetch weights; None, with the reason added to ``reasons``, if no location answers."""
    try:
        return _published(weights, on_note)
    except FAILURES as error:
        reasons[weights.source] = failure_reason(error)
        on_note(f"{weights.source}: {reasons[weights.source]}. Trying the next source.")
        return None


def _published(weights: PublishedWeights, on_note: OnNote) -> Fetched:
    """Return weights from the first cache that has them, else from the first location that answers."""
    *others, last = weights.locations
    for location in weights.locations:
        if (path := _in_cache(location)) is not None:
            return Fetched(path, _origin(location, path), weights.preprocessing)
    for location in others:
        if (path := _download_or_note(location, on_note)) is not None:
            return Fetched(path, _origin(location, path), weights.preprocessing)
    path = _download(last, on_note)
    return Fetched(path, _origin(last, path), weights.preprocessing)


def _in_cache(location: WebFile | HubFile) -> Path | None:
    if isinstance(location, HubFile):
        cached = cached_weights(location)
        return cached and cached.path
    path = cached_path(location)
    return path if matches(path, location.sha256) else None


def _download(location: WebFile | HubFile, on_note: OnNote) -> Path:
    """Download from a location. Raises one of `FAILURES`."""
    if isinstance(location, WebFile):
        path = cached_path(location)
        download(location.url, path, location.sha256, on_note)
        return path
    try:
        return hub_weights(location, on_note).path
    except MissingPackageError as error:
        raise ValueError(str(error)) from None


def _download_or_note(location: WebFile | HubFile, on_note: OnNote) -> Path | None:
    try:
        return _download(location, on_note)
    except FAILURES as error:
        on_note(f"{location}: {failure_reason(error)}. Trying the next location.")
        return None


def _from_hub(file: HubFile, on_note: OnNote) -> Fetched:
    try:
        cached = hub_weights(file, on_note)
    except FAILURES as error:
        raise _unreachable(str(file), {str(file): failure_reason(error)}, file) from None
    pinned = file._replace(revision=cached.commit)
    try:
        config = hub_config(pinned, on_note)
    except FAILURES as error:
        on_note(f"{file}: config.json cannot be downloaded ({failure_reason(error)}), so the colors are guessed.")
        config = {}
    return Fetched(cached.path, str(pinned), preprocessing_of_hub(config, str(file)))


def _known_preprocessing(name: str, backbone: str) -> Preprocessing | None:
    """Return the preprocessing of a file that has a published name, such as ``resnet50-0676ba61.pth``."""
    for weights in published_weights(backbone):
        if any(isinstance(location, WebFile) and location.name == name for location in weights.locations):
            return weights.preprocessing
    return None


def _to_download(weights: PublishedWeights) -> WebFile | HubFile:
    """Return the location that is the easiest to download by hand: a file whose hash and path in a cache are known."""
    return next((file for file in weights.locations if isinstance(file, WebFile)), weights.locations[0])


def _origin(location: WebFile | HubFile, path: Path) -> str:
    """Return the URL, or the address on the hub with the commit, a part of the path in its cache."""
    return location.url if isinstance(location, WebFile) else str(location._replace(revision=path.parent.name))


def _unreachable(what: str, reasons: Mapping[str, str], location: WebFile | HubFile | Stored) -> DataError:
    """Return the error to raise: why nothing can be fetched, and what to download and where to put it."""
    alike = set(reasons.values())
    told = alike.pop() if len(alike) == 1 else "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    saved = f"save it as {cached_path(location)}, or " if isinstance(location, WebFile) else ""
    given = "its .params file" if isinstance(location, Stored) else "it"
    return DataError(
        f"{what}: cannot be downloaded ({told}). Download {location.url} on another host, and {saved}give {given} "
        "with --weights."
    )
