"""WebDataset's tar shards: images beside files of the same name that say more about them."""

from __future__ import annotations

import os
import tarfile
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import DataError
from gluon_lifted.redaction import url_without_credentials
from serve_cli.runtime.rows import ImageRow
from serve_cli.runtime.sources.files import one_after_another
from serve_cli.runtime.sources.named import is_image
from serve_cli.runtime.sources.place import open_file, read_image_bytes, reading
from serve_cli.runtime.sources.source import Source, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from serve_cli.runtime.sources.files import Files

MAX_LABEL_BYTES = 1 << 12
LABEL = ".cls"


def tar_source(root: Path | str, shards: Files) -> Source:
    """The images of tar files, in their order; ``name.cls`` beside ``name.jpg`` holds its label.

    A row's id is ``shard.tar/name.jpg``. Images are read from where they lie when they are decoded; nothing is
    unpacked. A label counts if it comes before or right after its image, as in WebDataset, where samples are together.

    Raises
    ------
    DataError
        If a shard cannot be read, is compressed, or none holds an image.
    """

    def read(name: str, _: int, start: int) -> Iterator[ImageRow]:
        return islice(_rows(shards.at(name), name), start, None)

    listing = one_after_another(shards.names, read)
    if next(listing(0), None) is None:
        raise DataError(f"{root}: no images in it ({len(shards.names)} tar files).")
    return Source(root, partial(listing, 0), starting=listing)


def _rows(shard: Any, name: str) -> Iterator[ImageRow]:
    """One sample at a time: the members whose names are the same up to the first dot of their last part."""
    sample: list[tarfile.TarInfo] = []
    with reading(shard):
        try:
            with (
                open_file(shard, seekable=True) as file,
                tarfile.open(fileobj=file, mode="r:") as archive,
            ):  # plain tar alone: others cannot be read from the middle
                while member := archive.next():
                    archive.members = []  # type: ignore[attr-defined]  # it would keep all of them
                    if not member.isfile() or member.issparse():
                        continue
                    if sample and _key(sample[0].name) != _key(member.name):
                        yield from _sample(shard, name, sample)
                        sample = []
                    sample.append(member)
                _require_end(file, archive.offset)
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise DataError(f"{shard}: not a plain tar file that can be read ({error}).") from None
    yield from _sample(shard, name, sample)


def _require_end(file: Any, offset: int) -> None:
    """Refuse a file that was cut off between two members, which `tarfile` takes for its end."""
    file.seek(offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise ValueError(f"cut off after {file.tell():,} bytes")


def _sample(shard: Any, shard_name: str, members: list[tarfile.TarInfo]) -> Iterator[ImageRow]:
    labels = [one for one in members if one.name.endswith(LABEL) and one.size <= MAX_LABEL_BYTES]
    label = None
    if labels:
        content = read_image_bytes(shard, labels[0].offset_data, labels[0].size)
        label = content.decode(errors="backslashreplace").strip()
    for member in members:
        if is_image(member.name):
            name = as_text(f"{shard_name}/{member.name}")
            read = partial(read_image_bytes, shard, member.offset_data, member.size)
            yield ImageRow(name, f"{url_without_credentials(str(shard))}/{member.name}", label, content=read)


def _key(name: str) -> str:
    folder, last = os.path.split(name)
    return os.path.join(folder, last.split(".", 1)[0])
