"""The kinds of file that hold or list images, each declared once.

To add a kind, write a module that opens its `Source`, and add an entry to `FILE_KINDS`. The module is imported when a
source is opened, so that help texts load fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from serve_cli.sources.source import Files, Source
    from serve_cli.sources.tables.columns import Columns


@dataclass(frozen=True)
class FileKind:
    """A kind of file that holds or lists images.

    Parameters
    ----------
    suffix : str
        In lower case.
    help : str
        A few words for help texts and errors.
    open : callable
        Opens the source of such files. Takes the source's root, the files, and the columns of tables. Raises
        `DataError`.
    several : bool
        Whether all files that match a pattern form one source.
    in_folders : bool
        Whether a folder that contains such files means these files and not its images.
    """

    suffix: str
    help: str
    open: Callable[[Path | str, Files, Columns], Source]
    several: bool = True
    in_folders: bool = False


def _open_tar(root: Path | str, files: Files, _: Columns) -> Source:
    from serve_cli.sources.tar import tar_source

    return tar_source(root, files)


def _open_text_list(_: Path | str, files: Files, __: Columns) -> Source:
    from serve_cli.sources.text_list import list_source

    return list_source(files.at(files.names[0]))


def _open_csv(root: Path | str, files: Files, columns: Columns) -> Source:
    from serve_cli.sources.tables.table import table_source
    from serve_cli.sources.tables.text_tables import CsvReader

    return table_source(root, files, columns, CsvReader())


def _open_jsonl(root: Path | str, files: Files, columns: Columns) -> Source:
    from serve_cli.sources.tables.table import table_source
    from serve_cli.sources.tables.text_tables import JsonLinesReader

    return table_source(root, files, columns, JsonLinesReader())


def _open_parquet(root: Path | str, files: Files, columns: Columns) -> Source:
    from serve_cli.sources.tables.parquet_table import ParquetTableReader
    from serve_cli.sources.tables.table import table_source

    return table_source(root, files, columns, ParquetTableReader())


_ALL = (
    FileKind(".tar", "tar shard, not compressed", _open_tar, in_folders=True),
    FileKind(".txt", "list of paths", _open_text_list, several=False),
    FileKind(".csv", "table", _open_csv),
    FileKind(".jsonl", "table", _open_jsonl),
    FileKind(".parquet", "table", _open_parquet),
)
FILE_KINDS: dict[str, FileKind] = {kind.suffix: kind for kind in _ALL}


def is_table(suffix: str) -> bool:
    """Whether to suggest a pattern for files of this suffix when a folder has no images."""
    kind = FILE_KINDS.get(suffix)
    return kind is not None and kind.several and not kind.in_folders


def known_kinds() -> str:
    """List all kinds: ``.tar (tar shard, not compressed), .txt (list of paths), .csv .jsonl .parquet (table)``."""
    suffixes: dict[str, list[str]] = {}
    for kind in _ALL:
        suffixes.setdefault(kind.help, []).append(kind.suffix)
    return ", ".join(f"{' '.join(names)} ({text})" for text, names in suffixes.items())
