"""WebDataset's tar shards: images beside files of the same name that say more about them."""

from __future__ import annotations

import os
import tarfile
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from gluon_lifted.errors import DataError
from gluon_lifted.redaction import url_without_credentials
from serve_cli.sources.image_bytes import read_image_bytes
from serve_cli.sources.image_row import ImageRow
from serve_cli.sources.location import file_stamp, open_file, reading
from serve_cli.sources.passed_over import is_image
from serve_cli.sources.source import Source, as_text, one_after_another

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typing_extensions import Self

    from serve_cli.sources.location import Location
    from serve_cli.sources.source import Files

MAX_LABEL_BYTES = 1 << 12
MAX_HEADER_BYTES = 1 << 20
HEADER_TYPES = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)
LABEL = ".cls"
MAC_FOLDER = "__MACOSX"

Result = TypeVar("Result")


def tar_source(root: Path | str, shards: Files) -> Source:
    """The images of tar files, in their order; ``name.cls`` beside ``name.jpg`` holds its label.

    A row's id is ``shard.tar/name.jpg``. Images are read where they are stored, when they are decoded: nothing is
    unpacked. Hidden names are passed over. A label counts if it comes before or right after its image, as in
    WebDataset, where samples are together.

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


class _BoundedHeader(tarfile.TarInfo):
    """A member's header. `tarfile` reads long names and pax headers into memory, of whatever size they claim to be."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.size < 0 or (header.type in HEADER_TYPES and header.size > MAX_HEADER_BYTES):
            raise ValueError(f"a header of {header.size:,} bytes, more than the limit of {MAX_HEADER_BYTES:,}")
        return header


def _rows(shard: Location, name: str) -> Iterator[ImageRow]:
    """One sample at a time: the members whose names are the same up to the first dot of their last part."""
    sample: list[tarfile.TarInfo] = []
    for member in _members(shard):
        if sample and _key(sample[0].name) != _key(member.name):
            yield from _sample(shard, name, sample)
            sample = []
        sample.append(member)
    yield from _sample(shard, name, sample)


def _members(shard: Location) -> Iterator[tarfile.TarInfo]:
    """Files that are not hidden."""
    with reading(shard), open_file(shard, seekable=True) as file:
        archive = _damage_named(
            shard,  # plain tar alone: others cannot be read from the middle
            lambda: tarfile.open(fileobj=file, mode="r:", tarinfo=_BoundedHeader),  # noqa: SIM115  # closes nothing
        )
        offset = -1
        while member := _damage_named(shard, archive.next):
            archive.members = []  # type: ignore[attr-defined]  # it would keep all of them
            if member.size < 0 or archive.offset <= offset:
                raise _damaged(shard, "a member of a negative size")
            offset = archive.offset
            if member.isfile() and not member.issparse() and not _is_hidden(member.name):
                yield member
        _damage_named(shard, partial(_require_end, file, archive.offset))


def _damage_named(shard: Location, read: Callable[[], Result]) -> Result:
    """What ``read`` gives. Raises `DataError` for whatever `tarfile` raises at damaged headers."""
    try:
        return read()
    except OSError:
        raise  # the disk's or the store's
    except Exception as error:  # tarfile raises TarError, ValueError, EOFError and others at damaged headers
        raise _damaged(shard, str(error) or type(error).__name__) from None


def _damaged(shard: Location, why: str) -> DataError:
    return DataError(f"{shard}: not a plain tar file that can be read ({why:.200}).")


def _is_hidden(name: str) -> bool:
    """As in folders, whatever begins with a dot; so do macOS's files that describe others, such as ``._a.jpg``."""
    parts = name.replace("\\", "/").split("/")
    return any(part == MAC_FOLDER or (part.startswith(".") and part not in (".", "..")) for part in parts)


def _require_end(file: Any, offset: int) -> None:
    """Refuse a file that was cut off between two members, which `tarfile` takes for its end."""
    file.seek(offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise ValueError(f"cut off after {file.tell():,} bytes")


def _sample(shard: Location, shard_name: str, members: list[tarfile.TarInfo]) -> Iterator[ImageRow]:
    labels = [member for member in members if member.name.endswith(LABEL) and member.size <= MAX_LABEL_BYTES]
    label = None
    if labels:
        content = read_image_bytes(shard, labels[0].offset_data, labels[0].size)
        label = content.decode(errors="backslashreplace").strip()
    whole = file_stamp(shard)
    for member in members:
        if is_image(member.name):
            name = as_text(f"{shard_name}/{member.name}")
            read = partial(read_image_bytes, shard, member.offset_data, member.size)
            stamp = (*whole, member.offset_data, member.size)
            path = f"{url_without_credentials(str(shard))}/{member.name}"
            yield ImageRow(name, path, label, content=read, stamp=stamp)


def _key(name: str) -> str:
    folder, last = os.path.split(name)
    return os.path.join(folder, last.split(".", 1)[0])
