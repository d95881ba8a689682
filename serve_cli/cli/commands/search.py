"""`lifted search`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gluon_lifted.errors import RunError
from gluon_lifted.redaction import without_credentials
from serve_cli.cli.help_page import GENERAL
from serve_cli.cli.shared_options import SOME_FAILED, Json, OnDevice, Threads, parse_names
from serve_cli.path_kinds import kind_of, wrong_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from serve_cli.retrieval.search.index import Index
    from serve_cli.retrieval.search.query import Query
    from serve_cli.retrieval.search.search_options import SearchOptions
    from serve_cli.retrieval.search.write_page import PageOptions

QUERIES, PAGE, MODEL = "Queries", "Page of --html", "Model"

IndexFolder = Annotated[Path, typer.Argument(metavar="INDEX", help="Search this folder of `lifted index`.")]
Photos = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PHOTO...",
        help="Search with these photographs: files, folders, patterns or URLs, as `lifted embed` takes them, or with "
        "the rows of a folder of embeddings.",
    ),
]
Ids = Annotated[
    str | None,
    typer.Option(
        "--ids", metavar="ID,...", help="Search with these rows of the index instead.", rich_help_panel=QUERIES
    ),
]
Combine = Annotated[
    bool,
    typer.Option("--combine", help="Search once, with the mean of all photographs.", rich_help_panel=QUERIES),
]
Without = Annotated[
    list[str] | None,
    typer.Option(
        "--without",
        metavar="PHOTO",
        help="Subtract this photograph's embedding. Implies --combine. Repeat it for several, whose mean is taken.",
        rich_help_panel=QUERIES,
    ),
]
IncludeSelf = Annotated[
    bool, typer.Option("--include-self", help="Return the rows of --ids themselves, too.", rich_help_panel=QUERIES)
]
K = Annotated[int, typer.Option("-k", metavar="N", min=1, help="Return this many rows per query.")]
Where = Annotated[
    str | None,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="Search only rows that meet a condition on columns, such as \"price < 50 and brand = 'x'\".",
    ),
]
MaxDistance = Annotated[
    float | None,
    typer.Option("--max-distance", metavar="D", help="Return no rows beyond this distance."),
]
Unique = Annotated[
    bool,
    typer.Option(
        "--unique",
        help="Return one row of each group of duplicates: same sha256 column, or almost equal embeddings.",
    ),
]
Columns = Annotated[
    str | None,
    typer.Option("--columns", metavar="NAME,...", help="Show these columns besides id and label."),
]
JsonLines = Annotated[
    bool, typer.Option("--jsonl", help="Print a JSON object per query, each on one line.", rich_help_panel=GENERAL)
]
Html = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write a page with the images instead of a table."),
]
Roots = Annotated[
    list[Path] | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Read images of the page below this folder. Repeat it for several.",
        show_default="the source that the embeddings name",
        rich_help_panel=PAGE,
    ),
]
Fetch = Annotated[
    bool,
    typer.Option("--fetch", help="Download images of the page that have URLs, within limits.", rich_help_panel=PAGE),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace any file at --html.", rich_help_panel=PAGE)]
ModelFile = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="MODEL.onnx",
        help="Find the model here if it has moved. Another model is refused.",
        show_default="the file that the index names",
        rich_help_panel=MODEL,
    ),
]


def search(
    index: IndexFolder,
    photos: Photos = None,
    ids: Ids = None,
    combine: Combine = False,
    without: Without = None,
    include_self: IncludeSelf = False,
    k: K = 10,
    where: Where = None,
    max_distance: MaxDistance = None,
    unique: Unique = False,
    columns: Columns = None,
    as_json: Json = False,
    as_json_lines: JsonLines = False,
    html: Html = None,
    roots: Roots = None,
    fetch: Fetch = False,
    overwrite: Overwrite = False,
    model: ModelFile = None,
    device: OnDevice = "cpu",
    threads: Threads = None,
) -> None:
    r"""Find the images of a catalog most similar to a photograph.

    Photographs are embedded with the model that the index names. Distances are
    exact. A photograph that cannot be read becomes a query with an error, the
    others are searched for, and the exit status is then 3.

    --where knows = <> < <= > >=, in (...), between, is null, like and ilike with
    % and _, and, or, not and parentheses. Strings and dates take single quotes,
    odd column names double quotes. The condition is evaluated before the
    search: -k rows are returned if as many meet it. As in SQL, a comparison with a
    missing value is neither true nor false.

    The page of --html shows only images from the sources that the embeddings
    name, or from --root, and the photographs you search with.

    [bold]Examples[/bold]

      lifted search catalog.index photo.jpg

      lifted search catalog.index photos --html page.html -k 20

      lifted search catalog.index photo.jpg --where "price < 50 and brand = 'x'"

      lifted search catalog.index a.jpg b.jpg --combine --without c.jpg

      lifted search catalog.index --ids 7.jpg,8.jpg --unique --jsonl
    """
    from serve_cli.model.model_options import ModelOptions
    from serve_cli.retrieval.search.index import Index
    from serve_cli.retrieval.search.page_pictures import PictureAccess
    from serve_cli.retrieval.search.search_options import SearchOptions
    from serve_cli.retrieval.search.write_page import PageOptions

    _check_usage(photos, ids, [as_json, as_json_lines, html is not None], include_self=include_self)
    options = SearchOptions(
        k=k, where=where, max_distance=max_distance, unique=unique, columns=tuple(parse_names(columns, "--columns"))
    )
    page = None
    if html is not None:
        command = shlex.join(["lifted", *map(without_credentials, sys.argv[1:])])
        page = PageOptions(
            out=html, access=PictureAccess(tuple(roots or ()), fetch), command=command, overwrite=overwrite
        )
    if photos and kind_of(index) != "index":
        raise RunError(wrong_kind(index, "index", other=Path(photos[0])))
    with Index.open(index, model, ModelOptions(device=device, threads=threads)) as opened:
        queries = _queries(opened, photos or [], parse_names(ids, "--ids"), include_self=include_self)
        if combine or without:
            queries = _combined(opened, queries, without or [])
        _search(opened, queries, options, "json" if as_json else "jsonl" if as_json_lines else "table", page)


def _check_usage(photos: Sequence[str] | None, ids: str | None, outputs: Sequence[bool], *, include_self: bool) -> None:
    if bool(photos) == (ids is not None):
        found = "found both; " if photos else ""
        message = f"{found}give photographs, a folder of embeddings, or --ids"
        raise typer.BadParameter(message, param_hint="PHOTO...")
    if include_self and ids is None:
        raise typer.BadParameter("applies to --ids only", param_hint="--include-self")
    if sum(outputs) > 1:
        raise typer.BadParameter("give one of --json, --jsonl and --html", param_hint="--json")


def _queries(index: Index, photos: Sequence[str], ids: Sequence[str], *, include_self: bool) -> Iterable[Query]:
    from serve_cli.retrieval.search.query_sources import id_queries, named_queries

    if ids:
        return id_queries(index.catalog, ids, include_self=include_self)
    return named_queries(photos, index.catalog, index.embedder)


def _combined(index: Index, queries: Iterable[Query], without: Sequence[str]) -> Iterator[Query]:
    """Yield a single query; photographs are embedded when it is asked for, as their time is measured then."""
    from serve_cli.retrieval.search.query import combine_queries
    from serve_cli.retrieval.search.query_sources import named_queries

    negatives = named_queries(without, index.catalog, index.embedder)
    yield combine_queries(list(queries), list(negatives), index.catalog.distance)


def _search(
    index: Index, queries: Iterable[Query], options: SearchOptions, output: str, page: PageOptions | None
) -> None:
    from serve_cli.cli.console import say
    from serve_cli.cli.search_output import print_matches, say_error, say_times
    from serve_cli.retrieval.search.index import SearchTimes, search_each
    from serve_cli.retrieval.search.search_rows import RowSearch
    from serve_cli.retrieval.search.where.condition_error import ConditionError
    from serve_cli.retrieval.search.write_page import check_search_page, write_search_page

    if page is not None:
        check_search_page(page)
    try:
        rows = RowSearch(index.catalog, options)
    except ConditionError as error:
        say(error.caret)  # `main` prints the message, on one line
        raise
    times = SearchTimes()
    results = search_each(rows, queries, times)
    if page is None:
        failed = print_matches(results, output)
    else:
        listed = list(results)
        failed = sum(map(say_error, listed))
        written = write_search_page(index.catalog, listed, options, rows.available, page)
        say(f"lifted: wrote {written.out} with {written.pictures:,} pictures.")
        for reason in written.not_shown:
            say(f"lifted: pictures not shown: {reason}")
    say_times(times, rows.available)
    if failed:
        raise typer.Exit(SOME_FAILED)
