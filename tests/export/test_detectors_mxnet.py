"""Detection networks of GluonCV with their post-processing, translated and compared with MXNet: random weights."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from typing import TYPE_CHECKING, Any

from export import N, NetworkInputs, export_network
from tests.export.detectors import random_detector, save_detector
from tests.export.ops_runner import run_all, translate_files

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

CLASSES = {"classes": ["cat", "dog", "bird"]}
DETECTORS: list[tuple[str, int, tuple[float, int] | None, dict[str, Any]]] = [
    ("ssd_512_mobilenet1.0_custom", 128, (0.45, 400), CLASSES),
    ("ssd_512_mobilenet1.0_custom", 128, (0, -1), CLASSES),
    ("yolo3_mobilenet0.25_custom", 64, (0.45, 400), CLASSES),
    ("center_net_resnet18_v1b_voc", 64, None, {}),
]
SCORE_ERROR = 1e-5


def in_order_of(
    expected: list[np.ndarray], classes: np.ndarray, scores: np.ndarray, boxes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return classes and boxes with detections of equal score, up to rounding, in the order of the expected ones."""
    classes, boxes = classes.copy(), boxes.copy()
    for image, rows in enumerate(scores.reshape(len(scores), -1)):
        for first in range(len(rows)):
            tied = first + np.flatnonzero(np.abs(rows[first:] - rows[first]) <= SCORE_ERROR)
            distances = np.abs(boxes[image, tied] - expected[2][image, first]).max(axis=1)
            other_class = classes[image, tied].ravel() != expected[0][image, first].item()
            best = tied[np.lexsort((distances, other_class))[0]]
            for values in (classes, boxes):
                values[image, [first, best]] = values[image, [best, first]]
    return classes, boxes


@pytest.mark.parametrize(("name", "side", "nms", "options"), DETECTORS)
def test_detector_equals_mxnet(
    name: str, side: int, nms: tuple[float, int] | None, options: dict[str, Any], tmp_path: Path
) -> None:
    images = np.random.default_rng(1).normal(size=(3, 3, side, side)).astype(np.float32)
    files, expected = save_detector(random_detector(name, images, nms, **options), images, tmp_path)
    graph = translate_files(files.symbol, files.params, images.shape[1:])
    for batch in (images, images[:1]):
        ours = run_all(graph, batch)
        theirs = [output[: len(batch)] for output in expected]
        np.testing.assert_allclose(ours[1], theirs[1], rtol=0, atol=SCORE_ERROR)
        classes, boxes = in_order_of(theirs, *ours)
        np.testing.assert_array_equal(classes, theirs[0])
        np.testing.assert_allclose(boxes, theirs[2], rtol=1e-4, atol=1e-4 * side)
    assert len(np.unique(expected[0])) > 2
    assert (expected[1] > 0).sum() > 100


def test_exported_detector_computes_each_image_alone(tmp_path: Path) -> None:
    images = np.random.default_rng(1).normal(size=(3, 3, 64, 64)).astype(np.float32)
    network = random_detector("yolo3_mobilenet0.25_custom", images, (0.45, 400), **CLASSES)
    files, _ = save_detector(network, images, tmp_path)
    report = export_network(files, NetworkInputs({"data": (N, 3, 64, 64)}), tmp_path / "detector.onnx")
    assert report.fixed_batch is None
