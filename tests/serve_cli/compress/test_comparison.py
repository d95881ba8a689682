from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from serve_cli.compress import comparison as comparison_module
from serve_cli.compress.comparison import PrecisionComparison, compare_models
from serve_cli.model.embedder import Embedder
from tests.serve_cli.photos import pixels
from tests.serve_cli.tiny_model import CARD, write_model

if TYPE_CHECKING:
    from pathlib import Path

COMPARISON = PrecisionComparison(1_000_000, 4_000_000, 0.98, 0.999, 300.0, 100.0)


@pytest.fixture(autouse=True)
def _briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison_module, "SECONDS", 0.01)


def crops(count: int) -> np.ndarray:
    return np.stack([pixels(seed, 16, 16) for seed in range(count)])


def test_a_model_beside_itself(model: Path) -> None:
    comparison = compare_models(model, model, crops(40))
    assert comparison.min_cosine == pytest.approx(1)
    assert comparison.mean_cosine == pytest.approx(1)
    assert comparison.size_bytes == comparison.single_bytes == model.stat().st_size
    assert comparison.images_per_s > 0
    assert comparison.recall is None


def test_cosines_are_those_of_the_embeddings(model: Path, tmp_path: Path) -> None:
    other = write_model(
        tmp_path / "other.onnx", replace(CARD, preprocessing=replace(CARD.preprocessing, mean=(0, 0, 0)))
    )
    a, b = (Embedder(path).embed(crops(5)).astype(np.float64) for path in (model, other))
    cosines = [x @ y / np.sqrt((x @ x) * (y @ y)) for x, y in zip(a, b, strict=True)]
    comparison = compare_models(model, other, crops(5))
    assert comparison.min_cosine == pytest.approx(min(cosines), abs=1e-6)
    assert comparison.mean_cosine == pytest.approx(sum(cosines) / 5, abs=1e-6)
    assert comparison.min_cosine < 0.999


def test_facts() -> None:
    assert COMPARISON.facts() == {
        "size": "1.0 MB (fp32 4.0)",
        "cosine to fp32": "mean 0.99900, smallest 0.98000",
        "images/s": "300 (fp32 100): 3.00 times as fast",
    }
    facts = replace(COMPARISON, recall=0.5, single_recall=0.51).facts()
    assert facts["recall@1"] == "50.00% (fp32 51.00%)"
