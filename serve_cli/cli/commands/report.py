"""`lifted report`."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, get_args

import typer

from gluon_lifted.extras import require_extras
from serve_cli.choices import MapMethod
from serve_cli.cli.shared_options import SOME_FAILED, Json, Ks, Overwrite, parse_ks
from serve_cli.report.report_options import MB, ReportOptions

MAP = "Map"  # panel of `--help`

Embeddings = Annotated[Path, typer.Argument(metavar="EMBEDDINGS", help="Show this folder of `lifted embed`.")]
Other = Annotated[
    Path | None,
    typer.Argument(metavar="OTHER", help="Compare with this folder: the same images, embedded by another model."),
]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Write the page to this file.")]
Method = Annotated[
    MapMethod,
    typer.Option(
        "--map",
        metavar="METHOD",
        rich_help_panel=MAP,
        help=f"Lay out the map by this method: {', '.join(get_args(MapMethod))}. umap needs umap-learn.",
    ),
]
MapImages = Annotated[
    int,
    typer.Option(
        "--images", metavar="N", min=1, max=5000, rich_help_panel=MAP, help="Show at most this many images on the map."
    ),
]
MaxSize = Annotated[
    float,
    typer.Option(
        "--max-size",
        metavar="MB",
        min=0.1,
        help="Keep the page below this size: shrink pictures first, then show fewer on the map.",
    ),
]
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, rich_help_panel=MAP, help="Seed sampling and the map.")
]
Title = Annotated[
    str | None,
    typer.Option("--title", metavar="TEXT", help="Give the page this title.", show_default="the model's name"),
]
Run = Annotated[
    Path | None,
    typer.Option(
        "--run",
        metavar="RUN",
        help="Mark the classes that this run of `lifted train` trained on, and add its recall before training.",
    ),
]
Baseline = Annotated[
    bool | None,
    typer.Option(
        "--baseline/--no-baseline",
        help="Add retrieval by raw pixels, which reads all images.",
        show_default="up to 10,000 images",
    ),
]
Roots = Annotated[
    list[Path] | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Read images below this folder. Repeat it for several.",
        show_default="the source that the embeddings name",
    ),
]
Fetch = Annotated[
    bool, typer.Option("--fetch", help="Download images that have URLs (http, https, s3, gs), within limits.")
]


def report(
    source: Embeddings,
    other: Other = None,
    out: Out = Path("report.html"),
    k: Ks = "1,2,4,8,16,32",
    method: Method = "tsne",
    images: MapImages = 2000,
    max_size: MaxSize = 8.0,
    seed: Seed = 0,
    title: Title = None,
    run: Run = None,
    baseline: Baseline = None,
    roots: Roots = None,
    fetch: Fetch = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write an HTML page that shows how good embeddings are.

    The page shows recall with its interval beside raw pixels, the worst classes,
    nearest neighbors of each image, a map of the images, distances, duplicates,
    suspected label errors, and the model card. With OTHER, it shows where
    two models differ (the first minus the other). An earlier report at --out is
    replaced, any other file only with --overwrite. Images without an embedding are left out and
    counted. The exit status is then 3.

    Images are read only from the source that the embeddings name, or from --root.
    Links that lead elsewhere are not followed. URLs need --fetch. A source such
    as / or a home folder exposes too much and needs --root. The page counts the
    pictures that it does not show and gives the reasons. Embeddings from a
    stranger can name any folder of images as their source: look at the page
    before you share it.

    [bold]Examples[/bold]

      lifted report embeddings --out report.html

      lifted report embeddings --out small.html --max-size 2 --map pca

      lifted report embeddings untrained-embeddings --out comparison.html

      lifted report embeddings --run runs/mine

      lifted report embeddings --root /data/photos --fetch
    """
    require_extras("lifted report", "report")
    from serve_cli.cli.console import print_facts, print_json
    from serve_cli.report.write import write_report

    options = ReportOptions(
        source=source,
        out=out,
        other=other,
        run=run,
        baseline=baseline,
        ks=parse_ks(k),
        method=method,
        map_images=images,
        max_bytes=int(max_size * MB),
        seed=seed,
        title=title,
        command=shlex.join(["lifted", *sys.argv[1:]]),
        overwrite=overwrite,
        roots=tuple(roots or ()),
        fetch=fetch,
    )
    written = write_report(options)
    if as_json:
        print_json(asdict(written))
    else:
        print_facts(written.facts())
    if written.failed:
        raise typer.Exit(SOME_FAILED)
