"""`lifted report`."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from serve_cli.cli.shared_options import (
    SOME_FAILED,
    Json,
    Ks,
    Overwrite,
    parse_ks,
)

MB = 1_000_000


class MapMethod(str, Enum):
    """What places images on the map."""

    tsne = "tsne"
    pca = "pca"
    umap = "umap"


def report(
    source: Annotated[Path, typer.Argument(metavar="EMBEDDINGS", help="A folder that `lifted embed` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="The page to write.")] = Path("report.html"),
    k: Ks = "1,2,4,8,16,32",
    method: Annotated[
        MapMethod, typer.Option("--map", help="What places images on the map; umap needs umap-learn.")
    ] = MapMethod.tsne,
    images: Annotated[int, typer.Option("--images", min=1, max=5000, help="Images on the map, at most.")] = 2000,
    max_size: Annotated[
        float,
        typer.Option(
            "--max-size",
            min=0.1,
            help="MB of the page; pictures become as small, and on the map as few, as that needs.",
        ),
    ] = 8.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of what is drawn at random.")] = 0,
    title: Annotated[str | None, typer.Option("--title", help="Of the page.", show_default="the model's name")] = None,
    roots: Annotated[
        list[Path] | None,
        typer.Option(
            "--root",
            metavar="DIR",
            help="Read images below this folder; repeat for several.",
            show_default="the source that the embeddings name",
        ),
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Fetch images that have URLs (http, https, s3, gs), within bounds.")
    ] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write a page that shows how good embeddings are, for looking at without a network and on a phone.

    Recall and its curve, the worst classes, what queries find, a map of the images,
    distances, duplicates and suspected label errors, the model card. An earlier
    report is replaced, another file only with --overwrite. Images without an
    embedding are left out and counted; the exit status is then 3.

    Images are read below the source that the embeddings name, or below --root; a
    link that leads out is not followed. URLs need --fetch. A source such as / or a
    home folder opens up too much and needs --root. The page counts the pictures
    that it does not show and says why. A folder of embeddings from a stranger can
    name any folder of images as its source: look at the page before you share it.

    [bold]Examples[/bold]

      lifted report embeddings --out report.html

      lifted report embeddings --out small.html --max-size 2 --map pca

      lifted report embeddings --root /data/photos --fetch
    """
    from serve_cli.cli.console import print_facts, print_json
    from serve_cli.report.report_options import ReportOptions
    from serve_cli.report.write import write_report

    written = write_report(
        ReportOptions(
            source=source,
            out=out,
            ks=parse_ks(k),
            method=method.value,
            map_images=images,
            max_bytes=int(max_size * MB),
            seed=seed,
            title=title,
            command=shlex.join(["lifted", *sys.argv[1:]]),
            overwrite=overwrite,
            roots=tuple(roots or ()),
            fetch=fetch,
        )
    )
    if as_json:
        print_json(asdict(written))
    else:
        print_facts(written.facts())
    if written.failed:
        raise typer.Exit(SOME_FAILED)
