import json

import numpy as np
import pytest

from gluon_lifted.errors import DataError, RunError
from serve_cli.runtime import part_worker
from serve_cli.runtime.embed import embed_images
from serve_cli.runtime.embed_options import EmbedOptions
from serve_cli.runtime.files import sha256
from serve_cli.runtime.reader import read_embeddings
from serve_cli.runtime.serving import Serving

from ..photos import broken_photos
from ..tiny_model import CARD


def test_every_image_is_a_row_and_the_report_counts_them(tmp_path, model, album):
    broken_photos(album / "zebra")
    everything = sorted(file.relative_to(album).as_posix() for file in album.rglob("*.*"))
    report = embed_images(EmbedOptions(model, album, tmp_path / "emb", Serving(batch_size=5, threads=2)))
    found = read_embeddings(tmp_path / "emb")
    assert found.ids == tuple(everything)
    assert (report.rows, report.failed, report.parts, report.dim, report.threads) == (17, 5, 1, 8, 2)
    assert len(report.failures) == 5
    assert set(report.failures) == {error for error in found.errors if error is not None}
    assert sum(report.shares.values()) == pytest.approx(1)
    assert report.peak_memory > 10 << 20
    assert report.images_per_second == pytest.approx(17 / report.seconds)
    assert found.labels[0] == "cat"
    assert np.isfinite(found.embedding[:12]).all()


def test_failures_shown_are_few(tmp_path, model, album, monkeypatch):
    monkeypatch.setattr(part_worker, "FAILURES_SHOWN", 2)
    broken_photos(album / "a")
    report = embed_images(EmbedOptions(model, album, tmp_path / "emb", Serving(batch_size=1)))
    assert report.failed == 5
    assert [failure.split(":")[0].rsplit("/")[-1] for failure in report.failures] == ["empty.jpg", "head only.png"]


def test_manifest_says_where_the_embeddings_come_from(tmp_path, model, album):
    embed_images(EmbedOptions(model, album, tmp_path / "emb", Serving(batch_size=4)))
    manifest = json.loads((tmp_path / "emb/manifest.json").read_text())
    assert manifest["model"] == {"file": "tiny.onnx", "sha256": sha256(model)}
    assert manifest["source"] == str(album)
    assert manifest["provider"] == "CPUExecutionProvider"
    assert manifest["batch_size"] == 4
    assert manifest["versions"]["numpy"] == np.__version__
    assert manifest["card"]["name"] == CARD.name


@pytest.mark.parametrize("missing", ["model", "photos"])
def test_input_that_is_not_there_leaves_no_folder(tmp_path, model, album, missing):
    options = {
        "model": EmbedOptions(tmp_path / "none.onnx", album, tmp_path / "emb"),
        "photos": EmbedOptions(model, tmp_path / "none", tmp_path / "emb"),
    }
    with pytest.raises((DataError, RunError), match=r"none.*no such"):
        embed_images(options[missing])
    assert not (tmp_path / "emb").exists()


def test_failed_run_does_not_cost_the_old_embeddings(tmp_path, model, album):
    embed_images(EmbedOptions(model, album, tmp_path / "emb"))
    model.write_bytes(b"broken")
    with pytest.raises(RunError):
        embed_images(EmbedOptions(model, album, tmp_path / "emb", overwrite=True))
    assert len(read_embeddings(tmp_path / "emb").ids) == 12
