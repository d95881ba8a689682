"""Cases of the operators that detection networks add: comparisons, repetition, selection, boxes."""

from __future__ import annotations

from functools import partial

import numpy as np

from export.graph.shape import Batch, N
from tests.export import detection_oracles as oracles
from tests.export.array_case import ArrayCase, Given, normal, whole

RNG = np.random.default_rng(8)
SMALL = whole(-2, 2)  # with many equal elements
INTEGERS = whole(-7, 7, "int64")
ROWS = Given((N, 4, 3), SMALL)


def half(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return SMALL(rng, shape).astype(np.float16)


def fractions(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Indices of the first image, and of the first two rows."""
    return (rng.uniform(0, 0.9, shape) * [[1], [2]]).astype(np.float32)


def boxes(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Class, score and corners; many equal scores, some classes of -1 and some corners in the wrong order."""
    rows = np.zeros(shape, np.float32)
    rows[..., 0] = rng.integers(-1, 3, shape[:-1])
    rows[..., 1] = rng.integers(-2, 9, shape[:-1]) / 8
    rows[..., 2:4] = rng.uniform(-1, 5, (*shape[:-1], 2))
    rows[..., 4:6] = rows[..., 2:4] + rng.uniform(-0.5, 4, (*shape[:-1], 2))
    return rows


def with_score_last(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.roll(boxes(rng, shape), -2, axis=-1)  # coordinates, zeros if there are 7 numbers, class, score


RELATIONS = {
    **{"equal": np.equal, "not_equal": np.not_equal, "greater": np.greater, "greater_equal": np.greater_equal},
    **{"lesser": np.less, "lesser_equal": np.less_equal},
    **{"logical_and": np.logical_and, "logical_or": np.logical_or, "logical_xor": np.logical_xor},
}


def _in_type(relation: np.ufunc, *operands: np.ndarray) -> np.ndarray:
    truth: np.ndarray = relation(*operands)
    return truth.astype(operands[0].dtype)


def _with_number(relation: np.ufunc, number: float, x: np.ndarray) -> np.ndarray:
    return _in_type(relation, x, np.array(number, x.dtype))


COMPARING = [
    *(
        ArrayCase(f"_{name}", "defaults", {"left": ROWS, "right": ROWS}, partial(_in_type, relation))
        for name, relation in RELATIONS.items()
    ),
    *(
        ArrayCase(
            f"broadcast_{name}",
            "both ways",
            {"left": Given((N, 1, 3), SMALL), "right": Given((N, 4, 1), SMALL)},
            partial(_in_type, relation),
        )
        for name, relation in RELATIONS.items()
    ),
    *(
        ArrayCase(f"_{name}_scalar", "defaults: 1", {"data": ROWS}, partial(_with_number, relation, 1.0))
        for name, relation in RELATIONS.items()
    ),
    ArrayCase(
        "_lesser_equal_scalar",
        "of integers: fractions are cut off",
        {"data": Given((N, 4), INTEGERS)},
        partial(_with_number, np.less_equal, 2.0),
        {"scalar": "2.7"},
    ),
    ArrayCase(
        "_not_equal_scalar",
        "of integers with a real number: float64",
        {"data": Given((N, 4), INTEGERS)},
        lambda x: (x != 2.7).astype(np.float64),
        {"scalar": "2.7", "is_int": "False"},
    ),
    ArrayCase(
        "_mul_scalar",
        "of integers with a real number: float64",
        {"data": Given((N, 4), INTEGERS)},
        lambda x: x * 2.7,
        {"scalar": "2.7", "is_int": "0"},
    ),
    *(
        ArrayCase(
            f"_npi_{name}_scalar",
            "of integers with a real number: float64",
            {"data": Given((N, 4), INTEGERS)},
            oracle,
            {"scalar": "2.5", "is_int": "False"},
        )
        for name, oracle in (("add", lambda x: x + 2.5), ("rsubtract", lambda x: 2.5 - x))
    ),
    ArrayCase(
        "_equal_scalar",
        "of truth values with a whole number: int64",
        {"data": Given((N, 4), whole(0, 1, "bool"))},
        lambda x: (x == 3).astype(np.int64),
        {"scalar": "3"},
    ),
    ArrayCase(
        "_greater_scalar",
        "in half precision",
        {"data": Given((N, 4), half)},
        partial(_with_number, np.greater, 0.0),
        {"scalar": "0"},
    ),
    ArrayCase("broadcast_lesser", "fewer axes", {"left": ROWS, "right": SMALL(RNG, (3,))}, partial(_in_type, np.less)),
    ArrayCase("logical_not", "defaults", {"data": ROWS}, partial(_in_type, np.logical_not)),
    ArrayCase("where", "elements", {"condition": ROWS, "x": ROWS, "y": ROWS}, oracles.choose),
    ArrayCase("where", "rows", {"condition": Given((N,), INTEGERS), "x": ROWS, "y": ROWS}, oracles.choose),
]
DIVIDING = [
    ArrayCase("_mod", "defaults", {"left": Given((N, 9)), "right": Given((N, 9), SMALL)}, oracles.modulo),
    ArrayCase("_mod", "integers", {"left": Given((N, 9), INTEGERS), "right": Given((N, 9), INTEGERS)}, oracles.modulo),
    ArrayCase(
        "broadcast_mod",
        "both ways",
        {"left": Given((N, 1, 5), SMALL), "right": Given((N, 5, 1), SMALL)},
        oracles.modulo,
    ),
    ArrayCase("_mod_scalar", "defaults: 1", {"data": Given((N, 5))}, lambda x: oracles.modulo(x, np.float32(1))),
    ArrayCase(
        "_mod_scalar",
        "negative",
        {"data": Given((N, 5), half)},
        lambda x: oracles.modulo(x, np.float16(-1.5)),
        {"scalar": "-1.5", "is_int": "0"},
    ),
    ArrayCase("_rmod_scalar", "set", {"data": ROWS}, lambda x: oracles.modulo(np.float32(5), x), {"scalar": "5"}),
]
REPEATING = [
    ArrayCase(
        "_arange",
        "to a number",
        {"data": Given((N, 7))},
        lambda x: x + np.arange(7),
        {"start": "7", "stop": "None", "step": "1.0", "repeat": "1", "infer_range": "False", "dtype": "float32"},
        takes=(),
        then="broadcast_add",
    ),
    ArrayCase(
        "_arange",
        "backwards, each twice",
        {"data": Given((N, 8))},
        lambda x: (x + np.arange(2.5, -0.5, -0.75).repeat(2)).astype(np.float32),
        {"start": "2.5", "stop": "-0.5", "step": "-0.75", "repeat": "2", "ctx": "cpu(0)"},
        takes=(),
        then="broadcast_add",
    ),
    ArrayCase(
        "_arange",
        "integers",
        {"data": Given((N, 3), INTEGERS)},
        lambda x: x + np.array([3, 5, 7]),
        {"start": "3", "stop": "8", "step": "2", "dtype": "int64"},
        takes=(),
        then="broadcast_add",
    ),
    ArrayCase("tile", "more axes", {"data": Given((N, 2))}, lambda x: np.tile(x, (3, 1, 2)), {"reps": "(3, 1, 2)"}),
    ArrayCase("tile", "fewer axes", {"data": ROWS}, lambda x: np.tile(x, 2), {"reps": "(2,)"}),
    ArrayCase("tile", "the batch", {"data": Given((N, 2))}, lambda x: np.tile(x, (2, 1)), {"reps": "(2, 1)"}),
    ArrayCase("repeat", "defaults: all elements", {"data": ROWS}, lambda x: x.repeat(2), {"repeats": "2"}),
    ArrayCase("repeat", "an axis", {"data": ROWS}, lambda x: x.repeat(3, 1), {"repeats": "3", "axis": "-2"}),
    ArrayCase("repeat", "the batch", {"data": ROWS}, lambda x: x.repeat(2, 0), {"repeats": "2", "axis": "0"}),
    ArrayCase("reverse", "one", {"data": ROWS}, lambda x: x[:, ::-1], {"axis": "1"}),
    ArrayCase("reverse", "two", {"data": ROWS}, lambda x: x[:, ::-1, ::-1], {"axis": "(2, 1)"}),
    ArrayCase(
        "slice_like",
        "to the batch",
        {"other": Given((N, 2)), "data": np.arange(12, dtype=np.float32).reshape(6, 2)},
        lambda other, data: other + data[: len(other)],
        {"axes": "(0,)"},
        takes=("data", "other"),
        then="broadcast_add",
    ),
    ArrayCase("zeros_like", "dtype, which MXNet does not read", {"data": ROWS}, np.zeros_like, {"dtype": "int64"}),
]
SELECTING = [
    ArrayCase("topk", "defaults: the index of the largest", {"data": ROWS}, lambda x: oracles.top_k(x, 1)[1]),
    ArrayCase(
        "topk",
        "both",
        {"data": Given((N, 3, 9), SMALL)},
        partial(oracles.top_k, k=4),
        {"k": "4", "ret_typ": "both", "axis": "-1", "is_ascend": "False", "dtype": "float32"},
        outputs=2,
    ),
    ArrayCase(
        "topk",
        "values of the smallest, in half precision",
        {"data": Given((N, 5, 2), half)},
        lambda x: oracles.top_k(x, 3, axis=1, ascending=True)[0],
        {"k": "3", "ret_typ": "value", "axis": "1", "is_ascend": "1"},
    ),
    ArrayCase(
        "topk",
        "all, as integers",
        {"data": ROWS},
        lambda x: oracles.top_k(x, 3)[1].astype(np.int64),
        {"k": "0", "dtype": "int64"},
    ),
    ArrayCase(
        "gather_nd",
        "rows",
        {"data": normal(RNG, (4, 3)), "indices": Given((1, N, 2), whole(-4, 3))},
        oracles.gather_nd,
    ),
    ArrayCase(
        "gather_nd",
        "elements of each image, fractions cut off",
        {"data": Given((N, 3, 2)), "indices": Given((2, N), fractions)},
        oracles.gather_nd,
    ),
    ArrayCase(
        "shape_array",
        "of a batch",
        {"data": Given((N, 2), INTEGERS)},
        lambda x: x + np.array(x.shape),
        then="broadcast_add",
    ),
]
ANCHORS = np.abs(normal(RNG, (1, 5, 4))).cumsum(axis=2)
DECODING = [
    ArrayCase("_contrib_box_decode", "defaults", {"data": Given((N, 5, 4)), "anchors": ANCHORS}, oracles.box_decode),
    ArrayCase(
        "_contrib_box_decode",
        "everything set",
        {"data": Given((N, 5, 4)), "anchors": ANCHORS},
        partial(oracles.box_decode, std=(0.1, 0.2, 0.3, 0.4), clip=0.05, corners=True),
        {"std0": "0.1", "std1": "0.2", "std2": "0.3", "std3": "0.4", "clip": "0.05", "format": "corner"},
    ),
    ArrayCase(
        "_contrib_box_decode",
        "computed anchors",
        {"data": Given((N, 5, 4)), "anchors": Given((1, 5, 4))},
        partial(oracles.box_decode, corners=True),
        {"format": "corner"},
    ),
]
SSD = {"overlap_thresh": "0.45", "valid_thresh": "0.01", "topk": "9", "id_index": "0", "force_suppress": "False"}
SUPPRESSING = [
    ArrayCase("_contrib_box_nms", "defaults", {"data": Given((N, 12, 6), boxes)}, oracles.box_nms),
    ArrayCase(
        "_contrib_box_nms",
        "as in SSD",
        {"data": Given((N, 16, 6), boxes)},
        partial(oracles.box_nms, overlap=0.45, least=0.01, top=9, label=0),
        SSD | {"coord_start": "2", "score_index": "1", "in_format": "corner", "out_format": "corner"},
    ),
    ArrayCase(
        "_contrib_box_nms",
        "all classes, without one",
        {"data": Given((N, 2, 12, 6), boxes)},
        partial(oracles.box_nms, overlap=0.2, label=0, background=1, force=True),
        {"overlap_thresh": "0.2", "id_index": "0", "background_id": "1", "force_suppress": "True"},
    ),
    ArrayCase(
        "_contrib_box_nms",
        "other columns, from centers to corners",
        {"data": Given((N, 12, 7), with_score_last)},
        partial(oracles.box_nms, start=0, score=6, label=5, center=True),
        {"coord_start": "0", "score_index": "6", "id_index": "5", "in_format": "center"},
    ),
    ArrayCase(
        "_contrib_box_nms",
        "to centers, every overlap allowed",
        {"data": Given((N, 12, 6), boxes)},
        partial(oracles.box_nms, overlap=1.5, least=0.3, out_center=True),
        {"overlap_thresh": "1.5", "valid_thresh": "0.3", "out_format": "center"},
    ),
    ArrayCase(
        "_contrib_box_nms",
        "topk 0: nothing",
        {"data": Given((N, 3, 6), boxes)},
        lambda x: x + x,
        {"topk": "0"},
        then="broadcast_add",
    ),
]


def regions(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Regions of the first image or, if there are more, the second; some beyond the image or with swapped edges."""
    rows = np.zeros(shape, np.float32)
    rows[:, 0] = np.arange(len(rows)) % 2 if len(rows) > 3 else 0
    rows[:, 1:3] = rng.uniform(-2, 6, (len(rows), 2))
    rows[:, 3:] = rows[:, 1:3] + rng.uniform(-1, 9, (len(rows), 2))
    return rows


POOLED = {"data": Given((N, 3, 6, 7)), "regions": Given((Batch(3), 5), regions)}
POOLING = [
    ArrayCase(
        "_contrib_ROIAlign",
        "defaults",
        POOLED,
        partial(oracles.roi_align, size=(2, 3)),
        {"pooled_size": "(2, 3)", "spatial_scale": "1.0"},
    ),
    ArrayCase(
        "_contrib_ROIAlign",
        "everything set",
        POOLED,
        partial(oracles.roi_align, size=(2, 2), scale=0.5, samples=2),
        {"pooled_size": "(2, 2)", "spatial_scale": "0.5", "sample_ratio": "2"}
        | {"position_sensitive": "False", "aligned": "False"},
    ),
    ArrayCase(
        "ROIPooling",
        "defaults",
        POOLED,
        partial(oracles.roi_pooling, size=(2, 3)),
        {"pooled_size": "(2, 3)", "spatial_scale": "1.0"},
    ),
    ArrayCase(
        "ROIPooling",
        "scaled",
        POOLED,
        partial(oracles.roi_pooling, size=(3, 2), scale=0.5),
        {"pooled_size": "(3, 2)", "spatial_scale": "0.5"},
    ),
]
DETECTION_CASES = [*COMPARING, *DIVIDING, *REPEATING, *SELECTING, *DECODING, *SUPPRESSING, *POOLING]
