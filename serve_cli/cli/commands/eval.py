"""`lifted eval`."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from gluon_lifted.datasets.known_datasets import DATASETS
from gluon_lifted.metrics.choices import ClusteringProtocol, Distance
from serve_cli.choices import PublishedDataset
from serve_cli.cli.shared_options import (
    SOME_FAILED,
    AllowFallback,
    BatchSize,
    Json,
    Ks,
    NoCache,
    OnDevice,
    Relaxed,
    Sessions,
    Threads,
    parse_ks,
)
from serve_cli.evaluate.metrics import CLUSTER_METRICS, RANK_METRICS, RECALL_MEANING

if TYPE_CHECKING:
    from serve_cli.evaluate.eval_report import EvalReport

DETAILS = "Details"  # title of a panel of --help
Style = Literal["table", "json", "csv", "markdown"]

Sources = Annotated[
    list[Path],
    typer.Argument(
        metavar="EMBEDDINGS|MODEL.onnx...",
        help="Evaluate these folders of `lifted embed` or models of `lifted export`, and compare them with the first.",
    ),
]
Dataset = Annotated[
    str | None,
    typer.Option(
        "--dataset", metavar="NAME", help=f"Evaluate models on the test images of a data set: {', '.join(DATASETS)}."
    ),
]
Data = Annotated[Path | None, typer.Option("--data", metavar="PATH", help="Read the data set from this folder.")]
UseBoxes = Annotated[
    bool,
    typer.Option(
        "--use-boxes", help="Crop images to the data set's bounding boxes, as in training.", rich_help_panel=DETAILS
    ),
]
Gallery = Annotated[
    Path | None,
    typer.Option(
        "--gallery",
        metavar="DIR",
        help="Search in these embeddings.",
        show_default="all other images of the same folder",
    ),
]
DistanceName = Annotated[
    Distance | None,
    typer.Option(
        "--distance",
        metavar="NAME",
        help=f"Rank images by this distance: {', '.join(get_args(Distance))}.",
        show_default="the one that the models were trained for",
    ),
]
RecallOnly = Annotated[
    bool,
    typer.Option(
        "--recall-only", help="Compute only recall@k and MRR, up to 3 times as fast.", rich_help_panel=DETAILS
    ),
]
Queries = Annotated[
    int | None,
    typer.Option(
        "--queries",
        metavar="N",
        min=1,
        help="Sample this many queries. The intervals include the sampling error.",
        show_default="all",
        rich_help_panel=DETAILS,
    ),
]
Clustering = Annotated[
    ClusteringProtocol | None,
    typer.Option(
        "--clustering",
        metavar="PROTOCOL",
        help=f"Add {', '.join(metric.name for metric in CLUSTER_METRICS)} of k-means clusters, "
        "with the paper authors' settings (authors) or today's usual ones (modern).",
    ),
]
Baseline = Annotated[bool, typer.Option("--baseline", help="Add retrieval by raw pixels of 16 x 16 px thumbnails.")]
Paper = Annotated[
    PublishedDataset | None,
    typer.Option(
        "--paper",
        metavar="DATASET",
        help=f"Add published results on this data set, with their sources: {', '.join(get_args(PublishedDataset))}.",
    ),
]
Seed = Annotated[
    int,
    typer.Option("--seed", metavar="N", min=0, help="Seed sampling, bootstrap and k-means.", rich_help_panel=DETAILS),
]
PrintStyle = Annotated[
    Style,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help=f"Print results in this format: {', '.join(get_args(Style))}. json and csv have fractions, not percent.",
    ),
]


def evaluate(
    sources: Sources,
    k: Ks = "1,2,4,8",
    dataset: Dataset = None,
    data: Data = None,
    use_boxes: UseBoxes = False,
    gallery: Gallery = None,
    distance: DistanceName = None,
    recall_only: RecallOnly = False,
    queries: Queries = None,
    clustering: Clustering = None,
    baseline: Baseline = False,
    paper: Paper = None,
    seed: Seed = 0,
    batch_size: BatchSize = None,
    threads: Threads = None,
    sessions: Sessions = None,
    device: OnDevice = "cpu",
    allow_fallback: AllowFallback = False,
    relaxed: Relaxed = False,
    no_cache: NoCache = False,
    style: PrintStyle = "table",
    as_json: Json = False,
) -> None:
    """Print retrieval metrics of embeddings or models, side by side.

    Metrics have 95 % intervals. Each later model is compared with the first (later
    minus first). With --baseline, the first is also compared with raw pixels.

    Every image is a query. All other images are ranked by their distance to it,
    with ties in the listed order. With --gallery, an image that is also in the
    gallery finds itself. Images without an embedding are left out and counted.
    The exit status is then 3.

    {metrics}

    R is the number of other images of the query's class. R@1 is precision@1.

    [bold]Examples[/bold]

      lifted eval embeddings --k 1,10,100

      lifted eval fp32.onnx int8.onnx --dataset cars196 --data cars --baseline

      lifted eval queries --gallery catalog --distance cosine --format csv
    """
    from serve_cli.evaluate.eval_options import EvalOptions, Images
    from serve_cli.evaluate.eval_steps import evaluate_embeddings
    from serve_cli.model.model_options import ModelOptions

    if as_json and style not in ("table", "json"):
        raise typer.BadParameter(f"--json and --format {style} do not go together", param_hint="--format")
    model_options = ModelOptions(
        device=device,
        threads=threads,
        sessions=sessions,
        batch_size=batch_size,
        allow_fallback=allow_fallback,
        relaxed=relaxed,
        cache=not no_cache,
    )
    options = EvalOptions(
        sources=tuple(sources),
        ks=parse_ks(k),
        images=Images(dataset=dataset, data=data, use_boxes=use_boxes, model_options=model_options),
        gallery=gallery,
        distance=distance,
        recall_only=recall_only,
        queries=queries,
        clustering=clustering,
        baseline=baseline,
        published=paper,
        seed=seed,
    )
    report = evaluate_embeddings(options)
    _print(report, "json" if as_json else style)
    if report.failed:
        raise typer.Exit(SOME_FAILED)


def _metric_lines() -> str:
    """Return name and meaning of each metric, for the help text."""
    meanings = {"R@k": RECALL_MEANING} | {metric.name: metric.meaning for metric in RANK_METRICS}
    width = max(map(len, meanings))
    return "\n".join(
        textwrap.fill(
            meaning,
            78,
            initial_indent=f"  {name:{width}}  ",
            subsequent_indent=" " * (width + 4),
            break_on_hyphens=False,
        )
        for name, meaning in meanings.items()
    )


evaluate.__doc__ = inspect.cleandoc(evaluate.__doc__ or "").format(metrics=_metric_lines())  # Typer's help text


def _print(report: EvalReport, style: Style) -> None:
    from serve_cli.cli.console import print_facts, print_json, print_table
    from serve_cli.evaluate.eval_tables import (
        footnotes,
        published_table,
        result_tables,
        to_csv,
        to_markdown,
    )

    if style == "json":
        print_json(report.to_json())
    elif style == "csv":
        typer.echo(to_csv(report), nl=False)
    elif style == "markdown":
        typer.echo(to_markdown(report))
    else:
        for table in result_tables(report):
            print_table(table.columns, table.rows)
        if report.published:
            table = published_table(report)
            print_table(table.columns, table.rows, left=2)
        print_facts(report.facts() | footnotes(report))
