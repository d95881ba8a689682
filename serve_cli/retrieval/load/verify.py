"""Compare what a database returns with what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from serve_cli.embeddings.stream import EmbeddedBatch
    from serve_cli.retrieval.load.target import LoadPlan, Target

MOST_COMPARED = 1_000
MOST_BYTES = 16 << 20  # of the sampled embeddings
READ_ROWS = 100  # a query
# Largest error relative to the row's largest absolute value. A database may scale rows to unit norm, so it is twice the
# rounding error: of float32's 24 significant bits, float16's 11, int8's 127 steps.
TOLERANCE = {"float32": 2.0**-20, "float16": 2.0**-10, "int8": 1 / 127}
FLOAT16_STEP = 2.0**-24  # between subnormal numbers


class Sample:
    """A random sample of the embeddings that are loaded, kept to be compared.

    Parameters
    ----------
    plan : LoadPlan
        Its fingerprint seeds the sample, so that a resumed load compares the same rows.
    """

    def __init__(self, plan: LoadPlan) -> None:
        size = min(MOST_COMPARED, max(MOST_BYTES // (4 * plan.dim), 1), plan.rows)
        rng = np.random.default_rng(int(plan.fingerprint[:16], 16))
        self._rows = np.sort(rng.choice(plan.rows, size, replace=False)) if size else np.empty(0, np.int64)
        self._seen = 0
        self.embeddings: dict[str, NDArray[np.float32]] = {}

    def add(self, batch: EmbeddedBatch) -> None:
        """Keep the sampled rows of the next batch."""
        first, last = np.searchsorted(self._rows, [self._seen, self._seen + len(batch)])
        chosen = self._rows[first:last] - self._seen
        ids = batch.table["id"].take(chosen).to_pylist()
        self.embeddings |= zip(ids, batch.embedding[chosen], strict=True)
        self._seen += len(batch)


def verify(target: Target, plan: LoadPlan, sample: Mapping[str, NDArray[np.float32]]) -> None:
    """Compare the number of rows and the sampled embeddings in the staging table with the embeddings.

    Raises
    ------
    RunError
        If they differ. The staging table must not be used then.
    """
    count = target.count()
    if count != plan.rows:
        raise RunError(
            f"{target.database} has {count:,} rows for {plan.table!r}, expected {plan.rows:,}. The table that readers "
            "use is unchanged. Load again."
        )
    ids = list(sample)
    for start in range(0, len(ids), READ_ROWS):
        chunk = ids[start : start + READ_ROWS]
        stored = target.read(chunk)
        wrong = [name for name in chunk if name not in stored or not _equal(stored[name], sample[name], plan)]
        if wrong:
            raise RunError(
                f"{target.database} does not return the embedding that was sent for the id {wrong[0]!r:.200} "
                f"({len(wrong)} of {len(chunk)} that were compared). The table that readers use is unchanged. Load "
                "again."
            )


def _equal(stored: NDArray[np.float32], sent: NDArray[np.float32], plan: LoadPlan) -> bool:
    """Whether two vectors, (D,), are equal within the storage type's precision."""
    if stored.shape != sent.shape:
        return False
    left, right = stored.astype(float), sent.astype(float)
    step = FLOAT16_STEP if plan.dtype == "float16" else 0.0
    if plan.distance == "cosine":  # the database may have scaled both to unit norm
        norms = [float(np.linalg.norm(vector)) or 1.0 for vector in (left, right)]
        left, right, step = left / norms[0], right / norms[1], step / norms[1]
    return bool(np.all(np.abs(left - right) <= TOLERANCE[plan.dtype] * np.abs(right).max(initial=0) + step))
