"""Pictures of embeddings, for people who would rather look than read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from gluon_lifted.files import replaced_file
from gluon_lifted.images import Preprocessing, read_image

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from serve_cli.runtime.storage.reader import Embeddings

TILE, BORDER, GAP = 96, 4, 24  # pixels
HIT, MISS, BACKGROUND = "#2e9e44", "#d43a2f", "white"
WHOLE = Preprocessing(resize=TILE - 2 * BORDER, crop=TILE - 2 * BORDER)


def draw_neighbours(found: Embeddings, path: Path, queries: int = 10, neighbours: int = 8) -> None:
    """Write a sheet: a line per query, its nearest others to the right, framed green where the class is the same.

    Parameters
    ----------
    found : Embeddings
        Embedded images with labels; the files must still be there.
    path : Path
        PNG to write.
    queries, neighbours : int
        Lines, and images to the right of each query. Queries are spread evenly over the classes.
    """
    labels = np.array(found.labels)
    _, firsts = np.unique(labels, return_index=True)
    chosen = firsts[np.linspace(0, len(firsts) - 1, min(queries, len(firsts))).astype(int)]
    width = (neighbours + 1) * TILE + GAP
    sheet = Image.new("RGB", (width, len(chosen) * TILE), BACKGROUND)
    for line, query in enumerate(chosen):
        nearest = _nearest(found.embedding, query)[:neighbours]
        sheet.paste(_tile(found.paths[query], BACKGROUND), (0, line * TILE))
        for column, row in enumerate(nearest, start=1):
            colour = HIT if labels[row] == labels[query] else MISS
            sheet.paste(_tile(found.paths[row], colour), (column * TILE + GAP, line * TILE))
    ImageDraw.Draw(sheet).line([(TILE + GAP // 2, 0), (TILE + GAP // 2, sheet.height)], fill="#bbbbbb")
    with replaced_file(path) as temporary:
        sheet.save(temporary, format="PNG")


def _nearest(embedding: NDArray[np.float32], query: int) -> NDArray[np.intp]:
    """Rows by Euclidean distance to row ``query``, itself left out."""
    distance = np.linalg.norm(embedding.astype(np.float64) - embedding[query], axis=1)
    distance[query] = np.inf
    return np.argsort(distance, kind="stable")[: len(distance) - 1]


def _tile(path: str, colour: str) -> Image.Image:
    image = Image.fromarray(read_image(path, WHOLE))
    return ImageOps.expand(image, BORDER, colour)
