"""The formats of part files, each declared once.

To add a format, write a module with a `PartWriter` and a `PartReader`, and add an entry to `FORMATS`. The module is
imported when a folder is opened, so that help texts load fast.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa

    from gluon_lifted.card import ModelCard
    from serve_cli.embeddings.parts import PartReader, PartWriter

    OpenWriter = Callable[[Path, ModelCard, str, pa.Schema | None], PartWriter]
    OpenReader = Callable[[Path, ModelCard, str], PartReader]

DEFAULT_FORMAT = "parquet"


@dataclass(frozen=True)
class PartFormat:
    """How an embedding folder stores its parts.

    Parameters
    ----------
    name, help : str
        The value of ``--format`` and in manifests, and a few words for help texts.
    part_file : str
        The name of a part in the manifest, relative to the folder: a format string for the part's number.
    files : tuple of str
        Regular expressions that match all files of parts, relative to the folder.
    load : callable
        Imports the format's writer and reader. Both take the folder, the model card and the storage type. The writer
        also takes the schema of the carried columns.
    """

    name: str
    help: str
    part_file: str
    files: tuple[str, ...]
    load: Callable[[], tuple[OpenWriter, OpenReader]]

    def part_name(self, number: int) -> str:
        """Return the name of a part in the manifest."""
        return self.part_file.format(number)

    def files_in(self, folder: Path) -> list[Path]:
        """List all files of parts in a folder, sorted. The list is empty if the folder does not exist."""
        return sorted(path for pattern in self.files for path in _matching(folder, pattern))


def _matching(folder: Path, pattern: str) -> list[Path]:
    parent, _, name = pattern.rpartition("/")
    below = folder / parent
    return [path for path in below.iterdir() if re.fullmatch(name, path.name)] if below.is_dir() else []


def _load_parquet() -> tuple[OpenWriter, OpenReader]:
    from serve_cli.embeddings.parquet_format import ParquetPartReader, ParquetPartWriter

    return ParquetPartWriter, ParquetPartReader


def _load_npy() -> tuple[OpenWriter, OpenReader]:
    from serve_cli.embeddings.npy_format import NpyPartReader, NpyPartWriter

    return NpyPartWriter, NpyPartReader


PARQUET = PartFormat(
    "parquet", "one parquet file per part", "part-{:05d}.parquet", (r"part-\d{5,}\.parquet",), _load_parquet
)
NPY = PartFormat(
    "npy",
    "the layout of clip-retrieval, for autofaiss, with failed images in separate files",
    "img_emb/img_emb_{:05d}.npy",
    (r"img_emb/img_emb_\d{5,}\.npy", r"metadata/metadata_\d{5,}\.parquet", r"failed/failed_\d{5,}\.parquet"),
    _load_npy,
)
FORMATS: dict[str, PartFormat] = {form.name: form for form in (PARQUET, NPY)}


def part_files(folder: Path) -> list[Path]:
    """List the files of parts in a folder, in any format."""
    return [path for form in FORMATS.values() for path in form.files_in(folder)]
