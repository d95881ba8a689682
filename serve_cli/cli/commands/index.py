"""`lifted index`."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from serve_cli.choices import Dtype
from serve_cli.cli.index_updates import Add, Delete, IndexUpdate, MissingOk, Replace
from serve_cli.cli.shared_options import HARDWARE, SOME_FAILED, Json, Overwrite, parse_size

if TYPE_CHECKING:
    from serve_cli.retrieval.index.build import BuiltIndex

SIZING = "Sizing, without embeddings"

Embeddings = Annotated[
    Path | None,
    typer.Argument(
        metavar="EMBEDDINGS|INDEX",
        help="Index this folder of `lifted embed`, or change this index.",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Write the index to this folder.")]
TargetRecall = Annotated[
    float,
    typer.Option(
        "--target-recall",
        metavar="SHARE",
        min=0.01,
        max=0.999,
        help="Tune the search to find this share of the ten nearest, on average. Lower shares are faster.",
    ),
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        help="Use at most this much memory to build or to add rows, e.g. 4GB.",
        show_default="80 % of what is available",
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(
        "--factory",
        metavar="KIND",
        help="Build this kind: exact, or FAISS's factory string such as IVF1024,Flat.",
        show_default="exact up to 50,000 rows, else IVF and 4-bit codes, ranked by exact distances",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        max=1024,
        help="Use this many threads.",
        show_default="number of usable cores",
        rich_help_panel=HARDWARE,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Estimate memory, disk and time without writing anything.")]
PlanRows = Annotated[
    int | None,
    typer.Option(
        "--plan",
        min=1,
        metavar="ROWS",
        help="Estimate what a catalog of this size needs: hours, bytes, memory and hosts. No embeddings are read.",
        rich_help_panel=SIZING,
    ),
]
PlanDim = Annotated[
    int, typer.Option("--dim", metavar="N", min=1, help="Plan for embeddings of this width.", rich_help_panel=SIZING)
]
PlanDtype = Annotated[
    Dtype,
    typer.Option(
        "--dtype",
        metavar="TYPE",
        help=f"Plan for embeddings stored in this type: {', '.join(get_args(Dtype))}.",
        rich_help_panel=SIZING,
    ),
]
PlanMemory = Annotated[
    str,
    typer.Option("--memory", metavar="SIZE", help="Plan for hosts with this much memory.", rich_help_panel=SIZING),
]


def index(
    context: typer.Context,
    source: Embeddings = None,
    out: Out = Path("catalog.index"),
    target_recall: TargetRecall = 0.95,
    max_memory: MaxMemory = None,
    factory: Kind = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    as_json: Json = False,
    plan: PlanRows = None,
    dim: PlanDim = 512,
    dtype: PlanDtype = "float32",
    memory: PlanMemory = "64GB",
    add: Add = None,
    delete: Delete = None,
    replace: Replace = None,
    missing_ok: MissingOk = False,
) -> None:
    """Build an index of embeddings to search in, or change one.

    Up to 50,000 rows, every search compares all rows. In larger catalogs, inverted
    lists of FAISS find candidates, which are then ranked by exact distance. The
    recall reached is measured on rows of the catalog, printed and stored.

    The folder holds vectors, ids, paths, labels, carried columns and the model
    card. It is mapped into memory and opens in milliseconds. Rows without an
    embedding, or with NaN or infinity in it, are left out and counted. The exit
    status is then 3. A row that repeats the id and the embedding of an earlier
    row is left out, too. The same id with another embedding is an error.

    With --add, --delete or --replace, the folder is an index to change. Searches
    that run continue with the version that they opened. A message says when
    building the index again would make searches faster.

    [bold]Examples[/bold]

      lifted index embeddings --out catalog.index

      lifted index embeddings --target-recall 0.99 --max-memory 4GB

      lifted index embeddings --factory IVF4096,Flat --overwrite

      lifted index --plan 20000000 --dim 512 --memory 64GB

      lifted index catalog.index --add more-embeddings

      lifted index catalog.index --delete 7.jpg,8.jpg
    """
    from serve_cli.cli.console import print_facts, print_json
    from serve_cli.retrieval.index.build import IndexOptions, build_index, planned

    update = IndexUpdate(
        add=add, delete=delete, replace=replace, missing_ok=missing_ok, max_memory=max_memory, threads=threads
    )
    if update:
        if update.run(source, context, as_json=as_json):
            raise typer.Exit(SOME_FAILED)
        return
    if plan is not None:
        from serve_cli.cli.sizing_console import print_plan

        if source is not None:
            raise typer.BadParameter("reads no embeddings; leave EMBEDDINGS out, or use --dry-run", param_hint="--plan")
        print_plan(plan, dim, dtype, parse_size(memory), as_json=as_json)
        return
    if source is None:
        raise typer.BadParameter("give a folder of embeddings, or --plan", param_hint="EMBEDDINGS|INDEX")
    options = IndexOptions(
        target_recall=target_recall,
        factory=factory,
        max_memory=None if max_memory is None else parse_size(max_memory),
        threads=threads,
        overwrite=overwrite,
    )
    if dry_run:
        estimate = planned(source, options)[1]
        if as_json:
            print_json(asdict(estimate))
        else:
            typer.echo(estimate.describe())
        return
    built = build_index(source, out, options)
    if as_json:
        print_json(_values(built))
    else:
        print_facts(_facts(built))
    if built.failed or built.not_finite:
        raise typer.Exit(SOME_FAILED)


def _values(built: BuiltIndex) -> dict[str, Any]:
    manifest = built.manifest
    return {
        "out": str(built.out),
        "rows": built.rows,
        "failed": built.failed,
        "not_finite": built.not_finite,
        "repeated": built.repeated,
        "kind": manifest.kind,
        "distance": manifest.card.distance,
        "target_recall": manifest.target_recall,
        "recall": 1.0 if manifest.exact else round(manifest.recall or 0.0, 4),
        "megabytes": _megabytes(built.out),
        "search": asdict(manifest.search),
    }


def _facts(built: BuiltIndex) -> dict[str, str]:
    manifest = built.manifest
    left_out = {
        "without an embedding": built.failed,
        "with NaN or infinity": built.not_finite,
        "repeated": built.repeated,
    }
    kind = manifest.kind
    if not manifest.exact:
        kind += f", recall@10 {manifest.recall:.3f}, target {manifest.target_recall:g}"
    return {
        "index": f"{built.out}, {_megabytes(built.out):,} MB",
        "rows": f"{built.rows:,} of {manifest.card.dim} numbers",
        "left out": ", ".join(f"{count:,} {name}" for name, count in left_out.items() if count) or "none",
        "kind": kind,
        "distance": manifest.card.distance,
        "next": f"lifted serve {shlex.quote(str(built.out))}",
    }


def _megabytes(folder: Path) -> float:
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6, 1)
