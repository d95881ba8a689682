from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import EmbedOptions
from serve_cli.embeddings.reader import read_embeddings
from serve_cli.model import optimized_graph
from serve_cli.model.embedder import Embedder
from serve_cli.model.model_options import ModelOptions
from serve_cli.model.optimized_graph import graph_name
from tests.serve_cli.photos import pixels
from tests.serve_cli.tiny_model import (
    CARD,
    Oddity,
    weight,
    write_model,
)

CROPS = np.stack([pixels(seed, 16, 16) for seed in range(3)])


@pytest.fixture(autouse=True)
def graphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that keeps the graphs of a test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "gluon-lifted" / "graphs"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def replace_weights(model: Path) -> None:
    """Other weights, with the size and the times of the old ones, as ``cp -p`` and ``tar`` leave them."""
    before, content = model.stat(), model.read_bytes()
    matrix = weight(CARD).tobytes()
    assert content.count(matrix) == 1
    model.write_bytes(content.replace(matrix, (2 * weight(CARD)).tobytes()))
    os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (model.stat().st_size, model.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def test_the_second_session_starts_from_the_kept_graph(model: Path, graphs: Path) -> None:
    first = Embedder(model).embed(CROPS)
    (graph,) = graphs.iterdir()
    found = Embedder(model)
    assert Path(found.session._model_path) == graph
    assert found.card == Embedder(model).card
    np.testing.assert_array_equal(found.embed(CROPS), first)
    assert names(model.parent) == ["cache", "tiny.onnx"]


def test_a_model_replaced_with_its_times_kept_computes_its_own_embeddings(model: Path) -> None:
    before = Embedder(model).embed(CROPS)
    replace_weights(model)
    np.testing.assert_allclose(Embedder(model).embed(CROPS), 2 * before, rtol=1e-5)


def test_a_run_over_images_uses_the_replaced_model(model: Path, album: Path, tmp_path: Path) -> None:
    embed_images(EmbedOptions(model=model, source=album, out=tmp_path / "old"))
    replace_weights(model)
    embed_images(EmbedOptions(model=model, source=album, out=tmp_path / "new"))
    old, new = (read_embeddings(tmp_path / name).embedding for name in ("old", "new"))
    np.testing.assert_allclose(new, 2 * old, rtol=1e-5)


def test_a_copy_of_the_model_shares_its_graph(model: Path, graphs: Path) -> None:
    Embedder(model)
    before = names(graphs)
    copy = Embedder(shutil.copy(model, model.with_name("copy.onnx")))
    assert names(graphs) == before
    assert Path(copy.session._model_path).name == before[0]


def test_a_model_replaced_while_it_is_opened_is_not_kept(
    model: Path, graphs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = iter([(1, 2, 3), (1, 2, 4)])
    monkeypatch.setattr(optimized_graph, "_identity", lambda path: next(states))
    assert Embedder(model, ModelOptions(threads=1)).embed(CROPS).shape == (3, 8)
    assert names(graphs) == []


def test_another_processor_or_onnxruntime_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    here = graph_name("hash", "1.31")
    assert here == graph_name("hash", "1.31")
    assert here != graph_name("other", "1.31")
    assert here != graph_name("hash", "1.32")
    monkeypatch.setattr(optimized_graph, "instruction_sets", lambda: "another")
    assert here != graph_name("hash", "1.31")


def test_a_damaged_graph_is_replaced(model: Path, graphs: Path) -> None:
    first = Embedder(model).embed(CROPS)
    (graph,) = graphs.iterdir()
    graph.write_bytes(b"no graph")
    np.testing.assert_array_equal(Embedder(model).embed(CROPS), first)
    assert Path(Embedder(model).session._model_path) == graph


def test_weights_in_a_file_of_their_own(tmp_path: Path, graphs: Path) -> None:
    model = write_model(tmp_path / "m.onnx", odd=Oddity(weights_file="weights.bin"))
    before = Embedder(model).embed(CROPS)
    (tmp_path / "weights.bin").write_bytes((2 * weight(CARD)).tobytes())
    np.testing.assert_allclose(Embedder(model).embed(CROPS), 2 * before, rtol=1e-5)
    assert names(graphs) == []  # a kept graph would look for them in its own folder


def test_switched_off(model: Path, graphs: Path) -> None:
    assert Embedder(model, ModelOptions(cache=False)).embed(CROPS).shape == (3, 8)
    assert not graphs.exists()


def test_a_cache_that_cannot_be_written(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert Embedder(model).embed(CROPS).shape == (3, 8)


def test_a_full_disk(model: Path, graphs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gluon_lifted.files.sync", full)
    assert Embedder(model).embed(CROPS).shape == (3, 8)
    assert names(graphs) == []


def test_onnxruntime_reports_nothing_to_its_makers(model: Path, tmp_path: Path) -> None:
    """It would keep a device id and events to be sent in the same cache folder."""
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[3])
    code = "import sys; from serve_cli import Embedder; Embedder(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, model], env=environment, check=True)
    assert names(tmp_path / "cache") == ["gluon-lifted"]
