"""Embeddings at the edge of what float32 can hold, and folders with hardly anything in them."""

from __future__ import annotations

import json
import os
import tracemalloc
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gluon_lifted.errors import DataError
from serve_cli.evaluate.eval_options import EvalOptions
from serve_cli.evaluate.eval_steps import evaluate_embeddings
from serve_cli.report.layout2d import layout_2d
from serve_cli.report.report_options import ReportOptions
from serve_cli.report.write import write_report
from serve_cli.sources.image_row import EmbeddedRows, ImageRow
from tests.serve_cli.embedded import write_folder

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip("jinja2", reason="Jinja2 is not installed")

pytestmark = pytest.mark.slow

PLAIN = np.random.default_rng(0).normal(size=(24, 8)).astype(np.float32)
LABELS = ["a", "b", "c"] * 8


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


def folder_of(path: Path, embedding: np.ndarray, labels: list[str | None] | None = None) -> Path:
    rows = [ImageRow("same", path / "none.jpg", label) for label in labels or LABELS]
    write_folder(path, [EmbeddedRows(rows[: len(embedding)], embedding, [None] * len(embedding))])
    return path


def measured(folder: Path, distance: str = "euclidean") -> dict[str, object]:
    report = evaluate_embeddings(EvalOptions(sources=(folder,), distance=distance, clustering="modern")).to_json()
    metrics = json.loads(json.dumps(report, allow_nan=False))["results"][0]["metrics"]
    assert isinstance(metrics, dict)
    return metrics


@pytest.mark.parametrize("power", [100, 125, -100, -120])
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_metrics_do_not_depend_on_the_unit_of_length(tmp_path: Path, power: int, distance: str) -> None:
    """Times a power of two nothing is rounded: all numbers are the same, those of k-means too."""
    scaled = np.ldexp(PLAIN, power)
    assert np.isfinite(scaled).all()
    expected = measured(folder_of(tmp_path / "plain", PLAIN), distance)
    assert measured(folder_of(tmp_path / "scaled", scaled), distance) == expected


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize("power", [100, 125, -100])
def test_nor_does_the_map(method: str, power: int) -> None:
    np.testing.assert_array_equal(layout_2d(np.ldexp(PLAIN, power), method, 0), layout_2d(PLAIN, method, 0))


FLOAT_MAX = np.finfo(np.float32).max


@pytest.mark.parametrize(
    "embedding",
    [
        PLAIN * 1e30,
        np.where(PLAIN > 0, FLOAT_MAX, -FLOAT_MAX),
        np.concatenate([PLAIN[1:], PLAIN[:1] * 1e37]),
        PLAIN * np.logspace(-40, 37, 24, dtype=np.float32)[:, None],
        np.full_like(PLAIN, FLOAT_MAX),
        np.zeros_like(PLAIN),
    ],
)
@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_report_of_any_finite_numbers(tmp_path: Path, embedding: np.ndarray, method: str) -> None:
    source = folder_of(tmp_path / "emb", embedding.astype(np.float32))
    write_report(ReportOptions(source=source, out=tmp_path / "report.html", method=method))
    text = (tmp_path / "report.html").read_text("utf-8")
    data = json.loads(text.split('type="application/json">')[1].split("</script>")[0], parse_constant=pytest.fail)
    assert len(data["images"]) == 24
    assert not {"nan", "inf", "-inf"} & set(
        text.split('<svg class="store"')[0].replace(">", " ").replace("<", " ").split()
    )
    measured(source)


def test_labels_that_differ_in_zeros_at_their_end(tmp_path: Path) -> None:
    """NumPy's own strings would make them one class."""
    plain = evaluate_embeddings(EvalOptions(sources=(folder_of(tmp_path / "plain", PLAIN),))).results[0]
    zeros = evaluate_embeddings(
        EvalOptions(sources=(folder_of(tmp_path / "zeros", PLAIN, ["a", "a\0", "a\0\0"] * 8),))
    ).results[0]
    assert (zeros.classes, zeros.metrics) == (3, plain.metrics)
    written = write_report(ReportOptions(source=tmp_path / "zeros", out=tmp_path / "report.html", method="pca"))
    assert written.classes == 3


def test_a_long_label_does_not_make_all_of_them_long(tmp_path: Path) -> None:
    """An array of NumPy's strings would take 24 x 60,000 x 4 bytes."""
    source = folder_of(tmp_path / "emb", PLAIN, ["x" * 60_000, *LABELS[1:]])
    tracemalloc.start()
    evaluate_embeddings(EvalOptions(sources=(source,)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows(tmp_path: Path, rows: int) -> None:
    source = folder_of(tmp_path / "emb", PLAIN[:1])
    if rows == 0:
        (source / "part-00000.parquet").unlink()
        manifest = json.loads((source / "manifest.json").read_text())
        (source / "manifest.json").write_text(json.dumps({**manifest, "rows": 0, "parts": []}))
    with pytest.raises(DataError, match=f"emb: {rows} images with an embedding; recall needs at least 2"):
        evaluate_embeddings(EvalOptions(sources=(source,), clustering="modern"))
    with pytest.raises(DataError, match=f"{rows} images with an embedding; a report needs at least 2"):
        write_report(ReportOptions(source=source, out=tmp_path / "report.html"))


def test_a_baseline_reads_only_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "none.jpg")
    rows = [ImageRow(str(number), tmp_path / "none.jpg", label) for number, label in enumerate(LABELS)]
    write_folder(tmp_path / "emb", [EmbeddedRows(rows, PLAIN, [None] * 24)])
    with pytest.raises(DataError, match=r"none\.jpg: no such image file; restore it, or leave out --baseline"):
        evaluate_embeddings(EvalOptions(sources=(tmp_path / "emb",), baseline=True))
