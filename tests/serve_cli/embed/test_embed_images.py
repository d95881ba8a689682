import io
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gluon_lifted.errors import ConfigError, DataError, RunError
from serve_cli.embed import part_worker
from serve_cli.embed.dry_run import estimate_run
from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import ArrayTask, EmbedOptions, Output
from serve_cli.embeddings.reader import read_embeddings
from serve_cli.model.model_options import ModelOptions
from serve_cli.provenance import sha256
from tests.serve_cli.photos import broken_photos, photo
from tests.serve_cli.tiny_model import CARD

pytestmark = pytest.mark.slow


def test_every_image_is_a_row_and_the_report_counts_them(tmp_path, model, album):
    broken_photos(album / "zebra")
    everything = sorted(file.relative_to(album).as_posix() for file in album.rglob("*.*"))
    report = embed_images(
        EmbedOptions(
            model=model, source=album, out=tmp_path / "emb", model_options=ModelOptions(batch_size=5, threads=2)
        )
    )
    found = read_embeddings(tmp_path / "emb")
    assert found.ids == tuple(everything)
    assert (report.rows, report.failed, report.parts, report.dim, report.threads) == (17, 5, 1, 8, 2)
    assert len(report.failures) == 5
    assert set(report.failures) == {error for error in found.errors if error is not None}
    assert sum(report.shares.values()) == pytest.approx(1)
    assert report.peak_memory > 10 << 20
    assert report.images_per_second == pytest.approx(17 / report.seconds)
    assert found.label_names[0] == "cat"
    assert np.isfinite(found.embedding[:12]).all()


def test_failures_shown_are_few(tmp_path, model, album, monkeypatch):
    monkeypatch.setattr(part_worker, "FAILURES_SHOWN", 2)
    broken_photos(album / "a")
    report = embed_images(
        EmbedOptions(model=model, source=album, out=tmp_path / "emb", model_options=ModelOptions(batch_size=1))
    )
    assert report.failed == 5
    assert [failure.split(":")[0].rsplit("/")[-1] for failure in report.failures] == ["empty.jpg", "head only.png"]


def test_manifest_says_where_the_embeddings_come_from(tmp_path, model, album):
    embed_images(
        EmbedOptions(model=model, source=album, out=tmp_path / "emb", model_options=ModelOptions(batch_size=4))
    )
    manifest = json.loads((tmp_path / "emb/manifest.json").read_text())
    assert manifest["model"] == {"file": "tiny.onnx", "path": str(model), "sha256": sha256(model)}
    assert manifest["source"] == str(album)
    assert manifest["provider"] == "CPUExecutionProvider"
    assert manifest["batch_size"] == 4
    assert manifest["versions"]["numpy"] == np.__version__
    assert manifest["card"]["name"] == CARD.name


@pytest.mark.parametrize("missing", ["model", "photos"])
def test_input_that_is_not_there_leaves_no_folder(tmp_path, model, album, missing):
    options = {
        "model": EmbedOptions(model=tmp_path / "none.onnx", source=album, out=tmp_path / "emb"),
        "photos": EmbedOptions(model=model, source=tmp_path / "none", out=tmp_path / "emb"),
    }
    with pytest.raises((DataError, RunError), match=r"none.*no such"):
        embed_images(options[missing])
    assert not (tmp_path / "emb").exists()


def test_failed_run_does_not_cost_the_old_embeddings(tmp_path, model, album):
    embed_images(EmbedOptions(model=model, source=album, out=tmp_path / "emb"))
    model.write_bytes(b"broken")
    with pytest.raises(RunError):
        embed_images(EmbedOptions(model=model, source=album, out=tmp_path / "emb", overwrite=True))
    assert len(read_embeddings(tmp_path / "emb").ids) == 12


def run(*arguments):
    """The command in a process of its own, whose memory is not that of other tests; its report."""
    command = [sys.executable, "-m", "serve_cli.cli.main", "embed", *map(str, arguments), "--json"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.returncode, json.loads(found.stdout)


def test_memory_stays_below_its_bound_whatever_the_images(tmp_path, model):
    (tmp_path / "photos").mkdir()
    for number in range(6):
        Image.new("RGBA", (2500, 2500), (number, 99, 0, 128)).save(tmp_path / "photos" / f"{number}.png")
    Image.new("RGBA", (5000, 5000)).save(tmp_path / "photos" / "large.png")
    arguments = [model, tmp_path / "photos", "--threads", 4, "--out"]
    status, free = run(*arguments, tmp_path / "free")
    assert (status, free["failed"]) == (0, 0)
    bound = 420_000_000
    assert free["peak_memory"] > bound  # the images one beside another
    status, report = run(*arguments, tmp_path / "bound", "--max-memory", bound)
    assert (status, report["failed"]) == (3, 1)
    assert report["peak_memory"] < bound
    assert "large.png: needs 450 MB to be decoded" in report["failures"][0]


def test_too_little_memory_is_said_before_anything_is_written(tmp_path, model, album):
    options = EmbedOptions(model=model, source=album, out=tmp_path / "emb", max_memory=50_000_000)
    for most, text in ((50_000_000, "50 MB"), (0, "0 MB")):
        with pytest.raises(ConfigError, match=rf"{text} of memory is too little: .*Give --max-memory \d+MB or more"):
            embed_images(replace(options, max_memory=most))
    assert not (tmp_path / "emb").exists()


def test_pixel_limit(tmp_path, model, album):
    photo(album / "cat" / "large.png", width=41)
    report = embed_images(EmbedOptions(model=model, source=album, out=tmp_path / "emb", pixel_limit=40 * 30))
    assert report.failed == 1
    assert "large.png: has 41 x 30 px, more than the limit of 1,200" in report.failures[0]


def test_forecast_writes_nothing_and_tells_what_there_is_to_do(tmp_path, model, album):
    broken_photos(album / "zebra")
    options = EmbedOptions(
        model=model,
        source=album,
        out=tmp_path / "emb",
        model_options=ModelOptions(batch_size=2),
        output=Output(rows_per_file=5, dtype="float16"),
    )
    found = estimate_run(options)
    assert not (tmp_path / "emb").exists()
    assert (found.rows, found.parts, found.rows_left, found.parts_left) == (17, 4, 17, 4)
    assert (found.tried, found.failed, len(found.failures)) == (17, 5, 5)
    assert found.bytes == 17 * CARD.dim * 2
    assert found.seconds == pytest.approx(17 / found.images_per_second)
    assert "of them failed" in found.facts()["tried"]
    embed_images(replace(options, task=ArrayTask(0, 2)))
    rest = estimate_run(options)
    assert (rest.rows_left, rest.parts_left, rest.tried) == (7, 2, 7)
    assert "not enough" in replace(rest, bytes_free=0).facts()["disk"]
    embed_images(options)
    done = estimate_run(options)
    assert (done.rows_left, done.seconds, done.tried) == (0, 0, 0)
    assert "nothing" in done.facts()["to do"]


def test_poison_images_are_rows_with_errors_and_what_is_passed_over_is_named(tmp_path, model, album):
    content = io.BytesIO()
    Image.effect_noise((40, 30), 50).convert("RGB").save(content, "AVIF")
    avif = content.getvalue()
    at = avif.index(b"iloc")  # where the pixels lie; the decoder raises RuntimeError without it
    (album / "avif.jpg").write_bytes(avif[:at] + b"free" + avif[at + 4 :])
    (album / "ps.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    (album / "whole.avif").write_bytes(avif)
    for name in ("a.pdf", "cat/b.PDF", "README", "._1.jpg"):
        (album / name).touch()
    others = {".pdf": 2, "": 1}
    options = EmbedOptions(model=model, source=album, out=tmp_path / "emb", model_options=ModelOptions(batch_size=4))
    planned = estimate_run(options)
    assert planned.passed_over == others
    assert planned.facts()["skipped"] == "2 .pdf, 1 without a suffix"
    for _ in ("run", "resumed"):
        report = embed_images(options)
        assert (report.failed, report.passed_over) == (2, others)
        assert report.facts()["skipped"] == "2 .pdf, 1 without a suffix"
    found = read_embeddings(tmp_path / "emb")
    failed = {row_id for row_id, error in zip(found.ids, found.errors, strict=True) if error is not None}
    assert failed == {"avif.jpg", "ps.jpg"}
    done = estimate_run(options)
    assert done.facts()["skipped"] == "2 .pdf, 1 without a suffix"
