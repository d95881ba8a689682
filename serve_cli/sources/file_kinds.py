"""The kinds of file that hold or list images, each declared once.

Another kind is a module that makes its `Source`, and an entry of `FILE_KINDS`. What a kind needs is imported when its
source is opened, so that a help text costs nothing.
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
        What such a file is, for help texts and errors.
    open : callable
        Makes the source of such files. Takes the root that the source is named by, the files, and the columns of
        tables. Raises `DataError`.
    several : bool
        Whether the files that fit a pattern make one source.
    in_folders : bool
        Whether a folder that holds such files means these, and not its images.
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
    """Whether files with a suffix are offered as a pattern where a folder holds no images."""
    kind = FILE_KINDS.get(suffix)
    return kind is not None and kind.several and not kind.in_folders


def known_kinds() -> str:
    """All kinds in words: ``.tar (tar shard, not compressed), .txt (list of paths), .csv .jsonl .parquet (table)``."""
    suffixes: dict[str, list[str]] = {}
    for kind in _ALL:
        suffixes.setdefault(kind.help, []).append(kind.suffix)
    return ", ".join(f"{' '.join(names)} ({text})" for text, names in suffixes.items())
