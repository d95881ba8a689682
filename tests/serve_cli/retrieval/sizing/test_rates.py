"""Rates are those of the results files."""

from pathlib import Path

import pytest

from serve_cli.retrieval.sizing import rates

ROOT = Path(__file__).parents[4]
MEASURED = [
    *((way.source, way.images_per_second) for way in rates.EMBEDDING if way.images_per_second is not None),
    (rates.INDEX_BUILD.source, rates.INDEX_BUILD.seconds),
    *((way.source, rate) for way in rates.LOADS for rate in way.rows_per_second.values()),
    *((way.source, rate) for way in rates.LOADS for rate in way.indexed_per_second.values()),
]


@pytest.mark.parametrize(("source", "number"), MEASURED)
def test_the_results_file_has_the_number(source, number):
    written = (ROOT / source).read_text()
    assert str(number) in written or f"{number:,}" in written


def test_what_is_not_measured_has_no_source():
    for way in (*rates.EMBEDDING, *rates.LOADS):
        number = way.images_per_second if isinstance(way, rates.EmbeddingRate) else way.rows_per_second
        assert bool(number) == bool(way.source) == (way.conditions != "not measured")


def test_no_rate_of_a_gpu_without_a_results_file():
    for way in rates.EMBEDDING:
        assert way.device == "CPU" or way.images_per_second is None or "GPU" in (ROOT / way.source).read_text()
