import shutil
from dataclasses import replace

import numpy as np
import pytest

from gluon_lifted.errors import ConfigError, DataError, RunError
from serve_cli.runtime.embed.embed import embed_images
from serve_cli.runtime.embed.options import EmbedOptions
from serve_cli.runtime.evaluate import EvalOptions, EvalReport, Recall, evaluate
from serve_cli.runtime.rows import EmbeddedRows
from serve_cli.runtime.storage.reader import read_embeddings

from ..embedded import batches, write_folder
from ..photos import photo


def recall_by_sorting(embedding, labels, k):
    """The definition, with a loop and a sort for each query."""
    hits = 0
    for query in range(len(labels)):
        distance = ((embedding - embedding[query]) ** 2).sum(axis=1)
        others = sorted((distance[other], other) for other in range(len(labels)) if other != query)
        hits += any(labels[other] == labels[query] for _, other in others[:k])
    return hits / len(labels)


def test_recall_of_a_folder(tmp_path, model, album):
    embed_images(EmbedOptions(model, album, tmp_path / "emb"))
    found = read_embeddings(tmp_path / "emb")
    embedding = found.embedding.astype(np.float64)
    expected = {k: recall_by_sorting(embedding, found.labels, k) for k in (1, 2, 5)}
    report = evaluate(EvalOptions(tmp_path / "emb", ks=(1, 2, 5)))
    assert report == EvalReport((Recall("tiny", 8, expected),), queries=12, classes=3, failed=0)
    assert 0 < expected[1] < expected[5]


def test_rows_with_errors_are_left_out_and_counted(tmp_path):
    write_folder(tmp_path, batches(9, bad={0, 4}))
    (whole,) = batches(9)
    kept = [1, 2, 3, 5, 6, 7, 8]
    labels = [whole.rows[number].label for number in kept]
    report = evaluate(EvalOptions(tmp_path, ks=(3,)))
    assert (report.queries, report.classes, report.failed) == (7, 3, 2)
    assert report.results[0].recall == {3: recall_by_sorting(whole.embedding[kept].astype(np.float64), labels, 3)}


def test_images_without_labels(tmp_path):
    (whole,) = batches(3)
    rows = [replace(row, label=None if number == 1 else "x") for number, row in enumerate(whole.rows)]
    write_folder(tmp_path, [EmbeddedRows(rows, whole.embedding, whole.errors)])
    with pytest.raises(DataError, match=r"1 of 3 images have no label.*a sub-folder named after its class"):
        evaluate(EvalOptions(tmp_path))


def test_nothing_could_be_read(tmp_path):
    write_folder(tmp_path, batches(3, bad={0, 1, 2}))
    with pytest.raises(DataError, match="at least 2 images, found 0"):
        evaluate(EvalOptions(tmp_path))


def test_model_on_the_test_half_of_a_folder(tmp_path, model, album):
    """Of three classes the first one trains; dog and eel test."""
    photo(album / "dog" / "broken.jpg").write_bytes(b"")
    report = evaluate(EvalOptions(model, ks=(1,), dataset="folder", data=album))
    shutil.rmtree(album / "cat")
    embed_images(EmbedOptions(model, album, tmp_path / "emb"))
    assert report == evaluate(EvalOptions(tmp_path / "emb", ks=(1,)))
    assert (report.queries, report.classes, report.failed) == (8, 2, 1)


def test_baseline_of_raw_pixels(tmp_path, model, album):
    """Two copies of each image: pixels find the copy at once, for its class."""
    for file in sorted(album.rglob("*.jpg")):
        (file.parent / f"copy {file.name}").write_bytes(file.read_bytes())
    embed_images(EmbedOptions(model, album, tmp_path / "emb"))
    report = evaluate(EvalOptions(tmp_path / "emb", ks=(1,), baseline=True))
    assert [result.name for result in report.results] == ["tiny", "raw pixels, 16 x 16"]
    assert report.results[1].dim == 768
    assert report.results[1].recall == {1: 1.0}


def test_source_and_data_set_that_do_not_go_together(tmp_path, model):
    with pytest.raises(RunError, match="no such embedding folder or model"):
        evaluate(EvalOptions(tmp_path / "none"))
    with pytest.raises(ConfigError, match="is a model: name the images"):
        evaluate(EvalOptions(model))
    with pytest.raises(ConfigError, match="leave out --dataset"):
        evaluate(EvalOptions(tmp_path, dataset="folder", data=tmp_path))


def test_report_in_words():
    report = EvalReport((Recall("a", 8, {1: 0.25, 10: 1.0}),), queries=1234, classes=3, failed=0)
    assert report.columns() == ["embedding", "dim", "R@1", "R@10"]
    assert report.rows() == [["a", "8", "25.00", "100.00"]]
    assert report.facts() == {"recall in %": "1,234 queries of 3 classes"}
    assert replace(report, failed=2).facts()["recall in %"].endswith("classes; 2 without an embedding left out")
