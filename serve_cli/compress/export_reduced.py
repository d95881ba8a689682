"""Export a network in lower precision, compare it with float32, and refuse it if it is slower or worse."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from export import (
    add_provenance,
    calibration_images,
    offset_weights,
    read_reference,
)
from gluon_lifted.errors import ConfigError
from gluon_lifted.images import denormalize
from serve_cli.compress.comparison import BATCH, PrecisionComparison, compare_models, fastest
from serve_cli.evaluate.eval_options import EvalOptions, Images
from serve_cli.evaluate.eval_steps import evaluate_embeddings
from serve_cli.evaluate.metrics import recall_name
from serve_cli.model.embedder import Embedder
from serve_cli.model.model_hash import model_bytes
from serve_cli.model.model_options import ModelOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from export import ExportOptions, ExportReport
    from serve_cli.compress.acceptance import AcceptanceCriteria

ExportTo = Callable[[Path, "ExportOptions"], "ExportReport"]

log = logging.getLogger(__name__)
MAX_COMPARED = 200  # images


def export_reduced(
    export_to: ExportTo,
    onnx_path: Path,
    options: ExportOptions,
    criteria: AcceptanceCriteria,
    reference: Path | None,
) -> tuple[ExportReport, PrecisionComparison]:
    """Export a network in ``options.precision``, compare it with float32, and add the comparison to the model's card.

    Parameters
    ----------
    export_to : callable
        Exports the network to a path with options, as `export.export_run` or `export.export_network` do.
    reference : Path, optional
        The network's reference file, whose images are used to compare where no calibration images are given.

    Raises
    ------
    ConfigError
        If the model is slower than in float32, or loses too much recall, unless forced. Nothing is written.
    LiftedError
        As `export.export_run`, `evaluate_embeddings` and `export.calibration_images` do.
    """
    onnx_path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=onnx_path.parent, prefix=".precision-") as name:
        single, reduced, amx = (Path(name, file) for file in ("fp32.onnx", "reduced.onnx", "amx.onnx"))
        whole = replace(options, precision="fp32", calibration=None)
        export_to(single, whole)
        report = export_to(reduced, options)
        log.info("export: comparing %s with fp32", options.precision)
        images = _images(single, options, reference)
        facts: dict[str, str] = {"compared on": criteria.device}
        if options.precision == "int8":
            offset_weights(reduced, amx)
            reduced = fastest([reduced, amx], images, criteria.device)
            facts["int8 weights"] = "for matrix tiles (AMX)" if reduced == amx else "for dot products (VNNI)"
        comparison = compare_models(single, reduced, images, criteria.device)
        if criteria.dataset is not None:
            comparison = replace(comparison, recall=_recall(reduced, criteria), single_recall=_recall(single, criteria))
        objection = criteria.objection(comparison)
        if objection and not criteria.force:
            raise ConfigError(f"{options.precision} {objection}. The model was not written; --force writes it anyway.")
        add_provenance(reduced, onnx_path, facts | comparison.facts())
    return replace(report, path=onnx_path, size_bytes=model_bytes(onnx_path)), comparison


def _images(model: Path, options: ExportOptions, reference: Path | None) -> NDArray[np.uint8]:
    """Return cropped images to compare on: the reference's, or calibration images, preferably unused ones."""
    with Embedder(model, ModelOptions(cache=False)) as embedder:
        preprocessing = embedder.card.preprocessing
    if options.calibration is None:
        if reference is not None:
            return denormalize(read_reference(reference).data, preprocessing)
        return np.random.default_rng(0).integers(0, 256, (BATCH, preprocessing.crop, preprocessing.crop, 3), np.uint8)
    images: NDArray[np.uint8] = calibration_images(options.calibration, preprocessing, 2 * MAX_COMPARED)
    return images[MAX_COMPARED:] if len(images) > MAX_COMPARED else images


def _recall(model: Path, criteria: AcceptanceCriteria) -> float:
    model_options = ModelOptions(device=criteria.device, cache=False)
    images = Images(dataset=criteria.dataset, data=criteria.data, model_options=model_options)
    options = EvalOptions(sources=(model,), ks=(1,), images=images, recall_only=True)
    return evaluate_embeddings(options).results[0].metrics[recall_name(1)].value
