"""Load into Milvus: ``milvus://host:19530/database``, or ``milvus:///folder/catalog.db`` for Milvus Lite.

``?tls=true`` encrypts the connection. User and password come before the ``@``, or a token is in ``MILVUS_TOKEN``.

Each load fills a collection of its own without an index. Then it builds the index, loads the collection into memory,
and switches the alias that readers use to it in one operation. Rows that may be there already are written by
``upsert``, all others by ``insert``, which is faster.

The tests run against Milvus Lite, which has float32 only. A server has float16 and, for cosine distances, int8.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gluon_lifted.errors import ConfigError, LiftedError
from gluon_lifted.progress import open_progress
from serve_cli.retrieval.load.target import VECTOR_COLUMN, Preview
from serve_cli.retrieval.load.targets import milvus_connection
from serve_cli.retrieval.load.targets.collection_names import CollectionNames
from serve_cli.retrieval.load.targets.milvus_fields import (
    MOST_DIMENSIONS,
    chunks,
    collection_schema,
    field_texts,
    rows_of,
)
from serve_cli.retrieval.load.targets.written_batches import WrittenBatches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymilvus import MilvusClient

    from serve_cli.choices import Dtype
    from serve_cli.embeddings.stream import EmbeddedBatch
    from serve_cli.retrieval.load.target import LoadPlan

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")  # Milvus has 255 letters; hashes are added
METRICS = {"euclidean": "L2", "cosine": "COSINE"}
MESSAGE_BYTES = 16 << 20  # a server takes 64 MB
MESSAGE_ROWS = 1_000  # Milvus Lite takes larger messages more slowly
INDEXES = {"auto": "AUTOINDEX", "hnsw": "HNSW", "ivf_flat": "IVF_FLAT", "flat": "FLAT"}
BYTES_PER_SECOND = 5e6


class MilvusTarget:
    """Loads a Milvus collection.

    Parameters
    ----------
    url : str
        ``milvus://`` and a server or an absolute path that ends with ``.db``.
    plan : LoadPlan
        What is loaded.
    """

    database: ClassVar[str] = "Milvus"
    dtypes: ClassVar[tuple[Dtype, ...]] = ("float32", "float16", "int8")
    indexes: ClassVar[tuple[str, ...]] = ("auto", "hnsw", "ivf_flat", "flat")
    batch_rows: ClassVar[int] = 10_000

    def __init__(self, url: str, plan: LoadPlan) -> None:
        self._server = milvus_connection.parse_url(url)
        self._plan, self._names = plan, CollectionNames.of(plan)
        self._batches = WrittenBatches()
        self._connected: MilvusClient | None = None
        self._resumed = 0
        self._sent = 0  # rows that may be there, in the order of the batches

    def preview(self) -> Preview:
        """Check the name, the columns, the server and the existing collection."""
        self._check_plan()
        columns = field_texts(self._plan)
        action, complete = "create", False
        if not self._server.is_local or milvus_connection.check_local(self._server):
            action, complete = self._names.action(self._live(), self._plan, self._where(), self._stored_rows)
        row_bytes = self._plan.dim * np.dtype(self._plan.dtype).itemsize + self._plan.row_bytes
        return Preview(
            columns=columns,
            action=action,
            index=f"{self._plan.index} ({METRICS[self._plan.distance]})",
            bytes=int(2 * self._plan.rows * row_bytes),
            seconds=self._plan.rows * row_bytes / BYTES_PER_SECOND,
            complete=complete,
        )

    def prepare(self) -> None:
        """Create the collection, or count the rows of the one that an earlier load began."""
        live, name = self._live(), self._names.collection
        collections = self._client().list_collections()
        for other in collections:
            if self._names.is_of_alias(other) and other not in (live, name):
                self._client().drop_collection(other)
        if name not in collections:
            self._client().create_collection(name, schema=collection_schema(self._plan), consistency_level="Strong")
            return
        self._index("FLAT")  # Milvus counts only what is loaded, and loads only what has an index
        self._resumed = self.count()
        # The rows after these may have been sent, too.
        self._sent = self._resumed + self._plan.batch_rows
        self._drop_index()

    def loaded(self, batch: EmbeddedBatch, number: int) -> bool:
        """Whether an earlier load wrote this batch and all earlier ones."""
        return self._resumed >= self._batches.end(number, len(batch))

    def write(self, batch: EmbeddedBatch, number: int) -> None:
        """Write a batch in messages of limited size."""
        end = self._batches.end(number, len(batch))
        may_be_there = end - len(batch) < self._sent
        self._sent = max(self._sent, end)
        send = self._client().upsert if may_be_there else self._client().insert
        row_bytes = 4 * self._plan.dim + int(2 * self._plan.row_bytes) + 64
        for rows in chunks(rows_of(batch, self._plan.dtype), max(min(MESSAGE_BYTES // row_bytes, MESSAGE_ROWS), 1)):
            send(self._names.collection, rows, retry_times=0)  # the client would insert a second time

    def build_index(self) -> None:
        """Build the index and load the collection into memory."""
        with open_progress("index", self._plan.rows, "rows") as progress:
            self._client().flush(self._names.collection)
            self._index(INDEXES[self._plan.index])
            progress.update(self._plan.rows)

    def count(self) -> int:
        """Count the rows in the collection that the load fills."""
        return self._count(self._names.collection)

    def read(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Read vectors from the collection that the load fills."""
        wanted = ", ".join(json.dumps(name, ensure_ascii=False) for name in ids)
        rows = self._client().query(
            self._names.collection, filter=f"id in [{wanted}]", output_fields=["id", VECTOR_COLUMN]
        )
        return {row["id"]: self._vector(row[VECTOR_COLUMN]) for row in rows}

    def switch(self) -> None:
        """Point the alias to the new collection in one operation, then remove the old one."""
        live, client = self._live(), self._client()
        if live is None or live == self._names.alias:
            if live is not None:  # a collection, which --overwrite gives up; an alias cannot have its name
                client.drop_collection(live)
            client.create_alias(self._names.collection, self._names.alias)
            return
        client.alter_alias(self._names.collection, self._names.alias)
        if live != self._names.collection and self._names.is_of_alias(live):
            client.drop_collection(live)

    def discard(self) -> None:
        """Remove the collection that the load fills."""
        if self._client().has_collection(self._names.collection):
            self._client().drop_collection(self._names.collection)

    def close(self) -> None:
        """Disconnect."""
        if self._connected is not None:
            milvus_connection.disconnect(self._server, self._connected)
            self._connected = None

    def is_transient(self, error: Exception) -> bool:
        """Whether a repeated call may succeed."""
        return milvus_connection.is_transient(error)

    def explain(self, error: Exception) -> LiftedError | None:
        """Describe an error of the client in a sentence."""
        return milvus_connection.explain(error, self._server)

    def _client(self) -> MilvusClient:
        if self._connected is None:
            self._connected = milvus_connection.connect(self._server)
        return self._connected

    def _where(self) -> str:
        return f"Milvus at {self._server.named(milvus_connection.PORT)}"

    def _check_plan(self) -> None:
        """Raise `ConfigError` if Milvus cannot have the name, the width or the storage type."""
        plan = self._plan
        if not NAME.fullmatch(plan.table):
            raise ConfigError(
                f"{self._where()} cannot have a collection named {plan.table!r:.100}; choose a --table of letters, "
                "digits and _ that does not begin with a digit (at most 200)."
            )
        if plan.dim > MOST_DIMENSIONS:
            raise ConfigError(f"{self._where()} holds at most {MOST_DIMENSIONS} dimensions, not {plan.dim}.")
        if self._server.is_local and plan.dtype != "float32":
            raise ConfigError(f"{self._where()}: Milvus Lite has no vectors of {plan.dtype}; use --dtype float32.")
        if plan.dtype == "int8" and plan.distance != "cosine":
            raise ConfigError(
                f"{self._where()}: its int8 vectors have no scale, which Euclidean distances need; use --dtype float16."
            )
        if plan.dtype == "int8" and plan.index not in ("auto", "hnsw"):
            raise ConfigError(f"{self._where()} has no {plan.index} index of int8 vectors; use --index hnsw.")

    def _live(self) -> str | None:
        """Return the collection that readers see under the table's name, or None if there is none."""
        if self._names.alias in self._client().list_collections():
            return self._names.alias
        if not self._client().has_collection(self._names.alias):
            return None
        return str(self._client().describe_alias(self._names.alias)["collection_name"])

    def _stored_rows(self, name: str) -> int:
        """Count rows without loading the collection, deleted ones included."""
        return int(self._client().get_collection_stats(name)["row_count"])

    def _count(self, name: str) -> int:
        rows: Any = self._client().query(name, filter="", output_fields=["count(*)"])
        return int(rows[0]["count(*)"])

    def _index(self, kind: str) -> None:
        """Replace the index and load the collection."""
        self._drop_index()
        lists = max(min(4 * math.isqrt(self._plan.rows), 65_536), 1)
        settings = {"HNSW": {"M": 16, "efConstruction": 200}, "IVF_FLAT": {"nlist": lists}}
        index = self._client().prepare_index_params()
        index.add_index(
            VECTOR_COLUMN,
            index_type=kind,
            index_name=VECTOR_COLUMN,
            metric_type=METRICS[self._plan.distance],
            params=settings.get(kind, {}),
        )
        self._client().create_index(self._names.collection, index)
        self._client().load_collection(self._names.collection)

    def _drop_index(self) -> None:
        if self._client().list_indexes(self._names.collection):
            self._client().release_collection(self._names.collection)
            self._client().drop_index(self._names.collection, VECTOR_COLUMN)

    def _vector(self, value: Any) -> NDArray[np.float32]:
        """Return a vector as float32. The client gives numbers, or the bytes of one array."""
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], bytes):
            value = value[0]
        if isinstance(value, bytes):
            return np.frombuffer(value, self._plan.dtype).astype(np.float32)
        return np.asarray(value, np.float32)
