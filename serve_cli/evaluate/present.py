"""Step 4 of `lifted eval`: make a report of the metrics, with explanations in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluon_lifted.metrics.clustering import PROTOCOLS
from serve_cli.evaluate.eval_report import EvalReport
from serve_cli.evaluate.published import TEST_IMAGES, published_rows

if TYPE_CHECKING:
    from serve_cli.evaluate.eval_options import EvalOptions
    from serve_cli.evaluate.eval_report import Difference, Result
    from serve_cli.evaluate.read import EvalInputs


def present(
    inputs: EvalInputs, results: tuple[Result, ...], differences: tuple[Difference, ...], options: EvalOptions
) -> EvalReport:
    """Put measured and published metrics side by side."""
    return EvalReport(
        results=results,
        differences=differences,
        published=published_rows(options.published) if options.published else (),
        gallery=inputs.gallery.name if inputs.gallery else None,
        failed=inputs.failed,
        distance=inputs.distance,
        interval=_interval_text(inputs, results),
        clustering=_clustering_text(options),
        note=_note(inputs, results, options),
    )


def _interval_text(inputs: EvalInputs, results: tuple[Result, ...]) -> str:
    """Explain the intervals."""
    first = results[0]
    if first.queries < len(inputs.sources[0]):
        return (
            "95 %, for the mean over all queries (Wilson, sample without replacement); "
            "differences: over classes (bootstrap of 2,000)"
        )
    if first.classes < 2:
        return "none; they need at least two classes"
    return "95 %, over classes (bootstrap of 2,000)"


def _clustering_text(options: EvalOptions) -> str:
    """Describe the settings of k-means, or return an empty string if it was not run."""
    if options.clustering is None:
        return ""
    protocol = PROTOCOLS[options.clustering]
    starts = f"init {protocol.init}, n_init {protocol.n_init}, at most {protocol.max_iter} iterations"
    return f"k-means, k = classes, {protocol.name} protocol: {starts}, seed {options.seed}"


def _note(inputs: EvalInputs, results: tuple[Result, ...], options: EvalOptions) -> str:
    """Describe results that are not comparable, or return an empty string if all are."""
    notes = []
    if not inputs.paired:
        notes.append("the sources have different images, so no differences are computed")
    if all(result.alone == result.queries for result in results):
        notes.append("no query has another image of its class in the gallery")
    expected = TEST_IMAGES.get(options.published or "")
    if expected and any(len(source) != expected for source in inputs.sources):
        notes.append(f"published values are for {expected:,} queries; these images differ and are not comparable")
    return "; ".join(notes)
