"""The steps of `lifted eval`: read, search, measure, present."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serve_cli.evaluate.measure import measure
from serve_cli.evaluate.present import present
from serve_cli.evaluate.read import read_inputs
from serve_cli.evaluate.search import search_gallery

if TYPE_CHECKING:
    from serve_cli.evaluate.eval_options import EvalOptions
    from serve_cli.evaluate.eval_report import EvalReport


def evaluate_embeddings(options: EvalOptions) -> EvalReport:
    """Compute the requested metrics of every source.

    Raises
    ------
    DataError
        If images have no labels, fewer than two have an embedding, or the data set is missing.
    RunError, DeviceError
        If embeddings or a model cannot be used.
    ConfigError
        If a model comes without a data set, a data set without a model, a gallery with more than one source, or models
        were trained for different distances and none is chosen.
    MissingPackageError
        If clustering is requested and scikit-learn is not installed.
    """
    inputs = read_inputs(options)
    rankings = [search_gallery(embeddings, inputs.gallery, inputs.distance, options) for embeddings in inputs.sources]
    results, differences = measure(inputs, rankings, options)
    return present(inputs, results, differences, options)
