"""The interface that a database needs for `lifted load`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar, Protocol

from gluon_lifted.errors import ConfigError, MissingPackageError
from gluon_lifted.extras import install_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from gluon_lifted.errors import LiftedError
    from gluon_lifted.metrics.choices import Distance
    from serve_cli.choices import Dtype
    from serve_cli.embeddings.stream import EmbeddedBatch

VECTOR_COLUMN = "embedding"  # beside id, path, label and the carried columns


@dataclass(frozen=True)
class LoadPlan:
    """What is loaded. It holds no credentials, so targets may store it and show it.

    Parameters
    ----------
    table : str
        Name that readers use: a table or a collection. Any text; targets quote it or refuse it.
    schema : Schema
        Columns of every batch's table: ``id`` (unique), ``path`` and ``label`` if they were chosen, then the
        chosen carried columns. The vector goes into `VECTOR_COLUMN`.
    dim : int
        Width D of the vectors.
    distance : {"euclidean", "cosine"}
        Distance that the index is built for.
    dtype : {"float32", "float16", "int8"}
        Storage type of the vectors; one of the target's ``dtypes``.
    index : str
        Kind of index; one of the target's ``indexes``.
    rows : int
        Rows that will be loaded: each id once.
    row_bytes : float
        Mean size of a row's columns in Arrow, without the vector; measured on the first rows.
    batch_rows : int
        Rows of the embeddings that a batch covers; fewer in a batch from which repeated ids are left out.
    fingerprint : str
        Hexadecimal hash of the embeddings, columns, storage type and batch size. Batch number n of two plans with equal
        fingerprints holds equal rows, so a staging table with an equal fingerprint may be resumed. Any other is
        discarded.
    model, source : str
        Identify the model (its hash, or its name where the hash is unknown) and the images. A table of the same model
        and source is replaced without ``overwrite``.
    overwrite : bool
        Whether a table that was not loaded from the same model and source may be replaced.
    """

    table: str
    schema: pa.Schema
    dim: int
    distance: Distance
    dtype: Dtype
    index: str
    rows: int
    row_bytes: float
    batch_rows: int
    fingerprint: str
    model: str
    source: str
    overwrite: bool = False


@dataclass(frozen=True)
class Preview:
    """What a load would do.

    Parameters
    ----------
    columns : mapping of str to str
        Type of each column in the database, the vector's included.
    action : str
        What happens to the table, e.g. ``"create"`` or ``"replace 4,092 rows"``.
    index : str
        The index with its parameters, e.g. ``"hnsw (m = 16)"``, or ``"none"``.
    bytes : int
        Estimated size in the database, index included.
    seconds : float
        Estimated time, index included.
    complete : bool
        Whether the table already holds these embeddings, so that there is nothing to do.
    """

    columns: Mapping[str, str]
    action: str
    index: str
    bytes: int
    seconds: float
    complete: bool = False


class Target(Protocol):
    """A database that is loaded into. An object serves one load.

    The calls come in this order: `preview`; then, unless it is a dry run or all is complete, `prepare`, `loaded` and
    `write` for each batch, `build_index`, `count` and `read`, and `switch`, or `discard` if the rows read back differ.
    `close` comes last, after any failure too.

    Rows go to a staging table or collection that readers do not see. It survives a killed or failed load, and the next
    load with the same fingerprint resumes it. Only `switch` changes the table that readers use.

    A method raises `LiftedError` for problems that it recognizes, such as a missing right, and lets the driver's other
    errors pass. The caller then asks `is_transient` and `explain`. After a transient error the same call is repeated on
    the same object, which connects again if it must.

    Attributes
    ----------
    database : str
        The database's name in sentences, e.g. ``"PostgreSQL"``.
    dtypes, indexes : tuple of str
        Supported storage types and kinds of index. The first is the default.
    batch_rows : int
        Rows of a batch. Fewer where the vectors are wide.
    """

    database: ClassVar[str]
    dtypes: ClassVar[tuple[Dtype, ...]]
    indexes: ClassVar[tuple[str, ...]]
    batch_rows: ClassVar[int]

    def __init__(self, url: str, plan: LoadPlan) -> None:
        """Keep the URL, which may hold credentials, and the plan. Do not connect yet."""

    def preview(self) -> Preview:
        """Connect, check everything that can be checked, and write nothing.

        Raises
        ------
        LiftedError
            If the load cannot succeed: missing rights, a type or dimension that the database cannot hold, or a table
            that only ``overwrite`` may replace.
        """

    def prepare(self) -> None:
        """Create the staging table, or open the one that an earlier load with the same fingerprint left."""

    def loaded(self, batch: EmbeddedBatch, number: int) -> bool:
        """Whether batch ``number`` is complete in the staging table."""

    def write(self, batch: EmbeddedBatch, number: int) -> None:
        """Write a batch, all or nothing where the database supports it, and always safe to repeat."""

    def build_index(self) -> None:
        """Build the index on the complete staging table, with progress by `open_progress`. Safe to repeat."""

    def count(self) -> int:
        """Count the rows in the staging table."""

    def read(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Read vectors, (D,) each, back from the staging table, in any order. Missing ids are left out."""

    def switch(self) -> None:
        """Give the staging table the name that readers use, atomically, and remove what it replaces."""

    def discard(self) -> None:
        """Remove the staging table, so that the next load starts over."""

    def close(self) -> None:
        """Disconnect. Do not raise."""

    def is_transient(self, error: Exception) -> bool:
        """Whether a repeated call may succeed after this error."""

    def explain(self, error: Exception) -> LiftedError | None:
        """Describe a driver error in a sentence without credentials. None for any other error, which is a bug."""


@dataclass(frozen=True)
class TargetModule:
    """Where a target's class is, and what must be installed for it."""

    module: str
    name: str
    extra: str


_TARGETS = "serve_cli.retrieval.load.targets"
_POSTGRES = TargetModule(f"{_TARGETS}.postgres.target", "PostgresTarget", "postgres")
SCHEMES = {
    "postgresql": _POSTGRES,
    "postgres": _POSTGRES,
    "lancedb": TargetModule(f"{_TARGETS}.lancedb", "LanceTarget", "lancedb"),
    "qdrant": TargetModule(f"{_TARGETS}.qdrant", "QdrantTarget", "qdrant"),
    "milvus": TargetModule(f"{_TARGETS}.milvus", "MilvusTarget", "milvus"),
}


def target_class(url: str) -> type[Target]:
    """Import the target of a URL's scheme.

    Raises
    ------
    ConfigError
        If there is no target for the scheme.
    MissingPackageError
        If the package of the database is not installed.
    """
    scheme, mark, _ = url.partition("://")
    if not mark or scheme.lower() not in SCHEMES:
        choices = ", ".join(f"{name}://" for name in SCHEMES)
        given = f"{scheme}://" if mark else "not a URL"  # never the rest, which may hold a password
        raise ConfigError(f"--to is {given}; expected a URL that starts with {choices}.")
    target = SCHEMES[scheme.lower()]
    try:
        kind: type[Target] = getattr(import_module(target.module), target.name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("serve_cli", "gluon_lifted"):
            raise
        raise MissingPackageError(
            f"{error.name} is not installed; loading into {scheme}:// needs it: `{install_command(target.extra)}`."
        ) from None
    return kind
