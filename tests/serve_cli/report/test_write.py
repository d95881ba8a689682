"""From a folder of embeddings to a page, and what is refused."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from gluon_lifted.errors import ConfigError, DataError, RunError
from gluon_lifted.metrics.retrieval import recall_at_k
from serve_cli.report.report_options import MB, ReportOptions
from serve_cli.report.write import write_report
from serve_cli.sources.image_row import EmbeddedRows, ImageRow
from tests.serve_cli.embedded import write_folder
from tests.serve_cli.report.made import blobs, embedded_photos
from tests.serve_cli.tiny_model import CARD

pytest.importorskip("jinja2", reason="Jinja2 is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

pytestmark = pytest.mark.slow

LABELS = ["ant", "bee", "cat"] * 8


def options(source, out, **more):
    """PCA, which is quick."""
    return replace(ReportOptions(source=source, out=out, method="pca"), **more)


def test_a_report_says_what_it_shows(tmp_path):
    source = embedded_photos(tmp_path, LABELS, missing={4, 9}, failed={0, 7, 8}, copies=[(5, 2), (13, 2)])
    written = write_report(options(source, tmp_path / "report.html", map_images=15, command="lifted report 'my file'"))
    text = (tmp_path / "report.html").read_text("utf-8")
    assert written.bytes == len(text.encode())
    assert (written.images, written.classes, written.failed) == (21, 3, 3)
    assert written.map_images == 15
    assert written.pictures_missing in (1, 2)  # as far as they are wanted
    assert (written.duplicates, written.label_errors) == (1, 2)
    assert text.count("<em>same picture</em>") == 3
    assert "21 images · 3 classes · 8 dimensions" in text
    assert "3 more images have no embedding and are left out" in text
    assert "lifted report &#39;my file&#39;" in text
    assert f"<td>{100 * written.recall[1]:.2f}</td>" in text
    for name in ("tiny", "pillow", "scikit-learn", "/photos"):
        assert name in text


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_images_are_ranked_by_the_distance_of_the_card(tmp_path, distance):
    made = blobs([8, 8, 8], CARD.dim, spread=1.0)
    embedding = made.embedding * np.random.default_rng(3).uniform(0.1, 10, (24, 1)).astype(np.float32)
    rows = [ImageRow(name, tmp_path / name, label) for name, label in zip(made.ids, made.label_names, strict=True)]
    card = replace(CARD, distance=distance)
    write_folder(tmp_path / "embeddings", [EmbeddedRows(rows, embedding, list(made.errors))], card=card)
    recall = {name: recall_at_k(embedding, made.labels, (1,), name)[1] for name in ("euclidean", "cosine")}
    assert recall["euclidean"] != recall["cosine"]
    written = write_report(options(tmp_path / "embeddings", tmp_path / "report.html", baseline=False))
    assert written.recall[1] == recall[distance]
    text = (tmp_path / "report.html").read_text("utf-8")
    assert f"by {distance} distance" in text.lower()
    assert ("scaled to unit length" in text) == (distance == "cosine")


def test_the_context_of_the_headline(tmp_path):
    source = embedded_photos(tmp_path / "a", LABELS)
    other = embedded_photos(tmp_path / "b", LABELS, seed=5)
    written = write_report(options(source, tmp_path / "report.html", other=other))
    text = (tmp_path / "report.html").read_text("utf-8")
    context = written.context
    assert list(context.baselines) == ["raw pixels"]
    assert f"raw pixels <b>{100 * context.baselines['raw pixels']:.1f} %</b>" in text
    low, high = context.interval
    assert f"95 % interval <b>{100 * low:.1f} to {100 * high:.1f}</b>" in text
    assert low <= written.recall[1] <= high
    assert "a/embeddings, compared with b/embeddings" in text
    difference = context.differences["R@1"]
    assert f"<b>{100 * difference['value']:+.2f}</b>".replace("-", "\N{MINUS SIGN}") in text
    assert written.facts()["R@1, difference"].startswith(f"{100 * difference['value']:+.2f} points (95 %: ")
    assert "Embeddings do not record which classes the model was trained on" in text
    alone = write_report(options(source, tmp_path / "report.html", baseline=False))
    assert (alone.context.baselines, alone.context.differences) == ({}, {})
    assert "raw pixels" not in (tmp_path / "report.html").read_text("utf-8")


def test_classes_that_were_trained_on_are_marked(tmp_path):
    card = replace(CARD, provenance={"params sha256": "ab" * 32})
    source = embedded_photos(tmp_path, LABELS, card=card)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "card.json").write_text(card.to_json())
    start = {"images": 9, "kind": "test", "embeddings": [], "training_classes": ["bee"], "measured_classes": ["x"]}
    (tmp_path / "run" / "start.json").write_text(json.dumps(start))
    written = write_report(options(source, tmp_path / "report.html", run=tmp_path / "run"))
    text = (tmp_path / "report.html").read_text("utf-8")
    assert written.context.trained_classes == 1
    assert written.facts()["trained on"] == "1 of the classes"
    assert "The model was trained on 1 of the classes (8 images)." in text
    assert text.count('<em class="badge">trained on</em>') == 1
    assert '<span>bee</span> <em class="badge">' in text
    assert '"trained":[false,true,false]' in text


def test_two_folders_of_other_images_are_refused(tmp_path):
    source, other = embedded_photos(tmp_path / "a", LABELS), embedded_photos(tmp_path / "b", LABELS[:-1])
    with pytest.raises(DataError, match="has 23 images, expected the 24"):
        write_report(options(source, tmp_path / "report.html", other=other))
    assert not (tmp_path / "report.html").exists()


def test_every_picture_that_is_shown_is_in_the_page_once(tmp_path):
    source = embedded_photos(tmp_path, LABELS, missing={4})
    write_report(options(source, tmp_path / "report.html"))
    text = (tmp_path / "report.html").read_text("utf-8")
    used = {word.split('"')[0] for word in text.split('<use href="#')[1:]}
    kept = [word.split('"')[0] for word in text.split('<symbol id="')[1:]]
    assert sorted(kept) == sorted(set(kept))
    assert used <= set(kept)
    assert set(kept) - {"missing"} <= used
    assert "t4" not in kept


@pytest.mark.parametrize("limit", [400_000, 150_000, 125_000])
def test_a_page_is_no_larger_than_asked(tmp_path, limit):
    source = embedded_photos(tmp_path, LABELS * 4)
    written = write_report(options(source, tmp_path / "report.html", max_bytes=limit))
    assert (tmp_path / "report.html").stat().st_size == written.bytes <= limit


def test_a_page_that_cannot_be_so_small(tmp_path):
    source = embedded_photos(tmp_path, LABELS)
    with pytest.raises(ConfigError, match=r"has 0\.\d\d MB even with the smallest pictures; give --max-size"):
        write_report(options(source, tmp_path / "report.html", max_bytes=MB // 100))
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    "labels", [["a", "a"], ["a", "b"], ["a"] * 7, list("abcdefg"), ["a", "a", "b"], ["a"] * 3 + ["b"]]
)
@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_small_folders(tmp_path, labels, method):
    """Two images, one class, classes of one image: nothing divides by what is not there."""
    written = write_report(options(embedded_photos(tmp_path, labels), tmp_path / "report.html", method=method))
    assert written.images == len(labels)
    assert not re.search(r"\b(nan|inf)\b", (tmp_path / "report.html").read_text("utf-8").split('<svg class="store"')[0])


def test_images_that_are_all_the_same(tmp_path):
    rows = [ImageRow(f"{number}", tmp_path / "none.jpg", "a" if number % 2 else "b") for number in range(9)]
    write_folder(tmp_path / "emb", [EmbeddedRows(rows, np.ones((9, 8), np.float32), [None] * 9)])
    written = write_report(options(tmp_path / "emb", tmp_path / "report.html", method="tsne"))
    assert written.pictures == written.pictures_missing == 9
    assert written.label_errors > 0


def test_other_files_are_not_replaced_unasked(tmp_path):
    source = embedded_photos(tmp_path, LABELS)
    out = tmp_path / "notes.html"
    out.write_text("my notes")
    with pytest.raises(ConfigError, match="exists, but is not a report"):
        write_report(options(source, out))
    assert out.read_text() == "my notes"
    write_report(options(source, out, overwrite=True))
    write_report(options(source, out))  # a report is


def test_what_is_refused(tmp_path):
    source = embedded_photos(tmp_path, LABELS)
    with pytest.raises(ConfigError, match="is a folder"):
        write_report(options(source, tmp_path))
    with pytest.raises(ConfigError, match="no such folder"):
        write_report(options(source, tmp_path / "none" / "report.html"))
    with pytest.raises(RunError, match="Expected a folder of embeddings"):
        write_report(options(tmp_path / "none", tmp_path / "report.html"))
    unlabeled = [ImageRow("a", tmp_path / "a.jpg"), ImageRow("b", tmp_path / "b.jpg", "b")]
    write_folder(tmp_path / "half", [EmbeddedRows(unlabeled, np.ones((2, 8), np.float32), [None, None])])
    with pytest.raises(DataError, match="1 of 2 images have no label"):
        write_report(options(tmp_path / "half", tmp_path / "report.html"))
    lone = embedded_photos(tmp_path / "lone", ["a", "a", "b"], failed={0, 2})
    with pytest.raises(DataError, match="1 images with an embedding; a report needs at least 2"):
        write_report(options(lone, tmp_path / "report.html"))


def test_the_command(tmp_path, lifted):
    source = embedded_photos(tmp_path, LABELS)
    out = tmp_path / "my report.html"
    status, stdout, _ = lifted("report", source, "--out", out, "--map", "pca", "--k", "1,3", "--json")
    assert status == 0
    facts = json.loads(stdout)
    assert list(facts["recall"]) == ["1", "3"]
    assert facts["bytes"] == out.stat().st_size
    assert list(facts["context"]) == ["interval", "baselines", "differences", "trained_classes"]
    assert f"lifted report {source} --out &#39;{out}&#39; --map pca" in out.read_text("utf-8")
    status, stdout, _ = lifted("report", embedded_photos(tmp_path / "b", LABELS, failed={1}), "--out", out)
    assert status == 3
    assert "1 without an embedding left out" in stdout
