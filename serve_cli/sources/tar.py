"""WebDataset's tar shards: images, and files of the same name with their labels."""

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
    """Open the images of tar shards, in order. ``name.cls`` next to ``name.jpg`` holds its label.

    A row's id is ``shard.tar/name.jpg``. Nothing is unpacked: an image is read from the shard when it is decoded.
    Hidden names are skipped. As in WebDataset, the files of a sample must follow each other.

    Raises
    ------
    DataError
        If a shard cannot be read or is compressed, or no shard contains an image.
    """

    def read(name: str, _: int, start: int) -> Iterator[ImageRow]:
        return islice(_rows(shards.at(name), name), start, None)

    listing = one_after_another(shards.names, read)
    if next(listing(0), None) is None:
        raise DataError(f"{root}: no images in its tar files ({len(shards.names)} read).")
    return Source(root, partial(listing, 0), starting=listing)


class _BoundedHeader(tarfile.TarInfo):
    """A member's header of bounded size. `tarfile` itself reads long names and pax headers of any size into memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.size < 0 or (header.type in HEADER_TYPES and header.size > MAX_HEADER_BYTES):
            raise ValueError(f"a header of {header.size:,} bytes, more than the limit of {MAX_HEADER_BYTES:,}")
        return header


def _rows(shard: Location, name: str) -> Iterator[ImageRow]:
    """Read one sample at a time: members with the same name up to the first dot of the last part."""
    sample: list[tarfile.TarInfo] = []
    for member in _members(shard):
        if sample and _key(sample[0].name) != _key(member.name):
            yield from _sample(shard, name, sample)
            sample = []
        sample.append(member)
    yield from _sample(shard, name, sample)


def _members(shard: Location) -> Iterator[tarfile.TarInfo]:
    """Iterate over the files that are not hidden."""
    with reading(shard), open_file(shard, seekable=True) as file:
        archive = _damage_named(
            shard,  # uncompressed only: images are read at their offsets
            lambda: tarfile.open(fileobj=file, mode="r:", tarinfo=_BoundedHeader),  # noqa: SIM115  # owns no file
        )
        offset = -1
        while member := _damage_named(shard, archive.next):
            archive.members = []  # type: ignore[attr-defined]  # tarfile keeps all members in memory
            if member.size < 0 or archive.offset <= offset:
                raise _damaged(shard, "a member of a negative size")
            offset = archive.offset
            if member.isfile() and not member.issparse() and not _is_hidden(member.name):
                yield member
        _damage_named(shard, partial(_require_end, file, archive.offset))


def _damage_named(shard: Location, read: Callable[[], Result]) -> Result:
    """Call ``read``, and raise `DataError` for errors of `tarfile` on damaged headers."""
    try:
        return read()
    except OSError:
        raise  # from the disk or the store
    except Exception as error:  # tarfile raises TarError, ValueError, EOFError and others for damaged headers
        raise _damaged(shard, str(error) or type(error).__name__) from None


def _damaged(shard: Location, why: str) -> DataError:
    return DataError(f"{shard}: cannot be read as an uncompressed tar file ({why:.200}).")


def _is_hidden(name: str) -> bool:
    """Whether a part of the name starts with a dot, as macOS's metadata files ``._a.jpg`` do, or is ``__MACOSX``."""
    parts = name.replace("\\", "/").split("/")
    return any(part == MAC_FOLDER or (part.startswith(".") and part not in (".", "..")) for part in parts)


def _require_end(file: Any, offset: int) -> None:
    """Raise `ValueError` if the file is cut off between two members, which `tarfile` takes for its end."""
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
