"""Export a run in lower precision, weigh it against single precision, and refuse it if it is not worth having."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from export import (
    add_provenance,
    calibration_images,
    export_run,
    offset_weights,
    read_reference,
)
from gluon_lifted.card import read_card
from gluon_lifted.contract import CARD_FILE, REFERENCE_FILE
from gluon_lifted.errors import ConfigError
from gluon_lifted.images import denormalize
from serve_cli.compress.comparison import PrecisionComparison, compare_models, fastest
from serve_cli.evaluate.eval_options import EvalOptions, Images
from serve_cli.evaluate.eval_steps import evaluate
from serve_cli.evaluate.metrics import recall_name
from serve_cli.model.model_options import Serving

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from export import ExportOptions, ExportReport

log = logging.getLogger(__name__)
MAX_WEIGHED = 200  # images


@dataclass(frozen=True)
class AcceptanceCriteria:
    """On what criteria a model of lower precision is taken.

    Parameters
    ----------
    dataset, data : str, Path; optional
        What recall@1 is measured on: a name that `load_dataset` knows, and its root.
    max_recall_drop : float
        Points of recall@1 that the model may lose.
    force : bool
        Take it all the same, however bad or slow it is.
    device : str
        What it is for, and weighed on; see `Embedder`.
    """

    dataset: str | None = None
    data: Path | None = None
    max_recall_drop: float = 0.5
    force: bool = False
    device: str = "cpu"

    def __post_init__(self) -> None:
        if (self.dataset is None) != (self.data is None):
            raise ConfigError("--eval and --data belong together: a data set's name, and where it lies.")


def export_reduced(
    run: Path, onnx_path: Path, options: ExportOptions, criteria: AcceptanceCriteria, *, pixels: bool, normalize: bool
) -> tuple[ExportReport, PrecisionComparison]:
    """Export a run as ``options.precision`` says, and the comparison of that, which goes into the model's card.

    Raises
    ------
    ConfigError
        If the model is slower than in single precision, or loses too much recall, unless forced. Nothing is written.
    LiftedError
        As `export.export_run`, `evaluate` and `export.calibration_images` do.
    """
    onnx_path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=onnx_path.parent, prefix=".precision-") as name:
        single, reduced, tiles = (Path(name, one) for one in ("fp32.onnx", "reduced.onnx", "tiles.onnx"))
        whole = replace(options, precision="fp32", calibration=None)
        export_run(run, single, whole, pixels=pixels, normalize=normalize)
        report = export_run(run, reduced, options, pixels=pixels, normalize=normalize)
        log.info("export: %s is compared with fp32", options.precision)
        images, facts = _images(run, options), {"weighed on": criteria.device}
        if options.precision == "int8":
            offset_weights(reduced, tiles)
            reduced = fastest([reduced, tiles], images, criteria.device)
            facts["int8 weights"] = "for matrix tiles (AMX)" if reduced == tiles else "for dot products (VNNI)"
        comparison = compare_models(single, reduced, images, criteria.device)
        if criteria.dataset is not None:
            comparison = replace(comparison, recall=_recall(reduced, criteria), single_recall=_recall(single, criteria))
        objection = comparison.objection(criteria.max_recall_drop)
        if objection and not criteria.force:
            raise ConfigError(f"{options.precision} {objection}. Model not written; --force writes it all the same.")
        add_provenance(reduced, onnx_path, facts | comparison.facts())
    return replace(report, path=onnx_path, size_bytes=onnx_path.stat().st_size), comparison


def _images(run: Path, options: ExportOptions) -> NDArray[np.uint8]:
    """Cropped images to compare on: others of the calibration folder, if it has more, or the reference's."""
    card = read_card(run / CARD_FILE)
    if options.calibration is None:
        return denormalize(read_reference(run / REFERENCE_FILE).data, card.preprocessing)
    found: NDArray[np.uint8] = calibration_images(options.calibration, card.preprocessing, 2 * MAX_WEIGHED)
    return found[MAX_WEIGHED:] if len(found) > MAX_WEIGHED else found


def _recall(model: Path, criteria: AcceptanceCriteria) -> float:
    images = Images(criteria.dataset, criteria.data, serving=Serving(device=criteria.device, cache=False))
    return evaluate(EvalOptions((model,), (1,), images, recall_only=True)).results[0].metrics[recall_name(1)].value
