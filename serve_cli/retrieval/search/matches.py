"""The results of a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from serve_cli.sources.image_row import Cell

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from serve_cli.retrieval.search.query import Query

OWN_COLUMNS = ("id", "path", "label")


class Match(NamedTuple):
    """A row of the index that was returned.

    Parameters
    ----------
    rank : int
        Counted from 1.
    distance : float
        Exact distance from the query.
    id, path : str
        Name of the row, and where its photograph is.
    label : str or None
        Its class, if it has one.
    columns : dict of str to object
        Values of the requested columns.

    Examples
    --------
    >>> match = Match(1, 0.25, "7.jpg", "/photos/7.jpg", None, {"price": 7})
    >>> match.path, match.columns["price"]
    ('/photos/7.jpg', 7)
    """

    rank: int
    distance: float
    id: str
    path: str
    label: str | None
    columns: dict[str, Any]


def values_of(column: pa.ChunkedArray) -> list[Any]:
    """Convert a column to Python objects, and values that Python lacks, such as dates beyond the year 9999, to text."""
    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):
        return [_value(Cell(chunk, number)) for chunk in column.chunks for number in range(len(chunk))]


def _value(cell: Cell) -> Any:
    try:
        return cell.as_py()
    except (OverflowError, ValueError):
        return str(cell)


@dataclass(frozen=True, eq=False)
class Matches:
    """The rows that a query returned, nearest first. Iterate over it to get each `Match`.

    Parameters
    ----------
    query : Query
        What was searched for.
    rows : ndarray, int64, (n,)
        Row numbers in the index.
    distances : ndarray, float32, (n,)
        Exact distances, ascending.
    table : Table
        n rows: id, path, label, and the requested columns.
    columns : tuple of str
        Names of the requested columns.

    Examples
    --------
    >>> for match in matches:  # doctest: +SKIP
    ...     print(match.rank, match.id, match.columns["price"])
    1 7.jpg 7
    """

    query: Query
    rows: NDArray[np.int64]
    distances: NDArray[np.float32]
    table: pa.Table
    columns: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Match]:
        values = {name: values_of(self.table[name]) for name in self.table.column_names}
        ids, paths, labels = (values[name] for name in OWN_COLUMNS)
        for number, distance in enumerate(self.distances.tolist()):
            columns = {name: values[name][number] for name in self.columns}
            yield Match(number + 1, distance, ids[number], paths[number], labels[number], columns)

    @property
    def error(self) -> str | None:
        """Why the query could not be embedded, or None if it could."""
        return self.query.error

    @property
    def ids(self) -> list[str]:
        """Ids of the rows."""
        return list(self.table["id"].to_pylist())

    @property
    def paths(self) -> list[str]:
        """Paths or URLs of the photographs."""
        return list(self.table["path"].to_pylist())

    @property
    def labels(self) -> list[str | None]:
        """Labels of the rows."""
        return list(self.table["label"].to_pylist())
