"""Options of `lifted index` that change an index, and what they print."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gluon_lifted.errors import DataError
from serve_cli.cli.shared_options import parse_names, parse_size

if TYPE_CHECKING:
    from serve_cli.retrieval.index.update import UpdatedIndex

UPDATES = "Change an index"
OF_UPDATES = ("source", "as_json", "add", "delete", "replace", "missing_ok")  # parameters of all updates
OF_ADDED_ROWS = ("max_memory", "threads")  # further parameters of --add and --replace

Add = Annotated[
    Path | None,
    typer.Option(
        "--add",
        metavar="EMBEDDINGS",
        help="Add the rows of these embeddings. Their ids must be new.",
        rich_help_panel=UPDATES,
    ),
]
Replace = Annotated[
    Path | None,
    typer.Option(
        "--replace",
        metavar="EMBEDDINGS",
        help="Add the rows of these embeddings in place of rows with the same ids.",
        rich_help_panel=UPDATES,
    ),
]
Delete = Annotated[
    str | None,
    typer.Option(
        "--delete",
        metavar="ID,...|@FILE",
        help="Delete the rows with these ids, or with those in a text file, one per line. @- reads standard input.",
        rich_help_panel=UPDATES,
    ),
]
MissingOk = Annotated[
    bool, typer.Option("--missing-ok", help="Ignore ids to delete that the index lacks.", rich_help_panel=UPDATES)
]


@dataclass(frozen=True)
class IndexUpdate:
    """What to change in an index: at most one of three.

    Parameters
    ----------
    add, replace : Path or None
        Embedding folders.
    delete : str or None
        Ids as `--delete` takes them.
    missing_ok : bool
        Ignore ids that the index does not have.
    max_memory : str or None
        A size as `--max-memory` takes it.
    threads : int or None
        Threads to encode rows with.
    """

    add: Path | None
    delete: str | None
    replace: Path | None
    missing_ok: bool
    max_memory: str | None
    threads: int | None

    def __post_init__(self) -> None:
        given = [self.add, self.delete, self.replace]
        if len([option for option in given if option is not None]) > 1:
            raise typer.BadParameter("give one of --add, --delete and --replace", param_hint="--add")
        if self.missing_ok and self.delete is None:
            raise typer.BadParameter("applies to --delete only", param_hint="--missing-ok")

    def __bool__(self) -> bool:
        return any(option is not None for option in (self.add, self.delete, self.replace))

    def run(self, index: Path | None, context: typer.Context, *, as_json: bool) -> int:
        """Change an index and print what was done. Return the number of rows without a finite embedding."""
        from serve_cli.retrieval.index.update import UpdateOptions, add_rows, delete_rows, replace_rows

        if index is None:
            raise typer.BadParameter("give the index to change", param_hint="EMBEDDINGS|INDEX")
        _check_options(context, OF_UPDATES + (OF_ADDED_ROWS if self.delete is None else ()))
        max_memory = None if self.max_memory is None else parse_size(self.max_memory)
        options = UpdateOptions(max_memory=max_memory, threads=self.threads)
        if self.add is not None:
            updated = add_rows(index, self.add, options)
        elif self.replace is not None:
            updated = replace_rows(index, self.replace, options)
        else:
            updated = delete_rows(index, read_ids(self.delete or ""), missing_ok=self.missing_ok)
        _print(updated, as_json=as_json)
        return updated.failed + updated.not_finite


def read_ids(text: str) -> list[str]:
    """Read ids as `--delete` takes them: separated by commas, or @ and a text file. Raises `DataError`."""
    if not text.startswith("@"):
        return parse_names(text, "--delete")
    name = text[1:]
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        lines = content.decode("utf-8-sig").split("\n")
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}); give a text file with one id per line.") from None
    except UnicodeDecodeError:
        raise DataError(f"{name}: is not UTF-8; give a text file with one id per line.") from None
    return [line for line in (line.removesuffix("\r") for line in lines) if line]


def _check_options(context: typer.Context, accepted: tuple[str, ...]) -> None:
    """Refuse options that would be ignored."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name not in accepted and source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter("does not apply to this change of an index", param_hint=parameter.opts[0])


def _print(updated: UpdatedIndex, *, as_json: bool) -> None:
    from serve_cli.cli.console import print_facts, print_json

    facts = {
        "index": str(updated.path),
        "rows": updated.rows,
        "added": updated.added,
        "deleted": updated.deleted,
        "failed": updated.failed,
        "not_finite": updated.not_finite,
        "repeated": updated.repeated,
        "missing": updated.missing,
    }
    if as_json:
        print_json({**facts, "segments": len(updated.manifest.segments), "rebuild": updated.advice})
    else:
        print_facts({name.replace("_", " "): value for name, value in facts.items()})
