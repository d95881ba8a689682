"""Export a run in lower precision, compare it with float32, and refuse it if it is slower or worse."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import replace
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
from serve_cli.model.model_options import ModelOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from export import ExportOptions, ExportReport
    from serve_cli.compress.acceptance import AcceptanceCriteria

log = logging.getLogger(__name__)
MAX_COMPARED = 200  # images


def export_reduced(
    run: Path, onnx_path: Path, options: ExportOptions, criteria: AcceptanceCriteria, *, pixels: bool, normalize: bool
) -> tuple[ExportReport, PrecisionComparison]:
    """Export a run in ``options.precision``, compare it with float32, and add the comparison to the model's card.

    Raises
    ------
    ConfigError
        If the model is slower than in float32, or loses too much recall, unless forced. Nothing is written.
    LiftedError
        As `export.export_run`, `evaluate` and `export.calibration_images` do.
    """
    onnx_path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=onnx_path.parent, prefix=".precision-") as name:
        single, reduced, amx = (Path(name, file) for file in ("fp32.onnx", "reduced.onnx", "amx.onnx"))
        whole = replace(options, precision="fp32", calibration=None)
        export_run(run, single, whole, pixels=pixels, normalize=normalize)
        report = export_run(run, reduced, options, pixels=pixels, normalize=normalize)
        log.info("export: comparing %s with fp32", options.precision)
        images = _images(run, options)
        facts: dict[str, str] = {"weighed on": criteria.device}
        if options.precision == "int8":
            offset_weights(reduced, amx)
            reduced = fastest([reduced, amx], images, criteria.device)
            facts["int8 weights"] = "for matrix tiles (AMX)" if reduced == amx else "for dot products (VNNI)"
        comparison = compare_models(single, reduced, images, criteria.device)
        if criteria.dataset is not None:
            comparison = replace(comparison, recall=_recall(reduced, criteria), single_recall=_recall(single, criteria))
        objection = criteria.objection(comparison)
        if objection and not criteria.force:
            raise ConfigError(f"{options.precision} {objection}. Model not written; --force writes it anyway.")
        add_provenance(reduced, onnx_path, facts | comparison.facts())
    return replace(report, path=onnx_path, size_bytes=onnx_path.stat().st_size), comparison


def _images(run: Path, options: ExportOptions) -> NDArray[np.uint8]:
    """Return cropped images to compare on: the reference's, or calibration images, unused ones if there are any."""
    card = read_card(run / CARD_FILE)
    if options.calibration is None:
        return denormalize(read_reference(run / REFERENCE_FILE).data, card.preprocessing)
    images: NDArray[np.uint8] = calibration_images(options.calibration, card.preprocessing, 2 * MAX_COMPARED)
    return images[MAX_COMPARED:] if len(images) > MAX_COMPARED else images


def _recall(model: Path, criteria: AcceptanceCriteria) -> float:
    model_options = ModelOptions(device=criteria.device, cache=False)
    images = Images(dataset=criteria.dataset, data=criteria.data, model_options=model_options)
    options = EvalOptions(sources=(model,), ks=(1,), images=images, recall_only=True)
    return evaluate(options).results[0].metrics[recall_name(1)].value
