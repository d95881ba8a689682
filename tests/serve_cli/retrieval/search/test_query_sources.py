"""Queries of photographs, folders, patterns and embedding folders."""

import numpy as np
import pytest

from gluon_lifted.errors import DataError, RunError
from serve_cli.model.embedder import Embedder
from serve_cli.model.model_options import ModelOptions
from serve_cli.retrieval.index.catalog import CatalogIndex
from serve_cli.retrieval.search.query_sources import is_embedding_folder, named_queries, rows_of
from tests.serve_cli.embedded import batches, write_folder
from tests.serve_cli.photos import photo


@pytest.fixture(scope="module")
def index(shop):
    with CatalogIndex.open(shop.index) as opened:
        yield opened


@pytest.fixture(scope="module")
def embedder(shop):
    with Embedder(shop.model, ModelOptions(batch_size=3)) as opened:
        yield opened


def names_of(*names):
    return [row.id for name in names for row in rows_of(str(name))]


def test_what_names_stand_for(shop, tmp_path):
    assert names_of(shop.photos / "1.png", shop.photos / "missing.png") == [
        str(shop.photos / "1.png"),
        str(shop.photos / "missing.png"),
    ]
    assert names_of(shop.photos) == [f"{number}.png" for number in range(8)]
    assert names_of(shop.photos / "[12].png") == ["1.png", "2.png"]
    assert names_of(shop.folder / "catalog.parquet")[:2] == ["photos/0.png", "photos/1.png"]
    assert names_of("https://shop.example/a.jpg") == ["https://shop.example/a.jpg"]
    photo(tmp_path / "a[1].png")
    assert names_of(tmp_path / "a[1].png") == [str(tmp_path / "a[1].png")]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images"):
        names_of(tmp_path / "empty")
    assert (is_embedding_folder(str(shop.emb)), is_embedding_folder(str(shop.photos))) == (True, False)


@pytest.mark.parametrize("count", [2, 8])
def test_photographs_are_embedded_as_the_catalog_was(shop, index, embedder, count):
    """One by one, and in batches."""
    names = [str(shop.photos / f"{number}.png") for number in range(count)]
    queries = list(named_queries(names, index, lambda: embedder))
    assert [query.name for query in queries] == names
    np.testing.assert_allclose(
        np.stack([query.embedding for query in queries]), index.vectors(np.arange(count)), rtol=1e-5, atol=1e-6
    )


def test_a_photograph_that_cannot_be_read_fails_alone(shop, index, embedder, tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    names = [str(tmp_path / "text.jpg"), str(shop.photos / "1.png"), str(tmp_path / "missing.jpg")]
    queries = list(named_queries(names, index, lambda: embedder))
    assert [query.error is None for query in queries] == [False, True, False]
    assert "not an image" in queries[0].error
    assert not queries[0].error.startswith(names[0])


def test_rows_of_an_embedding_folder_need_no_model(shop, index):
    queries = list(named_queries([str(shop.emb)], index, lambda: pytest.fail("the model was opened")))
    assert [query.name for query in queries] == [f"photos/{number}.png" for number in range(8)]
    assert [query.label for query in queries[:3]] == ["class 0", "class 1", "class 0"]
    assert queries[0].source == str(shop.folder / "catalog.parquet")
    np.testing.assert_array_equal(np.stack([query.embedding for query in queries]), index.vectors(np.arange(8)))


def test_rows_with_nan_are_no_queries_and_are_counted(shop, index, tmp_path, caplog):
    (whole,) = batches(5, bad={1})
    whole.embedding[[0, 3], 0] = np.nan, np.inf
    about = {"model": {"sha256": index.model_sha256}}
    write_folder(tmp_path / "emb", [whole], about=about)
    queries = list(named_queries([str(tmp_path / "emb")], index, lambda: None))
    assert [query.name for query in queries] == ["2.jpg", "4.jpg"]
    assert "emb: left out 1 rows without an embedding and 2 whose embedding has NaN or infinity" in caplog.text


def test_an_embedding_folder_of_another_model_is_refused(index, tmp_path):
    write_folder(tmp_path / "emb", batches(3), about={"model": {"sha256": "00" * 32}})
    with pytest.raises(RunError, match="SHA-256 is 000000000000…"):
        list(named_queries([str(tmp_path / "emb")], index, lambda: None))
