"""Options of `lifted embed`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from gluon_lifted.errors import ConfigError
from gluon_lifted.images import MAX_PIXELS
from serve_cli.choices import Dtype, Engine, Format
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
        Of the numbers: ``"float32"``, ``"float16"``, or ``"int8"`` with a scale for each row.
    checksums : bool
        Add the SHA-256 and the size of each image's file.

    Raises
    ------
    ConfigError
        If there is no such format or type.
    """

    rows_per_file: int = PART_ROWS
    format: Format = "parquet"
    dtype: Dtype = "float32"
    checksums: bool = False

    def __post_init__(self) -> None:
        if self.rows_per_file < 1:
            raise ConfigError(f"parts of {self.rows_per_file} rows; give 1 or more.")
        if self.format not in get_args(Format):
            raise ConfigError(f"format {self.format!r} is unknown; use {' or '.join(get_args(Format))}.")
        if self.dtype not in get_args(Dtype):
            raise ConfigError(f"numbers of type {self.dtype!r} are unknown; use {', '.join(get_args(Dtype))}.")


@dataclass(frozen=True)
class ArrayTask:
    """A run of a job array of ``count`` runs that share the folder. It computes parts ``index``, ``index + count``, ...

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
    model, source, out : Path; source also str
        The ONNX file, what to embed (a path, a glob or a URL), the embedding folder. One with parts of the same run
        is resumed.
    model_options : ModelOptions
    columns : Columns
        Of a manifest.
    output : Output
    task : ArrayTask
    max_memory : int, optional
        Bytes that the process may take; by default half of what the machine or the container has.
    pixel_limit : int
        Images with more pixels are not decoded.
    overwrite : bool
        Replace what another run has left there.
    retry_failed : bool
        Recompute parts that contain rows without an embedding.
    ignore_changed_files : bool
        Resume although files have other sizes or modification times than when the run began; ``retry_failed``
        implies it, for the images that were repaired.
    engine : str
        A key of `serve_cli.embed.engines.ENGINES`.
    image_timeout : float
        Seconds for an image that comes from a server or an object store, with redirects, retries and pauses.

    Raises
    ------
    ConfigError
        If the settings do not fit together.
    """

    model: Path
    source: Path | str
    out: Path
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
            raise ConfigError("runs that share a folder cannot overwrite it; remove the folder first.")
        if self.overwrite and self.retry_failed:
            raise ConfigError("--overwrite and --retry-failed: one replaces all that the other would keep.")
        if REMOTE.match(str(self.out)):
            raise ConfigError(f"--out {self.out}: embeddings go to this machine's disks; copy them from there.")
        if Path(self.source).resolve() == self.out.resolve():
            raise ConfigError(f"--out {self.out}: holds the images; give the embeddings a folder of their own.")
        if not 0 < self.image_timeout <= MAX_IMAGE_TIMEOUT_S:
            raise ConfigError(
                f"{self.image_timeout:g} s for an image; give more than 0 and at most {MAX_IMAGE_TIMEOUT_S:,}."
            )
        if not 1 <= self.pixel_limit <= MAX_PIXELS:
            raise ConfigError(f"a pixel limit of {self.pixel_limit:,}; give 1 to {MAX_PIXELS:,}.")
