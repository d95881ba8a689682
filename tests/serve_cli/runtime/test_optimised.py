from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from serve_cli.runtime.inference import optimised
from serve_cli.runtime.inference.optimised import SUFFIX, optimised_path
from serve_cli.runtime.inference.session import Embedder
from tests.serve_cli.photos import pixels
from tests.serve_cli.tiny_model import write_model

CROPS = np.stack([pixels(seed, 16, 16) for seed in range(3)])


def kept(model: Path) -> list[Path]:
    return list(model.parent.glob(f".{model.name}.*{SUFFIX}"))


def test_the_second_session_starts_from_the_optimised_graph(model: Path) -> None:
    first = Embedder(model).embed(CROPS)
    (graph,) = kept(model)
    found = Embedder(model)
    assert Path(found.session._model_path) == graph
    assert found.card == Embedder(model).card
    np.testing.assert_array_equal(found.embed(CROPS), first)


def test_a_changed_model_is_optimised_anew(model: Path) -> None:
    Embedder(model)
    (before,) = kept(model)
    write_model(model)
    os.utime(model, ns=(0, 1))
    Embedder(model)
    (after,) = kept(model)
    assert after != before


def test_another_processor_or_onnxruntime_has_its_own(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = optimised_path(model, "1.31")
    assert here == optimised_path(model, "1.31")
    assert here != optimised_path(model, "1.32")
    monkeypatch.setattr(optimised, "instruction_sets", lambda: "another")
    assert here != optimised_path(model, "1.31")


def test_a_damaged_graph_is_replaced(model: Path) -> None:
    first = Embedder(model).embed(CROPS)
    (graph,) = kept(model)
    graph.write_bytes(b"no graph")
    np.testing.assert_array_equal(Embedder(model).embed(CROPS), first)
    assert graph.stat().st_size > 100
    assert Path(Embedder(model).session._model_path) == graph


def test_a_folder_that_cannot_be_written(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimised.os, "access", lambda *_: False)
    assert Embedder(model).embed(CROPS).shape == (3, 8)
    assert not kept(model)


def test_a_full_disk(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gluon_lifted.files.sync", full)
    assert Embedder(model).embed(CROPS).shape == (3, 8)
    assert not kept(model)
    assert not list(model.parent.glob("*.tmp"))
