import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gluon_lifted.errors import ConfigError, DataError, RunError
from gluon_lifted.metrics.bootstrap import ClassBootstrap
from gluon_lifted.metrics.intervals import wilson
from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import EmbedOptions, Output
from serve_cli.embeddings.reader import read_embeddings
from serve_cli.evaluate.eval_options import EvalOptions, Images
from serve_cli.evaluate.eval_steps import evaluate_embeddings
from serve_cli.report.report_options import ReportOptions
from serve_cli.report.write import write_report
from serve_cli.sources.image_row import EmbeddedRows
from tests.serve_cli.embedded import batches, write_folder
from tests.serve_cli.photos import photo
from tests.serve_cli.tiny_model import CARD


def hits(embedding, labels, k):
    """Whether each query hits, with a loop and a sort for each."""
    hit = []
    for query in range(len(labels)):
        distance = ((embedding - embedding[query]) ** 2).sum(axis=1)
        others = sorted((distance[other], other) for other in range(len(labels)) if other != query)
        hit.append(any(labels[other] == labels[query] for _, other in others[:k]))
    return np.array(hit, float)


def embedded(folder, count, seed=0, bad=(), labels="abc"):
    """A folder of random embeddings, whose classes take turns."""
    rng = np.random.default_rng(seed)
    rows = []
    for batch in batches(count, bad=set(bad)):
        embedding = rng.normal(size=batch.embedding.shape).astype(np.float32)
        embedding[np.isnan(batch.embedding)] = np.nan
        named = [replace(row, label=labels[number % len(labels)]) for number, row in enumerate(batch.rows)]
        rows.append(EmbeddedRows(named, embedding, batch.errors))
    write_folder(folder, rows)
    return folder


def test_paths_may_be_text_and_a_notebook_shows_the_tables(tmp_path, model, album):
    out = str(tmp_path / "emb")
    embed_images(EmbedOptions(model=str(model), source=str(album), out=out))
    report = evaluate_embeddings(EvalOptions(sources=[out], gallery=out))
    assert report.results == evaluate_embeddings(EvalOptions(sources=(Path(out),), gallery=Path(out))).results
    assert report._repr_markdown_().startswith("| metric, % | emb (8) |\n")
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    page = str(tmp_path / "report.html")
    written = write_report(ReportOptions(source=out, out=page, other=out, roots=[str(album)], method="pca"))
    assert written.out.is_file()


def test_metrics_of_a_folder_with_intervals_over_classes(tmp_path, model, album):
    embed_images(EmbedOptions(model=model, source=album, out=tmp_path / "emb"))
    embeddings = read_embeddings(tmp_path / "emb")
    report = evaluate_embeddings(EvalOptions(sources=(tmp_path / "emb",), ks=(1, 2, 5)))
    (result,) = report.results
    assert (result.name, result.dim, result.queries, result.gallery, result.classes) == ("emb", 8, 12, 11, 3)
    assert list(result.metrics) == ["R@1", "R@2", "R@5", "MRR", "R-precision", "MAP@R", "mAP"]
    for k in (1, 2, 5):
        values = hits(embeddings.embedding.astype(np.float64), embeddings.labels, k)
        assert result.metrics[f"R@{k}"] == ClassBootstrap(embeddings.labels).interval(values)
    assert 0 < result.metrics["R@1"].value < result.metrics["R@5"].value
    assert (report.failed, result.alone, report.differences, report.published) == (0, 0, (), ())


def test_rows_with_errors_are_left_out_and_counted(tmp_path):
    write_folder(tmp_path, batches(9, bad={0, 4}))
    (whole,) = batches(9)
    kept = [1, 2, 3, 5, 6, 7, 8]
    labels = [whole.rows[number].label for number in kept]
    report = evaluate_embeddings(EvalOptions(sources=(tmp_path,), ks=(3,)))
    assert (report.results[0].queries, report.results[0].classes, report.failed) == (7, 3, 2)
    expected = hits(whole.embedding[kept].astype(np.float64), labels, 3).mean()
    assert report.results[0].metrics["R@3"].value == pytest.approx(expected)


def test_either_format_of_a_folder(tmp_path, model, album):
    photo(album / "dog" / "broken.jpg").write_bytes(b"")
    for layout in ("parquet", "npy"):
        embed_images(
            EmbedOptions(
                model=model, source=album, out=tmp_path / layout, output=Output(rows_per_file=5, format=layout)
            )
        )
    parquet, npy = (evaluate_embeddings(EvalOptions(sources=(tmp_path / layout,))) for layout in ("parquet", "npy"))
    assert parquet.results[0].metrics == npy.results[0].metrics
    assert parquet.failed == npy.failed == 1


def test_side_by_side_only_images_count_that_all_have_embedded(tmp_path):
    first, other = embedded(tmp_path / "first", 30, 1, bad={3}), embedded(tmp_path / "other", 30, 2, bad={3, 7})
    report = evaluate_embeddings(EvalOptions(sources=(first, other), ks=(1,)))
    assert ([result.queries for result in report.results], report.failed) == ([28, 28], 3)
    kept = [number for number in range(30) if number not in (3, 7)]
    labels = ["abc"[number % 3] for number in kept]
    ours, theirs = (hits(read_embeddings(folder).embedding[kept].astype(float), labels, 1) for folder in (other, first))
    (difference,) = report.differences
    assert (difference.name, difference.than) == ("other", "first")
    assert difference.metrics["R@1"] == ClassBootstrap(labels).difference(ours, theirs)
    assert difference.metrics["R@1"].value == pytest.approx(ours.mean() - theirs.mean())


def test_other_images_have_no_paired_difference(tmp_path):
    first, other = embedded(tmp_path / "first", 12), embedded(tmp_path / "other", 15)
    report = evaluate_embeddings(EvalOptions(sources=(first, other)))
    assert report.differences == ()
    assert report.note.startswith("the sources have different images")
    assert [result.metrics for result in report.results] == [
        evaluate_embeddings(EvalOptions(sources=(folder,))).results[0].metrics for folder in (first, other)
    ]
    assert report.facts()["queries of other"] == "15 of 3 classes, each searched among 14 others"
    relabeled = embedded(tmp_path / "relabeled", 12, labels="abd")
    assert evaluate_embeddings(EvalOptions(sources=(first, relabeled))).differences == ()
    assert len(evaluate_embeddings(EvalOptions(sources=(first, first))).differences) == 1


def test_folders_of_one_name_are_told_apart_by_their_paths(tmp_path):
    folders = tuple(embedded(tmp_path / name / "emb", 9) for name in "ab")
    assert [result.name for result in evaluate_embeddings(EvalOptions(sources=folders)).results] == [
        str(folder) for folder in folders
    ]


def test_gallery(tmp_path):
    """Queries that lie in the gallery, too, find themselves: they are not passed over in another set."""
    queries, gallery = embedded(tmp_path / "queries", 9), embedded(tmp_path / "gallery", 30, seed=0, bad={29})
    report = evaluate_embeddings(EvalOptions(sources=(queries,), gallery=gallery))
    assert (report.results[0].queries, report.results[0].gallery, report.failed) == (9, 29, 1)
    assert report.results[0].metrics["R@1"].value == 1
    others = embedded(tmp_path / "others", 20, seed=3, labels="ab")
    report = evaluate_embeddings(EvalOptions(sources=(queries,), gallery=others))
    assert report.results[0].alone == 3
    where = "each searched among the 20 images of others; 3 have no image of their class there"
    assert report.facts()["queries"] == f"9 of 3 classes, {where}"
    assert (
        evaluate_embeddings(EvalOptions(sources=(queries,), gallery=queries))
        .facts()["queries"]
        .endswith("the 9 images of queries")
    )


def test_gallery_of_another_model(tmp_path):
    queries, gallery = embedded(tmp_path / "queries", 9), tmp_path / "gallery"
    card = replace(read_embeddings(queries).card, name="other")
    write_folder(gallery, batches(9), card=card)
    with pytest.raises(RunError, match=r"gallery and queries come from models with different cards \(name\)"):
        evaluate_embeddings(EvalOptions(sources=(queries,), gallery=gallery))
    with pytest.raises(RunError, match="Expected a folder of embeddings"):
        evaluate_embeddings(EvalOptions(sources=(queries,), gallery=tmp_path / "none"))
    with pytest.raises(ConfigError, match="--gallery needs exactly one source"):
        evaluate_embeddings(EvalOptions(sources=(queries, queries), gallery=queries))


def test_cosine(tmp_path):
    folder = embedded(tmp_path / "emb", 30)
    embedding = read_embeddings(folder).embedding.astype(float)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    report = evaluate_embeddings(EvalOptions(sources=(folder,), ks=(1,), distance="cosine", recall_only=True))
    assert list(report.results[0].metrics) == ["R@1", "MRR"]
    assert report.results[0].metrics["R@1"].value == hits(embedding, list("abc" * 10), 1).mean()


def test_sample_of_queries_with_wilsons_interval(tmp_path):
    folder = embedded(tmp_path / "emb", 60)
    whole = evaluate_embeddings(EvalOptions(sources=(folder,), ks=(1,))).results[0].metrics["R@1"].value
    report = evaluate_embeddings(EvalOptions(sources=(folder,), ks=(1,), queries=45))
    assert (report.results[0].queries, report.results[0].gallery) == (45, 59)
    estimate = report.results[0].metrics["R@1"]
    assert (estimate.low, estimate.high) == wilson(estimate.value, 45, 60)
    assert estimate.low < whole < estimate.high
    assert (
        estimate
        != evaluate_embeddings(EvalOptions(sources=(folder,), ks=(1,), queries=45, seed=1)).results[0].metrics["R@1"]
    )
    assert "Wilson" in report.facts()["intervals"]
    assert (
        evaluate_embeddings(EvalOptions(sources=(folder,), ks=(1,), queries=99)).results[0].metrics["R@1"].value
        == whole
    )


def test_clusters(tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    report = evaluate_embeddings(EvalOptions(sources=(embedded(tmp_path / "emb", 30),), clustering="modern"))
    metrics = report.results[0].metrics
    assert list(metrics)[-4:] == ["NMI", "NMI (geometric)", "F1", "AMI"]
    assert 0 < metrics["NMI"].value < 1
    assert math.isnan(metrics["NMI"].low)
    assert report.facts()["clusters"].startswith("k-means, k = classes, modern protocol: init k-means++, n_init 10")


def test_images_without_labels(tmp_path):
    (whole,) = batches(3)
    rows = [replace(row, label=None if number == 1 else "x") for number, row in enumerate(whole.rows)]
    write_folder(tmp_path, [EmbeddedRows(rows, whole.embedding, whole.errors)])
    with pytest.raises(DataError, match=r"1 of 3 images have no label.*a sub-folder with the name of its class"):
        evaluate_embeddings(EvalOptions(sources=(tmp_path,)))


def test_nothing_could_be_read(tmp_path):
    write_folder(tmp_path, batches(3, bad={0, 1, 2}))
    with pytest.raises(DataError, match="0 images with an embedding; recall needs at least 2"):
        evaluate_embeddings(EvalOptions(sources=(tmp_path,)))


def test_model_on_the_test_half_of_a_folder(tmp_path, model, album):
    """Of three classes the first one trains; dog and eel test."""
    photo(album / "dog" / "broken.jpg").write_bytes(b"")
    report = evaluate_embeddings(EvalOptions(sources=(model,), images=Images(dataset="folder", data=album)))
    shutil.move(album / "cat", tmp_path)
    embed_images(EmbedOptions(model=model, source=album, out=tmp_path / "emb"))
    shutil.move(tmp_path / "cat", album)
    again = evaluate_embeddings(EvalOptions(sources=(tmp_path / "emb",)))
    assert report.results[0].metrics == again.results[0].metrics
    assert report.results[0].name == model.name
    assert (report.results[0].queries, report.results[0].classes, report.failed) == (8, 2, 1)
    both = evaluate_embeddings(
        EvalOptions(sources=(model, tmp_path / "emb"), images=Images(dataset="folder", data=album))
    )
    assert [difference.metrics["R@1"].value for difference in both.differences] == [0.0]


def test_baseline_of_raw_pixels(tmp_path, model, album):
    """Two copies of each image: pixels find the copy at once, for its class."""
    for file in sorted(album.rglob("*.jpg")):
        (file.parent / f"copy {file.name}").write_bytes(file.read_bytes())
    embed_images(EmbedOptions(model=model, source=album, out=tmp_path / "emb"))
    report = evaluate_embeddings(EvalOptions(sources=(tmp_path / "emb",), ks=(1,), baseline=True))
    assert [result.name for result in report.results] == ["emb", "raw pixels, 16 x 16"]
    assert report.results[1].dim == 768
    assert report.results[1].metrics["R@1"].value == 1.0
    (difference,) = report.differences
    assert (difference.name, difference.than) == ("emb", "raw pixels, 16 x 16")
    assert difference.metrics["R@1"].value == pytest.approx(report.results[0].metrics["R@1"].value - 1.0)


def test_models_are_compared_with_the_first_and_the_first_with_pixels(tmp_path, model, album):
    for name in ("first", "second", "third"):
        embed_images(EmbedOptions(model=model, source=album, out=tmp_path / name))
    sources = tuple(tmp_path / name for name in ("first", "second", "third"))
    report = evaluate_embeddings(EvalOptions(sources=sources, ks=(1,), baseline=True))
    assert [(difference.name, difference.than) for difference in report.differences] == [
        ("second", "first"),
        ("third", "first"),
        ("first", "raw pixels, 16 x 16"),
    ]


def test_source_and_data_set_that_do_not_go_together(tmp_path, model):
    with pytest.raises(RunError, match=r"no such file or folder\. Expected a folder of embeddings, or an ONNX model"):
        evaluate_embeddings(EvalOptions(sources=(tmp_path / "none",)))
    with pytest.raises(ConfigError, match="is a model, which needs images"):
        evaluate_embeddings(EvalOptions(sources=(model,)))
    with pytest.raises(ConfigError, match="leave out --dataset"):
        evaluate_embeddings(EvalOptions(sources=(tmp_path,), images=Images(dataset="folder", data=tmp_path)))


def test_what_does_not_compare_is_said(tmp_path):
    folder = embedded(tmp_path / "emb", 12)
    report = evaluate_embeddings(EvalOptions(sources=(folder,), published="cars196"))
    assert report.note == "published values are for 8,131 queries; these images differ and are not comparable"
    assert len(report.published) > 5
    alone = embedded(tmp_path / "alone", 3)
    assert (
        evaluate_embeddings(EvalOptions(sources=(alone,))).note
        == "no query has another image of its class in the gallery"
    )
    one_class = embedded(tmp_path / "one", 5, labels="a")
    assert evaluate_embeddings(EvalOptions(sources=(one_class,))).interval == "none; they need at least two classes"


def embedded_by(folder, *, normalized=False, distance="euclidean"):
    """A folder of embeddings whose model has such a card."""
    write_folder(folder, batches(12), card=replace(CARD, normalized=normalized, distance=distance))
    return folder


def test_images_are_ranked_by_the_distance_of_the_card(tmp_path):
    source = embedded_by(tmp_path / "cosine", distance="cosine")
    chosen = evaluate_embeddings(EvalOptions(sources=(source,))).to_json()
    assert chosen == evaluate_embeddings(EvalOptions(sources=(source,), distance="cosine")).to_json()
    other = evaluate_embeddings(EvalOptions(sources=(source,), distance="euclidean"))
    assert (chosen["distance"], other.distance) == ("cosine", "euclidean")
    assert chosen["results"] != other.to_json()["results"]


def test_models_of_different_distances_need_a_choice(tmp_path):
    sources = tuple(embedded_by(tmp_path / distance, distance=distance) for distance in ("cosine", "euclidean"))
    with pytest.raises(ConfigError, match=r"different distances \(cosine: cosine, euclidean: euclidean\); choose one"):
        evaluate_embeddings(EvalOptions(sources=sources))
    assert evaluate_embeddings(EvalOptions(sources=sources, distance="cosine")).distance == "cosine"
    unit = embedded_by(tmp_path / "unit", normalized=True, distance="cosine")  # both distances give the same order
    assert evaluate_embeddings(EvalOptions(sources=(sources[1], unit))).distance == "euclidean"
    assert evaluate_embeddings(EvalOptions(sources=(sources[0], unit))).distance == "cosine"
