"""Small pictures of images, read where they lie: on disk, in tar shards or behind a URL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from gluon_lifted.errors import LiftedError
from gluon_lifted.images import Preprocessing, open_image, read_image
from gluon_lifted.images.framing import upright_size
from gluon_lifted.machine.cpus import usable_cpus
from serve_cli.console import Progress
from serve_cli.runtime.sources import open_source
from serve_cli.runtime.sources.place import read_image_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from serve_cli.runtime.report.rows import Rows

SIDE = 128  # pixels of the longer side; the largest that a page shows
MOST_SLENDER = 8  # times as long as wide; what is longer is shown so
WHOLE = Preprocessing(resize=SIDE, crop=SIDE, fit="pad")
TAR = ".tar/"


def read_thumbnails(rows: Rows, wanted: Iterable[int]) -> dict[int, Image.Image]:
    """Read pictures of some rows, in threads; progress goes to stderr.

    Parameters
    ----------
    rows : Rows
    wanted : iterable of int
        Rows, each at most once.

    Returns
    -------
    dict
        Row -> RGB picture whose longer side has 128 px. Rows whose image is missing or broken are left out.
    """
    numbers = sorted(wanted)
    in_shards = _readers_in_shards([rows.paths[row] for row in numbers])
    found: dict[int, Image.Image] = {}
    with Progress("thumbnails", len(numbers)) as progress, ThreadPoolExecutor(usable_cpus()) as pool:
        pictures = pool.map(lambda row: _picture(rows.paths[row], in_shards), numbers)
        for done, (row, picture) in enumerate(zip(numbers, pictures, strict=True), start=1):
            if picture is not None:
                found[row] = picture
            progress.update(done)
    return found


def _picture(path: str, in_shards: Mapping[str, Callable[[], bytes]]) -> Image.Image | None:
    try:
        if path in in_shards:
            return thumbnail(in_shards[path]())
        return thumbnail(read_image_bytes(path))
    except LiftedError:
        return None


def thumbnail(content: bytes) -> Image.Image:
    """The whole of an image, upright, its longer side 128 px. Raises `ImageError`."""
    square = Image.fromarray(read_image(content, WHOLE))
    with open_image(content) as image:
        width, height = upright_size(image)
    long, short = max(width, height), min(width, height)
    narrow = max(round(SIDE * short / long), SIDE // MOST_SLENDER)
    margin = (SIDE - narrow) // 2  # white, on both sides
    return square.crop((0, margin, SIDE, margin + narrow) if width >= height else (margin, 0, margin + narrow, SIDE))


def _readers_in_shards(paths: list[str]) -> dict[str, Callable[[], bytes]]:
    """How to read those images that lie in tar files, by the paths that their rows have; each file is listed once."""
    wanted = {path for path in paths if TAR in path and not Path(path).exists()}
    shards = {path[: path.index(TAR) + len(TAR) - 1] for path in wanted}
    readers: dict[str, Callable[[], bytes]] = {}
    for shard in sorted(shards):
        with suppress(LiftedError):  # it is gone; its images are missing
            for row in open_source(shard):
                if row.content is not None and str(row.path) in wanted:
                    readers[str(row.path)] = row.content
    return readers
