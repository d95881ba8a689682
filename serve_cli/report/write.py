"""Write the page of `lifted report` within the requested size."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import ConfigError, DataError, RunError
from gluon_lifted.metrics.recall_comparison import estimate_to_json
from serve_cli.embeddings.embedding_manifest import read_manifest
from serve_cli.embeddings.vectors import to_unit_norm
from serve_cli.evaluate.read import read_labeled_folder
from serve_cli.path_kinds import wrong_kind
from serve_cli.provenance import version, versions
from serve_cli.report.access import Access, Fetcher
from serve_cli.report.analysis import Analysis, Context, analyze
from serve_cli.report.baselines import measure_baselines
from serve_cli.report.comparison import same_images
from serve_cli.report.html import require_jinja
from serve_cli.report.layout2d import require_method
from serve_cli.report.page import (
    GENERATOR,
    Heading,
    render,
)
from serve_cli.report.page_file import check_page, write_page
from serve_cli.report.pictures import (
    DETAILS,
    Detail,
    make_sheet,
    make_thumbnails,
)
from serve_cli.report.report_options import (
    MB,
    ContextFacts,
    NotShown,
    ReportFacts,
    ReportOptions,
)
from serve_cli.report.run_start import read_run_start
from serve_cli.report.thumbnails import read_thumbnails
from serve_cli.report.visual_similarity import compare_pictures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

    from serve_cli.embeddings.reader import Embeddings

MOST_FACTS = 20  # largest number of lines about the model
ABOUT = ("source", "created", "provider", "rows", "failed")  # shown from the manifest


def write_report(options: ReportOptions) -> ReportFacts:
    """Write the page.

    Raises
    ------
    RunError
        If the embeddings are missing or damaged, the run did not train the model, or the page cannot be written.
    DataError
        If images have no label, fewer than two have an embedding, or the other folder has other images or labels.
    ConfigError
        If ``out`` exists and is not a report, a root is not a folder, or the page cannot be made small enough.
    MissingPackageError
        If Jinja2, scikit-learn or, where requested, UMAP is not installed.
    """
    began = time.monotonic()
    require_jinja()
    require_method(options.method)
    source, out = Path(options.source), Path(options.out)
    check_page(out, GENERATOR, "report", overwrite=options.overwrite)
    embeddings, other, failed = _read_embeddings(options)
    manifest = read_manifest(source)
    access, access_of_pixels = (  # each with its own limits on downloads, so that all pictures remain
        Access(manifest.get("source"), map(Path, options.roots), Fetcher() if options.fetch else None) for _ in range(2)
    )
    start = None if options.run is None else read_run_start(Path(options.run), embeddings)
    baselines = measure_baselines(embeddings, access_of_pixels, start, pixels=options.baseline)
    analysis = analyze(embeddings, Context(baselines, other, start), options)
    wanted = analysis.rows_outside_map() | {int(row) for row in analysis.map.rows}
    thumbnails = read_thumbnails(embeddings.paths, wanted, access)
    pictures = thumbnails.pictures
    not_shown = tuple(
        NotShown(reason, count, access.why(reason)) for reason, count in thumbnails.not_shown.most_common()
    )
    analysis = analysis.with_suspects(compare_pictures(analysis.suspects, pictures))
    heading = _heading(options, embeddings, manifest, failed, not_shown)
    page, on_map = _small_enough(heading, analysis, pictures, options)
    write_page(out, page)
    return ReportFacts(
        out=out,
        bytes=len(page),
        images=len(embeddings),
        classes=len(embeddings.class_names),
        failed=failed,
        recall=analysis.summary.recall,
        context=_context_facts(analysis),
        map_images=on_map,
        pictures=len(wanted),
        pictures_missing=len(wanted) - len(pictures),
        not_shown=not_shown,
        duplicates=analysis.suspects.num_duplicates,
        label_errors=analysis.suspects.num_label_errors,
        seconds=time.monotonic() - began,
    )


def _read_embeddings(options: ReportOptions) -> tuple[Embeddings, Embeddings | None, int]:
    """Return the rows with an embedding, those of the other model, and the number of images left out."""
    folder = Path(options.source)
    whole = _read(folder)
    if options.other is None:
        return whole.only(whole.embedded), None, whole.failed
    other_folder = Path(options.other)
    embeddings, other = same_images(whole, _read(other_folder))
    _require_two(folder, len(embeddings))
    if embeddings.name == other.name:
        names = _distinct_names(folder, other_folder)
        embeddings, other = replace(embeddings, name=names[0]), replace(other, name=names[1])
    return embeddings, other, len(whole) - len(embeddings)


def _distinct_names(first: Path, second: Path) -> tuple[str, str]:
    """Name two folders of the same name by their parents, or by their entire paths."""
    names = tuple("/".join(path.resolve().parts[-2:]) for path in (first, second))
    return (names[0], names[1]) if names[0] != names[1] else (str(first), str(second))


def _read(folder: Path) -> Embeddings:
    if not folder.is_dir():
        raise RunError(wrong_kind(folder, "embeddings"))
    embeddings = read_labeled_folder(folder)
    _require_two(folder, len(embeddings) - embeddings.failed)
    if embeddings.card.distance == "euclidean":
        return embeddings
    return replace(embeddings, embedding=to_unit_norm(embeddings.embedding))  # Euclidean then ranks as cosine does


def _require_two(folder: Path, embedded: int) -> None:
    if embedded < 2:
        raise DataError(f"{folder}: {embedded} images with an embedding; a report needs at least 2.")


def _context_facts(analysis: Analysis) -> ContextFacts:
    at_1, comparison, trained = analysis.summary.at_1, analysis.comparison, analysis.trained
    return ContextFacts(
        interval=None if math.isnan(at_1.low) else (at_1.low, at_1.high),
        baselines={baseline.name: baseline.at_1.value for baseline in analysis.context.baselines.lines},
        differences={name: estimate_to_json(value) for name, value in comparison.differences.items()}
        if comparison
        else {},
        trained_classes=None if trained is None else len(trained.names),
    )


def _small_enough(
    heading: Heading, analysis: Analysis, pictures: Mapping[int, Image], options: ReportOptions
) -> tuple[bytes, int]:
    """Return the page with the best pictures that fit its size, and the number of images on its map."""
    page = b""
    for detail in DETAILS:
        fewer = analysis.with_map_share(detail.map_share)
        page = _page(heading, fewer, pictures, detail)
        if len(page) <= options.max_bytes:
            return page, len(fewer.map.rows)
    raise ConfigError(
        f"the page has {len(page) / MB:.2f} MB even with the smallest pictures; give --max-size "
        f"{len(page) / MB + 0.1:.1f} or more."
    )


def _page(heading: Heading, analysis: Analysis, pictures: Mapping[int, Image], detail: Detail) -> bytes:
    shown = {row: pictures[row] for row in sorted(analysis.rows_outside_map()) if row in pictures}
    thumbnails = make_thumbnails(shown, detail.thumbnail_side, detail.thumbnail_quality)
    on_map = [pictures.get(int(row)) for row in analysis.map.rows]
    return render(heading, analysis, thumbnails, make_sheet(on_map, detail.map_side, detail.map_quality))


def _heading(
    options: ReportOptions,
    embeddings: Embeddings,
    manifest: Mapping[str, Any],
    failed: int,
    not_shown: tuple[NotShown, ...],
) -> Heading:
    about = {name: _in_words(manifest[name]) for name in ABOUT if name in manifest}
    model = manifest.get("model")
    if isinstance(model, dict):
        about |= {f"model {name}": _in_words(value) for name, value in list(model.items())[:MOST_FACTS]}
    packages = versions() | {name: used for name in ("scikit-learn", "umap-learn") if (used := version(name))}
    return Heading(
        title=options.title or embeddings.card.name,
        generated=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        command=options.command,
        versions=packages,
        about={"embeddings": str(options.source), **about},
        failed=failed,
        not_shown=tuple(map(str, not_shown)),
    )


def _in_words(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value!s:.1000}"
