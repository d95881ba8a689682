"""box_nms with random boxes and attributes against MXNet itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from export.graph.shape import N
from tests.examples import examples
from tests.export.array_case import ArrayCase, Given, run_graph
from tests.export.detection_cases import boxes
from tests.export.mxnet_runner import run_mxnet_arrays

pytestmark = pytest.mark.slow

FORMATS = st.sampled_from(["corner", "center"])
ATTRIBUTES = st.fixed_dictionaries(
    {
        "overlap_thresh": st.sampled_from([0, 0.1, 0.3, 0.5, 0.9, 1, 2]),
        "valid_thresh": st.sampled_from([-1, 0, 0.3, 2]),
        "topk": st.sampled_from([-1, 1, 5, 40]),
        "background_id": st.sampled_from([-1, 0, 1]),
        "force_suppress": st.booleans(),
        "in_format": FORMATS,
        "out_format": FORMATS,
    }
)


@given(
    attrs=ATTRIBUTES,
    columns=st.sampled_from([(0, 1, 2), (5, 4, 0), (0, 5, 1), (-1, 1, 2), (-1, 0, 2)]),
    count=st.integers(1, 24),
    seed=st.integers(0, 99),
)
@examples(150, derandomize=True)
def test_box_nms(attrs: dict[str, object], columns: tuple[int, int, int], count: int, seed: int) -> None:
    label, score, start = columns
    made = boxes(np.random.default_rng(seed), (3, count, 6))
    rows = np.zeros_like(made)
    rows[..., start : start + 4], rows[..., score] = made[..., 2:], made[..., 1]
    rows[..., next(iter({0, 1, 4, 5} - {score, *range(start, start + 4)})) if label < 0 else label] = made[..., 0]
    texts = {name: str(value) for name, value in attrs.items()}
    texts |= {"id_index": str(label), "score_index": str(score), "coord_start": str(start)}
    case = ArrayCase("_contrib_box_nms", "random", {"data": Given((N, count, 6))}, np.negative, texts)
    (actual,) = run_graph(case.graph(), {"data": rows})
    (expected,) = run_mxnet_arrays(case.net(), {"data": rows})
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)
