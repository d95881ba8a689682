"""Rows and embedding folders for tests of reports."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from serve_cli.embeddings.reader import Embeddings
from serve_cli.sources.image_row import EmbeddedRows, ImageRow
from tests.serve_cli.embedded import write_folder
from tests.serve_cli.photos import photo
from tests.serve_cli.tiny_model import CARD

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "</script><img src=x onerror=alert(1)>"
HOSTILE_STYLE = "</style>\"'><svg onload=alert(2)>{{ 7*7 }}"


def embeddings_of(embedding, classes, ids=None) -> Embeddings:
    """Rows whose classes are called ``class 0``, ``class 1``, ..."""
    embedding = np.asarray(embedding, np.float32)
    ids = tuple(ids or (f"{number}.jpg" for number in range(len(embedding))))
    names = tuple(f"class {number}" for number in range(max(classes) + 1))
    return Embeddings(
        name="made",
        card=CARD,
        ids=ids,
        paths=ids,
        labels=np.asarray(classes, np.int64),
        class_names=names,
        embedding=embedding,
        errors=(None,) * len(ids),
    )


def blobs(sizes, dim=6, seed=0, spread=0.4):
    """Rows around a random center for each class; some classes lie within one another."""
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(len(sizes)), sizes)
    centers = rng.normal(size=(len(sizes), dim))
    return embeddings_of(centers[classes] + spread * rng.normal(size=(len(classes), dim)), classes)


def embedded_photos(folder: Path, labels, *, missing=(), failed=(), seed=0, card=CARD, copies=()) -> Path:
    """A folder of photographs and one of embeddings, of which the latter is returned.

    Row ``i`` has label ``labels[i]``; its photo is not there if it is in ``missing``, it has an error instead of an
    embedding if it is in ``failed``, and photo and embedding of row ``j`` for each ``(i, j)`` of ``copies``.
    """
    rng = np.random.default_rng(seed)
    names = sorted(set(labels))
    centers = 3 * rng.normal(size=(len(names), card.dim))
    number = np.array([names.index(label) for label in labels])
    embedding = (centers[number] + rng.normal(size=(len(labels), card.dim))).astype(np.float32)
    rows, sources = [], dict(copies)
    for index, label in enumerate(labels):
        path = folder / "photos" / f"{index}.jpg"
        if index not in missing:
            photo(path, seed=sources.get(index, index), width=60 + 10 * (index % 4), height=50)
        rows.append(ImageRow(f"{index}.jpg", path, label))
    for copy, original in copies:
        embedding[copy] = embedding[original]
    errors = [f"{index}.jpg: broken" if index in failed else None for index in range(len(labels))]
    embedding[[error is not None for error in errors]] = np.nan
    write_folder(folder / "embeddings", [EmbeddedRows(rows, embedding, errors)], card=card, source=folder / "photos")
    return folder / "embeddings"


def hostile_folder(folder: Path) -> Path:
    """Labels, model card and ids that would break out of a page that trusts them."""
    labels = [HOSTILE if index % 2 else HOSTILE_STYLE for index in range(12)]
    card = replace(CARD, name=HOSTILE, dataset=HOSTILE_STYLE, provenance={HOSTILE: "</title>\u2028<!--"})
    return embedded_photos(folder, labels, missing={3}, card=card)
