"""What the translators of detection networks refuse, and box_nms beside MXNet with random attributes."""

from __future__ import annotations

import numpy as np
import pytest

from export.errors import LiftedError, MalformedModelError, UnsupportedAttributeError, UnsupportedOpError
from export.graph.shape import N
from gluon_lifted.errors import ConfigError
from tests.export import detection_oracles as oracles
from tests.export.array_case import ArrayCase, Given, normal, run_graph, whole

BOXES, IMAGES = Given((N, 5, 6)), Given((N, 4, 3))
PAIR = {"data": IMAGES, "other": IMAGES}


def halves(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return normal(rng, shape).astype(np.float16)


ROIS = {"data": Given((N, 3, 6, 7)), "rois": Given((N, 5))}
HALVES = {name: Given(given.shape, halves) for name, given in ROIS.items()}
SIZES = {"pooled_size": "(2, 3)", "spatial_scale": "0.5"}
REFUSED: list[tuple[str, dict[str, Given], dict[str, str], type[LiftedError], str]] = [
    ("_contrib_box_nms", {"data": BOXES}, {"overlap_thresh": "-0.1"}, UnsupportedAttributeError, "overlap_thresh=-0.1"),
    ("_contrib_box_nms", {"data": BOXES}, {"in_format": "edges"}, UnsupportedAttributeError, "in_format=edges"),
    ("_contrib_box_nms", {"data": BOXES}, {"coord_start": "3"}, MalformedModelError, "columns [1, 3, 4, 5, 6]"),
    ("_contrib_box_nms", {"data": BOXES}, {"id_index": "2"}, MalformedModelError, "columns [1, 2, 3, 4, 5, 2]"),
    ("_contrib_box_nms", {"data": Given((N, 6))}, {}, UnsupportedOpError, "axis 0 of its input (N, 6) is the batch"),
    ("_contrib_box_nms", {"data": Given((N,))}, {}, MalformedModelError, "expected (..., boxes, numbers)"),
    ("_contrib_box_nms", {"data": Given((N, 5, 6), halves)}, {}, UnsupportedOpError, "in float32 only"),
    ("_contrib_box_decode", PAIR, {}, MalformedModelError, "expected (N, boxes, 4) and (1, boxes, 4)"),
    ("topk", {"data": IMAGES}, {"ret_typ": "mask"}, UnsupportedAttributeError, "ret_typ=mask"),
    ("topk", {"data": IMAGES}, {"axis": "0"}, UnsupportedAttributeError, "axis=0"),
    ("topk", {"data": IMAGES}, {"axis": "None"}, UnsupportedAttributeError, "axis=None"),
    ("topk", {"data": IMAGES}, {"k": "4"}, MalformedModelError, "k is 4, and axis 2 has 3 elements"),
    ("topk", {"data": Given((N, 3000))}, {"dtype": "float16"}, UnsupportedAttributeError, "indices of 3,000 elements"),
    ("topk", {"data": Given((N, 300))}, {"dtype": "uint8"}, UnsupportedAttributeError, "indices of 300 elements"),
    ("repeat", {"data": IMAGES}, {"repeats": "2", "axis": "3"}, UnsupportedAttributeError, "axis=3"),
    ("repeat", {"data": IMAGES}, {"repeats": "0"}, MalformedModelError, "repeats='0'"),
    ("reverse", {"data": IMAGES}, {"axis": "(0, 1)"}, UnsupportedAttributeError, "axis=[0, 1]"),
    ("tile", {"data": IMAGES}, {"reps": "(0, 1)"}, MalformedModelError, "reps='(0, 1)'"),
    ("where", {**PAIR, "third": Given((N, 3))}, {}, MalformedModelError, "expected one shape"),
    ("where", {"rows": Given((4,)), **PAIR}, {}, MalformedModelError, "expected one shape"),
    ("_greater", {"data": IMAGES, "other": Given((N, 3))}, {}, MalformedModelError, "differ in shape"),
    ("broadcast_equal", {"data": IMAGES, "other": Given((N, 3))}, {}, MalformedModelError, "cannot be broadcast"),
    ("broadcast_mod", {"data": IMAGES, "other": Given((3,), halves)}, {}, MalformedModelError, "float32 and float16"),
    (
        "_contrib_ROIAlign",
        ROIS,
        SIZES | {"position_sensitive": "1"},
        UnsupportedAttributeError,
        "position_sensitive=True",
    ),
    ("_contrib_ROIAlign", ROIS | {"rois": Given((3, 5))}, SIZES, MalformedModelError, "select images"),
    ("ROIPooling", ROIS | {"rois": Given((N, 4))}, SIZES, MalformedModelError, "expected (regions, 5)"),
    ("ROIPooling", {"data": IMAGES, "rois": Given((N, 5))}, SIZES, MalformedModelError, "expected (N, C, H, W)"),
    ("ROIPooling", HALVES, SIZES, UnsupportedOpError, "takes float32 only"),
    ("gather_nd", {"data": IMAGES, "indices": Given((4, N))}, {}, MalformedModelError, "expected up to 3"),
    ("gather_nd", {"data": IMAGES, "indices": Given((N, 1))}, {}, MalformedModelError, "expected up to 3"),
    ("gather_nd", {"data": IMAGES, "indices": Given((1, 5))}, {}, MalformedModelError, "select images"),
]
ARANGES = [
    ({"start": "0", "stop": "5", "infer_range": "True"}, UnsupportedAttributeError, "infer_range=True"),
    ({"start": "5", "stop": "3"}, MalformedModelError, "no number from 5.0 to below 3.0"),
    ({"start": "0", "stop": "3", "step": "0"}, MalformedModelError, "in steps of 0.0"),
    ({"start": "1e12"}, MalformedModelError, "it makes 1,000,000,000,000 numbers"),
    ({"start": "2", "repeat": "1000000000"}, MalformedModelError, "the limit is"),
    ({"start": "0", "stop": "3", "step": "0.5", "dtype": "float16"}, UnsupportedAttributeError, "whole numbers"),
    ({"start": "0.5", "stop": "3", "dtype": "int32"}, UnsupportedAttributeError, "whole numbers"),
    ({"start": "3", "dtype": "bfloat16"}, UnsupportedAttributeError, "dtype=bfloat16"),
]


def nothing(*_: np.ndarray) -> np.ndarray:
    return np.empty(0)


@pytest.mark.parametrize(("op", "operands", "attrs", "error", "message"), REFUSED)
def test_refused(
    op: str, operands: dict[str, Given | np.ndarray], attrs: dict[str, str], error: type[LiftedError], message: str
) -> None:
    with pytest.raises(error) as caught:
        ArrayCase(op, "refused", operands, nothing, attrs).graph()
    assert str(caught.value).startswith(f"{op} 'tested': ")
    assert message in str(caught.value)


@pytest.mark.parametrize(("attrs", "error", "message"), ARANGES)
def test_arange_is_refused(attrs: dict[str, str], error: type[LiftedError], message: str) -> None:
    operands: dict[str, Given | np.ndarray] = {"data": Given((N, 6))}
    with pytest.raises(error) as caught:
        ArrayCase("_arange", "refused", operands, nothing, attrs, takes=(), then="broadcast_add").graph()
    assert message in str(caught.value)


def test_outputs_have_mxnets_names() -> None:
    operands: dict[str, Given | np.ndarray] = {"data": BOXES}
    for op, attrs, names in (
        ("topk", {"ret_typ": "both"}, ["tested_output0", "tested_output1"]),
        ("topk", {"ret_typ": "value"}, ["tested_output0"]),
        ("topk", {}, ["tested_output"]),
        ("_contrib_box_nms", {}, ["tested_output0"]),
        ("_contrib_box_nms", {"topk": "3"}, ["tested_output0"]),
    ):
        assert ArrayCase(op, "named", operands, nothing, attrs, outputs=len(names)).graph().outputs == names


def test_no_box_remains() -> None:
    operands: dict[str, Given | np.ndarray] = {"data": BOXES}
    graph = ArrayCase("_contrib_box_nms", "none", operands, nothing, {"valid_thresh": "9", "id_index": "0"}).graph()
    (actual,) = run_graph(graph, {"data": BOXES.array(np.random.default_rng(0), 2)})
    assert (actual == -1).all()


def test_equal_scores_keep_the_order_of_boxes() -> None:
    operands: dict[str, Given | np.ndarray] = {"data": Given((N, 40, 6), whole(0, 0))}
    graph = ArrayCase("_contrib_box_nms", "ties", operands, nothing, {"topk": "7", "valid_thresh": "-1"}).graph()
    boxes = np.zeros((2, 40, 6), np.float32)
    boxes[:, :, 0] = np.arange(40)
    (actual,) = run_graph(graph, {"data": boxes})
    assert actual[:, :8, 0].tolist() == [[0, 1, 2, 3, 4, 5, 6, -1]] * 2


def test_aligned_regions_need_opset_16() -> None:
    operands: dict[str, Given | np.ndarray] = dict(ROIS)
    case = ArrayCase("_contrib_ROIAlign", "aligned", operands, nothing, SIZES | {"aligned": "True"})
    data = ROIS["data"].array(np.random.default_rng(0), 2)
    rois = np.array([[1, 1.2, 2, 9, 11.3], [-1, 0, 0, 4, 4]], np.float32)  # none of an image for the second
    (actual,) = run_graph(case.graph(), {"data": data, "rois": rois})
    np.testing.assert_allclose(actual, oracles.roi_align(data, rois, (2, 3), scale=0.5, aligned=True), atol=1e-5)
    with pytest.raises(ConfigError, match="half_pixel needs opset 16, not 13"):
        run_graph(case.graph(), {"data": data, "rois": rois}, opset=13)
