"""Raw pixels beside a model: measured where all images may be read, and otherwise with a reason."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gluon_lifted.datasets.image_digest import image_digest
from gluon_lifted.metrics.baselines import pixel_thumbnails
from gluon_lifted.metrics.bootstrap import Estimate
from gluon_lifted.metrics.retrieval import recall_at_k
from serve_cli.embeddings.reader import read_embeddings
from serve_cli.report import baselines
from serve_cli.report.access import Access
from serve_cli.report.baselines import measure_baselines
from serve_cli.report.run_start import RunStart
from tests.serve_cli.report.made import embedded_photos

LABELS = ["ant", "bee", "cat"] * 4


@pytest.fixture
def embeddings(tmp_path):
    return read_embeddings(embedded_photos(tmp_path, LABELS, copies=[(4, 1), (9, 6)]))


@pytest.fixture
def access(embeddings):
    return Access(str(Path(embeddings.paths[0]).parent))


def start_of(embeddings, **recall):
    estimates = {
        name.replace("_", " "): {1: Estimate(value, 0, 1), 4: Estimate(0.9, 0, 1)} for name, value in recall.items()
    }
    digest = image_digest(embeddings.paths, embeddings.label_names)
    return RunStart(len(embeddings), "test", frozenset(), frozenset(embeddings.class_names), digest, estimates)


def test_pixels_are_those_of_the_thumbnails(embeddings, access):
    (line,) = measure_baselines(embeddings, access, None, pixels=None).lines
    rows = pixel_thumbnails([Path(path) for path in embeddings.paths])
    expected = recall_at_k(rows, embeddings.labels, range(1, 12))
    assert (line.name, line.kind, line.recall) == ("raw pixels", "pixels", expected)
    assert line.at_1.value == expected[1]
    assert line.at_1.low <= expected[1] <= line.at_1.high


def test_a_run_has_measured_before(embeddings, access):
    start = start_of(embeddings, embedding=0.25, pooled_features=0.5, raw_pixels=0.125, something_else=0.75)
    found = measure_baselines(embeddings, access, start, pixels=None)
    assert [(line.name, line.kind, line.at_1.value) for line in found.lines] == [
        ("embedding before training", "start", 0.25),
        ("pooled features before training", "pooled", 0.5),
        ("raw pixels", "pixels", 0.125),
    ]
    assert found.lines[0].recall == {1: 0.25, 4: 0.9}


def test_a_run_of_other_images_is_no_baseline(embeddings, access):
    start = replace(start_of(embeddings, embedding=0.25), measured_images="0" * 64)
    assert [line.kind for line in measure_baselines(embeddings, access, start, pixels=None).lines] == ["pixels"]


def test_pixels_that_are_not_measured(embeddings, access, monkeypatch):
    assert measure_baselines(embeddings, access, None, pixels=False) == ((), "")
    monkeypatch.setattr(baselines, "MOST_UNASKED", 11)
    found = measure_baselines(embeddings, access, None, pixels=None)
    assert found == ((), "there are more than 11 images; --baseline compares them")
    assert len(measure_baselines(embeddings, access, None, pixels=True).lines) == 1


def test_images_that_may_not_be_read(embeddings, access, tmp_path):
    found = measure_baselines(embeddings, Access("/nowhere"), None, pixels=None)
    assert found.lines == ()
    assert found.without_pixels.startswith("are not in /nowhere")
    Path(embeddings.paths[7]).unlink()
    assert measure_baselines(embeddings, access, None, pixels=None) == ((), "are missing or cannot be read")


def test_urls_are_not_fetched_unasked(embeddings):
    def fetch(url):
        raise AssertionError(url)

    urls = replace(embeddings, paths=(*embeddings.paths[:-1], "https://example.org/a.jpg"))
    found = measure_baselines(urls, Access(None, fetch=fetch), None, pixels=None)
    assert found == ((), "have URLs; --baseline with --fetch compares them")


def test_rows_are_in_the_order_of_the_images(embeddings, access, monkeypatch):
    seen = []
    monkeypatch.setattr(baselines, "_recall_by_pixels", lambda rows, labels: seen.append(rows))
    measure_baselines(embeddings, access, None, pixels=True)
    np.testing.assert_array_equal(seen[0], pixel_thumbnails([Path(path) for path in embeddings.paths]))
