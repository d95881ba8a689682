"""A run of `lifted embed` with everything it needs, opened and checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from gluon_lifted.errors import RunError
from serve_cli.embed.decoding import CHECKSUMS
from serve_cli.embeddings.embedding_folder import EmbeddingFolder
from serve_cli.embeddings.resume_plan import Plan, survey
from serve_cli.model.embedder import Embedder
from serve_cli.path_kinds import may_be_model, refuse_other_folder, wrong_kind
from serve_cli.sources.resolve import open_source
from serve_cli.sources.source import as_text

if TYPE_CHECKING:
    from serve_cli.embed.embed_options import EmbedOptions
    from serve_cli.embeddings.resume_plan import Survey
    from serve_cli.sources.source import Source


@dataclass(frozen=True)
class EmbedRun:
    """A run with its plan, and its source, model and folder opened."""

    options: EmbedOptions
    plan: Plan
    source: Source
    embedder: Embedder
    folder: EmbeddingFolder

    @property
    def mine(self) -> range:
        """The numbers of this run's parts."""
        return range(self.options.task.index, self.plan.parts, self.options.task.count)

    @property
    def missing(self) -> list[int]:
        """The numbers of this run's parts that are still to be computed."""
        kept = {
            number for number, part in self.folder.finished.items() if not (self.options.retry_failed and part.failed)
        }
        return [number for number in self.mine if number not in kept]

    def rows_of(self, parts: range | list[int]) -> int:
        """Return the number of rows in some parts."""
        return sum(len(self.plan.rows_of(number)) for number in parts)


def open_run(options: EmbedOptions, surveyed: Survey | None = None) -> EmbedRun:
    """Open source, model and folder.

    Parameters
    ----------
    options : EmbedOptions
        Checked when they were created.
    surveyed : Survey, optional
        The source's survey, if known. Otherwise the source is read once.

    Raises
    ------
    DataError, RunError, DeviceError
        See `serve_cli.embed.embed_images.embed_images`.
    """
    model = Path(options.model)
    if not may_be_model(model):
        raise RunError(wrong_kind(model, "model", other=Path(options.source)))
    refuse_other_folder(Path(options.out), "embeddings")
    source = open_source(options.source, options.columns)
    embedder = Embedder(model, options.model_options)
    surveyed = surveyed or survey(source)
    plan = Plan(
        source=as_text(source.root),
        **asdict(surveyed),
        model_sha256=embedder.model_sha256,
        provider=embedder.provider,
        batch_size=embedder.batch_size,
        rows_per_file=options.output.rows_per_file,
        pixel_limit=options.pixel_limit,
        format=options.output.format,
        dtype=options.output.dtype,
        checksums=options.output.checksums,
        columns=", ".join(asdict(options.columns).values()),
    )
    extra = pa.schema([*(CHECKSUMS if plan.checksums else ()), *source.extra])
    folder = EmbeddingFolder(
        Path(options.out),
        plan,
        embedder.card,
        extra,
        overwrite=options.overwrite,
        accept_changed_files=options.ignore_changed_files or options.retry_failed,
    )
    return EmbedRun(options, plan, source, embedder, folder)
