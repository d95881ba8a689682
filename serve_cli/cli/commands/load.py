"""`lifted load`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, get_args

import typer

from serve_cli.choices import Dtype
from serve_cli.cli.shared_options import SOME_FAILED, Json

Embeddings = Annotated[Path, typer.Argument(metavar="EMBEDDINGS", help="Load this folder of `lifted embed`.")]
To = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="URL",
        help="Load into this database, e.g. postgresql://HOST/DB, or one of lancedb://, qdrant:// or milvus://.",
    ),
]
TableName = Annotated[
    str | None,
    typer.Option("--table", metavar="NAME", help="Name the table or collection.", show_default="the folder's name"),
]
ColumnNames = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="A,B",
        help="Load these columns beside id and embedding, separated by commas. '' loads no others.",
        show_default="all",
    ),
]
StorageType = Annotated[
    Dtype | None,
    typer.Option(
        "--dtype",
        metavar="TYPE",
        help=f"Store numbers in this type, if the database has it: {', '.join(get_args(Dtype))}.",
        show_default="the folder's if the database has it, else float32",
    ),
]
IndexKind = Annotated[
    str | None,
    typer.Option(
        "--index",
        metavar="KIND",
        help="Build this kind of index, e.g. hnsw, ivfflat or none. A wrong kind lists the database's.",
        show_default="the database's usual one",
    ),
]
Replace = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace a table that was loaded from another model or other images, or by hand."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Connect, check and estimate the work without writing anything.")
]


def load(
    source: Embeddings,
    to: To,
    table: TableName = None,
    columns: ColumnNames = None,
    dtype: StorageType = None,
    index: IndexKind = None,
    overwrite: Replace = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Load embeddings into a database.

    Load their columns, too, and build an index.

    Rows go to a staging table. It is indexed, counted and compared with the
    embeddings, and replaces the table in one step at the end. Until then, readers
    see the old table. Run the same command again after an interruption: the load
    resumes, and every id is there exactly once. If the table already holds these
    embeddings, nothing is done. New embeddings of the same images by the same
    model replace it. Anything else needs --overwrite.

    Metric and dimension come from the model card. Images without an embedding,
    and embeddings with NaN or infinity, are left out and counted. The exit status
    is then 3.

    Leave passwords out of the URL, since other users of this computer can see
    the arguments of a command when it starts. For PostgreSQL, set PGPASSWORD or
    PGSERVICE, or use ~/.pgpass.

    [bold]Examples[/bold]

      lifted load embeddings --to postgresql://me@host/shop --dry-run

      lifted load embeddings --to postgresql://me@host/shop --dtype float16

      lifted load embeddings --to lancedb:///data/catalog --columns label,price
    """
    from serve_cli.cli.console import print_facts, print_json
    from serve_cli.cli.process_title import hide_argument
    from serve_cli.retrieval.load.load import load_embeddings
    from serve_cli.retrieval.load.load_options import LoadOptions

    hide_argument(to.partition("://")[2])
    names = None if columns is None else tuple(name for name in columns.split(",") if name)
    options = LoadOptions(
        source=source, to=to, table=table, columns=names, dtype=dtype, index=index, overwrite=overwrite
    )
    report = load_embeddings(options, dry_run=dry_run)
    if as_json:
        print_json(asdict(report))
    else:
        print_facts(report.facts())
    if report.failed or report.not_finite:
        raise typer.Exit(SOME_FAILED)
