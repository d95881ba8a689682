from __future__ import annotations

import numpy as np
import pytest

from export.quantization.quantize import QUANTIZED
from export.quantization.ranges import METHODS, activation_ranges
from tests.export import oracles
from tests.export.networks import small_network, small_reference
from tests.export.quantization.test_quantize import small_model

IMAGES = small_reference(small_network(), rows=40)["data"]


def ranges(method: str, batches: list[np.ndarray]) -> dict[str, tuple[float, float]]:
    tensor_ranges = activation_ranges(small_model(), batches, QUANTIZED, method)
    return {name: tuple(np.ravel(tensor_range.range_value).tolist()) for name, tensor_range in tensor_ranges.items()}


def test_minmax_is_that_of_the_values() -> None:
    p = small_network().params
    conv = oracles.convolution(IMAGES, p["conv1_weight"], p["conv1_bias"], stride=(2, 2), pad=(1, 1))
    norm = oracles.lrn(np.maximum(conv, 0), 3, alpha=0.1, knorm=1)
    tensor_ranges = ranges("minmax", np.split(IMAGES, 4))
    assert tensor_ranges["data"] == pytest.approx((IMAGES.min(), IMAGES.max()))
    assert tensor_ranges["norm1"] == pytest.approx((norm.min(), norm.max()), rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_batches_do_not_matter(method: str) -> None:
    whole, four = ranges(method, [IMAGES]), ranges(method, np.split(IMAGES, 4))
    assert whole.keys() == four.keys()
    for name in whole:
        assert four[name] == pytest.approx(whole[name], rel=0.15, abs=1e-6)  # bins are laid over the first batch


def test_percentile_leaves_outliers_out() -> None:
    images = IMAGES.copy()
    images[0, 0, 0, 0] = 200  # of normal ones
    many = [np.concatenate([images, *[IMAGES] * 9])]  # one of 433,200 values is the outlier: 99.9998 % are not
    full, percentile = (ranges(method, many)["data"][1] for method in ("minmax", "percentile"))
    assert full == pytest.approx(200)
    assert percentile < 20
