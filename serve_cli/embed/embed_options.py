"""Options of `lifted embed`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from gluon_lifted.errors import ConfigError
from gluon_lifted.images import MAX_PIXELS
from serve_cli.choices import Dtype, Engine
from serve_cli.embeddings.part_formats import DEFAULT_FORMAT, FORMATS
from serve_cli.model.model_options import ModelOptions
from serve_cli.sources.network.retry import IMAGE_TIMEOUT_S
from serve_cli.sources.tables.columns import Columns

PART_ROWS = 100_000
MAX_IMAGE_TIMEOUT_S = 86_400
REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


@dataclass(frozen=True, kw_only=True)
class Output:
    """How embeddings are stored.

    Parameters
    ----------
    rows_per_file : int
        Rows of a part file.
    format : str
        A key of `serve_cli.embeddings.part_formats.FORMATS`.
    dtype : str
        Storage type: ``"float32"``, ``"float16"``, or ``"int8"`` with a scale per row.
    checksums : bool
        Add the SHA-256 and the size of each image's file.

    Raises
    ------
    ConfigError
        If the format or type is unknown, or ``rows_per_file`` is less than 1.
    """

    rows_per_file: int = PART_ROWS
    format: str = DEFAULT_FORMAT
    dtype: Dtype = "float32"
    checksums: bool = False

    def __post_init__(self) -> None:
        if self.rows_per_file < 1:
            raise ConfigError(f"the number of rows per file is {self.rows_per_file}; give 1 or more.")
        if self.format not in FORMATS:
            raise ConfigError(f"format {self.format!r} is unknown; use {' or '.join(FORMATS)}.")
        if self.dtype not in get_args(Dtype):
            raise ConfigError(f"storage type {self.dtype!r} is unknown; use {', '.join(get_args(Dtype))}.")


@dataclass(frozen=True)
class ArrayTask:
    """One task of a job array whose ``count`` tasks share a folder. It computes parts ``index``, ``index + count``, ...

    Raises
    ------
    ConfigError
        If ``index`` is not one of 0 to ``count - 1``.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ConfigError(
                f"task {self.index} of {self.count} does not exist; --task-index counts from 0 to {self.count - 1}."
            )


@dataclass(frozen=True, kw_only=True)
class EmbedOptions:
    """Options of `lifted embed`.

    Parameters
    ----------
    model : str or Path
        The ONNX file.
    source : str or Path
        The path, pattern or URL of the images.
    out : str or Path
        The embedding folder. If it has parts of the same run, the run resumes.
    model_options : ModelOptions
        Device, threads, sessions and batch size.
    columns : Columns
        Names of a table's columns.
    output : Output
        How embeddings are stored.
    task : ArrayTask
        The share of a job array; by default all parts.
    max_memory : int, optional
        Memory limit of the process in bytes; by default half the memory of the host or container.
    pixel_limit : int
        Images with more pixels are not decoded.
    overwrite : bool
        Replace the embeddings of another run in ``out``.
    retry_failed : bool
        Recompute part files that contain failed images.
    engine : str
        A key of `serve_cli.embed.engines.ENGINES`.
    ignore_changed_files : bool
        Resume even if sizes or modification times of files have changed. ``retry_failed`` implies it, since repaired
        images have changed.
    image_timeout : float
        Seconds for an image from a web server or object store, including redirects, retries and pauses.

    Raises
    ------
    ConfigError
        If an option is out of range or options contradict each other.
    """

    model: str | Path
    source: str | Path
    out: str | Path
    model_options: ModelOptions = ModelOptions()
    columns: Columns = Columns()
    output: Output = Output()
    task: ArrayTask = ArrayTask()
    max_memory: int | None = None
    pixel_limit: int = MAX_PIXELS
    overwrite: bool = False
    retry_failed: bool = False
    engine: Engine = "local"
    ignore_changed_files: bool = False
    image_timeout: float = IMAGE_TIMEOUT_S

    def __post_init__(self) -> None:
        if self.overwrite and self.task.count > 1:
            raise ConfigError("--overwrite would remove what other tasks have written; remove the folder first.")
        if self.overwrite and self.retry_failed:
            raise ConfigError(
                "--overwrite and --retry-failed exclude each other: one replaces the part files that the other keeps."
            )
        if REMOTE.match(str(self.out)):
            raise ConfigError(
                f"--out {self.out}: expected a local folder; write there, then copy the folder to the URL."
            )
        if Path(self.source).resolve() == Path(self.out).resolve():
            raise ConfigError(
                f"--out {self.out}: is the folder with the images; give a separate folder for embeddings."
            )
        if not 0 < self.image_timeout <= MAX_IMAGE_TIMEOUT_S:
            raise ConfigError(
                f"the image timeout is {self.image_timeout:g} s; give more than 0 and at most {MAX_IMAGE_TIMEOUT_S:,}."
            )
        if not 1 <= self.pixel_limit <= MAX_PIXELS:
            raise ConfigError(f"the pixel limit is {self.pixel_limit:,}; give 1 to {MAX_PIXELS:,}.")
