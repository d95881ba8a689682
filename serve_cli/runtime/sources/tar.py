"""WebDataset's tar shards: images beside files of the same name that say more about them."""

from __future__ import annotations

import os
import tarfile
from functools import partial
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import DataError
from gluon_lifted.images import IMAGE_SUFFIXES
from serve_cli.runtime.rows import ImageRow
from serve_cli.runtime.sources.place import is_remote, read_image_bytes
from serve_cli.runtime.sources.source import Source, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_LABEL_BYTES = 1 << 12
LABEL = ".cls"


def tar_source(root: Any, shards: Sequence[Any]) -> Source:
    """The images of tar files, in their order; ``name.cls`` beside ``name.jpg`` holds its label.

    A row's id is ``shard.tar/name.jpg``. Images are read from where they lie when they are decoded; nothing is
    unpacked. A label counts if it comes before or right after its image, as in WebDataset, where samples are together.

    Raises
    ------
    DataError
        If a shard cannot be read, is compressed, or none holds an image.
    """

    def listing() -> Iterator[ImageRow]:
        for shard in shards:
            yield from _rows(shard)

    if next(listing(), None) is None:
        raise DataError(f"{root}: no images in it ({len(shards)} tar files).")
    return Source(str(root) if is_remote(root) else root, listing)


def _rows(shard: Any) -> Iterator[ImageRow]:
    """One sample at a time: the members whose names are the same up to the first dot of their last part."""
    sample: list[tarfile.TarInfo] = []
    try:
        with (
            shard.open("rb") as file,
            tarfile.open(fileobj=file, mode="r:") as archive,
        ):  # plain tar alone: others cannot be read from the middle
            while member := archive.next():
                archive.members = []  # type: ignore[attr-defined]  # it would keep all of them
                if not member.isfile() or member.issparse():
                    continue
                if sample and _key(sample[0].name) != _key(member.name):
                    yield from _sample(shard, sample)
                    sample = []
                sample.append(member)
            _require_end(file, archive.offset)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise DataError(f"{shard}: not a plain tar file that can be read ({error}).") from None
    yield from _sample(shard, sample)


def _require_end(file: Any, offset: int) -> None:
    """Refuse a file that was cut off between two members, which `tarfile` takes for its end."""
    file.seek(offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise ValueError(f"cut off after {file.tell():,} bytes")


def _sample(shard: Any, members: list[tarfile.TarInfo]) -> Iterator[ImageRow]:
    labels = [one for one in members if one.name.endswith(LABEL) and one.size <= MAX_LABEL_BYTES]
    label = None
    if labels:
        content = read_image_bytes(shard, labels[0].offset_data, labels[0].size)
        label = content.decode(errors="backslashreplace").strip()
    for member in members:
        if os.path.splitext(member.name)[1].lower() in IMAGE_SUFFIXES:
            name = as_text(f"{shard.name}/{member.name}")
            read = partial(read_image_bytes, shard, member.offset_data, member.size)
            yield ImageRow(name, f"{shard}/{member.name}", label, content=read)


def _key(name: str) -> str:
    folder, last = os.path.split(name)
    return os.path.join(folder, last.split(".", 1)[0])
