"""The options of a load, and its report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gluon_lifted.progress import clock

if TYPE_CHECKING:
    from pathlib import Path

    from serve_cli.choices import Dtype
    from serve_cli.retrieval.load.target import Preview


@dataclass(frozen=True)
class LoadOptions:
    """Options of `load_embeddings`, with the defaults of `lifted load`.

    Parameters
    ----------
    source : path
        A finished embedding folder.
    to : str
        URL of the database. It may hold credentials, so it is not shown.
    table : str, optional
        Table or collection; by default, the folder's name.
    columns : sequence of str, optional
        Columns to load beside ``id`` and the embedding; by default, all.
    dtype : str, optional
        Storage type; by default the folder's, or float32 if the database lacks it.
    index : str, optional
        Kind of index; by default, the database's first choice.
    overwrite : bool
        Replace a table that was not loaded from the same model and images.

    Examples
    --------
    >>> LoadOptions("embeddings", to="postgresql://me:secret@localhost/shop", table="cars", columns=("price",))
    LoadOptions(source='embeddings', table='cars', columns=('price',), dtype=None, index=None, overwrite=False)
    """

    source: str | Path
    to: str = field(repr=False)
    table: str | None = None
    columns: tuple[str, ...] | None = None
    dtype: Dtype | None = None
    index: str | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class LoadReport:
    """What a load has done, or would do.

    Parameters
    ----------
    database, table : str
        Where the rows are.
    action : str
        What happened to the table, e.g. ``"create"``.
    columns : dict of str to str
        Type of each column in the database.
    index : str
        The index with its parameters.
    rows : int
        Rows in the table.
    failed, not_finite, repeated : int
        Rows left out because they have no embedding, because it has NaN or infinity, or because an earlier row has the
        same id and an equal embedding.
    resumed : int
        Rows that an interrupted load had left in the staging table.
    compared : int
        Embeddings that were read back and compared.
    bytes : int
        Estimated size in the database.
    seconds : float
        Time of this load, or the estimate of a dry run.
    dry_run, complete : bool
        Whether nothing was written, and whether there was nothing to do.
    """

    database: str
    table: str
    action: str
    columns: dict[str, str]
    index: str
    rows: int
    failed: int
    not_finite: int
    repeated: int
    resumed: int
    compared: int
    bytes: int
    seconds: float
    dry_run: bool
    complete: bool

    @staticmethod
    def planned(
        database: str, table: str, preview: Preview, *, rows: int, failed: int, not_finite: int, repeated: int
    ) -> LoadReport:
        """Report a load before its first row."""
        return LoadReport(
            database=database,
            table=table,
            action=preview.action,
            columns=dict(preview.columns),
            index=preview.index,
            rows=rows,
            failed=failed,
            not_finite=not_finite,
            repeated=repeated,
            resumed=0,
            compared=0,
            bytes=preview.bytes,
            seconds=preview.seconds,
            dry_run=True,
            complete=preview.complete,
        )

    def facts(self) -> dict[str, str]:
        """Return the report as text."""
        left_out = {"left out": text} if (text := self._left_out()) else {}
        head = {"table": f"{self.table} in {self.database}", "action": self.action}
        if self.complete:
            return {**head, "rows": f"{self.rows:,}", **left_out}
        return {
            **head,
            "columns": ", ".join(f"{name} {kind}" for name, kind in self.columns.items()),
            "index": self.index,
            "rows": f"{self.rows:,}{self._resumed()}",
            **left_out,
            "size": f"about {self.bytes / 1e6:,.0f} MB",
            **self._time(),
        }

    def _left_out(self) -> str:
        reasons = (
            (self.failed, "without an embedding"),
            (self.not_finite, "whose embedding has NaN or infinity"),
            (self.repeated, "with the id and embedding of an earlier row"),
        )
        return ", ".join(f"{count:,} {reason}" for count, reason in reasons if count)

    def _resumed(self) -> str:
        return f", {self.resumed:,} of them by an interrupted load" if self.resumed else ""

    def _time(self) -> dict[str, str]:
        if self.dry_run:
            return {"time": f"about {clock(self.seconds)}"}
        rate = (self.rows - self.resumed) / self.seconds if self.seconds else 0.0
        return {
            "verified": f"all rows counted, {self.compared:,} embeddings read back",
            "time": f"{clock(self.seconds)}, {rate:,.0f} rows/s with index and verification",
        }
