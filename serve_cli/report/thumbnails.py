"""Read thumbnails of images: on disk, in tar shards or behind URLs."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from PIL import Image

from gluon_lifted.errors import LiftedError
from gluon_lifted.hardware.cpus import usable_cpus
from gluon_lifted.images import DecodeLimits, Preprocessing, open_image, read_image
from gluon_lifted.images.framing import upright_size
from gluon_lifted.images.reading import DEFAULT_LIMITS
from gluon_lifted.progress import open_progress
from serve_cli.report.access import (
    TAR,
    Access,
    Reason,
    WithheldError,
    is_url,
)
from serve_cli.sources.source import one_file
from serve_cli.sources.tar import tar_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Picture = TypeVar("Picture")

SIDE = 128  # pixels of the longer side, the largest size on a page
MAX_ASPECT = 8  # longer side over the shorter; images that exceed it are padded


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """Pictures of rows, and the number of rows without one.

    Parameters
    ----------
    pictures : dict
        Row -> RGB picture, 128 px on the longer side.
    not_shown : Counter
        Reason -> number of rows.
    """

    pictures: dict[int, Image.Image]
    not_shown: Counter[Reason]


def read_thumbnails(paths: Sequence[str], wanted: Iterable[int], access: Access) -> Thumbnails:
    """Read pictures of some rows in threads.

    Parameters
    ----------
    paths : sequence of str, (N,)
        Paths or URLs of all images.
    wanted : iterable of int
        Rows, each at most once.
    access : Access
        Reads the pictures that may be read.
    """
    numbers = sorted(wanted)
    read = image_reader([paths[row] for row in numbers], access)
    thumbnails, not_shown = {}, Counter[Reason]()
    with open_progress("thumbnails", len(numbers)) as progress, ThreadPoolExecutor(usable_cpus()) as pool:
        pictures = pool.map(lambda row: decoded_or_reason(paths[row], read, thumbnail), numbers)
        for done, (row, picture) in enumerate(zip(numbers, pictures, strict=True), start=1):
            if isinstance(picture, Reason):
                not_shown[picture] += 1
            else:
                thumbnails[row] = picture
            progress.update(done)
    return Thumbnails(thumbnails, not_shown)


def image_reader(paths: Sequence[str], access: Access) -> Callable[[str], bytes]:
    """Return a function that reads the content of any of these images. It raises as `Access.read` does."""
    in_shards = _readers_in_shards(paths, access)
    return lambda path: in_shards[path]() if path in in_shards else access.read(path)


def decoded_or_reason(path: str, read: Callable[[str], bytes], decode: Callable[[bytes], Picture]) -> Picture | Reason:
    """Read and decode an image. Return the reason if it is withheld or unreadable."""
    try:
        return decode(read(path))
    except WithheldError as error:
        return error.reason
    except Exception:  # decoders and object stores raise anything; the page leaves the picture out
        return Reason.unreadable


def thumbnail(content: bytes, side: int = SIDE, limits: DecodeLimits = DEFAULT_LIMITS) -> Image.Image:
    """Decode an entire image, upright, to ``side`` px on the longer side. Raise `ImageError`."""
    whole = Preprocessing(resize=side, crop=side, fit="pad")
    square = Image.fromarray(read_image(content, whole, limits=limits))
    with open_image(content) as image:
        width, height = upright_size(image)
    long, short = max(width, height), min(width, height)
    narrow = max(round(side * short / long), 1, side // MAX_ASPECT)
    margin = (side - narrow) // 2  # white, on both sides
    return square.crop((0, margin, side, margin + narrow) if width >= height else (margin, 0, margin + narrow, side))


def _readers_in_shards(paths: Sequence[str], access: Access) -> dict[str, Callable[[], bytes]]:
    """Return functions that read the images inside tar files, by path. Each tar file is listed only once."""
    wanted = {path for path in paths if TAR in path and not is_url(path) and not os.path.exists(path)}
    shards = {path[: path.index(TAR) + len(TAR) - 1] for path in wanted}
    readers: dict[str, Callable[[], bytes]] = {}
    for shard in sorted(shards):
        readers |= {path: read for path, read in shard_readers(shard, access) if path in wanted}
    return readers


def shard_readers(shard: str, access: Access) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """List the paths of the images in a tar file and functions that read them, or nothing if it may not be read."""
    with suppress(LiftedError, WithheldError):  # its images are then missing or withheld, too
        if access.local(shard).is_file():
            tar = Path(shard)
            for row in tar_source(tar, one_file(tar)):
                if row.content is not None:
                    yield str(row.path), row.content
