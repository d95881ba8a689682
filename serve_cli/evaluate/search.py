"""Step 2 of `lifted eval`: search each query in its gallery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import DataError
from gluon_lifted.metrics.ranking.search import Search
from gluon_lifted.metrics.retrieval import retrieval_scores
from gluon_lifted.progress import open_progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gluon_lifted.metrics.choices import Distance
    from gluon_lifted.metrics.retrieval import Scores
    from serve_cli.embeddings.reader import Embeddings
    from serve_cli.evaluate.eval_options import EvalOptions


@dataclass(frozen=True, eq=False)
class Ranking:
    """Ranks at which the queries find images of their class.

    Parameters
    ----------
    queries : ndarray, int64, (Q,)
        Rows of the embeddings, ascending.
    scores : Scores
        Ranks of each query's positives.
    gallery_size : int
        Number of images in a query's gallery, without itself.
    """

    queries: NDArray[np.int64]
    scores: Scores
    gallery_size: int


def search_gallery(
    embeddings: Embeddings, gallery: Embeddings | None, distance: Distance, options: EvalOptions
) -> Ranking:
    """Rank the positives of every query.

    Parameters
    ----------
    embeddings : Embeddings
        The queries, or the rows from which they are sampled.
    gallery : Embeddings or None
        None to search each query among all other rows of ``embeddings``.
    distance : {"euclidean", "cosine"}
        Distance that ranks the gallery.
    options : EvalOptions
        Number of queries, and threads.

    Raises
    ------
    DataError
        If there are too few images, and as `retrieval_scores` does.
    """
    if len(embeddings) < (2 if gallery is None else 1):
        raise DataError(
            f"{embeddings.name}: {len(embeddings)} images with an embedding; recall needs at least 2. Embed more, or "
            "search in a --gallery."
        )
    queries = _sample_queries(len(embeddings), options)
    if gallery is None:
        search = Search.leave_one_out(embeddings.embedding, embeddings.labels, queries)
    else:
        search = Search.query_gallery(
            embeddings.embedding[queries],
            embeddings.labels[queries],
            gallery.embedding,
            gallery.labels_in(embeddings.class_names),
        )
    with open_progress(f"rank {embeddings.name}", len(queries), "queries") as progress:
        scores = retrieval_scores(
            search,
            distance,
            only_first=options.recall_only,
            threads=options.images.model_options.threads,
            report=lambda share: progress.update(round(share * len(queries))),
        )
    return Ranking(queries, scores, len(search.gallery) - (gallery is None))


def _sample_queries(count: int, options: EvalOptions) -> NDArray[np.int64]:
    """Return the rows of the queries, ascending, (Q,): all, or a random sample without replacement."""
    if options.queries is None or options.queries >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(options.seed).choice(count, options.queries, replace=False))
