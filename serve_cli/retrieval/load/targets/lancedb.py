"""Load into LanceDB: a folder (``lancedb:///data/catalog``) or an object store (``lancedb://s3://bucket/catalog``).

``lancedb://`` is followed by what `lancedb.connect` takes. Credentials for object stores come from the environment or
the files of their drivers, such as ``AWS_ACCESS_KEY_ID`` or ``~/.aws/credentials``.

Each batch is appended to a staging table in one commit. The switch depends on what is there. In a folder, a new table
appears by one rename, with its index. In an object store, which has no rename, it appears by one commit. A table of the
same model and images is updated by ``merge_insert`` in one commit, which leaves unchanged rows and their index alone.
Any other table that may be replaced is overwritten in one commit, and readers search exactly until its index is built.
Readers that have the table open keep the version that they opened.
"""

from __future__ import annotations

import errno
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import lancedb
import numpy as np
from lancedb.expr import col, lit
from lancedb.index import BTree

from gluon_lifted.errors import ConfigError, LiftedError, RunError
from gluon_lifted.files import sync, try_lock
from gluon_lifted.progress import open_progress
from gluon_lifted.redaction import url_without_credentials
from serve_cli.retrieval.load.target import VECTOR_COLUMN, Preview
from serve_cli.retrieval.load.targets.lance_index import index_bytes, index_config, index_text
from serve_cli.retrieval.load.targets.lance_merge import can_merge, merge
from serve_cli.retrieval.load.targets.lance_schema import (
    check_columns,
    plain_reason,
    set_stamp,
    stamp_of,
    table_schema,
    to_arrow,
)
from serve_cli.retrieval.load.targets.stamp import Stamp, check_replaceable
from serve_cli.retrieval.load.targets.written_batches import WrittenBatches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lancedb.table import Table
    from numpy.typing import NDArray

    from serve_cli.choices import Dtype
    from serve_cli.embeddings.stream import EmbeddedBatch
    from serve_cli.retrieval.load.target import LoadPlan

STAGING = ".staging"
TABLE_NAME = re.compile(r"[A-Za-z0-9_.-]+")
MOST_LETTERS = 200  # a file name has 255, and some are added
BYTES_PER_SECOND = 2e8  # of rows, with their compaction
NOT_WRITABLE = {errno.EACCES: "no permission", errno.EPERM: "no permission", errno.EROFS: "a read-only file system"}
# Parts of messages of Lance after which the same call may succeed.
TRANSIENT = (
    "LanceError(IO)",
    "Generic S3 error",
    "Generic GCS error",
    "Generic MicrosoftAzure error",
    "commit conflict",
)


class LanceTarget:
    """Loads a LanceDB table.

    Parameters
    ----------
    url : str
        ``lancedb://`` and a folder, or ``lancedb://s3://bucket/folder``.
    plan : LoadPlan
        What is loaded.
    """

    database: ClassVar[str] = "LanceDB"
    dtypes: ClassVar[tuple[Dtype, ...]] = ("float32", "float16")
    indexes: ClassVar[tuple[str, ...]] = ("auto", "ivf_sq", "ivf_pq", "ivf_flat", "ivf_hnsw_sq", "none")
    batch_rows: ClassVar[int] = 65_536  # a commit each

    def __init__(self, url: str, plan: LoadPlan) -> None:
        self._location = url.partition("://")[2]
        self._plan, self._stamp = plan, Stamp.of(plan)
        self._schema = table_schema(plan, self._stamp)
        self._staging_name = f"{plan.table}{STAGING}"
        self._batches = WrittenBatches()
        self._connection: lancedb.DBConnection | None = None
        self._opened: Table | None = None
        self._lock: int | None = None

    def preview(self) -> Preview:
        """Check the names, the columns, the location and the existing table."""
        self._check_names()
        check_columns(self._schema)
        self._check_location()
        action, complete = self._action()
        return Preview(
            columns={field.name: str(field.type) for field in self._schema},
            action=action,
            index=index_text(self._plan),
            bytes=self._plan.rows * self._row_bytes() + index_bytes(self._plan),
            seconds=self._plan.rows * self._row_bytes() / BYTES_PER_SECOND,
            complete=complete,
        )

    def prepare(self) -> None:
        """Open the staging table if it was begun with the same fingerprint, and otherwise create it."""
        staging = self._open(self._staging_name)
        if staging is not None:
            self._take_lock()
            if stamp_of(staging) != self._stamp:
                self._release_lock()
                self._database().drop_table(self._staging_name)
                staging = None
        self._opened = staging or self._database().create_table(self._staging_name, schema=self._schema)
        self._take_lock()

    def loaded(self, batch: EmbeddedBatch, number: int) -> bool:
        """Whether the staging table has the rows of this batch and of all earlier ones."""
        return self._rows() >= self._batches.end(number, len(batch))

    def write(self, batch: EmbeddedBatch, number: int) -> None:
        """Append a batch in one commit, unless a commit that seemed to fail has already done so."""
        if not self.loaded(batch, number):
            self._staging().add(to_arrow(batch, self._schema))

    def build_index(self) -> None:
        """Compact the staging table and build its indexes if it is going to be renamed."""
        if self._renamable():
            with open_progress("index", self._plan.rows, "rows") as progress:
                # Nobody else reads the staging table, so the files of its single commits can be removed.
                self._staging().optimize(cleanup_older_than=timedelta(milliseconds=1), delete_unverified=True)
                self._index(self._staging())
                progress.update(self._plan.rows)

    def count(self) -> int:
        """Count the rows in the staging table."""
        return self._rows()

    def read(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Read vectors from the staging table."""
        wanted = col("id").isin([lit(name) for name in ids])
        rows = self._staging().search().where(wanted).select(["id", VECTOR_COLUMN]).limit(len(ids)).to_arrow()
        vectors = rows[VECTOR_COLUMN].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return dict(zip(rows["id"].to_pylist(), vectors.astype(np.float32).reshape(-1, self._plan.dim), strict=True))

    def switch(self) -> None:
        """Put the staging table's rows under the table's name."""
        if self._renamable():
            folder = Path(self._location)
            (folder / f"{self._staging_name}.lance").rename(folder / f"{self._plan.table}.lance")
            sync(folder)
            return
        table = self._open(self._plan.table)
        rows = self._staging().search().limit(None).to_batches()
        if table is not None and self._mergeable(table):
            merge(table, rows)
            set_stamp(table, self._stamp)
            table.optimize()
        else:
            mode = "create" if table is None else "overwrite"
            table = self._database().create_table(self._plan.table, data=rows, mode=mode)
        self._index(table)
        self.discard()

    def discard(self) -> None:
        """Drop the staging table."""
        self._release_lock()
        if self._open(self._staging_name) is not None:
            self._database().drop_table(self._staging_name)

    def close(self) -> None:
        """Release the lock."""
        self._release_lock()

    def is_transient(self, error: Exception) -> bool:
        """Whether an object store or another writer may let a repeated call succeed."""
        return isinstance(error, (RuntimeError, OSError)) and any(part in str(error) for part in TRANSIENT)

    def explain(self, error: Exception) -> LiftedError | None:
        """Describe errors of the file system and of Lance in a sentence."""
        if isinstance(error, OSError) and error.errno in NOT_WRITABLE:
            return RunError(
                f"{self._location}: cannot be written to ({NOT_WRITABLE[error.errno]}); use another folder."
            )
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return RunError(f"{self._location}: the disk is full; free some space, then load again to resume.")
        if isinstance(error, OSError) or (isinstance(error, (RuntimeError, ValueError)) and "ance" in str(error)):
            return RunError(f"{self._location}: LanceDB failed ({plain_reason(error)}); load again to resume.")
        return None

    def _check_names(self) -> None:
        """Raise `ConfigError` if LanceDB cannot have a table of this name."""
        name = self._plan.table
        if not TABLE_NAME.fullmatch(name) or len(name) > MOST_LETTERS or name.endswith(STAGING):
            raise ConfigError(
                f"LanceDB cannot have a table named {name!r:.100}; choose a --table of letters, digits, _ - and . "
                f"(at most {MOST_LETTERS}, without {STAGING} at the end)."
            )

    def _check_location(self) -> None:
        """Raise `LiftedError` if there is no folder to write to, or credentials would be shown in later errors."""
        if not self._location:
            raise ConfigError(
                "--to is lancedb:// without a folder; write lancedb://FOLDER or lancedb://s3://BUCKET/FOLDER."
            )
        if self._is_remote():
            shown = url_without_credentials(self._location)
            if shown != self._location:
                raise ConfigError(
                    f"{shown}: LanceDB takes no credentials from --to; set environment variables instead, "
                    "such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
                )
            return
        folder = Path(self._location)
        nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not nearest.is_dir():
            raise RunError(f"{nearest}: is a file, expected a folder; choose another after lancedb://.")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise RunError(f"{nearest}: this user may not write there; choose another folder after lancedb://.")

    def _action(self) -> tuple[str, bool]:
        """Return what happens to the table, and whether there is nothing to do. Raises `ConfigError`."""
        table = self._open(self._plan.table)
        if table is None:
            return "create", False
        stamp = stamp_of(table)
        check_replaceable(stamp, self._plan, f"{self._location}: the table {self._plan.table!r}")
        if stamp == self._stamp and self._open(self._staging_name) is None:
            return "none, it is complete", True
        return f"{'update' if self._mergeable(table) else 'replace'} {table.count_rows():,} rows", False

    def _row_bytes(self) -> int:
        return self._plan.dim * np.dtype(self._plan.dtype).itemsize + int(self._plan.row_bytes)

    def _is_remote(self) -> bool:
        return "://" in self._location

    def _renamable(self) -> bool:
        """Whether the staging table becomes the table by a rename."""
        return not self._is_remote() and self._open(self._plan.table) is None

    def _mergeable(self, table: Table) -> bool:
        stamp, wanted = stamp_of(table), self._stamp
        same = stamp and (stamp.model, stamp.source, stamp.index) == (wanted.model, wanted.source, wanted.index)
        return bool(same) and can_merge(table, self._schema, self._row_bytes(), self._plan.rows)

    def _index(self, table: Table) -> None:
        """Build the indexes that a table lacks."""
        indexed = {column for index in table.list_indices() for column in index.columns}
        if "id" not in indexed and self._plan.rows:
            table.create_index("id", config=BTree())
        config = index_config(self._plan)
        if VECTOR_COLUMN not in indexed and config is not None:
            table.create_index(VECTOR_COLUMN, config=config)

    def _database(self) -> lancedb.DBConnection:
        if self._connection is None:
            self._connection = lancedb.connect(self._location)
        return self._connection

    def _open(self, name: str) -> Table | None:
        """Open a table, or return None if there is none. No folder is created."""
        if not self._is_remote() and not (Path(self._location) / f"{name}.lance").exists():
            return None
        try:
            return self._database().open_table(name)
        except ValueError as error:
            if "not found" not in str(error):
                raise
            return None

    def _staging(self) -> Table:
        if self._opened is None:
            raise RuntimeError("prepare comes first")
        return self._opened

    def _rows(self) -> int:
        self._staging().checkout_latest()  # type: ignore[no-untyped-call]  # LanceDB leaves it without types
        return self._staging().count_rows()

    def _take_lock(self) -> None:
        """Keep a second load away from the staging table, in a folder. Raises `RunError`."""
        if self._is_remote() or self._lock is not None:
            return
        self._lock = os.open(Path(self._location) / f"{self._staging_name}.lance", os.O_RDONLY)
        if try_lock(self._lock) is False:
            raise RunError(f"{self._location}: another load into {self._plan.table!r} is running; wait until it ends.")

    def _release_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
