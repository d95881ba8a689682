"""Load into Qdrant: ``qdrant://host:6333``, with ``?tls=true`` for TLS, or ``qdrant:///folder`` for the local mode.

The key comes from ``QDRANT_API_KEY``, or comes before the ``@``. Rows are sent by gRPC (port 6334, or ``?grpc_port=``),
which takes vectors as bytes, or by REST if that port does not answer.

Each load fills a collection of its own while no index is built. Then it builds the index, and switches the alias that
readers use to the collection in one operation. The id of a point is the UUIDv5 of the row's id (in the namespace of
URLs), so that a repeated write changes nothing.

The tests run against the client's local mode, and its gRPC and REST requests against a stand-in, since no server of
Qdrant is in any package registry.
"""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from qdrant_client import QdrantClient, models

from gluon_lifted.errors import ConfigError, LiftedError, RunError
from gluon_lifted.progress import open_progress
from serve_cli.retrieval.load.target import VECTOR_COLUMN, Preview
from serve_cli.retrieval.load.targets import qdrant_connection
from serve_cli.retrieval.load.targets.collection_names import CollectionNames
from serve_cli.retrieval.load.targets.json_values import json_type, json_values
from serve_cli.retrieval.load.targets.written_batches import WrittenBatches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serve_cli.choices import Dtype
    from serve_cli.embeddings.stream import EmbeddedBatch
    from serve_cli.retrieval.load.target import LoadPlan

DISTANCES = {"euclidean": models.Distance.EUCLID, "cosine": models.Distance.COSINE}
DATATYPES = {"float32": models.Datatype.FLOAT32, "float16": models.Datatype.FLOAT16}
MOST_DIMENSIONS = 65_536
NOT_IN_NAMES = frozenset('<>:"/\\|?*\0\x1f')
MOST_LETTERS = 200  # of 255; hashes are added
REQUEST_BYTES = 4 << 20  # a server takes 32 MB
CONNECTIONS = 4  # rows are converted for one while another waits for the server
HNSW_LINKS = 16
POLL_S, CALM_POLLS = 0.5, 4  # the optimizer starts a moment after its settings change
BYTES_PER_SECOND = 1e7
# Kinds of payload index, so that filters are fast and HNSW takes account of them.
PAYLOAD_INDEXES = {
    "text": models.PayloadSchemaType.KEYWORD,
    "bool": models.PayloadSchemaType.BOOL,
    "integer": models.PayloadSchemaType.INTEGER,
    "float": models.PayloadSchemaType.FLOAT,
    "datetime": models.PayloadSchemaType.DATETIME,
}


class QdrantTarget:
    """Loads a Qdrant collection.

    Parameters
    ----------
    url : str
        ``qdrant://`` and a server or an absolute folder.
    plan : LoadPlan
        What is loaded.
    """

    database: ClassVar[str] = "Qdrant"
    dtypes: ClassVar[tuple[Dtype, ...]] = ("float32", "float16")
    indexes: ClassVar[tuple[str, ...]] = ("hnsw", "hnsw_int8", "none")
    batch_rows: ClassVar[int] = 10_000

    def __init__(self, url: str, plan: LoadPlan) -> None:
        self._server = qdrant_connection.parse_url(url)
        self._plan = plan
        self._names = CollectionNames.of(plan)
        self._batches = WrittenBatches()
        self._connected: QdrantClient | None = None
        self._resumed = 0

    def preview(self) -> Preview:
        """Check the name, the columns, the server and the existing collection."""
        self._check_plan()
        action, complete = "create", False
        if not self._server.is_local or qdrant_connection.check_local(self._server):
            action, complete = self._names.action(self._live(), self._plan, self._where(), self._count)
        number_bytes = np.dtype(self._plan.dtype).itemsize
        row_bytes = self._plan.dim * number_bytes + 2 * self._plan.row_bytes
        links = 0 if self._plan.index == "none" else 8 * HNSW_LINKS
        return Preview(
            columns=self._columns(),
            action=action,
            index=self._index_text(),
            bytes=int(self._plan.rows * (row_bytes + links)),
            seconds=self._plan.rows * row_bytes / BYTES_PER_SECOND,
            complete=complete,
        )

    def prepare(self) -> None:
        """Create the collection without an index, or count the rows of the one that an earlier load began."""
        live = self._live()
        for name in self._collections():
            if self._names.is_of_alias(name) and name not in (live, self._names.collection):
                self._client().delete_collection(name)
        if self._client().collection_exists(self._names.collection):
            self._resumed = self.count()
            return
        self._client().create_collection(
            self._names.collection,
            vectors_config=models.VectorParams(
                size=self._plan.dim,
                distance=DISTANCES[self._plan.distance],
                datatype=DATATYPES[self._plan.dtype],
            ),
            hnsw_config=models.HnswConfigDiff(m=0),
            optimizers_config=models.OptimizersConfigDiff(indexing_threshold=0),
        )

    def loaded(self, batch: EmbeddedBatch, number: int) -> bool:
        """Whether an earlier load wrote this batch and all earlier ones."""
        return self._resumed >= self._batches.end(number, len(batch))

    def write(self, batch: EmbeddedBatch, number: int) -> None:
        """Upload a batch and wait until it is stored."""
        points = [point_id(name) for name in batch.table["id"].to_pylist()]
        columns = {name: json_values(batch.table[name]) for name in batch.table.column_names}
        payload = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        parts = 1 if self._server.is_local else CONNECTIONS
        spans = list(pairwise(sorted({*np.linspace(0, len(points), parts + 1).astype(int).tolist()})))

        def upload(span: tuple[int, int]) -> None:
            part = slice(*span)
            self._upload(points[part], batch.embedding[part], payload[part])

        if self._server.is_local:  # which takes calls from its own thread only
            for span in spans:
                upload(span)
        else:
            with ThreadPoolExecutor(parts, "upload") as pool:
                list(pool.map(upload, spans))

    def build_index(self) -> None:
        """Index the columns, then the vectors, and wait until it is done."""
        if self._server.is_local:
            return  # the local mode searches exactly
        for name, kind in self._indexed_columns().items():
            self._client().create_payload_index(self._names.collection, name, field_schema=kind, wait=True)
        if self._plan.index == "none":
            return
        quantized = models.ScalarQuantization(
            scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
        )
        self._client().update_collection(
            self._names.collection,
            hnsw_config=models.HnswConfigDiff(m=HNSW_LINKS),
            optimizers_config=models.OptimizersConfigDiff(indexing_threshold=10_000),
            quantization_config=quantized if self._plan.index == "hnsw_int8" else None,
        )
        self._wait_for_optimizer()

    def count(self) -> int:
        """Count the rows in the collection that the load fills."""
        return self._count(self._names.collection)

    def read(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Read vectors from the collection that the load fills."""
        names = {point_id(name): name for name in ids}
        points = self._client().retrieve(
            self._names.collection, list(names), with_payload=False, with_vectors=True, timeout=None
        )
        return {names[str(point.id)]: np.array(point.vector, np.float32) for point in points}

    def switch(self) -> None:
        """Point the alias to the new collection in one operation, then remove the old one."""
        live = self._live()
        if live == self._names.alias:  # a collection, which --overwrite gives up; an alias cannot have its name
            self._client().delete_collection(live)
            live = None
        alias = models.CreateAlias(collection_name=self._names.collection, alias_name=self._names.alias)
        changes: list[Any] = [models.CreateAliasOperation(create_alias=alias)]
        if live is not None:
            old = models.DeleteAlias(alias_name=self._names.alias)
            changes.insert(0, models.DeleteAliasOperation(delete_alias=old))
        self._client().update_collection_aliases(changes)
        if live is not None and live != self._names.collection and self._names.is_of_alias(live):
            self._client().delete_collection(live)

    def discard(self) -> None:
        """Remove the collection that the load fills."""
        self._client().delete_collection(self._names.collection)

    def close(self) -> None:
        """Disconnect."""
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    def is_transient(self, error: Exception) -> bool:
        """Whether a repeated call may succeed."""
        return qdrant_connection.is_transient(error)

    def explain(self, error: Exception) -> LiftedError | None:
        """Describe an error of the client in a sentence."""
        return qdrant_connection.explain(error, self._server)

    def _client(self) -> QdrantClient:
        if self._connected is None:
            self._connected = qdrant_connection.connect(self._server)
        return self._connected

    def _where(self) -> str:
        return f"Qdrant at {self._server.named(qdrant_connection.PORT)}"

    def _count(self, name: str) -> int:
        return int(self._client().count(name, exact=True).count)

    def _check_plan(self) -> None:
        """Raise `ConfigError` if Qdrant cannot have the name, the width or a column."""
        name, where = self._plan.table, self._where()
        if not name or not NOT_IN_NAMES.isdisjoint(name) or len(name) > MOST_LETTERS:
            raise ConfigError(
                f"{where} cannot have a collection named {name!r:.100}; choose a --table of at most {MOST_LETTERS} "
                'letters without < > : " / \\ | ? *.'
            )
        if self._plan.dim > MOST_DIMENSIONS:
            raise ConfigError(f"{where} holds at most {MOST_DIMENSIONS} dimensions, not {self._plan.dim}.")
        for field in self._plan.schema:
            if json_type(field.type) is None or str(field.type) == "uint64":
                raise ConfigError(
                    f"{where} cannot hold the column {field.name!r:.100} of type {field.type!s:.100}; leave it out "
                    "with --columns, or embed with a table where it is a number, a string or a time."
                )

    def _columns(self) -> dict[str, str]:
        columns = {field.name: str(json_type(field.type)) for field in self._plan.schema}
        return {**columns, VECTOR_COLUMN: f"{self._plan.dtype} vector({self._plan.dim})"}

    def _indexed_columns(self) -> dict[str, Any]:
        """Return the columns that filters use: not the id, which is the point's, and not the path."""
        kinds = {field.name: PAYLOAD_INDEXES.get(str(json_type(field.type))) for field in self._plan.schema}
        return {name: kind for name, kind in kinds.items() if kind is not None and name not in ("id", "path")}

    def _index_text(self) -> str:
        if self._server.is_local or self._plan.index == "none":
            return "none: searched exactly"
        quantized = ", int8 in memory" if self._plan.index == "hnsw_int8" else ""
        return f"hnsw ({self._plan.distance}, m = {HNSW_LINKS}{quantized})"

    def _collections(self) -> list[str]:
        return [collection.name for collection in self._client().get_collections().collections]

    def _live(self) -> str | None:
        """Return the collection that readers see under the table's name, or None if there is none."""
        for alias in self._client().get_aliases().aliases:
            if alias.alias_name == self._names.alias:
                return str(alias.collection_name)
        return self._names.alias if self._names.alias in self._collections() else None

    def _upload(self, points: list[str], embedding: NDArray[np.float32], payload: list[dict[str, Any]]) -> None:
        """Send rows. The caller repeats what fails, with growing pauses, which the client does not make."""
        row_bytes = 4 * self._plan.dim + 2 * int(self._plan.row_bytes) + 64
        self._client().upload_collection(
            self._names.collection,
            vectors=embedding,
            payload=payload,
            ids=points,
            batch_size=max(min(REQUEST_BYTES // row_bytes, 1_000), 1),
            max_retries=0,
            wait=True,
        )

    def _wait_for_optimizer(self) -> None:
        """Wait until the collection has been green for a while. Raises `RunError` if the optimizer fails."""
        calm = 0
        with open_progress("index", self._plan.rows, "rows") as progress:
            while calm < CALM_POLLS:
                info = self._client().get_collection(self._names.collection)
                if info.optimizer_status != models.OptimizersStatusOneOf.OK:
                    raise RunError(f"Qdrant cannot build the index: {info.optimizer_status!s:.200}; load again.")
                calm = calm + 1 if info.status == models.CollectionStatus.GREEN else 0
                progress.update(min(info.indexed_vectors_count or 0, self._plan.rows))
                time.sleep(POLL_S)


def point_id(identifier: str) -> str:
    """Return the id of a row's point."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, identifier))
